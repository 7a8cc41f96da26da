//! What is so at the station, as topics of the broker; and what is asked for through them.
//!
//! | beneath the root | retained | what |
//! |---|---|---|
//! | `availability` | yes | `online`, `offline` |
//! | `state` | yes | JSON: `state`, `peer`, `reason`, `muted`, `do_not_disturb`, `missed` |
//! | `door` | yes | `LOCKED`, or `UNLOCKED` while the strike has current |
//! | `health` | yes | JSON: for each device that has a fault, what it lacks |
//! | `event` | no | JSON: `event_type` (`ring`, `call`, `missed`, `door`), `peer`, `at_unix_ms` |
//! | `picture`, `ring/picture` | yes | JPEG: the newest that was taken, and who stood there at the last ring |
//! | `command`, `door/set`, `picture/take` | | what is asked for; see `command` |
//!
//! What is told is derived from the station's status, which is asked for anew whenever something has happened; what comes out
//! the same is not told again. Only events are told as they come.

use super::command::{self, Refusal, Wish};
use super::discovery::{DEVICES, Document};
use super::packet::{Publication, QoS};
use super::session::Message;
use crate::call::Action;
use crate::panel::protocol::{Event, Happening, Look, Status};
use crate::time::{Duration, Instant, Seldom, Unsaid};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

/// What happens without an event (somebody looked at the screen, so no call is missed any more) is seen after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Openings of the door within [`ALLOWED_WITHIN`]: an automation that runs wild opens it no more often.
const DOOR_OPENINGS_MAX: usize = 6;
/// All that may be asked for within it: many times what people do, and no flood for the station and its log.
const ASKED_MAX: usize = 30;
/// See there.
const ALLOWED_WITHIN: Duration = Duration::from_secs(60);
/// Wishes that wait to be taken: more than a person has within a second.
const WISHES_MAX: usize = 16;
/// Letters of a peer, a reason or a fault: Home Assistant's attributes are for people.
const WORDS_MAX: usize = 200;

/// All topics, beneath one root.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Whether the station is there.
    pub availability: String,
    pub(super) state: String,
    pub(super) door: String,
    pub(super) health: String,
    pub(super) event: String,
    pub(super) picture: String,
    pub(super) ring_picture: String,
    pub(super) command: String,
    pub(super) door_command: String,
    pub(super) take_picture: String,
}

impl Topics {
    /// Beneath `root`.
    pub fn beneath(root: &str) -> Topics {
        let topic = |name: &str| format!("{root}/{name}");
        Topics {
            availability: topic("availability"),
            state: topic("state"),
            door: topic("door"),
            health: topic("health"),
            event: topic("event"),
            picture: topic("picture"),
            ring_picture: topic("ring/picture"),
            command: topic("command"),
            door_command: topic("door/set"),
            take_picture: topic("picture/take"),
        }
    }

    /// Those through which something is asked for.
    pub fn commands(&self) -> Vec<String> {
        vec![self.command.clone(), self.door_command.clone(), self.take_picture.clone()]
    }

    /// That the station is there, or not.
    pub fn availability(&self, is_here: bool) -> Publication {
        let payload = if is_here { "online" } else { "offline" };
        Publication {
            topic: self.availability.clone(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            is_retained: true,
        }
    }
}

/// What is told, and what may be asked for.
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    /// The topics.
    pub topics: Topics,
    /// Beneath which topic Home Assistant looks for devices.
    pub discovery: String,
    /// Whether the door may be opened from there.
    pub may_release: bool,
}

/// A station, as the broker knows it.
pub struct Mirror {
    config: MirrorConfig,
    is_connected: bool,
    /// None while the station is not there, or has not said how it is.
    status: Option<Status>,
    /// What the broker was told last, by topic.
    told: BTreeMap<String, Vec<u8>>,
    /// The entities of the last document, to have Home Assistant forget those that are gone.
    components: Map<String, Value>,
    publications: VecDeque<Publication>,
    wishes: VecDeque<Wish>,
    is_status_wanted: bool,
    look_at: Instant,
    /// It calls somebody, as was last told: who of several has declined meanwhile is no news.
    is_calling: bool,
    openings: Allowance,
    asked: Allowance,
    refused: Seldom,
}

/// So many within [`ALLOWED_WITHIN`].
struct Allowance {
    most: usize,
    spent: VecDeque<Instant>,
}

impl Allowance {
    fn of(most: usize) -> Allowance {
        Allowance { most, spent: VecDeque::new() }
    }

    fn spend(&mut self, now: Instant) -> Result<(), Refusal> {
        self.spent.retain(|at| now.since(*at) < ALLOWED_WITHIN);
        if self.spent.len() >= self.most {
            return Err(Refusal::TooOften);
        }
        self.spent.push_back(now);
        Ok(())
    }
}

impl Mirror {
    /// Of a station that is not there yet.
    pub fn new(config: MirrorConfig) -> Mirror {
        Mirror {
            config,
            is_connected: false,
            status: None,
            told: BTreeMap::new(),
            components: Map::new(),
            publications: VecDeque::new(),
            wishes: VecDeque::new(),
            is_status_wanted: false,
            look_at: Instant::ZERO,
            is_calling: false,
            openings: Allowance::of(DOOR_OPENINGS_MAX),
            asked: Allowance::of(ASKED_MAX),
            refused: Seldom::default(),
        }
    }

    /// The broker has let us in, and knows nothing of us, or something old.
    pub fn handle_connected(&mut self) {
        self.is_connected = true;
        self.told.clear();
        // What stood there before this program was started, or was let in again, may offer what is no more.
        for (name, platform) in [("door", "lock"), ("door_state", "binary_sensor")] {
            self.components.entry(name).or_insert_with(|| json!({ "platform": platform }));
        }
        self.tell_all();
    }

    /// The broker is gone.
    pub fn handle_disconnected(&mut self) {
        self.is_connected = false;
        // Only what is news is kept, by the session; the rest is told anew.
        self.publications.retain(|publication| !publication.is_retained);
    }

    /// The station is there: how is it?
    pub fn handle_station(&mut self) {
        self.want_status();
    }

    /// The station is gone.
    pub fn handle_station_gone(&mut self) {
        self.status = None;
        self.tell_all();
    }

    /// How things are.
    pub fn handle_status(&mut self, now: Instant, status: Status) {
        self.status = Some(status);
        self.look_at = now + LOOK_AGAIN;
        self.tell_all();
    }

    /// Something has happened.
    pub fn handle_event(&mut self, event: &Event) {
        let was_calling = self.is_calling;
        if let Happening::State { state, .. } = &event.what {
            self.is_calling = state == "calling";
        }
        let (kind, peer) = match &event.what {
            Happening::State { state, peer, .. } if state == "ringing" => {
                self.wish(Wish::Look { look: Look::Call, is_ring: true });
                ("ring", peer.as_deref())
            }
            Happening::State { state, peer, .. } if state == "calling" && !was_calling => {
                self.wish(Wish::Look { look: Look::Camera, is_ring: true });
                ("call", peer.as_deref())
            }
            Happening::MissedCall { peer } => ("missed", Some(peer.as_str())),
            Happening::DoorReleased { by } => ("door", Some(by.as_str())),
            // What opens and shuts the door is told at once, not when the station has been asked.
            Happening::DoorOpen(is_open) => {
                if let Some(status) = &mut self.status {
                    status.is_door_open = *is_open;
                }
                return self.tell_all();
            }
            _ => return self.want_status(),
        };
        let told = json!({ "event_type": kind, "peer": peer.map(short), "at_unix_ms": event.at_unix_ms });
        self.publications.push_back(Publication {
            topic: self.config.topics.event.clone(),
            payload: told.to_string().into_bytes(),
            qos: QoS::AtLeastOnce,
            is_retained: false,
        });
        self.want_status();
    }

    /// A picture that was wished for, an image in JPEG; of a ring, if the wish said so.
    pub fn handle_picture(&mut self, jpeg: Vec<u8>, is_ring: bool) {
        let Topics { picture, ring_picture, .. } = &self.config.topics;
        let publication = |topic: &String, payload| Publication {
            topic: topic.clone(),
            payload,
            // Too large to be kept for a second try; the next ring has another one.
            qos: QoS::AtMostOnce,
            is_retained: true,
        };
        if is_ring {
            self.publications.push_back(publication(ring_picture, jpeg.clone()));
        }
        self.publications.push_back(publication(picture, jpeg));
    }

    /// Takes in a message of the broker's.
    ///
    /// # Errors
    /// Why nothing is done about it; whether that is worth a line in the log is [`Mirror::is_said`]'s to say.
    pub fn handle_message(&mut self, now: Instant, message: &Message) -> Result<(), Refusal> {
        let Some(wish) = command::read(&self.config.topics, message)? else { return Ok(()) };
        if wish == Wish::Act(Action::ReleaseHere) {
            if !self.config.may_release {
                return Err(Refusal::DoorIsClosed);
            }
            self.openings.spend(now)?;
        }
        self.asked.spend(now)?;
        self.wish(wish);
        Ok(())
    }

    /// Whether a refusal is written to the log, with how many were not: anybody at the broker may cause them for ever.
    pub fn is_said(&mut self, now: Instant) -> Option<Unsaid> {
        self.refused.admit(now)
    }

    /// To be called at [`Mirror::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.status.is_some() && now >= self.look_at {
            self.look_at = now + LOOK_AGAIN;
            self.want_status();
        }
    }

    /// When [`Mirror::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.status.is_some().then_some(self.look_at)
    }

    /// What is to be told to the broker.
    pub fn poll_publication(&mut self) -> Option<Publication> {
        self.publications.pop_front()
    }

    /// What is to be asked of the station.
    pub fn poll_wish(&mut self) -> Option<Wish> {
        if let Some(wish) = self.wishes.pop_front() {
            return Some(wish);
        }
        core::mem::take(&mut self.is_status_wanted).then_some(Wish::Status)
    }

    fn want_status(&mut self) {
        self.is_status_wanted = true;
    }

    fn wish(&mut self, wish: Wish) {
        if self.wishes.len() < WISHES_MAX {
            self.wishes.push_back(wish);
        }
    }

    /// Tells what is not told yet.
    fn tell_all(&mut self) {
        if !self.is_connected {
            return;
        }
        let Some(status) = self.status.clone() else {
            return self.tell(self.config.topics.availability(false));
        };
        self.tell_discovery(&status);
        let Topics { state, door, health, .. } = self.config.topics.clone();
        let retained = |topic: String, payload: String| Publication {
            topic,
            payload: payload.into_bytes(),
            qos: QoS::AtLeastOnce,
            is_retained: true,
        };
        let told = json!({
            "state": status.state, "peer": status.peer.as_deref().map(short), "reason": status.reason.as_deref().map(short),
            "muted": status.muted, "do_not_disturb": status.do_not_disturb, "missed": status.missed,
        });
        self.tell(retained(state, told.to_string()));
        let fault = |device: &str| {
            let mut faults = status.faults.iter();
            faults.find(|words| words.split(':').next() == Some(device)).map(|words| short(words))
        };
        let faults: Map<String, Value> =
            DEVICES.iter().map(|(device, _)| ((*device).to_owned(), fault(device).into())).collect();
        self.tell(retained(health, Value::Object(faults).to_string()));
        if status.has_door {
            let is_locked = if status.is_door_open { "UNLOCKED" } else { "LOCKED" };
            self.tell(retained(door, is_locked.into()));
        }
        self.tell(self.config.topics.availability(true));
    }

    /// The document, if it is another: first with what is gone, so that Home Assistant forgets it, then without.
    fn tell_discovery(&mut self, status: &Status) {
        let MirrorConfig { topics, discovery, may_release } = &self.config;
        let document = Document { topics, status, may_release: *may_release };
        let components = document.components();
        let topic = format!("{discovery}/device/{}/config", document.id());
        let publication =
            |payload| Publication { topic: topic.clone(), payload, qos: QoS::AtLeastOnce, is_retained: true };
        let whole = publication(document.text(components.clone()));
        let gone = self.components.iter().filter(|(name, _)| !components.contains_key(*name));
        let gone: Map<String, Value> =
            gone.map(|(name, of)| (name.clone(), json!({ "platform": of["platform"] }))).collect();
        if !gone.is_empty() {
            let mut with_gone = components.clone();
            with_gone.extend(gone);
            let farewell = publication(document.text(with_gone));
            self.publications.push_back(farewell);
        }
        self.components = components;
        self.tell(whole);
    }

    fn tell(&mut self, publication: Publication) {
        if self.told.get(&publication.topic) != Some(&publication.payload) {
            self.told.insert(publication.topic.clone(), publication.payload.clone());
            self.publications.push_back(publication);
        }
    }
}

/// As much of it as a person reads.
fn short(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests;
