//! The scenarios: a file each, in the order in which they are run.

mod devices;

use crate::Outcome;
use crate::machine::Order;
use std::time::Duration;

/// What a scenario does; gives what it measured, for the line that is printed.
pub type Play = fn(&Order) -> Outcome<String>;

/// A scenario.
pub struct Scenario {
    /// Its name, which is also its file's.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub about: &'static str,
    /// When the machine is switched off if it is not done by then; generous, since this machine has other work too.
    pub limit: Duration,
    /// Not part of a run of all.
    pub only_when_named: bool,
    /// The scenario itself.
    pub play: Play,
}

const fn scenario(name: &'static str, limit_s: u64, play: Play, about: &'static str) -> Scenario {
    Scenario { name, about, limit: Duration::from_secs(limit_s), only_when_named: false, play }
}

/// All of them.
pub const ALL: &[Scenario] = &[scenario(
    "devices",
    60,
    devices::play,
    "the lab itself: cameras, screens, sound cards, buttons and networks do what scenarios rely on",
)];

/// The scenario called `name`.
pub fn find(name: &str) -> Outcome<Play> {
    let found = ALL.iter().find(|scenario| scenario.name == name);
    Ok(found.ok_or_else(|| format!("no scenario is called {name}"))?.play)
}
