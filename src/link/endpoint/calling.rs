//! Beginning handshakes: towards whom, at which addresses, and with which cookie.

use super::link::{Link, Outgoing};
use super::shared::Shared;
use super::types::Trust;
use crate::link::Payloads;
use crate::link::datagram::{MAC_LEN, Pattern, Written};
use crate::link::mac::mac2;
use crate::link::noise::{Handshake, Hello};
use crate::time::Instant;
use core::net::SocketAddr;

/// Candidates that one try calls. A link that looks for a whole address book goes through it in turn, so that a try
/// stays below 10 ms on a Pi Zero 2 W (four X25519 multiplications each).
const CANDIDATES_PER_TRY: usize = 8;

impl<P: Payloads> Link<P> {
    /// One try: each candidate is called, at every address at once with the same datagram. The first that answers wins,
    /// and the peer takes the same datagram only once.
    pub(super) fn begin_handshakes(&mut self, shared: &mut Shared, now: Instant) {
        let tries = self.dialler.tries();
        // An answer may take longer than the pause between two tries, but not longer than two of them, for long.
        self.outgoing.retain(|outgoing| outgoing.tried + 1 >= tries);
        match self.peer.filter(|_| self.here) {
            // To renew a session: only the one that is there.
            Some((_, candidate)) => self.begin(shared, now, candidate),
            None => {
                let count = self.candidates.len();
                let first = tries as usize * CANDIDATES_PER_TRY;
                for step in 0..count.min(CANDIDATES_PER_TRY) {
                    self.begin(shared, now, (first + step) % count);
                }
            }
        }
        let chance = shared.draw_u32() as u16;
        self.dialler.tried(now, chance);
    }

    fn begin(&mut self, shared: &mut Shared, now: Instant, candidate: usize) {
        let Some(called) = self.candidates.get(candidate) else { return };
        let (pattern, mut handshake) = match (&called.trust, called.key(&shared.public)) {
            (Trust::Code(psk), _) => (Pattern::Xx, Handshake::initiate_xx(&shared.secret, psk, &mut *shared.random)),
            (_, Some(key)) => (Pattern::Ik, Handshake::initiate_ik(&shared.secret, &key, &mut *shared.random)),
            (Trust::Own | Trust::Book(_), None) => return,
        };
        let offered = self.held();
        // Which instance will answer is not known; the responder raises what is too low.
        let generation = self.current.as_ref().map_or(0, |session| session.terms.generation).saturating_add(1);
        let hello = Hello { instance: shared.instance, conversation: offered, stamp: shared.stamp(now), generation };
        let Some(message) = handshake.write_hello(hello) else { return };
        let local = shared.draw_u32();
        let covered = Written::initiation(pattern, local, message.as_bytes());
        let mac1 = called.outer.mac1(covered.as_bytes());
        let initiation = covered.with(&mac1);
        shared.stats.handshakes_begun.bump();
        let tried = self.dialler.tries();
        let outgoing = Outgoing { local, candidate, handshake, initiation, mac1, offered, tried };
        for address in self.targets() {
            self.send_initiation(shared, now, &outgoing, address);
        }
        self.outgoing.push(outgoing);
    }

    /// Where the peer is looked for: where it was last, and, unless it is there, everywhere else.
    fn targets(&self) -> impl Iterator<Item = SocketAddr> + use<P> {
        let elsewhere = if self.here { &[][..] } else { &self.addresses[..] };
        let mut targets = [None; super::types::ADDRESSES_MAX + 1];
        let others = elsewhere.iter().copied().filter(|address| Some(*address) != self.remote);
        for (target, address) in targets.iter_mut().zip(self.remote.into_iter().chain(others)) {
            *target = Some(address);
        }
        targets.into_iter().flatten()
    }

    /// Sends an initiation to one address, with mac2 where we hold a cookie of it, else with zeros in its place.
    pub(super) fn send_initiation(&self, shared: &mut Shared, now: Instant, outgoing: &Outgoing, to: SocketAddr) {
        let written = outgoing.initiation.as_bytes();
        let covered = &written[..written.len() - MAC_LEN];
        let proof = self.cookie(now, to).map_or([0; MAC_LEN], |cookie| mac2(cookie, covered, &outgoing.mac1));
        shared.send(to, outgoing.initiation.clone().with(&proof));
    }
}
