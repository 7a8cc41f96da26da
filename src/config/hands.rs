//! What people put their hands on, and what answers them: buttons, keys, touch, a knob, lamps, relays, the socket.

use super::value::{self, Value, text_value, time, words};
use crate::call::{Action, VOLUME_STEP_PERCENT, Volume};
use crate::time::Duration;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A line of the GPIO character device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// By the name that the board's device tree gives it: `"GPIO17"`, `"BTN_CALL"`.
    Named(String),
    /// By chip (its node, name or label) and offset: `"gpiochip0:17"`.
    At {
        /// The chip.
        chip: String,
        /// The line's number in it.
        offset: u32,
    },
}

/// The kernel keeps 31 bytes of a line's or chip's name (GPIO_MAX_NAME_SIZE).
const LINE_BYTES_MAX: usize = 31;

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        let (name, offset) = match text.rsplit_once(':') {
            Some((chip, offset)) if offset.bytes().all(|b| b.is_ascii_digit()) => (chip, offset.parse().ok()),
            _ => (text, None),
        };
        if name.is_empty() || name.len() > LINE_BYTES_MAX || text.chars().any(char::is_control) || text.ends_with(':') {
            return Err(format!(
                "{text:?} is no line: write its name (`visavis devices` lists them), or a chip and offset such as \
                 \"gpiochip0:17\""
            ));
        }
        let name = name.to_owned();
        Ok(offset.map_or_else(|| Line::Named(text.to_owned()), |offset| Line::At { chip: name, offset }))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Named(name) => f.write_str(name),
            Line::At { chip, offset } => write!(f, "{chip}:{offset}"),
        }
    }
}

text_value!(Line, "a line such as \"GPIO17\" or \"gpiochip0:17\"", "none");

/// What holds an input while nobody presses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// A resistor to the supply: a button that closes to ground.
    PullUp,
    /// A resistor to ground: a button that closes to the supply.
    PullDown,
    /// No resistor of the chip's: the circuit has one.
    Off,
}

words!(Bias, "\"pull-up\", \"pull-down\", \"off\" or \"auto\"",
    "pull-up" => Bias::PullUp, "pull-down" => Bias::PullDown, "off" => Bias::Off);

text_value!(Action, "an action such as \"ring kitchen\", or \"nothing\"", "nothing");

/// `[[button]]`: one button, and what its presses mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// Its line.
    #[serde(with = "value")]
    pub line: Line,
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

/// What a lamp or relay tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody rings here.
    Ringing,
    /// This station rings somebody.
    Calling,
    /// There is a call.
    Talking,
    /// Something is wrong.
    Fault,
}

words!(Occasion, "\"ringing\", \"calling\", \"talking\" or \"fault\"",
    "ringing" => Occasion::Ringing, "calling" => Occasion::Calling, "talking" => Occasion::Talking,
    "fault" => Occasion::Fault);

// Occasions stand in lists, where no field can say how they are read.
impl<'de> Deserialize<'de> for Occasion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Occasion, D::Error> {
        value::deserialize(from)
    }
}

impl Serialize for Occasion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        value::serialize(self, to)
    }
}

/// `[[lamp]]`: a lamp that blinks in the pattern of each occasion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lamp {
    /// Its line.
    #[serde(with = "value")]
    pub line: Line,
    /// Whether it is lit when the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// What it tells; on anything else it is dark.
    #[serde(default = "Lamp::shows")]
    pub shows: Vec<Occasion>,
}

impl Lamp {
    fn shows() -> Vec<Occasion> {
        vec![Occasion::Ringing, Occasion::Calling, Occasion::Talking, Occasion::Fault]
    }
}

/// `[[relay]]`: a line that is on throughout an occasion: a bell, a light at the door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// Its line.
    #[serde(with = "value")]
    pub line: Line,
    /// Whether it is on when the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// When it is on.
    #[serde(default = "Relay::during")]
    pub during: Vec<Occasion>,
}

impl Relay {
    fn during() -> Vec<Occasion> {
        vec![Occasion::Ringing]
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
            ("KEY_MUTE", Action::Mute(crate::call::Switch::Toggle)),
        ];
        Keys(keys.into_iter().map(|(key, action)| (key.to_owned(), Some(action))).collect())
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
        keys.0.extend(typed.into_iter().map(|(key, meaning)| (key, meaning.0)));
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

/// Quarter turns, clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// Upright.
    #[default]
    None,
    /// A quarter.
    Quarter,
    /// Upside down.
    Half,
    /// Three quarters.
    ThreeQuarters,
}

words!(Rotation, "\"0\", \"90\", \"180\" or \"270\"",
    "0" => Rotation::None, "90" => Rotation::Quarter, "180" => Rotation::Half, "270" => Rotation::ThreeQuarters);

/// `[rotary]`: a knob on two lines (quadrature).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotary {
    /// The line that leads when it is turned clockwise; `None`: there is no knob.
    #[serde(with = "value")]
    pub line_a: Option<Line>,
    /// The other line.
    #[serde(with = "value")]
    pub line_b: Option<Line>,
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

/// `[control]`: the socket of `visavis ctl`, `status` and `watch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Where it is; `None`: `control` in the unit's runtime directory.
    #[serde(with = "value")]
    pub socket: Option<SocketPath>,
    /// The group that may use it; `None`: the station's own.
    #[serde(with = "value")]
    pub group: Option<GroupName>,
}

/// An absolute path that fits a Unix socket's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath(
    /// The path.
    pub PathBuf,
);

/// sun_path has 108 bytes, its closing NUL among them (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Value for SocketPath {
    const LIKE: &'static str = "a path such as \"/run/visavis/control\", or \"auto\"";

    fn read(text: &str) -> Result<SocketPath, String> {
        if !text.starts_with('/') || text.len() > SOCKET_PATH_BYTES_MAX || text.contains('\0') {
            return Err(format!(
                "{text:?} is no place for a socket: write a path from / on, of at most {SOCKET_PATH_BYTES_MAX} bytes"
            ));
        }
        Ok(SocketPath(text.into()))
    }

    fn write(&self) -> String {
        self.0.display().to_string()
    }
}

/// The name of a group of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(
    /// The name; whether there is such a group is seen when the socket is made.
    pub String,
);

impl Value for GroupName {
    const LIKE: &'static str = "a group of users such as \"visavis\", or \"auto\"";

    fn read(text: &str) -> Result<GroupName, String> {
        // What groupadd(8) takes, and numbers.
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if text.is_empty() || text.len() > 32 || !text.bytes().all(is_name) {
            return Err(format!("{text:?} is no group: write its name, as `getent group` lists it"));
        }
        Ok(GroupName(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}
