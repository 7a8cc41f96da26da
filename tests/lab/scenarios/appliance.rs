//! A station as it is installed: `make install`, its own user, udev's names and groups, and the unit's sandbox, in which
//! camera, screen, sound card, keys and lines must still be within reach.

use crate::Outcome;
use crate::command::{run, wait_for};
use crate::devices::camera::{self, Feed, Player};
use crate::devices::screen::Screen;
use crate::devices::{End, buttons, screen, sound};
use crate::judge::photo::Sight;
use crate::machine::Order;
use crate::station::{CODE, PROGRAM};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

pub fn play(_: &Order) -> Outcome<String> {
    run(&format!("make install PROGRAM={PROGRAM}"))?;
    camera::load_loopback()?;
    screen::load()?;
    sound::load()?;
    buttons::load()?;
    let player = Player::start(End::Near, Feed::Raw)?;
    // udev's own events first: a camera is one as soon as somebody feeds it, which makes no event.
    run("udevadm trigger --settle --subsystem-match=video4linux --subsystem-match=drm --subsystem-match=gpio")?;
    names_and_groups_are_there()?;
    device_classes_are_the_kernel_s_own()?;
    the_sandbox_reaches_the_devices()?;

    // The unit calls a second station on this machine, which runs as root in the scenario's own hands.
    let near = format!(
        "VISAVIS_OPTIONS=--host ::1 -v 6 --port 10088 --listen-port 10087 --level 0 --code {} \\
         --camera /dev/visavis/camera --screen drm:card0 --mic alsa:{hw} --speaker alsa:{hw}\n",
        CODE.replace(' ', "-"),
        hw = sound::station_side(End::Near)
    );
    fs::write("/etc/visavis/station.env", near)?;
    let far = format!(
        "chat --host ::1 -v 6 --port 10087 --listen-port 10088 --level 0 --camera pattern --screen drm:card1 --mic none --speaker none --state /run/far --code {}",
        CODE.replace(' ', "-")
    );
    let mut other = Command::new(PROGRAM).args(far.split(' ')).stdin(Stdio::null()).spawn()?;
    run("systemctl start visavis")?;

    let screen = Screen::open(End::Far)?;
    let seen = wait_for("the installed station is seen", PATIENCE, || {
        screen.photograph().ok().flatten().filter(|photo| matches!(photo.sight(), Sight::Clip { .. }))
    });
    let state = run("systemctl show visavis --property=ActiveState,NRestarts,ExecMainStatus")?;
    println!("{state}\n{}", run("journalctl --no-pager -u visavis").unwrap_or_default());
    other.kill()?;
    other.wait()?;
    let (_, took) = seen?;
    assert!(state.contains("NRestarts=0"), "{state}");
    player.newest()?;
    run("systemctl stop visavis")?;
    Ok(format!("seen {:.1} s after its start", took.as_secs_f64()))
}

/// The links that `--camera` and `--screen` may be given, and the groups that the unit is in.
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

/// The unit's device list speaks of classes by the kernel's names for them; a wrong one would allow nothing. (The lab's
/// kernel has no BPF, with which systemd enforces the list, so that this is all that can be shown of it here.)
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
/// shell instead of the station.
fn the_sandbox_reaches_the_devices() -> Outcome {
    const PROBE: &str = "#!/bin/sh
for node in /dev/video10 /dev/dri/card0 /dev/fb0 /dev/snd/pcmC0D0p /dev/snd/controlC0 /dev/gpiochip0; do
    sh -c \"exec 3<>$node\" || exit 1
done
for node in /dev/mem /dev/kmsg /dev/watchdog0 /dev/uinput; do
    if sh -c \"exec 3<$node\"; then echo $node is open to it; exit 1; fi
done
if sh -c 'echo 1 >/etc/visavis/probe'; then echo its options can be written; exit 1; fi
echo 1 >/var/lib/visavis/probe
# What the station asks for to be punctual.
chrt -f 10 true
test \"$(ulimit -l)\" = unlimited
";
    fs::write("/usr/local/bin/visavis-probe", PROBE)?;
    run("chmod 755 /usr/local/bin/visavis-probe")?;
    let unit = fs::read_to_string("/etc/systemd/system/visavis.service")?;
    let probe: String = unit
        .lines()
        .map(|line| match line {
            line if line.starts_with("ExecStart=") => "ExecStart=/bin/sh -e /usr/local/bin/visavis-probe\n".to_string(),
            "Type=simple" => "Type=oneshot\n".to_string(),
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
