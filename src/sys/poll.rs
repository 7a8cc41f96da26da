//! Waiting for whichever comes first: a file descriptor or a deadline.

use crate::time::Instant;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::BorrowedFd;

/// Waits until one of `fds` is ready or the clock reaches `until` (`None`: for ever).
///
/// # Errors
/// What `ppoll(2)` fails with, but for EINTR, after which it waits on: EINVAL or ENOMEM, which a running station does
/// not meet.
pub fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) -> std::io::Result<()> {
    loop {
        let timeout = until.map(|until| TimeSpec::from(until.since(super::clock::now())));
        match ppoll(fds, timeout, None) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Whether the kernel reported anything at all on `fd`, errors and hang-ups included.
pub fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.revents().is_some_and(|flags| !flags.is_empty())
}

/// What a device waits for: an fd with its events, a deadline, both, or neither (never ready by itself).
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait<'fd> {
    /// Ready when the kernel says so.
    pub fd: Option<(BorrowedFd<'fd>, PollFlags)>,
    /// Ready at this time at the latest.
    pub at: Option<Instant>,
}

impl<'fd> Wait<'fd> {
    /// For `fd` to become readable.
    pub fn readable(fd: BorrowedFd<'fd>) -> Wait<'fd> {
        Wait { fd: Some((fd, PollFlags::POLLIN)), at: None }
    }

    /// For a point in time.
    pub fn until(at: Instant) -> Wait<'fd> {
        Wait { fd: None, at: Some(at) }
    }
}
