//! Which pictures come too late to be worth showing.
//!
//! **The rule.** What the path costs by itself is the least age that a picture had in the last one to two seconds; how
//! much older one is than that is how *late* it is. So a slow link alone makes nothing late. After a stall the pictures
//! that were held up come in a burst, late ones first; showing each would replay the past at double speed. One that is
//! later than the limit is therefore passed over, since a newer one follows at its heels, but **only while something was
//! shown in the last quarter of a second**: where the path has become slower for good, late pictures are still shown at
//! four a second, and after two seconds at the most they are not late any more. After a pause of the whole program nothing
//! is known of the path; then what was decoded before it is told by its age alone, for the same quarter of a second.

use crate::time::{Duration, Instant};

/// Half the time that the path's own cost is remembered: long enough to hold a few pictures of the slowest stream, short
/// enough that a path which became slower is late for two seconds only.
const WINDOW: Duration = Duration::from_secs(1);

/// No longer than this is everything passed over: what a viewer takes for a stutter, not yet for a frozen picture.
const HOLD_MAX: Duration = Duration::from_millis(250);

/// After a pause a picture of this age was under way before it: no path that people talk over takes so long.
const STALE: Duration = Duration::from_secs(1);

/// Judges each picture by its age.
#[derive(Debug)]
pub struct Lateness {
    limit: Duration,
    /// Least ages in nanoseconds, in the present window and in the one before; signed, since a clock offset is estimated.
    least: [Option<i64>; 2],
    window_ends: Instant,
    shown_at: Option<Instant>,
    /// When the first picture came after a pause.
    resumed_at: Option<Instant>,
}

impl Lateness {
    /// Pictures more than `limit` late are passed over.
    pub fn new(limit: Duration) -> Lateness {
        Lateness { limit, least: [None; 2], window_ends: Instant::ZERO, shown_at: None, resumed_at: None }
    }

    /// Whether a picture taken at `captured_at` is to be passed over at `now`.
    pub fn is_late(&mut self, captured_at: Instant, now: Instant) -> bool {
        if now >= self.window_ends {
            // After a pause of more than a window, what was known is out of date.
            let is_fresh = now < self.window_ends + WINDOW;
            self.least = [None, self.least[0].filter(|_| is_fresh)];
            self.window_ends = now + WINDOW;
            if !is_fresh && self.shown_at.is_some() {
                self.resumed_at = Some(now);
            }
        }
        let age = now.signed_since(captured_at);
        let has_just_resumed = self.resumed_at.is_some_and(|at| now.since(at) < HOLD_MAX);
        if has_just_resumed && self.limit < STALE && now.since(captured_at) > STALE {
            return true;
        }
        let known = self.least.into_iter().flatten().min();
        self.least[0] = Some(self.least[0].map_or(age, |least| least.min(age)));
        let Some(usual) = known else { return false };
        let late = age.saturating_sub(usual);
        let limit = i64::try_from(self.limit.as_nanos()).unwrap_or(i64::MAX);
        late > limit && self.shown_at.is_some_and(|at| now.since(at) < HOLD_MAX)
    }

    /// A picture was given to the screen at `now`.
    pub fn shown(&mut self, now: Instant) {
        self.shown_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(150);

    /// Plays pictures of (captured, arrived) in milliseconds; which of them were shown, by capture time.
    fn play(pictures: impl IntoIterator<Item = (u64, u64)>) -> Vec<u64> {
        let mut lateness = Lateness::new(LIMIT);
        let mut shown = Vec::new();
        for (captured, arrived) in pictures {
            let now = Instant::from_millis(10_000 + arrived);
            if !lateness.is_late(Instant::from_millis(10_000 + captured), now) {
                lateness.shown(now);
                shown.push(captured);
            }
        }
        shown
    }

    #[test]
    fn a_slow_but_steady_link_loses_nothing() {
        let steady = (0..100).map(|n| (n * 33, n * 33 + 900));
        assert_eq!(play(steady).len(), 100);
    }

    #[test]
    fn jitter_below_the_limit_loses_nothing() {
        let jitter = (0..100).map(|n| (n * 33, n * 33 + 40 + n * 37 % 140));
        assert_eq!(play(jitter).len(), 100);
    }

    #[test]
    fn after_a_stall_the_past_is_not_replayed() {
        // 30 a second; from 1.0 to 1.8 s nothing arrives, then what was held up comes 4 ms apart.
        let before = (0..30).map(|n| (n * 33, n * 33 + 50));
        let held = (30..54u64).map(|n| (n * 33, (n * 33 + 50).max(1_800 + (n - 30) * 4)));
        let after = (54..80).map(|n| (n * 33, (n * 33 + 50).max(1_900)));
        let shown = play(before.chain(held).chain(after));
        // The first of the burst is shown, since the screen has been still for too long; then only what is recent.
        let replayed = shown.iter().filter(|captured| (990..1_650).contains(*captured)).count();
        assert!(replayed <= 2, "{shown:?}");
        assert!(shown.contains(&(60 * 33)) && shown.contains(&(79 * 33)));
    }

    #[test]
    fn after_a_pause_of_the_program_what_was_under_way_before_it_is_passed_over() {
        let at = |ms: u64| Instant::from_millis(100_000 + ms);
        let mut lateness = Lateness::new(Duration::from_millis(150));
        for n in 0..60 {
            assert!(!lateness.is_late(at(n * 33), at(n * 33 + 20)));
            lateness.shown(at(n * 33 + 20));
        }
        // Ten seconds later: one that was decoded then, and one that has just come.
        assert!(lateness.is_late(at(2_000), at(12_000)));
        assert!(!lateness.is_late(at(11_990), at(12_010)));
        lateness.shown(at(12_010));
        // A path that has really become so slow is shown all the same.
        let mut slow = Lateness::new(Duration::from_millis(150));
        assert!(!slow.is_late(at(0), at(20)));
        slow.shown(at(20));
        assert!(slow.is_late(at(9_000), at(12_000)));
        assert!(!slow.is_late(at(9_300), at(12_300)));
    }

    #[test]
    fn a_path_that_becomes_slower_for_good_never_freezes_and_recovers() {
        let before = (0..60).map(|n| (n * 33, n * 33 + 50));
        let after = (60..300).map(|n| (n * 33, n * 33 + 450));
        let shown = play(before.chain(after));
        let longest = shown.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= 300, "the longest gap is {longest} ms");
        let recovered = shown.iter().filter(|captured| **captured >= 130 * 33).count();
        assert_eq!(recovered, 170, "from two seconds after the change on, all are shown");
    }
}
