//! One program under measurement: its pipes, its CPU time, its memory, its end.

use crate::Result;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a user without privileges may ask of a pipe (`/proc/sys/fs/pipe-max-size`).
const UNPRIVILEGED_PIPE_BYTES: usize = 1 << 20;

/// A running program. Dropping it ends it.
pub struct Program {
    child: Child,
    pid: Pid,
    log: PathBuf,
}

/// Which pipes a program gets, and how many bytes each should hold; without one it gets /dev/null.
#[derive(Clone, Copy, Default)]
pub struct Pipes {
    /// Standard input.
    pub input_bytes: Option<usize>,
    /// Standard output.
    pub output_bytes: Option<usize>,
}

/// Our ends of a program's pipes.
pub struct Ends {
    /// Feeds its standard input.
    pub input: Option<PipeWriter>,
    /// What it says on standard output.
    pub output: Option<PipeReader>,
}

impl Program {
    /// Starts `command` with its error output in `log`.
    pub fn start(command: &mut Command, pipes: Pipes, log: &Path) -> Result<(Program, Ends)> {
        let (mut input, mut output) = (None, None);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?);
        if let Some(bytes) = pipes.input_bytes {
            let (reader, writer) = pipe()?;
            grow(&writer, bytes);
            command.stdin(reader);
            input = Some(writer);
        }
        if let Some(bytes) = pipes.output_bytes {
            let (reader, writer) = pipe()?;
            grow(&writer, bytes);
            command.stdout(writer);
            output = Some(reader);
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().map_err(|e| format!("start {name}: {e}"))?;
        // The child's ends must not stay open here, or nobody would ever see the end of a stream.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let pid = Pid::from_raw(child.id() as i32);
        Ok((Program { child, pid, log: log.to_owned() }, Ends { input, output }))
    }

    /// CPU time of all its threads since its start, to the nanosecond.
    pub fn cpu(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(self.pid).map_err(|e| self.because(&format!("CPU clock: {e}")))?;
        Ok(Duration::from(clock_gettime(clock)?))
    }

    /// The most memory that was ever resident, in KiB.
    pub fn peak_resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()).ok_or_else(|| self.because("it has ended"))?;
        Ok(peak.parse::<u64>()?)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(self.pid, signal).map_err(|e| self.because(&format!("signal: {e}")))?)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(self.because(&status.to_string()).into()) }
    }

    /// Asks it to end, and makes it after 3 s.
    pub fn stop(mut self) {
        let _ = self.signal(Signal::SIGINT);
        let deadline = Instant::now() + Duration::from_secs(3);
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `reason`, and the last lines of its error output, which say more.
    pub fn because(&self, reason: &str) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines[lines.len().saturating_sub(3)..].join(" | ");
        format!("{reason} ({}: {tail})", self.log.display())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a program that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a pipe hold `bytes`, or as much as this user may have. The kernel rounds up to a power of two pages.
fn grow(pipe: impl AsFd, bytes: usize) {
    let ask = |bytes: usize| fcntl(pipe.as_fd(), FcntlArg::F_SETPIPE_SZ(bytes as i32));
    if ask(bytes).is_err() {
        // A smaller pipe makes the feeder wait within a frame, which the definition of latency allows.
        let _ = ask(UNPRIVILEGED_PIPE_BYTES);
    }
}
