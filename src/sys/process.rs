//! What this process costs: memory, threads, file descriptors; and a handle on the processes that it starts.

use nix::libc;
use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

fn status_field(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

/// The most memory that was ever resident, in KiB; `None` without /proc.
pub fn peak_resident_kib() -> Option<u64> {
    status_field("VmHWM")
}

/// Memory resident now, in KiB; `None` without /proc.
pub fn resident_kib() -> Option<u64> {
    status_field("VmRSS")
}

/// Threads now; `None` without /proc.
pub fn threads() -> Option<u64> {
    status_field("Threads")
}

/// Open file descriptors now; `None` without /proc.
pub fn open_fds() -> Option<u64> {
    // The listing itself is one of them.
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as u64)
}

/// A handle on a child that has not been waited for, readable when it has ended (pidfd_open(2), Linux 5.3).
///
/// # Errors
/// ESRCH where there is no such process, EMFILE where no file can be opened.
pub fn handle(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers, and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.cast_signed(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made it, close-on-exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
