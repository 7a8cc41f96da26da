//! QR codes (ISO/IEC 18004) in a camera's picture, by `rqrr`.
//!
//! A look at 640x480 took 17 ms at the median and 106 ms at the worst, of 1,291 pictures full of finder patterns, on one
//! thread of a Xeon with little optimisation; a Pi Zero 2 W needs ten times that, by estimate. So the caller says how often
//! it looks, and does so outside of any thread that media waits for.
//!
//! **A hostile picture might make `rqrr` panic, or keep it busy for minutes**: by its source, the search for the alignment
//! pattern goes on over an area that follows from three corners, without a bound. (None of those pictures did.) Panics are
//! caught here, and counted as nothing seen. The time is not bounded: so a look belongs into a thread of its own, which
//! nobody waits for. Who can hold such a picture before the camera while it reads for a code can as well hold a hand there.

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
    /// Looks so far.
    looks: u32,
}

impl fmt::Debug for QrReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QrReader")
    }
}

/// Rows of pixels, one byte each.
#[derive(Clone, Copy)]
struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl QrReader {
    /// The texts of the QR codes that the luma plane `luma` shows: rows of `stride_bytes`, of which the first
    /// `size.width` bytes are pixels. Nothing where the plane is shorter than its size says.
    ///
    /// Looks alternate: one at the whole picture, one at its middle, twice as large, which reads smaller symbols: whoever
    /// holds a screen before a camera holds it there.
    pub fn read(&mut self, luma: &[u8], stride_bytes: usize, size: Size) -> Vec<String> {
        let Some(plane) = Plane::new(luma, stride_bytes, size) else { return Vec::new() };
        let factor = plane.factor();
        let (width, height) = (plane.width / factor, plane.height / factor);
        if width == 0 || height == 0 {
            return Vec::new();
        }
        let near = self.looks % 2 == 1;
        self.looks = self.looks.wrapping_add(1);
        self.luma.clear();
        if near {
            plane.enlarge_middle(factor, &mut self.luma);
        } else {
            plane.shrink(factor, &mut self.luma);
        }
        let pixels = &self.luma;
        let reach = if near { 4 } else { 2 };
        let sharp = |x: usize, y: usize| sharpened(pixels, (width, height), (x, y), reach);
        let look = || {
            let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, sharp);
            let symbols = picture.detect_grids();
            symbols.iter().take(SYMBOLS_MAX).filter_map(|symbol| symbol.decode().ok()).map(|(_, text)| text).collect()
        };
        // Nothing of ours is changed in there, so nothing can be left half done.
        catch_unwind(AssertUnwindSafe(look)).unwrap_or_default()
    }
}

impl<'a> Plane<'a> {
    /// `None` where the bytes do not hold the picture.
    fn new(bytes: &'a [u8], stride: usize, size: Size) -> Option<Plane<'a>> {
        let (width, height) = (size.width as usize, size.height as usize);
        let needed = stride.checked_mul(height.checked_sub(1)?)?.checked_add(width)?;
        (width > 0 && stride >= width && bytes.len() >= needed).then_some(Plane { bytes, stride, width, height })
    }

    /// By what both sides must be divided to come to [`PIXELS_MAX`].
    fn factor(&self) -> usize {
        let fits = |factor: &usize| (self.width / factor) * (self.height / factor) <= PIXELS_MAX;
        (1..=self.width.max(self.height)).find(fits).unwrap_or(self.width.max(self.height))
    }

    /// The whole, each pixel the mean of a square.
    fn shrink(&self, factor: usize, out: &mut Vec<u8>) {
        let area = (factor * factor) as u32;
        for y in 0..self.height / factor {
            for x in 0..self.width / factor {
                let square = (0..factor).map(|row| {
                    let start = (y * factor + row) * self.stride + x * factor;
                    self.bytes[start..start + factor].iter().map(|pixel| u32::from(*pixel)).sum::<u32>()
                });
                out.push((square.sum::<u32>() / area) as u8);
            }
        }
    }

    /// The middle half of both sides, with as many pixels as [`Plane::shrink`] gives of the whole: interpolated between
    /// four, in steps of half the factor.
    fn enlarge_middle(&self, factor: usize, out: &mut Vec<u8>) {
        for y in 0..self.height / factor {
            // In half pixels.
            let (row, below) = halves(self.height / 2 + y * factor, self.height);
            for x in 0..self.width / factor {
                let (column, right) = halves(self.width / 2 + x * factor, self.width);
                let at = |x: usize, y: usize| u32::from(self.bytes[y * self.stride + x]);
                let sum = at(column, row) + at(right, row) + at(column, below) + at(right, below);
                out.push((sum / 4) as u8);
            }
        }
    }
}

/// The pixel, and its difference to the mean of the four at `reach` pixels from it once more: what the optics blurred
/// comes apart again.
fn sharpened(pixels: &[u8], (width, height): (usize, usize), (x, y): (usize, usize), reach: usize) -> u8 {
    let at = |x: usize, y: usize| i32::from(pixels[y * width + x]);
    let (left, right) = (x.saturating_sub(reach), (x + reach).min(width - 1));
    let (above, below) = (y.saturating_sub(reach), (y + reach).min(height - 1));
    let around = at(left, y) + at(right, y) + at(x, above) + at(x, below);
    (2 * at(x, y) - around / 4).clamp(0, 255) as u8
}

/// The two pixels between which a place in half pixels lies; twice the same where it lies on one.
fn halves(place: usize, count: usize) -> (usize, usize) {
    ((place / 2).min(count - 1), place.div_ceil(2).min(count - 1))
}

#[cfg(test)]
mod tests;
