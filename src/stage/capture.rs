//! The capture stage: from the camera into the mailbox of the compress stage, on the sensor's clock.
//!
//! It moves no pixel, and only samples a few now and then, to know a picture that stands still. Whatever fails, it says so
//! in its health, waits, and opens the camera anew, for ever; a camera that was given by a stable name is found under
//! whatever number it comes back.

use super::sameness::{Look, Sameness};
use super::{Anew, Context, Health, Pause, State};
use crate::device::camera::{Camera, CameraRequest, CameraSpec, SourceCounts};
use crate::device::{Fault, FaultKind, FrameBuffer, VideoSource};
use crate::ring::{self, Lent};
use crate::stats::{Counter, Histogram};
use crate::sys::clock;
use crate::sys::poll::{self, Wait};
use crate::sys::wake::Wake;
use crate::time::Instant;
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// What the stage counts: every frame is either put into the mailbox or lost for a cause that is named here.
#[derive(Debug, Default)]
pub struct CaptureStats {
    /// Put into the mailbox.
    pub frames: Counter,
    /// Of these, replaced by a newer one before anybody took them: the encoder is slower than the camera.
    pub replaced: Counter,
    /// Never delivered: gaps in the driver's count, frame times that went by.
    pub missed: Counter,
    /// Marked damaged by the driver, truncated, or not decodable.
    pub broken: Counter,
    /// Delivered with a time stamp of our own, the driver's not being one of CLOCK_MONOTONIC that rises.
    pub restamped: Counter,
    /// Looked at for whether they differ from the one that was looked at before: a few a second.
    pub looked: Counter,
    /// Of these, those that did.
    pub changed: Counter,
    /// Faults, each of which closed the camera.
    pub faults: Counter,
    /// From the frame's time stamp to the mailbox.
    pub latency: Histogram,
    /// From one frame's time stamp to the next one's.
    pub interval: Histogram,
}

impl CaptureStats {
    fn add(&self, now: SourceCounts, before: SourceCounts) {
        self.missed.add(now.missed - before.missed);
        self.broken.add(now.broken - before.broken);
        self.restamped.add(now.restamped - before.restamped);
    }
}

/// Starts the capture thread. `out` is the compress stage's mailbox, and `wake` what wakes it.
///
/// With [`CameraSpec::None`] the thread ends at once; do not start it then.
///
/// # Errors
/// Where the system has no thread left.
pub fn spawn(
    ctx: Context,
    spec: CameraSpec,
    request: CameraRequest,
    out: ring::Sender<Lent<FrameBuffer>>,
    wake: Wake,
    health: Health,
    stats: Arc<CaptureStats>,
) -> io::Result<JoinHandle<()>> {
    let capture = Capture { ctx, out, wake, health, stats, last: None, sameness: Sameness::new() };
    thread::Builder::new().name("capture".into()).spawn(move || capture.run(&spec, &request))
}

struct Capture {
    ctx: Context,
    out: ring::Sender<Lent<FrameBuffer>>,
    wake: Wake,
    health: Health,
    stats: Arc<CaptureStats>,
    /// The time stamp of the last frame.
    last: Option<Instant>,
    /// Stays when the camera is opened anew, which a picture that stands still may outlast.
    sameness: Sameness,
}

/// Why frames are no longer passed on, without a fault.
enum Ended {
    Stopped,
    /// The camera is to be opened anew.
    Anew,
}

impl Capture {
    fn run(mut self, spec: &CameraSpec, request: &CameraRequest) {
        let mut pause = Pause::default();
        while !self.ctx.stop.is_stopped() {
            let fault = match Camera::open(spec, request, clock::now()) {
                Ok(None) => return,
                Ok(Some(mut camera)) => match self.play(&mut camera, &mut pause) {
                    Ok(Ended::Stopped) => return,
                    Ok(Ended::Anew) => {
                        self.last = None;
                        continue;
                    }
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            let ended = fault.kind == FaultKind::Ended;
            self.report(fault);
            // A film at its end stays there: only the request to stop is waited for.
            let until = (!ended).then(|| pause.after_failure(clock::now()));
            if self.rest(until).is_err() {
                return;
            }
        }
    }

    fn report(&mut self, fault: Fault) {
        self.stats.faults.bump();
        self.last = None;
        self.health.set(State::Faulty(fault));
    }

    /// Waits for a time, for the wish to open the camera at once, or for the request to stop.
    fn rest(&self, until: Option<Instant>) -> io::Result<()> {
        loop {
            let mut fds = [self.ctx.stop.as_fd(), self.ctx.bell.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            poll::wait(&mut fds, until)?;
            let is_wished = self.ctx.bell.answer().has(Anew::Device);
            if is_wished || self.ctx.stop.is_stopped() || until.is_some_and(|at| clock::now() >= at) {
                return Ok(());
            }
        }
    }

    /// Passes frames on until it is to end, or a fault.
    fn play(&mut self, camera: &mut Camera, pause: &mut Pause) -> Result<Ended, Fault> {
        let mut counted = SourceCounts::default();
        let mut working = false;
        let format = camera.format();
        let hertz = f64::from(format.millihertz) / 1_000.0;
        tracing::info!(device = "camera", "{}: open; {} {}, {hertz} Hz", camera.name(), format.pixel, format.size);
        loop {
            let Wait { fd, at } = camera.wait();
            let [stop, bell] =
                [self.ctx.stop.as_fd(), self.ctx.bell.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let waited = match fd {
                Some((fd, events)) => poll::wait(&mut [stop, bell, PollFd::new(fd, events)], at),
                None => poll::wait(&mut [stop, bell], at),
            };
            waited.map_err(|e| Fault::new(camera.name(), "wait for a frame (ppoll)", e))?;
            if self.ctx.stop.is_stopped() {
                return Ok(Ended::Stopped);
            }
            if self.ctx.bell.answer().has(Anew::Device) {
                return Ok(Ended::Anew);
            }
            let moved = self.drain(camera);
            self.stats.add(camera.counts(), counted);
            counted = camera.counts();
            if moved? && !working {
                working = true;
                pause.reset();
                self.health.set(State::Working);
            }
        }
    }

    /// Passes on every frame that is there; says whether there was one.
    fn drain(&mut self, camera: &mut Camera) -> Result<bool, Fault> {
        let mut moved = false;
        while let Some(frame) = camera.capture(clock::now())? {
            self.pass_on(frame);
            moved = true;
        }
        Ok(moved)
    }

    fn pass_on(&mut self, frame: Lent<FrameBuffer>) {
        let at = frame.captured_at;
        if let Some(last) = self.last.replace(at) {
            self.stats.interval.record(at.since(last));
        }
        self.stats.latency.record(clock::now().since(at));
        self.stats.frames.bump();
        self.note_sameness(&frame);
        if self.out.put(frame).is_some() {
            self.stats.replaced.bump();
        }
        self.wake.signal();
    }

    fn note_sameness(&mut self, frame: &FrameBuffer) {
        let look = self.sameness.look(frame, clock::now());
        self.stats.looked.add(u64::from(look != Look::Nothing));
        self.stats.changed.add(u64::from(look == Look::Changed));
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the stage keeps frames moving, names what it loses, and ends when asked. Method: real threads with the
    //! pattern, a film and a device that is not there; every wait is for an event, none for a time.
    use super::*;
    use crate::device::stamp;
    use crate::media::{FrameView, Size};
    use crate::stage::Bell;
    use crate::sys::wake::Stop;

    struct Bench {
        stop: Stop,
        bell: Bell,
        frames: ring::Receiver<Lent<FrameBuffer>>,
        wake: Wake,
        net: Wake,
        health: Health,
        stats: Arc<CaptureStats>,
        thread: JoinHandle<()>,
    }

    fn start(spec: CameraSpec, request: CameraRequest) -> Bench {
        let (stop, net, wake) = (Stop::new().unwrap(), Wake::new().unwrap(), Wake::new().unwrap());
        let (sender, frames) = ring::mailbox();
        let health = Health::new(net.clone());
        let stats = Arc::<CaptureStats>::default();
        let ctx = Context::new(stop.clone(), net.clone()).unwrap();
        let bell = ctx.bell.clone();
        let thread = spawn(ctx, spec, request, sender, wake.clone(), health.clone(), stats.clone()).unwrap();
        Bench { stop, bell, frames, wake, net, health, stats, thread }
    }

    fn wait_for(wake: &Wake) {
        poll::wait(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], None).unwrap();
        wake.drain();
    }

    impl Bench {
        fn next(&mut self) -> Lent<FrameBuffer> {
            loop {
                if let Some(frame) = self.frames.take() {
                    return frame;
                }
                wait_for(&self.wake);
            }
        }

        fn fault(&self) -> Fault {
            loop {
                if let State::Faulty(fault) = self.health.get().0 {
                    return fault;
                }
                wait_for(&self.net);
            }
        }

        fn end(self) -> Arc<CaptureStats> {
            self.stop.stop();
            self.thread.join().unwrap();
            self.stats
        }
    }

    fn number(frame: &FrameBuffer) -> u32 {
        let Some(FrameView::I420(luma, ..)) = frame.view() else { panic!("not planar") };
        stamp::read(luma.data, luma.stride_bytes, frame.format.size).expect("stamped")
    }

    #[test]
    fn frames_come_in_order_and_every_one_is_accounted_for() {
        let request = CameraRequest { size: Some(Size::new(160, 120)), rate_hz: Some(500), ..CameraRequest::default() };
        let mut bench = start(CameraSpec::Pattern, request);
        let (mut taken, mut last) = (0, None);
        while taken < 20 {
            let frame = bench.next();
            assert!(last < Some(number(&frame)), "{} after {last:?}", number(&frame));
            last = Some(number(&frame));
            taken += 1;
        }
        assert!(matches!(bench.health.get().0, State::Working));
        bench.stop.stop();
        bench.thread.join().unwrap();
        let waiting = u64::from(bench.frames.take().is_some());
        let stats = bench.stats;
        assert_eq!(stats.frames.get(), taken + stats.replaced.get() + waiting);
        assert_eq!(stats.latency.summary().count, stats.frames.get());
    }

    #[test]
    fn a_camera_that_is_not_there_is_a_fault_that_is_retried_until_the_stop() {
        let bench = start(CameraSpec::V4l2("/dev/video-that-is-not-there".into()), CameraRequest::default());
        let fault = bench.fault();
        assert_eq!(fault.kind, FaultKind::Absent);
        assert!(fault.to_string().contains("/dev/video-that-is-not-there"));
        assert!(bench.end().faults.get() >= 1);
    }

    #[test]
    fn a_camera_is_opened_anew_when_that_is_asked_for() {
        let request = CameraRequest { size: Some(Size::new(160, 120)), rate_hz: Some(500), ..CameraRequest::default() };
        let mut bench = start(CameraSpec::Pattern, request);
        while number(&bench.next()) < 10 {}
        bench.bell.ask(Anew::Device);
        // The pattern begins at its first frame again.
        while number(&bench.next()) >= 10 {}
        assert_eq!(bench.bell.answered(), 1);
        assert_eq!(bench.end().faults.get(), 0, "that is no fault");
    }

    #[test]
    fn the_bell_is_answered_while_there_is_no_camera() {
        let bench = start(CameraSpec::V4l2("/dev/video-that-is-not-there".into()), CameraRequest::default());
        bench.fault();
        bench.bell.ring();
        while bench.bell.answered() == 0 {
            thread::yield_now();
        }
        bench.end();
    }

    #[test]
    fn a_picture_that_repeats_is_told_from_one_that_moves() {
        let path = std::env::temp_dir().join(format!("visavis-same-{}.y4m", std::process::id()));
        let mut film = b"YUV4MPEG2 W16 H16 F100:1 Ip A1:1 C420\nFRAME\n".to_vec();
        film.extend((0..16 * 16 * 3 / 2).map(|at| (at % 200) as u8));
        std::fs::write(&path, &film).unwrap();
        let request = CameraRequest { looped: true, rate_hz: Some(100), ..CameraRequest::default() };
        for (spec, moves) in [(CameraSpec::File(path.clone()), false), (CameraSpec::Pattern, true)] {
            let mut bench = start(spec, request.clone());
            while bench.stats.looked.get() < 4 {
                bench.next();
            }
            let stats = bench.end();
            let wanted = if moves { stats.looked.get() } else { 1 };
            assert_eq!(stats.changed.get(), wanted, "the first is another than none");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_film_at_its_end_is_not_opened_again() {
        let path = std::env::temp_dir().join(format!("visavis-capture-{}.y4m", std::process::id()));
        let mut film = b"YUV4MPEG2 W16 H16 F1000:1 Ip A1:1 C420\n".to_vec();
        for _ in 0..3 {
            film.extend_from_slice(b"FRAME\n");
            film.extend_from_slice(&[90; 16 * 16 * 3 / 2]);
        }
        std::fs::write(&path, film).unwrap();
        let bench = start(CameraSpec::File(path.clone()), CameraRequest::default());
        let fault = bench.fault();
        std::fs::remove_file(path).unwrap();
        assert_eq!(fault.kind, FaultKind::Ended);
        let stats = bench.end();
        assert_eq!((stats.frames.get(), stats.faults.get()), (3, 1));
    }

    #[test]
    fn without_a_camera_the_thread_ends_by_itself() {
        start(CameraSpec::None, CameraRequest::default()).thread.join().unwrap();
    }
}
