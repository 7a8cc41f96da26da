//! The buffers of a streaming camera, each of them at any time either with the driver, or lent, or free.

use super::raw::{Dequeued, Node};
use crate::device::FrameBuffer;
use crate::media::VideoFormat;
use crate::ring::{Claim, Pool, SLOTS_MAX};
use crate::sys::memory::Map;
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A V4L2 buffer queue whose buffers are slots of a pool: slot n is the driver's buffer n.
#[derive(Debug)]
pub struct Queue {
    node: Node,
    pool: Pool<FrameBuffer>,
    /// The claims of the buffers that the driver has. Nobody looks into them meanwhile.
    queued: Box<[Option<Claim<FrameBuffer>>]>,
    with_driver: usize,
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

impl Queue {
    /// Makes the buffers, maps them, gives them all to the driver and starts it. The error says in which call.
    pub fn start(
        node: Node,
        format: VideoFormat,
        buffers: u32,
        least: usize,
    ) -> Result<Queue, (&'static str, io::Error)> {
        let granted = node.request_buffers(buffers).map_err(|e| ("get buffers (VIDIOC_REQBUFS)", e))?;
        let granted = (granted as usize).min(SLOTS_MAX);
        if granted < least {
            return Err(("get buffers (VIDIOC_REQBUFS)", Errno::ENOMEM.into()));
        }
        let mut slots = Vec::with_capacity(granted);
        for index in 0..granted as u32 {
            let (offset, len) = node.query_buffer(index).map_err(|e| ("ask for a buffer (VIDIOC_QUERYBUF)", e))?;
            let map = Map::new(&node, offset, len).map_err(|e| ("map a buffer (mmap)", e))?;
            slots.push(FrameBuffer::mapped(format, map));
        }
        let queued = slots.iter().map(|_| None).collect();
        let mut queue = Queue { node, pool: Pool::new(slots), queued, with_driver: 0 };
        queue.refill().map_err(|e| ("queue a buffer (VIDIOC_QBUF)", e))?;
        queue.node.stream_on().map_err(|e| ("start streaming (VIDIOC_STREAMON)", e))?;
        Ok(queue)
    }

    /// Buffers that the driver has, empty or filled.
    pub fn with_driver(&self) -> usize {
        self.with_driver
    }

    /// Gives every buffer that came home to the driver again.
    pub fn refill(&mut self) -> io::Result<()> {
        while let Some(claim) = self.pool.claim() {
            let index = claim.index();
            self.node.queue(index as u32)?;
            self.queued[index] = Some(claim);
            self.with_driver += 1;
        }
        Ok(())
    }

    /// Takes the buffer that was filled first, if one is.
    pub fn dequeue(&mut self) -> io::Result<Option<(Dequeued, Claim<FrameBuffer>)>> {
        let Some(got) = self.node.dequeue()? else { return Ok(None) };
        // An index that the driver does not have would be its bug, and a buffer in two hands ours.
        let claim = self.queued.get_mut(got.index).and_then(Option::take).ok_or(Errno::EPROTO)?;
        self.with_driver -= 1;
        Ok(Some((got, claim)))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Before the claims go: after this the driver writes to none of the buffers. It fails where the device is gone,
        // and then nobody writes either.
        let _ = self.node.stream_off();
        // A mapping keeps the node open behind our back, and an open node with buffers is busy for everybody else, ourselves
        // included. Giving the buffers up makes orphans of those that are still lent (Linux 4.20 and later): they stay
        // readable, and the camera can be opened anew at once.
        let _ = self.node.request_buffers(0);
    }
}
