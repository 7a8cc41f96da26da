//! A Raspberry Pi's camera module, by the program `rpicam-vid` of Raspberry Pi OS.
//!
//! A sensor on the board's ribbon has no driver that makes pictures: libcamera runs its exposure and the image processor.
//! visavis does not link it (its interface changes with each release), but starts the program that comes with the system,
//! which writes raw pictures into one pipe and a record of each into another. What it writes (rpicam-apps 1.1 to 1.13,
//! `output.cpp`, `null_encoder.cpp`, `rpicam_app.cpp`):
//!
//! - pictures one after the other, without a head: the driver's own buffer, planar 4:2:0, full range (sYCC). Rows are padded
//!   as the image processor likes, to 64 luma samples (`bcm2835-isp`) or 128 (`pispbe`), so only widths are asked for that
//!   need no padding: multiples of [`WIDTH_STEP`];
//! - after each picture, and before the next, its record, in lines `Name=value`, ended by an empty one.
//!
//! So each pipe proves the other: a record that comes before its picture is whole, or a next picture that comes before the
//! record, says that pictures are not of the size that they are taken for, and nothing is shown rather than garbage.

mod child;
mod list;
mod record;
#[cfg(test)]
mod tests;
mod words;

pub use child::program;
pub use list::{ModuleInfo, is_of_pipeline, is_there, list};

use super::camera::{CameraRequest, SourceCounts};
use super::capture_time::CaptureTimes;
use super::{Fault, FaultKind, FrameBuffer, VideoSource};
use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};
use crate::ring::{Claim, Lent, Pool};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use child::Child;
use nix::errno::Errno;
use nix::unistd::read;
use record::{Record, Records};
use std::path::Path;
use words::Words;

/// What to do where there is no program. A station that runs may start only what was there when it was started.
pub const INSTALL: &str = "rpicam-vid is not installed: on Raspberry Pi OS `sudo apt install rpicam-apps-lite`, then \
                           `sudo systemctl restart visavis`";

/// A luma row of so many samples, or a multiple, is padded by no image processor of a Raspberry Pi.
const WIDTH_STEP: u32 = 128;
/// The widest and highest that is asked for: what the station's rooms take.
const SIDE_MAX: u32 = 4096;

/// Being read, waiting in the mailbox, being encoded, just lent.
const SLOTS: usize = 4;
/// Where all slots are lent: look again after this, well within a frame time.
const STARVED_PAUSE: Duration = Duration::from_millis(5);

/// The program finds the camera, tries each mode of the sensor and lets exposure settle: two to five seconds on the
/// slowest board.
const STALL_FIRST: Duration = Duration::from_secs(15);
/// Its rate is fixed, also in the dark; but it restarts a sensor that is silent for a second by itself, which may help.
const STALL_AFTER: Duration = Duration::from_secs(3);

/// A sensor's time stamp that lies further back is of another clock: what is in flight between sensor and pipe is six
/// buffers at most, at 10 pictures a second and more.
const STAMP_AGE_MAX: Duration = Duration::from_secs(1);

/// A camera module, open: the program runs.
#[derive(Debug)]
pub struct Rpicam {
    name: String,
    format: VideoFormat,
    child: Child,
    pool: Pool<FrameBuffer>,
    /// The picture being read, and how much of it is there.
    filling: Option<(Claim<FrameBuffer>, usize)>,
    records: Records,
    /// That of the picture being read, where it is here already.
    record: Option<Record>,
    words: Words,
    /// It is taken to stall at this time.
    stalls_at: Instant,
    starved_until: Option<Instant>,
    times: CaptureTimes,
    sequence: u32,
    counts: SourceCounts,
}

/// How far reading a picture got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    Whole,
    /// No more of it has come.
    Part,
    /// There is no free slot for it.
    Starved,
}

impl Rpicam {
    /// Starts the program for the camera of this number, counted from 0 as `rpicam-vid --list-cameras` does.
    ///
    /// # Errors
    /// Unusable where the program is not installed or cannot be started. What is wrong with the camera it says later.
    pub fn open(index: u8, request: &CameraRequest, now: Instant) -> Result<Rpicam, Fault> {
        let name = name(index);
        let program =
            program().ok_or_else(|| Fault::plain(FaultKind::Unusable, &name, "start its program", INSTALL))?;
        Rpicam::start(&program, index, request, now)
    }

    fn start(program: &Path, index: u8, request: &CameraRequest, now: Instant) -> Result<Rpicam, Fault> {
        let name = name(index);
        let size = unpadded(request.size());
        let millihertz = request.millihertz();
        let format = VideoFormat {
            pixel: PixelFormat::I420,
            size,
            stride_bytes: size.width as usize,
            range: ColourRange::Full,
            millihertz,
        };
        let child = Child::start(program, |records| arguments(index, size, millihertz, records))
            .map_err(|e| Fault::new(program.display().to_string(), "start it (execve)", e))?;
        Ok(Rpicam {
            name,
            format,
            child,
            pool: Pool::new((0..SLOTS).map(|_| FrameBuffer::own(format, size.pixels() * 3 / 2))),
            filling: None,
            records: Records::default(),
            record: None,
            words: Words::default(),
            stalls_at: now + STALL_FIRST,
            starved_until: None,
            times: CaptureTimes::default(),
            sequence: 0,
            counts: SourceCounts::default(),
        })
    }

    /// What went wrong with single frames so far.
    pub fn counts(&self) -> SourceCounts {
        self.counts
    }

    /// Reads on in a picture, straight into its slot, and never into the next one.
    fn fill(&mut self, now: Instant) -> Result<Filled, Fault> {
        let (claim, have) = match &mut self.filling {
            Some(filling) => filling,
            none => match self.pool.claim() {
                Some(claim) => none.insert((claim, 0)),
                None => return Ok(Filled::Starved),
            },
        };
        let bytes = claim.bytes_mut();
        while *have < bytes.len() {
            match read(&self.child.pictures, &mut bytes[*have..]) {
                Ok(0) => return Err(self.ended(now)),
                Ok(got) => *have += got,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(Filled::Part),
                Err(errno) => return Err(Fault::new(&self.name, "read pictures", errno)),
            }
        }
        Ok(Filled::Whole)
    }

    /// Reads on in the records, up to the end of that which belongs to the picture being read.
    fn look_for_record(&mut self) -> Result<(), Fault> {
        if self.record.is_none() && !self.records.is_closed() {
            let next = self.records.next(&self.child.records);
            self.record = next.map_err(|e| Fault::new(&self.name, "read time stamps", e))?;
            if self.records.is_closed() {
                self.child.forget(&self.child.records);
            }
        }
        Ok(())
    }

    /// Why the program has ended, as it said itself.
    fn ended(&mut self, now: Instant) -> Fault {
        let status = self.child.end();
        self.words.listen(&self.child.words, now);
        let (kind, remedy) = self.words.verdict();
        let remedy = remedy.unwrap_or_else(|| {
            let how = status.map_or_else(|| "has closed its output".into(), |status| format!("has ended ({status})"));
            let said = self.words.last_error();
            format!("{} {how}{}{said}", self.child.name(), if said.is_empty() { "" } else { ": " })
        });
        Fault::plain(kind, &self.name, "get pictures", remedy)
    }

    fn misfit(&self) -> Fault {
        let size = self.format.size;
        let remedy = format!(
            "{} gives them in another size than {size}, or padded; choose another [camera] size, such as 640x480",
            self.child.name()
        );
        Fault::plain(FaultKind::Unusable, &self.name, "read pictures", remedy)
    }

    /// The sensor's time stamp where it can be one of our clock.
    fn stamp(&mut self, record: Record, now: Instant) -> Instant {
        let given = record.sensor_nanos.map(Instant::from_nanos);
        let (stamp, is_given) = self.times.next(given.filter(|given| now.since(*given) <= STAMP_AGE_MAX), now);
        self.counts.restamped += u64::from(!is_given);
        stamp
    }

    /// What there is to do with what has come: a picture that is whole and has its record is lent.
    fn advance(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        let mut filled = self.fill(now)?;
        // Asked before the records are read: what comes of the next picture comes after this one's record.
        let is_next_here = filled == Filled::Whole && self.child.has_picture_bytes();
        self.look_for_record()?;
        if filled == Filled::Part && self.record.is_some() {
            filled = self.fill(now)?;
            if filled == Filled::Part {
                return Err(self.misfit());
            }
        }
        match (filled, self.record) {
            (Filled::Starved, _) => {
                // It is the reader that holds everything up, not the camera.
                self.starved_until = Some(now + STARVED_PAUSE);
                self.stalls_at = now + STALL_AFTER;
                Ok(None)
            }
            (Filled::Whole, Some(record)) => {
                self.record = None;
                Ok(self.filling.take().map(|(claim, _)| self.lend(claim, record, now)))
            }
            // Its end is near, and this picture is whole for all that is known.
            (Filled::Whole, None) if self.records.is_closed() => {
                Ok(self.filling.take().map(|(claim, _)| self.lend(claim, Record::default(), now)))
            }
            (Filled::Whole, None) if is_next_here => Err(self.misfit()),
            _ => Ok(None),
        }
    }

    fn lend(&mut self, mut claim: Claim<FrameBuffer>, record: Record, now: Instant) -> Lent<FrameBuffer> {
        self.stalls_at = now + STALL_AFTER;
        claim.captured_at = self.stamp(record, now);
        claim.sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        claim.lend()
    }
}

impl VideoSource for Rpicam {
    fn name(&self) -> &str {
        &self.name
    }

    fn format(&self) -> VideoFormat {
        self.format
    }

    fn wait(&self) -> Wait<'_> {
        match self.starved_until {
            Some(at) => Wait::until(at),
            None => Wait { at: Some(self.stalls_at), ..Wait::readable(self.child.any()) },
        }
    }

    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        self.starved_until = None;
        if !self.words.listen(&self.child.words, now) {
            self.child.forget(&self.child.words);
        }
        let picture = self.advance(now)?;
        if picture.is_none() && now >= self.stalls_at {
            let remedy = "its program gave no picture in time; it is ended and started again";
            return Err(Fault::plain(FaultKind::Stalled, &self.name, "get a picture", remedy));
        }
        Ok(picture)
    }
}

/// As the installer writes it.
fn name(index: u8) -> String {
    super::camera::CameraSpec::Module(index).to_string()
}

/// The size nearest to the one asked for, of about its shape, whose rows need no padding.
fn unpadded(wanted: Size) -> Size {
    let step = |side: u32, step: u32| (side.saturating_add(step / 2) / step * step).clamp(step, SIDE_MAX);
    let width = step(wanted.width, WIDTH_STEP);
    let height = u64::from(wanted.height) * u64::from(width) / u64::from(wanted.width.max(1));
    // Chroma has half the rows. Higher than wide by more than that no sensor is.
    Size::new(width, step(u32::try_from(height).unwrap_or(SIDE_MAX), 2).max(16))
}

fn arguments(index: u8, size: Size, millihertz: u32, records: &str) -> Vec<String> {
    let fixed = [
        // Without it the frame rate is said for every picture.
        "--verbose=0",
        "--nopreview",
        "--timeout=0",
        "--codec=yuv420",
        "--flush",
        "--output=-",
        "--metadata-format=txt",
    ];
    let asked = [
        format!("--metadata={records}"),
        format!("--camera={index}"),
        format!("--width={}", size.width),
        format!("--height={}", size.height),
        format!("--framerate={}", f64::from(millihertz) / 1_000.0),
    ];
    fixed.into_iter().map(String::from).chain(asked).collect()
}
