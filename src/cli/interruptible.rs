//! Work that goes on until it ends by itself or a signal asks for its end.

use super::Failure;
use crate::sys::poll;
use crate::sys::tty;
use crate::sys::wake::Stop;
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// SIGINT and SIGTERM, taken over from the moment that this was made.
pub(super) struct Interruptible {
    signals: UnixStream,
    stop: Stop,
    ended: Stop,
}

impl Interruptible {
    /// Takes the signals over.
    pub fn new() -> Result<Interruptible, Failure> {
        let stop = || Stop::new().map_err(|error| Failure::io("make an eventfd", &error));
        let signals = tty::interrupts().map_err(|error| Failure::io("take over signals", &error))?;
        Ok(Interruptible { signals, stop: stop()?, ended: stop()? })
    }

    /// Does `work`, which ends soon after it is told to stop.
    pub fn run<T>(&self, work: impl FnOnce(&Stop) -> T) -> T {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut fds = [self.signals.as_fd(), self.ended.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
                // Without a wait there is nothing better to do than to end.
                let _ = poll::wait(&mut fds, None);
                self.stop.stop();
            });
            let done = work(&self.stop);
            self.ended.stop();
            done
        })
    }
}
