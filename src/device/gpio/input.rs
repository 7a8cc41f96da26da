//! Lines that are read: edges with the kernel's own time stamps, debounced.

use super::debounce::Debounce;
use super::{CONSUMER, LineSpec, claim_fault, errno, fault, find};
use crate::device::fault::{Fault, FaultKind};
use crate::time::{Duration, Instant, earliest};
use gpiocdev::Request;
use gpiocdev::line::{self, EdgeDetection, EdgeEvent, EdgeKind, EventClock, Offset, Value};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

/// Edges that the kernel keeps for each line until they are read: an encoder turned fast for a tenth of a second.
const KERNEL_EDGES: u32 = 64;
/// Edges read in one call, and calls before anything else gets its turn: a chattering line cannot keep the net loop.
const READ_EDGES: usize = 16;
const READ_CALLS: usize = 4;
/// Lines of one request: more than the two of an encoder have no reason to come in one order.
const LINES_MAX: usize = 8;
/// Not in the list of errnos of POSIX; the kernel's own for a setting that a chip does not have.
const ENOTSUPP: i32 = 524;

/// What holds a line that nothing drives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bias {
    /// Whatever the board's description says.
    #[default]
    AsIs,
    /// A resistor to the supply: for buttons to ground.
    PullUp,
    /// A resistor to ground: for buttons to the supply.
    PullDown,
    /// None: the board has its own.
    Disabled,
}

/// A line to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest {
    /// Which.
    pub line: LineSpec,
    /// Whether a low level is what counts as active: a button to ground.
    pub active_low: bool,
    /// Its resistor.
    pub bias: Bias,
    /// How long a level must stand still to count; zero reports every edge.
    pub debounce: Duration,
}

/// A change of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Which of the request's lines, from 0.
    pub line: usize,
    /// Whether it is active from now on.
    pub is_active: bool,
    /// When, by the kernel's interrupt handler (after debouncing, where there is some).
    pub at: Instant,
}

/// Claimed lines of one chip, whose edges come in one order.
#[derive(Debug)]
pub struct Input {
    spec: LineSpec,
    request: Request,
    lines: Vec<Line>,
    edges: VecDeque<Edge>,
    buffer: Vec<u64>,
}

#[derive(Debug)]
struct Line {
    offset: Offset,
    is_active: bool,
    /// Where the kernel would not do it.
    debounce: Option<Debounce>,
    /// The number of the last edge, from 1.
    sequence: u32,
}

impl Input {
    /// Claims lines, all of one chip.
    ///
    /// # Errors
    /// Absent where a line is not there, unusable where it is taken (with who has it), or its chip reports no edges.
    pub fn open(requests: &[InputRequest]) -> Result<Input, Fault> {
        let (Some(first), true) = (requests.first(), requests.len() <= LINES_MAX) else {
            let remedy = format!("1 to {LINES_MAX} lines go together");
            return Err(Fault::plain(FaultKind::Unusable, "GPIO", "claim lines", remedy));
        };
        let found = requests.iter().map(|one| find(&one.line)).collect::<Result<Vec<_>, _>>()?;
        if let Some(other) = found.iter().position(|one| one.chip != found[0].chip) {
            let remedy = format!("it must be on the chip of {}, so that their changes come in order", first.line);
            let name = requests[other].line.to_string();
            return Err(Fault::plain(FaultKind::Unusable, name, "claim the lines together", remedy));
        }
        let offsets: Vec<_> = found.iter().map(|one| one.offset).collect();
        let (request, in_kernel) = match claim(&found[0].chip, requests, &offsets, true) {
            Err(error) if refuses_debouncing(&error) => (claim(&found[0].chip, requests, &offsets, false), false),
            done => (done, true),
        };
        let doing = "claim the line (GPIO_V2_GET_LINE)";
        let blame = found.iter().position(|one| one.holder.is_some()).unwrap_or(0);
        let request = request.map_err(|e| claim_fault(&requests[blame].line, &found[blame], doing, &e))?;
        unblock(&request).map_err(|errno| Fault::new(first.line.to_string(), "set O_NONBLOCK (fcntl)", errno))?;
        let buffer = vec![0; READ_EDGES * request.edge_event_u64_size()];
        let (spec, mut lines) = (first.line.clone(), Vec::new());
        for (one, offset) in requests.iter().zip(offsets) {
            let is_active = value(&request, &spec, offset)?;
            let debounces = !in_kernel && !one.debounce.is_zero();
            let debounce = debounces.then(|| Debounce::new(one.debounce, is_active));
            lines.push(Line { offset, is_active, debounce, sequence: 0 });
        }
        Ok(Input { spec, request, lines, edges: VecDeque::new(), buffer })
    }

    /// Whether a line was active when last heard of.
    pub fn is_active(&self, line: usize) -> bool {
        self.lines.get(line).is_some_and(|line| line.is_active)
    }

    /// The next change, if there is one; to be called until there is none, when its descriptor can be read and at
    /// [`Input::poll_timeout`].
    ///
    /// # Errors
    /// A fault of the chip, mostly that it is gone; the lines are then to be dropped and claimed anew.
    pub fn read(&mut self, now: Instant) -> Result<Option<Edge>, Fault> {
        if self.edges.is_empty() {
            self.fetch(now)?;
            for (number, line) in self.lines.iter_mut().enumerate() {
                let due = line.debounce.as_mut().and_then(|debounce| debounce.handle_timeout(now));
                self.edges.extend(due.and_then(|(at, level)| line.change(number, at, level)));
            }
        }
        Ok(self.edges.pop_front())
    }

    /// When to call [`Input::read`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lines
            .iter()
            .filter_map(|line| line.debounce.as_ref()?.poll_timeout())
            .fold(None, |a, b| earliest(a, Some(b)))
    }

    fn fetch(&mut self, now: Instant) -> Result<(), Fault> {
        let reading = "read changes (read)";
        for _ in 0..READ_CALLS {
            let words = match self.request.read_edge_events_into_slice(&mut self.buffer) {
                Ok(words) => words,
                Err(error) if errno(&error) == Some(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(fault(&self.spec, reading, &error)),
            };
            let size = self.request.edge_event_u64_size();
            let mut has_gap = false;
            for start in (0..words.saturating_sub(size - 1)).step_by(size) {
                let event = self.request.edge_event_from_slice(&self.buffer[start..start + size]);
                has_gap |= self.take(&event.map_err(|error| fault(&self.spec, reading, &error))?);
            }
            if has_gap {
                self.look_again(now)?;
            }
        }
        Ok(())
    }

    /// Takes one edge; whether the kernel lost some of this line before it.
    fn take(&mut self, event: &EdgeEvent) -> bool {
        let Some(number) = self.lines.iter().position(|line| line.offset == event.offset) else { return false };
        let (line, at) = (&mut self.lines[number], Instant::from_nanos(event.timestamp_ns));
        let has_gap = line.sequence != 0 && event.line_seqno != line.sequence.wrapping_add(1);
        line.sequence = event.line_seqno;
        let edge = line.settle(number, at, event.kind == EdgeKind::Rising);
        self.edges.extend(edge);
        has_gap
    }

    /// After lost edges the level itself says where things stand.
    fn look_again(&mut self, now: Instant) -> Result<(), Fault> {
        for (number, line) in self.lines.iter_mut().enumerate() {
            let level = value(&self.request, &self.spec, line.offset)?;
            self.edges.extend(line.settle(number, now, level));
        }
        Ok(())
    }
}

impl Line {
    /// The line has `level` since `at`: what is to be told of it now.
    fn settle(&mut self, number: usize, at: Instant, level: bool) -> Option<Edge> {
        let (at, level) = match &mut self.debounce {
            Some(debounce) => debounce.handle_edge(at, level)?,
            None => (at, level),
        };
        self.change(number, at, level)
    }

    fn change(&mut self, number: usize, at: Instant, level: bool) -> Option<Edge> {
        let has_changed = core::mem::replace(&mut self.is_active, level) != level;
        has_changed.then_some(Edge { line: number, is_active: level, at })
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.request.as_fd()
    }
}

fn claim(
    chip: &std::path::Path,
    requests: &[InputRequest],
    offsets: &[Offset],
    in_kernel: bool,
) -> Result<Request, gpiocdev::Error> {
    let mut builder = Request::builder();
    builder.on_chip(chip).with_consumer(CONSUMER).with_kernel_event_buffer_size(KERNEL_EDGES * offsets.len() as u32);
    for (one, offset) in requests.iter().zip(offsets) {
        builder
            .with_line(*offset)
            .as_input()
            .with_edge_detection(EdgeDetection::BothEdges)
            .with_event_clock(EventClock::Monotonic)
            .with_bias(match one.bias {
                Bias::AsIs => None,
                Bias::PullUp => Some(line::Bias::PullUp),
                Bias::PullDown => Some(line::Bias::PullDown),
                Bias::Disabled => Some(line::Bias::Disabled),
            });
        if one.active_low {
            builder.as_active_low();
        } else {
            builder.as_active_high();
        }
        builder.with_debounce_period(if in_kernel { one.debounce } else { Duration::ZERO });
    }
    builder.request()
}

/// Where a chip has no debouncing the kernel does it with a timer; what refuses is an old kernel or a wrong driver.
fn refuses_debouncing(error: &gpiocdev::Error) -> bool {
    errno(error).is_some_and(|errno| {
        matches!(errno, Errno::EINVAL | Errno::EOPNOTSUPP) || errno as i32 == ENOTSUPP || errno == Errno::UnknownErrno
    })
}

fn unblock(request: &Request) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(request, FcntlArg::F_GETFL)?);
    fcntl(request, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

fn value(request: &Request, spec: &LineSpec, offset: Offset) -> Result<bool, Fault> {
    let value = request.value(offset).map_err(|e| fault(spec, "read its level (GPIO_V2_LINE_GET_VALUES)", &e))?;
    Ok(value == Value::Active)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_and_too_many_lines_are_refused_in_words() {
        let line = |name: &str| InputRequest {
            line: name.parse().unwrap(),
            active_low: false,
            bias: Bias::AsIs,
            debounce: Duration::ZERO,
        };
        for requests in [Vec::new(), vec![line("A"); LINES_MAX + 1]] {
            let fault = Input::open(&requests).expect_err("refused");
            assert!(fault.to_string().contains("1 to 8"), "{fault}");
        }
    }
}
