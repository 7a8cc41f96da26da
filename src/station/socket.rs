//! The one UDP port: v4, v6 or both, with several datagrams a system call where the kernel can.

use crate::stats::Counter;
use crate::sys::clock;
use crate::time::Instant;
use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, recvmsg,
    sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Which versions of IP a station speaks: the `-v` flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both, through one dual-stack socket.
    #[default]
    Both,
}

impl IpVersion {
    /// Whether an address can be reached through a socket of this kind.
    pub fn carries(self, address: &SocketAddr) -> bool {
        match self {
            IpVersion::V4 => address.is_ipv4(),
            IpVersion::V6 => address.is_ipv6(),
            IpVersion::Both => true,
        }
    }
}

/// What happened on the socket, by cause.
#[derive(Debug, Default)]
pub struct SocketStats {
    /// Datagrams handed to the kernel.
    pub sent: Counter,
    /// Datagrams received.
    pub received: Counter,
    /// Bytes handed to the kernel, without UDP and IP headers.
    pub sent_bytes: Counter,
    /// Bytes received, likewise.
    pub received_bytes: Counter,
    /// Datagrams that the kernel did not take: no route, no buffer, a firewall.
    pub refused: Counter,
}

/// Asked of the kernel for both directions: room for a 150 kB picture that arrives while the net loop does something
/// else. The kernel grants at most `net.core.rmem_max` (212,992 unless raised), which it then doubles for its overhead.
const BUFFER_BYTES: usize = 1 << 20;

/// DSCP AF41, interactive video (RFC 4594): Wi-Fi puts it into its video queue, before everybody's downloads.
const TRAFFIC_CLASS: u8 = 0x88;

/// A non-blocking UDP socket.
#[derive(Debug)]
pub struct Socket {
    udp: UdpSocket,
    /// The socket is AF_INET6, so that v4 addresses go in as mapped ones.
    six: bool,
    /// Room for the kernel's word of when a datagram came.
    control: Vec<u8>,
    /// Whether the kernel segments for us (UDP_SEGMENT, Linux 4.18); found out by trying.
    segments: bool,
    /// Counters by cause.
    pub stats: SocketStats,
}

impl Socket {
    /// Binds to `port` (0: any) on all addresses of the given versions, or only to `local` where one is named.
    ///
    /// # Errors
    /// EADDRINUSE where another program has the port; EAFNOSUPPORT for [`IpVersion::V6`] without IPv6 in the kernel.
    pub fn bind(version: IpVersion, local: Option<IpAddr>, port: u16) -> io::Result<Socket> {
        let wants_six = match (version, local) {
            (_, Some(local)) => local.is_ipv6(),
            (IpVersion::V4, None) => false,
            (IpVersion::V6 | IpVersion::Both, None) => true,
        };
        match Socket::bind_family(version, local, port, wants_six) {
            // A kernel without IPv6 still has IPv4.
            Err(e) if version == IpVersion::Both && local.is_none() && is_without_six(&e) => {
                Socket::bind_family(IpVersion::V4, None, port, false)
            }
            bound => bound,
        }
    }

    fn bind_family(version: IpVersion, local: Option<IpAddr>, port: u16, six: bool) -> io::Result<Socket> {
        let family = if six { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Datagram, flags, None)?;
        if six {
            setsockopt(&fd, sockopt::Ipv6V6Only, &(version == IpVersion::V6))?;
            // Refused by some containers; then the network treats us like everybody.
            let _ = setsockopt(&fd, sockopt::Ipv6TClass, &i32::from(TRAFFIC_CLASS));
        }
        let _ = setsockopt(&fd, sockopt::Ipv4Tos, &i32::from(TRAFFIC_CLASS));
        let _ = setsockopt(&fd, sockopt::RcvBuf, &BUFFER_BYTES);
        let _ = setsockopt(&fd, sockopt::SndBuf, &BUFFER_BYTES);
        let any = if six { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(local.unwrap_or(any), port)))?;
        // Without it a datagram came when it was read.
        let _ = setsockopt(&fd, sockopt::ReceiveTimestampns, &true);
        let control = cmsg_space!(TimeSpec);
        Ok(Socket { udp: UdpSocket::from(fd), six, control, segments: true, stats: SocketStats::default() })
    }

    /// The port that it is bound to.
    ///
    /// # Errors
    /// What `getsockname(2)` says.
    pub fn local_port(&self) -> io::Result<u16> {
        Ok(self.udp.local_addr()?.port())
    }

    /// The next datagram: its length in `buffer`, where it came from, and when: not when it is read, which may be long after
    /// on a board that has much to do, and would pass for a queue in the network. `None` when there is none now.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr, Instant)> {
        let mut parts = [IoSliceMut::new(buffer)];
        // An error here is an ICMP message about something sent earlier, or nothing to read; neither is a datagram.
        let message = recvmsg::<SockaddrStorage>(
            self.udp.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        )
        .ok()?;
        let from = socket_address(&message.address?)?;
        let stamp = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                _ => None,
            })
        });
        let at = stamp.map_or_else(clock::now, |stamp| clock::at_unix(stamp.into()));
        self.stats.received.bump();
        self.stats.received_bytes.add(message.bytes as u64);
        Some((message.bytes, unmapped(from), at))
    }

    /// Sends the datagrams that lie back to back in `bytes`, each `segment` bytes long but the last, which may be
    /// shorter. What the kernel does not take is lost and counted, as on any network.
    pub fn send(&mut self, to: SocketAddr, bytes: &[u8], segment: usize) {
        let datagrams = bytes.len().div_ceil(segment.max(1)) as u64;
        let to = SockaddrStorage::from(if self.six { mapped(to) } else { to });
        self.stats.sent.add(datagrams);
        self.stats.sent_bytes.add(bytes.len() as u64);
        if datagrams > 1 && self.segments {
            match self.send_segments(&to, bytes, segment) {
                Ok(()) => return,
                // EIO and EINVAL: a kernel or a device that cannot segment. One by one, then, from now on.
                Err(nix::errno::Errno::EIO | nix::errno::Errno::EINVAL | nix::errno::Errno::EOPNOTSUPP) => {
                    self.segments = false;
                }
                Err(_) => {
                    self.stats.refused.add(datagrams);
                    return;
                }
            }
        }
        for datagram in bytes.chunks(segment.max(1)) {
            let sent = sendmsg(self.udp.as_raw_fd(), &[IoSlice::new(datagram)], &[], MsgFlags::empty(), Some(&to));
            if sent.is_err() {
                self.stats.refused.bump();
            }
        }
    }

    fn send_segments(&self, to: &SockaddrStorage, bytes: &[u8], segment: usize) -> nix::Result<()> {
        let Ok(segment) = u16::try_from(segment) else { return Err(nix::errno::Errno::EINVAL) };
        let control = [ControlMessage::UdpGsoSegments(&segment)];
        sendmsg(self.udp.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), Some(to)).map(|_| ())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.udp.as_fd()
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

fn is_without_six(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(nix::errno::Errno::from_raw);
    matches!(errno, Some(nix::errno::Errno::EAFNOSUPPORT | nix::errno::Errno::EADDRNOTAVAIL))
}

/// As an AF_INET6 socket wants it: `::ffff:a.b.c.d` for IPv4 (RFC 4291 §2.5.5.2).
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        six @ SocketAddr::V6(_) => six,
    }
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: datagrams keep their bounds on every kind of socket. Method: real sockets on loopback.
    use super::*;
    use crate::sys::poll;
    use crate::time::Duration;
    use nix::poll::{PollFd, PollFlags};

    fn receive_all(socket: &mut Socket, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
        let mut got = Vec::new();
        let mut buffer = [0; 2048];
        let until = clock::now() + Duration::from_secs(10);
        while got.len() < count && clock::now() < until {
            while let Some((len, from, at)) = socket.receive(&mut buffer) {
                assert!(at <= clock::now() && until.since(at) <= Duration::from_secs(20));
                got.push((buffer[..len].to_vec(), from));
            }
            if got.len() < count {
                poll::wait(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], Some(until)).unwrap();
            }
        }
        got
    }

    #[test]
    fn a_batch_arrives_as_the_datagrams_it_was_made_of() {
        let mut a = Socket::bind(IpVersion::V4, None, 0).unwrap();
        let mut b = Socket::bind(IpVersion::V4, None, 0).unwrap();
        let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), b.local_port().unwrap());
        let bytes: Vec<u8> = (0..3_500u32).map(|n| (n / 1_000) as u8).collect();
        a.send(to, &bytes, 1_000);
        let got = receive_all(&mut b, 4);
        let lengths: Vec<_> = got.iter().map(|(bytes, _)| bytes.len()).collect();
        assert_eq!(lengths, [1_000, 1_000, 1_000, 500]);
        assert!(got.iter().enumerate().all(|(n, (bytes, _))| bytes.iter().all(|b| usize::from(*b) == n)));
    }

    #[test]
    fn a_dual_stack_socket_speaks_to_v4_only_and_v6_only_ones() {
        let Ok(mut both) = Socket::bind(IpVersion::Both, None, 0) else { return };
        let port = both.local_port().unwrap();
        for (version, host) in
            [(IpVersion::V4, IpAddr::V4(Ipv4Addr::LOCALHOST)), (IpVersion::V6, IpAddr::V6(Ipv6Addr::LOCALHOST))]
        {
            let Ok(mut other) = Socket::bind(version, None, 0) else { continue };
            other.send(SocketAddr::new(host, port), b"question", 100);
            let (bytes, from) = receive_all(&mut both, 1).pop().expect("the question");
            assert_eq!((bytes.as_slice(), from.ip()), (b"question".as_slice(), host));
            both.send(from, b"answer", 100);
            assert_eq!(receive_all(&mut other, 1)[0].0, b"answer");
        }
    }
}
