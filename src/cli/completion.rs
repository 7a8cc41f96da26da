//! `visavis completion`: what a shell completes, from the same definitions as the command line.

use super::{Cli, Failure, print};
use crate::call::NOTATIONS;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};
use std::fmt::Write as _;
use std::process::ExitCode;

/// The subcommand whose words are actions.
const ACTING: &str = "ctl";

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Name,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    print(&script(Cli::command(), args.shell)).map(|()| ExitCode::SUCCESS)
}

fn script(command: Command, shell: Name) -> String {
    let mut command = with_actions(command);
    let generator = match shell {
        Name::Bash => Shell::Bash,
        Name::Zsh => Shell::Zsh,
        Name::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(generator, &mut command, "visavis", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if matches!(shell, Name::Fish) && command.find_subcommand(ACTING).is_some() {
        script.push_str(&fish_actions());
    }
    script
}

/// What the generator for fish leaves out: words that are no options.
fn fish_actions() -> String {
    let mut lines = String::new();
    for (notation, meaning) in NOTATIONS {
        let verb = verb(notation);
        let meaning = meaning.replace('\'', "\\'");
        let condition = format!("__fish_visavis_using_subcommand {ACTING}");
        let _ = writeln!(lines, "complete -c visavis -n \"{condition}\" -f -a \"{verb}\" -d '{meaning}'");
    }
    lines
}

/// An action's first word.
fn verb(notation: &'static str) -> &'static str {
    notation.split(' ').next().unwrap_or_default()
}

/// The command line with every action named as a possible word of its `ctl`. The program itself reads them with their
/// own notation, which says more about what is wrong.
fn with_actions(mut command: Command) -> Command {
    let acting = command.find_subcommand_mut(ACTING);
    let Some(word) = acting.and_then(|acting| acting.get_positionals().next().map(|word| word.get_id().clone())) else {
        return command;
    };
    let verbs = NOTATIONS
        .iter()
        .map(|(notation, meaning)| PossibleValue::new(notation.split(' ').next().unwrap_or_default()).help(*meaning));
    let verbs = PossibleValuesParser::new(verbs.collect::<Vec<_>>());
    command.mut_subcommand(ACTING, |acting| acting.mut_arg(word, |word| word.value_parser(verbs)))
}

#[cfg(test)]
mod tests {
    //! Goal: shells complete what the program takes. Method: the scripts for the real command line, and for one with
    //! a `ctl`; shells that are here read them.
    use super::*;
    use clap::Arg;
    use std::io::Write as _;
    use std::process::Stdio;

    #[test]
    fn every_subcommand_and_every_action_is_completed() {
        let ctl = Command::new(ACTING).arg(Arg::new("action").num_args(1..));
        let command = Command::new("visavis").subcommand(ctl);
        for shell in [Name::Bash, Name::Zsh, Name::Fish] {
            let text = script(command.clone(), shell);
            for verb in ["ring", "hang-up", "do-not-disturb", "stop-pairing"] {
                assert!(text.contains(verb), "{shell:?} does not complete {verb}");
            }
            let text = script(Cli::command(), shell);
            for name in Cli::command().get_subcommands().filter(|sub| !sub.is_hide_set()).map(Command::get_name) {
                assert!(text.contains(name), "{shell:?} does not complete {name}");
            }
        }
    }

    #[test]
    fn bash_reads_its_script_without_complaint() {
        let bash = std::process::Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(mut bash) = bash else { return };
        bash.stdin.take().unwrap().write_all(script(Cli::command(), Name::Bash).as_bytes()).unwrap();
        let output = bash.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
