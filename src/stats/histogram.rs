//! A latency histogram with a bounded relative error and no lock.

use crate::time::Duration;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Sub-buckets of an octave: a value is known to within 1/16, 6 %.
const SUB: usize = 16;
/// Octaves above the linear part: 16 µs × 2²² is 67 s, beyond any latency worth telling apart.
const OCTAVES: usize = 22;
const BUCKETS: usize = SUB * (OCTAVES + 1);

/// Counts durations in buckets that grow with the value, as HdrHistogram does: linear up to 16 µs, then 16 buckets an
/// octave. Values past its end count in the last bucket.
pub struct Histogram {
    buckets: [AtomicU32; BUCKETS],
    /// Of all values, in microseconds.
    sum_us: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub const fn new() -> Histogram {
        Histogram { buckets: [const { AtomicU32::new(0) }; BUCKETS], sum_us: AtomicU64::new(0) }
    }

    /// Counts one value.
    pub fn record(&self, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// The sum of all values.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed))
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
        self.sum_us.store(0, Ordering::Relaxed);
    }

    /// Count and percentiles of what was recorded so far.
    pub fn summary(&self) -> Summary {
        self.snapshot().summary()
    }

    /// What is in it now, to be compared with later.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { counts: self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect(), sum: self.sum() }
    }
}

/// The content of a histogram at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    counts: Box<[u32]>,
    sum: Duration,
}

impl Snapshot {
    /// Count and percentiles of all of it.
    pub fn summary(&self) -> Summary {
        self.since(&Snapshot::default())
    }

    /// The sum of all values.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many values there are of at most each of `bounds`, which rise; and how many in all. A value is counted by the
    /// middle of its bucket, which is within 1/16 of it.
    pub fn at_most(&self, bounds: &[Duration]) -> (Vec<u64>, u64) {
        let mut counts = vec![0; bounds.len()];
        let mut all = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            all += u64::from(*count);
            let value = Duration::from_nanos((middle_micros(bucket) * 1e3) as u64);
            let first = bounds.partition_point(|bound| *bound < value);
            counts[first..].iter_mut().for_each(|below| *below += u64::from(*count));
        }
        (counts, all)
    }

    /// Count and percentiles of what came after `earlier`, a snapshot of the same histogram.
    pub fn since(&self, earlier: &Snapshot) -> Summary {
        let before = |n: usize| earlier.counts.get(n).copied().unwrap_or(0);
        let counts: Vec<u64> =
            self.counts.iter().enumerate().map(|(n, count)| u64::from(count.wrapping_sub(before(n)))).collect();
        let count: u64 = counts.iter().sum();
        let at = |share: f64| {
            let rank = ((count as f64 * share).ceil() as u64).max(1);
            let mut seen = 0;
            let found = counts.iter().position(|n| {
                seen += n;
                seen >= rank
            });
            found.filter(|_| count > 0).map_or(0.0, |b| middle_micros(b) / 1_000.0)
        };
        Summary { count, p50_ms: at(0.50), p95_ms: at(0.95), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

/// What a histogram says; times in milliseconds, each the middle of its bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Values recorded.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// 95 of 100 are at most this.
    pub p95_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

fn bucket(micros: u64) -> usize {
    if micros < SUB as u64 {
        return micros as usize;
    }
    let octave = micros.ilog2() as usize - SUB.ilog2() as usize;
    let within = (micros >> octave) as usize - SUB;
    ((octave + 1) * SUB + within).min(BUCKETS - 1)
}

fn middle_micros(bucket: usize) -> f64 {
    if bucket < SUB {
        return bucket as f64;
    }
    let (octave, within) = (bucket / SUB - 1, bucket % SUB);
    let width = (1u64 << octave) as f64;
    (SUB + within) as f64 * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_lone_value_is_known_to_within_a_sixteenth(micros in 0u64..60_000_000) {
            let h = Histogram::new();
            h.record(Duration::from_micros(micros));
            let seen = h.summary().p50_ms * 1_000.0;
            prop_assert!((seen - micros as f64).abs() <= micros as f64 / 16.0 + 0.5, "{micros} read as {seen}");
        }
    }

    #[test]
    fn percentiles_follow_the_ranks() {
        let h = Histogram::new();
        for ms in 1..=100 {
            h.record(Duration::from_millis(ms));
        }
        let s = h.summary();
        assert_eq!(s.count, 100);
        for (seen, true_ms) in [(s.p50_ms, 50.0), (s.p95_ms, 95.0), (s.p99_ms, 99.0), (s.max_ms, 100.0)] {
            assert!((seen / true_ms - 1.0f64).abs() < 0.07, "{seen} for {true_ms}");
        }
    }

    #[test]
    fn values_are_counted_up_to_bounds_and_summed() {
        let h = Histogram::new();
        for ms in [1, 3, 3, 40, 5_000] {
            h.record(Duration::from_millis(ms));
        }
        let bounds = [2, 10, 100].map(Duration::from_millis);
        assert_eq!(h.snapshot().at_most(&bounds), (vec![1, 3, 4], 5));
        assert_eq!((h.sum(), h.snapshot().sum()), (Duration::from_millis(5_047), Duration::from_millis(5_047)));
    }

    #[test]
    fn a_later_snapshot_tells_what_came_between() {
        let h = Histogram::new();
        h.record(Duration::from_millis(500));
        let before = h.snapshot();
        h.record(Duration::from_millis(5));
        let between = h.snapshot().since(&before);
        assert_eq!(between.count, 1);
        assert!(between.max_ms < 6.0);
    }

    #[test]
    fn nothing_recorded_is_zero_and_far_too_long_is_the_end() {
        let h = Histogram::new();
        assert_eq!(h.summary(), Summary::default());
        h.record(Duration::from_secs(1_000_000));
        assert!(h.summary().max_ms > 60_000.0);
    }
}
