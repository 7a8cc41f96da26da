//! What lies in front of pictures, like a pane of glass: transparent wherever nothing is drawn on it.

use super::{Rect, Size};

/// Changes that a pane remembers. One is a camera's small picture; signs that come and go are a handful.
const CHANGES_MAX: usize = 32;

/// Pixels of 32 bits (bytes B G R A, which DRM calls ARGB8888), each colour already multiplied by how much it covers.
///
/// It remembers what was changed of late, so that whoever keeps a copy need not copy all of it.
#[derive(Debug)]
pub struct Pane {
    size: Size,
    pixels: Vec<u8>,
    version: u64,
    /// The change that led to version `v` is at `v % CHANGES_MAX`.
    changes: [Rect; CHANGES_MAX],
    /// At this version all of it became another.
    began: u64,
}

impl Default for Pane {
    fn default() -> Pane {
        Pane {
            size: Size::new(0, 0),
            pixels: Vec::new(),
            version: 0,
            changes: [Rect::default(); CHANGES_MAX],
            began: 0,
        }
    }
}

impl Pane {
    /// Bytes of one pixel.
    pub const PIXEL_BYTES: usize = 4;

    /// Becomes transparent all over, at this size.
    pub fn reshape(&mut self, size: Size) {
        self.size = size;
        self.pixels.clear();
        self.pixels.resize(size.pixels() * Pane::PIXEL_BYTES, 0);
        self.version += 1;
        self.began = self.version;
    }

    /// Size in pixels.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Bytes from one row to the next.
    pub const fn stride_bytes(&self) -> usize {
        self.size.width as usize * Pane::PIXEL_BYTES
    }

    /// What is of `place` in each of its rows, from the uppermost on, as far as it lies on the pane: where, and the bytes.
    pub fn rows(&self, place: Rect) -> impl Iterator<Item = &[u8]> {
        let (first, stride, len, rows) = self.span(place);
        self.pixels.get(first..).unwrap_or_default().chunks(stride).take(rows).map(move |row| &row[..len])
    }

    /// The same, to be drawn anew: it counts as changed.
    pub fn change(&mut self, place: Rect) -> impl Iterator<Item = &mut [u8]> {
        self.version += 1;
        self.changes[(self.version % CHANGES_MAX as u64) as usize] = place.common(&Rect::of(self.size));
        let (first, stride, len, rows) = self.span(place);
        self.pixels.get_mut(first..).unwrap_or_default().chunks_mut(stride).take(rows).map(move |row| &mut row[..len])
    }

    /// First byte, bytes from row to row, bytes of a row, and rows.
    fn span(&self, place: Rect) -> (usize, usize, usize, usize) {
        let place = place.common(&Rect::of(self.size));
        let stride = self.stride_bytes();
        let first = place.top as usize * stride + place.left as usize * Pane::PIXEL_BYTES;
        let rows = if place.width == 0 { 0 } else { place.height as usize };
        (first, stride.max(1), place.width as usize * Pane::PIXEL_BYTES, rows)
    }

    /// Moves with each change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Where it differs from what it was at a version: all of it where that is too long ago.
    pub fn changed_since(&self, version: u64) -> impl Iterator<Item = Rect> {
        let is_known = version >= self.began && self.version.saturating_sub(version) <= CHANGES_MAX as u64;
        let whole = (!is_known).then(|| Rect::of(self.size));
        let first = if is_known { version } else { self.version };
        let known = (first + 1..=self.version).map(|version| self.changes[(version % CHANGES_MAX as u64) as usize]);
        whole.into_iter().chain(known)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a copy that follows the changes is the same as the pane. Method: random changes, copied at random times.
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(40, 30);

    fn pane() -> Pane {
        let mut pane = Pane::default();
        pane.reshape(SIZE);
        pane
    }

    fn follow(copy: &mut [u8], pane: &Pane, version: u64) {
        for place in pane.changed_since(version) {
            for (n, row) in pane.rows(place).enumerate() {
                let at = (place.top as usize + n) * pane.stride_bytes() + place.left as usize * Pane::PIXEL_BYTES;
                copy[at..at + row.len()].copy_from_slice(row);
            }
        }
    }

    proptest! {
        #[test]
        fn a_copy_that_follows_the_changes_is_the_pane(
            changes in proptest::collection::vec((-9..50i32, -9..40i32, 0..60u32, 0..50u32, any::<bool>()), 1..120)
        ) {
            let (mut pane, mut copy, mut version) = (pane(), vec![7; SIZE.pixels() * 4], 0);
            for (n, (left, top, width, height, is_followed)) in changes.into_iter().enumerate() {
                for row in pane.change(Rect::new(left, top, width, height)) {
                    row.fill(n as u8);
                }
                if is_followed {
                    follow(&mut copy, &pane, version);
                    version = pane.version();
                    prop_assert!(copy == pane.rows(Rect::of(SIZE)).flatten().copied().collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn what_did_not_change_is_not_told_and_another_size_is_another_pane() {
        let mut pane = pane();
        let version = pane.version();
        assert_eq!(pane.changed_since(version).count(), 0);
        let place = Rect::new(30, 20, 20, 20);
        pane.change(place).for_each(|row| row.fill(1));
        assert_eq!(pane.changed_since(version).collect::<Vec<_>>(), [Rect::new(30, 20, 10, 10)]);
        assert_eq!(pane.changed_since(0).collect::<Vec<_>>(), [Rect::of(SIZE)]);
        pane.reshape(Size::new(8, 8));
        assert_eq!(pane.changed_since(version + 1).collect::<Vec<_>>(), [Rect::new(0, 0, 8, 8)]);
        assert!(pane.rows(Rect::new(0, 0, 8, 8)).flatten().all(|byte| *byte == 0));
    }
}
