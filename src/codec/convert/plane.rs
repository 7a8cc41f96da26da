//! One plane of samples, copied or scaled: a box filter on the way down, bilinear on the way up.

use crate::media::{Plane, Size};

/// Where samples go, and how they lie there.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    /// From the first row on.
    pub data: &'a mut [u8],
    /// Bytes from row to row.
    pub stride_bytes: usize,
}

fn rows<'a>(plane: Plane<'a>, size: Size) -> impl Iterator<Item = &'a [u8]> {
    plane.data.chunks(plane.stride_bytes.max(1)).take(size.height as usize).map(move |row| &row[..size.width as usize])
}

fn rows_mut<'a>(plane: &'a mut PlaneMut<'_>, size: Size) -> impl Iterator<Item = &'a mut [u8]> {
    let stride = plane.stride_bytes.max(1);
    plane.data.chunks_mut(stride).take(size.height as usize).map(move |row| &mut row[..size.width as usize])
}

/// Copies row by row.
pub fn copy(from: Plane<'_>, to: &mut PlaneMut<'_>, size: Size) {
    for (from, to) in rows(from, size).zip(rows_mut(to, size)) {
        to.copy_from_slice(from);
    }
}

/// Half in both directions: the mean of 2x2 samples.
fn halve(from: Plane<'_>, to: &mut PlaneMut<'_>, size: Size) {
    let full = Size::new(size.width * 2, size.height * 2);
    let mut source = rows(from, full);
    for to in rows_mut(to, size) {
        let (Some(upper), Some(lower)) = (source.next(), source.next()) else { return };
        for ((to, a), b) in to.iter_mut().zip(upper.as_chunks::<2>().0).zip(lower.as_chunks::<2>().0) {
            let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
            *to = ((sum + 2) >> 2) as u8;
        }
    }
}

/// Half the rows: 4:2:2 chroma to 4:2:0. A last row without a partner stays as it is.
fn halve_rows(from: Plane<'_>, to: &mut PlaneMut<'_>, size: Size, from_rows: u32) {
    let mut source = rows(from, Size::new(size.width, from_rows));
    for to in rows_mut(to, size) {
        let Some(upper) = source.next() else { return };
        for ((to, a), b) in to.iter_mut().zip(upper).zip(source.next().unwrap_or(upper)) {
            *to = ((u16::from(*a) + u16::from(*b) + 1) >> 1) as u8;
        }
    }
}

/// The weights of one direction: which samples make up each sample of the result. Weights are in 1/256 and sum to 256.
#[derive(Clone, Debug, Default)]
struct Axis {
    from: u32,
    to: u32,
    taps: usize,
    first: Vec<u32>,
    weights: Vec<u16>,
}

impl Axis {
    fn set(&mut self, from: u32, to: u32) {
        if (self.from, self.to) == (from, to) {
            return;
        }
        (self.from, self.to) = (from, to);
        // A box of from/to samples touches one more than it is long, and another where it starts within one.
        self.taps = if to < from { (from.div_ceil(to) + 1) as usize } else { 2 }.min(from as usize);
        self.first.clear();
        self.weights.clear();
        self.weights.resize(to as usize * self.taps, 0);
        for (n, weights) in (0..u64::from(to)).zip(self.weights.chunks_mut(self.taps)) {
            let first = if to < from {
                area(n, u64::from(from), u64::from(to), weights)
            } else {
                between(n, u64::from(from), u64::from(to), weights)
            };
            self.first.push(first as u32);
        }
    }

    /// Sums of `TAPS` samples each, which carry 8 bits of fraction already.
    fn apply<const TAPS: usize>(&self, line: &[u16], to: &mut [u8]) {
        for ((to, first), weights) in to.iter_mut().zip(&self.first).zip(self.weights.as_chunks::<TAPS>().0) {
            let Some(samples) = line[*first as usize..].first_chunk::<TAPS>() else { return };
            let sum: u32 = (0..TAPS).map(|n| u32::from(samples[n]) * u32::from(weights[n])).sum();
            *to = ((sum + (1 << 15)) >> 16) as u8;
        }
    }

    fn apply_any(&self, line: &[u16], to: &mut [u8]) {
        for ((to, first), weights) in to.iter_mut().zip(&self.first).zip(self.weights.chunks(self.taps)) {
            let samples = &line[*first as usize..][..weights.len()];
            let sum: u32 = samples.iter().zip(weights).map(|(s, w)| u32::from(*s) * u32::from(*w)).sum();
            *to = ((sum + (1 << 15)) >> 16) as u8;
        }
    }

    fn of(&self, n: usize) -> (usize, &[u16]) {
        (self.first[n] as usize, &self.weights[n * self.taps..][..self.taps])
    }
}

/// Shares of the samples under the box [n, n + 1) × from/to. Returns the first sample that `weights` stands for.
fn area(n: u64, from: u64, to: u64, weights: &mut [u16]) -> u64 {
    // In units of 1/to of a source sample everything is whole.
    let (start, end) = (n * from, (n + 1) * from);
    let first = (start / to).min(from - weights.len() as u64);
    // Rounding the running sum, not each share, keeps the whole at 256 and every part where it belongs.
    let (mut covered, mut given) = (0, 0);
    for (sample, weight) in (first..).zip(weights.iter_mut()) {
        covered += ((sample + 1) * to).min(end).saturating_sub((sample * to).max(start));
        let sum = covered * 256 / from;
        *weight = (sum - given) as u16;
        given = sum;
    }
    first
}

/// Shares of the two samples that enclose the middle of sample n of the result.
fn between(n: u64, from: u64, to: u64, weights: &mut [u16]) -> u64 {
    // The middle lies at (n + 1/2) from/to − 1/2; twice `to` as denominator keeps it whole.
    let place = ((2 * n + 1) * from).saturating_sub(to);
    let first = (place / (2 * to)).min(from - weights.len() as u64);
    let share = ((place - first * 2 * to) * 256 / (2 * to)).min(256) as u16;
    match weights {
        [one] => *one = 256,
        [a, b, ..] => (*a, *b) = (256 - share, share),
        [] => {}
    }
    first
}

/// Scales planes of one pair of sizes after another; its tables are rebuilt when the sizes change.
#[derive(Clone, Debug, Default)]
pub struct PlaneScaler {
    across: Axis,
    down: Axis,
    line: Vec<u16>,
}

impl PlaneScaler {
    /// Fills `to` with `from`, taking the cheapest way there is. A plane without samples stays as it is.
    pub fn scale(&mut self, from: Plane<'_>, from_size: Size, to: &mut PlaneMut<'_>, to_size: Size) {
        if from_size.pixels() == 0 || to_size.pixels() == 0 {
            return;
        }
        if from_size == to_size {
            copy(from, to, to_size);
        } else if from_size == Size::new(to_size.width * 2, to_size.height * 2) {
            halve(from, to, to_size);
        } else if from_size.width == to_size.width && from_size.height.div_ceil(2) == to_size.height {
            halve_rows(from, to, to_size, from_size.height);
        } else {
            self.weigh(from, from_size, to, to_size);
        }
    }

    /// Downwards first, whole rows at a time, which is what SIMD likes; then across what is left.
    fn weigh(&mut self, from: Plane<'_>, from_size: Size, to: &mut PlaneMut<'_>, to_size: Size) {
        self.across.set(from_size.width, to_size.width);
        self.down.set(from_size.height, to_size.height);
        let width = from_size.width as usize;
        self.line.resize(width, 0);
        for (n, to) in rows_mut(to, to_size).enumerate() {
            let (first, weights) = self.down.of(n);
            self.line.fill(0);
            for (row, weight) in (first..).zip(weights).filter(|(_, weight)| **weight > 0) {
                let samples = &from.data[row * from.stride_bytes..][..width];
                for (sum, sample) in self.line.iter_mut().zip(samples) {
                    // 255 × 256 in all: it fits.
                    *sum += u16::from(*sample) * weight;
                }
            }
            // Up to a third, the taps are a constant, which makes this twice as fast.
            match self.across.taps {
                2 => self.across.apply::<2>(&self.line, to),
                3 => self.across.apply::<3>(&self.line, to),
                4 => self.across.apply::<4>(&self.line, to),
                _ => self.across.apply_any(&self.line, to),
            }
        }
    }
}
