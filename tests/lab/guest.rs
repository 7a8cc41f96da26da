//! Inside: the machine's first process. Mounts, drivers, the scenario, the verdict, off.

use crate::command::run;
use crate::machine::{ORDER, Order, VERDICT, Verdict};
use crate::{Outcome, scenarios, systemd};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The run folder, where what is written stays on the host.
pub const RUN: &str = "/lab";

/// As process 1.
pub fn main() -> ! {
    match boot() {
        Ok(order) if scenarios::find(&order.scenario).is_ok_and(|scenario| scenario.under_systemd) => {
            let error = systemd::become_it();
            conclude(&Verdict::Failed(format!("systemd did not start: {error}")))
        }
        Ok(order) => conclude(&judged(&order)),
        Err(error) => conclude(&Verdict::Failed(format!("the machine did not come up: {error}"))),
    }
}

/// As a service of systemd, with the machine up already.
pub fn main_under_systemd() -> ! {
    let order = use_console().and_then(|()| Ok(serde_json::from_slice(&fs::read(Path::new(RUN).join(ORDER))?)?));
    match order {
        Ok(order) => conclude(&judged(&order)),
        Err(error) => conclude(&Verdict::Failed(error.to_string())),
    }
}

/// Writes the verdict down and switches the machine off.
fn conclude(verdict: &Verdict) -> ! {
    if let Verdict::Failed(why) = verdict {
        println!("{why}");
    }
    let json = serde_json::to_vec(verdict).unwrap_or_default();
    if let Err(error) = fs::write(Path::new(RUN).join(VERDICT), json) {
        println!("no verdict could be written: {error}");
    }
    power_off()
}

/// Runs what was ordered; a panic in it (an assertion that does not hold) is a failure like another.
fn judged(order: &Order) -> Verdict {
    let done = catch_unwind(AssertUnwindSafe(|| {
        std::env::set_current_dir(&order.folder)?;
        match &order.program {
            Some(program) => run_program(program),
            None => (scenarios::find(&order.scenario)?.play)(order),
        }
    }));
    match done {
        Ok(Ok(note)) => Verdict::Passed(note),
        Ok(Err(error)) => Verdict::Failed(error.to_string()),
        Err(panic) => Verdict::Failed(match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => panic.downcast_ref::<&str>().copied().unwrap_or("it panicked").to_string(),
        }),
    }
}

/// A test program of this project, one thread at a time: its tests share the machine's devices.
fn run_program(program: &Path) -> Outcome<String> {
    crate::devices::load_all()?;
    let output = Command::new(program)
        .args(["--test-threads=1", "--color=never", "--show-output"])
        .env("VISAVIS_LAB", "1")
        .stderr(std::io::stdout())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    if output.status.success() {
        let closing = said.lines().find_map(|line| line.strip_prefix("test result: ok. ")).unwrap_or_default();
        Ok(closing.split(';').next().unwrap_or_default().to_string())
    } else {
        let failed: Vec<&str> =
            said.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED")).collect();
        Err(format!("{} ({})", failed.join(", "), output.status).into())
    }
}

/// From a bare kernel to a machine in which programs run as they do on the host.
fn boot() -> Outcome<Order> {
    // The kernel starts the link `init` in the run folder by its full path.
    let init = PathBuf::from(std::env::args_os().next().ok_or("no name")?);
    let run_folder = init.parent().ok_or("no run folder")?;
    let order: Order = serde_json::from_slice(&fs::read(run_folder.join(ORDER))?)?;
    mount_root()?;
    mount_inside(run_folder, &order.modules)?;

    use_console()?;
    run("hostname lab")?;
    run("ip link set lo up")?;
    Ok(order)
}

/// What is printed goes to console 2, and so to `output.log` on the host.
fn use_console() -> Outcome {
    let console = fs::OpenOptions::new().write(true).open("/dev/tty2")?;
    nix::unistd::dup2_stdout(&console)?;
    nix::unistd::dup2_stderr(&console)?;
    run("stty -F /dev/tty2 -opost").map(drop)
}

/// The root so far is the host's, read-only. A layer in memory goes over it, and becomes the root.
fn mount_root() -> Outcome {
    // /mnt is there on every Linux and holds nothing that a scenario reads.
    mount("-t tmpfs -o size=60% tmpfs /mnt")?;
    for folder in ["/mnt/upper", "/mnt/work", "/mnt/root"] {
        fs::create_dir(folder)?;
    }
    mount("-t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root")?;
    fs::create_dir_all("/mnt/root/.host")?;
    std::env::set_current_dir("/mnt/root")?;
    run("pivot_root . .host")?;
    std::env::set_current_dir("/")?;
    mount("-t proc proc /proc")?;
    run("umount -l /.host")?;
    Ok(())
}

fn mount_inside(run_folder: &Path, modules: &Path) -> Outcome {
    fs::create_dir_all(RUN)?;
    fs::create_dir_all("/lib/modules")?;
    for (kind, place) in [("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")] {
        mount(&format!("-t {kind} {kind} {place}"))?;
    }
    fs::create_dir_all("/dev/pts")?;
    fs::create_dir_all("/dev/shm")?;
    let rest = [
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("debugfs", "/sys/kernel/debug"),
        ("configfs", "/sys/kernel/config"),
    ];
    for (kind, place) in rest {
        mount(&format!("-t {kind} {kind} {place}"))?;
    }
    mount(&format!("--bind {} /lib/modules", modules.display()))?;
    mount(&format!("-t hostfs -o {} hostfs {RUN}", run_folder.display()))
}

fn mount(arguments: &str) -> Outcome {
    run(&format!("mount -n {arguments}")).map(drop)
}

fn power_off() -> ! {
    // What can't be written down any more can't be told either.
    let _ = run("sync");
    let _ = fs::write("/proc/sysrq-trigger", "o");
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
