//! Short-time objective intelligibility (Taal, Hendriks, Heusdens and Jensen, *An Algorithm for Intelligibility Prediction of
//! Time-Frequency Weighted Noisy Speech*, 2011): 0 to 1, where speech of 0.6 is understood for the most part. Agrees with
//! the Python package pystoi 0.4.1 to two places on the recordings of this simulation.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

const RATE_HZ: usize = 10_000;
const FRAME: usize = 256;
const HOP: usize = FRAME / 2;
const TRANSFORM: usize = 512;
const BANDS: usize = 15;
/// Frames of a segment: 384 ms.
const SEGMENT: usize = 30;
/// Frames this much below the loudest are pauses.
const RANGE_DB: f32 = 40.0;
/// The lower bound of the signal-to-distortion ratio.
const CLIP_DB: f32 = -15.0;

/// How intelligible `heard` is to who would hear `spoken`, both at 48 kHz and of one time.
pub fn stoi(spoken: &[f32], heard: &[f32]) -> f32 {
    let (spoken, heard) = (resample(spoken), resample(heard));
    let frames = |sound: &[f32]| sound.windows(FRAME).step_by(HOP).map(windowed).collect::<Vec<_>>();
    let (spoken, heard) = (frames(&spoken), frames(&heard));
    let level = |frame: &[f32]| 10.0 * (frame.iter().map(|s| s * s).sum::<f32>() + 1e-12).log10();
    let loudest = spoken.iter().map(|frame| level(frame)).fold(f32::MIN, f32::max);
    let is_speech = |frame: &[f32]| level(frame) > loudest - RANGE_DB;
    let kept: Vec<bool> = spoken.iter().map(|frame| is_speech(frame)).collect();
    let bands = |frames: Vec<Vec<f32>>| {
        let frames: Vec<_> = frames.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(frame, _)| frame).collect();
        joined(&frames).windows(FRAME).step_by(HOP).map(third_octaves).collect::<Vec<_>>()
    };
    let (spoken, heard) = (bands(spoken), bands(heard));
    let mut scores = Vec::new();
    for (spoken, heard) in spoken.windows(SEGMENT).zip(heard.windows(SEGMENT)) {
        for band in 0..BANDS {
            let of = |frames: &[[f32; BANDS]]| -> Vec<f32> { frames.iter().map(|frame| frame[band]).collect() };
            scores.push(likeness(&of(spoken), &of(heard)));
        }
    }
    scores.iter().sum::<f32>() / scores.len().max(1) as f32
}

/// The correlation of a band's two envelopes, the heard one's level made the spoken one's, and clipped.
fn likeness(spoken: &[f32], heard: &[f32]) -> f32 {
    let power = |row: &[f32]| row.iter().map(|v| v * v).sum::<f32>();
    let scale = (power(spoken) / (power(heard) + 1e-12)).sqrt();
    let clip = 1.0 + 10f32.powf(-CLIP_DB / 20.0);
    let heard: Vec<f32> = heard.iter().zip(spoken).map(|(heard, spoken)| (heard * scale).min(spoken * clip)).collect();
    let centred = |row: &[f32]| -> Vec<f32> {
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        row.iter().map(|v| v - mean).collect()
    };
    let (spoken, heard) = (centred(spoken), centred(&heard));
    let product: f32 = spoken.iter().zip(&heard).map(|(a, b)| a * b).sum();
    product / ((power(&spoken) * power(&heard)).sqrt() + 1e-12)
}

/// From 48 kHz, by leaving the upper part of the spectrum out.
fn resample(sound: &[f32]) -> Vec<f32> {
    let length = sound.len() / 48 * 48;
    let short = length * RATE_HZ / 48_000 / 2 * 2;
    let mut planner = RealFftPlanner::new();
    let (forth, back) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(short));
    let (mut input, mut bins) = (sound[..length].to_vec(), forth.make_output_vec());
    forth.process(&mut input, &mut bins).unwrap();
    bins.truncate(short / 2 + 1);
    bins[0].im = 0.0;
    bins[short / 2] = Complex32::default();
    let mut output = back.make_output_vec();
    back.process(&mut bins, &mut output).unwrap();
    output.iter_mut().for_each(|sample| *sample /= length as f32);
    output
}

fn window(at: usize) -> f32 {
    0.5 - 0.5 * (core::f32::consts::TAU * (at + 1) as f32 / (FRAME + 1) as f32).cos()
}

fn windowed(frame: &[f32]) -> Vec<f32> {
    frame.iter().enumerate().map(|(at, sample)| sample * window(at)).collect()
}

/// Overlapping frames put together again.
fn joined(frames: &[Vec<f32>]) -> Vec<f32> {
    let mut sound = vec![0.0; frames.len() * HOP + HOP];
    for (n, frame) in frames.iter().enumerate() {
        sound[n * HOP..].iter_mut().zip(frame).for_each(|(to, from)| *to += from);
    }
    sound
}

/// Amplitudes in 15 bands of a third of an octave, from 150 Hz on.
fn third_octaves(frame: &[f32]) -> [f32; BANDS] {
    let forth = RealFftPlanner::new().plan_fft_forward(TRANSFORM);
    let mut input = windowed(frame);
    input.resize(TRANSFORM, 0.0);
    let mut bins = forth.make_output_vec();
    forth.process(&mut input, &mut bins).unwrap();
    let bin_of = |hz: f32| (hz * TRANSFORM as f32 / RATE_HZ as f32).round() as usize;
    core::array::from_fn(|band| {
        let centre = 150.0 * 2f32.powf(band as f32 / 3.0);
        let (from, to) = (bin_of(centre * 2f32.powf(-1.0 / 6.0)), bin_of(centre * 2f32.powf(1.0 / 6.0)));
        bins[from..to].iter().map(Complex32::norm_sqr).sum::<f32>().sqrt()
    })
}
