//! The installed station on a machine whose root is read-only, as a board that is switched off at any time should be:
//! nothing can be written but its state, on a disk of its own. It starts, pairs, answers a call, and keeps all of it.

use super::appliance::{a_caller_sees_its_camera, install, it_stops_well, journal, the_socket_answers};
use crate::Outcome;
use crate::command::run;
use crate::devices::disk;
use crate::intercom::Intercom;
use crate::machine::Order;
use std::fs;
use std::io::ErrorKind;

const STATE: &str = "/var/lib/visavis";

pub fn play(_: &Order) -> Outcome<String> {
    // The journal of the machine would hold the root open.
    fs::create_dir_all("/run/systemd/journald.conf.d")?;
    fs::write("/run/systemd/journald.conf.d/volatile.conf", "[Journal]\nStorage=volatile\n")?;
    run("systemctl restart systemd-journald")?;
    install()?;
    fs::write("/etc/visavis/station.toml", "")?;
    disk::load()?;
    disk::mount_plain(STATE)?;
    run("mount -o remount,ro /")?;
    for folder in ["/etc", "/var/lib", "/usr/local", "/tmp"] {
        let written = fs::write(format!("{folder}/probe"), "");
        assert_eq!(written.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem, "{folder}");
    }

    run("systemctl start visavis").map_err(|error| format!("{error}: {}", journal()))?;
    let station = Intercom::installed();
    the_socket_answers(&station)?;
    let seen = a_caller_sees_its_camera(&station)?;
    it_stops_well()?;
    let said = journal();
    assert!(!said.contains("no journal") && !said.contains("Read-only"), "something could not be written: {said}");

    // What it has written is on that disk, and nowhere else.
    run(&format!("umount {STATE}"))?;
    assert_eq!(fs::read_dir(STATE)?.count(), 0);
    disk::mount_again(STATE)?;
    station.wait_record("the call", |record| record["what"] == "answered-call")?;
    assert!(station.peers("--json")?.contains("caller"), "who was paired is forgotten");
    Ok(format!("seen {:.1} s after it answered a call", seen.as_secs_f64()))
}
