//! A station as it is installed: `make install`, an empty configuration, its own user, udev's names and groups, and the
//! unit's sandbox, in which camera, screen, sound card, keys and lines must still be within reach.

use crate::Outcome;
use crate::command::{run, wait_for};
use crate::devices::screen::Screen;
use crate::devices::{End, buttons, camera, screen, sound};
use crate::intercom::{Intercom, make_known};
use crate::judge::photo::Sight;
use crate::machine::Order;
use crate::station::PROGRAM;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// How long the station may take to come, which it does by itself.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn play(_: &Order) -> Outcome<String> {
    install()?;
    names_and_groups_are_there()?;
    device_classes_are_the_kernel_s_own()?;
    the_sandbox_reaches_the_devices()?;

    fs::write("/etc/visavis/station.toml", "")?;
    let started = a_camera_that_appears_starts_it()?;
    let station = Intercom::installed();
    let answered = the_socket_answers(&station)?;
    every_thread_is_shut_in()?;
    no_port_is_open_but_its_own()?;
    let seen = a_caller_sees_its_camera(&station)?;
    it_stops_well()?;
    if Path::new("/run/visavis").exists() {
        return Err("its socket's folder is left behind".into());
    }
    Ok(format!(
        "started {:.1} s after the camera came, asked {:.1} s later, seen {:.1} s after it answered a call",
        started.as_secs_f64(),
        answered.as_secs_f64(),
        seen.as_secs_f64()
    ))
}

/// The station on this machine, with its devices.
pub(super) fn install() -> Outcome {
    run(&format!("make install PROGRAM={PROGRAM}"))?;
    screen::load()?;
    sound::load()?;
    buttons::load()?;
    camera::load_vivid()?;
    run("udevadm settle").map(drop)
}

/// It ends when systemd asks it to, and had not ended before.
pub(super) fn it_stops_well() -> Outcome {
    run("systemctl stop visavis")?;
    let end = run("systemctl show visavis --property=Result,ExecMainStatus,NRestarts")?;
    for line in ["Result=success", "ExecMainStatus=0", "NRestarts=0"] {
        assert!(end.lines().any(|said| said == line), "{line} is not so: {end}{}", journal());
    }
    Ok(())
}

/// No thread of it has a capability, may get one, or makes system calls unfiltered; and it has given up what it does not
/// need by itself.
fn every_thread_is_shut_in() -> Outcome {
    let process = run("systemctl show visavis --property=MainPID --value")?;
    let mut threads = 0;
    for thread in fs::read_dir(format!("/proc/{}/task", process.trim()))? {
        threads += 1;
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let fields = ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"];
        for field in fields {
            assert!(status.lines().any(|line| line == field), "{field} is not so: {status}");
        }
    }
    assert!(threads > 4, "{threads} threads are not all of it");
    let said = journal();
    assert!(said.contains("confined by Landlock") && !said.contains("too old"), "{said}");
    Ok(())
}

/// On this machine nobody else has any: the intercom's own, and that of multicast DNS.
fn no_port_is_open_but_its_own() -> Outcome {
    let of = |table: &str| -> Outcome<Vec<u16>> {
        let text = fs::read_to_string(format!("/proc/net/{table}"))?;
        let rows = text.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
        // TCP's 0A is LISTEN; UDP's sockets have no such state.
        let open = rows.filter(|row| row.len() > 3 && (table.starts_with("udp") || row[3] == "0A"));
        Ok(open
            .map(|row| u16::from_str_radix(row[1].rsplit(':').next().unwrap_or_default(), 16))
            .collect::<Result<_, _>>()?)
    };
    assert_eq!([of("tcp")?, of("tcp6")?].concat(), [] as [u16; 0], "TCP ports that listen");
    let open = [of("udp")?, of("udp6")?].concat();
    assert!(open.contains(&10_087) && open.iter().all(|port| [10_087, 5_353].contains(port)), "UDP ports: {open:?}");
    Ok(())
}

/// What the unit said.
pub(super) fn journal() -> String {
    run("journalctl --no-pager -u visavis").unwrap_or_default()
}

/// A unit that is enabled is started by udev when its camera is plugged in, and not before.
fn a_camera_that_appears_starts_it() -> Outcome<Duration> {
    run("modprobe -r vivid")?;
    run("systemctl enable visavis")?;
    run("udevadm settle")?;
    assert_eq!(run("systemctl show visavis --property=ActiveState")?, "ActiveState=inactive\n");
    camera::load_vivid()?;
    let is_active = || run("systemctl is-active visavis").ok().map(drop);
    Ok(wait_for("udev starts the station", PATIENCE, is_active).map_err(|error| format!("{error}: {}", journal()))?.1)
}

/// With an empty configuration it has a name and its devices, and tells root so.
pub(super) fn the_socket_answers(station: &Intercom) -> Outcome<Duration> {
    let status = || run(&format!("{PROGRAM} status")).ok();
    let (words, took) = wait_for("visavis status answers", PATIENCE, status)
        .map_err(|error| format!("{error}: {} {}", run("ls -la /run/visavis").unwrap_or_default(), journal()))?;
    println!("{words}");
    let is_well = |status: &Value| status["station"] == "lab" && status["faults"].as_array().is_some_and(Vec::is_empty);
    station.wait_status("at rest with all its devices", is_well)?;
    let screen = Screen::open(End::Near)?;
    wait_for("its screen shows a card", PATIENCE, || {
        screen.photograph().ok().flatten().filter(|photo| photo.sight() == Sight::Other)
    })?;
    Ok(took)
}

/// A second station on this machine, in the scenario's own hands, is paired with it, rings it, and sees what its camera
/// sees. How long that took from the answer.
pub(super) fn a_caller_sees_its_camera(station: &Intercom) -> Outcome<Duration> {
    const CALLER: &str = "[station]\nport = 10088\nfind = false\n[camera]\ndevice = \"pattern\"\nsize = \"320x240\"\n\
        [screen]\ndevice = \"drm:card1\"\n[microphone]\ndevice = \"none\"\n[loudspeaker]\ndevice = \"none\"\n";
    let caller = Intercom::start(None, "caller", CALLER)?;
    make_known(station, &caller, "[::1]:10087")?;
    caller.wait_joined()?;
    caller.act("ring lab")?;
    station.wait_state("ringing")?;
    station.act("answer")?;
    let screen = Screen::open(End::Far)?;
    let seen = wait_for("the installed station is seen", PATIENCE, || {
        screen.photograph().ok().flatten().filter(|photo| photo.sight() == Sight::Bars)
    });
    println!("{}", journal());
    let (_, took) = seen?;
    caller.act("hang-up")?;
    station.wait_record("the call", |record| record["what"] == "answered-call" && record["who"] == "caller")?;
    caller.stop()?;
    Ok(took)
}

/// The links that a configuration may name, and the groups that the unit is in.
fn names_and_groups_are_there() -> Outcome {
    for name in ["/dev/visavis/camera", "/dev/visavis/screen"] {
        fs::metadata(name).map_err(|error| format!("{name}: {error}"))?;
    }
    let groups = fs::read_to_string("/etc/group")?;
    let gpio = groups.lines().find_map(|line| line.strip_prefix("gpio:")).ok_or("no group gpio")?;
    let number: u32 = gpio.split(':').nth(1).ok_or("a broken /etc/group")?.parse()?;
    assert_eq!(fs::metadata("/dev/gpiochip0")?.gid(), number, "lines are for the group gpio");
    Ok(())
}

/// The unit's device list speaks of classes by the kernel's names for them; a wrong one would allow nothing.
fn device_classes_are_the_kernel_s_own() -> Outcome {
    let unit = fs::read_to_string("/etc/systemd/system/visavis.service")?;
    let known = fs::read_to_string("/proc/devices")?;
    for class in unit.lines().filter_map(|line| line.strip_prefix("DeviceAllow=char-")?.split(' ').next()) {
        // The lab has no media controller.
        let is_known = known.lines().any(|line| line.split_whitespace().nth(1) == Some(class));
        assert!(is_known || class == "media", "the kernel has no devices called {class}");
    }
    Ok(())
}

/// Every device that the station may be told to use opens, and nothing else does, in a copy of the unit that runs a
/// shell instead of the station. One node that is forbidden is open to all by its mode: only the device list stops it.
fn the_sandbox_reaches_the_devices() -> Outcome {
    const PROBE: &str = "#!/bin/sh
for node in /dev/video0 /dev/dri/card0 /dev/fb0 /dev/snd/pcmC0D0p /dev/snd/controlC0 /dev/gpiochip0; do
    sh -c \"exec 3<>$node\" || exit 1
done
for node in /dev/mem /dev/kmsg /dev/watchdog0 /dev/uinput /dev/visavis-probe; do
    if sh -c \"exec 3<$node\"; then echo $node is open to it; exit 1; fi
done
for folder in / /etc /etc/visavis /usr/local/bin /var/lib /run /dev /sys/kernel; do
    if sh -c \"echo 1 >$folder/probe\"; then echo $folder can be written; exit 1; fi
done
for folder in /home /root; do
    if ls $folder; then echo $folder can be seen; exit 1; fi
done
if kill -0 1; then echo others can be signalled; exit 1; fi
if unshare --user true; then echo namespaces can be made; exit 1; fi
if test -e /proc/1; then echo the processes of others can be seen; exit 1; fi
echo 1 >/var/lib/visavis/probe
echo 1 >/run/visavis/probe
# What the station asks for to be punctual.
chrt -f 10 true
test \"$(ulimit -l)\" = unlimited
";
    fs::write("/usr/local/bin/visavis-probe", PROBE)?;
    run("chmod 755 /usr/local/bin/visavis-probe")?;
    // The kernel's log, as /dev/kmsg is.
    run("mknod -m 666 /dev/visavis-probe c 1 11")?;
    fs::File::open("/dev/visavis-probe")?;
    let unit = fs::read_to_string("/etc/systemd/system/visavis.service")?;
    let probe: String = unit
        .lines()
        .map(|line| match line {
            line if line.starts_with("ExecStart=") => "ExecStart=/bin/sh -e /usr/local/bin/visavis-probe\n".to_string(),
            "Type=notify" => "Type=oneshot\n".to_string(),
            "Restart=always" => "Restart=no\n".to_string(),
            line => format!("{line}\n"),
        })
        .collect();
    fs::write("/run/systemd/system/visavis-probe.service", probe)?;
    run("systemctl daemon-reload")?;
    run("systemctl start visavis-probe").map(drop).map_err(|error| {
        let said = run("journalctl --no-pager -u visavis-probe").unwrap_or_default();
        format!("{error}: {said}").into()
    })
}
