//! Goal: two cards that disagree by hundreds of ppm are heard as one, for hours. Method: a sine through encoder, playout and
//! resampler for a simulated hour at ±300 ppm, held against a sine; and one through the resampler alone while its pace changes
//! as much as it ever does.

use super::simulation::{Path, Simulation, Tape, age_ms};
use super::*;
use crate::media::PERIOD;
use crate::time::Duration;
use core::f64::consts::TAU;

/// What the tape plays, as turns of a sample.
const TURNS: f64 = 440.0 / 48e3;
/// A step of −50 dBFS.
const STEP_MAX: f64 = 103.6;
/// Two hundredths of a semitone are heard by nobody.
const CENTS_MAX: f64 = 2.0;
/// Periods over which a pitch is taken: the codec's noise moves a phase by some thousandths of a turn, and 2 cents are 51 of
/// them in a second.
const PITCH_PERIODS: u64 = 100;

/// How far what is heard is from a sine of the tape's pitch.
#[derive(Debug, Default)]
struct Heard {
    /// The last two samples.
    last: [f64; 2],
    count: u64,
    /// The largest step: what a sample differs from where the two before it lead.
    step: f64,
    /// The tone of the second so far, turned back by the tape's: a number that stands still where the pitch is the tape's.
    turned: (f64, f64),
    phase: Option<f64>,
    /// The furthest that a second's pitch was off.
    cents: f64,
}

impl Heard {
    fn handle(&mut self, period: &[i16; PERIOD]) {
        for sample in period.map(f64::from) {
            let angle = TAU * (TURNS * self.count as f64).fract();
            let foretold = 2.0 * (TAU * TURNS).cos() * self.last[1] - self.last[0];
            if self.count >= 2 {
                self.step = self.step.max((sample - foretold).abs());
            }
            self.turned = (self.turned.0 + sample * angle.cos(), self.turned.1 - sample * angle.sin());
            self.last = [self.last[1], sample];
            self.count += 1;
        }
        if self.count.is_multiple_of(PITCH_PERIODS * PERIOD as u64) {
            let (re, im) = core::mem::take(&mut self.turned);
            let phase = im.atan2(re) / TAU;
            if let Some(before) = self.phase.replace(phase) {
                let turned = (phase - before + 0.5).rem_euclid(1.0) - 0.5;
                let off = turned / (TURNS * (PITCH_PERIODS * PERIOD as u64) as f64);
                self.cents = self.cents.max((1_200.0 * (1.0 + off).log2()).abs());
            }
        }
    }
}

#[test]
fn an_hour_at_300_ppm_leaves_the_delay_and_the_pitch_where_they_were_and_no_step_in_the_sound() {
    let tape = Tape::tone();
    let hour = |ppm: f64| {
        let path = Path { sender_ppm: ppm, ..Path::default() };
        let mut simulation = Simulation::new(&tape, path, 1);
        let (mut ages, mut heard) = (Vec::new(), Heard::default());
        // The first seconds find out how little jitter there is, and splice off what was assumed.
        simulation.run(Duration::from_secs(30), |_, _| {});
        let settled = simulation.playout.counters();
        let mut furthest = 0.0f64;
        simulation.run(Duration::from_secs(3_600), |pull, playout| {
            ages.extend(age_ms(pull));
            heard.handle(&pull.period);
            let off = playout.delay().as_secs_f64() - playout.target_delay().as_secs_f64();
            furthest = furthest.max(off.abs() * 1e3);
        });
        let start = ages[..100].iter().sum::<f64>() / 100.0;
        let (least, most) = ages.iter().fold((f64::MAX, 0.0f64), |(a, b), age| (a.min(*age), b.max(*age)));
        let counters = simulation.playout.counters();
        let found = simulation.playout.drift_ppm();
        let Heard { step, cents, .. } = heard;
        println!(
            "{ppm} ppm: {least:.1} to {most:.1} ms, {start:.1} at the start, {furthest:.1} from the target at most; \
             {found:.1} ppm found; a step of {step:.0}, {cents:.2} cents; {counters:?}"
        );
        assert!(most - start < 10.0 && start - least < 10.0, "{least} to {most} ms, {start} at the start");
        assert!(furthest < 10.0, "{furthest} ms from the target");
        assert!((found - ppm).abs() < 10.0, "{found} ppm found");
        assert!(step < STEP_MAX, "a step of {step} at {ppm} ppm");
        assert!(cents < CENTS_MAX, "{cents} cents off at {ppm} ppm");
        let expected = PlayoutCounters { played: counters.played, ..settled };
        assert_eq!(counters, expected, "nothing but playing happened");
    };
    std::thread::scope(|scope| {
        for ppm in [300.0, -300.0] {
            let hour = &hour;
            scope.spawn(move || hour(ppm));
        }
    });
}

#[test]
fn a_sine_keeps_its_shape_while_the_pace_changes() {
    let mut drift = Drift::new();
    let (mut n, mut sound) = (0usize, Vec::new());
    for period in 0..3_000 {
        // The error swings by 20 ms either way within ten seconds: as far and as fast as the controller ever moves.
        drift.steer((2e7 * (f64::from(period) * 0.00628).sin()) as i64);
        let input: Vec<f32> =
            (n..n + drift.input_frames()).map(|n| (0.5 * (n as f64 * 1_000.0 * TAU / 48e3).sin()) as f32).collect();
        n += input.len();
        let mut output = [0.0; PERIOD];
        drift.process(&input, &mut output);
        sound.extend(output);
    }
    // A sine obeys x[n+1] + x[n−1] = 2 cos ω · x[n] but for the pace, which bends ω by 0.05 % at most.
    let omega = 1_000.0 * TAU / 48e3;
    let defect = sound[PERIOD..]
        .windows(3)
        .map(|w| (f64::from(w[0]) + f64::from(w[2]) - 2.0 * omega.cos() * f64::from(w[1])).abs())
        .fold(0.0, f64::max);
    // 2 · 0.5 · sin ω · ω · 0.0005 = 8.5e-6, and the resampler's own noise.
    assert!(defect < 2e-5, "{defect}");
}
