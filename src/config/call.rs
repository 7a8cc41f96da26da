//! Whom this station calls, who may do what here without being answered, and its door.

use super::name::Name;
use super::value::{self, Value, number, time};
use crate::call::QuietHours;
use crate::device::gpio::LineSpec;
use crate::call::Whom;
use crate::time::Duration;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[call]`: ringing, answering and their times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Call {
    /// Whom the call button rings: a station, a group, or all.
    #[serde(with = "value")]
    pub usual: Whom,
    /// How long it rings before there is no answer.
    #[serde(deserialize_with = "time::<_, 5_000, 600_000>", serialize_with = "value::serialize")]
    pub ring_time: Duration,
    /// How long a call may last.
    #[serde(deserialize_with = "time::<_, 60_000, 86_400_000>", serialize_with = "value::serialize")]
    pub max_call_time: Duration,
    /// How long a call waits for a station that is gone before it ends.
    #[serde(deserialize_with = "time::<_, 1_000, 600_000>", serialize_with = "value::serialize")]
    pub lost_time: Duration,
    /// How long a call rings before a station with `auto_answer` is answered.
    #[serde(deserialize_with = "time::<_, 0, 60_000>", serialize_with = "value::serialize")]
    pub auto_answer_delay: Duration,
    /// Whether this station's picture is shown where it rings, before anybody answers.
    pub early_media: bool,
    /// When nobody may ring here, each day in local time.
    #[serde(with = "value")]
    pub do_not_disturb: Option<QuietHours>,
    /// Missed calls that are kept on the screen.
    #[serde(deserialize_with = "number::<_, _, 0, 1000>")]
    pub keep_missed: u16,
    /// Stations that are rung together, by the group's name.
    pub groups: BTreeMap<Name, Vec<Name>>,
}

impl Default for Call {
    fn default() -> Call {
        Call {
            usual: Whom::All,
            ring_time: Duration::from_secs(45),
            max_call_time: Duration::from_secs(3_600),
            lost_time: Duration::from_secs(30),
            auto_answer_delay: Duration::from_secs(1),
            early_media: true,
            do_not_disturb: None,
            keep_missed: 50,
            groups: BTreeMap::new(),
        }
    }
}

impl Value for Whom {
    const LIKE: &'static str = "a station, a group, or \"all\"";

    fn read(text: &str) -> Result<Whom, String> {
        if text == "all" { Ok(Whom::All) } else { Name::read(text).map(|name| Whom::Named(name.to_string())) }
    }

    fn write(&self) -> String {
        match self {
            // Whoever is usual cannot be said by itself.
            Whom::Usual | Whom::All => "all".into(),
            Whom::Named(name) => name.clone(),
        }
    }
}

/// `[door]`: the strike that this station releases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Door {
    /// The strike's line; `None`: there is no door here.
    #[serde(with = "value")]
    pub line: Option<LineSpec>,
    /// Whether the line is on when it is low.
    pub active_low: bool,
    /// How long the line is on.
    #[serde(deserialize_with = "time::<_, 100, 30_000>", serialize_with = "value::serialize")]
    pub pulse: Duration,
    /// Stations that may release it without a call, as far as the address book lets them release at all.
    pub without_call: Vec<Name>,
}

impl Default for Door {
    fn default() -> Door {
        Door { line: None, active_low: false, pulse: Duration::from_secs(3), without_call: Vec::new() }
    }
}

/// `[[peer]]`: what is different for one station of the address book.
///
/// What it may do stands in the address book, in one place: see `visavis peers allow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its name in the address book.
    pub name: Name,
    /// Where it is, where it cannot be found by itself; `None`: found by name, and where it was last.
    #[serde(default, with = "value")]
    pub address: Option<PeerAddress>,
    /// Whether it is answered without anybody doing so.
    #[serde(default)]
    pub auto_answer: bool,
}

/// A host name or address, and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// The host name or address, without brackets.
    pub host: String,
    /// The port; `None`: the same as this station's own.
    pub port: Option<u16>,
}

/// A host name has at most 253 letters (RFC 1035 §2.3.4).
const HOST_LETTERS_MAX: usize = 253;

impl Value for PeerAddress {
    const LIKE: &'static str = "an address such as \"kitchen.local\", \"192.0.2.7:10087\" or \"[2001:db8::7]:10087\"";

    fn read(text: &str) -> Result<PeerAddress, String> {
        let wrong = || format!("{text:?} is no address: write a host name or an address, and perhaps :PORT");
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
            // An IPv6 address without brackets has several colons, and no port.
            None if text.matches(':').count() > 1 => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(|port| port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)).transpose()?;
        let is_host = |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b));
        if host.is_empty() || host.len() > HOST_LETTERS_MAX || !is_host(host) {
            return Err(wrong());
        }
        Ok(PeerAddress { host: host.to_owned(), port })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') && self.port.is_some() { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
