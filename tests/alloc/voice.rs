//! Goal: the voice allocates nothing once it runs. Method: simulated minutes of both directions with loss, jitter, mute, a
//! stall, a new stream, and every tone at a volume that changes; and a film with sound, many times round.

use crate::counting::{allocations, during};
use crate::specimen::{self, Index, Sound};
use visavis::codec::opus::OpusConfig;
use visavis::device::audio::{Mic, MicSpec, Speaker};
use visavis::device::camera::{Camera, CameraRequest, CameraSpec};
use visavis::device::file::FilmTrack;
use visavis::device::{AudioSink, AudioSource, VideoSource};
use visavis::media::{PERIOD, SoundPacket};
use visavis::time::{Duration, Instant};
use visavis::voice::{EchoControl, Mixer, Playout, PlayoutConfig, Polish, Talk, Tone};

pub fn talking_and_listening_allocate_nothing() {
    let at = |ms: u64| Instant::from_millis(1_000 + ms);
    let mut talk = Talk::new(OpusConfig::default(), false).unwrap();
    let mut playout = Playout::new(PlayoutConfig::default()).unwrap();
    let mut mic = Mic::open(&"tone:330".parse().unwrap(), false, None, at(0)).unwrap();
    let mut speaker = Speaker::open(&"none".parse().unwrap(), at(0)).unwrap();
    let (mut near, mut far) = ([0; PERIOD], [0; PERIOD]);
    let mut packet = SoundPacket { sequence: 0, captured_at: at(0), payload: heapless::Vec::new() };
    let mut mixer = Mixer::new();
    let mut heard = 0;

    let before = allocations();
    for n in 1..=12_000u64 {
        let now = at(10 * n);
        if let Some(captured_at) = mic.read(now, &mut near).unwrap() {
            talk.set_expected_loss((n / 1_000) as u8).unwrap();
            talk.handle_near_end(&near, captured_at, n % 2_000 > 1_900, &mut packet).unwrap();
            // Each ninth is lost, two seconds are stalled, and after a minute the sender starts anew.
            packet.sequence = packet.sequence.wrapping_sub(if n > 6_000 { 6_000 } else { 0 });
            if n % 9 != 0 && !(3_000..3_200).contains(&n) {
                playout.handle_packet(&packet, now + Duration::from_millis(n * 7 % 13));
            }
        }
        while speaker.due(now).unwrap() {
            heard += u64::from(playout.pull(now, &mut far).captured_at.is_some());
            mixer.handle(Tone::from_number((n / 700 % 6) as u8), (n / 50 % 101) as u8, &mut far);
            let heard_at = speaker.write(now, &far).unwrap();
            talk.handle_far_end(&far, heard_at);
        }
    }
    assert_eq!(allocations() - before, 0, "in two minutes of both directions");
    assert!(heard > 10_000, "{heard} periods of sound were heard; {:?}", playout.counters());
    assert!(playout.counters().recovered > 0 && playout.counters().streams == 2, "{:?}", playout.counters());
}

/// A microphone in a room: what the library of the noise suppression allocates, in a period that it is given alone, is all
/// that the whole way to the packet does.
pub fn in_a_room_only_the_noise_suppression_allocates() {
    const PERIODS: u64 = 1_000;
    // Of the same sound every time, since what a library allocates may follow from it.
    let tone = |n: u64| core::array::from_fn(|i| (9_000.0 * ((n * 480 + i as u64) as f32 * 0.043).sin()) as i16);
    let mut polish = Polish::new(true);
    let mut polished = |from: u64, until: u64| {
        for n in from..until {
            let mut near = tone(n).map(|sample: i16| f32::from(sample) / 32_768.0);
            polish.process(&[0.0; PERIOD], &mut near);
        }
    };
    polished(0, 100);
    let library = during(|| polished(100, 100 + PERIODS));

    let mut talk = Talk::new(OpusConfig::default(), true).unwrap();
    let mut packet = SoundPacket { sequence: 0, captured_at: Instant::ZERO, payload: heapless::Vec::new() };
    let mut talked = |from: u64, until: u64| {
        for n in from..until {
            let at = Instant::from_millis(1_000 + 10 * n);
            talk.handle_far_end(&[0; PERIOD], at + Duration::from_millis(20));
            talk.handle_near_end(&tone(n), at, false, &mut packet).unwrap();
        }
    };
    talked(0, 100);
    let whole = during(|| talked(100, 100 + PERIODS));
    println!("a period: {:.1} allocations of the noise suppression's library", library as f64 / PERIODS as f64);
    assert_eq!(whole, library, "in {PERIODS} periods");
}

/// Ours is the echo control; what the noise suppression allocates is its library's own.
pub fn the_echo_is_taken_away_without_allocating() {
    let at = |ms: u64| Instant::from_millis(1_000 + ms);
    let mut control = EchoControl::new();
    let mut seed = 1u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as i16 / 4
    };
    let mut heard = [[0i16; PERIOD]; 2];
    let mut run = |from: u64, until: u64| {
        let mut left = 0.0;
        for n in from..until {
            // A card is given what it plays two periods ahead.
            let given: [i16; PERIOD] = core::array::from_fn(|_| noise());
            control.handle_far_end(&given, at(10 * n + 20));
            let mut near = heard[1].map(|sample| f32::from(sample) / 65_536.0);
            heard = [given, heard[0]];
            control.handle_near_end(&mut near, at(10 * n));
            left = near.iter().map(|sample| sample * sample).sum::<f32>();
        }
        left
    };
    run(0, 10);
    let mut left = 0.0;
    assert_eq!(during(|| left = run(10, 1_000)), 0, "in ten seconds");
    assert!(left < 0.01, "{left}: the echo is still there");
}

pub fn the_sound_of_a_film_allocates_nothing() {
    let at = |ms: u64| Instant::from_millis(1_000 + ms);
    let samples: Vec<i16> = (0..17_640).collect();
    let sound = Sound::in_avi(1, 44_100, &samples, 1_764);
    let film = specimen::avi(&vec![vec![0xff, 0xd8, 0, 0]; 8], Index::FromMovi, b"MJPG", &sound);
    let path = std::env::temp_dir().join(format!("visavis-alloc-{}.avi", std::process::id()));
    std::fs::write(&path, film).unwrap();
    let request = CameraRequest { looped: true, ..CameraRequest::default() };
    let track = FilmTrack { path: path.clone(), clock: request.film.clone() };
    let picture = Camera::open(&CameraSpec::File(path.clone()), &request, at(0));
    let sound = Mic::open(&MicSpec::Film, true, Some(&track), at(0));
    std::fs::remove_file(&path).unwrap();
    let (mut picture, mut sound) = (picture.unwrap().unwrap(), sound.unwrap());
    let (mut period, mut heard) = ([0; PERIOD], 0);
    let mut play = |from: u64, until: u64| {
        for ms in from..until {
            drop(picture.capture(at(ms)).unwrap());
            heard += u64::from(sound.read(at(ms), &mut period).unwrap().is_some());
        }
    };
    play(0, 100);
    assert_eq!(during(|| play(100, 5_000)), 0, "fifteen times round");
    assert!(heard > 480, "{heard} periods were heard");
}
