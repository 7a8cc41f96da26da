//! GPIO lines: gpio-sim, whose pulls a scenario sets and whose values it reads.

use crate::Outcome;
use crate::command::run;
use std::fs;
use std::path::PathBuf;

/// Lines of the chip `lab`, in their order: three buttons and two lamps.
const LINES: [&str; 5] = ["BTN_CALL", "BTN_HANGUP", "BTN_DOOR", "LED_CALL", "LED_NET"];
const CHIP: &str = "/sys/kernel/config/gpio-sim/lab";

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

/// Presses or releases the button on line `number`.
pub fn press(number: usize, down: bool) -> Outcome {
    fs::write(line(number)?.join("pull"), if down { "pull-up" } else { "pull-down" })?;
    Ok(())
}

/// Whether line `number` is high.
pub fn is_high(number: usize) -> Outcome<bool> {
    Ok(fs::read_to_string(line(number)?.join("value"))?.trim() == "1")
}

fn line(number: usize) -> Outcome<PathBuf> {
    let name = |file: &str| fs::read_to_string(format!("{CHIP}/{file}")).map(|text| text.trim().to_string());
    let (device, chip) = (name("dev_name")?, name("bank0/chip_name")?);
    Ok(format!("/sys/devices/platform/{device}/{chip}/sim_gpio{number}").into())
}
