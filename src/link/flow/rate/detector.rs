//! Whether the queue before the bottleneck grows: the over-use detector of draft-ietf-rmcat-gcc-02 §5.2–5.4.
//!
//! Where the draft filters the delay of every group of packets, this takes the *least* delay of a report (50 ms): on Wi-Fi
//! most of the others waited for the air or for fragments of their own frame, which says nothing of a queue that
//! stands. Its slope is the gradient; its height above the least of the last half minute is the queue itself, which
//! the draft cannot see, and which tells a full queue that no longer grows from an empty one.

use super::Sample;
use crate::time::{Duration, Instant};
use heapless::Deque;

/// Reports that the slope is taken over: 300 ms, in which jitter averages out, and half of the time to react in.
const POINTS: usize = 6;
/// Milliseconds of queue gained in a millisecond: above it the queue grows. The rate is 5 % too high.
const SLOPE_OVER: f64 = 0.05;
/// A queue below this is noise: one datagram at 1 Mbit/s is 10 ms.
const QUEUE_NOISE: Duration = Duration::from_millis(12);
/// The queue that may stand: the adaptive threshold of §5.4, and its bounds. At the most a frame is still shown in time.
const ALLOWED: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(120));
/// What it rises by when a queue proves to be others', and how slowly that is forgotten: seconds.
const RELENT: f64 = 1.5;
const FORGET_S: f64 = 15.0;
/// Reports in a row that must agree: one may be a hiccup.
const AGREE: u32 = 2;
/// Reports in a row after which a queue is not ours: 0.9 s, or more where little is sent and so little reported, in which
/// next to nothing was sent. A queue of ours of 200 ms is gone by then, even at 300 kbit/s.
const OTHERS: u32 = 18;
/// The least delay is that of this and the period before: a route that became longer is known within a minute.
const BASE_PERIOD: Duration = Duration::from_secs(20);

/// What the queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Signal {
    /// It is as long as it was, and not too long.
    #[default]
    Normal,
    /// It grows, or stands too long.
    Over,
    /// It shrinks.
    Under,
}

#[derive(Debug)]
pub(super) struct Detector {
    /// The least delay of the samples since the last conclusion.
    least_us: Option<i64>,
    /// The least delay of the period before, and of this one.
    base_us: [i64; 2],
    period_ends: Option<Instant>,
    /// Time of each report, and its queue: milliseconds.
    points: Deque<(f64, f64), POINTS>,
    allowed_ms: f64,
    concluded_at: Option<Instant>,
    /// Reports in a row in which it was over, and in which the queue was too long.
    over: u32,
    high: u32,
}

impl Default for Detector {
    fn default() -> Detector {
        Detector {
            least_us: None,
            base_us: [i64::MAX; 2],
            period_ends: None,
            points: Deque::new(),
            allowed_ms: ALLOWED.0.as_secs_f64() * 1e3,
            concluded_at: None,
            over: 0,
            high: 0,
        }
    }
}

impl Detector {
    /// A fragment's delay.
    pub(super) fn sample(&mut self, sample: &Sample) {
        let delay_us = sample.delay_us();
        self.least_us = Some(self.least_us.map_or(delay_us, |least| least.min(delay_us)));
    }

    /// What the samples since the last conclusion say; the queue, and how long it may be.
    pub(super) fn conclude(&mut self, now: Instant) -> (Signal, Duration, Duration) {
        let allowed = Duration::from_secs_f64(self.allowed_ms / 1e3);
        let Some(least_us) = self.least_us.take() else { return (Signal::Normal, Duration::ZERO, allowed) };
        let queue_ms = self.above_base(now, least_us);
        if self.points.is_full() {
            self.points.pop_front();
        }
        // Cannot fail: there is room for one.
        let _ = self.points.push_back((now.as_nanos() as f64 / 1e6, queue_ms));
        let slope = slope(&self.points);
        let noise_ms = QUEUE_NOISE.as_secs_f64() * 1e3;
        let grows = slope > SLOPE_OVER * self.allowed_ms / 40.0 && queue_ms > noise_ms.max(self.allowed_ms / 2.0);
        let stands = queue_ms > self.allowed_ms && slope > -SLOPE_OVER;
        self.over = if grows || stands { self.over + 1 } else { 0 };
        self.high = if queue_ms > self.allowed_ms { self.high + 1 } else { 0 };
        self.adapt(now, queue_ms);
        let signal = match self.over {
            AGREE.. => Signal::Over,
            _ if slope < -SLOPE_OVER && queue_ms > noise_ms => Signal::Under,
            _ => Signal::Normal,
        };
        (signal, Duration::from_secs_f64(queue_ms / 1e3), allowed)
    }

    fn above_base(&mut self, now: Instant, delay_us: i64) -> f64 {
        if self.period_ends.is_none_or(|ends| now >= ends) {
            self.base_us = [self.base_us[1], i64::MAX];
            self.period_ends = Some(now + BASE_PERIOD);
        }
        self.base_us[1] = self.base_us[1].min(delay_us);
        let base_us = self.base_us[0].min(self.base_us[1]);
        // A peer may report any time at all.
        (delay_us.saturating_sub(base_us) as f64 / 1e3).clamp(0.0, 10_000.0)
    }

    /// The threshold of §5.4: a controller that insisted on an empty queue would give way to every download.
    fn adapt(&mut self, now: Instant, queue_ms: f64) {
        let [least, most] = [ALLOWED.0, ALLOWED.1].map(|bound| bound.as_secs_f64() * 1e3);
        let passed_s = self.concluded_at.map_or(0.0, |at| now.since(at).as_secs_f64().min(0.2));
        self.concluded_at = Some(now);
        if self.high < OTHERS {
            self.allowed_ms -= (self.allowed_ms - least) * passed_s / FORGET_S;
            return;
        }
        // Nothing that we left unsent made it shorter: it is somebody else's, or the route.
        self.allowed_ms = (self.allowed_ms * RELENT).min(most);
        let least_ms = self.points.iter().map(|point| point.1).fold(queue_ms, f64::min);
        let base_us = self.base_us[0].min(self.base_us[1]);
        self.base_us = [i64::MAX, base_us.saturating_add((least_ms * 1e3) as i64)];
        self.points.clear();
        (self.over, self.high) = (0, 0);
    }
}

/// The slope of the points, by least squares; 0 where there are too few.
fn slope(points: &Deque<(f64, f64), POINTS>) -> f64 {
    let n = points.len() as f64;
    if points.len() < 3 {
        return 0.0;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let across: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let along: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    if along > 0.0 { across / along } else { 0.0 }
}
