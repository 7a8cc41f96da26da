//! Time as the core knows it: a number that the driver passes in.
//!
//! **Nothing in the core reads a clock.** Every state machine takes `now` as an argument, so that a test can run an
//! hour in a second and a fault can be replayed to the nanosecond. `sys::clock` is the one place that asks the kernel.

use core::ops::{Add, AddAssign, Sub};
pub use core::time::Duration;

/// A point on CLOCK_MONOTONIC, in nanoseconds.
///
/// The kernel stamps V4L2 buffers, ALSA periods and page flips with the same clock, which is what makes a latency a
/// subtraction. It starts near zero at boot and does not jump when the wall clock is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's own beginning.
    pub const ZERO: Instant = Instant(0);

    /// From nanoseconds since the clock's beginning.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// From microseconds since the clock's beginning.
    pub const fn from_micros(micros: u64) -> Instant {
        Instant(micros.saturating_mul(1_000))
    }

    /// From milliseconds since the clock's beginning.
    pub const fn from_millis(millis: u64) -> Instant {
        Instant(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the clock's beginning.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds since the clock's beginning.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// How long after `earlier` this is; zero where it is not after.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Signed distance `self − other` in nanoseconds, saturating.
    pub const fn signed_since(self, other: Instant) -> i64 {
        if self.0 >= other.0 {
            let d = self.0 - other.0;
            if d > i64::MAX as u64 { i64::MAX } else { d as i64 }
        } else {
            let d = other.0 - self.0;
            if d > i64::MAX as u64 { i64::MIN } else { -(d as i64) }
        }
    }

    /// Moved by a signed number of nanoseconds, stopping at the clock's ends.
    pub const fn offset(self, nanos: i64) -> Instant {
        Instant(self.0.saturating_add_signed(nanos))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, d: Duration) -> Instant {
        Instant(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The earliest of two deadlines, either of which may be absent.
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Turns a 32-bit counter that wraps into a 64-bit one that does not.
///
/// Each value is read as the one nearest to the last: it may lie up to 2³¹ − 1 ahead or behind, which for
/// microseconds is 35 minutes either way (RFC 3550 §A.1 extends RTP sequence numbers in the same manner).
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrap32 {
    last: Option<u64>,
}

impl Unwrap32 {
    /// Nothing seen yet: the first value is taken as it is.
    pub const fn new() -> Unwrap32 {
        Unwrap32 { last: None }
    }

    /// As if `last` had been the value before: for counters whose present state is known from elsewhere.
    pub const fn after(last: u64) -> Unwrap32 {
        Unwrap32 { last: Some(last) }
    }

    /// The 64-bit value of `value`, and remembers it.
    pub fn unwrap(&mut self, value: u32) -> u64 {
        let wide = self.peek(value);
        self.last = Some(wide);
        wide
    }

    /// The 64-bit value of `value`, without moving the reference: for values not yet known to be genuine.
    pub fn peek(&self, value: u32) -> u64 {
        let Some(last) = self.last else { return u64::from(value) };
        // The signed distance modulo 2³² is what "nearest" means here.
        let step = i64::from(value.wrapping_sub(last as u32) as i32);
        last.checked_add_signed(step).unwrap_or_else(|| u64::from(value))
    }
}

/// How often something may be said that can happen for ever: a device that comes and goes, a peer that asks again and again.
///
/// A few times in a minute each is said; the rest are counted, and told with the next one that is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seldom {
    /// When the minute began; `None` before the first.
    began_at: Option<Instant>,
    said: u32,
    unsaid: u64,
}

/// How many were not said before this one; `Display` is empty for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaid(u64);

impl Seldom {
    /// Times in one minute: what a person does by hand is all said.
    pub const SAID_MAX: u32 = 5;
    const MINUTE: Duration = Duration::from_secs(60);

    /// Whether it is said now, with how many were not.
    pub fn admit(&mut self, now: Instant) -> Option<Unsaid> {
        if self.began_at.is_none_or(|began_at| now.since(began_at) >= Self::MINUTE) {
            (self.began_at, self.said) = (Some(now), 0);
        }
        if self.said == Self::SAID_MAX {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        self.said += 1;
        Some(Unsaid(core::mem::take(&mut self.unsaid)))
    }

    /// Whether [`Seldom::admit`] would say it; nothing is counted.
    pub fn may(&self, now: Instant) -> bool {
        self.said < Self::SAID_MAX || self.began_at.is_none_or(|began_at| now.since(began_at) >= Self::MINUTE)
    }
}

impl core::fmt::Display for Unsaid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " ({} like it were not logged)", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unwrap_follows_any_walk_of_steps_under_half_the_range(start in 1u64<<33..1u64<<40, steps in proptest::collection::vec(-0x7fff_ffffi64..0x7fff_ffff, 1..50)) {
            let mut unwrap = Unwrap32 { last: Some(start) };
            let mut truth = start;
            for step in steps {
                // Keep clear of zero, where a negative value would have no meaning.
                truth = truth.saturating_add_signed(step).max(1 << 32);
                let step = truth.abs_diff(unwrap.last.unwrap());
                prop_assume!(step < 1 << 31);
                prop_assert_eq!(unwrap.unwrap(truth as u32), truth);
            }
        }
    }

    #[test]
    fn instants_saturate_instead_of_wrapping() {
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!((Instant::from_nanos(u64::MAX) + Duration::from_secs(1)).as_nanos(), u64::MAX);
        assert_eq!(Instant::from_millis(3).signed_since(Instant::from_millis(5)), -2_000_000);
    }

    #[test]
    fn what_happens_for_ever_is_said_a_few_times_a_minute_and_counted() {
        let mut seldom = Seldom::default();
        let at = |second: u64| Instant::from_millis(second * 1_000);
        let said: Vec<String> = (0..600).filter_map(|s| seldom.admit(at(s)).map(|unsaid| unsaid.to_string())).collect();
        assert_eq!(said.len(), 50);
        assert_eq!([said[0].as_str(), &said[4], &said[5]], ["", "", " (55 like it were not logged)"]);
        assert!(!seldom.may(at(599)) && seldom.may(at(600)));
    }
}
