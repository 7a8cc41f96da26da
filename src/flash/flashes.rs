//! The screen's part of a measurement: when it is dark and when bright.

use crate::media::ColourRange;
use crate::time::{Duration, Instant};

/// Flashes of one measurement: the median of ten is steady.
pub const FLASHES: usize = 10;

/// When each begins, from the beginning of the measurement. Before the first a camera has time to set its exposure for a dark
/// screen. From one to the next are 0.85 to 1.27 s, no two alike: neither a lamp nor anything else that comes in turns is in step
/// with most of them; and each is back before the next begins.
const BEGINS_MS: [u64; FLASHES] = [1_500, 2_630, 3_520, 4_730, 5_700, 6_970, 7_820, 8_910, 9_840, 11_010];
/// How long each lasts: two pictures of a camera that gives eight a second see it, and automatic exposure has hardly begun.
pub(super) const FLASH: Duration = Duration::from_millis(250);
/// From the beginning of the last flash to the end: the longest way back, and what it is compared with.
const AFTER: Duration = Duration::from_millis(1_000);

/// What the screen shows, all over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Black.
    Dark,
    /// White.
    Bright,
}

impl Field {
    /// Its luma, in those levels; chroma is 128.
    pub fn luma(self, range: ColourRange) -> u8 {
        match (self, range) {
            (Field::Dark, ColourRange::Limited) => 16,
            (Field::Bright, ColourRange::Limited) => 235,
            (Field::Dark, ColourRange::Full) => 0,
            (Field::Bright, ColourRange::Full) => 255,
        }
    }
}

/// A measurement's flashes, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Flashes {
    begun_at: Instant,
}

impl Flashes {
    /// It begins now.
    pub fn new(now: Instant) -> Flashes {
        Flashes { begun_at: now }
    }

    /// What the screen is to show; `None` once it is over.
    pub fn field(&self, now: Instant) -> Option<Field> {
        let begins = self.begins().filter(|begin| *begin <= now).last();
        match begins.map(|begin| now.since(begin)) {
            Some(lit) if lit < FLASH => Some(Field::Bright),
            Some(_) if now >= self.ends_at() => None,
            _ => Some(Field::Dark),
        }
    }

    /// Whether it has not come to its first flash.
    pub fn is_before_first(&self, now: Instant) -> bool {
        self.begins().all(|begin| begin > now)
    }

    /// When [`Flashes::field`] is another.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let changes = self.begins().flat_map(|begin| [begin, begin + FLASH]).chain([self.ends_at()]);
        changes.filter(|at| *at > now).min()
    }

    fn begins(&self) -> impl Iterator<Item = Instant> {
        let begun_at = self.begun_at;
        BEGINS_MS.into_iter().map(move |ms| begun_at + Duration::from_millis(ms))
    }

    fn ends_at(&self) -> Instant {
        self.begun_at + Duration::from_millis(BEGINS_MS[FLASHES - 1]) + AFTER
    }
}
