//! Goal: each raw frame is either sent or counted under the cause of its drop, and what is sent can be decoded.
//! Method: frames are given to the stage's body one by one; the test is the net loop.

use super::super::hardware::fake::{Fake, attempts};
use super::*;
use crate::codec::clip::{Clip, psnr_luma};
use crate::codec::{Decoder, VideoDecoder};
use crate::media::{ColourRange, Limit, PixelFormat};
use crate::ring::{Consumer, fifo};
use crate::time::Instant;

const SIZE: Size = Size::new(128, 96);

struct Bench {
    camera: Pool<FrameBuffer>,
    clip: Clip,
    number: u32,
    compress: Compress<Fake<Encoder>>,
    net: Consumer<Lent<EncodedFrame>>,
}

impl Bench {
    /// A camera of planar pictures, or of JPEG images; level 0.
    fn new(codec: VideoCodec, pixel: PixelFormat) -> Bench {
        Bench::with_encoder(codec, pixel, CodecSpec::Software)
    }

    fn with_encoder(codec: VideoCodec, pixel: PixelFormat, encoder: CodecSpec) -> Bench {
        let format =
            VideoFormat { pixel, size: SIZE, stride_bytes: 128, range: ColourRange::Limited, millihertz: 30_000 };
        let (out, net) = fifo::<_, 4>();
        let knobs = Arc::new(Knobs::new(500_000, Level::FULL));
        let config = CompressConfig { codec, encoder, ..CompressConfig::default() };
        Bench {
            camera: Pool::new((0..2).map(|_| FrameBuffer::own(format, SIZE.pixels() * 3 / 2))),
            clip: Clip::new(SIZE, 2.0),
            number: 0,
            compress: Compress::new(config, None, knobs, out, Arc::default()),
            net,
        }
    }

    /// The camera's next frame goes through; whether an encoded one came of it.
    fn next(&mut self) -> bool {
        let mut picture = Picture::new(SIZE);
        self.clip.draw(&mut picture);
        let mut frame = self.camera.claim().expect("the camera has its buffers back");
        frame.captured_at = Instant::from_millis(u64::from(self.number) * 33);
        self.number += 1;
        if frame.format.pixel == PixelFormat::Mjpeg {
            let mut image = EncodedFrame::default();
            Encoder::new(VideoCodec::Mjpeg, EncoderConfig::default()).encode(&picture, false, &mut image).unwrap();
            frame.bytes_mut().fill(0);
            frame.bytes_mut()[..image.data.len()].copy_from_slice(&image.data);
            // Some drivers count their padding as well.
            frame.used = image.data.len() + 100;
        } else {
            // 128 is a multiple of the picture's own stride, so the planes lie as the driver's do.
            let bytes: Vec<u8> = picture.planes().iter().flat_map(|plane| plane.data).copied().collect();
            frame.bytes_mut().copy_from_slice(&bytes);
        }
        self.compress.handle(frame.lend())
    }

    fn stats(&self) -> &CompressStats {
        &self.compress.stats
    }
}

#[test]
fn every_frame_is_sent_numbered_timed_and_decodable() {
    for codec in [VideoCodec::H264, VideoCodec::Mjpeg, VideoCodec::Deflate] {
        let mut bench = Bench::new(codec, PixelFormat::I420);
        let (mut decoder, mut picture) = (Decoder::new(), Picture::new(SIZE));
        for number in 0..6 {
            assert!(bench.next());
            let frame = bench.net.take().unwrap();
            assert_eq!((frame.number, frame.captured_at), (number, Instant::from_millis(number * 33)));
            assert_eq!((frame.codec, frame.size), (codec, Some(SIZE)));
            decoder.decode(&frame, &mut picture).unwrap();
        }
        assert_eq!(bench.stats().sent.get(), 6);
    }
}

#[test]
fn a_level_scales_and_leaves_frames_out() {
    let mut bench = Bench::new(VideoCodec::H264, PixelFormat::I420);
    for n in 0..=3 {
        let level = Level::new(n).unwrap();
        bench.compress.knobs.set_level(level);
        let mut frames = Vec::new();
        let sent: Vec<bool> = (0..8)
            .map(|_| {
                let sent = bench.next();
                frames.extend(bench.net.take().map(|frame| (frame.key, frame.size)));
                sent
            })
            .collect();
        let first = sent.iter().position(|sent| *sent).unwrap();
        let wanted: Vec<bool> = (0..8 - first).map(|i| i % (usize::from(n) + 1) == 0).collect();
        assert_eq!(sent[first..], wanted, "level {n}");
        assert_eq!(frames[0], (true, Some(level.scaled(SIZE))), "another size begins with a key frame");
    }
}

#[test]
fn a_limit_in_mid_stream_makes_pictures_smaller_and_fewer_and_takes_nothing_away_for_good() {
    let mut bench = Bench::new(VideoCodec::H264, PixelFormat::I420);
    let half = Limit { size: Size::new(64, 48), rate_millihertz: 15_000, bitrate_bps: 100_000 };
    for (limit, size, sent_of_6) in [(Limit::NONE, SIZE, 6), (half, Size::new(64, 48), 3), (Limit::NONE, SIZE, 6)] {
        bench.compress.knobs.set_limit(limit);
        let mut frames = Vec::new();
        for _ in 0..6 {
            bench.next();
            frames.extend(bench.net.take().map(|frame| (frame.key, frame.size)));
        }
        assert_eq!(frames.len(), sent_of_6, "{limit:?}");
        assert_eq!(frames[0], (true, Some(size)), "another size begins with a key frame");
        assert!(frames[1..].iter().all(|frame| *frame == (false, Some(size))), "and only that: {frames:?}");
        assert_eq!(bench.stats().unlimited(), Some((SIZE, 30_000)), "what there would be without it is known");
    }
    assert_eq!(bench.stats().dropped_by_limit.get(), 3);
}

#[test]
fn a_limit_and_a_level_go_together() {
    let mut bench = Bench::new(VideoCodec::H264, PixelFormat::I420);
    bench.compress.knobs.set_level(Level::new(1).unwrap());
    bench.compress.knobs.set_limit(Limit { rate_millihertz: 5_000, ..Limit::NONE });
    let sent = (0..60).filter(|_| bench.next() && bench.net.take().is_some()).count();
    assert_eq!(sent, 10, "of 30 a second 5");
    assert_eq!(bench.stats().unlimited(), Some((Size::new(64, 48), 15_000)));
}

#[test]
fn images_that_are_passed_through_keep_their_size_and_become_fewer() {
    let mut bench = Bench::new(VideoCodec::Mjpeg, PixelFormat::Mjpeg);
    bench.compress.knobs.set_limit(Limit { size: Size::new(64, 48), rate_millihertz: 10_000, ..Limit::NONE });
    let sent =
        (0..30).filter(|_| bench.next() && bench.net.take().is_some_and(|frame| frame.size == Some(SIZE))).count();
    assert_eq!((sent, bench.stats().passed_through.get()), (10, 10));
}

#[test]
fn a_key_frame_is_made_when_asked_for_and_only_then() {
    let mut bench = Bench::new(VideoCodec::H264, PixelFormat::I420);
    let mut keys = Vec::new();
    for n in 0..8 {
        if n == 4 {
            bench.compress.knobs.ask_key_frame();
        }
        bench.next();
        keys.extend(bench.net.take().map(|frame| frame.key));
    }
    assert_eq!(keys, [true, false, false, false, true, false, false, false]);
}

#[test]
fn nothing_is_encoded_while_paused_and_the_first_frame_after_it_is_a_key_frame() {
    let mut bench = Bench::new(VideoCodec::H264, PixelFormat::I420);
    assert!(bench.next());
    bench.compress.knobs.set_paused(true);
    assert!(!bench.next() && !bench.next());
    bench.compress.knobs.set_paused(false);
    assert!(bench.next() && bench.next());
    let keys: Vec<bool> = core::iter::from_fn(|| bench.net.take()).map(|frame| frame.key).collect();
    assert_eq!(keys, [true, true, false]);
    assert_eq!((bench.stats().dropped_paused.get(), bench.stats().encode.summary().count), (2, 3));
}

#[test]
fn a_net_loop_that_is_late_costs_raw_frames_and_never_an_encoded_one() {
    let mut bench = Bench::new(VideoCodec::Deflate, PixelFormat::I420);
    let sent = (0..10).filter(|_| bench.next()).count();
    assert_eq!((sent, bench.stats().dropped_queue_full.get()), (3, 7), "the queue holds three");
    let (mut decoder, mut picture) = (Decoder::new(), Picture::new(SIZE));
    let mut waiting: Vec<_> = core::iter::from_fn(|| bench.net.take()).collect();
    assert!(bench.next());
    waiting.extend(bench.net.take());
    for (number, frame) in waiting.iter().enumerate() {
        assert_eq!((frame.number, frame.key), (number as u64, number == 0), "the chain has no gap");
        decoder.decode(frame, &mut picture).unwrap();
    }
}

#[test]
fn a_link_that_keeps_every_slot_costs_raw_frames_too() {
    let mut bench = Bench::new(VideoCodec::Mjpeg, PixelFormat::I420);
    let mut held = Vec::new();
    for _ in 0..SLOTS {
        assert!(bench.next());
        held.extend(bench.net.take());
    }
    assert!(!bench.next());
    assert_eq!(bench.stats().dropped_no_slot.get(), 1);
    held.pop();
    assert!(bench.next());
}

#[test]
fn a_camera_s_jpeg_goes_through_untouched_at_level_0_and_is_scaled_above() {
    let mut bench = Bench::new(VideoCodec::Mjpeg, PixelFormat::Mjpeg);
    assert!(bench.next());
    let frame = bench.net.take().unwrap();
    assert!(frame.key && frame.data.ends_with(&[0xff, 0xd9]), "without the driver's padding");
    assert_eq!((bench.stats().passed_through.get(), bench.stats().encode.summary().count), (1, 0));
    bench.compress.knobs.set_level(Level::new(1).unwrap());
    assert!(bench.next());
    assert_eq!(bench.net.take().unwrap().size, Some(Size::new(64, 48)));
    assert_eq!(bench.stats().passed_through.get(), 1);
}

#[test]
fn an_unreadable_frame_is_counted_and_the_next_one_goes_through() {
    let mut bench = Bench::new(VideoCodec::H264, PixelFormat::Mjpeg);
    assert!(bench.next());
    for bytes in [&[0; 50][..], &[0xff, 0xd8, 0xff, 0xd9, 7, 7], &[]] {
        let mut frame = bench.camera.claim().unwrap();
        frame.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        frame.used = bytes.len();
        assert!(!bench.compress.handle(frame.lend()));
    }
    assert_eq!(bench.stats().dropped_unreadable.get(), 3);
    assert!(bench.next());
    let keys: Vec<bool> = core::iter::from_fn(|| bench.net.take()).map(|frame| frame.key).collect();
    assert_eq!(keys, [true, false], "the encoder has lost nothing");
}

#[test]
fn a_size_that_the_codec_refuses_is_an_error_each_time_and_no_end() {
    let mut bench = Bench::new(VideoCodec::H264, PixelFormat::I420);
    let format = VideoFormat {
        pixel: PixelFormat::I420,
        size: Size::new(8, 8),
        stride_bytes: 8,
        range: ColourRange::Limited,
        millihertz: 0,
    };
    let mut small = Pool::new([FrameBuffer::own(format, 96)]);
    for _ in 0..3 {
        assert!(!bench.compress.handle(small.claim().unwrap().lend()));
    }
    assert_eq!(bench.stats().dropped_encoder_failed.get(), 3);
    assert!(bench.next());
}

#[test]
fn a_hardware_encoder_that_dies_costs_no_frame_and_one_key_frame() {
    let spec = CodecSpec::Node("/4".into());
    let mut bench = Bench::with_encoder(VideoCodec::H264, PixelFormat::I420, spec.clone());
    let (mut decoder, mut picture) = (Decoder::new(), Picture::new(SIZE));
    let mut original = Clip::new(SIZE, 2.0);
    let mut drawn = Picture::new(SIZE);
    let mut keys = Vec::new();
    for number in 0..10 {
        assert!(bench.next(), "frame {number} is sent all the same");
        let frame = bench.net.take().unwrap();
        assert_eq!(frame.number, number, "without a gap");
        decoder.decode(&frame, &mut picture).unwrap();
        original.draw(&mut drawn);
        assert!(psnr_luma(&drawn, &picture) > 25.0, "frame {number}");
        keys.extend(frame.key.then_some(number));
    }
    assert_eq!(keys, [0, 4], "the first frame of either encoder");
    assert_eq!((bench.stats().by_hardware.get(), bench.stats().dropped_encoder_failed.get()), (4, 0));
    assert_eq!(attempts(&spec), 1, "it is left alone for a while");
}

#[test]
fn without_the_hardware_that_was_asked_for_the_first_frame_is_sent_all_the_same() {
    let mut bench = Bench::with_encoder(VideoCodec::H264, PixelFormat::I420, CodecSpec::Node("/0".into()));
    assert!(bench.next() && bench.net.take().unwrap().key);
    assert_eq!(bench.stats().by_hardware.get(), 0);
}

#[test]
fn hardware_is_opened_anew_for_another_size_and_not_at_all_for_another_codec() {
    let spec = CodecSpec::Node("/9/09".into());
    let mut bench = Bench::with_encoder(VideoCodec::H264, PixelFormat::I420, spec.clone());
    let mut keys = Vec::new();
    for n in 0..4 {
        bench.compress.knobs.set_level(Level::new(u8::from(n >= 2)).unwrap());
        bench.compress.to_skip = 0;
        assert!(bench.next());
        keys.push(bench.net.take().unwrap().key);
    }
    assert_eq!((keys, attempts(&spec)), (vec![true, false, true, false], 2));
    let other = CodecSpec::Node("/99".into());
    let mut bench = Bench::with_encoder(VideoCodec::Deflate, PixelFormat::I420, other.clone());
    assert!(bench.next());
    assert_eq!(attempts(&other), 0);
}
