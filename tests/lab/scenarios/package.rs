//! The Debian package on a running system: installed, it is a station that runs and shows how to pair; an upgrade starts
//! the new version with the old one's key and configuration; removal ends it and gives the console its login back, and a
//! purge leaves nothing. What dpkg does where systemd does not run is tested by `make test-deb`.

use crate::Outcome;
use crate::command::{run, wait_for};
use crate::devices::screen::Screen;
use crate::devices::{End, camera, screen, sound};
use crate::intercom::Intercom;
use crate::judge::photo::Sight;
use crate::machine::Order;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a station may take to be there after dpkg has ended.
const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "/var/lib/visavis/identity.key";
const CONFIGURATION: &str = "/etc/visavis/station.toml";

pub fn play(order: &Order) -> Outcome<String> {
    let package = package(&order.folder)?;
    a_container_s_ban_on_services_is_lifted()?;
    screen::load()?;
    sound::load()?;
    camera::load_vivid()?;

    dpkg(&format!("--install {package}"))?;
    let station = Intercom::installed();
    let shown = it_runs_and_shows_how_to_pair(&station)?;
    let key = fs::read(KEY)?;
    fs::write(CONFIGURATION, "[station]\nname = \"lab\"\nlanguage = \"de\"\n")?;
    let restarted = an_upgrade_starts_the_new_version(&station, &package)?;
    assert_eq!(fs::read(KEY)?, key, "an upgrade keeps the key");
    assert!(fs::read_to_string(CONFIGURATION)?.contains("de"), "an upgrade keeps the configuration");

    dpkg("--remove visavis")?;
    assert!(run("systemctl is-active visavis").is_err(), "it runs after its removal");
    run("systemctl is-active getty@tty1").map_err(|error| format!("the console has no login again: {error}"))?;
    assert!(!Path::new("/run/visavis").exists(), "its socket's folder is left behind");
    assert_eq!(fs::read(KEY)?, key, "removal keeps the key");
    dpkg("--purge visavis")?;
    for left in ["/var/lib/visavis", "/etc/visavis"] {
        assert!(!Path::new(left).exists(), "a purge leaves {left} behind");
    }
    assert!(run("getent passwd visavis").is_err(), "a purge leaves the user behind");
    Ok(format!(
        "shown {:.1} s after it was installed, answering {:.1} s after it was upgraded",
        shown.as_secs_f64(),
        restarted.as_secs_f64()
    ))
}

/// What `make deb` made for this machine.
fn package(folder: &Path) -> Outcome<String> {
    let (place, end) = (folder.join("target/debian"), format!("_{}.deb", run("dpkg --print-architecture")?.trim()));
    let newest = fs::read_dir(&place)
        .map_err(|error| format!("{}: {error}; make deb", place.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.to_string_lossy().ends_with(&end)))
        .max_by_key(|path| fs::metadata(path).map_or(0, |metadata| metadata.mtime()));
    Ok(newest.ok_or_else(|| format!("no package in {}; make deb", place.display()))?.display().to_string())
}

/// The images that continuous integration runs in forbid packages to start services.
fn a_container_s_ban_on_services_is_lifted() -> Outcome {
    match fs::remove_file("/usr/sbin/policy-rc.d") {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// It knows nobody, lacks nothing, is itself and not root, and its screen has a card on it.
fn it_runs_and_shows_how_to_pair(station: &Intercom) -> Outcome<Duration> {
    run("systemctl is-active visavis").map_err(|error| format!("{error}{}", journal()))?;
    run("systemctl is-enabled visavis")?;
    let (_, waited) = station.wait_status("at rest, well, and knows nobody", |status| {
        status["state"] == "idle"
            && status["links"].as_array().is_some_and(Vec::is_empty)
            && status["faults"].as_array().is_some_and(Vec::is_empty)
    })?;
    let user = run("ps -o user= -C visavis")?;
    assert_eq!(user.trim(), "visavis", "whose the process is");
    let screen = Screen::open(End::Near)?;
    let (_, took) = wait_for("its screen shows a card", PATIENCE, || {
        screen.photograph().ok().flatten().filter(|photo| photo.sight() == Sight::Other)
    })?;
    Ok(waited + took)
}

/// The same package under a higher version: another process of it answers, and the old one ended well.
fn an_upgrade_starts_the_new_version(station: &Intercom, package: &str) -> Outcome<Duration> {
    let process = || run("systemctl show visavis --property=MainPID --value");
    let before = process()?;
    run(&format!("dpkg-deb --raw-extract {package} /run/next"))?;
    run("sed -i s/^Version:.*/&.1/ /run/next/DEBIAN/control")?;
    run("dpkg-deb -Znone --build /run/next /run/next.deb")?;
    dpkg("--install /run/next.deb")?;
    let (_, took) = station.wait_status("at rest after an upgrade", |status| status["state"] == "idle")?;
    assert_ne!(process()?, before, "the old program still runs");
    let end = run("systemctl show visavis --property=NRestarts,Result")?;
    assert!(end.contains("NRestarts=0") && end.contains("Result=success"), "{end}{}", journal());
    Ok(took)
}

/// dpkg itself, but for what it does for the safety of a disk that is none here, and for the other packages of this
/// machine that would like to hear of it, such as the index of all man pages.
fn dpkg(what: &str) -> Outcome {
    let start = Instant::now();
    let said = run(&format!("dpkg --force-unsafe-io --no-triggers {what}"))?;
    println!("dpkg {what}, {:.1} s: {said}", start.elapsed().as_secs_f64());
    Ok(())
}

/// What the unit said.
fn journal() -> String {
    run("journalctl --no-pager -u visavis").unwrap_or_default()
}
