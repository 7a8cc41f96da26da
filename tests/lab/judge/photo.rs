//! A photograph of a screen, and what is to be seen on it.

use super::clip;
use crate::Outcome;
use std::fs::File;
use std::io::{BufWriter, Write};

/// The first row that is judged: a macroblock's height beside the stamp, whose edge bleeds in scaling and coding.
const BELOW_STAMP: usize = clip::STAMP_ROWS as usize + 20;
/// Rows that are judged together: those of a macroblock, the least that is lost or smeared. 208 rows are thirteen bands.
const BAND_ROWS: usize = 16;

/// The part of the clip that is judged, in its pixels: down to a row, and right to a column. The stamp is always whole.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    pub rows: usize,
    pub columns: usize,
}

impl Region {
    pub const WHOLE: Region = Region { rows: clip::SIZE.1 as usize, columns: clip::SIZE.0 as usize };
    /// What an intercom leaves of a picture: on 320x240 the band that says who rings is in the last 45 rows, and one's
    /// own picture in the last 94 columns, below the stamp; some macroblocks beside both.
    pub const BESIDE_OVERLAY: Region = Region { rows: 176, columns: 208 };
}

/// The bytes of a framebuffer.
#[derive(Debug)]
pub struct Photo {
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next.
    pub pitch: usize,
    pub bytes: Vec<u8>,
    /// Red, green and blue of the pixel in the given column of the given row.
    pub pixel: fn(&[u8], usize) -> [u8; 3],
}

/// What a photograph shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sight {
    /// A frame of the clip, and how well it is preserved where it is worst.
    Clip { number: u32, worst_db: f64 },
    /// vivid's colour bars.
    Bars,
    /// One colour all over: nothing was drawn.
    Blank,
    /// Something else, such as a card with words on it.
    Other,
}

impl Photo {
    /// A pixel of a row in XRGB8888 (B, G, R, and a byte that means nothing).
    pub fn pixel_xrgb8888(row: &[u8], x: usize) -> [u8; 3] {
        [row[x * 4 + 2], row[x * 4 + 1], row[x * 4]]
    }

    /// A pixel of a row in RGB565, little-endian.
    pub fn pixel_rgb565(row: &[u8], x: usize) -> [u8; 3] {
        let word = u16::from_le_bytes([row[x * 2], row[x * 2 + 1]]);
        [(word >> 11 << 3) as u8, (word >> 5 << 2) as u8, (word << 3) as u8]
    }

    /// Red, green and blue at a place given as parts of the width and the height.
    fn at(&self, across: f64, down: f64) -> [u8; 3] {
        let place = |part: f64, size: u32| ((part * f64::from(size)) as usize).min(size as usize - 1);
        (self.pixel)(&self.bytes[place(down, self.height) * self.pitch..], place(across, self.width))
    }

    /// Luma at a place, in video range, with the four pixels around it weighed by their distance: as a scaler's output
    /// is to be read at points of its input.
    fn luma_at(&self, across: f64, down: f64) -> f64 {
        let place = |part: f64, size: u32| {
            let at = (part * f64::from(size) - 0.5).clamp(0.0, f64::from(size - 1));
            (at as usize, (at as usize + 1).min(size as usize - 1), at.fract())
        };
        let (left, right, beside) = place(across, self.width);
        let (top, bottom, below) = place(down, self.height);
        let row = |y: usize| {
            let row = &self.bytes[y * self.pitch..];
            luma((self.pixel)(row, left)) * (1.0 - beside) + luma((self.pixel)(row, right)) * beside
        };
        row(top) * (1.0 - below) + row(bottom) * below
    }

    /// Luma of all pixels, in video range, row by row: as a camera sees them.
    pub fn luma(&self) -> Vec<u8> {
        let row = |row| (0..self.width as usize).map(move |x| luma((self.pixel)(row, x)).round() as u8);
        self.bytes.chunks_exact(self.pitch).take(self.height as usize).flat_map(row).collect()
    }

    /// What is to be seen, if the clip or the camera's picture fills the screen: both have its shape.
    pub fn sight(&self) -> Sight {
        self.sight_within(Region::WHOLE)
    }

    /// The same, where something stands upon the picture outside of `region`.
    pub fn sight_within(&self, region: Region) -> Sight {
        if let Some(number) = self.stamp() {
            return Sight::Clip { number, worst_db: self.worst_db(number, region) };
        }
        if self.has_bars() {
            return Sight::Bars;
        }
        let first = self.at(0.5, 0.5);
        let spots = (0..64 * 64).map(|n| self.at(f64::from(n % 64) / 64.0, f64::from(n / 64) / 64.0));
        if spots.into_iter().all(|spot| spot == first) { Sight::Blank } else { Sight::Other }
    }

    /// The number in the stamp, read in the middle of its cells.
    fn stamp(&self) -> Option<u32> {
        const MIDDLE: f64 = clip::STAMP_ROWS as f64 / 2.0 / clip::SIZE.1 as f64;
        let mut cells = 0;
        for cell in 0..clip::CELLS {
            let luma = self.luma_at((f64::from(cell) + 0.5) / f64::from(clip::CELLS), MIDDLE);
            // Neither black nor white: not a stamp, or one that is being drawn over.
            if (90.0..160.0).contains(&luma) {
                return None;
            }
            cells = cells << 1 | u32::from(luma > 125.0);
        }
        clip::number_in(cells)
    }

    /// Peak signal to noise ratio of the luma against the clip's frame `number`, in decibels, in that band of rows below
    /// the stamp in which it is worst: a smear or a tear must not vanish in the mean.
    fn worst_db(&self, number: u32, region: Region) -> f64 {
        let wave = clip::Wave::of(number);
        (BELOW_STAMP..region.rows)
            .step_by(BAND_ROWS)
            .map(|top| 10.0 * (255.0 * 255.0 / f64::max(self.band_error(&wave, top, region), 1e-3)).log10())
            .fold(f64::INFINITY, f64::min)
    }

    /// Mean square of the difference of the luma to that of `wave` in the rows of `region` from `top` on.
    fn band_error(&self, wave: &clip::Wave, top: usize, region: Region) -> f64 {
        /// Every second sample of every second row: as many as show in 4:2:0.
        const STEP: usize = 2;
        let (width, height) = (clip::SIZE.0 as usize, clip::SIZE.1 as usize);
        let (mut squares, mut count) = (0.0, 0.0);
        for y in (top..region.rows.min(top + BAND_ROWS)).step_by(STEP) {
            for x in (0..region.columns).step_by(STEP) {
                let shown = self.luma_at((x as f64 + 0.5) / width as f64, (y as f64 + 0.5) / height as f64);
                squares += (shown - f64::from(wave.luma(x, y))).powi(2);
                count += 1.0;
            }
        }
        squares / f64::max(count, 1.0)
    }

    /// Whether the lower half has vivid's eight bars, told by which of red, green and blue are on.
    fn has_bars(&self) -> bool {
        // White, yellow, cyan, green, magenta, red, blue, black.
        const ON: [[bool; 3]; 8] = [
            [true, true, true],
            [true, true, false],
            [false, true, true],
            [false, true, false],
            [true, false, true],
            [true, false, false],
            [false, false, true],
            [false, false, false],
        ];
        ON.iter().enumerate().all(|(bar, on)| {
            let spot = self.at((bar as f64 + 0.5) / 8.0, 0.75);
            spot.map(|part| part > 110) == *on
        })
    }

    /// Writes it as a PPM, for people.
    pub fn save(&self, path: &str) -> Outcome {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "P6 {} {} 255", self.width, self.height)?;
        for row in self.bytes.chunks_exact(self.pitch) {
            for x in 0..self.width as usize {
                file.write_all(&(self.pixel)(row, x))?;
            }
        }
        Ok(file.flush()?)
    }
}

/// Luma in video range of a full-range RGB pixel, by BT.601.
fn luma([red, green, blue]: [u8; 3]) -> f64 {
    16.0 + (65.481 * f64::from(red) + 128.553 * f64::from(green) + 24.966 * f64::from(blue)) / 255.0
}
