//! The command line: one file a subcommand.
//!
//! Exit status: 0 done · 1 there was no call, or something is lacking, or the station refused · 2 wrong usage · 69 no station
//! runs here · 70 a bug in visavis · 74 an input or output failed · 75 something stands still
//! that only a new start may put right · 78 configuration (sysexits.h).

mod bench;
mod chat;
mod check;
mod completion;
mod ctl;
mod demo;
mod devices;
mod doctor;
mod interruptible;
mod latency;
mod log;
mod logging;
mod man;
mod media;
mod mqtt;
mod pair;
mod peers;
mod run;
mod state;
mod terminal;
mod web;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Wrong usage, as clap has it.
const EX_USAGE: u8 = 2;
/// sysexits.h EX_UNAVAILABLE: a service that is needed does not run.
const EX_UNAVAILABLE: u8 = 69;
/// sysexits.h EX_SOFTWARE: an internal error.
const EX_SOFTWARE: u8 = 70;
/// sysexits.h EX_IOERR.
const EX_IOERR: u8 = 74;
/// sysexits.h EX_TEMPFAIL: another try may do.
const EX_TEMPFAIL: u8 = 75;
/// sysexits.h EX_CONFIG.
const EX_CONFIG: u8 = 78;

/// What belongs to no subcommand; it ends the man page too.
const NOTES: &str = "\
Exit status: 0 done; 1 there was no call, or something is lacking or refused; 2 wrong usage; 69 no \
station runs here; 70 a bug in visavis; 74 an input or output failed; 75 something stands still that \
only a new start may put right; 78 the configuration is wrong.

Files: /etc/visavis/station.toml is the configuration, documented by its own comments; /var/lib/visavis holds the \
station's key, address book and journal; beside an installed station, a user's own are in ~/.local/state/visavis.

Environment: VISAVIS_LOG=debug shows more messages.";

#[derive(Debug, Parser)]
#[command(name = "visavis", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_long_help = NOTES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the intercom of this house: ring and be rung, as the configuration says
    Run(run::Args),
    /// Get to know another station, by a code that one shows and the other reads
    Pair(pair::Args),
    /// See and hear another station; both sides run the same command
    Chat(Box<chat::Args>),
    /// Two stations in this process call each other over loopback
    Demo(Box<demo::Args>),
    /// Tell the station that runs here to do something
    Ctl(ctl::CtlArgs),
    /// Show how things are with the station that runs here
    Status(ctl::ShowArgs),
    /// Show what happens at the station that runs here, as it happens
    Watch(ctl::ShowArgs),
    /// Measure how long sound takes from mouth to ear and a picture from light to light, with two stations in one room
    Latency(latency::Args),
    /// List cameras, sound cards, screens and GPIO chips, and what each lacks to be used
    Devices,
    /// Read the configuration, print what it comes to, and try every device
    Check(check::Args),
    /// Examine this station and its board: what is wrong, what it means, and what mends it
    Doctor(doctor::Args),
    /// List, rename, limit and forget the stations of the address book
    Peers(peers::Args),
    /// Print calls, door releases and who was refused
    Log(log::Args),
    /// Serve the page for phones and laptops, and invite them
    Web(web::Args),
    /// Tell the house's MQTT broker, and Home Assistant there, what happens at this station
    Mqtt(mqtt::Args),
    /// Measure what this board pays per frame for each stage and codec
    Bench(BenchArgs),
    /// Write the man pages
    #[command(hide = true)]
    Man(man::Args),
    /// Print what a shell completes
    #[command(hide = true)]
    Completion(completion::Args),
}

#[derive(Debug, clap::Args)]
struct BenchArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// How many frames each stage is measured over
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..=3_000))]
    frames: u16,
}

/// An end of the program that the shell is told of.
#[derive(Debug)]
struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    fn config(message: impl Into<String>) -> Failure {
        Failure { status: EX_CONFIG, message: message.into() }
    }

    fn io(doing: &str, error: &std::io::Error) -> Failure {
        Failure { status: EX_IOERR, message: format!("cannot {doing}: {error}") }
    }
}

/// Runs the program with the given arguments, the program's own name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no errors; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    logging::start();
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Pair(args) => pair::run(&args),
        Command::Chat(args) => chat::run(*args),
        Command::Demo(args) => demo::run(*args),
        Command::Ctl(args) => ctl::ctl(args),
        Command::Status(args) => ctl::status(args),
        Command::Watch(args) => ctl::watch(args),
        Command::Latency(args) => latency::run(&args),
        Command::Devices => devices::run().map_err(|e| Failure::io("list the devices", &e)).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Peers(args) => peers::run(args),
        Command::Log(args) => log::run(&args),
        Command::Web(args) => web::run(args),
        Command::Mqtt(args) => mqtt::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Completion(args) => completion::run(&args),
        Command::Bench(args) => bench::run(args.json, usize::from(args.frames))
            .map_err(|e| Failure::io("measure", &e))
            .map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("visavis: {}", failure.message);
            ExitCode::from(failure.status)
        }
    }
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::io("print", &error)),
        _ => Ok(()),
    }
}

/// The machine's own name, as its installer set it.
fn machine_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "station".into())
}
