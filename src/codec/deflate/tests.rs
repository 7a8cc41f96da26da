//! Goal: what comes out is what went in, to within the bound, and nothing that arrives broken comes out at all.
//! Method: random sizes, bounds and clips; then every kind of damage.

use super::*;
use crate::codec::clip::Clip;
use proptest::prelude::*;

fn planes_within(a: &Picture, b: &Picture, near: u8) -> bool {
    let sizes = [a.size(), a.size().chroma(), a.size().chroma()];
    a.size() == b.size()
        && a.planes().iter().zip(b.planes()).zip(sizes).all(|((a, b), size)| {
            (0..size.height as usize).all(|row| {
                let from = row * a.stride_bytes;
                let row = from..from + size.width as usize;
                a.data[row.clone()].iter().zip(&b.data[row]).all(|(a, b)| a.abs_diff(*b) <= near)
            })
        })
}

fn encode(encoder: &mut DeflateEncoder, picture: &Picture, key: bool) -> EncodedFrame {
    let mut frame = EncodedFrame::default();
    encoder.encode(picture, key, &mut frame).unwrap();
    assert_eq!(frame.piece_ends.last().copied(), Some(frame.data.len() as u32));
    frame
}

/// A short stream, and the pictures it was made of.
fn stream(size: Size, near: u8, frames: usize) -> Vec<(Picture, EncodedFrame)> {
    let mut clip = Clip::new(size, 2.0);
    let mut encoder = DeflateEncoder::new(near);
    (0..frames)
        .map(|_| {
            let mut picture = Picture::new(size);
            clip.draw(&mut picture);
            let frame = encode(&mut encoder, &picture, false);
            (picture, frame)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_sample_of_any_size_is_within_the_bound(w in 1u32..150, h in 1u32..150, near in prop_oneof![Just(0u8), 1u8..70]) {
        let (mut decoder, mut out) = (DeflateDecoder::new(), Picture::new(Size::new(2, 2)));
        for (picture, frame) in stream(Size::new(w, h), near, 4) {
            decoder.decode(&frame, &mut out).unwrap();
            prop_assert!(planes_within(&picture, &out, near.min(NEAR_MAX)));
        }
    }

    #[test]
    fn pictures_of_pure_noise_come_back_too(samples in proptest::collection::vec(any::<u8>(), 3_000), near in 0u8..65) {
        let (mut encoder, mut decoder) = (DeflateEncoder::new(near), DeflateDecoder::new());
        let mut picture = Picture::new(Size::new(40, 20));
        let mut out = picture.clone();
        for part in samples.chunks(1_000) {
            for plane in picture.planes_mut() {
                for (to, from) in plane.iter_mut().zip(part.iter().cycle()) {
                    *to = *from;
                }
            }
            decoder.decode(&encode(&mut encoder, &picture, false), &mut out).unwrap();
            prop_assert!(planes_within(&picture, &out, near));
        }
    }

    #[test]
    fn a_damaged_frame_is_an_error(flip in any::<proptest::sample::Index>(), bit in 0u8..8, cut in any::<proptest::sample::Index>()) {
        let frames = stream(Size::new(100, 140), 0, 2);
        let (mut decoder, mut out) = (DeflateDecoder::new(), Picture::new(Size::new(2, 2)));
        let whole = &frames[1].1;
        let mut flipped = whole.clone();
        let at = flip.index(flipped.data.len());
        flipped.data[at] ^= 1 << bit;
        decoder.decode(&frames[0].1, &mut out).unwrap();
        prop_assert!(decoder.decode(&flipped, &mut out).is_err(), "byte {at} bit {bit}");
        let mut short = whole.clone();
        short.data.truncate(cut.index(short.data.len()));
        decoder.decode(&frames[0].1, &mut out).unwrap();
        prop_assert!(decoder.decode(&short, &mut out).is_err());
    }

    #[test]
    fn garbage_is_an_error(data in proptest::collection::vec(any::<u8>(), 0..400), key in any::<bool>()) {
        let mut frame = EncodedFrame { data, key, codec: VideoCodec::Deflate, ..EncodedFrame::default() };
        let mut out = Picture::new(Size::new(2, 2));
        prop_assert!(DeflateDecoder::new().decode(&frame, &mut out).is_err());
        // Now with a header that passes, of a small picture in one slice, and a checksum that is right.
        let mut data = b"VD\x01\x01\x00\x04\x10\x00\x10\x00\0\0\0\0".to_vec();
        let checksum = checksum(&data, &frame.data);
        data.extend_from_slice(&(frame.data.len() as u32).to_le_bytes());
        data.extend_from_slice(&checksum.to_le_bytes());
        data.extend_from_slice(&frame.data);
        frame = EncodedFrame { data, key: true, ..frame };
        let _ = DeflateDecoder::new().decode(&frame, &mut out);
    }
}

#[test]
fn a_frame_whose_reference_is_missing_is_refused_until_a_key_frame() {
    let size = Size::new(64, 48);
    let frames = stream(size, 0, 4);
    let (mut decoder, mut out) = (DeflateDecoder::new(), Picture::new(size));
    assert!(decoder.decode(&frames[1].1, &mut out).is_err(), "there was no key frame");
    decoder.decode(&frames[0].1, &mut out).unwrap();
    assert!(decoder.decode(&frames[2].1, &mut out).is_err(), "the second is missing");
    assert!(decoder.decode(&frames[3].1, &mut out).is_err(), "the third was refused");
    let mut encoder = DeflateEncoder::new(0);
    encode(&mut encoder, &frames[0].0, false);
    let key = encode(&mut encoder, &frames[3].0, true);
    assert!(key.key);
    decoder.decode(&key, &mut out).unwrap();
    assert!(planes_within(&frames[3].0, &out, 0));
}

#[test]
fn another_size_or_range_starts_with_a_key_frame() {
    let (mut encoder, mut decoder) = (DeflateEncoder::new(2), DeflateDecoder::new());
    let mut out = Picture::new(Size::new(2, 2));
    for (size, range, key) in [
        (Size::new(64, 48), ColourRange::Limited, true),
        (Size::new(64, 48), ColourRange::Limited, false),
        (Size::new(33, 21), ColourRange::Limited, true),
        (Size::new(33, 21), ColourRange::Full, true),
    ] {
        let mut picture = Picture::new(size);
        picture.range = range;
        let frame = encode(&mut encoder, &picture, false);
        assert_eq!(frame.key, key, "{size} {range:?}");
        decoder.decode(&frame, &mut out).unwrap();
        assert_eq!((out.size(), out.range), (size, range));
    }
}

#[test]
fn a_still_picture_costs_a_few_bytes_a_slice() {
    let mut encoder = DeflateEncoder::new(0);
    let picture = stream(Size::new(640, 480), 0, 1).remove(0).0;
    encode(&mut encoder, &picture, false);
    assert!(encode(&mut encoder, &picture, false).data.len() < 8 * 40);
}

#[test]
fn noise_costs_little_more_than_its_entropy() {
    // A difference of two samples of sigma 2 has 3.55 bits; guessing from two samples brings it nearer to 3.3.
    let frame = stream(Size::new(320, 240), 0, 5).pop().unwrap().1;
    let bits = frame.data.len() as f64 * 8.0 / (320.0 * 240.0 * 1.5);
    assert!(bits < 3.75, "{bits} bits a sample");
}
