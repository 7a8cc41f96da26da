//! Where what a station remembers is, for the commands that read or change it beside the station.

use super::Failure;
use crate::identity::state_directory;
use std::path::PathBuf;

/// The state directory of the unit.
const INSTALLED: &str = "/var/lib/visavis";

#[derive(clap::Args, Debug)]
pub(super) struct State {
    /// Where the station keeps its key, address book and journal; without it the installed station's, or else yours
    #[arg(long = "state", value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
}

impl State {
    /// The directory; whether it is there is for whoever opens it to say.
    pub(super) fn directory(&self) -> Result<PathBuf, Failure> {
        let of_unit = std::env::var_os("STATE_DIRECTORY").is_some();
        let installed = || (!of_unit).then(|| PathBuf::from(INSTALLED)).filter(|directory| directory.exists());
        let directory = self.directory.clone().or_else(installed);
        let directory = directory.or_else(|| state_directory(|name| std::env::var_os(name)));
        directory.ok_or_else(|| Failure::config("no place for a station's state: set HOME, or give --state DIR"))
    }
}
