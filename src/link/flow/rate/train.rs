//! What a burst of fragments goes through the path at, and what that allows the pacer.
//!
//! Fragments that left together arrive as far apart as the bottleneck serves them: a frame's burst measures what the
//! path carries without filling it (packet-train dispersion; GCC's probes do the same with padding, which a frame makes
//! unnecessary).

use super::Sample;
use crate::time::{Duration, Instant};

/// Fragments that left with no more between them belong to one burst. The pacer's steps are shorter at any rate that
/// matters.
const APART_MOST: Duration = Duration::from_millis(12);
/// Shorter bursts say nothing: jitter is larger than they are long.
const BYTES_LEAST: u32 = 2_400;
/// No burst is believed to be quicker than this: receivers stamp what one wake-up brings alike.
const SPREAD_LEAST_US: u64 = 200;
/// How much of the older figure remains with each report: about the last quarter second counts.
const KEEP: f64 = 0.6;
/// The pace, as a multiple of what bursts go through at: so a path that carries more shows it, and the pace returns to
/// the widest in half a second.
const PACE_OF_TRAIN: f64 = 2.0;
/// And of the target: a key frame of four times the usual size is gone in two frames' time.
const PACE_OF_TARGET: f64 = 2.5;

#[derive(Clone, Copy, Debug)]
struct Burst {
    last_sent: Instant,
    first_us: u64,
    last_us: u64,
    /// After the first fragment.
    bytes: u32,
}

#[derive(Debug, Default)]
pub(super) struct Train {
    burst: Option<Burst>,
    /// The largest that ended since the last conclusion.
    largest: Option<Burst>,
    /// A mean of times, not of rates: one slow burst counts more than one quick one.
    us_per_bit: Option<f64>,
}

impl Train {
    /// A fragment arrived; in the order in which they were sent.
    pub(super) fn sample(&mut self, sample: &Sample) {
        match &mut self.burst {
            Some(burst) if sample.sent_at.since(burst.last_sent) <= APART_MOST => {
                burst.last_sent = sample.sent_at;
                burst.first_us = burst.first_us.min(sample.arrived_us);
                burst.last_us = burst.last_us.max(sample.arrived_us);
                burst.bytes = burst.bytes.saturating_add(sample.bytes);
            }
            _ => {
                self.end();
                let at = sample.arrived_us;
                self.burst = Some(Burst { last_sent: sample.sent_at, first_us: at, last_us: at, bytes: 0 });
            }
        }
    }

    fn end(&mut self) {
        let ended = self.burst.take();
        if ended.is_some_and(|burst| self.largest.is_none_or(|largest| burst.bytes > largest.bytes)) {
            self.largest = ended;
        }
    }

    /// What bursts go through at, if there was one.
    pub(super) fn conclude(&mut self) -> Option<u64> {
        // One that is still arriving counts as far as it has come: on a slow path it takes longer than a report.
        let largest = self.largest.take().into_iter().chain(self.burst).max_by_key(|burst| burst.bytes);
        let largest = largest.filter(|burst| burst.bytes >= BYTES_LEAST)?;
        let spread_us = largest.last_us.saturating_sub(largest.first_us).max(SPREAD_LEAST_US);
        let us_per_bit = spread_us as f64 / (f64::from(largest.bytes) * 8.0);
        let mean = self.us_per_bit.map_or(us_per_bit, |mean| mean * KEEP + us_per_bit * (1.0 - KEEP));
        self.us_per_bit = Some(mean);
        Some((1e6 / mean) as u64)
    }

    /// What bursts went through at, of late or before.
    pub(super) fn known_bps(&self) -> Option<u64> {
        self.us_per_bit.map(|mean| (1e6 / mean) as u64)
    }

    /// The pace for this target; `None` where nothing is known.
    pub(super) fn pace_bps(&self, target_bps: u64) -> Option<u64> {
        let least = target_bps as f64 * PACE_OF_TARGET;
        self.us_per_bit.map(|mean| (1e6 / mean * PACE_OF_TRAIN).max(least) as u64)
    }
}
