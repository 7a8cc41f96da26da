//! Names to addresses, off the net loop, since `getaddrinfo(3)` may take seconds; and the addresses of this machine.

use super::socket::IpVersion;
use crate::sys::wake::Wake;
use nix::ifaddrs::getifaddrs;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What a look-up gave: addresses, or why there are none.
pub type Resolved = Result<Vec<SocketAddr>, String>;

/// A thread that looks up one host name each time it is asked, and wakes the net loop with the answer.
#[derive(Debug)]
pub struct Resolver {
    ask: SyncSender<()>,
    answers: Receiver<Resolved>,
}

impl Resolver {
    /// Starts the thread, and asks once. It ends when the resolver is dropped.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn new(host: String, port: u16, version: IpVersion, net: Wake) -> io::Result<Resolver> {
        // One question and one answer under way at the most: a slow name server is not asked twice at a time.
        let (ask, questions) = sync_channel::<()>(1);
        let (answer, answers) = sync_channel(1);
        std::thread::Builder::new().name("resolve".into()).spawn(move || {
            while questions.recv().is_ok() {
                if answer.send(resolve(&host, port, version)).is_err() {
                    return;
                }
                net.signal();
            }
        })?;
        let resolver = Resolver { ask, answers };
        resolver.ask_again();
        Ok(resolver)
    }

    /// Asks anew; nothing happens while an earlier question is still open.
    pub fn ask_again(&self) {
        let _ = self.ask.try_send(());
    }

    /// The answer, once for each question.
    pub fn poll(&self) -> Option<Resolved> {
        self.answers.try_recv().ok()
    }
}

/// Looks up `host`, keeping what a socket of `version` can reach. A literal address needs no name server.
pub fn resolve(host: &str, port: u16, version: IpVersion) -> Resolved {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let all = (bare, port).to_socket_addrs().map_err(|e| format!("cannot find `{host}`: {e}"))?;
    let mut usable: Vec<_> = all.filter(|address| version.carries(address)).collect();
    // The same address comes once for each kind of socket.
    usable.sort_by_key(|address| address.is_ipv6());
    usable.dedup();
    if usable.is_empty() {
        return Err(format!("`{host}` has no address of the IP version that -v asks for"));
    }
    Ok(usable)
}

/// Where this machine can be reached, as far as its interfaces tell.
pub fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let address = |a: nix::sys::socket::SockaddrStorage| {
        let v4 = a.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| a.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    interfaces.filter_map(|interface| address(interface.address?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_need_no_name_server_and_the_version_is_kept() {
        assert_eq!(resolve("127.0.0.1", 5, IpVersion::Both), Ok(vec!["127.0.0.1:5".parse().unwrap()]));
        assert_eq!(resolve("[::1]", 5, IpVersion::V6), Ok(vec!["[::1]:5".parse().unwrap()]));
        assert!(resolve("::1", 5, IpVersion::V4).unwrap_err().contains("-v"));
    }
}
