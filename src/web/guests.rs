//! The browsers and viewers that were let in: what each needs to be a station, and how it is known again.

use crate::identity::{PEERS_MAX, PublicKey, SecretKey, system_random, write_atomically};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The file of all browsers, in the room's directory; private, since it holds their keys. The server alone writes it.
pub const GUEST_FILE: &str = "guests.toml";
/// The file of all viewers, likewise. Whoever changes the address book writes it, while that is locked.
pub const VIEWER_FILE: &str = "viewers.toml";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// base64url without padding (RFC 4648 §5).
pub(super) fn base64url(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// What a browser or viewer proves itself with: only it has the token, and only its digest is kept here.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// Of the text in a cookie, whatever it is.
    pub fn of(text: &str) -> Token {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Token(bytes)
    }

    /// Of a bearer token (RFC 6750), whatever it is. No cookie has the same, so that neither serves for the other.
    pub fn of_bearer(text: &str) -> Token {
        Token::of(&format!("bearer {text}"))
    }
}

/// A browser or viewer that was let in.
#[derive(Clone)]
pub struct Guest {
    /// Its key, with which it is a station.
    pub secret: SecretKey,
    /// The public half: its name in the address book.
    pub key: PublicKey,
    token: Token,
    /// The invitation by which it came; of a viewer, which needs none, a number of its own.
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
    /// The browsers of `directory`.
    ///
    /// # Errors
    /// In words: a file that cannot be read or is none of ours, and what to do.
    pub fn load(directory: &Path) -> Result<Guests, String> {
        Guests::read(directory.join(GUEST_FILE))
    }

    /// The viewers of `directory`.
    ///
    /// # Errors
    /// As [`Guests::load`].
    pub fn load_viewers(directory: &Path) -> Result<Guests, String> {
        Guests::read(directory.join(VIEWER_FILE))
    }

    fn read(path: PathBuf) -> Result<Guests, String> {
        let wrong = |problem: &str| {
            format!("{}: {problem}; without this file all of them have to be let in anew", path.display())
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
        self.add(invitation, Token::of)
    }

    /// Lets a viewer in: the bearer token that it is to show from now on.
    ///
    /// # Errors
    /// In words, why not.
    pub fn admit_viewer(&mut self) -> Result<(String, Guest), String> {
        let mut number = [0; 8];
        system_random(&mut number);
        // TOML has no larger numbers.
        self.add(u64::from_le_bytes(number) >> 1, Token::of_bearer)
    }

    fn add(&mut self, invitation: u64, of: fn(&str) -> Token) -> Result<(String, Guest), String> {
        if self.all.len() >= PEERS_MAX {
            return Err("too many are let in: forget one that is gone (visavis peers forget NAME)".into());
        }
        let mut bytes = [0; TOKEN_BYTES];
        system_random(&mut bytes);
        let text = base64url(&bytes);
        let secret = SecretKey::generate(system_random);
        let guest = Guest { key: secret.public(), secret, token: of(&text), invitation };
        self.all.push(guest.clone());
        self.write().map_err(|error| {
            self.all.pop();
            format!("{} cannot be written: {error}", self.path.display())
        })?;
        Ok((text, guest))
    }

    /// The keys of all.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.all.iter().map(|guest| &guest.key)
    }

    /// The one with this key.
    pub fn by_key(&self, key: &PublicKey) -> Option<&Guest> {
        self.all.iter().find(|guest| guest.key == *key)
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

    #[test]
    fn a_viewer_is_known_by_its_bearer_token_and_never_by_a_cookie() {
        let directory = std::env::temp_dir().join(format!("visavis-viewers-{}", std::process::id()));
        let (text, viewer) = Guests::load_viewers(&directory).unwrap().admit_viewer().unwrap();
        let viewers = Guests::load_viewers(&directory).unwrap();
        assert!(!std::fs::read_to_string(directory.join(VIEWER_FILE)).unwrap().contains(&text));
        assert_eq!(viewers.known(&Token::of_bearer(&text)).unwrap().key, viewer.key);
        assert!(viewers.known(&Token::of(&text)).is_none());
        assert!(Guests::load(&directory).unwrap().known(&Token::of_bearer(&text)).is_none(), "it is no browser");
        assert!(viewers.by_key(&viewer.key).is_some());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
