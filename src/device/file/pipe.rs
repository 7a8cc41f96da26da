//! Y4M on a pipe: a camera made of another program, which sets the pace.

use super::unusable;
use super::y4m::{Header, LINE_MAX, is_frame_line};
use crate::device::{Fault, FaultKind, FrameBuffer, VideoSource};
use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};
use crate::ring::{Claim, Lent, Pool};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::readv;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Being read, waiting in the mailbox, being encoded, just lent.
const SLOTS: usize = 4;

/// Asked for as the pipe's own buffer, so that a 640x480 picture passes in one or two reads instead of eight: what
/// /proc/sys/fs/pipe-max-size allows to anybody.
const PIPE_BYTES: i32 = 1 << 20;

/// `FRAME` and its newline: the shortest line between two pictures. Reading this much past a picture never reads into
/// the next one, so every sample goes from the pipe straight into its slot.
const FRAME_LINE: usize = 6;
/// `YUV4MPEG2` and a space: a first line is never shorter.
const FIRST_LINE: usize = 10;

/// Where all slots are lent: look again after this, well within a frame time.
const STARVED_PAUSE: Duration = Duration::from_millis(5);

/// Y4M from a pipe, read as it comes and never further than it has come.
///
/// A picture's time is that at which its last byte was there: whoever writes it has no earlier one to give, and before
/// that nobody could have shown it.
#[derive(Debug)]
pub struct Y4mPipe {
    name: String,
    file: File,
    /// After the first line.
    stream: Option<Stream>,
    /// The line being read.
    line: heapless::Vec<u8, LINE_MAX>,
    /// The picture being read, and how much of it is there.
    filling: Option<(Claim<FrameBuffer>, usize)>,
    /// Whether a picture is what comes next.
    in_picture: bool,
    starved_until: Option<Instant>,
    sequence: u32,
}

#[derive(Debug)]
struct Stream {
    header: Header,
    pool: Pool<FrameBuffer>,
}

impl Y4mPipe {
    /// Standard input, or the file that it is.
    pub(in crate::device) fn stdin() -> Result<Result<Y4mPipe, File>, Fault> {
        let name = "standard input";
        let fd = io::stdin().as_fd().try_clone_to_owned().map_err(|e| Fault::new(name, "open it (dup)", e))?;
        Y4mPipe::new(name.into(), fd.into())
    }

    /// A named pipe, or the file that it is.
    pub(in crate::device) fn open(path: &Path) -> Result<Result<Y4mPipe, File>, Fault> {
        let name = path.display().to_string();
        // Opening a named pipe waits for a writer, if it is allowed to.
        let flags = nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        Y4mPipe::new(name.clone(), file.map_err(|e| Fault::new(&name, "open it", e))?)
    }

    fn new(name: String, file: File) -> Result<Result<Y4mPipe, File>, Fault> {
        if file.metadata().map_err(|e| Fault::new(&name, "look at it (fstat)", e))?.is_file() {
            return Ok(Err(file));
        }
        // A wish only: a terminal or a socket has no such buffer, and a user may have used up the allowance.
        let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(Ok(Y4mPipe {
            name,
            file,
            stream: None,
            line: heapless::Vec::new(),
            filling: None,
            in_picture: false,
            starved_until: None,
            sequence: 0,
        }))
    }

    fn fault(&self, error: impl Into<io::Error>) -> Fault {
        Fault::new(&self.name, "read it", error)
    }

    fn ended(&self) -> Fault {
        let whole = self.line.is_empty() && !self.in_picture;
        let remedy = if whole { "its writer has closed it" } else { "its writer has closed it in the middle" };
        Fault::plain(FaultKind::Ended, &self.name, "play on", remedy)
    }

    /// Whether a read would not block. It is asked every time, since making a standard input that others share
    /// non-blocking would make it so for them too.
    fn is_readable(&self) -> Result<bool, Fault> {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(n) => Ok(n > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(e) => Err(self.fault(e)),
        }
    }

    /// Reads on in a line, no further than it is sure to reach, and acts on it at its end.
    fn read_line(&mut self) -> Result<(), Fault> {
        let least = if self.stream.is_some() { FRAME_LINE } else { FIRST_LINE };
        let mut buffer = [0; FIRST_LINE];
        let want = least.saturating_sub(self.line.len()).max(1);
        let got = readv(&self.file, &mut [IoSliceMut::new(&mut buffer[..want])]).map_err(|e| self.fault(e))?;
        if got == 0 {
            return Err(self.ended());
        }
        self.take_line_bytes(&buffer[..got])
    }

    fn take_line_bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.line.extend_from_slice(bytes).is_err() {
            return Err(unusable(&self.name, "a line in it does not end; it is no Y4M"));
        }
        let Some(line) = self.line.strip_suffix(b"\n") else { return Ok(()) };
        if self.stream.is_some() {
            if !is_frame_line(line) {
                return Err(unusable(&self.name, "its pictures do not begin where its first line says"));
            }
            self.in_picture = true;
        } else {
            let header = Header::parse(&self.name, line)?;
            let pool = Pool::new((0..SLOTS).map(|_| header.slot()));
            self.stream = Some(Stream { header, pool });
        }
        self.line.clear();
        Ok(())
    }

    /// Reads on in a picture, straight into its slot, and with it the shortest line that can follow.
    fn read_picture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let (mut claim, have) = match self.filling.take() {
            Some(filling) => filling,
            None => match stream.pool.claim() {
                Some(claim) => (claim, 0),
                None => {
                    self.starved_until = Some(now + STARVED_PAUSE);
                    return Ok(None);
                }
            },
        };
        let whole = stream.header.frame_bytes();
        let mut next_line = [0; FRAME_LINE];
        let mut parts = [IoSliceMut::new(&mut claim.bytes_mut()[have..whole]), IoSliceMut::new(&mut next_line)];
        let got = readv(&self.file, &mut parts).map_err(|e| self.fault(e))?;
        if got == 0 {
            return Err(self.ended());
        }
        if have + got < whole {
            self.filling = Some((claim, have + got));
            return Ok(None);
        }
        self.in_picture = false;
        let ahead = have + got - whole;
        // What is wrong with the line that follows is met after this picture has been lent.
        let _ = self.line.extend_from_slice(&next_line[..ahead]);
        claim.used = claim.bytes_mut().len();
        claim.captured_at = now;
        claim.sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(Some(claim.lend()))
    }
}

impl VideoSource for Y4mPipe {
    fn name(&self) -> &str {
        &self.name
    }

    /// Before the first line has come, a guess; each frame carries what it really is.
    fn format(&self) -> VideoFormat {
        let unknown = VideoFormat {
            pixel: PixelFormat::I420,
            size: Size::new(640, 480),
            stride_bytes: 640,
            range: ColourRange::Limited,
            millihertz: 0,
        };
        self.stream.as_ref().map_or(unknown, |s| s.header.format())
    }

    fn wait(&self) -> Wait<'_> {
        match self.starved_until {
            Some(at) => Wait::until(at),
            None => Wait::readable(self.file.as_fd()),
        }
    }

    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        self.starved_until = None;
        loop {
            // A line that was read whole together with the picture before it.
            if self.line.ends_with(b"\n") {
                self.take_line_bytes(&[])?;
            }
            if !self.is_readable()? {
                return Ok(None);
            }
            if !self.in_picture {
                self.read_line()?;
                continue;
            }
            let lent = self.read_picture(now)?;
            if lent.is_some() || self.starved_until.is_some() {
                return Ok(lent);
            }
        }
    }
}
