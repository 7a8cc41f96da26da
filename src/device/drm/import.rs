//! A decoder's buffers on a plane: the display hardware reads them where the decoder put the picture.
//!
//! Each buffer is imported once (PRIME) and made a framebuffer, which is kept for as long as the decoder uses the same set
//! of buffers.

use super::card::Card;
use super::layout::ScanLayout;
use super::output::{Lane, Output};
use crate::media::ColourRange;
use crate::ring::SLOTS_MAX;
use drm::control::{Device as _, framebuffer};
use nix::errno::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// A framebuffer in another driver's memory.
#[derive(Debug)]
struct Import {
    card: Arc<Card>,
    framebuffer: framebuffer::Handle,
}

impl Import {
    fn new(card: &Arc<Card>, memory: BorrowedFd<'_>, layout: ScanLayout) -> io::Result<Import> {
        let handle = card.prime_fd_to_buffer(memory)?;
        let framebuffer = layout.framebuffer(card, handle);
        // The framebuffer holds the memory by itself, and the same memory imported again would have the same handle.
        let _ = card.close_buffer(handle);
        Ok(Import { card: card.clone(), framebuffer: framebuffer? })
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        // It fails only where the card is gone.
        let _ = self.card.destroy_framebuffer(self.framebuffer);
    }
}

/// One of a decoder's buffers, with a picture in it.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'fd> {
    /// Which set of buffers, and which of them.
    pub set: u64,
    pub index: usize,
    pub memory: BorrowedFd<'fd>,
    pub layout: ScanLayout,
    pub range: ColourRange,
}

/// A set of a decoder's buffers, and the plane that it goes to.
#[derive(Debug)]
pub struct Imports {
    set: u64,
    layout: ScanLayout,
    lane: Lane,
    buffers: [Option<Import>; SLOTS_MAX],
}

impl Imports {
    /// For the set that `lent` is of; nothing where no plane takes it.
    ///
    /// # Errors
    /// Where its memory cannot be imported.
    pub fn new(card: &Arc<Card>, output: &Output, lent: Lent<'_>) -> io::Result<Option<Imports>> {
        let import = Import::new(card, lent.memory, lent.layout)?;
        let lane = output.lane(lent.layout.fourcc, lent.layout.size, import.framebuffer);
        Ok(lane.map(|lane| {
            let mut buffers = [const { None }; SLOTS_MAX];
            buffers[lent.index % SLOTS_MAX] = Some(import);
            Imports { set: lent.set, layout: lent.layout, lane, buffers }
        }))
    }

    /// Whether `lent` is of this set.
    pub fn has(&self, lent: &Lent<'_>) -> bool {
        (self.set, self.layout) == (lent.set, lent.layout)
    }

    /// Puts a buffer of the set on the screen at the next vblank, without waiting.
    ///
    /// # Errors
    /// Where the driver takes it no more.
    pub fn flip(&mut self, card: &Arc<Card>, output: &Output, lent: Lent<'_>) -> io::Result<()> {
        let place = self.buffers.get_mut(lent.index).ok_or(Errno::EINVAL)?;
        let import = match place {
            Some(import) => import,
            None => place.insert(Import::new(card, lent.memory, lent.layout)?),
        };
        output.flip_to(&mut self.lane, import.framebuffer, lent.range)
    }
}
