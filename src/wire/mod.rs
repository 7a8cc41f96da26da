//! The bytes between two stations, once the session has opened them: what a payload holds.
//!
//! A payload is the sender's epoch and then items, one behind the other; several may share one. Every item has the
//! same three bytes before it, so that one of an unknown kind is stepped over. All numbers are little-endian and of
//! fixed width, whatever machine wrote them. `src/link/PROTOCOL.md` is the specification.
//!
//! **Parsers are total**: any bytes give items or an error, never a panic, and nothing is copied; what an item says
//! stays a view into the payload. [`Item`] is both what is read and what is written, so that each has one twin only.

mod call;
mod control;
mod item;
mod lists;
mod parity;
#[cfg(test)]
mod tests;
mod video;

pub use call::{CallId, CallKind, CallMessage, DeclineReason, EndReason, Invite, ReleaseOutcome};
pub use control::{
    CONTROL_BYTES_MAX, Control, ControlError, FAULT_TEXT_BYTES_MAX, NAME_BYTES_MAX, PROTOCOL_VERSION,
    PROTOCOL_VERSION_OF_CALLS, Reason, SoundState, VideoState, bounded,
};
pub use item::{ControlAck, ControlSegment, Feedback, Item, KeyFrameRequest, Ping, Pong, Sound};
pub use lists::{Range, Ranges, U16s};
pub use parity::{PARITY_HEADER_BYTES, Parity};
pub use video::{VIDEO_HEADER_BYTES, VideoFragment, codec_from_byte, codec_to_byte};

/// Bytes before the first item: the sender's epoch.
pub const EPOCH_BYTES: usize = 4;

/// Bytes before each item's body: its kind and its length.
pub const ITEM_HEADER_BYTES: usize = 3;

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The payload ends within its epoch or within an item; nothing after this point can be read.
    Truncated,
    /// An item of a known kind whose body does not parse; the items after it can be read.
    Body {
        /// The item's kind, as on the wire.
        kind: u8,
    },
}

/// One payload, ready to be walked.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Names one life of the sender's flow: another value means that it began anew, with all its counters at zero.
    pub epoch: u32,
    items: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Reads the epoch. Fails only on fewer than four bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Payload<'a>, Malformed> {
        let (epoch, items) = bytes.split_first_chunk().ok_or(Malformed::Truncated)?;
        Ok(Payload { epoch: u32::from_le_bytes(*epoch), items })
    }

    /// The items, in the order of the bytes.
    pub fn items(&self) -> Items<'a> {
        Items { rest: self.items }
    }
}

/// Walks the items of a payload. Items of unknown kinds come out as [`Item::Unknown`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut reader = Reader(self.rest);
        let body = reader.u8().and_then(|kind| {
            let length = reader.u16()?;
            Some((kind, reader.bytes(usize::from(length))?))
        });
        let Some((kind, body)) = body else {
            self.rest = &[];
            return Some(Err(Malformed::Truncated));
        };
        self.rest = reader.0;
        Some(Item::parse(kind, body).ok_or(Malformed::Body { kind }))
    }
}

/// Writes a payload into a buffer of the caller's.
#[derive(Debug)]
pub struct PayloadWriter<'o> {
    out: &'o mut [u8],
    used: usize,
}

impl<'o> PayloadWriter<'o> {
    /// Begins with the epoch; `None` where not even that fits.
    pub fn begin(out: &'o mut [u8], epoch: u32) -> Option<PayloadWriter<'o>> {
        out.first_chunk_mut().map(|first| *first = u32::to_le_bytes(epoch))?;
        Some(PayloadWriter { out, used: EPOCH_BYTES })
    }

    /// Adds an item; false, and nothing written, where it does not fit.
    pub fn put(&mut self, item: &Item<'_>) -> bool {
        let mut writer = Writer { out: self.out, at: self.used + ITEM_HEADER_BYTES, overrun: false };
        item.write_body(&mut writer);
        let (end, overrun) = (writer.at, writer.overrun);
        let Ok(length) = u16::try_from(end.saturating_sub(self.used + ITEM_HEADER_BYTES)) else { return false };
        if overrun || end > self.out.len() {
            return false;
        }
        let mut header = Writer { out: self.out, at: self.used, overrun: false };
        header.u8(item.kind());
        header.u16(length);
        self.used = end;
        true
    }

    /// Bytes that one more item's body may have.
    pub fn room(&self) -> usize {
        self.out.len().saturating_sub(self.used + ITEM_HEADER_BYTES)
    }

    /// Whether no item is in it yet.
    pub fn is_empty(&self) -> bool {
        self.used == EPOCH_BYTES
    }

    /// The payload's length in bytes; `None` for one without items, which need not be sent.
    pub fn finish(self) -> Option<usize> {
        (!self.is_empty()).then_some(self.used)
    }
}

/// Takes numbers and bytes off the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }
}

/// Puts numbers and bytes into a slice, and remembers where they did not fit.
struct Writer<'o> {
    out: &'o mut [u8],
    at: usize,
    overrun: bool,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len());
        match self.out.get_mut(self.at..end) {
            Some(place) => place.copy_from_slice(bytes),
            None => self.overrun = true,
        }
        self.at = end;
    }

    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }
}
