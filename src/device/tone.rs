//! A tone in place of a microphone, paced by a timer.

use super::pace::Pace;
use super::{AudioSource, Fault};
use crate::media::{PERIOD_TIME, Period, SAMPLE_RATE_HZ};
use crate::sys::poll::Wait;
use crate::time::Instant;

/// Peak of the sine: 20 dB below full scale, which is heard and annoys nobody.
const AMPLITUDE: f64 = 3_276.7;

/// The tone where none is named, Hz: concert pitch.
pub const TONE_HZ: u32 = 440;

/// A sine without a break in its phase.
#[derive(Debug)]
pub struct Tone {
    name: String,
    pace: Pace,
    /// In cycles, 0 to 1.
    phase: f64,
    step: f64,
}

impl Tone {
    /// Begins now. Frequencies from half the sample rate up cannot be told from lower ones.
    pub fn new(hertz: u32, now: Instant) -> Tone {
        let step = f64::from(hertz) / f64::from(SAMPLE_RATE_HZ);
        Tone { name: format!("tone:{hertz}"), pace: Pace::new(now), phase: 0.0, step }
    }
}

impl AudioSource for Tone {
    fn name(&self) -> &str {
        &self.name
    }

    fn wait(&self) -> Wait<'_> {
        Wait::until(self.pace.next())
    }

    fn read(&mut self, now: Instant, period: &mut Period) -> Result<Option<Instant>, Fault> {
        let Some(due) = self.pace.due(now) else { return Ok(None) };
        for sample in period {
            *sample = (AMPLITUDE * (self.phase * core::f64::consts::TAU).sin()) as i16;
            self.phase = (self.phase + self.step).fract();
        }
        self.pace.step(now);
        // As with a microphone: the period ends as it is read.
        Ok(Some(due - PERIOD_TIME))
    }

    fn xruns(&self) -> u64 {
        self.pace.missed()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the tone has the frequency and the level it says. Method: Goertzel's algorithm over a second.

    use super::*;
    use crate::media::tests::goertzel;

    #[test]
    fn a_second_of_tone_is_that_frequency_and_no_other() {
        for hertz in [440, 1_000, 3_001] {
            let mut tone = Tone::new(hertz, Instant::ZERO);
            let mut sound = Vec::new();
            for n in 1..=100 {
                let mut period = [0; 480];
                let captured_at = tone.read(Instant::from_millis(n * 10), &mut period).unwrap();
                assert_eq!(captured_at, Some(Instant::from_millis(n * 10 - 10)));
                assert!(tone.read(Instant::from_millis(n * 10), &mut period).unwrap().is_none());
                sound.extend(period);
            }
            assert!((goertzel(&sound, f64::from(hertz)) / AMPLITUDE - 1.0).abs() < 0.001);
            let power: f64 = sound.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / sound.len() as f64;
            let rest = power / (AMPLITUDE * AMPLITUDE / 2.0) - 1.0;
            assert!(rest.abs() < 0.001, "{hertz} Hz: power off by {rest}");
        }
    }
}
