//! What comes in: each datagram finds its session or handshake, or is counted and forgotten.

use super::Endpoint;
use super::core::{Candidate, Core};
use super::link::{Link, Outgoing, Refused, Stage, Unproven};
use super::types::{CloseReason, LINKS_MAX, LinkId, Peer, Trust};
use crate::identity::PublicKey;
use crate::link::Payloads;
use crate::link::admission::Verdict;
use crate::link::datagram::{self, COOKIE_SALT_LEN, Datagram, MAC_LEN, Macs, Pattern, Written};
use crate::link::mac::equal;
use crate::link::noise::{Handshake, Hello};
use crate::link::session::{Content, Session, Terms, Unopened};
use crate::time::Instant;
use core::net::SocketAddr;

impl<P: Payloads> Endpoint<P> {
    /// A datagram came from `from`. Whatever it is, the state stays bounded and nothing panics; only a trusted peer gets
    /// an answer.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.core.stats.received.bump();
        self.core.stats.received_bytes.add(bytes.len() as u64);
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
            None => Err((|s| &s.refused_malformed) as Refused),
        };
        if let Err(refused) = taken {
            refused(&self.core.stats).bump();
        }
        self.links.retain(|link| !link.is_over());
    }

    fn data(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (receiver, counter, sealed): (u32, u64, &[u8]),
    ) -> Result<(), Refused> {
        for link in &mut self.links {
            if let Some(place) = link.unproven.iter().position(|unproven| unproven.local() == receiver) {
                let (core, make, plain) = (&mut self.core, &mut *self.make, &mut self.scratch[..]);
                return link.prove(core, make, now, from, (place, counter, sealed), plain);
            }
            let is_current = link.current.as_ref().is_some_and(|session| session.terms.local == receiver);
            let session = if is_current { link.current.as_mut() } else { link.previous.as_mut().map(|(s, _)| s) };
            let Some(session) = session.filter(|session| session.terms.local == receiver) else { continue };
            if now >= session.ends_at() {
                return Err(|s| &s.refused_unknown);
            }
            let conversation = session.terms.conversation;
            let (content, newest) = session.open(counter, sealed, &mut self.scratch[..]).map_err(refused)?;
            link.heard(&mut self.core, now, from, newest && is_current);
            return link.content(&mut self.core, now, conversation, content);
        }
        Err(|s| &s.refused_unknown)
    }

    /// A handshake's first message: cheap checks first.
    fn initiation(
        &mut self,
        now: Instant,
        from: SocketAddr,
        pattern: Pattern,
        (sender, noise, macs, mac2): (u32, &[u8], Macs<'_>, &[u8; MAC_LEN]),
    ) -> Result<(), Refused> {
        let code = match pattern {
            Pattern::Ik => None,
            Pattern::Xx => Some(self.code_of(macs).ok_or((|s| &s.refused_mac) as Refused)?),
        };
        let outer = code.as_ref().map_or(&self.core.outer, |place| &self.candidate(place).outer);
        if !equal(&outer.mac1(macs.covered), macs.mac1) {
            return Err(|s| &s.refused_mac);
        }
        match self.core.admission.judge(now, from, macs, mac2, &mut *self.core.random) {
            Verdict::Admit => {}
            Verdict::Refuse => return Err(|s| &s.refused_rate),
            Verdict::Ask(cookie) => {
                let mut salt = [0; COOKIE_SALT_LEN];
                (self.core.random)(&mut salt);
                let outer = code.as_ref().map_or(&self.core.outer, |place| &self.candidate(place).outer);
                let sealed = outer.seal_cookie(&salt, macs.mac1, &cookie);
                self.core.stats.cookies.bump();
                self.core.send(from, Written::cookie(sender, &salt, &sealed));
                return Err(|s| &s.refused_rate);
            }
        }
        let mut handshake = match code.as_ref().map(|place| &self.candidate(place).trust) {
            Some(Trust::Code(psk)) => Handshake::respond_xx(&self.core.secret, &psk.clone(), &mut *self.core.random),
            _ => Handshake::respond_ik(&self.core.secret, &mut *self.core.random),
        };
        let hello = handshake.read_hello(noise).ok_or((|s| &s.refused_handshake) as Refused)?;
        if hello.instance == self.core.instance {
            return Err(|s| &s.refused_own_instance);
        }
        let place = match code {
            Some(place) => place,
            None => {
                let key = handshake.peer().ok_or((|s| &s.refused_handshake) as Refused)?;
                self.trust_in(&key, &hello).ok_or((|s| &s.refused_stranger) as Refused)?
            }
        };
        if !self.core.admission.is_new(now, &hello.instance, hello.stamp) {
            return Err(|s| &s.refused_repeated);
        }
        let (link, candidate) = self.link_at(now, place).ok_or((|s| &s.refused_busy) as Refused)?;
        self.links[link].answer(&mut self.core, now, from, (handshake, pattern, hello), candidate, sender)
    }

    fn response(
        &mut self,
        now: Instant,
        from: SocketAddr,
        pattern: Pattern,
        (sender, receiver, noise, macs): (u32, u32, &[u8], Macs<'_>),
    ) -> Result<(), Refused> {
        for link in &mut self.links {
            let Some(place) = link.outgoing.iter().position(|outgoing| outgoing.local == receiver) else { continue };
            let outer = &link.candidates[link.outgoing[place].candidate].outer;
            if !equal(&outer.mac1(macs.covered), macs.mac1) {
                return Err(|s| &s.refused_mac);
            }
            // A forged answer must leave the handshake as it is: it is taken out only after the genuine one.
            let handshake = &mut link.outgoing[place].handshake;
            if handshake.pattern() != pattern {
                return Err(|s| &s.refused_handshake);
            }
            let hello = handshake.read_hello(noise).ok_or((|s| &s.refused_handshake) as Refused)?;
            let outgoing = link.outgoing.swap_remove(place);
            return link.answered(&mut self.core, &mut *self.make, now, from, (outgoing, hello, sender));
        }
        Err(|s| &s.refused_unknown)
    }

    /// XXpsk3's last message.
    fn finish(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (receiver, noise, macs): (u32, &[u8], Macs<'_>),
    ) -> Result<(), Refused> {
        for link in &mut self.links {
            let Some(place) = link.unproven.iter().position(|unproven| unproven.local() == receiver) else { continue };
            let outer = &link.candidates[link.unproven[place].candidate].outer;
            if !equal(&outer.mac1(macs.covered), macs.mac1) {
                return Err(|s| &s.refused_mac);
            }
            let Stage::Finish { handshake, .. } = &mut link.unproven[place].stage else {
                return Err(|s| &s.refused_repeated);
            };
            handshake.read_finish(noise).ok_or((|s| &s.refused_handshake) as Refused)?;
            let unproven = link.unproven.remove(place);
            return link.finished(&mut self.core, &mut *self.make, now, from, unproven);
        }
        Err(|s| &s.refused_unknown)
    }

    /// The peer is busy, and asks for a cookie: the same initiation goes there again with it, once for each reply.
    fn cookie(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (receiver, salt, sealed): (u32, &[u8; COOKIE_SALT_LEN], &[u8]),
    ) -> Result<(), Refused> {
        for link in &mut self.links {
            let Some(place) = link.outgoing.iter().position(|outgoing| outgoing.local == receiver) else { continue };
            let outgoing = &link.outgoing[place];
            let outer = &link.candidates[outgoing.candidate].outer;
            let opened = outer.open_cookie(salt, &outgoing.mac1, sealed);
            let cookie = opened.ok_or((|s| &s.refused_forged) as Refused)?;
            // Somebody who replays the reply must not have us repeat ourselves.
            if link.cookie(now, from) == Some(&cookie) {
                return Err(|s| &s.refused_repeated);
            }
            link.keep_cookie(now, from, cookie);
            link.send_initiation(&mut self.core, now, &link.outgoing[place], from);
            return Ok(());
        }
        Err(|s| &s.refused_unknown)
    }

    /// Whose code the datagram was made with.
    fn code_of(&self, macs: Macs<'_>) -> Option<Place> {
        let made_with =
            |c: &Candidate| matches!(c.trust, Trust::Code(_)) && equal(&c.outer.mac1(macs.covered), macs.mac1);
        let dialled = self.links.iter().enumerate().find_map(|(link, l)| {
            l.candidates.iter().position(made_with).map(|candidate| Place::Link(link, candidate))
        });
        dialled.or_else(|| self.core.accept.iter().position(made_with).map(Place::Accept))
    }

    /// Why the station with this key is trusted, and on which link: rather the one where it is, then one where nobody is.
    fn trust_in(&self, key: &PublicKey, hello: &Hello) -> Option<Place> {
        let own = &self.core.public;
        let is_it = |c: &Candidate| c.key(own).as_ref() == Some(key);
        let places = self.links.iter().enumerate().filter_map(|(link, l)| {
            let candidate = l.candidates.iter().position(is_it)?;
            let rank = match l.peer {
                Some((peer, _)) if peer.key == *key && peer.instance == hello.instance => 0,
                Some((peer, _)) if peer.key == *key => 1,
                _ if !l.here => 2,
                Some(_) | None => 3,
            };
            Some((rank, link, candidate))
        });
        let dialled = places.min().map(|(_, link, candidate)| Place::Link(link, candidate));
        dialled.or_else(|| self.core.accept.iter().position(is_it).map(Place::Accept))
    }

    fn candidate(&self, place: &Place) -> &Candidate {
        match place {
            Place::Link(link, candidate) => &self.links[*link].candidates[*candidate],
            Place::Accept(place) => &self.core.accept[*place],
        }
    }

    /// The link and candidate at `place`; one who may call without having been dialled gets a link of its own.
    fn link_at(&mut self, now: Instant, place: Place) -> Option<(usize, usize)> {
        match place {
            Place::Link(link, candidate) => Some((link, candidate)),
            Place::Accept(_) if self.links.len() == LINKS_MAX => None,
            Place::Accept(place) => {
                let trust = self.core.accept[place].trust.clone();
                let id = self.next_id();
                let candidate = Candidate::new(&trust, &self.core.public);
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

fn refused(why: Unopened) -> Refused {
    match why {
        Unopened::Replayed => |s| &s.refused_replayed,
        Unopened::Forged => |s| &s.refused_forged,
        Unopened::Unknown => |s| &s.refused_stale,
    }
}

impl<P: Payloads> Link<P> {
    /// Answers a peer's first message.
    fn answer(
        &mut self,
        core: &mut Core,
        now: Instant,
        from: SocketAddr,
        (mut handshake, pattern, hello): (Handshake, Pattern, Hello),
        candidate: usize,
        remote: u32,
    ) -> Result<(), Refused> {
        if handshake.peer().is_some_and(|key| !self.admits(&key)) {
            return Err(|s| &s.refused_busy);
        }
        let offered = self.held();
        let generation = hello.generation.max(self.generation_with(&hello.instance).saturating_add(1));
        let ours = Hello { instance: core.instance, conversation: offered, stamp: core.stamp(now), generation };
        let message = handshake.write_hello(ours).ok_or((|s| &s.refused_handshake) as Refused)?;
        let local = core.draw_u32();
        let response = Written::response(pattern, local, remote, message.as_bytes());
        let mac1 = match pattern {
            Pattern::Ik => core.outer.mac1(response.as_bytes()),
            Pattern::Xx => self.candidates[candidate].outer.mac1(response.as_bytes()),
        };
        let stage = match pattern {
            Pattern::Xx => Stage::Finish { handshake: Box::new(handshake), local, remote, hello, offered, generation },
            Pattern::Ik => {
                let made = (local, remote, generation);
                let (session, peer) = self.conclude(now, handshake, (hello, offered), candidate, made)?;
                Stage::Data { session: Box::new(session), peer }
            }
        };
        core.send(from, response.with(&mac1));
        core.stats.handshakes_answered.bump();
        self.keep_unproven(Unproven { since: now, candidate, stage });
        // Both called at once: of two calls that cross, the one of the smaller instance counts.
        if core.instance > hello.instance {
            self.outgoing.clear();
        }
        self.dialler.hold(now);
        Ok(())
    }

    /// The peer answered our first message.
    fn answered(
        &mut self,
        core: &mut Core,
        make: &mut dyn FnMut(Instant, &Peer) -> P,
        now: Instant,
        from: SocketAddr,
        (outgoing, hello, remote): (Outgoing, Hello, u32),
    ) -> Result<(), Refused> {
        if hello.instance == core.instance {
            return Err(|s| &s.refused_own_instance);
        }
        // What this instance sent earlier, and somebody kept back, is old from now on.
        let _ = core.admission.is_new(now, &hello.instance, hello.stamp);
        let Outgoing { mut handshake, candidate, local, offered, .. } = outgoing;
        let pattern = handshake.pattern();
        if pattern == Pattern::Xx {
            let message = handshake.write_finish().ok_or((|s| &s.refused_handshake) as Refused)?;
            let finish = Written::finish(remote, message.as_bytes());
            let mac1 = self.candidates[candidate].outer.mac1(finish.as_bytes());
            core.send(from, finish.with(&mac1));
        }
        let made = (local, remote, hello.generation);
        let (session, peer) = self.conclude(now, handshake, (hello, offered), candidate, made)?;
        match pattern {
            Pattern::Ik => self.install(core, make, now, (session, peer, candidate, from))?,
            // Whether the peer knows the code shows only in what it seals.
            Pattern::Xx => self.keep_unproven(Unproven {
                since: now,
                candidate,
                stage: Stage::Data { session: Box::new(session), peer },
            }),
        }
        Ok(())
    }

    /// The peer finished XXpsk3, and has proved that it knows the code.
    fn finished(
        &mut self,
        core: &mut Core,
        make: &mut dyn FnMut(Instant, &Peer) -> P,
        now: Instant,
        from: SocketAddr,
        unproven: Unproven,
    ) -> Result<(), Refused> {
        let Stage::Finish { handshake, local, remote, hello, offered, generation } = unproven.stage else {
            return Err(|s| &s.refused_repeated);
        };
        let made = (local, remote, generation);
        let candidate = unproven.candidate;
        let (session, peer) = self.conclude(now, *handshake, (hello, offered), candidate, made)?;
        self.install(core, make, now, (session, peer, candidate, from))
    }

    /// The session of a finished handshake, and who the peer is.
    fn conclude(
        &self,
        now: Instant,
        handshake: Handshake,
        (hello, offered): (Hello, [u8; 8]),
        candidate: usize,
        (local, remote, generation): (u32, u32, u32),
    ) -> Result<(Session, Peer), Refused> {
        let key = handshake.peer().ok_or((|s| &s.refused_handshake) as Refused)?;
        let trusted_by = self.candidates[candidate].trust.kind();
        let peer = Peer { key, trusted_by, instance: hello.instance };
        let resumed = self.resumable(offered, &hello);
        let conversation = resumed.unwrap_or_else(|| handshake.conversation());
        let initiator = handshake.is_initiator();
        let resumed = resumed.is_some();
        let terms = Terms { local, remote, initiator, generation, conversation, resumed, made_at: now };
        let keys = handshake.into_keys().ok_or((|s| &s.refused_handshake) as Refused)?;
        Ok((Session::new(terms, keys), peer))
    }

    /// The first datagram of a session proves it.
    fn prove(
        &mut self,
        core: &mut Core,
        make: &mut dyn FnMut(Instant, &Peer) -> P,
        now: Instant,
        from: SocketAddr,
        (place, counter, sealed): (usize, u64, &[u8]),
        plain: &mut [u8],
    ) -> Result<(), Refused> {
        let Stage::Data { session, .. } = &mut self.unproven[place].stage else {
            return Err(|s| &s.refused_unknown);
        };
        let conversation = session.terms.conversation;
        let (content, _) = session.open(counter, sealed, plain).map_err(refused)?;
        let Unproven { candidate, stage, .. } = self.unproven.remove(place);
        if let Stage::Data { session, peer } = stage {
            self.install(core, make, now, (*session, peer, candidate, from))?;
        }
        self.content(core, now, conversation, content)
    }

    /// What an authenticated datagram says.
    fn content(
        &mut self,
        core: &mut Core,
        now: Instant,
        conversation: [u8; 8],
        content: Content<'_>,
    ) -> Result<(), Refused> {
        match (content, &mut self.payloads) {
            (_, Some((held, _))) if *held != conversation => return Err(|s| &s.refused_stale),
            (_, None) => return Err(|s| &s.refused_stale),
            (Content::Payload(payload), Some((_, payloads))) => payloads.handle_payload(now, payload),
            (Content::KeepAlive, _) => {}
            (Content::Goodbye(reason), _) => self.closed(core, now, CloseReason::from_byte(reason)),
        }
        Ok(())
    }
}
