//! Memory that a driver shares with us, and memory that stays resident.

use nix::sys::mman::{MapFlags, MlockAllFlags, ProtFlags, mlockall, mmap, munmap};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

/// A shared mapping of a device's memory, unmapped on drop. It outlives the file descriptor that it came from.
#[derive(Debug)]
pub struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory owned by this value; the pointer is not tied to a thread.
unsafe impl Send for Map {}
// SAFETY: through `&Map` it can only be read.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `len` bytes of `fd` from `offset`, shared, to read and write.
    ///
    /// # Errors
    /// What `mmap(2)` says; EINVAL for a length of 0.
    pub fn new(fd: impl AsFd, offset: u64, len: usize) -> std::io::Result<Map> {
        let Some(length) = NonZeroUsize::new(len) else { return Err(nix::errno::Errno::EINVAL.into()) };
        let offset = nix::libc::off_t::try_from(offset).map_err(|_| nix::errno::Errno::EOVERFLOW)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, fd, offset)
        }?;
        Ok(Map { start: start.cast(), len })
    }

    /// The bytes. The device may be writing them at the time: whoever reads must hold the buffer (V4L2: dequeued).
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is `len` bytes long and lives as long as `self`; any bit pattern is a valid u8.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes it the only borrow.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the range is exactly what `mmap` gave, and no borrow of it outlives `self`.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

/// Keeps everything that is and will be mapped resident, so that a page fault never waits for a disk.
///
/// # Errors
/// EPERM or ENOMEM where RLIMIT_MEMLOCK does not allow it; the station then runs unlocked.
pub fn lock_all() -> std::io::Result<()> {
    // ONFAULT: pages are locked as they are first used, so that the stacks of all threads are not made resident whole.
    mlockall(
        MlockAllFlags::MCL_CURRENT
            | MlockAllFlags::MCL_FUTURE
            | MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT),
    )?;
    Ok(())
}
