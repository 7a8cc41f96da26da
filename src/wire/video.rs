//! Fragments of encoded frames.

use super::{Reader, U16s, Writer};
use crate::media::{Size, VideoCodec};

/// Bytes of a fragment's body before its piece ends and data.
pub const VIDEO_HEADER_BYTES: usize = 31;

/// The frame can be decoded without any before it.
const FLAG_KEY: u8 = 1;
/// The fragment was sent before, and is sent again on request.
const FLAG_REPEAT: u8 = 2;
/// Parities follow the last fragment of the frame.
const FLAG_PARITY: u8 = 4;

/// A run of bytes of one encoded frame, with all that is said of the frame, so that any fragment may come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFragment<'a> {
    /// Counts fragments of all frames from 0, modulo 2³². Fragment `index` of a frame has the frame's first + `index`.
    pub sequence: u32,
    /// Counts frames sent from 0, modulo 2³². One that is not a key frame depends on the one before it.
    pub frame: u32,
    /// When the sensor took the picture: microseconds of the sender's CLOCK_MONOTONIC, modulo 2³².
    pub captured_us: u32,
    /// The frame's length in bytes.
    pub length: u32,
    /// Where `data` begins in the frame, in bytes.
    pub offset: u32,
    /// This fragment among the frame's, from 0.
    pub index: u16,
    /// How many fragments the frame has.
    pub count: u16,
    /// Picture size in pixels, where it is known.
    pub size: Option<Size>,
    /// How the frame is encoded.
    pub codec: VideoCodec,
    /// Whether the frame can be decoded without any before it.
    pub key: bool,
    /// Whether this fragment was sent before.
    pub repeat: bool,
    /// Whether parities follow the frame's last fragment.
    pub parity: bool,
    /// Where pieces end within `data`: offsets from the start of `data`, rising, at most its length.
    pub piece_ends: U16s<'a>,
    /// The bytes.
    pub data: &'a [u8],
}

impl<'a> VideoFragment<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<VideoFragment<'a>> {
        let mut r = Reader(body);
        let (sequence, frame, captured_us, length, offset) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?, r.u32()?);
        let (index, count, width, height) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
        let (flags, codec, pieces) = (r.u8()?, codec_from_byte(r.u8()?)?, r.u8()?);
        let piece_ends = U16s::parse(r.bytes(usize::from(pieces) * 2)?)?;
        let data = r.rest();
        let rising = piece_ends.iter().try_fold(0, |last, end| (end > last).then_some(end));
        let ends_within = rising.is_some_and(|last| usize::from(last) <= data.len());
        let end = u64::from(offset) + data.len() as u64;
        if data.is_empty() || index >= count || end > u64::from(length) || !ends_within {
            return None;
        }
        let size = (width != 0 && height != 0).then(|| Size::new(width.into(), height.into()));
        let [key, repeat, parity] = [FLAG_KEY, FLAG_REPEAT, FLAG_PARITY].map(|flag| flags & flag != 0);
        Some(VideoFragment {
            sequence,
            frame,
            captured_us,
            length,
            offset,
            index,
            count,
            size,
            codec,
            key,
            repeat,
            parity,
            piece_ends,
            data,
        })
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.u32(self.sequence);
        w.u32(self.frame);
        w.u32(self.captured_us);
        w.u32(self.length);
        w.u32(self.offset);
        w.u16(self.index);
        w.u16(self.count);
        // A side past 65,535 pixels is no picture of ours; it travels as unknown.
        let side = |pixels: u32| u16::try_from(pixels).unwrap_or(0);
        w.u16(self.size.map_or(0, |s| side(s.width)));
        w.u16(self.size.map_or(0, |s| side(s.height)));
        let flags = [(self.key, FLAG_KEY), (self.repeat, FLAG_REPEAT), (self.parity, FLAG_PARITY)];
        w.u8(flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |flags, (_, flag)| flags | flag));
        w.u8(codec_to_byte(self.codec));
        let pieces = u8::try_from(self.piece_ends.len()).unwrap_or(u8::MAX);
        w.u8(pieces);
        w.bytes(&self.piece_ends.as_bytes()[..usize::from(pieces) * 2]);
        w.bytes(self.data);
    }
}

/// A codec's number on the wire.
pub const fn codec_to_byte(codec: VideoCodec) -> u8 {
    match codec {
        VideoCodec::H264 => 0,
        VideoCodec::Mjpeg => 1,
        VideoCodec::Deflate => 2,
    }
}

/// The codec of a number on the wire; `None` for one that we do not know.
pub const fn codec_from_byte(byte: u8) -> Option<VideoCodec> {
    match byte {
        0 => Some(VideoCodec::H264),
        1 => Some(VideoCodec::Mjpeg),
        2 => Some(VideoCodec::Deflate),
        _ => None,
    }
}
