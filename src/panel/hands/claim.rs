//! A line that is wanted: held, or looked for again with growing pauses.

use crate::device::Fault;
use crate::device::gpio::{Edge, Input, Output};
use crate::time::{Duration, Instant};

/// The pause after the first failure, which doubles, and the longest: a plug that comes back is found within it.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A line, or why there is none.
#[derive(Debug)]
pub(super) struct Claim<R> {
    held: Option<R>,
    fault: Option<Fault>,
    retry_at: Instant,
    pause: Duration,
}

impl<R> Claim<R> {
    /// To be claimed at once.
    pub(super) fn new(now: Instant) -> Claim<R> {
        Claim { held: None, fault: None, retry_at: now, pause: RETRY_FIRST }
    }

    pub(super) fn held(&self) -> Option<&R> {
        self.held.as_ref()
    }

    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Claims it where that is due; what was claimed just now.
    pub(super) fn claim(&mut self, now: Instant, open: impl FnOnce() -> Result<R, Fault>) -> Option<&R> {
        if self.held.is_some() || now < self.retry_at {
            return None;
        }
        match open() {
            Ok(held) => {
                if let Some(fault) = self.fault.take() {
                    tracing::info!(device = fault.device, "{}: works", fault.device);
                }
                self.pause = RETRY_FIRST;
                Some(&*self.held.insert(held))
            }
            Err(fault) => {
                self.lose(now, fault);
                None
            }
        }
    }

    /// Tries again at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        (self.retry_at, self.pause) = (now, RETRY_FIRST);
    }

    /// When to try again.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.held.is_none().then_some(self.retry_at)
    }

    /// Lets it go, for this reason; told once, unless it changes.
    fn lose(&mut self, now: Instant, fault: Fault) {
        if self.fault.as_ref().map(Fault::to_string) != Some(fault.to_string()) {
            tracing::warn!(device = fault.device, "{fault}");
        }
        self.held = None;
        self.fault = Some(fault);
        self.retry_at = now + self.pause;
        self.pause = (self.pause * 2).min(RETRY_MAX);
    }
}

impl Claim<Input> {
    /// Takes all changes that there are.
    ///
    /// # Errors
    /// Nothing more than that it was lost just now; the fault is kept.
    pub(super) fn read(&mut self, now: Instant, mut take: impl FnMut(Edge)) -> Result<(), ()> {
        let Some(input) = &mut self.held else { return Ok(()) };
        loop {
            match input.read(now) {
                Ok(Some(edge)) => take(edge),
                Ok(None) => return Ok(()),
                Err(fault) => {
                    self.lose(now, fault);
                    return Err(());
                }
            }
        }
    }
}

impl Claim<Output> {
    /// Switches it; false where it is not held (any more).
    pub(super) fn drive(&mut self, now: Instant, is_on: bool) -> bool {
        let Some(output) = &mut self.held else { return false };
        let done = if output.is_gone() { Err(output.gone()) } else { output.set(is_on) };
        match done {
            Ok(()) => true,
            Err(fault) => {
                self.lose(now, fault);
                false
            }
        }
    }
}
