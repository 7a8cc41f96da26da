//! The other stations: who is known, and who is reached.

use super::Around;
use super::finding::Finding;
use crate::panel::protocol::{LinkStatus, Status};

const SUBJECT: &str = "stations";

pub(super) fn look(around: &Around) -> Vec<Finding> {
    match &around.station {
        Ok(status) => examine(status),
        Err(silence) => vec![unasked(&silence.why, silence.is_stuck)],
    }
}

fn unasked(why: &str, is_stuck: bool) -> Finding {
    if !is_stuck {
        return Finding::unseen(SUBJECT, "the other stations", why);
    }
    Finding::wrong("station", format!("the station runs, and stands still: {why}"))
        .because("Nobody can ring, or be rung.")
        .mend("sudo systemctl restart visavis")
}

fn examine(status: &Status) -> Vec<Finding> {
    if status.links.is_empty() {
        return vec![
            Finding::note(SUBJECT, "this station knows no other yet")
                .because("There is nobody to ring.")
                .mend("visavis pair   # on both stations, face to face"),
        ];
    }
    status.links.iter().map(link).collect()
}

fn link(link: &LinkStatus) -> Finding {
    let name = &link.name;
    if link.is_here {
        let round_trip = link.rtt_ms.map(|ms| format!(", {ms:.0} ms there and back")).unwrap_or_default();
        return Finding::good(SUBJECT, format!("{name} is reached{round_trip}"));
    }
    let place = link.address.as_ref().map(|address| format!("; it was last at {address}")).unwrap_or_default();
    let host = link.address.as_deref().and_then(|address| address.parse::<std::net::SocketAddr>().ok());
    let ping = host.map(|address| format!("\nping -c 3 {}", address.ip())).unwrap_or_default();
    Finding::poor(SUBJECT, format!("{name} has not been reached for {}{place}", lasting(link.for_s)))
        .because(format!("Nobody can ring {name}, and {name} cannot ring here."))
        .mend(format!("See whether {name} has power and network; on it: visavis doctor{ping}"))
}

/// A time in the unit that people would say it in.
pub(super) fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn who_is_away_is_told_with_where_it_was() {
        let kitchen = LinkStatus { name: "kitchen".into(), is_here: true, rtt_ms: Some(3.4), ..LinkStatus::default() };
        let door = LinkStatus {
            name: "door".into(),
            for_s: 11_000,
            address: Some("192.0.2.7:10087".into()),
            ..LinkStatus::default()
        };
        let findings = examine(&Status { links: vec![kitchen, door], ..Status::default() });
        assert_eq!(findings[0], Finding::good(SUBJECT, "kitchen is reached, 3 ms there and back"));
        assert_eq!(findings[1].what, "door has not been reached for 3 h; it was last at 192.0.2.7:10087");
        assert!(findings[1].remedy.ends_with("ping -c 3 192.0.2.7"));
        assert_eq!(examine(&Status::default())[0].severity, Severity::Note);
        assert_eq!(
            [unasked("none", false).severity, unasked("late", true).severity],
            [Severity::Unseen, Severity::Wrong]
        );
    }
}
