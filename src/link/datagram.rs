//! The layouts of the datagrams, byte by byte, and the parser that meets hostile bytes first.
//!
//! **The parser never panics, never allocates, and accepts a datagram only at exactly its length.** The layouts are in
//! `PROTOCOL.md`, section 2; integers are little-endian.

use super::MAX_DATAGRAM;

/// Bytes of an AEAD tag.
pub const TAG_LEN: usize = 16;
/// Bytes of an outer MAC.
pub const MAC_LEN: usize = 16;
/// Bytes of a handshake's encrypted payload: instance, conversation, time stamp and generation.
pub const HELLO_LEN: usize = 16 + 8 + 8 + 4;

/// Noise IK, first message: e, encrypted s, encrypted hello.
pub const IK_FIRST_LEN: usize = 32 + 32 + TAG_LEN + HELLO_LEN + TAG_LEN;
/// Noise IK, second message: e, encrypted hello.
pub const IK_SECOND_LEN: usize = 32 + HELLO_LEN + TAG_LEN;
/// Zeros after the hello in XXpsk3's first message. They make it as long as IK's, and thereby longer than its answer,
/// so that nobody can have us send more than was sent to us.
pub const XX_PADDING_LEN: usize = 48;
/// Noise XXpsk3, first message: e, hello and padding under a key that only e determines.
pub const XX_FIRST_LEN: usize = 32 + HELLO_LEN + XX_PADDING_LEN + TAG_LEN;
/// Noise XXpsk3, second message: e, encrypted s, encrypted hello.
pub const XX_SECOND_LEN: usize = 32 + 32 + TAG_LEN + HELLO_LEN + TAG_LEN;
/// Noise XXpsk3, third message: encrypted s, and the tag of an empty payload.
pub const XX_THIRD_LEN: usize = 32 + TAG_LEN + TAG_LEN;

/// Type, sender's index.
const FIRST_HEAD_LEN: usize = 1 + 4;
/// Type, sender's index, receiver's index.
const SECOND_HEAD_LEN: usize = 1 + 4 + 4;
/// Type, receiver's index.
const THIRD_HEAD_LEN: usize = 1 + 4;
/// An initiation, of either pattern: head, Noise message, mac1, mac2.
pub const INITIATION_LEN: usize = FIRST_HEAD_LEN + IK_FIRST_LEN + 2 * MAC_LEN;
const IK_RESPONSE_LEN: usize = SECOND_HEAD_LEN + IK_SECOND_LEN + MAC_LEN;
const XX_RESPONSE_LEN: usize = SECOND_HEAD_LEN + XX_SECOND_LEN + MAC_LEN;
const FINISH_LEN: usize = THIRD_HEAD_LEN + XX_THIRD_LEN + MAC_LEN;
/// Salt of a cookie reply.
pub const COOKIE_SALT_LEN: usize = 16;
const COOKIE_LEN: usize = THIRD_HEAD_LEN + COOKIE_SALT_LEN + MAC_LEN + TAG_LEN;
/// The longest datagram of a handshake.
pub const HANDSHAKE_LEN_MAX: usize = INITIATION_LEN;
/// Type, receiver's index, counter.
pub const DATA_HEAD_LEN: usize = 1 + 4 + 8;
/// The shortest plaintext is the one byte that says what it is.
const DATA_LEN_MIN: usize = DATA_HEAD_LEN + 1 + TAG_LEN;

const _: () = assert!(INITIATION_LEN == FIRST_HEAD_LEN + XX_FIRST_LEN + 2 * MAC_LEN);
// No answer is longer than what asked for it.
const _: () = assert!(IK_RESPONSE_LEN <= INITIATION_LEN && XX_RESPONSE_LEN <= INITIATION_LEN);
const _: () = assert!(COOKIE_LEN <= INITIATION_LEN);

/// First bytes: the protocol's version in the upper half, the type in the lower.
mod kind {
    pub const IK_INITIATION: u8 = 0x11;
    pub const IK_RESPONSE: u8 = 0x12;
    pub const XX_INITIATION: u8 = 0x13;
    pub const XX_RESPONSE: u8 = 0x14;
    pub const XX_FINISH: u8 = 0x15;
    pub const COOKIE: u8 = 0x16;
    pub const DATA: u8 = 0x17;
}

/// Which of the two handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Noise IK: the initiator knows the responder's key.
    Ik,
    /// Noise XXpsk3: both know a one-time code.
    Xx,
}

/// A datagram of the right length and type; nothing in it has been authenticated.
#[derive(Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A handshake's first message.
    Initiation { pattern: Pattern, sender: u32, noise: &'a [u8], macs: Macs<'a>, mac2: &'a [u8; MAC_LEN] },
    /// A handshake's second message.
    Response { pattern: Pattern, sender: u32, receiver: u32, noise: &'a [u8], macs: Macs<'a> },
    /// XXpsk3's third message.
    Finish { receiver: u32, noise: &'a [u8], macs: Macs<'a> },
    /// "I am busy: come again with this cookie."
    Cookie { receiver: u32, salt: &'a [u8; COOKIE_SALT_LEN], sealed: &'a [u8] },
    /// A sealed payload.
    Data { receiver: u32, counter: u64, sealed: &'a [u8] },
}

/// mac1, and the bytes that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Macs<'a> {
    /// Everything before it.
    pub covered: &'a [u8],
    /// The MAC.
    pub mac1: &'a [u8; MAC_LEN],
}

fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk().map(|(head, rest)| (*head, rest))
}

fn index(bytes: &[u8]) -> Option<(u32, &[u8])> {
    split(bytes).map(|(head, rest)| (u32::from_le_bytes(head), rest))
}

/// Head and Noise message, then mac1.
fn macs(bytes: &[u8]) -> Option<Macs<'_>> {
    let (covered, mac1) = bytes.split_last_chunk()?;
    Some(Macs { covered, mac1 })
}

/// What the datagram is; `None` for anything that this protocol does not send.
pub fn parse(bytes: &[u8]) -> Option<Datagram<'_>> {
    let (kind, body) = bytes.split_first()?;
    match (*kind, bytes.len()) {
        (kind::DATA, DATA_LEN_MIN..=MAX_DATAGRAM) => {
            let (receiver, rest) = index(body)?;
            let (counter, sealed) = split(rest)?;
            Some(Datagram::Data { receiver, counter: u64::from_le_bytes(counter), sealed })
        }
        (kind::IK_INITIATION, INITIATION_LEN) => parse_initiation(Pattern::Ik, bytes),
        (kind::XX_INITIATION, INITIATION_LEN) => parse_initiation(Pattern::Xx, bytes),
        (kind::IK_RESPONSE, IK_RESPONSE_LEN) => parse_response(Pattern::Ik, bytes),
        (kind::XX_RESPONSE, XX_RESPONSE_LEN) => parse_response(Pattern::Xx, bytes),
        (kind::XX_FINISH, FINISH_LEN) => {
            let macs = macs(bytes)?;
            let (receiver, noise) = index(macs.covered.get(1..)?)?;
            Some(Datagram::Finish { receiver, noise, macs })
        }
        (kind::COOKIE, COOKIE_LEN) => {
            let (receiver, rest) = index(body)?;
            let (salt, sealed) = rest.split_first_chunk()?;
            Some(Datagram::Cookie { receiver, salt, sealed })
        }
        _ => None,
    }
}

fn parse_initiation(pattern: Pattern, bytes: &[u8]) -> Option<Datagram<'_>> {
    let (rest, mac2) = bytes.split_last_chunk()?;
    let macs = macs(rest)?;
    let (sender, noise) = index(macs.covered.get(1..)?)?;
    Some(Datagram::Initiation { pattern, sender, noise, macs, mac2 })
}

fn parse_response(pattern: Pattern, bytes: &[u8]) -> Option<Datagram<'_>> {
    let macs = macs(bytes)?;
    let (sender, rest) = index(macs.covered.get(1..)?)?;
    let (receiver, noise) = index(rest)?;
    Some(Datagram::Response { pattern, sender, receiver, noise, macs })
}

/// A handshake datagram being written, on the stack.
#[derive(Clone)]
pub struct Written {
    bytes: [u8; HANDSHAKE_LEN_MAX],
    len: usize,
}

impl Written {
    fn new(kind: u8) -> Written {
        let mut bytes = [0; HANDSHAKE_LEN_MAX];
        bytes[0] = kind;
        Written { bytes, len: 1 }
    }

    /// A handshake's first message, up to where mac1 goes.
    pub fn initiation(pattern: Pattern, sender: u32, noise: &[u8]) -> Written {
        let kind = if pattern == Pattern::Ik { kind::IK_INITIATION } else { kind::XX_INITIATION };
        Written::new(kind).with(&sender.to_le_bytes()).with(noise)
    }

    /// A handshake's second message, up to where mac1 goes.
    pub fn response(pattern: Pattern, sender: u32, receiver: u32, noise: &[u8]) -> Written {
        let kind = if pattern == Pattern::Ik { kind::IK_RESPONSE } else { kind::XX_RESPONSE };
        Written::new(kind).with(&sender.to_le_bytes()).with(&receiver.to_le_bytes()).with(noise)
    }

    /// XXpsk3's third message, up to where mac1 goes.
    pub fn finish(receiver: u32, noise: &[u8]) -> Written {
        Written::new(kind::XX_FINISH).with(&receiver.to_le_bytes()).with(noise)
    }

    /// A cookie reply, whole.
    pub fn cookie(receiver: u32, salt: &[u8; COOKIE_SALT_LEN], sealed: &[u8]) -> Written {
        Written::new(kind::COOKIE).with(&receiver.to_le_bytes()).with(salt).with(sealed)
    }

    /// A datagram that is sealed already, and short: a goodbye.
    pub fn sealed(datagram: &[u8]) -> Written {
        Written { bytes: [0; HANDSHAKE_LEN_MAX], len: 0 }.with(datagram)
    }

    /// The same with `more` at its end. What is appended is of fixed length, and fits.
    pub fn with(mut self, more: &[u8]) -> Written {
        self.bytes[self.len..self.len + more.len()].copy_from_slice(more);
        self.len += more.len();
        self
    }

    /// What has been written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Writes the head of a data datagram to the front of `out`.
pub fn write_data_head(receiver: u32, counter: u64, out: &mut [u8; DATA_HEAD_LEN]) {
    out[0] = kind::DATA;
    out[1..5].copy_from_slice(&receiver.to_le_bytes());
    out[5..].copy_from_slice(&counter.to_le_bytes());
}

/// Entry for a fuzzer: whatever the bytes, the parser returns; and what it accepts can be written again from its parts
/// to the same bytes.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_datagram(bytes: &[u8]) {
    let again = match parse(bytes) {
        None => return,
        Some(Datagram::Initiation { pattern, sender, noise, macs, mac2 }) => {
            Written::initiation(pattern, sender, noise).with(macs.mac1).with(mac2)
        }
        Some(Datagram::Response { pattern, sender, receiver, noise, macs }) => {
            Written::response(pattern, sender, receiver, noise).with(macs.mac1)
        }
        Some(Datagram::Finish { receiver, noise, macs }) => Written::finish(receiver, noise).with(macs.mac1),
        Some(Datagram::Cookie { receiver, salt, sealed }) => Written::cookie(receiver, salt, sealed),
        Some(Datagram::Data { receiver, counter, sealed }) => {
            let mut head = [0; DATA_HEAD_LEN];
            write_data_head(receiver, counter, &mut head);
            assert_eq!((&bytes[..DATA_HEAD_LEN], &bytes[DATA_HEAD_LEN..]), (&head[..], sealed));
            return;
        }
    };
    assert_eq!(again.as_bytes(), bytes);
}

#[cfg(test)]
mod tests {
    //! Goal: the parser accepts exactly what is specified. Method: random bytes, biased to each type and length.

    use super::*;
    use proptest::prelude::*;

    const LENGTHS: [(u8, usize); 6] = [
        (kind::IK_INITIATION, 169),
        (kind::IK_RESPONSE, 109),
        (kind::XX_INITIATION, 169),
        (kind::XX_RESPONSE, 157),
        (kind::XX_FINISH, 85),
        (kind::COOKIE, 53),
    ];

    proptest! {
        #[test]
        fn whatever_comes_the_parser_returns_and_what_it_accepts_is_complete(mut bytes in proptest::collection::vec(any::<u8>(), 0..1_300), first in 0u8..0x20) {
            fuzz_datagram(&bytes);
            if let Some(b) = bytes.first_mut() {
                *b = first;
            }
            fuzz_datagram(&bytes);
            for (kind, len) in LENGTHS {
                if bytes.len() >= len {
                    bytes[0] = kind;
                    prop_assert!(parse(&bytes[..len]).is_some());
                    fuzz_datagram(&bytes[..len]);
                }
            }
        }
    }

    #[test]
    fn a_handshake_datagram_has_one_length_and_data_has_bounds() {
        for (kind, right) in LENGTHS {
            for len in 0..=MAX_DATAGRAM {
                let mut bytes = [0; MAX_DATAGRAM];
                bytes[0] = kind;
                assert_eq!(parse(&bytes[..len]).is_some(), len == right, "type {kind:#x}, {len} bytes");
            }
        }
        for len in 0..=MAX_DATAGRAM + 10 {
            let mut bytes = [0; MAX_DATAGRAM + 10];
            bytes[0] = kind::DATA;
            assert_eq!(parse(&bytes[..len]).is_some(), (30..=1_232).contains(&len), "{len} bytes of data");
        }
    }
}
