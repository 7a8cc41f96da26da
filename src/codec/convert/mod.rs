//! From what a camera lends to what an encoder takes.
//!
//! [`Converter`] makes a planar 4:2:0 picture of the wanted size out of any source format; [`Scaler`] does the same
//! for pictures. **Levels are never converted, only carried**
//! ([`Picture::range`](crate::media::Picture::range)): the one that shows the picture undoes them. Once each size has been met, nothing here
//! allocates.

mod layout;
mod plane;

pub use layout::lay_out;

use super::CodecError;
use super::mjpeg::JpegReader;
use crate::media::{ColourRange, FrameView, Picture, Plane, Size, VideoFormat};
use plane::{PlaneMut, PlaneScaler};
use yuv::{BufferStoreMut, YuvPackedImage, YuvPlanarImageMut, yuyv422_to_yuv420};

fn library(error: impl core::fmt::Display) -> CodecError {
    CodecError::Library(format!("pixel conversion: {error}"))
}

/// Makes `to` the same picture as `from`.
pub fn copy(from: &Picture, to: &mut Picture) {
    Scaler::default().scale(from, to, from.size());
}

/// Three planes with a size each: 4:2:0 is only one of the cases.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// Luma.
    pub y: (Plane<'a>, Size),
    /// U and V, if there is colour.
    pub chroma: Option<([Plane<'a>; 2], Size)>,
}

/// Scales pictures.
#[derive(Clone, Debug, Default)]
pub struct Scaler {
    luma: PlaneScaler,
    chroma: PlaneScaler,
}

impl Scaler {
    /// Fills `to`, reshaped to `size`, with `from`.
    pub fn scale(&mut self, from: &Picture, to: &mut Picture, size: Size) {
        let [y, u, v] = from.planes();
        let planes = Planes { y: (y, from.size()), chroma: Some(([u, v], from.size().chroma())) };
        self.scale_planes(planes, from.range, to, size);
    }

    /// Fills `to`, reshaped to `size`, from planes of any subsampling; without chroma it is grey.
    pub fn scale_planes(&mut self, from: Planes<'_>, range: ColourRange, to: &mut Picture, size: Size) {
        to.reshape(size);
        to.range = range;
        let stride_bytes = to.stride_bytes();
        let [y, u, v] = to.planes_mut();
        self.luma.scale(from.y.0, from.y.1, &mut PlaneMut { data: y, stride_bytes }, size);
        for (n, data) in [u, v].into_iter().enumerate() {
            match from.chroma {
                None => data.fill(128),
                Some((planes, from_size)) => {
                    let to = &mut PlaneMut { data, stride_bytes: stride_bytes / 2 };
                    self.chroma.scale(planes[n], from_size, to, size.chroma());
                }
            }
        }
    }
}

/// Turns a source's frames into pictures of the size that is to be sent.
#[derive(Debug)]
pub struct Converter {
    scaler: Scaler,
    /// Planar form of packed sources that are scaled too.
    planar: Picture,
    jpeg: JpegReader,
}

impl Default for Converter {
    fn default() -> Converter {
        Converter::new()
    }
}

impl Converter {
    /// Buffers grow at the first frame.
    pub fn new() -> Converter {
        Converter { scaler: Scaler::default(), planar: Picture::new(Size::new(2, 2)), jpeg: JpegReader::new() }
    }

    /// Fills `out`, reshaped to `size`, with the frame. `format` is the source's own.
    ///
    /// # Errors
    /// Broken for a damaged JPEG; Unsupported for packed 4:2:2 of odd width, which cannot exist.
    pub fn convert(
        &mut self,
        frame: FrameView<'_>,
        format: &VideoFormat,
        size: Size,
        out: &mut Picture,
    ) -> Result<(), CodecError> {
        let (source, range) = (format.size, format.range);
        if source.pixels() == 0 || size.pixels() == 0 {
            return Err(CodecError::Unsupported(format!("a picture of {source} cannot become one of {size}")));
        }
        match frame {
            FrameView::I420(y, u, v) => {
                let planes = Planes { y: (y, source), chroma: Some(([u, v], source.chroma())) };
                self.scaler.scale_planes(planes, range, out, size);
            }
            FrameView::Mjpeg(bytes) => {
                let planes = self.jpeg.read(bytes, Some(size))?;
                // JFIF knows no other levels.
                self.scaler.scale_planes(planes, ColourRange::Full, out, size);
            }
            FrameView::Yuyv(packed) if size == source => unpack(packed, size, range, out)?,
            FrameView::Nv12(y, uv) if size == source => separate(y, uv, size, range, out),
            FrameView::Yuyv(packed) => {
                unpack(packed, source, range, &mut self.planar)?;
                self.scaler.scale(&self.planar, out, size);
            }
            FrameView::Nv12(y, uv) => {
                separate(y, uv, source, range, &mut self.planar);
                self.scaler.scale(&self.planar, out, size);
            }
        }
        Ok(())
    }
}

/// Packed 4:2:2 to planar 4:2:0: luma as it is, chroma the mean of two rows.
fn unpack(packed: Plane<'_>, size: Size, range: ColourRange, out: &mut Picture) -> Result<(), CodecError> {
    if !size.width.is_multiple_of(2) {
        return Err(CodecError::Unsupported(format!(
            "YUYV has two pixels in four bytes: a width of {} is not one",
            size.width
        )));
    }
    out.reshape(size);
    out.range = range;
    let stride = out.stride_bytes() as u32;
    let [y, u, v] = out.planes_mut();
    // The library leaves out the chroma of a last row without a partner.
    let paired = size.height & !1;
    if paired < size.height {
        let from = &packed.data[paired as usize * packed.stride_bytes..];
        let (luma, chroma) = (paired as usize * stride as usize, paired as usize / 2 * stride as usize / 2);
        let to = y[luma..].as_chunks_mut::<2>().0.iter_mut().zip(u[chroma..].iter_mut().zip(&mut v[chroma..]));
        for ((y, (u, v)), pair) in to.zip(from.as_chunks::<4>().0).take(size.width as usize / 2) {
            ([y[0], y[1]], *u, *v) = ([pair[0], pair[2]], pair[1], pair[3]);
        }
    }
    if paired == 0 {
        return Ok(());
    }
    let mut planar = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: stride,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: stride / 2,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: stride / 2,
        width: size.width,
        height: paired,
    };
    // And it refuses more rows than it is to read.
    let yuy = &packed.data[..packed.stride_bytes * paired as usize];
    let yuy_stride = packed.stride_bytes as u32;
    let packed = YuvPackedImage { yuy, yuy_stride, width: size.width, height: paired };
    yuyv422_to_yuv420(&mut planar, &packed).map_err(library)
}

/// Interleaved chroma to two planes.
fn separate(luma: Plane<'_>, chroma: Plane<'_>, size: Size, range: ColourRange, out: &mut Picture) {
    out.reshape(size);
    out.range = range;
    let stride_bytes = out.stride_bytes();
    let half = size.chroma();
    let [y, u, v] = out.planes_mut();
    plane::copy(luma, &mut PlaneMut { data: y, stride_bytes }, size);
    let rows = u.chunks_mut(stride_bytes / 2).zip(v.chunks_mut(stride_bytes / 2)).take(half.height as usize);
    for ((u, v), pairs) in rows.zip(chroma.data.chunks(chroma.stride_bytes.max(1))) {
        for ((u, v), pair) in u.iter_mut().zip(v).zip(pairs.as_chunks::<2>().0).take(half.width as usize) {
            [*u, *v] = *pair;
        }
    }
}

#[cfg(test)]
mod tests;
