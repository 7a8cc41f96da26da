//! A hint at a public key: enough to recognise a key that one knows already, and of no use to anybody else.

use super::key::PublicKey;
use core::fmt;
use core::str::FromStr;
use ring::digest;

/// Bytes of salt: stations that announce themselves draw one at each start, so that who does not know a key cannot
/// follow its owner from network to network.
pub const HINT_SALT_LEN: usize = 4;
/// Bytes of hash. 64 bits: nobody makes a second key that fits while a code lives; but a hint proves nothing by itself.
pub const HINT_HASH_LEN: usize = 8;

/// The beginning of a salted hash of a public key.
///
/// `Display` and `FromStr` write it as 24 hexadecimal digits, the salt first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHint {
    salt: [u8; HINT_SALT_LEN],
    hash: [u8; HINT_HASH_LEN],
}

impl KeyHint {
    /// At `key`, with this salt.
    pub fn new(key: &PublicKey, salt: [u8; HINT_SALT_LEN]) -> KeyHint {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"visavis key hint 1");
        context.update(&salt);
        context.update(&key.0);
        let mut hash = [0; HINT_HASH_LEN];
        hash.copy_from_slice(&context.finish().as_ref()[..HINT_HASH_LEN]);
        KeyHint { salt, hash }
    }

    /// From what [`KeyHint::salt`] and [`KeyHint::hash`] gave.
    pub fn from_parts(salt: [u8; HINT_SALT_LEN], hash: [u8; HINT_HASH_LEN]) -> KeyHint {
        KeyHint { salt, hash }
    }

    /// Whether it hints at `key`.
    pub fn is_of(&self, key: &PublicKey) -> bool {
        KeyHint::new(key, self.salt) == *self
    }

    /// Its salt.
    pub fn salt(&self) -> [u8; HINT_SALT_LEN] {
        self.salt
    }

    /// Its hash.
    pub fn hash(&self) -> [u8; HINT_HASH_LEN] {
        self.hash
    }
}

impl fmt::Display for KeyHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.salt.iter().chain(&self.hash).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that is no hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintError;

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key hint has 24 hexadecimal digits")
    }
}

impl std::error::Error for HintError {}

impl FromStr for KeyHint {
    type Err = HintError;

    fn from_str(text: &str) -> Result<KeyHint, HintError> {
        let digit = |c: u8| char::from(c).to_digit(16).ok_or(HintError);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != HINT_SALT_LEN + HINT_HASH_LEN || !rest.is_empty() {
            return Err(HintError);
        }
        let mut hint = KeyHint { salt: [0; HINT_SALT_LEN], hash: [0; HINT_HASH_LEN] };
        for (byte, pair) in hint.salt.iter_mut().chain(&mut hint.hash).zip(pairs) {
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(hint)
    }
}
