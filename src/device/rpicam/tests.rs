//! Goal: pictures come whole, new and with the sensor's time, whatever becomes of the program that gives them. Method: a
//! shell script in the place of `rpicam-vid`, which writes what that writes, and does what that does where it fails; every
//! wait is for a pipe.

use super::*;
use crate::sys::{clock, poll};
use nix::poll::{PollFd, PollFlags};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// What all scripts begin with: the arguments as variables, and `picture SAMPLE` and `record NANOSECONDS`.
const HEAD: &str = r#"#!/bin/sh
for argument; do
    case $argument in
    --width=*) width=${argument#*=} ;;
    --height=*) height=${argument#*=} ;;
    --metadata=*) metadata=${argument#*=} ;;
    esac
done
picture() { head -c $((width * height * 3 / 2)) /dev/zero | tr '\000' "$1"; }
record() { printf 'ExposureTime=9986\nSensorTimestamp=%s\nColourGains=[ 1.5, 1.6 ]\n\n' "$1" >>"$metadata"; }
"#;

/// A script in the program's place, in a folder of its own.
struct Script(PathBuf);

impl Script {
    fn new(name: &str, body: &str) -> Script {
        let folder = std::env::temp_dir().join(format!("visavis-rpicam-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("rpicam-vid");
        fs::write(&file, format!("{HEAD}{body}")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Script(file)
    }

    fn start(&self) -> Rpicam {
        let request = CameraRequest { size: Some(Size::new(128, 96)), rate_hz: Some(30), ..CameraRequest::default() };
        Rpicam::start(&self.0, 0, &request, clock::now()).unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// The next picture, or the fault that comes instead.
fn next(camera: &mut Rpicam) -> Result<Lent<FrameBuffer>, Fault> {
    loop {
        let Wait { fd, at } = camera.wait();
        let mut fds: Vec<_> = fd.map(|(fd, events)| PollFd::new(fd, events)).into_iter().collect();
        poll::wait(&mut fds, at).unwrap();
        if let Some(picture) = camera.capture(clock::now())? {
            return Ok(picture);
        }
    }
}

/// What a picture is made of, if it is one sample throughout.
fn sample(picture: &FrameBuffer) -> char {
    let bytes = picture.bytes();
    assert!(bytes.len() == 128 * 96 * 3 / 2 && bytes.iter().all(|byte| *byte == bytes[0]), "it is mixed of two");
    char::from(bytes[0])
}

fn fault(camera: &mut Rpicam) -> Fault {
    loop {
        if let Err(fault) = next(camera) {
            return fault;
        }
    }
}

#[test]
fn pictures_come_whole_in_order_and_with_the_sensors_time() {
    let stamp = clock::now();
    let nanos = stamp.as_nanos();
    let body = format!("for n in 1 2 3; do picture $n; record {}$n; done; exec sleep 1000", nanos / 10);
    let script = Script::new("order", &body);
    let mut camera = script.start();
    for number in 1..=3 {
        let picture = next(&mut camera).unwrap();
        assert_eq!((sample(&picture), picture.sequence), (char::from_digit(number, 10).unwrap(), number - 1));
        assert_eq!(picture.captured_at.as_nanos(), nanos / 10 * 10 + u64::from(number));
        assert!(picture.view().is_some());
    }
    assert_eq!(camera.counts().restamped, 0);
}

#[test]
fn a_time_stamp_of_another_clock_is_replaced_and_counted() {
    let script = Script::new("clock", "picture a; record 5; picture b; record 99999999999999999; exec sleep 1000");
    let mut camera = script.start();
    let before = clock::now();
    for _ in 0..2 {
        assert!(next(&mut camera).unwrap().captured_at >= before);
    }
    assert_eq!(camera.counts().restamped, 2);
}

#[test]
fn a_picture_that_ends_early_is_never_shown() {
    let script = Script::new("half", "picture a; record 1; picture b | head -c 9000; exit 3");
    let mut camera = script.start();
    assert_eq!(sample(&next(&mut camera).unwrap()), 'a');
    let fault = next(&mut camera).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Absent);
    assert!(fault.to_string().contains("rpicam-vid has ended (exit status: 3)"), "{fault}");
}

#[test]
fn what_the_program_says_before_it_ends_is_what_the_fault_says() {
    let script = Script::new("none", "echo 'ERROR: *** no cameras available ***' >&2; exit 255");
    let fault = fault(&mut script.start());
    assert_eq!(fault.kind, FaultKind::Absent);
    assert!(fault.to_string().contains("ribbon cable"), "{fault}");
    let script = Script::new("other", "echo chatter >&2; echo 'ERROR: *** failed to start camera ***' >&2; exit 255");
    let fault = self::fault(&mut script.start());
    assert!(fault.to_string().contains("(exit status: 255): ERROR: *** failed to start camera ***"), "{fault}");
}

#[test]
fn padded_pictures_and_those_of_another_size_are_refused_and_none_is_shown() {
    for (name, width) in [("padded", "width=$((width + 64))"), ("small", "width=$((width - 64))")] {
        let script = Script::new(name, &format!("{width}; picture a; record 1; picture b; record 2; exec sleep 1000"));
        let fault = next(&mut script.start()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unusable, "{name}");
        assert!(fault.to_string().contains("128x96"), "{fault}");
    }
}

#[test]
fn a_program_that_is_silent_stalls_and_is_gone_afterwards() {
    let script = Script::new("silent", "picture a; record 1; exec sleep 1000");
    let mut camera = script.start();
    next(&mut camera).unwrap();
    let stalled = camera.capture(clock::now() + STALL_AFTER).unwrap_err();
    assert_eq!(stalled.kind, FaultKind::Stalled);
    let process = format!("/proc/{}", camera.child.id());
    assert!(fs::exists(&process).unwrap());
    drop(camera);
    assert!(!fs::exists(&process).unwrap());
}

#[test]
fn a_program_that_talks_without_end_holds_nothing_up() {
    let script =
        Script::new("talk", "yes 'ERROR over and over' >&2 & for n in 1 2 3; do picture $n; record 1; done; wait");
    let mut camera = script.start();
    for number in ['1', '2', '3'] {
        assert_eq!(sample(&next(&mut camera).unwrap()), number);
    }
}

#[test]
fn while_all_slots_are_lent_nothing_is_read_and_then_all_goes_on() {
    let script = Script::new("lent", "for n in 1 2 3 4 5 6; do picture $n; record 1; done; exec sleep 1000");
    let mut camera = script.start();
    let lent: Vec<_> = (0..SLOTS).map(|_| next(&mut camera).unwrap()).collect();
    let now = clock::now();
    assert!(camera.capture(now).unwrap().is_none());
    assert_eq!(camera.wait().at, Some(now + STARVED_PAUSE));
    assert_eq!(lent.iter().map(|picture| sample(picture)).collect::<String>(), "1234");
    drop(lent);
    assert_eq!(sample(&next(&mut camera).unwrap()), '5');
}

#[test]
fn its_program_dies_with_the_thread_that_started_it() {
    let script = Script::new("orphan", "exec sleep 1000");
    let started = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let camera = script.start();
            let handle = crate::sys::process::handle(camera.child.id()).unwrap();
            // As where the thread is gone without any of its drops.
            std::mem::forget(camera);
            handle
        });
        thread.join().unwrap()
    });
    poll::wait(&mut [PollFd::new(started.as_fd(), PollFlags::POLLIN)], None).unwrap();
}

#[test]
fn a_program_that_cannot_be_started_is_said() {
    let request = CameraRequest::default();
    let fault = Rpicam::start(Path::new("/nowhere/rpicam-vid"), 0, &request, clock::now()).unwrap_err();
    assert!(fault.to_string().starts_with("/nowhere/rpicam-vid: cannot start it"), "{fault}");
}

#[test]
fn sizes_that_need_no_padding_come_near_to_what_is_asked_for() {
    let near = |width, height| unpadded(Size::new(width, height)).to_string();
    assert_eq!(near(640, 480), "640x480");
    assert_eq!(near(1280, 720), "1280x720");
    assert_eq!(near(1920, 1080), "1920x1080");
    assert_eq!(near(800, 600), "768x576");
    assert_eq!(near(320, 240), "384x288");
    assert_eq!(near(16, 4096), "128x4096");
    assert_eq!(near(4096, 16), "4096x16");
    assert_eq!(near(u32::MAX, 0), "4096x16");
}
