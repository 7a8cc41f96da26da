//! What a station says of itself, to the form of DNS-SD and back.

use super::Found;
use crate::identity::{HINT_SALT_LEN, KeyHint, PEER_ADDRESSES_MAX, PublicKey};
use crate::wire::NAME_BYTES_MAX;
use mdns_sd::{IfKind, ResolvedService, ScopedIp, ServiceInfo};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// The service type: DNS-SD knows `_udp` and `_tcp`, and uses the latter for all that may speak both.
pub const SERVICE: &str = "_visavis._tcp.local.";
/// Version of the announcement.
const VERSION: &str = "1";
/// A label of DNS has at most 63 bytes (RFC 1035 §2.3.4); eight are left for the number that tells equal names apart.
const LABEL_BYTES_MAX: usize = 55;

/// What a station says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// Its key, of which only a hint is announced.
    pub key: PublicKey,
    /// Whether it is pairing.
    pub pairing: bool,
}

impl Announcement {
    /// The hint that is announced.
    pub fn hint(&self, salt: [u8; HINT_SALT_LEN]) -> KeyHint {
        KeyHint::new(&self.key, salt)
    }

    /// As `mdns-sd` takes it. The host's name is our own, after the hint: the machine's belongs to whoever announces the
    /// machine, and two stations of one machine must not answer for one name.
    pub fn service(&self, hint: &KeyHint, interfaces: &[String]) -> Result<ServiceInfo, mdns_sd::Error> {
        let label = cut(&self.name, LABEL_BYTES_MAX);
        let label = if label.is_empty() { "station" } else { label };
        let mut text = vec![("v".to_owned(), VERSION.to_owned()), ("k".to_owned(), hint.to_string())];
        // Dots part labels, and not every reader takes them apart where they are escaped.
        if label != self.name || label.contains(['.', '\\']) {
            text.push(("n".to_owned(), cut(&self.name, NAME_BYTES_MAX).to_owned()));
        }
        if self.pairing {
            text.push(("pair".to_owned(), "1".to_owned()));
        }
        let host = format!("visavis-{hint}.local.");
        let mut service = ServiceInfo::new(SERVICE, label, &host, "", self.port, &text[..])?.enable_addr_auto();
        if !interfaces.is_empty() {
            service.set_interfaces(interfaces.iter().map(|name| IfKind::Name(name.clone())).collect());
        }
        Ok(service)
    }
}

/// As much of the front of `text` as fits, cut between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].trim()
}

/// What somebody else announces; `None` where it is of another version, or says nowhere to call.
pub fn read(service: &ResolvedService) -> Option<Found> {
    let text = |key| service.get_property_val_str(key);
    if text("v") != Some(VERSION) || service.port == 0 {
        return None;
    }
    let label = service.fullname.strip_suffix(SERVICE).and_then(|label| label.strip_suffix('.')).unwrap_or_default();
    let name: String = text("n").unwrap_or(label).chars().filter(|c| !c.is_control()).collect();
    let mut addresses: Vec<SocketAddr> =
        service.addresses.iter().filter_map(|ip| address(ip, service.port)).take(ADDRESSES_READ_MAX).collect();
    addresses.sort_by_key(|address| (rank(address), *address));
    addresses.truncate(PEER_ADDRESSES_MAX);
    let found = Found {
        instance: service.fullname.clone(),
        name: cut(&name, NAME_BYTES_MAX).to_owned(),
        key_hint: text("k").and_then(|hint| hint.parse().ok()),
        addresses,
        pairing: text("pair") == Some("1"),
    };
    (!found.addresses.is_empty()).then_some(found)
}

/// Entry for a fuzzer: whatever a service on the network says of itself, the reader returns, and what it accepts is within
/// bounds. The text is the label, and a property a line: key, `=`, value.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_announcement(text: &str, port: u16, addresses: &[IpAddr]) {
    let (label, lines) = text.split_once('\n').unwrap_or((text, ""));
    let properties: Vec<_> = lines.lines().filter_map(|line| line.split_once('=')).collect();
    let Ok(service) = ServiceInfo::new(SERVICE, label, "somebody.local.", addresses, port, &properties[..]) else {
        return;
    };
    let Some(found) = read(&service.as_resolved_service()) else { return };
    assert!(found.name.len() <= NAME_BYTES_MAX && !found.name.contains(char::is_control), "{:?}", found.name);
    assert!((1..=PEER_ADDRESSES_MAX).contains(&found.addresses.len()), "{:?}", found.addresses);
    assert!(found.addresses.iter().all(|address| address.port() == port && port != 0));
    assert!(found.addresses.is_sorted_by_key(rank));
}

/// Addresses that are looked at before the best are taken: a message of DNS has room for hundreds.
const ADDRESSES_READ_MAX: usize = 64;

/// Where to call; `None` for what nobody can be called at. A link-local address means something only together with the
/// interface that it was heard on.
fn address(ip: &ScopedIp, port: u16) -> Option<SocketAddr> {
    let address = match ip {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into()
        }
        other => SocketAddr::new(other.to_ip_addr(), port),
    };
    let nowhere = match address {
        SocketAddr::V4(v4) => v4.ip().is_broadcast(),
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local() && v6.scope_id() == 0,
    };
    (!nowhere && !address.ip().is_unspecified() && !address.ip().is_multicast()).then_some(address)
}

fn rank(address: &SocketAddr) -> u8 {
    match address.ip() {
        IpAddr::V4(_) => 0,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => 2,
        IpAddr::V6(_) => 1,
    }
}
