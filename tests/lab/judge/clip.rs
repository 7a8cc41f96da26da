//! The clip: frames that are a function of their number, so that any of them can be made again and compared.
//!
//! 320x240 at 15 frames a second, planar 4:2:0, BT.601 in video range. The top rows are the **stamp**: the frame's
//! number in black and white cells. Below it soft waves drift, so that scaling costs no more than coding does, and
//! a frame is unlike the one before it.

use crate::Outcome;
use std::f64::consts::TAU;
use std::time::Duration;

/// Width and height in pixels.
pub const SIZE: (u32, u32) = (320, 240);
/// From one frame to the next.
pub const FRAME_TIME: Duration = Duration::from_nanos(66_666_667);

/// Cells of the stamp: 24 bits of number, then 8 bits that show whether it was read right.
pub const CELLS: u32 = 32;
/// Rows of the stamp; a cell is 10 pixels wide and 12 high.
pub const STAMP_ROWS: u32 = 12;
const NUMBER_BITS: u32 = 24;

const WIDTH: usize = SIZE.0 as usize;
const HEIGHT: usize = SIZE.1 as usize;
const BLACK: u8 = 16;
const WHITE: u8 = 235;

/// Memory for a frame: luma, then the two chroma planes.
pub fn blank() -> Vec<u8> {
    vec![128; WIDTH * HEIGHT * 3 / 2]
}

/// Draws frame `number`.
pub fn draw(number: u32, frame: &mut [u8]) {
    let wave = Wave::of(number);
    let bits = stamp(number);
    let (luma, chroma) = frame.split_at_mut(WIDTH * HEIGHT);
    for (y, row) in luma.chunks_exact_mut(WIDTH).enumerate() {
        for (x, sample) in row.iter_mut().enumerate() {
            *sample = if y < STAMP_ROWS as usize {
                let cell = x as u32 * CELLS / SIZE.0;
                if bits >> (CELLS - 1 - cell) & 1 == 1 { WHITE } else { BLACK }
            } else {
                wave.luma(x, y)
            };
        }
    }
    for (plane, half) in chroma.chunks_exact_mut(WIDTH * HEIGHT / 4).enumerate() {
        for (y, row) in half.chunks_exact_mut(WIDTH / 2).enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                // The stamp has no colour, and neither have the rows beside it.
                let strength = if y < STAMP_ROWS as usize { 0.0 } else { 40.0 };
                let along = if plane == 0 { x as f64 / 160.0 } else { y as f64 / 120.0 };
                *sample = (128.0 + strength * (TAU * (along + f64::from(number) / 150.0)).sin()) as u8;
            }
        }
    }
}

/// Luma of one frame, sample by sample.
#[derive(Debug)]
pub struct Wave {
    across: Vec<f64>,
    down: Vec<f64>,
}

impl Wave {
    /// The waves of frame `number`: the one across drifts 2 pixels a frame, the one down 3.
    pub fn of(number: u32) -> Wave {
        let drift = |speed: f64, length: f64| f64::from(number) * speed / length;
        let line = |count: usize, height: f64, length: f64, start: f64| {
            (0..count).map(|at| height * (TAU * (at as f64 / length + start)).sin()).collect()
        };
        Wave { across: line(WIDTH, 55.0, 80.0, drift(2.0, 80.0)), down: line(HEIGHT, 35.0, 60.0, drift(3.0, 60.0)) }
    }

    /// The sample at (`x`, `y`), below the stamp.
    pub fn luma(&self, x: usize, y: usize) -> u8 {
        (126.0 + self.across[x] + self.down[y]) as u8
    }
}

/// The stamp's cells, the leftmost in the highest bit.
fn stamp(number: u32) -> u32 {
    let number = number & ((1 << NUMBER_BITS) - 1);
    number << 8 | u32::from(check(number))
}

/// The number in a stamp that was read; `None` if the cells are not a stamp.
pub fn number_in(cells: u32) -> Option<u32> {
    let number = cells >> 8;
    (cells & 0xff == u32::from(check(number))).then_some(number)
}

/// Eight bits that hardly fit by chance: neither all black nor all white is a stamp.
fn check(number: u32) -> u8 {
    let mixed = number.wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995;
    (mixed >> 24) as u8
}

/// A frame as a JPEG of a webcam's quality, and so in full range.
pub fn jpeg(frame: &[u8]) -> Outcome<Vec<u8>> {
    const QUALITY: i32 = 90;
    let spread = |(at, &sample): (usize, &u8)| {
        let (zero, range, full_zero) = if at < WIDTH * HEIGHT { (16.0, 219.0, 0.0) } else { (128.0, 224.0, 128.0) };
        ((f64::from(sample) - zero) * 255.0 / range + full_zero).round().clamp(0.0, 255.0) as u8
    };
    let full: Vec<u8> = frame.iter().enumerate().map(spread).collect();
    let image = turbojpeg::YuvImage {
        pixels: full.as_slice(),
        width: WIDTH,
        align: 1,
        height: HEIGHT,
        subsamp: turbojpeg::Subsamp::Sub2x2,
    };
    let mut compressor = turbojpeg::Compressor::new()?;
    compressor.set_quality(QUALITY)?;
    Ok(compressor.compress_yuv_to_vec(image)?)
}
