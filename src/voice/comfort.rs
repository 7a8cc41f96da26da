//! Comfort noise: in a gap that is too long for anything to be made up, the quiet of the far side's room goes on, and the
//! line does not seem dead. After some seconds it is.
//!
//! Its level and its colour are those of the quietest that was heard lately, so that a side that is muted, which sends zeros,
//! is silent in a gap too. The colour is one number, how alike neighbouring samples are: enough for a noise that is barely
//! heard.

use crate::media::{PERIOD, Period};

/// The loudest that counts as a room's noise, as mean square: −50 dBFS.
const FLOOR_MAX: f32 = 1e-5;
/// The lowest that is told apart: −100 dBFS, below the noise of 16 bits.
const FLOOR_MIN: f32 = 1e-10;
/// By what the floor rises each period without a quieter one: 6 dB a second, a pause within some seconds of speech apart.
const FLOOR_RISES: f32 = 1.014;
/// A period this close above the floor is of the noise: 3 dB.
const QUIET: f32 = 2.0;
/// By how much of the difference the colour follows a quiet period.
const COLOUR_FOLLOWS: f32 = 0.125;

/// Periods of a gap until the noise begins to go, and until it is gone: a line that is silent for 3 s is dead, and whoever
/// speaks should hear that it is.
const GOES_FROM: u32 = 300;
const GONE_FROM: u32 = 400;

/// What is known of the far side's quiet.
#[derive(Debug)]
pub(super) struct Comfort {
    /// Mean square, full scale 1.
    floor: f32,
    /// Correlation of a sample with the next.
    colour: f32,
    last: f32,
    seed: u32,
}

impl Comfort {
    /// Nothing heard yet.
    pub fn new() -> Comfort {
        Comfort { floor: FLOOR_MAX, colour: 0.0, last: 0.0, seed: 1 }
    }

    /// Takes a period that was heard.
    pub fn handle(&mut self, period: &Period) {
        let product = |after: usize| {
            let products = period.iter().zip(&period[after..]).map(|(a, b)| f32::from(*a) * f32::from(*b));
            products.sum::<f32>() / (32_768.0 * 32_768.0 * PERIOD as f32)
        };
        let level = product(0);
        self.floor = (self.floor * FLOOR_RISES).min(level).clamp(FLOOR_MIN, FLOOR_MAX);
        if level > FLOOR_MIN && level < self.floor * QUIET {
            self.colour += ((product(1) / level).clamp(0.0, 0.99) - self.colour) * COLOUR_FOLLOWS;
        }
    }

    /// Adds the noise of the `gap`-th period of a gap, of which what is made up is heard with the shares `made_up` at its
    /// beginning and its end.
    pub fn add(&mut self, gap: u32, made_up: (f32, f32), period: &mut Period) {
        let left = |gap: u32| GONE_FROM.saturating_sub(gap.max(GOES_FROM)) as f32 / (GONE_FROM - GOES_FROM) as f32;
        let (from, to) = ((1.0 - made_up.0) * left(gap), (1.0 - made_up.1) * left(gap.saturating_add(1)));
        if from.max(to) <= 0.0 {
            return;
        }
        // A uniform random number between −1 and 1 has a mean square of 1/3.
        let level = 32_768.0 * (3.0 * self.floor * (1.0 - self.colour * self.colour)).sqrt();
        for (i, sample) in period.iter_mut().enumerate() {
            self.last = self.last * self.colour + level * self.random();
            let share = from + (to - from) * (i as f32 / PERIOD as f32);
            *sample = (f32::from(*sample) + self.last * share) as i16;
        }
    }

    /// Between −1 and 1: the upper bits of a linear congruential generator (Numerical Recipes' constants).
    fn random(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.seed >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A noise that is as loud and as dull as wished.
    fn noise(periods: usize, floor: f32, colour: f32) -> Vec<Period> {
        let mut source = Comfort { floor, colour, last: 0.0, seed: 77 };
        let mut made = vec![[0; PERIOD]; periods];
        made.iter_mut().for_each(|period| source.add(100, (0.0, 0.0), period));
        made
    }

    fn comfort_after(heard: &[Period]) -> Comfort {
        let mut comfort = Comfort::new();
        heard.iter().for_each(|period| comfort.handle(period));
        comfort
    }

    fn level(period: &Period) -> f32 {
        period.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>() / PERIOD as f32 / 32_768.0 / 32_768.0
    }

    #[test]
    fn it_is_as_loud_and_as_dull_as_what_was_heard_though_somebody_spoke() {
        for (floor, colour) in [(1e-6, 0.0), (1e-7, 0.9), (5e-6, 0.6)] {
            let mut heard = noise(300, floor, colour);
            for period in heard.iter_mut().skip(100).step_by(7) {
                *period = core::array::from_fn(|i| (8_000.0 * (i as f32 * 0.03).sin()) as i16);
            }
            let mut comfort = comfort_after(&heard);
            let mut made = vec![[0; PERIOD]; 100];
            made.iter_mut().for_each(|period| comfort.add(100, (0.0, 0.0), period));
            let louder_db = 10.0 * (made.iter().map(level).sum::<f32>() / 100.0 / floor).log10();
            assert!(louder_db.abs() < 3.0, "{louder_db:.1} dB louder than {floor}");
            assert!((comfort.colour - colour).abs() < 0.1, "{} for {colour}", comfort.colour);
        }
    }

    #[test]
    fn who_is_muted_is_silent() {
        let mut heard = noise(300, 1e-6, 0.5);
        heard.push([0; PERIOD]);
        let mut period = [0; PERIOD];
        comfort_after(&heard).add(100, (0.0, 0.0), &mut period);
        assert_eq!(period, [0; PERIOD]);
    }

    #[test]
    fn it_comes_as_what_is_made_up_goes_and_ends_in_silence() {
        let mut comfort = comfort_after(&noise(300, 1e-6, 0.0));
        let mut of = |gap, made_up| {
            let mut period = [0; PERIOD];
            comfort.add(gap, made_up, &mut period);
            level(&period)
        };
        assert_eq!(of(0, (1.0, 1.0)), 0.0);
        let (half, whole, late) = (of(8, (0.6, 0.5)), of(20, (0.0, 0.0)), of(390, (0.0, 0.0)));
        assert!(half < whole && late < whole / 10.0, "{half} {whole} {late}");
        assert_eq!([of(400, (0.0, 0.0)), of(u32::MAX, (0.0, 0.0))], [0.0; 2]);
    }
}
