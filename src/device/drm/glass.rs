//! What is laid over pictures: a copy of a pane in buffers of its own, for a plane in front of theirs.

use super::buffer::Buffer;
use super::card::Card;
use super::commit::Rectangle;
use super::planes::PANE_FORMAT;
use crate::media::{Pane, Size};
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
