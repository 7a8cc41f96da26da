//! Under systemd: the unit is up when the station says that it is ready, its status is a sentence, and the station is
//! started anew by itself when its net loop stands still (the watchdog ends it) or one of its threads does (it ends itself).
//!
//! A thread is held up by ptrace(2): SIGSTOP would stop them all, and a driver that does not return cannot be had.

use crate::Outcome;
use crate::command::{run, wait_for};
use crate::devices::{camera, screen, sound};
use crate::machine::Order;
use crate::station::PROGRAM;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

/// What a station says of a thread for which it ends by itself.
const BY_ITSELF: &str = "its driver does not return";
/// What may be expected of it on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn play(_: &Order) -> Outcome<String> {
    run(&format!("make install PROGRAM={PROGRAM}"))?;
    screen::load()?;
    sound::load()?;
    camera::load_vivid()?;
    run("udevadm settle")?;
    fs::write("/etc/visavis/station.toml", "")?;
    let start = Instant::now();
    run("systemctl start visavis").map_err(|error| format!("{error}: {}", journal()))?;
    let ready = start.elapsed();
    let sentence = || property("StatusText").ok().filter(|text| text == "idle, paired with nobody yet");
    wait_for("its status is told", PATIENCE, sentence).map_err(|error| format!("{error}: {}", journal()))?;

    let by_watchdog = is_started_anew("visavis", 1)?;
    // Who ends by himself says so.
    assert!(!journal().contains(BY_ITSELF), "{}", journal());
    let by_itself = is_started_anew("voice", 2)?;
    assert!(journal().contains(&format!("sound card: {BY_ITSELF}")), "{}", journal());
    run("systemctl stop visavis")?;
    Ok(format!(
        "ready after {:.1} s; back {:.1} s after its net loop stood still, {:.1} s after its voice did",
        ready.as_secs_f64(),
        by_watchdog.as_secs_f64(),
        by_itself.as_secs_f64()
    ))
}

/// Holds a thread up, and waits until another process is up in the place of that one. How long it took.
fn is_started_anew(thread: &str, restarts: u32) -> Outcome<Duration> {
    let process = property("MainPID")?;
    // It has shown that it turns: what never did would be waited for.
    std::thread::sleep(Duration::from_secs(3));
    let held = thread_called(&process, thread)?;
    ptrace::seize(held, ptrace::Options::empty())?;
    ptrace::interrupt(held)?;
    let start = Instant::now();
    let is_anew = || {
        // A thread that is traced is its tracer's to bury; a signal to it is passed by, as by a driver.
        let _ = waitpid(held, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG));
        let is_another = property("MainPID").ok()? != process && property("ActiveState").ok()? == "active";
        is_another.then_some(())
    };
    wait_for(&format!("it is started anew for {thread}"), PATIENCE, is_anew)
        .map_err(|error| format!("{error}: {}", journal()))?;
    assert_eq!(property("NRestarts")?, restarts.to_string(), "{}", journal());
    Ok(start.elapsed())
}

fn thread_called(process: &str, name: &str) -> Outcome<Pid> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.path();
        if fs::read_to_string(thread.join("comm"))?.trim() == name {
            let id = thread.file_name().and_then(|id| id.to_str()?.parse().ok());
            return Ok(Pid::from_raw(id.ok_or("a thread without a number")?));
        }
    }
    Err(format!("no thread is called {name}").into())
}

fn property(name: &str) -> Outcome<String> {
    Ok(run(&format!("systemctl show visavis --value --property={name}"))?.trim().to_string())
}

/// What the unit said, and systemd of it.
fn journal() -> String {
    run("journalctl --no-pager -u visavis").unwrap_or_default()
}
