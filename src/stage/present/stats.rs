//! What the present stage counts.

use crate::stats::{Counter, Histogram};

/// What the stage counts.
#[derive(Debug, Default)]
pub struct PresentStats {
    /// From the sensor to the screen.
    pub latency: Histogram,
    /// From decoded to the screen: what this stage and the screen cost.
    pub present: Histogram,
    /// Pictures and cards given to the screen.
    pub given: Counter,
    /// Of these, pictures that it reads where the hardware decoded them.
    pub in_place: Counter,
    /// Pictures that it laid over by itself what stands upon them.
    pub overlaid: Counter,
    /// Of those given, those that it has shown.
    pub finished: Counter,
    /// Pictures that were seen.
    pub shown: Counter,
    /// Replaced in the mailbox by a newer one; counted by the mailbox's sender, who alone sees it.
    pub replaced: Counter,
    /// Passed over: too late, with newer ones at their heels.
    pub late: Counter,
    /// Not shown, since a card was.
    pub covered: Counter,
    /// Not shown, since there was no working screen.
    pub no_screen: Counter,
    /// Times that pictures stood still for more than 200 ms while they should have moved.
    pub freezes: Counter,
    /// How long they did, in milliseconds.
    pub frozen_ms: Counter,
    /// Times that a screen was opened.
    pub opened: Counter,
    /// The sender's number of the picture seen last.
    pub last_number: Counter,
    /// When it was seen, in nanoseconds on CLOCK_MONOTONIC; 0 before the first.
    pub last_shown_at: Counter,
}
