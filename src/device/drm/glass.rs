//! What is laid over pictures: a copy of a pane in buffers of its own, for a plane in front of theirs.

use super::buffer::Buffer;
use super::card::Card;
use super::commit::Rectangle;
use super::planes::PANE_FORMAT;
use super::{DecodedFrame, Drm, FaultKind};
use crate::media::{Pane, Size};
use crate::ring::Lent;
use crate::time::Instant;
use drm::control::framebuffer;
use std::io;
use std::sync::Arc;

/// Two buffers: one on the screen, or on its way there, the other to be drawn into.
#[derive(Debug)]
pub struct Glass {
    /// Where on the screen it lies: over all of the picture, pixel by pixel.
    pub at: Rectangle,
    buffers: [Buffer; 2],
    /// Which version of the pane each is a copy of; 0 before the first.
    versions: [u64; 2],
    front: usize,
}

impl Glass {
    /// Transparent, for a rectangle of the screen.
    pub fn new(card: &Arc<Card>, at: Rectangle) -> io::Result<Glass> {
        let size = Size::new(at[2], at[3]);
        let buffer = || Buffer::new(card, size, PANE_FORMAT);
        Ok(Glass { at, buffers: [buffer()?, buffer()?], versions: [0; 2], front: 0 })
    }

    /// Brings what changed on the pane into the buffer that is not on the screen, which is from now on the one to be shown.
    /// Where nothing did, that on the screen stays.
    pub fn draw(&mut self, pane: &Pane) {
        if self.versions[self.front] == pane.version() {
            return;
        }
        self.front = 1 - self.front;
        for place in pane.changed_since(self.versions[self.front]) {
            self.buffers[self.front].copy(pane, place);
        }
        self.versions[self.front] = pane.version();
    }

    /// The framebuffer to be shown.
    pub fn framebuffer(&self) -> framebuffer::Handle {
        self.buffers[self.front].framebuffer()
    }
}

impl Drm {
    /// Shows a picture of our own beneath a pane.
    pub(super) fn show_beneath(
        &mut self,
        frame: Lent<DecodedFrame>,
        pane: &Pane,
        now: Instant,
    ) -> Result<(), Lent<DecodedFrame>> {
        let Some(picture) = frame.own() else { return Err(frame) };
        if !self.glaze(picture.size(), Some(pane)) {
            return Err(frame);
        }
        match self.draw(picture, true, now) {
            Ok(true) => return Ok(()),
            Ok(false) => self.glass_refused = Some(frame.size()),
            // Whoever shows the copy will meet it again.
            Err(fault) if fault.kind == FaultKind::Absent => {}
            Err(fault) => self.shatter(&fault),
        }
        Err(frame)
    }

    /// The size of what may be laid over a picture of a size; `None` where nothing can be.
    pub fn glass_size(&self, picture: Size) -> Option<Size> {
        let [.., width, height] = self.output.place(picture);
        (self.is_glazed && self.glass_refused != Some(picture)).then_some(Size::new(width, height))
    }

    /// Brings a pane, if there is one, onto the glass over a picture of a size. False where it cannot be there.
    pub(super) fn glaze(&mut self, picture: Size, pane: Option<&Pane>) -> bool {
        let Some(pane) = pane else { return true };
        if self.glass_size(picture) != Some(pane.size()) {
            return false;
        }
        let at = self.output.place(picture);
        if self.glass.as_ref().is_none_or(|glass| glass.at != at) {
            match Glass::new(&self.card, at) {
                Ok(glass) => {
                    let before = self.glass.replace(glass);
                    self.retired.glass = self.retired.glass.take().or(before);
                }
                Err(error) => {
                    self.shatter(&error);
                    return false;
                }
            }
        }
        if let Some(glass) = &mut self.glass {
            glass.draw(pane);
        }
        true
    }

    /// From now on nothing is laid over pictures.
    pub(super) fn shatter(&mut self, why: &dyn core::fmt::Display) {
        let name = &self.name;
        tracing::warn!("{name}: nothing can be laid over a picture any more: {why}; it is drawn into it");
        self.is_glazed = false;
    }
}
