//! NAL units of a byte stream (ITU-T H.264 Annex B), as an encoder other than openh264 hands them over.
//!
//! What follows the encoder is the same for all of them: a frame whose pieces are NAL units, and whose key frames bring
//! their parameter sets along. A hardware encoder may send these once, or apart from any picture: so they are kept, and
//! put before each key frame that comes without.

use super::SLICE_BYTES_MAX;
use crate::media::EncodedFrame;
use core::ops::Range;

/// `nal_unit_type` (table 7-1).
const SLICE_IDR: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;

/// The most bytes of parameter sets that are kept: one of each has some forty.
const KEPT_BYTES_MAX: usize = 1_024;

/// The units of a stream, each with its start code, and its type.
struct Units<'a> {
    stream: &'a [u8],
    at: Option<usize>,
}

impl<'a> Units<'a> {
    fn new(stream: &'a [u8]) -> Units<'a> {
        Units { stream, at: start_code(stream, 0) }
    }
}

impl Iterator for Units<'_> {
    type Item = (u8, Range<usize>);

    fn next(&mut self) -> Option<(u8, Range<usize>)> {
        let start = self.at?;
        let header = *self.stream.get(start + 3)?;
        self.at = start_code(self.stream, start + 3);
        // The zero byte that may stand before a start code belongs to it.
        let with_zero = |at: usize| at - usize::from(at > 0 && self.stream[at - 1] == 0);
        let end = self.at.map_or(self.stream.len(), with_zero);
        Some((header & 0x1f, with_zero(start)..end))
    }
}

/// Where the next 00 00 01 begins, from `from` on.
fn start_code(stream: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // The third byte decides how far the next one can be: most of them spare two looks.
    while let Some(third) = stream.get(at + 2) {
        match third {
            1 if stream[at] == 0 && stream[at + 1] == 0 => return Some(at),
            0 => at += 1,
            _ => at += 3,
        }
    }
    None
}

/// The parameter sets of a stream, as far as they have come.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    kept: Vec<u8>,
}

impl Headers {
    /// Takes over what an encoder gave as one buffer: appends its units to `out` as pieces, says in `out.key` whether
    /// it can be decoded by itself, and answers whether there is a picture in it; where there is none, more is to come.
    pub fn take(&mut self, coded: &[u8], out: &mut EncodedFrame) -> bool {
        let (mut has_picture, mut has_parameters) = (false, false);
        for (kind, range) in Units::new(coded) {
            let unit = &coded[range];
            match kind {
                // Neither says anything that the datagrams do not.
                DELIMITER | FILLER => continue,
                SEQUENCE_PARAMETERS => {
                    has_parameters = true;
                    self.kept.clear();
                    self.keep(unit);
                    continue;
                }
                PICTURE_PARAMETERS => {
                    has_parameters = true;
                    self.keep(unit);
                    continue;
                }
                1..=SLICE_IDR => {
                    out.key |= kind == SLICE_IDR;
                    if !core::mem::replace(&mut has_picture, true) && (out.key || has_parameters) {
                        push(&self.kept, out);
                    }
                }
                _ => {}
            }
            push(unit, out);
        }
        has_picture
    }

    fn keep(&mut self, unit: &[u8]) {
        // A set that is repeated without its sequence's would only pile up.
        let known = self.kept.windows(unit.len().max(1)).any(|kept| kept == unit);
        if !known && self.kept.len() + unit.len() <= KEPT_BYTES_MAX {
            self.kept.extend_from_slice(unit);
        }
    }
}

/// Appends a unit as a piece; it shares the last one where both fit.
fn push(unit: &[u8], out: &mut EncodedFrame) {
    if unit.is_empty() {
        return;
    }
    let last = out.piece_ends.len().checked_sub(2).map_or(0, |before| out.piece_ends[before] as usize);
    if out.data.len() + unit.len() - last <= SLICE_BYTES_MAX {
        out.piece_ends.pop();
    }
    out.data.extend_from_slice(unit);
    out.end_piece();
}

#[cfg(test)]
mod tests {
    //! Goal: whatever way an encoder hands its stream over, a key frame can be decoded by itself. Method: openh264's
    //! stream, cut up as hardware does it.
    use super::*;
    use crate::codec::clip::Clip;
    use crate::codec::h264::{H264Decoder, H264Encoder};
    use crate::codec::{VideoDecoder, VideoEncoder};
    use crate::media::{Picture, Size};
    use proptest::prelude::*;

    const SIZE: Size = Size::new(320, 240);

    /// Two key frames with a frame between them, as openh264 makes them.
    fn stream() -> Vec<EncodedFrame> {
        let (mut clip, mut picture) = (Clip::new(SIZE, 2.0), Picture::new(SIZE));
        let mut encoder = H264Encoder::new(30_000, 500_000);
        let frames = [true, false, true].into_iter().map(|key| {
            clip.draw(&mut picture);
            let mut frame = EncodedFrame::default();
            encoder.encode(&picture, key, &mut frame).unwrap();
            frame
        });
        frames.collect()
    }

    /// The parameter sets of a frame, and the rest of it.
    fn parted(frame: &EncodedFrame) -> (Vec<u8>, Vec<u8>) {
        let (mut sets, mut rest) = (Vec::new(), Vec::new());
        for (kind, range) in Units::new(&frame.data) {
            let is_set = kind == SEQUENCE_PARAMETERS || kind == PICTURE_PARAMETERS;
            if is_set { &mut sets } else { &mut rest }.extend_from_slice(&frame.data[range]);
        }
        (sets, rest)
    }

    #[test]
    fn parameter_sets_that_came_once_and_apart_stand_before_every_key_frame() {
        let frames = stream();
        let (sets, first) = parted(&frames[0]);
        let mut headers = Headers::default();
        let mut out = EncodedFrame::default();
        assert!(!headers.take(&sets, &mut out), "no picture yet");
        for (n, coded) in [first, frames[1].data.clone(), parted(&frames[2]).1].into_iter().enumerate() {
            out.clear();
            assert!(headers.take(&coded, &mut out));
            assert_eq!((out.key, out.data == frames[n].data), (n != 1, true), "frame {n}");
        }
        H264Decoder::new().decode(&out, &mut Picture::new(SIZE)).unwrap();
    }

    #[test]
    fn what_comes_complete_stays_as_it_is_but_for_delimiters() {
        for frame in stream() {
            let mut coded = vec![0, 0, 0, 1, DELIMITER, 0x10];
            coded.extend_from_slice(&frame.data);
            let (mut headers, mut out) = (Headers::default(), EncodedFrame::default());
            assert!(headers.take(&coded, &mut out));
            assert_eq!((out.key, &out.data), (frame.key, &frame.data));
            assert_eq!(out.piece_ends.last().copied(), Some(out.data.len() as u32));
            let whole = out.piece_ends.iter().all(|end| frame.piece_ends.contains(end));
            assert!(whole, "a piece ends where a unit does");
        }
    }

    #[test]
    fn repeated_parameter_sets_do_not_pile_up() {
        let (sets, _) = parted(&stream()[0]);
        let mut headers = Headers::default();
        for _ in 0..100 {
            headers.take(&sets, &mut EncodedFrame::default());
        }
        assert_eq!(headers.kept, sets);
    }

    proptest! {
        #[test]
        fn any_bytes_are_units_that_tile_what_follows_the_first_start_code(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..300)
        ) {
            let ranges: Vec<_> = Units::new(&bytes).map(|(_, range)| range).collect();
            prop_assert!(ranges.windows(2).all(|w| w[0].end == w[1].start));
            let mut out = EncodedFrame::default();
            Headers::default().take(&bytes, &mut out);
            prop_assert!(out.data.len() <= bytes.len() + KEPT_BYTES_MAX);
            prop_assert!(out.piece_ends.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn start_codes_are_found_where_a_plain_search_finds_them(
            bytes in proptest::collection::vec(0u8..3, 0..200), from in 0usize..50
        ) {
            let plain = bytes.get(from..).and_then(|rest| rest.windows(3).position(|w| w == [0, 0, 1])).map(|at| at + from);
            prop_assert_eq!(start_code(&bytes, from), plain);
        }
    }
}
