//! The other station's clock: its offset from ours, and the round trip, from pings.
//!
//! Each answered ping gives an offset that is wrong by at most half of what its round trip has above the shortest one
//! (on a path that is even both ways; RFC 5905 §8), and by what the clocks have drifted since. The last samples are
//! averaged, each with the inverse square of that bound as its weight: so those that found the path empty count.

use crate::time::{Duration, Instant, Unwrap32};
use crate::wire::{Ping, Pong};
use heapless::Deque;

/// Samples kept: the quick ones of the start, then 16 s of two a second, in which some packets find the path empty.
const SAMPLES: usize = 32;

/// Pings in flight. A second one is sent after 20 ms at the least, so that 8 cover the first 160 ms of a slow path.
const IN_FLIGHT: usize = 8;

/// The first pings go out 20 ms apart: five in the first 100 ms, so that the offset is known with the first picture.
const QUICK: u32 = 5;
const QUICK_INTERVAL: Duration = Duration::from_millis(20);
/// Then ten at 200 ms, which give the average its weight within 2 s; then two a second for ever: 240 bytes both ways,
/// and against clocks 300 ppm apart on a path with 10 ms of jitter they leave half of the error of one.
const EARLY: u32 = QUICK + 10;
const EARLY_INTERVAL: Duration = Duration::from_millis(200);
const INTERVAL: Duration = Duration::from_millis(500);

/// A longer round trip is not of the path: the process was stopped, or the path cut, and the answer lay in a buffer.
const RTT_MAX: Duration = Duration::from_secs(2);

/// Taken for the round trip until one is measured: the middle of what home networks and their uplinks show.
const RTT_GUESS: Duration = Duration::from_millis(50);

/// How fast two clocks may part: crystals of boards are specified to ±100 ppm, and sit in hot boxes.
const DRIFT: f64 = 500e-6;
/// How far a stamp is from the wire at best, in seconds: a net loop's turn.
const STAMPING_S: f64 = 0.2e-3;

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    rtt_ns: u64,
    /// Peer's clock minus ours.
    offset_ns: i64,
}

/// What pings have told of one peer.
#[derive(Debug)]
pub(super) struct PeerClock {
    samples: Deque<Sample, SAMPLES>,
    in_flight: Deque<(u32, u64), IN_FLIGHT>,
    sent: u32,
    next_id: u32,
    due: Instant,
    smoothed: Option<(Duration, Duration)>,
    offset_ns: Option<i64>,
}

impl PeerClock {
    pub(super) fn new(now: Instant) -> PeerClock {
        PeerClock {
            samples: Deque::new(),
            in_flight: Deque::new(),
            sent: 0,
            next_id: 0,
            due: now,
            smoothed: None,
            offset_ns: None,
        }
    }

    /// The path is another one: measure quickly again. The offset stays, for the clocks are the same; the round trips
    /// of the old path do not.
    pub(super) fn path_changed(&mut self, now: Instant) {
        let offset_ns = self.offset_ns;
        *self = PeerClock { offset_ns, next_id: self.next_id, ..PeerClock::new(now) };
    }

    /// When the next ping is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The ping to send at `now`, if one is due.
    pub(super) fn ping(&self, now: Instant) -> Option<Ping> {
        (now >= self.due).then_some(Ping { id: self.next_id, sent_us: now.as_micros() })
    }

    /// That ping left.
    pub(super) fn ping_sent(&mut self, now: Instant) {
        if self.in_flight.is_full() {
            self.in_flight.pop_front();
        }
        // Cannot fail: there is room for one.
        let _ = self.in_flight.push_back((self.next_id, now.as_micros()));
        self.next_id = self.next_id.wrapping_add(1);
        self.sent = self.sent.saturating_add(1);
        self.due = now
            + match self.sent {
                ..QUICK => QUICK_INTERVAL,
                QUICK..EARLY => EARLY_INTERVAL,
                _ if self.samples.is_empty() => EARLY_INTERVAL,
                _ => INTERVAL,
            };
    }

    /// Takes an answer; false where it answers nothing that was asked, or cannot be true.
    pub(super) fn pong(&mut self, now: Instant, pong: &Pong) -> bool {
        if !self.in_flight.iter().any(|&asked| asked == (pong.id, pong.ping_sent_us)) {
            return false;
        }
        self.in_flight.retain(|&(id, _)| id != pong.id);
        let [sent, received, answered, back] =
            [pong.ping_sent_us, pong.ping_received_us, pong.sent_us, now.as_micros()].map(i128::from);
        let rtt_us = (back - sent) - (answered - received);
        let offset_ns = ((received - sent) + (answered - back)) * 500;
        let (Ok(rtt_us), Ok(offset_ns)) = (u64::try_from(rtt_us), i64::try_from(offset_ns)) else { return false };
        if answered < received || u128::from(rtt_us) > RTT_MAX.as_micros() {
            return false;
        }
        if self.samples.is_full() {
            self.samples.pop_front();
        }
        let _ = self.samples.push_back(Sample { at: now, rtt_ns: rtt_us * 1_000, offset_ns });
        self.smooth(Duration::from_micros(rtt_us));
        self.offset_ns = self.weigh(now);
        true
    }

    fn weigh(&self, now: Instant) -> Option<i64> {
        let newest = self.samples.back()?.offset_ns;
        let shortest_ns = self.samples.iter().map(|s| s.rtt_ns).min()?;
        let (mut sum, mut weights) = (0.0, 0.0);
        for sample in &self.samples {
            let queued_s = (sample.rtt_ns - shortest_ns) as f64 * 0.5e-9;
            let drifted_s = now.since(sample.at).as_secs_f64() * DRIFT;
            let weight = (STAMPING_S + queued_s + drifted_s).powi(-2);
            // Relative to the newest, for an offset itself may be too large for the precision of a float.
            sum += weight * sample.offset_ns.saturating_sub(newest) as f64;
            weights += weight;
        }
        Some(newest.saturating_add((sum / weights) as i64))
    }

    /// Smoothed round trip and its mean deviation, with the weights of RFC 6298 §2.
    fn smooth(&mut self, rtt: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => (rtt, rtt / 2),
            Some((mean, deviation)) => ((mean * 7 + rtt) / 8, (deviation * 3 + mean.abs_diff(rtt)) / 4),
        });
    }

    /// Smoothed round trip, once measured.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.smoothed.map(|(mean, _)| mean)
    }

    /// The shortest round trip in the window.
    pub(super) fn rtt_min(&self) -> Option<Duration> {
        self.samples.iter().map(|s| Duration::from_nanos(s.rtt_ns)).min()
    }

    /// Smoothed round trip, or the guess.
    pub(super) fn rtt_or_guess(&self) -> Duration {
        self.rtt().unwrap_or(RTT_GUESS)
    }

    /// After how long an answer is overdue: the round trip and four deviations (RFC 6298), 2 ms at the least, which
    /// is what a busy net loop may take.
    pub(super) fn overdue(&self) -> Duration {
        let (mean, deviation) = self.smoothed.unwrap_or((RTT_GUESS, RTT_GUESS / 2));
        mean + (deviation * 4).max(Duration::from_millis(2))
    }

    /// Peer's clock minus ours in nanoseconds, once measured.
    pub(super) fn offset_ns(&self) -> Option<i64> {
        self.offset_ns
    }

    /// A time of the peer's clock, given as microseconds modulo 2³², in our clock. It must lie within 35 minutes of
    /// `now`. `None` until the offset is known.
    pub(super) fn to_local(&self, peer_us: u32, now: Instant) -> Option<Instant> {
        let offset_ns = self.offset_ns?;
        let peer_now = now.offset(offset_ns);
        let peer_us = Unwrap32::after(peer_now.as_micros()).peek(peer_us);
        Some(Instant::from_micros(peer_us).offset(offset_ns.saturating_neg()))
    }
}
