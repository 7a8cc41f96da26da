//! What all links of an endpoint share: who we are, randomness, and the queues to the outside.

use super::types::{EndpointStats, Event, LINKS_MAX, LinkId, Random, Trust};
use crate::identity::{PublicKey, SecretKey};
use crate::link::admission::Admission;
use crate::link::datagram::Written;
use crate::link::mac::{OuterKeys, equal};
use crate::link::noise::Instance;
use crate::time::Instant;
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::sync::Arc;

/// Handshake datagrams that may wait to be sent, at some 200 bytes each. A try of one link is 8 candidates at 9 addresses
/// at the most, 2 as a rule, and four links try between two times that the driver sends; what does not fit is counted and
/// tried again.
const OUTBOX_MAX: usize = 256;
/// Events that may wait to be fetched. A driver fetches them after every call, in which each link may be away and over.
const EVENTS_MAX: usize = 2 * LINKS_MAX;

/// Somebody to be called, or to be let in: a trust and the outer keys that follow from it.
pub struct Candidate {
    /// Why it is trusted.
    pub trust: Trust,
    /// Around handshakes towards it (and, for a code, from it).
    pub outer: OuterKeys,
}

/// What all links share.
pub struct Shared {
    /// The station's key.
    pub secret: SecretKey,
    /// The public half.
    pub public: PublicKey,
    /// This running program.
    pub instance: Instance,
    /// Around IK handshakes towards us.
    pub outer: OuterKeys,
    /// Who may call without having been dialled.
    pub accept: Vec<Candidate>,
    /// Where secrets come from.
    pub random: Random,
    /// The rations of handshakes.
    pub admission: Admission,
    /// The counters.
    pub stats: Arc<EndpointStats>,
    outbox: VecDeque<(SocketAddr, Written)>,
    events: VecDeque<(LinkId, Event)>,
    last_stamp: u64,
}

impl Shared {
    /// With empty queues; cookies and the instance are drawn now.
    pub fn new(now: Instant, secret: SecretKey, accept: &[Trust], mut random: Random) -> Shared {
        let public = secret.public();
        let mut instance = [0; 16];
        random(&mut instance);
        let admission = Admission::new(now, &mut *random);
        Shared {
            accept: accept.iter().map(|trust| Candidate::new(trust, &public)).collect(),
            outer: OuterKeys::of_key(&public),
            admission,
            secret,
            public,
            instance,
            random,
            stats: Arc::default(),
            outbox: VecDeque::with_capacity(OUTBOX_MAX),
            events: VecDeque::with_capacity(EVENTS_MAX),
            last_stamp: 0,
        }
    }

    /// A time stamp later than any before.
    pub fn stamp(&mut self, now: Instant) -> u64 {
        self.last_stamp = now.as_nanos().max(self.last_stamp + 1);
        self.last_stamp
    }

    /// A random number.
    pub fn draw_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        (self.random)(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Has a handshake datagram sent; drops it where too many wait.
    pub fn send(&mut self, to: SocketAddr, datagram: Written) {
        if self.outbox.len() == OUTBOX_MAX {
            self.stats.outbox_full.bump();
            return;
        }
        self.outbox.push_back((to, datagram));
    }

    /// The next handshake datagram to be sent.
    pub fn next_to_send(&mut self) -> Option<(SocketAddr, Written)> {
        self.outbox.pop_front()
    }

    /// Tells the driver; where it does not listen, the oldest is forgotten.
    pub fn tell(&mut self, link: LinkId, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.stats.events_lost.bump();
        }
        self.events.push_back((link, event));
    }

    /// The next event.
    pub fn next_event(&mut self) -> Option<(LinkId, Event)> {
        self.events.pop_front()
    }
}

impl Candidate {
    /// With the outer keys of `trust`; `own` is this station's key.
    pub fn new(trust: &Trust, own: &PublicKey) -> Candidate {
        let outer = match trust {
            Trust::Own => OuterKeys::of_key(own),
            Trust::Book(key) => OuterKeys::of_key(key),
            Trust::Code(psk) => OuterKeys::of_code(psk),
        };
        Candidate { trust: trust.clone(), outer }
    }

    /// Where this trust stands among `candidates`, if it does.
    pub fn place_in(&self, candidates: &[Candidate]) -> Option<usize> {
        // A code's key is not compared by itself: the same outer keys make the same MAC, and no others do.
        let mark = self.outer.mac1(&[]);
        let kind = self.trust.kind();
        candidates.iter().position(|other| other.trust.kind() == kind && equal(&other.outer.mac1(&[]), &mark))
    }

    /// The key that is called by IK; `None` for a code.
    pub fn key(&self, own: &PublicKey) -> Option<PublicKey> {
        match &self.trust {
            Trust::Own => Some(*own),
            Trust::Book(key) => Some(*key),
            Trust::Code(_) => None,
        }
    }
}
