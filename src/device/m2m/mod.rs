//! Codecs in hardware: Video4Linux memory-to-memory devices, stateful ones.
//!
//! The order of calls is that of the kernel's documents "Memory-to-Memory Stateful Video Encoder Interface" and
//! "… Decoder Interface": [`M2mEncoder`] and [`M2mDecoder`] are each one open file with two queues, OUTPUT (to the codec)
//! and CAPTURE (from it). A node is found by what it does, never by its number.
//!
//! **One picture in, one out.** A call gives the codec a frame and waits, by polling, for what comes of it: what a codec
//! holds back is a delay that a conversation does not bear, so a codec that does so counts as stalled. The wait ends
//! early when the stage is asked to end.
//!
//! **It is never repaired.** At any fault the codec is dropped; whoever owns it goes on with software at once
//! ([`crate::stage`]) and may open another later.
//!
//! **Memory is lent where it can be, and copied where not.** A camera's frame of a layout that the encoder reads too goes
//! in as it lies, its memory lent from one driver to the other (a dmabuf), and a decoded picture may be lent to the screen
//! in the same way; all else is written into the driver's buffer, and copied out of it. Levels are always video levels on the way in: no driver is known to say in the stream that they are not.

mod calls;
mod decoder;
mod encoder;
mod list;
mod quirks;
mod session;
mod spec;

pub use decoder::M2mDecoder;
pub use encoder::M2mEncoder;
pub use list::{CodecInfo, Role, find, list};
pub use quirks::{QUIRKS, Quirk};
pub use spec::CodecSpec;

use crate::media::VideoCodec;

/// A format of coded video that is spoken through a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coded {
    /// H.264 as a byte stream, a frame a buffer.
    #[default]
    H264,
    /// The kernel's own test format, for its test driver: with it this module is tried out where there is no hardware.
    Fwht,
}

impl Coded {
    /// As V4L2 names it.
    pub const fn fourcc(self) -> [u8; 4] {
        match self {
            Coded::H264 => *b"H264",
            Coded::Fwht => *b"FWHT",
        }
    }

    /// As the link names it; `None` for what is never sent.
    pub const fn codec(self) -> Option<VideoCodec> {
        match self {
            Coded::H264 => Some(VideoCodec::H264),
            Coded::Fwht => None,
        }
    }
}
