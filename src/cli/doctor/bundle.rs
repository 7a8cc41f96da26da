//! One file to attach to a report: plain text, so that whoever sends it can read it before.
//!
//! Nothing secret is read in the first place (the private key, pictures, codes); what is private in the rest is taken out
//! by [`Scrub`].

use super::finding::{Finding, in_words};
use super::scrub::Scrub;
use super::{Around, LOOK_WITHIN, given};
use crate::cli::machine_name;
use crate::config::Config;
use crate::identity::{AddressBook, system_random};
use crate::journal;
use nix::unistd::{User, getuid};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Lines of the log, and of the kernel's messages.
const LINES_MAX: usize = 2_000;
/// Calls of the journal: what a house has in some weeks.
const CALLS_MAX: usize = 200;
/// What a kernel's message that concerns a station has in it, in small letters.
const KERNEL_WORDS: [&str; 32] = [
    "usb",
    "video",
    "uvc",
    "v4l2",
    "snd",
    "alsa",
    "audio",
    "drm",
    "vc4",
    "v3d",
    "hdmi",
    "hvs",
    "bcm28",
    "gpio",
    "cma:",
    "voltage",
    "thrott",
    "thermal",
    "temperature",
    "brcm",
    "wlan",
    "ieee80211",
    "watchdog",
    "mmc",
    "ext4",
    "i/o error",
    "oom",
    "out of memory",
    "segfault",
    "hung",
    "call trace",
    "linux version",
];
const HEAD: &str = "\
A report of visavis. Names and addresses of stations are replaced by pseudonyms; keys, codes, passwords and pictures are
not in it. Read it before you send it.
";

/// Writes it to `file`; `-` is standard output.
///
/// # Errors
/// What writing says.
pub(super) fn write(file: &Path, around: &Around, findings: &[Finding]) -> io::Result<()> {
    let text = text(around, findings);
    if file == Path::new("-") {
        return io::stdout().write_all(text.as_bytes());
    }
    // For who wrote it, until they send it.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

fn text(around: &Around, findings: &[Finding]) -> String {
    let scrub = scrub(around);
    let machine = &around.machine;
    let file = |path: &str| machine.text(path).unwrap_or_default();
    let status = around.station.as_ref().map_or_else(
        |silence| silence.why.clone(),
        |status| {
            // Its fields are numbers and texts: nothing in it fails to be JSON.
            serde_json::to_string_pretty(status).unwrap_or_default()
        },
    );
    let unit = machine.answer("systemctl", &["show", "visavis.service"]);
    let lines = LINES_MAX.to_string();
    let log = machine.answer("journalctl", &["--unit=visavis", "--no-pager", "--output=short-iso", "--lines", &lines]);
    let devices = given(crate::cli::devices::report).recv_timeout(LOOK_WITHIN);
    let firmware = machine.text("/boot/firmware/config.txt").unwrap_or_else(|| file("/boot/config.txt"));
    let sections = [
        ("versions", versions(around)),
        ("findings", in_words(findings)),
        ("status", status),
        ("devices", devices.unwrap_or_else(|_| "a device hangs\n".into())),
        ("unit", unit.as_deref().map(set_properties).unwrap_or_default()),
        ("log", log.unwrap_or_else(|| "journalctl is not here, or this user may not read it".into())),
        ("last calls", calls(around)),
        ("kernel messages", kernel(machine.answer("dmesg", &[]))),
        ("usb", usb(around)),
        (
            "modules",
            file("/proc/modules").lines().filter_map(|line| line.split(' ').next()).collect::<Vec<_>>().join(" "),
        ),
        ("sound cards", file("/proc/asound/cards")),
        ("firmware configuration", firmware),
    ];
    let mut text = HEAD.to_owned();
    for (title, contents) in sections {
        let _ = write!(text, "\n==== {title} ====\n{}", scrub.text(&contents));
    }
    let configuration =
        around.config.as_ref().map_or_else(|error| scrub.text(error), |config| scrub.values(&config.to_toml()));
    let _ = write!(text, "\n==== configuration, every key with its value ====\n{configuration}");
    text
}

/// Knows all names that could be in it: those of this station, of its book, of its configuration and of its links.
fn scrub(around: &Around) -> Scrub {
    let board = around.machine.text("/etc/machine-id").map_or_else(
        || {
            let mut random = [0; 16];
            system_random(&mut random);
            random.to_vec()
        },
        String::into_bytes,
    );
    let mut scrub = Scrub::new(&board);
    scrub.hide("this-board", &machine_name());
    if let Some(book) = around.state.as_ref().and_then(|state| AddressBook::load(state).ok()) {
        book.entries().iter().for_each(|entry| scrub.hide_entry(entry));
    }
    if let Ok(config) = &around.config {
        hide_configured(&mut scrub, config);
    }
    if let Ok(status) = &around.station {
        scrub.hide("this-station", &status.station);
        status.links.iter().for_each(|link| scrub.hide("station", &link.name));
    }
    if let Ok(Some(user)) = User::from_uid(getuid())
        && !getuid().is_root()
    {
        scrub.hide("user", &user.name);
    }
    scrub
}

fn hide_configured(scrub: &mut Scrub, config: &Config) {
    if let Some(name) = &config.station.name {
        scrub.hide("this-station", name.as_str());
    }
    let members = config.call.groups.values().flatten().chain(&config.door.without_call);
    members.for_each(|name| scrub.hide("station", name.as_str()));
    for peer in &config.peer {
        scrub.hide("station", peer.name.as_str());
        if let Some(address) = &peer.address
            && address.host.parse::<std::net::IpAddr>().is_err()
        {
            scrub.hide("host", &address.host);
        }
    }
    if let Some(broker) = &config.mqtt.broker
        && broker.at.host.parse::<std::net::IpAddr>().is_err()
    {
        scrub.hide("broker", &broker.at.host);
    }
    if let Some(user) = &config.mqtt.user {
        scrub.hide("broker-user", &user.0);
    }
    if let crate::call::Whom::Named(name) = &config.call.usual {
        scrub.hide("station", name);
    }
}

fn versions(around: &Around) -> String {
    let file = |path: &str| around.machine.text(path).unwrap_or_default();
    let system = file("/etc/os-release");
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    let system = system.trim_matches('"');
    let memory = file("/proc/meminfo");
    let memory: Vec<&str> = memory
        .lines()
        .filter(|line| {
            ["MemTotal", "MemAvailable", "SwapTotal", "CmaTotal", "CmaFree"].iter().any(|name| line.starts_with(name))
        })
        .collect();
    format!(
        "visavis {} for {}\n{system}\n{}\n{}\nup {} s, load {}\n{}\n{}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        file("/proc/version"),
        file("/proc/device-tree/model"),
        file("/proc/uptime").split(' ').next().unwrap_or_default(),
        file("/proc/loadavg"),
        memory.join("\n"),
        file("/proc/cmdline"),
    )
}

/// What is set of a unit's properties; of some hundred most are not.
fn set_properties(text: &str) -> String {
    let is_set =
        |line: &&str| line.split_once('=').is_some_and(|(_, value)| !["", "no", "0", "[not set]"].contains(&value));
    text.lines().filter(is_set).collect::<Vec<_>>().join("\n")
}

/// The last calls, an object a line, without their pictures.
fn calls(around: &Around) -> String {
    let Some(state) = &around.state else { return String::new() };
    match journal::read(state) {
        Ok((records, unreadable)) => {
            let last =
                records.into_iter().rev().take(CALLS_MAX).map(|record| journal::Record { still: None, ..record });
            // Texts and numbers are all within JSON.
            let mut lines: Vec<String> = last.filter_map(|record| serde_json::to_string(&record).ok()).collect();
            lines.reverse();
            format!("{}\n{unreadable} damaged\n", lines.join("\n"))
        }
        Err(error) => error.to_string(),
    }
}

/// The kernel's last messages that have to do with what a station uses.
fn kernel(messages: Option<String>) -> String {
    let Some(messages) = messages else { return "this user may not read them: use sudo".into() };
    let concerns = |line: &&str| {
        let small = line.to_lowercase();
        KERNEL_WORDS.iter().any(|word| small.contains(word))
    };
    let mut lines: Vec<&str> = messages.lines().rev().filter(concerns).take(LINES_MAX).collect();
    lines.reverse();
    lines.join("\n")
}

/// Devices on USB: place, numbers, speed, and what they call themselves.
fn usb(around: &Around) -> String {
    const FOLDER: &str = "/sys/bus/usb/devices";
    let mut text = String::new();
    for device in around.machine.names(FOLDER) {
        let said = |name: &str| around.machine.text(&format!("{FOLDER}/{device}/{name}"));
        if let Some(vendor) = said("idVendor") {
            let said = |name: &str| said(name).unwrap_or_default();
            let (product, speed) = (said("idProduct"), said("speed"));
            let _ = writeln!(
                text,
                "{device} {vendor}:{product} {speed} Mbit/s {} {}",
                said("manufacturer"),
                said("product")
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_kernel_s_messages_those_stay_that_concern_a_station() {
        let messages = "[1.0] Linux version 6.12\n[2.0] systemd[1]: Started x\n[3.0] usb 1-1: new high-speed USB device\n\
                        [4.0] hwmon hwmon1: Undervoltage detected!\n";
        assert_eq!(kernel(Some(messages.into())).lines().count(), 3);
        let many = "usb\n".repeat(LINES_MAX + 10) + "usb last";
        let kept = kernel(Some(many));
        assert!(kept.lines().count() == LINES_MAX && kept.ends_with("usb last"));
    }

    #[test]
    fn who_the_broker_is_and_who_we_are_there_is_hidden() {
        let text = "[mqtt]\nbroker = 'mqtts://hub.example.org'\nuser = 'frontdoor'\npassword_file = 'mqtt'";
        let config = Config::parse(text, std::path::Path::new("station.toml")).unwrap();
        let mut scrub = Scrub::new(b"board");
        hide_configured(&mut scrub, &config);
        let shown = scrub.values(&config.to_toml());
        assert!(!shown.contains("hub.example") && !shown.contains("frontdoor"), "{shown}");
        assert!(shown.contains("mqtts://"), "{shown}");
    }

    #[test]
    fn of_a_unit_s_properties_those_stay_that_are_set() {
        assert_eq!(
            set_properties("Type=simple\nDelegate=no\nEnvironment=\nNRestarts=3\nCPUWeight=[not set]\n"),
            "Type=simple\nNRestarts=3"
        );
    }
}
