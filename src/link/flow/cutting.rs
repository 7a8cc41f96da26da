//! Where a frame is cut into fragments.

use crate::media::EncodedFrame;
use crate::time::Instant;

/// Piece ends in one fragment; more small pieces than that start another.
const PIECES_MAX: usize = 32;
/// Fragments carry at least this many bytes of a frame, so that their number fits its 16 bits.
pub(super) const ROOM_MIN: usize = 256;

/// A part of a frame, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    /// Where it ends in the frame; it begins where the one before it ends.
    pub end: u32,
    /// When last, and how often.
    pub sent_at: Instant,
    pub times: u8,
    /// It waits to be sent again.
    pub queued: bool,
}

/// Cuts a frame into fragments of at most `room` bytes, their piece ends (two bytes each) counted in: as many whole
/// pieces as fit one behind the other; where not one does, as much of it as fits.
pub(super) fn cut(frame: &EncodedFrame, room: usize, now: Instant, fragments: &mut Vec<Fragment>) {
    fragments.clear();
    let (length, ends) = (frame.data.len(), &frame.piece_ends);
    let (mut begin, mut piece) = (0, 0);
    while begin < length {
        let mut end = begin;
        let first = piece;
        while let Some(&next) = ends.get(piece) {
            let taken = piece - first + 1;
            if taken > PIECES_MAX || next as usize - begin + 2 * taken > room {
                break;
            }
            end = next as usize;
            piece += 1;
        }
        if end == begin {
            end = length.min(begin + if ends.is_empty() { room } else { room - 2 });
        }
        fragments.push(Fragment { end: end as u32, sent_at: now, times: 0, queued: false });
        begin = end;
    }
}

/// Cuts a frame into as many fragments as [`cut`], but into as even ones as its pieces let: a parity is as long as the longest.
pub(super) fn cut_evenly(frame: &EncodedFrame, room: usize, now: Instant, fragments: &mut Vec<Fragment>) {
    cut(frame, room, now, fragments);
    let count = fragments.len();
    let (mut least, mut most) = ((frame.data.len() / count.max(1)).clamp(ROOM_MIN, room), room);
    while least < most {
        let middle = least.midpoint(most);
        cut(frame, middle, now, fragments);
        if fragments.len() > count { least = middle + 1 } else { most = middle }
    }
    cut(frame, most, now, fragments);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fragments_tile_the_frame_and_no_piece_that_fits_is_split(
            pieces in proptest::collection::vec(1usize..3_000, 0..60), extra in 0usize..5_000, room in ROOM_MIN..1_200,
        ) {
            let mut frame = EncodedFrame::default();
            for piece in &pieces {
                frame.data.resize(frame.data.len() + piece, 7);
                frame.end_piece();
            }
            if pieces.is_empty() {
                frame.data.resize(extra, 7);
            }
            let mut fragments = Vec::new();
            cut(&frame, room, Instant::ZERO, &mut fragments);
            let ends: Vec<usize> = fragments.iter().map(|f| f.end as usize).collect();
            prop_assert!(ends.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(ends.last().copied().unwrap_or(0), frame.data.len());
            let begins = core::iter::once(0).chain(ends.iter().copied());
            for (begin, &end) in begins.zip(&ends) {
                let inside = frame.piece_ends.iter().filter(|&&e| e as usize > begin && e as usize <= end).count();
                prop_assert!(inside <= PIECES_MAX && end - begin + 2 * inside <= room);
            }
            let mut begin = 0;
            for &piece_end in &frame.piece_ends {
                let split = ends.iter().any(|&e| e > begin && e < piece_end as usize);
                prop_assert!(!split || piece_end as usize - begin + 2 > room, "piece {begin}..{piece_end}");
                begin = piece_end as usize;
            }
        }
    }
}
