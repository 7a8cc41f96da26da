//! What was really played, at the time at which the microphone took its period.
//!
//! The loudspeaker's card and the microphone's have clocks of their own, and wake up when it suits them. The cards' time
//! stamps put both on one line: periods that were played wait here, and are taken out at the microphone's pace, resampled
//! by what the two clocks differ.

use super::card_clock::CardClock;
use crate::media::{PERIOD, Period};
use crate::time::{Duration, Instant};
use crate::voice::drift::Drift;
use crate::voice::{frames_to_nanos, nanos_to_frames};

/// What was played is given so much earlier than the stamps say: a filter can wait for an echo, and cannot foresee one. Above
/// the stamps' own error, and below what a card holds, so that it has been played by then.
const LEAD: Duration = Duration::from_millis(4);

/// Periods that wait at most: a card's buffer and a pause of the scheduler.
const PERIODS_MAX: usize = 50;
const CAPACITY: usize = PERIODS_MAX * PERIOD;

/// Sound that is heard further than this from what the sound before it foretold is another stretch of it.
const BREAK_NANOS: i64 = 30_000_000;
/// An error of the alignment up to this is resampled away; a larger one is jumped over: where the stamps have jumped, sound
/// was lost, and only what follows at once leaves the echo where the filter has learnt it to be.
const ERROR_MAX_NANOS: i64 = 4_000_000;
/// Within so many seconds an error is resampled away. The filter has learnt the room with it, and follows no faster.
const ERROR_GONE_S: f64 = 10.0;

/// The played sound, on the microphone's time line.
#[derive(Debug)]
pub struct Reference {
    samples: Box<[f32; CAPACITY]>,
    first: usize,
    count: usize,
    /// When the first of them is heard.
    heard_at: Instant,
    loudspeaker: CardClock,
    microphone: CardClock,
    /// Whether what is taken next follows what was taken last.
    is_aligned: bool,
    drift: Drift,
    input: [f32; PERIOD + 8],
    missing: u64,
}

impl Reference {
    /// Nothing was played.
    pub fn new() -> Reference {
        Reference {
            samples: Box::new([0.0; CAPACITY]),
            first: 0,
            count: 0,
            heard_at: Instant::ZERO,
            loudspeaker: CardClock::new(),
            microphone: CardClock::new(),
            is_aligned: false,
            drift: Drift::new(),
            input: [0.0; PERIOD + 8],
            missing: 0,
        }
    }

    /// By how much the loudspeaker's card is faster than the microphone's, in parts per million, as far as is known.
    pub fn ppm(&self) -> f64 {
        (self.microphone.rate() - self.loudspeaker.rate()) * 1e6
    }

    /// Periods for which what was played was not there in time.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Takes a period that was given to the loudspeaker, whose first sample is heard at that time.
    pub fn handle_played(&mut self, period: &Period, heard_at: Instant) {
        let foretold = self.heard_at.offset(frames_to_nanos(self.count as i64));
        let heard_at = self.loudspeaker.handle(heard_at);
        if heard_at.signed_since(foretold).abs() > BREAK_NANOS {
            (self.first, self.count) = (0, 0);
            self.is_aligned = false;
        }
        self.heard_at = heard_at.offset(-frames_to_nanos(self.count as i64));
        if self.count + PERIOD > CAPACITY {
            // Nobody takes them: the microphone is gone.
            self.skip(PERIOD);
        }
        for sample in period {
            self.samples[(self.first + self.count) % CAPACITY] = f32::from(*sample) / 32_768.0;
            self.count += 1;
        }
    }

    /// Gives what is heard while the microphone's period of that time is taken; silence where nothing was played.
    pub fn take(&mut self, captured_at: Instant, period: &mut [f32; PERIOD]) {
        period.fill(0.0);
        let captured_at = self.handle_captured(captured_at);
        if self.count == 0 {
            return;
        }
        let error = (captured_at + LEAD).signed_since(self.heard_at);
        if !self.is_aligned || error.abs() > ERROR_MAX_NANOS {
            self.is_aligned = error >= 0;
            if error < 0 {
                // Not heard yet.
                return;
            }
            self.skip(nanos_to_frames(error) as usize);
        }
        let error_s = (captured_at + LEAD).signed_since(self.heard_at) as f64 * 1e-9;
        self.drift.set_pace(self.ppm() * 1e-6 + error_s / ERROR_GONE_S);
        let wanted = self.drift.input_frames().min(self.input.len());
        if self.count < wanted {
            self.missing += 1;
            self.is_aligned = false;
            return;
        }
        for (at, sample) in self.input[..wanted].iter_mut().enumerate() {
            *sample = self.samples[(self.first + at) % CAPACITY];
        }
        self.drift.process(&self.input[..wanted], period);
        self.skip(wanted);
    }

    /// Takes the stamp of a microphone's period, also of one for which nothing is taken; gives its time without the wobble.
    pub fn handle_captured(&mut self, captured_at: Instant) -> Instant {
        self.microphone.handle(captured_at)
    }

    fn skip(&mut self, frames: usize) {
        let frames = frames.min(self.count);
        self.first = (self.first + frames) % CAPACITY;
        self.count -= frames;
        self.heard_at = self.heard_at.offset(frames_to_nanos(frames as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sine whose phase tells the time.
    fn tone(at_s: f64) -> f64 {
        (core::f64::consts::TAU * 200.0 * at_s).sin()
    }

    fn seconds(at_s: f64) -> Instant {
        Instant::from_nanos((at_s * 1e9) as u64)
    }

    /// Plays and captures for a while with cards that differ, stamps that wobble, and gives the worst difference between
    /// the reference and what was heard then, over the last second.
    fn worst(seconds_long: f64, ppm: f64, wobble_s: f64) -> f64 {
        let mut reference = Reference::new();
        let (mut played, mut worst) = (0u32, 0.0f64);
        let stretch = 1.0 / (1.0 + ppm * 1e-6);
        let wobble = |n: u32| wobble_s * (f64::from(n * 7_919 % 101) / 101.0 - 0.5);
        for n in 0..(seconds_long * 100.0) as u32 {
            let captured_s = 1.0 + f64::from(n) * 0.01;
            // The loudspeaker is given what it plays 15 ms ahead.
            while 1.0 + f64::from(played) * 0.01 * stretch <= captured_s + 0.025 {
                let heard_s = 1.0 + f64::from(played) * 0.01 * stretch;
                let at = |i: usize| (20_000.0 * tone(heard_s + i as f64 / 48e3 * stretch)) as i16;
                reference.handle_played(&core::array::from_fn(at), seconds(heard_s + wobble(played)));
                played += 1;
            }
            let mut period = [0.0; PERIOD];
            reference.take(seconds(captured_s + wobble(n)), &mut period);
            if f64::from(n) * 0.01 > seconds_long - 1.0 {
                for (i, sample) in period.iter().enumerate() {
                    let heard = tone(captured_s + LEAD.as_secs_f64() + i as f64 / 48e3) * 20_000.0 / 32_768.0;
                    worst = worst.max((f64::from(*sample) - heard).abs());
                }
            }
        }
        worst
    }

    #[test]
    fn what_was_played_is_given_at_the_time_at_which_it_is_heard() {
        // A sixth of a millisecond off would be 0.13 of full scale at 200 Hz.
        assert!(worst(10.0, 0.0, 0.0) < 0.13, "{}", worst(10.0, 0.0, 0.0));
    }

    #[test]
    fn cards_of_two_clocks_stay_aligned() {
        for ppm in [-300.0, -100.0, 100.0, 300.0] {
            let worst = worst(180.0, ppm, 0.002);
            assert!(worst < 0.3, "{ppm} ppm: {worst}");
        }
    }

    #[test]
    fn silence_is_given_while_nothing_is_played() {
        let mut reference = Reference::new();
        let mut period = [1.0; PERIOD];
        reference.take(Instant::from_millis(1_000), &mut period);
        assert_eq!(period, [0.0; PERIOD]);
        // Played, and heard long ago.
        reference.handle_played(&[1_000; PERIOD], Instant::from_millis(100));
        reference.take(Instant::from_millis(1_010), &mut period);
        assert_eq!(period, [0.0; PERIOD]);
    }

    #[test]
    fn a_microphone_that_is_gone_costs_no_more_than_the_buffer() {
        let mut reference = Reference::new();
        for n in 0..1_000 {
            reference.handle_played(&[n as i16; PERIOD], Instant::from_millis(n * 10));
        }
        assert!(reference.count <= CAPACITY);
        let mut period = [0.0; PERIOD];
        reference.take(Instant::from_millis(9_900), &mut period);
        assert!(period[PERIOD / 2] > 980.0 / 32_768.0, "what it gives is of that time");
    }
}
