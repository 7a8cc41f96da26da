//! Raw pictures: owned planar 4:2:0, and views over a driver's memory.

use core::fmt;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size; both in pixels.
    pub const fn new(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    /// Pixels in the picture.
    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Size of a chroma plane at 4:2:0: half in both directions, rounded up.
    pub const fn chroma(self) -> Size {
        Size::new(self.width.div_ceil(2), self.height.div_ceil(2))
    }

    /// The largest size of the same shape that fits into `into`, even in both directions, and where it starts so
    /// that it stands in the middle (even too, as 4:2:0 wants it): the letterbox.
    pub fn fit(self, into: Size) -> (u32, u32, Size) {
        let (w, h) = (u64::from(self.width.max(1)), u64::from(self.height.max(1)));
        let (bw, bh) = (u64::from(into.width), u64::from(into.height));
        let (width, height) = if w * bh > h * bw { (bw, h * bw / w) } else { (w * bh / h, bh) };
        let even = |v: u64, most: u32| ((v as u32) & !1).max(2).min(most.max(1));
        let size = Size::new(even(width, into.width), even(height, into.height));
        let middle = |outer: u32, inner: u32| (outer.saturating_sub(inner) / 2) & !1;
        (middle(into.width, size.width), middle(into.height, size.height), size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl core::str::FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Size, String> {
        let wrong = || format!("`{text}` is not a size; write it as 640x480");
        let (w, h) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
        let size = Size::new(w.parse().map_err(|_| wrong())?, h.parse().map_err(|_| wrong())?);
        if !(16..=4096).contains(&size.width) || !(16..=4096).contains(&size.height) {
            return Err(format!("{size} is out of range: both sides lie between 16 and 4096 pixels"));
        }
        Ok(size)
    }
}

/// How a camera's pixels lie in memory. The names are those of V4L2's fourccs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Packed 4:2:2, Y0 U Y1 V (`YUYV`).
    Yuyv,
    /// Planar luma, then interleaved chroma at 4:2:0 (`NV12`).
    Nv12,
    /// Three planes at 4:2:0, Y U V (`YU12`).
    I420,
    /// One JPEG image a frame (`MJPG` or `JPEG`).
    Mjpeg,
}

impl PixelFormat {
    /// From a V4L2 fourcc; `None` for what visavis does not read.
    pub fn from_fourcc(fourcc: &[u8; 4]) -> Option<PixelFormat> {
        match fourcc {
            b"YUYV" => Some(PixelFormat::Yuyv),
            b"NV12" => Some(PixelFormat::Nv12),
            b"YU12" => Some(PixelFormat::I420),
            b"MJPG" | b"JPEG" => Some(PixelFormat::Mjpeg),
            _ => None,
        }
    }

    /// The V4L2 fourcc.
    pub const fn fourcc(self) -> [u8; 4] {
        match self {
            PixelFormat::Yuyv => *b"YUYV",
            PixelFormat::Nv12 => *b"NV12",
            PixelFormat::I420 => *b"YU12",
            PixelFormat::Mjpeg => *b"MJPG",
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.fourcc()).unwrap_or("?"))
    }
}

/// Whether luma spans 16–235 (video) or 0–255 (JPEG). The matrix is BT.601 in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourRange {
    /// ITU-R BT.601 video levels: luma 16–235, chroma 16–240.
    #[default]
    Limited,
    /// JFIF: all of 0–255.
    Full,
}

/// What a source delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Memory layout.
    pub pixel: PixelFormat,
    /// Picture size in pixels.
    pub size: Size,
    /// Bytes between the starts of two luma (or packed) rows; 0 for MJPEG. Chroma follows the format's own rule.
    pub stride_bytes: usize,
    /// Video or full levels.
    pub range: ColourRange,
    /// Nominal frames in 1,000 s (30,000 is 30 a second); 0 where the source does not know.
    pub millihertz: u32,
}

/// One plane of samples: `data` starts at the first row; rows are `stride_bytes` apart.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Samples; at least `stride_bytes × (rows − 1) + row length` of them.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride_bytes: usize,
}

/// A picture in somebody else's memory, as the camera laid it out.
#[derive(Clone, Copy, Debug)]
pub enum FrameView<'a> {
    /// Packed 4:2:2.
    Yuyv(Plane<'a>),
    /// Luma, then interleaved chroma of half height.
    Nv12(Plane<'a>, Plane<'a>),
    /// Luma, U, V.
    I420(Plane<'a>, Plane<'a>, Plane<'a>),
    /// A whole JPEG image, with the driver's trailing padding, if any.
    Mjpeg(&'a [u8]),
}

impl<'a> FrameView<'a> {
    /// Reads `bytes` as one contiguous frame of `format`. `None` where there are too few bytes: a truncated frame.
    pub fn parse(bytes: &'a [u8], format: &VideoFormat) -> Option<FrameView<'a>> {
        let rows = format.size.height as usize;
        let stride = format.stride_bytes;
        let plane = |from: usize, stride_bytes: usize, rows: usize| {
            let data = bytes.get(from..from + stride_bytes * rows)?;
            Some(Plane { data, stride_bytes })
        };
        match format.pixel {
            PixelFormat::Mjpeg => (bytes.len() >= 4).then_some(FrameView::Mjpeg(bytes)),
            PixelFormat::Yuyv => {
                (stride >= format.size.width as usize * 2).then_some(())?;
                Some(FrameView::Yuyv(plane(0, stride, rows)?))
            }
            PixelFormat::Nv12 => {
                (stride >= format.size.width as usize).then_some(())?;
                Some(FrameView::Nv12(plane(0, stride, rows)?, plane(stride * rows, stride, rows.div_ceil(2))?))
            }
            PixelFormat::I420 => {
                (stride >= format.size.width as usize).then_some(())?;
                let (half, half_rows) = (stride.div_ceil(2), rows.div_ceil(2));
                let u = stride * rows;
                let v = u + half * half_rows;
                Some(FrameView::I420(plane(0, stride, rows)?, plane(u, half, half_rows)?, plane(v, half, half_rows)?))
            }
        }
    }
}

/// An owned planar 4:2:0 picture: what the encoder takes and the decoder gives.
///
/// One allocation that only ever grows; [`Picture::reshape`] to a size that was held before allocates nothing.
#[derive(Clone, Debug)]
pub struct Picture {
    samples: Vec<u8>,
    size: Size,
    stride_bytes: usize,
    /// Video or full levels.
    pub range: ColourRange,
}

impl Picture {
    /// A black picture.
    pub fn new(size: Size) -> Picture {
        let mut picture =
            Picture { samples: Vec::new(), size: Size::new(0, 0), stride_bytes: 0, range: ColourRange::Limited };
        picture.reshape(size);
        picture.fill(16, 128, 128);
        picture
    }

    /// Takes another size; the samples are then unspecified until written.
    pub fn reshape(&mut self, size: Size) {
        if size == self.size {
            return;
        }
        // Rows of luma start on 32-byte bounds, rows of chroma on 16, for the SIMD of converters and codecs.
        let stride = (size.width as usize).next_multiple_of(32);
        let chroma = stride / 2 * size.chroma().height as usize;
        self.samples.resize(stride * size.height as usize + 2 * chroma, 0);
        self.size = size;
        self.stride_bytes = stride;
    }

    /// Size in pixels.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Bytes between luma rows; chroma rows lie half as far apart.
    pub const fn stride_bytes(&self) -> usize {
        self.stride_bytes
    }

    fn bounds(&self) -> (usize, usize) {
        let luma = self.stride_bytes * self.size.height as usize;
        (luma, luma + self.stride_bytes / 2 * self.size.chroma().height as usize)
    }

    /// The three planes, Y U V.
    pub fn planes(&self) -> [Plane<'_>; 3] {
        let (u, v) = self.bounds();
        let half = self.stride_bytes / 2;
        [
            Plane { data: &self.samples[..u], stride_bytes: self.stride_bytes },
            Plane { data: &self.samples[u..v], stride_bytes: half },
            Plane { data: &self.samples[v..], stride_bytes: half },
        ]
    }

    /// The three planes to write to, Y U V; strides as in [`Picture::planes`].
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (u, v) = self.bounds();
        let (y, chroma) = self.samples.split_at_mut(u);
        let (u, v) = chroma.split_at_mut(v - u);
        [y, u, v]
    }

    /// The picture as a [`FrameView`].
    pub fn view(&self) -> FrameView<'_> {
        let [y, u, v] = self.planes();
        FrameView::I420(y, u, v)
    }

    /// Becomes a copy of `other`, in the memory it has.
    pub fn copy_from(&mut self, other: &Picture) {
        self.reshape(other.size);
        self.samples.copy_from_slice(&other.samples);
        self.range = other.range;
    }

    /// One colour everywhere, in this picture's own levels.
    pub fn fill(&mut self, y: u8, u: u8, v: u8) {
        for (plane, value) in self.planes_mut().into_iter().zip([y, u, v]) {
            plane.fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_letterbox_stays_inside_and_keeps_the_shape(w in 16u32..4096, h in 16u32..4096, bw in 16u32..4096, bh in 16u32..4096) {
            let (x, y, size) = Size::new(w, h).fit(Size::new(bw, bh));
            prop_assert!(x + size.width <= bw && y + size.height <= bh);
            // One of the two sides is filled, but for evenness.
            prop_assert!(size.width + 2 > bw || size.height + 2 > bh);
        }
    }

    #[test]
    fn a_truncated_frame_is_no_frame() {
        let format = VideoFormat {
            pixel: PixelFormat::Nv12,
            size: Size::new(64, 48),
            stride_bytes: 64,
            range: ColourRange::Limited,
            millihertz: 0,
        };
        let bytes = vec![0; 64 * 72];
        assert!(FrameView::parse(&bytes, &format).is_some());
        assert!(FrameView::parse(&bytes[1..], &format).is_none());
    }

    #[test]
    fn reshape_back_and_forth_keeps_planes_apart() {
        let mut picture = Picture::new(Size::new(17, 9));
        for size in [Size::new(640, 480), Size::new(17, 9), Size::new(33, 7)] {
            picture.reshape(size);
            let [y, u, v] = picture.planes();
            assert!(y.data.len() >= size.pixels());
            assert!(u.data.len() >= size.chroma().pixels() && v.data.len() == u.data.len());
        }
    }
}
