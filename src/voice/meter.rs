//! How loud it is.

use crate::media::Period;

/// Share of the old value that one period keeps: a time constant of 100 ms, which follows syllables and not waves.
const KEEP: f32 = 0.9;

/// What digital silence reads as: below the noise of 16 bits.
const FLOOR_DBFS: f32 = -100.0;

/// The mean level of the last tenth of a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    mean_square: f32,
}

impl Meter {
    /// Takes one period in.
    pub fn handle(&mut self, period: &Period) {
        self.mean_square = self.mean_square * KEEP + mean_square(period) * (1.0 - KEEP);
    }

    /// Decibels below full scale (a full-scale square wave is 0, a sine −3), down to −100.
    pub fn dbfs(&self) -> f32 {
        (10.0 * self.mean_square.log10()).max(FLOOR_DBFS)
    }
}

fn mean_square(period: &Period) -> f32 {
    let sum: f32 = period.iter().map(|s| (f32::from(*s) / 32_768.0).powi(2)).sum();
    sum / period.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::PERIOD;

    #[test]
    fn a_steady_level_is_read_right_and_silence_is_the_floor() {
        let mut meter = Meter::default();
        assert!((meter.dbfs() - FLOOR_DBFS).abs() < 0.01);
        for _ in 0..100 {
            meter.handle(&[3_277; PERIOD]);
        }
        assert!((meter.dbfs() + 20.0).abs() < 0.1, "{} dBFS", meter.dbfs());
    }
}
