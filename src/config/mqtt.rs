//! Where the house's MQTT broker is, and what it may do here.

use super::value::{self, Value};
use crate::station::{BridgeConfig, BrokerConfig, TlsConfig};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The usual TCP ports (IANA: mqtt, secure-mqtt).
const PORT_PLAIN: u16 = 1883;
const PORT_TLS: u16 = 8883;
/// A password's bytes at most.
const PASSWORD_BYTES_MAX: usize = 1024;
/// A topic's bytes at most: the rest of the longest topic, and room for what a broker's own bound may be.
const TOPIC_BYTES_MAX: usize = 128;

/// `[mqtt]`: the house's own automation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// The broker; `None`: none is told anything.
    #[serde(with = "value")]
    pub broker: Option<BrokerAddress>,
    /// The user there.
    #[serde(with = "value")]
    pub user: Option<UserName>,
    /// Where the password is.
    #[serde(with = "value")]
    pub password_file: Option<PasswordFile>,
    /// The certificates of who vouches for a broker with TLS; `None`: those that the system trusts.
    #[serde(with = "value")]
    pub ca_file: Option<CertificateFile>,
    /// Beneath which topic Home Assistant looks for devices.
    #[serde(with = "value")]
    pub discovery: Topic,
    /// Beneath which topic everything is; `None`: `visavis/` and the station's name.
    #[serde(with = "value")]
    pub topic: Option<Topic>,
    /// Whether the door may be opened from there.
    pub release: bool,
}

impl Default for Mqtt {
    fn default() -> Mqtt {
        Mqtt {
            broker: None,
            user: None,
            password_file: None,
            ca_file: None,
            discovery: Topic("homeassistant".into()),
            topic: None,
            release: false,
        }
    }
}

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Whether it is spoken to through TLS.
    pub has_tls: bool,
    /// Host and port, as typed.
    pub at: super::PeerAddress,
}

impl Value for BrokerAddress {
    const LIKE: &'static str =
        "a broker such as \"mqtt://homeassistant.local\" or \"mqtts://192.0.2.7:8883\", or \"none\"";
    const UNSET: &'static str = "none";

    fn read(text: &str) -> Result<BrokerAddress, String> {
        let wrong = || format!("{text:?} is no broker: write it as \"mqtt://HOST:1883\" or \"mqtts://HOST:8883\"");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let has_tls = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(wrong()),
        };
        if rest.contains('@') {
            // Not the text itself: there may be a password in it.
            return Err(
                "a broker's address has no user and password in it: user and password_file are for those".into()
            );
        }
        let at = super::PeerAddress::read(rest.trim_end_matches('/')).map_err(|_| wrong())?;
        Ok(BrokerAddress { has_tls, at })
    }

    fn write(&self) -> String {
        format!("{}://{}", if self.has_tls { "mqtts" } else { "mqtt" }, self.at)
    }
}

/// A topic that others stand beneath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(
    /// As typed.
    pub String,
);

impl Value for Topic {
    const LIKE: &'static str = "a topic such as \"visavis/door\"";

    fn read(text: &str) -> Result<Topic, String> {
        let is_topic = |c: char| !c.is_control() && !['+', '#', '\0'].contains(&c);
        let has_levels = text.split('/').all(|level| !level.is_empty());
        // What begins with $ is the broker's own.
        if text.len() > TOPIC_BYTES_MAX || !has_levels || text.starts_with('$') || !text.chars().all(is_topic) {
            return Err(format!(
                "{text:?} is no topic: write names with / between them, without + and #, {TOPIC_BYTES_MAX} bytes at most"
            ));
        }
        Ok(Topic(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// A user of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(
    /// As typed.
    pub String,
);

impl Value for UserName {
    const LIKE: &'static str = "a user of the broker's, or \"none\"";
    const UNSET: &'static str = "none";

    fn read(text: &str) -> Result<UserName, String> {
        if text.is_empty() || text.len() > TOPIC_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(format!("{text:?} is no user: write the name that the broker knows, or \"none\""));
        }
        Ok(UserName(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// Where a password is: a file by its whole path, or a credential of the unit by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordFile(
    /// As typed.
    pub PathBuf,
);

impl Value for PasswordFile {
    const LIKE: &'static str = "a path such as \"/etc/visavis/mqtt-password\", a credential of the unit, or \"none\"";
    const UNSET: &'static str = "none";

    fn read(text: &str) -> Result<PasswordFile, String> {
        let is_name = !text.is_empty() && !text.contains('/') && text != "..";
        if (text.starts_with('/') || is_name) && !text.contains('\0') {
            return Ok(PasswordFile(text.into()));
        }
        Err(format!(
            "{text:?} is no file: write a path from / on, or the name of a credential of the unit visavis-mqtt"
        ))
    }

    fn write(&self) -> String {
        self.0.display().to_string()
    }
}

/// A file with certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFile(
    /// As typed.
    pub PathBuf,
);

impl Value for CertificateFile {
    const LIKE: &'static str = "a path such as \"/etc/visavis/broker.pem\", or \"auto\"";

    fn read(text: &str) -> Result<CertificateFile, String> {
        if !text.starts_with('/') || text.contains('\0') {
            return Err(format!("{text:?} is no file: write a path from / on, or \"auto\""));
        }
        Ok(CertificateFile(text.into()))
    }

    fn write(&self) -> String {
        self.0.display().to_string()
    }
}

impl Mqtt {
    /// What the bridge to the broker is made of, for a station of that name; none where there is no broker.
    ///
    /// # Errors
    /// In words: a password that cannot be read.
    pub fn bridge(
        &self,
        station_name: &str,
        control: Vec<PathBuf>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<BridgeConfig>, String> {
        let Some(broker) = &self.broker else { return Ok(None) };
        let tls = TlsConfig { authority: self.ca_file.as_ref().map(|file| file.0.clone()) };
        let usual = if broker.has_tls { PORT_TLS } else { PORT_PLAIN };
        let root =
            self.topic.as_ref().map_or_else(|| format!("visavis/{}", level(station_name)), |topic| topic.0.clone());
        Ok(Some(BridgeConfig {
            broker: BrokerConfig {
                host: broker.at.host.clone(),
                port: broker.at.port.unwrap_or(usual),
                tls: broker.has_tls.then_some(tls),
            },
            user: self.user.as_ref().map(|user| user.0.clone()),
            password: self.password(environment)?,
            root,
            discovery: self.discovery.0.clone(),
            may_release: self.release,
            station_name: station_name.to_owned(),
            control,
        }))
    }

    fn password(&self, environment: impl Fn(&str) -> Option<OsString>) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let Some(PasswordFile(path)) = &self.password_file else { return Ok(None) };
        let path = if path.is_absolute() {
            path.clone()
        } else {
            let folder = environment("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                format!("[mqtt] password_file: there is no credential {path:?}: see LoadCredential= in systemd.exec(5)")
            })?;
            PathBuf::from(folder).join(path)
        };
        let mut password = Zeroizing::new(Vec::new());
        let file =
            File::open(&path).and_then(|file| file.take(PASSWORD_BYTES_MAX as u64 + 1).read_to_end(&mut password));
        file.map_err(|error| {
            format!("[mqtt] password_file {}: {error}; it must be for the group visavis to read", path.display())
        })?;
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(format!(
                "[mqtt] password_file {}: it has more than {PASSWORD_BYTES_MAX} bytes",
                path.display()
            ));
        }
        // Editors end a file with a newline.
        while matches!(password.last(), Some(b'\n' | b'\r')) {
            password.pop();
        }
        Ok(Some(password))
    }
}

/// A station's name as one level of a topic.
fn level(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || ['/', '+', '#', '$'].contains(&c) { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    //! Goal: what is typed reaches the broker, and a password nobody else. Method: files as text, and a file.
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn mqtt(text: &str) -> Result<Mqtt, String> {
        let config = Config::parse(&format!("[mqtt]\n{text}"), Path::new("station.toml"));
        config.map(|config| config.mqtt).map_err(|error| error.to_string())
    }

    fn bridge(text: &str) -> Result<Option<BridgeConfig>, String> {
        mqtt(text)?
            .bridge("front/door", Vec::new(), |name| (name == "CREDENTIALS_DIRECTORY").then(|| "/nowhere".into()))
    }

    #[test]
    fn without_a_broker_nobody_is_told_and_with_one_the_door_stays_shut() {
        assert!(bridge("").unwrap().is_none());
        let found = bridge("broker = 'mqtt://homeassistant.local'").unwrap().unwrap();
        let wanted = BrokerConfig { host: "homeassistant.local".into(), port: 1883, tls: None };
        assert_eq!((found.broker, found.root.as_str(), found.may_release), (wanted, "visavis/front_door", false));
        let found = bridge("broker = 'mqtts://[2001:db8::7]:9000'\ntopic = 'house/hall'").unwrap().unwrap();
        assert_eq!(
            (found.broker.host.as_str(), found.broker.port, found.root.as_str()),
            ("2001:db8::7", 9000, "house/hall")
        );
        assert_eq!(found.broker.tls, Some(TlsConfig { authority: None }));
        assert_eq!(bridge("broker = 'mqtts://b'").unwrap().unwrap().broker.port, 8883);
    }

    #[test]
    fn a_password_is_read_from_its_file_without_the_newline() {
        let path = std::env::temp_dir().join(format!("visavis-mqtt-password-{}", std::process::id()));
        std::fs::write(&path, "geheim \n").unwrap();
        let text = format!("broker = 'mqtt://b'\nuser = 'door'\npassword_file = {:?}", path.to_str().unwrap());
        let found = bridge(&text).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            (found.user.as_deref(), found.password.as_ref().map(|p| p.as_slice())),
            (Some("door"), Some(&b"geheim "[..]))
        );
        assert!(!mqtt(&text).map(|mqtt| format!("{mqtt:?}")).unwrap().contains("geheim"));
        for (text, wanted) in [
            ("password_file = '/nowhere/password'", "for the group visavis to read"),
            ("password_file = 'password'", "/nowhere/password"),
        ] {
            let error = bridge(&format!("broker = 'mqtt://b'\n{text}")).err().unwrap();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_slip_is_answered_with_the_remedy_and_without_the_password() {
        for (text, wanted) in [
            ("broker = 'homeassistant.local'", "is no broker: write it as \"mqtt://HOST:1883\""),
            ("broker = 'http://b'", "is no broker"),
            ("broker = 'mqtt://me:geheim@b'", "user and password_file are for those"),
            ("topic = 'visavis/#'", "is no topic"),
            ("discovery = ''", "is no topic"),
            ("topic = '$SYS/x'", "is no topic"),
            ("user = ''", "is no user"),
            ("password_file = 'a/b'", "is no file"),
            ("ca_file = 'ca.pem'", "is no file"),
            ("password = 'geheim'", "there is no such key: did you mean \"password_file\"?"),
            ("release = 'yes'", "true or false"),
        ] {
            let error = mqtt(text).err().unwrap();
            assert!(error.contains(wanted) && !error.contains("geheim"), "{text}: {error}");
        }
    }
}
