//! Goal: a symbol on a screen is read as a cheap camera sees it, and no picture does harm. Method: symbols by another
//! library, looked at through a simulated camera: perspective, blur, noise, darkness; hostile pictures by chance.

use super::*;
use proptest::prelude::*;
use qrcode::{Color, EcLevel, QrCode};

/// A ticket of usual length: with two addresses it is a symbol of version 4, 33 modules a side.
const TEXT: &str = "VV1:AAAAKAHQAPAA4GT4MFRGGZDFMZTWQTJHMIIMAAABIAAAEAIABW4AAAAAAAAAAAAAAAAAAAAAAAGZTHN5XHI";
const WIDTH: usize = 640;
const HEIGHT: usize = 480;
/// Modules of white around a symbol (ISO/IEC 18004 §6.3.8).
const QUIET: f64 = 4.0;

/// What stands between the symbol and the reader.
#[derive(Clone, Copy)]
struct View {
    /// From the screen, in centimetres. The symbol with its white is 75 mm of the 86 mm of a 7-inch screen's height, and
    /// the camera sees 60° across.
    distance_cm: f64,
    turned_degrees: f64,
    /// The screen's own tilt away from the camera, to the side.
    tilted_degrees: f64,
    /// Standard deviation of the optics' blur, in pixels.
    blur: f64,
    /// Standard deviation of the sensor's noise.
    noise: f64,
    /// Luma of black and of white.
    levels: (f64, f64),
}

const PLAIN: View =
    View { distance_cm: 25.0, turned_degrees: 0.0, tilted_degrees: 0.0, blur: 0.7, noise: 3.0, levels: (30.0, 220.0) };

struct Dice(u64);

impl Dice {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }

    /// Nearly normal: the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// The picture that the camera takes.
fn look(view: View, seed: u64) -> Vec<u8> {
    let symbol = QrCode::with_error_correction_level(TEXT, EcLevel::M).unwrap();
    let (modules, colors) = (symbol.width(), symbol.to_colors());
    let side_mm = 75.0;
    let mm_per_module = side_mm / (modules as f64 + 2.0 * QUIET);
    let focal = WIDTH as f64 / 2.0 / 30f64.to_radians().tan();
    let (sin, cos) = view.turned_degrees.to_radians().sin_cos();
    let (tilt_sin, tilt_cos) = view.tilted_degrees.to_radians().sin_cos();
    let distance = view.distance_cm * 10.0;
    let (black, white) = view.levels;
    // Of the ray through a pixel, where it meets the screen.
    let luma_at = |px: f64, py: f64| {
        let (rx, ry) = ((px - WIDTH as f64 / 2.0) / focal, (py - HEIGHT as f64 / 2.0) / focal);
        let depth = distance * tilt_cos / (tilt_cos - rx * tilt_sin);
        let (across, down) = ((rx * depth) / tilt_cos, ry * depth);
        let (x, y) = (across * cos + down * sin, down * cos - across * sin);
        let place = |mm: f64| (mm + side_mm / 2.0) / mm_per_module - QUIET;
        let (column, row) = (place(x), place(y));
        let inside = |v: f64| (-QUIET..modules as f64 + QUIET).contains(&v);
        if !inside(column) || !inside(row) {
            return black + (white - black) * 0.25;
        }
        let in_symbol = |v: f64| (0.0..modules as f64).contains(&v);
        let dark =
            in_symbol(column) && in_symbol(row) && colors[row as usize * modules + column as usize] == Color::Dark;
        if dark { black } else { white }
    };
    let mut dice = Dice(seed);
    let (dx, dy) = (dice.unit(), dice.unit());
    // Nine rays a pixel, spread as the blur is.
    let spread = 1.2 * view.blur.max(0.3);
    (0..WIDTH * HEIGHT)
        .map(|i| {
            let (x, y) = ((i % WIDTH) as f64 + dx, (i / WIDTH) as f64 + dy);
            let rays = (0..9)
                .map(|ray| luma_at(x + (f64::from(ray % 3) - 1.0) * spread, y + (f64::from(ray / 3) - 1.0) * spread));
            (rays.sum::<f64>() / 9.0 + dice.normal() * view.noise).clamp(0.0, 255.0) as u8
        })
        .collect()
}

/// Whether one of two looks, at the whole and at the middle, finds the symbol.
fn read(picture: &[u8]) -> bool {
    let mut reader = QrReader::default();
    (0..2).any(|_| reader.read(picture, WIDTH, Size::new(WIDTH as u32, HEIGHT as u32)) == [TEXT])
}

/// Of five looks, each a little elsewhere, so many are read.
fn looks(view: View) -> usize {
    (0..5).filter(|seed| read(&look(view, *seed))).count()
}

#[test]
fn a_symbol_is_read_from_all_useful_distances_and_in_all_usual_troubles() {
    let troubles: [(&str, View); 8] = [
        ("plain", PLAIN),
        ("noise, sigma 10", View { noise: 10.0, ..PLAIN }),
        ("turned by 10 degrees", View { turned_degrees: 10.0, ..PLAIN }),
        ("turned by 45 degrees", View { turned_degrees: 45.0, ..PLAIN }),
        ("tilted by 30 degrees", View { tilted_degrees: 30.0, ..PLAIN }),
        ("blurred, sigma 1.5", View { blur: 1.5, ..PLAIN }),
        ("dark", View { levels: (12.0, 60.0), ..PLAIN }),
        (
            "dark, noise, turned, tilted",
            View { noise: 6.0, turned_degrees: 10.0, tilted_degrees: 15.0, levels: (15.0, 90.0), ..PLAIN },
        ),
    ];
    let mut table = String::from("of five looks are read, from … cm      20  30  40  50  60\n");
    for (name, view) in troubles {
        let read = [20.0, 30.0, 40.0, 50.0, 60.0].map(|distance_cm| looks(View { distance_cm, ..view }));
        table += &format!("{name:36}{}\n", read.map(|n| format!("{n:4}")).concat());
        assert!(name.starts_with("blurred") || read[0] >= 4, "{table}");
    }
    println!("{table}");
}

#[test]
fn a_large_picture_is_looked_at_small_and_a_stride_is_passed_over() {
    let picture = look(PLAIN, 1);
    let (stride, size) = (2 * WIDTH + 50, Size::new(2 * WIDTH as u32, 2 * HEIGHT as u32));
    let mut large = vec![99; stride * 2 * HEIGHT];
    for y in 0..2 * HEIGHT {
        for x in 0..2 * WIDTH {
            large[y * stride + x] = picture[y / 2 * WIDTH + x / 2];
        }
    }
    let mut reader = QrReader::default();
    assert_eq!(reader.read(&large, stride, size), [TEXT]);
    assert_eq!(reader.luma.len(), PIXELS_MAX);
    // The last row need not be padded.
    assert_eq!(reader.read(&large[..large.len() - 50], stride, size), [TEXT]);
    assert!(reader.read(&large[..large.len() - 51], stride, size).is_empty());
}

#[test]
fn two_symbols_in_one_picture_are_both_read() {
    let one = look(PLAIN, 1);
    let mut both = one.clone();
    // The middle of the picture, twice side by side.
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            both[y * WIDTH + x] = one[y * WIDTH + 160 + x % 320];
        }
    }
    let texts = QrReader::default().read(&both, WIDTH, Size::new(WIDTH as u32, HEIGHT as u32));
    assert_eq!(texts, [TEXT, TEXT]);
}

/// Draws a finder pattern (or what remains of it) into `picture`, sheared and stretched by chance.
fn draw_finder(picture: &mut [u8], (width, height): (usize, usize), dice: &mut Dice) {
    let module = 1.0 + dice.unit() * 6.0;
    let (cx, cy) = (dice.unit() * width as f64, dice.unit() * height as f64);
    let shear = [(); 4].map(|()| dice.unit() - 0.5);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = ((x as f64 - cx) / module, (y as f64 - cy) / module);
            let (u, v) = (u * (1.0 + shear[0]) + v * shear[1], v * (1.0 + shear[2]) + u * shear[3]);
            let ring = u.abs().max(v.abs());
            if ring < 4.5 {
                picture[y * width + x] = if (1.5..2.5).contains(&ring) || ring > 3.5 { 230 } else { 20 };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn noise_is_no_symbol_and_does_no_harm(seed in any::<u64>(), width in 0u32..200, height in 0u32..200, pad in 0usize..9, short in 0usize..3, grain in 1usize..9) {
        let mut dice = Dice(seed);
        let stride = width as usize + pad;
        // Grains of several pixels look like modules.
        let noise: Vec<u8> = (0..(stride * height as usize).saturating_sub(short)).map(|i| (Dice((i / grain) as u64 ^ dice.0).next() as u8) & if grain > 4 { 128 } else { 255 }).collect();
        dice.next();
        let texts = QrReader::default().read(&noise, stride, Size::new(width, height));
        prop_assert!(texts.len() <= SYMBOLS_MAX && !texts.iter().any(|text| text.starts_with("VV1:")));
    }

    #[test]
    fn finder_patterns_without_a_symbol_do_no_harm(seed in any::<u64>(), finders in 3usize..9) {
        let mut dice = Dice(seed);
        let mut picture = vec![220; 320 * 240];
        for _ in 0..finders {
            draw_finder(&mut picture, (320, 240), &mut dice);
        }
        let texts = QrReader::default().read(&picture, 320, Size::new(320, 240));
        prop_assert!(texts.len() <= SYMBOLS_MAX);
    }

    #[test]
    fn a_symbol_with_holes_is_read_right_or_not_at_all(seed in any::<u64>(), holes in 0usize..12) {
        let mut dice = Dice(seed);
        let mut picture = look(PLAIN, seed);
        for _ in 0..holes {
            let (x, y, value) = (dice.next() as usize % 600, dice.next() as usize % 440, dice.next() as u8);
            for row in y..y + 40 {
                picture[row * WIDTH + x..row * WIDTH + x + 40].fill(value);
            }
        }
        let texts = QrReader::default().read(&picture, WIDTH, Size::new(WIDTH as u32, HEIGHT as u32));
        prop_assert!(texts.is_empty() || texts == [TEXT]);
    }
}
