//! How the stages keep up goes to the governors of both ways that pictures go, and what these say becomes limits.

use super::gauge::Gauge;
use super::stages::{StageStats, Stages};
use crate::card::Reduced;
use crate::load::{Board, Cause, Change, Governor, Look, Step};
use crate::media::{Limit, Limits, Size};
use crate::time::{Duration, Instant};
use core::fmt;

/// A frame that waits longer for the decoder, in the mean, comes to it faster than it decodes: one frame's time at 20 a
/// second, which bursts after a repaired loss do not last for.
const WAIT_MOST: Duration = Duration::from_millis(50);
/// Frames that wait while the decoder is idle for more than half of the time wait for the network's repairs, not for it.
const BUSY_LEAST: f32 = 0.5;
/// Share of the old rate that a look keeps: a second's memory.
const KEEP: f32 = 0.8;
/// Looks after which the rate is known.
const LOOKS_LEAST: u32 = 5;

/// Which way pictures go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// From the camera here.
    #[default]
    Sent,
    /// To the screen here.
    Shown,
}

impl Way {
    /// Both.
    pub const BOTH: [Way; 2] = [Way::Sent, Way::Shown];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Sent => "sent",
            Way::Shown => "shown",
        })
    }
}

/// What the stages had counted at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    captured: u64,
    made: u64,
    encoding: Duration,
    taken: u64,
    waited: Duration,
    decoding: Duration,
}

impl Counts {
    fn of(stats: &StageStats) -> Counts {
        let (compress, expand) = (&stats.compress, &stats.expand);
        let made = [
            &compress.sent,
            &compress.dropped_by_encoder,
            &compress.dropped_encoder_failed,
            &compress.dropped_unreadable,
        ];
        Counts {
            captured: stats.capture.frames.get(),
            made: made.iter().map(|counter| counter.get()).sum(),
            encoding: compress.convert.sum() + compress.encode.sum(),
            taken: expand.taken.get(),
            waited: expand.waited.sum(),
            decoding: expand.decode.sum(),
        }
    }
}

/// What comes, while it is not reduced for our sake.
#[derive(Clone, Copy, Debug, Default)]
struct Incoming {
    looks: u32,
    rate_hz: f32,
    /// Size and rate in millihertz, once known.
    whole: Option<(Size, u32)>,
}

impl Incoming {
    /// Takes in what came in a look; `is_reduced` while it is less for our sake.
    fn note(&mut self, rate_hz: f32, size: Option<Size>, is_reduced: bool) {
        if rate_hz == 0.0 && self.looks == 0 {
            return;
        }
        let keep = if self.looks == 0 { 0.0 } else { KEEP };
        self.looks = self.looks.saturating_add(1);
        self.rate_hz = self.rate_hz * keep + rate_hz * (1.0 - keep);
        if self.looks < LOOKS_LEAST {
            return;
        }
        let rate_millihertz = self.rate_hz.round().max(1.0) as u32 * 1_000;
        self.whole = match (self.whole, size) {
            (None, Some(size)) => Some((size, rate_millihertz)),
            // The most that came: a pause, or a network that lost much, says nothing of what will come.
            (Some((known, rate)), Some(size)) if !is_reduced => {
                let size = if size.pixels() > known.pixels() { size } else { known };
                Some((size, rate.max(rate_millihertz)))
            }
            (known, _) => known,
        };
    }
}

/// Both ways.
pub(super) struct Loads {
    pub gauge: Gauge,
    sent: Governor,
    shown: Governor,
    counts: Counts,
    looked_at: Instant,
    was_sending: bool,
    incoming: Incoming,
    /// How often each way's step has changed.
    changed: [u64; 2],
}

impl Loads {
    pub fn new(now: Instant, gauge: Gauge) -> Loads {
        Loads {
            gauge,
            sent: Governor::new(now),
            shown: Governor::new(now),
            counts: Counts::default(),
            looked_at: now,
            was_sending: false,
            incoming: Incoming::default(),
            changed: [0; 2],
        }
    }

    /// Both ways: how far they are reduced, and how often that has changed.
    pub fn steps(&self) -> [(Way, u8, u64); 2] {
        Way::BOTH.map(|way| (way, self.governor(way).step().number(), self.changed[way as usize]))
    }

    /// One way's governor.
    pub fn governor(&self, way: Way) -> &Governor {
        match way {
            Way::Sent => &self.sent,
            Way::Shown => &self.shown,
        }
    }

    /// Why pictures are reduced, of either way, while they are: for the screen.
    pub fn told(&self) -> Option<Reduced> {
        self.sent.cause().or(self.shown.cause()).map(|cause| match cause {
            Cause::Heat => Reduced::Heat,
            Cause::Power => Reduced::Power,
            Cause::Work => Reduced::Work,
        })
    }

    /// Another station is shown from now on: how much it sends is not known.
    pub fn expect_another(&mut self) {
        self.incoming = Incoming::default();
    }

    /// The limit of pictures that would be so, sent from here.
    pub fn limit(&self, size: Size, rate_millihertz: u32, bitrate_bps: u32) -> Limit {
        self.sent.step().limit(size, rate_millihertz, bitrate_bps)
    }

    /// The most that can be shown here.
    pub fn capacity(&self) -> Limit {
        let Some((size, rate_millihertz)) = self.incoming.whole else { return Limit::NONE };
        Limit { bitrate_bps: u32::MAX, ..self.shown.step().limit(size, rate_millihertz, u32::MAX) }
    }

    /// Looks how both ways go, when it is time; the changes that it brings, each logged.
    pub fn look(
        &mut self,
        now: Instant,
        stages: &Stages,
        limits: &Limits,
        is_sending: bool,
        received: Option<Size>,
    ) -> Vec<(Way, Change)> {
        if now < self.sent.poll_timeout() {
            return Vec::new();
        }
        let (before, counts) = (self.counts, Counts::of(&stages.stats));
        let passed = now.since(self.looked_at).as_secs_f32().max(1e-3);
        (self.counts, self.looked_at) = (counts, now);
        let board = self.gauge.board();

        // The frames before sending began were due to nobody.
        let was_sending = core::mem::replace(&mut self.was_sending, is_sending);
        let share = if is_sending && was_sending { due_share(stages, limits) } else { 0.0 };
        let sent = Look {
            busy: counts.encoding.saturating_sub(before.encoding).as_secs_f32() / passed,
            due: (counts.captured - before.captured) as f32 * share,
            made: (counts.made - before.made) as f32,
            board,
        };
        self.sent.handle_look(now, &sent);

        let taken = counts.taken - before.taken;
        let busy = counts.decoding.saturating_sub(before.decoding).as_secs_f32() / passed;
        let waits = counts.waited.saturating_sub(before.waited) > WAIT_MOST * taken.min(u64::from(u32::MAX)) as u32;
        let is_late = waits && busy >= BUSY_LEAST;
        let shown = Look { busy, due: taken as f32, made: if is_late { 0.0 } else { taken as f32 }, board };
        self.shown.handle_look(now, &shown);
        let is_reduced = self.shown.step() > Step::default();
        self.incoming.note(taken as f32 / passed, received, is_reduced);
        self.changes()
    }

    fn changes(&mut self) -> Vec<(Way, Change)> {
        let sent = self.sent.poll_change().map(|change| (Way::Sent, change));
        let shown = self.shown.poll_change().map(|change| (Way::Shown, change));
        let changes: Vec<_> = sent.into_iter().chain(shown).collect();
        for (way, change) in &changes {
            self.changed[*way as usize] += 1;
            let step = change.step.number();
            match change.cause {
                Some(cause) => tracing::warn!("pictures {way} are reduced, step {step}: {cause}"),
                None => tracing::info!("pictures {way} are whole again"),
            }
        }
        changes
    }
}

/// The share of the camera's frames that is to be sent.
fn due_share(stages: &Stages, limits: &Limits) -> f32 {
    let Some((_, millihertz)) = stages.stats.compress.unlimited().filter(|(_, millihertz)| *millihertz > 0) else {
        return 0.0;
    };
    let by_limit = limits.lowest().of_rate(millihertz) as f32 / millihertz as f32;
    by_limit / (stages.knobs.level().skipped() + 1) as f32
}

/// How the board is, of what its sensors said and how much of the last second something waited for a processor.
pub(super) fn board(reading: &crate::sys::board::Reading, pressure: f32) -> Board {
    Board {
        headroom_millikelvin: reading.headroom_millikelvin,
        is_throttled: reading.is_throttled,
        is_warm: reading.is_capped && !reading.is_undervolted,
        is_undervolted: reading.is_undervolted,
        pressure,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is asked of the far side is a share of what it sends when nobody asks it for less. Method: rates by hand.
    use super::*;

    const VGA: Size = Size::new(640, 480);

    fn known(looks: &[(f32, Size, bool)]) -> Option<(Size, u32)> {
        let mut incoming = Incoming::default();
        for (rate_hz, size, is_reduced) in looks {
            (0..10).for_each(|_| incoming.note(*rate_hz, Some(*size), *is_reduced));
        }
        incoming.whole
    }

    #[test]
    fn it_is_known_after_a_second_and_pauses_do_not_make_it_less() {
        let mut incoming = Incoming::default();
        (0..4).for_each(|_| incoming.note(30.0, Some(VGA), false));
        assert_eq!(incoming.whole, None);
        assert_eq!(known(&[(30.0, VGA, false)]), Some((VGA, 30_000)));
        assert_eq!(known(&[(30.0, VGA, false), (0.0, VGA, false)]), Some((VGA, 30_000)));
        let small = Size::new(320, 240);
        assert_eq!(known(&[(15.0, small, false), (15.0, VGA, false)]), Some((VGA, 15_000)), "more came later");
    }

    #[test]
    fn what_is_less_for_our_sake_is_not_taken_for_the_whole() {
        let small = Size::new(320, 240);
        assert_eq!(known(&[(30.0, VGA, false), (15.0, small, true)]), Some((VGA, 30_000)));
        assert_eq!(known(&[(15.0, small, true)]), Some((small, 15_000)), "but better than nothing");
    }
}
