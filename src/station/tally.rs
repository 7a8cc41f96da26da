//! What came of calls and doors, counted for the metrics.

use crate::call::{CallEvent, Ending};
use crate::stats::Counter;

/// Every way that a call ends, in the metrics' words.
const OUTCOMES: [&str; 15] = [
    "unreachable",
    "lost",
    "not_allowed",
    "no_answer",
    "do_not_disturb",
    "declined_there",
    "busy",
    "hung_up_there",
    "hung_up_here",
    "declined_here",
    "missed",
    "cancelled",
    "answered_elsewhere",
    "time_limit",
    "gave_way",
];

/// Counts since the program's start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    outcomes: [Counter; OUTCOMES.len()],
    /// Conversations that began.
    pub begun: Counter,
    /// Somebody rang here and nobody answered.
    pub missed: Counter,
    /// The door was released here.
    pub released: Counter,
    /// The door was not released, though a station wanted it.
    pub release_refused: Counter,
}

impl Tally {
    /// Counts what there is to count in an event.
    pub fn note(&self, event: &CallEvent) {
        match event {
            CallEvent::Begun { .. } => self.begun.bump(),
            CallEvent::Ended { why, .. } => self.outcomes[place(why)].bump(),
            CallEvent::Missed { .. } => self.missed.bump(),
            CallEvent::Released { .. } => self.released.bump(),
            CallEvent::ReleaseRefused { .. } => self.release_refused.bump(),
            CallEvent::Changed
            | CallEvent::TurnedAway { .. }
            | CallEvent::EndsSoon { .. }
            | CallEvent::ReleaseAnswered { .. } => {}
        }
    }

    /// How many calls ended how.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.outcomes.iter().map(Counter::get))
    }
}

/// An ending's place in [`OUTCOMES`].
fn place(why: &Ending) -> usize {
    match why {
        Ending::Unreachable => 0,
        Ending::Lost => 1,
        Ending::NotAllowed => 2,
        Ending::NoAnswer => 3,
        Ending::DoNotDisturb => 4,
        Ending::Declined => 5,
        Ending::Busy => 6,
        Ending::HungUp => 7,
        Ending::HungUpHere => 8,
        Ending::DeclinedHere => 9,
        Ending::Missed => 10,
        Ending::Cancelled => 11,
        Ending::AnsweredBy(_) => 12,
        Ending::TimeLimit => 13,
        Ending::GaveWay => 14,
    }
}
