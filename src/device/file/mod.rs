//! Films that stand in for a camera: Y4M, AVI with MJPEG, MP4 with H.264, each at its own pace, recognised by content.
//!
//! A film is never loaded whole: its index is read when it is opened, its pictures one by one into the slots that are
//! lent. Its bytes are a stranger's: every number in it is checked before it is believed, and what is not understood is
//! a [`Fault`] that names the file and the remedy. Its sound, where it is PCM, is read by [`FilmSound`], in step with it.
//!
//! Y4M on a pipe is another matter, since whoever writes it sets the pace: see [`Y4mPipe`].

mod avi;
mod bytes;
mod mp4;
mod paced;
mod pipe;
mod sound;
#[cfg(test)]
mod specimen;
#[cfg(test)]
mod tests;
mod y4m;

pub use pipe::Y4mPipe;
pub use sound::{FilmClock, FilmSound, FilmTrack};

use super::camera::SourceCounts;
use super::{Fault, FaultKind, FrameBuffer, VideoSource};
use crate::media::{Size, VideoFormat};
use crate::ring::Lent;
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use core::fmt;
use paced::Paced;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A film being read: three kinds of file, one way to play them.
trait Film {
    /// What its pictures are.
    fn format(&self) -> VideoFormat;

    /// A slot that holds any one of its pictures.
    fn slot(&self) -> FrameBuffer;

    /// Reads the next picture into `slot`, sets `used`, and says when it is due, counted from the film's beginning;
    /// `Next::End` after the last.
    fn next(&mut self, slot: &mut FrameBuffer) -> Result<Next, Fault>;

    /// Goes back to the beginning.
    fn rewind(&mut self) -> Result<(), Fault>;
}

/// What [`Film::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A picture, due then.
    Picture(Duration),
    /// One that cannot be read; the film goes on.
    Broken,
    /// The end, at which the last picture has stood its time.
    End(Duration),
}

/// A film of any kind, playing.
#[derive(Debug)]
pub struct FileSource(Playing);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a station has one camera: a few hundred bytes")]
enum Playing {
    Y4m(Paced<y4m::Y4m>),
    Avi(Paced<avi::Avi>),
    Mp4(Paced<mp4::Mp4>),
}

impl FileSource {
    /// Opens a film and finds out what it is.
    ///
    /// # Errors
    /// Absent where there is no such file, unusable where it is none of the three kinds.
    pub fn open(path: &Path, looped: bool, now: Instant) -> Result<FileSource, Fault> {
        let (name, file, head) = open_regular(path)?;
        Ok(FileSource(match kind(&name, &head)? {
            Kind::Y4m => Playing::Y4m(Paced::new(y4m::Y4m::open(&name, file)?, name, looped, now)),
            Kind::Avi => Playing::Avi(Paced::new(avi::Avi::open(&name, file)?, name, looped, now)),
            Kind::Mp4 => Playing::Mp4(Paced::new(mp4::Mp4::open(&name, file)?, name, looped, now)),
        }))
    }

    /// Tells `clock` from now on when the film began, for its sound to follow.
    pub fn tell(&mut self, clock: FilmClock) {
        match &mut self.0 {
            Playing::Y4m(f) => f.tell(clock),
            Playing::Avi(f) => f.tell(clock),
            Playing::Mp4(f) => f.tell(clock),
        }
    }

    /// Plays a Y4M file that is open already.
    ///
    /// # Errors
    /// Unusable where it is none.
    pub fn open_y4m(name: impl fmt::Display, file: File, looped: bool, now: Instant) -> Result<FileSource, Fault> {
        let name = name.to_string();
        Ok(FileSource(Playing::Y4m(Paced::new(y4m::Y4m::open(&name, file)?, name, looped, now))))
    }

    /// What went wrong with single frames so far.
    pub fn counts(&self) -> SourceCounts {
        match &self.0 {
            Playing::Y4m(f) => f.counts(),
            Playing::Avi(f) => f.counts(),
            Playing::Mp4(f) => f.counts(),
        }
    }
}

impl VideoSource for FileSource {
    fn name(&self) -> &str {
        match &self.0 {
            Playing::Y4m(f) => f.name(),
            Playing::Avi(f) => f.name(),
            Playing::Mp4(f) => f.name(),
        }
    }

    fn format(&self) -> VideoFormat {
        match &self.0 {
            Playing::Y4m(f) => f.format(),
            Playing::Avi(f) => f.format(),
            Playing::Mp4(f) => f.format(),
        }
    }

    fn wait(&self) -> Wait<'_> {
        match &self.0 {
            Playing::Y4m(f) => f.wait(),
            Playing::Avi(f) => f.wait(),
            Playing::Mp4(f) => f.wait(),
        }
    }

    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        match &mut self.0 {
            Playing::Y4m(f) => f.capture(now),
            Playing::Avi(f) => f.capture(now),
            Playing::Mp4(f) => f.capture(now),
        }
    }
}

/// What a film is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Y4m,
    Avi,
    Mp4,
}

/// Bytes by which the kinds are told apart.
const HEAD_BYTES: usize = 12;

/// Opens a film: its name, the file, and how it begins.
fn open_regular(path: &Path) -> Result<(String, File, [u8; HEAD_BYTES]), Fault> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|e| Fault::new(&name, "open it", e))?;
    let regular = file.metadata().map_err(|e| Fault::new(&name, "look at it (fstat)", e))?.is_file();
    if !regular {
        return Err(unusable(&name, "it is no regular file; a pipe is read with y4m:PATH"));
    }
    let mut head = [0; HEAD_BYTES];
    if file.read_exact_at(&mut head, 0).is_err() {
        return Err(unusable(&name, "it is too short to be a film"));
    }
    Ok((name, file, head))
}

fn kind(name: &str, head: &[u8; HEAD_BYTES]) -> Result<Kind, Fault> {
    match head {
        [b'Y', b'U', b'V', b'4', b'M', b'P', b'E', b'G', b'2', ..] => Ok(Kind::Y4m),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' '] => Ok(Kind::Avi),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] | [_, _, _, _, b'm', b'o', b'o', b'v', ..] => Ok(Kind::Mp4),
        _ => {
            let remedy = "it is neither Y4M, nor AVI, nor MP4; turn it into one with \
                          `ffmpeg -i FILE -c:v libx264 -c:a pcm_s16le film.mov`";
            Err(unusable(name, remedy))
        }
    }
}

/// A film that cannot be played, and what to do about it.
fn unusable(name: &str, remedy: impl Into<String>) -> Fault {
    Fault::plain(FaultKind::Unusable, name, "play it", remedy)
}

/// Whether the station's rooms take pictures of this size.
fn check_size(name: &str, size: Size) -> Result<(), Fault> {
    if (16..=4096).contains(&size.width) && (16..=4096).contains(&size.height) {
        return Ok(());
    }
    Err(unusable(name, format!("its pictures are {size}; both sides have to lie between 16 and 4096")))
}

/// `count` units of `scale / rate` seconds, without overflow.
fn scaled(count: u64, scale: u64, rate: u64) -> Duration {
    let nanos = (u128::from(count) * u128::from(scale)).saturating_mul(1_000_000_000) / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
