//! What an intercom is made of, beside what every station is: its calls, its hands, and whom it finds where.

use crate::call::CallConfig;
use crate::card::Language;
use crate::find;
use crate::identity::Entry;
use crate::panel::PanelConfig;
use crate::station::invitation::Page;
use crate::time::Duration;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The settings of an intercom.
#[derive(Clone, Debug)]
pub struct IntercomConfig {
    /// Where key, address book and journal are.
    pub state: PathBuf,
    /// Times, hours and groups.
    pub call: CallConfig,
    /// Buttons, lamps, keys, the strike.
    pub panel: PanelConfig,
    /// The control socket, and the group that may use it; none without one.
    pub control: Option<(PathBuf, Option<String>)>,
    /// Where metrics are served; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Where the page for phones and laptops is, which a process of its own serves; none: nowhere.
    pub page: Option<Page>,
    /// How other stations are looked for; none: only where they were, and where the configuration says.
    pub find: Option<find::Config>,
    /// What holds for single stations of the address book.
    pub peers: Vec<PeerSettings>,
    /// A call of such a station is answered after so long; see [`PeerSettings::is_answered`].
    pub auto_answer: Duration,
    /// Stations that may release the door without a call, if the address book lets them release at all.
    pub release_without_call: Vec<String>,
    /// What the cards speak.
    pub language: Language,
    /// The loudspeaker's volume at the start, in percent.
    pub volume_percent: u8,
    /// The screen sleeps when nothing was touched for so long and nothing goes on; none: never.
    pub sleep_after: Option<Duration>,
}

/// What is different for one station of the address book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// Its name in the book.
    pub name: String,
    /// Where it is, where it cannot be found by itself: host and port.
    pub address: Option<(String, u16)>,
    /// It is answered without anybody doing so.
    pub is_answered: bool,
}

impl IntercomConfig {
    /// What is different for a station.
    pub(super) fn of(&self, name: &str) -> Option<&PeerSettings> {
        self.peers.iter().find(|peer| peer.name.eq_ignore_ascii_case(name))
    }

    /// What an entry of the book and the configuration make of a peer.
    pub(super) fn policy(&self, entry: &Entry) -> crate::call::PeerPolicy {
        let is_answered = self.of(&entry.name).is_some_and(|peer| peer.is_answered);
        let named = |name: &String| name.eq_ignore_ascii_case(&entry.name);
        crate::call::PeerPolicy {
            key: entry.key,
            name: entry.name.clone(),
            rights: entry.rights,
            auto_answer: is_answered.then_some(self.auto_answer),
            release_without_call: self.release_without_call.iter().any(named),
        }
    }
}
