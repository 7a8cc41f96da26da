//! Status and events in plain words, for people at a terminal.

use super::protocol::{Event, Happening, LinkStatus, ReducedStatus, Status};
use core::fmt::{self, Write as _};

impl Status {
    /// Several lines.
    pub fn words(&self) -> String {
        let mut text =
            format!("{} is {}\n", self.station, state(&self.state, self.peer.as_deref(), self.reason.as_deref()));
        let mut settings = vec![format!("volume {} %", self.volume_percent)];
        settings.extend(self.muted.then(|| "microphone muted".to_owned()));
        settings.extend(self.do_not_disturb.then(|| "do not disturb".to_owned()));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  for {}; {}", duration(self.state_for_s), settings.join(", "));
        if let Some(media) = &self.media {
            let _ = writeln!(
                text,
                "  pictures: {:.0} a second shown, {:.0} sent; {:.0} ms old; {} in, {} out; {:.1} % lost",
                media.shown_fps,
                media.sent_fps,
                media.latency_ms,
                rate(media.received_bps),
                rate(media.sent_bps),
                media.loss * 100.0
            );
        }
        for reduced in &self.reduced {
            let ReducedStatus { pictures, step, of, reason } = reduced;
            let _ = writeln!(text, "  pictures {pictures} are reduced, step {step} of {of}: {reason}");
        }
        for link in &self.links {
            let _ = writeln!(text, "  {link}");
        }
        for fault in &self.faults {
            let _ = writeln!(text, "  fault: {fault}");
        }
        let _ = write!(text, "  version {}, up for {}", self.version, duration(self.uptime_s));
        text
    }
}

impl fmt::Display for LinkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let presence = if self.is_here { "here" } else { "away" };
        write!(f, "{} is {presence} for {}", self.name, duration(self.for_s))?;
        if let Some(address) = &self.address {
            write!(f, ", {} {address}", if self.is_here { "at" } else { "last seen at" })?;
        }
        match self.rtt_ms {
            Some(rtt_ms) if self.is_here => write!(f, ", {rtt_ms:.1} ms away and back"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::State { state: word, peer, reason } => {
                f.write_str(&state(word, peer.as_deref(), reason.as_deref()))
            }
            Happening::Fault { device, words: Some(words) } => write!(f, "fault of {device}: {words}"),
            Happening::Fault { device, words: None } => write!(f, "{device} works"),
            Happening::MissedCall { peer } => write!(f, "{peer} called in vain"),
            Happening::DoorReleased { by } => write!(f, "door opened by {by}"),
            Happening::ReleaseRefused { by, reason } => write!(f, "door not opened for {by}: {reason}"),
            Happening::DoorOpen(true) => f.write_str("the door's strike has current"),
            Happening::DoorOpen(false) => f.write_str("the door is locked again"),
            Happening::Pairing { words, .. } => write!(f, "pairing: {words}"),
            Happening::LinkUp { peer, address } => write!(f, "{peer} is here, at {address}"),
            Happening::LinkDown { peer, reason } => write!(f, "{peer} is away: {reason}"),
            Happening::Action { action, by } => write!(f, "`{action}` by {by}"),
            Happening::Muted(true) => f.write_str("microphone muted"),
            Happening::Muted(false) => f.write_str("microphone heard"),
            Happening::Volume(percent) => write!(f, "volume {percent} %"),
            Happening::Load { pictures, step: 0, .. } => write!(f, "pictures {pictures} are whole again"),
            Happening::Load { pictures, step, reason } => {
                write!(f, "pictures {pictures} are reduced, step {step}: {}", reason.as_deref().unwrap_or_default())
            }
            Happening::DoNotDisturb(is_on) => write!(f, "do not disturb {}", if *is_on { "on" } else { "off" }),
        }
    }
}

/// `talking to kitchen`, `ringing: door`, `ended: door, answered by office`, `idle`.
fn state(word: &str, peer: Option<&str>, reason: Option<&str>) -> String {
    let state = match (word, peer) {
        (_, None) => word.to_owned(),
        ("talking", Some(peer)) => format!("talking to {peer}"),
        ("calling", Some(peer)) => format!("calling {peer}"),
        (_, Some(peer)) => format!("{word}: {peer}"),
    };
    match reason {
        Some(reason) => format!("{state}, {reason}"),
        None => state,
    }
}

/// The two largest units: `5 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(length, _)| seconds >= *length).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, unit) in units.iter().skip(first).take(2) {
        if rest >= *length || parts.is_empty() {
            parts.push(format!("{} {unit}", rest / length));
        }
        rest %= length;
    }
    parts.join(" ")
}

fn rate(bits_per_second: u64) -> String {
    if bits_per_second < 1_000_000 {
        format!("{} kbit/s", bits_per_second / 1_000)
    } else {
        format!("{:.1} Mbit/s", bits_per_second as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::MediaStatus;
    use super::*;

    #[test]
    fn a_status_reads_like_a_sentence_or_two() {
        let status = Status {
            station: "hall".into(),
            version: "0.1.0".into(),
            uptime_s: 90_000,
            state: "talking".into(),
            peer: Some("kitchen".into()),
            state_for_s: 80,
            muted: true,
            volume_percent: 60,
            links: vec![LinkStatus {
                name: "kitchen".into(),
                is_here: true,
                for_s: 7_500,
                address: Some("10.0.0.7:10087".into()),
                rtt_ms: Some(1.25),
            }],
            media: Some(MediaStatus { shown_fps: 30.0, received_bps: 2_400_000, ..MediaStatus::default() }),
            faults: vec!["LED_NET: cannot find the line".into()],
            reduced: vec![ReducedStatus {
                pictures: "sent".into(),
                step: 2,
                of: 5,
                reason: "the board is too hot".into(),
            }],
            ..Status::default()
        };
        let words = status.words();
        for part in [
            "hall is talking to kitchen\n",
            "for 1 min 20 s; volume 60 %, microphone muted",
            "30 a second shown",
            "2.4 Mbit/s in, 0 kbit/s out",
            "kitchen is here for 2 h 5 min, at 10.0.0.7:10087, 1.2 ms away and back",
            "fault: LED_NET",
            "pictures sent are reduced, step 2 of 5: the board is too hot\n",
            "up for 1 d 1 h",
        ] {
            assert!(words.contains(part), "{part:?} in {words}");
        }
    }

    #[test]
    fn a_call_that_ended_says_why() {
        let [peer, reason] = ["door", "answered by office"].map(|text| Some(text.to_owned()));
        let ended = Happening::State { state: "ended".into(), peer, reason };
        assert_eq!(ended.to_string(), "ended: door, answered by office");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let written = [0, 59, 60, 3_599, 3_600, 86_400, 1_000_000].map(duration);
        assert_eq!(written, ["0 s", "59 s", "1 min", "59 min 59 s", "1 h", "1 d", "11 d 13 h"]);
    }
}
