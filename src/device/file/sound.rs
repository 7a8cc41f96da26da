//! The sound of a film: PCM, read in step with the picture.
//!
//! Picture and sound are played by two threads, each with a descriptor of its own. What joins them is a [`FilmClock`]: the
//! picture tells it when the film began, at each round and after each wait anew, and the sound goes where that puts it.
//! **The picture never waits for the sound.** Where the two are apart, the sound jumps, faded out and in.

use super::{Kind, avi, kind, mp4, open_regular, scaled};
use crate::device::pace::Pace;
use crate::device::samples::{Layout, Reader};
use crate::device::{AudioSource, Fault, FaultKind};
use crate::media::{PERIOD_TIME, Period};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sound this far from its picture jumps there. Sound that is early is noticed from 45 ms on (ITU-R BT.1359); the two
/// threads' clocks are the same, so that only a wait or a new round of the picture makes any difference at all.
const APART_MAX: Duration = Duration::from_millis(20);

/// The most stretches of sound that are indexed: as many as there are pictures at most, 52 MB.
const PIECES_MAX: usize = 2_160_000;

/// When the film began that a camera plays: told by its picture, asked by its sound. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct FilmClock(Arc<AtomicU64>);

impl FilmClock {
    /// The film's beginning was then, or would have been had it never had to wait. It may lie ahead: pictures are read
    /// before they are due.
    pub(super) fn set_start(&self, start: Instant) {
        // 0 is "not begun".
        self.0.store(start.as_nanos().saturating_add(1), Ordering::Relaxed);
    }

    fn start(&self) -> Option<Instant> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Instant::from_nanos)
    }
}

/// A film that a camera plays, for the microphone that is to be its sound.
#[derive(Clone, Debug)]
pub struct FilmTrack {
    /// The file.
    pub path: PathBuf,
    /// What its picture tells.
    pub clock: FilmClock,
}

/// A stretch of PCM in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    offset: u64,
    /// Sample frames before it.
    first: u64,
    /// Its own sample frames; never 0.
    frames: u64,
}

/// Where a film's sound is, and how it is coded.
#[derive(Debug)]
pub(super) struct Pcm {
    layout: Layout,
    big_endian: bool,
    pieces: Vec<Piece>,
}

impl Pcm {
    /// Of stretches, each an offset and a length in bytes, in the order in which they are heard.
    pub fn new(layout: Layout, big_endian: bool, stretches: impl Iterator<Item = (u64, u64)>) -> Pcm {
        let (mut first, mut pieces) = (0u64, Vec::new());
        for (offset, bytes) in stretches.take(PIECES_MAX) {
            let frames = bytes / layout.frame_bytes() as u64;
            if frames > 0 {
                pieces.push(Piece { offset, first, frames });
                first = first.saturating_add(frames);
            }
        }
        Pcm { layout, big_endian, pieces }
    }
}

/// A film's sound in place of a microphone.
#[derive(Debug)]
pub struct FilmSound {
    name: String,
    file: File,
    pcm: Pcm,
    reader: Reader,
    clock: FilmClock,
    pace: Pace,
    /// The beginning that holds now: a later one that was told holds from then on.
    start: Option<Instant>,
    /// The next sample frame, and the piece in which it is, or the one after the last.
    at: u64,
    piece: usize,
    /// Whether the last period was sound, which the next one is to continue.
    is_running: bool,
    bytes: Vec<u8>,
}

impl FilmSound {
    /// Opens a film's sound; `None` where it has none.
    ///
    /// # Errors
    /// As for the film's picture; and unusable, with how to convert it, where the sound is not PCM.
    pub fn open(path: &Path, clock: FilmClock, now: Instant) -> Result<Option<FilmSound>, Fault> {
        let (name, file, head) = open_regular(path)?;
        let pcm = match kind(&name, &head)? {
            Kind::Y4m => None,
            Kind::Avi => avi::sound(&name, &file)?,
            Kind::Mp4 => mp4::sound(&name, &file)?,
        };
        let Some(pcm) = pcm.filter(|pcm| !pcm.pieces.is_empty()) else { return Ok(None) };
        let reader = Reader::new(pcm.layout);
        let bytes = Vec::with_capacity(reader.frames_max() * pcm.layout.frame_bytes());
        Ok(Some(FilmSound {
            name,
            file,
            pcm,
            reader,
            clock,
            pace: Pace::new(now),
            start: None,
            at: 0,
            piece: 0,
            is_running: false,
            bytes,
        }))
    }

    /// The sample frame that belongs to a time; `None` before the film has begun.
    fn place(&mut self, at: Instant) -> Option<u64> {
        let told = self.clock.start().filter(|start| *start <= at);
        self.start = told.or(self.start);
        let since = at.since(self.start?);
        let rate_hz = u128::from(self.pcm.layout.rate_hz);
        u64::try_from(since.as_nanos() * rate_hz / 1_000_000_000).ok()
    }

    /// Whether the next sample frame is too far from where the picture is.
    fn is_apart(&self, place: u64) -> bool {
        scaled(self.at.abs_diff(place), 1, u64::from(self.pcm.layout.rate_hz)) > APART_MAX
    }

    fn seek(&mut self, at: u64) {
        self.at = at;
        self.piece = self.pcm.pieces.partition_point(|piece| piece.first.saturating_add(piece.frames) <= at);
    }

    /// Reads the next `frames` sample frames, as many of them as there are.
    fn gather(&mut self, frames: usize) -> Result<(), Fault> {
        let frame_bytes = self.pcm.layout.frame_bytes() as u64;
        let end = self.at.saturating_add(frames as u64);
        self.bytes.clear();
        while self.at < end
            && let Some(piece) = self.pcm.pieces.get(self.piece)
        {
            let inside = self.at - piece.first;
            let count = (piece.frames - inside).min(end - self.at);
            let from = self.bytes.len();
            self.bytes.resize(from + (count * frame_bytes) as usize, 0);
            match self.file.read_exact_at(&mut self.bytes[from..], piece.offset + inside * frame_bytes) {
                Ok(()) => {}
                // Cut off, or an index that lies: silence.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => self.bytes[from..].fill(0),
                Err(e) => return Err(Fault::new(&self.name, "read its sound (pread)", e)),
            }
            self.at += count;
            self.piece += usize::from(inside + count == piece.frames);
        }
        // Beyond the end there is silence: the picture may go on, or back.
        self.at = end;
        if self.pcm.big_endian {
            self.bytes.chunks_exact_mut(self.pcm.layout.format.bytes()).for_each(<[u8]>::reverse);
        }
        Ok(())
    }
}

impl AudioSource for FilmSound {
    fn name(&self) -> &str {
        &self.name
    }

    fn wait(&self) -> Wait<'_> {
        Wait::until(self.pace.next())
    }

    fn read(&mut self, now: Instant, period: &mut Period) -> Result<Option<Instant>, Fault> {
        let Some(due) = self.pace.due(now) else { return Ok(None) };
        self.pace.step(now);
        let captured_at = due - PERIOD_TIME;
        let Some(place) = self.place(captured_at) else { return Ok(None) };
        let is_apart = self.is_apart(place);
        let is_continued = self.is_running;
        if is_apart && !is_continued {
            self.seek(place);
        }
        self.gather(self.reader.frames())?;
        self.reader.convert(&self.bytes, period);
        // Sound that has to jump fades out first and jumps with the next period.
        self.is_running = !(is_apart && is_continued);
        if !self.is_running {
            fade(period, |share| 1.0 - share);
        } else if !is_continued {
            fade(period, |share| share);
        }
        Ok(Some(captured_at))
    }

    fn xruns(&self) -> u64 {
        self.pace.missed()
    }
}

/// Multiplies a period by a level that goes along it, as its share from 0 to 1 does.
fn fade(period: &mut Period, level: impl Fn(f32) -> f32) {
    let len = period.len() as f32;
    for (i, sample) in period.iter_mut().enumerate() {
        *sample = (f32::from(*sample) * level((i as f32 + 0.5) / len)) as i16;
    }
}

/// A film whose sound cannot be played, why, and what to do about it: the same film, written into a file of that name.
pub(super) fn foreign(name: &str, why: &str, file: &str) -> Fault {
    let remedy =
        format!("{why}; only its picture is played. To hear it too: `ffmpeg -i FILE -c:v copy -c:a pcm_s16le {file}`");
    Fault::plain(FaultKind::Unusable, name, "play its sound", remedy)
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
