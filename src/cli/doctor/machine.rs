//! What the machine says of itself: files of /proc, /sys and /etc, and answers of commands; both bounded.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest text that is read of a file: the longest of them, a board's configuration, has some 10 kB.
const TEXT_BYTES_MAX: u64 = 256 << 10;
/// Longest answer of a command: two thousand lines of a log.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long a command may take; what is slower hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Where commands are that an ordinary user's shell does not look for.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// A machine: this one, or for tests a folder with files of another.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    root: PathBuf,
}

impl Machine {
    /// This one.
    pub(super) fn here() -> Machine {
        Machine { root: "/".into() }
    }

    /// The place of a path, which begins with `/`.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// What a file says, without the space around it.
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(self.place(path))?.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?;
        // Texts of firmware end with NUL.
        Ok(String::from_utf8_lossy(&bytes).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// The same; `None` where there is no such file, or it may not be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.read(path).ok()
    }

    /// The same, where it is a number.
    pub(super) fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// Whether a path is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.place(path).exists()
    }

    /// The names in a folder, sorted; none where there is no such folder.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// What a command prints on success. `None` where it is not there, fails, hangs, or this is not the machine that it
    /// would speak of.
    pub(super) fn answer(&self, program: &str, arguments: &[&str]) -> Option<String> {
        if self.root != Path::new("/") {
            return None;
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", format!("{path}:{SYSTEM_FOLDERS}")).env("LC_ALL", "C");
        answer_of(command)
    }
}

fn answer_of(mut command: Command) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let printed = child.stdout.take()?;
    let (told, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = printed.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        let _ = told.send(read.map(|_| bytes));
    });
    let answer = answer.recv_timeout(ANSWER_WITHIN);
    if answer.is_err() {
        let _ = child.kill();
    }
    // Its output has ended, or it was killed: this does not wait for long.
    let status = child.wait().ok()?;
    let bytes = answer.ok()?.ok()?;
    status.success().then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
pub(super) mod tests {
    //! Goal: what is read is bounded, and what is not there is no error. Method: a folder with texts recorded elsewhere.
    use super::*;

    /// A folder with the files of a machine, removed when the test ends.
    pub(in crate::cli::doctor) struct Recorded(Machine);

    impl Recorded {
        pub(in crate::cli::doctor) fn new(name: &str, files: &[(&str, &str)]) -> Recorded {
            let root = std::env::temp_dir().join(format!("visavis-doctor-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            let machine = Machine { root };
            fs::create_dir_all(&machine.root).unwrap();
            for (path, text) in files {
                let path = machine.place(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Recorded(machine)
        }
    }

    impl std::ops::Deref for Recorded {
        type Target = Machine;

        fn deref(&self) -> &Machine {
            &self.0
        }
    }

    impl Drop for Recorded {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.root);
        }
    }

    #[test]
    fn texts_are_read_below_the_root_and_commands_are_not_run_for_another_machine() {
        let model = "Raspberry Pi 4 Model B Rev 1.4\0";
        let machine = Recorded::new("texts", &[("/proc/device-tree/model", model), ("/sys/temp", "48312\n")]);
        assert_eq!(machine.text("/proc/device-tree/model").as_deref(), Some("Raspberry Pi 4 Model B Rev 1.4"));
        assert_eq!((machine.number("/sys/temp"), machine.number("/sys/none")), (Some(48_312), None));
        assert_eq!((machine.names("/proc"), machine.names("/dev")), (vec!["device-tree".to_owned()], vec![]));
        assert_eq!(machine.answer("echo", &["here"]), None);
    }

    #[test]
    fn a_command_answers_or_is_given_up() {
        let here = Machine::here();
        assert_eq!(here.answer("echo", &["here"]).as_deref(), Some("here\n"));
        assert_eq!(here.answer("false", &[]), None);
        assert_eq!(here.answer("no-such-command", &[]), None);
        // For ever more output than is read.
        assert_eq!(here.answer("yes", &[]), None);
    }
}
