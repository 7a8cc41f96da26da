//! What is too loud for the loudspeaker is turned down, and not cut off.
//!
//! A limiter with look-ahead: sound is held back by a millisecond, in which the gain goes down in a straight line to what
//! the coming peak allows; it stays there for longer than a low note's half wave, so that a steady sound is turned down and not
//! bent, and rises slowly. Peaks between two samples count, as they do in the loudspeaker (ITU-R BS.1770, annex 2; here at
//! twice the rate). What is never too loud comes out bit by bit as it went in.

use crate::media::PERIOD;
use crate::time::Duration;
use heapless::Deque;

/// The highest that comes out: −1 dBFS. What a peak between two samples has above the estimate, up to 16 kHz, fits above it.
pub(super) const CEILING: f32 = 0.891;

/// Sample frames over which the gain goes down: 1 ms, in which a step of it is no click.
const LOOK_AHEAD: usize = 48;
/// Sample frames for which it stays down: 10 ms, half a wave of 50 Hz, below which no loudspeaker of an intercom sounds.
const HOLD: usize = 480;
/// By what the gain rises with each sample frame: 30 dB a second. A voice and a tone together are at most 3 dB too loud,
/// which is gone within a syllable, and slow enough that nobody hears it go.
const RELEASE: f32 = 1.000_072;

/// The value in the middle of eight samples, by the polynomial through them (Lagrange).
const MIDDLE: [f32; 8] = [-5.0, 49.0, -245.0, 1_225.0, 1_225.0, -245.0, 49.0, -5.0];
const MIDDLE_SCALE: f32 = 1.0 / 2_048.0;
/// Samples that the middle needs beyond it.
const BEYOND: usize = MIDDLE.len() / 2;

/// Sample frames by which sound comes out later.
const DELAY_FRAMES: usize = LOOK_AHEAD - 1 + BEYOND;

/// The gain, and the sound that waits for it.
#[derive(Debug)]
pub(super) struct Limiter {
    samples: [f32; DELAY_FRAMES + PERIOD],
    /// The last value between two samples.
    between: f32,
    /// Sample frames so far.
    at: u64,
    /// What peaks of the last [`HOLD`] allow, and when: rising, the least in front.
    allowed: Deque<(u64, f32), HOLD>,
    /// The gain before it is smoothed, of the last [`LOOK_AHEAD`], and their sum; f64 holds that exactly.
    gains: [f32; LOOK_AHEAD],
    sum: f64,
    gain: f32,
}

impl Limiter {
    /// By how much later sound comes out.
    pub const DELAY: Duration = Duration::from_nanos(DELAY_FRAMES as u64 * 62_500 / 3);

    /// Before any sound.
    pub fn new() -> Limiter {
        Limiter {
            samples: [0.0; DELAY_FRAMES + PERIOD],
            between: 0.0,
            at: 0,
            allowed: Deque::new(),
            gains: [1.0; LOOK_AHEAD],
            sum: LOOK_AHEAD as f64,
            gain: 1.0,
        }
    }

    /// Takes a period, full scale 1, and gives the one that is due.
    pub fn handle(&mut self, period: &mut [f32; PERIOD]) {
        self.samples.copy_within(PERIOD.., 0);
        self.samples[DELAY_FRAMES..].copy_from_slice(period);
        for (at, out) in period.iter_mut().enumerate() {
            let seen = &self.samples[at + DELAY_FRAMES + 1 - MIDDLE.len()..=at + DELAY_FRAMES];
            let between = MIDDLE_SCALE * seen.iter().zip(MIDDLE).map(|(sample, tap)| sample * tap).sum::<f32>();
            let level = seen[BEYOND - 1].abs().max(between.abs()).max(self.between.abs());
            self.between = between;
            *out = self.samples[at] * self.follow((CEILING / level).min(1.0));
        }
    }

    /// Takes what the newest sample allows, and gives the gain of the one that is due.
    fn follow(&mut self, allowed: f32) -> f32 {
        self.at += 1;
        let at = self.at;
        while self.allowed.front().is_some_and(|(since, _)| since + HOLD as u64 <= at) {
            self.allowed.pop_front();
        }
        while self.allowed.back().is_some_and(|(_, other)| *other >= allowed) {
            self.allowed.pop_back();
        }
        // Cannot fail: there is one a sample frame at most, and older ones have gone.
        let _ = self.allowed.push_back((at, allowed));
        let least = self.allowed.front().map_or(1.0, |(_, least)| *least);
        self.gain = least.min(self.gain * RELEASE);
        let oldest = &mut self.gains[(at % LOOK_AHEAD as u64) as usize];
        self.sum += f64::from(self.gain) - f64::from(*oldest);
        *oldest = self.gain;
        (self.sum / LOOK_AHEAD as f64) as f32
    }
}

#[cfg(test)]
mod tests {
    //! Goal: nothing is louder than the ceiling, what is limited is not bent, and what is quiet is not touched. Method:
    //! sines, whose distortion is all that is no sine; and a made-up voice around a moment that is too loud.

    use super::*;
    use crate::codec::opus::tests::voice;
    use core::f64::consts::TAU;

    fn limited(sound: &[f32]) -> Vec<f32> {
        let mut limiter = Limiter::new();
        let period = |period: &[f32]| {
            let mut out = core::array::from_fn(|i| period[i]);
            limiter.handle(&mut out);
            out
        };
        sound.chunks_exact(PERIOD).flat_map(period).collect()
    }

    fn sine(hertz: f64, peak: f64, phase: f64, seconds: usize) -> Vec<f32> {
        let sample = |n: usize| (peak * (TAU * (hertz * n as f64 / 48e3 + phase)).sin()) as f32;
        (0..48_000 * seconds).map(sample).collect()
    }

    fn power(sound: &[f32]) -> f64 {
        sound.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / sound.len() as f64
    }

    /// The peak of the sine in a second of sound, and the power of what is none, in decibels of it.
    fn peak_and_rest_db(second: &[f32], hertz: f64) -> (f64, f64) {
        let part = |of: fn(f64) -> f64| {
            let sum: f64 =
                second.iter().enumerate().map(|(n, s)| f64::from(*s) * of(TAU * hertz * n as f64 / 48e3)).sum();
            2.0 * sum / second.len() as f64
        };
        let (sine, cosine) = (part(f64::sin), part(f64::cos));
        let of_sine = (sine * sine + cosine * cosine) / 2.0;
        ((2.0 * of_sine).sqrt(), 10.0 * ((power(second) - of_sine).max(1e-18) / of_sine).log10())
    }

    #[test]
    fn a_sine_that_is_too_loud_is_turned_down_to_the_ceiling_and_stays_a_sine() {
        for hertz in [60.0, 150.0, 440.0, 1_000.0, 3_400.0, 7_000.0] {
            let heard = limited(&sine(hertz, 1.25, 0.0, 2));
            assert!(heard.iter().all(|s| s.abs() <= CEILING * 1.000_01), "{hertz} Hz");
            let (peak, rest_db) = peak_and_rest_db(&heard[48_000..], hertz);
            println!("{hertz:5} Hz: peak {peak:.3}, distortion {rest_db:.1} dB");
            assert!(rest_db < -60.0, "{hertz} Hz: distortion of {rest_db:.1} dB");
            assert!((peak / f64::from(CEILING) - 1.0).abs() < 0.02, "{hertz} Hz: a peak of {peak}");
        }
    }

    #[test]
    fn what_peaks_between_two_samples_is_turned_down_too() {
        // Four samples a wave, none of them at its peak: what is played reaches 1 where they say 0.71.
        let heard = limited(&sine(12_000.0, 1.0, 0.125, 2));
        let (peak, _) = peak_and_rest_db(&heard[48_000..], 12_000.0);
        assert!(peak < 0.97, "a peak of {peak}");
    }

    #[test]
    fn nothing_is_louder_than_the_ceiling_however_it_comes() {
        let mut random = crate::voice::simulation::Random::new(3);
        let mut level = 0.0;
        let noise: Vec<f32> = (0..480_000)
            .map(|n| {
                if n % 731 == 0 {
                    level = random.share().powi(4) * 4.0;
                }
                (level * (2.0 * random.share() - 1.0)) as f32
            })
            .collect();
        let loudest = limited(&noise).into_iter().map(f32::abs).fold(0.0, f32::max);
        assert!((0.8..=CEILING * 1.000_01).contains(&loudest), "{loudest}");
    }

    #[test]
    fn a_quiet_voice_is_let_through_as_it_is_and_not_drawn_down_by_what_was_loud() {
        let mut sound: Vec<f32> = voice(300).iter().flatten().map(|s| f32::from(*s) / 32_768.0 * 0.1).collect();
        let quiet = limited(&sound);
        assert_eq!(quiet[DELAY_FRAMES..], sound[..sound.len() - DELAY_FRAMES], "without a peak it is a delay");
        let loud = 48_000..50_400;
        for (n, sample) in sound[loud.clone()].iter_mut().enumerate() {
            *sample += 1.25 * (n as f32 * 0.06).sin();
        }
        let after = limited(&sound);
        let drawn_down = |ms: usize| {
            let window = loud.end + DELAY_FRAMES + ms * 48..loud.end + DELAY_FRAMES + ms * 48 + 2_400;
            10.0 * (power(&after[window.clone()]) / power(&quiet[window])).log10()
        };
        assert!(drawn_down(0) > -3.5, "{:.1} dB at once", drawn_down(0));
        assert!(drawn_down(130) > -0.01, "{:.2} dB after 130 ms", drawn_down(130));
    }
}
