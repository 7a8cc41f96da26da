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

use super::policy::PULSE_MAX;
use crate::identity::{PEERS_MAX, PublicKey};
use crate::time::{Duration, Instant, earliest};
use crate::wire::{CallId, CallMessage, ReleaseOutcome};
use std::collections::VecDeque;

/// How long who asks keeps wanting it: a person who waits longer presses again, or has left.
pub(super) const WANTED: Duration = Duration::from_secs(4);
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
    pub fn handle_request(
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

    /// The nonce of the request and for how long the line is on now, or why it is not. `None` for a challenge that was
    /// never given, or not to this peer, or is used.
    pub fn handle_confirm(
        &mut self,
        now: Instant,
        from: PublicKey,
        challenge: u64,
        allowed: impl Fn(Option<CallId>) -> bool,
    ) -> Option<(u64, Result<Duration, ReleaseOutcome>)> {
        let at = self.asked.iter().position(|asked| asked.peer == from && asked.challenge == challenge)?;
        let asked = self.asked.swap_remove(at);
        let outcome = if now >= asked.until {
            Err(ReleaseOutcome::TooLate)
        } else if !allowed(asked.call) {
            Err(ReleaseOutcome::NotAllowed)
        } else {
            self.release(now).ok_or(ReleaseOutcome::NoDoor)
        };
        Some((asked.nonce, outcome))
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
