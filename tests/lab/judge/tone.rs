//! Tones: made, and found again in what was recorded.

use std::f64::consts::TAU;

/// Samples a second, as stations use them.
pub const RATE_HZ: u32 = 48_000;

/// A tone at half of full scale, made block by block without a seam.
#[derive(Debug)]
pub struct Tone {
    pitch_hz: f64,
    made: u64,
}

impl Tone {
    /// From its beginning.
    pub fn of(pitch_hz: f64) -> Tone {
        Tone { pitch_hz, made: 0 }
    }

    /// The next tenth of a second: one channel of 16 bits, little-endian.
    pub fn next_block(&mut self) -> Vec<u8> {
        let count = u64::from(RATE_HZ / 10);
        let step = TAU * self.pitch_hz / f64::from(RATE_HZ);
        let block = self.made..self.made + count;
        self.made += count;
        block.flat_map(|n| ((16384.0 * (step * n as f64).sin()) as i16).to_le_bytes()).collect()
    }
}

/// Samples of one channel of 16 bits, little-endian; full scale is 1.
pub fn samples(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0).collect()
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

/// The share of the time in which at least `clear` of the sound is at `pitch_hz`, looked at a tenth of a second at a time.
/// A splice, of which there are some in any voice that crosses a network, is a step in the phase: it spoils the tenth that it
/// is in, where a filter over the whole would lose the tone.
pub fn time_share(sound: &[f64], pitch_hz: f64, clear: f64) -> f64 {
    let tenths = sound.chunks_exact(RATE_HZ as usize / 10);
    let count = tenths.len().max(1) as f64;
    tenths.filter(|tenth| share(tenth, pitch_hz) >= clear).count() as f64 / count
}

/// Root mean square, full scale being 1.
pub fn level(sound: &[f64]) -> f64 {
    (sound.iter().map(|sample| sample * sample).sum::<f64>() / (sound.len() as f64).max(1.0)).sqrt()
}
