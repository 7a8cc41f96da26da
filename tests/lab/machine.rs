//! One virtual machine, seen from outside: an order goes in, an outcome comes out.

use crate::Outcome;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Two stations, their codecs and two screens take a third of it; the layer over the files has the rest.
const MEMORY: &str = "mem=1024M";

/// What the machine is to do; written into its run folder, and read there by [`crate::guest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The scenario's name.
    pub scenario: String,
    /// A test program to run instead of a scenario that is built in.
    pub program: Option<PathBuf>,
    /// How long a scenario that has no end of its own should go on.
    pub seconds: u64,
    /// The machine's /lib/modules.
    pub modules: PathBuf,
    /// The project's folder.
    pub folder: PathBuf,
}

/// How it went, as the machine wrote it down.
#[derive(Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// As it should; with what was measured.
    Passed(String),
    /// Not so, and why.
    Failed(String),
}

/// Names in the run folder that both sides know.
pub const ORDER: &str = "order.json";
pub const VERDICT: &str = "verdict.json";

/// Boots a machine with `kernel` (the folder that `kernel/build` made), has it carry out `order`, and waits until it
/// is off, for `limit` at most. Everything that the machine leaves behind is in `run`.
pub fn run(kernel: &Path, run: &Path, order: &Order, limit: Duration) -> Outcome<Verdict> {
    fs::create_dir_all(run)?;
    fs::write(run.join(ORDER), serde_json::to_vec(order)?)?;
    // The kernel's command line is split at blanks, and the project's path may have some: hence the link.
    symlink(std::env::current_exe()?, run.join("init"))?;

    let mut child = start(kernel, run)?;
    let end = Instant::now() + limit;
    let in_time = loop {
        if child.try_wait()?.is_some() {
            break true;
        }
        if Instant::now() >= end {
            break false;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    stop(&mut child);
    // The verdict counts, not the exit status: User-Mode Linux now and then aborts after "Power down".
    match fs::read(run.join(VERDICT)) {
        Ok(json) => Ok(serde_json::from_slice(&json)?),
        Err(_) if !in_time => Err(format!("not done after {} s", limit.as_secs()).into()),
        Err(_) => Err("the machine stopped without a verdict; see console.log and output.log".into()),
    }
}

fn start(kernel: &Path, run: &Path) -> Outcome<Child> {
    let at = |name: &str, path: &Path| format!("{name}={}", path.display());
    // A session of its own, since the host's scheduler shares its time out by sessions first; and right of way over other
    // work, where this user may have it: what plays here is in real time, as a build is not.
    let child = Command::new("setsid")
        // Console 0 is the kernel's, console 2 what the scenario prints; each a file, that holds all up to a crash. Console 1
        // has a login prompt now and then, and who begins one hangs up on everybody who writes there.
        .args(["/bin/bash", "-c"])
        .arg(
            "cd \"$0\" || exit; (echo -10 >/proc/self/autogroup) 2>/dev/null
            exec nice -n -10 \"$@\" 3>console.log 4>output.log >machine.log 2>&1",
        )
        .arg(run)
        .arg(kernel.join("linux.uml"))
        .args([MEMORY, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "panic=-1"])
        .args(["console=tty0", "con=null", "con0=null,fd:3", "con1=null,fd:4", "con2=null,fd:4"])
        // Words that the kernel does not know become the first process's environment.
        .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin")
        .args([at("uml_dir", run) + "/", at("init", &run.join("init"))])
        .env("TMPDIR", "/dev/shm") // where the machine's memory lies
        .stdin(Stdio::null())
        .spawn()?;
    Ok(child)
}

/// Ends the machine and the processes that it runs its own ones in.
fn stop(child: &mut Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    // It may be gone already; that is the aim.
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}
