//! What comes in: each datagram finds its session or handshake, or is counted and forgotten.

use super::Endpoint;
use super::link::{Link, Stage};
use super::shared::Candidate;
use super::types::{LINKS_MAX, LinkId, Refusal, Trust};
use crate::identity::PublicKey;
use crate::link::Payloads;
use crate::link::admission::Verdict;
use crate::link::datagram::{self, COOKIE_SALT_LEN, Datagram, MAC_LEN, Macs, Pattern, Written};
use crate::link::mac::equal;
use crate::link::noise::{Handshake, Hello};
use crate::time::Instant;
use core::net::SocketAddr;

impl<P: Payloads> Endpoint<P> {
    /// A datagram came from `from`. Whatever it is, the state stays bounded and nothing panics; only a trusted peer gets
    /// an answer. Addresses are compared as they are given: a driver with an IPv6 socket for both families gives and
    /// takes IPv4 ones in one form only, here and in [`Endpoint::dial`].
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.shared.stats.received.bump();
        self.shared.stats.received_bytes.add(bytes.len() as u64);
        let taken = match datagram::parse(bytes) {
            Some(Datagram::Data { receiver, counter, sealed }) => self.data(now, from, (receiver, counter, sealed)),
            Some(Datagram::Initiation { pattern, sender, noise, macs, mac2 }) => {
                self.initiation(now, from, pattern, (sender, noise, macs, mac2))
            }
            Some(Datagram::Response { pattern, sender, receiver, noise, macs }) => {
                self.response(now, from, pattern, (sender, receiver, noise, macs))
            }
            Some(Datagram::Finish { receiver, noise, macs }) => self.finish(now, from, (receiver, noise, macs)),
            Some(Datagram::Cookie { receiver, salt, sealed }) => self.cookie(now, from, (receiver, salt, sealed)),
            None => Err(Refusal::Malformed),
        };
        if let Err(refusal) = taken {
            self.shared.stats.refuse(refusal);
        }
        self.links.retain(|link| !link.is_over());
    }

    fn data(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (receiver, counter, sealed): (u32, u64, &[u8]),
    ) -> Result<(), Refusal> {
        for link in &mut self.links {
            if let Some(place) = link.unproven.iter().position(|unproven| unproven.local() == receiver) {
                let (shared, make, plain) = (&mut self.shared, &mut *self.make, &mut self.scratch[..]);
                return link.prove(shared, make, now, from, (place, counter, sealed), plain);
            }
            let is_current = link.current.as_ref().is_some_and(|session| session.terms.local == receiver);
            let session = if is_current { link.current.as_mut() } else { link.previous.as_mut().map(|(s, _)| s) };
            let Some(session) = session.filter(|session| session.terms.local == receiver) else { continue };
            if now >= session.ends_at() {
                return Err(Refusal::Unknown);
            }
            let conversation = session.terms.conversation;
            let (content, newest) = session.open(counter, sealed, &mut self.scratch[..])?;
            link.heard(&mut self.shared, now, from, newest && is_current);
            return link.content(&mut self.shared, now, conversation, content);
        }
        Err(Refusal::Unknown)
    }

    /// A handshake's first message: cheap checks first.
    fn initiation(
        &mut self,
        now: Instant,
        from: SocketAddr,
        pattern: Pattern,
        (sender, noise, macs, mac2): (u32, &[u8], Macs<'_>, &[u8; MAC_LEN]),
    ) -> Result<(), Refusal> {
        let code = match pattern {
            Pattern::Ik => None,
            Pattern::Xx => Some(self.code_of(macs).ok_or(Refusal::Mac)?),
        };
        let outer = code.map_or(&self.shared.outer, |place| &self.candidate(place).outer);
        if !equal(&outer.mac1(macs.covered), macs.mac1) {
            return Err(Refusal::Mac);
        }
        match self.shared.admission.judge(now, from, macs, mac2, &mut *self.shared.random) {
            Verdict::Admit => {}
            Verdict::Refuse => return Err(Refusal::Rate),
            Verdict::Ask(cookie) => {
                let mut salt = [0; COOKIE_SALT_LEN];
                (self.shared.random)(&mut salt);
                let outer = code.map_or(&self.shared.outer, |place| &self.candidate(place).outer);
                let sealed = outer.seal_cookie(&salt, macs.mac1, &cookie);
                self.shared.stats.cookies.bump();
                self.shared.send(from, Written::cookie(sender, &salt, &sealed));
                return Err(Refusal::Rate);
            }
        }
        let mut handshake = match code.map(|place| &self.candidate(place).trust) {
            Some(Trust::Code(psk)) => {
                Handshake::respond_xx(&self.shared.secret, &psk.clone(), &mut *self.shared.random)
            }
            _ => Handshake::respond_ik(&self.shared.secret, &mut *self.shared.random),
        };
        let hello = handshake.read_hello(noise).ok_or(Refusal::Handshake)?;
        if hello.instance == self.shared.instance {
            return Err(Refusal::OwnInstance);
        }
        let place = match code {
            Some(place) => place,
            None => {
                let key = handshake.peer().ok_or(Refusal::Handshake)?;
                self.trust_in(&key, &hello).ok_or(Refusal::Stranger)?
            }
        };
        if !self.shared.admission.is_new(now, &hello.instance, hello.stamp) {
            return Err(Refusal::Repeated);
        }
        let (link, candidate) = self.link_at(now, place).ok_or(Refusal::Busy)?;
        self.links[link].answer(&mut self.shared, now, from, (handshake, pattern, hello), candidate, sender)
    }

    fn response(
        &mut self,
        now: Instant,
        from: SocketAddr,
        pattern: Pattern,
        (sender, receiver, noise, macs): (u32, u32, &[u8], Macs<'_>),
    ) -> Result<(), Refusal> {
        for link in &mut self.links {
            let Some(place) = link.outgoing.iter().position(|outgoing| outgoing.local == receiver) else { continue };
            let outer = &link.candidates[link.outgoing[place].candidate].outer;
            if !equal(&outer.mac1(macs.covered), macs.mac1) {
                return Err(Refusal::Mac);
            }
            // A forged answer must leave the handshake as it is: it is taken out only after the genuine one.
            let handshake = &mut link.outgoing[place].handshake;
            if handshake.pattern() != pattern {
                return Err(Refusal::Handshake);
            }
            let hello = handshake.read_hello(noise).ok_or(Refusal::Handshake)?;
            let outgoing = link.outgoing.swap_remove(place);
            return link.answered(&mut self.shared, &mut *self.make, now, from, (outgoing, hello, sender));
        }
        Err(Refusal::Unknown)
    }

    /// XXpsk3's last message.
    fn finish(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (receiver, noise, macs): (u32, &[u8], Macs<'_>),
    ) -> Result<(), Refusal> {
        for link in &mut self.links {
            let Some(place) = link.unproven.iter().position(|unproven| unproven.local() == receiver) else { continue };
            let outer = &link.candidates[link.unproven[place].candidate].outer;
            if !equal(&outer.mac1(macs.covered), macs.mac1) {
                return Err(Refusal::Mac);
            }
            let Stage::Finish { handshake, .. } = &mut link.unproven[place].stage else {
                return Err(Refusal::Repeated);
            };
            handshake.read_finish(noise).ok_or(Refusal::Handshake)?;
            let unproven = link.unproven.remove(place);
            return link.finished(&mut self.shared, &mut *self.make, now, from, unproven);
        }
        Err(Refusal::Unknown)
    }

    /// The peer is busy, and asks for a cookie: the same initiation goes there again with it, once for each reply.
    fn cookie(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (receiver, salt, sealed): (u32, &[u8; COOKIE_SALT_LEN], &[u8]),
    ) -> Result<(), Refusal> {
        for link in &mut self.links {
            let Some(place) = link.outgoing.iter().position(|outgoing| outgoing.local == receiver) else { continue };
            let outgoing = &link.outgoing[place];
            let outer = &link.candidates[outgoing.candidate].outer;
            let opened = outer.open_cookie(salt, &outgoing.mac1, sealed);
            let cookie = opened.ok_or(Refusal::Forged)?;
            // Somebody who replays the reply must not have us repeat ourselves.
            if link.cookie(now, from) == Some(&cookie) {
                return Err(Refusal::Repeated);
            }
            link.keep_cookie(now, from, cookie);
            link.send_initiation(&mut self.shared, now, &link.outgoing[place], from);
            return Ok(());
        }
        Err(Refusal::Unknown)
    }

    /// Whose code the datagram was made with.
    fn code_of(&self, macs: Macs<'_>) -> Option<Place> {
        let made_with =
            |c: &Candidate| matches!(c.trust, Trust::Code(_)) && equal(&c.outer.mac1(macs.covered), macs.mac1);
        let dialled = self.links.iter().enumerate().find_map(|(link, l)| {
            l.candidates.iter().position(made_with).map(|candidate| Place::Link(link, candidate))
        });
        dialled.or_else(|| self.shared.accept.iter().position(made_with).map(Place::Accept))
    }

    /// Why the station with this key is trusted, and on which link: rather the one where it is, then one where nobody
    /// is, then one of its own; if all else fails one that is taken, where it will be refused.
    fn trust_in(&self, key: &PublicKey, hello: &Hello) -> Option<Place> {
        let own = &self.shared.public;
        let is_it = |c: &Candidate| c.key(own).as_ref() == Some(key);
        let dialled = self.links.iter().enumerate().filter_map(|(link, l)| {
            let candidate = l.candidates.iter().position(is_it)?;
            let rank = match l.peer {
                Some((peer, _)) if peer.key == *key && peer.instance == hello.instance => 0,
                Some((peer, _)) if peer.key == *key => 1,
                _ if !l.here => 2,
                _ => 4,
            };
            Some((rank, Place::Link(link, candidate)))
        });
        let accepted = self.shared.accept.iter().position(is_it).map(|place| (3, Place::Accept(place)));
        dialled.chain(accepted).min_by_key(|(rank, _)| *rank).map(|(_, place)| place)
    }

    fn candidate(&self, place: Place) -> &Candidate {
        match place {
            Place::Link(link, candidate) => &self.links[link].candidates[candidate],
            Place::Accept(place) => &self.shared.accept[place],
        }
    }

    /// The link and candidate at `place`; one who may call without having been dialled gets a link of its own.
    fn link_at(&mut self, now: Instant, place: Place) -> Option<(usize, usize)> {
        match place {
            Place::Link(link, candidate) => Some((link, candidate)),
            Place::Accept(_) if self.links.len() == LINKS_MAX => None,
            Place::Accept(place) => {
                let trust = self.shared.accept[place].trust.clone();
                let id = self.next_id();
                let candidate = Candidate::new(&trust, &self.shared.public);
                let mut link = Link::new(now, id, vec![candidate], &[]);
                link.called_us = true;
                self.links.push(link);
                Some((self.links.len() - 1, 0))
            }
        }
    }

    pub(super) fn next_id(&mut self) -> LinkId {
        self.next_link = self.next_link.wrapping_add(1);
        LinkId(self.next_link)
    }
}

/// Where a trust stands.
#[derive(Clone, Copy)]
enum Place {
    /// At a link, among its candidates.
    Link(usize, usize),
    /// Among those who may call without having been dialled.
    Accept(usize),
}
