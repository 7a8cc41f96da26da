//! WAV files and streams in place of a microphone and a loudspeaker.
//!
//! Both keep the pace of a sound card by a timer. A pipe is only read when the kernel has something and only written when
//! it has room, so that neither ever blocks; a disk file is taken to be quick.

use super::pace::Pace;
use super::samples::Reader;
use super::wav_header::{HEADER_BYTES, HEADER_MAX, Header, header, parse};
use super::{AudioSink, AudioSource, Fault, FaultKind};
use crate::media::{PERIOD, PERIOD_TIME, Period};
use crate::sys::clock;
use crate::sys::poll::{self, Wait};
use crate::time::Instant;
use nix::poll::{PollFd, PollFlags};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Bytes asked of the kernel at once: a third of a second of 48 kHz S16, so that a file costs three reads a second.
const READ_BYTES: usize = 32 * 1024;

/// Periods between two updates of a file's header: a program that is killed leaves a file that lacks a second at most.
const PATCH_PERIODS: u64 = 100;

fn fault(name: &str, doing: &'static str, error: std::io::Error) -> Fault {
    Fault::new(name, doing, error)
}

/// A copy of one of the standard streams as a file of its own.
fn standard(stream: impl AsFd, name: &str) -> Result<File, Fault> {
    let copy: std::io::Result<OwnedFd> = stream.as_fd().try_clone_to_owned();
    copy.map(File::from).map_err(|e| fault(name, "use the standard stream (dup)", e))
}

/// Whether `file` is ready for `event` without a wait. Disk files always are.
fn is_ready(file: &File, event: PollFlags) -> bool {
    let mut fds = [PollFd::new(file.as_fd(), event)];
    // With a deadline that has passed this only looks.
    poll::wait(&mut fds, Some(clock::now())).is_ok() && poll::is_ready(&fds[0])
}

/// A WAV file or stream that is played as if a microphone heard it.
#[derive(Debug)]
pub struct WavSource {
    name: String,
    file: File,
    /// Began anew at its end.
    looped: bool,
    pace: Pace,
    /// The header, once it is all there, and what converts the sound after it.
    sound: Option<(Header, Reader)>,
    /// Read and not yet used.
    bytes: Vec<u8>,
    used: usize,
    /// Bytes of sound taken since the header.
    taken: u64,
    ended: bool,
}

impl WavSource {
    /// Opens a file, or standard input for `-`. The header of a file is read at once.
    ///
    /// # Errors
    /// A [`Fault`]: it cannot be opened, or is no WAV file that can be played.
    pub fn open(path: &Path, looped: bool, now: Instant) -> Result<WavSource, Fault> {
        let name = format!("wav:{}", path.display());
        let from_stdin = path.as_os_str() == "-";
        let file = if from_stdin {
            standard(std::io::stdin(), &name)?
        } else {
            File::open(path).map_err(|e| fault(&name, "open it (open)", e))?
        };
        let mut source = WavSource {
            name,
            file,
            looped: looped && !from_stdin,
            pace: Pace::new(now),
            sound: None,
            bytes: Vec::with_capacity(2 * READ_BYTES),
            used: 0,
            taken: 0,
            ended: false,
        };
        while !from_stdin && source.sound.is_none() && source.fill()? {
            source.parse_header()?;
        }
        Ok(source)
    }

    fn unusable(&self, why: impl Into<String>) -> Fault {
        Fault::plain(FaultKind::Unusable, &self.name, "play it", why)
    }

    /// Reads what is there; false where nothing is, or its end has come.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.ended || !is_ready(&self.file, PollFlags::POLLIN) {
            return Ok(false);
        }
        self.bytes.drain(..self.used);
        self.used = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + READ_BYTES, 0);
        let read = self.file.read(&mut self.bytes[before..]);
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.ended = true;
                if self.sound.is_none() {
                    return Err(self.unusable("it ends within its header"));
                }
                Ok(false)
            }
            Ok(_) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Ok(false),
            Err(e) => Err(fault(&self.name, "read it (read)", e)),
        }
    }

    fn parse_header(&mut self) -> Result<(), Fault> {
        match parse(&self.bytes).map_err(|why| self.unusable(why))? {
            Some(header) => {
                self.used = header.data_at;
                let reader = Reader::new(header.layout);
                let most = 2 * READ_BYTES + reader.frames_max() * header.layout.frame_bytes();
                self.bytes.reserve(most.saturating_sub(self.bytes.len()));
                self.sound = Some((header, reader));
                Ok(())
            }
            None if self.bytes.len() > HEADER_MAX => Err(self.unusable("its header has no end")),
            None => Ok(()),
        }
    }

    /// Bytes that the next period takes, of those the file still has.
    fn wanted(&self) -> Option<usize> {
        let (header, reader) = self.sound.as_ref()?;
        let whole = (reader.frames() * header.layout.frame_bytes()) as u64;
        let left = header.data_bytes.map_or(u64::MAX, |all| all.saturating_sub(self.taken));
        Some(whole.min(left) as usize)
    }

    /// Back to the first sample.
    fn rewind(&mut self) -> Result<(), Fault> {
        let Some((header, _)) = &self.sound else { return Ok(()) };
        let start = SeekFrom::Start(header.data_at as u64);
        self.file.seek(start).map_err(|e| fault(&self.name, "begin it anew (lseek)", e))?;
        self.bytes.clear();
        (self.used, self.taken, self.ended) = (0, 0, false);
        Ok(())
    }

    /// Makes sure that a period's bytes are there; how many they are. `None`: they have yet to come.
    fn gather(&mut self) -> Result<Option<usize>, Fault> {
        if self.sound.is_none() {
            self.fill()?;
            self.parse_header()?;
        }
        let Some(mut wanted) = self.wanted() else { return Ok(None) };
        while self.bytes.len() - self.used < wanted && self.fill()? {}
        let mut there = (self.bytes.len() - self.used).min(wanted);
        if there == 0 && self.looped && (wanted == 0 || self.ended) && self.taken > 0 {
            self.rewind()?;
            wanted = self.wanted().unwrap_or(0);
            self.fill()?;
            there = (self.bytes.len() - self.used).min(wanted);
        }
        if there == wanted && wanted > 0 || self.ended && there > 0 {
            return Ok(Some(there));
        }
        if wanted == 0 || self.ended {
            return Err(Fault::plain(FaultKind::Ended, &self.name, "play on", "it has come to its end"));
        }
        Ok(None)
    }
}

impl AudioSource for WavSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn wait(&self) -> Wait<'_> {
        Wait::until(self.pace.next())
    }

    fn read(&mut self, now: Instant, period: &mut Period) -> Result<Option<Instant>, Fault> {
        let Some(due) = self.pace.due(now) else { return Ok(None) };
        let gathered = self.gather();
        // A pipe that is late is waited for a period at a time, and what then comes is as old as it is read.
        self.pace.step(now);
        let Some(bytes) = gathered? else { return Ok(None) };
        let Some((_, reader)) = &mut self.sound else { return Ok(None) };
        reader.convert(&self.bytes[self.used..self.used + bytes], period);
        self.used += bytes;
        self.taken += bytes as u64;
        Ok(Some(due - PERIOD_TIME))
    }

    fn xruns(&self) -> u64 {
        self.pace.missed()
    }
}

/// A WAV file or stream that takes what a loudspeaker would play: 48 kHz mono S16.
#[derive(Debug)]
pub struct WavSink {
    name: String,
    file: File,
    to_stdout: bool,
    pace: Pace,
    periods: u64,
    dropped: u64,
}

impl WavSink {
    /// Makes the file, or takes standard output for `-`.
    ///
    /// # Errors
    /// A [`Fault`]: it cannot be made or written.
    pub fn create(path: &Path, now: Instant) -> Result<WavSink, Fault> {
        let name = format!("wav:{}", path.display());
        let to_stdout = path.as_os_str() == "-";
        let file = if to_stdout {
            standard(std::io::stdout(), &name)?
        } else {
            File::create(path).map_err(|e| fault(&name, "make it (open)", e))?
        };
        let mut sink = WavSink { name, file, to_stdout, pace: Pace::new(now), periods: 0, dropped: 0 };
        let first = header(if to_stdout { None } else { Some(0) });
        sink.file.write_all(&first).map_err(|e| sink.written(e))?;
        Ok(sink)
    }

    fn written(&self, error: std::io::Error) -> Fault {
        let mut fault = fault(&self.name, "write to it (write)", error);
        if fault.errno == Some(nix::errno::Errno::EPIPE) {
            // Whoever read standard output has gone and will not be back.
            fault.kind = FaultKind::Ended;
        }
        fault
    }

    /// Makes the header say how much sound there is by now.
    fn patch(&mut self) -> std::io::Result<()> {
        if self.to_stdout {
            return Ok(());
        }
        let bytes = self.periods * (PERIOD * 2) as u64;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(Some(bytes)))?;
        self.file.seek(SeekFrom::Start(HEADER_BYTES as u64 + bytes)).map(|_| ())
    }
}

impl AudioSink for WavSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn wait(&self) -> Wait<'_> {
        Wait::until(self.pace.next())
    }

    fn due(&mut self, now: Instant) -> Result<bool, Fault> {
        Ok(self.pace.due(now).is_some())
    }

    fn write(&mut self, now: Instant, period: &Period) -> Result<Instant, Fault> {
        let due = self.pace.next();
        self.pace.step(now);
        // A pipe that polls writable has PIPE_BUF (4 KiB) of room, and a period is less than a quarter of it.
        if self.to_stdout && !is_ready(&self.file, PollFlags::POLLOUT) {
            self.dropped += 1;
            return Ok(due);
        }
        let mut bytes = [0; PERIOD * 2];
        for (to, sample) in bytes.chunks_exact_mut(2).zip(period) {
            to.copy_from_slice(&sample.to_le_bytes());
        }
        self.file.write_all(&bytes).map_err(|e| self.written(e))?;
        self.periods += 1;
        if self.periods.is_multiple_of(PATCH_PERIODS) {
            self.patch().map_err(|e| self.written(e))?;
        }
        Ok(due)
    }

    fn xruns(&self) -> u64 {
        self.pace.missed() + self.dropped
    }
}

impl Drop for WavSink {
    fn drop(&mut self) {
        // Nobody is left to be told; the file then lacks its last second.
        let _ = self.patch();
    }
}

#[cfg(test)]
#[path = "wav_tests.rs"]
mod tests;
