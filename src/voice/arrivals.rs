//! How late packets come: what the target delay is made from.
//!
//! The estimator is a sliding-window quantile of the *transit*, the arrival time less the time at which the packet's place
//! in the sender's sample clock would put it (the histogram of relative arrival delay in WebRTC's NetEq, with a window
//! in place of forgetting). A few of the newest packets that come later still make it grow at once, before they are many
//! enough to move the quantile; whether they were a moment's, the window tells. Sender and receiver clocks differ by an
//! unknown constant and drift by parts per million, so only differences of transits within the window mean anything.

use crate::time::{Duration, Instant};

/// Transits looked at: 5 s of packets. Long enough for a 98 % quantile to rest on ten of them, short enough to forget a
/// burst of interference within a sentence, and to move with 500 ppm of drift by no more than 2.6 ms.
const WINDOW: usize = 512;

/// Of 100 packets, how many may be waited for in vain. A packet that comes later than this is recovered or concealed
/// like a lost one; waiting for the last 2 % would cost everyone's delay for what FEC mends mostly.
const TOO_LATE_PERCENT: usize = 2;

/// Of 100 packets, how many have come by the *usual* transit. A packet that mends the one before it is waited for so long:
/// four of five are there by then, and most of the others within the slack of the target.
const USUAL_PERCENT: usize = 80;

/// The newest transits, which are looked at by themselves: 0.6 s …
const NEWEST: usize = 64;
/// … and how many of them, when they are later than what is waited for, are no accident. By chance there are as many in
/// one of a hundred such windows.
const NEWEST_LATE: usize = 5;

/// Packets that come this much after the fastest have met an outage, not jitter: nobody wants to converse with the delay
/// that would catch them.
const OUTAGE: Duration = Duration::from_millis(250);

/// An outage that goes on this long is the path's new transit: everything is learnt anew.
const OUTAGE_MAX: Duration = Duration::from_millis(500);

/// Of the first packets so many are not waited for, at the most one of eight: they lay in a row while the other station, or
/// this one, was still making itself ready, and would hold up all others for seconds.
const FIRST_LATE: usize = 3;

/// Until this many packets have come (0.5 s), [`JITTER_FIRST`] is assumed.
const ENOUGH: usize = 50;
/// Jitter assumed at first: that of a quiet wireless LAN.
const JITTER_FIRST: Duration = Duration::from_millis(10);

/// What one arrival meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// One of many.
    Usual,
    /// Part of an outage; it does not count.
    Outage,
    /// The outage was none: the path has changed, and the window begins with this packet.
    Moved,
}

/// The window of transits, in nanoseconds.
#[derive(Debug)]
pub(super) struct Arrivals {
    window: [i64; WINDOW],
    filled: usize,
    oldest: usize,
    least: i64,
    usual: i64,
    late: i64,
    outage_since: Option<Instant>,
    jitter_max: i64,
}

impl Arrivals {
    /// Nothing seen. The jitter that [`Arrivals::late`] follows ends at `jitter_max`.
    pub fn new(jitter_max: Duration) -> Arrivals {
        Arrivals {
            window: [0; WINDOW],
            filled: 0,
            oldest: 0,
            least: 0,
            usual: 0,
            late: 0,
            outage_since: None,
            jitter_max: nanos(jitter_max),
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        (self.filled, self.oldest, self.outage_since) = (0, 0, None);
    }

    /// Takes one packet's transit.
    pub fn handle(&mut self, transit: i64, received_at: Instant) -> Arrival {
        let arrival = self.judge(transit, received_at);
        if arrival != Arrival::Outage {
            self.window[self.oldest] = transit;
            self.oldest = (self.oldest + 1) % WINDOW;
            self.filled = (self.filled + 1).min(WINDOW);
            self.measure();
        }
        arrival
    }

    /// The least transit in the window: what the path takes when nothing stands in the way.
    pub fn least(&self) -> i64 {
        self.least
    }

    /// The transit that most packets stay within.
    pub fn usual(&self) -> i64 {
        self.usual
    }

    /// The transit that all packets but the latest few stay within.
    pub fn late(&self) -> i64 {
        self.late
    }

    fn judge(&mut self, transit: i64, received_at: Instant) -> Arrival {
        if self.filled == 0 {
            return Arrival::Usual;
        }
        // Once begun, an outage lasts until a packet is on time again: the burst that follows a stall holds every
        // transit down to the usual one, and none of them says anything about jitter.
        let end = if self.outage_since.is_some() { self.late } else { self.least.saturating_add(nanos(OUTAGE)) };
        if transit <= end {
            self.outage_since = None;
            return Arrival::Usual;
        }
        let since = *self.outage_since.get_or_insert(received_at);
        if received_at.since(since) < OUTAGE_MAX {
            return Arrival::Outage;
        }
        self.reset();
        Arrival::Moved
    }

    fn measure(&mut self) {
        let mut sorted = self.window;
        let sorted = &mut sorted[..self.filled];
        let too_late = (self.filled * TOO_LATE_PERCENT / 100).max(FIRST_LATE.min(self.filled / 8));
        let rank = (self.filled - 1) - too_late;
        let (below, late, _) = sorted.select_nth_unstable(rank);
        let late = (*late).max(self.late_of_the_newest());
        self.least = below.iter().copied().min().unwrap_or(late);
        // Of the few packets of a start, the latest is the usual one too.
        let usual = match below.len() {
            0 => late,
            count => *below.select_nth_unstable((rank * USUAL_PERCENT / 100).min(count - 1)).1,
        };
        let jitter_min = if self.filled < ENOUGH { nanos(JITTER_FIRST) } else { 0 };
        let jitter = late.saturating_sub(self.least).max(jitter_min);
        self.late = self.least.saturating_add(jitter.min(self.jitter_max));
        self.usual = usual.min(self.late);
    }

    /// The transit of which the newest packets have been later too often for it to be an accident.
    fn late_of_the_newest(&self) -> i64 {
        if self.filled < NEWEST {
            return i64::MIN;
        }
        let mut newest: [i64; NEWEST] = core::array::from_fn(|n| self.window[(self.oldest + WINDOW - 1 - n) % WINDOW]);
        *newest.select_nth_unstable(NEWEST - NEWEST_LATE).1
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn fed(transits: impl IntoIterator<Item = (i64, u64)>) -> Arrivals {
        let mut arrivals = Arrivals::new(Duration::from_millis(150));
        for (transit_ms, at_ms) in transits {
            arrivals.handle(transit_ms * MS, Instant::from_millis(at_ms));
        }
        arrivals
    }

    #[test]
    fn the_quantile_leaves_out_two_of_a_hundred() {
        let arrivals = fed((0..500).map(|n| (50 + if n % 100 == 0 { 90 } else { n as i64 % 10 }, 10 * n)));
        assert_eq!((arrivals.least(), arrivals.late()), (50 * MS, 59 * MS));
    }

    #[test]
    fn the_row_of_packets_that_a_stream_begins_with_is_soon_forgotten() {
        let row = [(86, 0), (76, 0), (66, 0)];
        let steady = (3..60).map(|n| (50, 10 * n));
        assert_eq!(fed(row.into_iter().chain(steady)).late(), 50 * MS);
    }

    #[test]
    fn what_comes_late_five_times_is_waited_for_at_once_and_twice_is_not() {
        let late = |times: u64| {
            let late = (0..times).map(|n| (90, 5_000 + 30 * n));
            fed((0..500).map(|n| (50, 10 * n)).chain(late)).late()
        };
        assert_eq!([2, 5].map(late), [50 * MS, 90 * MS]);
    }

    #[test]
    fn most_packets_have_come_by_the_usual_transit() {
        let arrivals = fed((0..500).map(|n| (50 + n as i64 % 10, 10 * n)));
        assert!((57..=58).contains(&(arrivals.usual() / MS)), "{}", arrivals.usual());
    }

    #[test]
    fn the_burst_after_an_outage_is_not_taken_for_jitter() {
        let steady = (0..500).map(|n| (50, 10 * n));
        // Two seconds of packets at once: transits of 2 s down to the usual.
        let burst = (0..200).map(|n| (50 + 2_000 - 10 * n, 7_000));
        let arrivals = fed(steady.chain(burst).chain([(50, 7_010)]));
        assert_eq!(arrivals.late(), 50 * MS);
    }

    #[test]
    fn a_path_that_stays_longer_is_learnt_anew() {
        let steady = (0..500).map(|n| (50, 10 * n));
        let longer = (0..60).map(|n| (950, 5_900 + 10 * n));
        assert_eq!(fed(steady.chain(longer)).least(), 950 * MS);
    }

    #[test]
    fn any_transit_is_taken_without_a_panic() {
        let mut arrivals = Arrivals::new(Duration::from_millis(150));
        for transit in [0, i64::MAX, i64::MIN, i64::MAX, -1, i64::MIN, 0] {
            arrivals.handle(transit, Instant::from_nanos(transit as u64));
            assert!(arrivals.late() >= arrivals.least());
        }
    }
}
