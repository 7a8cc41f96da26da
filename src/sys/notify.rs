//! Telling the service manager how things are: sd_notify(3), a datagram to the socket that NOTIFY_SOCKET names.

use crate::time::Duration;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the service manager. It is opened once, so that a message costs one system call and no allocation, and
/// goes through also where no socket may be opened any more.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    beat_within: Option<Duration>,
}

impl Notify {
    /// The one that `variable` leads to, as systemd sets it: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. `None` where
    /// nobody wants to be told, or who wants to cannot be reached: a program that was started by hand is as good.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Notify> {
        let path = variable("NOTIFY_SOCKET")?;
        let address = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            bytes if bytes.starts_with(b"/") => SocketAddr::from_pathname(&path),
            _ => return None,
        };
        let connect = |address: SocketAddr| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.connect_addr(&address).map(|()| socket)
        };
        let number = |name| variable(name)?.into_string().ok()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(Pid::this().as_raw().unsigned_abs()));
        let beat_within = number("WATCHDOG_USEC").filter(|micros| is_meant && *micros > 0).map(Duration::from_micros);
        match address.and_then(connect) {
            Ok(socket) => Some(Notify { socket, beat_within }),
            Err(error) => {
                tracing::warn!("the service manager cannot be told anything: {}: {error}", path.display());
                None
            }
        }
    }

    /// How long the manager waits for a `WATCHDOG=1` before it ends the program; `None` where it does not.
    pub fn beat_within(&self) -> Option<Duration> {
        self.beat_within
    }

    /// Sends assignments, one a line; whether they went. A manager that is busy is not waited for.
    pub fn send(&self, assignments: &str) -> bool {
        self.socket.send(assignments.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(pairs: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
    }

    fn read(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    #[test]
    fn what_is_said_arrives_by_a_path_and_by_an_abstract_name() {
        let pid = std::process::id();
        let path = std::env::temp_dir().join(format!("visavis-notify-{pid}"));
        let _ = std::fs::remove_file(&path);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("visavis-notify-{pid}");
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, typed) in [(by_path, path.display().to_string()), (by_name, format!("@{name}"))] {
            let notify = Notify::from_environment(environment(&[("NOTIFY_SOCKET", &typed)])).unwrap();
            assert!(notify.send("READY=1\nSTATUS=idle"));
            assert_eq!((read(&socket), notify.beat_within()), ("READY=1\nSTATUS=idle".into(), None));
            let own = pid.to_string();
            for (meant, within) in [(own.as_str(), Some(Duration::from_secs(20))), ("1", None)] {
                let asked = [("NOTIFY_SOCKET", &*typed), ("WATCHDOG_USEC", "20000000"), ("WATCHDOG_PID", meant)];
                assert_eq!(Notify::from_environment(environment(&asked)).unwrap().beat_within(), within);
            }
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_manager_nobody_is_told_and_nothing_fails() {
        for typed in ["", "relative", "/no/such/socket", "@"] {
            let asked = [("NOTIFY_SOCKET", typed)];
            assert!(Notify::from_environment(environment(&asked)).is_none(), "{typed}");
        }
        assert!(Notify::from_environment(|_| None).is_none());
    }
}
