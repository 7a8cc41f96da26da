//! `visavis run`: the intercom itself, as the service runs it.

use super::chat::first_camera;
use super::ctl::SocketArg;
use super::interruptible::Interruptible;
use super::state::State;
use super::{EX_SOFTWARE, EX_TEMPFAIL, Failure, machine_name};
use crate::config::{CONFIG_FILE, Config, Surroundings};
use crate::identity::{SecretKey, system_random};
use crate::panel::client::server_path;
use crate::station::{Config as StationConfig, Halt, Intercom, PortConfig, confine};
use crate::sys::notify::Notify;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The configuration; one that is not there means the defaults
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    socket: SocketArg,
    #[command(flatten)]
    state: State,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if !args.config.exists() && args.config != Path::new(CONFIG_FILE) {
        return Err(Failure::config(format!("{}: there is no such file", args.config.display())));
    }
    let config = Config::load(&args.config).map_err(|error| Failure::config(error.to_string()))?;
    let state = args.state.directory()?;
    let secret = SecretKey::load_or_create(&state, system_random).map_err(|e| Failure::config(e.to_string()))?;
    let around = Surroundings {
        state,
        socket: args.socket.path().unwrap_or_else(|| server_path(|name| std::env::var_os(name))),
        host: machine_name(),
        locale: ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok())
            .unwrap_or_default(),
    };
    let station = StationConfig {
        name: config.station.name.as_ref().map_or_else(machine_name, ToString::to_string),
        secret,
        port: PortConfig { number: config.station.port, may_move: false, address: None, version: config.station.ip },
        media: config.media(first_camera),
        snapshot: None,
    };
    let interruptible = Interruptible::new()?;
    let settings = config.intercom(&around);
    confine(&station, Some(&settings), std::env::var_os("HOME").as_deref().map(Path::new));
    let mut intercom = Intercom::start(station, settings).map_err(Failure::config)?;
    if let Some(manager) = Notify::from_environment(|name| std::env::var_os(name)) {
        intercom.report_to(manager);
    }
    interruptible.run(|stop| intercom.run(stop)).map_err(|halt| {
        let status = if matches!(halt, Halt::Bug(_)) { EX_SOFTWARE } else { EX_TEMPFAIL };
        Failure { status, message: halt.to_string() }
    })?;
    Ok(ExitCode::SUCCESS)
}
