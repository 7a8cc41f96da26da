//! The film that every program is shown: synthetic, the same in every run, with the noise of a real sensor.
//!
//! A textured room seen by a hand-held camera, and before it a head and shoulders that sway against the motion of
//! the room. It loops without a seam. Noise of sigma 2 on luma, fresh in each frame, since clean synthetic pictures
//! flatter every codec: with it no codec can come nearer to its original than 42 dB unless it spends its bits on noise.

use crate::stamp::{self, CELL_PX, Plane};
use std::f32::consts::TAU;

/// Frames in the loop: 2 s, at which a 720p clip still takes only 83 MB.
const LOOP_FRAMES: usize = 60;
/// How far the camera sways, in 1/640 of the width: at most 3.4 samples a frame at 640x480.
const SWAY_X: f32 = 32.0;
const SWAY_Y: f32 = 14.0;
/// Room that the sway needs around the picture.
const MARGIN_PX: usize = 64;

/// Mean distance of the shapes with edges, and half the step at an edge.
const EDGE_SPAN_PX: usize = 24;
const EDGE: f32 = 24.0;

/// How the samples of a frame lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Three planes, chroma halved both ways.
    I420,
    /// Packed 8-bit blue, green, red: what OpenCV gives a program.
    Bgr,
}

/// Width and height of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// Bytes of a frame.
    pub fn frame_bytes(self, layout: Layout) -> usize {
        match layout {
            Layout::I420 => self.width * self.height * 3 / 2,
            Layout::Bgr => self.width * self.height * 3,
        }
    }

    /// Where the stamp's samples lie.
    pub fn stamp_plane(self, layout: Layout) -> Plane {
        match layout {
            Layout::I420 => Plane { step: 1, stride: self.width },
            Layout::Bgr => Plane { step: 3, stride: self.width * 3 },
        }
    }
}

/// A film in memory, without stamps.
pub struct Clip {
    /// Its picture size.
    pub size: Size,
    /// How its frames lie in memory.
    pub layout: Layout,
    frames: Vec<Vec<u8>>,
}

/// How near a picture came to its original.
#[derive(Clone, Copy, Debug)]
pub struct Likeness {
    /// Mean squared error of luma; of all samples in BGR.
    pub mean_squared_error: f64,
    /// The same of the worst block: a smear is a local thing, and a mean over the picture hides it.
    pub worst_block: f64,
}

impl Clip {
    /// Makes the film in I420.
    pub fn new(size: Size) -> Clip {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let room = Texture::new(&mut noise, size, 128.0, 44.0);
        let person = Texture::new(&mut noise, size, 120.0, 36.0);
        let frames = (0..LOOP_FRAMES).map(|n| frame(size, &room, &person, &mut noise, n)).collect();
        Clip { size, layout: Layout::I420, frames }
    }

    /// The same film as packed BGR, converted as BT.601 says.
    pub fn to_bgr(&self) -> Clip {
        let frames = self.frames.iter().map(|frame| bgr(frame, self.size)).collect();
        Clip { size: self.size, layout: Layout::Bgr, frames }
    }

    /// Writes frame `number`, stamped, into `buffer`, which has a frame's length.
    pub fn render(&self, number: u32, buffer: &mut [u8]) {
        buffer.copy_from_slice(self.original(number));
        stamp::write(buffer, self.size.stamp_plane(self.layout), number);
    }

    /// Compares what came out with frame `number`, below the stamp's rows.
    pub fn compare(&self, number: u32, shown: &[u8]) -> Likeness {
        // 32 x 16 luma samples: two macroblocks, small enough that one lost slice fills a block.
        const BLOCK_ROWS: usize = 16;
        const BLOCK_BYTES: usize = 32;
        let stride = self.size.stamp_plane(self.layout).stride;
        let rows = stride * CELL_PX..stride * self.size.height;
        let (original, shown) = (&self.original(number)[rows.clone()], &shown[rows]);
        let (mut total, mut worst, mut counted) = (0u64, 0f64, 0u64);
        let band_bytes = stride * BLOCK_ROWS;
        let mut sums = vec![0u64; stride / BLOCK_BYTES];
        for (a, b) in original.chunks_exact(band_bytes).zip(shown.chunks_exact(band_bytes)) {
            sums.fill(0);
            for (a, b) in a.chunks_exact(stride).zip(b.chunks_exact(stride)) {
                let blocks = a.chunks_exact(BLOCK_BYTES).zip(b.chunks_exact(BLOCK_BYTES));
                for (sum, (a, b)) in sums.iter_mut().zip(blocks) {
                    let error: i32 = a.iter().zip(b).map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2)).sum();
                    *sum += error as u64;
                }
            }
            let highest = sums.iter().copied().max().unwrap_or(0);
            worst = worst.max(highest as f64 / (BLOCK_BYTES * BLOCK_ROWS) as f64);
            total += sums.iter().sum::<u64>();
            counted += (sums.len() * BLOCK_BYTES * BLOCK_ROWS) as u64;
        }
        Likeness { mean_squared_error: total as f64 / counted.max(1) as f64, worst_block: worst }
    }

    fn original(&self, number: u32) -> &[u8] {
        &self.frames[number as usize % self.frames.len()]
    }
}

/// Peak signal to noise ratio in dB; 99 stands for lossless.
pub fn psnr_db(mean_squared_error: f64) -> f64 {
    if mean_squared_error <= 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 / mean_squared_error).log10() }
}

fn frame(size: Size, room: &Texture, person: &Texture, noise: &mut Noise, number: usize) -> Vec<u8> {
    let turn = TAU * number as f32 / LOOP_FRAMES as f32;
    let scale = size.width as f32 / 640.0;
    let (sway_x, sway_y) = (SWAY_X * scale * turn.sin(), SWAY_Y * scale * (2.0 * turn).sin());
    let margin = MARGIN_PX as f32;
    let room_at = (margin + sway_x, margin + sway_y);
    let person_at = (margin - sway_x * 0.5, margin + sway_y * 0.5);
    let mut out = vec![0; size.frame_bytes(Layout::I420)];
    let (luma, chroma) = out.split_at_mut(size.width * size.height);
    for (y, row) in luma.chunks_exact_mut(size.width).enumerate() {
        for (x, sample) in row.iter_mut().enumerate() {
            let inside = is_person(size, x as f32 + sway_x * 0.5, y as f32);
            let value = if inside { person.at(x, y, person_at) } else { room.at(x, y, room_at) };
            *sample = (value + noise.gauss(2.0)).clamp(16.0, 235.0) as u8;
        }
    }
    let (width, height) = (size.width / 2, size.height / 2);
    for (plane, samples) in chroma.chunks_exact_mut(width * height).enumerate() {
        for (y, row) in samples.chunks_exact_mut(width).enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                let inside = is_person(size, 2.0 * x as f32 + sway_x * 0.5, 2.0 * y as f32);
                let tint: f32 = if inside { [-14.0, 18.0][plane] } else { [8.0, -6.0][plane] };
                // Colours follow the texture at a fifth of its contrast, as on real walls and faces.
                let value = if inside { person.at(2 * x, 2 * y, person_at) } else { room.at(2 * x, 2 * y, room_at) };
                *sample = (128.0 + tint + (value - 128.0) * 0.2 + noise.gauss(1.0)).clamp(16.0, 240.0) as u8;
            }
        }
    }
    out
}

/// A head above shoulders, both ellipses.
fn is_person(size: Size, x: f32, y: f32) -> bool {
    let (u, v) = (x / size.width as f32 - 0.5, y / size.height as f32);
    let ellipse = |cv: f32, ru: f32, rv: f32| (u / ru).powi(2) + ((v - cv) / rv).powi(2) < 1.0;
    ellipse(0.42, 0.11, 0.2) || ellipse(1.05, 0.3, 0.42)
}

/// A plane of smoothed random values in octaves, larger than the picture by the margin on each side.
struct Texture {
    stride: usize,
    samples: Vec<f32>,
}

impl Texture {
    fn new(noise: &mut Noise, size: Size, mean: f32, contrast: f32) -> Texture {
        let (stride, rows) = (size.width + 2 * MARGIN_PX, size.height + 2 * MARGIN_PX);
        let mut samples = vec![mean; stride * rows];
        // From the span of a wall down to the weave of a cloth. Contrast falls with size a little slower than the
        // 1/f of natural pictures, which is what gives an encoder as much to do as a real room does.
        for (span, weight) in [(128, 0.5), (64, 0.5), (32, 0.35), (16, 0.25), (8, 0.2), (4, 0.15)] {
            let octave = octave(noise, stride, rows, span);
            samples.iter_mut().zip(octave).for_each(|(sample, value)| *sample += value * contrast * weight * 2.0);
        }
        // Edges, as of books and letters, two samples wide. A block that belongs to another frame shows by them.
        let shapes = octave(noise, stride, rows, EDGE_SPAN_PX);
        samples.iter_mut().zip(shapes).for_each(|(sample, value)| *sample += (value * 16.0).clamp(-1.0, 1.0) * EDGE);
        Texture { stride, samples }
    }

    /// The value at a whole position moved by a fractional offset, bilinear: motion is finer than a sample.
    fn at(&self, x: usize, y: usize, offset: (f32, f32)) -> f32 {
        let (x, y) = (x as f32 + offset.0, y as f32 + offset.1);
        let (fx, fy) = (x.fract(), y.fract());
        let at = y as usize * self.stride + x as usize;
        let upper = self.samples[at] + (self.samples[at + 1] - self.samples[at]) * fx;
        let below = at + self.stride;
        let lower = self.samples[below] + (self.samples[below + 1] - self.samples[below]) * fx;
        upper + (lower - upper) * fy
    }
}

/// Random knots `span` samples apart with smooth passages between them, in −0.5..0.5.
fn octave(noise: &mut Noise, stride: usize, rows: usize, span: usize) -> impl Iterator<Item = f32> {
    let (columns, lines) = (stride / span + 2, rows / span + 2);
    let knots: Vec<f32> = (0..columns * lines).map(|_| noise.uniform()).collect();
    (0..stride * rows).map(move |at| {
        let (x, y) = (at % stride, at / stride);
        let (fx, fy) = (smooth((x % span) as f32 / span as f32), smooth((y % span) as f32 / span as f32));
        let knot = y / span * columns + x / span;
        let upper = knots[knot] + (knots[knot + 1] - knots[knot]) * fx;
        let lower = knots[knot + columns] + (knots[knot + columns + 1] - knots[knot + columns]) * fx;
        upper + (lower - upper) * fy
    })
}

fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// Marsaglia's xorshift64: short, and the same on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// In −0.5..0.5.
    fn uniform(&mut self) -> f32 {
        self.next() as f32 / u32::MAX as f32 - 0.5
    }

    /// Near enough to a normal distribution: the sum of four bytes has sigma 147.8 about 510.
    fn gauss(&mut self, sigma: f32) -> f32 {
        let sum: u32 = self.next().to_be_bytes().iter().map(|b| u32::from(*b)).sum();
        // Half a step is added because the caller cuts the fraction off.
        (sum as f32 - 510.0) * (sigma / 147.8) + 0.5
    }
}

fn bgr(frame: &[u8], size: Size) -> Vec<u8> {
    let (luma, chroma) = frame.split_at(size.width * size.height);
    let (cb, cr) = chroma.split_at(chroma.len() / 2);
    let mut out = Vec::with_capacity(size.frame_bytes(Layout::Bgr));
    for (at, y) in luma.iter().enumerate() {
        let c = at / size.width / 2 * (size.width / 2) + at % size.width / 2;
        let (y, u, v) = (1.164 * (f32::from(*y) - 16.0), f32::from(cb[c]) - 128.0, f32::from(cr[c]) - 128.0);
        out.push((y + 2.018 * u) as u8);
        out.push((y - 0.391 * u - 0.813 * v) as u8);
        out.push((y + 1.596 * v) as u8);
    }
    out
}
