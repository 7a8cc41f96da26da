//! Goal: a film's sound is that of the picture, wherever the picture is. Method: films written by the tests themselves,
//! whose samples count up, so that each says where it belongs; picture and sound are played with the clock as an argument.

use super::super::specimen::{self, Index, Sound, boxed, full};
use super::super::tests::memory_file;
use super::super::{FileSource, FilmClock};
use super::*;
use crate::device::VideoSource;
use crate::device::audio::{Mic, MicSpec};
use crate::device::camera::CameraSpec;
use crate::media::PERIOD;
use crate::media::tests::goertzel;
use std::os::fd::AsRawFd;

const START: Instant = Instant::from_millis(5_000);

/// Sample frames counted from 1, so that none is silence.
fn counted(frames: i16) -> Vec<i16> {
    (1..=frames).collect()
}

/// An AVI of so many pictures, 40 ms each.
fn avi(pictures: usize, sound: &Sound) -> Vec<u8> {
    let picture = vec![0xff, 0xd8, 0, 0];
    specimen::avi(&vec![picture; pictures], Index::FromMovi, b"MJPG", sound)
}

/// An MP4 of a picture that nobody looks at.
fn mp4(sound: &Sound) -> Vec<u8> {
    let units = [vec![vec![0x67, 1], vec![0x68, 1], vec![0x65, 1]]];
    specimen::mp4(specimen::Pictures { size: (96, 64), units: &units }, b"avc1", Some(sound))
}

fn open(film: &[u8], clock: FilmClock) -> Result<Option<FilmSound>, Fault> {
    let file = memory_file(film);
    FilmSound::open(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())), clock, START)
}

/// The next period, read at the time at which it is due.
fn next(sound: &mut FilmSound) -> Result<Option<(Instant, Period)>, Fault> {
    let mut period = [0; PERIOD];
    let now = sound.wait().at.unwrap();
    Ok(sound.read(now, &mut period)?.map(|captured_at| (captured_at, period)))
}

/// A clock that says that the film began at [`START`].
fn begun() -> FilmClock {
    let clock = FilmClock::default();
    clock.set_start(START);
    clock
}

fn hear(sound: &mut FilmSound, periods: usize) -> Vec<i16> {
    (0..periods).flat_map(|_| next(sound).unwrap().unwrap().1).collect()
}

#[test]
fn every_container_gives_the_samples_that_went_in() {
    let samples = counted(2_400);
    let iso = full(b"pcmC", 0, &[&[0x0010_0000]]);
    let films = [
        ("avi", avi(5, &Sound::in_avi(1, 48_000, &samples, 701))),
        ("sowt", mp4(&Sound::in_mp4(b"sowt", 48_000, &samples, 701, &[]))),
        ("twos", mp4(&Sound::in_mp4(b"twos", 48_000, &samples, 701, &[]))),
        ("ipcm", mp4(&Sound::in_mp4(b"ipcm", 48_000, &samples, 701, &[iso]))),
    ];
    for (name, film) in films {
        let heard = hear(&mut open(&film, begun()).unwrap().unwrap(), 5);
        // The first period is faded in.
        assert_eq!(heard[PERIOD..], samples[PERIOD..], "{name}");
        assert!(heard[..PERIOD].is_sorted() && heard[0] == 0, "{name}");
    }
}

#[test]
fn other_rates_are_resampled() {
    let tone: Vec<i16> = (0..22_050)
        .map(|n| (8_000.0 * (f64::from(n) * 1_000.0 * core::f64::consts::TAU / 44_100.0).sin()) as i16)
        .collect();
    let film = avi(20, &Sound::in_avi(1, 44_100, &tone, 1_764));
    let heard = hear(&mut open(&film, begun()).unwrap().unwrap(), 40);
    let level = goertzel(&heard[4_800..], 1_000.0);
    assert!((level / 8_000.0 - 1.0).abs() < 0.02, "{level}");
}

/// Plays picture and sound side by side, in steps of a millisecond, for so long; the periods that were heard.
fn play(film: &[u8], looped: bool, pause_at_ms: Option<u64>, end_ms: u64) -> Vec<(u64, Period)> {
    let file = memory_file(film);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut picture = FileSource::open(Path::new(&path), looped, START).unwrap();
    let clock = FilmClock::default();
    picture.tell(clock.clone());
    let mut sound = FilmSound::open(Path::new(&path), clock, START).unwrap().unwrap();
    let mut heard = Vec::new();
    for ms in 0..end_ms {
        let now = START + Duration::from_millis(ms);
        // A picture that nobody takes for 600 ms: the film has to wait.
        if pause_at_ms.is_none_or(|pause| !(pause..pause + 600).contains(&ms)) {
            let _ = picture.capture(now);
        }
        let mut period = [0; PERIOD];
        if let Ok(Some(at)) = sound.read(now, &mut period) {
            heard.push((at.since(START).as_millis() as u64, period));
        }
    }
    heard
}

/// Which sample frame of the film a period begins with; `None` where it is faded, or silence.
fn place(period: &Period) -> Option<i64> {
    let is_whole = period.windows(2).all(|w| w[1] == w[0] + 1);
    is_whole.then(|| i64::from(period[0]) - 1)
}

#[test]
fn sound_goes_round_with_its_picture_and_not_by_its_own_length() {
    // 200 ms of picture, and sound that is longer (300 ms) or shorter (100 ms).
    for (frames, most) in [(14_400, 20), (4_800, 10)] {
        let film = avi(5, &Sound::in_avi(1, 48_000, &counted(frames), 2_880));
        let heard = play(&film, true, None, 1_000);
        assert!(heard.len() >= 98, "{}", heard.len());
        let mut placed = 0;
        for (at_ms, place) in heard.iter().filter_map(|(at, period)| Some((*at as i64, place(period)?))) {
            let wanted = at_ms % 200 * 48;
            assert!((place - wanted).abs() <= 960, "at {at_ms} ms the sound of {} ms", place / 48);
            placed += 1;
        }
        // But for the fades where it goes round.
        assert!(placed >= 5 * (most - 3), "{placed} periods of {frames}");
    }
}

#[test]
fn sound_follows_a_picture_that_had_to_wait() {
    let film = avi(40, &Sound::in_avi(1, 48_000, &counted(32_000), 1_920));
    let heard = play(&film, false, Some(100), 1_200);
    // The picture stood still for about 600 ms, and the sound is again where the picture is.
    let (at_ms, place) = heard.iter().rev().find_map(|(at, period)| Some((*at as i64, place(period)?))).unwrap();
    let behind_ms = at_ms - place / 48;
    assert!(at_ms > 1_100 && (500..=660).contains(&behind_ms), "at {at_ms} ms {behind_ms} ms behind");
    let jumps = heard.windows(2).filter(|w| w[0].1[PERIOD - 1].abs_diff(w[1].1[0]) > 80).count();
    assert_eq!(jumps, 0, "where it jumps it is faded");
}

#[test]
fn sound_waits_for_its_picture_to_begin_and_beyond_its_end_there_is_silence() {
    let clock = FilmClock::default();
    let mut sound = open(&avi(2, &Sound::in_avi(1, 48_000, &counted(960), 480)), clock.clone()).unwrap().unwrap();
    assert!(next(&mut sound).unwrap().is_none());
    clock.set_start(START + Duration::from_millis(10));
    let heard = hear(&mut sound, 4);
    assert_eq!((heard[959], &heard[960..]), (960, &[0; 960][..]));
}

#[test]
fn what_is_not_pcm_is_named_with_what_to_do() {
    let aac = mp4(&Sound::in_mp4(b"mp4a", 48_000, &[1; 9], 9, &[boxed(b"esds", &[])]));
    let mp3 = avi(1, &Sound::in_avi(0x55, 48_000, &[1; 9], 9));
    for (film, name) in [(aac, "AAC"), (mp3, "0x55")] {
        let fault = open(&film, begun()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unusable);
        let text = fault.to_string();
        assert!(text.contains(name) && text.contains("only its picture") && text.contains("pcm_s16le"), "{text}");
    }
}

#[test]
fn a_film_brings_its_sound_by_itself_if_it_can_be_played() {
    let spoken = avi(1, &Sound::in_avi(1, 48_000, &counted(960), 960));
    let foreign = mp4(&Sound::in_mp4(b"mp4a", 48_000, &[1; 9], 9, &[]));
    let silent = b"YUV4MPEG2 W16 H16 F25:1\n".to_vec();
    for (film, wanted) in [(spoken, Some(MicSpec::Film)), (foreign, None), (silent, None)] {
        let file = memory_file(&film);
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        assert_eq!(MicSpec::of_camera(&CameraSpec::File(path.clone())), wanted);
        let track = FilmTrack { path, clock: begun() };
        assert_eq!(Mic::open(&MicSpec::Film, false, Some(&track), START).is_ok(), wanted.is_some());
    }
    assert_eq!(MicSpec::of_camera(&CameraSpec::Pattern), None);
    let fault = Mic::open(&MicSpec::Film, false, None, START).unwrap_err();
    assert!(fault.to_string().contains("--camera file:PATH"), "{fault}");
}
