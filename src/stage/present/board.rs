//! What the net loop wants on the screen besides pictures.

use crate::card::{Card, Manner, Overlay};
use crate::flash::Found;
use crate::media::{Picture, Size};
use crate::sys::wake::Wake;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cards, overlays and snapshots: set by the net loop, read by the present stage. Clones are the same board.
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
    /// Size of the screen, and of the picture last shown on it; each two halves of a word, 0 while not known.
    screen: AtomicU64,
    picture: AtomicU64,
}

/// What is written on a board.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Shown instead of pictures.
    pub card: Option<Card>,
    /// Laid on each picture.
    pub overlay: Overlay,
    /// How both are drawn.
    pub manner: Manner,
    /// Nothing is shown: the screen sleeps.
    pub is_asleep: bool,
    /// Whether a copy of the next picture is wanted.
    pub is_snapshot_wanted: bool,
    /// That copy.
    pub snapshot: Option<Picture>,
    /// The measurement from light to light that goes on, or the last.
    pub light: Lighting,
}

/// A measurement from light to light, as those see it who ask for it.
#[derive(Clone, Debug, Default)]
pub struct Lighting {
    /// Whether it goes on.
    pub is_on: bool,
    /// Whether there is a screen that shows it.
    pub has_screen: bool,
    /// What it has found, at its end.
    pub found: Found,
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

    /// Lays this on every picture from now on.
    pub fn set_overlay(&self, overlay: Overlay) {
        self.change(|notes| core::mem::replace(&mut notes.overlay, overlay) != notes.overlay);
    }

    /// Language, and whether there are buttons.
    pub fn set_manner(&self, manner: Manner) {
        self.change(|notes| core::mem::replace(&mut notes.manner, manner) != notes.manner);
    }

    /// Lets the screen sleep, or wakes it: while it sleeps it is black, whatever card is set. Pictures wake nobody.
    pub fn set_asleep(&self, is_asleep: bool) {
        self.change(|notes| core::mem::replace(&mut notes.is_asleep, is_asleep) != is_asleep);
    }

    /// Size of the screen in pixels, once one is open; of a file, that of its pictures.
    pub fn screen_size(&self) -> Option<Size> {
        unpacked(self.shared.screen.load(Ordering::Relaxed))
    }

    /// Size of the picture that was last shown: overlays are laid out in it.
    pub fn picture_size(&self) -> Option<Size> {
        unpacked(self.shared.picture.load(Ordering::Relaxed))
    }

    pub(super) fn note_screen(&self, size: Size) {
        self.shared.screen.store(packed(size), Ordering::Relaxed);
    }

    pub(super) fn note_picture(&self, size: Size) {
        self.shared.picture.store(packed(size), Ordering::Relaxed);
    }

    /// Asks for a copy of what is shown next; the net loop is woken when [`Board::take_snapshot`] has it.
    pub fn request_snapshot(&self) {
        self.change(|notes| !core::mem::replace(&mut notes.is_snapshot_wanted, true));
    }

    /// The copy that was asked for, once it is there. `device::png` writes it to a file.
    pub fn take_snapshot(&self) -> Option<Picture> {
        self.notes().snapshot.take()
    }

    /// Begins to measure how long a picture takes from light to light; it ends by itself. `false`: that goes on already.
    pub fn measure_light(&self) -> bool {
        let mut is_begun = false;
        self.change(|notes| {
            is_begun = !notes.light.is_on;
            if is_begun {
                notes.light = Lighting { is_on: true, ..Lighting::default() };
            }
            is_begun
        });
        is_begun
    }

    /// How that has come out, or what the last one did.
    pub fn light(&self) -> Lighting {
        self.notes().light.clone()
    }

    pub(super) fn note_light(&self, has_screen: bool, found: Found) {
        self.notes().light = Lighting { is_on: false, has_screen, found };
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

fn packed(size: Size) -> u64 {
    u64::from(size.width) << 32 | u64::from(size.height)
}

fn unpacked(word: u64) -> Option<Size> {
    (word != 0).then(|| Size::new((word >> 32) as u32, word as u32))
}
