//! Stations find each other by name: multicast DNS (RFC 6762) and DNS-SD (RFC 6763), and where a peer may be.
//!
//! A station announces itself as an instance of `_visavis._tcp` (DNS-SD has that one label for whatever is not UDP's
//! alone; the port is the station's, for UDP and TCP alike), under its own name, with these keys of text:
//!
//! | key | value |
//! |---|---|
//! | `v` | version of the announcement: 1 |
//! | `k` | [`KeyHint`] at its public key: who has the key in the book recognises it, nobody else learns it |
//! | `n` | its name, where that does not fit the instance's |
//! | `pair` | `1` while it is pairing; absent otherwise |
//!
//! **Nothing that is announced is trusted.** It proposes addresses to call; the handshake proves who is there. Names that
//! two stations share are told apart by a number, which `mdns-sd` adds after its probes (RFC 6762 §9).
//!
//! [`Finder`] is the edge: `mdns-sd` has a thread and sockets, and ours stands between it and the loop, with tables of
//! fixed size. [`Whereabouts`] is pure.

mod announcement;
mod finder;
mod table;
#[cfg(test)]
mod tests;
mod whereabouts;

pub use announcement::{Announcement, fuzz_announcement};
pub use finder::{Config, Finder};
pub use table::FOUND_MAX;
pub use whereabouts::Whereabouts;

use crate::identity::KeyHint;
use std::net::SocketAddr;

/// A station that announces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose announcement it is: no two have the same at a time, and it tells nothing else.
    pub instance: String,
    /// What it calls itself: at most 64 bytes, no control characters.
    pub name: String,
    /// What its key should fit; `None` where it says none.
    pub key_hint: Option<KeyHint>,
    /// Where it says that it is, at most [`PEER_ADDRESSES_MAX`](crate::identity::PEER_ADDRESSES_MAX): IPv4 first, then
    /// IPv6, link-local addresses last, with the scope that they were heard on.
    pub addresses: Vec<SocketAddr>,
    /// Whether it says that it is pairing.
    pub pairing: bool,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A station is there, or says something else than before.
    Found(Found),
    /// A station took its announcement back, or has not renewed it; as it was last.
    Lost(Found),
}
