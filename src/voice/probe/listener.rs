//! The microphone's part of a measurement: a matched filter finds the chirp and its copy.
//!
//! A chirp under the filter that is its own mirror image becomes a peak of a third of a millisecond, whatever its length, and
//! stands out of noise by 20 dB more than before. The work of a window is a few milliseconds on a slow board, done when
//! its last period has come.

use super::super::frames_to_nanos;
use super::{CHIRP, Try, WINDOW, chirp};
use crate::media::{PERIOD, Period};
use crate::time::Duration;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Samples of a window.
const SOUND: usize = WINDOW as usize * PERIOD;
/// Length of the transforms: no less than the window; the places at which a chirp would not end within it are not looked at.
const LENGTH: usize = 32_768;
const BINS: usize = LENGTH / 2 + 1;
const PLACES: usize = SOUND - CHIRP;

/// A peak is none unless it is so many times the median: noise alone reaches 7 in a window.
const ABOVE_MEDIAN: f32 = 12.0;
/// The first place that is at least this share of the highest is the direct way: what comes after it is walls.
const FIRST_SHARE: f32 = 0.5;
/// Samples after a first place within which its peak lies: 2 ms.
const PEAK_WITHIN: usize = 96;
/// From the chirp to the earliest copy: two sound cards and a codec take more, and a room's first echoes have died away.
const COPY_AFTER: usize = 25 * PERIOD / 10;
/// A copy is none unless it is this share of the chirp that was heard: what a room leaves of a sound after 25 ms, one wall at a
/// time, is less.
const COPY_SHARE: f32 = 0.02;

/// Listens for a chirp and its copy.
pub struct Listener {
    sound: Vec<f32>,
    is_listening: bool,
    forth: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    /// The chirp's spectrum, conjugate.
    mirror: Vec<Complex32>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
    sorted: Vec<f32>,
}

impl Default for Listener {
    fn default() -> Listener {
        let mut planner = RealFftPlanner::new();
        let (forth, back) = (planner.plan_fft_forward(LENGTH), planner.plan_fft_inverse(LENGTH));
        let mut listener = Listener {
            sound: Vec::with_capacity(LENGTH),
            is_listening: false,
            mirror: vec![Complex32::default(); BINS],
            bins: vec![Complex32::default(); BINS],
            scratch: vec![Complex32::default(); forth.get_scratch_len().max(back.get_scratch_len())],
            sorted: Vec::with_capacity(PLACES),
            forth,
            back,
        };
        listener.sound.extend((0..CHIRP).map(chirp));
        listener.transform();
        listener.mirror.copy_from_slice(&listener.bins);
        listener.mirror.iter_mut().for_each(|bin| *bin = bin.conj());
        listener
    }
}

impl Listener {
    /// A chirp begins to be played about now.
    pub fn begin(&mut self) {
        self.sound.clear();
        self.is_listening = true;
    }

    /// Takes what the microphone gave; at the end of the window, what became of the chirp.
    pub fn handle(&mut self, period: &Period) -> Option<Try> {
        if !self.is_listening {
            return None;
        }
        self.sound.extend(period.iter().map(|sample| f32::from(*sample) / 32_768.0));
        if self.sound.len() < SOUND {
            return None;
        }
        self.is_listening = false;
        self.transform();
        self.bins.iter_mut().zip(&self.mirror).for_each(|(bin, mirror)| *bin *= mirror);
        // The first and the last are real numbers in the spectrum of a real block.
        self.bins[0].im = 0.0;
        self.bins[BINS - 1].im = 0.0;
        // Only lengths can be wrong, and all are constants.
        let done = self.back.process_with_scratch(&mut self.bins, &mut self.sound, &mut self.scratch);
        debug_assert!(done.is_ok(), "{done:?}");
        self.sound.truncate(PLACES);
        self.sound.iter_mut().for_each(|value| *value = value.abs());
        Some(self.judge())
    }

    /// The sound's spectrum; silence follows it.
    fn transform(&mut self) {
        self.sound.resize(LENGTH, 0.0);
        let done = self.forth.process_with_scratch(&mut self.sound, &mut self.bins, &mut self.scratch);
        debug_assert!(done.is_ok(), "{done:?}");
    }

    /// What the filter shows.
    fn judge(&mut self) -> Try {
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.sound);
        let (_, median, _) = self.sorted.select_nth_unstable_by(PLACES / 2, f32::total_cmp);
        // Digital silence is lower than any microphone's noise: half a step of 16 bits.
        let least = ABOVE_MEDIAN * median.max(f32::EPSILON);
        let Some(here) = first_peak(&self.sound, least) else { return Try::UnheardHere };
        let least = least.max(COPY_SHARE * self.sound[here]);
        let after = (here + COPY_AFTER).min(PLACES);
        let copy = first_peak(&self.sound[after..], least);
        copy.map_or(Try::UnheardThere, |at| Try::Back(frames_time(after + at - here)))
    }
}

fn frames_time(frames: usize) -> Duration {
    Duration::from_nanos(frames_to_nanos(frames as i64).unsigned_abs())
}

/// The place of the first peak among those that are about as high as the highest, if that is at least `least`.
fn first_peak(places: &[f32], least: f32) -> Option<usize> {
    let highest = places.iter().copied().fold(0.0, f32::max);
    if highest < least {
        return None;
    }
    let first = places.iter().position(|value| *value >= FIRST_SHARE * highest)?;
    let within = &places[first..(first + PEAK_WITHIN).min(places.len())];
    within.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, _)| first + at)
}

impl core::fmt::Debug for Listener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Listener").field("is_listening", &self.is_listening).finish_non_exhaustive()
    }
}
