//! The station's key pair, its file, and how a public key is written for people.

use super::files::{IdentityError, lock_directory, remove_unfinished, write_atomically};
use core::fmt;
use core::str::FromStr;
use ring::digest;
use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// The private key's file in the state directory.
pub const KEY_FILE: &str = "identity.key";
/// How its name begins, and that of one that is not whole yet.
const KEY_STEM: &str = "identity";
/// What the key's file begins with; the number is the format's version.
const KEY_FILE_HEAD: &str = "visavis-secret-key-1 ";
/// The head, 64 hexadecimal digits and a line's end; a longer file is not ours.
const KEY_FILE_LEN: usize = KEY_FILE_HEAD.len() + 64 + 1;

/// A station's private X25519 key. Wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// A new key out of `random`. Clamping is X25519's own business (RFC 7748 §5).
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> SecretKey {
        let mut bytes = Zeroizing::new([0; 32]);
        random(&mut *bytes);
        SecretKey(bytes)
    }

    /// The key that these bytes are.
    pub fn from_bytes(bytes: [u8; 32]) -> SecretKey {
        SecretKey(Zeroizing::new(bytes))
    }

    /// The bytes, for the handshake.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("snow is built with curve25519");
        dh.set(&*self.0);
        let mut public = [0; 32];
        public.copy_from_slice(dh.pubkey());
        // The resolver's own copy of the secret is not wiped when it is dropped.
        dh.set(&[0; 32]);
        PublicKey(public)
    }

    /// The key kept in `directory`; made there out of `random` where there is none yet.
    ///
    /// Two programs that start at once on a new machine end up with the same key: the first to put its file in place
    /// wins, and the other reads it.
    ///
    /// # Errors
    /// A file that others than its owner may read or write, that is not a key, or that cannot be read or written.
    pub fn load_or_create(directory: &Path, random: impl FnMut(&mut [u8])) -> Result<SecretKey, IdentityError> {
        let path = directory.join(KEY_FILE);
        if let Some(key) = SecretKey::load(&path)? {
            return Ok(key);
        }
        // Two programs that start at once must not each take its own for the station's.
        let _locked = lock_directory(directory)?;
        if let Some(key) = SecretKey::load(&path)? {
            return Ok(key);
        }
        let key = SecretKey::generate(random);
        remove_unfinished(directory, KEY_STEM)
            .and_then(|()| write_atomically(&path, key.to_text().as_bytes(), 0o600))
            .map_err(|e| IdentityError::io(&path, "write the station's key", e))?;
        Ok(key)
    }

    /// The key in the file `path`; `None` where there is no such file.
    fn load(path: &Path) -> Result<Option<SecretKey>, IdentityError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(IdentityError::io(path, "open the station's key", e)),
        };
        // Of the open file, so that it cannot be changed for another in between.
        let metadata = file.metadata().map_err(|e| IdentityError::io(path, "look at the station's key", e))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(IdentityError::content(
                path,
                None,
                format!("others than its owner may use this private key (mode {mode:04o})"),
                "`chmod 600` it; if somebody may have copied it, delete it and pair anew",
            ));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_LEN + 1));
        let read = file.take(KEY_FILE_LEN as u64 + 1).read_to_end(&mut text);
        read.map_err(|e| IdentityError::io(path, "read the station's key", e))?;
        SecretKey::from_text(&text).map(Some).ok_or_else(|| {
            let remedy = "restore it from a backup, or delete it for a new key and pair anew";
            IdentityError::content(path, Some(1), "this is not a key that visavis wrote", remedy)
        })
    }

    fn to_text(&self) -> Zeroizing<String> {
        use fmt::Write;
        let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_LEN));
        text.push_str(KEY_FILE_HEAD);
        for byte in self.0.iter() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text
    }

    pub(super) fn from_text(text: &[u8]) -> Option<SecretKey> {
        let digits = text.strip_prefix(KEY_FILE_HEAD.as_bytes())?.trim_ascii_end();
        if digits.len() != 64 {
            return None;
        }
        let mut key = SecretKey(Zeroizing::new([0; 32]));
        for (byte, pair) in key.0.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// A station's public X25519 key: who it is.
///
/// Written as 56 letters and digits in seven groups: the 32 bytes and three bytes of checksum in base32 (RFC 4648, small
/// letters), so that a slip in typing is noticed. `{:#}` is the short form, the first ten of them: enough to tell
/// stations apart by eye, not to trust one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// RFC 4648 §6, in small letters.
pub(super) const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Key and checksum: 35 bytes are exactly 56 digits of five bits.
const MARKED_LEN: usize = 35;
const DIGITS: usize = 56;
const DIGITS_PER_GROUP: usize = 8;

impl PublicKey {
    fn checksum(&self) -> [u8; 3] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"visavis public key");
        context.update(&self.0);
        let digest = context.finish();
        [digest.as_ref()[0], digest.as_ref()[1], digest.as_ref()[2]]
    }

    fn digits(&self) -> [u8; DIGITS] {
        let mut marked = [0; MARKED_LEN];
        marked[..32].copy_from_slice(&self.0);
        marked[32..].copy_from_slice(&self.checksum());
        core::array::from_fn(|i| {
            let bit = i * 5;
            let pair = u16::from(marked[bit / 8]) << 8 | marked.get(bit / 8 + 1).map_or(0, |b| u16::from(*b));
            BASE32[usize::from(pair >> (11 - bit % 8) & 31)]
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        let (shown, per_group) = if f.alternate() { (&digits[..10], 5) } else { (&digits[..], DIGITS_PER_GROUP) };
        for (i, group) in shown.chunks(per_group).enumerate() {
            if i > 0 {
                f.write_str("-")?;
            }
            // All of BASE32 is ASCII.
            f.write_str(core::str::from_utf8(group).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self:#})")
    }
}

/// Why a text is not a public key; `Display` says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// So many letters and digits instead of 56.
    Length(usize),
    /// A character that no key has.
    Character(char),
    /// The checksum does not fit: something was mistyped.
    Checksum,
    /// The all-zero key, which is nobody's.
    Null,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Length(n) => {
                write!(f, "a public key has {DIGITS} letters and digits, this has {n}: copy all of it")
            }
            KeyError::Character(c) => {
                write!(f, "no public key has {c:?} in it: only the letters a–z and the digits 2–7")
            }
            KeyError::Checksum => f.write_str("something in this public key was mistyped: copy it again"),
            KeyError::Null => f.write_str("this key is nobody's: copy the other station's key"),
        }
    }
}

impl std::error::Error for KeyError {}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Case, spaces and hyphens do not matter.
    fn from_str(text: &str) -> Result<PublicKey, KeyError> {
        let mut marked = [0u8; MARKED_LEN];
        let mut count = 0;
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let small = c.to_ascii_lowercase();
            let value = BASE32.iter().position(|d| char::from(*d) == small).ok_or(KeyError::Character(c))? as u16;
            if count < DIGITS {
                let bit = count * 5;
                let wide = value << (11 - bit % 8);
                marked[bit / 8] |= (wide >> 8) as u8;
                if let Some(next) = marked.get_mut(bit / 8 + 1) {
                    *next |= wide as u8;
                }
            }
            count += 1;
        }
        if count != DIGITS {
            return Err(KeyError::Length(count));
        }
        let mut key = PublicKey([0; 32]);
        key.0.copy_from_slice(&marked[..32]);
        if key.checksum() != marked[32..] {
            return Err(KeyError::Checksum);
        }
        if key.0 == [0; 32] {
            return Err(KeyError::Null);
        }
        Ok(key)
    }
}

impl Zeroize for SecretKey {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}
