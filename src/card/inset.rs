//! A small picture in a corner of a large one: what one's own camera sees.
//!
//! Mirrored, as everybody knows themselves. Each sample is the mean of four, two apart in both directions by half of what
//! it stands for: smooth enough for so small a picture, at a tenth of a millisecond.

use super::canvas::{Rect, Under};
use super::colour::STRONG;
use crate::media::{ColourRange, Picture, Plane, Size};

/// Side of the small picture in parts of the large one's.
const SHARE: u32 = 4;
/// Smaller than this, nobody is recognised in it.
const SIDE_MIN_PX: u32 = 24;

/// Which samples make one, along one direction: two positions for each.
type Taps = Vec<(u32, u32)>;

/// The small picture's place, and where its samples come from; made anew when a size changes.
#[derive(Debug)]
pub struct Inset {
    /// The small and the large picture.
    between: [Under; 2],
    /// Without its frame.
    place: Rect,
    frame_px: u32,
    /// Columns and rows, of luma and of chroma.
    taps: [(Taps, Taps); 2],
    /// Levels of the small picture in those of the large one, of luma and of chroma.
    levels: [[u8; 256]; 2],
}

impl Inset {
    /// For a small picture on a large one, `margin` from the upper right corner. `None` where there is no room for it.
    pub fn new(small: Under, large: Under, margin: u32) -> Option<Inset> {
        let (from, onto) = (small.size, large.size);
        if onto.width.min(onto.height) / SHARE < SIDE_MIN_PX || from.width == 0 || from.height == 0 {
            return None;
        }
        let (_, _, size) = from.fit(Size::new(onto.width / SHARE, onto.height / SHARE));
        let frame_px = (onto.width.min(onto.height) / 200).max(1);
        let left = onto.width.checked_sub(margin + size.width + frame_px)? & !1;
        let top = (margin + frame_px + 1) & !1;
        let place = Rect::new(left as i32, top as i32, size.width, size.height);
        let taps = [(size, from), (size.chroma(), from.chroma())].map(|(to, from)| {
            let mut columns = taps(to.width, from.width);
            columns.reverse();
            (columns, taps(to.height, from.height))
        });
        let levels = [levels(small.range, large.range, false), levels(small.range, large.range, true)];
        Some(Inset { between: [small, large], place, frame_px, taps, levels })
    }

    /// Whether it was made for pictures like these.
    pub fn is_for(&self, small: Under, large: Under) -> bool {
        self.between == [small, large]
    }

    /// What it covers of the large picture, with its frame.
    pub fn covers(&self) -> Rect {
        let frame = self.frame_px as i32;
        let (width, height) = (self.place.width + 2 * self.frame_px, self.place.height + 2 * self.frame_px);
        let framed = Rect::new(self.place.left - frame, self.place.top - frame, width, height);
        framed.common(&Rect::of(self.between[1].size))
    }

    /// Draws the small picture and its frame. Allocates nothing.
    pub fn draw(&self, small: &Picture, large: &mut Picture) {
        self.draw_on(small, large, (0, 0));
    }

    /// The same on a part of the large picture that begins at `origin`, an even column and row, and holds all of it.
    pub fn draw_on(&self, small: &Picture, large: &mut Picture, origin: (i32, i32)) {
        let frame = STRONG.samples(large.range);
        let stride = large.stride_bytes();
        let (size, from) = (large.size(), small.planes());
        for (index, plane) in large.planes_mut().into_iter().enumerate() {
            let (half, kind) = (u32::from(index > 0), usize::from(index > 0));
            let (stride, limit) = if index > 0 { (stride / 2, size.chroma()) } else { (stride, size) };
            let (columns, rows) = &self.taps[kind];
            let (left, top) =
                ((self.place.left - origin.0) as usize >> half, (self.place.top - origin.1) as usize >> half);
            let edge = (self.frame_px >> half) as usize;
            let outer = (left.saturating_sub(edge), (left + columns.len() + edge).min(limit.width as usize));
            for y in top.saturating_sub(edge)..(top + rows.len() + edge).min(limit.height as usize) {
                plane[y * stride + outer.0..y * stride + outer.1].fill(frame[index]);
            }
            for (y, row) in rows.iter().enumerate() {
                let to = &mut plane[(top + y) * stride + left..][..columns.len()];
                scale_row(&from[index], columns, *row, &self.levels[kind], to);
            }
        }
    }
}

fn scale_row(from: &Plane<'_>, columns: &Taps, rows: (u32, u32), levels: &[u8; 256], to: &mut [u8]) {
    let above = &from.data[rows.0 as usize * from.stride_bytes..];
    let below = &from.data[rows.1 as usize * from.stride_bytes..];
    for (sample, (left, right)) in to.iter_mut().zip(columns) {
        let sum = |row: &[u8]| u32::from(row[*left as usize]) + u32::from(row[*right as usize]);
        *sample = levels[((sum(above) + sum(below) + 2) / 4) as usize];
    }
}

/// A quarter and three quarters into what each of `to` stands for among `from`.
fn taps(to: u32, from: u32) -> Taps {
    let at = |quarters: u64| (quarters * u64::from(from) / (4 * u64::from(to))) as u32;
    (0..u64::from(to)).map(|index| (at(4 * index + 1), at(4 * index + 3))).collect()
}

/// What each level of one range is in another.
fn levels(from: ColourRange, to: ColourRange, is_chroma: bool) -> [u8; 256] {
    let (zero, span) = if is_chroma { (128.0, 224.0) } else { (16.0, 219.0) };
    let base = if is_chroma { 128.0 } else { 0.0 };
    core::array::from_fn(|level| {
        let level = level as f32;
        let converted = match (from, to) {
            (ColourRange::Limited, ColourRange::Full) => (level - zero) * 255.0 / span + base,
            (ColourRange::Full, ColourRange::Limited) => (level - base) * span / 255.0 + zero,
            _ => level,
        };
        converted.round() as u8
    })
}
