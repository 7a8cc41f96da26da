//! A decoded frame on its way to the screen.

use super::{Picture, Size};
use crate::time::Instant;

/// A picture, and the times that its latency is made of; all in the local station's clock.
#[derive(Clone, Debug)]
pub struct DecodedFrame {
    /// What to show.
    pub picture: Picture,
    /// The sender's frame number.
    pub number: u64,
    /// When the sensor took it, corrected by the measured clock offset.
    pub captured_at: Instant,
    /// When the last byte of it arrived.
    pub received_at: Instant,
    /// When it was decoded.
    pub decoded_at: Instant,
}

impl DecodedFrame {
    /// A slot for pictures of up to `size` to be decoded into.
    pub fn new(size: Size) -> DecodedFrame {
        DecodedFrame {
            picture: Picture::new(size),
            number: 0,
            captured_at: Instant::ZERO,
            received_at: Instant::ZERO,
            decoded_at: Instant::ZERO,
        }
    }
}
