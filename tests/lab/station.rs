//! A station under test: the program itself, started in the namespace of its end as an installer would start it.

use crate::Outcome;
use crate::call::PATIENCE;
use crate::command::wait_for;
use crate::devices::End;
use crate::guest::RUN;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_visavis");
/// Both sides have the same one-time code.
pub const CODE: &str = "window kitchen garden bread river bridge";
/// How long a station may take to hang up and write its report.
const GOODBYE: Duration = Duration::from_secs(10);

/// A running station; killed when dropped.
#[derive(Debug)]
pub struct Station {
    end: End,
    child: Child,
    report: String,
}

impl Station {
    /// Starts `visavis chat` at `end` with `options` beside those that every scenario has.
    pub fn start(end: End, options: &[String]) -> Outcome<Station> {
        let name = end.name();
        let report = format!("{RUN}/{name}.json");
        // What earlier runs of the same station said stays in the log.
        let log = File::options().create(true).append(true).open(format!("{RUN}/{name}.log"))?;
        let child = Command::new("ip")
            .args(["netns", "exec", name, PROGRAM, "chat", "--json", "--code", CODE])
            .args(["--state", &format!("/run/visavis-{name}")])
            .args(options)
            .stdin(Stdio::null())
            .stdout(File::create(&report)?)
            .stderr(log)
            .spawn()?;
        Ok(Station { end, child, report })
    }

    /// Fails if the station has ended.
    pub fn must_run(&mut self) -> Outcome {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("the {} station has ended with {status}", self.end.name()).into()),
        }
    }

    /// Ends it as a crash does.
    pub fn crash(mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it as a debugger does.
    pub fn freeze(&self) -> Outcome {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Outcome {
        self.signal(Signal::SIGCONT)
    }

    /// Hangs up by SIGINT and gives the report that it printed.
    pub fn hang_up(mut self) -> Outcome<Value> {
        self.must_run()?;
        self.signal(Signal::SIGINT)?;
        let (status, _) = wait_for("the station hangs up", GOODBYE, || self.child.try_wait().ok().flatten())?;
        if !status.success() {
            return Err(format!("the {} station ended with {status}", self.end.name()).into());
        }
        let text = fs::read_to_string(&self.report)?;
        serde_json::from_str(&text).map_err(|error| format!("{error} in the report `{text}`").into())
    }

    /// Memory and descriptors that it holds now.
    pub fn holdings(&self) -> Outcome<Holdings> {
        Holdings::of(self.child.id())
    }

    /// Waits until it has said `words` since its log was `from` bytes long; gives how long the log is then.
    pub fn wait_said(&self, words: &str, from: usize) -> Outcome<usize> {
        let said = || self.said().ok()?.get(from..)?.find(words).map(|at| from + at + words.len());
        Ok(wait_for(&format!("the {} station says `{words}`", self.end.name()), PATIENCE, said)?.0)
    }

    /// All that it has said to standard error.
    pub fn said(&self) -> Outcome<String> {
        Ok(fs::read_to_string(format!("{RUN}/{}.log", self.end.name()))?)
    }

    fn signal(&self, signal: Signal) -> Outcome {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), signal)?)
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    pub resident_kib: u64,
    pub threads: u64,
    pub descriptors: u64,
}

/// What the allocator may keep of a fault that is over: of as many clients as are ever served at once (4 MiB), and of buffers
/// and codecs for pictures of a second size (7 MiB, most of it openh264's, and no more of it after a hundred changes). What is
/// looked for is what grows with every repair or every datagram; thousands of those make more.
const GROWTH_KIB: u64 = 14 * 1024;

impl Holdings {
    /// Those of the process.
    pub fn of(process: u32) -> Outcome<Holdings> {
        let process = format!("/proc/{process}");
        let status = fs::read_to_string(format!("{process}/status"))?;
        let field = |name: &str| -> Outcome<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.split_whitespace().next().ok_or("an empty field")?.parse()?)
        };
        Ok(Holdings {
            resident_kib: field("VmRSS:")?,
            threads: field("Threads:")?,
            descriptors: fs::read_dir(format!("{process}/fd"))?.count() as u64,
        })
    }

    /// Waits until what a process holds is what it held `before`, or less: something is given back in its own time, such as
    /// the connection of whoever asked last.
    ///
    /// # Errors
    /// It was not, and what it holds.
    pub fn wait_as_before(self, look: impl Fn() -> Outcome<Holdings>) -> Outcome {
        let is_as_before = || {
            let now = look().ok()?;
            let is_more = now.descriptors > self.descriptors
                || now.threads > self.threads
                || now.resident_kib > self.resident_kib + GROWTH_KIB;
            (!is_more).then_some(now)
        };
        match wait_for("all is given back", PATIENCE, is_as_before) {
            Ok((now, _)) => {
                println!("held {self:?}\nholds {now:?}");
                Ok(())
            }
            Err(error) => Err(format!("{error}: it held {self:?} and now holds {:?}", look()?).into()),
        }
    }
}
