//! The verbs of a call: actions, messages, links and time go in; messages and events come out.

use super::action::{Action, Switch, Whom};
use super::event::{CallEvent, Refusal};
use super::peers::Peers;
use super::policy::{CallConfig, MinuteOfDay, PeerPolicy, RING_TIME_MAX};
use super::release::{Door, Request, Wish};
use super::state::{Ending, State, Timer};
use super::table::{Input, LinkChange, Person, Verdict, Wanted, Word, World, next};
use crate::identity::PublicKey;
use crate::time::{Duration, Instant, earliest};
use crate::wire::{CallId, CallKind, CallMessage, DeclineReason, Invite, ReleaseOutcome};
use std::collections::VecDeque;

/// Where random numbers come from: names of calls, nonces and challenges, which nobody may guess.
pub type Random = Box<dyn FnMut() -> u64 + Send>;

/// Events that wait to be fetched: more than come of one input. Where nobody fetches them, the oldest are lost.
const EVENTS_MAX: usize = 64;
/// Messages that wait to be fetched: two for each peer of a full address book, and some. The driver sends them after
/// each input; where it does not, the newest are lost.
const MESSAGES_MAX: usize = 256;
/// For so long after a call ended, the one button of a simple station ends it once more instead of ringing: both
/// sides often hang up at the same moment.
const BUTTON_GUARD: Duration = Duration::from_secs(1);

/// One station's calls.
pub struct Call {
    own: PublicKey,
    pub(super) config: CallConfig,
    pub(super) random: Random,
    pub(super) peers: Peers,
    pub(super) state: State,
    pub(super) muted: bool,
    do_not_disturb: bool,
    pub(super) door: Door,
    pub(super) wish: Option<Wish>,
    messages: VecDeque<(PublicKey, CallMessage)>,
    events: VecDeque<CallEvent>,
}

impl Call {
    /// A station that does nothing yet. Times beyond their bounds are cut to them.
    pub fn new(own: PublicKey, config: CallConfig, random: Random) -> Call {
        let config = config.bounded();
        Call {
            own,
            door: Door::new(config.door),
            muted: config.push_to_talk,
            config,
            random,
            peers: Peers::default(),
            state: State::Idle,
            do_not_disturb: false,
            wish: None,
            messages: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The peers as the address book has them now, at most [`crate::identity::PEERS_MAX`]. A call with one that it has
    /// no more ends; new rights count from the next call on.
    pub fn set_peers(&mut self, now: Instant, policies: &[PeerPolicy]) {
        for gone in self.peers.set(now, policies) {
            self.forget(now, gone, LinkChange::Forgotten);
        }
    }

    /// Whether the link to `peer` stands, and the station there knows calls (its hello named a version from
    /// [`crate::wire::PROTOCOL_VERSION_OF_CALLS`] on).
    pub fn handle_presence(&mut self, now: Instant, peer: PublicKey, here: bool) {
        if !self.peers.note(now, peer, here) {
            return;
        }
        if here && let Some(owed) = self.peers.take_owed(peer) {
            self.send(peer, owed);
        }
        self.step(now, Input::Link(peer, if here { LinkChange::Here } else { LinkChange::Away }));
    }

    /// The program of `peer` began anew, or said goodbye: it knows of no call, and what was not delivered will not be.
    /// To be told before it is here, and before what it says.
    pub fn handle_restart(&mut self, now: Instant, peer: PublicKey) {
        self.forget(now, peer, LinkChange::Restarted);
    }

    fn forget(&mut self, now: Instant, peer: PublicKey, change: LinkChange) {
        self.peers.take_owed(peer);
        self.messages.retain(|(to, _)| *to != peer);
        self.door.forget(peer);
        self.step(now, Input::Link(peer, change));
    }

    /// What a peer says. It is heard, so it is here; of a stranger nothing is taken.
    pub fn handle_message(&mut self, now: Instant, wall: MinuteOfDay, from: PublicKey, message: CallMessage) {
        if self.peers.policy(from).is_none() {
            return;
        }
        self.handle_presence(now, from, true);
        let word = match message {
            CallMessage::Invite(invite) => {
                let verdict = self.judge(wall, from, &invite);
                Word::Invite(invite, verdict)
            }
            CallMessage::Ringing { call } => Word::Rings(call),
            CallMessage::Accept { call } => Word::Accepts(call),
            CallMessage::Decline { call, reason } => Word::Ends(call, Ending::of_decline(reason)),
            CallMessage::End { call, reason, by } => Word::Ends(call, Ending::of_end(reason, &by)),
            CallMessage::Marks { call, held, muted } => Word::Marks { call, held, muted },
            CallMessage::ReleaseRequest { nonce, call, valid_ms } => {
                let request = Request { nonce, call, valid: Duration::from_millis(valid_ms.into()) };
                return self.handle_release_request(now, from, request);
            }
            CallMessage::ReleaseChallenge { nonce, challenge } => return self.confirm(now, from, nonce, challenge),
            CallMessage::ReleaseConfirm { challenge } => return self.handle_release_confirm(now, from, challenge),
            CallMessage::ReleaseAnswer { nonce, outcome } => return self.handle_release_answer(from, nonce, outcome),
        };
        self.step(now, Input::Peer(from, word));
    }

    /// What the policy says to an invitation of `from`.
    fn judge(&self, wall: MinuteOfDay, from: PublicKey, invite: &Invite) -> Verdict {
        let refused = Verdict::Refuse(DeclineReason::NotAllowed);
        let Some(policy) = self.peers.policy(from) else { return refused };
        let quiet = self.is_quiet(wall);
        match invite.kind {
            CallKind::Monitor if policy.rights.monitor => Verdict::Begin,
            CallKind::Talk | CallKind::Page if policy.rights.call && quiet => {
                Verdict::Refuse(DeclineReason::DoNotDisturb)
            }
            CallKind::Talk if policy.rights.call => {
                Verdict::Ring { auto_answer: policy.auto_answer.map(|after| after.min(RING_TIME_MAX)) }
            }
            CallKind::Page if policy.rights.call => Verdict::Begin,
            _ => refused,
        }
    }

    /// Does what calls have to do with. `wall` is the time of day here.
    ///
    /// # Errors
    /// Why it is not done; nothing has changed then.
    pub fn handle_action(&mut self, now: Instant, wall: MinuteOfDay, action: &Action) -> Result<(), Refusal> {
        let person = match action {
            Action::Ring(whom) => self.wanted(CallKind::Talk, whom)?,
            Action::Page(whom) => self.wanted(CallKind::Page, whom)?,
            Action::Monitor(name) => {
                let peer = self.peers.named(name).ok_or_else(|| Refusal::Unknown(name.clone()))?;
                self.begin(CallKind::Monitor, String::new(), vec![peer])
            }
            Action::Answer => Person::Answer,
            Action::Decline => Person::Decline,
            Action::HangUp => Person::HangUp,
            Action::CallButtonHeld if self.peers.keys().is_empty() => return Err(Refusal::NotACall),
            Action::CallButton | Action::CallButtonHeld => self.call_button(now)?,
            Action::Hold(switch) => Person::Hold(*switch),
            Action::Mute(switch) => self.mute(switch.applied(self.muted)),
            Action::Talk(switch) => self.mute(!switch.applied(!self.muted)),
            Action::Release(name) => return self.ask_release(now, name.as_deref()),
            Action::ReleaseHere => {
                let pulse = self.door.release(now).ok_or(Refusal::NoDoor)?;
                self.tell(CallEvent::Released { by: None, pulse });
                self.tell(CallEvent::Changed);
                return Ok(());
            }
            Action::DoNotDisturb(switch) => return self.switch_do_not_disturb(wall, *switch),
            Action::Volume(_)
            | Action::Level(_)
            | Action::Snapshot
            | Action::Rescan
            | Action::Pair
            | Action::Invite { .. }
            | Action::StopPairing => return Err(Refusal::NotACall),
        };
        self.step(now, Input::Person(person)).map_or(Ok(()), Err)
    }

    fn call_button(&mut self, now: Instant) -> Result<Person, Refusal> {
        match &self.state {
            State::Ringing(_) => Ok(Person::Answer),
            State::Calling(_) | State::Talking(_) => Ok(Person::HangUp),
            State::Ended(ended) if now.since(ended.at) < BUTTON_GUARD => Ok(Person::HangUp),
            State::Idle | State::Ended(_) => self.wanted(CallKind::Talk, &Whom::Usual),
        }
    }

    fn mute(&mut self, muted: bool) -> Person {
        if self.muted != muted {
            self.muted = muted;
            self.tell(CallEvent::Changed);
        }
        Person::Mute
    }

    fn switch_do_not_disturb(&mut self, wall: MinuteOfDay, switch: Switch) -> Result<(), Refusal> {
        self.do_not_disturb = switch.applied(self.do_not_disturb);
        self.tell(CallEvent::Changed);
        if !self.do_not_disturb && self.is_quiet(wall) { Err(Refusal::QuietHours) } else { Ok(()) }
    }

    /// Whether nobody may ring here, by the switch or by the hours.
    pub fn is_quiet(&self, wall: MinuteOfDay) -> bool {
        self.do_not_disturb || self.config.quiet_hours.is_some_and(|hours| hours.contain(wall))
    }

    fn wanted(&mut self, kind: CallKind, whom: &Whom) -> Result<Person, Refusal> {
        let whom = if *whom == Whom::Usual { self.config.usual.clone() } else { whom.clone() };
        let (group, peers) = match whom {
            Whom::Usual | Whom::All => (String::new(), self.peers.keys()),
            Whom::Named(name) => match self.peers.named(&name) {
                Some(peer) => (String::new(), vec![peer]),
                None => {
                    let same = |group: &&super::Group| group.name.to_lowercase() == name.to_lowercase();
                    let group = self.config.groups.iter().find(same).ok_or(Refusal::Unknown(name))?;
                    let mut peers: Vec<_> =
                        group.members.iter().filter_map(|member| self.peers.named(member)).collect();
                    // A station that is named twice is called once.
                    peers.sort_unstable();
                    peers.dedup();
                    (group.name.clone(), peers)
                }
            },
        };
        if peers.is_empty() { Err(Refusal::Nobody) } else { Ok(self.begin(kind, group, peers)) }
    }

    fn begin(&mut self, kind: CallKind, group: String, peers: Vec<PublicKey>) -> Person {
        Person::Call(Wanted { call: CallId((self.random)()), kind, group, peers })
    }

    /// Runs the table once; what it refuses.
    fn step(&mut self, now: Instant, input: Input) -> Option<Refusal> {
        let before = self.state.clone();
        let world = World { now, own: self.own, config: &self.config, peers: &self.peers, muted: self.muted };
        let (state, out) = next(core::mem::take(&mut self.state), input, &world);
        self.state = state;
        if before.speaks() && !self.state.speaks() {
            self.muted = self.config.push_to_talk;
        }
        for (to, message) in out.messages {
            if let Some(message) = self.peers.address(to, message) {
                self.send(to, message);
            }
        }
        for event in out.events {
            self.tell(event);
        }
        if self.state != before {
            self.tell(CallEvent::Changed);
        }
        out.refusal
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Each pass ends a timer; a state brings three at most, and ends in a card.
        while let Some((timer, _)) = self.due().filter(|(_, at)| *at <= now) {
            self.step(now, Input::Due(timer));
        }
        if self.door.handle_timeout(now) {
            self.tell(CallEvent::Changed);
        }
        if let Some(wish) = self.wish.take_if(|wish| now >= wish.until) {
            self.tell(CallEvent::ReleaseAnswered { peer: wish.peer, outcome: ReleaseOutcome::TooLate });
        }
    }

    fn due(&self) -> Option<(Timer, Instant)> {
        self.state.timers().min_by_key(|(_, at)| *at)
    }

    /// When [`Call::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let state = earliest(self.due().map(|(_, at)| at), self.door.poll_timeout());
        earliest(state, self.wish.map(|wish| wish.until))
    }

    /// The next message to send, over the link's reliable channel.
    pub fn poll_message(&mut self) -> Option<(PublicKey, CallMessage)> {
        self.messages.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<CallEvent> {
        self.events.pop_front()
    }

    pub(super) fn send(&mut self, to: PublicKey, message: CallMessage) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push_back((to, message));
        }
    }

    pub(super) fn tell(&mut self, event: CallEvent) {
        if event == CallEvent::Changed && self.events.back() == Some(&event) {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}
