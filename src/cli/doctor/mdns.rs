//! Multicast DNS: whether this station's announcement is heard, and how many others are.
//!
//! A question for `_visavis._tcp.local` (RFC 6762, RFC 6763) is sent by multicast, and answers are listened to for a few
//! seconds, beside whoever else listens on that port.

use super::Around;
use super::finding::Finding;
use super::network::{own_addresses, v4};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const SUBJECT: &str = "multicast dns";
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// The service's name as DNS writes it: each label with its length before it.
const SERVICE: &[u8] = b"\x08_visavis\x04_tcp\x05local\0";
/// Answers come within a tenth of a second; who has answered just now waits a second before it does again.
const LISTEN: Duration = Duration::from_secs(3);
/// Packets that are looked at: a house full of televisions sends some hundred a minute.
const PACKETS_MAX: usize = 500;
/// Longest packet (RFC 6762 §17).
const PACKET_BYTES_MAX: usize = 9_000;

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let (Ok(config), Ok(_)) = (&around.config, &around.station) else { return Vec::new() };
    if !config.station.find {
        return vec![Finding::note(SUBJECT, "the station does not announce itself ([station] find = false)")];
    }
    let own = v4(&own_addresses());
    if own.is_empty() {
        return vec![Finding::unseen(SUBJECT, "whether this station is heard", "the board has no IPv4 address")];
    }
    vec![match heard(&own) {
        Ok(speakers) => examine(&speakers, &own),
        Err(error) => Finding::unseen(SUBJECT, "whether this station is heard", error.to_string()),
    }]
}

/// Who speaks of the service.
fn heard(own: &[Ipv4Addr]) -> io::Result<BTreeSet<Ipv4Addr>> {
    let socket = bound(Ipv4Addr::UNSPECIFIED)?;
    for address in own {
        socket.join_multicast_v4(&GROUP, address)?;
        // From an address of its own a question leaves by that interface, whatever the routes say.
        bound(*address)?.send_to(&question(), (GROUP, PORT))?;
    }
    let until = Instant::now() + LISTEN;
    let (mut speakers, mut packet) = (BTreeSet::new(), vec![0; PACKET_BYTES_MAX]);
    for _ in 0..PACKETS_MAX {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut packet) {
            Ok((count, SocketAddr::V4(from))) if is_answer(&packet[..count]) => {
                speakers.insert(*from.ip());
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(speakers)
}

/// A socket at the port, beside others.
fn bound(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, PORT)))?;
    Ok(UdpSocket::from(fd))
}

/// A question for the service's instances: PTR, IN.
fn question() -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], SERVICE, &[0, 12, 0, 1]].concat()
}

/// Whether it answers, and names the service. Names are written in full at least once in each packet.
fn is_answer(packet: &[u8]) -> bool {
    let is_response = packet.len() >= 12 && packet[2] & 0x80 != 0;
    is_response && packet.windows(SERVICE.len()).any(|window| window.eq_ignore_ascii_case(SERVICE))
}

fn examine(speakers: &BTreeSet<Ipv4Addr>, own: &[Ipv4Addr]) -> Finding {
    let others = speakers.iter().filter(|speaker| !own.contains(speaker)).count();
    let stations = if others == 1 { "1 other station is".to_owned() } else { format!("{others} other stations are") };
    match (speakers.iter().any(|speaker| own.contains(speaker)), others) {
        (true, 0) => Finding::note(SUBJECT, "this station announces itself; no other is heard")
            .because("Where there are others on this network, its switch or access point keeps multicast to itself.")
            .mend(
                "Turn off \"AP isolation\" and \"multicast filter\" in the access point; or give each station's \
                   address: [[peer]] address",
            ),
        (true, _) => Finding::good(SUBJECT, format!("this station announces itself, and {stations} heard")),
        (false, _) => Finding::poor(SUBJECT, format!("this station's own announcement is not heard; {stations}"))
            .because("Others find it only where it was last: after a change of address they do not.")
            .mend("sudo visavis doctor   # as root it reads the firewall's rules\nsudo systemctl restart visavis"),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: answers about the service are told from the rest, and who speaks from who does not. Method: packets.
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn only_answers_that_name_the_service_count() {
        let mut answer = question();
        assert!(!is_answer(&answer), "that is a question");
        answer[2] = 0x84;
        assert!(is_answer(&answer));
        answer.make_ascii_uppercase();
        assert!(is_answer(&answer), "names have no case");
        answer[14] = b'x';
        assert!(!is_answer(&answer) && !is_answer(&answer[..11]) && !is_answer(&[]));
    }

    #[test]
    fn own_and_other_voices_are_told_apart() {
        let own = [Ipv4Addr::new(192, 0, 2, 1)];
        let severity = |last: &[u8]| {
            let speakers = last.iter().map(|last| Ipv4Addr::new(192, 0, 2, *last)).collect();
            examine(&speakers, &own).severity
        };
        assert_eq!(
            [severity(&[1, 2]), severity(&[1]), severity(&[2]), severity(&[])],
            [Severity::Good, Severity::Note, Severity::Poor, Severity::Poor]
        );
    }
}
