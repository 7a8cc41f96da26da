//! Goal: in steady state capture allocates nothing. Method: the stage runs the pattern into the mailbox on its own
//! thread; then a film and a pipe are played.

use crate::counting::during;
use nix::poll::{PollFd, PollFlags};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::Arc;
use visavis::device::VideoSource;
use visavis::device::camera::{Camera, CameraRequest, CameraSpec};
use visavis::media::Size;
use visavis::ring;
use visavis::stage::capture::{self, CaptureStats};
use visavis::stage::{Context, Health};
use visavis::sys::wake::{Stop, Wake};
use visavis::sys::{clock, poll};
use visavis::time::Instant;

pub fn nothing_is_allocated_once_frames_flow() {
    the_stage_with_the_pattern();
    a_film();
    a_pipe();
}

fn the_stage_with_the_pattern() {
    let (stop, net, wake) = (Stop::new().unwrap(), Wake::new().unwrap(), Wake::new().unwrap());
    let (sender, mut frames) = ring::mailbox();
    let ctx = Context::new(stop.clone(), net.clone()).unwrap();
    let request = CameraRequest { rate_hz: Some(200), ..CameraRequest::default() };
    let stats = Arc::<CaptureStats>::default();
    let health = Health::new(net);
    let thread =
        capture::spawn(ctx, CameraSpec::Pattern, request, sender, wake.clone(), health, stats.clone()).unwrap();
    let mut take = |count| {
        for _ in 0..count {
            while frames.take().is_none() {
                poll::wait(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], None).unwrap();
                wake.drain();
            }
        }
    };
    take(5);
    assert_eq!(during(|| take(100)), 0, "from the pattern through the mailbox");
    stop.stop();
    thread.join().unwrap();
    assert!(stats.frames.get() >= 105);
}

const SIZE: Size = Size::new(64, 48);

fn film() -> Vec<u8> {
    let mut film = b"YUV4MPEG2 W64 H48 F30:1 C420\n".to_vec();
    for n in 0..8u8 {
        film.extend_from_slice(b"FRAME\n");
        film.resize(film.len() + SIZE.pixels() * 3 / 2, n);
    }
    film
}

/// Takes `count` frames, each at the time the source asks for.
fn play(source: &mut Camera, now: &mut Instant, count: usize) {
    for _ in 0..count {
        while source.capture(*now).unwrap().is_none() {
            *now = source.wait().at.unwrap_or(*now).max(*now);
        }
    }
}

fn a_film() {
    let path = std::env::temp_dir().join(format!("visavis-alloc-{}.y4m", std::process::id()));
    std::fs::write(&path, film()).unwrap();
    let request = CameraRequest { looped: true, ..CameraRequest::default() };
    let mut now = clock::now();
    let source = Camera::open(&CameraSpec::File(path.clone()), &request, now);
    std::fs::remove_file(&path).unwrap();
    let mut source = source.unwrap().unwrap();
    play(&mut source, &mut now, 2);
    assert_eq!(during(|| play(&mut source, &mut now, 40)), 0, "from a film, five times round");
}

fn a_pipe() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let mut writer = std::fs::File::from(writer);
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let spec = CameraSpec::Y4m(Path::new(&path).into());
    let mut now = clock::now();
    let mut source = Camera::open(&spec, &CameraRequest::default(), now).unwrap().unwrap();
    writer.write_all(&film()).unwrap();
    play(&mut source, &mut now, 2);
    assert_eq!(during(|| play(&mut source, &mut now, 6)), 0, "from a pipe");
}
