//! The network: addresses, names, and the station's port.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

const SUBJECT: &str = "network";

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let mut findings = vec![addresses(&own_addresses())];
    let Ok(config) = &around.config else { return findings };
    findings.push(servers(&around.machine.text("/etc/resolv.conf").unwrap_or_default()));
    for peer in &config.peer {
        let Some(address) = &peer.address else { continue };
        let found = (address.host.as_str(), address.port.unwrap_or(config.station.port)).to_socket_addrs();
        findings.push(name(&address.host, found.map(|mut addresses| addresses.next().is_some()).unwrap_or(false)));
    }
    findings.push(port(&around.machine, config.station.port, around.station.is_ok()));
    findings
}

/// The addresses of interfaces that are up, but for the machine's own to itself.
pub(super) fn own_addresses() -> Vec<(String, IpAddr)> {
    let all = getifaddrs().into_iter().flatten();
    let usable = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    let usable =
        all.filter(|found| found.flags.contains(usable) && !found.flags.contains(InterfaceFlags::IFF_LOOPBACK));
    let address = |found: nix::ifaddrs::InterfaceAddress| {
        let storage = found.address?;
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let v6 = || storage.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        Some((found.interface_name, v4.or_else(v6)?))
    };
    usable.filter_map(address).collect()
}

fn addresses(own: &[(String, IpAddr)]) -> Finding {
    let is_own_making = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let words: Vec<String> = own.iter().map(|(interface, address)| format!("{interface} {address}")).collect();
    match own {
        [] => Finding::wrong(SUBJECT, "the board is in no network")
            .because("No other station can be reached.")
            .mend("Plug in the cable, or join the Wi-Fi: sudo nmtui"),
        own if own.iter().all(|(_, address)| is_own_making(address)) => {
            Finding::note(SUBJECT, format!("only addresses of the board's own making: {}", words.join(", ")))
                .because("Stations on the same cable or Wi-Fi are reached; the router gave no address.")
        }
        _ => Finding::good(SUBJECT, words.join(", ")),
    }
}

/// Who resolves names, out of resolv.conf.
fn servers(resolv: &str) -> Finding {
    let servers: Vec<&str> = resolv.lines().filter_map(|line| line.strip_prefix("nameserver")).map(str::trim).collect();
    if servers.is_empty() {
        Finding::note("names", "no name server is set")
            .because("Stations find each other without; the clock is not set, and [[peer]] addresses must be numbers.")
            .mend("nmcli device show | grep DNS")
    } else {
        Finding::good("names", format!("resolved by {}", servers.join(", ")))
    }
}

fn name(host: &str, is_found: bool) -> Finding {
    if is_found {
        return Finding::good("names", format!("{host} is known"));
    }
    Finding::poor("names", format!("{host}, which a [[peer]] has as its address, is not known to the network"))
        .because("That station is reached only where it was last, or where multicast DNS finds it.")
        .mend(format!("getent ahosts {host}\nOr take `address` out of that [[peer]] in /etc/visavis/station.toml"))
}

/// Whether the port is open for us, free, or somebody else's.
fn port(machine: &Machine, port: u16, answers: bool) -> Finding {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|path| machine.text(path).unwrap_or_default());
    let inodes: Vec<&str> = tables.iter().flat_map(|table| bound(table, port)).collect();
    match (inodes.is_empty(), answers) {
        (false, true) => Finding::good("port", format!("the station listens on UDP port {port}")),
        (true, false) => Finding::good("port", format!("UDP port {port} is free")),
        (true, true) => Finding::wrong("port", format!("a station runs, but nobody listens on UDP port {port}"))
            .because("It runs with another configuration than this one: no other station reaches it.")
            .mend("sudo systemctl restart visavis"),
        (false, false) => {
            let owner = inodes.iter().find_map(|inode| owner(machine, inode));
            let stop = if owner.as_ref().is_some_and(|(name, _)| name == "visavis") {
                // One by hand, or one of a user who may not ask it.
                return Finding::note(
                    "port",
                    format!("UDP port {port} is in use by a visavis that this user cannot ask"),
                );
            } else if let Some((_, pid)) = &owner {
                format!("ps -fp {pid}\nsudo kill {pid}")
            } else {
                format!("sudo ss -lunp 'sport = :{port}'")
            };
            let whose = owner.map_or_else(|| "another program".into(), |(name, pid)| format!("{name} ({pid})"));
            Finding::wrong("port", format!("UDP port {port} is in use by {whose}"))
                .because("The station does not start while it is.")
                .mend(format!("{stop}\nOr give every station another: [station] port = {}", port.wrapping_add(1)))
        }
    }
}

/// The inodes of the sockets at this port, out of /proc/net/udp.
fn bound(table: &str, port: u16) -> Vec<&str> {
    let suffix = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // sl, local_address, rem_address, st, queues, tr, retrnsmt, uid, timeout, inode
    rows.filter(|fields| fields.len() > 9 && fields[1].ends_with(&suffix)).map(|fields| fields[9]).collect()
}

/// The program that has a socket, and its number, as far as /proc shows.
fn owner(machine: &Machine, inode: &str) -> Option<(String, String)> {
    let socket = format!("socket:[{inode}]");
    let processes = machine.names("/proc").into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let mut owners = processes.filter(|pid| {
        let folder = format!("/proc/{pid}/fd");
        let fds = machine.names(&folder).into_iter().map(|fd| machine.place(&format!("{folder}/{fd}")));
        fds.filter_map(|fd| std::fs::read_link(fd).ok()).any(|target| target.as_os_str() == socket.as_str())
    });
    let pid = owners.next()?;
    Some((machine.text(&format!("/proc/{pid}/comm")).unwrap_or_default(), pid))
}

/// The IPv4 addresses among them.
pub(super) fn v4(own: &[(String, IpAddr)]) -> Vec<Ipv4Addr> {
    own.iter().filter_map(|(_, address)| if let IpAddr::V4(v4) = address { Some(*v4) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    //! Goal: what keeps others from reaching this station is told. Method: recorded tables, and a folder as /proc.
    use super::super::finding::Severity;
    use super::super::machine::tests::Recorded;
    use super::*;

    const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
        512: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000   108        0 17011 2 0000000000000000 0\n \
        1134: 0100007F:2767 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 40721 2 0000000000000000 0\n";

    #[test]
    fn a_port_is_free_ours_or_somebody_else_s() {
        assert_eq!((bound(UDP, 10_087), bound(UDP, 10_088).len()), (vec!["40721"], 0));
        let machine =
            Recorded::new("port", &[("/proc/net/udp", UDP), ("/proc/4711/comm", "python3\n"), ("/proc/4711/fd/x", "")]);
        std::os::unix::fs::symlink("socket:[40721]", machine.place("/proc/4711/fd/5")).unwrap();
        let taken = port(&machine, 10_087, false);
        assert_eq!(
            (taken.severity, taken.what.as_str()),
            (Severity::Wrong, "UDP port 10087 is in use by python3 (4711)")
        );
        assert!(taken.remedy.contains("sudo kill 4711") && taken.remedy.contains("port = 10088"));
        assert_eq!(port(&machine, 10_087, true).severity, Severity::Good);
        assert_eq!(port(&machine, 4_711, false).severity, Severity::Good);
        assert_eq!(port(&machine, 4_711, true).severity, Severity::Wrong);
    }

    #[test]
    fn a_board_without_network_or_names_is_told() {
        let own = |address: &str| vec![("wlan0".to_owned(), address.parse().unwrap())];
        assert_eq!(addresses(&[]).severity, Severity::Wrong);
        assert_eq!(addresses(&own("169.254.3.4")).severity, Severity::Note);
        assert_eq!(addresses(&own("192.168.1.20")).severity, Severity::Good);
        assert_eq!(servers("search lan\nnameserver 192.168.1.1\n").severity, Severity::Good);
        assert_eq!(servers("# empty\n").severity, Severity::Note);
        assert_eq!(
            [name("attic.lan", true).severity, name("attic.lan", false).severity],
            [Severity::Good, Severity::Poor]
        );
    }
}
