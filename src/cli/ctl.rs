//! `visavis ctl`, `status` and `watch`: what people and scripts say to a running station, and hear from it.

use super::{EX_IOERR, EX_UNAVAILABLE, EX_USAGE, Failure};
use crate::call::{Action, NOTATIONS};
use crate::panel::client::{Client, ClientError, client_paths};
use crate::panel::protocol::{Answer, Request};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The station refused: the shell's "no".
const REFUSED: u8 = 1;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct SocketArg {
    /// The station's control socket, where it is not at its usual place
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SocketArg {
    /// The path that was given.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.socket.clone()
    }
}

#[derive(clap::Args, Debug)]
#[command(after_help = notations())]
pub(super) struct CtlArgs {
    #[command(flatten)]
    socket: SocketArg,
    /// What to do, in words as below
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    action: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    socket: SocketArg,
    /// Print JSON: an object, or one a line
    #[arg(long)]
    json: bool,
}

fn notations() -> String {
    let width = NOTATIONS.iter().map(|(notation, _)| notation.len()).max().unwrap_or(0);
    let lines = NOTATIONS.iter().map(|(notation, about)| format!("  {notation:width$}  {about}\n"));
    format!("Actions:\n{}", lines.collect::<String>())
}

pub(super) fn ctl(args: CtlArgs) -> Result<ExitCode, Failure> {
    let text = args.action.join(" ");
    // Words that are wrong are so whether a station runs or not.
    let action: Action = text.parse().map_err(|error| Failure { status: EX_USAGE, message: format!("{error}") })?;
    match ask(&args.socket, &Request::Act(action.to_string()))?.1 {
        Answer::Done => Ok(ExitCode::SUCCESS),
        other => Err(unexpected(other)),
    }
}

pub(super) fn status(args: ShowArgs) -> Result<ExitCode, Failure> {
    match ask(&args.socket, &Request::Status)?.1 {
        Answer::Status(status) => {
            // Its fields are numbers and texts: nothing in it fails to be JSON.
            let text = if args.json { serde_json::to_string(&status).unwrap_or_default() } else { status.words() };
            print(&text).map_err(|error| Failure::io("print", &error))?;
            Ok(ExitCode::SUCCESS)
        }
        other => Err(unexpected(other)),
    }
}

/// Until it is interrupted, or the station ends.
pub(super) fn watch(args: ShowArgs) -> Result<ExitCode, Failure> {
    let (mut client, answer) = ask(&args.socket, &Request::Watch)?;
    if answer != Answer::Watching {
        return Err(unexpected(answer));
    }
    loop {
        let event = client.next_event().map_err(failure)?;
        let text = if args.json { serde_json::to_string(&event).unwrap_or_default() } else { event.to_string() };
        match print(&text) {
            Ok(()) => {}
            // `visavis watch | head -1`: whoever read has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(Failure::io("print", &error)),
        }
    }
}

pub(super) fn ask(socket: &SocketArg, request: &Request) -> Result<(Client, Answer), Failure> {
    let paths = match &socket.socket {
        Some(path) => vec![path.clone()],
        None => client_paths(|name| std::env::var_os(name)),
    };
    let mut client = Client::connect(&paths).map_err(failure)?;
    let answer = client.ask(request).map_err(failure)?;
    Ok((client, answer))
}

pub(super) fn failure(error: ClientError) -> Failure {
    let status = match error {
        ClientError::NoStation(_) => EX_UNAVAILABLE,
        ClientError::Broken(_) => EX_IOERR,
    };
    Failure { status, message: error.to_string() }
}

pub(super) fn unexpected(answer: Answer) -> Failure {
    match answer {
        Answer::Refused(reason) => Failure { status: REFUSED, message: reason },
        other => Failure { status: EX_IOERR, message: format!("the station answered something else: {other:?}") },
    }
}

/// At once, for those who read a pipe as it comes.
fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
