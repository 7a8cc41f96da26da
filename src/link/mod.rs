//! One peer: everything from a UDP datagram to what the media stages exchange, and back.
//!
//! **Nothing here reads a clock, opens a socket or draws a random number by itself**: datagrams, time and randomness
//! come in, datagrams and events go out. `PROTOCOL.md` beside this file is the specification of the bytes.
//!
//! ```text
//!  UDP ─▶ datagram ─▶ admission ─▶ handshake ─▶ session ─▶ Payloads (flow)      handle_datagram
//!  UDP ◀─ datagram ◀──────────────────────────── session ◀─ Payloads (flow)      poll_transmit
//! ```
//!
//! The room has two halves that meet in the [`Payloads`] trait:
//! - the outer half, [`Endpoint`]: who may speak (Noise IK for known keys, XXpsk3 for a one-time code), sealing, replay
//!   windows, rekeying, roaming, liveness, dialling for ever, and silence to strangers;
//! - the inner half, which speaks inside a session and never sees an address, a key or a ciphertext.
//!
//! | file | what |
//! |---|---|
//! | `datagram` | the layouts, byte by byte; the parser that meets hostile bytes first |
//! | `mac` | the outer MACs that keep strangers out, and cookies under load |
//! | `noise` | the two handshakes, over `snow` |
//! | `replay`, `session` | the window of counters; sealing and opening |
//! | `admission` | how many handshakes are worked on, and for whom |
//! | `dialler` | when the next try is due |
//! | `endpoint` | the state machine that owns it all |

mod admission;
mod datagram;
mod dialler;
mod endpoint;
pub mod flow;
mod mac;
mod noise;
mod replay;
mod session;

pub use datagram::fuzz_datagram;
pub use endpoint::{
    ADDRESSES_MAX, CloseReason, Config, Endpoint, EndpointStats, Event, LINKS_MAX, LinkId, Peer, Random, TRUSTS_MAX,
    Transmit, Trust, TrustedBy,
};

use crate::time::Instant;

/// The longest datagram this protocol sends: what IPv6 carries everywhere (1,280 bytes, RFC 8200 §5) less the headers
/// of IPv6 (40) and UDP (8). Nothing here depends on the path's own MTU being found out.
pub const MAX_DATAGRAM: usize = 1_232;

/// The longest plaintext payload, in bytes: 1,200 and the session's own 30 (`session::OVERHEAD`) are 1,230.
pub const MAX_PAYLOAD: usize = 1_200;

const _: () = assert!(MAX_PAYLOAD + session::OVERHEAD <= MAX_DATAGRAM);

/// What speaks inside a session.
///
/// The verbs are only called while the peer is there: from [`Event::Away`] to [`Event::Back`] all of them rest, and time
/// jumps. Payloads may arrive late, out of order or never, but never twice and never altered.
pub trait Payloads {
    /// One authenticated payload of the peer.
    fn handle_payload(&mut self, now: Instant, payload: &[u8]);
    /// Writes the next payload (at most `out.len()` bytes, which is [`MAX_PAYLOAD`]) and says its length; `None` when
    /// there is nothing to send now.
    fn poll_payload(&mut self, now: Instant, out: &mut [u8]) -> Option<usize>;
    /// The time that [`Payloads::poll_timeout`] gave has come.
    fn handle_timeout(&mut self, now: Instant);
    /// When [`Payloads::handle_timeout`] is wanted next, or when a payload that waits now may be sent.
    fn poll_timeout(&self) -> Option<Instant>;
}

impl Payloads for flow::Flow {
    fn handle_payload(&mut self, now: Instant, payload: &[u8]) {
        flow::Flow::handle_payload(self, now, payload);
    }
    fn poll_payload(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        flow::Flow::poll_payload(self, now, out)
    }
    fn handle_timeout(&mut self, now: Instant) {
        flow::Flow::handle_timeout(self, now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        flow::Flow::poll_timeout(self)
    }
}
