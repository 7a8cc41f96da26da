//! A decoder's buffers on a plane: the display hardware reads them where the decoder put the picture.
//!
//! Each buffer is imported once (PRIME) and made a framebuffer, which is kept for as long as the decoder uses the same set
//! of buffers.

use super::card::Card;
use super::layout::ScanLayout;
use super::output::{Lane, Output};
use super::{Content, Drm, FLIP_TIMEOUT};
use crate::device::{DecodedFrame, Pixels};
use crate::media::ColourRange;
use crate::ring::{Lent, SLOTS_MAX};
use crate::time::Instant;
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
struct Source<'fd> {
    /// Which set of buffers, and which of them.
    set: u64,
    index: usize,
    memory: BorrowedFd<'fd>,
    layout: ScanLayout,
    range: ColourRange,
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
    fn new(card: &Arc<Card>, output: &Output, lent: Source<'_>) -> io::Result<Option<Imports>> {
        let import = Import::new(card, lent.memory, lent.layout)?;
        let lane = output.lane(lent.layout.fourcc, lent.layout.size, import.framebuffer);
        Ok(lane.map(|lane| {
            let mut buffers = [const { None }; SLOTS_MAX];
            buffers[lent.index % SLOTS_MAX] = Some(import);
            Imports { set: lent.set, layout: lent.layout, lane, buffers }
        }))
    }

    /// Whether `lent` is of this set.
    fn has(&self, lent: &Source<'_>) -> bool {
        (self.set, self.layout) == (lent.set, lent.layout)
    }

    /// Puts a buffer of the set on the screen at the next vblank, without waiting.
    ///
    /// # Errors
    /// Where the driver takes it no more.
    fn flip(&mut self, card: &Arc<Card>, output: &Output, lent: Source<'_>) -> io::Result<()> {
        let place = self.buffers.get_mut(lent.index).ok_or(Errno::EINVAL)?;
        let import = match place {
            Some(import) => import,
            None => place.insert(Import::new(card, lent.memory, lent.layout)?),
        };
        output.flip_to(&mut self.lane, import.framebuffer, lent.range)
    }
}

impl Drm {
    /// Has the display hardware read a decoder's buffer, which lies as `layout` says, where it is. Gives the frame back
    /// where it cannot.
    ///
    /// # Errors
    /// The frame, unshown.
    pub fn scan_out(
        &mut self,
        frame: Lent<DecodedFrame>,
        layout: ScanLayout,
        now: Instant,
    ) -> Result<(), Lent<DecodedFrame>> {
        match self.try_scan_out(&frame, layout) {
            Ok(true) => {
                self.queued = Some((Content::InPlace { _held: frame }, now + FLIP_TIMEOUT));
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(
                    "{}: a decoder's picture cannot be shown where it lies: {error}; it is copied",
                    self.name
                );
                self.is_in_place = false;
            }
        }
        Err(frame)
    }

    /// False where no plane takes such a buffer.
    fn try_scan_out(&mut self, frame: &Lent<DecodedFrame>, layout: ScanLayout) -> io::Result<bool> {
        let Pixels::Hardware(picture) = &frame.pixels else { return Ok(false) };
        let Some(memory) = picture.exported().filter(|_| self.is_in_place) else { return Ok(false) };
        if self.set_refused == Some(picture.set) {
            return Ok(false);
        }
        let range = picture.buffer.range;
        let lent = Source { set: picture.set, index: frame.index(), memory, layout, range };
        if !self.imports.as_ref().is_some_and(|imports| imports.has(&lent)) {
            let imports = Imports::new(&self.card, &self.output, lent)?;
            if imports.is_none() {
                self.set_refused = Some(picture.set);
            }
            self.retired.1 = self.retired.1.take().or(core::mem::replace(&mut self.imports, imports));
        }
        match &mut self.imports {
            Some(imports) => imports.flip(&self.card, &self.output, lent).map(|()| true),
            None => Ok(false),
        }
    }
}
