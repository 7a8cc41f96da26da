//! Goal: what is shown was decoded from an unbroken chain, and a broken chain is mended by a key frame. Method: frames
//! of a real encoder are given to the stage's body, some of them left out.

use super::super::hardware::fake::{Fake, LENT, attempts};
use super::*;
use crate::codec::clip::{Clip, psnr_luma};
use crate::codec::{Encoder, EncoderConfig, VideoEncoder};
use crate::media::VideoCodec;
use crate::ring::{Receiver, mailbox};

struct Bench {
    encoder: Encoder,
    clip: Clip,
    picture: Picture,
    number: u64,
    expand: Expand<Fake<Decoder>>,
    screen: Receiver<Lent<DecodedFrame>>,
}

const SIZE: Size = Size::new(96, 64);

impl Bench {
    fn new(codec: VideoCodec) -> Bench {
        Bench::with_decoder(codec, CodecSpec::Software)
    }

    fn with_decoder(codec: VideoCodec, decoder: CodecSpec) -> Bench {
        let (out, screen) = mailbox();
        Bench {
            encoder: Encoder::new(
                codec,
                EncoderConfig { size: SIZE, bitrate_bps: 500_000, ..EncoderConfig::default() },
            ),
            clip: Clip::new(SIZE, 2.0),
            picture: Picture::new(SIZE),
            number: 0,
            expand: Expand::new(decoder, None, out, Arc::default()),
            screen,
        }
    }

    fn encode(&mut self, key: bool) -> EncodedFrame {
        self.clip.draw(&mut self.picture);
        let mut frame =
            EncodedFrame { captured_at: Instant::from_millis(1_000 + self.number * 33), ..EncodedFrame::default() };
        self.encoder.encode(&self.picture, key, &mut frame).unwrap();
        frame.number = self.number;
        self.number += 1;
        frame
    }

    fn next(&mut self, key: bool) -> Outcome {
        let frame = self.encode(key);
        self.expand.handle(&frame)
    }
}

const ALL: [VideoCodec; 3] = [VideoCodec::H264, VideoCodec::Mjpeg, VideoCodec::Deflate];

#[test]
fn every_frame_is_decoded_in_order_with_its_times() {
    for codec in ALL {
        let mut bench = Bench::new(codec);
        for number in 0..8 {
            assert_eq!(bench.next(false), Outcome::Shown);
            let shown = bench.screen.take().unwrap();
            assert_eq!((shown.number, shown.captured_at), (number, Instant::from_millis(1_000 + number * 33)));
            assert!(psnr_luma(shown.own().unwrap(), &bench.picture) > 28.0, "{codec}");
        }
        assert_eq!(bench.expand.stats.replaced.get(), 0);
    }
}

#[test]
fn a_newer_picture_replaces_one_that_was_not_shown() {
    let mut bench = Bench::new(VideoCodec::H264);
    for _ in 0..3 {
        bench.next(false);
    }
    assert_eq!(bench.screen.take().unwrap().number, 2);
    assert_eq!(bench.expand.stats.replaced.get(), 2);
}

#[test]
fn a_missing_frame_stops_the_picture_and_asks_once_until_a_key_frame_comes() {
    for codec in [VideoCodec::H264, VideoCodec::Deflate] {
        let mut bench = Bench::new(codec);
        bench.next(false);
        bench.encode(false);
        assert_eq!(bench.next(false), Outcome::KeyFrameWanted, "{codec}");
        assert!(bench.expand.stats.take_key_request() && !bench.expand.stats.take_key_request());
        assert_eq!(bench.next(false), Outcome::Dropped, "it was asked for a moment ago");
        assert_eq!(bench.screen.take().unwrap().number, 0);
        assert_eq!(bench.next(true), Outcome::Shown);
        assert_eq!(bench.next(false), Outcome::Shown);
        assert_eq!(bench.screen.take().unwrap().number, 5);
    }
}

#[test]
fn a_key_frame_that_does_not_come_is_asked_for_again() {
    let mut bench = Bench::new(VideoCodec::H264);
    let (frame, later) = (bench.encode(false), bench.encode(false));
    drop(frame);
    assert_eq!(bench.expand.handle(&later), Outcome::KeyFrameWanted);
    let asked = bench.expand.asked_at.unwrap();
    assert_eq!(bench.expand.ask(asked + Duration::from_millis(499)), Outcome::Dropped);
    assert_eq!(bench.expand.ask(asked + Duration::from_millis(500)), Outcome::KeyFrameWanted);
}

#[test]
fn a_damaged_frame_asks_for_a_key_frame_and_shows_nothing() {
    for codec in ALL {
        let mut bench = Bench::new(codec);
        let mut frame = bench.encode(false);
        frame.data.truncate(frame.data.len() / 2);
        assert_eq!(bench.expand.handle(&frame), Outcome::KeyFrameWanted, "{codec}");
        assert!(bench.screen.take().is_none());
        assert_eq!(bench.next(true), Outcome::Shown);
    }
}

#[test]
fn the_chain_goes_on_while_the_screen_holds_every_slot() {
    let mut bench = Bench::new(VideoCodec::Deflate);
    let mut held = Vec::new();
    for _ in 0..SLOTS {
        bench.next(false);
        held.extend(bench.screen.take());
    }
    assert_eq!(bench.next(false), Outcome::Dropped);
    assert_eq!(bench.expand.stats.unshown.get(), 1);
    held.clear();
    assert_eq!(bench.next(false), Outcome::Shown, "it refers to the one that could not be shown");
    assert!(psnr_luma(bench.screen.take().unwrap().own().unwrap(), &bench.picture).is_infinite());
}

#[test]
fn another_codec_in_mid_call_is_decoded_from_its_first_frame_on() {
    let (mut one, mut two) = (Bench::new(VideoCodec::H264), Bench::new(VideoCodec::Deflate));
    one.next(false);
    assert_eq!(one.expand.handle(&two.encode(false)), Outcome::Shown);
}

#[test]
fn a_hardware_decoder_that_dies_costs_one_key_frame() {
    let spec = CodecSpec::Node("/3/".into());
    let mut bench = Bench::with_decoder(VideoCodec::H264, spec.clone());
    for _ in 0..3 {
        assert_eq!(bench.next(false), Outcome::Shown);
    }
    assert_eq!(bench.next(false), Outcome::KeyFrameWanted);
    for key in [true, false, false] {
        assert_eq!(bench.next(key), Outcome::Shown);
        assert!(psnr_luma(bench.screen.take().unwrap().own().unwrap(), &bench.picture) > 28.0);
    }
    let stats = &bench.expand.stats;
    assert_eq!((stats.by_hardware.get(), stats.decoded.get(), stats.key_requests.get()), (3, 6, 1));
    assert_eq!(attempts(&spec), 1, "it is left alone for a while");
}

#[test]
fn a_hardware_decoder_that_dies_at_a_key_frame_costs_nothing() {
    let mut bench = Bench::with_decoder(VideoCodec::H264, CodecSpec::Node("/2".into()));
    let shown = [false, false, true, false].map(|key| bench.next(key));
    assert_eq!(shown, [Outcome::Shown; 4]);
    assert_eq!(bench.expand.stats.key_requests.get(), 0);
}

#[test]
fn a_picture_is_shown_where_the_hardware_put_it_and_copied_while_it_can_spare_none() {
    let mut bench = Bench::with_decoder(VideoCodec::H264, CodecSpec::Node("/21".into()));
    let mut held = Vec::new();
    for count in 1..=LENT + SLOTS {
        assert_eq!(bench.next(false), Outcome::Shown);
        let shown = bench.screen.take().unwrap();
        assert!(psnr_luma(shown.own().unwrap(), &bench.picture) > 28.0);
        assert_eq!((shown.number, shown.decoded_at > Instant::ZERO), (count as u64 - 1, true));
        held.push(shown);
        assert_eq!(SLOTS - bench.expand.slots.free(), count.saturating_sub(LENT), "copies after {count} pictures");
    }
    assert_eq!(bench.next(false), Outcome::Dropped);
    drop(held.remove(0));
    assert_eq!(bench.next(false), Outcome::Shown, "what was lent is back");
}

#[test]
fn a_damaged_frame_is_not_the_hardware_s_fault() {
    let mut bench = Bench::with_decoder(VideoCodec::H264, CodecSpec::Node("/20".into()));
    bench.next(false);
    let mut frame = bench.encode(false);
    frame.data.truncate(frame.data.len() / 2);
    assert_eq!(bench.expand.handle(&frame), Outcome::KeyFrameWanted);
    assert_eq!(bench.next(true), Outcome::Shown);
    assert_eq!(bench.expand.stats.by_hardware.get(), 2);
}
