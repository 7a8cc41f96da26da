//! When pictures were taken, as far as their driver says it.

use crate::time::{Duration, Instant};

/// Gives each picture of a source a time, each later than that of the one before and none in the future.
///
/// A driver may stamp a picture badly, or not at all, now and then. Such a picture is taken to be as old as the last one whose
/// age was told: so one bad stamp makes neither that picture young nor the good ones after it look out of order.
#[derive(Debug, Default)]
pub(super) struct CaptureTimes {
    /// The last stamp that a picture was given.
    last: Instant,
    /// The last stamp of the driver's that was one.
    told: Instant,
    /// How old a picture was then.
    age: Duration,
}

impl CaptureTimes {
    /// The time of the next picture, which is at hand `now`; and whether it is the one that was `given`.
    pub fn next(&mut self, given: Option<Instant>, now: Instant) -> (Instant, bool) {
        let good = given.filter(|given| *given <= now && *given > self.told);
        if let Some(told) = good {
            (self.told, self.age) = (told, now.since(told));
        }
        self.last = (now - self.age).max(self.last + Duration::from_nanos(1)).min(now);
        (self.last, good.is_some())
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is told of a picture's age is true again right after a driver stamped one badly. Method: 30 pictures a second
    //! that are 70 ms old, so that two more are taken before one is at hand; single stamps that are none.
    use super::*;

    const OLD: Duration = Duration::from_millis(70);

    #[test]
    fn one_bad_stamp_spoils_no_other() {
        let now = |n: u64| Instant::from_millis(1_000 + n * 33);
        for bad in [None, Some(Instant::ZERO), Some(now(10) + Duration::from_secs(1)), Some(now(9) - OLD)] {
            let mut times = CaptureTimes::default();
            let mut last = Instant::ZERO;
            for n in 0..20 {
                let given = if n == 10 { bad } else { Some(now(n) - OLD) };
                let (time, is_given) = times.next(given, now(n));
                assert_eq!((time, is_given), (now(n) - OLD, n != 10), "picture {n} after {bad:?}");
                assert!(time > last);
                last = time;
            }
        }
    }

    #[test]
    fn a_source_that_never_tells_is_stamped_as_its_pictures_come() {
        let mut times = CaptureTimes::default();
        for n in 1..5 {
            let now = Instant::from_millis(n * 33);
            assert_eq!(times.next(None, now), (now, false));
        }
    }
}
