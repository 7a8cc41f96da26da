//! Whether a stage's device works, as seen from other threads.

use crate::device::Fault;
use crate::sys::wake::Wake;
use crate::time::{Duration, Instant};
use std::sync::{Arc, Mutex, PoisonError};

/// How a stage's device is.
#[derive(Clone, Debug, Default)]
pub enum State {
    /// Not opened yet.
    #[default]
    Starting,
    /// Data moves.
    Working,
    /// It does not; it is being retried (but for a file at its end).
    Faulty(Fault),
}

/// One stage's state, set by the stage and read by the net loop. Clones are the same.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<Mutex<(State, u64)>>,
    net: Wake,
}

impl Health {
    /// Starting; `net` is signalled at each change.
    pub fn new(net: Wake) -> Health {
        Health { state: Arc::default(), net }
    }

    /// Sets the state, and wakes the net loop if it is another one. Takes a lock, so for changes only, not for frames.
    pub fn set(&self, state: State) {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let same = match (&held.0, &state) {
            (State::Starting, State::Starting) | (State::Working, State::Working) => true,
            (State::Faulty(a), State::Faulty(b)) => a.to_string() == b.to_string(),
            _ => false,
        };
        if !same {
            *held = (state, held.1 + 1);
            drop(held);
            self.net.signal();
        }
    }

    /// The state, and how often it has changed.
    pub fn get(&self) -> (State, u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The growing pause between two attempts to open a device: 100 ms, doubling to 0.8 s.
///
/// So a device is back within a second of its being plugged in again, however long it was away, and a missing one costs
/// next to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pause {
    failures: u32,
}

impl Pause {
    /// The device works: start short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The device failed at `now`: when to try again.
    pub fn after_failure(&mut self, now: Instant) -> Instant {
        let pause = Duration::from_millis(100 << self.failures.min(3));
        self.failures += 1;
        now + pause
    }
}
