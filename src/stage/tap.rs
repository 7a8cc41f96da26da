//! Others who look at the camera's pictures beside the far side: the mirror in a corner of the station's own screen, and
//! the eye that reads one-time codes.
//!
//! A tap sits in the compress thread, which alone has the camera's frames. It converts a frame for itself, small and only
//! as often as it is wanted: nothing is converted while nobody looks, and whether anything is sent does not matter to it.

use crate::codec::convert::Converter;
use crate::device::FrameBuffer;
use crate::media::{Picture, Size};
use crate::ring::{Lent, Pool, Receiver, Sender, mailbox};
use crate::sys::wake::Wake;
use crate::time::{Duration, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Being filled, in the mailbox, being looked at.
const SLOTS: usize = 3;

/// What a tap gives.
#[derive(Clone, Copy, Debug)]
pub struct TapConfig {
    /// Pictures are made to fit into this; smaller ones stay as they are.
    pub bound: Size,
    /// Between two pictures at least.
    pub pause: Duration,
}

/// The compress thread's end.
#[derive(Debug)]
pub struct Tap {
    config: TapConfig,
    is_wanted: Arc<AtomicBool>,
    next_at: Instant,
    converter: Converter,
    slots: Pool<Picture>,
    out: Sender<Lent<Picture>>,
    wake: Option<Wake>,
}

/// The end of who looks.
#[derive(Debug)]
pub struct TapEnd {
    /// The newest picture.
    pub pictures: Receiver<Lent<Picture>>,
    is_wanted: Arc<AtomicBool>,
}

/// A switch for a tap; clones are the same one.
#[derive(Clone, Debug)]
pub struct TapSwitch(Arc<AtomicBool>);

impl TapSwitch {
    /// Begins or ends looking, from the next frame on.
    pub fn set(&self, is_wanted: bool) {
        self.0.store(is_wanted, Ordering::Relaxed);
    }
}

impl TapEnd {
    /// The switch, for another thread.
    pub fn switch(&self) -> TapSwitch {
        TapSwitch(self.is_wanted.clone())
    }
}

/// A tap that nobody looks through yet; `wake` is signalled after each picture.
pub fn tap(config: TapConfig, wake: Option<Wake>) -> (Tap, TapEnd) {
    let is_wanted = Arc::new(AtomicBool::new(false));
    let (out, pictures) = mailbox();
    let slots = Pool::new((0..SLOTS).map(|_| Picture::new(Size::new(2, 2))));
    let tap = Tap {
        config,
        is_wanted: is_wanted.clone(),
        next_at: Instant::ZERO,
        converter: Converter::new(),
        slots,
        out,
        wake,
    };
    (tap, TapEnd { pictures, is_wanted })
}

impl Tap {
    /// Takes a picture of the camera's frame, if one is wanted now.
    pub fn look(&mut self, frame: &FrameBuffer, now: Instant) {
        if !self.is_wanted.load(Ordering::Relaxed) || now < self.next_at {
            return;
        }
        let (Some(view), Some(mut picture)) = (frame.view(), self.slots.claim()) else { return };
        self.next_at = now + self.config.pause;
        // A frame that cannot be read is the encoder's to count and complain of.
        if self.converter.convert(view, &frame.format, self.size(frame.format.size), &mut picture).is_ok() {
            self.out.put(picture.lend());
            self.wake.iter().for_each(Wake::signal);
        }
    }

    fn size(&self, source: Size) -> Size {
        let bound = self.config.bound;
        if source.width <= bound.width && source.height <= bound.height { source } else { source.fit(bound).2 }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: who looks sees the newest picture, small enough, and costs nothing while not looking. Method: frames given
    //! by hand.
    use super::*;
    use crate::media::{ColourRange, PixelFormat, VideoFormat};

    const PAUSE: Duration = Duration::from_millis(100);

    fn frame(luma: u8) -> FrameBuffer {
        let format = VideoFormat {
            pixel: PixelFormat::I420,
            size: Size::new(128, 96),
            stride_bytes: 128,
            range: ColourRange::Limited,
            millihertz: 30_000,
        };
        let mut frame = FrameBuffer::own(format, 128 * 96 * 3 / 2);
        frame.bytes_mut().fill(luma);
        frame.used = frame.bytes_mut().len();
        frame
    }

    fn luma(end: &mut TapEnd) -> Option<(Size, u8)> {
        end.pictures.take().map(|picture| (picture.size(), picture.planes()[0].data[0]))
    }

    #[test]
    fn who_looks_sees_the_newest_picture_within_the_bound() {
        let (mut tap, mut end) = tap(TapConfig { bound: Size::new(64, 64), pause: PAUSE }, None);
        let at = |ms: u64| Instant::from_millis(1_000 + ms);
        tap.look(&frame(50), at(0));
        assert_eq!(luma(&mut end), None, "nobody looks");
        end.switch().set(true);
        tap.look(&frame(60), at(1));
        tap.look(&frame(70), at(2));
        assert_eq!(luma(&mut end), Some((Size::new(64, 48), 60)), "the second came within the pause");
        tap.look(&frame(80), at(101));
        tap.look(&frame(90), at(201));
        assert_eq!(luma(&mut end), Some((Size::new(64, 48), 90)));
        end.switch().set(false);
        tap.look(&frame(100), at(400));
        assert_eq!(luma(&mut end), None);
    }

    #[test]
    fn a_small_picture_stays_as_it_is_and_a_broken_one_is_passed_over() {
        let (mut tap, mut end) = tap(TapConfig { bound: Size::new(640, 480), pause: PAUSE }, None);
        end.switch().set(true);
        let mut torn = frame(60);
        torn.used = 100;
        tap.look(&torn, Instant::from_millis(1));
        assert_eq!(luma(&mut end), None);
        tap.look(&frame(60), Instant::from_millis(2));
        assert_eq!(luma(&mut end), Some((Size::new(128, 96), 60)));
    }
}
