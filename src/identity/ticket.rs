//! The ticket: what a station shows as a QR code while it pairs, for the other station's camera.
//!
//! It holds the one-time code, a hint at the station's key, and where the station is. As text it is `VV1:` and base32
//! (RFC 4648 §6, no padding), all within the alphanumeric mode of QR codes, so that the symbol stays small: version 4 to 6
//! at error correction level M. The bytes under it:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 9 | the code's six words, 11 bits each, the first one in the highest bits; six zero bits |
//! | 9 | 8 | hash of a [`KeyHint`] with a salt of zeros |
//! | 17 | 2 | UDP port, big-endian |
//! | 19 | 1 | upper four bits: count of IPv4 addresses; lower four: of IPv6 ones |
//! | 20 | 4 each | IPv4 addresses |
//! | … | 16 each | IPv6 addresses |
//! | … | 0–24 | the station's name in UTF-8, as much of it as fits |

use super::code::{CODE_WORDS, Code};
use super::hint::{HINT_HASH_LEN, HINT_SALT_LEN, KeyHint};
use super::key::{BASE32, PublicKey};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use zeroize::{Zeroize, Zeroizing};

/// What every ticket begins with; the number is the format's version.
const HEAD: &str = "VV1:";
/// What those of any version begin with.
const HEAD_ANY: &str = "VV";
/// Addresses of each family: two networks, say cable and wireless. More would make the symbol larger.
const ADDRESSES_PER_FAMILY_MAX: usize = 2;
/// Bytes of the name: enough to show with whom one pairs; the whole of it comes over the link.
const NAME_BYTES_MAX: usize = 24;
/// Bytes of the code: six times 11 bits.
const CODE_LEN: usize = 9;
/// Bytes before the addresses.
const FIXED_LEN: usize = CODE_LEN + HINT_HASH_LEN + 3;
/// Bytes of the longest ticket.
const BYTES_MAX: usize = FIXED_LEN + ADDRESSES_PER_FAMILY_MAX * (4 + 16) + NAME_BYTES_MAX;
/// Characters of the longest ticket: 139, where a QR code of version 6 at level M holds 154.
pub const TICKET_CHARACTERS_MAX: usize = HEAD.len() + (BYTES_MAX * 8).div_ceil(5);

/// A station that wants to be paired: what it shows.
#[derive(Clone)]
pub struct Ticket {
    /// The one-time code.
    pub code: Code,
    /// What the station's key must fit.
    pub hint: KeyHint,
    /// The beginning of its name.
    pub name: String,
    /// Where it is: at most two IPv4 and two IPv6 addresses, all with one port.
    pub addresses: Vec<SocketAddr>,
}

impl Ticket {
    /// What a station with this key shows. Of `addresses` those are taken that mean the same to another machine (not
    /// link-local ones, which want the reader's own scope: multicast DNS finds those), the first two of each family.
    pub fn new(code: Code, key: &PublicKey, name: &str, port: u16, addresses: &[IpAddr]) -> Ticket {
        let mut taken: Vec<SocketAddr> = Vec::with_capacity(2 * ADDRESSES_PER_FAMILY_MAX);
        for ip in addresses.iter().map(IpAddr::to_canonical).filter(is_for_others) {
            let of_family = taken.iter().filter(|known| known.is_ipv4() == ip.is_ipv4()).count();
            let address = SocketAddr::new(ip, port);
            if of_family < ADDRESSES_PER_FAMILY_MAX && !taken.contains(&address) {
                taken.push(address);
            }
        }
        taken.sort_by_key(SocketAddr::is_ipv6);
        let fits = (0..=NAME_BYTES_MAX).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let name = if name.len() <= NAME_BYTES_MAX { name } else { &name[..fits] };
        Ticket { code, hint: KeyHint::new(key, [0; HINT_SALT_LEN]), name: name.trim().to_owned(), addresses: taken }
    }

    /// The ticket as text, to be drawn. It is as secret as the code.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX));
        bytes.extend_from_slice(&*self.code.to_bytes());
        bytes.extend_from_slice(&self.hint.hash());
        let port = self.addresses.first().map_or(0, SocketAddr::port);
        bytes.extend_from_slice(&port.to_be_bytes());
        let count = |v6| self.addresses.iter().filter(|address| address.is_ipv6() == v6).count() as u8;
        bytes.push(count(false) << 4 | count(true));
        for address in &self.addresses {
            match address.ip() {
                IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
            }
        }
        bytes.extend_from_slice(self.name.as_bytes());
        let mut text = Zeroizing::new(String::with_capacity(TICKET_CHARACTERS_MAX));
        text.push_str(HEAD);
        for i in 0..(bytes.len() * 8).div_ceil(5) {
            let bit = i * 5;
            let pair = u16::from(bytes[bit / 8]) << 8 | bytes.get(bit / 8 + 1).map_or(0, |b| u16::from(*b));
            text.push(char::from(BASE32[usize::from(pair >> (11 - bit % 8) & 31)].to_ascii_uppercase()));
        }
        text
    }
}

/// Whether another machine would reach the same station there.
fn is_for_others(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_unspecified() && !ip.is_multicast() && !link_local
}

/// Tickets are shown in logs by their name alone.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?}, …)", self.name)
    }
}

/// Why a text is no ticket. It says nothing of what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketError {
    /// Some other QR code.
    Other,
    /// A ticket of a version that this program does not know.
    Version,
    /// It begins as a ticket does, and goes on as none.
    Broken,
}

impl fmt::Display for TicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TicketError::Other => "this QR code is not a station's: hold the other station's pairing screen here",
            TicketError::Version => "the other station runs another version: bring both to the same one",
            TicketError::Broken => "this QR code is damaged: give the six words instead",
        })
    }
}

impl std::error::Error for TicketError {}

impl FromStr for Ticket {
    type Err = TicketError;

    /// Exactly what [`Ticket::to_text`] writes is read, and nothing else.
    fn from_str(text: &str) -> Result<Ticket, TicketError> {
        let Some(digits) = text.strip_prefix(HEAD) else {
            let of_ours = text.strip_prefix(HEAD_ANY).and_then(|rest| rest.split_once(':'));
            let numbered = of_ours.is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
            return Err(if numbered { TicketError::Version } else { TicketError::Other });
        };
        if text.len() > TICKET_CHARACTERS_MAX {
            return Err(TicketError::Broken);
        }
        let bytes = from_base32(digits).ok_or(TicketError::Broken)?;
        parse(&bytes).ok_or(TicketError::Broken)
    }
}

/// The bytes that `digits` stand for; `None` where a digit is none, or bits are left over that are not zero.
fn from_base32(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 1));
    let (mut held, mut bits) = (0u32, 0);
    for c in digits.bytes() {
        let value = BASE32.iter().position(|digit| digit.to_ascii_uppercase() == c)?;
        held = held << 5 | value as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    let whole = bits < 5 && held == 0;
    held.zeroize();
    whole.then_some(bytes)
}

fn parse(bytes: &[u8]) -> Option<Ticket> {
    let (code, rest) = bytes.split_first_chunk::<CODE_LEN>()?;
    let (hash, rest) = rest.split_first_chunk::<HINT_HASH_LEN>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (counts, mut rest) = rest.split_first()?;
    let port = u16::from_be_bytes(*port);
    let (v4, v6) = (usize::from(counts >> 4), usize::from(counts & 15));
    if v4.max(v6) > ADDRESSES_PER_FAMILY_MAX || (v4 + v6 > 0) != (port > 0) {
        return None;
    }
    let mut addresses = Vec::with_capacity(v4 + v6);
    for _ in 0..v4 {
        let (octets, after) = rest.split_first_chunk::<4>()?;
        addresses.push(SocketAddr::new(Ipv4Addr::from(*octets).into(), port));
        rest = after;
    }
    for _ in 0..v6 {
        let (octets, after) = rest.split_first_chunk::<16>()?;
        addresses.push(SocketAddr::new(Ipv6Addr::from(*octets).into(), port));
        rest = after;
    }
    let name = core::str::from_utf8(rest).ok()?;
    let named = name.len() <= NAME_BYTES_MAX && name.trim() == name && !name.chars().any(char::is_control);
    let placed = addresses.iter().all(|address| is_for_others(&address.ip()));
    let code = Code::from_bytes(code)?;
    let hint = KeyHint::from_parts([0; HINT_SALT_LEN], *hash);
    (named && placed).then(|| Ticket { code, hint, name: name.to_owned(), addresses })
}

impl Code {
    /// The words' numbers, 11 bits each, and six zero bits.
    fn to_bytes(&self) -> Zeroizing<[u8; CODE_LEN]> {
        let mut wide = self.indices().iter().fold(0u128, |wide, index| wide << 11 | u128::from(*index)) << 6;
        let mut bytes = Zeroizing::new([0; CODE_LEN]);
        bytes.copy_from_slice(&wide.to_be_bytes()[16 - CODE_LEN..]);
        wide.zeroize();
        bytes
    }

    /// The reverse; `None` where the last six bits are not zero.
    fn from_bytes(bytes: &[u8; CODE_LEN]) -> Option<Code> {
        let mut wide = bytes.iter().fold(0u128, |wide, byte| wide << 8 | u128::from(*byte));
        let canonical = wide & 63 == 0;
        let indices = core::array::from_fn(|i| (wide >> (6 + 11 * (CODE_WORDS - 1 - i)) & 0x7ff) as u16);
        wide.zeroize();
        canonical.then(|| Code::from_indices(indices))
    }
}
