//! The browsers that were let in: what each needs to be a station, and how it is known again.

use crate::identity::{PEERS_MAX, PublicKey, SecretKey, system_random, write_atomically};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The file of all of them, in the room's directory; private, since it holds their keys.
pub const GUEST_FILE: &str = "guests.toml";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// base64url without padding (RFC 4648 §5).
pub(super) fn base64url(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// What a browser proves itself with: only it has the token, and only its digest is kept here.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// Of the text in a cookie, whatever it is.
    pub fn of(text: &str) -> Token {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Token(bytes)
    }
}

/// A browser that was let in.
#[derive(Clone)]
pub struct Guest {
    /// Its key, with which it is a station.
    pub secret: SecretKey,
    /// The public half: its name in the address book.
    pub key: PublicKey,
    token: Token,
    /// The invitation by which it came.
    invitation: u64,
}

/// As it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    secret: String,
    token: String,
    invitation: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    #[serde(default)]
    guest: Vec<Written>,
}

/// All of them.
pub struct Guests {
    path: PathBuf,
    all: Vec<Guest>,
}

impl Guests {
    /// Those of `directory`.
    ///
    /// # Errors
    /// In words: a file that cannot be read or is none of ours, and what to do.
    pub fn load(directory: &Path) -> Result<Guests, String> {
        let path = directory.join(GUEST_FILE);
        let wrong = |problem: &str| {
            format!("{}: {problem}; without this file every browser has to be invited anew", path.display())
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        let book: Book = toml::from_str(&text).map_err(|error| wrong(error.message()))?;
        let all = book.guest.iter().take(PEERS_MAX).map(read).collect::<Option<Vec<_>>>();
        Ok(Guests { all: all.ok_or_else(|| wrong("a key or token in it is none"))?, path })
    }

    /// Lets a browser in, by an invitation that was not used before: what it is to show from now on.
    ///
    /// # Errors
    /// In words, why not.
    pub fn admit(&mut self, invitation: u64) -> Result<(String, Guest), String> {
        if self.all.iter().any(|guest| guest.invitation == invitation) {
            return Err("this invitation was used already: ask for another one".into());
        }
        if self.all.len() >= PEERS_MAX {
            return Err("there are too many browsers: forget one that is gone (visavis peers forget NAME)".into());
        }
        let mut bytes = [0; TOKEN_BYTES];
        system_random(&mut bytes);
        let cookie = base64url(&bytes);
        let secret = SecretKey::generate(system_random);
        let guest = Guest { key: secret.public(), secret, token: Token::of(&cookie), invitation };
        self.all.push(guest.clone());
        self.write().map_err(|error| {
            self.all.pop();
            format!("the station cannot remember you: {error}")
        })?;
        Ok((cookie, guest))
    }

    /// Whose token this is. All of them are compared, each in constant time.
    pub fn known(&self, token: &Token) -> Option<&Guest> {
        self.all.iter().fold(
            None,
            |found, guest| {
                if openssl::memcmp::eq(&guest.token.0, &token.0) { Some(guest) } else { found }
            },
        )
    }

    /// Forgets those that `stays` does not want; whether there were any.
    ///
    /// # Errors
    /// What the file system says; they are forgotten here all the same.
    pub fn retain(&mut self, stays: impl Fn(&PublicKey) -> bool) -> io::Result<bool> {
        let before = self.all.len();
        self.all.retain(|guest| stays(&guest.key));
        if self.all.len() == before { Ok(false) } else { self.write().map(|()| true) }
    }

    fn write(&self) -> io::Result<()> {
        let written = self.all.iter().map(|guest| Written {
            secret: base64url(guest.secret.as_bytes()),
            token: base64url(&guest.token.0),
            invitation: guest.invitation,
        });
        let text = toml::to_string(&Book { guest: written.collect() }).map_err(io::Error::other)?;
        write_atomically(&self.path, text.as_bytes(), 0o600)
    }
}

fn read(written: &Written) -> Option<Guest> {
    let secret = SecretKey::from_bytes(bytes(&written.secret)?);
    Some(Guest { key: secret.public(), secret, token: Token(bytes(&written.token)?), invitation: written.invitation })
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let padded = text.replace('-', "+").replace('_', "/") + "=";
    openssl::base64::decode_block(&padded).ok()?.get(..32)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    //! Goal: who was let in is known again after a restart, and nobody else is. Method: a folder of the test's own.
    use super::*;

    #[test]
    fn a_guest_is_known_again_by_its_token_alone_and_no_longer_once_forgotten() {
        let directory = std::env::temp_dir().join(format!("visavis-guests-{}", std::process::id()));
        let mut guests = Guests::load(&directory).unwrap();
        let (cookie, guest) = guests.admit(1).unwrap();
        let (other, _) = guests.admit(2).unwrap();
        assert_ne!(cookie, other);
        assert!(guests.admit(1).is_err_and(|why| why.contains("used already")));
        let mut guests = Guests::load(&directory).unwrap();
        let text = std::fs::read_to_string(directory.join(GUEST_FILE)).unwrap();
        assert!(!text.contains(&cookie), "the token itself is written down");
        assert_eq!(guests.known(&Token::of(&cookie)).unwrap().key, guest.key);
        for stranger in ["", "x", &cookie[1..], &format!("{cookie} ")] {
            assert!(guests.known(&Token::of(stranger)).is_none(), "{stranger}");
        }
        assert!(guests.retain(|key| *key != guest.key).unwrap());
        assert!(guests.known(&Token::of(&cookie)).is_none() && guests.known(&Token::of(&other)).is_some());
        assert!(Guests::load(&directory).unwrap().known(&Token::of(&cookie)).is_none());
        std::fs::write(directory.join(GUEST_FILE), "[[guest]]\nsecret = \"x\"\ntoken = \"y\"\ninvitation = 1\n")
            .unwrap();
        assert!(Guests::load(&directory).is_err_and(|why| why.contains(GUEST_FILE) && why.contains("anew")));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
