//! The strike of a door: current for a moment, and never for longer.

use crate::time::{Duration, Instant};

/// No shorter: a strike needs a tenth of a second to move.
pub const PULSE_MIN: Duration = Duration::from_millis(100);
/// No longer: strikes overheat, and a door must not stand open.
pub const PULSE_MAX: Duration = Duration::from_secs(30);
/// As long as the buzzers of house doors.
pub const PULSE: Duration = Duration::from_secs(3);

/// When the strike has current.
#[derive(Debug)]
pub struct Strike {
    pulse: Duration,
    until: Option<Instant>,
}

impl Strike {
    /// A strike without current; `pulse` is taken to its bounds.
    pub fn new(pulse: Duration) -> Strike {
        Strike { pulse: pulse.clamp(PULSE_MIN, PULSE_MAX), until: None }
    }

    /// Opens the door. While it is open already nothing changes: who asks again and again holds no door open.
    pub fn handle_release(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.until.get_or_insert(now + self.pulse);
    }

    /// To be called at [`Strike::poll_timeout`], and as well at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.until = self.until.filter(|until| now < *until);
    }

    /// Whether the strike is to have current.
    pub fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// When it ends.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    //! Goal: no request, and no sequence of them, holds the door open beyond its time. Method: random requests in
    //! simulated time.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pulse_lasts_its_time_and_is_kept_to_its_bounds() {
        for (asked_ms, lasts_ms) in [(0, 100), (1_500, 1_500), (3_600_000, 30_000)] {
            let mut strike = Strike::new(Duration::from_millis(asked_ms));
            strike.handle_release(Instant::from_millis(1_000));
            assert_eq!(strike.poll_timeout(), Some(Instant::from_millis(1_000 + lasts_ms)));
            strike.handle_timeout(Instant::from_millis(999 + lasts_ms));
            assert!(strike.is_on());
            strike.handle_timeout(Instant::from_millis(1_000 + lasts_ms));
            assert!(!strike.is_on() && strike.poll_timeout().is_none());
        }
    }

    proptest! {
        #[test]
        fn it_is_never_on_longer_than_a_pulse_at_a_stretch(gaps in proptest::collection::vec(0u64..2_000, 1..60)) {
            let mut strike = Strike::new(Duration::from_secs(1));
            let (mut now, mut on_since) = (Instant::ZERO, None::<Instant>);
            for gap in gaps {
                now += Duration::from_millis(gap);
                let was_due = strike.poll_timeout().is_some_and(|until| until <= now);
                strike.handle_release(now);
                if was_due || on_since.is_none() {
                    on_since = Some(now);
                }
                prop_assert!(strike.is_on());
                prop_assert_eq!(strike.poll_timeout(), on_since.map(|since| since + Duration::from_secs(1)));
            }
        }
    }
}
