//! The thread bodies. Each stage has one clock, waits by polling, and speaks to its neighbours through rings only.
//!
//! A stage never ends by itself: a device's fault is put into its [`Health`], waited out with a growing pause, and
//! the device is opened again.

pub mod capture;
pub mod compress;
pub mod expand;
pub mod eye;
mod health;
pub mod present;
mod talk;
pub mod tap;
pub mod voice;

pub use health::{Health, Pause, State};

use crate::sys::wake::{Stop, Wake};

/// What every stage is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// Ask for its end.
    pub stop: Stop,
    /// Wakes the net loop: after putting something into a ring that it reads, or changing the health.
    pub net: Wake,
}
