//! A link that lets a phone or laptop in, as the screen and the terminal show it.

use super::resolve::own_addresses;
use crate::identity::Rights;
use crate::sys::calendar::unix_ms;
use crate::web::{Certificate, Inviter, WEB_DIRECTORY};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Where the page is, as browsers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is served.
    pub listen: SocketAddr,
    /// This machine's names, in small letters; the first stands in the certificate.
    pub hosts: Vec<String>,
}

/// What a browser needs to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// To be opened there; it holds for [`INVITATION_LIFE`](crate::web::INVITATION_LIFE), and once.
    pub link: String,
    /// The SHA-256 of the certificate of which the browser warns.
    pub fingerprint: String,
}

impl Page {
    /// Invites somebody who may do that much, at `host` or where the page is likely to be reached; `state` is the station's
    /// state directory.
    ///
    /// # Errors
    /// In words: a file that cannot be read or written, a machine without any address in a network.
    pub fn invite(&self, state: &Path, rights: Rights, host: Option<&str>) -> Result<Invited, String> {
        let directory = state.join(WEB_DIRECTORY);
        let inviter = Inviter::load_or_create(&directory).map_err(|error| format!("cannot invite: {error}"))?;
        let name = self.hosts.first().map_or("visavis", String::as_str);
        let certificate = Certificate::load_or_create(&directory, name).map_err(|error| error.to_string())?;
        let host = match host {
            Some(host) => host.to_owned(),
            None => self.reached_at().ok_or(
                "this machine has no address in a network: visavis web invite --host NAME, as the phone reaches it",
            )?,
        };
        let token = inviter.invite(unix_ms() / 1_000, rights);
        let link = format!("https://{host}:{}/#join={token}", self.listen.port());
        Ok(Invited { link, fingerprint: certificate.fingerprint() })
    }

    /// The address that it listens at, or the likeliest of this machine's.
    pub fn reached_at(&self) -> Option<String> {
        let written = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        if !self.listen.ip().is_unspecified() {
            return Some(written(self.listen.ip()));
        }
        let usable = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
        };
        // A phone at home has IPv4; addresses of the house before others.
        let rank = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) if ip.is_private() => 0,
            IpAddr::V4(_) => 1,
            IpAddr::V6(_) => 2,
        };
        own_addresses().into_iter().filter(usable).min_by_key(rank).map(written)
    }
}
