//! The tutorial's one knob: how much less than everything is sent.

use super::Size;
use core::fmt;

/// Quality level 0 to 3, meaning what it means in the program that visavis grew out of: the picture is scaled by
/// max(1/(n+1), 0.3), and between two frames that are sent n frames (at most 3) are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// Every frame at full size.
    pub const FULL: Level = Level(0);
    /// The tutorial's default.
    pub const DEFAULT: Level = Level(1);

    /// A level; above 3 there is none.
    pub const fn new(n: u8) -> Option<Level> {
        if n <= 3 { Some(Level(n)) } else { None }
    }

    /// The number itself, 0 to 3.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Frames skipped between two that are sent.
    pub const fn skipped(self) -> u32 {
        self.0 as u32
    }

    /// The size that is sent of `size`, even in both directions, as 4:2:0 codecs want it.
    pub fn scaled(self, size: Size) -> Size {
        // 1/(n+1), at least 3/10, in integers.
        let (num, den) = if self.0 >= 3 { (3, 10) } else { (1, u32::from(self.0) + 1) };
        let side = |v: u32| ((v * num / den) & !1).max(2);
        Size::new(side(size.width), side(size.height))
    }
}

impl Default for Level {
    fn default() -> Level {
        Level::DEFAULT
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_scale_and_skip_as_the_tutorial_does() {
        let vga = Size::new(640, 480);
        let sizes: Vec<_> = (0..=3).map(|n| Level::new(n).unwrap().scaled(vga)).collect();
        assert_eq!(sizes, [Size::new(640, 480), Size::new(320, 240), Size::new(212, 160), Size::new(192, 144)]);
        assert!(Level::new(4).is_none());
    }
}
