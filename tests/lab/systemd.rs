//! systemd as the machine's first process, for the scenarios in which units, udev and users are what is looked at.

use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The word by which this program knows that it is systemd's service.
pub const ARGUMENT: &str = "--under-systemd";

const TARGET: &str = "[Unit]
Requires=basic.target systemd-udevd.service
After=basic.target
Wants=lab.service
";
const SERVICE: &str = "[Unit]
After=basic.target systemd-udevd.service
[Service]
Type=oneshot
ExecStart=/lab/init --under-systemd
Environment=HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin
";

/// Turns this process into systemd, which will start the lab again as a service; comes back only if that fails.
pub fn become_it() -> Box<dyn Error> {
    match prepare() {
        Err(error) => error.into(),
        Ok(()) => Command::new("/lib/systemd/systemd")
            .args(["--unit=lab.target", "--show-status=0", "--log-target=kmsg"])
            .exec()
            .into(),
    }
}

fn prepare() -> std::io::Result<()> {
    fs::write("/etc/systemd/system/lab.target", TARGET)?;
    fs::write("/etc/systemd/system/lab.service", SERVICE)?;
    // The host's /tmp may hold this very program: it is neither hidden nor emptied.
    fs::create_dir_all("/etc/tmpfiles.d")?;
    for unit in ["/etc/systemd/system/tmp.mount", "/etc/tmpfiles.d/tmp.conf"] {
        if fs::symlink_metadata(unit).is_err() {
            symlink("/dev/null", unit)?;
        }
    }
    // None of the host's disks, and names of its own.
    fs::write("/etc/fstab", "")?;
    fs::write("/etc/hostname", "lab\n")?;
    fs::write("/etc/machine-id", "")
}
