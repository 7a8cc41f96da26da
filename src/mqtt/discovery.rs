//! The document from which Home Assistant makes one device and its entities.
//!
//! It is a "device discovery payload", as <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload> has it
//! (Home Assistant 2024.11 and later), retained at `PREFIX/device/ID/config`; the keys of each entity are those of the
//! page of its platform (`/integrations/event.mqtt/`, `lock.mqtt`, `image.mqtt`, …), in full.

use super::mirror::Topics;
use crate::panel::protocol::Status;
use serde_json::{Map, Value, json};

/// Devices that a station may lack, as its faults call them, and as people do.
pub(super) const DEVICES: [(&str, &str); 4] =
    [("camera", "Camera"), ("microphone", "Microphone"), ("loudspeaker", "Loudspeaker"), ("screen", "Screen")];
/// What can happen, as types of the event entity.
pub(super) const EVENTS: [&str; 4] = ["ring", "call", "missed", "door"];
/// The words of [`Status::state`].
const STATES: [&str; 10] =
    ["idle", "calling", "ringing", "talking", "held", "paging", "paged", "monitoring", "monitored", "ended"];

/// A name for the identifiers of Home Assistant and of clients at a broker, which have letters, digits, `_` and `-`: every other byte becomes `_` and its
/// two digits, so that no two names become one.
pub fn identifier(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            text.push(byte.into());
        } else {
            text.push_str(&format!("_{byte:02x}"));
        }
    }
    text
}

/// What is told of a station.
pub(super) struct Document<'a> {
    pub topics: &'a Topics,
    pub status: &'a Status,
    pub may_release: bool,
}

impl Document<'_> {
    /// What Home Assistant knows the station by: its key's fingerprint, which no other has and which outlasts its name.
    pub fn id(&self) -> String {
        format!("visavis_{}", identifier(&self.status.key.to_ascii_lowercase()))
    }

    /// The entities, by names of their own, of which no two are the same.
    pub fn components(&self) -> Map<String, Value> {
        let mut all = Map::new();
        let id = self.id();
        let mut add = |name: &str, mut component: Value| {
            component["unique_id"] = format!("{id}_{name}").into();
            all.insert(name.to_owned(), component);
        };
        let Topics { state, event, health, picture, ring_picture, command, take_picture, .. } = self.topics;
        add(
            "event",
            json!({ "platform": "event", "name": "Ring", "device_class": "doorbell", "event_types": EVENTS, "state_topic": event }),
        );
        add(
            "call",
            json!({ "platform": "sensor", "name": "Call", "device_class": "enum", "options": STATES, "state_topic": state,
                "value_template": "{{ value_json.state }}", "json_attributes_topic": state, "icon": "mdi:phone" }),
        );
        add(
            "missed",
            json!({ "platform": "sensor", "name": "Missed calls", "state_topic": state,
                "value_template": "{{ value_json.missed }}", "icon": "mdi:phone-missed" }),
        );
        for (device, name) in DEVICES {
            add(
                device,
                json!({ "platform": "binary_sensor", "name": name, "device_class": "problem",
                    "entity_category": "diagnostic", "state_topic": health,
                    "value_template": format!("{{{{ 'ON' if value_json.{device} else 'OFF' }}}}"),
                    "json_attributes_topic": health }),
            );
        }
        add("picture", json!({ "platform": "camera", "name": "Picture", "topic": picture }));
        add(
            "last_ring",
            json!({ "platform": "image", "name": "Last ring", "image_topic": ring_picture, "content_type": "image/jpeg" }),
        );
        let mut button = |name: &str, words: &str, icon: &str, topic: &str, payload: &str| {
            add(
                name,
                json!({ "platform": "button", "name": words, "icon": icon, "command_topic": topic, "payload_press": payload }),
            );
        };
        button("answer", "Answer", "mdi:phone", command, "answer");
        button("hang_up", "Hang up", "mdi:phone-hangup", command, "hang-up");
        button("take_picture", "Take a picture", "mdi:camera", take_picture, "PRESS");
        for link in &self.status.links {
            let name = &link.name;
            let action = crate::call::Action::Ring(crate::call::Whom::Named(name.clone())).to_string();
            button(&format!("call_{}", identifier(name)), &format!("Call {name}"), "mdi:bell", command, &action);
        }
        if self.status.has_door {
            let (name, component) = self.door();
            add(name, component);
        }
        all
    }

    /// A lock where it may be opened from there, else what shows whether it is open.
    fn door(&self) -> (&'static str, Value) {
        let Topics { door, door_command, .. } = self.topics;
        if self.may_release {
            let lock = json!({ "platform": "lock", "name": "Door", "state_topic": door, "command_topic": door_command,
                "state_locked": "LOCKED", "state_unlocked": "UNLOCKED", "optimistic": false, "retain": false });
            return ("door", lock);
        }
        let sensor = json!({ "platform": "binary_sensor", "name": "Door", "device_class": "lock", "state_topic": door,
            "payload_on": "UNLOCKED", "payload_off": "LOCKED" });
        ("door_state", sensor)
    }

    /// The whole, with these entities. One that has only its platform is one that Home Assistant is to forget.
    pub fn text(&self, components: Map<String, Value>) -> Vec<u8> {
        let Status { station, version, .. } = self.status;
        let document = json!({
            "device": {
                "identifiers": [self.id()], "name": station, "manufacturer": "visavis", "model": "Intercom station",
                "sw_version": version,
            },
            "origin": { "name": "visavis", "sw_version": version },
            "availability_topic": self.topics.availability,
            "qos": 1,
            "components": components,
        });
        document.to_string().into_bytes()
    }
}
