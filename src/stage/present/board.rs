//! What the net loop wants on the screen besides pictures.

use crate::card::Card;
use crate::media::Picture;
use crate::sys::wake::Wake;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cards, marks and snapshots: set by the net loop, read by the present stage. Clones are the same board.
///
/// While a card is set it is shown instead of pictures; when it is cleared, pictures resume with the next that comes.
#[derive(Clone, Debug)]
pub struct Board {
    shared: Arc<Shared>,
    wake: Wake,
}

#[derive(Debug, Default)]
struct Shared {
    notes: Mutex<Notes>,
    /// Moves at each change, so that the stage takes the lock for changes only.
    version: AtomicU64,
}

/// What is written on a board.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Shown instead of pictures.
    pub card: Option<Card>,
    /// Drawn on each picture.
    pub mark: Option<String>,
    /// Whether a copy of the next picture is wanted.
    pub is_snapshot_wanted: bool,
    /// That copy.
    pub snapshot: Option<Picture>,
}

impl Board {
    /// Empty; `wake` is what the stage waits for.
    pub fn new(wake: Wake) -> Board {
        Board { shared: Arc::default(), wake }
    }

    /// Shows a card, or pictures again.
    pub fn set(&self, card: Option<Card>) {
        self.change(|notes| core::mem::replace(&mut notes.card, card) != notes.card);
    }

    /// Draws a line of text on every picture ("no sound from kitchen"), or none.
    pub fn set_mark(&self, mark: Option<String>) {
        self.change(|notes| core::mem::replace(&mut notes.mark, mark) != notes.mark);
    }

    /// Asks for a copy of what is shown next; the net loop is woken when [`Board::take_snapshot`] has it.
    pub fn request_snapshot(&self) {
        self.change(|notes| !core::mem::replace(&mut notes.is_snapshot_wanted, true));
    }

    /// The copy that was asked for, once it is there. `device::png` writes it to a file.
    pub fn take_snapshot(&self) -> Option<Picture> {
        self.notes().snapshot.take()
    }

    fn change(&self, change: impl FnOnce(&mut Notes) -> bool) {
        if change(&mut self.notes()) {
            self.shared.version.fetch_add(1, Ordering::Release);
            self.wake.signal();
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
