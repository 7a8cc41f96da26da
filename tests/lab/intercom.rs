//! An intercom under test: `visavis run` in the namespace of its end, and what people and scripts say to it there.

use crate::Outcome;
use crate::call::PATIENCE;
use crate::command::{run, wait_for};
use crate::devices::End;
use crate::guest::RUN;
use crate::station::{Holdings, PROGRAM};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a station may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(10);

/// A station of a house; killed when dropped.
#[derive(Debug)]
pub struct Intercom {
    pub name: &'static str,
    /// Its control socket.
    pub socket: String,
    /// The folder of its key, book and journal.
    pub state: String,
    /// Whose namespace it is started in; the machine's own without one.
    end: Option<End>,
    child: Option<Child>,
    /// `visavis watch`, for as long as the station runs.
    watcher: Option<Child>,
}

impl Intercom {
    /// Writes `config` down and starts the station in the namespace of `end`; waits until it answers. Its name need not
    /// be in the configuration.
    pub fn start(end: impl Into<Option<End>>, name: &'static str, config: &str) -> Outcome<Intercom> {
        let (socket, state) = (format!("/run/{name}.sock"), format!("/run/visavis-{name}"));
        let mut intercom = Intercom { name, socket, state, end: end.into(), child: None, watcher: None };
        let (before, after) = config.split_once("[station]\n").unwrap_or(("", config));
        fs::write(intercom.config(), format!("{before}[station]\nname = \"{name}\"\n{after}"))?;
        intercom.start_again()?;
        Ok(intercom)
    }

    /// The station that is installed on this machine, which systemd starts and ends.
    pub fn installed() -> Intercom {
        let (socket, state) = ("/run/visavis/control.sock".into(), "/var/lib/visavis".into());
        // The machine's name is the station's.
        Intercom { name: "lab", socket, state, end: None, child: None, watcher: None }
    }

    /// Starts it once more, as systemd would.
    pub fn start_again(&mut self) -> Outcome {
        // What earlier runs of the same station said stays in the log.
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = match self.end {
            Some(end) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", end.name(), PROGRAM]);
                command
            }
            None => Command::new(PROGRAM),
        };
        let child = command
            .args(["run", "--config", &self.config(), "--state", &self.state, "--socket", &self.socket])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        wait_for("the station answers", PATIENCE, || match self.must_run() {
            Ok(()) => self.status().ok().map(|_| Ok(())),
            Err(error) => Some(Err(error)),
        })?
        .0?;
        let events = File::options().create(true).append(true).open(self.events_file())?;
        let watcher = Command::new(PROGRAM)
            .args(["watch", "--json", "--socket", &self.socket])
            .stdin(Stdio::null())
            .stdout(events)
            .spawn()?;
        self.watcher = Some(watcher);
        Ok(())
    }

    /// Ends it as a crash does.
    pub fn crash(&mut self) -> Outcome {
        self.end_watcher();
        let mut child = self.child.take().ok_or("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends it as systemd does.
    pub fn stop(mut self) -> Outcome {
        self.must_run()?;
        self.end_watcher();
        let mut child = self.child.take().ok_or("it does not run")?;
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
        let (status, _) = wait_for("the station ends", GOODBYE, || child.try_wait().ok().flatten())?;
        if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", self.name).into()) }
    }

    /// Fails if the station has ended.
    pub fn must_run(&mut self) -> Outcome {
        match self.child.as_mut().ok_or("it does not run")?.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} has ended with {status}", self.name).into()),
        }
    }

    /// Memory and descriptors that it holds now.
    pub fn holdings(&self) -> Outcome<Holdings> {
        Holdings::of(self.process()?)
    }

    /// Its process.
    pub fn process(&self) -> Outcome<u32> {
        Ok(self.child.as_ref().ok_or("it does not run")?.id())
    }

    /// All that it has said to standard error.
    pub fn said(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.log_file())?)
    }

    /// Does something: the words of `visavis ctl`.
    pub fn act(&self, action: &str) -> Outcome {
        run(&format!("{PROGRAM} ctl --socket {} {action}", self.socket)).map(drop)
    }

    /// What `visavis status` says.
    pub fn status(&self) -> Outcome<Value> {
        Ok(serde_json::from_str(&run(&format!("{PROGRAM} status --json --socket {}", self.socket))?)?)
    }

    /// Waits until its status is as `is_so` looks for; gives it, and how long that took.
    pub fn wait_status(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Outcome<(Value, Duration)> {
        let what = format!("{} is {what}", self.name);
        wait_for(&what, PATIENCE, || self.status().ok().filter(&is_so)).map_err(|error| {
            let status = self.status().map_or_else(|error| error.to_string(), |status| status.to_string());
            format!("{error}; it says {status}").into()
        })
    }

    /// Waits for a state, such as `talking`; gives how long that took.
    pub fn wait_state(&self, state: &str) -> Outcome<Duration> {
        self.wait_status(state, |status| status["state"] == state).map(|(_, took)| took)
    }

    /// Waits until it reaches all stations of its book.
    pub fn wait_joined(&self) -> Outcome {
        let is_joined = |status: &Value| {
            let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
            !links.is_empty() && links.iter().all(|link| link["is_here"] == true)
        };
        self.wait_status("together with the others", is_joined).map(drop)
    }

    /// What `visavis watch` has told so far.
    pub fn events(&self) -> Outcome<Vec<Value>> {
        json_lines(&fs::read_to_string(self.events_file())?)
    }

    /// Waits until an event is told that `is_it` looks for.
    pub fn wait_event(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Outcome<Duration> {
        let told = || self.events().ok()?.iter().any(|event| is_it(&event["what"])).then_some(());
        Ok(wait_for(&format!("{} tells {what}", self.name), PATIENCE, told)?.1)
    }

    /// What `visavis log` has, once there is a record that `is_it` looks for: it goes to the disk in its own time.
    pub fn wait_record(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Outcome<Value> {
        let found = || self.records().ok()?.into_iter().find(&is_it);
        match wait_for(&format!("the log of {} has {what}", self.name), PATIENCE, found) {
            Ok((record, _)) => Ok(record),
            Err(error) => Err(format!("{error}; it has {:?}", self.records()?).into()),
        }
    }

    /// What its log has now.
    pub fn records(&self) -> Outcome<Vec<Value>> {
        json_lines(&run(&format!("{PROGRAM} log --json --state {}", self.state))?)
    }

    /// What `visavis peers` is asked or told.
    pub fn peers(&self, words: &str) -> Outcome<String> {
        run(&format!("{PROGRAM} peers --state {} {words}", self.state))
    }

    /// Begins to pair, or joins a pairing that has begun: gives its words, and the wait for its end.
    pub fn pair(&self) -> Outcome<(String, PairWait)> {
        let wait = PairWait::start(self, &[])?;
        let words = || {
            let said = fs::read_to_string(&wait.file).ok()?;
            let line = said.lines().find_map(|line| line.trim().strip_prefix("visavis pair "))?;
            Some(line.to_string())
        };
        let (words, _) = wait_for("pairing begins", PATIENCE, words)?;
        Ok((words, wait))
    }

    /// What it says to standard error.
    pub fn log_file(&self) -> String {
        format!("{RUN}/{}.log", self.name)
    }

    fn config(&self) -> String {
        format!("{RUN}/{}.toml", self.name)
    }

    fn events_file(&self) -> String {
        format!("{RUN}/{}.events", self.name)
    }

    fn end_watcher(&mut self) {
        if let Some(mut watcher) = self.watcher.take() {
            // It ends with the station, too.
            let _ = watcher.kill();
            let _ = watcher.wait();
        }
    }
}

impl Drop for Intercom {
    fn drop(&mut self) {
        self.end_watcher();
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A `visavis pair` that waits for what comes of it.
#[derive(Debug)]
pub struct PairWait {
    child: Child,
    file: String,
}

impl PairWait {
    /// `visavis pair` with what else is typed.
    fn start(station: &Intercom, typed: &[&str]) -> Outcome<PairWait> {
        let file = format!("{RUN}/{}.pair", station.name);
        let child = Command::new(PROGRAM)
            .args(["pair", "--socket", &station.socket])
            .args(typed)
            .stdin(Stdio::null())
            .stdout(File::create(&file)?)
            .spawn()?;
        Ok(PairWait { child, file })
    }

    /// Waits for the end; gives the name of the station that was paired with.
    pub fn finish(mut self) -> Outcome<String> {
        let (status, _) = wait_for("pairing ends", PATIENCE, || self.child.try_wait().ok().flatten())?;
        let said = fs::read_to_string(&self.file)?;
        let name = said.lines().find_map(|line| line.strip_prefix("Paired with ")?.strip_suffix('.'));
        match name {
            Some(name) if status.success() => Ok(name.to_string()),
            _ => Err(format!("pairing came to nothing ({status}): {said}").into()),
        }
    }
}

impl Drop for PairWait {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes two stations known to each other by the words of the one, typed at the other, which is told where it is.
pub fn make_known(one: &Intercom, other: &Intercom, address: &str) -> Outcome {
    let (words, wait) = one.pair()?;
    let typed = PairWait::start(other, &["--at", address, &words])?;
    assert_eq!([wait.finish()?, typed.finish()?], [other.name, one.name]);
    Ok(())
}

/// One rings the other, which answers. How long that took.
pub fn talk(caller: &Intercom, called: &Intercom) -> Outcome<Duration> {
    let start = Instant::now();
    caller.act(&format!("ring {}", called.name))?;
    called.wait_state("ringing")?;
    called.act("answer")?;
    caller.wait_state("talking")?;
    called.wait_state("talking")?;
    Ok(start.elapsed())
}

fn json_lines(text: &str) -> Outcome<Vec<Value>> {
    // The last line may be half written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    Ok(whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}
