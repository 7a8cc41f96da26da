//! When video fragments arrived, as the sender is told every 50 ms, and the loss that both make of it.
//!
//! The sender's rate controller wants exactly this: for each fragment when it left, which the sender knows, and when it
//! arrived.

use crate::time::{Duration, Instant};
use crate::wire::{Feedback, U16s};

/// Between two reports: a controller wants some in each round trip, and 50 bytes in 50 ms are 8 kbit/s.
const INTERVAL: Duration = Duration::from_millis(50);
/// Weight of a report in the loss figure: about the last half second counts.
const LOSS_WEIGHT: f32 = 1.0 / 8.0;
/// Arrivals remembered: what a report lists.
const MEMORY: u64 = Feedback::ARRIVALS_MAX as u64;
/// Where a report's list is put together.
pub(super) type Scratch = [u8; 2 * Feedback::ARRIVALS_MAX];

/// A share of fragments that did not arrive, from two running totals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    expected: u32,
    received: u32,
    share: Option<f32>,
    /// Both totals when [`Loss::interval`] was asked last.
    mark: (u32, u32),
}

/// Fewer tell nothing: a small frame has this many fragments.
const INTERVAL_MIN: u32 = 4;

impl Loss {
    /// The totals (modulo 2³²) are now these; the share that was lost since they were told last, if that can be said.
    pub(super) fn update(&mut self, expected: u32, received: u32) -> Option<f32> {
        let lost = lost((self.expected, self.received), (expected, received));
        (self.expected, self.received) = (expected, received);
        let lost = lost?;
        let share = self.share.map_or(lost, |share| share + (lost - share) * LOSS_WEIGHT);
        self.share = Some(share.max(0.0));
        Some(lost)
    }

    /// The share lost since this was asked last, which is then the whole figure; `None` where too little is known.
    pub(super) fn interval(&mut self) -> Option<f32> {
        if self.expected.wrapping_sub(self.mark.0) < INTERVAL_MIN {
            return None;
        }
        let lost = lost(self.mark, (self.expected, self.received));
        self.mark = (self.expected, self.received);
        lost.map(|lost| lost.max(0.0))
    }

    /// From now on the figure begins with this one.
    pub(super) fn restart(&mut self, share: f32) {
        self.share = Some(share);
    }

    /// 0 to 1.
    pub(super) fn share(&self) -> f32 {
        self.share.unwrap_or(0.0)
    }
}

/// The share lost between two pairs of totals. What arrived late was counted as lost before: it may make a step better
/// than whole (a negative loss), never worse than none. `None` where nothing is new, or the totals are of another life.
fn lost(before: (u32, u32), now: (u32, u32)) -> Option<f32> {
    let expected = now.0.wrapping_sub(before.0);
    let arrived = now.1.wrapping_sub(before.1) as i32;
    let known = expected != 0 && expected <= u32::MAX / 2;
    known.then(|| 1.0 - (f64::from(arrived) / f64::from(expected)).clamp(0.0, 2.0) as f32)
}

/// The arrivals that the next report tells of.
#[derive(Debug)]
pub(super) struct Arrivals {
    times: [Option<Instant>; MEMORY as usize],
    /// The first sequence that was not reported, and one past the highest that arrived.
    unreported: Option<(u64, u64)>,
    due: Option<Instant>,
    pub(super) loss: Loss,
}

impl Arrivals {
    pub(super) fn new() -> Arrivals {
        Arrivals { times: [None; MEMORY as usize], unreported: None, due: None, loss: Loss::default() }
    }

    /// A fragment arrived for the first time.
    pub(super) fn record(&mut self, now: Instant, sequence: u64) {
        let (first, end) = self.unreported.unwrap_or((sequence, sequence));
        if sequence < first {
            // It was reported missing; that it was late shows in the totals.
            return;
        }
        // Places between belong to sequences that have not arrived yet.
        for missing in end.max(sequence.saturating_sub(MEMORY))..sequence {
            self.times[(missing % MEMORY) as usize] = None;
        }
        self.times[(sequence % MEMORY) as usize] = Some(now);
        let end = end.max(sequence + 1);
        self.unreported = Some((first.max(end.saturating_sub(MEMORY)), end));
        self.due.get_or_insert(now + INTERVAL);
    }

    /// When the next report is due; `None` where there is nothing to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The report, with these running totals.
    pub(super) fn report<'s>(&self, totals: (u64, u64), scratch: &'s mut Scratch) -> Feedback<'s> {
        let (first, end) = self.unreported.unwrap_or((0, 0));
        let times = (first..end).map(|sequence| self.times[(sequence % MEMORY) as usize]);
        let base = times.clone().flatten().min().unwrap_or_default();
        let units = times.map(|time| match time {
            Some(time) => {
                let units = (time.as_micros() - base.as_micros()) / u64::from(Feedback::UNIT_US);
                units.min(u64::from(Feedback::ABSENT) - 1) as u16
            }
            None => Feedback::ABSENT,
        });
        Feedback {
            expected: totals.0 as u32,
            received: totals.1 as u32,
            first: first as u32,
            base_us: base.as_micros() as u32,
            arrivals: U16s::build(units, scratch),
        }
    }

    /// That report left.
    pub(super) fn reported(&mut self, totals: (u64, u64)) {
        self.loss.update(totals.0 as u32, totals.1 as u32);
        self.unreported = self.unreported.map(|(_, end)| (end, end));
        self.due = None;
    }
}
