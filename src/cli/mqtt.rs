//! `visavis mqtt`: the station in the house's own automation.

use super::ctl::SocketArg;
use super::interruptible::Interruptible;
use super::{Failure, machine_name};
use crate::config::{CONFIG_FILE, Config};
use crate::panel::client::client_paths;
use crate::station::Bridge;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The configuration; one that is not there means the defaults
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    socket: SocketArg,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.config).map_err(|error| Failure::config(error.to_string()))?;
    let name = config.station.name.as_ref().map_or_else(machine_name, ToString::to_string);
    let control = args.socket.path().map_or_else(|| client_paths(|name| std::env::var_os(name)), |path| vec![path]);
    let bridge = config.mqtt.bridge(&name, control, |name| std::env::var_os(name)).map_err(Failure::config)?;
    let missing = "[mqtt] broker is not set: write broker = \"mqtt://HOST\" there";
    let bridge = bridge.ok_or_else(|| Failure::config(format!("{}: {missing}", args.config.display())))?;
    let bridge = Bridge::start(bridge).map_err(|error| Failure::io("start", &error))?;
    let done = Interruptible::new()?.run(|stop| bridge.run(stop));
    done.map(|()| ExitCode::SUCCESS).map_err(|error| Failure::io("wait (ppoll)", &error))
}
