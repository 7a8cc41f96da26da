//! How a decoded picture gets to the screen: where it is, or as a copy, with what stands upon it.

use super::{Board, Present};
use crate::device::{DecodedFrame, Fault, VideoSink};
use crate::media::Picture;
use crate::ring::{Lent, Receiver};
use crate::sys::wake::Wake;
use crate::time::Instant;

impl Present {
    /// Gives the screen a picture with what stands upon it: as it is, if the screen can read it there and lay over it what
    /// there is, else as a copy with that drawn into it. False for one that cannot be read.
    pub(super) fn give(&mut self, frame: Lent<DecodedFrame>, now: Instant) -> Result<bool, Fault> {
        if self.light.is_some() {
            return self.give_light(frame, now);
        }
        let is_plain = self.sheet.is_empty(self.ports.mirror.is_some());
        let frame = match self.give_untouched(frame, is_plain, now) {
            None => return Ok(true),
            Some(frame) => frame,
        };
        self.ports.board.note_picture(frame.size());
        let picture = match frame.own() {
            Some(picture) if is_plain => picture,
            _ => {
                let copy = self.scratch.get_or_insert_with(|| Picture::new(frame.size()));
                if let Err(error) = frame.copy_to(&mut self.converter, copy) {
                    tracing::debug!("present: {error}");
                    return Ok(false);
                }
                if !is_plain {
                    self.own.look(&mut self.ports.mirror);
                    self.sheet.lay_on(copy, self.own.picture.as_deref());
                }
                &*copy
            }
        };
        let Some(screen) = &mut self.screen else { return Ok(false) };
        screen.show(picture, now)?;
        if core::mem::take(&mut self.is_snapshot_wanted) {
            keep_snapshot(&self.ports.board, picture, &self.context.net);
        }
        Ok(true)
    }

    /// The first of both ways. Gives the frame back where a copy of it is needed.
    fn give_untouched(
        &mut self,
        frame: Lent<DecodedFrame>,
        is_plain: bool,
        now: Instant,
    ) -> Option<Lent<DecodedFrame>> {
        let size = frame.size();
        let Some(screen) = self.screen.as_mut().filter(|_| !self.is_snapshot_wanted) else { return Some(frame) };
        let pane_size = if is_plain { None } else { screen.pane_size(&frame) };
        if !is_plain && pane_size.is_none() {
            return Some(frame);
        }
        let is_hardware = frame.own().is_none();
        let pane = pane_size.map(|size| {
            self.own.look(&mut self.ports.mirror);
            self.sheet.pane(size, self.own.picture.as_deref(), core::mem::take(&mut self.own.is_new))
        });
        if let Err(frame) = screen.show_frame(frame, pane, now) {
            return Some(frame);
        }
        // Buttons are where they were drawn.
        self.ports.board.note_picture(pane_size.unwrap_or(size));
        let stats = &self.ports.stats;
        stats.in_place.add(u64::from(is_hardware));
        stats.overlaid.add(u64::from(pane_size.is_some()));
        None
    }
}

/// Our own picture, as it stands in the corner.
#[derive(Debug, Default)]
pub(super) struct Own {
    picture: Option<Lent<Picture>>,
    /// Whether it has not been drawn on a pane yet.
    is_new: bool,
}

impl Own {
    /// Takes the newest, if there is a newer one.
    fn look(&mut self, mirror: &mut Option<Receiver<Lent<Picture>>>) {
        if let Some(newer) = mirror.as_mut().and_then(Receiver::take) {
            (self.picture, self.is_new) = (Some(newer), true);
        }
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
