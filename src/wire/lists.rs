//! Lists within items, read in place.

use core::fmt;

/// Little-endian 16-bit numbers, one behind the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct U16s<'a>(&'a [u8]);

impl<'a> U16s<'a> {
    /// No numbers.
    pub const EMPTY: U16s<'static> = U16s(&[]);

    /// Reads `bytes` as numbers; `None` where their count is odd.
    pub fn parse(bytes: &'a [u8]) -> Option<U16s<'a>> {
        bytes.len().is_multiple_of(2).then_some(U16s(bytes))
    }

    /// Writes as many of `values` as `scratch` holds, and views them.
    pub fn build(values: impl IntoIterator<Item = u16>, scratch: &'a mut [u8]) -> U16s<'a> {
        let mut used = 0;
        for (place, value) in scratch.chunks_exact_mut(2).zip(values) {
            place.copy_from_slice(&value.to_le_bytes());
            used += 2;
        }
        U16s(&scratch[..used])
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + 'a {
        let (pairs, _) = self.0.as_chunks::<2>();
        pairs.iter().map(|pair| u16::from_le_bytes(*pair))
    }

    pub(super) fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for U16s<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Consecutive video sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first of them, modulo 2³².
    pub first: u32,
    /// How many; never zero in what we write.
    pub count: u16,
}

/// Ranges of video sequence numbers, six bytes each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ranges<'a>(&'a [u8]);

impl<'a> Ranges<'a> {
    /// Bytes a range takes.
    pub const RANGE_BYTES: usize = 6;

    /// Reads `bytes` as ranges; `None` where they are not a whole number of them.
    pub fn parse(bytes: &'a [u8]) -> Option<Ranges<'a>> {
        bytes.len().is_multiple_of(Self::RANGE_BYTES).then_some(Ranges(bytes))
    }

    /// Writes as many of `ranges` as `scratch` holds, and views them.
    pub fn build(ranges: impl IntoIterator<Item = Range>, scratch: &'a mut [u8]) -> Ranges<'a> {
        let mut used = 0;
        for (place, range) in scratch.chunks_exact_mut(Self::RANGE_BYTES).zip(ranges) {
            place[..4].copy_from_slice(&range.first.to_le_bytes());
            place[4..].copy_from_slice(&range.count.to_le_bytes());
            used += Self::RANGE_BYTES;
        }
        Ranges(&scratch[..used])
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = Range> + 'a {
        let (ranges, _) = self.0.as_chunks::<{ Ranges::RANGE_BYTES }>();
        ranges.iter().map(|&[a, b, c, d, e, f]| Range {
            first: u32::from_le_bytes([a, b, c, d]),
            count: u16::from_le_bytes([e, f]),
        })
    }

    pub(super) fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
