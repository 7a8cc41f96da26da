//! A chirp: a sound whose beginning can be found to a fraction of a millisecond, in noise and behind a voice codec.

use std::f64::consts::TAU;

/// From its first sample to its last.
const LENGTH_S: f64 = 0.040;
/// It sweeps over what a voice codec keeps at any rate, and a card of 16 kHz too.
const SWEEP_HZ: [f64; 2] = [400.0, 4_000.0];
/// Rise and fall: no click at its ends.
const EDGE_S: f64 = 0.004;
/// The highest sample, full scale being 1.
const PEAK: f64 = 0.5;
/// How alike a place in the sound and the chirp must be for it to be one, 1 being the same. Noise reaches 0.1, a chirp whose
/// pitch is wrong by a fiftieth 0.55.
const ALIKE: f64 = 0.6;

/// The chirp at a sampling rate, one channel.
pub fn samples(rate_hz: u32) -> Vec<f64> {
    let rate = f64::from(rate_hz);
    let [low, high] = SWEEP_HZ;
    let sample = |n: usize| {
        let t = n as f64 / rate;
        let edge = (t.min(LENGTH_S - t) / EDGE_S).clamp(0.0, 1.0);
        let turns = low * t + (high - low) * t * t / (2.0 * LENGTH_S);
        PEAK * (0.5 - 0.5 * (edge * TAU / 2.0).cos()) * (TAU * turns).sin()
    };
    (0..(LENGTH_S * rate) as usize).map(sample).collect()
}

/// Where in `sound` chirps begin, as sample numbers: each place at which the sound is most like one for as long as one lasts.
pub fn find(sound: &[f64], rate_hz: u32) -> Vec<usize> {
    let chirp = samples(rate_hz);
    let chirp_energy = energy(&chirp);
    let mut found: Vec<(usize, f64)> = Vec::new();
    for (at, part) in sound.windows(chirp.len()).enumerate() {
        // A tenth of it is what it must have at the least to be heard: silence is like anything.
        let part_energy = energy(part);
        if part_energy < chirp_energy / 100.0 {
            continue;
        }
        let product: f64 = part.iter().zip(&chirp).map(|(a, b)| a * b).sum();
        let alike = product / (part_energy * chirp_energy).sqrt();
        if alike < ALIKE {
            continue;
        }
        match found.last_mut() {
            Some((last, best)) if at < *last + chirp.len() => {
                if alike > *best {
                    (*last, *best) = (at, alike);
                }
            }
            _ => found.push((at, alike)),
        }
    }
    found.into_iter().map(|(at, _)| at).collect()
}

fn energy(sound: &[f64]) -> f64 {
    sound.iter().map(|sample| sample * sample).sum()
}
