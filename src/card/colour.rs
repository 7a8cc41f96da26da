//! The few colours of the cards, and how they become samples.
//!
//! Calm on a wall: a dark ground, text that is nearly white, one colour to accept, one to refuse, one to warn. Each text
//! stands out from what it is drawn on by a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), which the tests hold.

use crate::media::ColourRange;

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// Behind everything: a screen that is clearly on, and lights no room.
pub const GROUND: Colour = Colour(18, 24, 33);
/// A button that neither accepts nor refuses.
pub const BUTTON: Colour = Colour(48, 60, 77);
/// What is said first.
pub const STRONG: Colour = Colour(245, 247, 250);
/// What is said besides.
pub const PLAIN: Colour = Colour(176, 188, 203);
/// To answer, to ring; what is well.
pub const ACCEPT: Colour = Colour(21, 128, 61);
/// To decline, to hang up.
pub const REFUSE: Colour = Colour(200, 30, 40);
/// A sign that all is well, light enough to be seen on the ground.
pub const WELL: Colour = Colour(74, 222, 128);
/// A fault, or something that should be noticed.
pub const WARN: Colour = Colour(251, 191, 36);
/// Behind a QR code.
pub const PAPER: Colour = Colour(255, 255, 255);
/// The modules of a QR code.
pub const INK: Colour = Colour(0, 0, 0);

impl Colour {
    /// Y, U and V in BT.601 at the levels of a range.
    pub fn samples(self, range: ColourRange) -> [u8; 3] {
        let (r, g, b) = (f32::from(self.0), f32::from(self.1), f32::from(self.2));
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let (u, v) = ((b - y) / 1.772, (r - y) / 1.402);
        let (y, chroma) = match range {
            ColourRange::Full => (y, 1.0),
            ColourRange::Limited => (16.0 + y * 219.0 / 255.0, 224.0 / 255.0),
        };
        // A float becomes a byte by saturation.
        [y.round() as u8, (128.0 + u * chroma).round() as u8, (128.0 + v * chroma).round() as u8]
    }
}
