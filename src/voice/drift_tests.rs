//! Goal: two cards that disagree by hundreds of ppm are heard as one, for hours. Method: a simulated hour at ±300 ppm,
//! and a pure sine through the resampler, in which a step would stand out.

use super::simulation::{Path, Simulation, Tape, age_ms};
use super::*;
use crate::media::PERIOD;
use crate::time::Duration;

/// The sharpest bend in the sound: its largest second difference.
fn bend(sound: &[i16]) -> i32 {
    sound.windows(3).map(|w| i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).map(i32::abs).max().unwrap_or(0)
}

#[test]
fn an_hour_at_300_ppm_leaves_the_delay_where_it_was_and_no_step_in_the_sound() {
    let tape = Tape::tone();
    let sharpest = |path: Path, seconds| {
        let mut simulation = Simulation::new(&tape, path, 1);
        let (mut ages, mut bends) = (Vec::new(), 0);
        let mut joint = vec![0i16; 2];
        // The first seconds find out how little jitter there is, and splice off what was assumed.
        simulation.run(Duration::from_secs(30), |_, _| {});
        let settled = simulation.playout.counters();
        simulation.run(Duration::from_secs(seconds), |pull, _| {
            ages.extend(age_ms(pull));
            joint.extend_from_slice(&pull.period);
            if ages.len() > 1 {
                bends = bends.max(bend(&joint));
            }
            joint.drain(..PERIOD);
        });
        let start = ages[..100].iter().sum::<f64>() / 100.0;
        let (least, most) = ages.iter().fold((f64::MAX, 0.0f64), |(a, b), age| (a.min(*age), b.max(*age)));
        let counters = simulation.playout.counters();
        let ppm = simulation.playout.drift_ppm();
        println!("{path:?}: {least:.1} to {most:.1} ms, {start:.1} at the start; {ppm:.1} ppm; {counters:?}");
        assert!(most - start < 10.0 && start - least < 10.0, "{least} to {most} ms, {start} at the start");
        assert!((ppm - (path.sender_ppm - path.playback_ppm)).abs() < 10.0, "{ppm} ppm found");
        let expected = PlayoutCounters { played: counters.played, ..settled };
        assert_eq!(counters, expected, "nothing but playing happened");
        bends
    };
    let even = sharpest(Path::default(), 60);
    for ppm in [300.0, -300.0] {
        let bent = sharpest(Path { sender_ppm: ppm, ..Path::default() }, 3_600);
        assert!(bent < even * 3 / 2, "a bend of {bent} at {ppm} ppm, of {even} at none");
    }
}

#[test]
fn a_sine_keeps_its_shape_while_the_pace_changes() {
    let mut drift = Drift::new();
    let (mut n, mut sound) = (0usize, Vec::new());
    for period in 0..3_000 {
        // The error swings by 20 ms either way within ten seconds: as far and as fast as the controller ever moves.
        drift.steer((2e7 * (f64::from(period) * 0.00628).sin()) as i64);
        let input: Vec<f32> = (n..n + drift.input_frames())
            .map(|n| (0.5 * (n as f64 * 1_000.0 * core::f64::consts::TAU / 48e3).sin()) as f32)
            .collect();
        n += input.len();
        let mut output = [0.0; PERIOD];
        drift.process(&input, &mut output);
        sound.extend(output);
    }
    // A sine obeys x[n+1] + x[n−1] = 2 cos ω · x[n] but for the pace, which bends ω by 0.05 % at most.
    let omega = 1_000.0 * core::f64::consts::TAU / 48e3;
    let defect = sound[PERIOD..]
        .windows(3)
        .map(|w| (f64::from(w[0]) + f64::from(w[2]) - 2.0 * omega.cos() * f64::from(w[1])).abs())
        .fold(0.0, f64::max);
    // 2 · 0.5 · sin ω · ω · 0.0005 = 8.5e-6, and the resampler's own noise.
    assert!(defect < 2e-5, "{defect}");
}
