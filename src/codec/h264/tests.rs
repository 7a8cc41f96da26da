//! Goal: the stream keeps what the link builds on: size of pieces, one frame in and one out, rate, key frames, and no
//! picture that depends on a lost one. Method: a noisy clip through encoder and decoder, with damage in between.

use super::*;
use crate::codec::clip::{Clip, psnr_luma};
use crate::time::Instant;
use proptest::prelude::*;

/// Encodes picture after picture of a clip at 30 a second.
struct Camera {
    clip: Clip,
    encoder: H264Encoder,
    picture: Picture,
    number: u64,
}

impl Camera {
    fn new(size: Size, bitrate_bps: u32) -> Camera {
        let encoder = H264Encoder::new(30_000, bitrate_bps);
        Camera { clip: Clip::new(size, 2.0), encoder, picture: Picture::new(size), number: 0 }
    }

    fn next(&mut self, key: bool) -> EncodedFrame {
        self.clip.draw(&mut self.picture);
        let mut frame =
            EncodedFrame { captured_at: Instant::from_micros(self.number * 33_333), ..EncodedFrame::default() };
        self.number += 1;
        self.encoder.encode(&self.picture, key, &mut frame).unwrap();
        frame
    }

    /// Bits a second over so many frames, the first not counted.
    fn rate(&mut self, frames: usize) -> f64 {
        let bytes: usize = (0..frames).map(|_| self.next(false).data.len()).sum();
        bytes as f64 * 8.0 * 30.0 / frames as f64
    }
}

const VGA: Size = Size::new(640, 480);

#[test]
fn each_picture_comes_back_at_once_and_looks_like_itself() {
    let (mut camera, mut decoder, mut out) = (Camera::new(VGA, 2_000_000), H264Decoder::new(), Picture::new(VGA));
    for number in 0..20 {
        let frame = camera.next(false);
        assert_eq!(frame.key, number == 0);
        decoder.decode(&frame, &mut out).unwrap();
        let psnr = psnr_luma(&camera.picture, &out);
        assert!(out.size() == VGA && psnr > 33.0, "frame {number}: {psnr} dB");
    }
}

#[test]
fn no_piece_is_larger_than_a_datagram_takes() {
    for (size, bitrate) in
        [(VGA, 2_000_000), (VGA, 12_000_000), (Size::new(1280, 720), 4_000_000), (Size::new(176, 144), 100_000)]
    {
        let mut camera = Camera::new(size, bitrate);
        for number in 0..12 {
            let frame = camera.next(number == 6);
            assert_eq!(frame.piece_ends.last().copied(), Some(frame.data.len() as u32));
            let mut start = 0;
            for end in &frame.piece_ends {
                assert!((1..=SLICE_BYTES_MAX as u32).contains(&(end - start)), "{size} at {bitrate}: {}", end - start);
                assert_eq!(frame.data[start as usize..][..4], [0, 0, 0, 1], "a piece begins with a start code");
                start = *end;
            }
        }
    }
}

#[test]
fn the_rate_is_held_and_changes_when_asked() {
    let mut camera = Camera::new(VGA, 2_000_000);
    camera.next(false);
    for bitrate in [1_000_000u32, 500_000, 2_000_000] {
        camera.encoder.set_bitrate(bitrate);
        // Half a second to settle.
        camera.rate(15);
        let rate = camera.rate(90) / f64::from(bitrate);
        assert!((0.8..1.2).contains(&rate), "{bitrate} bit/s: {rate} of it");
    }
}

#[test]
fn bits_that_are_taken_at_a_key_frame_and_given_back_leave_no_blur_behind() {
    let mut camera = Camera::new(Size::new(320, 240), 2_000_000);
    let mut next = |number: u32| {
        camera.encoder.set_bitrate(if (20..22).contains(&number) { 480_000 } else { 2_000_000 });
        camera.next(number == 20)
    };
    let frames: Vec<_> = (0..60).map(&mut next).collect();
    assert!(frames[20].key);
    // 8 kB a frame would be asked for; the clip wants some 3 kB.
    let mean = frames[24..34].iter().map(|frame| frame.data.len()).sum::<usize>() / 10;
    assert!(mean > 1_000, "{mean} bytes a frame");
}

#[test]
fn no_frame_of_a_running_stream_takes_the_link_for_long() {
    let mut camera = Camera::new(VGA, 2_000_000);
    let largest = (0..120).map(|_| camera.next(false).data.len()).max().unwrap();
    // 25 kB are 100 ms at this rate.
    assert!(largest < 25_000, "{largest} bytes");
}

#[test]
fn a_key_frame_comes_when_asked_and_needs_nothing_before_it() {
    let mut camera = Camera::new(VGA, 2_000_000);
    let keys: Vec<bool> = (0..10).map(|n| camera.next(n == 5).key).collect();
    assert_eq!(keys.iter().filter(|key| **key).count(), 2);
    assert!(keys[0] && keys[5]);
    let key = camera.next(true);
    let mut out = Picture::new(VGA);
    H264Decoder::new().decode(&key, &mut out).unwrap();
    assert!(psnr_luma(&camera.picture, &out) > 30.0);
}

#[test]
fn after_a_lost_frame_there_is_no_picture_until_a_key_frame() {
    let (mut camera, mut decoder, mut out) = (Camera::new(VGA, 2_000_000), H264Decoder::new(), Picture::new(VGA));
    for _ in 0..3 {
        decoder.decode(&camera.next(false), &mut out).unwrap();
    }
    camera.next(false);
    for _ in 0..5 {
        assert!(decoder.decode(&camera.next(false), &mut out).is_err());
    }
    decoder.decode(&camera.next(true), &mut out).unwrap();
    assert!(psnr_luma(&camera.picture, &out) > 30.0);
    decoder.decode(&camera.next(false), &mut out).unwrap();
}

#[test]
fn a_frame_without_one_of_its_slices_is_an_error() {
    let mut camera = Camera::new(VGA, 2_000_000);
    let key = camera.next(false);
    let second = camera.next(false);
    for (n, pair) in second.piece_ends.windows(2).enumerate() {
        let (mut decoder, mut out) = (H264Decoder::new(), Picture::new(VGA));
        decoder.decode(&key, &mut out).unwrap();
        let mut cut = second.clone();
        cut.data.drain(pair[0] as usize..pair[1] as usize);
        assert!(decoder.decode(&cut, &mut out).is_err(), "slice {}", n + 1);
    }
}

#[test]
fn the_range_goes_with_the_stream() {
    let size = Size::new(320, 240);
    let (mut encoder, mut decoder) = (H264Encoder::new(30_000, 500_000), H264Decoder::new());
    let (mut frame, mut out) = (EncodedFrame::default(), Picture::new(size));
    for range in [ColourRange::Full, ColourRange::Limited, ColourRange::Full] {
        let mut picture = Picture::new(size);
        picture.range = range;
        encoder.encode(&picture, false, &mut frame).unwrap();
        assert!(frame.key, "another range is another stream");
        decoder.decode(&frame, &mut out).unwrap();
        assert_eq!(out.range, range);
    }
}

#[test]
fn another_size_starts_anew_and_an_impossible_one_is_refused_in_words() {
    let (mut encoder, mut decoder) = (H264Encoder::new(0, 500_000), H264Decoder::new());
    let (mut frame, mut out) = (EncodedFrame::default(), Picture::new(Size::new(2, 2)));
    for size in [Size::new(320, 240), Size::new(212, 160), Size::new(16, 16), Size::new(320, 240)] {
        encoder.encode(&Picture::new(size), false, &mut frame).unwrap();
        assert!(frame.key);
        decoder.decode(&frame, &mut out).unwrap();
        assert_eq!(out.size(), size);
    }
    for size in [Size::new(33, 20), Size::new(320, 241), Size::new(8, 8), Size::new(4096, 16)] {
        let error = encoder.encode(&Picture::new(size), false, &mut frame);
        assert!(matches!(error, Err(CodecError::Unsupported(why)) if why.contains(&size.to_string())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn damage_never_panics_and_a_key_frame_mends_it(at in any::<proptest::sample::Index>(), bit in 0u8..8, cut in any::<proptest::sample::Index>()) {
        let size = Size::new(64, 48);
        let (mut camera, mut decoder, mut out) = (Camera::new(size, 200_000), H264Decoder::new(), Picture::new(size));
        let mut key = camera.next(false);
        let at = at.index(key.data.len());
        key.data[at] ^= 1 << bit;
        let _ = decoder.decode(&key, &mut out);
        let mut next = camera.next(false);
        next.data.truncate(cut.index(next.data.len()));
        let _ = decoder.decode(&next, &mut out);
        decoder.decode(&camera.next(true), &mut out).unwrap();
        prop_assert!(out.size() == size && psnr_luma(&camera.picture, &out) > 25.0);
    }

    #[test]
    fn garbage_is_an_error(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut out = Picture::new(Size::new(2, 2));
        let frame = EncodedFrame { data, ..EncodedFrame::default() };
        prop_assert!(H264Decoder::new().decode(&frame, &mut out).is_err());
    }
}
