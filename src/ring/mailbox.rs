//! Only the newest counts: a mailbox of one letter.
//!
//! A queue cannot do this: its producer cannot take back what the consumer has not fetched, so a consumer that stalled
//! would first meet what was new when the stall began. Three cells and one atomic word can: the sender fills its own
//! cell and swaps it with the middle one, the receiver swaps its own empty cell with the middle one.

use super::sync::{Arc, AtomicU8, Ordering, UnsafeCell};
use core::fmt;

/// Set in the word while the middle cell holds a letter that nobody has taken.
const FRESH: u8 = 4;
const INDEX: u8 = 3;

struct Shared<T> {
    cells: [UnsafeCell<Option<T>>; 3],
    /// Index of the middle cell, and [`FRESH`].
    middle: AtomicU8,
}

// SAFETY: at any time each of the three cells belongs to exactly one of sender, middle and receiver, since the three
// indices are a permutation that only the atomic swaps change; the swaps acquire and release the cell's content.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; the content moves between threads, so it must be `Send`.
unsafe impl<T: Send> Send for Shared<T> {}

/// The end that puts in.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    /// Our cell; always empty between calls.
    own: u8,
}

/// The end that takes out.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// Our cell; always empty between calls.
    own: u8,
}

/// A mailbox for one letter.
pub fn mailbox<T: Send>() -> (Sender<T>, Receiver<T>) {
    let cells = [UnsafeCell::new(None), UnsafeCell::new(None), UnsafeCell::new(None)];
    let shared = Arc::new(Shared { cells, middle: AtomicU8::new(1) });
    (Sender { shared: shared.clone(), own: 0 }, Receiver { shared, own: 2 })
}

impl<T> Sender<T> {
    /// Puts a letter in, and gives back the one it replaced, if nobody had taken that.
    pub fn put(&mut self, letter: T) -> Option<T> {
        // SAFETY: `own` belongs to this end alone until the swap below.
        self.shared.cells[usize::from(self.own)].with_mut(|cell| unsafe { *cell = Some(letter) });
        let before = self.shared.middle.swap(self.own | FRESH, Ordering::AcqRel);
        self.own = before & INDEX;
        // SAFETY: the swap made this cell ours.
        self.shared.cells[usize::from(self.own)].with_mut(|cell| unsafe { (*cell).take() })
    }
}

impl<T> Receiver<T> {
    /// Takes the letter, if there is one.
    pub fn take(&mut self) -> Option<T> {
        // Only this end clears FRESH, so once seen it is still set at the swap.
        if self.shared.middle.load(Ordering::Relaxed) & FRESH == 0 {
            return None;
        }
        let before = self.shared.middle.swap(self.own, Ordering::AcqRel);
        self.own = before & INDEX;
        // SAFETY: the swap made this cell ours.
        self.shared.cells[usize::from(self.own)].with_mut(|cell| unsafe { (*cell).take() })
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mailbox::Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mailbox::Receiver")
    }
}
