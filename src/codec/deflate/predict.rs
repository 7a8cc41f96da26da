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
    step: u16,
    reciprocal: u16,
}

impl Quantiser {
    /// For an error of at most `near`, 0 to [`NEAR_MAX`].
    pub fn new(near: u8) -> Quantiser {
        let near = near.min(NEAR_MAX);
        let step = 2 * u16::from(near) + 1;
        // For a step of 1 the reciprocal would be 65,536; that step is never divided by.
        Quantiser { near, step, reciprocal: 65_536u32.div_ceil(u32::from(step)).min(65_535) as u16 }
    }

    /// The residual of a value: how far it is from the guess, to the nearest whole step. In bytes and 16-bit words
    /// throughout, and without a branch, so that a row of them is SIMD.
    #[inline(always)]
    fn residual(self, value: u8, guess: u8) -> u8 {
        let magnitude = u16::from(value.abs_diff(guess)) + u16::from(self.near);
        let steps = ((u32::from(magnitude) * u32::from(self.reciprocal)) >> 16) as u8;
        let sign = if value < guess { 0xff } else { 0 };
        (steps ^ sign).wrapping_sub(sign)
    }

    /// What a residual, a signed number of steps, makes of a guess.
    #[inline(always)]
    fn value(self, guess: u8, residual: u8) -> u8 {
        let sign = if residual >= 0x80 { 0xff } else { 0 };
        let steps = (residual ^ sign).wrapping_sub(sign);
        let distance = (u16::from(steps) * self.step).min(255) as u8;
        // One of the two is zero.
        guess.saturating_add(distance & !sign).saturating_sub(distance & sign)
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

/// One block: where it begins in the band, and how large it is.
#[derive(Clone, Copy, Debug)]
struct Block {
    x: usize,
    y: usize,
    width: usize,
    rows: usize,
}

impl Geometry {
    /// The blocks, row by row.
    fn blocks(self) -> impl Iterator<Item = Block> {
        (0..self.rows).step_by(BLOCK_ROWS).flat_map(move |y| {
            let rows = BLOCK_ROWS.min(self.rows - y);
            (0..self.width).step_by(BLOCK_WIDTH).map(move |x| Block {
                x,
                y,
                width: BLOCK_WIDTH.min(self.width - x),
                rows,
            })
        })
    }

    /// How many blocks there are.
    pub fn block_count(self) -> usize {
        self.width.div_ceil(BLOCK_WIDTH) * self.rows.div_ceil(BLOCK_ROWS)
    }
}

/// A row of a block out of a plane, zeros past its width.
fn load(plane: &[u8], at: usize, width: usize) -> Row {
    // An array is a pair of register moves; a slice, even one of constant length, became a call.
    match plane[at..].first_chunk() {
        Some(row) if width == BLOCK_WIDTH => *row,
        _ => {
            let mut row = [0; BLOCK_WIDTH];
            row[..width].copy_from_slice(&plane[at..at + width]);
            row
        }
    }
}

fn store(plane: &mut [u8], at: usize, width: usize, row: &Row) {
    match plane[at..].first_chunk_mut() {
        Some(to) if width == BLOCK_WIDTH => *to = *row,
        _ => plane[at..at + width].copy_from_slice(&row[..width]),
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

#[inline(always)]
fn map2(a: &Row, b: &Row, f: impl Fn(u8, u8) -> u8) -> Row {
    core::array::from_fn(|i| f(a[i], b[i]))
}

/// Sums of one column each, since a sum across a register is what SIMD does worst. 8 rows of bytes fit 16 bits.
#[derive(Clone, Copy)]
struct Sums([u16; BLOCK_WIDTH]);

impl Sums {
    const ZERO: Sums = Sums([0; BLOCK_WIDTH]);

    /// Adds how far `a` and `b` lie apart, not counting the first `near` of each sample.
    #[inline(always)]
    fn add(&mut self, a: &Row, b: &Row, near: u8) {
        let apart = map2(a, b, |a, b| a.abs_diff(b).saturating_sub(near));
        for (sum, apart) in self.0.iter_mut().zip(apart) {
            *sum += u16::from(apart);
        }
    }

    fn total(self) -> u32 {
        // 32 columns of 8 samples: 65,280 at most.
        self.0.iter().sum::<u16>().into()
    }
}

/// Whether every sample of `a` is within `near` of `b`.
fn within(a: &Row, b: &Row, near: u8) -> bool {
    a.iter().zip(b).fold(0, |any, (a, b)| any | a.abs_diff(*b).saturating_sub(near)) == 0
}

/// The mode that leaves least. It is chosen from the source alone: with an error bound the neighbours that the decoder
/// will see differ from it by that bound at most.
fn choose(source: &[u8], reference: &[u8], geometry: Geometry, block: Block, key: bool, near: u8) -> Mode {
    let still = if key { u32::MAX } else { stillness(source, reference, geometry, block, near) };
    if still == 0 {
        return Mode::Same;
    }
    let Block { x, y, width, rows } = block;
    // Nearly all within the bound: no other guess leaves as many zeros, nor in runs as long.
    if near > 0 && still < (width * rows / 8) as u32 {
        return Mode::Before;
    }
    let [mut mixed, mut flat, mut corner] = [Sums::ZERO; 3];
    let mut up = above(source, geometry, x, y, width);
    for at in (y..y + rows).map(|row| row * geometry.stride + x) {
        let now = load(source, at, width);
        let shifted = shift(&now, left(source, at, x, &up));
        flat.add(&now, &up, near);
        corner.add(&now, &map2(&shifted, &up, mean), near);
        if !key {
            mixed.add(&now, &map2(&load(reference, at, width), &up, mean), near);
        }
        up = now;
    }
    let [mixed, flat, corner] = [mixed, flat, corner].map(Sums::total);
    // Mode corner is serial, sample by sample, where the others are SIMD: it must be worth it by an eighth. With a bound
    // the encoder is serial too: at `near` 2 it would double the time of the whole frame and save half a percent of it.
    let costs = [(mixed, Mode::Mean), (still, Mode::Before), (flat, Mode::Above), (corner + corner / 8, Mode::Corner)];
    let allowed = match (key, near) {
        (true, _) => &costs[2..],
        (false, 0) => &costs[..],
        (false, _) => &costs[..3],
    };
    allowed.iter().min_by_key(|(cost, _)| *cost).map_or(Mode::Above, |(_, mode)| *mode)
}

/// How far a block has moved away from the reference, beyond the bound.
fn stillness(source: &[u8], reference: &[u8], geometry: Geometry, block: Block, near: u8) -> u32 {
    let rows = (block.y..block.y + block.rows).map(|row| row * geometry.stride + block.x);
    let mut sums = Sums::ZERO;
    for at in rows {
        sums.add(&load(source, at, block.width), &load(reference, at, block.width), near);
    }
    sums.total()
}

/// The row moved on by one, with `edge` before it.
fn shift(row: &Row, edge: u8) -> Row {
    let mut shifted = [edge; BLOCK_WIDTH];
    shifted[1..].copy_from_slice(&row[..BLOCK_WIDTH - 1]);
    shifted
}

/// A slice before it is deflated: the modes of all its blocks, then their residuals.
#[derive(Debug, Default)]
pub struct Symbols {
    bytes: Vec<u8>,
    next_mode: usize,
}

impl Symbols {
    /// Begins a slice of so many blocks with so many samples in all.
    pub fn begin(&mut self, blocks: usize, samples: usize) {
        self.next_mode = 0;
        self.bytes.clear();
        self.bytes.reserve(blocks + samples);
        self.bytes.resize(blocks, 0);
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn mode(&mut self, mode: Mode) {
        self.bytes[self.next_mode] = mode as u8;
        self.next_mode += 1;
    }

    fn residuals(&mut self, row: &Row, width: usize) {
        // A constant length is a pair of register moves, any other a call.
        if width == BLOCK_WIDTH {
            self.bytes.extend_from_slice(row);
        } else {
            self.bytes.extend_from_slice(&row[..width]);
        }
    }
}

/// Predicts one band of one plane: adds a mode for each block and its residuals to `symbols`, and leaves in `reference`
/// what the decoder will have. `source` has the reference's geometry.
pub fn encode(
    source: &[u8],
    reference: &mut [u8],
    geometry: Geometry,
    key: bool,
    quantiser: Quantiser,
    symbols: &mut Symbols,
) {
    for block in geometry.blocks() {
        let mode = choose(source, reference, geometry, block, key, quantiser.near);
        symbols.mode(mode);
        if mode == Mode::Same {
            continue;
        }
        let Block { x, y, width, rows } = block;
        let mut up = above(reference, geometry, x, y, width);
        for row in 0..rows {
            let at = (y + row) * geometry.stride + x;
            let now = load(source, at, width);
            let edge = left(reference, at, x, &up);
            let (left_over, kept) = if quantiser.near == 0 {
                let guess = guess(mode, &load(reference, at, width), &up, || shift(&now, edge));
                (map2(&now, &guess, u8::wrapping_sub), now)
            } else if mode == Mode::Corner {
                corner_near(&now, &up, edge, quantiser)
            } else {
                let guess = guess(mode, &load(reference, at, width), &up, || up);
                row_near(&now, &guess, quantiser)
            };
            symbols.residuals(&left_over, width);
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

/// One row with an error bound. Most rows of a still scene are all within it, and cost a comparison.
fn row_near(now: &Row, guess: &Row, quantiser: Quantiser) -> (Row, Row) {
    if within(now, guess, quantiser.near) {
        return ([0; BLOCK_WIDTH], *guess);
    }
    // Each a loop of its own: the compiler makes no SIMD of a loop that yields pairs.
    let residuals = map2(now, guess, |now, guess| quantiser.residual(now, guess));
    let kept = map2(guess, &residuals, |guess, residual| quantiser.value(guess, residual));
    (residuals, kept)
}

/// One row of mode corner with an error bound: each sample's guess needs what the decoder made of the one before.
fn corner_near(now: &Row, up: &Row, mut left: u8, quantiser: Quantiser) -> (Row, Row) {
    let (mut residuals, mut kept) = ([0; BLOCK_WIDTH], [0; BLOCK_WIDTH]);
    for i in 0..BLOCK_WIDTH {
        let guess = mean(left, up[i]);
        residuals[i] = quantiser.residual(now[i], guess);
        left = quantiser.value(guess, residuals[i]);
        kept[i] = left;
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
    for (Block { x, y, width, rows }, mode) in geometry.blocks().zip(modes) {
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
                    map2(&guess, &left_over, |g, steps| quantiser.value(g, steps))
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
        left =
            if quantiser.near == 0 { guess.wrapping_add(left_over[i]) } else { quantiser.value(guess, left_over[i]) };
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
                    let back = quantiser.value(guess, quantiser.residual(value, guess));
                    assert!(back.abs_diff(value) <= near, "near {near}: {value} guessed {guess} came back as {back}");
                }
            }
        }
    }
}
