//! The `y4m:` screen: pictures as a YUV4MPEG2 stream, to a file, a pipe or standard output.
//!
//! One frame is one system call where the other end keeps up. **A slow reader never blocks**: what the pipe did not take
//! is kept and sent as it drains, and meanwhile no other picture is accepted, so that the newest wins upstream. A stream
//! has one size, that of its first picture; others are letterboxed into it.

use super::blit::{Blit, PlanarTarget};
use super::{Fault, FaultKind, VideoSink};
use crate::media::{ColourRange, Picture, Size};
use crate::sys::poll::Wait;
use crate::time::Instant;
use core::fmt;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;

/// Starts each frame of a YUV4MPEG2 stream.
const FRAME_MARK: &[u8] = b"FRAME\n";

/// Where the stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Y4mTarget {
    /// Standard output.
    Stdout,
    /// A file, which is overwritten, or a named pipe.
    Path(PathBuf),
}

impl fmt::Display for Y4mTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Y4mTarget::Stdout => f.write_str("y4m:-"),
            Y4mTarget::Path(path) => write!(f, "y4m:{}", path.display()),
        }
    }
}

/// A YUV4MPEG2 stream, 4:2:0.
#[derive(Debug)]
pub struct Y4mSink {
    name: String,
    file: File,
    /// Flags to put back on a description that we share with others.
    restore: Option<OFlag>,
    is_pipe: bool,
    /// Whether its end is ours alone to see: a reader of standard output that has gone does not come back.
    is_stdout: bool,
    size: Option<Size>,
    /// What precedes a frame's samples: its mark, and for the first one the head of the stream.
    mark: Vec<u8>,
    /// The frame that is built here where it cannot be written out of the picture itself.
    frame: Vec<u8>,
    /// The part of `frame` that the reader has not taken yet.
    unsent: core::ops::Range<usize>,
    blit: Blit,
    shown_at: Option<Instant>,
}

impl Y4mSink {
    /// Opens the file or pipe; nothing is written before the first picture.
    ///
    /// # Errors
    /// A fault of kind [`FaultKind::Absent`] for a named pipe that nobody reads yet, and what opening says.
    pub fn open(target: &Y4mTarget) -> Result<Y4mSink, Fault> {
        let name = target.to_string();
        let fault = |error| Fault::new(&name, "open the stream (open)", error);
        let (file, restore) = match target {
            Y4mTarget::Stdout => stdout(&name)?,
            Y4mTarget::Path(path) => {
                let mut options = OpenOptions::new();
                let options = options.write(true).create(true).truncate(true).custom_flags(OFlag::O_NONBLOCK.bits());
                (options.open(path).map_err(fault)?, None)
            }
        };
        let is_pipe = file.metadata().map_err(fault)?.file_type().is_fifo();
        Ok(Y4mSink {
            is_stdout: *target == Y4mTarget::Stdout,
            name,
            file,
            restore,
            is_pipe,
            size: None,
            mark: Vec::new(),
            frame: Vec::new(),
            unsent: 0..0,
            blit: Blit::default(),
            shown_at: None,
        })
    }

    fn fault(&self, error: io::Error) -> Fault {
        let fault = Fault::new(&self.name, "write a frame (write)", error);
        match fault.errno {
            Some(Errno::EPIPE) if self.is_stdout => {
                Fault { kind: FaultKind::Ended, remedy: "its reader has gone".into(), ..fault }
            }
            // Opening again would overwrite what is there.
            Some(Errno::ENOSPC | Errno::EFBIG | Errno::EDQUOT) => Fault { kind: FaultKind::Ended, ..fault },
            _ => fault,
        }
    }

    /// Prepares the stream's head and makes room for one whole frame in the pipe, so that a reader that keeps up gets each
    /// by one call; not for more, since what lies in a pipe grows old.
    fn begin(&mut self, picture: &Picture) {
        let size = picture.size();
        let range = match picture.range {
            ColourRange::Limited => "LIMITED",
            ColourRange::Full => "FULL",
        };
        // The nominal rate: a live stream's frames come when they come, and a reader measures for itself.
        let (width, height) = (size.width, size.height);
        self.mark = format!("YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg XCOLORRANGE={range}\n").into_bytes();
        self.mark.extend_from_slice(FRAME_MARK);
        let bytes = self.mark.len() + size.pixels() + 2 * size.chroma().pixels();
        if self.is_pipe {
            // Refused beyond /proc/sys/fs/pipe-max-size; the frame then goes in parts.
            let _ = fcntl(&self.file, FcntlArg::F_SETPIPE_SZ(i32::try_from(bytes).unwrap_or(i32::MAX)));
        }
        self.frame.reserve_exact(bytes);
        self.size = Some(size);
    }

    /// Writes as much of the frame as is taken now, straight out of the picture; keeps a copy of the rest.
    fn send_planes(&mut self, planes: [&[u8]; 3]) -> Result<(), Fault> {
        let parts = [self.mark.as_slice(), planes[0], planes[1], planes[2]];
        let taken = written((&self.file).write_vectored(&parts.map(IoSlice::new))).map_err(|e| self.fault(e))?;
        let mut skip = taken;
        self.frame.clear();
        for part in parts {
            let skipped = skip.min(part.len());
            self.frame.extend_from_slice(&part[skipped..]);
            skip -= skipped;
        }
        self.unsent = 0..self.frame.len();
        Ok(())
    }

    /// Builds the frame row by row where its rows are padded, or scaled where its size differs from the stream's.
    fn build(&mut self, picture: &Picture, size: Size) {
        let (luma, chroma) = (size.pixels(), size.chroma().pixels());
        self.frame.clear();
        self.frame.extend_from_slice(&self.mark);
        self.frame.resize(self.mark.len() + luma + 2 * chroma, 0);
        let (y, uv) = self.frame[self.mark.len()..].split_at_mut(luma);
        let (u, v) = uv.split_at_mut(chroma);
        let widths = [size.width as usize, size.chroma().width as usize];
        self.blit
            .planes(picture, &mut PlanarTarget { size, planes: [y, u, v], strides: [widths[0], widths[1], widths[1]] });
        self.unsent = 0..self.frame.len();
    }

    /// Sends what is left of the frame, as far as it is taken now.
    fn send_rest(&mut self, now: Instant) -> Result<(), Fault> {
        while !self.unsent.is_empty() {
            match written((&self.file).write(&self.frame[self.unsent.clone()])).map_err(|e| self.fault(e))? {
                0 => return Ok(()),
                taken => self.unsent.start += taken,
            }
        }
        self.shown_at = Some(now);
        Ok(())
    }
}

/// How much was taken; a full pipe takes nothing.
fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        other => other,
    }
}

/// Standard output, not blocking, and the flags to put back.
///
/// A pipe is opened anew through /proc, since O_NONBLOCK belongs to the open description, which the shell and other
/// programs share; only where that fails is the shared one changed, and put back by the drop.
fn stdout(name: &str) -> Result<(File, Option<OFlag>), Fault> {
    let fault = |error| Fault::new(name, "open standard output (open)", error);
    let shared = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(fault)?);
    let kind = shared.metadata().map_err(fault)?.file_type();
    if kind.is_char_device() && nix::unistd::isatty(&shared).unwrap_or(false) {
        let remedy = "it is a terminal; send it to a file or a program: `> shown.y4m` or `| mpv -`";
        return Err(Fault::plain(FaultKind::Unusable, name, "write pictures to standard output", remedy));
    }
    if kind.is_fifo() {
        let anew = OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/proc/self/fd/1");
        if let Ok(file) = anew {
            return Ok((file, None));
        }
    }
    let flags = OFlag::from_bits_retain(fcntl(&shared, FcntlArg::F_GETFL).map_err(|errno| fault(errno.into()))?);
    fcntl(&shared, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map_err(|errno| fault(errno.into()))?;
    Ok((shared, Some(flags)))
}

impl VideoSink for Y4mSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> Option<Size> {
        None
    }

    fn wait(&self) -> Wait<'_> {
        let fd = (!self.unsent.is_empty()).then(|| (self.file.as_fd(), PollFlags::POLLOUT));
        Wait { fd, at: self.shown_at }
    }

    fn is_ready(&self) -> bool {
        self.unsent.is_empty() && self.shown_at.is_none()
    }

    fn show(&mut self, picture: &Picture, now: Instant) -> Result<(), Fault> {
        if self.size.is_none() {
            self.begin(picture);
        }
        let size = self.size.unwrap_or(picture.size());
        if picture.size() == size && picture.stride_bytes() == size.width as usize {
            self.send_planes(picture.planes().map(|plane| plane.data))?;
        } else {
            self.build(picture, size);
        }
        if self.mark.len() > FRAME_MARK.len() {
            self.mark.drain(..self.mark.len() - FRAME_MARK.len());
        }
        self.send_rest(now)
    }

    fn finish(&mut self, now: Instant) -> Result<Option<Instant>, Fault> {
        if !self.unsent.is_empty() {
            self.send_rest(now)?;
        }
        Ok(self.shown_at.take())
    }
}

impl Drop for Y4mSink {
    fn drop(&mut self) {
        if let Some(flags) = self.restore {
            // It fails only where the descriptor is gone, and then there is nothing to put back.
            let _ = fcntl(&self.file, FcntlArg::F_SETFL(flags));
        }
    }
}

#[cfg(test)]
#[path = "y4m_sink_tests.rs"]
mod tests;
