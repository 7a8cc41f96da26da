//! Goal: every way through the converter gives the picture that plain arithmetic gives. Method: a scalar reference, odd
//! sizes, strides larger than the rows.

use super::*;
use crate::codec::clip::Clip;
use crate::media::PixelFormat;
use proptest::prelude::*;

fn picture(size: Size) -> Picture {
    let mut picture = Picture::new(size);
    Clip::new(size, 2.0).draw(&mut picture);
    picture
}

/// Sample of plane `n` at column `x` and row `y`.
fn at(picture: &Picture, n: usize, x: usize, y: usize) -> u8 {
    let plane = picture.planes()[n];
    plane.data[y * plane.stride_bytes + x]
}

fn format(pixel: PixelFormat, size: Size, stride_bytes: usize) -> VideoFormat {
    VideoFormat { pixel, size, stride_bytes, range: ColourRange::Full, millihertz: 0 }
}

/// Lays a picture out as a driver would, with `extra` bytes behind each row.
fn lay_out(picture: &Picture, pixel: PixelFormat, extra: usize) -> (Vec<u8>, VideoFormat) {
    let size = picture.size();
    let (w, h) = (size.width as usize, size.height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let stride = match pixel {
        PixelFormat::Yuyv => 2 * w + extra,
        _ => (w + extra).next_multiple_of(2),
    };
    let format = format(pixel, size, stride);
    let mut bytes = Vec::new();
    let mut row = |samples: Vec<u8>, stride: usize| {
        bytes.extend_from_slice(&samples);
        bytes.resize(bytes.len() + stride - samples.len(), 0xee);
    };
    if pixel == PixelFormat::Yuyv {
        for y in 0..h {
            let pairs = (0..cw).flat_map(|x| {
                [
                    at(picture, 0, 2 * x, y),
                    at(picture, 1, x, y / 2),
                    at(picture, 0, 2 * x + 1, y),
                    at(picture, 2, x, y / 2),
                ]
            });
            row(pairs.collect(), stride);
        }
        return (bytes, format);
    }
    for y in 0..h {
        row((0..w).map(|x| at(picture, 0, x, y)).collect(), stride);
    }
    if pixel == PixelFormat::Nv12 {
        for y in 0..ch {
            row((0..cw).flat_map(|x| [at(picture, 1, x, y), at(picture, 2, x, y)]).collect(), stride);
        }
    } else {
        for (n, y) in [1, 2].into_iter().flat_map(|n| (0..ch).map(move |y| (n, y))) {
            row((0..cw).map(|x| at(picture, n, x, y)).collect(), stride / 2);
        }
    }
    (bytes, format)
}

/// The largest difference of any sample.
fn apart(a: &Picture, b: &Picture) -> u8 {
    assert_eq!(a.size(), b.size());
    let sizes = [a.size(), a.size().chroma(), a.size().chroma()];
    let all = (0..3).flat_map(|n| {
        (0..sizes[n].height as usize).flat_map(move |y| (0..sizes[n].width as usize).map(move |x| (n, x, y)))
    });
    all.map(|(n, x, y)| at(a, n, x, y).abs_diff(at(b, n, x, y))).max().unwrap_or(0)
}

/// The area-weighted mean in floating point: what a box filter is.
fn reference_down(from: &Picture, n: usize, from_size: Size, size: Size, x: u32, y: u32) -> f64 {
    let span = |i: u32, from: u32, to: u32| {
        (f64::from(i) * f64::from(from) / f64::from(to), f64::from(i + 1) * f64::from(from) / f64::from(to))
    };
    let ((x0, x1), (y0, y1)) = (span(x, from_size.width, size.width), span(y, from_size.height, size.height));
    let overlap = |i: usize, a: f64, b: f64| ((i as f64 + 1.0).min(b) - (i as f64).max(a)).max(0.0);
    let mut sum = 0.0;
    for row in y0 as usize..(y1.ceil() as usize).min(from_size.height as usize) {
        for col in x0 as usize..(x1.ceil() as usize).min(from_size.width as usize) {
            sum += f64::from(at(from, n, col, row)) * overlap(col, x0, x1) * overlap(row, y0, y1);
        }
    }
    sum / ((x1 - x0) * (y1 - y0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_layout_gives_its_picture_back(w in 1u32..80, h in 1u32..60, extra in 0usize..40) {
        for pixel in [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::Yuyv] {
            let size = if pixel == PixelFormat::Yuyv { Size::new(w * 2, h) } else { Size::new(w, h) };
            let source = picture(size);
            let (bytes, format) = lay_out(&source, pixel, extra);
            let mut out = Picture::new(Size::new(2, 2));
            let frame = FrameView::parse(&bytes, &format).unwrap();
            Converter::new().convert(frame, &format, size, &mut out).unwrap();
            prop_assert_eq!(apart(&source, &out), 0, "{} {}", pixel, size);
            prop_assert_eq!(out.range, ColourRange::Full);
        }
    }

    #[test]
    fn scaling_down_is_the_mean_of_the_area(w in 2u32..90, h in 2u32..70, tw in 1u32..90, th in 1u32..70) {
        let (from, size) = (picture(Size::new(w, h)), Size::new(tw.min(w), th.min(h)));
        let mut out = Picture::new(Size::new(2, 2));
        Scaler::default().scale(&from, &mut out, size);
        for (n, from_size, size) in [(0, from.size(), size), (1, from.size().chroma(), size.chroma())] {
            for (x, y) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))) {
                let wanted = reference_down(&from, n, from_size, size, x, y);
                let got = f64::from(at(&out, n, x as usize, y as usize));
                // Weights in 1/256 and the last rounding. An odd row halved counts its last row twice.
                let halved = from_size.height.div_ceil(2) == size.height && from_size.height % 2 == 1;
                prop_assert!((wanted - got).abs() < 3.0 || halved, "{from_size} to {size} at {x},{y}: {got} for {wanted}");
            }
        }
    }

    #[test]
    fn scaling_up_stays_between_its_neighbours(w in 1u32..40, h in 1u32..40, tw in 1u32..120, th in 1u32..120) {
        let (from, size) = (picture(Size::new(w, h)), Size::new(tw.max(w), th.max(h)));
        let mut out = Picture::new(Size::new(2, 2));
        Scaler::default().scale(&from, &mut out, size);
        for (x, y) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))) {
            // The four samples around the place, one more on each side for rounding.
            let near = |i: u32, from: u32, to: u32| {
                let place = ((f64::from(i) + 0.5) * f64::from(from) / f64::from(to) - 0.5).max(0.0);
                (place as usize, (place as usize + 1).min(from as usize - 1))
            };
            let ((x0, x1), (y0, y1)) = (near(x, w, size.width), near(y, h, size.height));
            let around = [at(&from, 0, x0, y0), at(&from, 0, x1, y0), at(&from, 0, x0, y1), at(&from, 0, x1, y1)];
            let (low, high) = (around.iter().min().unwrap(), around.iter().max().unwrap());
            let got = at(&out, 0, x as usize, y as usize);
            prop_assert!((low.saturating_sub(1)..=high.saturating_add(1)).contains(&got), "{x},{y}: {got} of {around:?}");
        }
    }
}

#[test]
fn every_format_scales_as_its_planar_form_does() {
    let (size, target) = (Size::new(64, 48), Size::new(28, 20));
    let source = picture(size);
    let mut wanted = Picture::new(target);
    Scaler::default().scale(&source, &mut wanted, target);
    for pixel in [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::Yuyv] {
        let (bytes, format) = lay_out(&source, pixel, 6);
        let mut out = Picture::new(Size::new(2, 2));
        Converter::new().convert(FrameView::parse(&bytes, &format).unwrap(), &format, target, &mut out).unwrap();
        assert_eq!(apart(&wanted, &out), 0, "{pixel}");
    }
}

#[test]
fn a_camera_s_jpeg_becomes_a_full_range_picture_of_the_target_size() {
    use crate::codec::{Encoder, EncoderConfig, VideoEncoder};
    use crate::media::{EncodedFrame, VideoCodec};
    let (size, target) = (Size::new(640, 480), Size::new(212, 160));
    let source = picture(size);
    let mut frame = EncodedFrame::default();
    Encoder::new(VideoCodec::Mjpeg, EncoderConfig::default()).encode(&source, false, &mut frame).unwrap();
    let format = format(PixelFormat::Mjpeg, size, 0);
    let (mut out, mut wanted) = (Picture::new(target), Picture::new(target));
    Converter::new().convert(FrameView::Mjpeg(&frame.data), &format, target, &mut out).unwrap();
    Scaler::default().scale(&source, &mut wanted, target);
    assert_eq!(out.range, ColourRange::Full);
    assert!(crate::codec::clip::psnr_luma(&wanted, &out) > 30.0);
}

#[test]
fn yuyv_of_odd_width_is_refused_in_words() {
    let format = format(PixelFormat::Yuyv, Size::new(5, 4), 10);
    let bytes = [0; 40];
    let frame = FrameView::parse(&bytes, &format).unwrap();
    let error = Converter::new().convert(frame, &format, format.size, &mut Picture::new(Size::new(2, 2)));
    assert!(matches!(error, Err(CodecError::Unsupported(why)) if why.contains('5')));
}
