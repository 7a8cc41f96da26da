//! The lab: scenarios on real drivers, each in a virtual machine of its own that boots in half a second.
//!
//! The kernel is User-Mode Linux (`kernel/build`). It sees this machine's files read-only with a layer in memory over
//! them, so that nothing is installed and no image is made: **this same program is the machine's first process**. Run
//! outside, it starts a machine for each scenario and prints how it went; run inside, as process 1, it mounts, loads the
//! drivers, plays the scenario, writes the outcome down, and powers off.
//!
//! ```text
//! make lab                                        all of them
//! make lab SCENARIO=camera                        those whose name has "camera" in it
//! VISAVIS_LAB_KEEP=1 make lab SCENARIO=intercom   and leave its run folder, with photographs of the screens
//! VISAVIS_LAB=1 cargo test --test lab -- --list   what there is
//! ```
//!
//! A scenario is a file in `scenarios/`: it puts devices and networks into a state, starts stations as an installer
//! would, and judges by what comes out of the far end: the picture in the screen's own buffer, the sound out of the
//! other card. What a station says of itself is read too, but proves nothing alone.
//!
//! Without VISAVIS_LAB in the environment nothing is booted, so that a plain `cargo test` stays quick.

mod call;
mod command;
mod devices;
mod guest;
mod host;
mod intercom;
mod judge;
mod machine;
mod pair;
mod scenarios;
mod station;
mod systemd;

use std::process::ExitCode;

/// What a scenario comes to, and what a step in it may fail with: a sentence for whoever reads the log.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        guest::main()
    } else if std::env::args().nth(1).as_deref() == Some(systemd::ARGUMENT) {
        guest::main_under_systemd()
    } else {
        host::main()
    }
}
