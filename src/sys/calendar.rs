//! Local time, by the C library's zone data: what people's clocks show.
//!
//! localtime_r(3) follows /etc/localtime and `TZ` on every libc; a crate for this would bring a second reader of the same
//! files. All else in visavis counts on CLOCK_MONOTONIC.

use nix::libc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as people's clocks and calendars show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Years since Christ.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// Days since the year began; 0 to 365.
    pub day_of_year: u16,
}

/// Milliseconds since 1970 began (UTC), by the machine's idea of it; 0 where that is before.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// What the clocks here show so many seconds after 1970 began (UTC). `None` for times beyond the calendar.
pub fn local_time(unix_seconds: u64) -> Option<LocalTime> {
    let seconds = libc::time_t::try_from(unix_seconds).ok()?;
    // SAFETY: all fields of `tm` are integers and a pointer to text that may be null: zero is a value of each.
    let mut broken: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of our own; the call writes `broken` alone, and changes of the
    // environment, which it reads through the library's own lock, are not made by this program.
    let result = unsafe { libc::localtime_r(&raw const seconds, &raw mut broken) };
    (!result.is_null()).then_some(LocalTime {
        year: broken.tm_year.saturating_add(1900),
        // The library keeps each of these within its bounds, which fit.
        month: broken.tm_mon as u8 + 1,
        day: broken.tm_mday as u8,
        hour: broken.tm_hour as u8,
        minute: broken.tm_min as u8,
        second: broken.tm_sec as u8,
        day_of_year: broken.tm_yday as u16,
    })
}

#[cfg(test)]
mod tests {
    //! Goal: what is shown is the local time. Method: what holds in every zone; zones by name are for `date` to say.
    use super::*;
    use std::process::Command;

    #[test]
    fn local_time_is_what_date_shows() {
        // The calendar of Debian 12 for 32-bit ARM ends in January 2038.
        let is_within = |unix_seconds: &u64| libc::time_t::try_from(*unix_seconds).is_ok();
        for unix_seconds in [0, 86_399, 951_782_400, 1_764_000_000, 4_102_444_799].into_iter().filter(is_within) {
            let t = local_time(unix_seconds).unwrap();
            let shown = format!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02} {:03}",
                t.year,
                t.month,
                t.day,
                t.hour,
                t.minute,
                t.second,
                t.day_of_year + 1
            );
            let date = Command::new("date").arg("-d").arg(format!("@{unix_seconds}")).arg("+%Y-%m-%d %T %j").output();
            let date = date.expect("date is part of every Linux");
            assert_eq!(shown, String::from_utf8_lossy(&date.stdout).trim());
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_none() {
        assert_eq!(local_time(u64::MAX), None);
        assert_eq!(local_time(i64::MAX as u64), None);
    }
}
