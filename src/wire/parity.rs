//! Parity of encoded frames.

use super::{Reader, Writer, codec_from_byte, codec_to_byte};
use crate::media::{Size, VideoCodec};

/// Bytes of a parity's body before its shard.
pub const PARITY_HEADER_BYTES: usize = 25;

const FLAG_KEY: u8 = 1;

/// A sum over all fragments of a frame, which stands in for any one of them that was lost; with all that is said of the
/// frame, so that it may come before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parity<'a> {
    /// The sequence of the frame's first fragment. Parities have none of their own.
    pub first: u32,
    /// The frame's number, as its fragments say it.
    pub frame: u32,
    /// When the sensor took the picture, as the fragments say it.
    pub captured_us: u32,
    /// The frame's length in bytes.
    pub length: u32,
    /// How many fragments the frame has.
    pub count: u16,
    /// Which of the frame's parities this is: the row of the code.
    pub row: u8,
    /// Picture size in pixels, where it is known.
    pub size: Option<Size>,
    /// How the frame is encoded.
    pub codec: VideoCodec,
    /// Whether the frame can be decoded without any before it.
    pub key: bool,
    /// The sum of the frame's shards, as long as the longest of them.
    pub shard: &'a [u8],
}

impl<'a> Parity<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Parity<'a>> {
        let mut r = Reader(body);
        let (first, frame, captured_us, length) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?);
        let (count, row, width, height) = (r.u16()?, r.u8()?, r.u16()?, r.u16()?);
        let (flags, codec) = (r.u8()?, codec_from_byte(r.u8()?)?);
        let shard = r.rest();
        if count == 0 || shard.is_empty() {
            return None;
        }
        let size = (width != 0 && height != 0).then(|| Size::new(width.into(), height.into()));
        let key = flags & FLAG_KEY != 0;
        Some(Parity { first, frame, captured_us, length, count, row, size, codec, key, shard })
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.u32(self.first);
        w.u32(self.frame);
        w.u32(self.captured_us);
        w.u32(self.length);
        w.u16(self.count);
        w.u8(self.row);
        let side = |pixels: u32| u16::try_from(pixels).unwrap_or(0);
        w.u16(self.size.map_or(0, |s| side(s.width)));
        w.u16(self.size.map_or(0, |s| side(s.height)));
        w.u8(if self.key { FLAG_KEY } else { 0 });
        w.u8(codec_to_byte(self.codec));
        w.bytes(self.shard);
    }
}
