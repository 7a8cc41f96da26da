//! The address book: which stations this one knows, what each may do, and where each was found.

use super::files::{IdentityError, lock_directory, remove_unfinished, write_atomically};
use super::key::PublicKey;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The address book's file in the state directory.
pub const BOOK_FILE: &str = "peers.toml";
/// How its name begins, and that of one that is not whole yet.
const BOOK_STEM: &str = "peers";
/// Entries of a book. A house has a dozen stations; the bound keeps a spoiled file from growing memory.
pub const PEERS_MAX: usize = 64;
/// Addresses kept of a peer: IPv4 and IPv6, on a few networks.
pub const PEER_ADDRESSES_MAX: usize = 8;
/// Letters of a name: what fits on a card of the screen.
const NAME_LETTERS_MAX: usize = 32;
/// Bytes of a file: 64 entries need some 40 kB.
pub(super) const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What a peer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Ring here, and be answered.
    pub call: bool,
    /// See and hear without anybody answering.
    pub monitor: bool,
    /// Release the door.
    pub release: bool,
}

/// One station of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What people call it; one entry a name, case aside.
    pub name: String,
    /// Who it is; one entry a key.
    pub key: PublicKey,
    /// What it may do.
    pub rights: Rights,
    /// Where it was reached, the last one first.
    pub addresses: Vec<SocketAddr>,
}

/// What became of a station that was to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is called in the book.
    pub name: String,
    /// Whether it is new there.
    pub added: bool,
}

/// The stations that this one knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressBook {
    entries: Vec<Entry>,
}

impl AddressBook {
    /// The book kept in `directory`; an empty one where there is none yet.
    ///
    /// # Errors
    /// A file that cannot be read, or whose contents are not a book: with line, key and remedy.
    pub fn load(directory: &Path) -> Result<AddressBook, IdentityError> {
        let path = directory.join(BOOK_FILE);
        let read = std::fs::File::open(&path).and_then(|file| {
            use io::Read;
            let mut text = String::new();
            file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map(|_| text)
        });
        match read {
            Ok(text) => AddressBook::parse(&text, &path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(AddressBook::default()),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                Err(IdentityError::content(&path, None, "this is not text", "restore it from a backup, or pair anew"))
            }
            Err(e) => Err(IdentityError::io(&path, "read the address book", e)),
        }
    }

    /// Writes the book to `directory`, atomically.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn save(&self, directory: &Path) -> Result<(), IdentityError> {
        let path = directory.join(BOOK_FILE);
        let text = self.to_text();
        write_atomically(&path, text.as_bytes(), 0o644)
            .map_err(|e| IdentityError::io(&path, "write the address book", e))
    }

    /// Changes the book kept in `directory`: reads it, and writes what `change` makes of it if that is different.
    ///
    /// The directory is locked meanwhile, so that a station that notes an address and a person who renames a station do
    /// not undo each other's change. **All who write the book write it so**; what they keep in memory is then old, and is
    /// to be loaded anew. It waits for another who changes the book, which takes milliseconds.
    ///
    /// # Errors
    /// Those of [`AddressBook::load`] and [`AddressBook::save`], and what `change` says; the file is then as it was.
    pub fn update<T, E: From<IdentityError>>(
        directory: &Path,
        change: impl FnOnce(&mut AddressBook) -> Result<T, E>,
    ) -> Result<T, E> {
        // Held until the end: closing the file gives the lock back.
        let _locked = lock_directory(directory)?;
        let before = AddressBook::load(directory)?;
        let mut book = before.clone();
        let done = change(&mut book)?;
        if book != before {
            // Nobody else writes now: what is unfinished is of a power cut.
            remove_unfinished(directory, BOOK_STEM)
                .map_err(|e| IdentityError::io(directory, "clear the state directory", e))?;
            book.save(directory)?;
        }
        Ok(done)
    }

    /// Every entry, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry with this key.
    pub fn by_key(&self, key: &PublicKey) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == *key)
    }

    /// The entry with this name, case aside.
    pub fn by_name(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| same_name(&entry.name, name))
    }

    /// The entry with this name, case aside.
    ///
    /// # Errors
    /// In words: that there is none, and which there are.
    pub fn known(&self, name: &str) -> Result<&Entry, String> {
        self.by_name(name).ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
            let names = if names.is_empty() { "nobody".into() } else { names.join(", ") };
            format!("no station `{name}` in the address book; it has: {names}")
        })
    }

    fn known_mut(&mut self, name: &str) -> Result<&mut Entry, String> {
        let key = self.known(name)?.key;
        self.entries.iter_mut().find(|entry| entry.key == key).ok_or_else(String::new)
    }

    /// Gives a station another name.
    ///
    /// # Errors
    /// In words: a station that is not there, a name that is none, or another station's.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), String> {
        check_name(new)?;
        let key = self.known(old)?.key;
        // The same name in other letters is no other station's.
        if self.by_name(new).is_some_and(|other| other.key != key) {
            return Err(format!("name: another station is called {new:?} already"));
        }
        self.known_mut(old)?.name = new.to_owned();
        Ok(())
    }

    /// Changes what a station may do.
    ///
    /// # Errors
    /// In words: that there is no such station.
    pub fn change_rights(&mut self, name: &str, change: impl FnOnce(&mut Rights)) -> Result<(), String> {
        change(&mut self.known_mut(name)?.rights);
        Ok(())
    }

    /// Adds a station.
    ///
    /// # Errors
    /// In words: a name or key that is there already, a name that is none, or a full book.
    pub fn add(&mut self, entry: Entry) -> Result<(), String> {
        check_name(&entry.name)?;
        if let Some(known) = self.by_key(&entry.key) {
            return Err(format!("key: this station is in the book already, as {:?}", known.name));
        }
        if self.by_name(&entry.name).is_some() {
            return Err(format!("name: there are two stations called {:?}", entry.name));
        }
        if self.entries.len() == PEERS_MAX {
            return Err(format!("the book is full: it holds {PEERS_MAX} stations"));
        }
        if entry.addresses.len() > PEER_ADDRESSES_MAX {
            return Err(format!("addresses: at most {PEER_ADDRESSES_MAX} of a station"));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Keeps a station that was paired: it may call, and was reached at `address`. One that is in the book already stays
    /// as it is, with its name and rights. A name that another station has gets a number.
    ///
    /// # Errors
    /// In words: a full book.
    pub fn keep(&mut self, key: PublicKey, name: &str, address: SocketAddr) -> Result<Kept, String> {
        if let Some(name) = self.by_key(&key).map(|known| known.name.clone()) {
            self.reached(&key, address);
            return Ok(Kept { name, added: false });
        }
        let name = self.unused_name(name);
        let rights = Rights { call: true, monitor: false, release: false };
        self.add(Entry { name: name.clone(), key, rights, addresses: vec![address] })?;
        Ok(Kept { name, added: true })
    }

    /// What a station that calls itself `wanted` can be called here: cut to what a name may be, and numbered where there
    /// is one of that name.
    pub fn unused_name(&self, wanted: &str) -> String {
        let clean: String = wanted.chars().filter(|c| !c.is_control()).collect();
        let cut = |letters: usize| clean.trim().chars().take(letters).collect::<String>().trim_end().to_owned();
        let plain = Some(cut(NAME_LETTERS_MAX)).filter(|name| !name.is_empty()).unwrap_or_else(|| "station".to_owned());
        // There is a free number among so many: the book holds no more.
        let numbered = (2..=PEERS_MAX + 1).map(|n| {
            let number = format!(" ({n})");
            let stem: String = plain.chars().take(NAME_LETTERS_MAX - number.len()).collect();
            format!("{}{number}", stem.trim_end())
        });
        core::iter::once(plain.clone())
            .chain(numbered)
            .find(|name| self.by_name(name).is_none())
            .unwrap_or_else(|| plain.clone())
    }

    /// Takes a station out of the book.
    pub fn remove(&mut self, key: &PublicKey) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| entry.key == *key)?;
        Some(self.entries.remove(place))
    }

    /// Notes that a station was reached at `address`: it becomes the first to be tried. Says whether the book changed.
    pub fn reached(&mut self, key: &PublicKey, address: SocketAddr) -> bool {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == *key) else { return false };
        if entry.addresses.first() == Some(&address) {
            return false;
        }
        entry.addresses.retain(|known| *known != address);
        entry.addresses.insert(0, address);
        entry.addresses.truncate(PEER_ADDRESSES_MAX);
        true
    }
}

/// Names are the same where people would take them for the same.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

/// Whether a name is one that people can read out.
///
/// # Errors
/// In words: what is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() || name.trim() != name {
        return Err(format!("name: {name:?} is empty, or begins or ends with a space"));
    }
    if name.chars().count() > NAME_LETTERS_MAX || name.chars().any(char::is_control) {
        return Err(format!("name: {name:?} is longer than {NAME_LETTERS_MAX} letters, or has control characters"));
    }
    Ok(())
}
