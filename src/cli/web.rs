//! `visavis web`: the page for phones and laptops, and invitations to it.

use super::ctl::SocketArg;
use super::interruptible::Interruptible;
use super::state::State;
use super::{EX_IOERR, Failure, machine_name, print};
use crate::config::{CONFIG_FILE, Config};
use crate::identity::{Rights, SecretKey, system_random};
use crate::panel::client::client_paths;
use crate::station::{HandsetConfig, Handsets, Invited, Page, admit_viewer};
use crate::web::INVITATION_LIFE;
use clap::Subcommand;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The configuration; one that is not there means the defaults
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE, global = true)]
    config: PathBuf,
    #[command(flatten)]
    socket: SocketArg,
    #[command(flatten)]
    state: State,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the page until stopped (this is what `visavis web` does by itself)
    Serve,
    /// Let a phone or laptop in: print a link that holds for ten minutes and once, and its QR code
    Invite {
        /// Let it open this station's door, too
        #[arg(long)]
        release: bool,
        /// Let it see and hear this station without anybody answering
        #[arg(long)]
        monitor: bool,
        /// The name or address at which the phone reaches this machine, where the one that is found is not right
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
    },
    /// Let a player, a recorder or a media server look on: print a token for it, which is not shown again
    Token {
        /// What it is called in the address book, where `visavis peers forget` takes the token back
        name: String,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.config).map_err(|error| Failure::config(error.to_string()))?;
    let missing = "[web] listen is not set: write listen = \"[::]:8443\" there";
    let page = config.page(&machine_name());
    let page = page.ok_or_else(|| Failure::config(format!("{}: {missing}", args.config.display())))?;
    let state = args.state.directory()?;
    match args.command.unwrap_or(Command::Serve) {
        Command::Invite { release, monitor, host } => {
            let rights = Rights { call: true, monitor, release };
            invite(&page, &state, rights, host.as_deref())
        }
        Command::Token { name } => token(&page, &state, &name),
        Command::Serve => {
            let secret =
                SecretKey::load_or_create(&state, system_random).map_err(|e| Failure::config(e.to_string()))?;
            serve(HandsetConfig {
                page,
                state,
                control: args
                    .socket
                    .path()
                    .map_or_else(|| client_paths(|name| std::env::var_os(name)), |path| vec![path]),
                station_name: config.station.name.as_ref().map_or_else(machine_name, ToString::to_string),
                station_key: secret.public(),
                station_port: config.station.port,
                publish: config.publications(),
            })
        }
    }
}

fn serve(config: HandsetConfig) -> Result<ExitCode, Failure> {
    let interruptible = Interruptible::new()?;
    let handsets = Handsets::start(config).map_err(Failure::config)?;
    let done = interruptible.run(|stop| handsets.run(stop));
    done.map(|()| ExitCode::SUCCESS).map_err(|error| Failure::io("wait (ppoll)", &error))
}

fn invite(page: &Page, state: &Path, rights: Rights, host: Option<&str>) -> Result<ExitCode, Failure> {
    let failed = |message| Failure { status: EX_IOERR, message };
    let Invited { link, fingerprint } = page.invite(state, rights, host).map_err(failed)?;
    let minutes = INVITATION_LIFE.as_secs() / 60;
    let mut text = String::new();
    let _ = writeln!(text, "{link}\n\n{}", qr(&link));
    let _ = writeln!(text, "Read this with the phone's camera within {minutes} minutes. It holds once.");
    let _ = writeln!(
        text,
        "The browser warns of the certificate, since it is this station's own; its SHA-256 fingerprint is"
    );
    let _ = writeln!(text, "{fingerprint}");
    print(&text).map(|()| ExitCode::SUCCESS)
}

fn token(page: &Page, state: &Path, name: &str) -> Result<ExitCode, Failure> {
    let failed = |message| Failure { status: EX_IOERR, message };
    let token = admit_viewer(state, name).map_err(failed)?;
    let mut text = format!("{token}\n");
    if let Some(host) = page.reached_at() {
        let _ = writeln!(text, "WHEP: https://{host}:{}/whep, with this as the bearer token.", page.listen.port());
    }
    let _ = writeln!(text, "It is not shown again. To take it back: visavis peers forget {name:?}");
    print(&text).map(|()| ExitCode::SUCCESS)
}

/// Two modules a letter, dark on light, as terminals show them.
fn qr(text: &str) -> String {
    use qrcode::{EcLevel, QrCode};
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else { return String::new() };
    code.render::<qrcode::render::unicode::Dense1x2>().quiet_zone(true).build()
}
