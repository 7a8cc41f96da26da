//! A frame number written into the picture, which survives scaling, codecs and changes of level.
//!
//! It is how latency is read off the picture itself, whatever program carried it: who makes a frame stamps it, who sees
//! it reads which one it is. The number stands in two rows of 26 cells across the top twelfth of the luma. Each row
//! begins with a white and a black cell, against which its others are read; the 48 that follow in both rows are the
//! number's 32 bits and a CRC-16 over them (CCITT, 0x1021), most significant first, white for one.
//!
//! Cells are fractions of the picture, not pixels, so a picture scaled as a whole keeps them. Only the middle half of
//! each is read, which leaves out what scaling and codecs blur. A 192x144 picture, 640x480 at 30 %, still has cells of
//! 7 by 6 pixels.

use crate::media::Size;

const COLUMNS: usize = 26;
const ROWS: usize = 2;
/// Reference cells at the start of each row: white, black.
const REFERENCES: usize = 2;
/// Bits in both rows: 32 of the number, 16 of the checksum.
const BITS: usize = ROWS * (COLUMNS - REFERENCES);
/// Each row of cells has 1/24 of the picture's height.
const HEIGHT_SHARE: usize = 24;

/// Video white and black; a full-range picture holds them too.
const WHITE: u8 = 235;
const BLACK: u8 = 16;

/// The smallest picture with cells of at least 2x2 pixels.
pub const SIZE_MIN: Size = Size::new(2 * COLUMNS as u32, 2 * HEIGHT_SHARE as u32);

/// White and black of what is read must lie at least this far apart; noise on a dark picture does not. A codec at its
/// worst leaves well over 100 of the 219 that were written.
const CONTRAST_MIN: i32 = 48;

/// Writes `number` into the top rows of a luma plane, whose rows lie `stride` bytes apart. A picture smaller than
/// [`SIZE_MIN`], or a plane with fewer bytes than its size says, is left as it is.
pub fn write(luma: &mut [u8], stride: usize, size: Size, number: u32) {
    if !fits(luma.len(), stride, size) {
        return;
    }
    let bits = (u64::from(number) << 16) | u64::from(checksum(number));
    for row in 0..ROWS {
        let (top, bottom) = rows(size, row);
        // The first line is drawn, the others are copies of it.
        for column in 0..COLUMNS {
            let (left, right) = columns(size, column);
            let white = match column {
                0 => true,
                1 => false,
                _ => bits >> (BITS - 1 - bit(row, column)) & 1 == 1,
            };
            luma[top * stride + left..top * stride + right].fill(if white { WHITE } else { BLACK });
        }
        let line = top * stride..top * stride + size.width as usize;
        for y in top + 1..bottom {
            luma.copy_within(line.clone(), y * stride);
        }
    }
}

/// Reads the number that [`write()`] left, from a luma plane of this or any other size; `None` where there is none, or
/// where it cannot be made out for certain.
pub fn read(luma: &[u8], stride: usize, size: Size) -> Option<u32> {
    if !fits(luma.len(), stride, size) {
        return None;
    }
    let mut bits = 0u64;
    for row in 0..ROWS {
        let cell = |column| mean_of_middle(luma, stride, rows(size, row), columns(size, column));
        let (white, black) = (cell(0), cell(1));
        if white - black < CONTRAST_MIN {
            return None;
        }
        let middle = (white + black) / 2;
        for column in REFERENCES..COLUMNS {
            let value = cell(column);
            // Neither one nor the other: within a tenth of the contrast from the middle.
            if (value - middle).abs() * 10 < white - black {
                return None;
            }
            bits = bits << 1 | u64::from(value > middle);
        }
    }
    let number = (bits >> 16) as u32;
    (checksum(number) == bits as u16).then_some(number)
}

/// Whether a plane of `len` bytes holds a picture of `size`, and that is large enough for the cells.
fn fits(len: usize, stride: usize, size: Size) -> bool {
    let (width, height) = (size.width as usize, size.height as usize);
    let needed = height.checked_sub(1).and_then(|rows| rows.checked_mul(stride)?.checked_add(width));
    size.width >= SIZE_MIN.width
        && size.height >= SIZE_MIN.height
        && stride >= width
        && needed.is_some_and(|n| n <= len)
}

fn bit(row: usize, column: usize) -> usize {
    row * (COLUMNS - REFERENCES) + column - REFERENCES
}

fn columns(size: Size, column: usize) -> (usize, usize) {
    let width = size.width as usize;
    (column * width / COLUMNS, (column + 1) * width / COLUMNS)
}

fn rows(size: Size, row: usize) -> (usize, usize) {
    let height = size.height as usize;
    (row * height / HEIGHT_SHARE, (row + 1) * height / HEIGHT_SHARE)
}

/// The mean of a cell's middle half in either direction, at least one pixel.
fn mean_of_middle(luma: &[u8], stride: usize, (top, bottom): (usize, usize), (left, right): (usize, usize)) -> i32 {
    let middle = |from: usize, to: usize| {
        let quarter = (to - from) / 4;
        from + quarter..to - quarter
    };
    let (mut sum, mut count) = (0u32, 0u32);
    for y in middle(top, bottom) {
        for x in middle(left, right) {
            sum += u32::from(luma[y * stride + x]);
            count += 1;
        }
    }
    (sum / count.max(1)) as i32
}

/// CRC-16/CCITT-FALSE (polynomial 0x1021, from 0xffff).
fn checksum(number: u32) -> u16 {
    number.to_be_bytes().iter().fold(0xffff, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    //! Goal: whatever a link does to a picture that is still worth looking at, its number is read; and nothing else is
    //! ever taken for one. Method: any number, at any size, scaled, noisy, of other levels, through the encoder.
    use super::*;
    use proptest::prelude::*;

    const VGA: Size = Size::new(640, 480);

    /// A textured picture with a stamp.
    fn stamped(size: Size, stride: usize, number: u32) -> Vec<u8> {
        let mut luma: Vec<u8> = (0..stride * size.height as usize).map(|i| (i * 31 % 251) as u8).collect();
        write(&mut luma, stride, size, number);
        luma
    }

    fn box_scaled(luma: &[u8], from: Size, to: Size) -> Vec<u8> {
        let mut out = Vec::new();
        for y in 0..to.height {
            for x in 0..to.width {
                let span =
                    |i: u32, from: u32, to: u32| (i * from / to) as usize..((i + 1) * from).div_ceil(to) as usize;
                let (ys, xs) = (span(y, from.height, to.height), span(x, from.width, to.width));
                let count = (ys.len() * xs.len()) as u32;
                let sum: u32 = ys
                    .flat_map(|y| xs.clone().map(move |x| y * from.width as usize + x))
                    .map(|i| u32::from(luma[i]))
                    .sum();
                out.push((sum / count) as u8);
            }
        }
        out
    }

    /// Noise that is the same at every run: a linear congruential generator's upper bits.
    fn add_noise(luma: &mut [u8], amplitude: i32, seed: u64) {
        let mut state = seed;
        for sample in luma {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = ((state >> 33) as i32).rem_euclid(2 * amplitude + 1) - amplitude;
            *sample = (i32::from(*sample) + noise).clamp(0, 255) as u8;
        }
    }

    proptest! {
        #[test]
        fn any_number_is_read_back_at_any_size(number: u32, width in 52u32..2000, height in 48u32..1200, pad in 0usize..70) {
            let size = Size::new(width, height);
            let stride = width as usize + pad;
            prop_assert_eq!(read(&stamped(size, stride, number), stride, size), Some(number));
        }

        #[test]
        fn it_survives_scaling_down_to_a_third_with_noise_on_it(number: u32, percent in 30u32..=100, seed: u64) {
            let to = Size::new(VGA.width * percent / 100, VGA.height * percent / 100);
            let mut scaled = box_scaled(&stamped(VGA, 640, number), VGA, to);
            add_noise(&mut scaled, 30, seed);
            prop_assert_eq!(read(&scaled, to.width as usize, to), Some(number));
        }

        #[test]
        fn it_survives_a_change_of_levels_either_way(number: u32, widen: bool) {
            let mut luma = stamped(VGA, 640, number);
            for sample in &mut luma {
                let y = i32::from(*sample);
                *sample = if widen { (y - 16) * 255 / 219 } else { y * 219 / 255 + 16 }.clamp(0, 255) as u8;
            }
            prop_assert_eq!(read(&luma, 640, VGA), Some(number));
        }

        #[test]
        fn a_picture_without_a_stamp_has_no_number(seed: u64, amplitude in 0i32..128) {
            let mut luma = vec![128; VGA.pixels()];
            add_noise(&mut luma, amplitude, seed);
            prop_assert_eq!(read(&luma, 640, VGA), None);
        }

        #[test]
        fn a_cell_turned_over_is_noticed(number: u32, row in 0usize..ROWS, column in REFERENCES..COLUMNS) {
            let mut luma = stamped(VGA, 640, number);
            let ((top, bottom), (left, right)) = (rows(VGA, row), columns(VGA, column));
            for y in top..bottom {
                for sample in &mut luma[y * 640 + left..y * 640 + right] {
                    *sample = WHITE - (*sample - BLACK);
                }
            }
            prop_assert_eq!(read(&luma, 640, VGA), None);
        }

        #[test]
        fn sizes_that_lie_are_refused(len in 0usize..5000, stride: usize, width: u32, height: u32) {
            let mut luma = vec![7; len];
            let size = Size::new(width, height);
            prop_assert_eq!(read(&luma, stride, size), None);
            write(&mut luma, stride, size, 1);
        }
    }

    #[test]
    fn it_survives_the_encoder_at_a_starved_bitrate() {
        use openh264::encoder::{BitRate, Encoder, EncoderConfig, FrameRate};
        use openh264::formats::{YUVSlices, YUVSource};
        let config = EncoderConfig::new().bitrate(BitRate::from_bps(60_000)).max_frame_rate(FrameRate::from_hz(30.0));
        let config = config.skip_frames(false);
        let mut encoder = Encoder::with_api_config(openh264::OpenH264API::from_source(), config).unwrap();
        let mut decoder = openh264::decoder::Decoder::new().unwrap();
        let (size, chroma) = (Size::new(192, 144), vec![128; 96 * 72]);
        for number in 0x1234_5600..0x1234_5610 {
            let luma = box_scaled(&stamped(VGA, 640, number), VGA, size);
            let yuv = YUVSlices::new((&luma, &chroma, &chroma), (192, 144), (192, 96, 96));
            let bytes = encoder.encode(&yuv).unwrap().to_vec();
            let picture = decoder.decode(&bytes).unwrap().expect("a picture for a picture");
            assert_eq!(read(picture.y(), picture.strides().0, size), Some(number));
        }
    }
}
