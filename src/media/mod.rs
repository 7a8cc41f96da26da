//! What flows: pictures, encoded frames, periods of sound, and the words that describe them.
//!
//! A **frame** is one picture. Raw pictures inside the station are planar 4:2:0 ([`Picture`]); what a camera lends is
//! described by a [`FrameView`] over the driver's own memory. Sound is 48 kHz mono, in periods of 10 ms.

mod encoded;
mod level;
mod limit;
mod pane;
mod picture;
mod rect;
mod sound;

pub use encoded::{EncodedFrame, VideoCodec};
pub use level::Level;
pub use limit::{Limit, Limits, Thinning};
pub use pane::Pane;
pub use picture::{ColourRange, FrameView, Picture, PixelFormat, Plane, Size, VideoFormat};
pub use rect::Rect;
pub use sound::{PERIOD, PERIOD_TIME, Period, SAMPLE_RATE_HZ, SOUND_BYTES_MAX, SoundPacket};

#[cfg(test)]
pub(crate) mod tests;
