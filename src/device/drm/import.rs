//! A decoder's buffers on a plane: the display hardware reads them where the decoder put the picture.
//!
//! Each buffer is imported once (PRIME) and made a framebuffer, which is kept for as long as the decoder uses the same set
//! of buffers.

use super::card::Card;
use super::lane::Lanes;
use super::layout::ScanLayout;
use super::output::Output;
use super::{Content, Drm, FLIP_TIMEOUT};
use crate::device::{DecodedFrame, HardwarePicture, Pixels};
use crate::media::{ColourRange, Pane};
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
}

/// A set of a decoder's buffers, and the plane that it goes to.
#[derive(Debug)]
pub struct Imports {
    set: u64,
    layout: ScanLayout,
    lanes: Lanes,
    buffers: [Option<Import>; SLOTS_MAX],
}

impl Imports {
    /// For the set that `lent` is of; nothing where no plane takes it.
    ///
    /// # Errors
    /// Where its memory cannot be imported.
    fn new(card: &Arc<Card>, output: &Output, lent: Source<'_>) -> io::Result<Option<Imports>> {
        let import = Import::new(card, lent.memory, lent.layout)?;
        let lanes = output.lanes(lent.layout.fourcc, lent.layout.size, import.framebuffer);
        Ok(lanes.map(|lanes| {
            let mut buffers = [const { None }; SLOTS_MAX];
            buffers[lent.index % SLOTS_MAX] = Some(import);
            Imports { set: lent.set, layout: lent.layout, lanes, buffers }
        }))
    }

    /// Whether `lent` is of this set.
    fn has(&self, lent: &Source<'_>) -> bool {
        (self.set, self.layout) == (lent.set, lent.layout)
    }

    /// The framebuffer of a buffer of the set.
    ///
    /// # Errors
    /// Where its memory cannot be imported.
    fn framebuffer(&mut self, card: &Arc<Card>, lent: Source<'_>) -> io::Result<framebuffer::Handle> {
        let place = self.buffers.get_mut(lent.index).ok_or(Errno::EINVAL)?;
        let import = match place {
            Some(import) => import,
            None => place.insert(Import::new(card, lent.memory, lent.layout)?),
        };
        Ok(import.framebuffer)
    }
}

impl Drm {
    /// Has the display hardware read a decoder's buffer, which lies as `layout` says, where it is, beneath `pane`. Gives the
    /// frame back where it cannot.
    ///
    /// # Errors
    /// The frame, unshown.
    pub fn scan_out(
        &mut self,
        frame: Lent<DecodedFrame>,
        layout: ScanLayout,
        pane: Option<&Pane>,
        now: Instant,
    ) -> Result<(), Lent<DecodedFrame>> {
        let (framebuffer, range) = match self.import(&frame, layout) {
            Ok(Some(imported)) => imported,
            Ok(None) => return Err(frame),
            Err(error) => return Err(self.leave_in_place(error, frame)),
        };
        if !self.glaze(layout.size, pane) {
            return Err(frame);
        }
        let Some(imports) = &mut self.imports else { return Err(frame) };
        let glass = self.glass.as_ref().filter(|_| pane.is_some());
        match self.output.flip_to(&mut imports.lanes, framebuffer, range, glass) {
            Ok(true) => {
                self.queued = Some((Content::InPlace { _held: frame }, now + FLIP_TIMEOUT));
                Ok(())
            }
            Ok(false) => {
                self.glass_refused = Some(layout.size);
                Err(frame)
            }
            Err(error) if pane.is_some() => {
                self.shatter(&error);
                Err(frame)
            }
            Err(error) => Err(self.leave_in_place(error, frame)),
        }
    }

    fn leave_in_place(&mut self, error: io::Error, frame: Lent<DecodedFrame>) -> Lent<DecodedFrame> {
        let name = &self.name;
        tracing::warn!("{name}: a decoder's picture cannot be shown where it lies: {error}; it is copied");
        self.is_in_place = false;
        frame
    }

    /// Whether nothing is known against a decoder's picture being read where it is.
    pub(super) fn may_scan_out(&self, picture: &HardwarePicture) -> bool {
        self.is_in_place && picture.exported().is_some() && self.set_refused != Some(picture.set)
    }

    /// The framebuffer of a decoder's buffer, and its levels. `None` where no plane takes it.
    fn import(
        &mut self,
        frame: &Lent<DecodedFrame>,
        layout: ScanLayout,
    ) -> io::Result<Option<(framebuffer::Handle, ColourRange)>> {
        let Pixels::Hardware(picture) = &frame.pixels else { return Ok(None) };
        let Some(memory) = picture.exported().filter(|_| self.may_scan_out(picture)) else { return Ok(None) };
        let range = picture.buffer.range;
        let lent = Source { set: picture.set, index: frame.index(), memory, layout };
        if !self.imports.as_ref().is_some_and(|imports| imports.has(&lent)) {
            let imports = Imports::new(&self.card, &self.output, lent)?;
            if imports.is_none() {
                self.set_refused = Some(picture.set);
            }
            let before = core::mem::replace(&mut self.imports, imports);
            self.retired.imports = self.retired.imports.take().or(before);
        }
        let Some(imports) = &mut self.imports else { return Ok(None) };
        imports.framebuffer(&self.card, lent).map(|framebuffer| Some((framebuffer, range)))
    }
}
