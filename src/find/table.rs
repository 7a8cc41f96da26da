//! Who announces itself: a table of fixed size between the thread that listens and the loop that is told.

use super::{Change, Found};
use crate::identity::{KeyHint, PublicKey};
use std::collections::VecDeque;

/// Stations that are remembered: twice a full address book. A storm of names makes strangers replace each other; those
/// that the book knows keep their places.
pub const FOUND_MAX: usize = 128;

/// One announcement.
#[derive(Debug)]
struct Seen {
    found: Found,
    /// The book has its key, if the hint is true.
    known: bool,
    /// Whether the loop has still to be told.
    news: bool,
    /// Whether the loop was told that it is there.
    told: bool,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    /// Those that are there, the longest known first.
    seen: Vec<Seen>,
    /// Those that are not there any more, as far as the loop believes that they are: never more than `seen` has places.
    gone: Vec<Found>,
    /// Keys of the address book.
    book: Vec<PublicKey>,
    /// Our own announcement, which comes back to us.
    own: Option<KeyHint>,
}

impl Table {
    /// Empty; `own` is what this station itself announces.
    pub fn new(own: KeyHint) -> Table {
        Table { own: Some(own), ..Table::default() }
    }

    /// Whom the address book holds now.
    pub fn set_book(&mut self, book: &[PublicKey]) {
        self.book = book.to_vec();
        let known: Vec<bool> = self.seen.iter().map(|seen| self.knows(&seen.found)).collect();
        self.seen.iter_mut().zip(known).for_each(|(seen, known)| seen.known = known);
    }

    /// An announcement came, or changed. Where strangers fill the table, the longest known of them makes room; where the
    /// book's own stations do, there is none.
    pub fn insert(&mut self, found: Found) {
        if found.key_hint.is_some() && found.key_hint == self.own {
            return;
        }
        let known = self.knows(&found);
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.found.instance == found.instance) {
            seen.news |= seen.found != found;
            (seen.found, seen.known) = (found, known);
            return;
        }
        if self.seen.len() == FOUND_MAX {
            let Some(place) = self.seen.iter().position(|seen| !seen.known) else { return };
            self.leave(place);
        }
        self.seen.push(Seen { found, known, news: true, told: false });
    }

    /// An announcement was taken back, or ran out.
    pub fn remove(&mut self, instance: &str) {
        if let Some(place) = self.seen.iter().position(|seen| seen.found.instance == instance) {
            self.leave(place);
        }
    }

    /// Whoever listens begins anew: who is still there will be found again.
    pub fn clear(&mut self) {
        while !self.seen.is_empty() {
            self.leave(0);
        }
    }

    /// Whether there is anything to tell.
    pub fn has_news(&self) -> bool {
        !self.gone.is_empty() || self.seen.iter().any(|seen| seen.news)
    }

    /// Everything that is to be told: at most two changes for each place of the table.
    pub fn take_news(&mut self, out: &mut VecDeque<Change>) {
        out.extend(self.gone.drain(..).map(Change::Lost));
        for seen in self.seen.iter_mut().filter(|seen| seen.news) {
            (seen.news, seen.told) = (false, true);
            out.push_back(Change::Found(seen.found.clone()));
        }
    }

    fn knows(&self, found: &Found) -> bool {
        found.key_hint.is_some_and(|hint| self.book.iter().any(|key| hint.is_of(key)))
    }

    fn leave(&mut self, place: usize) {
        let seen = self.seen.remove(place);
        if seen.told {
            self.gone.push(seen.found);
        }
    }
}
