//! Who is let in to look on: a token in exchange for a place in the address book.

use crate::identity::{AddressBook, Entry, IdentityError, PublicKey, Rights};
use crate::web::{Guests, WEB_DIRECTORY};
use std::path::Path;

/// What who looks on may do.
const RIGHTS: Rights = Rights { call: false, monitor: true, release: false };

/// Lets somebody look on: enters `name` in the address book, with the right to see and hear, and gives the bearer token for it,
/// which is kept nowhere. A `visavis web` that runs knows it within seconds.
///
/// # Errors
/// In words: a name that is taken or none, a file that cannot be read or written.
pub fn admit_viewer(state: &Path, name: &str) -> Result<String, String> {
    AddressBook::update(state, |book| add(book, state, name)).map_err(|Wrong(why)| why)
}

/// The key by which a media server is published to, entered as `name` where that is new. Nobody has a token for it.
///
/// # Errors
/// As [`admit_viewer`].
pub(super) fn publication_key(state: &Path, name: &str) -> Result<PublicKey, String> {
    let directory = state.join(WEB_DIRECTORY);
    let entered = AddressBook::update(state, |book| {
        let Some(entry) = book.by_name(name) else {
            return add(book, state, name).map(|_| book.by_name(name).map(|entry| entry.key));
        };
        Ok(Guests::load_viewers(&directory)?.by_key(&entry.key).map(|viewer| viewer.key))
    });
    let key = entered.map_err(|Wrong(why)| why)?;
    key.ok_or_else(|| format!("{name:?} is a station of the address book: give the media server another name"))
}

fn add(book: &mut AddressBook, state: &Path, name: &str) -> Result<String, Wrong> {
    if book.by_name(name).is_some() {
        return Err(Wrong(format!(
            "{name:?} is in the address book already: choose another name, or forget that one first"
        )));
    }
    let mut viewers = Guests::load_viewers(&state.join(WEB_DIRECTORY))?;
    // Those that were forgotten make room.
    viewers.retain(|key| book.by_key(key).is_some()).map_err(|error| error.to_string())?;
    let (token, viewer) = viewers.admit_viewer()?;
    book.add(Entry { name: name.to_owned(), key: viewer.key, rights: RIGHTS, addresses: Vec::new() })?;
    Ok(token)
}

/// Why nobody is let in, in words.
struct Wrong(String);

impl From<String> for Wrong {
    fn from(why: String) -> Wrong {
        Wrong(why)
    }
}

impl From<IdentityError> for Wrong {
    fn from(error: IdentityError) -> Wrong {
        Wrong(error.to_string())
    }
}
