//! One open codec: a frame into its OUTPUT queue, what comes of it out of its CAPTURE queue.

use super::calls::Command;
use crate::device::v4l2::buffers::{Dequeued, Filled, Memory};
use crate::device::v4l2::queue::{CallError, Queue};
use crate::device::v4l2::raw::{Node, Side};
use crate::device::v4l2::streaming_fault;
use crate::device::{Fault, FaultKind};
use crate::ring::Claim;
use crate::sys::memory::Map;
use crate::sys::wake::Stop;
use crate::sys::{clock, poll};
use crate::time::{Duration, Instant};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The first frame may take that long: firmware is loaded and powered up first.
pub const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// A frame that takes longer than this will not come: hardware needs tens of milliseconds at its largest size.
pub const FRAME_WITHIN: Duration = Duration::from_millis(500);
/// Frames under way into the codec: one, and one whose buffer the driver has not given back yet.
pub const OUTPUT_BUFFERS: u32 = 2;

/// What came out of the CAPTURE queue.
#[derive(Debug)]
pub enum Taken<S = Map> {
    /// A buffer with something in it.
    Frame(Dequeued, Claim<S>),
    /// Nothing comes any more, until the codec is told to go on, or its queue is started anew.
    End,
    /// Nothing yet.
    Nothing,
}

/// The open codec. The buffers of its CAPTURE queue are slots of kind `S`.
#[derive(Debug)]
pub struct Session<S = Map> {
    name: String,
    /// Its CAPTURE side.
    pub node: Node,
    /// Its buffers' memory is mapped here, or another device's.
    output: Queue<Option<Map>>,
    /// A decoder has it once it knows what is in the stream.
    capture: Option<Queue<S>>,
    stop: Option<Stop>,
    last_stamp: u64,
}

impl<S> Session<S> {
    /// With buffers on the OUTPUT side, which is not started yet.
    pub fn new(name: String, node: Node, memory: Memory, stop: Option<Stop>) -> Result<Session<S>, Fault> {
        let output = node.facing(Side::Output);
        let output = match memory {
            Memory::Mapped => Queue::make(output, OUTPUT_BUFFERS, 1, |_, _, map| Some(map)),
            Memory::Imported => Queue::with_memory(output, memory, OUTPUT_BUFFERS, 1, |_, _| Ok(None)),
        };
        let output = output.map_err(|e| call_fault(&name, e))?;
        Ok(Session { name, node: node.facing(Side::Capture), output, capture: None, stop, last_stamp: 0 })
    }

    /// A fault of this codec's, of a call that failed.
    pub fn fault(&self, doing: &'static str, error: io::Error) -> Fault {
        streaming_fault(&self.name, doing, error)
    }

    /// A fault of this codec's that no call reported.
    pub fn plain(&self, kind: FaultKind, doing: &'static str, remedy: impl Into<String>) -> Fault {
        Fault::plain(kind, &self.name, doing, remedy)
    }

    /// Starts the OUTPUT queue.
    pub fn start_output(&self) -> Result<(), Fault> {
        self.output.stream_on().map_err(|e| call_fault(&self.name, e))
    }

    /// Makes the CAPTURE queue and starts it; the one before it is given up. `slot` makes a slot of a buffer's memory.
    pub fn start_capture(
        &mut self,
        buffers: u32,
        least: usize,
        slot: impl Fn(&Node, u32, Map) -> S,
    ) -> Result<(), Fault> {
        // First, since a queue has one set of buffers at a time.
        self.stop_capture();
        let capture = Queue::start(self.node.clone(), buffers, least, slot);
        self.capture = Some(capture.map_err(|e| call_fault(&self.name, e))?);
        Ok(())
    }

    /// Gives the CAPTURE queue and its buffers up.
    pub fn stop_capture(&mut self) {
        self.capture = None;
    }

    /// Buffers that the codec has to put something into, or has done so.
    pub fn with_driver(&self) -> usize {
        self.capture.as_ref().map_or(0, Queue::with_driver)
    }

    /// Whether there is a CAPTURE queue.
    pub fn has_capture(&self) -> bool {
        self.capture.is_some()
    }

    /// Stops and starts both queues: the codec forgets what it had (the encoder's "reset": its next frame is a key frame).
    pub fn restart(&mut self) -> Result<(), Fault> {
        let name = &self.name;
        let fault = |e| call_fault(name, e);
        self.output.stream_off().map_err(fault)?;
        if let Some(capture) = &mut self.capture {
            capture.stream_off().map_err(fault)?;
            capture.refill().map_err(|e| fault(("queue a buffer (VIDIOC_QBUF)", e)))?;
            capture.stream_on().map_err(fault)?;
        }
        self.output.stream_on().map_err(fault)
    }

    /// Gives the codec a frame, written by `fill`, which answers how many bytes it has; gives the time by which what comes
    /// of it is recognised: `at`, or a microsecond more than the last one.
    pub fn send(
        &mut self,
        at: Instant,
        within: Duration,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<u64, Fault> {
        let mut claim = self.claim(within)?;
        let Some(used) = claim.as_mut().and_then(|map| fill(map.bytes_mut())) else {
            let remedy = "the frame does not fit into the driver's buffer";
            return Err(self.plain(FaultKind::Unusable, "give it a frame", remedy));
        };
        let stamp_micros = self.stamp(at);
        self.give(claim, Filled { used, stamp_micros, imported: None })
    }

    /// The same with a frame in another device's memory, `length` bytes long.
    pub fn send_shared(
        &mut self,
        at: Instant,
        within: Duration,
        (memory, length): (BorrowedFd<'_>, usize),
        used: usize,
    ) -> Result<u64, Fault> {
        let claim = self.claim(within)?;
        let stamp_micros = self.stamp(at);
        self.give(claim, Filled { used, stamp_micros, imported: Some((memory, length)) })
    }

    /// A free buffer of the OUTPUT queue.
    fn claim(&mut self, within: Duration) -> Result<Claim<Option<Map>>, Fault> {
        let until = clock::now() + within;
        loop {
            let back = self.output.dequeue();
            match back.map_err(|e| self.fault("take a buffer back (VIDIOC_DQBUF)", e))? {
                Some((_, claim)) => drop(claim),
                None => match self.output.claim() {
                    Some(claim) => return Ok(claim),
                    None => self.wait(until, PollFlags::POLLOUT)?,
                },
            }
        }
    }

    fn stamp(&mut self, at: Instant) -> u64 {
        self.last_stamp = at.as_micros().max(self.last_stamp + 1);
        self.last_stamp
    }

    fn give(&mut self, claim: Claim<Option<Map>>, filled: Filled<'_>) -> Result<u64, Fault> {
        let given = self.output.give(claim, filled);
        given.map_err(|e| self.fault("give it a frame (VIDIOC_QBUF)", e))?;
        Ok(filled.stamp_micros)
    }

    /// What the codec has made, if it has. A buffer that is dropped goes back to it at the next call.
    pub fn take(&mut self) -> Result<Taken<S>, Fault> {
        let Some(capture) = &mut self.capture else { return Ok(Taken::Nothing) };
        let got = capture.refill().map_err(|e| ("queue a buffer (VIDIOC_QBUF)", e)).and_then(|()| {
            match capture.dequeue() {
                // After the last buffer there is no other (VIDIOC_DQBUF(2)).
                Err(e) if e.raw_os_error() == Some(Errno::EPIPE as i32) => Ok(Taken::End),
                Err(e) => Err(("take what it made (VIDIOC_DQBUF)", e)),
                Ok(None) => Ok(Taken::Nothing),
                Ok(Some((got, _))) if got.last && got.used == 0 => Ok(Taken::End),
                Ok(Some((got, claim))) => Ok(Taken::Frame(got, claim)),
            }
        });
        got.map_err(|e| call_fault(&self.name, e))
    }

    /// Waits until there is something to take, to look at (an event), or as `events` says; a fault at `until`, and when
    /// the stage is asked to end.
    pub fn wait(&self, until: Instant, events: PollFlags) -> Result<(), Fault> {
        if clock::now() >= until {
            let remedy = "it did not answer in time, or holds frames back";
            return Err(self.plain(FaultKind::Stalled, "get a frame through it", remedy));
        }
        let mut fds = heapless::Vec::<_, 2>::new();
        let stop = self.stop.as_ref().map(|stop| PollFd::new(stop.as_fd(), PollFlags::POLLIN));
        fds.extend([PollFd::new(self.node.as_fd(), events | PollFlags::POLLPRI)].into_iter().chain(stop));
        poll::wait(&mut fds, Some(until)).map_err(|e| self.fault("wait for it (ppoll)", e))?;
        if self.stop.as_ref().is_some_and(Stop::is_stopped) {
            return Err(self.plain(FaultKind::Ended, "get a frame through it", "the station ends"));
        }
        let flags = fds[0].revents().unwrap_or(PollFlags::empty());
        if flags.intersects(PollFlags::POLLHUP | PollFlags::POLLNVAL) || flags == PollFlags::POLLERR {
            // It would be answered at once, for ever: the device is gone, or has nothing under way.
            return Err(self.fault("get a frame through it (poll)", Errno::ENODEV.into()));
        }
        Ok(())
    }

    /// Has the codec give out all that it holds until it says that this was all, and begin anew; gives how many frames
    /// it held.
    pub fn drain(&mut self, stop: Command) -> Result<usize, Fault> {
        let mut held = 0;
        let until = clock::now() + FRAME_WITHIN;
        self.node.command(stop).map_err(|e| self.fault("drain it (stop command)", e))?;
        loop {
            match self.take()? {
                Taken::End => break,
                Taken::Nothing => self.wait(until, PollFlags::POLLIN)?,
                Taken::Frame(got, claim) => {
                    held += 1;
                    drop(claim);
                    if got.last {
                        break;
                    }
                }
            }
        }
        // A start command would do, but not for each driver: vicodec goes on saying that it has stopped.
        self.restart()?;
        Ok(held)
    }
}

/// A fault of the codec called `name`, of a call on one of its queues.
pub fn call_fault(name: &str, (doing, error): CallError) -> Fault {
    streaming_fault(name, doing, error)
}
