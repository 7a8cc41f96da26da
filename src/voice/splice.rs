//! Taking a few milliseconds out of sound without a step: a cross-fade between two places that look alike.
//!
//! This is overlap-add with the lag of the best correlation (WSOLA; Verhelst and Roelands 1993): in voiced speech that lag
//! is a whole number of pitch periods, and in noise and silence any lag does.

/// Sample frames that are cross-faded: 5 ms, one pitch period of a low voice.
pub(super) const OVERLAP: usize = 240;
/// The shortest piece taken out: 2.5 ms.
const LAG_MIN: usize = 120;
/// The longest: 15 ms, a pitch period of the lowest voice.
pub(super) const LAG_MAX: usize = 720;

/// How alike the two places must be, as normalised correlation, for a splice not to be heard.
const LIKENESS_MIN: f32 = 0.6;

/// Mean square below which it is silence and may be cut anywhere: −60 dBFS.
const SILENCE: f32 = 1e-6;

/// First pass: one lag and one sample in so many.
const COARSE: usize = 4;

/// Removes up to `most` sample frames close to the start of `sound`. Returns how many went: 0 where no place was good
/// enough, or `most` or the sound too short.
pub(super) fn shorten(sound: &mut Vec<f32>, most: usize) -> usize {
    let most = most.min(LAG_MAX).min(sound.len().saturating_sub(OVERLAP));
    if most < LAG_MIN {
        return 0;
    }
    let Some(lag) = best_lag(sound, most) else { return 0 };
    for i in 0..OVERLAP {
        let share = (i as f32 + 0.5) / OVERLAP as f32;
        sound[i] += (sound[i + lag] - sound[i]) * share;
    }
    sound.drain(OVERLAP..OVERLAP + lag);
    lag
}

/// The lag, up to `longest`, at which `sound` looks most like its beginning; `None` if none does.
fn best_lag(sound: &[f32], longest: usize) -> Option<usize> {
    let energy: f32 = sound[..OVERLAP + longest].iter().map(|s| s * s).sum();
    if energy / ((OVERLAP + longest) as f32) < SILENCE {
        return Some(longest);
    }
    let best = |lags: &mut dyn Iterator<Item = usize>, step: usize| {
        lags.map(|lag| (lag, likeness(sound, lag, step))).max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (near, _) = best(&mut (LAG_MIN..=longest).step_by(COARSE), COARSE)?;
    let around = near.saturating_sub(COARSE).max(LAG_MIN)..=(near + COARSE).min(longest);
    best(&mut around.into_iter(), 1).filter(|(_, likeness)| *likeness > LIKENESS_MIN).map(|(lag, _)| lag)
}

/// Normalised correlation of the first [`OVERLAP`] sample frames with those `lag` later, one in `step` of them.
fn likeness(sound: &[f32], lag: usize, step: usize) -> f32 {
    let (mut product, mut here, mut there) = (0.0f32, 0.0f32, 0.0f32);
    for i in (0..OVERLAP).step_by(step) {
        let (a, b) = (sound[i], sound[i + lag]);
        product += a * b;
        here += a * a;
        there += b * b;
    }
    product / (here * there).sqrt().max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_shortened_by_whole_cycles_without_a_step() {
        // 200 Hz: a cycle is 240 sample frames.
        let tone = |n: usize| 0.5 * (n as f32 * 200.0 * core::f32::consts::TAU / 48_000.0).sin();
        let mut sound: Vec<f32> = (0..2_000).map(tone).collect();
        let gone = shorten(&mut sound, 500);
        assert_eq!(gone % 240, 0);
        assert_eq!(sound.len(), 2_000 - gone);
        let step = sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.5 * 200.0 * core::f32::consts::TAU / 48_000.0 * 1.05, "a step of {step}");
    }

    #[test]
    fn silence_is_shortened_as_wished_and_what_never_repeats_is_not() {
        assert_eq!(shorten(&mut vec![0.0; 2_000], 500), 500);
        // Rises through a decade of frequencies within the window: no place resembles another.
        let chirp = |n: usize| (n as f32 * n as f32 * 2e-4).sin();
        assert_eq!(shorten(&mut (0..2_000).map(chirp).collect(), 500), 0);
        assert_eq!(shorten(&mut vec![0.0; OVERLAP], 500), 0);
    }
}
