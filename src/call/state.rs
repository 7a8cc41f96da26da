//! The states of a call, as a person knows them, and the timers that end them.
//!
//! **No state is without a timer**, but for two: idle, and a conversation with a peer that is here, which has its limit.

use crate::identity::PublicKey;
use crate::time::Instant;
use crate::wire::{CallId, CallKind, DeclineReason, EndReason};

/// What a station is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    #[default]
    Idle,
    /// It rings others, waits for one it wants to monitor, or speaks to those it pages.
    Calling(Calling),
    /// Somebody rings here.
    Ringing(Ringing),
    /// In conversation, or monitoring, monitored, paged.
    Talking(Talking),
    /// A call ended a moment ago; a card says how.
    Ended(Ended),
}

/// A call that this station began and nobody has taken yet; or a page, which nobody takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calling {
    /// Its name on the wire.
    pub call: CallId,
    /// Talk, page or monitor.
    pub kind: CallKind,
    /// The name of the group that is called; empty where there is none.
    pub group: String,
    /// Whom it calls.
    pub legs: Vec<Leg>,
    /// Since when.
    pub since: Instant,
    /// When nobody has answered, or a page has been long enough.
    pub(super) until: Instant,
    /// None of those called is here, and until then one may come.
    pub(super) nobody_until: Option<Instant>,
}

/// One of those called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Who.
    pub peer: PublicKey,
    /// How far it is.
    pub progress: Progress,
}

/// How far the call to one station is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is away, and will be called should it come.
    Waiting,
    /// It was called.
    Invited,
    /// It rings there.
    Ringing,
    /// It plays the page.
    Listening,
    /// Nothing comes of it.
    Over(Ending),
}

/// Somebody rings here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ringing {
    /// Its name on the wire.
    pub call: CallId,
    /// Who rings.
    pub peer: PublicKey,
    /// The group that is rung, this station in it; empty where it is this station alone.
    pub group: String,
    /// The caller's picture comes already.
    pub early_media: bool,
    /// Since when.
    pub since: Instant,
    /// When nobody came.
    pub(super) until: Instant,
    /// When the station answers by itself.
    pub(super) answer_at: Option<Instant>,
    /// When a caller that is away has been so for too long.
    pub(super) lost_at: Option<Instant>,
}

/// A conversation, or one way of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talking {
    /// Its name on the wire.
    pub call: CallId,
    /// With whom.
    pub peer: PublicKey,
    /// Talk; monitor; or page, where this station is the one paged.
    pub kind: CallKind,
    /// This station began it: of two that monitor, the one that watches.
    pub is_caller: bool,
    /// Since when.
    pub since: Instant,
    /// This station lets the other wait.
    pub held_here: bool,
    /// The other lets this one wait.
    pub held_there: bool,
    /// The other's microphone is not heard.
    pub muted_there: bool,
    /// When it has been long enough.
    pub(super) until: Instant,
    /// When to say that it ends soon.
    pub(super) warn_at: Option<Instant>,
    /// When a peer that is away has been so for too long.
    pub(super) lost_at: Option<Instant>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// With whom it was or would have been; none for a group that nobody answered for.
    pub peer: Option<PublicKey>,
    /// Why.
    pub why: Ending,
    /// When.
    pub at: Instant,
    /// How long the card stands.
    pub(super) until: Instant,
}

/// Why a call ended. The order is that of worth to a caller whose group answered differently: the last one is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// None of those called is here.
    Unreachable,
    /// The peer was away for too long, or its program began anew.
    Lost,
    /// No right to such a call.
    NotAllowed,
    /// Nobody came.
    NoAnswer,
    /// The other does not want to be disturbed now.
    DoNotDisturb,
    /// The other refused.
    Declined,
    /// The other is in a call.
    Busy,
    /// The other hung up.
    HungUp,
    /// This station hung up, or gave up calling.
    HungUpHere,
    /// This station refused.
    DeclinedHere,
    /// It rang here and nobody answered.
    Missed,
    /// The other gave up before the conversation began.
    Cancelled,
    /// Another station, of this name, has the call.
    AnsweredBy(String),
    /// It took as long as it may.
    TimeLimit,
    /// Monitoring made room for a call.
    GaveWay,
}

impl Ending {
    pub(super) fn of_decline(reason: DeclineReason) -> Ending {
        match reason {
            DeclineReason::Busy => Ending::Busy,
            DeclineReason::DoNotDisturb => Ending::DoNotDisturb,
            DeclineReason::NotAllowed => Ending::NotAllowed,
            DeclineReason::NoAnswer => Ending::NoAnswer,
            DeclineReason::Declined => Ending::Declined,
        }
    }

    pub(super) fn of_end(reason: EndReason, by: &str) -> Ending {
        match reason {
            EndReason::Cancelled => Ending::Cancelled,
            EndReason::AnsweredElsewhere => Ending::AnsweredBy(by.to_owned()),
            EndReason::NoAnswer => Ending::NoAnswer,
            EndReason::TimeLimit => Ending::TimeLimit,
            EndReason::Lost => Ending::Lost,
            EndReason::GaveWay => Ending::GaveWay,
            EndReason::HungUp => Ending::HungUp,
        }
    }
}

/// What a state waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The station answers by itself, as agreed with this peer.
    AutoAnswer,
    /// It has rung long enough, here or there; a page has been long enough.
    Enough,
    /// None of those called has come.
    Nobody,
    /// The call ends in a minute.
    Warning,
    /// The call is as long as it may be.
    Limit,
    /// The peer has been away for too long.
    Lost,
    /// The card was read.
    Card,
}

impl State {
    /// What the state waits for, and until when; of two at the same time the first is due first.
    pub(super) fn timers(&self) -> impl Iterator<Item = (Timer, Instant)> {
        let timers = match self {
            State::Idle => [None; 3],
            State::Calling(calling) => {
                [Some((Timer::Enough, calling.until)), calling.nobody_until.map(|at| (Timer::Nobody, at)), None]
            }
            State::Ringing(ringing) => [
                ringing.answer_at.map(|at| (Timer::AutoAnswer, at)),
                Some((Timer::Enough, ringing.until)),
                ringing.lost_at.map(|at| (Timer::Lost, at)),
            ],
            State::Talking(talking) => [
                talking.warn_at.map(|at| (Timer::Warning, at)),
                Some((Timer::Limit, talking.until)),
                talking.lost_at.map(|at| (Timer::Lost, at)),
            ],
            State::Ended(ended) => [Some((Timer::Card, ended.until)), None, None],
        };
        timers.into_iter().flatten()
    }
}

impl Progress {
    /// The station was told of the call, and it may still come to something.
    pub fn is_reached(&self) -> bool {
        matches!(self, Progress::Invited | Progress::Ringing | Progress::Listening)
    }
}

impl Calling {
    /// The leg to `peer`, where it may still come to something.
    pub(super) fn open_leg(&mut self, peer: PublicKey) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.peer == peer && !matches!(leg.progress, Progress::Over(_)))
    }

    /// `peer` was told of this call and may say something about it.
    pub(super) fn is(&self, peer: PublicKey, call: CallId) -> bool {
        call == self.call && self.legs.iter().any(|leg| leg.peer == peer && leg.progress.is_reached())
    }

    /// The one that is called, where it is one.
    pub(super) fn only_peer(&self) -> Option<PublicKey> {
        match &self.legs[..] {
            [leg] => Some(leg.peer),
            _ => None,
        }
    }

    /// Those that were told of this call and have not refused it.
    pub fn reached(&self) -> impl Iterator<Item = PublicKey> {
        self.legs.iter().filter(|leg| leg.progress.is_reached()).map(|leg| leg.peer)
    }
}

impl Ringing {
    pub(super) fn is(&self, peer: PublicKey, call: CallId) -> bool {
        (self.peer, self.call) == (peer, call)
    }
}

impl Talking {
    pub(super) fn is(&self, peer: PublicKey, call: CallId) -> bool {
        (self.peer, self.call) == (peer, call)
    }

    /// One side lets the other wait: nobody sees or hears anything.
    pub fn is_held(&self) -> bool {
        self.held_here || self.held_there
    }
}
