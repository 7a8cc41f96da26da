//! What the service manager is told: that the station is ready, that it lives, and, in a sentence, what it does.
//!
//! **It is told that the station lives only while it does**: by the net loop, after a whole turn of it, and not once the
//! vigil has found that the program must end.

use super::{Intercom, show};
use crate::call::State;
use crate::device::FaultKind;
use crate::panel::protocol::MediaStatus;
use crate::stage::{self, Health};
use crate::sys::notify::Notify;
use crate::time::{Duration, Instant};

/// The sentence changes at most so often: people read it, and the manager writes it down each time.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Of the time that the manager waits for a sign of life, the share after which it gets one: two may be late.
const BEATS: u32 = 3;

/// Tells the manager, if there is one.
#[derive(Debug, Default)]
pub(super) struct Notice {
    manager: Option<Notify>,
    is_ready: bool,
    status: String,
    status_at: Instant,
    beat_at: Instant,
}

impl Notice {
    pub fn to(manager: Notify) -> Notice {
        Notice { manager: Some(manager), ..Notice::default() }
    }

    /// The station lives.
    fn beat(&mut self, now: Instant) {
        let Some((manager, within)) = self.manager.as_ref().and_then(|manager| Some((manager, manager.beat_within()?)))
        else {
            return;
        };
        // One that did not go is sent again at the next turn.
        if now >= self.beat_at && manager.send("WATCHDOG=1") {
            self.beat_at = now + within / BEATS;
        }
    }

    fn ready(&mut self) {
        if let Some(manager) = &self.manager
            && !self.is_ready
        {
            self.is_ready = manager.send("READY=1");
        }
    }

    /// What the station does.
    fn status(&mut self, now: Instant, sentence: impl FnOnce() -> String) {
        let Some(manager) = &self.manager else { return };
        if now < self.status_at {
            return;
        }
        let sentence = sentence();
        // A line is what ends an assignment.
        if sentence != self.status && manager.send(&format!("STATUS={}", sentence.replace('\n', " "))) {
            (self.status, self.status_at) = (sentence, now + STATUS_EVERY);
        }
    }

    /// The station ends.
    pub fn stopping(&self, why: Option<&str>) {
        let Some(manager) = &self.manager else { return };
        // Whether it went matters no more.
        manager.send(&match why {
            Some(why) => format!("STOPPING=1\nSTATUS={}", why.replace('\n', " ")),
            None => "STOPPING=1".into(),
        });
    }
}

impl Intercom {
    /// Tells the service manager how things are.
    pub(super) fn give_notice(&mut self, now: Instant) {
        let supervision = &self.board.supervision;
        if supervision.is_well() {
            self.notice.beat(now);
        }
        if supervision.has_settled(&self.board.stages) {
            self.notice.ready();
        }
        let mut notice = core::mem::take(&mut self.notice);
        let is_ready = notice.is_ready;
        notice.status(now, || if is_ready { self.sentence() } else { "starting".into() });
        self.notice = notice;
    }

    /// What the station does and what it lacks, as a person would say it.
    fn sentence(&self) -> String {
        let (word, peers) = show::words(self.call.state());
        let names: Vec<_> = peers.iter().map(|key| self.house.name_of(key)).collect();
        let neighbours = self.house.neighbours();
        let here = neighbours.iter().filter(|neighbour| neighbour.peer.is_here()).count();
        let doing = match self.call.state() {
            State::Idle => at_rest(here, neighbours.len()),
            State::Ended(_) => format!("ended: {}", show::why_ended(self.call.state()).unwrap_or_default()),
            State::Talking(_) => format!("{}{}", with(word, &names), pace(&self.pace.status)),
            State::Calling(_) | State::Ringing(_) => with(word, &names),
        };
        let healths = &self.board.stages.healths;
        let devices = [
            ("camera", &healths.camera),
            ("screen", &healths.screen),
            ("microphone", &healths.mic),
            ("loudspeaker", &healths.speaker),
        ];
        let lacks = devices.into_iter().filter_map(|(device, health)| lack(device, health));
        core::iter::once(doing).chain(lacks).chain(self.complaints()).collect::<Vec<_>>().join("; ")
    }
}

fn at_rest(here: usize, known: usize) -> String {
    match (here, known) {
        (_, 0) => "idle, paired with nobody yet".into(),
        (0, _) => "idle, no other station here".into(),
        (1, _) => "idle, 1 station here".into(),
        (here, _) => format!("idle, {here} stations here"),
    }
}

fn with(word: &str, names: &[String]) -> String {
    let names = names.join(", ");
    match word {
        "talking" => format!("talking to {names}"),
        "paging" => format!("speaking to {names}"),
        "held" => format!("on hold with {names}"),
        "ringing" => format!("{names} rings"),
        "paged" => format!("announcement from {names}"),
        "monitored" => format!("watched by {names}"),
        "monitoring" => format!("watching {names}"),
        word => format!("{word} {names}"),
    }
}

/// How old its picture is when it is shown, and what it costs; nothing while none comes.
fn pace(media: &MediaStatus) -> String {
    if media.shown_fps <= 0.0 {
        return String::new();
    }
    format!(", {:.0} ms, {:.1} Mbit/s", media.latency_ms, media.received_bps as f64 / 1e6)
}

fn lack(device: &str, health: &Health) -> Option<String> {
    let stage::State::Faulty(fault) = health.get().0 else { return None };
    Some(match fault.kind {
        FaultKind::Absent => format!("no {device}: {} is absent", fault.device),
        FaultKind::Ended => format!("{device}: {} is at its end", fault.device),
        FaultKind::Stalled | FaultKind::Unusable => format!("{device}: {fault}"),
    })
}

#[cfg(test)]
mod tests {
    //! Goal: the sentence is one that a person would say. Method: the parts of it, side by side.
    use super::*;
    use crate::device::Fault;
    use crate::sys::wake::Wake;
    use nix::errno::Errno;

    #[test]
    fn a_person_would_say_it_so() {
        let said = [(0, 0), (0, 2), (1, 2), (2, 2)].map(|(here, known)| at_rest(here, known));
        let wanted = [
            "idle, paired with nobody yet",
            "idle, no other station here",
            "idle, 1 station here",
            "idle, 2 stations here",
        ];
        assert_eq!(said, wanted);
        let media =
            MediaStatus { shown_fps: 30.0, latency_ms: 41.3, received_bps: 1_790_000, ..MediaStatus::default() };
        let talking = with("talking", &["kitchen".into()]) + &pace(&media);
        assert_eq!(talking, "talking to kitchen, 41 ms, 1.8 Mbit/s");
        assert_eq!(with("ringing", &["door".into()]) + &pace(&MediaStatus::default()), "door rings");
    }

    #[test]
    fn what_is_lacking_is_named_as_the_installer_calls_it() {
        let health = Health::new(Wake::new().unwrap());
        assert_eq!(lack("camera", &health), None);
        let fault = Fault::new("/dev/video0", "open it", std::io::Error::from(Errno::ENOENT));
        health.set(stage::State::Faulty(fault));
        assert_eq!(lack("camera", &health).unwrap(), "no camera: /dev/video0 is absent");
        let fault = Fault::new("/dev/video0", "open it", std::io::Error::from(Errno::EBUSY));
        health.set(stage::State::Faulty(fault));
        assert!(lack("camera", &health).unwrap().starts_with("camera: /dev/video0: cannot open it: "));
    }
}
