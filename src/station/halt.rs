//! Why a net loop ends though nobody asked it to.

use core::fmt;

/// An end of the program that systemd answers by starting it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A thread of ours ended, or the kernel refused a wait: a bug.
    Bug(String),
    /// Something stands still that only a new process may put right.
    Repair(String),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Halt::Bug(why) | Halt::Repair(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Halt {}
