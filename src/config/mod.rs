//! `station.toml`: what the installer types, read once into what the station means by it.
//!
//! The file is strict: a key that does not exist, a wrong unit and a value out of range are errors that name the file,
//! line, column, key and remedy ([`ConfigError`]). Everything has a default, so that an empty file, or none, is a working
//! station; `deploy/station.toml` documents every key with it. Units stand in the values (`"45s"`, `"2 Mbit/s"`), and one
//! piece reads them. [`Config::to_toml`] writes the effective configuration, which reads back as the same.
//!
//! **A value is typed as text and meant as a type**: sections hold what is meant, each field names how it is typed
//! (`value`), and there is nothing in between that could be passed on unchecked. What needs other fields to be judged
//! (names that occur twice, lines that two things claim) is looked at once, in `check`.

mod call;
mod check;
mod control;
mod error;
mod hands;
mod intercom;
mod lines;
mod media;
mod metrics;
mod mqtt;
mod name;
#[cfg(test)]
mod tests;
mod value;
mod web;

pub use call::{Call, Door, Peer, PeerAddress};
pub use control::{Control, GroupName, SocketPath};
pub use error::ConfigError;
pub use hands::{Button, Keys, Rotary, Touch};
pub use intercom::Surroundings;
pub use lines::{Lamp, Relay, Telling};
pub use media::{Camera, Loudspeaker, Microphone, PORT, Screen, Station};
pub use metrics::Metrics;
pub use mqtt::{BrokerAddress, CertificateFile, Mqtt, PasswordFile, Topic, UserName};
pub use name::Name;
pub use value::{BitRate, FrameRate};
pub use web::{Publish, TokenFile, Web};

use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::Path;

/// Where the configuration of an installed station is.
pub const CONFIG_FILE: &str = "/etc/visavis/station.toml";
/// A file with every key and 64 of everything has some 30 kB; what is longer is not a configuration.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The whole file, as meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[station]`
    pub station: Station,
    /// `[camera]`
    pub camera: Camera,
    /// `[screen]`
    pub screen: Screen,
    /// `[microphone]`
    pub microphone: Microphone,
    /// `[loudspeaker]`
    pub loudspeaker: Loudspeaker,
    /// `[call]`
    pub call: Call,
    /// `[door]`
    pub door: Door,
    /// `[keys]`
    pub keys: Keys,
    /// `[touch]`
    pub touch: Touch,
    /// `[rotary]`
    pub rotary: Rotary,
    /// `[control]`
    pub control: Control,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[web]`
    pub web: Web,
    /// `[mqtt]`
    pub mqtt: Mqtt,
    /// `[[button]]`, each one
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub button: Vec<Button>,
    /// `[[lamp]]`, each one
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lamp: Vec<Lamp>,
    /// `[[relay]]`, each one
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relay: Vec<Relay>,
    /// `[[peer]]`, each one
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer: Vec<Peer>,
}

impl Config {
    /// The configuration in the file `path`; the defaults where there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read, or the first thing in it that is wrong.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            Ok(_) => Config::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(ConfigError::io(path, error)),
        }
    }

    /// The configuration that `text` is; `path` is for the errors.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(ConfigError::whole(
                path,
                "the file is too long",
                format!("{FILE_BYTES_MAX} bytes are the most"),
            ));
        }
        let config: Config = toml::from_str(text).map_err(|error| ConfigError::typed(path, text, &error))?;
        check::check(&config).map_err(|wrong| ConfigError::meant(path, text, wrong))?;
        Ok(config)
    }

    /// The effective configuration: every key with its value. It reads back as the same.
    pub fn to_toml(&self) -> String {
        // Texts, numbers, booleans, and lists and tables of them are all within TOML: this cannot fail.
        toml::to_string(self).expect("a configuration is valid TOML")
    }
}
