//! A link's part in what comes in: answering, being answered, and proving who is there.

use super::link::{Link, Outgoing, Stage, Unproven};
use super::shared::Shared;
use super::types::{CloseReason, Peer, Refusal};
use crate::link::Payloads;
use crate::link::datagram::{Pattern, Written};
use crate::link::noise::{Conversation, Handshake, Hello};
use crate::link::session::{Content, Session, Terms};
use crate::time::Instant;
use core::net::SocketAddr;

impl<P: Payloads> Link<P> {
    /// Answers a peer's first message.
    pub(super) fn answer(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        from: SocketAddr,
        (mut handshake, pattern, hello): (Handshake, Pattern, Hello),
        candidate: usize,
        remote: u32,
    ) -> Result<(), Refusal> {
        if handshake.peer().is_some_and(|key| !self.admits(&key)) {
            return Err(Refusal::Busy);
        }
        let offered = self.held();
        let generation = hello.generation.max(self.generation_with(&hello.instance).saturating_add(1));
        let ours = Hello { instance: shared.instance, conversation: offered, stamp: shared.stamp(now), generation };
        let message = handshake.write_hello(ours).ok_or(Refusal::Handshake)?;
        let local = shared.draw_u32();
        let response = Written::response(pattern, local, remote, message.as_bytes());
        let mac1 = match pattern {
            Pattern::Ik => shared.outer.mac1(response.as_bytes()),
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
        shared.send(from, response.with(&mac1));
        shared.stats.handshakes_answered.bump();
        self.keep_unproven(Unproven { since: now, candidate, stage });
        // Both called at once: of two calls that cross, the one of the smaller instance counts.
        if shared.instance > hello.instance {
            self.outgoing.clear();
        }
        self.dialler.hold(now);
        Ok(())
    }

    /// The peer answered our first message.
    pub(super) fn answered(
        &mut self,
        shared: &mut Shared,
        make: &mut dyn FnMut(Instant, &Peer) -> P,
        now: Instant,
        from: SocketAddr,
        (outgoing, hello, remote): (Outgoing, Hello, u32),
    ) -> Result<(), Refusal> {
        if hello.instance == shared.instance {
            return Err(Refusal::OwnInstance);
        }
        // What this instance sent earlier, and somebody kept back, is old from now on.
        let _ = shared.admission.is_new(now, &hello.instance, hello.stamp);
        let Outgoing { mut handshake, candidate, local, offered, .. } = outgoing;
        let pattern = handshake.pattern();
        if pattern == Pattern::Xx {
            let message = handshake.write_finish().ok_or(Refusal::Handshake)?;
            let finish = Written::finish(remote, message.as_bytes());
            let mac1 = self.candidates[candidate].outer.mac1(finish.as_bytes());
            shared.send(from, finish.with(&mac1));
        }
        let made = (local, remote, hello.generation);
        let (session, peer) = self.conclude(now, handshake, (hello, offered), candidate, made)?;
        match pattern {
            Pattern::Ik => self.install(shared, make, now, (session, peer, candidate, from))?,
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
    pub(super) fn finished(
        &mut self,
        shared: &mut Shared,
        make: &mut dyn FnMut(Instant, &Peer) -> P,
        now: Instant,
        from: SocketAddr,
        unproven: Unproven,
    ) -> Result<(), Refusal> {
        let Stage::Finish { handshake, local, remote, hello, offered, generation } = unproven.stage else {
            return Err(Refusal::Repeated);
        };
        let made = (local, remote, generation);
        let candidate = unproven.candidate;
        let (session, peer) = self.conclude(now, *handshake, (hello, offered), candidate, made)?;
        self.install(shared, make, now, (session, peer, candidate, from))
    }

    /// The session of a finished handshake, and who the peer is.
    fn conclude(
        &self,
        now: Instant,
        handshake: Handshake,
        (hello, offered): (Hello, Conversation),
        candidate: usize,
        (local, remote, generation): (u32, u32, u32),
    ) -> Result<(Session, Peer), Refusal> {
        let key = handshake.peer().ok_or(Refusal::Handshake)?;
        let trusted_by = self.candidates[candidate].trust.kind();
        let peer = Peer { key, trusted_by, instance: hello.instance };
        let resumed = self.resumable(offered, &hello);
        let conversation = resumed.unwrap_or_else(|| handshake.conversation());
        let initiator = handshake.is_initiator();
        let resumed = resumed.is_some();
        let terms = Terms { local, remote, initiator, generation, conversation, resumed, made_at: now };
        let keys = handshake.into_keys().ok_or(Refusal::Handshake)?;
        Ok((Session::new(terms, keys), peer))
    }

    /// The first datagram of a session proves it.
    pub(super) fn prove(
        &mut self,
        shared: &mut Shared,
        make: &mut dyn FnMut(Instant, &Peer) -> P,
        now: Instant,
        from: SocketAddr,
        (place, counter, sealed): (usize, u64, &[u8]),
        plain: &mut [u8],
    ) -> Result<(), Refusal> {
        let Stage::Data { session, .. } = &mut self.unproven[place].stage else {
            return Err(Refusal::Unknown);
        };
        let conversation = session.terms.conversation;
        let (content, _) = session.open(counter, sealed, plain)?;
        let Unproven { candidate, stage, .. } = self.unproven.remove(place);
        if let Stage::Data { session, peer } = stage {
            self.install(shared, make, now, (*session, peer, candidate, from))?;
        }
        self.content(shared, now, conversation, content)
    }

    /// What an authenticated datagram says.
    pub(super) fn content(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        conversation: Conversation,
        content: Content<'_>,
    ) -> Result<(), Refusal> {
        match (content, &mut self.payloads) {
            (_, Some((held, _))) if *held != conversation => return Err(Refusal::Stale),
            (_, None) => return Err(Refusal::Stale),
            (Content::Payload(payload), Some((_, payloads))) => payloads.handle_payload(now, payload),
            (Content::KeepAlive, _) => {}
            (Content::Goodbye(reason), _) => self.closed(shared, now, CloseReason::from_byte(reason)),
        }
        Ok(())
    }
}
