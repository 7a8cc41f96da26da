//! One plane of samples, scaled row by row.

use crate::media::Plane;

/// Where an output sample lies between two input samples: the first of them, and how much of the second in 1/256 (0 to
/// 256), packed into a word since the loop over taps is bound by its loads.
#[derive(Clone, Copy, Debug)]
struct Tap(u32);

impl Tap {
    const fn new(at: u32, weight: u32) -> Tap {
        Tap(at << 9 | weight)
    }

    const fn at(self) -> u32 {
        self.0 >> 9
    }

    const fn weight(self) -> u16 {
        (self.0 & 0x1ff) as u16
    }
}

/// The taps of one direction. Samples stand for the middle of their area, so that a picture does not move when scaled.
#[derive(Debug, Default)]
struct Axis {
    taps: Vec<Tap>,
    /// Distance of the two samples: 1, or 0 where there is only one.
    step: usize,
}

impl Axis {
    fn plan(&mut self, from: u32, to: u32) {
        self.step = usize::from(from > 1);
        self.taps.clear();
        self.taps.extend((0..u64::from(to)).map(|i| {
            let (from, to) = (u64::from(from.max(1)), u64::from(to));
            // Centre of output sample i in input samples, in 1/256, less half a sample.
            let centre = ((2 * i + 1) * from * 128 / to).saturating_sub(128).min((from - 1) * 256);
            // The last sample is the second of the last pair, so that `at + step` is always inside.
            let at = (centre >> 8).min(from.saturating_sub(2));
            Tap::new(at as u32, (centre - (at << 8)) as u32)
        }));
    }
}

/// Bilinear scaling of one plane, separable: each input row is scaled across once, output rows mix two of those.
///
/// It reads two neighbours at a time, so below half size it aliases; a screen that small is rare, and a camera that
/// feeds one is set to a smaller size.
#[derive(Debug, Default)]
pub struct Scaler {
    columns: Axis,
    rows: Axis,
    from: (u32, u32),
    to: (u32, u32),
    /// Two input rows, scaled across; the even one first.
    lines: [Vec<u8>; 2],
    /// Which input rows those are, in the present picture.
    held: [Option<u32>; 2],
}

impl Scaler {
    /// Prepares the tables, if the sizes are not what they were. Allocates only then.
    pub fn plan(&mut self, from: (u32, u32), to: (u32, u32)) {
        self.held = [None; 2];
        if (from, to) == (self.from, self.to) {
            return;
        }
        (self.from, self.to) = (from, to);
        self.columns.plan(from.0, to.0);
        self.rows.plan(from.1, to.1);
        for line in &mut self.lines {
            line.clear();
            line.resize(to.0 as usize, 0);
        }
    }

    /// Output row `row` of `plane`, of the sizes given to [`Scaler::plan`], which is to be called before each picture.
    pub fn row(&mut self, plane: &Plane<'_>, row: usize, out: &mut [u8]) {
        let (at, weight) = (self.rows.taps[row].at(), self.rows.taps[row].weight());
        let next = at + self.rows.step as u32;
        self.hold(plane, at);
        self.hold(plane, next);
        let (first, second) = (&self.lines[at as usize & 1], &self.lines[next as usize & 1]);
        match weight {
            0 => out.copy_from_slice(first),
            256 => out.copy_from_slice(second),
            _ => {
                for ((out, a), b) in out.iter_mut().zip(first).zip(second) {
                    *out = mix(*a, *b, weight);
                }
            }
        }
    }

    fn hold(&mut self, plane: &Plane<'_>, row: u32) {
        let slot = row as usize & 1;
        if self.held[slot] == Some(row) {
            return;
        }
        self.held[slot] = Some(row);
        let start = row as usize * plane.stride_bytes;
        let input = &plane.data[start..start + self.from.0 as usize];
        let line = &mut self.lines[slot];
        if self.from.0 == self.to.0 {
            line.copy_from_slice(input);
            return;
        }
        if self.columns.step == 0 {
            line.fill(input[0]);
            return;
        }
        for (out, tap) in line.iter_mut().zip(&self.columns.taps) {
            let pair = &input[tap.at() as usize..][..2];
            *out = mix(pair[0], pair[1], tap.weight());
        }
    }
}

/// `a` and `b` mixed, the weight of `b` in 1/256.
fn mix(a: u8, b: u8, weight: u16) -> u8 {
    ((u16::from(a) * (256 - weight) + u16::from(b) * weight + 128) >> 8) as u8
}
