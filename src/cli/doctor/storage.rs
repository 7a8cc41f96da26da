//! The station's memory: room on the card, and who may read its key.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;
use crate::identity::KEY_FILE;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const SUBJECT: &str = "storage";
/// The journal with its pictures takes 33 MiB at most; a system that has less left than this fails in other ways first.
const FREE_MIB_MIN: u64 = 100;
/// Below this nothing can be kept.
const FREE_MIB_LEAST: u64 = 8;

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let Some(state) = &around.state else {
        return vec![Finding::unseen(SUBJECT, "the station's state", "there is no place for it: give --state DIR")];
    };
    // Of a folder that is not there yet, the one that it will be made in.
    let Some(there) = state.ancestors().find(|folder| folder.exists()) else { return Vec::new() };
    let mut findings = vec![match statvfs(there) {
        Ok(filesystem) => {
            // Its numbers are 32 bits wide on some boards.
            #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
            let free_mib = (filesystem.blocks_available() as u64 * filesystem.fragment_size() as u64) >> 20;
            space(there, free_mib, filesystem.flags().contains(FsFlags::ST_RDONLY))
        }
        Err(errno) => Finding::unseen(SUBJECT, format!("the room at {}", there.display()), errno.desc()),
    }];
    findings.extend(key(state, &around.machine, around.unit.as_ref().and_then(|unit| unit.get("User"))));
    findings
}

fn space(place: &Path, free_mib: u64, is_read_only: bool) -> Finding {
    let place = place.display();
    if is_read_only {
        return Finding::wrong(SUBJECT, format!("{place} cannot be written: its file system is read-only"))
            .because("Stations cannot be paired, and nothing is kept of who rang. A card that fails becomes read-only.")
            .mend("sudo mount -o remount,rw /\nsudo dmesg | grep -iE 'mmc|ext4'   # errors here: a new card");
    }
    let what = format!("{free_mib} MiB are free at {place}");
    let mend = "sudo apt clean && sudo journalctl --vacuum-size=50M\ndf -h";
    match free_mib {
        FREE_MIB_MIN.. => Finding::good(SUBJECT, what),
        FREE_MIB_LEAST.. => Finding::poor(SUBJECT, what).because("Soon nothing can be kept of who rang.").mend(mend),
        _ => {
            Finding::wrong(SUBJECT, what).because("Nothing can be kept: no pairing, no record of who rang.").mend(mend)
        }
    }
}

/// The private key's mode and owner, without opening it.
fn key(state: &Path, machine: &Machine, user: Option<&str>) -> Option<Finding> {
    let path = state.join(KEY_FILE);
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(Finding::note("key", "the station has no key yet; it makes one when it first runs"));
        }
        Err(error) => {
            return Some(Finding::unseen("key", path.display().to_string(), format!("{error}: use sudo")));
        }
    };
    let passwd = machine.text("/etc/passwd").unwrap_or_default();
    let uid = metadata.uid().to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid));
    let owner = line.and_then(|line| line.split(':').next()).unwrap_or(&uid).to_owned();
    Some(guard(&path, metadata.mode() & 0o777, &owner, user))
}

fn guard(path: &Path, mode: u32, owner: &str, user: Option<&str>) -> Finding {
    let path = path.display();
    if mode & 0o077 != 0 {
        return Finding::wrong("key", format!("others may read the station's private key (mode {mode:04o})"))
            .because("Who has copied it can pretend to be this station; the station does not start with it.")
            .mend(format!("sudo chmod 600 {path}\nIf somebody may have copied it: sudo rm {path}, and pair anew"));
    }
    match user.filter(|user| *user != owner) {
        Some(user) => {
            Finding::wrong("key", format!("the station's key belongs to {owner}, and the station runs as {user}"))
                .because("The station cannot read its own key, and does not start.")
                .mend(format!(
                    "sudo chown -R {user}: {}",
                    Path::new(&path.to_string()).parent().unwrap_or(Path::new("/")).display()
                ))
        }
        None => Finding::good("key", "only the station's user may read its private key"),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a full or read-only card and an open key are told. Method: values, and a key's file.
    use super::super::finding::Severity;
    use super::super::machine::tests::Recorded;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn room_is_judged_by_what_a_station_keeps() {
        let severity = |free, read_only| space(Path::new("/var/lib/visavis"), free, read_only).severity;
        assert_eq!(
            [severity(5_000, false), severity(50, false), severity(2, false), severity(5_000, true)],
            [Severity::Good, Severity::Poor, Severity::Wrong, Severity::Wrong]
        );
    }

    #[test]
    fn a_key_is_for_the_station_alone() {
        let uid = nix::unistd::getuid();
        let machine = Recorded::new(
            "key",
            &[
                ("/etc/passwd", &format!("visavis:x:{uid}:990::/:/bin/false\n")),
                ("/state/identity.key", "visavis-secret-key-1 00\n"),
            ],
        );
        let state = machine.place("/state");
        let seen = |mode, user| {
            std::fs::set_permissions(state.join(KEY_FILE), std::fs::Permissions::from_mode(mode)).unwrap();
            key(&state, &machine, user).unwrap()
        };
        assert_eq!(seen(0o600, Some("visavis")).severity, Severity::Good);
        assert!(seen(0o640, Some("visavis")).what.contains("mode 0640"));
        assert!(seen(0o600, Some("other")).remedy.starts_with("sudo chown -R other: "));
        assert_eq!(key(&machine.place("/none"), &machine, None).unwrap().severity, Severity::Note);
    }
}
