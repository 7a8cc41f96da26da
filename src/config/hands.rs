//! What people put their hands on: buttons, keys, touch, a knob; and what each means.

use super::value::{self, text_value, time, words};
use crate::call::{Action, Switch, VOLUME_STEP_PERCENT, Volume};
use crate::device::gpio::{Bias, LineSpec};
use crate::device::keys::Key;
use crate::device::touch::Rotation;
use crate::time::Duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

text_value!(Action, "an action such as \"ring kitchen\", or \"nothing\"", "nothing");

/// `[[button]]`: one button, and what its presses mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// Its line.
    #[serde(with = "value")]
    pub line: LineSpec,
    /// Whether it is pressed when the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// What holds the line while it is not pressed; `None`: as the board has it.
    #[serde(default, with = "value")]
    pub bias: Option<Bias>,
    /// How long the contact may bounce.
    #[serde(
        default = "Button::debounce",
        deserialize_with = "time::<_, 0, 1_000>",
        serialize_with = "value::serialize"
    )]
    pub debounce: Duration,
    /// How long it is held for a long press.
    #[serde(
        default = "Button::long_press",
        deserialize_with = "time::<_, 200, 10_000>",
        serialize_with = "value::serialize"
    )]
    pub long_press: Duration,
    /// What a short press means.
    #[serde(default = "Button::short", with = "value")]
    pub short: Option<Action>,
    /// What a long press means, while it is held.
    #[serde(default, with = "value")]
    pub long: Option<Action>,
    /// What two short presses mean.
    #[serde(default, with = "value")]
    pub double: Option<Action>,
}

impl Button {
    fn debounce() -> Duration {
        Duration::from_millis(5)
    }

    fn long_press() -> Duration {
        Duration::from_secs(1)
    }

    fn short() -> Option<Action> {
        Some(Action::CallButton)
    }
}

/// `[keys]`: what keys of keyboards, remote controls and input lines mean, by the kernel's names.
///
/// The keys that everybody expects are there from the start; a key that is typed here means something else, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Keys(
    /// Each key's meaning; `None` for nothing.
    pub BTreeMap<String, Option<Action>>,
);

impl Default for Keys {
    fn default() -> Keys {
        let step = VOLUME_STEP_PERCENT as i8;
        let keys = [
            ("KEY_ESC", Action::HangUp),
            ("KEY_Q", Action::HangUp),
            ("KEY_VOLUMEUP", Action::Volume(Volume::Change(step))),
            ("KEY_VOLUMEDOWN", Action::Volume(Volume::Change(-step))),
            ("KEY_MUTE", Action::Mute(Switch::Toggle)),
        ];
        Keys(keys.into_iter().map(|(key, action)| (key.to_owned(), Some(action))).collect())
    }
}

/// A key as the kernel writes its name, `KEY_ESC`, in whatever way it is typed; what is no key stays as it is, for
/// `check` to refuse at its place.
fn full_name(typed: &str) -> String {
    let name = typed.trim().to_ascii_uppercase();
    let has_prefix = name.starts_with("KEY_") || name.starts_with("BTN_");
    match typed.parse::<Key>() {
        Ok(_) if has_prefix => name,
        Ok(_) => format!("KEY_{name}"),
        Err(_) => typed.to_owned(),
    }
}

/// A typed key and its action.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Meaning(#[serde(with = "value")] Option<Action>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Keys, D::Error> {
        let typed: BTreeMap<String, Meaning> = Deserialize::deserialize(from)?;
        let mut keys = Keys::default();
        for (key, meaning) in typed {
            keys.0.insert(full_name(&key), meaning.0);
        }
        Ok(keys)
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, action)| (key, Meaning(action.clone()))))
    }
}

/// `[touch]`: how the touch panel lies on the screen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Touch {
    /// How far the panel's picture of itself is turned against the screen's.
    #[serde(with = "value")]
    pub rotate: Rotation,
}

words!(Rotation, "\"0\", \"90\", \"180\" or \"270\"",
    "0" => Rotation::None, "90" => Rotation::Right, "180" => Rotation::Around, "270" => Rotation::Left);

/// `[rotary]`: a knob on two lines (quadrature).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotary {
    /// The line that leads when it is turned clockwise; `None`: there is no knob.
    #[serde(with = "value")]
    pub line_a: Option<LineSpec>,
    /// The other line.
    #[serde(with = "value")]
    pub line_b: Option<LineSpec>,
    /// What holds both lines while a contact is open; `None`: as the board has it.
    #[serde(with = "value")]
    pub bias: Option<Bias>,
    /// What a step clockwise means.
    #[serde(with = "value")]
    pub clockwise: Option<Action>,
    /// What a step the other way means.
    #[serde(with = "value")]
    pub counterclockwise: Option<Action>,
}

impl Default for Rotary {
    fn default() -> Rotary {
        let step = VOLUME_STEP_PERCENT as i8;
        Rotary {
            line_a: None,
            line_b: None,
            bias: None,
            clockwise: Some(Action::Volume(Volume::Change(step))),
            counterclockwise: Some(Action::Volume(Volume::Change(-step))),
        }
    }
}
