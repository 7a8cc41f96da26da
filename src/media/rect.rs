//! Rectangles of pixels.

use super::Size;

/// A rectangle in pixels. It may reach beyond what it is painted on; then only what lies inside is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Column of its left edge.
    pub left: i32,
    /// Row of its upper edge.
    pub top: i32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// A rectangle by its upper left corner and its extent.
    pub const fn new(left: i32, top: i32, width: u32, height: u32) -> Rect {
        Rect { left, top, width, height }
    }

    /// All of a picture.
    pub const fn of(size: Size) -> Rect {
        Rect::new(0, 0, size.width, size.height)
    }

    /// The first column to the right of it.
    pub const fn right(&self) -> i32 {
        self.left + self.width as i32
    }

    /// The first row beneath it.
    pub const fn bottom(&self) -> i32 {
        self.top + self.height as i32
    }

    /// Whether a pixel lies in it.
    pub const fn contains(&self, x: i32, y: i32) -> bool {
        x >= self.left && x < self.right() && y >= self.top && y < self.bottom()
    }

    /// What both have in common; empty where that is nothing.
    pub fn common(&self, other: &Rect) -> Rect {
        let (left, top) = (self.left.max(other.left), self.top.max(other.top));
        let extent = |from: i32, to: i32| to.saturating_sub(from).max(0) as u32;
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        Rect::new(left, top, extent(left, right), extent(top, bottom))
    }

    /// Smaller by as much on each side; empty at the least.
    pub fn inside(&self, margin: u32) -> Rect {
        let (across, down) = (margin.min(self.width / 2), margin.min(self.height / 2));
        let (left, top) = (self.left + across as i32, self.top + down as i32);
        Rect::new(left, top, self.width - 2 * across, self.height - 2 * down)
    }

    /// Grown so that it begins and ends on even pixels, where samples of chroma do.
    pub fn even(&self) -> Rect {
        let (left, top) = (self.left & !1, self.top & !1);
        Rect::new(left, top, (((self.right() + 1) & !1) - left) as u32, (((self.bottom() + 1) & !1) - top) as u32)
    }
}
