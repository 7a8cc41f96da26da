//! What the filter left of the echo (the loudspeaker's distortion, the tail of a long hall, what is not learnt yet) is
//! weighed down where it is stronger than what else is there, frequency by frequency.
//!
//! The weights are Wiener's, of the signal to the echo that the filter expects to have left (decision-directed, after
//! Ephraim and Malah, 1984). They act as a short filter in the time domain, whose delay is [`DELAY_FRAMES`]: a transform
//! back and forth would take a period.

use super::canceller::Cancelled;
use super::spectrum::{BINS, BLOCK, Row, Spectrum, Transform};
use crate::media::PERIOD;

/// Taps of the filter that the weights become.
const TAPS: usize = 256;
/// By how much what goes through is later.
pub const DELAY_FRAMES: usize = TAPS / 2;

/// The filter's own idea of what is left, which is a mean, is taken so many times: more weighs down more echo, and more of
/// who speaks at the same time.
const OVER: f32 = 8.0;
/// Share of the foretold echo's power that is left by distortion and the end of the response: -15 dB.
const DISTORTED: f32 = 0.03;
/// The mean of a Hann window's square, which the block is weighed with for the look at it.
const WINDOW_POWER: f32 = 0.375;
/// An echo's power falls to this much in a period, and no faster: the tail that the filter does not reach, of a room in which
/// a sound takes a second to fall by 60 dB.
const TAIL: f32 = 0.87;
/// Share of the last period's signal in the guess at this one's.
const HELD: f32 = 0.3;
/// The least weight, -40 dB.
const WEIGHT_MIN: f32 = 0.01;
/// Neighbours on either side over which weights are averaged: the filter has no finer grain.
const NEIGHBOURS: usize = 2;

/// How fast the room's noise is taken to rise, in a period: by a decibel a second. It falls at once.
const NOISE_RISES: f32 = 1.0023;

/// The suppressor.
#[derive(Debug)]
pub struct Suppressor {
    transform: Transform,
    window: [f32; BLOCK],
    last: Cancelled,
    /// Power of the echo that is left, of the signal, and of the room's noise.
    echo: Row,
    signal: Row,
    noise: Row,
    weight: Row,
    taps: [f32; TAPS],
    next_taps: [f32; TAPS],
    /// The last samples, and this period's.
    samples: [f32; TAPS + PERIOD],
    block: [f32; BLOCK],
    rest: Spectrum,
    foretold: Spectrum,
}

impl Suppressor {
    /// Lets everything through.
    pub fn new() -> Suppressor {
        let mut taps = [0.0; TAPS];
        taps[DELAY_FRAMES] = 1.0;
        Suppressor {
            transform: Transform::new(),
            window: core::array::from_fn(|at| hann(at, BLOCK)),
            last: Cancelled::silence(),
            echo: [0.0; BINS],
            signal: [0.0; BINS],
            noise: [0.0; BINS],
            weight: [1.0; BINS],
            taps,
            next_taps: taps,
            samples: [0.0; TAPS + PERIOD],
            block: [0.0; BLOCK],
            rest: Spectrum::SILENCE,
            foretold: Spectrum::SILENCE,
        }
    }

    /// Takes what the filter left, and gives it without its echo, [`DELAY_FRAMES`] later.
    pub fn process(&mut self, cancelled: &Cancelled, clean: &mut [f32; PERIOD]) {
        look(&mut self.transform, &self.window, &mut self.block, [&self.last.rest, &cancelled.rest], &mut self.rest);
        look(
            &mut self.transform,
            &self.window,
            &mut self.block,
            [&self.last.echo, &cancelled.echo],
            &mut self.foretold,
        );
        self.last.rest = cancelled.rest;
        self.last.echo = cancelled.echo;
        self.weigh(&cancelled.left);
        self.shape();
        self.filter(&cancelled.rest, clean);
    }

    fn weigh(&mut self, left: &Row) {
        let (rest, foretold) = (self.rest.power(), self.foretold.power());
        for bin in 0..BINS {
            let expected = OVER * WINDOW_POWER * left[bin] + DISTORTED * foretold[bin];
            self.echo[bin] = expected.max(TAIL * self.echo[bin]);
            self.noise[bin] = rest[bin].min(self.noise[bin] * NOISE_RISES).max(1e-9);
            let echo = self.echo[bin] + 1e-9;
            let seen = (rest[bin] / echo - 1.0).max(0.0);
            let ratio = HELD * self.signal[bin] / echo + (1.0 - HELD) * seen;
            // Down to the room's noise and no further: a background that comes and goes with the echo is worse than either.
            let to_noise = (self.noise[bin] / (rest[bin] + 1e-9)).sqrt().min(1.0);
            let weight = (ratio / (1.0 + ratio)).max(WEIGHT_MIN).max(to_noise);
            self.weight[bin] = weight;
            self.signal[bin] = weight * weight * rest[bin];
        }
    }

    /// The filter that has these weights.
    fn shape(&mut self) {
        for bin in 0..BINS {
            let (from, to) = (bin.saturating_sub(NEIGHBOURS), (bin + NEIGHBOURS + 1).min(BINS));
            self.rest.re[bin] = self.weight[from..to].iter().sum::<f32>() / (to - from) as f32;
            self.rest.im[bin] = 0.0;
        }
        self.transform.block(&self.rest, &mut self.block);
        for (at, tap) in self.next_taps.iter_mut().enumerate() {
            *tap = hann(at, TAPS) * self.block[(at + BLOCK - DELAY_FRAMES) % BLOCK];
        }
    }

    /// Filters, going over from the last period's filter to this one's.
    fn filter(&mut self, rest: &[f32; PERIOD], clean: &mut [f32; PERIOD]) {
        self.samples.copy_within(PERIOD.., 0);
        self.samples[TAPS..].copy_from_slice(rest);
        let mut reversed = [[0.0; TAPS]; 2];
        for (to, from) in reversed.iter_mut().zip([&self.taps, &self.next_taps]) {
            to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
        }
        for (at, clean) in clean.iter_mut().enumerate() {
            let seen = &self.samples[at + 1..=at + TAPS];
            let [before, after] = reversed.each_ref().map(|taps| dot(taps, seen));
            *clean = before + (after - before) * ((at + 1) as f32 / PERIOD as f32);
        }
        self.taps = self.next_taps;
    }
}

/// The spectrum of two periods under a window.
fn look(
    transform: &mut Transform,
    window: &[f32; BLOCK],
    block: &mut [f32; BLOCK],
    periods: [&[f32; PERIOD]; 2],
    spectrum: &mut Spectrum,
) {
    let samples = periods.into_iter().flatten();
    for ((to, sample), window) in block.iter_mut().zip(samples).zip(window) {
        *to = sample * window;
    }
    transform.spectrum(block, spectrum);
}

/// A sum in eight strands, which the compiler does at once: floating-point sums keep their order otherwise.
fn dot(taps: &[f32; TAPS], samples: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (taps, samples) in taps.chunks_exact(8).zip(samples.chunks_exact(8)) {
        for strand in 0..8 {
            sums[strand] += taps[strand] * samples[strand];
        }
    }
    sums.iter().sum()
}

/// The Hann window of `length`, at `at`.
fn hann(at: usize, length: usize) -> f32 {
    let turn = core::f64::consts::TAU * at as f64 / length as f64;
    (0.5 - 0.5 * turn.cos()) as f32
}
