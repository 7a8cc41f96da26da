//! QR codes (ISO/IEC 18004) in a camera's picture, by `rqrr`.
//!
//! A look at 640x480 takes about 6 ms here, by estimate 0.1 s on a Pi Zero 2 W: the caller says how often it looks, and
//! does so outside of any thread that media waits for.
//!
//! **A hostile picture can make `rqrr` panic, or keep it busy for minutes**: its search for the alignment pattern goes on
//! over an area that follows from three corners, without a bound. Panics are caught here, and counted as nothing seen. The
//! time is not bounded: so a look belongs into a thread of its own, which nobody waits for. Who can hold such a picture
//! before the camera while it is reading for a code can as well hold a hand before it.

use crate::media::Size;
use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Pixels that are looked at: those of 640x480. Larger pictures are made smaller first, by whole factors.
const PIXELS_MAX: usize = 640 * 480;
/// Symbols of one picture that are decoded: one's own reflected in a window, the other's, and some more.
const SYMBOLS_MAX: usize = 4;

/// Looks for QR codes; keeps its memory between pictures.
#[derive(Default)]
pub struct QrReader {
    luma: Vec<u8>,
}

impl fmt::Debug for QrReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QrReader")
    }
}

impl QrReader {
    /// The texts of the QR codes that the luma plane `luma` shows: rows of `stride_bytes`, of which the first
    /// `size.width` bytes are pixels. Nothing where the plane is shorter than its size says.
    pub fn read(&mut self, luma: &[u8], stride_bytes: usize, size: Size) -> Vec<String> {
        let Some((width, height)) = self.shrink(luma, stride_bytes, size) else { return Vec::new() };
        let pixels = &self.luma;
        let look = || {
            let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
            let symbols = picture.detect_grids();
            symbols.iter().take(SYMBOLS_MAX).filter_map(|symbol| symbol.decode().ok()).map(|(_, text)| text).collect()
        };
        // Nothing of ours is changed in there, so nothing can be left half done.
        catch_unwind(AssertUnwindSafe(look)).unwrap_or_default()
    }

    /// Brings the picture to at most [`PIXELS_MAX`], each pixel the mean of a square; its size.
    fn shrink(&mut self, luma: &[u8], stride_bytes: usize, size: Size) -> Option<(usize, usize)> {
        let (width, height) = (size.width as usize, size.height as usize);
        let needed = stride_bytes.checked_mul(height.checked_sub(1)?)?.checked_add(width)?;
        if width == 0 || stride_bytes < width || luma.len() < needed {
            return None;
        }
        let factor = (1..).find(|factor| (width / factor) * (height / factor) <= PIXELS_MAX)?;
        let (small_width, small_height) = (width / factor, height / factor);
        if small_width == 0 || small_height == 0 {
            return None;
        }
        self.luma.clear();
        let area = (factor * factor) as u32;
        for y in 0..small_height {
            for x in 0..small_width {
                let square = (0..factor).map(|row| {
                    let start = (y * factor + row) * stride_bytes + x * factor;
                    luma[start..start + factor].iter().map(|pixel| u32::from(*pixel)).sum::<u32>()
                });
                self.luma.push((square.sum::<u32>() / area) as u8);
            }
        }
        Some((small_width, small_height))
    }
}

#[cfg(test)]
mod tests;
