//! The call: what an intercom does, as a person knows it.

mod action;

pub use action::{Action, ActionError, NAME_LETTERS_MAX, NOTATIONS, Switch, VOLUME_STEP_PERCENT, Volume, Whom};
