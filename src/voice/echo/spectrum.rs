//! Blocks of sound as spectra: real transforms of two periods, stored as two rows of numbers so that loops over them are
//! done four and eight at a time by the compiler.

use crate::media::PERIOD;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Samples of a transform: a period, and the one before it.
pub const BLOCK: usize = 2 * PERIOD;
/// Frequencies of it, from 0 to half the sample rate.
pub const BINS: usize = BLOCK / 2 + 1;

/// A number for each frequency.
pub type Row = [f32; BINS];

/// A complex number for each frequency.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// The real parts.
    pub re: Row,
    /// The imaginary parts.
    pub im: Row,
}

impl Spectrum {
    /// Nothing at any frequency.
    pub const SILENCE: Spectrum = Spectrum { re: [0.0; BINS], im: [0.0; BINS] };

    /// The power at each frequency.
    pub fn power(&self) -> Row {
        core::array::from_fn(|bin| self.re[bin] * self.re[bin] + self.im[bin] * self.im[bin])
    }
}

/// What turns blocks into spectra and back. Unnormalised forth, divided by [`BLOCK`] back.
pub struct Transform {
    forth: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    block: [f32; BLOCK],
    bins: [Complex32; BINS],
    scratch: Vec<Complex32>,
}

impl Transform {
    pub fn new() -> Transform {
        let mut planner = RealFftPlanner::new();
        let (forth, back) = (planner.plan_fft_forward(BLOCK), planner.plan_fft_inverse(BLOCK));
        let scratch = vec![Complex32::default(); forth.get_scratch_len().max(back.get_scratch_len())];
        Transform { forth, back, block: [0.0; BLOCK], bins: [Complex32::default(); BINS], scratch }
    }

    /// The spectrum of a block.
    pub fn spectrum(&mut self, block: &[f32; BLOCK], spectrum: &mut Spectrum) {
        self.block.copy_from_slice(block);
        // Only lengths can be wrong, and all are constants.
        let done = self.forth.process_with_scratch(&mut self.block, &mut self.bins, &mut self.scratch);
        debug_assert!(done.is_ok(), "{done:?}");
        for (bin, value) in self.bins.iter().enumerate() {
            spectrum.re[bin] = value.re;
            spectrum.im[bin] = value.im;
        }
    }

    /// The block that has this spectrum.
    pub fn block(&mut self, spectrum: &Spectrum, block: &mut [f32; BLOCK]) {
        for (bin, value) in self.bins.iter_mut().enumerate() {
            *value = Complex32::new(spectrum.re[bin], spectrum.im[bin]);
        }
        // The first and the last are real numbers in the spectrum of a real block.
        self.bins[0].im = 0.0;
        self.bins[BINS - 1].im = 0.0;
        let done = self.back.process_with_scratch(&mut self.bins, block, &mut self.scratch);
        debug_assert!(done.is_ok(), "{done:?}");
        block.iter_mut().for_each(|sample| *sample /= BLOCK as f32);
    }
}

impl core::fmt::Debug for Transform {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Transform").finish_non_exhaustive()
    }
}
