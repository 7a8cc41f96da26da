//! The buffers of a streaming queue, each of them at any time either with the driver, or claimed or lent, or free.

use super::buffers::{Dequeued, Filled, Memory};
use super::raw::Node;
use crate::ring::{Claim, Pool, SLOTS_MAX};
use crate::sys::memory::Map;
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What went wrong, and in which call.
pub type CallError = (&'static str, io::Error);

/// A V4L2 buffer queue whose buffers are slots of a pool: slot n is the driver's buffer n.
#[derive(Debug)]
pub struct Queue<S> {
    node: Node,
    memory: Memory,
    pool: Pool<S>,
    /// The claims of the buffers that the driver has. Nobody looks into them meanwhile.
    queued: Box<[Option<Claim<S>>]>,
    with_driver: usize,
}

impl<S> AsFd for Queue<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

impl<S> Queue<S> {
    /// Makes the buffers, maps them, gives them all to the driver to be filled, and starts it.
    pub fn start(
        node: Node,
        buffers: u32,
        least: usize,
        slot: impl Fn(&Node, u32, Map) -> S,
    ) -> Result<Queue<S>, CallError> {
        let mut queue = Queue::make(node, buffers, least, slot)?;
        queue.refill().map_err(|e| ("queue a buffer (VIDIOC_QBUF)", e))?;
        queue.stream_on()?;
        Ok(queue)
    }

    /// Makes the buffers and maps them; the queue is yet to be started. `slot` makes a slot of a buffer's memory.
    pub fn make(
        node: Node,
        buffers: u32,
        least: usize,
        slot: impl Fn(&Node, u32, Map) -> S,
    ) -> Result<Queue<S>, CallError> {
        Queue::with_memory(node, Memory::Mapped, buffers, least, |node, index| {
            let (offset, len) = node.query_buffer(index).map_err(|e| ("ask for a buffer (VIDIOC_QUERYBUF)", e))?;
            let map = Map::new(node, offset, len).map_err(|e| ("map a buffer (mmap)", e))?;
            Ok(slot(node, index, map))
        })
    }

    /// Makes the buffers, or the places for somebody else's.
    pub fn with_memory(
        node: Node,
        memory: Memory,
        buffers: u32,
        least: usize,
        slot: impl Fn(&Node, u32) -> Result<S, CallError>,
    ) -> Result<Queue<S>, CallError> {
        let granted = node.request_memory(buffers, memory).map_err(|e| ("get buffers (VIDIOC_REQBUFS)", e))?;
        let granted = (granted as usize).min(SLOTS_MAX);
        if granted < least.max(1) {
            return Err(("get buffers (VIDIOC_REQBUFS)", Errno::ENOMEM.into()));
        }
        let slots = (0..granted as u32).map(|index| slot(&node, index)).collect::<Result<Vec<_>, _>>()?;
        let queued = slots.iter().map(|_| None).collect();
        Ok(Queue { node, memory, pool: Pool::new(slots), queued, with_driver: 0 })
    }

    /// Starts the queue.
    pub fn stream_on(&self) -> Result<(), CallError> {
        self.node.stream_on().map_err(|e| ("start streaming (VIDIOC_STREAMON)", e))
    }

    /// Stops the queue; the buffers that the driver had are free.
    pub fn stream_off(&mut self) -> Result<(), CallError> {
        self.node.stream_off().map_err(|e| ("stop streaming (VIDIOC_STREAMOFF)", e))?;
        self.queued.fill_with(|| None);
        self.with_driver = 0;
        Ok(())
    }

    /// Buffers that the driver has, empty or filled.
    pub fn with_driver(&self) -> usize {
        self.with_driver
    }

    /// Gives every buffer that came home to the driver again, to be filled.
    pub fn refill(&mut self) -> io::Result<()> {
        while let Some(claim) = self.pool.claim() {
            let index = claim.index();
            self.node.queue(index as u32)?;
            self.keep(claim);
        }
        Ok(())
    }

    /// Takes a free buffer, to fill it.
    pub fn claim(&mut self) -> Option<Claim<S>> {
        self.pool.claim()
    }

    /// Gives a buffer to the driver with something in it.
    pub fn give(&mut self, claim: Claim<S>, filled: Filled<'_>) -> io::Result<()> {
        self.node.queue_filled(claim.index() as u32, filled)?;
        self.keep(claim);
        Ok(())
    }

    fn keep(&mut self, claim: Claim<S>) {
        let index = claim.index();
        self.queued[index] = Some(claim);
        self.with_driver += 1;
    }

    /// Takes the buffer that the driver was done with first, if there is one.
    pub fn dequeue(&mut self) -> io::Result<Option<(Dequeued, Claim<S>)>> {
        let Some(got) = self.node.dequeue(self.memory)? else { return Ok(None) };
        // An index that the driver does not have would be its bug, and a buffer in two hands ours.
        let claim = self.queued.get_mut(got.index).and_then(Option::take).ok_or(Errno::EPROTO)?;
        self.with_driver -= 1;
        Ok(Some((got, claim)))
    }
}

impl<S> Drop for Queue<S> {
    fn drop(&mut self) {
        // Before the claims go: after this the driver writes to none of the buffers. It fails where the device is gone,
        // and then nobody writes either.
        let _ = self.node.stream_off();
        // A mapping keeps the node open behind our back, and an open node with buffers is busy for everybody else, ourselves
        // included. Giving the buffers up makes orphans of those that are still lent (Linux 4.20 and later): they stay
        // readable, and the camera can be opened anew at once.
        let _ = self.node.request_memory(0, self.memory);
    }
}
