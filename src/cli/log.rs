//! `visavis log`: calls, door releases and refusals, as the station's journal has them.

use super::state::State;
use super::{EX_IOERR, Failure, print};
use crate::journal::{Record, STILLS_FOLDER, What, read};
use crate::sys::calendar::{LocalTime, local_time, unix_ms};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// Print one JSON object a line, times in milliseconds since 1970 (UTC)
    #[arg(long)]
    json: bool,
    /// How many of the last to print
    #[arg(short, value_name = "N", default_value_t = 20)]
    number: usize,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let directory = args.state.directory()?;
    let (records, unreadable) = read(&directory).map_err(|error| {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        let remedy = if denied { ": what a door saw is for its owner: use sudo" } else { "" };
        Failure { status: EX_IOERR, message: format!("{error}{remedy}") }
    })?;
    let last = &records[records.len().saturating_sub(args.number)..];
    let today = local_time(unix_ms() / 1_000).unwrap_or_default();
    let mut text = String::new();
    for record in last {
        if args.json {
            // Texts and numbers are all within JSON: this cannot fail.
            let _ = writeln!(text, "{}", serde_json::to_string(record).expect("a record is valid JSON"));
        } else {
            let at = local_time(record.at_unix_ms / 1_000);
            let _ = writeln!(text, "{}  {}", when(at, today), in_words(record, &directory.join(STILLS_FOLDER)));
        }
    }
    if last.is_empty() && !args.json {
        text.push_str("Nothing has happened yet.\n");
    }
    print(&text)?;
    if unreadable > 0 {
        eprintln!("visavis: {unreadable} lines of the journal are damaged, and left out");
    }
    Ok(ExitCode::SUCCESS)
}

/// Before this year no visavis was made: the board had just started, and its clock was not set yet.
const FIRST_YEAR: i32 = 2024;

/// `today 14:02`, `2026-11-23 14:02`, or that nobody knows; all of one width.
fn when(at: Option<LocalTime>, today: LocalTime) -> String {
    let Some(at) = at.filter(|at| at.year >= FIRST_YEAR) else { return format!("{:16}", "clock not set") };
    let is_today = (at.year, at.day_of_year) == (today.year, today.day_of_year);
    let is_new_year = at.year + 1 == today.year && (at.month, at.day) == (12, 31) && today.day_of_year == 0;
    let is_yesterday = is_new_year || (at.year == today.year && at.day_of_year + 1 == today.day_of_year);
    let day = match (is_today, is_yesterday) {
        (true, _) => "today".into(),
        (_, true) => "yesterday".into(),
        _ => format!("{}-{:02}-{:02}", at.year, at.month, at.day),
    };
    format!("{:16}", format!("{day} {:02}:{:02}", at.hour, at.minute))
}

/// `missed call from door, rang for 45 s  (picture: /var/lib/visavis/stills/00000042.jpg)`
fn in_words(record: &Record, stills: &Path) -> String {
    let mut text = format!("{} {}", record.what.words(), printable(&record.who));
    if let Some(lasted_ms) = record.lasted_ms {
        let doing = if record.what == What::MissedCall { "rang for " } else { "" };
        let _ = write!(text, ", {doing}{}", duration(lasted_ms));
    }
    if let Some(reason) = &record.reason {
        let _ = write!(text, ", {}", printable(reason));
    }
    if let Some(still) = &record.still {
        let _ = write!(text, "  (picture: {})", stills.join(printable(still)).display());
    }
    text
}

/// Without what a terminal would take for a command.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a person reads when, what, who, how long. Method: moments given as calendars show them, in no zone.
    use super::*;

    fn moment(year: i32, month: u8, day: u8, day_of_year: u16) -> LocalTime {
        LocalTime { year, month, day, hour: 14, minute: 2, second: 9, day_of_year }
    }

    #[test]
    fn days_are_named_as_people_do_also_at_new_year() {
        let today = moment(2026, 11, 25, 328);
        assert_eq!(when(Some(today), today), "today 14:02     ");
        assert_eq!(when(Some(moment(2026, 11, 24, 327)), today), "yesterday 14:02 ");
        assert_eq!(when(Some(moment(2026, 11, 23, 326)), today), "2026-11-23 14:02");
        assert_eq!(when(Some(moment(2025, 11, 25, 328)), today), "2025-11-25 14:02");
        assert_eq!(when(Some(moment(2026, 12, 31, 364)), moment(2027, 1, 1, 0)), "yesterday 14:02 ");
        assert_eq!(when(Some(moment(1970, 1, 1, 0)), today), "clock not set   ");
        assert_eq!(when(None, today), "clock not set   ");
    }

    #[test]
    fn a_record_is_a_sentence() {
        let missed = Record {
            lasted_ms: Some(45_000),
            still: Some("00000042.jpg".into()),
            ..Record::new(0, What::MissedCall, "door")
        };
        let stills = Path::new("/state/stills");
        assert_eq!(
            in_words(&missed, stills),
            "missed call from door, rang for 45 s  (picture: /state/stills/00000042.jpg)"
        );
        let call = Record {
            lasted_ms: Some(3_725_000),
            reason: Some("time limit".into()),
            ..Record::new(0, What::MadeCall, "kitchen\u{1b}[2J")
        };
        assert_eq!(in_words(&call, stills), "call to kitchen [2J, 1 h 2 min, time limit");
        assert_eq!([duration(900), duration(61_000)], ["900 ms", "1 min 1 s"]);
    }
}
