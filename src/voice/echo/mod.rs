//! Echo control: who speaks into this station does not hear himself back from the other one.
//!
//! ```text
//!  played period, heard at ──▶ Reference ─┐ aligned, at the microphone's pace
//!  microphone's period, taken at ─────────┴▶ Canceller ──▶ rest, echo, what is left ──▶ Suppressor ──▶ clean period
//! ```
//!
//! How fast each card runs, and when its periods really begin, is told from its stamps, from the start of the station on
//! (`card_clock`): so cards of two clocks are aligned before the first word.
//!
//! Both candidates that exist as libraries were measured first, in the simulation of `tests.rs`, with both people at one
//! level: the port of WebRTC's canceller takes the echo away, and who speaks at the same time is no longer understood; that
//! of speexdsp keeps him, and needs four seconds to find an echo again whose delay has changed. Hence one of our own, on
//! published methods; the figures of all three stand in `tests.rs`.

mod canceller;
mod card_clock;
mod reference;
mod spectrum;
mod suppressor;
#[cfg(test)]
mod tests;

use self::canceller::{Cancelled, Canceller};
use self::reference::Reference;
use self::suppressor::Suppressor;
use crate::media::{PERIOD, Period};
use crate::time::Instant;

/// Takes the loudspeaker's sound out of the microphone's.
#[derive(Debug)]
pub struct EchoControl {
    reference: Reference,
    canceller: Canceller,
    suppressor: Suppressor,
    cancelled: Cancelled,
    far: [f32; PERIOD],
}

impl EchoControl {
    /// Knows nothing of the room yet.
    pub fn new() -> EchoControl {
        EchoControl {
            reference: Reference::new(),
            canceller: Canceller::new(),
            suppressor: Suppressor::new(),
            cancelled: Cancelled::silence(),
            far: [0.0; PERIOD],
        }
    }

    /// Takes what the loudspeaker was given, and when its first sample is heard.
    pub fn handle_far_end(&mut self, period: &Period, heard_at: Instant) {
        self.reference.handle_played(period, heard_at);
    }

    /// Takes the microphone's period of that time, full scale 1, and leaves it without its echo, 128 sample frames later.
    pub fn handle_near_end(&mut self, near: &mut [f32; PERIOD], captured_at: Instant) {
        self.reference.take(captured_at, &mut self.far);
        self.canceller.process(&self.far, near, &mut self.cancelled);
        self.suppressor.process(&self.cancelled, near);
    }

    /// Takes the time of a microphone's period that is not to be freed of anything: the cards' clocks are known by the time
    /// that one is.
    pub fn skip(&mut self, captured_at: Instant) {
        self.reference.handle_captured(captured_at);
    }

    /// What was heard while the last period was taken, full scale 1.
    pub fn far(&self) -> &[f32; PERIOD] {
        &self.far
    }

    /// How often it has begun to learn the room anew.
    pub fn resets(&self) -> u32 {
        self.canceller.resets()
    }

    /// Periods whose reference came too late.
    pub fn missing(&self) -> u64 {
        self.reference.missing()
    }

    /// By how much the loudspeaker's card is faster than the microphone's, in parts per million.
    pub fn drift_ppm(&self) -> f64 {
        self.reference.ppm()
    }
}

impl Default for EchoControl {
    fn default() -> EchoControl {
        EchoControl::new()
    }
}
