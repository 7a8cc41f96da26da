//! What this process costs: memory, threads, file descriptors.

use std::fs;

fn status_field(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

/// The most memory that was ever resident, in KiB; `None` without /proc.
pub fn peak_resident_kib() -> Option<u64> {
    status_field("VmHWM")
}

/// Memory resident now, in KiB; `None` without /proc.
pub fn resident_kib() -> Option<u64> {
    status_field("VmRSS")
}

/// Threads now; `None` without /proc.
pub fn threads() -> Option<u64> {
    status_field("Threads")
}

/// Open file descriptors now; `None` without /proc.
pub fn open_fds() -> Option<u64> {
    // The listing itself is one of them.
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as u64)
}
