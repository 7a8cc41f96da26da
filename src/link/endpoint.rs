//! The endpoint: all links of a station over one UDP port.
//!
//! The contract of its verbs: after each `handle_*` (and after `dial`, `close` and the `set_*`) the driver calls
//! [`Endpoint::poll_transmit`] and [`Endpoint::poll_event`] until they give `None`, and then waits for a datagram or for
//! [`Endpoint::poll_timeout`]. Payloads that the station put into [`Endpoint::payloads`] are fetched the same way.

mod answering;
mod calling;
mod incoming;
mod link;
mod shared;
#[cfg(test)]
mod tests;
mod types;

pub use types::{
    ADDRESSES_MAX, CloseReason, Config, EndpointStats, Event, LINKS_MAX, LinkId, Peer, Random, TRUSTS_MAX, Transmit,
    Trust, TrustedBy,
};

use self::link::Link;
use self::shared::{Candidate, Shared};
use super::session::OVERHEAD;
use super::{MAX_DATAGRAM, MAX_PAYLOAD, Payloads};
use crate::identity::PublicKey;
use crate::time::{Instant, earliest};
use core::net::SocketAddr;
use std::sync::Arc;

/// Datagrams that go out in one call: what UDP_SEGMENT saves is saved by then, and the pacer stays in charge.
const SEGMENTS_MAX: usize = 16;
/// Links that begin a handshake in one call, about 1.5 ms each on a Pi Zero 2 W (estimated). After a cut of the network
/// all of them are due at one instant; the others' turn is at once, but after what came in meanwhile.
const TRIES_AT_ONCE: usize = 4;

/// Makes the inner half of a conversation.
type Make<P> = dyn FnMut(Instant, &Peer) -> P + Send;

/// All links of a station. `P` is what speaks inside their sessions.
pub struct Endpoint<P> {
    shared: Shared,
    links: Vec<Link<P>>,
    make: Box<Make<P>>,
    scratch: Box<[u8; MAX_DATAGRAM]>,
    next_link: u32,
    /// The link whose turn it is to send.
    turn: usize,
}

impl<P: Payloads> Endpoint<P> {
    /// An endpoint without links. `make` makes the inner half whenever a conversation with a peer begins.
    pub fn new(now: Instant, config: Config, make: impl FnMut(Instant, &Peer) -> P + Send + 'static) -> Endpoint<P> {
        Endpoint {
            shared: Shared::new(now, config.secret, &config.accept, config.random),
            links: Vec::with_capacity(LINKS_MAX),
            make: Box::new(make),
            scratch: Box::new([0; MAX_DATAGRAM]),
            next_link: 0,
            turn: 0,
        }
    }

    /// Looks for a peer that is trusted by any of `trusts` at `addresses` (the first [`ADDRESSES_MAX`] of them), from now
    /// on and for ever: whoever of them answers first, or calls, is the link's peer while it is there. `None` where all
    /// links are in use, or nobody is trusted, or more than [`TRUSTS_MAX`] are.
    pub fn dial(&mut self, now: Instant, trusts: &[Trust], addresses: &[SocketAddr]) -> Option<LinkId> {
        if self.links.len() == LINKS_MAX || trusts.is_empty() || trusts.len() > TRUSTS_MAX {
            return None;
        }
        let candidates = self.candidates(trusts);
        let id = self.next_id();
        self.links.push(Link::new(now, id, candidates, addresses));
        Some(id)
    }

    /// Replaces where a link's peer is looked for; if it is being looked for, there is a try at once.
    pub fn set_addresses(&mut self, now: Instant, id: LinkId, addresses: &[SocketAddr]) {
        if let Some(link) = self.link_mut(id) {
            link.set_addresses(now, addresses);
        }
    }

    /// Replaces whom a link looks for. A peer that is still trusted, in the same way, stays and notices nothing; another
    /// gets a goodbye, and [`Event::Closed`] follows. If somebody is being looked for, there is a try at once. `false`,
    /// and nothing changes, where there is no such link, or nobody is trusted, or more than [`TRUSTS_MAX`] are.
    pub fn set_trusts(&mut self, now: Instant, id: LinkId, trusts: &[Trust]) -> bool {
        if trusts.is_empty() || trusts.len() > TRUSTS_MAX {
            return false;
        }
        let candidates = self.candidates(trusts);
        let Some(link) = self.links.iter_mut().find(|link| link.id == id) else { return false };
        link.set_candidates(&mut self.shared, now, candidates);
        true
    }

    /// Says goodbye to a link's peer, if it has one, and forgets the link. No event follows.
    pub fn close(&mut self, _now: Instant, id: LinkId, reason: CloseReason) {
        let Some(place) = self.links.iter().position(|link| link.id == id) else { return };
        self.links.remove(place).say_goodbye(&mut self.shared, reason);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut tries = TRIES_AT_ONCE;
        for link in &mut self.links {
            link.handle_timeout(&mut self.shared, now, &mut tries);
        }
        self.links.retain(|link| !link.is_over());
    }

    /// When [`Endpoint::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.links.iter().map(Link::poll_timeout).fold(None, earliest)
    }

    /// Writes the next datagrams, at most 16, to the front of `out`, which should hold 16 × [`MAX_DATAGRAM`] bytes and
    /// must hold one. Nothing is allocated for the datagrams of a session.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let transmit = self.next_transmit(now, out)?;
        self.shared.stats.sent.add(transmit.len.div_ceil(transmit.segment_len) as u64);
        self.shared.stats.sent_bytes.add(transmit.len as u64);
        Some(transmit)
    }

    fn next_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        if out.len() < MAX_DATAGRAM {
            return None;
        }
        if let Some((to, datagram)) = self.shared.next_to_send() {
            let bytes = datagram.as_bytes();
            out[..bytes.len()].copy_from_slice(bytes);
            return Some(Transmit { to, len: bytes.len(), segment_len: bytes.len() });
        }
        for _ in 0..self.links.len() {
            self.turn = (self.turn + 1) % self.links.len();
            if let Some(transmit) = self.links[self.turn].poll_transmit(now, out) {
                return Some(transmit);
            }
        }
        None
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<(LinkId, Event)> {
        self.shared.next_event()
    }

    /// The inner half of a link, while a conversation stands (the peer may be away).
    pub fn payloads(&mut self, id: LinkId) -> Option<&mut P> {
        self.link_mut(id)?.payloads.as_mut().map(|(_, payloads)| payloads)
    }

    /// Who a link's peer is, while a conversation stands.
    pub fn peer(&self, id: LinkId) -> Option<&Peer> {
        self.link(id)?.peer.as_ref().map(|(peer, _)| peer)
    }

    /// By which of the trusts that the link was given its peer has come in, as a place among them, while a conversation
    /// stands.
    pub fn trust_place(&self, id: LinkId) -> Option<usize> {
        self.link(id)?.peer.as_ref().map(|(_, place)| *place)
    }

    /// Where a link's peer was last heard.
    pub fn address(&self, id: LinkId) -> Option<SocketAddr> {
        self.link(id)?.remote
    }

    /// Whether a link's peer has been heard within the last second.
    pub fn is_here(&self, id: LinkId) -> bool {
        self.link(id).is_some_and(|link| link.here)
    }

    /// Links that exist, those that only look for a peer included.
    pub fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.links.iter().map(|link| link.id)
    }

    /// This station's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.shared.public
    }

    /// The counters; other threads may keep them.
    pub fn stats(&self) -> &Arc<EndpointStats> {
        &self.shared.stats
    }

    fn candidates(&self, trusts: &[Trust]) -> Vec<Candidate> {
        trusts.iter().map(|trust| Candidate::new(trust, &self.shared.public)).collect()
    }

    fn link(&self, id: LinkId) -> Option<&Link<P>> {
        self.links.iter().find(|link| link.id == id)
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link<P>> {
        self.links.iter_mut().find(|link| link.id == id)
    }
}

impl<P: Payloads> Link<P> {
    /// The next datagrams of this link's session: payloads as far as they are equally long, else a keep-alive if due.
    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let to = self.remote?;
        let (mut len, mut segment_len) = (0, 0);
        for _ in 0..SEGMENTS_MAX {
            let Some(payload_len) = self.next_payload(now) else { break };
            let sealed_len = payload_len + OVERHEAD;
            if len > 0 && (sealed_len > segment_len || len + sealed_len > out.len()) {
                self.waiting.len = Some(payload_len);
                break;
            }
            let session = self.current.as_mut()?;
            let Some(sealed) = session.seal_payload(&mut self.waiting.plain[..], payload_len, &mut out[len..]) else {
                break;
            };
            len += sealed;
            segment_len = segment_len.max(sealed);
            if sealed < segment_len {
                break;
            }
        }
        if len == 0 && self.keep_alive_due(now) {
            len = self.current.as_mut()?.seal_keep_alive(out)?;
            segment_len = len;
        }
        if len == 0 {
            return None;
        }
        self.sent_at = Some(now);
        Some(Transmit { to, len, segment_len })
    }

    /// The next payload's length; it stands in `waiting.plain`.
    fn next_payload(&mut self, now: Instant) -> Option<usize> {
        if !self.here || self.current.is_none() {
            return None;
        }
        if let Some(len) = self.waiting.len.take() {
            return Some(len);
        }
        let (_, payloads) = self.payloads.as_mut()?;
        let len = payloads.poll_payload(now, &mut self.waiting.plain[..MAX_PAYLOAD])?;
        Some(len.min(MAX_PAYLOAD))
    }
}
