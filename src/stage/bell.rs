//! The bell of a stage: by it the net loop asks whether the stage's thread still turns, and for something to be made anew.

use crate::sys::wake::Wake;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What a stage can be asked to make anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Anew {
    /// Its one device, or its codec.
    Device = 1,
    /// The microphone, of the stage that has it and the loudspeaker.
    Microphone = 2,
    /// The loudspeaker.
    Loudspeaker = 4,
}

/// What was asked for since the last answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes(u8);

impl Wishes {
    /// Whether it is to be made anew.
    pub fn has(self, what: Anew) -> bool {
        self.0 & what as u8 != 0
    }
}

#[derive(Debug, Default)]
struct Shared {
    asked: AtomicU64,
    answered: AtomicU64,
    wishes: AtomicU8,
}

/// One thread's bell. Clones are the same.
///
/// The thread has the fd in its poll, and calls [`Bell::answer`] on each turn: so a thread that is held up in a driver or
/// a codec, and one that ended, are the only ones that do not answer.
#[derive(Clone, Debug)]
pub struct Bell {
    wake: Wake,
    shared: Arc<Shared>,
}

impl Bell {
    /// A new one, silent. Fails where the process is out of file descriptors.
    pub fn new() -> io::Result<Bell> {
        Ok(Bell { wake: Wake::new()?, shared: Arc::default() })
    }

    /// Asks the thread to answer.
    pub fn ring(&self) {
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
        self.wake.signal();
    }

    /// Asks for something to be made anew.
    pub fn ask(&self, what: Anew) {
        self.shared.wishes.fetch_or(what as u8, Ordering::Relaxed);
        self.ring();
    }

    /// How often it has been rung.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// How many of those have been answered.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// For the thread: it turns. What is wished of it, once.
    pub fn answer(&self) -> Wishes {
        // Drained first: what is rung after this line wakes again.
        self.wake.drain();
        self.shared.answered.store(self.asked(), Ordering::Relaxed);
        Wishes(self.shared.wishes.swap(0, Ordering::Relaxed))
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_answered_once() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.ask(Anew::Microphone);
        assert_eq!((bell.asked(), bell.answered()), (2, 0));
        let wishes = bell.answer();
        assert!(wishes.has(Anew::Microphone) && !wishes.has(Anew::Loudspeaker) && !wishes.has(Anew::Device));
        assert_eq!((bell.answered(), bell.answer()), (2, Wishes::default()));
    }
}
