//! Every transition of a call, in one table of four parts: persons, peers, the link, time.
//!
//! A row is a state, an input, and what becomes of it. Rows are tried from the top; what a row does in detail, and what
//! it sends, is the step it names, in `steps`. An input that finds no row of its own changes nothing: it is about a call
//! that is no more.

use super::policy::CallConfig;
use super::state::{Ending, State, Timer};
use super::steps::Step;
use super::{CallEvent, Refusal, Switch, peers::Peers};
use crate::identity::PublicKey;
use crate::time::{Duration, Instant};
use crate::wire::{CallId, CallKind, CallMessage, DeclineReason, EndReason, Invite};

/// What can happen.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A person here, or a script or a button in a person's place.
    Person(Person),
    /// A peer says something.
    Peer(PublicKey, Word),
    /// The link to a peer changes.
    Link(PublicKey, LinkChange),
    /// What the state waited for is due.
    Due(Timer),
}

/// What a person can do to a call.
#[derive(Clone, Debug)]
pub(super) enum Person {
    Call(Wanted),
    Answer,
    Decline,
    HangUp,
    Hold(Switch),
    /// The microphone was muted or unmuted.
    Mute,
}

/// A call that is to begin.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub call: CallId,
    pub kind: CallKind,
    pub group: String,
    pub peers: Vec<PublicKey>,
}

/// What a peer can say of a call.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// It wants one; and what this station's policy says to it.
    Invite(Invite, Verdict),
    Rings(CallId),
    Accepts(CallId),
    /// It refuses, or ends: to a caller that is the same.
    Ends(CallId, Ending),
    Marks {
        call: CallId,
        held: bool,
        muted: bool,
    },
}

/// What the policy says to an invitation, whatever the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Somebody is to answer, or after so long the station itself.
    Ring { auto_answer: Option<Duration> },
    /// Nobody need answer.
    Begin,
    /// Not now, or never.
    Refuse(DeclineReason),
}

/// What can become of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkChange {
    Here,
    Away,
    /// The peer's program began anew and knows of no call.
    Restarted,
    /// The peer stands in the book no more.
    Forgotten,
}

/// What a transition may look at.
pub(super) struct World<'a> {
    pub now: Instant,
    pub own: PublicKey,
    pub config: &'a CallConfig,
    pub peers: &'a Peers,
    pub muted: bool,
}

/// What comes of a transition beside the next state.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub messages: Vec<(PublicKey, CallMessage)>,
    pub events: Vec<CallEvent>,
    pub refusal: Option<Refusal>,
}

/// The next state, and what goes out on the way to it.
pub(super) fn next(state: State, input: Input, world: &World<'_>) -> (State, Outputs) {
    let mut step = Step { world, out: Outputs::default() };
    let state = match input {
        Input::Person(does) => person(state, does, &mut step),
        Input::Peer(from, word) => peer(state, from, word, &mut step),
        Input::Link(to, change) => link(state, to, change, &mut step),
        Input::Due(timer) => due(state, timer, &mut step),
    };
    (state, step.out)
}

fn person(state: State, does: Person, step: &mut Step<'_>) -> State {
    use {Person as P, State as S};
    match (state, does) {
        (S::Idle | S::Ended(_), P::Call(wanted)) => step.call(wanted),
        (S::Talking(watch), P::Call(wanted)) if watch.kind == CallKind::Monitor => {
            step.give_way(watch);
            step.call(wanted)
        }
        (state, P::Call(_)) => step.refuse(state, Refusal::InACall),

        (S::Ringing(ringing), P::Answer) => step.answer(ringing),
        (S::Ringing(ringing), P::Decline | P::HangUp) => {
            step.decline(ringing, DeclineReason::Declined, Ending::DeclinedHere)
        }
        (state, P::Answer | P::Decline) => step.refuse(state, Refusal::NothingRings),

        (S::Calling(calling), P::HangUp) => step.give_up(calling, EndReason::Cancelled, Ending::HungUpHere),
        (S::Talking(talking), P::HangUp) => step.hang_up(talking, EndReason::HungUp, Ending::HungUpHere),
        (S::Ended(_), P::HangUp) => S::Idle,
        (S::Talking(talking), P::Hold(switch)) if talking.kind == CallKind::Talk => step.hold(talking, switch),
        (state, P::HangUp | P::Hold(_)) => step.refuse(state, Refusal::NoCall),

        (S::Talking(talking), P::Mute) => step.tell_marks(talking),
        (state, P::Mute) => state,
    }
}

fn peer(state: State, from: PublicKey, word: Word, step: &mut Step<'_>) -> State {
    use {State as S, Word as W};
    match (state, word) {
        // Two that call each other: one call comes of it.
        (S::Calling(calling), W::Invite(invite, _)) if step.crosses(&calling, from, &invite) => {
            if step.is_ours_first(&calling, from) { S::Calling(calling) } else { step.yield_to(calling, from, invite) }
        }
        (state, W::Invite(invite, Verdict::Refuse(reason))) => step.turn_away(state, from, invite, reason),
        (state, W::Invite(invite, _)) if !step.is_free_for(&state, from, invite.kind) => {
            step.turn_away(state, from, invite, DeclineReason::Busy)
        }
        (state, W::Invite(invite, Verdict::Ring { auto_answer })) => {
            step.make_room(state, from);
            step.ring(from, invite, auto_answer)
        }
        (state, W::Invite(invite, Verdict::Begin)) => {
            step.make_room(state, from);
            step.accept(from, invite.call, invite.kind)
        }

        (S::Calling(calling), W::Rings(call)) if calling.is(from, call) => step.rings_there(calling, from),

        (S::Calling(page), W::Accepts(call)) if page.is(from, call) && page.kind == CallKind::Page => {
            step.listens(page, from)
        }
        (S::Calling(calling), W::Accepts(call)) if calling.is(from, call) => step.answered(calling, from),
        (S::Talking(talking), W::Accepts(call)) if talking.is(from, call) => S::Talking(talking),
        // Said before it heard that the call is over; it hears it again, in case it never did.
        (state, W::Accepts(call)) => step.deny(state, from, call),

        (S::Calling(calling), W::Ends(call, why)) if calling.is(from, call) => step.leg_over(calling, from, why),
        (S::Ringing(ringing), W::Ends(call, why)) if ringing.is(from, call) => step.stop_ringing(ringing, why),
        (S::Talking(talking), W::Ends(call, why)) if talking.is(from, call) => step.over(talking, why),

        (S::Talking(talking), W::Marks { call, held, muted }) if talking.is(from, call) => {
            step.marked(talking, held, muted)
        }
        (state, W::Rings(_) | W::Ends(..) | W::Marks { .. }) => state,
    }
}

fn link(state: State, to: PublicKey, change: LinkChange, step: &mut Step<'_>) -> State {
    use {LinkChange as L, State as S};
    match (state, change) {
        (S::Calling(calling), L::Here) => step.invite_late(calling),
        (S::Calling(calling), L::Away) => step.settle(calling),
        (S::Calling(calling), L::Restarted) => step.invite_again(calling, to),
        (S::Calling(calling), L::Forgotten) => step.leg_over(calling, to, Ending::Unreachable),

        (S::Ringing(ringing), L::Here) if ringing.peer == to => step.caller_back(ringing),
        (S::Ringing(ringing), L::Away) if ringing.peer == to => step.caller_away(ringing),
        (S::Ringing(ringing), _) if ringing.peer == to => step.stop_ringing(ringing, Ending::Lost),

        (S::Talking(talking), L::Here) if talking.peer == to => step.back(talking),
        (S::Talking(talking), L::Away) if talking.peer == to => step.away(talking),
        (S::Talking(talking), _) if talking.peer == to => step.over(talking, Ending::Lost),

        (state, _) => state,
    }
}

fn due(state: State, timer: Timer, step: &mut Step<'_>) -> State {
    use {State as S, Timer as T};
    match (state, timer) {
        (S::Calling(calling), T::Nobody) => step.give_up(calling, EndReason::Cancelled, Ending::Unreachable),
        (S::Calling(page), _) if page.kind == CallKind::Page => {
            step.give_up(page, EndReason::TimeLimit, Ending::TimeLimit)
        }
        (S::Calling(calling), _) => step.give_up(calling, EndReason::NoAnswer, Ending::NoAnswer),

        (S::Ringing(ringing), T::AutoAnswer) => step.answer(ringing),
        (S::Ringing(ringing), T::Lost) => step.decline(ringing, DeclineReason::NoAnswer, Ending::Lost),
        (S::Ringing(ringing), _) => step.decline(ringing, DeclineReason::NoAnswer, Ending::NoAnswer),

        (S::Talking(talking), T::Warning) => step.warn(talking),
        (S::Talking(talking), T::Lost) => step.hang_up(talking, EndReason::Lost, Ending::Lost),
        (S::Talking(talking), _) => step.hang_up(talking, EndReason::TimeLimit, Ending::TimeLimit),

        (S::Ended(_) | S::Idle, _) => S::Idle,
    }
}
