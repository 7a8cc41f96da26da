//! Wireless interfaces, by the kernel's nl80211 over generic netlink: whether they save power, and how well they hear.
//!
//! Numbers are those of linux/netlink.h, linux/genetlink.h and linux/nl80211.h, which never change. Messages are in the
//! machine's own byte order. Asking is for everybody; changing takes CAP_NET_ADMIN.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The family that tells the numbers of the others (GENL_ID_CTRL).
const CONTROLLER: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NL80211_CMD_GET_STATION: u8 = 17;
const NL80211_CMD_SET_POWER_SAVE: u8 = 61;
const NL80211_CMD_GET_POWER_SAVE: u8 = 62;
const NL80211_ATTR_IFINDEX: u16 = 3;
const NL80211_ATTR_STA_INFO: u16 = 21;
const NL80211_ATTR_PS_STATE: u16 = 93;
const NL80211_STA_INFO_SIGNAL: u16 = 7;

/// Bytes of the header before a message (struct nlmsghdr), and of the one after it (struct genlmsghdr).
const HEADER_BYTES: usize = 16;
const GENERIC_BYTES: usize = 4;
/// The kernel answers within its own call; what takes longer than this does not come.
const ANSWER_WITHIN_S: i64 = 2;
/// The kernel's own bound of one read of a dump.
const READ_BYTES_MAX: usize = 32 << 10;
/// Reads of one answer: an access point has some hundred stations, of which several fit into a read.
const READS_MAX: usize = 64;

/// The kernel's wireless side.
#[derive(Debug)]
pub struct Wireless {
    socket: OwnedFd,
    family: u16,
    sequence: u32,
}

impl Wireless {
    /// Finds it.
    ///
    /// # Errors
    /// ENOENT where the kernel has no wireless networks; else what the socket says.
    pub fn open() -> io::Result<Wireless> {
        Wireless::of_family("nl80211")
    }

    fn of_family(name: &str) -> io::Result<Wireless> {
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkGeneric)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_WITHIN_S))?;
        let mut wireless = Wireless { socket, family: CONTROLLER, sequence: 0 };
        let name = [name.as_bytes(), b"\0"].concat();
        let answer = wireless.ask(CTRL_CMD_GETFAMILY, NLM_F_ACK, &[(CTRL_ATTR_FAMILY_NAME, &name)])?;
        let number = answer.iter().find_map(|message| attribute(message, CTRL_ATTR_FAMILY_ID));
        let number = number.and_then(|bytes| bytes.first_chunk()).ok_or(Errno::EPROTO)?;
        wireless.family = u16::from_ne_bytes(*number);
        Ok(wireless)
    }

    /// Whether the interface of this number sleeps between packets.
    ///
    /// # Errors
    /// EOPNOTSUPP where its driver does not say; ENODEV where there is no such interface.
    pub fn power_save(&mut self, interface: u32) -> io::Result<bool> {
        let which = interface.to_ne_bytes();
        let answer = self.ask(NL80211_CMD_GET_POWER_SAVE, NLM_F_ACK, &[(NL80211_ATTR_IFINDEX, &which)])?;
        let state = answer.iter().find_map(|message| attribute(message, NL80211_ATTR_PS_STATE));
        let state = state.and_then(|bytes| bytes.first_chunk()).ok_or(Errno::EPROTO)?;
        Ok(u32::from_ne_bytes(*state) != 0)
    }

    /// Lets the interface sleep between packets, or not, until it is set up anew.
    ///
    /// # Errors
    /// EPERM for who may not; EOPNOTSUPP where its driver cannot.
    pub fn set_power_save(&mut self, interface: u32, sleeps: bool) -> io::Result<()> {
        let (which, state) = (interface.to_ne_bytes(), u32::from(sleeps).to_ne_bytes());
        let attributes = [(NL80211_ATTR_IFINDEX, &which[..]), (NL80211_ATTR_PS_STATE, &state)];
        self.ask(NL80211_CMD_SET_POWER_SAVE, NLM_F_ACK, &attributes).map(|_| ())
    }

    /// How strong the access point is heard, in dBm; `None` without one.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn signal_dbm(&mut self, interface: u32) -> io::Result<Option<i8>> {
        let which = interface.to_ne_bytes();
        let answer = self.ask(NL80211_CMD_GET_STATION, NLM_F_DUMP, &[(NL80211_ATTR_IFINDEX, &which)])?;
        Ok(answer.iter().find_map(|message| signal(message)))
    }

    /// Sends a request and gathers the answer's messages, each from its attributes on.
    fn ask(&mut self, command: u8, flags: u16, attributes: &[(u16, &[u8])]) -> io::Result<Vec<Vec<u8>>> {
        self.sequence += 1;
        let request = request(self.family, flags, self.sequence, command, attributes);
        sendto(self.socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let (mut answer, mut buffer) = (Vec::new(), vec![0; READ_BYTES_MAX]);
        for _ in 0..READS_MAX {
            let count = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                read => read?,
            };
            for message in messages(&buffer[..count]) {
                match message {
                    Message::Other(sequence) | Message::Content(sequence, _) | Message::End(sequence, _)
                        if sequence != self.sequence => {}
                    Message::Other(_) => {}
                    Message::Content(_, attributes) => answer.push(attributes.to_vec()),
                    Message::End(_, 0) => return Ok(answer),
                    Message::End(_, errno) => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
        Err(Errno::EMSGSIZE.into())
    }
}

/// A message of netlink, with the number of the request that it answers.
#[derive(Debug, PartialEq, Eq)]
enum Message<'a> {
    /// Of a family; its attributes.
    Content(u32, &'a [u8]),
    /// The answer is complete: 0, or the errno.
    End(u32, i32),
    /// Something that says nothing.
    Other(u32),
}

fn request(family: u16, flags: u16, sequence: u32, command: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(family.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    // The port of who asks: the kernel knows.
    bytes.extend([0; 4]);
    // Version 1 of the family, and two bytes that are reserved.
    bytes.extend([command, 1, 0, 0]);
    for (kind, value) in attributes {
        bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// The messages of one read. What is cut off or says a length that cannot be ends them.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    core::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= HEADER_BYTES)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let (header, body) = message.split_at(HEADER_BYTES);
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        Some(match kind {
            // The kernel writes errno below zero, and 0 to say that it is done.
            NLMSG_ERROR | NLMSG_DONE => {
                let errno = body.first_chunk().map_or(0, |errno| i32::from_ne_bytes(*errno));
                Message::End(sequence, errno.saturating_neg())
            }
            CONTROLLER.. => match body.get(GENERIC_BYTES..) {
                Some(attributes) => Message::Content(sequence, attributes),
                None => Message::Other(sequence),
            },
            _ => Message::Other(sequence),
        })
    })
}

/// The value of the first attribute of this kind.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    /// NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags beside the kind.
    const KIND: u16 = 0x3fff;
    loop {
        let header: [u8; 4] = *bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = bytes.get(4..length)?;
        if u16::from_ne_bytes([header[2], header[3]]) & KIND == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

fn signal(message: &[u8]) -> Option<i8> {
    let info = attribute(message, NL80211_ATTR_STA_INFO)?;
    attribute(info, NL80211_STA_INFO_SIGNAL)?.first().map(|dbm| *dbm as i8)
}

#[cfg(test)]
mod tests {
    //! Goal: what the kernel says is read as it means it, and nothing that it could say panics. Method: this kernel's own
    //! generic netlink, which every Linux has; messages laid out as the headers of the kernel say; random bytes.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernel_knows_its_controller_and_not_a_family_that_is_none() {
        assert_eq!(Wireless::of_family("nlctrl").unwrap().family, CONTROLLER);
        let error = Wireless::of_family("no-such-family").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ENOENT as i32));
    }

    /// As the kernel would answer: `request` writes the same layout, under the family's number.
    fn answer(sequence: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        request(0x1c, 0, sequence, NL80211_CMD_GET_POWER_SAVE, attributes)
    }

    #[test]
    fn attributes_are_found_behind_others_and_within_others() {
        let signal_then_padding = [5u16.to_ne_bytes(), NL80211_STA_INFO_SIGNAL.to_ne_bytes()].concat();
        let info = [&8u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), &[9; 4], &signal_then_padding, &[0xc5, 0, 0, 0]];
        // Nested, with the flag that newer kernels set.
        let nested = NL80211_ATTR_STA_INFO | 0x8000;
        let bytes = answer(7, &[(NL80211_ATTR_IFINDEX, &[3, 0, 0, 0]), (6, &[1; 6]), (nested, &info.concat())]);
        let read: Vec<_> = messages(&bytes).collect();
        let [Message::Content(7, attributes)] = read[..] else { panic!("{read:?}") };
        assert_eq!(signal(attributes), Some(-59));
        assert_eq!(attribute(attributes, NL80211_ATTR_IFINDEX), Some(&[3, 0, 0, 0][..]));
        assert_eq!(attribute(attributes, NL80211_ATTR_PS_STATE), None);
    }

    #[test]
    fn an_error_is_told_from_the_end() {
        let mut bytes = answer(7, &[]);
        bytes[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        bytes[16..20].copy_from_slice(&(-95i32).to_ne_bytes());
        assert_eq!(messages(&bytes).collect::<Vec<_>>(), [Message::End(7, 95)]);
        bytes[16..20].copy_from_slice(&0i32.to_ne_bytes());
        assert_eq!(messages(&bytes).collect::<Vec<_>>(), [Message::End(7, 0)]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_go_on_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind: u16) {
            prop_assert!(messages(&bytes).count() <= bytes.len());
            let _ = (attribute(&bytes, kind), signal(&bytes));
        }
    }
}
