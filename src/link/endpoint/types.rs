//! What goes into an [`Endpoint`](super::Endpoint) and comes out of it.

use crate::identity::{PEERS_MAX, Psk, PublicKey, SecretKey};
use crate::link::noise::Instance;
use crate::link::session::Unopened;
use crate::stats::Counter;
use crate::time::{Duration, Instant};
use core::fmt;
use core::net::SocketAddr;

/// Links that an endpoint keeps at once: one for each station of the address book, whether it is there or not, one for
/// pairing, and one for another program of this station. A link that waits is a few kB and one try in three seconds.
pub const LINKS_MAX: usize = PEERS_MAX + 2;
/// Addresses at which a link looks for its peer: IPv4 and IPv6, on a few networks.
pub const ADDRESSES_MAX: usize = 8;
/// Peers that a link looks for at once: everybody in an address book, this station itself, and a code.
pub const TRUSTS_MAX: usize = 66;

/// Fills a buffer with random bytes: `identity::system_random`, or a seeded one in tests.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// What an endpoint is made of.
pub struct Config {
    /// The station's key.
    pub secret: SecretKey,
    /// Who may call without having been dialled: each gets a link of its own. Those that are dialled may call anyway.
    pub accept: Vec<Trust>,
    /// Where secrets come from.
    pub random: Random,
}

/// Why a peer is trusted.
#[derive(Clone, Debug)]
pub enum Trust {
    /// It is this station itself: the same key in another running program.
    Own,
    /// Its key stands in the address book.
    Book(PublicKey),
    /// It was given the same one-time code.
    Code(Psk),
}

/// By which of them a peer has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedBy {
    /// This station's own key.
    Own,
    /// The address book.
    Book,
    /// A one-time code.
    Code,
}

impl Trust {
    /// Its kind, without what it holds.
    pub fn kind(&self) -> TrustedBy {
        match self {
            Trust::Own => TrustedBy::Own,
            Trust::Book(_) => TrustedBy::Book,
            Trust::Code(_) => TrustedBy::Code,
        }
    }
}

/// Who the other side proved to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its key.
    pub key: PublicKey,
    /// Why it is trusted.
    pub trusted_by: TrustedBy,
    /// The running program: another after a restart.
    pub instance: Instance,
}

/// Names a link for as long as its endpoint lives; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(super) u32);

/// Why somebody said goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The call was hung up.
    HungUp,
    /// The program ends.
    Leaving,
    /// It is in another call.
    Busy,
    /// The inner halves do not understand each other.
    Incompatible,
    /// Nobody said anything: the peer has been away for so long that its session ended.
    Lost,
    /// A number that this version does not know.
    Other(u8),
}

impl CloseReason {
    pub(super) fn to_byte(self) -> u8 {
        match self {
            CloseReason::HungUp => 0,
            CloseReason::Leaving => 1,
            CloseReason::Busy => 2,
            CloseReason::Incompatible => 3,
            CloseReason::Lost => 4,
            CloseReason::Other(number) => number,
        }
    }

    pub(super) fn from_byte(number: u8) -> CloseReason {
        match number {
            0 => CloseReason::HungUp,
            1 => CloseReason::Leaving,
            2 => CloseReason::Busy,
            3 => CloseReason::Incompatible,
            4 => CloseReason::Lost,
            other => CloseReason::Other(other),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::HungUp => f.write_str("hung up"),
            CloseReason::Leaving => f.write_str("the other station's program ended"),
            CloseReason::Busy => f.write_str("busy"),
            CloseReason::Incompatible => f.write_str("the other station runs another version"),
            CloseReason::Lost => f.write_str("the connection was lost"),
            CloseReason::Other(number) => write!(f, "closed (reason {number})"),
        }
    }
}

/// What happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer is there, with fresh payloads.
    Connected {
        /// Who it is.
        peer: Peer,
        /// Where it is.
        address: SocketAddr,
    },
    /// The peer was restarted, or another trusted one has come in the place of one that was away: the payloads are
    /// fresh, and what the old ones held is gone.
    Replaced {
        /// Who it is now.
        peer: Peer,
        /// Where it is now.
        address: SocketAddr,
    },
    /// The peer speaks from another address now.
    Roamed {
        /// Where it is now.
        address: SocketAddr,
    },
    /// Nothing has been heard of the peer for a second; it is being called.
    Away {
        /// When it was last heard.
        since: Instant,
    },
    /// The peer is there again, and the payloads are the same as before.
    Back {
        /// How long nothing was heard of it.
        after: Duration,
    },
    /// The peer said goodbye, or has been given up. A link that was dialled goes on calling, slowly; one that came in
    /// by itself is gone.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Datagrams to be sent: they stand back to back in the buffer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// Bytes in all.
    pub len: usize,
    /// Bytes of each datagram but the last, which may be shorter: the argument of UDP_SEGMENT. Equal to `len` for one.
    pub segment_len: usize,
}

/// What an endpoint counts. Every datagram that is not used counts under exactly one cause.
#[derive(Debug, Default)]
pub struct EndpointStats {
    /// Datagrams that came in.
    pub received: Counter,
    /// Bytes of them.
    pub received_bytes: Counter,
    /// Datagrams that went out.
    pub sent: Counter,
    /// Bytes of them.
    pub sent_bytes: Counter,
    /// Handshakes that this side began: one a try and a candidate.
    pub handshakes_begun: Counter,
    /// Handshakes that this side answered.
    pub handshakes_answered: Counter,
    /// Sessions that came into use.
    pub sessions: Counter,
    /// Cookies that were given out.
    pub cookies: Counter,
    /// Not a datagram of this protocol.
    pub refused_malformed: Counter,
    /// A handshake of somebody who knows neither our key nor a code.
    pub refused_mac: Counter,
    /// A handshake beyond what is worked on.
    pub refused_rate: Counter,
    /// A handshake whose inside is not genuine.
    pub refused_handshake: Counter,
    /// A genuine handshake of a station that is not trusted.
    pub refused_stranger: Counter,
    /// Our own handshake, which found its way back.
    pub refused_own_instance: Counter,
    /// A handshake that was seen before.
    pub refused_repeated: Counter,
    /// A handshake of a trusted peer while its link talks to another, or while all links are in use.
    pub refused_busy: Counter,
    /// For a session or handshake that is not known, or no longer.
    pub refused_unknown: Counter,
    /// In a session, but not sealed with its key.
    pub refused_forged: Counter,
    /// In a session, but taken before or too old.
    pub refused_replayed: Counter,
    /// Genuine, but of a conversation that is over, or of a kind that this version does not know.
    pub refused_stale: Counter,
    /// Handshake datagrams that were not sent because too many waited.
    pub outbox_full: Counter,
    /// Events that nobody fetched in time.
    pub events_lost: Counter,
}

/// Why a datagram was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not a datagram of this protocol.
    Malformed,
    /// mac1 is wrong.
    Mac,
    /// Beyond the ration.
    Rate,
    /// The Noise message is not genuine.
    Handshake,
    /// The key is not trusted.
    Stranger,
    /// We sent it ourselves.
    OwnInstance,
    /// It was seen before.
    Repeated,
    /// The link talks to another, or all links are in use.
    Busy,
    /// No session or handshake has this number.
    Unknown,
    /// Not sealed with the key that it names.
    Forged,
    /// The counter was taken, or is too old.
    Replayed,
    /// Of a conversation that is over, or of an unknown kind.
    Stale,
}

impl From<Unopened> for Refusal {
    fn from(why: Unopened) -> Refusal {
        match why {
            Unopened::Replayed => Refusal::Replayed,
            Unopened::Forged => Refusal::Forged,
            Unopened::Unknown => Refusal::Stale,
        }
    }
}

impl EndpointStats {
    /// Counts a datagram that was not used.
    pub(super) fn refuse(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Malformed => &self.refused_malformed,
            Refusal::Mac => &self.refused_mac,
            Refusal::Rate => &self.refused_rate,
            Refusal::Handshake => &self.refused_handshake,
            Refusal::Stranger => &self.refused_stranger,
            Refusal::OwnInstance => &self.refused_own_instance,
            Refusal::Repeated => &self.refused_repeated,
            Refusal::Busy => &self.refused_busy,
            Refusal::Unknown => &self.refused_unknown,
            Refusal::Forged => &self.refused_forged,
            Refusal::Replayed => &self.refused_replayed,
            Refusal::Stale => &self.refused_stale,
        };
        counter.bump();
    }

    /// Datagrams that were not used, for whatever cause.
    pub fn refused(&self) -> u64 {
        [
            &self.refused_malformed,
            &self.refused_mac,
            &self.refused_rate,
            &self.refused_handshake,
            &self.refused_stranger,
            &self.refused_own_instance,
            &self.refused_repeated,
            &self.refused_busy,
            &self.refused_unknown,
            &self.refused_forged,
            &self.refused_replayed,
            &self.refused_stale,
        ]
        .iter()
        .map(|counter| counter.get())
        .sum()
    }
}
