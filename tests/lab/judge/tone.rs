//! Tones: made as a WAV file, and found again in what was recorded.

use std::f64::consts::TAU;
use std::time::Duration;

/// Samples a second, as stations use them.
pub const RATE_HZ: u32 = 48_000;

/// A tone at half of full scale: one channel of 16 bits (the header is that of RIFF/WAVE, format 1).
pub fn wav(pitch_hz: f64, time: Duration) -> Vec<u8> {
    let count = time.as_secs() as u32 * RATE_HZ;
    let bytes = count * 2;
    let mut wav = Vec::with_capacity(bytes as usize + 44);
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    for half in [1u16, 1] {
        wav.extend(half.to_le_bytes());
    }
    wav.extend(RATE_HZ.to_le_bytes());
    wav.extend((RATE_HZ * 2).to_le_bytes());
    for half in [2u16, 16] {
        wav.extend(half.to_le_bytes());
    }
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    let step = TAU * pitch_hz / f64::from(RATE_HZ);
    wav.extend((0..count).flat_map(|n| ((16384.0 * (step * f64::from(n)).sin()) as i16).to_le_bytes()));
    wav
}

/// The share of the sound's energy that lies at `pitch_hz`, from 0 to 1 (Goertzel's filter with a Hann window); 0 for
/// silence.
pub fn share(sound: &[f64], pitch_hz: f64) -> f64 {
    let count = sound.len() as f64;
    let windowed = |n: usize| sound[n] * 0.5 * (1.0 - (TAU * n as f64 / count).cos());
    let turn = TAU * pitch_hz / f64::from(RATE_HZ);
    let (mut last, mut before, mut energy) = (0.0, 0.0, 0.0);
    for n in 0..sound.len() {
        let sample = windowed(n);
        (last, before) = (sample + 2.0 * turn.cos() * last - before, last);
        energy += sample * sample;
    }
    let power = last * last + before * before - 2.0 * turn.cos() * last * before;
    // A pure tone of amplitude a under this window: power (a·N/4)², energy 3·a²·N/16. Below −80 dB it is silence.
    if energy < 1e-8 * count { 0.0 } else { (power / (energy * count / 3.0)).min(1.0) }
}

/// Root mean square, full scale being 1.
pub fn level(sound: &[f64]) -> f64 {
    (sound.iter().map(|sample| sample * sample).sum::<f64>() / (sound.len() as f64).max(1.0)).sqrt()
}
