//! What the loudspeaker is given: who speaks and the tone that sounds, at one volume, and never more than it can play.

use super::limiter::Limiter;
use super::tones::{Tone, Tones};
use super::volume::Volume;
use crate::media::{PERIOD, Period};
use crate::time::Duration;

/// What a sample of 1 is in 16 bits.
const FULL_SCALE: f32 = 32_768.0;

/// The last thing that is done to sound before it is played; what comes out of it is what an echo is made of.
#[derive(Debug)]
pub struct Mixer {
    tones: Tones,
    volume: Volume,
    limiter: Limiter,
    sound: [f32; PERIOD],
}

impl Mixer {
    /// By how much later a sound comes out of it.
    pub const DELAY: Duration = Limiter::DELAY;

    /// Before any sound.
    pub fn new() -> Mixer {
        Mixer { tones: Tones::default(), volume: Volume::default(), limiter: Limiter::new(), sound: [0.0; PERIOD] }
    }

    /// Takes the period that [`Playout`](super::Playout) gave, and makes it what is played, with the tone that is wanted and
    /// at that volume, 0 to [`VOLUME_MAX`](super::VOLUME_MAX).
    pub fn handle(&mut self, tone: Option<Tone>, volume_percent: u8, period: &mut Period) {
        self.sound.iter_mut().zip(&*period).for_each(|(to, from)| *to = f32::from(*from) / FULL_SCALE);
        self.tones.mix(tone, &mut self.sound);
        self.volume.handle(volume_percent, &mut self.sound);
        self.limiter.handle(&mut self.sound);
        for (to, from) in period.iter_mut().zip(&self.sound) {
            *to = (from * FULL_SCALE).round() as i16;
        }
    }
}

impl Default for Mixer {
    fn default() -> Mixer {
        Mixer::new()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: whoever speaks into a tone is heard, and both are as loud as the volume says. Method: a voice at full scale,
    //! through the mixer alone and with each tone.

    use super::*;
    use crate::voice::limiter::CEILING;
    use crate::voice::{TONE_PEAK, VOLUME_MAX};

    fn loudest(tone: Option<Tone>, volume_percent: u8, voice: i16) -> f32 {
        let mut mixer = Mixer::new();
        let period = |n: usize| {
            let sample = |i: usize| (f32::from(voice) * ((n * PERIOD + i) as f32 * 0.05).sin()) as i16;
            let mut period = core::array::from_fn(sample);
            mixer.handle(tone, volume_percent, &mut period);
            period
        };
        // The first period is still on its way to the volume.
        let peak = (0..300).flat_map(period).skip(2 * PERIOD).map(i16::unsigned_abs).max().unwrap_or(0);
        f32::from(peak) / FULL_SCALE
    }

    #[test]
    fn a_voice_at_full_scale_in_a_tone_stays_below_the_ceiling() {
        for tone in Tone::ALL.map(Some).into_iter().chain([None]) {
            let peak = loudest(tone, VOLUME_MAX, i16::MAX);
            assert!((CEILING * 0.98..CEILING + 1e-4).contains(&peak), "{tone:?}: {peak}");
        }
    }

    #[test]
    fn volume_holds_for_a_voice_and_for_a_tone() {
        for (tone, voice) in [(None, 16_000), (Some(Tone::Busy), 0)] {
            let (loud, quiet) = (loudest(tone, 100, voice), loudest(tone, 50, voice));
            assert!((quiet / loud - 0.125).abs() < 0.001, "{quiet} of {loud}");
        }
        assert!((loudest(Some(Tone::Busy), 100, 0) / TONE_PEAK - 1.0).abs() < 0.01);
        assert_eq!(loudest(Some(Tone::Busy), 0, 16_000), 0.0);
    }
}
