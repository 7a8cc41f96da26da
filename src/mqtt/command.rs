//! A message as a wish of the station, or why it is none.
//!
//! **Whoever may write to the broker may ask for little:** to answer, refuse and end a call, to ring, to mute, to be left in
//! peace, for a picture, and, where the configuration says so, for the door. Nobody sees or hears a station through it whom the
//! station does not call or answer, and nothing is configured by it.

use super::mirror::Topics;
use super::session::Message;
use crate::call::Action;
use crate::panel::protocol::Look;
use core::fmt;

/// What the station is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To do something.
    Act(Action),
    /// How things are.
    Status,
    /// For a picture.
    Look {
        /// Of what.
        look: Look,
        /// Somebody rings, and it is of them.
        is_ring: bool,
    },
}

/// Why a message is no wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has lain in the broker since who knows when.
    Retained,
    /// It may have waited somewhere: the broker has given no sign of life lately.
    Late,
    /// It is longer than any.
    TooLong,
    /// The configuration does not let the door be opened from there.
    DoorIsClosed,
    /// That was asked for often enough for now.
    TooOften,
    /// It says what cannot be asked for, in words.
    Unknown(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Retained => f.write_str(
                "it was retained, so nobody knows how old it is; remove it with mosquitto_pub --retain --null-message",
            ),
            Refusal::Late => f.write_str("the broker has not answered for a moment, so it may be an old one"),
            Refusal::TooLong => f.write_str("it is longer than any message to a station"),
            Refusal::DoorIsClosed => {
                f.write_str("the door is not opened from there: that takes release = true under [mqtt] in station.toml")
            }
            Refusal::TooOften => f.write_str("that was asked for often enough for now"),
            Refusal::Unknown(why) => f.write_str(why),
        }
    }
}

/// What is asked for; whether the door may be, and how often, is not looked at here.
pub(super) fn read(topics: &Topics, message: &Message) -> Result<Option<Wish>, Refusal> {
    if message.is_retained {
        return Err(Refusal::Retained);
    }
    let payload = message.payload.as_deref().ok_or(Refusal::TooLong)?;
    let unknown = |words: &str| Refusal::Unknown(words.to_owned());
    let text = core::str::from_utf8(payload).map_err(|_| unknown("it is no text in UTF-8"))?.trim();
    // So a retained message is removed.
    if text.is_empty() {
        return Ok(None);
    }
    if !message.is_timely {
        return Err(Refusal::Late);
    }
    match (message.topic.as_str(), text) {
        (topic, "UNLOCK") if topic == topics.door_command => Ok(Some(Wish::Act(Action::ReleaseHere))),
        // It locks by itself; Home Assistant demands that it can be asked for.
        (topic, "LOCK") if topic == topics.door_command => Ok(None),
        (topic, _) if topic == topics.door_command => Err(unknown("a door takes UNLOCK and LOCK")),
        (topic, "PRESS") if topic == topics.take_picture => Ok(Some(Wish::Look { look: Look::Camera, is_ring: false })),
        (topic, _) if topic == topics.take_picture => Err(unknown("a picture is taken by PRESS")),
        (topic, text) if topic == topics.command => {
            let action: Action = text.parse().map_err(|error| Refusal::Unknown(format!("{error}")))?;
            match action {
                Action::Answer
                | Action::Decline
                | Action::HangUp
                | Action::Ring(_)
                | Action::Mute(_)
                | Action::DoNotDisturb(_) => Ok(Some(Wish::Act(action))),
                other => Err(Refusal::Unknown(format!("`{other}` cannot be asked for by MQTT"))),
            }
        }
        _ => Err(unknown("nothing is asked for there")),
    }
}
