//! Links that let a browser in: each for a few minutes, and once.
//!
//! An invitation is `end (8 bytes) · rights (1) · number (8) · tag (16)`, in base64url without padding (RFC 4648 §5): 44
//! letters. The tag is HMAC-SHA256 (RFC 2104), cut to 16 bytes, under a key that lies in the state directory; so whoever may
//! read that directory can invite (`visavis web invite`), and whoever serves the page can tell.

use super::guests::base64url;
use crate::identity::{Rights, system_random, write_atomically};
use crate::time::Duration;
use ring::hmac;
use std::io;
use std::path::Path;

/// How long an invitation holds: time to fetch the phone from another room.
pub const INVITATION_LIFE: Duration = Duration::from_secs(10 * 60);

const FILE: &str = "invitation.key";
const KEY_BYTES: usize = 32;
const BODY_BYTES: usize = 17;
const TAG_BYTES: usize = 16;

/// What an invitation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// When it ends, in seconds since 1970.
    pub until_unix_s: u64,
    /// What who comes by it may do.
    pub rights: Rights,
    /// Tells it from every other.
    pub number: u64,
}

/// Makes invitations, and tells its own from others.
pub struct Inviter {
    key: hmac::Key,
}

impl Inviter {
    /// With the key in `directory`, made where there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub fn load_or_create(directory: &Path) -> io::Result<Inviter> {
        let path = directory.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) if bytes.len() == KEY_BYTES => bytes,
            // A key that is none invites nobody; a new one costs only the invitations that are open.
            Ok(_) => new_key(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_key(&path)?,
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        };
        Ok(Inviter { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }

    /// The text of a new invitation.
    pub fn invite(&self, now_unix_s: u64, rights: Rights) -> String {
        let mut number = [0; 8];
        system_random(&mut number);
        let until = now_unix_s.saturating_add(INVITATION_LIFE.as_secs());
        let flags = u8::from(rights.call) | u8::from(rights.monitor) << 1 | u8::from(rights.release) << 2;
        let mut bytes = [until.to_be_bytes().as_slice(), &[flags], &number].concat();
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG_BYTES]);
        base64url(&bytes)
    }

    /// What an invitation of ours that still holds says; nothing of any other text.
    pub fn read(&self, now_unix_s: u64, text: &str) -> Option<Invitation> {
        let bytes = openssl::base64::decode_block(&padded(text)?).ok()?;
        // OpenSSL leaves the zeros of the padding in place.
        let bytes = bytes.get(..BODY_BYTES + TAG_BYTES)?;
        let (body, tag) = bytes.split_at(BODY_BYTES);
        let wanted = hmac::sign(&self.key, body);
        if !openssl::memcmp::eq(&wanted.as_ref()[..TAG_BYTES], tag) {
            return None;
        }
        let (until, rest) = body.split_first_chunk::<8>()?;
        let (flags, number) = rest.split_first()?;
        let until_unix_s = u64::from_be_bytes(*until);
        let may = |bit: u8| flags >> bit & 1 == 1;
        let rights = Rights { call: may(0), monitor: may(1), release: may(2) };
        // One that holds for longer was made while the clock was wrong.
        let left = until_unix_s.checked_sub(now_unix_s)?;
        (left <= INVITATION_LIFE.as_secs()).then_some(Invitation {
            until_unix_s,
            rights,
            number: u64::from_be_bytes(number.try_into().ok()?),
        })
    }
}

fn new_key(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; KEY_BYTES];
    system_random(&mut bytes);
    write_atomically(path, &bytes, 0o600)?;
    Ok(bytes)
}

/// base64url as OpenSSL takes it.
fn padded(text: &str) -> Option<String> {
    let wanted = (BODY_BYTES + TAG_BYTES).div_ceil(3) * 4;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (text.len() == wanted && text.chars().all(is_plain)).then(|| text.replace('-', "+").replace('_', "/"))
}

#[cfg(test)]
mod tests {
    //! Goal: only an invitation of this station lets in, and only for its time. Method: every letter changed in turn.
    use super::*;

    const MAY: Rights = Rights { call: true, monitor: false, release: true };

    fn inviter(key: u8) -> Inviter {
        Inviter { key: hmac::Key::new(hmac::HMAC_SHA256, &[key; KEY_BYTES]) }
    }

    #[test]
    fn an_invitation_says_what_it_was_made_for_until_it_ends() {
        let text = inviter(1).invite(1_000, MAY);
        assert_eq!(text.len(), 44);
        let read = inviter(1).read(1_000, &text).unwrap();
        assert_eq!((read.until_unix_s, read.rights), (1_600, MAY));
        assert!(inviter(1).read(1_600, &text).is_some());
        assert_eq!(inviter(1).read(1_601, &text), None);
        assert_eq!(inviter(1).read(999, &text), None, "a clock that was set back");
        assert_ne!(inviter(1).invite(1_000, MAY), text);
    }

    #[test]
    fn no_other_text_is_an_invitation() {
        let text = inviter(1).invite(1_000, MAY);
        assert_eq!(inviter(2).read(1_000, &text), None);
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(inviter(1).read(1_000, core::str::from_utf8(&other).unwrap()), None, "{place}");
        }
        for none in ["", "A", "ü", &text[1..], &format!("{text}A"), &"=".repeat(44)] {
            assert_eq!(inviter(1).read(1_000, none), None, "{none}");
        }
    }
}
