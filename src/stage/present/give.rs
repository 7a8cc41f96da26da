//! How a decoded picture gets to the screen: where it is, or as a copy, with what stands upon it.

use super::{Board, Present};
use crate::device::{DecodedFrame, Fault, VideoSink};
use crate::media::Picture;
use crate::ring::{Lent, Receiver};
use crate::sys::wake::Wake;
use crate::time::Instant;

impl Present {
    /// Gives the screen a picture with what stands upon it: where it is, if the screen can read it there and nothing has to
    /// be drawn on it, else as a copy. False for one that cannot be read.
    pub(super) fn give(&mut self, frame: Lent<DecodedFrame>, now: Instant) -> Result<bool, Fault> {
        let Some(screen) = &mut self.screen else { return Ok(false) };
        let is_plain = self.sheet.is_empty(self.ports.mirror.is_some());
        let frame = if is_plain && !self.is_snapshot_wanted {
            match screen.show_in_place(frame, now) {
                Ok(()) => {
                    self.ports.stats.in_place.bump();
                    return Ok(true);
                }
                Err(frame) => frame,
            }
        } else {
            frame
        };
        let picture = match frame.own() {
            Some(picture) if is_plain => picture,
            _ => {
                let copy = self.scratch.get_or_insert_with(|| Picture::new(frame.size()));
                if let Err(error) = frame.copy_to(&mut self.converter, copy) {
                    tracing::debug!("present: {error}");
                    return Ok(false);
                }
                if !is_plain {
                    self.own = self.ports.mirror.as_mut().and_then(Receiver::take).or(self.own.take());
                    self.sheet.lay_on(copy, self.own.as_deref());
                }
                &*copy
            }
        };
        screen.show(picture, now)?;
        if core::mem::take(&mut self.is_snapshot_wanted) {
            keep_snapshot(&self.ports.board, picture, &self.context.net);
        }
        Ok(true)
    }
}

/// Leaves a copy of what is shown for whoever wanted one.
pub(super) fn keep_snapshot(board: &Board, picture: &Picture, net: &Wake) {
    let mut notes = board.notes();
    notes.is_snapshot_wanted = false;
    notes.snapshot = Some(picture.clone());
    drop(notes);
    net.signal();
}
