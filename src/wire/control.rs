//! Control messages: what stations tell each other, reliably and in order.
//!
//! They are written in postcard (<https://postcard.jamesmunns.com/wire-format>), which does not describe itself; so the
//! rules of growth are: variants and fields are added at the end only and never change. A variant that the receiver
//! does not know is an error that it counts and passes over; bytes behind the last field that it knows are ignored.
//! The bounds of texts are in the types: a longer one does not parse.

use super::CallMessage;
use crate::media::{Limit, Size, VideoCodec};
use core::fmt;
use heapless::String;
use serde::{Deserialize, Serialize};

/// What [`Control::Hello`] says. Raised when a station that knows only the older one would misunderstand.
///
/// | version | what it brought |
/// |---|---|
/// | 1 | pictures and sound both ways as long as the link stands |
/// | 2 | calls ([`Control::Call`]) |
pub const PROTOCOL_VERSION: u16 = 2;

/// The first version that knows calls. An older station passes [`Control::Call`] over, so it is never sent there: the
/// link stands and carries media, as it always did.
pub const PROTOCOL_VERSION_OF_CALLS: u16 = 2;

/// The longest encoded message, in bytes: with its headers it still fits one datagram, so that messages are not cut.
pub const CONTROL_BYTES_MAX: usize = 1_024;

/// The longest name of a station or a program, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;

/// The longest description of a fault, in bytes of UTF-8: a few lines on a screen.
pub const FAULT_TEXT_BYTES_MAX: usize = 240;

/// One control message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// The first message each way.
    Hello {
        /// [`PROTOCOL_VERSION`] of the sender.
        version: u16,
        /// What the station calls itself.
        station: String<NAME_BYTES_MAX>,
        /// Program and version, for reports.
        software: String<NAME_BYTES_MAX>,
    },
    /// Sent whenever it changes.
    Video(VideoState),
    /// Sent whenever it changes.
    Sound(SoundState),
    /// The sender ends the call; nothing follows.
    Bye {
        /// Why.
        reason: Reason,
    },
    /// About a call; only to a station whose version is at least [`PROTOCOL_VERSION_OF_CALLS`].
    Call(CallMessage),
    /// The most that the sender can take of pictures; sent whenever it changes, and at first there is no limit. An older
    /// station passes it over.
    Capacity(#[serde(with = "LimitOnWire")] Limit),
}

/// How the sender's camera is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "the text's bound is its type's; there are two of these in a call")]
pub enum VideoState {
    /// The station sends no video.
    Off,
    /// Pictures are coming.
    Working {
        /// How they are encoded.
        #[serde(with = "CodecOnWire")]
        codec: VideoCodec,
        /// Their size in pixels, as encoded.
        #[serde(with = "SizeOnWire")]
        size: Size,
    },
    /// The camera does not work: the far side shows a card instead of a frozen picture.
    Fault {
        /// What is wrong, for people.
        text: String<FAULT_TEXT_BYTES_MAX>,
    },
}

/// How the sender's microphone is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "the text's bound is its type's; there are two of these in a call")]
pub enum SoundState {
    /// The station sends no sound.
    Off,
    /// Sound is coming.
    Working,
    /// The microphone does not work.
    Fault {
        /// What is wrong, for people.
        text: String<FAULT_TEXT_BYTES_MAX>,
    },
}

/// Why a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Somebody hung up.
    HungUp,
    /// The program is ending.
    ShuttingDown,
    /// The versions do not go together.
    Incompatible,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "VideoCodec")]
enum CodecOnWire {
    H264,
    Mjpeg,
    Deflate,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Size")]
struct SizeOnWire {
    width: u32,
    height: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Limit")]
struct LimitOnWire {
    #[serde(with = "SizeOnWire")]
    size: Size,
    rate_millihertz: u32,
    bitrate_bps: u32,
}

/// Bytes that are no control message of this version: of a later one, or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlError;

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a control message that this version knows")
    }
}

impl std::error::Error for ControlError {}

impl Control {
    /// Writes the message; the bytes used. Every message fits [`CONTROL_BYTES_MAX`]: the types bound it.
    pub fn encode(&self, out: &mut [u8; CONTROL_BYTES_MAX]) -> usize {
        postcard::to_slice(self, out).map_or(0, |used| used.len())
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<Control, ControlError> {
        postcard::take_from_bytes(bytes).map(|(message, _later_fields)| message).map_err(|_| ControlError)
    }
}

/// As much of `text` as fits `N` bytes, cut between characters.
pub fn bounded<const N: usize>(text: &str) -> String<N> {
    let mut out = String::new();
    for c in text.chars() {
        if out.push(c).is_err() {
            break;
        }
    }
    out
}
