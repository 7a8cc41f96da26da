//! `visavis peers`: the address book, and what each station in it may do.

use super::state::State;
use super::{EX_CONFIG, EX_IOERR, Failure, print};
use crate::identity::{AddressBook, Entry, IdentityError, Rights};
use clap::{Subcommand, ValueEnum};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all stations (this is what `visavis peers` does by itself)
    List,
    /// Show all that is known of a station
    Show { name: String },
    /// Give a station another name
    Rename { old: String, new: String },
    /// Let a station do something
    Allow {
        name: String,
        #[arg(required = true)]
        rights: Vec<Right>,
    },
    /// Let a station no longer do something
    Deny {
        name: String,
        #[arg(required = true)]
        rights: Vec<Right>,
    },
    /// Take a station out of the address book; it has to be paired again to be known
    Forget { name: String },
}

/// What a station may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Right {
    /// Ring here, and be answered
    Call,
    /// See and hear without anybody answering
    Monitor,
    /// Open the door
    Release,
}

impl Right {
    fn set(self, rights: &mut Rights, may: bool) {
        match self {
            Right::Call => rights.call = may,
            Right::Monitor => rights.monitor = may,
            Right::Release => rights.release = may,
        }
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let directory = args.state.directory()?;
    let printed = match args.command.unwrap_or(Command::List) {
        Command::List => {
            let book = AddressBook::load(&directory)?;
            if args.json { json(book.entries()) } else { list(book.entries()) }
        }
        Command::Show { name } => {
            let book = AddressBook::load(&directory)?;
            let entry = book.known(&name).map_err(refused)?;
            if args.json { json(entry) } else { show(entry) }
        }
        Command::Rename { old, new } => change(&directory, |book| book.rename(&old, &new))?,
        Command::Allow { name, rights } => change(&directory, |book| set(book, &name, &rights, true))?,
        Command::Deny { name, rights } => change(&directory, |book| set(book, &name, &rights, false))?,
        Command::Forget { name } => change(&directory, |book| {
            let key = book.known(&name)?.key;
            book.remove(&key);
            Ok(())
        })?,
    };
    print(&printed).map(|()| ExitCode::SUCCESS)
}

fn set(book: &mut AddressBook, name: &str, rights: &[Right], may: bool) -> Result<(), String> {
    book.change_rights(name, |all| rights.iter().for_each(|right| right.set(all, may)))
}

/// Changes the book on the disk; a running station looks at it when it is told to.
fn change(directory: &Path, change: impl FnOnce(&mut AddressBook) -> Result<(), String>) -> Result<String, Failure> {
    AddressBook::update(directory, |book| change(book).map_err(refused))?;
    Ok("Done. A station that is running is told by: visavis ctl rescan\n".into())
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Failure {
        let status = if error.source.is_some() { EX_IOERR } else { EX_CONFIG };
        Failure { status, message: error.to_string() }
    }
}

fn refused(message: String) -> Failure {
    Failure { status: 1, message }
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    // Texts, booleans and lists of them are all within JSON: this cannot fail.
    serde_json::to_string_pretty(value).expect("an address book is valid JSON") + "\n"
}

/// `call, monitor`, or that it may do nothing.
fn rights_in_words(rights: Rights) -> String {
    let all = [(rights.call, "call"), (rights.monitor, "monitor"), (rights.release, "release")];
    let may: Vec<_> = all.into_iter().filter_map(|(may, what)| may.then_some(what)).collect();
    if may.is_empty() { "do nothing".into() } else { may.join(", ") }
}

fn list(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "This station knows no other yet: `visavis pair` on both makes them known to each other.\n".into();
    }
    let width = entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for entry in entries {
        let address = entry.addresses.first().map_or_else(|| "nowhere yet".into(), ToString::to_string);
        let (name, key, may) = (&entry.name, &entry.key, rights_in_words(entry.rights));
        let _ = writeln!(text, "{name:width$}  {key:#}  may {may}; last reached at {address}");
    }
    text
}

fn show(entry: &Entry) -> String {
    let mut text = format!("{}\n  key {}\n  may {}\n", entry.name, entry.key, rights_in_words(entry.rights));
    for address in &entry.addresses {
        let _ = writeln!(text, "  reached at {address}");
    }
    text
}
