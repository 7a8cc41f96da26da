//! Whether a camera goes on delivering the same picture: a frozen one does, and no living sensor, whose noise differs in
//! every frame.

use crate::device::FrameBuffer;
use crate::media::FrameView;
use crate::time::{Duration, Instant};

/// How often a frame is looked at: what stands still does so in all of them.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Bytes looked at in one: enough for a clock's digits in a drawn picture to be met, and 0.1 ms where a driver's memory
/// is not cached.
const SAMPLES: usize = 4_096;
/// Luma that differs by less than this all over is the dark, or a lens that is covered: many cameras clip the noise away.
const CONTRAST_LEAST: u8 = 8;
/// A JPEG image with less than a bit for so many pixels has nothing in it, likewise: each block of 64 takes 6 at least.
const EMPTY_PIXELS_A_BIT: usize = 4;

/// What a frame was, beside the one that was looked at before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Not looked at, or nothing to be seen in it.
    Nothing,
    /// The same.
    Same,
    /// Another.
    Changed,
}

/// Remembers the last frame that was looked at, by a digest.
#[derive(Debug)]
pub struct Sameness {
    look_at: Instant,
    last: u64,
}

impl Sameness {
    /// Nothing seen yet: the first frame is another one.
    pub fn new() -> Sameness {
        Sameness { look_at: Instant::ZERO, last: 0 }
    }

    /// Looks at a frame, if it is time to.
    pub fn look(&mut self, frame: &FrameBuffer, now: Instant) -> Look {
        if now < self.look_at {
            return Look::Nothing;
        }
        self.look_at = now + LOOK_EVERY;
        let Some(digest) = frame.view().and_then(|view| digest(view, frame.format.size.pixels())) else {
            return Look::Nothing;
        };
        let before = core::mem::replace(&mut self.last, digest);
        if before == digest { Look::Same } else { Look::Changed }
    }
}

/// A digest of some of the samples; `None` where there is nothing to be seen.
fn digest(view: FrameView<'_>, pixels: usize) -> Option<u64> {
    let (bytes, step) = match view {
        // Every other byte is luma; an even step stays with it, and an odd one does not stay in a column.
        FrameView::Yuyv(plane) => (plane.data, ((plane.data.len() / SAMPLES) & !1).max(2)),
        FrameView::Nv12(luma, _) | FrameView::I420(luma, ..) => (luma.data, (luma.data.len() / SAMPLES) | 1),
        FrameView::Mjpeg(image) => (image, (image.len() / SAMPLES) | 1),
    };
    let is_jpeg = matches!(view, FrameView::Mjpeg(_));
    // FNV-1a, 64 bits.
    let (mut hash, mut least, mut most) = (0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64, u8::MAX, u8::MIN);
    for byte in bytes.iter().step_by(step) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        (least, most) = (least.min(*byte), most.max(*byte));
    }
    let is_empty = if is_jpeg {
        bytes.len() * 8 * EMPTY_PIXELS_A_BIT < pixels
    } else {
        most.saturating_sub(least) < CONTRAST_LEAST
    };
    (!is_empty).then_some(hash)
}

#[cfg(test)]
mod tests {
    //! Goal: a frozen picture is told from a living one, in every layout, and the dark from both. Method: frames as drivers
    //! lay them out, with and without a sensor's noise.
    use super::*;
    use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};

    const SIZE: Size = Size::new(320, 240);

    fn frame(pixel: PixelFormat, draw: impl Fn(usize) -> u8) -> FrameBuffer {
        let (stride_bytes, bytes) = match pixel {
            PixelFormat::Yuyv => (640, 640 * 240),
            PixelFormat::Mjpeg => (0, 12_000),
            _ => (320, 320 * 240 * 3 / 2),
        };
        let format = VideoFormat { pixel, size: SIZE, stride_bytes, range: ColourRange::Limited, millihertz: 30_000 };
        let mut frame = FrameBuffer::own(format, bytes);
        frame.bytes_mut().iter_mut().enumerate().for_each(|(at, byte)| *byte = draw(at));
        frame
    }

    /// What four looks at frames, drawn from their number and place, find after the first.
    fn looks(pixel: PixelFormat, draw: impl Fn(usize, usize) -> u8) -> Vec<Look> {
        let mut sameness = Sameness::new();
        let mut look = |n: usize| {
            let now = Instant::from_millis(1_000 + n as u64 * 250);
            sameness.look(&frame(pixel, |at| draw(n, at)), now)
        };
        look(0);
        (1..5).map(look).collect()
    }

    #[test]
    fn a_picture_that_repeats_is_the_same_and_a_sensor_s_is_not() {
        for pixel in [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Mjpeg] {
            let still = |at: usize| (at % 251) as u8;
            assert_eq!(looks(pixel, |_, at| still(at)), [Look::Same; 4], "{pixel}");
            // The least that noise can be: one sample in eight, by one.
            let mixed = |n: usize, at: usize| (at + 1_000_003 * n).wrapping_mul(0x9e37_79b1) >> 16;
            let noisy = |n: usize, at: usize| still(at) + u8::from(mixed(n, at) % 8 == 0);
            assert_eq!(looks(pixel, noisy), [Look::Changed; 4], "{pixel}");
        }
    }

    #[test]
    fn the_dark_is_no_frozen_picture() {
        for pixel in [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::I420] {
            let dark = |_: usize, at: usize| if pixel == PixelFormat::Yuyv && at % 2 == 1 { 128 } else { 16 };
            assert_eq!(looks(pixel, dark), [Look::Nothing; 4], "{pixel}");
        }
        let mut small = frame(PixelFormat::Mjpeg, |at| at as u8);
        small.used = 2_000;
        assert_eq!(Sameness::new().look(&small, Instant::from_millis(1_000)), Look::Nothing);
    }

    #[test]
    fn a_frame_is_looked_at_now_and_then_and_a_truncated_one_is_passed_over() {
        let mut sameness = Sameness::new();
        let mut living = frame(PixelFormat::I420, |at| at as u8);
        assert_eq!(sameness.look(&living, Instant::from_millis(1_000)), Look::Changed);
        assert_eq!(sameness.look(&living, Instant::from_millis(1_033)), Look::Nothing);
        living.used = 100;
        assert_eq!(sameness.look(&living, Instant::from_millis(1_300)), Look::Nothing);
    }
}
