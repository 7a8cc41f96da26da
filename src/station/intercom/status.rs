//! What is so, for whoever asks: the screen's idle card, the control socket's status, and what is wrong.

use super::house::Neighbour;
use super::show::{self, Face};
use super::{Intercom, wall};
use crate::call::{Action, State};
use crate::card::{Card, Fault, Idle, Note};
use crate::device::Fault as DeviceFault;
use crate::identity::PublicKey;
use crate::load::STEP_LAST;
use crate::panel::config::ButtonConfig;
use crate::panel::protocol::{LinkStatus, MediaStatus, PeerRecord, ReducedStatus, Status};
use crate::station::load::Way;
use crate::station::stages::fault;
use crate::station::view::View;
use crate::stats::Snapshot;
use crate::sys::calendar::{LocalTime, local_time, unix_ms};
use crate::time::Instant;

/// Contacts on the idle card's buttons, groups first: as many as a small screen has room for.
const CONTACTS_MAX: usize = 6;
/// A network that loses more than this is told to whom it concerns.
const WEAK_LOSS: f32 = 0.05;

impl Intercom {
    /// A station, as the screen has to do with it.
    pub(super) fn face(&self, key: &PublicKey, now: Instant) -> Face {
        let name = self.house.name_of(key);
        let Some(neighbour) = self.house.neighbours().iter().find(|neighbour| neighbour.key == *key) else {
            return Face { name, ..Face::default() };
        };
        let instead = neighbour.peer.card(now, &name, None).map(|card| renamed(card, &name));
        Face { instead, is_weak: self.loss > WEAK_LOSS, name }
    }

    /// The card of a station at rest.
    pub(super) fn idle(&self, now: Instant, local: LocalTime) -> Idle {
        let groups = self.settings.call.groups.iter().map(|group| &group.name);
        let stations = self.house.neighbours().iter().map(|neighbour| &neighbour.name);
        let away = |neighbour: &&Neighbour| !neighbour.peer.is_here() && neighbour.version > 0;
        let since = |neighbour: &Neighbour| {
            let ago_s = now.since(neighbour.since).as_secs();
            let at = local_time((unix_ms() / 1_000).saturating_sub(ago_s)).unwrap_or_default();
            Note::Away { name: neighbour.name.clone(), since: format!("{:02}:{:02}", at.hour, at.minute) }
        };
        let pairs = |button: &ButtonConfig| button.gestures.long == Some(Action::CallButtonHeld);
        let is_new = self.house.neighbours().is_empty() && self.settings.panel.buttons.iter().any(pairs);
        let mut notes: Vec<Note> = is_new.then_some(Note::HoldToPair).into_iter().collect();
        notes.extend(self.device_faults().into_iter().map(|(fault, _)| Note::Fault(fault)));
        let standing = self.complaints().map(|words| Note::Fault(Fault::Other(words)));
        notes.extend(standing);
        notes.extend(self.hands.faults().map(|fault| Note::Fault(Fault::Other(fault.to_string()))));
        notes.extend(self.house.neighbours().iter().filter(away).map(since));
        Idle {
            clock: format!("{:02}:{:02}", local.hour, local.minute),
            date: format!("{}-{:02}-{:02}", local.year, local.month, local.day),
            station: self.board.name.clone(),
            notes,
            missed: self.chronicle.missed,
            do_not_disturb: self.call.is_quiet(wall(local)),
            contacts: groups.chain(stations).take(CONTACTS_MAX).cloned().collect(),
        }
    }

    fn device_faults(&self) -> Vec<(Fault, String)> {
        let healths = &self.board.stages.healths;
        let known = [
            (&healths.camera, "camera", Fault::NoCamera),
            (&healths.mic, "microphone", Fault::NoMicrophone),
            (&healths.speaker, "loudspeaker", Fault::NoLoudspeaker),
        ];
        let words = |(health, device, sign): (_, &str, Fault)| Some((sign, format!("{device}: {}", fault(health)?)));
        known.into_iter().filter_map(words).collect()
    }

    /// What is wrong, in words; each begins with the device.
    pub(super) fn faults(&self) -> Vec<String> {
        let screen = fault(&self.board.stages.healths.screen).map(|why| format!("screen: {why}"));
        let devices = self.device_faults().into_iter().map(|(_, words)| words);
        let hands = self.hands.faults().map(DeviceFault::to_string);
        let strike = self.hands.strike_stays_when_killed().map(|why| format!("strike: {why}"));
        devices.chain(screen).chain(self.complaints()).chain(hands).chain(strike).collect()
    }

    /// What stands still, but for devices that have said themselves what they lack.
    pub(super) fn complaints(&self) -> impl Iterator<Item = String> {
        let healths = &self.board.stages.healths;
        let faulty = [
            ("camera", fault(&healths.camera).is_some()),
            ("screen", fault(&healths.screen).is_some()),
            ("microphone", fault(&healths.mic).is_some()),
            ("loudspeaker", fault(&healths.speaker).is_some()),
        ];
        let is_said = move |device: &str| faulty.contains(&(device, true));
        let complaints = self.board.supervision.complaints().filter(move |(device, _)| !is_said(device));
        complaints.map(|(_, words)| words.to_owned())
    }

    /// For the control socket.
    pub(super) fn status(&mut self, now: Instant, local: LocalTime) -> Status {
        let (state, peers) = show::words(self.call.state());
        let names: Vec<_> = peers.iter().map(|key| self.house.name_of(key)).collect();
        let links = (0..self.house.neighbours().len()).map(|place| self.link_status(now, place)).collect();
        Status {
            station: self.board.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: now.since(self.started_at).as_secs(),
            state: state.into(),
            peer: (!names.is_empty()).then(|| names.join(", ")),
            reason: show::why_ended(self.call.state()),
            state_for_s: now.since(self.state_since).as_secs(),
            muted: self.call.is_muted(),
            volume_percent: self.volume_percent,
            do_not_disturb: self.call.is_quiet(wall(local)),
            links,
            media: self.media_status(),
            reduced: self.reduced(),
            faults: self.faults(),
            key: format!("{:#}", self.own),
            missed: self.chronicle.missed,
            has_door: self.settings.call.door.is_some(),
            is_door_open: self.hands.is_releasing(),
        }
    }

    fn link_status(&mut self, now: Instant, place: usize) -> LinkStatus {
        let neighbour = &self.house.neighbours()[place];
        let (link, is_here) = (neighbour.peer.link, neighbour.peer.is_here());
        let flow = self.board.endpoint.payloads(link).map(|flow| flow.report());
        let rtt = flow.and_then(|flow| flow.rtt).filter(|_| is_here);
        LinkStatus {
            name: neighbour.name.clone(),
            is_here,
            for_s: now.since(neighbour.since).as_secs(),
            address: self.board.endpoint.address(link).map(|address| address.to_string()),
            rtt_ms: rtt.map(|rtt| rtt.as_secs_f32() * 1_000.0),
        }
    }

    fn reduced(&self) -> Vec<ReducedStatus> {
        let of_way = |way: Way| {
            let governor = self.board.loads.governor(way);
            let reason = governor.cause()?.to_string();
            Some(ReducedStatus { pictures: way.to_string(), step: governor.step().number(), of: STEP_LAST, reason })
        };
        Way::BOTH.into_iter().filter_map(of_way).collect()
    }

    fn media_status(&self) -> Option<MediaStatus> {
        if !matches!(self.call.state(), State::Talking(_) | State::Ringing(_)) {
            return None;
        }
        Some(MediaStatus { loss: self.loss, ..self.pace.status.clone() })
    }

    /// The stations of the address book, for the control socket.
    pub(super) fn peers(&self) -> Vec<PeerRecord> {
        let is_here = |key| self.house.neighbours().iter().any(|known| known.key == key && known.peer.is_here());
        let record = |entry: &crate::identity::Entry| {
            let rights =
                [(entry.rights.call, "call"), (entry.rights.monitor, "monitor"), (entry.rights.release, "release")];
            PeerRecord {
                name: entry.name.clone(),
                key: format!("{:#}", entry.key),
                may: rights.into_iter().filter(|(may, _)| *may).map(|(_, word)| word.to_owned()).collect(),
                is_here: is_here(entry.key),
            }
        };
        self.house.book().entries().iter().map(record).collect()
    }
}

/// How pictures have flowed since the last look.
pub(super) struct Pace {
    at: Instant,
    shown: u64,
    sent: u64,
    received_bytes: u64,
    sent_bytes: u64,
    latency: Snapshot,
    pub status: MediaStatus,
}

impl Pace {
    pub fn new(now: Instant, view: &View) -> Pace {
        Pace {
            at: now,
            shown: 0,
            sent: 0,
            received_bytes: 0,
            sent_bytes: 0,
            latency: view.stats.present.latency.snapshot(),
            status: MediaStatus::default(),
        }
    }

    /// Looks again, if the last look was long enough ago for its rates to mean something.
    pub fn look(&mut self, now: Instant, view: &View) {
        let seconds = now.since(self.at).as_secs_f32();
        if seconds < 1.0 {
            return;
        }
        let (present, compress) = (&view.stats.present, &view.stats.compress);
        let (shown, sent) = (present.shown.get(), compress.sent.get());
        let (received_bytes, sent_bytes) = (view.received_picture_bytes.get(), compress.bytes.get());
        let latency = present.latency.snapshot();
        let rate = |new: u64, old: u64| (new - old) as f32 / seconds;
        let bits = |new: u64, old: u64| (rate(new, old) * 8.0) as u64;
        self.status = MediaStatus {
            shown_fps: rate(shown, self.shown),
            sent_fps: rate(sent, self.sent),
            latency_ms: latency.since(&self.latency).p50_ms as f32,
            received_bps: bits(received_bytes, self.received_bytes),
            sent_bps: bits(sent_bytes, self.sent_bytes),
            loss: 0.0,
        };
        let status = core::mem::take(&mut self.status);
        *self = Pace { at: now, shown, sent, received_bytes, sent_bytes, latency, status };
    }
}

/// The card with the name that this house has for a station, whatever it calls itself.
fn renamed(card: Card, name: &str) -> Card {
    match card {
        Card::NoPicture { why, .. } => Card::NoPicture { peer: name.into(), why },
        Card::Connecting { .. } | Card::Waiting { .. } => Card::Connecting { peer: name.into() },
        Card::Away { seconds, .. } => Card::Away { peer: name.into(), seconds },
        other => other,
    }
}
