//! Encoders and decoders, and what brings pixels into the shape they want.
//!
//! Everything here is passive and bounded: a call encodes or decodes one frame and returns. Buffers are the caller's and
//! are reused.

pub mod clip;
pub mod convert;
pub mod deflate;
pub mod h264;
pub mod mjpeg;
pub mod opus;
pub mod qr;
mod video;

pub use video::{Decoder, Encoder, EncoderConfig};

use crate::media::{EncodedFrame, Picture};
use core::fmt;

/// Turns pictures into encoded frames.
pub trait VideoEncoder {
    /// Encodes one picture into `out`, whose buffers are cleared and reused; sets `data`, `piece_ends`, `codec`, `key`
    /// and `size`, and leaves number and times to the caller, who has set `captured_at` already: rate control goes by
    /// it. `out.data` is empty where the encoder chose to skip.
    /// The first frame, one of another size, and one with `key` set can be decoded without any before it.
    fn encode(&mut self, picture: &Picture, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError>;

    /// Aims at another bitrate from the next frame on; codecs without rate control ignore it.
    fn set_bitrate(&mut self, bits_per_second: u32);
}

/// Turns encoded frames into pictures.
pub trait VideoDecoder {
    /// Decodes one frame into `out`, reshaped as needed. Frames come in order; after a gap the caller waits for a key
    /// frame. On an error `out` is unspecified and the caller asks for a key frame.
    fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError>;
}

/// Why a frame could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes are not a frame of this codec, or one that needs frames which were not seen.
    Broken(&'static str),
    /// The picture's size or format is outside what the codec takes.
    Unsupported(String),
    /// The library failed by itself.
    Library(String),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::Broken(what) => write!(f, "broken frame: {what}"),
            CodecError::Unsupported(what) | CodecError::Library(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CodecError {}
