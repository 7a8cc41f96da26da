//! Pictures in the pixels of a screen.
//!
//! The inverse of ITU-R BT.601, at video or full levels as the picture says. `yuv`'s kernels are exact to one step.

use crate::codec::CodecError;
use crate::codec::convert::{Scaler, library};
use crate::media::{ColourRange, Picture, Plane, Size};
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix, yuv420_to_bgra};

/// How a screen's pixels lie in memory. The names are those of the kernel's fourccs, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreenFormat {
    /// Four bytes: blue, green, red, and one that is ignored (`XR24`).
    Xrgb8888,
    /// Two bytes: 5 bits of red, 6 of green, 5 of blue (`RG16`).
    Rgb565,
}

impl ScreenFormat {
    /// Bytes of a pixel.
    pub const fn bytes(self) -> usize {
        match self {
            ScreenFormat::Xrgb8888 => 4,
            ScreenFormat::Rgb565 => 2,
        }
    }
}

/// The rows from `first` on, `count` of them; `first` is even.
fn part(picture: &Picture, first: usize, count: usize) -> YuvPlanarImage<'_, u8> {
    let [y, u, v] = picture.planes();
    let (luma, chroma) = (y.stride_bytes, u.stride_bytes);
    let cut = |plane: Plane<'_>, stride: usize, first: usize, rows: usize| -> core::ops::Range<usize> {
        first * stride..((first + rows) * stride).min(plane.data.len())
    };
    let chroma_rows = count.div_ceil(2);
    YuvPlanarImage {
        y_plane: &y.data[cut(y, luma, first, count)],
        y_stride: luma as u32,
        u_plane: &u.data[cut(u, chroma, first / 2, chroma_rows)],
        u_stride: chroma as u32,
        v_plane: &v.data[cut(v, chroma, first / 2, chroma_rows)],
        v_stride: chroma as u32,
        width: picture.size().width,
        height: count as u32,
    }
}

fn levels(picture: &Picture) -> YuvRange {
    match picture.range {
        ColourRange::Limited => YuvRange::Limited,
        ColourRange::Full => YuvRange::Full,
    }
}

fn fits(
    picture: &Picture,
    dst: &[u8],
    stride_bytes: usize,
    format: ScreenFormat,
) -> Result<(usize, usize), CodecError> {
    let size = picture.size();
    let (row, rows) = (size.width as usize * format.bytes(), size.height as usize);
    if row == 0 || rows == 0 || stride_bytes < row || dst.len() < stride_bytes * (rows - 1) + row {
        return Err(CodecError::Unsupported(format!(
            "a picture of {size} does not fit a screen buffer of {} bytes, {stride_bytes} a row",
            dst.len()
        )));
    }
    Ok((row, rows))
}

/// Writes the picture as XRGB8888 to the start of `dst`, whose rows are `stride_bytes` apart. To place it elsewhere
/// (a letterbox), give the part of the buffer that begins with its first pixel.
///
/// # Errors
/// Unsupported, where the buffer is too small for the picture.
pub fn to_xrgb(picture: &Picture, dst: &mut [u8], stride_bytes: usize) -> Result<(), CodecError> {
    let (row, rows) = fits(picture, dst, stride_bytes, ScreenFormat::Xrgb8888)?;
    let (range, matrix) = (levels(picture), YuvStandardMatrix::Bt601);
    // The library passes over a last row that is shorter than the stride; so the last pair goes row by row.
    let whole = (rows - 1) & !1;
    if whole > 0 {
        let body = &mut dst[..whole * stride_bytes];
        yuv420_to_bgra(&part(picture, 0, whole), body, stride_bytes as u32, range, matrix).map_err(library)?;
    }
    for n in whole..rows {
        let mut last = part(picture, whole, rows - whole);
        last.y_plane = &last.y_plane[(n - whole) * picture.stride_bytes()..];
        last.height = 1;
        let line = &mut dst[n * stride_bytes..][..row];
        yuv420_to_bgra(&last, line, row as u32, range, matrix).map_err(library)?;
    }
    Ok(())
}

/// Writes the picture as RGB565 to the start of `dst`, as [`to_xrgb`] does. `line` is scratch, kept by the caller.
///
/// # Errors
/// As for [`to_xrgb`].
pub fn to_rgb565(picture: &Picture, dst: &mut [u8], stride_bytes: usize, line: &mut Vec<u8>) -> Result<(), CodecError> {
    let (row, rows) = fits(picture, dst, stride_bytes, ScreenFormat::Rgb565)?;
    let (range, matrix) = (levels(picture), YuvStandardMatrix::Bt601);
    line.resize(row * 4, 0);
    for first in (0..rows).step_by(2) {
        let count = 2.min(rows - first);
        let pair = &mut line[..row * 2 * count];
        yuv420_to_bgra(&part(picture, first, count), pair, row as u32 * 2, range, matrix).map_err(library)?;
        for (n, pixels) in pair.chunks(row * 2).enumerate() {
            let to = &mut dst[(first + n) * stride_bytes..][..row];
            for (to, pixel) in to.as_chunks_mut::<2>().0.iter_mut().zip(pixels.as_chunks::<4>().0) {
                let [blue, green, red, _] = pixel.map(u16::from);
                *to = ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3).to_le_bytes();
            }
        }
    }
    Ok(())
}

/// Draws pictures of any size into a rectangle of a screen's buffer.
#[derive(Debug)]
pub struct ScreenWriter {
    scaler: Scaler,
    scaled: Picture,
    line: Vec<u8>,
}

impl Default for ScreenWriter {
    fn default() -> ScreenWriter {
        ScreenWriter::new()
    }
}

impl ScreenWriter {
    /// Buffers grow at the first picture of a size.
    pub fn new() -> ScreenWriter {
        ScreenWriter { scaler: Scaler::default(), scaled: Picture::new(Size::new(2, 2)), line: Vec::new() }
    }

    /// Draws `picture`, scaled to `size`, with its upper left corner at (`x`, `y`) of the buffer. What lies around it
    /// stays as it is. [`Size::fit`] says where a letterboxed picture goes.
    ///
    /// # Errors
    /// Unsupported, where the rectangle does not lie within the buffer.
    pub fn draw(
        &mut self,
        picture: &Picture,
        dst: &mut [u8],
        stride_bytes: usize,
        format: ScreenFormat,
        (x, y, size): (u32, u32, Size),
    ) -> Result<(), CodecError> {
        let picture = if picture.size() == size {
            picture
        } else {
            self.scaler.scale(picture, &mut self.scaled, size);
            &self.scaled
        };
        let across = (x as usize + size.width as usize) * format.bytes();
        let start = y as usize * stride_bytes + x as usize * format.bytes();
        let Some(dst) = dst.get_mut(start..).filter(|_| across <= stride_bytes) else {
            return Err(CodecError::Unsupported(format!("a rectangle of {size} at {x},{y} is not on this screen")));
        };
        match format {
            ScreenFormat::Xrgb8888 => to_xrgb(picture, dst, stride_bytes),
            ScreenFormat::Rgb565 => to_rgb565(picture, dst, stride_bytes, &mut self.line),
        }
    }
}
