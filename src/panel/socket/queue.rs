//! Frames that wait to be written to a client.

use std::collections::VecDeque;
use std::io::{self, Write};

/// Bytes that wait for a client at most: the longest reply, a picture, or many nights' events. The kernel keeps about
/// 200 kB more.
const WAITING_BYTES_MAX: usize = 256 << 10;

/// Whole frames; the first may be half written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    frames: VecDeque<Vec<u8>>,
    /// Of the first frame.
    written: usize,
    waiting: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether it was taken; otherwise too much waits already.
    pub(super) fn push(&mut self, frame: Vec<u8>) -> bool {
        if self.waiting + frame.len() > WAITING_BYTES_MAX {
            return false;
        }
        self.waiting += frame.len();
        self.frames.push_back(frame);
        true
    }

    /// Forgets what has not been begun: a frame that is cut would be read as garbage.
    pub(super) fn forget(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.waiting = self.frames.iter().map(Vec::len).sum();
    }

    /// Writes as much as can be without waiting.
    pub(super) fn write(&mut self, mut to: impl Write) -> io::Result<()> {
        while let Some(frame) = self.frames.front() {
            match to.write(&frame[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if self.written == frame.len() {
                self.waiting -= frame.len();
                self.written = 0;
                self.frames.pop_front();
            }
        }
        Ok(())
    }
}
