//! How loud the loudspeaker is.

use crate::media::PERIOD;

/// The highest volume, in percent: what comes is played as it is.
pub const VOLUME_MAX: u8 = 100;

/// Of a volume, in percent, what is left of it while who is near speaks and an echo cannot be taken away: 25 dB less.
pub fn ducked(percent: u8) -> u8 {
    (u16::from(percent) * 38 / 100) as u8
}

/// The loudspeaker's volume.
///
/// Percents are steps of loudness as people hear it: the gain is their third power, as in PulseAudio and on most mixers'
/// faders, so that 50 % are −18 dB, about a quarter as loud, and 0 is silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Volume {
    gain: f32,
}

impl Default for Volume {
    fn default() -> Volume {
        Volume { gain: gain(VOLUME_MAX) }
    }
}

impl Volume {
    /// Brings a period to that volume; where it is another than before it gets there within the period, in a straight line.
    pub fn handle(&mut self, percent: u8, period: &mut [f32; PERIOD]) {
        let wanted = gain(percent);
        if self.gain == wanted && wanted == 1.0 {
            return;
        }
        let step = (wanted - self.gain) / PERIOD as f32;
        for (i, sample) in period.iter_mut().enumerate() {
            *sample *= self.gain + step * (i + 1) as f32;
        }
        self.gain = wanted;
    }
}

fn gain(percent: u8) -> f32 {
    (f32::from(percent.min(VOLUME_MAX)) / f32::from(VOLUME_MAX)).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(n: usize) -> [f32; PERIOD] {
        core::array::from_fn(|i| ((n * PERIOD + i) as f64 * 0.05).sin() as f32)
    }

    #[test]
    fn percents_are_loudness_and_both_ends_are_exact() {
        let level = |percent| {
            let mut volume = Volume { gain: gain(percent) };
            let mut period = [1.0; PERIOD];
            volume.handle(percent, &mut period);
            period[PERIOD - 1]
        };
        assert_eq!([0, 50, 100, 255].map(level), [0.0, 0.125, 1.0, 1.0]);
    }

    #[test]
    fn turned_down_is_quieter_by_as_much_at_every_volume() {
        for percent in [100, 50, 20] {
            let decibels = 20.0 * (gain(ducked(percent)) / gain(percent)).log10();
            assert!((-29.0..-24.0).contains(&decibels), "{percent} %: {decibels} dB");
        }
    }

    #[test]
    fn a_change_is_a_ramp_and_not_a_step() {
        let mut volume = Volume::default();
        let sound = (0..40).flat_map(|n| {
            let mut period = sine(n);
            volume.handle([100, 0, 100, 30][n / 3 % 4], &mut period);
            period
        });
        let sound: Vec<f64> = sound.map(f64::from).collect();
        // A sine obeys x(n+1) = 2 cos(w) x(n) − x(n−1); what does not is a step.
        let step = sound.windows(3).map(|w| (w[2] - 2.0 * 0.05f64.cos() * w[1] + w[0]).abs()).fold(0.0, f64::max);
        assert!(20.0 * step.log10() < -50.0, "a step of {:.1} dBFS", 20.0 * step.log10());
    }
}
