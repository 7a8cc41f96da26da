//! The calls that move a node's buffers: asked for, mapped, given, taken back.

use super::raw::{Node, Plain};
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use v4l::v4l_sys as sys;
use v4l::v4l2::vidioc;

// SAFETY: a C structure of integers.
unsafe impl Plain for sys::v4l2_requestbuffers {}
// SAFETY: a C structure of integers and unions of them; the pointer inside is set by `with_buffer` before a call reads it.
unsafe impl Plain for sys::v4l2_buffer {}
// SAFETY: as above; this one has no pointer that the kernel follows for the kinds of memory that are used here.
unsafe impl Plain for sys::v4l2_plane {}
// SAFETY: a C structure of integers.
unsafe impl Plain for sys::v4l2_exportbuffer {}

/// Whose memory the buffers of a queue are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// The driver's own, mapped here.
    #[default]
    Mapped,
    /// Another driver's, handed over by file descriptor.
    Imported,
}

impl Memory {
    fn number(self) -> u32 {
        match self {
            Memory::Mapped => sys::v4l2_memory_V4L2_MEMORY_MMAP,
            Memory::Imported => sys::v4l2_memory_V4L2_MEMORY_DMABUF,
        }
    }
}

/// What is in a buffer that is given to the driver filled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filled<'fd> {
    /// Bytes of it that count.
    pub used: usize,
    /// The time that the driver copies to what it makes of it, in microseconds.
    pub stamp_micros: u64,
    /// The memory itself, and its length in bytes, where the queue imports it.
    pub imported: Option<(BorrowedFd<'fd>, usize)>,
}

/// A dequeued buffer.
#[derive(Clone, Copy, Debug)]
pub struct Dequeued {
    pub index: usize,
    pub used: usize,
    pub sequence: u32,
    /// The driver says that the picture in it may be damaged.
    pub broken: bool,
    /// Its time stamp in nanoseconds, where that is of CLOCK_MONOTONIC.
    pub stamp_nanos: Option<u64>,
    /// The time stamp of the buffer that it was made of, in microseconds: [`Filled::stamp_micros`].
    pub copied_micros: Option<u64>,
    /// A codec's: it can be decoded without any before it.
    pub key: bool,
    /// A codec's: nothing comes after it, until the codec is told to go on.
    pub last: bool,
}

impl Node {
    /// Asks for mmapped buffers; the driver may give more or fewer.
    pub fn request_buffers(&self, count: u32) -> io::Result<u32> {
        self.request_memory(count, Memory::Mapped)
    }

    /// Asks for buffers, or for places for somebody else's; the driver may give more or fewer.
    pub fn request_memory(&self, count: u32, memory: Memory) -> io::Result<u32> {
        let mut request = sys::v4l2_requestbuffers {
            count,
            type_: self.kind(),
            memory: memory.number(),
            ..sys::v4l2_requestbuffers::zeroed()
        };
        self.call(vidioc::VIDIOC_REQBUFS, &mut request)?;
        Ok(request.count)
    }

    /// Runs a call that takes a `v4l2_buffer`, with its one plane where the node is multi-planar.
    fn with_buffer(
        &self,
        request: vidioc::_IOC_TYPE,
        index: u32,
        filled: Option<Filled<'_>>,
    ) -> io::Result<(sys::v4l2_buffer, Option<sys::v4l2_plane>)> {
        let mut plane = sys::v4l2_plane::zeroed();
        let memory = Memory::Mapped.number();
        let mut buffer = sys::v4l2_buffer { index, type_: self.kind(), memory, ..sys::v4l2_buffer::zeroed() };
        if let Some(filled) = filled {
            (buffer.bytesused, plane.bytesused) = (filled.used as u32, filled.used as u32);
            buffer.field = sys::v4l2_field_V4L2_FIELD_NONE;
            buffer.timestamp.tv_sec = (filled.stamp_micros / 1_000_000).cast_signed() as _;
            buffer.timestamp.tv_usec = (filled.stamp_micros % 1_000_000).cast_signed() as _;
            if let Some((fd, length)) = filled.imported {
                buffer.memory = Memory::Imported.number();
                (buffer.m.fd, plane.m.fd) = (fd.as_raw_fd(), fd.as_raw_fd());
                (buffer.length, plane.length) = (length as u32, length as u32);
            }
        }
        if self.is_multi() {
            buffer.m.planes = &raw mut plane;
            // The length of the array of planes, in this case. It bounds what the kernel writes through the pointer.
            buffer.length = 1;
        }
        self.call(request, &mut buffer)?;
        Ok((buffer, self.is_multi().then_some(plane)))
    }

    /// Where buffer `index` is to be mapped: offset and length in bytes.
    pub fn query_buffer(&self, index: u32) -> io::Result<(u64, usize)> {
        let (buffer, plane) = self.with_buffer(vidioc::VIDIOC_QUERYBUF, index, None)?;
        // SAFETY: memory is MMAP, for which the kernel fills in the offset; an integer at any rate.
        let single = || (u64::from(unsafe { buffer.m.offset }), buffer.length as usize);
        // SAFETY: as above.
        let multi = |p: sys::v4l2_plane| (u64::from(unsafe { p.m.mem_offset }), p.length as usize);
        Ok(plane.map_or_else(single, multi))
    }

    /// A file descriptor of buffer `index`'s memory, for another driver to import.
    pub fn export(&self, index: u32) -> io::Result<OwnedFd> {
        let mut export = sys::v4l2_exportbuffer {
            type_: self.kind(),
            index,
            flags: (nix::libc::O_RDWR | nix::libc::O_CLOEXEC).cast_unsigned(),
            fd: -1,
            ..sys::v4l2_exportbuffer::zeroed()
        };
        self.call(vidioc::VIDIOC_EXPBUF, &mut export)?;
        if export.fd < 0 {
            return Err(Errno::EBADF.into());
        }
        // SAFETY: the kernel has just opened it for this call, and nobody else knows of it.
        Ok(unsafe { OwnedFd::from_raw_fd(export.fd) })
    }

    /// Gives buffer `index` to the driver to be filled.
    pub fn queue(&self, index: u32) -> io::Result<()> {
        self.with_buffer(vidioc::VIDIOC_QBUF, index, None).map(drop)
    }

    /// Gives buffer `index` to the driver with something in it.
    pub fn queue_filled(&self, index: u32, filled: Filled<'_>) -> io::Result<()> {
        self.with_buffer(vidioc::VIDIOC_QBUF, index, Some(filled)).map(drop)
    }

    /// Takes back the buffer of a queue of this memory that the driver was done with first; `None` where there is none.
    pub fn dequeue(&self, memory: Memory) -> io::Result<Option<Dequeued>> {
        let mut plane = sys::v4l2_plane::zeroed();
        let mut buffer = sys::v4l2_buffer { type_: self.kind(), memory: memory.number(), ..sys::v4l2_buffer::zeroed() };
        if self.is_multi() {
            buffer.m.planes = &raw mut plane;
            buffer.length = 1;
        }
        match self.call(vidioc::VIDIOC_DQBUF, &mut buffer) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        }
        // A plane whose data do not start at its beginning is one whose layout nothing here has promised.
        let shifted = self.is_multi() && plane.data_offset != 0;
        let used = if self.is_multi() { plane.bytesused } else { buffer.bytesused };
        let micros = || {
            let seconds = u64::try_from(buffer.timestamp.tv_sec).ok()?;
            let micros = u64::try_from(buffer.timestamp.tv_usec).ok()?;
            seconds.checked_mul(1_000_000)?.checked_add(micros)
        };
        let clock = buffer.flags & sys::V4L2_BUF_FLAG_TIMESTAMP_MASK;
        let stamp_of = |wanted| if clock == wanted { micros() } else { None };
        Ok(Some(Dequeued {
            index: buffer.index as usize,
            used: used as usize,
            sequence: buffer.sequence,
            broken: shifted || buffer.flags & sys::V4L2_BUF_FLAG_ERROR != 0,
            stamp_nanos: stamp_of(sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC).and_then(|m| m.checked_mul(1_000)),
            copied_micros: stamp_of(sys::V4L2_BUF_FLAG_TIMESTAMP_COPY),
            key: buffer.flags & sys::V4L2_BUF_FLAG_KEYFRAME != 0,
            last: buffer.flags & sys::V4L2_BUF_FLAG_LAST != 0,
        }))
    }

    /// Starts the queue.
    pub fn stream_on(&self) -> io::Result<()> {
        self.call(vidioc::VIDIOC_STREAMON, &mut self.kind().cast_signed())
    }

    /// Stops the queue: the driver uses none of the buffers any more, and all are ours.
    pub fn stream_off(&self) -> io::Result<()> {
        self.call(vidioc::VIDIOC_STREAMOFF, &mut self.kind().cast_signed())
    }
}
