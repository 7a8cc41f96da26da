//! The program's process: found, started with its pipes, and ended.
//!
//! It dies with us: the kernel kills it when the thread that started it ends, however that came about. It is in a process
//! group of its own, so that whatever it starts is ended with it.

use crate::sys::{clock, poll, process};
use crate::time::Duration;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access, getppid, pipe2};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Its names: the second is that of Raspberry Pi OS before Bookworm.
const PROGRAMS: [&str; 2] = ["rpicam-vid", "libcamera-vid"];

/// Asked for as the picture pipe's own buffer, so that a 640x480 picture passes in one or two reads instead of eight: what
/// /proc/sys/fs/pipe-max-size allows to anybody.
const PIPE_BYTES: i32 = 1 << 20;

/// A killed process is gone in milliseconds. One that a driver does not let go is left to itself after this: the capture
/// thread must move on.
const END_PATIENCE: Duration = Duration::from_millis(500);

/// The program, where it is installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let at = |name: &'static str| std::env::split_paths(&path).map(move |folder| folder.join(name));
    PROGRAMS.into_iter().flat_map(at).find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
}

/// The program, running.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    /// Ready when the process has ended.
    handle: OwnedFd,
    name: String,
    /// Its standard output. This and the other pipes do not block.
    pub pictures: OwnedFd,
    /// What it writes into the file that it was told.
    pub records: OwnedFd,
    /// Its standard error.
    pub words: OwnedFd,
    /// Ready when one of the pipes is.
    any: Epoll,
}

impl Child {
    /// Starts `program` with the arguments made of the name of the file that records are to be written into.
    ///
    /// # Errors
    /// What the kernel says to the pipes, to fork(2) and to execve(2).
    pub(super) fn start(program: &Path, arguments: impl FnOnce(&str) -> Vec<String>) -> io::Result<Child> {
        let (records, inherited) = pipe2(OFlag::O_CLOEXEC)?;
        let number = inherited.as_raw_fd();
        let mut command = Command::new(program);
        command.args(arguments(&format!("/proc/self/fd/{number}"))).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let parent = Pid::this();
        // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock taken.
        unsafe { command.pre_exec(move || prepare(number, parent)) };
        let mut process = command.spawn()?;
        let (Some(pictures), Some(words)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(io::Error::other("its output is not piped"));
        };
        let (pictures, words): (OwnedFd, OwnedFd) = (pictures.into(), words.into());
        // Made before anything can fail, so that the process is ended on every way out.
        let handle = process::handle(process.id());
        let any = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        let (handle, any) = match (handle, any) {
            (Ok(handle), Ok(any)) => (handle, any),
            (handle, any) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(handle.err().or(any.err().map(Into::into)).unwrap_or_else(io::Error::last_os_error));
            }
        };
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let child = Child { process, handle, name, pictures, records, words, any };
        child.set_up_pipes()?;
        Ok(child)
    }

    fn set_up_pipes(&self) -> io::Result<()> {
        for pipe in [&self.pictures, &self.records, &self.words] {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            self.any.add(pipe, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        }
        // A wish only: a user may have used up the allowance.
        let _ = fcntl(&self.pictures, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(())
    }

    /// What the installer knows it by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its process.
    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Readable when one of the pipes is.
    pub(super) fn any(&self) -> BorrowedFd<'_> {
        self.any.0.as_fd()
    }

    /// Whether there is something to read of pictures.
    pub(super) fn has_picture_bytes(&self) -> bool {
        let mut pipe = [PollFd::new(self.pictures.as_fd(), PollFlags::POLLIN)];
        nix::poll::poll(&mut pipe, PollTimeout::ZERO).is_ok()
            && pipe[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
    }

    /// No longer waits for this pipe: it is closed, and would be ready for ever.
    pub(super) fn forget(&self, pipe: &OwnedFd) {
        // It may be forgotten already.
        let _ = self.any.delete(pipe);
    }

    /// Ends it, if it has not ended, with all that it started; how it ended, where it is gone by now.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        // Once it is reaped, its number may be another's.
        if let Ok(Some(status)) = self.process.try_wait() {
            return Some(status);
        }
        let _ = killpg(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL);
        let mut handle = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
        let _ = poll::wait(&mut handle, Some(clock::now() + END_PATIENCE));
        let status = self.process.try_wait().ok().flatten();
        if status.is_none() {
            tracing::warn!(device = "camera", "{}: killed, and not gone yet: a driver holds it", self.name);
        }
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// In the new process, before the program: it keeps the pipe for records, and dies with the thread that started it.
fn prepare(records: RawFd, parent: Pid) -> io::Result<()> {
    // SAFETY: the number is that of the pipe's end, which the parent keeps open until the program runs.
    if unsafe { libc::fcntl(records, libc::F_SETFD, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    set_pdeathsig(Signal::SIGKILL)?;
    // It may have died in between, and would not be noticed any more.
    if getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}
