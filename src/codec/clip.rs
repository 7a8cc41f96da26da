//! A picture that moves and has sensor noise, the same on every machine: what `bench` and the tests are measured on.
//!
//! Clean synthetic pictures flatter every codec, so luma and chroma carry Gaussian noise of a stated sigma.

use crate::media::{ColourRange, Picture, Size};

/// A stream of pictures: a diagonal gradient that drifts, a bright disc that circles over it, and noise.
#[derive(Clone, Debug)]
pub struct Clip {
    size: Size,
    number: u32,
    state: u64,
    noise: Vec<i8>,
}

/// Precomputed noise samples; prime to every picture width, so that rows do not repeat each other.
const NOISE_SAMPLES: usize = 65_521;

impl Clip {
    /// A clip of `size` with noise of standard deviation `sigma`, in steps of luma.
    pub fn new(size: Size, sigma: f32) -> Clip {
        let mut clip = Clip { size, number: 0, state: 0x9e37_79b9_7f4a_7c15, noise: Vec::new() };
        // The sum of 12 uniform variables has variance 1: near enough to Gaussian out to three sigma.
        let mut gauss = || (0..12).map(|_| (clip.random() >> 40) as f32 / (1u32 << 24) as f32).sum::<f32>() - 6.0;
        let noise = (0..NOISE_SAMPLES).map(|_| (gauss() * sigma).round() as i8).collect();
        clip.noise = noise;
        clip
    }

    /// xorshift64*: short, and the same everywhere.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Draws the next picture into `out`.
    pub fn draw(&mut self, out: &mut Picture) {
        out.reshape(self.size);
        out.range = ColourRange::Limited;
        let stride = out.stride_bytes();
        let number = self.number;
        self.number += 1;
        let starts = [(); 3].map(|()| self.random() as usize % NOISE_SAMPLES);
        let (luma, chroma) = (self.size, self.size.chroma());
        let [y, u, v] = out.planes_mut();
        let angle = number as f32 / 20.0;
        let centre = |size: Size| {
            let (w, h) = (size.width as f32, size.height as f32);
            (w * (0.5 + 0.25 * angle.cos()), h * (0.5 + 0.25 * angle.sin()), h / 8.0)
        };
        let (x0, y0, r) = centre(luma);
        self.fill(y, stride, luma, starts[0], |col, row| {
            let (dx, dy) = (col as f32 - x0, row as f32 - y0);
            let drift = (col + row * 2 + number) / 8 % 160;
            if dx * dx + dy * dy < r * r { 210 } else { 40 + drift.min(160 - drift) as i16 * 2 }
        });
        self.fill(u, stride / 2, chroma, starts[1], |col, _| 100 + (col * 48 / chroma.width) as i16);
        self.fill(v, stride / 2, chroma, starts[2], |_, row| 110 + (row * 48 / chroma.height) as i16);
    }

    fn fill(&self, plane: &mut [u8], stride: usize, size: Size, start: usize, value: impl Fn(u32, u32) -> i16) {
        let mut noise = self.noise.iter().cycle().skip(start);
        for (row, line) in plane.chunks_mut(stride).take(size.height as usize).enumerate() {
            for (col, (sample, noise)) in line[..size.width as usize].iter_mut().zip(&mut noise).enumerate() {
                *sample = (value(col as u32, row as u32) + i16::from(*noise)).clamp(1, 254) as u8;
            }
        }
    }
}

/// Peak signal to noise ratio of the luma of two pictures of one size, in dB; infinite where they are equal.
pub fn psnr_luma(a: &Picture, b: &Picture) -> f64 {
    let size = a.size();
    assert_eq!(size, b.size(), "pictures of two sizes cannot be compared");
    let (width, rows) = (size.width as usize, size.height as usize);
    let line = |p: &Picture, row: usize| {
        let start = row * p.stride_bytes();
        start..start + width
    };
    let squares: u64 = (0..rows)
        .flat_map(|row| a.planes()[0].data[line(a, row)].iter().zip(&b.planes()[0].data[line(b, row)]))
        .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
        .sum();
    10.0 * (255.0f64.powi(2) * size.pixels() as f64 / squares as f64).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_has_the_sigma_it_claims() {
        let clip = Clip::new(Size::new(16, 16), 2.0);
        let variance = clip.noise.iter().map(|n| f64::from(*n).powi(2)).sum::<f64>() / NOISE_SAMPLES as f64;
        // Rounding to whole steps adds 1/12.
        assert!((variance - 4.08).abs() < 0.1, "{variance}");
    }

    #[test]
    fn two_clips_are_the_same_and_two_pictures_are_not() {
        let (mut one, mut two) = (Clip::new(Size::new(64, 48), 2.0), Clip::new(Size::new(64, 48), 2.0));
        let mut a = Picture::new(Size::new(64, 48));
        let mut b = a.clone();
        one.draw(&mut a);
        two.draw(&mut b);
        assert!(psnr_luma(&a, &b).is_infinite());
        one.draw(&mut a);
        assert!(psnr_luma(&a, &b) < 45.0);
    }
}
