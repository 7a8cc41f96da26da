//! Lines of the board, and the lamps and relays on them.

use super::value::{self, text_value, words};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
