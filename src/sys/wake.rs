//! Waking another thread: an eventfd, which fits a poll loop.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A counter in the kernel that makes a poll return. Clones are the same counter.
#[derive(Clone, Debug)]
pub struct Wake {
    fd: Arc<EventFd>,
}

impl Wake {
    /// A new one, not signalled. Fails where the process is out of file descriptors.
    pub fn new() -> std::io::Result<Wake> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Wake { fd: Arc::new(EventFd::from_value_and_flags(0, flags)?) })
    }

    /// Makes polls on it return until it is drained.
    pub fn signal(&self) {
        // It can only fail with the counter at its end (2⁶⁴ − 2), and then it is signalled anyway.
        let _ = self.fd.write(1);
    }

    /// Forgets all signals so far.
    pub fn drain(&self) {
        // Fails with EAGAIN where there was none, which is as well.
        let _ = self.fd.read();
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The request that a thread end. Clones are the same request; it cannot be taken back.
#[derive(Clone, Debug)]
pub struct Stop {
    wake: Wake,
    stopped: Arc<AtomicBool>,
}

impl Stop {
    /// Not yet requested.
    pub fn new() -> std::io::Result<Stop> {
        Ok(Stop { wake: Wake::new()?, stopped: Arc::default() })
    }

    /// Requests it: polls on its fd return from now on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake.signal();
    }

    /// Whether it was requested.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
