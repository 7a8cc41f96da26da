//! Mouth to ear, measured by sound itself, at one of two stations that stand in one room and are in a call.
//!
//! A chirp out of this station's loudspeaker is heard by its own microphone twice: straight through the air, and again when
//! the other station has heard it too and sent it back, and this loudspeaker has played it. Both copies leave by the same
//! loudspeaker and come in by the same microphone, so that **what lies between them is all that a voice passes**: the
//! microphone there, the cleaning, the codec, the network, the playout and the loudspeaker here; and the air from one station
//! to the other, 3 ms a metre, as from a mouth.
//!
//! No clock takes part but that of one sound card, and nothing need be agreed with the other station: to it the chirp is a
//! voice in its room. While it is measured this station sends silence. So the other plays nothing, and its echo canceller has
//! nothing to take away; and nobody is overheard by it. What comes is let through for a while after each chirp only: else the
//! copy would go round and round.
//!
//! The other direction is measured by asking the other station.

mod chirps;
mod listener;

pub use chirps::{Chirps, Turn};
pub use listener::Listener;

use crate::media::{PERIOD, SAMPLE_RATE_HZ};
use crate::time::Duration;
use core::f32::consts::{PI, TAU};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chirps of one measurement: the median of ten is steady, and the ninth of them what one calls nearly always.
pub const TRIES: usize = 10;

/// Periods from one chirp to the next: one a second, in which every copy of the last has died away.
const ROUND: u32 = 100;
/// Periods for which a chirp is listened for: no way within a house, on a network of any kind, is longer.
const WINDOW: u32 = 64;
/// Samples of a chirp: 40 ms, long enough to be found below the noise of a room.
const CHIRP: usize = 4 * PERIOD;
/// What it sweeps over: what small loudspeakers play, and cards of 8 kHz too.
const SWEEP_HZ: [f32; 2] = [500.0, 3_500.0];
/// Samples over which it swells and dies away, so that it does not click: 5 ms.
const EDGE: usize = PERIOD / 2;
/// Its highest sample: 6 dB below full scale, louder than any tone.
const PEAK: f32 = 0.5;

/// A sample of the chirp, −1 to 1.
fn chirp(at: usize) -> f32 {
    let time = at as f32 / SAMPLE_RATE_HZ as f32;
    let length = CHIRP as f32 / SAMPLE_RATE_HZ as f32;
    let [low, high] = SWEEP_HZ;
    let edge = at.min(CHIRP - 1 - at).min(EDGE) as f32 / EDGE as f32;
    let turns = low * time + (high - low) * time * time / (2.0 * length);
    PEAK * (0.5 - 0.5 * (PI * edge).cos()) * (TAU * turns).sin()
}

/// What became of one chirp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// It came back after so long.
    Back(Duration),
    /// This microphone heard nothing of this loudspeaker.
    UnheardHere,
    /// It did, and nothing came back.
    UnheardThere,
}

/// A measurement, as those see it who ask for it and those who make it. It ends by itself.
#[derive(Debug, Default)]
pub struct Probing {
    is_on: AtomicBool,
    tries: Mutex<heapless::Vec<Try, TRIES>>,
}

impl Probing {
    /// Begins one. `false`: one goes on already.
    pub fn start(&self) -> bool {
        if self.is_on.load(Ordering::Acquire) {
            return false;
        }
        self.lock().clear();
        self.is_on.store(true, Ordering::Release);
        true
    }

    /// Whether one goes on.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Ends it.
    pub fn stop(&self) {
        self.is_on.store(false, Ordering::Release);
    }

    /// Notes what became of a chirp; what is more than [`TRIES`] is dropped.
    pub fn note(&self, result: Try) {
        let _ = self.lock().push(result);
    }

    /// What became of the chirps so far, of this measurement or the last.
    pub fn tries(&self) -> heapless::Vec<Try, TRIES> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, heapless::Vec<Try, TRIES>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
