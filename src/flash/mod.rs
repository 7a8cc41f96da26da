//! Light to light, measured by light itself, at one of two stations that stand face to face and are in a call.
//!
//! This station's screen flashes. The other's camera sees it, and some way on the flash comes back in what is received here,
//! as a rise of the brightness of those parts of the picture in which the screen stands. From the flip that showed the flash to the
//! flip that shows the first received picture with it is **all that a face passes from there to here**: the wait for the camera's
//! next exposure, the exposure, the read-out, the encoder, the network, the decoder, and the wait for this screen's refresh. A
//! screen that takes its own time before it glows takes it once in what is measured, with the flash, as with a face.
//!
//! No clock takes part but that of the one screen, and nothing need be agreed with the other station: to it the flash is
//! light in its room. While it is measured this screen shows a dark field or a bright one instead of pictures, each picture in its turn
//! and at its time; so nothing that comes back can be sent round once more by this screen. What comes round by the other's
//! screen comes later, and the first is what counts.
//!
//! [`Flashes`] says what the screen shows when, [`Watcher`] is told what was shown and what was received, and judges.
//!
//! **People whom flicker makes ill.** A flash comes once a second, and never more than two lie within one; three are what
//! WCAG 2.2, success criterion 2.3.1, allows.

mod flashes;
mod grid;
mod region;
mod watcher;

pub use flashes::{FLASHES, Field, Flashes};
pub use grid::Grid;
pub use watcher::{Found, Watcher};

#[cfg(test)]
mod tests;
