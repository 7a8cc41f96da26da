//! Opening a door: what the station with the door demands, and what the station that asks owes it.
//!
//! **A door must not open late.** A request may lie in the network for as long as a cut lasts, and the two clocks are
//! not the same; so neither station believes the other's time, and each measures its own wait:
//!
//! ```text
//!  who asks                          the door
//!  request(nonce) ────────────────▶  may it? not asked before?      draws a challenge, waits for it `valid`
//!  still wanted?  ◀──────────────── challenge(nonce, challenge)
//!  confirm(challenge) ────────────▶  still waits? may it still?     line on for the pulse, then off
//!                 ◀──────────────── answer(nonce, outcome)
//! ```
//!
//! Between the press of a button and the line there are at most the time that who asks keeps wanting, and the time that
//! the door waits. A challenge counts once, and only from the peer that it was given to.

use super::event::{CallEvent, Refusal};
use super::machine::Call;
use super::policy::PULSE_MAX;
use super::state::{Leg, Progress, State};
use crate::identity::{PEERS_MAX, PublicKey};
use crate::time::{Duration, Instant, earliest};
use crate::wire::{CallId, CallKind, CallMessage, ReleaseOutcome};
use std::collections::VecDeque;

/// How long who asks keeps wanting it: a person who waits longer presses again, or has left.
const WANTED: Duration = Duration::from_secs(4);
/// The longest that a door waits for a confirmation, whatever it is asked for.
const VALID_MAX: Duration = Duration::from_secs(10);
/// Requests that a door remembers as used: more than anybody asks for within the time that they are valid. The
/// challenge keeps older ones out.
const NONCES_MAX: usize = 64;

/// The door of this station.
#[derive(Debug)]
pub(super) struct Door {
    /// How long its line is on; none where there is no door.
    pulse: Option<Duration>,
    on_until: Option<Instant>,
    asked: Vec<Asked>,
    used: VecDeque<(PublicKey, u64)>,
}

/// A request that waits for its confirmation; one a peer.
#[derive(Debug)]
struct Asked {
    peer: PublicKey,
    nonce: u64,
    call: Option<CallId>,
    challenge: u64,
    until: Instant,
}

/// A request as it came.
pub(super) struct Request {
    pub nonce: u64,
    pub call: Option<CallId>,
    pub valid: Duration,
}

impl Door {
    pub fn new(pulse: Option<Duration>) -> Door {
        Door {
            pulse: pulse.map(|pulse| pulse.min(PULSE_MAX)),
            on_until: None,
            asked: Vec::new(),
            used: VecDeque::new(),
        }
    }

    /// The challenge, or why not.
    fn handle_request(
        &mut self,
        now: Instant,
        from: PublicKey,
        request: Request,
        allowed: bool,
        challenge: u64,
    ) -> Result<CallMessage, ReleaseOutcome> {
        let Request { nonce, call, valid } = request;
        if !allowed {
            return Err(ReleaseOutcome::NotAllowed);
        }
        if self.pulse.is_none() {
            return Err(ReleaseOutcome::NoDoor);
        }
        if self.used.contains(&(from, nonce)) {
            return Err(ReleaseOutcome::TooLate);
        }
        if self.used.len() == NONCES_MAX {
            self.used.pop_front();
        }
        self.used.push_back((from, nonce));
        self.asked.retain(|asked| asked.peer != from);
        // One a peer, and peers are bounded; this holds should a peer be exchanged meanwhile.
        self.asked.truncate(PEERS_MAX);
        self.asked.push(Asked { peer: from, nonce, call, challenge, until: now + valid.min(VALID_MAX) });
        Ok(CallMessage::ReleaseChallenge { nonce, challenge })
    }

    /// The request that `challenge` was given for. `None` for one that was never given, or not to this peer, or is used.
    fn take_asked(&mut self, from: PublicKey, challenge: u64) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.peer == from && asked.challenge == challenge)?;
        Some(self.asked.swap_remove(at))
    }

    /// For how long the line is on from now, or why it is not.
    fn grant(&mut self, now: Instant, asked: &Asked, allowed: bool) -> Result<Duration, ReleaseOutcome> {
        if now >= asked.until {
            return Err(ReleaseOutcome::TooLate);
        }
        if !allowed {
            return Err(ReleaseOutcome::NotAllowed);
        }
        self.release(now).ok_or(ReleaseOutcome::NoDoor)
    }

    /// Turns the line on; for how long it is on from now. A line that is on goes off when it was to go off: whoever
    /// presses again and again does not burn the strike.
    pub fn release(&mut self, now: Instant) -> Option<Duration> {
        let until = *self.on_until.get_or_insert(now + self.pulse?);
        Some(until.since(now))
    }

    /// Until when the line is on.
    pub fn on_until(&self) -> Option<Instant> {
        self.on_until
    }

    pub fn forget(&mut self, peer: PublicKey) {
        self.asked.retain(|asked| asked.peer != peer);
    }

    /// Whether the line went off.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        // A while longer, so that a confirmation that comes too late is told so.
        self.asked.retain(|asked| now < asked.until + VALID_MAX);
        self.on_until.take_if(|until| now >= *until).is_some()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let asked = self.asked.iter().map(|asked| asked.until + VALID_MAX).min();
        earliest(self.on_until, asked)
    }
}

/// A request of this station that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub peer: PublicKey,
    pub nonce: u64,
    /// Until when it is confirmed, should the door ask.
    pub until: Instant,
}

/// Doors: this station's, and those of others.
impl Call {
    /// Whether `peer` may have this station's door released now, within `call` or without one. A call that rings there
    /// counts: who stands at the door has rung, and is to be let in without a word.
    fn may_release(&self, peer: PublicKey, call: Option<CallId>) -> bool {
        let Some(policy) = self.peers.policy(peer).filter(|policy| policy.rights.release) else { return false };
        let is_within = |call| match &self.state {
            State::Talking(talking) => talking.kind == CallKind::Talk && talking.is(peer, call),
            State::Calling(calling) => {
                let rings = |leg: &Leg| leg.peer == peer && leg.progress == Progress::Ringing;
                calling.kind == CallKind::Talk && calling.call == call && calling.legs.iter().any(rings)
            }
            _ => false,
        };
        policy.release_without_call || call.is_some_and(is_within)
    }

    pub(super) fn handle_release_request(&mut self, now: Instant, from: PublicKey, request: Request) {
        let (nonce, allowed) = (request.nonce, self.may_release(from, request.call));
        let challenge = (self.random)();
        match self.door.handle_request(now, from, request, allowed, challenge) {
            Ok(challenge) => self.send(from, challenge),
            Err(outcome) => self.answer_release(from, nonce, outcome),
        }
    }

    pub(super) fn handle_release_confirm(&mut self, now: Instant, from: PublicKey, challenge: u64) {
        let Some(asked) = self.door.take_asked(from, challenge) else {
            return self.tell(CallEvent::ReleaseRefused { by: from, outcome: ReleaseOutcome::TooLate });
        };
        let (nonce, allowed) = (asked.nonce, self.may_release(from, asked.call));
        match self.door.grant(now, &asked, allowed) {
            Ok(pulse) => {
                self.tell(CallEvent::Released { by: Some(from), pulse });
                self.tell(CallEvent::Changed);
                self.send(from, CallMessage::ReleaseAnswer { nonce, outcome: ReleaseOutcome::Released });
            }
            Err(outcome) => self.answer_release(from, nonce, outcome),
        }
    }

    fn answer_release(&mut self, from: PublicKey, nonce: u64, outcome: ReleaseOutcome) {
        self.tell(CallEvent::ReleaseRefused { by: from, outcome });
        self.send(from, CallMessage::ReleaseAnswer { nonce, outcome });
    }

    pub(super) fn ask_release(&mut self, now: Instant, name: Option<&str>) -> Result<(), Refusal> {
        let current = match &self.state {
            State::Talking(talking) if talking.kind == CallKind::Talk => Some((talking.peer, talking.call)),
            State::Ringing(ringing) => Some((ringing.peer, ringing.call)),
            _ => None,
        };
        let peer = match name {
            Some(name) => self.peers.named(name).ok_or_else(|| Refusal::Unknown(name.to_owned()))?,
            None => current.ok_or(Refusal::NoCall)?.0,
        };
        if !self.peers.is_here(peer) {
            return Err(Refusal::Away(self.peers.policy(peer).map_or_else(String::new, |policy| policy.name.clone())));
        }
        let nonce = (self.random)();
        self.wish = Some(Wish { peer, nonce, until: now + WANTED });
        let call = current.filter(|(with, _)| *with == peer).map(|(_, call)| call);
        let valid_ms = WANTED.as_millis() as u16;
        self.send(peer, CallMessage::ReleaseRequest { nonce, call, valid_ms });
        Ok(())
    }

    /// The door asks whether it is still wanted.
    pub(super) fn confirm(&mut self, now: Instant, from: PublicKey, nonce: u64, challenge: u64) {
        if let Some(wish) =
            self.wish.as_mut().filter(|wish| (wish.peer, wish.nonce) == (from, nonce) && now < wish.until)
        {
            // From here on only the answer is waited for, which the door is as long about as it waits for this.
            wish.until = now + WANTED;
            self.send(from, CallMessage::ReleaseConfirm { challenge });
        }
    }

    pub(super) fn handle_release_answer(&mut self, from: PublicKey, nonce: u64, outcome: ReleaseOutcome) {
        if self.wish.take_if(|wish| (wish.peer, wish.nonce) == (from, nonce)).is_some() {
            self.tell(CallEvent::ReleaseAnswered { peer: from, outcome });
        }
    }
}
