//! A timer in place of a sound card's clock.

use crate::media::PERIOD_TIME;
use crate::time::{Duration, Instant};

/// Further behind than this the missed periods are given up: whoever stood still that long is not to be flooded.
const BEHIND_MAX: Duration = Duration::from_millis(100);

/// One period each 10 ms, without drift against CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    next: Instant,
    missed: u64,
}

impl Pace {
    /// The first period is due one period after `now`.
    pub fn new(now: Instant) -> Pace {
        Pace { next: now + PERIOD_TIME, missed: 0 }
    }

    /// When the next period is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Whether a period is due; if so, when exactly it was.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        (now >= self.next).then_some(self.next)
    }

    /// The period that was due is done.
    pub fn step(&mut self, now: Instant) {
        self.next += PERIOD_TIME;
        let behind = now.since(self.next);
        if behind > BEHIND_MAX {
            self.missed += behind.as_nanos() as u64 / PERIOD_TIME.as_nanos() as u64;
            self.next = now + PERIOD_TIME;
        }
    }

    /// Periods given up so far.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_caller_catches_up_and_a_very_late_one_does_not() {
        let at = Instant::from_millis;
        let mut pace = Pace::new(at(0));
        assert_eq!(pace.due(at(9)), None);
        // 35 ms late: three periods at once, and then in step again.
        for due in [10, 20, 30] {
            assert_eq!(pace.due(at(35)), Some(at(due)));
            pace.step(at(35));
        }
        assert_eq!(pace.due(at(35)), None);
        pace.step(at(2_000));
        assert_eq!((pace.due(at(2_000)), pace.next()), (None, at(2_010)));
        assert_eq!(pace.missed(), 195);
    }
}
