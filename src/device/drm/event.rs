//! Page flip events, read without trust in their lengths.

use super::card::Card;
use crate::time::Instant;
use nix::errno::Errno;
use std::io;

/// `DRM_EVENT_FLIP_COMPLETE` of drm.h.
const FLIP_COMPLETE: u32 = 2;
/// Bytes of `struct drm_event`: type and length.
const HEAD_BYTES: usize = 8;
/// Bytes of `struct drm_event_vblank`: head, user data, seconds, microseconds, sequence, CRTC.
const VBLANK_BYTES: usize = 32;

/// Reads what events there are; the time stamp of the last flip among them.
pub fn read_flip(card: &Card) -> io::Result<Option<Instant>> {
    // The kernel gives whole events only; one flip is under way at a time, so this is room for more than ever come.
    let mut bytes = [0; 8 * VBLANK_BYTES];
    match nix::unistd::read(card, &mut bytes) {
        Ok(len) => Ok(last_flip(&bytes[..len])),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn last_flip(mut bytes: &[u8]) -> Option<Instant> {
    let word = |at: usize, event: &[u8]| {
        let word = event.get(at..at + 4)?;
        Some(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
    };
    let mut flip = None;
    while let (Some(kind), Some(len)) = (word(0, bytes), word(4, bytes)) {
        let len = len as usize;
        if len < HEAD_BYTES || len > bytes.len() {
            break;
        }
        if let (FLIP_COMPLETE, Some(seconds), Some(micros)) = (kind, word(16, &bytes[..len]), word(20, &bytes[..len])) {
            flip = Some(Instant::from_micros(u64::from(seconds) * 1_000_000 + u64::from(micros)));
        }
        bytes = &bytes[len..];
    }
    flip
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: u32, len: u32, seconds: u32, micros: u32) -> Vec<u8> {
        [kind, len, 0, 0, seconds, micros, 7, 40].into_iter().flat_map(u32::to_ne_bytes).collect()
    }

    #[test]
    fn the_last_flip_counts_and_other_events_are_passed_over() {
        let bytes = [event(1, 32, 9, 9), event(2, 32, 3, 4), event(0x8000_0000, 32, 8, 8), event(2, 32, 5, 6)].concat();
        assert_eq!(last_flip(&bytes), Some(Instant::from_micros(5_000_006)));
        assert_eq!(last_flip(&event(1, 32, 9, 9)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_spin_or_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = last_flip(&bytes);
        }
    }
}
