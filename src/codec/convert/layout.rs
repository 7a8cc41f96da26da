//! A picture written into memory that is laid out as a driver wants it.

use crate::media::{ColourRange, Picture, PixelFormat, Plane, VideoFormat};

/// Full levels to video levels (ITU-R BT.601): what a sample of each value becomes.
struct Squeeze {
    luma: [u8; 256],
    chroma: [u8; 256],
}

const SQUEEZE: Squeeze = squeeze();

const fn squeeze() -> Squeeze {
    let (mut luma, mut chroma) = ([0; 256], [0; 256]);
    let mut value = 0;
    while value < 256 {
        // Rounded: 0–255 to 16–235, and the distance from 128 by 224/255.
        luma[value] = (16 + (value * 219 + 127) / 255) as u8;
        chroma[value] = (16 + (value * 224 + 127) / 255) as u8;
        value += 1;
    }
    Squeeze { luma, chroma }
}

fn put(from: impl Iterator<Item = u8>, to: &mut [u8], step: usize, table: Option<&[u8; 256]>) {
    let to = to.iter_mut().step_by(step);
    match table {
        Some(table) => to.zip(from).for_each(|(to, from)| *to = table[usize::from(from)]),
        None => to.zip(from).for_each(|(to, from)| *to = from),
    }
}

fn row(plane: Plane<'_>, number: usize, width: usize) -> &[u8] {
    &plane.data[number * plane.stride_bytes..][..width]
}

/// Writes `picture` to the upper left of `bytes`, which are one frame of `format`; what is beside and below it stays.
/// Levels are those of the picture, but for one case: a full-range picture for a format of video levels is squeezed.
///
/// Answers whether it fits: `false` for a format that is no plain layout, a picture larger than it, or too few bytes.
#[must_use]
pub fn lay_out(picture: &Picture, format: &VideoFormat, bytes: &mut [u8]) -> bool {
    let (size, half, stride) = (picture.size(), picture.size().chroma(), format.stride_bytes);
    let (width, rows) = (size.width as usize, format.size.height as usize);
    let (half_width, half_rows) = (half.width as usize, rows.div_ceil(2));
    let samples = stride * rows;
    let (least_stride, least_bytes) = match format.pixel {
        PixelFormat::Yuyv => (width.next_multiple_of(2) * 2, samples),
        PixelFormat::Nv12 => (half_width * 2, samples + stride * half_rows),
        PixelFormat::I420 => (width, samples + stride.div_ceil(2) * half_rows * 2),
        PixelFormat::Mjpeg => return false,
    };
    if size.height > format.size.height || stride < least_stride || bytes.len() < least_bytes || stride == 0 {
        return false;
    }
    let tables = (picture.range == ColourRange::Full && format.range == ColourRange::Limited).then_some(&SQUEEZE);
    let (luma, chroma) = (tables.map(|t| &t.luma), tables.map(|t| &t.chroma));
    let [y, u, v] = picture.planes();
    if format.pixel == PixelFormat::Yuyv {
        for (number, to) in bytes.chunks_mut(stride).take(size.height as usize).enumerate() {
            put(row(y, number, width).iter().copied(), to, 2, luma);
            // 4:2:0 has one row of chroma for two of luma.
            put(row(u, number / 2, half_width).iter().copied(), &mut to[1..], 4, chroma);
            put(row(v, number / 2, half_width).iter().copied(), &mut to[3..], 4, chroma);
        }
        return true;
    }
    let (to_luma, to_chroma) = bytes.split_at_mut(samples);
    for (number, to) in to_luma.chunks_mut(stride).take(size.height as usize).enumerate() {
        match luma {
            None => to[..width].copy_from_slice(row(y, number, width)),
            luma => put(row(y, number, width).iter().copied(), to, 1, luma),
        }
    }
    if format.pixel == PixelFormat::Nv12 {
        for (number, to) in to_chroma.chunks_mut(stride).take(half.height as usize).enumerate() {
            put(row(u, number, half_width).iter().copied(), to, 2, chroma);
            put(row(v, number, half_width).iter().copied(), &mut to[1..], 2, chroma);
        }
        return true;
    }
    let half_stride = stride.div_ceil(2);
    let (to_u, to_v) = to_chroma.split_at_mut(half_stride * half_rows);
    for (plane, to) in [(u, to_u), (v, to_v)] {
        for (number, to) in to.chunks_mut(half_stride).take(half.height as usize).enumerate() {
            put(row(plane, number, half_width).iter().copied(), to, 1, chroma);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    //! Goal: what is laid out is read back as the same picture, and nothing is written where it does not fit. Method:
    //! the converter reads it again.
    use super::*;
    use crate::codec::clip::{Clip, psnr_luma};
    use crate::codec::convert::Converter;
    use crate::media::{FrameView, Size};
    use proptest::prelude::*;

    fn format(pixel: PixelFormat, size: Size, stride_bytes: usize) -> VideoFormat {
        VideoFormat { pixel, size, stride_bytes, range: ColourRange::Limited, millihertz: 0 }
    }

    #[test]
    fn each_layout_is_read_back_as_the_same_picture() {
        let size = Size::new(94, 62);
        let mut picture = Picture::new(size);
        Clip::new(size, 2.0).draw(&mut picture);
        for (pixel, stride) in [(PixelFormat::Yuyv, 256), (PixelFormat::Nv12, 96), (PixelFormat::I420, 128)] {
            let padded = format(pixel, Size::new(96, 64), stride);
            let mut bytes = vec![7; stride * 64 * 2];
            assert!(lay_out(&picture, &padded, &mut bytes));
            let view = FrameView::parse(&bytes, &padded).unwrap();
            let mut back = Picture::new(size);
            Converter::new().convert(view, &format(pixel, size, stride), size, &mut back).unwrap();
            assert!(psnr_luma(&picture, &back).is_infinite(), "{pixel}");
            let same = picture.planes().iter().zip(back.planes()).all(|(a, b)| a.data[..40] == b.data[..40]);
            assert!(same, "{pixel}: chroma too");
        }
    }

    #[test]
    fn full_levels_become_video_levels_and_grey_stays_grey() {
        let mut picture = Picture::new(Size::new(16, 16));
        picture.range = ColourRange::Full;
        let layout = format(PixelFormat::I420, picture.size(), 16);
        for (from, to) in [((0, 128, 128), (16, 128, 128)), ((255, 0, 255), (235, 16, 240))] {
            picture.fill(from.0, from.1, from.2);
            let mut bytes = vec![0; 16 * 16 * 3 / 2];
            assert!(lay_out(&picture, &layout, &mut bytes));
            assert_eq!((bytes[0], bytes[256], bytes[320]), to);
        }
    }

    proptest! {
        #[test]
        fn no_size_stride_or_length_makes_it_panic(
            w in 1u32..40, h in 1u32..40, fw in 1u32..40, fh in 1u32..40, stride in 0usize..100, len in 0usize..6_000, kind in 0usize..4
        ) {
            let pixel = [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Mjpeg][kind];
            let _ = lay_out(&Picture::new(Size::new(w, h)), &format(pixel, Size::new(fw, fh), stride), &mut vec![0; len]);
        }
    }
}
