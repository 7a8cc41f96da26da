//! From signals to a target: the states of draft-ietf-rmcat-gcc-02 §5.5, and its loss-based controller (§6).

use super::{Outcome, detector::Signal};
use crate::time::{Duration, Instant};
use heapless::Deque;

/// The least target: three pictures a second of the smallest size that shows a face, and their headers.
pub(in super::super) const TARGET_LEAST_BPS: u64 = 60_000;
/// The most: nothing that a station sends needs more.
pub(in super::super) const TARGET_MOST_BPS: u64 = 200_000_000;
/// On a path of which nothing is known, until the first key frame's burst has measured it: 60 to 100 ms.
const START_BPS: u64 = 600_000;
/// Share of what arrived that a retreat leaves (§5.5).
const BETA: f64 = 0.85;
/// And what of it is sent while the queue drains: the longer the queue, the less, so that it is gone in half a second.
const DRAIN_LEAST: f64 = 0.05;
const DRAIN_QUEUE_S: f64 = 0.15;
/// Between two retreats, beyond the time the first one takes to show.
const RETREAT_PAUSE: Duration = Duration::from_millis(200);
/// Growth a second: (§5.5) 8 %; and where bursts go through at far more than the target, and no queue was seen for a while,
/// by how much more that is, within these bounds.
const GROWTH_SLOW: f64 = 0.08;
const GROWTH_FAST: (f64, f64) = (0.7, 3.0);
/// And at least half a datagram in the time that an answer takes (§5.5), in bits a second in a second.
const GROWTH_LEAST_BPS: f64 = 40_000.0;
/// Bursts go through at this multiple of the target: there is room.
const ROOM: f64 = 1.3;
/// Share of what bursts go through at that the target begins with, and may always grow to: sound and headers want the rest.
const SHARE_OF_TRAIN: f64 = 0.75;
/// So long after a retreat growth is slow.
const CAUTION: Duration = Duration::from_secs(1);
/// So long after it, what bursts once went through at counts again; and where there has been none since that would have been
/// large enough to measure, the path is as good as one of which nothing is known. Small pictures stay small otherwise: they
/// send less than they may, so that nothing grows.
const LONG_CALM: Duration = Duration::from_secs(5);
/// Growth stops this far above what arrives (§5.5): who sends little learns little.
const ARRIVED_MOST: f64 = 1.5;
/// Loss above this is a retreat, below the other no reason not to grow (§6).
const LOSS_OVER: f32 = 0.10;
const LOSS_CALM: f32 = 0.02;
/// Where bursts go through at this multiple of all that arrives, a queue that a frame still bears is not ours: it is somebody
/// else's, or a peer that is late to read, and to send less would not shorten it.
const NOT_OURS: f64 = 8.0;
const BORNE: Duration = Duration::from_millis(120);
/// Reports whose bytes make up the rate of arrival: a quarter of a second, all of it from after the change that it shows.
const WINDOW: usize = 6;

#[derive(Debug)]
pub(super) struct Control {
    target_bps: f64,
    /// A retreat whose queue has not drained yet: what is sent meanwhile.
    drain_bps: Option<f64>,
    /// Nothing but bursts has been measured yet.
    is_starting: bool,
    retreated_at: Option<Instant>,
    /// A burst was measured.
    measured_at: Option<Instant>,
    updated_at: Instant,
    /// Time and bytes of the last reports.
    reports: Deque<(Instant, u64), WINDOW>,
}

impl Control {
    pub(super) fn new(now: Instant) -> Control {
        Control {
            target_bps: START_BPS as f64,
            drain_bps: None,
            is_starting: true,
            retreated_at: None,
            measured_at: None,
            updated_at: now,
            reports: Deque::new(),
        }
    }

    pub(super) fn target_bps(&self) -> u64 {
        (self.drain_bps.unwrap_or(self.target_bps) as u64).clamp(TARGET_LEAST_BPS, TARGET_MOST_BPS)
    }

    pub(super) fn has_retreated(&self) -> bool {
        self.retreated_at.is_some()
    }

    /// Takes in what a report came to.
    pub(super) fn handle_outcome(&mut self, now: Instant, outcome: &Outcome) {
        let passed_s = now.since(self.updated_at).as_secs_f64().min(0.2);
        self.updated_at = now;
        let arrived_bps = self.arrived(now, outcome.bytes);
        let since_retreat = self.retreated_at.map(|at| now.since(at));
        self.measured_at = outcome.train_bps.map(|_| now).or(self.measured_at);
        let may_retreat = since_retreat.is_none_or(|passed| passed > RETREAT_PAUSE + outcome.queue * 2);
        let known_bps = outcome.known_bps.map_or(0.0, |bps| bps as f64);
        let is_not_ours =
            outcome.queue <= BORNE && arrived_bps.is_some_and(|arrived_bps| known_bps > arrived_bps * NOT_OURS);
        if outcome.signal == Signal::Over && is_not_ours {
            self.drain_bps = None;
        } else if outcome.signal == Signal::Over {
            self.is_starting = false;
            let train_bps = outcome.train_bps.map(|bps| bps as f64);
            let carried = arrived_bps.into_iter().chain(train_bps).reduce(f64::min);
            if may_retreat && let Some(carried_bps) = carried {
                self.target_bps = (carried_bps * BETA).min(self.target_bps);
                self.retreated_at = Some(now);
            } else if let Some(carried_bps) = arrived_bps.into_iter().chain(train_bps).reduce(f64::max) {
                // The rate of arrival is that of a quarter of a second, in part from before the queue stood: while it
                // stands, what arrives is what the path carries.
                self.target_bps = (carried_bps * BETA).min(self.target_bps);
            }
            self.drain(outcome);
        } else if self.drain_bps.is_some() {
            self.drain(outcome);
        } else if outcome.loss > LOSS_OVER {
            if may_retreat {
                self.target_bps *= 1.0 - 0.5 * f64::from(outcome.loss);
                self.retreated_at = Some(now);
            }
        } else if outcome.signal == Signal::Normal {
            self.grow(passed_s, outcome, arrived_bps, since_retreat);
        }
        self.target_bps = self.target_bps.clamp(TARGET_LEAST_BPS as f64, TARGET_MOST_BPS as f64);
    }

    /// While a queue of ours stands, less is sent than the path carries.
    fn drain(&mut self, outcome: &Outcome) {
        let excess_s = outcome.queue.saturating_sub(outcome.allowed / 2).as_secs_f64();
        let share = (1.0 - excess_s / DRAIN_QUEUE_S).max(DRAIN_LEAST);
        self.drain_bps = (excess_s > 0.0).then_some(self.target_bps * share);
    }

    fn grow(&mut self, passed_s: f64, outcome: &Outcome, arrived_bps: Option<f64>, since_retreat: Option<Duration>) {
        // Calm pictures are too small to measure anything; what was measured before still holds where nothing speaks against it.
        let is_long_calm = since_retreat.is_none_or(|passed| passed > LONG_CALM);
        let train_bps = outcome.train_bps.or(outcome.known_bps.filter(|_| is_long_calm)).map_or(0.0, |bps| bps as f64);
        if self.is_starting {
            self.target_bps = self.target_bps.max(train_bps * SHARE_OF_TRAIN);
        }
        let is_calm = since_retreat.is_none_or(|passed| passed > CAUTION);
        let is_measured = self.measured_at.zip(self.retreated_at).is_some_and(|(at, calm)| at > calm + LONG_CALM);
        let is_unknown = since_retreat.is_some_and(|passed| passed > LONG_CALM) && !is_measured;
        let train_bps = if is_unknown { train_bps.max(START_BPS as f64 / SHARE_OF_TRAIN) } else { train_bps };
        let has_room = train_bps > self.target_bps * ROOM;
        let growth = match (has_room, outcome.loss > LOSS_CALM) {
            (true, false) if is_calm => (train_bps / self.target_bps - 1.0).clamp(GROWTH_FAST.0, GROWTH_FAST.1),
            (false, true) => return,
            _ => GROWTH_SLOW,
        };
        let most = (arrived_bps.unwrap_or(0.0) * ARRIVED_MOST).max(train_bps * SHARE_OF_TRAIN);
        let grown = self.target_bps + (self.target_bps * growth).max(GROWTH_LEAST_BPS) * passed_s;
        self.target_bps = grown.min(most).max(self.target_bps);
    }

    /// Bits a second that arrived over the last half second; `None` as long as that is not known.
    fn arrived(&mut self, now: Instant, bytes: u64) -> Option<f64> {
        if self.reports.is_full() {
            self.reports.pop_front();
        }
        // Cannot fail: there is room for one.
        let _ = self.reports.push_back((now, bytes));
        let (first, _) = *self.reports.front()?;
        let passed_s = now.since(first).as_secs_f64();
        let all: u64 = self.reports.iter().skip(1).map(|(_, bytes)| bytes).sum();
        (self.reports.len() >= 4 && passed_s > 0.1).then(|| all as f64 * 8.0 / passed_s)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what a flood of somebody else's took from a stream comes back once the flood is over. Method: reports as a
    //! station gave them during one and after it.

    use super::*;

    const REPORT: Duration = Duration::from_millis(50);

    /// Reports for as long as `passed`, of which each tells of so many bits a second, and of no burst.
    fn hear(control: &mut Control, now: &mut Instant, passed: Duration, bits_per_second: u64, signal: Signal) {
        let queue = if signal == Signal::Over { Duration::from_millis(110) } else { Duration::ZERO };
        let bytes = (bits_per_second as f64 / 8.0 * REPORT.as_secs_f64()) as u64;
        let outcome = Outcome { bytes, signal, queue, allowed: Duration::from_millis(40), ..Outcome::default() };
        for _ in 0..passed.as_millis() / REPORT.as_millis() {
            *now += REPORT;
            control.handle_outcome(*now, &outcome);
        }
    }

    #[test]
    fn a_picture_too_small_to_measure_the_path_grows_again_after_a_long_calm() {
        let mut now = Instant::ZERO;
        let mut control = Control::new(now);
        hear(&mut control, &mut now, Duration::from_secs(2), 220_000, Signal::Normal);
        hear(&mut control, &mut now, Duration::from_secs(5), 20_000, Signal::Over);
        assert!(control.target_bps() < 2 * TARGET_LEAST_BPS, "{}", control.target_bps());
        hear(&mut control, &mut now, LONG_CALM / 2, 38_000, Signal::Normal);
        assert!(control.target_bps() < 2 * TARGET_LEAST_BPS, "it grew to {} too soon", control.target_bps());
        hear(&mut control, &mut now, LONG_CALM * 3, 38_000, Signal::Normal);
        assert!(control.target_bps() >= START_BPS * 9 / 10, "{}", control.target_bps());
    }
}
