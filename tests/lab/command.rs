//! Programs run by scenarios, and waiting for the world to come round.

use crate::Outcome;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command line (split at blanks, no shell) and gives what it printed.
///
/// # Errors
/// The command line and what it said, if it can't be started or does not end well.
pub fn run(line: &str) -> Outcome<String> {
    let mut words = line.split_whitespace();
    let program = words.next().ok_or("an empty command line")?;
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{line}` can't be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("`{line}` failed ({}): {}{said}", output.status, String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// Starts a command line in the background; the machine's end is its end.
pub fn start(line: &str) -> Outcome<Background> {
    let mut words = line.split_whitespace();
    let program = words.next().ok_or("an empty command line")?;
    let child = Command::new(program).args(words).stdin(Stdio::null()).spawn();
    Ok(Background(child.map_err(|error| format!("`{line}` can't be run: {error}"))?))
}

/// A command that goes on until it is dropped.
#[derive(Debug)]
pub struct Background(Child);

impl Background {
    /// Waits for its own end, which is that of `what`.
    pub fn finish(mut self, what: &str, limit: Duration) -> Outcome {
        let (status, _) = wait_for(what, limit, || self.0.try_wait().ok().flatten())?;
        if status.success() { Ok(()) } else { Err(format!("{what}: {status}").into()) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself. Not waited for: one that a driver holds would hold up the verdict too.
        let _ = self.0.kill();
        let _ = self.0.try_wait();
    }
}

/// Asks `look` again and again until it sees something, and gives that and how long it took.
///
/// # Errors
/// `what` did not happen within `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Outcome<(T, Duration)> {
    // A frame lasts 67 ms; looking four times in it dates an event well enough, and leaves the one core to the stations.
    const PAUSE: Duration = Duration::from_millis(15);
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Ok((seen, start.elapsed()));
        }
        if start.elapsed() >= limit {
            return Err(format!("{what}: not within {:.1} s", limit.as_secs_f64()).into());
        }
        std::thread::sleep(PAUSE);
    }
}

/// The last `count` lines of `text`.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
