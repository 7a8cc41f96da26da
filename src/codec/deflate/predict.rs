//! The prediction of one plane's band of rows, block by block: what is left of a sample when its guess is taken away.
//!
//! A block is 32 samples wide and 8 rows high (less at the right and lower edge), so that its rows are whole SIMD
//! registers, and small enough that a moving hand does not spoil the guess for a still wall. The kernels work on fixed
//! rows of 32, which the compiler turns into SIMD by itself.

use crate::codec::CodecError;

/// Samples in a row of a block.
pub const BLOCK_WIDTH: usize = 32;
/// Rows of a block.
pub const BLOCK_ROWS: usize = 8;
/// The largest bound for which [`Quantiser`]'s division is exact: 128 × 319 < 2¹⁶.
pub const NEAR_MAX: u8 = 64;

type Row = [u8; BLOCK_WIDTH];

/// How a block's samples are guessed. The numbers are those of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Nothing is sent: the reference stands.
    Same = 0,
    /// The same place in the reference.
    Before = 1,
    /// The mean of that and the sample above: averaging two noisy guesses makes a less noisy one.
    Mean = 2,
    /// The sample above.
    Above = 3,
    /// The mean of the samples to the left and above.
    Corner = 4,
}

impl Mode {
    fn parse(byte: u8, key: bool) -> Result<Mode, CodecError> {
        match (byte, key) {
            (0, false) => Ok(Mode::Same),
            (1, false) => Ok(Mode::Before),
            (2, false) => Ok(Mode::Mean),
            (3, _) => Ok(Mode::Above),
            (4, _) => Ok(Mode::Corner),
            _ => Err(CodecError::Broken("deflate: a block of no known mode")),
        }
    }
}

/// (a + b + 1) / 2: the form that compilers know as one instruction.
const fn mean(a: u8, b: u8) -> u8 {
    ((a as u16 + b as u16 + 1) >> 1) as u8
}

/// Turns differences into steps of 2 N + 1 and back, so that what comes back is within N (as JPEG-LS does, ITU-T T.87).
#[derive(Clone, Copy, Debug)]
pub struct Quantiser {
    near: u8,
    step: i16,
    reciprocal: u16,
}

impl Quantiser {
    /// For an error of at most `near`, 0 to [`NEAR_MAX`].
    pub fn new(near: u8) -> Quantiser {
        let near = near.min(NEAR_MAX);
        let step = 2 * i16::from(near) + 1;
        // For a step of 1 the reciprocal would be 65,536; that step is never divided by.
        Quantiser { near, step, reciprocal: 65_536u32.div_ceil(step as u32).min(65_535) as u16 }
    }

    /// The difference in whole steps, to the nearest.
    fn steps(self, value: u8, guess: u8) -> i16 {
        let difference = i16::from(value) - i16::from(guess);
        let magnitude = difference.unsigned_abs() + u16::from(self.near);
        let steps = ((u32::from(magnitude) * u32::from(self.reciprocal)) >> 16) as i16;
        if difference < 0 { -steps } else { steps }
    }

    /// What the decoder makes of it.
    fn value(self, guess: u8, steps: i16) -> u8 {
        (i16::from(guess) + steps * self.step).clamp(0, 255) as u8
    }
}

/// The samples of a plane from the band's first row on, and where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Samples in a row.
    pub width: usize,
    /// Rows of the band.
    pub rows: usize,
    /// Bytes from row to row.
    pub stride: usize,
}

impl Geometry {
    /// Left edge, upper edge, width and height of each block, row by row.
    fn blocks(self) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        (0..self.rows).step_by(BLOCK_ROWS).flat_map(move |y| {
            let rows = BLOCK_ROWS.min(self.rows - y);
            (0..self.width).step_by(BLOCK_WIDTH).map(move |x| (x, y, BLOCK_WIDTH.min(self.width - x), rows))
        })
    }

    /// How many blocks there are.
    pub fn block_count(self) -> usize {
        self.width.div_ceil(BLOCK_WIDTH) * self.rows.div_ceil(BLOCK_ROWS)
    }
}

/// A row of a block out of a plane, zeros past its width.
fn load(plane: &[u8], at: usize, width: usize) -> Row {
    let mut row = [0; BLOCK_WIDTH];
    if width == BLOCK_WIDTH {
        row.copy_from_slice(&plane[at..at + BLOCK_WIDTH]);
    } else {
        row[..width].copy_from_slice(&plane[at..at + width]);
    }
    row
}

fn store(plane: &mut [u8], at: usize, width: usize, row: &Row) {
    if width == BLOCK_WIDTH {
        plane[at..at + BLOCK_WIDTH].copy_from_slice(row);
    } else {
        plane[at..at + width].copy_from_slice(&row[..width]);
    }
}

/// The row above a block's first: of the band's first row, mid-grey, so that bands need nothing of each other.
fn above(plane: &[u8], geometry: Geometry, x: usize, y: usize, width: usize) -> Row {
    if y == 0 { [128; BLOCK_WIDTH] } else { load(plane, (y - 1) * geometry.stride + x, width) }
}

/// What stands to the left of a block's row; at the picture's edge, what stands above.
fn left(plane: &[u8], at: usize, x: usize, above: &Row) -> u8 {
    if x == 0 { above[0] } else { plane[at - 1] }
}

fn map2(a: &Row, b: &Row, f: impl Fn(u8, u8) -> u8) -> Row {
    core::array::from_fn(|i| f(a[i], b[i]))
}

/// How far `a` and `b` lie apart in sum, not counting the first `near` of each sample.
fn excess(a: &Row, b: &Row, near: u8) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b).saturating_sub(near))).sum()
}

/// The mode that leaves least. It is chosen from the source alone: with an error bound the neighbours that the decoder
/// will see differ from it by that bound at most.
fn choose(
    source: &[u8],
    reference: &[u8],
    geometry: Geometry,
    block: (usize, usize, usize, usize),
    key: bool,
    near: u8,
) -> Mode {
    let (x, y, width, rows) = block;
    let mut up = above(source, geometry, x, y, width);
    // Before, mean, above, corner.
    let mut costs = [0u32; 4];
    let mut same = true;
    for row in 0..rows {
        let at = (y + row) * geometry.stride + x;
        let now = load(source, at, width);
        let mut shifted = [left(source, at, x, &up); BLOCK_WIDTH];
        shifted[1..].copy_from_slice(&now[..BLOCK_WIDTH - 1]);
        costs[2] += excess(&now, &up, near);
        costs[3] += excess(&now, &map2(&shifted, &up, mean), near);
        if !key {
            let before = load(reference, at, width);
            let apart = excess(&now, &before, near);
            same &= apart == 0;
            costs[0] += apart;
            costs[1] += excess(&now, &map2(&before, &up, mean), near);
        }
        up = now;
    }
    let spatial = if costs[2] <= costs[3] { (costs[2], Mode::Above) } else { (costs[3], Mode::Corner) };
    if key {
        return spatial.1;
    }
    if same {
        return Mode::Same;
    }
    // On a tie the reference wins: its zeros come in long runs.
    [(costs[0], Mode::Before), (costs[1], Mode::Mean), spatial]
        .into_iter()
        .min_by_key(|c| c.0)
        .map_or(spatial.1, |c| c.1)
}

/// Predicts one band of one plane: appends a mode for each block to `modes` and its residuals to `residuals`, and
/// leaves in `reference` what the decoder will have. `source` has the reference's geometry.
pub fn encode(
    source: &[u8],
    reference: &mut [u8],
    geometry: Geometry,
    key: bool,
    quantiser: Quantiser,
    modes: &mut Vec<u8>,
    residuals: &mut Vec<u8>,
) {
    for block in geometry.blocks() {
        let mode = choose(source, reference, geometry, block, key, quantiser.near);
        modes.push(mode as u8);
        if mode == Mode::Same {
            continue;
        }
        let (x, y, width, rows) = block;
        let mut up = above(reference, geometry, x, y, width);
        for row in 0..rows {
            let at = (y + row) * geometry.stride + x;
            let now = load(source, at, width);
            let edge = left(reference, at, x, &up);
            let (left_over, kept) = if quantiser.near == 0 {
                let guess = guess(mode, &load(reference, at, width), &up, || {
                    let mut shifted = [edge; BLOCK_WIDTH];
                    shifted[1..].copy_from_slice(&now[..BLOCK_WIDTH - 1]);
                    shifted
                });
                (map2(&now, &guess, u8::wrapping_sub), now)
            } else if mode == Mode::Corner {
                corner_near(&now, &up, edge, quantiser)
            } else {
                let guess = guess(mode, &load(reference, at, width), &up, || up);
                let steps: [i16; BLOCK_WIDTH] = core::array::from_fn(|i| quantiser.steps(now[i], guess[i]));
                (steps.map(|s| s as u8), core::array::from_fn(|i| quantiser.value(guess[i], steps[i])))
            };
            residuals.extend_from_slice(&left_over[..width]);
            store(reference, at, width, &kept);
            up = kept;
        }
    }
}

/// The guess for a whole row, where it does not depend on the row itself.
fn guess(mode: Mode, before: &Row, up: &Row, left: impl FnOnce() -> Row) -> Row {
    match mode {
        Mode::Same | Mode::Before => *before,
        Mode::Mean => map2(before, up, mean),
        Mode::Above => *up,
        Mode::Corner => map2(&left(), up, mean),
    }
}

/// One row of mode corner with an error bound: each sample's guess needs what the decoder made of the one before.
fn corner_near(now: &Row, up: &Row, mut left: u8, quantiser: Quantiser) -> (Row, Row) {
    let (mut residuals, mut kept) = ([0; BLOCK_WIDTH], [0; BLOCK_WIDTH]);
    for i in 0..BLOCK_WIDTH {
        let guess = mean(left, up[i]);
        let steps = quantiser.steps(now[i], guess);
        left = quantiser.value(guess, steps);
        (residuals[i], kept[i]) = (steps as u8, left);
    }
    (residuals, kept)
}

/// Undoes [`encode`] on `plane`, which holds the reference before and the picture after. `residuals` is what is left of
/// the slice's; what the band used is cut off its front.
///
/// # Errors
/// Broken, where a mode is unknown or the residuals come to an end.
pub fn decode(
    plane: &mut [u8],
    geometry: Geometry,
    key: bool,
    quantiser: Quantiser,
    modes: &[u8],
    residuals: &mut &[u8],
) -> Result<(), CodecError> {
    for ((x, y, width, rows), mode) in geometry.blocks().zip(modes) {
        let mode = Mode::parse(*mode, key)?;
        if mode == Mode::Same {
            continue;
        }
        let block;
        (block, *residuals) =
            residuals.split_at_checked(width * rows).ok_or(CodecError::Broken("deflate: residuals end too soon"))?;
        let mut up = above(plane, geometry, x, y, width);
        for row in 0..rows {
            let at = (y + row) * geometry.stride + x;
            let left_over = load(block, row * width, width);
            let now = if mode == Mode::Corner {
                corner(&left_over, &up, left(plane, at, x, &up), quantiser)
            } else {
                let guess = guess(mode, &load(plane, at, width), &up, || up);
                if quantiser.near == 0 {
                    map2(&guess, &left_over, u8::wrapping_add)
                } else {
                    map2(&guess, &left_over, |g, steps| quantiser.value(g, i16::from(steps as i8)))
                }
            };
            store(plane, at, width, &now);
            up = now;
        }
    }
    Ok(())
}

/// One row of mode corner: serial by nature.
fn corner(left_over: &Row, up: &Row, mut left: u8, quantiser: Quantiser) -> Row {
    let mut now = [0; BLOCK_WIDTH];
    for i in 0..BLOCK_WIDTH {
        let guess = mean(left, up[i]);
        left = if quantiser.near == 0 {
            guess.wrapping_add(left_over[i])
        } else {
            quantiser.value(guess, i16::from(left_over[i] as i8))
        };
        now[i] = left;
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_guess_come_back_within_the_bound() {
        for near in 1..=NEAR_MAX {
            let quantiser = Quantiser::new(near);
            for value in 0..=255 {
                for guess in 0..=255 {
                    let steps = quantiser.steps(value, guess);
                    // A residual is a byte: the steps must survive it.
                    let back = quantiser.value(guess, i16::from(steps as i8));
                    assert!(back.abs_diff(value) <= near, "near {near}: {value} guessed {guess} came back as {back}");
                }
            }
        }
    }
}
