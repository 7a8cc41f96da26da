//! Encoded frames, as they go from the encoder to the link and from the link to the decoder.

use super::Size;
use crate::time::Instant;
use core::fmt;

/// How a frame is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264 constrained baseline, Annex B byte stream (ITU-T H.264).
    #[default]
    H264,
    /// One JFIF image a frame; every frame stands alone.
    Mjpeg,
    /// Our own temporal lossless or near-lossless codec over deflate (`codec::deflate`).
    Deflate,
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VideoCodec::H264 => "h264",
            VideoCodec::Mjpeg => "mjpeg",
            VideoCodec::Deflate => "deflate",
        })
    }
}

/// One encoded picture. A slot of it is filled again and again: its buffers only grow.
#[derive(Clone, Debug, Default)]
pub struct EncodedFrame {
    /// The bytes, whole.
    pub data: Vec<u8>,
    /// Where each independently sent piece (an H.264 NAL unit, a deflate slice) ends in `data`, rising; the last is
    /// `data.len()`. Empty where the codec has no such pieces.
    pub piece_ends: Vec<u32>,
    /// How it is encoded.
    pub codec: VideoCodec,
    /// Whether it can be decoded without any frame before it.
    pub key: bool,
    /// Picture size in pixels.
    pub size: Option<Size>,
    /// Counts the frames of one encoder, from 0; a gap means a frame that was never sent.
    pub number: u64,
    /// When the sensor took it, in the *local* station's clock (the link corrects by the measured offset).
    pub captured_at: Instant,
    /// When the last byte of it was at hand here: encoded, or received.
    pub ready_at: Instant,
}

impl EncodedFrame {
    /// Room for `bytes` before anything grows.
    pub fn with_capacity(bytes: usize) -> EncodedFrame {
        EncodedFrame {
            data: Vec::with_capacity(bytes),
            piece_ends: Vec::with_capacity(bytes / 256 + 8),
            ..EncodedFrame::default()
        }
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.piece_ends.clear();
        self.key = false;
        self.size = None;
    }

    /// Closes a piece at the present end of `data`.
    pub fn end_piece(&mut self) {
        self.piece_ends.push(self.data.len() as u32);
    }
}
