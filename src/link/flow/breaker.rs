//! What keeps a path that cannot carry the stream from being filled for ever: a circuit breaker (in the spirit of
//! RFC 8083), not rate control (`rate`), which acts long before it.
//!
//! A queue that is always full loses a part of every frame, and repairs only add to it: no picture would come through at
//! all. So when a quarter and more is lost, a key frame is followed by a pause, in which the queue drains and the next
//! key frame finds room: pictures become rare, but they come, and sound finds its way.

use super::arrivals::Loss;
use crate::time::{Duration, Instant};

/// The loss above which repairs are hopeless: repeats are bounded to a quarter of what is sent.
const LOSS_OPEN: f32 = 0.25;
/// The loss below which it was no queue, or one that has drained.
const LOSS_CLOSE: f32 = 0.10;
/// The pauses after a key frame, in steps: the longest still lets a picture through every second.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

#[derive(Debug, Default)]
pub(super) struct Breaker {
    step: usize,
    until: Instant,
}

impl Breaker {
    /// Whether frames are held back at `now`.
    pub(super) fn holds(&self, now: Instant) -> bool {
        now < self.until
    }

    /// Until when.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// A key frame leaves; `loss` is what the peer reports.
    pub(super) fn key_frame_sent(&mut self, now: Instant, loss: &mut Loss) {
        // While frames are held back, few fragments leave: what became of the last key frame says all there is.
        let interval = loss.interval();
        let recent = if self.step == 0 { Some(loss.share()) } else { interval };
        match recent {
            Some(share) if share > LOSS_OPEN => self.step = (self.step + 1).min(PAUSES.len() - 1),
            Some(share) if share < LOSS_CLOSE && self.step > 0 => {
                self.step -= 1;
                loss.restart(share);
            }
            _ => {}
        }
        self.until = now + PAUSES[self.step];
    }
}
