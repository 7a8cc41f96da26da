//! Films: Y4M, AVI and MP4, told apart by content, their pictures and their sound; and Y4M on a pipe.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use visavis::device::camera::{Camera, CameraRequest, CameraSpec};
use visavis::device::file::{FilmClock, FilmSound};
use visavis::device::{AudioSource, VideoSource};
use visavis::media::PERIOD;
use visavis::time::{Duration, Instant};

/// Frames and periods that are played: several rounds of the films in the corpus.
const STEPS: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let mut file = File::from(memfd_create("film", MFdFlags::MFD_CLOEXEC).expect("a memory file"));
    file.write_all(bytes).expect("memory");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = Path::new(&path);
    let start = Instant::from_millis(1_000);
    for spec in [CameraSpec::File(path.into()), CameraSpec::Y4m(path.into())] {
        let request = CameraRequest { looped: true, film: FilmClock::default(), ..CameraRequest::default() };
        let sound = FilmSound::open(path, request.film.clone(), start);
        let Ok(Some(mut picture)) = Camera::open(&spec, &request, start) else { continue };
        play_picture(&mut picture, start);
        if let Ok(Some(sound)) = sound {
            play_sound(sound);
        }
    }
    // Without its picture too: that may be what cannot be opened.
    if let Ok(Some(sound)) = FilmSound::open(path, FilmClock::default(), start) {
        play_sound(sound);
    }
});

fn play_picture(picture: &mut Camera, start: Instant) {
    let mut now = start;
    for _ in 0..STEPS {
        match picture.capture(now) {
            Ok(Some(frame)) => assert!(frame.view().is_some(), "a picture that is not all there"),
            Ok(None) => {}
            Err(_) => return,
        }
        // No further than a second: a film may say that its next picture is due in a year.
        now = picture.wait().at.map_or(now, |at| at.clamp(now, now + Duration::from_secs(1)));
    }
}

fn play_sound(mut sound: FilmSound) {
    for _ in 0..STEPS {
        let now = sound.wait().at.expect("paced");
        if sound.read(now, &mut [0; PERIOD]).is_err() {
            return;
        }
    }
}
