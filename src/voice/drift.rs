//! Two sound cards never agree on how long a second is. Playing the sender's samples at the receiver's pace would let the
//! delay grow (or run dry) by a millisecond every few seconds; so they are resampled by a few parts per million, steered
//! by the error of the delay.
//!
//! The controller is a PI: what it integrates ends up as the difference of the two clocks, which is also reported.

use crate::media::PERIOD;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Adjustable, Async, FixedAsync, PolynomialDegree, Resampler};

/// The furthest the pace is ever bent: crystals are within ±100 ppm each, cheap USB cards within ±250, and 500 ppm is
/// a hundredth of a semitone, which nobody hears.
pub const DRIFT_MAX_PPM: f64 = 500.0;

/// Periods over which the measured error is smoothed: the pull comes when a scheduler lets it, within milliseconds. Of the
/// first it is their mean, so that a delay that begins too long is known to be within a few.
const SMOOTHING_PERIODS: u32 = 30;

/// Natural frequency of the loop, rad/s. With damping 1 an error of delay is gone after about a minute, and a constant drift
/// of 300 ppm costs 1.8 ms of delay at its worst, 17 s after the start (drift / (e · ω)): within the playout's slack.
const OMEGA: f64 = 0.06;

/// The largest error that drift makes by itself, twice over. More comes from elsewhere (a splice has yet to be made, the
/// target has moved): it is worked off, but says nothing about the clocks and is not integrated.
const ERROR_MAX_S: f64 = 0.004;

const PERIOD_S: f64 = 0.01;

/// The resampler between the sender's sample clock and the playback card's, and what steers it.
#[derive(Debug)]
pub struct Drift {
    resampler: Async<f32>,
    /// Delay less target, smoothed over so many periods.
    error_s: f64,
    smoothed: u32,
    /// Correction in steady state: by how much the sender's clock is faster, as a plain ratio.
    integral: f64,
}

impl Drift {
    /// No drift known yet.
    pub fn new() -> Drift {
        // Polynomial interpolation needs no filter here, since the ratio is within 0.05 % of 1 and nothing can alias;
        // of 8 points, so that what it takes away stays above speech. Its delay is 4 sample frames.
        let resampler = Async::new_poly(
            1.0,
            1.0 + 2.0 * DRIFT_MAX_PPM * 1e-6,
            PolynomialDegree::Septic,
            PERIOD,
            1,
            FixedAsync::Output,
        )
        .expect("a ratio of 1 and a chunk of one period are always valid");
        Drift { resampler, error_s: 0.0, smoothed: 0, integral: 0.0 }
    }

    /// Sample frames that the next [`Drift::process`] takes: 480, give or take one. [`Drift::steer`] may change it.
    pub fn input_frames(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// Takes the delay's error (delay less target, in nanoseconds) as seen by this period, and sets its pace.
    pub fn steer(&mut self, error_nanos: i64) {
        self.smoothed = (self.smoothed + 1).min(SMOOTHING_PERIODS);
        self.error_s += (error_nanos as f64 * 1e-9 - self.error_s) / f64::from(self.smoothed);
        let error = self.error_s.clamp(-ERROR_MAX_S, ERROR_MAX_S);
        let max = DRIFT_MAX_PPM * 1e-6;
        // Gains for damping 1: in seconds of correction a second for each second of error, and ω² for its integral.
        let (gain_p, gain_i) = (2.0 * OMEGA, OMEGA * OMEGA);
        if self.error_s.abs() <= ERROR_MAX_S {
            self.integral = (self.integral + gain_i * error * PERIOD_S).clamp(-max, max);
        }
        self.set_pace(gain_p * error + self.integral);
    }

    /// Takes so much more input for the same output, as a share; for whoever knows better than [`Drift::steer`] how far the
    /// clocks are apart.
    pub fn set_pace(&mut self, more: f64) {
        let more = more.clamp(-DRIFT_MAX_PPM * 1e-6, DRIFT_MAX_PPM * 1e-6);
        // Too much delay is played off by taking more input for the same output. The new pace is reached by a ramp
        // over the period. The bound given to the constructor is twice ours, so that it cannot be refused.
        let _ = self.resampler.set_resample_ratio_relative(1.0 / (1.0 + more), true);
    }

    /// The smoothed error of the delay, in nanoseconds.
    pub fn error_nanos(&self) -> i64 {
        (self.error_s * 1e9) as i64
    }

    /// Tells that the delay was just changed by other means, so that the smoothing need not find out.
    pub fn shift(&mut self, nanos: i64) {
        self.error_s += nanos as f64 * 1e-9;
    }

    /// Tells that the delay is another one, or its target: how far they are apart is to be found out anew.
    pub fn forget_error(&mut self) {
        (self.error_s, self.smoothed) = (0.0, 0);
    }

    /// Resamples [`Drift::input_frames`] of `input` to one period. More input is left alone.
    pub fn process(&mut self, input: &[f32], output: &mut [f32; PERIOD]) {
        let source = SequentialSlice::new(input, 1, input.len());
        let sink = SequentialSlice::new_mut(output, 1, PERIOD);
        let (Ok(source), Ok(mut sink)) = (source, sink) else { return };
        let done = self.resampler.process_into_buffer(&source, &mut sink, None);
        debug_assert!(done.is_ok(), "{done:?}");
    }

    /// By how much the sender's card is faster than ours, in parts per million, as far as is known.
    pub fn ppm(&self) -> f64 {
        self.integral * 1e6
    }
}

impl Default for Drift {
    fn default() -> Drift {
        Drift::new()
    }
}
