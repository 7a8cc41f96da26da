//! What each row of the table does: the next state in detail, and what is sent and told on the way to it.

use super::state::{Calling, Ended, Ending, Leg, Progress, Ringing, State, Talking};
use super::table::{Outputs, Wanted, World};
use super::{CallEvent, Refusal, Switch};
use crate::identity::PublicKey;
use crate::time::{Duration, Instant};
use crate::wire::{CallId, CallKind, CallMessage, DeclineReason, EndReason, Invite, bounded};

/// How long before its end a call is warned of it.
const WARNING: Duration = Duration::from_secs(60);

/// One transition under way.
pub(super) struct Step<'a> {
    pub world: &'a World<'a>,
    pub out: Outputs,
}

/// Beginning a call.
impl Step<'_> {
    pub fn call(&mut self, wanted: Wanted) -> State {
        let Wanted { call, kind, group, peers } = wanted;
        let (now, config) = (self.world.now, self.world.config);
        let time = if kind == CallKind::Page { config.page_time } else { config.ring_time };
        let legs = peers.into_iter().map(|peer| Leg { peer, progress: Progress::Waiting }).collect();
        let mut calling = Calling { call, kind, group, legs, since: now, until: now + time, nobody_until: None };
        self.invite_waiting(&mut calling);
        if calling.reached().next().is_none() {
            // Who was here a moment ago may be starting anew, and so may this station; who was away for longer is not worth
            // waiting for.
            let left_at = calling.legs.iter().filter_map(|leg| self.world.peers.left_at(leg.peer)).max();
            match left_at.map(|at| at + config.restart_grace).filter(|until| *until > now) {
                Some(until) => calling.nobody_until = Some(until),
                None => return self.give_up(calling, EndReason::Cancelled, Ending::Unreachable),
            }
        }
        State::Calling(calling)
    }

    fn invite_waiting(&mut self, calling: &mut Calling) {
        let invite = CallMessage::Invite(Invite {
            call: calling.call,
            kind: calling.kind,
            group: bounded(&calling.group),
            early_media: calling.kind == CallKind::Talk && self.world.config.early_media,
        });
        for leg in calling.legs.iter_mut().filter(|leg| leg.progress == Progress::Waiting) {
            if self.world.peers.is_here(leg.peer) {
                leg.progress = Progress::Invited;
                self.out.messages.push((leg.peer, invite.clone()));
            }
        }
    }

    pub fn invite_late(&mut self, mut calling: Calling) -> State {
        self.invite_waiting(&mut calling);
        self.settle(calling)
    }

    pub fn invite_again(&mut self, mut calling: Calling, restarted: PublicKey) -> State {
        if let Some(leg) = calling.open_leg(restarted) {
            leg.progress = Progress::Waiting;
        }
        self.invite_waiting(&mut calling);
        self.settle(calling)
    }

    pub fn rings_there(&mut self, mut calling: Calling, peer: PublicKey) -> State {
        if let Some(leg) = calling.open_leg(peer) {
            leg.progress = Progress::Ringing;
        }
        State::Calling(calling)
    }

    pub fn listens(&mut self, mut page: Calling, peer: PublicKey) -> State {
        if let Some(leg) = page.open_leg(peer) {
            leg.progress = Progress::Listening;
        }
        State::Calling(page)
    }

    pub fn leg_over(&mut self, mut calling: Calling, peer: PublicKey, why: Ending) -> State {
        if let Some(leg) = calling.open_leg(peer) {
            leg.progress = Progress::Over(why);
        }
        self.settle(calling)
    }

    /// Whether calling goes on: it does as long as somebody who is here may answer, and a while longer where those who
    /// may are away. Who never came is not waited for once all others have refused.
    pub fn settle(&mut self, mut calling: Calling) -> State {
        let (mut best, mut may_come) = (None, false);
        for leg in &calling.legs {
            match &leg.progress {
                Progress::Over(why) => best = best.max(Some(why)),
                open => may_come |= open.is_reached(),
            }
        }
        if !may_come && let Some(why) = best.cloned() {
            return self.close(calling.only_peer(), calling.kind, why, None);
        }
        let is_open = |leg: &&Leg| !matches!(leg.progress, Progress::Over(_));
        let anybody = calling.legs.iter().filter(is_open).any(|leg| self.world.peers.is_here(leg.peer));
        let patience = self.world.now + self.world.config.restart_grace;
        calling.nobody_until = if anybody { None } else { Some(calling.nobody_until.unwrap_or(patience)) };
        State::Calling(calling)
    }

    pub fn answered(&mut self, calling: Calling, by: PublicKey) -> State {
        self.answered_elsewhere(&calling, by);
        self.begin(by, calling.call, calling.kind, true)
    }

    fn answered_elsewhere(&mut self, calling: &Calling, by: PublicKey) {
        let name = self.world.peers.policy(by).map_or("", |policy| &policy.name);
        for peer in calling.reached().filter(|peer| *peer != by) {
            let (call, reason) = (calling.call, EndReason::AnsweredElsewhere);
            self.out.messages.push((peer, CallMessage::End { call, reason, by: bounded(name) }));
        }
    }

    pub fn give_up(&mut self, calling: Calling, reason: EndReason, why: Ending) -> State {
        for peer in calling.reached() {
            self.end(peer, calling.call, reason);
        }
        self.close(calling.only_peer(), calling.kind, why, None)
    }

    /// Two stations call each other.
    pub fn crosses(&self, calling: &Calling, from: PublicKey, invite: &Invite) -> bool {
        let is_open = |leg: &Leg| leg.peer == from && !matches!(leg.progress, Progress::Over(_));
        calling.kind == CallKind::Talk && invite.kind == CallKind::Talk && calling.legs.iter().any(is_open)
    }

    /// Of two that call each other the smaller key's call is the one, if the other knows of it.
    pub fn is_ours_first(&self, calling: &Calling, from: PublicKey) -> bool {
        self.world.own < from && calling.is(from, calling.call)
    }

    /// Forgets the own call for that of `from`. Its end is told to `from` too: where `from` has given up meanwhile, its
    /// own call's end is under way, and this station's call would ring there.
    pub fn yield_to(&mut self, calling: Calling, from: PublicKey, invite: Invite) -> State {
        self.answered_elsewhere(&calling, from);
        if calling.is(from, calling.call) {
            self.end(from, calling.call, EndReason::Cancelled);
        }
        self.accept(from, invite.call, CallKind::Talk)
    }
}

/// Being called.
impl Step<'_> {
    pub fn is_free_for(&self, state: &State, from: PublicKey, kind: CallKind) -> bool {
        match state {
            State::Idle | State::Ended(_) => true,
            State::Calling(_) => false,
            // Who begins anew has lost what there was.
            State::Ringing(ringing) => ringing.peer == from,
            // A call is worth more than watching.
            State::Talking(talking) => {
                talking.peer == from || (talking.kind == CallKind::Monitor && kind != CallKind::Monitor)
            }
        }
    }

    /// Leaves what a new call of `from` takes the place of.
    pub fn make_room(&mut self, state: State, from: PublicKey) {
        match state {
            State::Ringing(ringing) => drop(self.stop_ringing(ringing, Ending::Cancelled)),
            State::Talking(talking) if talking.peer == from => drop(self.over(talking, Ending::Lost)),
            State::Talking(watch) => self.give_way(watch),
            State::Idle | State::Calling(_) | State::Ended(_) => {}
        }
    }

    pub fn give_way(&mut self, watch: Talking) {
        self.hang_up(watch, EndReason::GaveWay, Ending::GaveWay);
    }

    pub fn turn_away(&mut self, state: State, from: PublicKey, invite: Invite, reason: DeclineReason) -> State {
        self.out.messages.push((from, CallMessage::Decline { call: invite.call, reason }));
        if reason == DeclineReason::NotAllowed {
            self.tell(CallEvent::TurnedAway { peer: from, kind: invite.kind });
        } else if invite.kind == CallKind::Talk {
            self.tell(CallEvent::Missed { peer: from, at: self.world.now, picture: false });
        }
        state
    }

    pub fn ring(&mut self, from: PublicKey, invite: Invite, auto_answer: Option<Duration>) -> State {
        let (now, Invite { call, group, early_media, .. }) = (self.world.now, invite);
        self.out.messages.push((from, CallMessage::Ringing { call }));
        State::Ringing(Ringing {
            call,
            peer: from,
            group: group.as_str().to_owned(),
            early_media,
            since: now,
            until: now + self.world.config.ring_time,
            answer_at: auto_answer.map(|after| now + after),
            lost_at: None,
        })
    }

    pub fn caller_away(&mut self, mut ringing: Ringing) -> State {
        ringing.lost_at = Some(self.world.now + self.world.config.absence);
        State::Ringing(ringing)
    }

    pub fn caller_back(&mut self, mut ringing: Ringing) -> State {
        ringing.lost_at = None;
        State::Ringing(ringing)
    }

    pub fn answer(&mut self, ringing: Ringing) -> State {
        self.accept(ringing.peer, ringing.call, CallKind::Talk)
    }

    pub fn decline(&mut self, ringing: Ringing, reason: DeclineReason, why: Ending) -> State {
        self.out.messages.push((ringing.peer, CallMessage::Decline { call: ringing.call, reason }));
        self.stop_ringing(ringing, why)
    }

    pub fn stop_ringing(&mut self, ringing: Ringing, why: Ending) -> State {
        let Ringing { peer, since, early_media, .. } = ringing;
        // Whatever else ended it, to those who come home later it is a call that they missed.
        let is_settled = matches!(why, Ending::DeclinedHere | Ending::AnsweredBy(_));
        if !is_settled {
            self.tell(CallEvent::Missed { peer, at: since, picture: early_media });
        }
        self.close(Some(peer), CallKind::Talk, if is_settled { why } else { Ending::Missed }, None)
    }
}

/// In conversation.
impl Step<'_> {
    pub fn accept(&mut self, peer: PublicKey, call: CallId, kind: CallKind) -> State {
        self.out.messages.push((peer, CallMessage::Accept { call }));
        self.begin(peer, call, kind, false)
    }

    fn begin(&mut self, peer: PublicKey, call: CallId, kind: CallKind, is_caller: bool) -> State {
        let (now, config) = (self.world.now, self.world.config);
        let time = match kind {
            CallKind::Monitor => config.monitor_time,
            CallKind::Page => config.page_time,
            CallKind::Talk | CallKind::Other => config.call_time,
        };
        self.tell(CallEvent::Begun { peer, kind, is_caller });
        let mut talking = Talking {
            call,
            peer,
            kind,
            is_caller,
            since: now,
            held_here: false,
            held_there: false,
            muted_there: false,
            until: now + time,
            warn_at: (kind == CallKind::Talk && time > WARNING).then(|| now + (time - WARNING)),
            lost_at: None,
        };
        if !self.world.peers.is_here(peer) {
            talking.lost_at = Some(now + config.absence);
        }
        if self.world.muted { self.tell_marks(talking) } else { State::Talking(talking) }
    }

    pub fn hold(&mut self, mut talking: Talking, switch: Switch) -> State {
        talking.held_here = switch.applied(talking.held_here);
        self.tell_marks(talking)
    }

    pub fn tell_marks(&mut self, talking: Talking) -> State {
        let (call, held, muted) = (talking.call, talking.held_here, self.world.muted);
        self.out.messages.push((talking.peer, CallMessage::Marks { call, held, muted }));
        State::Talking(talking)
    }

    pub fn marked(&mut self, mut talking: Talking, held: bool, muted: bool) -> State {
        (talking.held_there, talking.muted_there) = (held, muted);
        State::Talking(talking)
    }

    pub fn away(&mut self, mut talking: Talking) -> State {
        talking.lost_at = Some(self.world.now + self.world.config.absence);
        State::Talking(talking)
    }

    /// The marks may have changed while the peer could not be told.
    pub fn back(&mut self, mut talking: Talking) -> State {
        talking.lost_at = None;
        self.tell_marks(talking)
    }

    pub fn warn(&mut self, mut talking: Talking) -> State {
        talking.warn_at = None;
        self.tell(CallEvent::EndsSoon { left: talking.until.since(self.world.now) });
        State::Talking(talking)
    }

    pub fn hang_up(&mut self, talking: Talking, reason: EndReason, why: Ending) -> State {
        self.end(talking.peer, talking.call, reason);
        self.over(talking, why)
    }

    pub fn over(&mut self, talking: Talking, why: Ending) -> State {
        self.close(Some(talking.peer), talking.kind, why, Some(talking.since))
    }

    pub fn deny(&mut self, state: State, from: PublicKey, call: CallId) -> State {
        self.end(from, call, EndReason::Cancelled);
        state
    }

    pub fn refuse(&mut self, state: State, refusal: Refusal) -> State {
        self.out.refusal = Some(refusal);
        state
    }

    fn close(&mut self, peer: Option<PublicKey>, kind: CallKind, why: Ending, since: Option<Instant>) -> State {
        let (at, card) = (self.world.now, self.world.config.card_time);
        self.tell(CallEvent::Ended { peer, kind, why: why.clone(), lasted: since.map(|since| at.since(since)) });
        State::Ended(Ended { peer, why, at, until: at + card })
    }

    fn end(&mut self, peer: PublicKey, call: CallId, reason: EndReason) {
        self.out.messages.push((peer, CallMessage::End { call, reason, by: bounded("") }));
    }

    fn tell(&mut self, event: CallEvent) {
        self.out.events.push(event);
    }
}
