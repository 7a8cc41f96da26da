//! One client, as the server sees it.

use super::super::protocol::{PREFIX_BYTES, REPLY_BYTES_MAX, read_frame, write_frame};
use super::queue::Queue;
use super::{Answer, ClientId, Credentials, FrameError, REQUEST_BYTES_MAX, Reply, Request};
use crate::time::{Duration, Instant};
use nix::poll::PollFlags;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// How long a client may take for its (next) request; it would keep its place for nothing otherwise.
const IDLE: Duration = Duration::from_secs(30);
/// How long a client may take to read why it is dropped.
const FAREWELL: Duration = Duration::from_secs(5);
/// Reads in one turn.
const READ_BURST: usize = 4;
/// Room for a request and the beginning of another.
const INPUT_BYTES_MAX: usize = REQUEST_BYTES_MAX + PREFIX_BYTES;

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It may ask until then.
    Asking { until: Instant },
    /// It asked, and waits for the station.
    Waiting,
    /// It gets events.
    Watching,
    /// It is told why, and then dropped, at that time at the latest.
    Leaving { until: Instant },
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) credentials: Credentials,
    pub(super) role: Role,
    stream: UnixStream,
    input: Vec<u8>,
    output: Queue,
}

/// A reply as bytes.
pub(super) fn frame(reply: &Reply) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    write_frame(reply, REPLY_BYTES_MAX, &mut bytes).map(|()| bytes)
}

impl Client {
    pub(super) fn new(id: ClientId, stream: UnixStream, credentials: Credentials, now: Instant) -> Client {
        let role = Role::Asking { until: now + IDLE };
        Client { id, credentials, role, stream, input: Vec::new(), output: Queue::default() }
    }

    pub(super) fn fd(&self) -> (BorrowedFd<'_>, PollFlags) {
        let output = if self.output.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        (self.stream.as_fd(), PollFlags::POLLIN | output)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.role {
            Role::Asking { until } | Role::Leaving { until } => Some(until),
            Role::Waiting | Role::Watching => None,
        }
    }

    /// Reads and writes what is possible now; false where it is gone or to be dropped.
    pub(super) fn handle_ready(&mut self, now: Instant) -> bool {
        match self.role {
            Role::Asking { until } if now >= until => {
                self.say_goodbye(now, format!("nothing was asked for {} s", IDLE.as_secs()));
            }
            Role::Leaving { until } if now >= until => return false,
            _ => {}
        }
        if !self.read(now) || self.output.write(&self.stream).is_err() {
            return false;
        }
        !(matches!(self.role, Role::Leaving { .. }) && self.output.is_empty())
    }

    /// False at its end.
    fn read(&mut self, now: Instant) -> bool {
        let mut buffer = [0; INPUT_BYTES_MAX];
        for _ in 0..READ_BURST {
            let count = match (&self.stream).read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            match self.role {
                Role::Leaving { .. } => {}
                Role::Watching => {
                    self.say_goodbye(now, "who watches asks nothing more: open another connection".into())
                }
                Role::Asking { .. } | Role::Waiting => self.take(now, &buffer[..count]),
            }
        }
        true
    }

    fn take(&mut self, now: Instant, bytes: &[u8]) {
        if self.input.len() + bytes.len() > INPUT_BYTES_MAX {
            self.say_goodbye(now, "one request at a time: wait for the answer".into());
        } else {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Its next request, for the station to answer. To watch needs nothing from the station.
    pub(super) fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if !matches!(self.role, Role::Asking { .. }) {
            return None;
        }
        match read_frame(&self.input, REQUEST_BYTES_MAX) {
            Ok(None) => None,
            Ok(Some((request, used))) => {
                self.input.drain(..used);
                self.role = Role::Waiting;
                if request != Request::Watch {
                    return Some(request);
                }
                self.answer(now, Answer::Watching);
                self.role = Role::Watching;
                None
            }
            Err(error) => {
                self.say_goodbye(now, error.to_string());
                None
            }
        }
    }

    pub(super) fn answer(&mut self, now: Instant, answer: Answer) {
        self.role = Role::Asking { until: now + IDLE };
        let too_long = |error: FrameError| frame(&Reply::Answer(Answer::Refused(error.to_string())));
        match frame(&Reply::Answer(answer)).or_else(too_long) {
            Ok(frame) => self.send(now, frame),
            Err(error) => self.say_goodbye(now, error.to_string()),
        }
    }

    /// Queues a frame and writes what can be written. A client for which too much waits is dropped.
    pub(super) fn send(&mut self, now: Instant, frame: Vec<u8>) {
        if !self.output.push(frame) {
            self.say_goodbye(now, "events came faster than they were read".into());
        }
        // An error shows again at its turn.
        let _ = self.output.write(&self.stream);
    }

    /// Drops it once it has been told why.
    pub(super) fn say_goodbye(&mut self, now: Instant, reason: String) {
        if matches!(self.role, Role::Leaving { .. }) {
            return;
        }
        // A script may do so for ever; the client itself is told.
        tracing::debug!("control socket: dropped {}: {reason}", self.credentials);
        self.role = Role::Leaving { until: now + FAREWELL };
        self.input = Vec::new();
        self.output.forget();
        if let Ok(frame) = frame(&Reply::Goodbye(reason)) {
            self.output.push(frame);
        }
    }
}
