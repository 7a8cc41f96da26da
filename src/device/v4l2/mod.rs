//! Cameras of the kernel: Video4Linux, streaming through mmapped buffers.
//!
//! **The driver's own buffers are what is lent.** Each is a slot of a pool: while the driver fills it, the queue holds
//! its claim; dequeued, it is lent; dropped, wherever that happens, it is found free at the next call and queued again.
//! No byte of a picture is copied or even read here.
//!
//! The calls (`raw`, `buffers`) and the queue serve codecs as well ([`m2m`](super::m2m)).
//!
//! A [`V4l2`] is one open, streaming camera. It is never repaired: at any fault it is dropped, which closes the node
//! and gives the device free, and opened anew. Frames that are still lent keep their mapping until they are dropped.

pub(super) mod buffers;
mod list;
mod modes;
pub(super) mod queue;
pub(super) mod raw;

pub(super) use list::nodes;
pub use list::{CameraInfo, ModeInfo, list};
pub use modes::{Mode, Rates, Sizes};

use crate::device::camera::{CameraRequest, SourceCounts};
use crate::device::capture_time::CaptureTimes;
use crate::device::{Fault, FaultKind, FrameBuffer, VideoSource};
use crate::media::{FrameView, PixelFormat, Size, VideoFormat};
use crate::ring::Lent;
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use modes::{DEFAULT_MILLIHERTZ, choose};
use nix::errno::Errno;
use queue::Queue;
use raw::{Card, Node};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use v4l::v4l_sys::{V4L2_CAP_STREAMING, V4L2_CAP_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE_MPLANE};

/// Buffers asked for: one being encoded, one waiting in the mailbox, one just dequeued, and three with the driver, which
/// is what the hungriest capture drivers want before they start. At 640x480 YUYV they are 3.7 MB.
const BUFFERS: u32 = 6;
/// With fewer the driver would run dry while one is encoded and one waits.
const BUFFERS_MIN: usize = 4;

/// Nothing for this many frame times is no hiccup any more: the camera stalls.
const STALL_FRAMES: u32 = 10;
/// But never less than this: in the dark a webcam's exposure takes several frame times.
const STALL_LEAST: Duration = Duration::from_secs(1);
/// The first frame may take longer: sensors power up and settle first.
const STALL_FIRST: Duration = Duration::from_secs(4);

/// Where all buffers are lent, the driver has none to fill and there is nothing to poll for (it would answer POLLERR at
/// once): look again after this, well within a frame time.
const STARVED_PAUSE: Duration = Duration::from_millis(5);

/// A stamp further ahead of the clock than this is no time of this clock. (A frame time at 10 a second: vivid stamps the
/// reckoned end of the frame.)
const STAMP_AHEAD_MAX: Duration = Duration::from_millis(100);

/// An open camera.
#[derive(Debug)]
pub struct V4l2 {
    name: String,
    format: VideoFormat,
    queue: Queue<FrameBuffer>,
    stall_after: Duration,
    /// The camera is taken to stall at this time.
    stalls_at: Instant,
    /// All buffers are lent; look again at this time.
    starved_until: Option<Instant>,
    times: CaptureTimes,
    last_sequence: Option<u32>,
    counts: SourceCounts,
}

impl V4l2 {
    /// Opens the camera at `path`, which may be one of its stable names, and starts it.
    ///
    /// # Errors
    /// Absent where there is none; unusable where it is no camera, busy, or offers no format that visavis reads.
    pub fn open(path: &Path, request: &CameraRequest, now: Instant) -> Result<V4l2, Fault> {
        let name = path.display().to_string();
        let (node, card) = Node::open(path)?;
        check_capture(&name, &card)?;
        let mode = choose(&modes_near(&node, request), request).ok_or_else(|| {
            let offers: Vec<_> = node.fourccs().iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect();
            let remedy = format!("it offers {}; visavis reads YUYV, NV12, YU12 and MJPG", offers.join(", "));
            Fault::plain(FaultKind::Unusable, &name, "find a pixel format", remedy)
        })?;
        let fault = |doing| move |e: io::Error| streaming_fault(&name_of(path), doing, e);
        let format = node.set_format(mode.pixel, mode.size).map_err(fault("set the format (VIDIOC_S_FMT)"))?;
        let mut format = format.ok_or_else(|| {
            let remedy = format!("the driver would not keep to {} at {}", mode.pixel, mode.size);
            Fault::plain(FaultKind::Unusable, &name, "set the format (VIDIOC_S_FMT)", remedy)
        })?;
        format.millihertz = node.set_rate(if mode.millihertz == 0 { request.millihertz() } else { mode.millihertz });
        let queue = Queue::start(node, BUFFERS, BUFFERS_MIN, |node, index, map| {
            // Not every driver lends its memory to others; then whoever wants it copies.
            FrameBuffer::mapped(format, map, node.export(index).ok())
        });
        let queue = queue.map_err(|(doing, e)| fault(doing)(e))?;
        Ok(V4l2 {
            name,
            format,
            queue,
            stall_after: stall_after(format.millihertz),
            stalls_at: now + STALL_FIRST,
            starved_until: None,
            times: CaptureTimes::default(),
            last_sequence: None,
            counts: SourceCounts::default(),
        })
    }

    /// What went wrong with single frames so far.
    pub fn counts(&self) -> SourceCounts {
        self.counts
    }

    fn fault(&self, doing: &'static str, error: io::Error) -> Fault {
        streaming_fault(&self.name, doing, error)
    }

    /// Counts the frames that the driver dropped before this one.
    fn count_missed(&mut self, sequence: u32) {
        if let Some(last) = self.last_sequence.replace(sequence) {
            // Backwards, or half the range ahead, is a driver that counts anew.
            let gap = sequence.wrapping_sub(last).wrapping_sub(1);
            self.counts.missed += u64::from(if gap < u32::MAX / 2 { gap } else { 0 });
        }
    }

    /// The driver's time stamp where it can be one. Some drivers reckon the end of a frame ahead; a frame that
    /// is here already was not taken later than now.
    fn stamp(&mut self, nanos: Option<u64>, now: Instant) -> Instant {
        let given = nanos.map(Instant::from_nanos);
        let given = given.filter(|given| *given <= now + STAMP_AHEAD_MAX).map(|given| given.min(now));
        let (stamp, is_given) = self.times.next(given, now);
        self.counts.restamped += u64::from(!is_given);
        stamp
    }
}

impl VideoSource for V4l2 {
    fn name(&self) -> &str {
        &self.name
    }

    fn format(&self) -> VideoFormat {
        self.format
    }

    fn wait(&self) -> Wait<'_> {
        match self.starved_until {
            Some(at) => Wait::until(at),
            None => Wait { at: Some(self.stalls_at), ..Wait::readable(self.queue.as_fd()) },
        }
    }

    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        self.queue.refill().map_err(|e| self.fault("queue a buffer (VIDIOC_QBUF)", e))?;
        if self.queue.with_driver() == 0 {
            // It is the reader that holds everything up, not the camera.
            self.starved_until = Some(now + STARVED_PAUSE);
            self.stalls_at = now + self.stall_after;
            return Ok(None);
        }
        self.starved_until = None;
        while let Some((got, mut claim)) =
            self.queue.dequeue().map_err(|e| self.fault("take a frame (VIDIOC_DQBUF)", e))?
        {
            self.count_missed(got.sequence);
            // Some drivers leave `bytesused` at 0 for raw pictures, which always fill their buffer.
            let whole = got.used == 0 && self.format.pixel != PixelFormat::Mjpeg;
            claim.used = if whole { claim.bytes_mut().len() } else { got.used };
            if got.broken || FrameView::parse(claim.bytes(), &self.format).is_none() {
                self.counts.broken += 1;
                drop(claim);
                self.queue.refill().map_err(|e| self.fault("queue a buffer (VIDIOC_QBUF)", e))?;
                continue;
            }
            // A camera all of whose frames are damaged stalls as well: opened anew it may get over it.
            self.stalls_at = now + self.stall_after;
            claim.sequence = got.sequence;
            claim.captured_at = self.stamp(got.stamp_nanos, now);
            return Ok(Some(claim.lend()));
        }
        if now >= self.stalls_at {
            let remedy = "no whole frame came in time; it is closed and opened again";
            return Err(Fault::plain(FaultKind::Stalled, &self.name, "get a frame", remedy));
        }
        Ok(None)
    }
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

fn stall_after(millihertz: u32) -> Duration {
    let millihertz = if millihertz == 0 { DEFAULT_MILLIHERTZ } else { millihertz };
    (Duration::from_secs(1_000) / millihertz * STALL_FRAMES).max(STALL_LEAST)
}

/// Refuses what is not a camera, saying what it is.
fn check_capture(name: &str, card: &Card) -> Result<(), Fault> {
    match lacks_capture(card) {
        Some(lack) => Err(Fault::plain(FaultKind::Unusable, name, "use it as a camera", lack)),
        None => Ok(()),
    }
}

/// Why a node is no camera; `None` where it is one.
fn lacks_capture(card: &Card) -> Option<&'static str> {
    if card.capabilities & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE) == 0 {
        return Some("not a capture device: it is another function of a device (metadata, output, codec)");
    }
    if card.capabilities & V4L2_CAP_STREAMING == 0 {
        return Some("its driver cannot stream, only read(2)");
    }
    None
}

/// A fault of a camera's or a codec's, with what is known about the errno from the V4L2 side.
pub(super) fn streaming_fault(name: &str, doing: &'static str, error: io::Error) -> Fault {
    let mut fault = Fault::new(name, doing, error);
    if fault.errno == Some(Errno::ENOMEM) {
        fault.remedy =
            "no contiguous memory left for its buffers; give the kernel more (cma=) or choose a smaller size".into();
    }
    if fault.errno == Some(Errno::ENOSPC) {
        fault.remedy = "the USB bus has no bandwidth left for it; choose a smaller size or another port".into();
    }
    fault
}

/// Each format's mode that comes nearest to the request, for each of its sizes.
fn modes_near(node: &Node, request: &CameraRequest) -> Vec<Mode> {
    let (wanted, millihertz) = (request.size(), request.millihertz());
    let mut modes = Vec::new();
    for fourcc in node.fourccs() {
        let Some(pixel) = PixelFormat::from_fourcc(&fourcc) else { continue };
        // A driver that lists no sizes takes what it is asked for, as near as it can.
        let listed = node.sizes(fourcc);
        let sizes = if listed.is_empty() { vec![Sizes::One(wanted)] } else { listed };
        for size in sizes.into_iter().map(|s| s.nearest(wanted)).filter(sane) {
            let rates = node.rates(fourcc, size).into_iter().map(|r| r.nearest(millihertz));
            let nearest = rates.min_by_key(|r| r.abs_diff(millihertz)).unwrap_or(0);
            modes.push(Mode { pixel, size, millihertz: nearest });
        }
    }
    modes
}

/// Whether the station's rooms take pictures of this size.
fn sane(size: &Size) -> bool {
    (16..=4096).contains(&size.width) && (16..=4096).contains(&size.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_camera_may_take_ten_of_its_frame_times_and_a_fast_one_a_second() {
        assert_eq!(stall_after(30_000), Duration::from_secs(1));
        assert_eq!(stall_after(0), Duration::from_secs(1));
        assert_eq!(stall_after(2_000), Duration::from_secs(5));
    }

    #[test]
    fn a_camera_that_is_not_there_is_absent_and_a_file_that_is_none_unusable() {
        let open = |path: &str| V4l2::open(Path::new(path), &CameraRequest::default(), Instant::ZERO).unwrap_err();
        assert_eq!(open("/dev/video-that-is-not-there").kind, FaultKind::Absent);
        let null = open("/dev/null");
        assert_eq!((null.kind, null.errno), (FaultKind::Unusable, Some(Errno::ENOTTY)));
    }
}
