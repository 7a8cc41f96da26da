//! `visavis doctor`: what is wrong with this station and its board, what that means for the household, and what mends it.
//!
//! A file for each subject, each with a `look` that reads ([`Machine`]: files and commands, bounded) and pure functions
//! from what was read to [`Finding`]s, which tests feed with texts recorded on other boards. **Nothing hangs**: each look
//! has a thread of its own, and is given up after its time. Nothing is changed but by `--fix`, which asks first.

mod access;
mod board;
mod bundle;
mod clock;
mod devices;
mod finding;
mod firewall;
mod machine;
mod mdns;
mod network;
mod peers;
mod power;
mod scrub;
mod service;
mod storage;
mod watchdog;
mod wifi;

use super::ctl::{SocketArg, ask};
use super::state::State;
use super::{EX_IOERR, EX_UNAVAILABLE, Failure, print};
use crate::config::{CONFIG_FILE, Config};
use crate::device::screen::ScreenSpec;
use crate::panel::protocol::{Answer, Request, Status};
use finding::Finding;
use machine::Machine;
use service::Unit;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    socket: SocketArg,
    #[command(flatten)]
    state: State,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write what is found, with configuration, status and log, into one file to attach to a report, without secrets; `-`
    /// prints it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "fix"])]
    bundle: Option<PathBuf>,
    /// Turn off Wi-Fi's power saving, now and for good; asks before
    #[arg(long)]
    fix: bool,
    /// Do not ask
    #[arg(long, requires = "fix")]
    yes: bool,
}

/// How long a look may take: a camera that is opened takes seconds, a device that hangs takes for ever.
const LOOK_WITHIN: Duration = Duration::from_secs(20);

/// Examines one subject.
type Look = fn(&Around) -> Vec<Finding>;

/// Everything that is looked at.
const LOOKS: [(&str, Look); 14] = [
    ("configuration", configuration),
    ("service", service::look),
    ("watchdog", watchdog::look),
    ("permissions", access::look),
    ("devices", devices::look),
    ("board", board::look),
    ("power", power::look),
    ("storage", storage::look),
    ("clock", clock::look),
    ("network", network::look),
    ("wi-fi", wifi::look),
    ("firewall", firewall::look),
    ("multicast dns", mdns::look),
    ("stations", peers::look),
];

/// What every look may want to know.
struct Around {
    machine: Machine,
    /// The configuration, or what is wrong with it.
    config: Result<Config, String>,
    /// Whether the configuration could be read and is wrong.
    is_config_wrong: bool,
    /// Where the station's key, book and journal are.
    state: Option<PathBuf>,
    /// What the station that runs here says, or why it says nothing.
    station: Result<Box<Status>, Silence>,
    /// The unit, where systemd answers.
    unit: Option<Unit>,
}

/// Why no station answers.
#[derive(Debug)]
struct Silence {
    why: String,
    /// One is there, and stands still.
    is_stuck: bool,
}

impl Around {
    fn new(args: &Args) -> Around {
        let machine = Machine::here();
        let properties = format!("--property={}", service::PROPERTIES);
        let unit = machine.answer("systemctl", &["show", "visavis.service", &properties]);
        let config = Config::load(&args.config);
        Around {
            is_config_wrong: config.is_err() && !is_denied(&args.config),
            config: config.map_err(|error| error.to_string()),
            state: args.state.directory().ok(),
            station: asked(&args.socket),
            unit: unit.map(|text| Unit::parse(&text)),
            machine,
        }
    }

    /// Whether pictures are to be shown here.
    fn shows_picture(&self) -> bool {
        self.config.as_ref().is_ok_and(|config| {
            matches!(config.screen.device, ScreenSpec::Auto | ScreenSpec::Drm(_) | ScreenSpec::Fbdev(_))
        })
    }

    /// Whether a station runs, as far as it can be told.
    fn runs(&self) -> bool {
        let answers = self.station.as_ref().map_or_else(|silence| silence.is_stuck, |_| true);
        answers || self.unit.as_ref().is_some_and(Unit::is_active)
    }
}

fn is_denied(path: &Path) -> bool {
    std::fs::File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// How the station is, by its own account.
fn asked(socket: &SocketArg) -> Result<Box<Status>, Silence> {
    let socket = socket.clone();
    let answer = given(move || ask(&socket, &Request::Status)).recv_timeout(LOOK_WITHIN);
    let (why, is_stuck) = match answer {
        Ok(Ok((_, Answer::Status(status)))) => return Ok(status),
        Ok(Ok(_)) => ("it answers something else: it is of another version".into(), true),
        Ok(Err(failure)) => (failure.message, failure.status != EX_UNAVAILABLE),
        Err(_) => ("it does not answer".into(), true),
    };
    Err(Silence { why, is_stuck })
}

/// What `work` will have come to, on a thread of its own. One that hangs ends with the process.
fn given<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (done, result) = sync_channel(1);
    std::thread::spawn(move || {
        let _ = done.send(work());
    });
    result
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let around = Arc::new(Around::new(args));
    let findings = examine(&around);
    let is_trouble = findings.iter().any(Finding::is_trouble);
    if let Some(file) = &args.bundle {
        bundle::write(file, &around, &findings).map_err(|e| Failure::io(&format!("write {}", file.display()), &e))?;
        if file != Path::new("-") {
            eprintln!("{}: read it, then attach it to your report", file.display());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        // Texts alone: this cannot fail.
        print(&(serde_json::to_string_pretty(&findings).expect("findings are valid JSON") + "\n"))?;
    } else {
        print(&finding::in_words(&findings))?;
    }
    if args.fix {
        let done = wifi::fix(&around.machine, |question| args.yes || is_agreed(question));
        let done = done.map_err(|message| Failure { status: EX_IOERR, message })?;
        eprintln!("{}", if done.is_empty() { "Nothing was changed.".into() } else { done.join("\n") });
    }
    Ok(if is_trouble { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// All looks at once; their findings in the order of the list.
fn examine(around: &Arc<Around>) -> Vec<Finding> {
    let until = Instant::now() + LOOK_WITHIN;
    let started = LOOKS.map(|(subject, look)| {
        let around = around.clone();
        (subject, given(move || look(&around)))
    });
    let mut findings = Vec::new();
    for (subject, result) in started {
        match result.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(found) => findings.extend(found),
            Err(_) => findings.push(Finding::unseen(
                subject,
                "this look has not come back",
                format!("it was given up after {} s; something that it asked hangs", LOOK_WITHIN.as_secs()),
            )),
        }
    }
    findings
}

fn configuration(around: &Around) -> Vec<Finding> {
    vec![match &around.config {
        Ok(_) => Finding::good("configuration", "it is in order"),
        Err(error) if around.is_config_wrong => Finding::wrong("configuration", error.clone())
            .because("The station does not start with it.")
            .mend("Mend that line, then: visavis check && sudo systemctl restart visavis"),
        Err(error) => Finding::unseen("configuration", "it may not be read by this user", format!("{error}: use sudo")),
    }]
}

/// Asks at the terminal; where there is none, nobody agrees.
fn is_agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        eprintln!("{question} Nobody is there to ask: visavis doctor --fix --yes");
        return false;
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}
