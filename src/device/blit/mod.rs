//! Pictures brought onto a screen's own memory: scaled with their shape kept, converted, in the middle.
//!
//! **Nothing here reads the target** (a scan-out buffer is often uncached memory, slow to read), and nothing allocates
//! while sizes stay the same. The work goes in bands of a few rows, which stay in the cache between scaling and
//! conversion.

mod scaler;

use crate::media::{ColourRange, Picture, Plane, Size};
use scaler::Scaler;
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix, yuv420_to_bgra, yuv420_to_rgba};

/// Rows of a band; even, as 4:2:0 wants it. 16 rows of 1,920 pixels are 46 kB of samples, within a Cortex-A53's second
/// level of cache and nearly within its first.
const BAND: usize = 16;

/// How a packed pixel lies in memory. The names are those of DRM's fourccs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelLayout {
    /// Bytes B G R X.
    Xrgb8888,
    /// Bytes R G B X.
    Xbgr8888,
    /// 16-bit words, little-endian: red in the upper 5 bits, blue in the lower 5.
    Rgb565,
}

impl PixelLayout {
    /// Bytes of one pixel.
    pub const fn bytes(self) -> usize {
        match self {
            PixelLayout::Xrgb8888 | PixelLayout::Xbgr8888 => 4,
            PixelLayout::Rgb565 => 2,
        }
    }
}

/// A screen's memory of packed pixels.
#[derive(Debug)]
pub struct PackedTarget<'a> {
    /// Starts with the first pixel of the first row.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride_bytes: usize,
    /// Size in pixels.
    pub size: Size,
    /// Pixel layout.
    pub layout: PixelLayout,
}

/// Memory of three planes at 4:2:0.
#[derive(Debug)]
pub struct PlanarTarget<'a> {
    /// Luma size in pixels.
    pub size: Size,
    /// Y, U, V, each starting with its first row.
    pub planes: [&'a mut [u8]; 3],
    /// Bytes from one row to the next in each.
    pub strides: [usize; 3],
}

/// The tables and rows that a blit needs, kept between pictures.
#[derive(Debug, Default)]
pub struct Blit {
    scalers: [Scaler; 3],
    /// One band, scaled: luma and both chroma planes.
    band: [Vec<u8>; 3],
    /// One band, converted, where that is not yet the target's layout.
    converted: Vec<u8>,
}

impl Blit {
    /// Draws a picture, as large as fits, in the middle of the target. What lies around it is left as it is.
    pub fn packed(&mut self, picture: &Picture, target: &mut PackedTarget<'_>) {
        let (left, top, size) = picture.size().fit(target.size);
        if picture.size().pixels() == 0 || target.size.pixels() == 0 {
            return;
        }
        let pixel = target.layout.bytes();
        let start = top as usize * target.stride_bytes + left as usize * pixel;
        let out = &mut target.data[start..];
        if size == picture.size() && target.layout != PixelLayout::Rgb565 {
            let [y, u, v] = picture.planes();
            convert([y, u, v], size, picture.range, out, target.stride_bytes, target.layout);
            return;
        }
        self.plan(picture.size(), size);
        let width = size.width as usize;
        let strides = [width, width.div_ceil(2)];
        for first in (0..size.height as usize).step_by(BAND) {
            let rows = BAND.min(size.height as usize - first);
            self.scale_band(picture, size, first, rows);
            let [y, u, v] = &self.band;
            let band = [
                Plane { data: y, stride_bytes: strides[0] },
                Plane { data: u, stride_bytes: strides[1] },
                Plane { data: v, stride_bytes: strides[1] },
            ];
            let band_size = Size::new(size.width, rows as u32);
            let out = &mut out[first * target.stride_bytes..];
            match target.layout {
                PixelLayout::Rgb565 => {
                    let wide = &mut self.converted[..width * 4 * rows];
                    convert(band, band_size, picture.range, wide, width * 4, PixelLayout::Xrgb8888);
                    for (wide, out) in wide.chunks_exact(width * 4).zip(out.chunks_mut(target.stride_bytes)) {
                        pack_565(wide, &mut out[..width * 2]);
                    }
                }
                layout => convert(band, band_size, picture.range, out, target.stride_bytes, layout),
            }
        }
    }

    /// Draws a picture, as large as fits, in the middle of planar memory; what lies around it becomes black.
    pub fn planes(&mut self, picture: &Picture, target: &mut PlanarTarget<'_>) {
        let (left, top, size) = picture.size().fit(target.size);
        // A picture of the target's own size is copied as it is, odd rows and columns too, which `fit` would cut off.
        let whole = picture.size() == target.size;
        if picture.size().pixels() == 0 {
            return;
        }
        if !whole && size != target.size {
            let black = if picture.range == ColourRange::Full { 0 } else { 16 };
            for (plane, value) in target.planes.iter_mut().zip([black, 128, 128]) {
                plane.fill(value);
            }
        }
        if !whole {
            self.plan(picture.size(), size);
        }
        for (index, plane) in picture.planes().iter().enumerate() {
            let halve = |n: u32| if index == 0 { n } else { n.div_ceil(2) } as usize;
            let stride = target.strides[index];
            let rows = target.planes[index].chunks_mut(stride.max(1));
            if whole {
                let (width, height) = (halve(target.size.width), halve(target.size.height));
                for (row, out) in rows.take(height).enumerate() {
                    out[..width].copy_from_slice(&plane.data[row * plane.stride_bytes..][..width]);
                }
            } else {
                // `fit` gives even offsets, so that chroma starts at a whole sample.
                let (x, y) = (left as usize >> usize::from(index > 0), top as usize >> usize::from(index > 0));
                let (width, height) = (halve(size.width), halve(size.height));
                for (row, out) in rows.skip(y).take(height).enumerate() {
                    self.scalers[index].row(plane, row, &mut out[x..x + width]);
                }
            }
        }
    }

    fn plan(&mut self, from: Size, to: Size) {
        let sides = |size: Size| (size.width, size.height);
        self.scalers[0].plan(sides(from), sides(to));
        for scaler in &mut self.scalers[1..] {
            scaler.plan(sides(from.chroma()), sides(to.chroma()));
        }
        let luma = to.width as usize * BAND;
        let chroma = to.chroma().width as usize * BAND / 2;
        for (band, len) in self.band.iter_mut().zip([luma, chroma, chroma]) {
            band.resize(len, 0);
        }
        self.converted.resize(luma * 4, 0);
    }

    fn scale_band(&mut self, picture: &Picture, size: Size, first: usize, rows: usize) {
        for (index, plane) in picture.planes().iter().enumerate() {
            let (width, first, rows) = match index {
                0 => (size.width as usize, first, rows),
                _ => (size.chroma().width as usize, first / 2, rows.div_ceil(2)),
            };
            for row in 0..rows {
                let out = &mut self.band[index][row * width..(row + 1) * width];
                self.scalers[index].row(plane, first + row, out);
            }
        }
    }
}

/// Converts planes of `size` to 32-bit pixels, BT.601.
fn convert(
    planes: [Plane<'_>; 3],
    size: Size,
    range: ColourRange,
    out: &mut [u8],
    stride_bytes: usize,
    layout: PixelLayout,
) {
    let [y, u, v] = planes;
    let planes = YuvPlanarImage {
        y_plane: y.data,
        y_stride: y.stride_bytes as u32,
        u_plane: u.data,
        u_stride: u.stride_bytes as u32,
        v_plane: v.data,
        v_stride: v.stride_bytes as u32,
        width: size.width,
        height: size.height,
    };
    let range = match range {
        ColourRange::Limited => YuvRange::Limited,
        ColourRange::Full => YuvRange::Full,
    };
    let convert = if layout == PixelLayout::Xbgr8888 { yuv420_to_rgba } else { yuv420_to_bgra };
    // It refuses only planes or targets that are too short for the size, which the callers do not make.
    let done = convert(&planes, out, stride_bytes as u32, range, YuvStandardMatrix::Bt601);
    debug_assert!(done.is_ok(), "{done:?}");
}

fn pack_565(bgrx: &[u8], out: &mut [u8]) {
    for (pixel, out) in bgrx.chunks_exact(4).zip(out.chunks_exact_mut(2)) {
        let [b, g, r] = [pixel[0], pixel[1], pixel[2]].map(u16::from);
        out.copy_from_slice(&((r >> 3) << 11 | (g >> 2) << 5 | b >> 3).to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
