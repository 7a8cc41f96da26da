//! `visavis man`: the man pages, from the same definitions as the command line.

use super::{Cli, Failure, print};
use clap::CommandFactory;
use clap_mangen::{Man, generate_to};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Write all pages to this folder; without it, the first is printed: visavis man | man -l -
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let command = Cli::command();
    let failed = |error: io::Error| Failure::io("write the man pages", &error);
    match &args.out {
        Some(folder) => {
            std::fs::create_dir_all(folder).and_then(|()| generate_to(command, folder)).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page).map_err(failed)?;
            print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
