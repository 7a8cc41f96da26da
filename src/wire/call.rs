//! Call messages: how stations ring each other, answer, end a call, and open a door.
//!
//! They travel as [`super::Control::Call`]. Beside the rules of growth that hold for all control messages, what may
//! get more values later (kinds, reasons, outcomes) is a byte here, whose unknown values have a meaning: a station
//! must understand that it was refused even where it does not understand why.

use super::NAME_BYTES_MAX;
use heapless::String;
use serde::{Deserialize, Serialize};

/// Names one call: drawn at random by the station that begins it, and the same for all whom it rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// What stations say about calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallMessage {
    /// The sender wants a conversation.
    Invite(Invite),
    /// The station rings for this call.
    Ringing {
        /// Which call.
        call: CallId,
    },
    /// Somebody answered, or the station did by itself: the conversation begins.
    Accept {
        /// Which call.
        call: CallId,
    },
    /// The invitation is refused.
    Decline {
        /// Which call.
        call: CallId,
        /// Why.
        reason: DeclineReason,
    },
    /// The call is over, whatever state it was in.
    End {
        /// Which call.
        call: CallId,
        /// Why.
        reason: EndReason,
        /// Who answered, by name, where that is the reason; else empty.
        by: String<NAME_BYTES_MAX>,
    },
    /// How the sender takes part in the conversation; sent whenever it changes.
    Marks {
        /// Which call.
        call: CallId,
        /// The sender has put the call on hold.
        held: bool,
        /// The sender's microphone is not heard.
        muted: bool,
    },
    /// The sender wants the receiver's door released.
    ReleaseRequest {
        /// Names the request; never used twice.
        nonce: u64,
        /// The call within which it is asked; none without a call.
        call: Option<CallId>,
        /// How long the receiver may wait for the confirmation, in milliseconds of its own clock.
        valid_ms: u16,
    },
    /// The receiver of a request may have its door released, if it says so again now.
    ReleaseChallenge {
        /// Of the request.
        nonce: u64,
        /// Drawn at random by the station with the door.
        challenge: u64,
    },
    /// The request still holds.
    ReleaseConfirm {
        /// What the station with the door has drawn.
        challenge: u64,
    },
    /// What became of a request.
    ReleaseAnswer {
        /// Of the request.
        nonce: u64,
        /// What became of it.
        outcome: ReleaseOutcome,
    },
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Names the call from here on.
    pub call: CallId,
    /// What is wanted.
    pub kind: CallKind,
    /// The group that is rung; empty where it is this station alone.
    pub group: String<NAME_BYTES_MAX>,
    /// The caller sends its picture while the station rings.
    pub early_media: bool,
}

/// A closed set of names for the values of one byte, and the name of all other values.
macro_rules! byte_enum {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $value:literal,)+ } else $(#[$last:meta])* $other:ident = $other_value:literal) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "u8", into = "u8")]
        pub enum $name {
            $($(#[$inner])* $variant,)+
            $(#[$last])* $other,
        }

        impl From<u8> for $name {
            fn from(byte: u8) -> $name {
                match byte {
                    $($value => $name::$variant,)+
                    _ => $name::$other,
                }
            }
        }

        impl From<$name> for u8 {
            fn from(named: $name) -> u8 {
                match named {
                    $($name::$variant => $value,)+
                    $name::$other => $other_value,
                }
            }
        }
    };
}

byte_enum! {
    /// What kind of conversation.
    CallKind {
        /// Both see and hear each other.
        Talk = 0,
        /// The caller is seen and heard, and nobody need answer.
        Page = 1,
        /// The caller sees and hears the station, and nobody need answer.
        Monitor = 2,
    } else
    /// A kind of later days: declined.
    Other = 255
}

byte_enum! {
    /// Why an invitation is refused.
    DeclineReason {
        /// The station is in a call.
        Busy = 1,
        /// The station does not want to be disturbed now.
        DoNotDisturb = 2,
        /// The caller has no right to this kind of call, or the station does not know this kind.
        NotAllowed = 3,
        /// Nobody came.
        NoAnswer = 4,
    } else
    /// Somebody refused, or a reason of later days.
    Declined = 0
}

byte_enum! {
    /// Why a call is over.
    EndReason {
        /// The caller gave up before anybody answered.
        Cancelled = 1,
        /// Another station of those rung has the call.
        AnsweredElsewhere = 2,
        /// Nobody came.
        NoAnswer = 3,
        /// The longest time that a call may take has passed.
        TimeLimit = 4,
        /// The other station was away for too long.
        Lost = 5,
        /// A monitored or monitoring station has a call now.
        GaveWay = 6,
    } else
    /// Somebody hung up, or a reason of later days.
    HungUp = 0
}

byte_enum! {
    /// What became of a request to release the door.
    ReleaseOutcome {
        /// The line is on.
        Released = 0,
        /// The station has no door.
        NoDoor = 2,
        /// The confirmation came too late, or the request came twice.
        TooLate = 3,
    } else
    /// The sender has no such right, or not without a call; or an outcome of later days.
    NotAllowed = 1
}
