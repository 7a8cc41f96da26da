//! A sound card's clock, out of the time stamps of its periods: when each begins, and how fast the card runs.
//!
//! A Kalman filter of two states, the time line's place and its rate (as in Adriaensen, *Using a DLL to filter time*, 2005,
//! with gains that follow what is known already in place of a fixed bandwidth): stamps that wobble little tell the rate
//! within half a second, stamps that wobble by milliseconds within a few. A stamp far off counts as one that is somewhat
//! off, and several in a row as a jump: sound was lost, and the card runs on as fast as before.

use crate::media::PERIOD_TIME;
use crate::time::Instant;

/// What is known of a rate before the first stamp: crystals are within ±100 ppm, cheap USB cards within ±250.
const RATE_SPREAD: f64 = 200e-6;
/// By how much a rate may wander within a second, as a board gets warm and cold.
const RATE_WANDERS: f64 = 1e-6;
/// No card runs further off than this.
const RATE_MAX: f64 = 600e-6;

/// What a stamp is off by until it is known, in seconds, and for how many stamps that counts.
const NOISE_FIRST_S: f64 = 0.3e-3;
const NOISE_FIRST_COUNT: f64 = 4.0;
/// Stamps over which it is taken later on: 2.5 s.
const NOISE_COUNT_MAX: f64 = 256.0;
/// No stamp is better than this: the pointer of a good card moves by a few sample frames at a time.
const NOISE_MIN_S: f64 = 20e-6;

/// A stamp that is off by more than so many times what is usual counts as one that is off by that.
const FAR_OFF: f64 = 4.0;
/// So many of them in a row, on one side, are a jump.
const JUMP_STAMPS: u32 = 4;
/// A jump that needs no second stamp: that much wobbles with no card.
const JUMP_S: f64 = 0.030;

const PERIOD_S: f64 = 0.01;

/// The time line of a card's periods.
#[derive(Debug)]
pub struct CardClock {
    /// When the next period begins; `None` before the first stamp.
    next: Option<Instant>,
    /// By how much a period lasts longer than it should, as a share.
    rate: f64,
    /// Covariance of place (s) and rate: place, both, rate.
    spread: [f64; 3],
    /// Mean square of what stamps are off by, and over how many.
    noise: f64,
    noise_count: f64,
    /// Stamps far off in a row; negative on the early side.
    far_off: i32,
}

impl CardClock {
    /// Before the first stamp.
    pub fn new() -> CardClock {
        CardClock {
            next: None,
            rate: 0.0,
            spread: [0.0, 0.0, RATE_SPREAD * RATE_SPREAD],
            noise: NOISE_FIRST_S * NOISE_FIRST_S,
            noise_count: NOISE_FIRST_COUNT,
            far_off: 0,
        }
    }

    /// By how much the card is slower than the machine's clock, as a share.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Takes the stamp of a period; gives when it really began, as far as is known.
    pub fn handle(&mut self, stamp: Instant) -> Instant {
        let off_s = self.next.map_or(f64::MAX, |next| stamp.signed_since(next) as f64 * 1e-9);
        let jumps = off_s.abs() > JUMP_S || self.notes_far_off(off_s);
        let at = if jumps { self.jump(stamp) } else { self.follow(off_s, stamp) };
        self.next = Some(at.offset(((1.0 + self.rate) * PERIOD_TIME.as_nanos() as f64) as i64));
        let [place, both, rate] = self.spread;
        self.spread = [
            place + PERIOD_S * (2.0 * both + PERIOD_S * rate),
            both + PERIOD_S * rate,
            rate + RATE_WANDERS * RATE_WANDERS * PERIOD_S,
        ];
        at
    }

    /// What is usual, as a mean square: the stamps' own noise, and what is not known of the line.
    fn usual(&self) -> f64 {
        self.noise + self.spread[0]
    }

    /// Counts stamps that are far off, on one side; whether they have become a jump.
    fn notes_far_off(&mut self, off_s: f64) -> bool {
        let side = if off_s < 0.0 { -1 } else { 1 };
        self.far_off = match off_s * off_s > FAR_OFF * FAR_OFF * self.usual() {
            true if self.far_off.signum() == -side => side,
            true => self.far_off + side,
            false => 0,
        };
        self.far_off.unsigned_abs() >= JUMP_STAMPS
    }

    /// Begins anew at the stamp; how fast the card runs is as well known as before.
    fn jump(&mut self, stamp: Instant) -> Instant {
        self.spread = [self.noise, 0.0, self.spread[2]];
        self.far_off = 0;
        stamp
    }

    fn follow(&mut self, off_s: f64, stamp: Instant) -> Instant {
        let usual = self.usual();
        let far = FAR_OFF * usual.sqrt();
        let off_s_used = off_s.clamp(-far, far);
        let [place, both, rate] = self.spread;
        let (gain, rate_gain) = (place / usual, both / usual);
        self.rate = (self.rate + rate_gain * off_s_used).clamp(-RATE_MAX, RATE_MAX);
        self.spread = [(1.0 - gain) * place, (1.0 - gain) * both, (rate - rate_gain * both).max(0.0)];
        self.noise_count = (self.noise_count + 1.0).min(NOISE_COUNT_MAX);
        self.noise += (off_s_used * off_s_used - self.noise) / self.noise_count;
        self.noise = self.noise.max(NOISE_MIN_S * NOISE_MIN_S);
        stamp.offset(((gain * off_s_used - off_s) * 1e9) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stamps of a card that is that much slower, each off by up to half the wobble; what the clock makes of them.
    fn fed(clock: &mut CardClock, periods: core::ops::Range<u32>, ppm: f64, wobble_s: f64, late_s: f64) -> f64 {
        let mut worst = 0.0f64;
        for n in periods.clone() {
            let began_s = 1.0 + late_s + f64::from(n) * PERIOD_S * (1.0 + ppm * 1e-6);
            let wobble = wobble_s * (f64::from(n * 7_919 % 101) / 101.0 - 0.5);
            let at = clock.handle(Instant::from_nanos(((began_s + wobble) * 1e9) as u64));
            // The last second.
            if n + 100 >= periods.end {
                worst = worst.max((at.as_nanos() as f64 * 1e-9 - began_s).abs());
            }
        }
        worst
    }

    #[test]
    fn a_card_with_good_stamps_is_known_within_a_second_and_one_with_poor_ones_within_five() {
        for ppm in [-300.0, 0.0, 300.0] {
            for (periods, wobble_s) in [(100, 0.05e-3), (500, 2e-3)] {
                let mut clock = CardClock::new();
                fed(&mut clock, 0..periods, ppm, wobble_s, 0.0);
                let found = clock.rate() * 1e6;
                assert!((found - ppm).abs() < 30.0, "{found} ppm, and it is {ppm}; {wobble_s} s of wobble");
            }
        }
    }

    #[test]
    fn the_line_is_steadier_than_its_stamps() {
        let mut clock = CardClock::new();
        let worst = fed(&mut clock, 0..1_000, 100.0, 4e-3, 0.0);
        assert!(worst < 0.2e-3, "{worst} s off");
    }

    #[test]
    fn lost_sound_is_followed_at_once_and_the_rate_kept() {
        for lost_s in [-0.008, 0.008, 0.2] {
            let mut clock = CardClock::new();
            fed(&mut clock, 0..1_000, 300.0, 1e-3, 0.0);
            let worst = fed(&mut clock, 1_000..1_006, 300.0, 0.0, lost_s);
            assert!(worst <= lost_s.abs() + 1e-6);
            let worst = fed(&mut clock, 1_006..1_100, 300.0, 1e-3, lost_s);
            assert!(worst < 0.6e-3, "{worst} s off after {lost_s} s were lost");
            assert!((clock.rate() * 1e6 - 300.0).abs() < 30.0, "{}", clock.rate());
        }
    }

    #[test]
    fn any_stamp_is_taken_without_a_panic() {
        let mut clock = CardClock::new();
        for n in 0..2_000u64 {
            let stamp = match n % 7 {
                0 => u64::MAX,
                1 => 0,
                _ => n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 64),
            };
            clock.handle(Instant::from_nanos(stamp));
            assert!(clock.rate().abs() <= RATE_MAX && clock.usual() > 0.0, "{clock:?}");
        }
    }
}
