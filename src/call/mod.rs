//! The call: what an intercom does, as a person knows it.
//!
//! **One state machine, and every transition in one table** ([`State`] and `table`). It does no input or output, draws
//! no random number by itself and reads no clock: what persons ask ([`Action`]), what peers say
//! ([`crate::wire::CallMessage`]), how the links are and what time it is comes in; messages, events, and what pictures,
//! sound, tones and lamps are to do come out.
//!
//! ```text
//!                   ring, page, monitor                      somebody answers
//!            ┌────────────────────────────────▶ calling ───────────────────────────┐
//!            │                                     │ refused, nobody, given up     ▼
//!   idle ────┤                                     ├───────────────────────────▶ talking
//!    ▲       │    a peer rings                     │                 answered    │   │ over, lost, limit
//!    │       ├────────────────────────────────▶ ringing ───────────────────────────┘   │
//!    │       └── a peer monitors or pages ─────────┼─────────────────────────────▲     │
//!    │                                             ▼                                   │
//!    └────────────── the card was read ───────── ended ◀───────────────────────────────┘
//! ```
//!
//! What it relies on: the link delivers messages once and in order while a conversation stands, and the driver says when
//! a peer's program began anew ([`Call::handle_restart`]). What it promises, and `tests` show: nothing rings for ever, a
//! line that is on goes off, pictures and sound go to nobody whom the state does not name, and once the network is
//! quiet no two stations believe that they talk to different partners.
//!
//! | file | what |
//! |---|---|
//! | `action` | what is asked of a station, in one notation |
//! | `policy` | what the owner has decided |
//! | `state` | the states, and the timers that end them |
//! | `table`, `steps` | the transitions; what each does in detail |
//! | `peers` | who is here, and what a peer that is away must still be told |
//! | `release` | opening a door |
//! | `machine`, `event` | the verbs: what goes in, what comes out |
//! | `view` | what screen, loudspeaker and lamps make of it |

mod action;
mod event;
mod machine;
mod peers;
mod policy;
mod release;
mod state;
mod steps;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use action::{Action, ActionError, NAME_LETTERS_MAX, NOTATIONS, Switch, VOLUME_STEP_PERCENT, Volume, Whom};
pub use event::{CallEvent, Refusal};
pub use machine::{Call, Random};
pub use policy::{
    ABSENCE_MAX, CALL_TIME_MAX, CARD_TIME_MAX, CallConfig, GROUPS_MAX, Group, MinuteOfDay, PULSE_MAX, PeerPolicy,
    QuietHours, RING_TIME_MAX,
};
pub use state::{Calling, Ended, Ending, Leg, Progress, Ringing, State, Talking};
pub use view::{Lamp, Media, Tone};
