//! A private network: a namespace of our own with nothing in it but loopback.

use crate::Result;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Moves this process into a network namespace of its own, with loopback up at Ethernet's MTU. Must be called before
/// any thread exists. Without root it takes a user namespace with it, which Debian's kernels allow.
pub fn enter_private() -> Result<()> {
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| format!("unshare a network namespace: {e}"))?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
            .map_err(|e| format!("unshare a user and a network namespace: {e}; run as root where users may not"))?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    }
    run("ip", &["link", "set", "lo", "mtu", "1500", "up"])
}

/// Bytes that loopback has carried, headers included, both directions.
pub fn carried_bytes() -> Result<u64> {
    let table = fs::read_to_string("/proc/net/dev")?;
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix("lo:")).ok_or("no lo in /proc/net/dev")?;
    // Received bytes are the first column of 16, sent ones the ninth; on loopback they are the same packets.
    let sent = line.split_whitespace().nth(8).ok_or("no sent bytes in /proc/net/dev")?;
    Ok(sent.parse::<u64>()?)
}

/// Waits until some program has bound `port`, UDP or TCP, v4 or v6.
pub fn await_bound(port: u16) -> Result<()> {
    let wanted = format!(":{port:04X}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        for table in ["udp", "udp6", "tcp", "tcp6"] {
            let rows = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
            // The local address is the second column, its port in hexadecimal.
            if rows.lines().any(|row| row.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&wanted))) {
                return Ok(());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(format!("nobody bound port {port} within 10 s").into())
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let done = Command::new(program).args(words).output().map_err(|e| format!("{program}: {e}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim()).into())
}
