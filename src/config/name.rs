//! Names of stations and groups, as the configuration has them.

use super::value::{self, Value};
use crate::identity::check_name;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that people can read out: 1 to 32 letters, as in the address book.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Name {
    const LIKE: &'static str = "a name such as \"kitchen\"";

    fn read(text: &str) -> Result<Name, String> {
        check_name(text)?;
        // What `ring all` and `name = "auto"` mean could otherwise not be told from a station.
        if ["all", "auto"].contains(&text) {
            return Err(format!("{text:?} has a meaning of its own here: choose another name"));
        }
        Ok(Name(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

// Names stand in lists and as keys, where no field can say how they are read.
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        value::deserialize(from)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        value::serialize(self, to)
    }
}
