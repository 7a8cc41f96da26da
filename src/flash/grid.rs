//! A received picture, coarsely: how bright each part of it is.

use crate::media::Picture;

/// Parts of a row and of a column. A screen of 25 cm, half a metre before a usual camera, fills a third of its picture's width: five
/// parts. One that fills a part by a tenth still raises it by more than noise does.
const COLUMNS: usize = 16;
const ROWS: usize = 12;
/// Parts of a picture.
pub(super) const CELLS: usize = COLUMNS * ROWS;
/// Every second row is looked at: half the work, and as good a mean.
const ROW_STEP: usize = 2;

/// The mean luma of each part, row by row, in 256ths of a level.
#[derive(Clone, Debug)]
pub struct Grid([u16; CELLS]);

impl Grid {
    /// Of a picture of any size; what is smaller than the grid leaves parts of it black.
    pub fn of(picture: &Picture) -> Grid {
        let [luma, ..] = picture.planes();
        let (width, height) = (picture.size().width as usize, picture.size().height as usize);
        Grid(core::array::from_fn(|cell| {
            let (row, column) = (cell / COLUMNS, cell % COLUMNS);
            let columns = column * width / COLUMNS..(column + 1) * width / COLUMNS;
            let rows = (row * height / ROWS..(row + 1) * height / ROWS).step_by(ROW_STEP);
            let samples = rows.len() * columns.len();
            let sum: u64 = rows
                .map(|y| &luma.data[y * luma.stride_bytes + columns.start..y * luma.stride_bytes + columns.end])
                .map(|samples| u64::from(samples.iter().map(|sample| u32::from(*sample)).sum::<u32>()))
                .sum();
            if samples == 0 { 0 } else { (256 * sum / samples as u64) as u16 }
        }))
    }

    /// The mean luma of a part, 0 to 255.
    pub(super) fn luma(&self, cell: usize) -> f32 {
        f32::from(self.0[cell]) / 256.0
    }
}
