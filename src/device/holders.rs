//! Who has a device open, as far as /proc tells.

use std::fs;
use std::path::Path;

/// The other programs that have `device` open, as `name (pid)`. /proc shows those of the same user only, unless this
/// runs as root: an empty list means "not known", not "nobody".
pub fn holders(device: &Path) -> Vec<String> {
    let Ok(device) = fs::canonicalize(device) else { return Vec::new() };
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for process in processes.flatten() {
        let pid = process.file_name();
        let Some(pid) = pid.to_str().and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if pid == std::process::id() {
            continue;
        }
        let Ok(fds) = fs::read_dir(process.path().join("fd")) else { continue };
        if fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == device)) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.push(format!("{} ({pid})", name.trim()));
        }
    }
    found
}

/// `holders` as half a sentence: who, or that it could not be told.
pub fn held_by(device: &Path) -> String {
    let holders = holders(device);
    if holders.is_empty() { "another program has it".into() } else { format!("in use by {}", holders.join(", ")) }
}
