//! Goal: each tone has its frequencies and its cadence, and nothing clicks. Method: Goertzel's algorithm within each note;
//! and for clicks a filter that leaves nothing of the note's own frequencies.

use super::*;
use crate::media::tests::goertzel;

/// The next period.
fn next(tones: &mut Tones, wanted: Option<Tone>) -> [i16; PERIOD] {
    let mut period = [0.0; PERIOD];
    tones.mix(wanted, &mut period);
    period.map(|sample| (sample * 32_768.0).round() as i16)
}

/// What a tone wanted for so many periods sounds like, and then silence for ten.
fn sound_of(tone: Tone, periods: usize) -> Vec<i16> {
    let mut tones = Tones::default();
    let period = |n| next(&mut tones, (n < periods).then_some(tone));
    (0..periods + 10).flat_map(period).collect()
}

/// Periods of one round, and a bit of the next.
fn round(tone: Tone) -> usize {
    tone.notes().iter().map(|note| note.frames() as usize).sum::<usize>() / PERIOD + 5
}

/// The frequencies of some notes, each once.
fn frequencies(notes: &[Note]) -> Vec<u16> {
    let mut all: Vec<u16> = notes.iter().flat_map(|note| note.hertz).filter(|hertz| *hertz > 0).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// How long each stretch of sound and of silence is, in milliseconds, by windows of 5 ms.
fn cadence(tone: Tone) -> Vec<(u64, bool)> {
    let mut out: Vec<(u64, bool)> = Vec::new();
    for window in sound_of(tone, round(tone)).chunks(240) {
        let is_on = window.iter().any(|sample| sample.unsigned_abs() > 200);
        match out.last_mut() {
            Some((millis, was_on)) if *was_on == is_on => *millis += 5,
            _ => out.push((5, is_on)),
        }
    }
    out
}

#[test]
fn the_cadence_is_that_of_the_telephone() {
    let wanted: [(Tone, &[u64]); 5] = [
        // The gong's first note has not died away as the second is struck.
        (Tone::Door, &[2_000, 3_000]),
        // Between two notes of the trill it is never silent for long enough to be seen here.
        (Tone::Ring, &[1_000, 2_000]),
        (Tone::RingBack, &[400, 200, 400, 2_000]),
        (Tone::Busy, &[480, 480]),
        (Tone::Error, &[990, 1_000]),
    ];
    for (tone, wanted) in wanted {
        let heard = cadence(tone);
        assert!(heard.len() > wanted.len() && heard[0].1, "{tone:?}: {heard:?}");
        for ((millis, is_on), (n, wanted)) in heard.iter().zip(wanted.iter().enumerate()) {
            assert_eq!(*is_on, n % 2 == 0);
            assert!(millis.abs_diff(*wanted) <= 15, "{tone:?}: {heard:?}");
        }
    }
}

#[test]
fn each_note_has_its_frequencies_and_none_of_the_others() {
    for tone in Tone::ALL {
        let sound = sound_of(tone, round(tone));
        let mut at = 0;
        for note in tone.notes() {
            let frames = note.frames() as usize;
            // Within the edges, and not so long that what is struck has died away.
            let inside = &sound[at + EDGE as usize..][..(frames - 2 * EDGE as usize).min(9_600)];
            let level = |hertz: &u16| goertzel(inside, f64::from(*hertz)) / 32_768.0 / f64::from(TONE_PEAK);
            let heard: Vec<u16> = frequencies(tone.notes()).into_iter().filter(|hz| level(hz) > 0.125).collect();
            assert_eq!(heard, frequencies(&[*note]), "{tone:?}");
            at += frames;
        }
    }
}

/// What is left of a sound where sines of these frequencies are taken out: each is the zero of a filter of three taps,
/// whose first is 1, so that a click comes out at its own level or higher. In dBFS, of the largest sample.
fn rest_dbfs(sound: &[i16], hertz: &[u16]) -> f64 {
    let mut rest: Vec<f64> = sound.iter().map(|sample| f64::from(*sample) / 32_768.0).collect();
    for hertz in hertz {
        let twice_cos = 2.0 * (TAU * f64::from(*hertz) / f64::from(SAMPLE_RATE_HZ)).cos();
        rest = rest.windows(3).map(|w| w[2] - twice_cos * w[1] + w[0]).collect();
    }
    20.0 * rest.into_iter().map(f64::abs).fold(1e-9, f64::max).log10()
}

#[test]
fn nothing_clicks_as_notes_begin_and_end_or_the_tone_is_taken_away() {
    for tone in Tone::ALL {
        // Taken away at several places of a note, and after a whole round.
        for periods in [3, 7, 13, 41, 102, round(tone)] {
            let sound = sound_of(tone, periods);
            let mut at = 0;
            for note in tone.notes().iter().cycle() {
                // With what stands around it, so that a step at its border is in it too.
                let end = at + note.frames() as usize;
                let part = &sound[at.saturating_sub(8)..sound.len().min(end + 8)];
                let rest = rest_dbfs(part, &frequencies(&[*note]));
                assert!(rest < -50.0, "{tone:?} taken away after {periods}: {rest:.1} dBFS at {at}");
                at = end;
                if at >= sound.len() {
                    break;
                }
            }
            assert!(sound[sound.len() - 9 * PERIOD..].iter().all(|sample| *sample == 0), "{tone:?} fades in a period");
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
    let (mut tones, mut silent, mut spoken) = (Tones::default(), [0.0; PERIOD], [0.25; PERIOD]);
    tones.clone().mix(Some(Tone::Busy), &mut silent);
    tones.mix(Some(Tone::Busy), &mut spoken);
    assert!(silent.iter().zip(&spoken).all(|(tone, both)| *both == tone + 0.25));
}

#[test]
fn another_tone_begins_from_its_start_once_the_one_before_has_faded() {
    let mut tones = Tones::default();
    let mut next = |wanted| next(&mut tones, wanted);
    for _ in 0..5 {
        next(Some(Tone::Busy));
    }
    let faded = next(Some(Tone::Door));
    assert!(faded[PERIOD - 1] == 0 && faded[..100].iter().any(|s| s.unsigned_abs() > 1_000));
    assert_eq!(next(Some(Tone::Door))[..], sound_of(Tone::Door, 1)[..PERIOD]);
}
