//! The frame number as cells in the top rows of the picture: what came out says itself which frame it is.
//!
//! Two reference cells (white, black), 20 bits of number, 8 bits of check, most significant first. A cell is one
//! H.264 macroblock, so that a change of number costs a handful of flat blocks and no encoder blurs one cell into the
//! next. Twenty bits last ten hours at 30 frames a second.

/// Width and height of a cell in luma samples: one macroblock.
pub const CELL_PX: usize = 16;
const NUMBER_BITS: u32 = 20;
const CHECK_BITS: u32 = 8;
const CELLS: usize = 2 + (NUMBER_BITS + CHECK_BITS) as usize;
/// Nominal white and black of BT.601 video.
const WHITE: u8 = 235;
const BLACK: u8 = 16;
/// Least distance between the two references: less is not a stamp, or one that nobody should trust.
const CONTRAST: u32 = 100;

/// Where the samples of the stamp lie in a buffer: `step` bytes from one to the next, `stride` from row to row.
#[derive(Clone, Copy)]
pub struct Plane {
    /// Bytes between neighbouring samples: 1 in a luma plane, 3 in packed BGR.
    pub step: usize,
    /// Bytes between rows.
    pub stride: usize,
}

/// Writes `number` into the top rows.
pub fn write(buffer: &mut [u8], plane: Plane, number: u32) {
    for cell in 0..CELLS {
        let value = if bit(number, cell) { WHITE } else { BLACK };
        for row in buffer.chunks_exact_mut(plane.stride).take(CELL_PX) {
            row[cell * CELL_PX * plane.step..(cell + 1) * CELL_PX * plane.step].fill(value);
        }
    }
}

/// Reads the number, or `None` where the references or the check do not hold.
pub fn read(buffer: &[u8], plane: Plane) -> Option<u32> {
    if plane.stride < CELLS * CELL_PX * plane.step || buffer.len() < CELL_PX * plane.stride {
        return None;
    }
    let (white, black) = (mean(buffer, plane, 0), mean(buffer, plane, 1));
    if white < black + CONTRAST {
        return None;
    }
    let middle = u32::midpoint(white, black);
    let word = (2..CELLS).fold(0u32, |word, cell| word << 1 | u32::from(mean(buffer, plane, cell) > middle));
    let number = word >> CHECK_BITS;
    (word & ((1 << CHECK_BITS) - 1) == check(number)).then_some(number)
}

fn bit(number: u32, cell: usize) -> bool {
    match cell {
        0 => true,
        1 => false,
        _ => {
            let word = number << CHECK_BITS | check(number);
            word >> (CELLS - 1 - cell) & 1 == 1
        }
    }
}

/// Mean of the inner half of a cell, where neither ringing nor deblocking reaches.
fn mean(buffer: &[u8], plane: Plane, cell: usize) -> u32 {
    let inner = CELL_PX / 4..CELL_PX - CELL_PX / 4;
    let sum: u32 = inner
        .clone()
        .flat_map(|y| inner.clone().map(move |x| y * plane.stride + (cell * CELL_PX + x) * plane.step))
        .map(|at| u32::from(buffer[at]))
        .sum();
    sum / (inner.len() * inner.len()) as u32
}

/// CRC-8 with the polynomial x⁸ + x² + x + 1 (ITU-T I.432.1), begun at all ones so that a black row does not pass.
fn check(number: u32) -> u32 {
    number.to_be_bytes().iter().fold(0xff, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 0x80 != 0 { (crc << 1 ^ 0x07) & 0xff } else { crc << 1 })
    })
}
