//! The thread bodies. Each stage has one clock, waits by polling, and speaks to its neighbours through rings only.
//!
//! A stage never ends by itself: a device's fault is put into its [`Health`], waited out with a growing pause, and
//! the device is opened again.

mod bell;
pub mod capture;
pub mod compress;
pub mod expand;
pub mod eye;
mod hardware;
mod health;
pub mod present;
mod sameness;
mod talk;
pub mod tap;
pub mod voice;

pub use bell::{Anew, Bell, Wishes};
pub use health::{Health, Pause, State};

use crate::sys::wake::{Stop, Wake};
use std::io;

/// What every stage is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// Ask for its end.
    pub stop: Stop,
    /// Wakes the net loop: after putting something into a ring that it reads, or changing the health.
    pub net: Wake,
    /// Asks whether it turns, and for things to be made anew.
    pub bell: Bell,
}

impl Context {
    /// With a bell of its own. Fails where the process is out of file descriptors.
    pub fn new(stop: Stop, net: Wake) -> io::Result<Context> {
        Ok(Context { stop, net, bell: Bell::new()? })
    }

    /// The same for another thread.
    pub fn for_another(&self) -> io::Result<Context> {
        Context::new(self.stop.clone(), self.net.clone())
    }
}
