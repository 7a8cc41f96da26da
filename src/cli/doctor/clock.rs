//! The calendar's clock: calls do without it, but the journal, the screen and quiet hours do not.

use super::Around;
use super::finding::Finding;
use crate::sys::calendar::{local_time, unix_ms};
use crate::sys::clock;
use std::io;

const SUBJECT: &str = "clock";
/// Before this year no visavis was made.
const FIRST_YEAR: i32 = 2024;

pub(super) fn look(_: &Around) -> Vec<Finding> {
    let year = local_time(unix_ms() / 1_000).map_or(0, |local| local.year);
    vec![examine(year, &clock::is_synchronised())]
}

fn examine(year: i32, synchronised: &io::Result<bool>) -> Finding {
    let remedy = "sudo timedatectl set-ntp true\ntimedatectl timesync-status";
    match synchronised {
        _ if year < FIRST_YEAR => Finding::wrong(SUBJECT, format!("the clock says it is the year {year}"))
            .because("The screen shows the wrong time, the journal cannot say when somebody rang, and quiet hours are wrong.")
            .mend(remedy),
        Ok(true) => Finding::good(SUBJECT, "the clock is kept right by the network"),
        Ok(false) => Finding::poor(SUBJECT, "nothing keeps the clock right")
            .because("A Raspberry Pi has no clock of its own: after a power cut the screen and the journal have the wrong time.")
            .mend(remedy),
        Err(error) => Finding::unseen(SUBJECT, "whether the clock is kept right", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_clock_that_nobody_sets_is_poor_and_one_that_is_years_off_is_wrong() {
        assert_eq!(examine(2026, &Ok(true)).severity, Severity::Good);
        assert_eq!(examine(2026, &Ok(false)).severity, Severity::Poor);
        assert_eq!(examine(1970, &Ok(true)).severity, Severity::Wrong);
        assert_eq!(examine(2026, &Err(io::ErrorKind::PermissionDenied.into())).severity, Severity::Unseen);
    }

    #[test]
    fn the_kernel_says_whether_it_is_synchronised() {
        // Whichever it is here: the call works, and changes nothing.
        assert_eq!(clock::is_synchronised().unwrap(), clock::is_synchronised().unwrap());
    }
}
