//! The board's kernel and firmware: what they must be told so that there is a screen, memory for it, and a door that shuts.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;
use super::peers::lasting;
use super::power::is_pi;
use crate::device::screen::ScreenSpec;

/// Where a Raspberry Pi's firmware reads its configuration: since Bookworm, and before.
const CONFIGURATIONS: [&str; 2] = ["/boot/firmware/config.txt", "/boot/config.txt"];
/// The kernel's GPIO interface that buttons, lamps and strikes need (uAPI v2).
const KERNEL_MIN: (u32, u32) = (5, 10);
/// A board that was started within the hour may have been so by hand.
const LONG_UP_S: u64 = 3_600;
/// Contiguous memory for two 1080p screens, and as many pictures of the camera.
const CMA_KIB_MIN: i64 = 64 << 10;
/// With less than this the firmware starts without its codecs and cameras (start_cd.elf).
const GPU_MEMORY_MIB_MIN: u32 = 64;

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let machine = &around.machine;
    let release = machine.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut findings = vec![kernel(&release), uptime(&machine.text("/proc/uptime").unwrap_or_default())];
    if around.config.as_ref().is_ok_and(|config| config.door.line.is_some()) {
        findings.extend(strike(machine));
    }
    if is_pi(machine) {
        findings.extend(firmware(machine, around.shows_picture()));
    }
    let is_framebuffer = |config: &crate::config::Config| matches!(config.screen.device, ScreenSpec::Fbdev(_));
    if around.config.as_ref().is_ok_and(is_framebuffer) {
        findings.extend(blanking(machine));
    }
    findings
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::unseen("kernel", "its version", format!("it says {release:?}"));
    };
    if (major, minor) >= KERNEL_MIN {
        return Finding::good("kernel", format!("Linux {release}"));
    }
    Finding::wrong("kernel", format!("Linux {release} is too old"))
        .because("Buttons, lamps and the door's strike do not work before 5.10.")
        .mend("sudo apt full-upgrade && sudo reboot, or a newer Raspberry Pi OS on the card")
}

/// How long the board has been up, out of /proc/uptime: one that nobody started has had no power, or hung.
fn uptime(text: &str) -> Finding {
    let seconds = text.split('.').next().and_then(|seconds| seconds.parse::<u64>().ok()).unwrap_or(0);
    let what = format!("it was started {} ago", lasting(seconds));
    if seconds >= LONG_UP_S {
        return Finding::good("board", what);
    }
    Finding::note("board", what)
        .because("If nobody did that, its power failed, or its watchdog found it hanging.")
        .mend("journalctl --list-boots")
}

fn strike(machine: &Machine) -> Option<Finding> {
    let persists = |module: &String| {
        machine.text(&format!("/sys/module/{module}/parameters/persist_gpio_outputs")).as_deref() == Some("Y")
    };
    let modules = machine.names("/sys/module");
    let module = modules.iter().find(|module| persists(module))?;
    Some(
        Finding::poor("door", format!("the kernel leaves the strike's line as it is if visavis is killed ({module})"))
            .because("In that moment of bad luck the door stays open.")
            .mend(format!("Add to {} the line: dtparam=strict_gpiod\nsudo reboot", configuration(machine))),
    )
}

/// The path of the firmware's configuration on this machine.
fn configuration(machine: &Machine) -> &'static str {
    CONFIGURATIONS.into_iter().find(|path| machine.has(path)).unwrap_or(CONFIGURATIONS[0])
}

fn firmware(machine: &Machine, shows_picture: bool) -> Vec<Finding> {
    let path = configuration(machine);
    let model = machine.text("/proc/device-tree/model").unwrap_or_default();
    let Some(text) = machine.text(path) else {
        return vec![Finding::unseen("firmware", "its configuration", format!("{path} cannot be read"))];
    };
    let settings = settings(&text, &model);
    let mut findings: Vec<Finding> = memory(&settings, &model, path).into_iter().collect();
    if shows_picture {
        findings.extend(overlay(machine, &settings, path));
    }
    findings.extend(contiguous(&machine.text("/proc/meminfo").unwrap_or_default(), path));
    findings
}

/// The lines of config.txt that count for this model. Filters that cannot be judged from here (a display's name, a GPIO
/// line's level, a serial number) count as not fulfilled.
fn settings<'t>(text: &'t str, model: &str) -> Vec<&'t str> {
    let mut counts = true;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(filter) => counts = is_model(filter, model),
            None if counts => lines.push(line),
            None => {}
        }
    }
    lines
}

/// Whether a filter of config.txt is for this model, by what the device tree calls it.
fn is_model(filter: &str, model: &str) -> bool {
    let names: &[&str] = match filter.to_ascii_lowercase().as_str() {
        "all" => return true,
        "pi0" => &["Zero"],
        "pi0w" => &["Zero W"],
        "pi02" => &["Zero 2"],
        "pi2" => &["Pi 2"],
        "pi3" => &["Pi 3", "Compute Module 3"],
        "pi3+" => &["3 Model A Plus", "3 Model B Plus"],
        "pi4" => &["Pi 4", "Compute Module 4"],
        "pi400" => &["Pi 400"],
        "cm4" => &["Compute Module 4"],
        "pi5" => &["Pi 5", "Compute Module 5"],
        "pi500" => &["Pi 500"],
        "cm5" => &["Compute Module 5"],
        _ => return false,
    };
    names.iter().any(|name| model.contains(name))
}

/// The firmware's own share of the memory, which a Pi 5 does not have.
fn memory(settings: &[&str], model: &str, path: &str) -> Option<Finding> {
    // The last one counts.
    let mut values = settings.iter().rev().filter_map(|line| line.strip_prefix("gpu_mem="));
    let mebibytes = values.next()?.trim().parse::<u32>().ok()?;
    (mebibytes < GPU_MEMORY_MIB_MIN && !is_model("pi5", model)).then(|| {
        Finding::poor("firmware", format!("gpu_mem={mebibytes}: the firmware has no memory for its video codec"))
            .because("Pictures are coded by the processor, which has less time for everything else.")
            .mend(format!("In {path} the line: gpu_mem=76\nsudo reboot"))
    })
}

fn overlay(machine: &Machine, settings: &[&str], path: &str) -> Option<Finding> {
    // card0-HDMI-A-1: a card with something to plug a screen into.
    let has_connector =
        machine.names("/sys/class/drm").iter().any(|name| name.starts_with("card") && name.contains('-'));
    if has_connector {
        return None;
    }
    let is_set =
        settings.iter().any(|line| line.strip_prefix("dtoverlay=").is_some_and(|name| name.starts_with("vc4-kms-v3d")));
    let finding = Finding::wrong("screen", "the kernel has no display driver (vc4-kms-v3d)")
        .because("The screen shows nothing, or only what the firmware leaves on it.");
    Some(if is_set {
        finding.mend("It is asked for, but not loaded: sudo apt full-upgrade && sudo reboot\nsudo dmesg | grep -i vc4")
    } else {
        finding.mend(format!("Add to {path} under [all] the line: dtoverlay=vc4-kms-v3d\nsudo reboot"))
    })
}

/// Contiguous memory, out of /proc/meminfo.
fn contiguous(meminfo: &str, path: &str) -> Option<Finding> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("CmaTotal:"))?;
    let kib: i64 = total.split_whitespace().next()?.parse().ok()?;
    let mib = kib >> 10;
    Some(if kib >= CMA_KIB_MIN {
        Finding::good("memory", format!("{mib} MiB for pictures of camera and screen (CMA)"))
    } else {
        Finding::poor("memory", format!("only {mib} MiB are kept for pictures of camera and screen (CMA)"))
            .because("The screen or the camera may fail to start at larger sizes.")
            .mend(format!("In {path} the line: dtoverlay=vc4-kms-v3d,cma-128\nsudo reboot"))
    })
}

fn blanking(machine: &Machine) -> Option<Finding> {
    let seconds = machine.number("/sys/module/kernel/parameters/consoleblank").filter(|seconds| *seconds > 0)?;
    Some(
        Finding::note("screen", format!("the kernel blanks its console after {seconds} s"))
            .because("A framebuffer may go dark in the middle of a call where the station may not open /dev/tty0.")
            .mend("Add to the one line of /boot/firmware/cmdline.txt: consoleblank=0"),
    )
}

#[cfg(test)]
mod tests {
    //! Goal: the firmware's configuration is read as its model reads it. Method: files as Raspberry Pi OS installs them.
    use super::super::finding::Severity;
    use super::super::machine::tests::Recorded;
    use super::*;

    const PI4: &str = "Raspberry Pi 4 Model B Rev 1.4";
    /// Bookworm's, shortened.
    const CONFIG: &str = "# For more options\ndtparam=audio=on\ncamera_auto_detect=1\ndtoverlay=vc4-kms-v3d\n\
                          max_framebuffers=2\narm_64bit=1\n\n[cm4]\notg_mode=1\n[pi3]\ngpu_mem=16\n[HDMI:0]\nhdmi_group=1\n\
                          [all]\nenable_uart=1\n";

    #[test]
    fn only_lines_for_this_model_count() {
        let counted = settings(CONFIG, PI4);
        assert!(counted.contains(&"dtoverlay=vc4-kms-v3d") && counted.contains(&"enable_uart=1"));
        assert!(!counted.contains(&"otg_mode=1") && !counted.contains(&"hdmi_group=1"), "{counted:?}");
        assert_eq!(memory(&counted, PI4, "config.txt"), None);
        let pi3 = "Raspberry Pi 3 Model B Plus Rev 1.3";
        assert_eq!(memory(&settings(CONFIG, pi3), pi3, "config.txt").unwrap().severity, Severity::Poor);
        let pi5 = "Raspberry Pi 5 Model B Rev 1.0";
        assert_eq!(memory(&["gpu_mem=16"], pi5, "config.txt"), None);
    }

    #[test]
    fn a_pi_without_its_display_driver_is_told_the_line() {
        let board = |name, config, more: &[(&str, &str)]| {
            let files = [&[("/proc/device-tree/model", PI4), ("/boot/firmware/config.txt", config)], more].concat();
            firmware(&Recorded::new(name, &files), true)
        };
        let connector = [("/sys/class/drm/card1-HDMI-A-1/status", "connected\n")];
        assert!(board("kms", CONFIG, &connector).is_empty());
        let without = board("no-kms", "dtparam=audio=on\n", &[]);
        assert!(without[0].remedy.contains("firmware/config.txt under [all] the line: dtoverlay=vc4-kms-v3d"));
        assert!(board("kms-set", CONFIG, &[])[0].remedy.contains("dmesg"));
        let small =
            board("cma", CONFIG, &[connector[0], ("/proc/meminfo", "MemTotal:  1000 kB\nCmaTotal:   32768 kB\n")]);
        assert_eq!(small[0].what, "only 32 MiB are kept for pictures of camera and screen (CMA)");
    }

    #[test]
    fn a_door_on_a_kernel_that_keeps_lines_is_told() {
        let keeps = |setting| {
            [("/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", setting), ("/sys/module/snd/uevent", "")]
        };
        assert!(strike(&Recorded::new("strict", &keeps("N\n"))).is_none());
        assert!(strike(&Recorded::new("persist", &keeps("Y\n"))).unwrap().remedy.contains("dtparam=strict_gpiod"));
    }

    #[test]
    fn kernels_are_compared_by_number() {
        let severity = |release| kernel(release).severity;
        assert_eq!(severity("6.12.47+rpt-rpi-v8"), Severity::Good);
        assert_eq!(severity("5.10.0-8-arm64"), Severity::Good);
        assert_eq!(severity("5.4.83-v7+"), Severity::Wrong);
        assert_eq!(severity("unknown"), Severity::Unseen);
        assert_eq!(uptime("350735.47 234388.90"), Finding::good("board", "it was started 4 days ago"));
        assert_eq!(uptime("312.10 600.00").severity, Severity::Note);
    }
}
