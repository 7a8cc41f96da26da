//! One link: its sessions, the handshakes under way, and whether the peer is there.

use super::shared::{Candidate, Shared};
use super::types::{ADDRESSES_MAX, CloseReason, Event, LinkId, Peer, Refusal};
use crate::link::datagram::Written;
use crate::link::dialler::Dialler;
use crate::link::mac::{COOKIE_LIFE, Mac};
use crate::link::noise::{Conversation, Handshake, Hello, NO_CONVERSATION};
use crate::link::session::{OVERHEAD, Session, Terms};
use crate::link::{MAX_PAYLOAD, Payloads};
use crate::time::{Duration, Instant, earliest};
use core::net::SocketAddr;

/// A peer that has been silent for so long is away. Three keep-alives may be lost.
pub const AWAY_AFTER: Duration = Duration::from_secs(1);
/// Something is sent at least so often, so that silence means something.
pub const KEEP_ALIVE: Duration = Duration::from_millis(300);
/// The same until the peer has been heard in a new session: until then it may not know that the session stands.
pub const CONFIRM: Duration = Duration::from_millis(50);
/// A session that its initiator never used, or a handshake it never finished, is forgotten after so long.
pub const UNPROVEN_LIFE: Duration = Duration::from_secs(10);
/// Datagrams sealed with the session before may be under way for so long.
const PREVIOUS_LIFE: Duration = Duration::from_secs(10);
/// A goodbye is not acknowledged; three make it likely to arrive. If none does, the peer notices within a second.
const GOODBYES: usize = 3;
/// Unproven handshakes of peers, kept at once: one, and three in case somebody replays what an earlier instance of the
/// peer once sent. The oldest makes room.
const UNPROVEN_MAX: usize = 4;

/// A handshake that we began.
pub struct Outgoing {
    /// Our number for it, drawn at random. Should two be the same, one session is not found, and made anew a second later.
    pub local: u32,
    /// Whom it calls: its place among the link's candidates.
    pub candidate: usize,
    pub(super) handshake: Handshake,
    /// The initiation up to and with mac1, for who asks for a cookie.
    pub(super) initiation: Written,
    pub(super) mac1: Mac,
    /// The conversation that it offered to go on with.
    pub(super) offered: Conversation,
    /// The number of the try.
    pub(super) tried: u32,
}

/// A handshake of the peer's, or our own XXpsk3 one, that is not proven yet.
pub struct Unproven {
    /// When it came.
    pub since: Instant,
    /// Its place among the link's candidates.
    pub candidate: usize,
    /// How far it is.
    pub stage: Stage,
}

/// How far an unproven handshake is. Boxed: most of the time there is none.
pub enum Stage {
    /// XXpsk3: the last message is awaited.
    Finish { handshake: Box<Handshake>, local: u32, remote: u32, hello: Hello, offered: Conversation, generation: u32 },
    /// The keys are there; the first datagram sealed with them is awaited.
    Data { session: Box<Session>, peer: Peer },
}

impl Unproven {
    /// Our number for it.
    pub fn local(&self) -> u32 {
        match &self.stage {
            Stage::Finish { local, .. } => *local,
            Stage::Data { session, .. } => session.terms.local,
        }
    }
}

/// What was polled from the payloads but did not fit the batch before.
pub struct Waiting {
    /// The plaintext, and one byte for the session.
    pub plain: Box<[u8; MAX_PAYLOAD + 1]>,
    /// Its length, where something waits.
    pub len: Option<usize>,
}

/// One link.
pub struct Link<P> {
    /// Its name.
    pub id: LinkId,
    /// Whom it looks for.
    pub candidates: Vec<Candidate>,
    /// Whether it began with a call to us, and nobody here looks for the peer.
    pub called_us: bool,
    /// Where the peer is looked for.
    pub addresses: Vec<SocketAddr>,
    /// Cookies by address, with the time of each.
    pub cookies: Vec<(SocketAddr, Mac, Instant)>,
    /// When the next try is due, while there is something to try for.
    pub dialler: Dialler,
    /// Handshakes that we began: this try's and the one's before.
    pub outgoing: Vec<Outgoing>,
    /// Handshakes that are not proven yet.
    pub unproven: Vec<Unproven>,
    /// The session that is used.
    pub current: Option<Session>,
    /// The one before, for what is still under way, and until when.
    pub previous: Option<(Session, Instant)>,
    /// Who the peer is, and its place among the candidates.
    pub peer: Option<(Peer, usize)>,
    /// Where it was last heard.
    pub remote: Option<SocketAddr>,
    /// Whether it is there.
    pub here: bool,
    /// When it was last heard.
    pub heard_at: Instant,
    /// When something was last sealed for it; `None` asks for a keep-alive now.
    pub sent_at: Option<Instant>,
    /// The inner half, with the conversation that it belongs to.
    pub payloads: Option<(Conversation, P)>,
    /// What waits to be sealed.
    pub waiting: Waiting,
}

impl<P: Payloads> Link<P> {
    /// A link that looks for its peer from now on.
    pub fn new(now: Instant, id: LinkId, candidates: Vec<Candidate>, addresses: &[SocketAddr]) -> Link<P> {
        let mut link = Link {
            id,
            candidates,
            called_us: false,
            addresses: Vec::with_capacity(ADDRESSES_MAX),
            cookies: Vec::with_capacity(ADDRESSES_MAX),
            dialler: Dialler::start(now),
            outgoing: Vec::new(),
            unproven: Vec::with_capacity(UNPROVEN_MAX),
            current: None,
            previous: None,
            peer: None,
            remote: None,
            here: false,
            heard_at: now,
            sent_at: None,
            payloads: None,
            waiting: Waiting { plain: Box::new([0; MAX_PAYLOAD + 1]), len: None },
        };
        link.set_addresses(now, addresses);
        link
    }

    /// Replaces where the peer is looked for; a link that is looking tries at once.
    pub fn set_addresses(&mut self, now: Instant, addresses: &[SocketAddr]) {
        // Names are looked up again and again, mostly to the same end: that must not hurry the tries.
        if self.addresses == addresses {
            return;
        }
        self.addresses.clear();
        for address in addresses {
            if self.addresses.len() < ADDRESSES_MAX && !self.addresses.contains(address) {
                self.addresses.push(*address);
            }
        }
        if !self.here {
            self.dialler = Dialler::start(now);
        }
    }

    /// Replaces whom the link looks for; a link that is looking tries at once.
    pub fn set_candidates(&mut self, shared: &mut Shared, now: Instant, candidates: Vec<Candidate>) {
        let places: Vec<Option<usize>> = self.candidates.iter().map(|old| old.place_in(&candidates)).collect();
        let unchanged = candidates.len() == places.len() && places.iter().enumerate().all(|(i, p)| *p == Some(i));
        if unchanged {
            return;
        }
        let place = |old: usize| places.get(old).copied().flatten();
        self.candidates = candidates;
        // Ours are begun anew; the peer's would have to be.
        self.outgoing.clear();
        self.unproven.retain_mut(|unproven| place(unproven.candidate).map(|new| unproven.candidate = new).is_some());
        if let Some((_, candidate)) = &mut self.peer {
            match place(*candidate) {
                Some(new) => *candidate = new,
                None => {
                    self.say_goodbye(shared, CloseReason::HungUp);
                    self.closed(shared, now, CloseReason::HungUp);
                }
            }
        }
        if !self.here {
            self.dialler = Dialler::start(now);
        }
    }

    /// Tells the peer, if there is one, that this side leaves.
    pub fn say_goodbye(&mut self, shared: &mut Shared, reason: CloseReason) {
        let (Some(session), Some(remote)) = (&mut self.current, self.remote) else { return };
        for _ in 0..GOODBYES {
            let mut sealed = [0; OVERHEAD + 1];
            if let Some(len) = session.seal_goodbye(reason.to_byte(), &mut sealed) {
                shared.send(remote, Written::sealed(&sealed[..len]));
            }
        }
    }

    /// The conversation that we hold the inner half of.
    pub fn held(&self) -> Conversation {
        self.payloads.as_ref().map_or(NO_CONVERSATION, |(conversation, _)| *conversation)
    }

    /// The conversation to go on with where both sides still hold it, as far as the peer says.
    pub fn resumable(&self, offered: Conversation, hello: &Hello) -> Option<Conversation> {
        (offered != NO_CONVERSATION && hello.conversation == offered && self.held() == offered).then_some(offered)
    }

    /// The highest generation of what this instance of the peer may take for a session with us; 0 for none. That is
    /// the session in use, and those that we finished as the initiator of XXpsk3 and the peer has yet to prove.
    pub fn generation_with(&self, instance: &[u8; 16]) -> u32 {
        let same = self.peer.is_some_and(|(peer, _)| peer.instance == *instance);
        let used = self.current.as_ref().filter(|_| same).map(|session| session.terms.generation);
        let begun = self.unproven.iter().filter_map(|unproven| match &unproven.stage {
            Stage::Data { session, peer } if session.terms.initiator && peer.instance == *instance => {
                Some(session.terms.generation)
            }
            _ => None,
        });
        begun.chain(used).max().unwrap_or(0)
    }

    /// Whether a peer with this key may come in: it is the one that is there, or nobody is.
    pub fn admits(&self, key: &crate::identity::PublicKey) -> bool {
        !self.here || self.peer.is_none_or(|(peer, _)| peer.key == *key)
    }

    /// Keeps an unproven handshake; the oldest makes room.
    pub fn keep_unproven(&mut self, unproven: Unproven) {
        if self.unproven.len() == UNPROVEN_MAX {
            self.unproven.remove(0);
        }
        self.unproven.push(unproven);
    }

    /// Brings a proven session into use, and with it, where it begins a conversation, fresh payloads.
    pub fn install(
        &mut self,
        shared: &mut Shared,
        make: &mut dyn FnMut(Instant, &Peer) -> P,
        now: Instant,
        (session, peer, candidate, from): (Session, Peer, usize, SocketAddr),
    ) -> Result<(), Refusal> {
        let Terms { conversation, resumed, generation, .. } = session.terms;
        let known = self.peer.is_some_and(|(known, _)| (known.key, known.instance) == (peer.key, peer.instance));
        let goes_on = known && conversation == self.held();
        if !self.admits(&peer.key) {
            return Err(Refusal::Busy);
        }
        if resumed && !goes_on {
            return Err(Refusal::Stale);
        }
        shared.stats.sessions.bump();
        self.outgoing.clear();
        if known && self.current.as_ref().is_some_and(|current| current.terms.generation >= generation) {
            // Both sides come to this, whichever session they saw first.
            if goes_on {
                self.previous = Some((session, now + PREVIOUS_LIFE));
            }
            return Ok(());
        }
        let before = self.current.replace(session);
        self.previous = before.filter(|_| goes_on).map(|session| (session, now + PREVIOUS_LIFE));
        self.peer = Some((peer, candidate));
        self.sent_at = None;
        self.dialler = Dialler::start(now);
        if goes_on {
            self.heard(shared, now, from, true);
            return Ok(());
        }
        self.waiting.len = None;
        let had = self.payloads.replace((conversation, make(now, &peer))).is_some();
        (self.here, self.heard_at, self.remote) = (true, now, Some(from));
        let event =
            if had { Event::Replaced { peer, address: from } } else { Event::Connected { peer, address: from } };
        shared.tell(self.id, event);
        Ok(())
    }

    /// The peer was heard; `newest` where nothing later has been heard before, so that its address counts.
    pub fn heard(&mut self, shared: &mut Shared, now: Instant, from: SocketAddr, newest: bool) {
        if !self.here {
            self.here = true;
            self.outgoing.clear();
            shared.tell(self.id, Event::Back { after: now.since(self.heard_at) });
        }
        self.heard_at = now;
        if newest && self.remote != Some(from) {
            self.remote = Some(from);
            shared.tell(self.id, Event::Roamed { address: from });
        }
    }

    /// The peer said goodbye, or is given up.
    pub fn closed(&mut self, shared: &mut Shared, now: Instant, reason: CloseReason) {
        (self.current, self.previous, self.payloads, self.peer) = (None, None, None, None);
        self.outgoing.clear();
        self.unproven.clear();
        self.waiting.len = None;
        self.here = false;
        self.dialler = Dialler::start_slowly(now);
        shared.tell(self.id, Event::Closed { reason });
    }

    /// Whether nothing is left of a link that began with a call to us.
    pub fn is_over(&self) -> bool {
        self.called_us && self.peer.is_none() && self.unproven.is_empty()
    }

    /// When a handshake is wanted, if ever: now, or when the session is due for renewal.
    fn handshake_wanted_at(&self) -> Option<Instant> {
        if self.remote.is_none() && self.addresses.is_empty() {
            return None;
        }
        match &self.current {
            Some(session) if self.here => Some(session.rekey_at().max(self.dialler.next_at())),
            _ => Some(self.dialler.next_at()),
        }
    }

    fn keep_alive_at(&self) -> Option<Instant> {
        let session = self.current.as_ref()?;
        let pause = if session.heard { KEEP_ALIVE } else { CONFIRM };
        Some(self.sent_at.map_or(Instant::ZERO, |at| at + pause))
    }

    /// Whether a keep-alive is due.
    pub fn keep_alive_due(&self, now: Instant) -> bool {
        self.keep_alive_at().is_some_and(|at| at <= now)
    }

    /// When something is to be done next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let here = self.here.then_some(self);
        [
            self.handshake_wanted_at(),
            self.keep_alive_at(),
            here.map(|link| link.heard_at + AWAY_AFTER),
            self.current.as_ref().map(Session::ends_at),
            self.previous.as_ref().map(|(_, until)| *until),
            self.unproven.first().map(|unproven| unproven.since + UNPROVEN_LIFE),
            here.and_then(|link| link.payloads.as_ref()?.1.poll_timeout()),
        ]
        .into_iter()
        .fold(None, earliest)
    }

    /// Does what is due, but for sending. It begins handshakes while there are `tries` left; else they stay due.
    pub fn handle_timeout(&mut self, shared: &mut Shared, now: Instant, tries: &mut usize) {
        self.unproven.retain(|unproven| unproven.since + UNPROVEN_LIFE > now);
        self.previous.take_if(|(session, until)| now >= (*until).min(session.ends_at()));
        let ended = self.current.take_if(|session| now >= session.ends_at()).is_some();
        if self.here && (ended || now >= self.heard_at + AWAY_AFTER) {
            self.here = false;
            self.waiting.len = None;
            self.dialler = Dialler::start(now);
            shared.tell(self.id, Event::Away { since: self.heard_at });
        }
        if self.called_us && ended {
            self.closed(shared, now, CloseReason::Lost);
        }
        if *tries > 0 && self.handshake_wanted_at().is_some_and(|at| at <= now) {
            *tries -= 1;
            self.begin_handshakes(shared, now);
        }
        if let Some((_, payloads)) = self.payloads.as_mut().filter(|_| self.here)
            && payloads.poll_timeout().is_some_and(|at| at <= now)
        {
            payloads.handle_timeout(now);
        }
    }

    /// The cookie for `address`, while it is good.
    pub fn cookie(&self, now: Instant, address: SocketAddr) -> Option<&Mac> {
        let fresh = |at: Instant| now.since(at) < COOKIE_LIFE;
        self.cookies.iter().find(|(known, _, at)| *known == address && fresh(*at)).map(|(_, cookie, _)| cookie)
    }

    /// Keeps a cookie for `address`.
    pub fn keep_cookie(&mut self, now: Instant, address: SocketAddr, cookie: Mac) {
        self.cookies.retain(|(known, ..)| *known != address);
        if self.cookies.len() == ADDRESSES_MAX {
            self.cookies.remove(0);
        }
        self.cookies.push((address, cookie, now));
    }
}
