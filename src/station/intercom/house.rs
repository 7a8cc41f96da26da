//! The other stations of the house: a link to each of the address book, whether it is there or not.
//!
//! A station that rings should be reached at once, and one that is away should be known to be; so links stand all the
//! time. What is found out of a station's whereabouts (where it was reached, what it announces, what the configuration
//! says) goes to its link as addresses to try; the handshake alone says who is there.

use super::settings::IntercomConfig;
use crate::find::{Change, Whereabouts};
use crate::identity::{AddressBook, Entry, IdentityError, PublicKey};
use crate::link::{CloseReason, LinkId, Trust};
use crate::station::peer::Peer;
use crate::station::resolve::Resolver;
use crate::station::switchboard::Switchboard;
use crate::time::{Duration, Instant};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How often a name of the configuration is looked up again while its station is away.
const RESOLVE_AGAIN: Duration = Duration::from_secs(5);
/// How often addresses that worked are written down at most: a station that moves back and forth must not wear the card.
const WRITE_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Another station.
pub(super) struct Neighbour {
    pub key: PublicKey,
    pub name: String,
    pub peer: Peer,
    /// What its hello said that it speaks; 0 before.
    pub version: u16,
    /// When it came or went.
    pub since: Instant,
    whereabouts: Whereabouts,
    resolver: Option<(Resolver, Instant)>,
}

/// All of them.
pub(super) struct House {
    directory: PathBuf,
    book: AddressBook,
    neighbours: Vec<Neighbour>,
    /// Addresses that worked and are not written down yet.
    unwritten: Vec<(PublicKey, SocketAddr)>,
    write_at: Instant,
}

impl House {
    /// Reads the book in `directory`. Links come with [`House::join`].
    ///
    /// # Errors
    /// A book that cannot be read.
    pub fn load(directory: &Path) -> Result<House, IdentityError> {
        let book = AddressBook::load(directory)?;
        let (neighbours, unwritten) = (Vec::new(), Vec::new());
        Ok(House { directory: directory.to_owned(), book, neighbours, unwritten, write_at: Instant::ZERO })
    }

    /// Reads the book again: somebody may have changed it.
    ///
    /// # Errors
    /// A book that cannot be read; the one before still holds.
    pub fn reload(&mut self) -> Result<(), IdentityError> {
        self.book = AddressBook::load(&self.directory)?;
        Ok(())
    }

    /// Changes the book, on disk and here.
    ///
    /// # Errors
    /// In words.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut AddressBook) -> Result<T, String>) -> Result<T, String> {
        let mut problem = None;
        let done = AddressBook::update(&self.directory, |book| {
            let done = change(book).map_err(|why| problem = Some(why)).ok();
            Ok::<_, IdentityError>(done)
        });
        let done = done.map_err(|error| error.to_string())?;
        self.reload().map_err(|error| error.to_string())?;
        done.ok_or_else(|| problem.unwrap_or_default())
    }

    pub fn book(&self) -> &AddressBook {
        &self.book
    }

    /// Has a link for each station of the book, and none for others.
    ///
    /// # Errors
    /// Where the system has no thread for a name's look-ups.
    pub fn join(&mut self, now: Instant, board: &mut Switchboard, settings: &IntercomConfig) -> io::Result<()> {
        let book = &self.book;
        self.neighbours.retain(|neighbour| {
            let stays = book.by_key(&neighbour.key).is_some();
            if !stays {
                board.endpoint.close(now, neighbour.peer.link, CloseReason::Leaving);
            }
            stays
        });
        for entry in book.entries() {
            if let Some(known) = self.neighbours.iter_mut().find(|neighbour| neighbour.key == entry.key) {
                known.name.clone_from(&entry.name);
                continue;
            }
            let whereabouts = Whereabouts::new(&entry.addresses, &[]);
            let trust = [Trust::Book(entry.key)];
            let Some(link) = board.endpoint.dial(now, &trust, &whereabouts.addresses()) else {
                tracing::warn!("there is no link left for {}", entry.name);
                continue;
            };
            let resolver = resolver(entry, settings, board)?.map(|resolver| (resolver, now + RESOLVE_AGAIN));
            self.neighbours.push(Neighbour {
                key: entry.key,
                name: entry.name.clone(),
                peer: Peer::new(link),
                version: 0,
                since: now,
                whereabouts,
                resolver,
            });
        }
        Ok(())
    }

    pub fn neighbours(&self) -> &[Neighbour] {
        &self.neighbours
    }

    pub fn by_key(&mut self, key: &PublicKey) -> Option<&mut Neighbour> {
        self.neighbours.iter_mut().find(|neighbour| neighbour.key == *key)
    }

    pub fn by_link(&mut self, link: LinkId) -> Option<&mut Neighbour> {
        self.neighbours.iter_mut().find(|neighbour| neighbour.peer.link == link)
    }

    pub fn link_of(&self, key: &PublicKey) -> Option<LinkId> {
        self.neighbours.iter().find(|neighbour| neighbour.key == *key).map(|neighbour| neighbour.peer.link)
    }

    /// What a station is called, also one that was just forgotten.
    pub fn name_of(&self, key: &PublicKey) -> String {
        let known = self.neighbours.iter().find(|neighbour| neighbour.key == *key);
        known.map_or_else(|| format!("{key:#}"), |neighbour| neighbour.name.clone())
    }

    /// A station was reached at an address.
    pub fn reached(&mut self, link: LinkId, address: SocketAddr) {
        let Some(neighbour) = self.neighbours.iter_mut().find(|neighbour| neighbour.peer.link == link) else { return };
        neighbour.whereabouts.handle_reached(address);
        let key = neighbour.key;
        if self.book.reached(&key, address) {
            self.unwritten.retain(|(known, _)| *known != key);
            self.unwritten.push((key, address));
        }
    }

    /// A station announces itself, or its announcement is gone.
    pub fn handle_found(&mut self, now: Instant, board: &mut Switchboard, change: &Change) {
        let (found, addresses) = match change {
            Change::Found(found) => (found, found.addresses.as_slice()),
            Change::Lost(found) => (found, [].as_slice()),
        };
        let Some(hint) = found.key_hint else { return };
        for neighbour in self.neighbours.iter_mut().filter(|neighbour| hint.is_of(&neighbour.key)) {
            neighbour.whereabouts.handle_found(addresses);
            board.endpoint.set_addresses(now, neighbour.peer.link, &neighbour.whereabouts.addresses());
        }
    }

    /// Looks up names that are due, and writes addresses down. To be called a few times a second.
    pub fn keep(&mut self, now: Instant, board: &mut Switchboard) {
        for neighbour in &mut self.neighbours {
            let Some((resolver, ask_at)) = &mut neighbour.resolver else { continue };
            if let Some(Ok(addresses)) = resolver.poll() {
                neighbour.whereabouts.handle_fixed(&addresses);
                board.endpoint.set_addresses(now, neighbour.peer.link, &neighbour.whereabouts.addresses());
            }
            if !neighbour.peer.is_here() && now >= *ask_at {
                *ask_at = now + RESOLVE_AGAIN;
                resolver.ask_again();
            }
        }
        if !self.unwritten.is_empty() && now >= self.write_at {
            self.write_at = now + WRITE_AGAIN;
            self.write_down();
        }
    }

    /// Writes down where stations were reached.
    pub fn write_down(&mut self) {
        let unwritten = core::mem::take(&mut self.unwritten);
        if unwritten.is_empty() {
            return;
        }
        let note = |book: &mut AddressBook| {
            unwritten.iter().for_each(|(key, address)| {
                book.reached(key, *address);
            });
            Ok(())
        };
        if let Err(why) = self.change(note) {
            tracing::warn!("addresses that worked are not kept: {why}");
        }
    }
}

/// What looks up a station's name, where the configuration gives one.
fn resolver(entry: &Entry, settings: &IntercomConfig, board: &Switchboard) -> io::Result<Option<Resolver>> {
    let Some((host, port)) = settings.of(&entry.name).and_then(|peer| peer.address.clone()) else { return Ok(None) };
    Resolver::new(host, port, board.version, board.net.clone()).map(Some)
}
