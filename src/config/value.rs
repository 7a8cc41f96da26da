//! Values that are typed as text: the one piece that reads and writes times, rates, hours and names of things.
//!
//! A field says `#[serde(with = "value")]` for text alone, or names [`time`] or [`number`] with its bounds. What may be
//! left to the station is an `Option`, with a word of its own for that (`"auto"`, `"never"`, `"nothing"`).

use crate::call::{MinuteOfDay, QuietHours};
use crate::time::Duration;
use core::fmt;
use core::marker::PhantomData;
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// What is typed as text.
pub(super) trait Value: Sized {
    /// What it is, with an example; errors say that this is wanted.
    const LIKE: &'static str;
    /// The word for `None`, where it is optional.
    const UNSET: &'static str = "auto";

    /// Reads it.
    ///
    /// # Errors
    /// In words: what is wrong, and after a colon what would be right.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes it so that it reads back as the same.
    fn write(&self) -> String;
}

impl<T: Value> Value for Option<T> {
    const LIKE: &'static str = T::LIKE;

    fn read(text: &str) -> Result<Option<T>, String> {
        if text == T::UNSET { Ok(None) } else { T::read(text).map(Some) }
    }

    fn write(&self) -> String {
        self.as_ref().map_or_else(|| T::UNSET.into(), T::write)
    }
}

/// Gives a type that has `FromStr` and `Display` the same notation here.
macro_rules! text_value {
    ($type:ty, $like:literal $(, $unset:literal)?) => {
        impl $crate::config::value::Value for $type {
            const LIKE: &'static str = $like;
            $(const UNSET: &'static str = $unset;)?

            fn read(text: &str) -> Result<$type, String> {
                text.parse().map_err(|error| format!("{error}"))
            }

            fn write(&self) -> String {
                self.to_string()
            }
        }
    };
}
pub(super) use text_value;

/// Gives an enum of plain words their notation.
macro_rules! words {
    ($type:ty, $like:literal, $($word:literal => $variant:expr),+ $(,)?) => {
        impl $crate::config::value::Value for $type {
            const LIKE: &'static str = $like;

            fn read(text: &str) -> Result<$type, String> {
                match text {
                    $($word => Ok($variant),)+
                    _ => Err(format!("{text:?} is none of the words that are known here: {}", [$($word),+].join(", "))),
                }
            }

            fn write(&self) -> String {
                [$(($word, $variant)),+].iter().find(|(_, value)| value == self).map_or("", |(word, _)| word).into()
            }
        }
    };
}
pub(super) use words;

struct Text<T>(PhantomData<T>);

impl<T: Value> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::LIKE)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text.trim()).map_err(E::custom)
    }
}

/// Reads a value; for `#[serde(with = "value")]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Value>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(Text(PhantomData))
}

/// Writes a value; for `#[serde(with = "value")]`.
pub(super) fn serialize<S: Serializer, T: Value>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.write())
}

/// Reads a time of at least and at most so many milliseconds.
pub(super) fn time<'de, D: Deserializer<'de>, const LEAST_MS: u64, const MOST_MS: u64>(
    from: D,
) -> Result<Duration, D::Error> {
    let time: Duration = deserialize(from)?;
    let (least, most) = (Duration::from_millis(LEAST_MS), Duration::from_millis(MOST_MS));
    if (least..=most).contains(&time) {
        return Ok(time);
    }
    let (time, least, most) = (time.write(), least.write(), most.write());
    Err(D::Error::custom(format!("{time} is out of range: it must lie between {least} and {most}")))
}

/// Reads a whole number of at least and at most so much.
pub(super) fn number<'de, D: Deserializer<'de>, T: TryFrom<i64>, const LEAST: i64, const MOST: i64>(
    from: D,
) -> Result<T, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number, without quotes")
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }
    }
    let number = from.deserialize_any(Number)?;
    let within = Some(number).filter(|number| (LEAST..=MOST).contains(number));
    within
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| D::Error::custom(format!("{number} is out of range: it must lie between {LEAST} and {MOST}")))
}

/// A number and its unit, with or without blanks between and around them.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

/// Milliseconds of each unit, the longest first.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

impl Value for Duration {
    const LIKE: &'static str = "a time such as \"500ms\", \"45s\", \"2min\" or \"1h\"";

    fn read(text: &str) -> Result<Duration, String> {
        let wrong = || format!("{text:?} is not a time: write it as {}", &Self::LIKE["a time such as ".len()..]);
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let (_, unit_ms) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        // Times are bounded to hours by their fields; this bound only keeps the conversion exact.
        let ms = (number * *unit_ms as f64).round().min(1e12);
        Ok(Duration::from_millis(ms as u64))
    }

    fn write(&self) -> String {
        let ms = self.as_millis() as u64;
        let unit = TIME_UNITS.iter().find(|(_, unit_ms)| ms >= *unit_ms && ms.is_multiple_of(*unit_ms));
        unit.map_or_else(|| "0s".into(), |(name, unit_ms)| format!("{}{name}", ms / unit_ms))
    }
}

/// Bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitRate(
    /// Bits a second, from 50,000 to 200,000,000.
    pub u32,
);

impl Value for BitRate {
    const LIKE: &'static str = "a rate such as \"800 kbit/s\" or \"2 Mbit/s\", or \"auto\"";

    fn read(text: &str) -> Result<BitRate, String> {
        let wrong = || format!("{text:?} is not a rate: write it as \"800 kbit/s\" or \"2 Mbit/s\"");
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let unit_bps = match unit {
            "bit/s" => 1.0,
            "kbit/s" => 1e3,
            "Mbit/s" => 1e6,
            _ => return Err(wrong()),
        };
        let bps = (number * unit_bps).round();
        if (50e3..=200e6).contains(&bps) {
            Ok(BitRate(bps as u32))
        } else {
            Err(format!("{text} is out of range: it must lie between 50 kbit/s and 200 Mbit/s"))
        }
    }

    fn write(&self) -> String {
        match self.0 {
            bps if bps.is_multiple_of(1_000_000) => format!("{} Mbit/s", bps / 1_000_000),
            bps if bps.is_multiple_of(1_000) => format!("{} kbit/s", bps / 1_000),
            bps => format!("{bps} bit/s"),
        }
    }
}

/// Frames a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate(
    /// Frames a second, from 1 to 120.
    pub u32,
);

impl Value for FrameRate {
    const LIKE: &'static str = "a rate such as \"30 fps\", or \"auto\"";

    fn read(text: &str) -> Result<FrameRate, String> {
        let number = text.strip_suffix("fps").and_then(|number| number.trim_end().parse().ok());
        let number = number.ok_or_else(|| format!("{text:?} is not a rate of pictures: write it as \"30 fps\""))?;
        if (1..=120).contains(&number) {
            Ok(FrameRate(number))
        } else {
            Err(format!("{text} is out of range: it must lie between 1 fps and 120 fps"))
        }
    }

    fn write(&self) -> String {
        format!("{} fps", self.0)
    }
}

impl Value for QuietHours {
    const LIKE: &'static str = "hours such as \"22:00-07:00\", or \"never\"";
    const UNSET: &'static str = "never";

    fn read(text: &str) -> Result<QuietHours, String> {
        let of_day = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let digits = |text: &str| text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
            let (hour, minute): (u16, u16) =
                (digits(hour).then_some(hour)?.parse().ok()?, digits(minute).then_some(minute)?.parse().ok()?);
            MinuteOfDay::new(hour, minute)
        };
        let hours = text.split_once('-').and_then(|(from, to)| Some(QuietHours { from: of_day(from)?, to: of_day(to)? }));
        let hours = hours.ok_or_else(|| format!("{text:?} are no hours of the day: write them as \"22:00-07:00\""))?;
        if hours.from == hours.to {
            return Err(format!("{text} is no time at all, or all of it: write \"never\", or \"00:00-23:59\""));
        }
        Ok(hours)
    }

    fn write(&self) -> String {
        format!("{}-{}", self.from, self.to)
    }
}
