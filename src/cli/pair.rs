//! `visavis pair`: two stations get to know each other, by what the one shows and the other's camera or keyboard takes.

use super::ctl::{SocketArg, ask, failure, unexpected};
use super::{Failure, print};
use crate::panel::protocol::{Answer, Happening, Request};
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    socket: SocketArg,
    /// The six words that the other station shows; without them this station shows its own, and looks for the other's
    /// code with its camera
    #[arg(value_name = "WORD", num_args = 0..=6)]
    code: Vec<String>,
    /// Where the other station is, where it cannot be found by itself: name or address, and perhaps :PORT
    #[arg(long, value_name = "HOST")]
    at: Option<String>,
    /// Give up a pairing that goes on
    #[arg(long, conflicts_with_all = ["code", "at"])]
    stop: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.stop {
        return match ask(&args.socket, &Request::Act("stop-pairing".into()))?.1 {
            Answer::Done => Ok(ExitCode::SUCCESS),
            other => Err(unexpected(other)),
        };
    }
    // Watching first: nothing that follows the request is missed.
    let (mut watcher, answer) = ask(&args.socket, &Request::Watch)?;
    if answer != Answer::Watching {
        return Err(unexpected(answer));
    }
    let code = (!args.code.is_empty()).then(|| args.code.join(" "));
    let is_typed = code.is_some();
    match ask(&args.socket, &Request::Pair { code, address: args.at.clone() })?.1 {
        Answer::Pairing { words } if !is_typed => print(&format!(
            "Show the code on this station's screen to the other station's camera, while it pairs too,\n\
             or type there:\n\n    visavis pair {words}\n\n"
        ))?,
        Answer::Pairing { .. } => print("Looking for the other station.\n")?,
        other => return Err(unexpected(other)),
    }
    loop {
        if let Happening::Pairing { words, is_over: true, peer } = watcher.next_event().map_err(failure)?.what {
            return match peer {
                Some(name) => {
                    print(&format!("Paired with {name}.\n"))?;
                    Ok(ExitCode::SUCCESS)
                }
                None => Err(Failure { status: 1, message: words }),
            };
        }
    }
}
