//! Lines of the board, and the lamps and relays on them.

use super::value::{self, text_value, words};
use crate::device::gpio::{Bias, LineSpec};
use crate::panel::lamp::{Sign, USUAL};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

text_value!(Sign, "something to tell, such as \"ringing\"");
text_value!(LineSpec, "a line such as \"GPIO17\" or \"gpiochip0:17\"", "none");

words!(Bias, "\"pull-up\", \"pull-down\", \"off\" or \"auto\"",
    "pull-up" => Bias::PullUp, "pull-down" => Bias::PullDown, "off" => Bias::Disabled);

/// Something about the station that a lamp or relay can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling(
    /// What.
    pub Sign,
);

// They stand in lists, where no field can say how they are read.
impl<'de> Deserialize<'de> for Telling {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Telling, D::Error> {
        value::deserialize(from).map(Telling)
    }
}

impl Serialize for Telling {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        value::serialize(&self.0, to)
    }
}

/// `[[lamp]]`: a lamp that blinks in its own way for each of what it tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lamp {
    /// Its line.
    #[serde(with = "value")]
    pub line: LineSpec,
    /// Whether it is lit when the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// What it tells: the first of these that is so; it is dark while none is.
    #[serde(default = "Lamp::shows")]
    pub shows: Vec<Telling>,
}

impl Lamp {
    fn shows() -> Vec<Telling> {
        USUAL.iter().map(|(sign, _)| Telling(*sign)).collect()
    }
}

/// `[[relay]]`: a line that is on for as long as something is so: a bell, a light at the door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// Its line.
    #[serde(with = "value")]
    pub line: LineSpec,
    /// Whether it is on when the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// When it is on.
    #[serde(default = "Relay::during")]
    pub during: Vec<Telling>,
}

impl Relay {
    fn during() -> Vec<Telling> {
        vec![Telling(Sign::Ringing)]
    }
}
