//! Goal: a camera of the kernel's is streamed without a copy, and outlives everything that cameras do. Method: the
//! vivid driver's two webcams, single- and multi-planar, in the lab's kernel; faults are injected through its controls.
//! Needs VISAVIS_LAB=1, /dev/video0, /dev/video1 and v4l2-ctl; elsewhere each test says that it was skipped.

use nix::poll::{PollFd, PollFlags};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use visavis::device::camera::{Camera, CameraRequest, CameraSpec};
use visavis::device::v4l2::{self, V4l2};
use visavis::device::{Fault, FaultKind, FrameBuffer, VideoSource};
use visavis::media::{PixelFormat, Size};
use visavis::ring::{self, Lent};
use visavis::stage::capture::{self, CaptureStats};
use visavis::stage::{Context, Health, State};
use visavis::sys::wake::{Stop, Wake};
use visavis::sys::{clock, poll};

const SINGLE: &str = "/dev/video0";
const MULTI: &str = "/dev/video1";

/// The lab's cameras, for one test at a time; `None` outside the lab.
fn lab(test: &str) -> Option<MutexGuard<'static, ()>> {
    static CAMERAS: Mutex<()> = Mutex::new(());
    if std::env::var_os("VISAVIS_LAB").is_none_or(|v| v != "1") {
        println!("{test}: skipped, since VISAVIS_LAB is not 1");
        return None;
    }
    Some(CAMERAS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn control(node: &str, setting: &str) {
    let done = Command::new("v4l2-ctl").args(["-d", node, "-c", setting]).status().expect("v4l2-ctl");
    assert!(done.success(), "{setting}");
}

fn open(node: &str) -> V4l2 {
    V4l2::open(Path::new(node), &CameraRequest::default(), clock::now()).unwrap_or_else(|fault| panic!("{fault}"))
}

/// Waits as the camera asks, and takes the next frame.
fn next(camera: &mut V4l2) -> Result<Lent<FrameBuffer>, Fault> {
    loop {
        if let Some(frame) = camera.capture(clock::now())? {
            return Ok(frame);
        }
        let wait = camera.wait();
        let mut fds: Vec<_> = wait.fd.into_iter().map(|(fd, events)| PollFd::new(fd, events)).collect();
        poll::wait(&mut fds, wait.at).unwrap();
    }
}

fn fault(camera: &mut V4l2) -> Fault {
    loop {
        if let Err(fault) = next(camera) {
            return fault;
        }
    }
}

/// What is mapped where these bytes lie, after /proc/self/maps.
fn mapping_of(bytes: &[u8]) -> String {
    let address = bytes.as_ptr() as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |hex| usize::from_str_radix(hex, 16).unwrap();
        (number(from)..number(to)).contains(&address)
    });
    line.expect("mapped").split_whitespace().nth(5).unwrap_or("").to_owned()
}

#[test]
fn a_lent_frame_is_the_drivers_own_buffer() {
    let Some(_lab) = lab("a_lent_frame_is_the_drivers_own_buffer") else { return };
    for node in [SINGLE, MULTI] {
        let mut camera = open(node);
        for _ in 0..10 {
            let frame = next(&mut camera).unwrap();
            assert_eq!(mapping_of(frame.bytes()), node, "the bytes that the encoder reads are mapped from the device");
            assert!(frame.view().is_some());
        }
    }
}

#[test]
fn every_dropped_frame_goes_back_to_the_driver() {
    let Some(_lab) = lab("every_dropped_frame_goes_back_to_the_driver") else { return };
    for node in [SINGLE, MULTI] {
        let mut camera = open(node);
        let slots: Vec<_> = (0..40).map(|_| next(&mut camera).unwrap().index()).collect();
        assert!(slots.iter().collect::<BTreeSet<_>>().len() >= 4, "{slots:?}");
    }
}

#[test]
fn frames_come_at_the_cameras_rate_with_its_own_monotonic_stamps() {
    let Some(_lab) = lab("frames_come_at_the_cameras_rate_with_its_own_monotonic_stamps") else { return };
    for node in [SINGLE, MULTI] {
        let mut camera = open(node);
        let format = camera.format();
        assert_eq!(format.millihertz / 1_000, 30);
        let frames: Vec<_> = (0..90)
            .map(|_| {
                let frame = next(&mut camera).unwrap();
                let age = clock::now().since(frame.captured_at);
                (frame.captured_at, frame.sequence, age)
            })
            .collect();
        assert!(frames.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
        assert_eq!(camera.counts().restamped, 0);
        // By the driver's own numbers, so a frame that this machine was late for does not count as slowness.
        let (first, last) = (frames[0], frames[89]);
        let interval = last.0.since(first.0) / (last.1 - first.1);
        let mut ages: Vec<_> = frames.iter().map(|f| f.2).collect();
        ages.sort_unstable();
        println!(
            "{node}: {} {}, a frame every {interval:?}, p50 age {:?}, max {:?}, {:?}",
            format.pixel,
            format.size,
            ages[45],
            ages[89],
            camera.counts()
        );
        assert!((28..=39).contains(&interval.as_millis()), "{interval:?}");
    }
}

#[test]
fn three_frames_held_are_left_alone_while_others_flow() {
    let Some(_lab) = lab("three_frames_held_are_left_alone_while_others_flow") else { return };
    for node in [SINGLE, MULTI] {
        let mut camera = open(node);
        let held: Vec<_> = (0..3).map(|_| next(&mut camera).unwrap()).collect();
        let copies: Vec<_> = held.iter().map(|f| f.bytes().to_vec()).collect();
        let indices: BTreeSet<_> = held.iter().map(Lent::index).collect();
        for _ in 0..30 {
            assert!(!indices.contains(&next(&mut camera).unwrap().index()));
        }
        assert!(held.iter().zip(&copies).all(|(frame, copy)| frame.bytes() == copy));
        drop(held);
        let slots: BTreeSet<_> = (0..30).map(|_| next(&mut camera).unwrap().index()).collect();
        assert!(!slots.is_disjoint(&indices), "released buffers are used again");
    }
}

#[test]
fn with_every_buffer_held_the_camera_waits_and_then_goes_on() {
    let Some(_lab) = lab("with_every_buffer_held_the_camera_waits_and_then_goes_on") else { return };
    let mut camera = open(SINGLE);
    let mut held = Vec::new();
    while camera.wait().fd.is_some() {
        held.push(next_or_starved(&mut camera));
    }
    let held: Vec<_> = held.into_iter().flatten().collect();
    assert!(held.len() >= 4, "{}", held.len());
    // Far past the time after which a camera counts as stalled: it is not the camera that holds things up.
    let late = clock::now() + core::time::Duration::from_secs(60);
    assert!(camera.capture(late).unwrap().is_none());
    assert!(camera.wait().fd.is_none(), "a poll would answer POLLERR at once, for ever");
    drop(held);
    next(&mut camera).unwrap();
}

/// The next frame, or `None` once the camera no longer asks to be polled.
fn next_or_starved(camera: &mut V4l2) -> Option<Lent<FrameBuffer>> {
    loop {
        if let Some(frame) = camera.capture(clock::now()).unwrap() {
            return Some(frame);
        }
        let wait = camera.wait();
        let (fd, events) = wait.fd?;
        poll::wait(&mut [PollFd::new(fd, events)], wait.at).unwrap();
    }
}

#[test]
fn a_frame_outlives_its_camera() {
    let Some(_lab) = lab("a_frame_outlives_its_camera") else { return };
    let mut camera = open(SINGLE);
    let frame = next(&mut camera).unwrap();
    let copy = frame.bytes().to_vec();
    drop(camera);
    assert_eq!(frame.bytes(), copy);
    next(&mut open(SINGLE)).unwrap();
    assert_eq!(frame.bytes(), copy);
}

#[test]
fn a_frame_marked_damaged_is_counted_and_left_out() {
    let Some(_lab) = lab("a_frame_marked_damaged_is_counted_and_left_out") else { return };
    let mut camera = open(SINGLE);
    next(&mut camera).unwrap();
    control(SINGLE, "inject_v4l2_buf_flag_error=1");
    while camera.counts().broken == 0 {
        next(&mut camera).unwrap();
    }
    assert_eq!(camera.counts().broken, 1);
    next(&mut camera).unwrap();
}

#[test]
fn frames_that_the_driver_drops_are_counted() {
    let Some(_lab) = lab("frames_that_the_driver_drops_are_counted") else { return };
    let mut camera = open(SINGLE);
    control(SINGLE, "percentage_of_dropped_buffers=50");
    while camera.counts().missed < 5 {
        next(&mut camera).unwrap();
    }
    control(SINGLE, "percentage_of_dropped_buffers=0");
}

#[test]
fn a_camera_that_sends_nothing_stalls() {
    let Some(_lab) = lab("a_camera_that_sends_nothing_stalls") else { return };
    let mut camera = open(SINGLE);
    next(&mut camera).unwrap();
    control(SINGLE, "percentage_of_dropped_buffers=100");
    let fault = fault(&mut camera);
    control(SINGLE, "percentage_of_dropped_buffers=0");
    println!("{fault}");
    assert_eq!(fault.kind, FaultKind::Stalled);
}

#[test]
fn a_fatal_error_and_a_disconnection_are_faults_after_which_it_can_be_opened_again() {
    let Some(_lab) = lab("a_fatal_error_and_a_disconnection") else { return };
    for node in [SINGLE, MULTI] {
        for injection in ["inject_fatal_streaming_error=1", "disconnect=1"] {
            let mut camera = open(node);
            next(&mut camera).unwrap();
            control(node, injection);
            let fault = fault(&mut camera);
            println!("{injection}: {fault}");
            assert_eq!(fault.kind, FaultKind::Absent);
            drop(camera);
            next(&mut open(node)).unwrap();
        }
    }
}

#[test]
fn errors_of_single_calls_are_faults_that_name_the_call() {
    let Some(_lab) = lab("errors_of_single_calls_are_faults_that_name_the_call") else { return };
    let reopened = || V4l2::open(Path::new(SINGLE), &CameraRequest::default(), clock::now());
    for (injection, call) in [
        ("inject_vidioc_reqbufs_error=1", "VIDIOC_REQBUFS"),
        ("inject_vidioc_qbuf_error=1", "VIDIOC_QBUF"),
        ("inject_vidioc_streamon_error=1", "VIDIOC_STREAMON"),
    ] {
        control(SINGLE, injection);
        let fault = reopened().map(drop).unwrap_err();
        println!("{injection}: {fault}");
        assert!(fault.to_string().contains(call), "{fault}");
        drop(reopened().unwrap());
    }
}

#[test]
fn a_camera_in_use_is_busy_and_the_list_says_so() {
    let Some(_lab) = lab("a_camera_in_use_is_busy_and_the_list_says_so") else { return };
    let find = |node: &str| v4l2::list().into_iter().find(|c| c.path == Path::new(node)).expect(node);
    for node in [SINGLE, MULTI] {
        let info = find(node);
        println!(
            "{} {} {} {:?}, {} modes, lacks {:?}",
            node,
            info.driver,
            info.card,
            info.names,
            info.modes.len(),
            info.lacks
        );
        assert_eq!((info.driver.as_str(), &info.lacks), ("vivid", &None));
        assert!(info.modes.iter().any(|m| m.usable && m.fourcc == "YUYV" && !m.rates.is_empty()));
    }
    let mut camera = open(SINGLE);
    next(&mut camera).unwrap();
    assert!(find(SINGLE).lacks.unwrap().contains("another program"));
    let fault = V4l2::open(Path::new(SINGLE), &CameraRequest::default(), clock::now()).unwrap_err();
    println!("{fault}");
    assert_eq!((fault.kind, fault.errno), (FaultKind::Unusable, Some(nix::errno::Errno::EBUSY)));
    next(&mut camera).expect("the one who has it keeps it");
}

#[test]
fn the_size_and_layout_that_were_asked_for_are_what_comes() {
    let Some(_lab) = lab("the_size_and_layout_that_were_asked_for_are_what_comes") else { return };
    for node in [SINGLE, MULTI] {
        let request = CameraRequest { size: Some(Size::new(1280, 720)), ..CameraRequest::default() };
        let mut camera = V4l2::open(Path::new(node), &request, clock::now()).unwrap();
        let format = camera.format();
        println!("{node}: {format:?}");
        assert_eq!((format.size, format.pixel), (Size::new(1280, 720), PixelFormat::I420));
        assert!(next(&mut camera).unwrap().view().is_some());
    }
}

/// A running capture stage, and an encoder that does nothing but give its frames back.
struct Stage {
    frames: ring::Receiver<Lent<FrameBuffer>>,
    wake: Wake,
    net: Wake,
    health: Health,
    stats: Arc<CaptureStats>,
}

impl Stage {
    /// Goes on taking frames until something is so.
    fn until(&mut self, wanted: impl Fn(&State, &CaptureStats) -> bool) {
        while !wanted(&self.health.get().0, &self.stats) {
            let mut fds = [&self.wake, &self.net].map(|wake| PollFd::new(wake.as_fd(), PollFlags::POLLIN));
            poll::wait(&mut fds, None).unwrap();
            self.wake.drain();
            self.net.drain();
            drop(self.frames.take());
        }
    }
}

#[test]
fn the_capture_stage_recovers_from_a_disconnection_by_itself() {
    let Some(_lab) = lab("the_capture_stage_recovers_from_a_disconnection_by_itself") else { return };
    let (stop, net, wake) = (Stop::new().unwrap(), Wake::new().unwrap(), Wake::new().unwrap());
    let (sender, frames) = ring::mailbox();
    let health = Health::new(net.clone());
    let stats = Arc::<CaptureStats>::default();
    let ctx = Context::new(stop.clone(), net.clone()).unwrap();
    let (spec, request) = (SINGLE.parse::<CameraSpec>().unwrap(), CameraRequest::default());
    let thread = capture::spawn(ctx, spec, request, sender, wake.clone(), health.clone(), stats.clone()).unwrap();
    let mut stage = Stage { frames, wake, net, health, stats };
    for round in 1..=3 {
        let before = stage.stats.frames.get();
        stage.until(|health, stats| matches!(health, State::Working) && stats.frames.get() >= before + 10);
        let cut = clock::now();
        control(SINGLE, "disconnect=1");
        stage.until(|health, _| matches!(health, State::Faulty(_)));
        stage.until(|health, _| matches!(health, State::Working));
        println!("round {round}: moving again {:?} after the order to disconnect", clock::now().since(cut));
    }
    stop.stop();
    thread.join().unwrap();
    let stats = &stage.stats;
    println!("latency {:?}, interval {:?}", stats.latency.summary(), stats.interval.summary());
    assert!(stats.faults.get() >= 3 && stats.broken.get() == 0);
}

#[test]
fn a_camera_is_opened_by_whatever_it_is_called() {
    let Some(_lab) = lab("a_camera_is_opened_by_whatever_it_is_called") else { return };
    let link = std::env::temp_dir().join(format!("visavis-door-{}", std::process::id()));
    std::os::unix::fs::symlink(SINGLE, &link).unwrap();
    let spec: CameraSpec = link.to_str().unwrap().parse().unwrap();
    let camera = Camera::open(&spec, &CameraRequest::default(), clock::now()).unwrap().unwrap();
    std::fs::remove_file(&link).unwrap();
    assert_eq!(camera.name(), link.to_str().unwrap(), "it is called what the installer calls it");
}
