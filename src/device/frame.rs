//! One frame in the memory of its source: mapped from the driver, or our own.

use crate::media::{FrameView, VideoFormat};
use crate::sys::memory::Map;
use crate::time::Instant;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
enum Memory {
    Own(Vec<u8>),
    Mapped(Map),
}

/// A slot that a source fills and lends. For a camera the bytes are the driver's own buffer, mapped: nothing is copied.
#[derive(Debug)]
pub struct FrameBuffer {
    memory: Memory,
    /// The same memory for other drivers.
    exported: Option<OwnedFd>,
    /// Bytes of the memory that hold the frame.
    pub used: usize,
    /// How they are to be read.
    pub format: VideoFormat,
    /// When the sensor took it (the driver's time stamp, or when the file's pace said).
    pub captured_at: Instant,
    /// Counted by the source; a gap is a frame that the driver dropped.
    pub sequence: u32,
}

impl FrameBuffer {
    /// In memory of our own, `bytes` long.
    pub fn own(format: VideoFormat, bytes: usize) -> FrameBuffer {
        FrameBuffer {
            memory: Memory::Own(vec![0; bytes]),
            exported: None,
            used: bytes,
            format,
            captured_at: Instant::ZERO,
            sequence: 0,
        }
    }

    /// In a driver's mapped memory, which other drivers may read by `exported` (a dmabuf), where it can be.
    pub fn mapped(format: VideoFormat, map: Map, exported: Option<OwnedFd>) -> FrameBuffer {
        let used = map.bytes().len();
        FrameBuffer { memory: Memory::Mapped(map), exported, used, format, captured_at: Instant::ZERO, sequence: 0 }
    }

    /// The memory for another driver to read, and its length in bytes; `None` where there is no way to it but a copy.
    pub fn exported(&self) -> Option<(BorrowedFd<'_>, usize)> {
        match &self.memory {
            Memory::Own(_) => None,
            Memory::Mapped(map) => self.exported.as_ref().map(|fd| (fd.as_fd(), map.bytes().len())),
        }
    }

    /// The frame's bytes.
    pub fn bytes(&self) -> &[u8] {
        let all = match &self.memory {
            Memory::Own(bytes) => bytes,
            Memory::Mapped(map) => map.bytes(),
        };
        &all[..self.used.min(all.len())]
    }

    /// All of the memory, to be filled; set `used` to what was.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Own(bytes) => bytes,
            Memory::Mapped(map) => map.bytes_mut(),
        }
    }

    /// The frame as a picture; `None` where it is truncated.
    pub fn view(&self) -> Option<FrameView<'_>> {
        FrameView::parse(self.bytes(), &self.format)
    }
}
