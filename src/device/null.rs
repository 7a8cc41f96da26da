//! Devices that are not there by choice.

use super::{Fault, VideoSink};
use crate::media::{Picture, Size};
use crate::sys::poll::Wait;
use crate::time::Instant;

/// A screen that shows nothing: every picture is shown the moment it is given.
#[derive(Debug, Default)]
pub struct NullScreen {
    shown_at: Option<Instant>,
}

impl VideoSink for NullScreen {
    fn name(&self) -> &str {
        "none"
    }

    fn size(&self) -> Option<Size> {
        None
    }

    fn wait(&self) -> Wait<'_> {
        Wait { fd: None, at: self.shown_at }
    }

    fn is_ready(&self) -> bool {
        self.shown_at.is_none()
    }

    fn show(&mut self, _picture: &Picture, now: Instant) -> Result<(), Fault> {
        self.shown_at = Some(now);
        Ok(())
    }

    fn finish(&mut self, _now: Instant) -> Result<Option<Instant>, Fault> {
        Ok(self.shown_at.take())
    }
}
