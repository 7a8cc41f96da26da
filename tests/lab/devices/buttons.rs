//! GPIO lines: gpio-sim, whose pulls a scenario sets and whose values it reads.

use crate::Outcome;
use crate::command::run;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines of the chip `lab`, in their order: a board's buttons and lamps, then what a door and a kitchen add to them.
const LINES: [&str; 9] = [
    "BTN_CALL",
    "BTN_HANGUP",
    "BTN_DOOR",
    "LED_CALL",
    "LED_NET",
    "STRIKE",
    "KITCHEN_CALL",
    "KITCHEN_DOOR",
    "KITCHEN_LAMP",
];
const CHIP: &str = "/sys/kernel/config/gpio-sim/lab";
/// How long a finger stays on a button that it taps.
const TAP: Duration = Duration::from_millis(100);
/// How often a line is looked at that is watched: what is measured of it is right to within twice this, if the one core
/// is free.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Makes the chip.
pub fn load() -> Outcome {
    run("modprobe gpio-sim")?;
    let bank = format!("{CHIP}/bank0");
    fs::create_dir_all(&bank)?;
    fs::write(format!("{bank}/label"), "lab")?;
    fs::write(format!("{bank}/num_lines"), LINES.len().to_string())?;
    for (number, name) in LINES.iter().enumerate() {
        fs::create_dir(format!("{bank}/line{number}"))?;
        fs::write(format!("{bank}/line{number}/name"), name)?;
    }
    fs::write(format!("{CHIP}/live"), "1")?;
    Ok(())
}

/// Presses the button on a line, or lets go of it.
pub fn press(name: &str, down: bool) -> Outcome {
    fs::write(line(name)?.join("pull"), if down { "pull-up" } else { "pull-down" })?;
    Ok(())
}

/// Presses the button on a line for a moment; gives when its effect was to begin: as it was let go.
pub fn tap(name: &str) -> Outcome<Instant> {
    press(name, true)?;
    std::thread::sleep(TAP);
    press(name, false)?;
    Ok(Instant::now())
}

/// Whether a line is high.
pub fn is_high(name: &str) -> Outcome<bool> {
    Ok(fs::read_to_string(line(name)?.join("value"))?.trim() == "1")
}

fn line(name: &str) -> Outcome<PathBuf> {
    let number = LINES.iter().position(|line| *line == name).ok_or_else(|| format!("there is no line {name}"))?;
    let text = |file: &str| fs::read_to_string(format!("{CHIP}/{file}")).map(|text| text.trim().to_string());
    let (device, chip) = (text("dev_name")?, text("bank0/chip_name")?);
    Ok(format!("/sys/devices/platform/{device}/{chip}/sim_gpio{number}").into())
}

/// A line that is watched, until [`Watched::finish`].
#[derive(Debug)]
pub struct Watched {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Vec<(Instant, bool)>>>,
}

impl Watched {
    /// Looks at a line from now on.
    pub fn start(name: &str) -> Outcome<Watched> {
        let value = line(name)?.join("value");
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut changes = Vec::new();
                let mut was = fs::read(&value)?.starts_with(b"1");
                while !stop.load(Ordering::Acquire) {
                    let is = fs::read(&value)?.starts_with(b"1");
                    if is != was {
                        changes.push((Instant::now(), is));
                        was = is;
                    }
                    std::thread::sleep(LOOK_EVERY);
                }
                Ok(changes)
            }
        });
        Ok(Watched { stop, thread })
    }

    /// Each change since the start: when, and whether the line was high from then on.
    pub fn finish(self) -> Outcome<Vec<(Instant, bool)>> {
        self.stop.store(true, Ordering::Release);
        Ok(self.thread.join().map_err(|_| "whoever watched the line panicked")??)
    }
}
