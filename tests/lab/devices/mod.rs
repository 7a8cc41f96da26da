//! The devices of a machine, by the drivers that stand in for hardware, and what scenarios do to them.

pub mod buttons;
pub mod camera;
pub mod disk;
pub mod facing;
pub mod network;
pub mod room;
pub mod scarcity;
pub mod screen;
pub mod sound;
pub mod stranger;

use crate::Outcome;

/// The two ends of a call. Each has a network namespace, a camera, a screen and a sound card of its own; the devices'
/// numbers and names follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Near,
    Far,
}

impl End {
    pub const BOTH: [End; 2] = [End::Near, End::Far];

    /// The name of its namespace, sound card and files.
    pub const fn name(self) -> &'static str {
        match self {
            End::Near => "near",
            End::Far => "far",
        }
    }

    /// 0 or 1.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The one at the other end.
    pub const fn other(self) -> End {
        match self {
            End::Near => End::Far,
            End::Far => End::Near,
        }
    }
}

/// Everything at once, for test programs that find their devices by themselves.
pub fn load_all() -> Outcome {
    camera::load_vivid()?;
    camera::load_loopback()?;
    screen::load()?;
    sound::load()?;
    buttons::load()
}
