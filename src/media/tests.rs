//! What tests of sound measure by.

use super::SAMPLE_RATE_HZ;

/// Amplitude of one frequency in `sound`, by Goertzel's algorithm.
pub(crate) fn goertzel(sound: &[i16], hertz: f64) -> f64 {
    let omega = core::f64::consts::TAU * hertz / f64::from(SAMPLE_RATE_HZ);
    let (mut s1, mut s2) = (0.0, 0.0);
    for sample in sound {
        (s1, s2) = (f64::from(*sample) + 2.0 * omega.cos() * s1 - s2, s1);
    }
    2.0 * (s1 * s1 + s2 * s2 - 2.0 * omega.cos() * s1 * s2).max(0.0).sqrt() / sound.len() as f64
}
