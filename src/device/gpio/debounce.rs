//! Debouncing, where neither chip nor kernel does it: a level counts once it has stood still.

use crate::time::{Duration, Instant};

/// One line's contact. As the kernel's own, it reports a change after its pause, not at its beginning: a single spike
/// of interference on a long cable is then no press.
#[derive(Clone, Debug)]
pub(super) struct Debounce {
    pause: Duration,
    level: bool,
    /// When the line took the other level, if it is there.
    changed_at: Option<Instant>,
}

impl Debounce {
    pub(super) fn new(pause: Duration, level: bool) -> Debounce {
        Debounce { pause, level, changed_at: None }
    }

    /// The line has had `level` since `at`. Edges come in the order of their times; what was due before is reported.
    pub(super) fn handle_edge(&mut self, at: Instant, level: bool) -> Option<(Instant, bool)> {
        let due = self.handle_timeout(at);
        if level == self.level {
            self.changed_at = None;
        } else {
            self.changed_at.get_or_insert(at);
        }
        due
    }

    /// The level that has stood long enough by `now`, with the time at which it had, once.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<(Instant, bool)> {
        let due_at = self.poll_timeout().filter(|due_at| *due_at <= now)?;
        self.changed_at = None;
        self.level = !self.level;
        Some((due_at, self.level))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.changed_at.map(|at| at + self.pause)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: one press is one change, however the contact bounces. Method: edges by table and at random.
    use super::*;
    use proptest::prelude::*;

    const PAUSE: Duration = Duration::from_millis(10);
    const AT: fn(u64) -> Instant = Instant::from_millis;

    #[test]
    fn a_bouncing_contact_changes_once_when_it_has_stood_still() {
        let mut contact = Debounce::new(PAUSE, false);
        for (at, level) in [(0, true), (2, false), (3, true), (5, false), (6, true)] {
            assert_eq!(contact.handle_edge(AT(at), level), None);
        }
        assert_eq!(contact.handle_timeout(AT(15)), None);
        assert_eq!(contact.poll_timeout(), Some(AT(16)));
        assert_eq!(contact.handle_timeout(AT(20)), Some((AT(16), true)));
        assert_eq!((contact.handle_timeout(AT(99)), contact.poll_timeout()), (None, None));
    }

    #[test]
    fn a_spike_is_no_press() {
        let mut contact = Debounce::new(PAUSE, false);
        contact.handle_edge(AT(0), true);
        contact.handle_edge(AT(1), false);
        assert_eq!((contact.poll_timeout(), contact.handle_timeout(AT(99))), (None, None));
    }

    #[test]
    fn a_press_that_was_read_late_together_with_its_release_is_both() {
        let mut contact = Debounce::new(PAUSE, false);
        assert_eq!(contact.handle_edge(AT(0), true), None);
        assert_eq!(contact.handle_edge(AT(50), false), Some((AT(10), true)));
        assert_eq!(contact.handle_timeout(AT(70)), Some((AT(60), false)));
    }

    proptest! {
        #[test]
        fn changes_alternate_and_lie_a_pause_apart(gaps in proptest::collection::vec((0u64..30, any::<bool>()), 1..80)) {
            let mut contact = Debounce::new(PAUSE, false);
            let (mut now, mut changes) = (0, Vec::new());
            for (gap, level) in gaps {
                now += gap;
                changes.extend(contact.handle_edge(AT(now), level));
            }
            changes.extend(contact.handle_timeout(AT(now + 100)));
            for (number, (_, level)) in changes.iter().enumerate() {
                prop_assert_eq!(*level, number % 2 == 0);
            }
            for pair in changes.windows(2) {
                prop_assert!(pair[1].0.since(pair[0].0) >= PAUSE);
            }
        }
    }
}
