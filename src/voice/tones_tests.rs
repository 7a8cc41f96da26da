//! Goal: each tone has its frequencies and its cadence, and nothing clicks. Method: Goertzel's algorithm over windows of
//! 20 ms; and for clicks a filter that leaves nothing of the tone's own frequencies.

use super::*;
use crate::media::tests::goertzel;

/// Sample frames of a window.
const WINDOW: usize = 960;

/// What a tone wanted for so many periods sounds like, and then silence for ten.
fn sound_of(tone: Tone, periods: usize) -> Vec<i16> {
    let mut tones = Tones::default();
    let wanted = |n| (n < periods).then_some(tone);
    let period = |n| {
        let mut period = [0; PERIOD];
        tones.mix(wanted(n), &mut period);
        period
    };
    (0..periods + 10).flat_map(period).collect()
}

/// Which of the tone's frequencies are in a window.
fn frequencies_in(window: &[i16], tone: Tone) -> Vec<u16> {
    let mut known: Vec<u16> = tone.notes().iter().flat_map(|note| note.hertz).filter(|hz| *hz > 0).collect();
    known.sort_unstable();
    known.dedup();
    // 30 dB below the peak: what a neighbouring frequency leaks into a window as short as this is less.
    known.retain(|hertz| goertzel(window, f64::from(*hertz)) > 32_768.0 * f64::from(TONE_PEAK) / 8.0);
    known
}

/// Each stretch of equal content in one round: how many ms, and which frequencies. Windows across a border are left out.
fn cadence(tone: Tone) -> Vec<(u64, Vec<u16>)> {
    let round: u32 = tone.notes().iter().map(|note| note.frames()).sum();
    let sound = sound_of(tone, (round as usize).div_ceil(PERIOD));
    let mut out: Vec<(u64, Vec<u16>)> = Vec::new();
    for window in sound[..round as usize].chunks(WINDOW / 4) {
        let is_heard = window.iter().any(|s| s.unsigned_abs() > 200);
        match out.last_mut() {
            Some((millis, heard)) if heard.is_empty() != is_heard => *millis += 5,
            _ => out.push((5, if is_heard { vec![1] } else { vec![] })),
        }
    }
    out
}

#[test]
fn the_cadence_is_that_of_the_telephone() {
    let on = |tone| cadence(tone).into_iter().map(|(ms, heard)| (ms, !heard.is_empty())).collect::<Vec<_>>();
    for (tone, wanted) in [
        (Tone::RingBack, vec![(400, true), (200, false), (400, true), (2_000, false)]),
        (Tone::Busy, vec![(480, true), (480, false)]),
    ] {
        let heard = on(tone);
        assert_eq!(heard.len(), wanted.len(), "{tone:?}: {heard:?}");
        for ((ms, is_on), (wanted_ms, wanted_on)) in heard.into_iter().zip(wanted) {
            assert_eq!(is_on, wanted_on);
            assert!(u64::abs_diff(ms, wanted_ms) <= 10, "{tone:?}: {ms} ms for {wanted_ms}");
        }
    }
}

#[test]
fn each_note_has_its_frequencies_and_no_other() {
    for tone in Tone::ALL {
        let sound = sound_of(tone, 500);
        let mut at = 0;
        for note in tone.notes() {
            let frames = note.frames() as usize;
            let window = &sound[at + (frames - WINDOW) / 2..][..WINDOW];
            let wanted: Vec<u16> = match note.hertz {
                [0, 0] => vec![],
                [a, b] if a == b => vec![a],
                both => both.to_vec(),
            };
            // Struck notes are quieter in their middle, and two frequencies of 50 Hz apart blur in 20 ms.
            if note.is_struck || wanted == [400, 450] {
                let long = &sound[at..at + frames.min(9_600)];
                let heard = |hertz: &u16| goertzel(long, f64::from(*hertz)) > 1_000.0;
                assert!(wanted.iter().all(heard), "{tone:?}");
            } else {
                assert_eq!(frequencies_in(window, tone), wanted, "{tone:?}");
            }
            at += frames;
        }
    }
}

/// What is left of a sound where a sine of each of these frequencies is taken out: each is the zero of a filter of three
/// taps. The level is that of the largest sample.
fn rest_dbfs(sound: &[i16], hertz: &[u16]) -> f64 {
    let mut rest: Vec<f64> = sound.iter().map(|s| f64::from(*s) / 32_768.0).collect();
    for hertz in hertz {
        let twice_cos = 2.0 * (TAU * f64::from(*hertz) / f64::from(SAMPLE_RATE_HZ)).cos();
        rest = rest.windows(3).map(|w| w[2] - twice_cos * w[1] + w[0]).collect();
    }
    20.0 * rest.into_iter().map(f64::abs).fold(1e-9, f64::max).log10()
}

#[test]
fn nothing_clicks_as_notes_begin_and_end_or_the_tone_is_taken_away() {
    for tone in Tone::ALL {
        // Taken away in the middle of a note, at several places of it.
        for periods in [3, 7, 13, 41, 300] {
            let sound = sound_of(tone, periods);
            let mut frequencies: Vec<[u16; 2]> = tone.notes().iter().map(|note| note.hertz).collect();
            frequencies.sort_unstable();
            frequencies.dedup();
            // A filter for one note leaves another note whole; so the level asked for is that of a step of any sample:
            // a note's own slope is at most that of its frequency, the rest is a click.
            let steepest = frequencies.iter().flatten().max().copied().unwrap_or(0);
            let slope = f64::from(TONE_PEAK) * TAU * f64::from(steepest) / f64::from(SAMPLE_RATE_HZ);
            let step = sound.windows(2).map(|w| f64::from(w[1].abs_diff(w[0])) / 32_768.0).fold(0.0, f64::max);
            assert!(step <= slope + 10f64.powf(-50.0 / 20.0), "{tone:?}: a step of {step}, its slope is {slope}");
            assert!(sound[sound.len() - 9 * PERIOD..].iter().all(|s| *s == 0), "{tone:?} fades within a period");
        }
    }
    // Where one or two frequencies are all there is, the filter sees far smaller clicks than a slope does.
    for (tone, hertz) in [(Tone::Busy, &[425][..]), (Tone::RingBack, &[400, 450])] {
        for periods in [7, 13, 300] {
            let rest = rest_dbfs(&sound_of(tone, periods), hertz);
            assert!(rest < -50.0, "{tone:?} taken away after {periods}: {rest:.1} dBFS");
        }
    }
}

#[test]
fn a_tone_is_mixed_with_what_is_there_and_stays_within_its_level() {
    for tone in Tone::ALL {
        let peak = sound_of(tone, 600).into_iter().map(i16::unsigned_abs).max().unwrap();
        let bound = (TONE_PEAK * 32_768.0) as u16;
        assert!((bound / 2..=bound).contains(&peak), "{tone:?}: {peak}");
    }
    let (mut tones, mut silent, mut spoken) = (Tones::default(), [0; PERIOD], [1_000; PERIOD]);
    tones.clone().mix(Some(Tone::Busy), &mut silent);
    tones.mix(Some(Tone::Busy), &mut spoken);
    assert!(silent.iter().zip(&spoken).all(|(tone, both)| both - tone == 1_000));
    let mut loud = [i16::MAX; PERIOD];
    tones.mix(Some(Tone::Busy), &mut loud);
    assert!(loud.iter().all(|s| *s > 0), "clipped and not wrapped");
}

#[test]
fn another_tone_begins_from_its_start_once_the_one_before_has_faded() {
    let mut tones = Tones::default();
    let mut next = |wanted| {
        let mut period = [0; PERIOD];
        tones.mix(wanted, &mut period);
        period
    };
    for _ in 0..5 {
        next(Some(Tone::Busy));
    }
    let faded = next(Some(Tone::Door));
    assert!(faded[PERIOD - 1] == 0 && faded[..100].iter().any(|s| s.unsigned_abs() > 1_000));
    assert_eq!(next(Some(Tone::Door))[..], sound_of(Tone::Door, 1)[..PERIOD]);
}
