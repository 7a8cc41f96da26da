//! When video may leave: a burst at once, then evenly.
//!
//! The burst is 32 datagrams. An ordinary H.264 frame (2–30 of them) leaves within it, undelayed. A receiver that is
//! away for a moment must hold it: a Linux socket with the default `SO_RCVBUF` of 212,992 bytes charges about 2.3 kB
//! for a datagram of ours, so that 92 fit, and a burst takes a third.
//!
//! What is beyond the burst leaves at 200 Mbit/s in steps of 16 datagrams, as many as go out in one call, one every 0.8 ms: the 132 datagrams of a
//! 150 kB JPEG are gone in under 5 ms, an eighth of a frame's time, and the receiver has its whole buffer's time to
//! wake.
//!
//! Where bursts turn out to go through more slowly, the pace is a small multiple of that, and the burst shrinks with it: a
//! key frame must not stand as a queue before the path, nor be dropped by it, and sound finds its way between its parts.

use crate::time::{Duration, Instant};

/// Datagrams that may leave at once.
const BURST_DATAGRAMS: u64 = 32;
/// Datagrams that leave together after the burst, in one call: each step costs a wake-up, which is half of what a camera's
/// own JPEG images cost to send.
const STEP_DATAGRAMS: u64 = 16;
/// What a datagram counts for here: the usual MTU.
const DATAGRAM_BYTES: u64 = 1_500;

/// A burst is at most what leaves in so long at the pace: on a path that carries little it must not stand there as a queue.
const BURST_TIME: Duration = Duration::from_millis(5);
/// What waits leaves within so long, whatever the path seems to carry: half the age at which it is dropped. A pace that is too
/// slow for a frame would let none of them arrive, and nothing would ever show that the path carries more.
const LEAVES_WITHIN: Duration = Duration::from_millis(75);
/// The shortest burst.
const BURST_LEAST: u64 = 2;

/// A leaky bucket in its form as a virtual schedule (ITU-T I.371, GCRA).
#[derive(Debug)]
pub(super) struct Pacer {
    bits_per_second: u64,
    most_bits_per_second: u64,
    /// What the newest frame needs, to be gone in time.
    least_bits_per_second: u64,
    /// When all that was sent would have left at the rate.
    drained_at: Instant,
    /// The burst is used up: wait for a step's worth.
    waiting: bool,
}

impl Pacer {
    pub(super) fn new(now: Instant, bits_per_second: u64) -> Pacer {
        let most_bits_per_second = bits_per_second.max(1);
        Pacer {
            bits_per_second: most_bits_per_second,
            most_bits_per_second,
            least_bits_per_second: 1,
            drained_at: now,
            waiting: false,
        }
    }

    /// What the path carries allows this pace; `None` where that is not known.
    pub(super) fn set_rate(&mut self, bits_per_second: Option<u64>) {
        let most = self.most_bits_per_second;
        self.bits_per_second = bits_per_second.unwrap_or(most).max(self.least_bits_per_second).min(most);
    }

    /// So many datagrams wait now that a frame has come.
    pub(super) fn hurry(&mut self, datagrams: u64) {
        let bits = datagrams.saturating_mul(DATAGRAM_BYTES * 8);
        let least = bits.saturating_mul(1_000) / LEAVES_WITHIN.as_millis() as u64;
        self.least_bits_per_second = least.clamp(1, self.most_bits_per_second);
        self.bits_per_second = self.bits_per_second.max(self.least_bits_per_second);
    }

    /// Datagrams that may leave at once.
    fn burst(&self) -> u64 {
        let by_time = self.bits_per_second * BURST_TIME.as_millis() as u64 / 8_000 / DATAGRAM_BYTES;
        by_time.clamp(BURST_LEAST, BURST_DATAGRAMS)
    }

    /// Whether a datagram may leave now.
    pub(super) fn permits(&mut self, now: Instant) -> bool {
        if now < self.permits_at() {
            self.waiting = true;
            return false;
        }
        self.waiting = false;
        true
    }

    /// When the next datagram may leave.
    pub(super) fn permits_at(&self) -> Instant {
        let burst = self.burst();
        let allowed = burst - if self.waiting { STEP_DATAGRAMS.min(burst / 2) } else { 1 };
        self.drained_at - self.time(allowed * DATAGRAM_BYTES)
    }

    /// A datagram with this many bytes left.
    pub(super) fn sent(&mut self, now: Instant, bytes: usize) {
        self.drained_at = self.drained_at.max(now) + self.time(bytes as u64);
    }

    fn time(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(8_000_000_000) / self.bits_per_second)
    }
}
