//! One frame on its way in: its fragments, each in its place, and its parities until they are needed or it is whole.

use super::clock::PeerClock;
use super::outgoing::FRAME_BYTES_MAX;
use super::parity::{Parities, SHARDS_MAX, Shard};
use crate::media::{EncodedFrame, Size, VideoCodec};
use crate::time::Instant;
use crate::wire::{Parity, VideoFragment};

/// What every fragment and every parity says of its frame, its numbers in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub number: u64,
    pub first_sequence: u64,
    pub length: usize,
    pub count: u16,
    pub key: bool,
    pub codec: VideoCodec,
    captured_us: u32,
    size: Option<Size>,
}

impl Head {
    pub(super) fn of_fragment(number: u64, first_sequence: u64, fragment: &VideoFragment<'_>) -> Head {
        let &VideoFragment { length, count, key, codec, captured_us, size, .. } = fragment;
        Head { number, first_sequence, length: length as usize, count, key, codec, captured_us, size }
    }

    pub(super) fn of_parity(number: u64, first_sequence: u64, parity: &Parity<'_>) -> Head {
        let &Parity { length, count, key, codec, captured_us, size, .. } = parity;
        Head { number, first_sequence, length: length as usize, count, key, codec, captured_us, size }
    }

    /// Whether it keeps the limits.
    pub(super) fn fits(&self) -> bool {
        self.length <= FRAME_BYTES_MAX && usize::from(self.count) <= self.length
    }
}

/// Where a fragment lies in its frame; of length 0 before it arrives.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    offset: u32,
    length: u32,
}

#[derive(Debug, Default)]
pub(super) struct Assembly {
    pub number: u64,
    pub first_sequence: u64,
    pub begun_at: Instant,
    pub whole_at: Option<Instant>,
    pub length: usize,
    pub frame: EncodedFrame,
    captured_us: u32,
    arrived: usize,
    extents: Vec<Extent>,
    parities: Parities,
}

impl Assembly {
    /// With room for a frame of `frame_bytes`.
    pub(super) fn with_capacity(frame_bytes: usize) -> Assembly {
        Assembly {
            frame: EncodedFrame::with_capacity(frame_bytes),
            extents: Vec::with_capacity(frame_bytes / 1_000 + 1),
            ..Assembly::default()
        }
    }

    pub(super) fn end_sequence(&self) -> u64 {
        self.first_sequence + self.extents.len() as u64
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole_at.is_some()
    }

    /// When it was captured, in our clock; as long as the clocks' offset is not known, when it came.
    pub(super) fn captured_at(&self, clock: &PeerClock) -> Instant {
        clock.to_local(self.captured_us, self.begun_at).unwrap_or(self.begun_at)
    }

    pub(super) fn begin(&mut self, now: Instant, head: &Head) {
        (self.number, self.first_sequence) = (head.number, head.first_sequence);
        (self.captured_us, self.begun_at, self.whole_at) = (head.captured_us, now, None);
        (self.arrived, self.length) = (0, head.length);
        self.extents.clear();
        self.extents.resize(usize::from(head.count), Extent::default());
        self.parities.clear();
        self.frame.piece_ends.clear();
        // What stands in the buffer from frames before is overwritten before anybody sees it.
        if self.frame.data.len() < self.length {
            self.frame.data.resize(self.length, 0);
        } else {
            self.frame.data.truncate(self.length);
        }
        (self.frame.codec, self.frame.key, self.frame.size) = (head.codec, head.key, head.size);
    }

    pub(super) fn agrees(&self, head: &Head) -> bool {
        self.first_sequence == head.first_sequence
            && self.extents.len() == usize::from(head.count)
            && self.length == head.length
            && self.frame.key == head.key
            && self.frame.codec == head.codec
    }

    /// Puts a fragment in its place; false where it is there already, or does not belong.
    pub(super) fn fill(&mut self, now: Instant, index: usize, shard: &Shard<'_>) -> bool {
        let begin = shard.offset as usize;
        let place = self.frame.data.get_mut(begin..begin.saturating_add(shard.data.len()));
        let (Some(place), Some(extent)) = (place, self.extents.get_mut(index)) else {
            return false;
        };
        if extent.length != 0 {
            return false;
        }
        place.copy_from_slice(shard.data);
        *extent = Extent { offset: shard.offset, length: shard.data.len() as u32 };
        self.arrived += 1;
        self.frame.piece_ends.extend(shard.piece_ends.iter().map(|end| shard.offset + u32::from(end)));
        if self.arrived == self.extents.len() {
            self.whole_at = Some(now);
        }
        true
    }

    /// Keeps a parity; false where it is there already, or does not belong.
    pub(super) fn keep(&mut self, parity: &Parity<'_>) -> bool {
        self.extents.len() <= SHARDS_MAX && self.parities.add(parity.row, parity.shard)
    }

    /// Fragments that parities can stand in for now: all that are missing, or none. Returns how many.
    pub(super) fn mendable(&self) -> usize {
        let missing = self.extents.len() - self.arrived;
        if missing <= self.parities.len() { missing } else { 0 }
    }

    /// Makes it whole out of its parities, where [`Assembly::mendable`] says so; false where what comes out is no frame.
    pub(super) fn mend(&mut self, now: Instant) -> bool {
        let missing: heapless::Vec<u8, SHARDS_MAX> =
            (0..).zip(&self.extents).filter(|(_, extent)| extent.length == 0).map(|(index, _)| index).collect();
        self.frame.piece_ends.sort_unstable();
        let mut parities = core::mem::take(&mut self.parities);
        for (index, extent) in self.extents.iter().enumerate().filter(|(_, extent)| extent.length != 0) {
            let (begin, mut scratch) = (extent.offset as usize, [0; _]);
            if let Some(shard) = Shard::cut(&self.frame, begin, begin + extent.length as usize, &mut scratch) {
                parities.take_out(missing.len(), index, &shard);
            }
        }
        parities.solve(&missing);
        let filled = missing
            .iter()
            .enumerate()
            .all(|(at, &index)| parities.mended(at).is_some_and(|shard| self.fill(now, index.into(), &shard)));
        self.parities = parities;
        filled
    }

    /// Whether the fragments, all there, tile the frame.
    pub(super) fn tiles(&self) -> bool {
        let end = self.extents.iter().try_fold(0, |end, e| (e.offset == end).then_some(e.offset + e.length));
        end == Some(self.length as u32)
    }
}
