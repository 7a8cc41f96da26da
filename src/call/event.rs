//! What a call tells those who log, audit and act: its events, and why an action was not done.

use super::state::Ending;
use crate::identity::PublicKey;
use crate::time::{Duration, Instant};
use crate::wire::{CallKind, ReleaseOutcome};
use core::fmt;

/// Something that others than the station's screen want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// The state is another, or something about it: look at [`super::Call::state`] and the other views.
    Changed,
    /// A conversation, a page or monitoring began.
    Begun {
        /// With whom.
        peer: PublicKey,
        /// What kind.
        kind: CallKind,
        /// Whether this station began it.
        is_caller: bool,
    },
    /// A call is over, whether or not somebody answered.
    Ended {
        /// With whom; none for a group that nobody answered for.
        peer: Option<PublicKey>,
        /// What kind.
        kind: CallKind,
        /// Why.
        why: Ending,
        /// How long the conversation was; none if there was none.
        lasted: Option<Duration>,
    },
    /// Somebody rang here and nobody answered.
    Missed {
        /// Who.
        peer: PublicKey,
        /// When it began.
        at: Instant,
        /// The caller's picture came while it rang: one is to be kept.
        picture: bool,
    },
    /// A peer wanted what it may not; to be audited.
    TurnedAway {
        /// Who.
        peer: PublicKey,
        /// What it wanted.
        kind: CallKind,
    },
    /// The call will be ended by its limit.
    EndsSoon {
        /// After so long.
        left: Duration,
    },
    /// The door's line is to be on, for so long from now: an order, and to be audited.
    Released {
        /// Who wanted it; none for somebody here.
        by: Option<PublicKey>,
        /// How long; a line that is on already is not on for longer than it was to be.
        pulse: Duration,
    },
    /// A peer wanted the door released, and it was not; to be audited.
    ReleaseRefused {
        /// Who.
        by: PublicKey,
        /// Why.
        outcome: ReleaseOutcome,
    },
    /// What became of this station's own request. [`ReleaseOutcome::TooLate`] where nothing was heard of it.
    ReleaseAnswered {
        /// Whose door.
        peer: PublicKey,
        /// What became of it.
        outcome: ReleaseOutcome,
    },
}

/// Why an action was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is a call.
    InACall,
    /// There is none.
    NoCall,
    /// Nobody rings here.
    NothingRings,
    /// No station or group has this name.
    Unknown(String),
    /// There is nobody to call.
    Nobody,
    /// The station is not here now.
    Away(String),
    /// This station has no door.
    NoDoor,
    /// The hours of the configuration still hold.
    QuietHours,
    /// This action is no business of calls, but of the station: volume, level, snapshot, rescan, pairing.
    NotACall,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::InACall => f.write_str("there is a call already: hang up first"),
            Refusal::NoCall => f.write_str("there is no call"),
            Refusal::NothingRings => f.write_str("nobody rings here"),
            Refusal::Unknown(name) => write!(f, "no station or group is called {name:?}: `visavis peers` lists them"),
            Refusal::Nobody => f.write_str("there is nobody to call: pair a station first"),
            Refusal::Away(name) => write!(f, "{name} is away: see that it has power and network"),
            Refusal::NoDoor => f.write_str("this station has no door: its configuration names no line for one"),
            Refusal::QuietHours => f.write_str("these are the quiet hours of the configuration"),
            Refusal::NotACall => f.write_str("this is not about calls"),
        }
    }
}

impl std::error::Error for Refusal {}
