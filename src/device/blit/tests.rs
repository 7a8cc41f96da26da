//! Goal: what arrives in a screen's memory is the picture. Method: a slow reference in floating point, sample by
//! sample, over random sizes; targets are padded, and the padding must stay as it was.

use super::*;
use proptest::prelude::*;

/// Smooth in both directions, with a different slope in each plane.
fn gradient(size: Size, range: ColourRange) -> Picture {
    let mut picture = Picture::new(size);
    picture.range = range;
    let stride = picture.stride_bytes();
    for (index, plane) in picture.planes_mut().into_iter().enumerate() {
        let (size, stride) = if index == 0 { (size, stride) } else { (size.chroma(), stride / 2) };
        for y in 0..size.height as usize {
            for x in 0..size.width as usize {
                let (fx, fy) = (x as f64 / f64::from(size.width), y as f64 / f64::from(size.height));
                let value = match index {
                    0 => 16.0 + 200.0 * (0.7 * fx + 0.3 * fy),
                    1 => 60.0 + 130.0 * fx,
                    _ => 190.0 - 120.0 * fy,
                };
                plane[y * stride + x] = value as u8;
            }
        }
    }
    picture
}

/// The sample at an output position, mixed from its four neighbours.
fn sample(plane: &Plane<'_>, from: Size, to: Size, x: u32, y: u32) -> f64 {
    let at = |i: u32, from: u32, to: u32| {
        let centre = (f64::from(i) + 0.5) * f64::from(from) / f64::from(to) - 0.5;
        centre.clamp(0.0, f64::from(from - 1))
    };
    let (fx, fy) = (at(x, from.width, to.width), at(y, from.height, to.height));
    let get = |x: f64, y: f64| {
        let (x, y) = ((x as u32).min(from.width - 1) as usize, (y as u32).min(from.height - 1) as usize);
        f64::from(plane.data[y * plane.stride_bytes + x])
    };
    let (wx, wy) = (fx.fract(), fy.fract());
    let top = get(fx, fy) * (1.0 - wx) + get(fx + 1.0, fy) * wx;
    let bottom = get(fx, fy + 1.0) * (1.0 - wx) + get(fx + 1.0, fy + 1.0) * wx;
    top * (1.0 - wy) + bottom * wy
}

/// ITU-R BT.601, as R G B.
fn rgb(y: f64, u: f64, v: f64, range: ColourRange) -> [f64; 3] {
    let (y, u, v) = match range {
        ColourRange::Limited => ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0),
        ColourRange::Full => (y / 255.0, (u - 128.0) / 255.0, (v - 128.0) / 255.0),
    };
    let (r, b) = (y + 1.402 * v, y + 1.772 * u);
    let g = (y - 0.299 * r - 0.114 * b) / 0.587;
    [r, g, b].map(|c| (c * 255.0).clamp(0.0, 255.0))
}

fn sizes() -> impl Strategy<Value = Size> {
    (8u32..90, 8u32..90).prop_map(|(w, h)| Size::new(w * 2, h * 2))
}

fn layouts() -> impl Strategy<Value = PixelLayout> {
    prop_oneof![Just(PixelLayout::Xrgb8888), Just(PixelLayout::Xbgr8888), Just(PixelLayout::Rgb565)]
}

fn read_pixel(layout: PixelLayout, bytes: &[u8]) -> [f64; 3] {
    match layout {
        PixelLayout::Xrgb8888 => [bytes[2], bytes[1], bytes[0]].map(f64::from),
        PixelLayout::Xbgr8888 => [bytes[0], bytes[1], bytes[2]].map(f64::from),
        PixelLayout::Rgb565 => {
            let word = u16::from_le_bytes([bytes[0], bytes[1]]);
            [(word >> 11) << 3, (word >> 5 & 63) << 2, (word & 31) << 3].map(f64::from)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn packed_pixels_are_those_of_a_slow_reference_and_the_rest_is_untouched(
        from in sizes(), screen in sizes(), layout in layouts(), full in any::<bool>(), padding in 0usize..3
    ) {
        const UNTOUCHED: u8 = 0xa5;
        let range = if full { ColourRange::Full } else { ColourRange::Limited };
        let picture = gradient(from, range);
        let stride_bytes = (screen.width as usize + 4 * padding) * layout.bytes();
        let mut data = vec![UNTOUCHED; stride_bytes * screen.height as usize];
        Blit::default().packed(&picture, &mut PackedTarget { data: &mut data, stride_bytes, size: screen, layout });

        let (left, top, to) = from.fit(screen);
        let [y, u, v] = picture.planes();
        // Samples are rounded to 8 bits after scaling, and colours amplify them by up to 2; 565 cuts off 8 levels.
        let tolerance = if layout == PixelLayout::Rgb565 { 13.0 } else { 5.0 };
        for row in 0..screen.height {
            for column in 0..stride_bytes as u32 / layout.bytes() as u32 {
                let at = row as usize * stride_bytes + column as usize * layout.bytes();
                let bytes = &data[at..at + layout.bytes()];
                let inside = (left..left + to.width).contains(&column) && (top..top + to.height).contains(&row);
                if !inside {
                    prop_assert!(bytes.iter().all(|b| *b == UNTOUCHED), "border at {column},{row}");
                    continue;
                }
                let (x, line) = (column - left, row - top);
                let luma = sample(&y, from, to, x, line);
                // Chroma is scaled as a plane and then holds for two by two pixels.
                let chroma = |plane| sample(plane, from.chroma(), to.chroma(), x / 2, line / 2);
                let wanted = rgb(luma, chroma(&u), chroma(&v), range);
                for (seen, wanted) in read_pixel(layout, bytes).into_iter().zip(wanted) {
                    prop_assert!((seen - wanted).abs() <= tolerance, "{seen} for {wanted} at {column},{row}");
                }
            }
        }
    }

    #[test]
    fn planes_are_those_of_a_slow_reference_in_a_black_frame(from in sizes(), to in sizes()) {
        let picture = gradient(from, ColourRange::Limited);
        let chroma = to.chroma();
        let (mut y, mut u, mut v) = (vec![0; to.pixels()], vec![0; chroma.pixels()], vec![0; chroma.pixels()]);
        let strides = [to.width, chroma.width, chroma.width].map(|w| w as usize);
        Blit::default().planes(&picture, &mut PlanarTarget { size: to, planes: [&mut y, &mut u, &mut v], strides });
        let (left, top, size) = from.fit(to);
        for (x, line) in (0..to.width).flat_map(|x| (0..to.height).map(move |line| (x, line))) {
            let inside = (left..left + size.width).contains(&x) && (top..top + size.height).contains(&line);
            let wanted = if inside { sample(&picture.planes()[0], from, size, x - left, line - top) } else { 16.0 };
            let seen = f64::from(y[line as usize * strides[0] + x as usize]);
            prop_assert!((seen - wanted).abs() <= 2.0, "{seen} for {wanted} at {x},{line}");
        }
        let (cx, cy, inner) = (left / 2, top / 2, size.chroma());
        for (x, line) in (0..inner.width).flat_map(|x| (0..inner.height).map(move |line| (x, line))) {
            let wanted = sample(&picture.planes()[1], from.chroma(), inner, x, line);
            let seen = f64::from(u[(cy + line) as usize * strides[1] + (cx + x) as usize]);
            prop_assert!((seen - wanted).abs() <= 2.0, "{seen} for {wanted} at {x},{line}");
        }
    }

    #[test]
    fn a_picture_of_the_same_size_is_copied_exactly_odd_ones_too(w in 1u32..70, h in 1u32..70) {
        let size = Size::new(w, h);
        let picture = gradient(size, ColourRange::Limited);
        let chroma = size.chroma();
        let (mut y, mut u, mut v) = (vec![0; size.pixels()], vec![0; chroma.pixels()], vec![0; chroma.pixels()]);
        let strides = [size.width, chroma.width, chroma.width].map(|w| w as usize);
        Blit::default().planes(&picture, &mut PlanarTarget { size, planes: [&mut y, &mut u, &mut v], strides });
        for (plane, (copy, size)) in picture.planes().iter().zip([(&y, size), (&u, chroma), (&v, chroma)]) {
            let (width, height) = (size.width as usize, size.height as usize);
            for row in 0..height {
                prop_assert_eq!(&copy[row * width..][..width], &plane.data[row * plane.stride_bytes..][..width]);
            }
        }
    }

    #[test]
    fn no_size_however_small_or_lopsided_goes_out_of_bounds(fw in 1u32..300, fh in 1u32..9, tw in 1u32..9, th in 1u32..300, layout in layouts()) {
        let size = Size::new(tw, th);
        let stride_bytes = tw as usize * layout.bytes();
        let mut data = vec![0; stride_bytes * th as usize];
        let picture = gradient(Size::new(fw, fh), ColourRange::Full);
        Blit::default().packed(&picture, &mut PackedTarget { data: &mut data, stride_bytes, size, layout });
    }
}
