//! Goal: a codec of the kernel's turns pictures into frames and back, single- and multi-planar, through all that codecs
//! and their streams do. Method: the vicodec driver in the lab's kernel, which speaks a test format (FWHT) through the
//! same interface as H.264 hardware does; it is loaded, unbound and bound by the tests themselves.
//! Needs VISAVIS_LAB=1, modprobe and vicodec; elsewhere each test says that it was skipped.

use nix::poll::PollFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use visavis::codec::clip::{Clip, psnr_luma};
use visavis::codec::convert::Converter;
use visavis::codec::{CodecError, EncoderConfig, VideoDecoder, VideoEncoder};
use visavis::device::camera::CameraRequest;
use visavis::device::m2m::{self, CodecSpec, Coded, M2mDecoder, M2mEncoder, Role};
use visavis::device::v4l2::V4l2;
use visavis::device::{FrameBuffer, VideoSource};
use visavis::media::{EncodedFrame, Picture, Size, VideoFormat};
use visavis::ring::Lent;
use visavis::sys::wake::Stop;
use visavis::sys::{clock, poll};
use visavis::time::{Duration, Instant};

const VGA: Size = Size::new(640, 480);
/// The platform device and its driver in /sys.
const DRIVER: &str = "/sys/bus/platform/drivers/vicodec";
const DEVICE: &str = "vicodec.0";

/// The lab's codec, for one test at a time.
struct Lab {
    _alone: MutexGuard<'static, ()>,
}

impl Lab {
    /// `None` outside the lab.
    fn enter(test: &str) -> Option<Lab> {
        static CODEC: Mutex<()> = Mutex::new(());
        if std::env::var_os("VISAVIS_LAB").is_none_or(|v| v != "1") {
            println!("{test}: skipped, since VISAVIS_LAB is not 1");
            return None;
        }
        let lab = Lab { _alone: CODEC.lock().unwrap_or_else(PoisonError::into_inner) };
        lab.load(false);
        Some(lab)
    }

    /// Loads the driver anew, with nodes of one kind.
    fn load(&self, multi_planar: bool) {
        run(&["modprobe", "-r", "vicodec"]);
        assert!(run(&["modprobe", "vicodec", if multi_planar { "multiplanar=1" } else { "multiplanar=0" }]));
    }

    /// Runs `test` on nodes of either kind.
    fn both(&self, test: impl Fn()) {
        for multi_planar in [false, true] {
            self.load(multi_planar);
            println!("multi-planar: {multi_planar}");
            test();
        }
    }
}

fn run(command: &[&str]) -> bool {
    Command::new(command[0]).args(&command[1..]).status().expect(command[0]).success()
}

fn write(file: &str, text: &str) {
    std::fs::write(format!("{DRIVER}/{file}"), text).unwrap();
}

fn encoder(size: Size) -> M2mEncoder {
    let config = EncoderConfig { size, ..EncoderConfig::default() };
    M2mEncoder::open(&CodecSpec::Hardware, Coded::Fwht, &config, None).unwrap_or_else(|fault| panic!("{fault}"))
}

fn decoder() -> M2mDecoder {
    M2mDecoder::open(&CodecSpec::Hardware, Coded::Fwht, None, None).unwrap_or_else(|fault| panic!("{fault}"))
}

/// A clip, encoded picture by picture at 30 a second.
struct Camera {
    clip: Clip,
    picture: Picture,
    number: u64,
}

impl Camera {
    fn new(size: Size) -> Camera {
        Camera { clip: Clip::new(size, 2.0), picture: Picture::new(size), number: 0 }
    }

    fn next(&mut self, encoder: &mut M2mEncoder, key: bool) -> Result<EncodedFrame, CodecError> {
        self.clip.draw(&mut self.picture);
        let captured_at = Instant::from_micros(1_000_000 + self.number * 33_333);
        self.number += 1;
        let mut frame = EncodedFrame { captured_at, ..EncodedFrame::default() };
        encoder.encode(&self.picture, key, &mut frame).map(|()| frame)
    }
}

#[test]
fn the_codec_is_listed_by_what_it_does_and_is_not_taken_unasked() {
    let Some(lab) = Lab::enter("the_codec_is_listed_by_what_it_does_and_is_not_taken_unasked") else { return };
    lab.both(|| {
        let found: Vec<_> = m2m::list().into_iter().filter(|codec| codec.driver == "vicodec").collect();
        for codec in &found {
            println!("{codec:?}");
        }
        for role in [Role::Encoder, Role::Decoder] {
            let codec = found.iter().find(|c| c.role == role && c.coded[0].0 == "FWHT").expect("one of each");
            assert!(codec.raw.iter().any(|raw| raw == "YU12"));
            assert!(codec.lacks.as_ref().is_some_and(|lacks| lacks.contains("H.264")), "{:?}", codec.lacks);
            assert!(m2m::find(&CodecSpec::Auto, role, Coded::Fwht, VGA).is_err(), "a test driver is not taken unasked");
            let named = CodecSpec::Node(codec.path.clone());
            assert_eq!(m2m::find(&named, role, Coded::Fwht, VGA).unwrap().as_ref(), Some(codec));
            let fault = m2m::find(&named, role, Coded::H264, VGA).unwrap_err().to_string();
            assert!(fault.contains("does not speak H264"), "{fault}");
        }
    });
}

#[test]
fn every_picture_comes_back_at_once_and_looks_like_itself() {
    let Some(lab) = Lab::enter("every_picture_comes_back_at_once_and_looks_like_itself") else { return };
    lab.both(|| {
        // The last two are no multiples of the driver's blocks: it codes more than is visible.
        for size in [VGA, Size::new(1280, 720), Size::new(646, 362), Size::new(1000, 566)] {
            let (mut camera, mut encoder, mut decoder) = (Camera::new(size), encoder(size), decoder());
            let (mut out, mut keys, mut worst) = (Picture::new(Size::new(2, 2)), Vec::new(), f64::INFINITY);
            for number in 0..12 {
                let frame = camera.next(&mut encoder, false).unwrap();
                assert_eq!(frame.size, Some(size));
                decoder.decode(&frame, &mut out).unwrap();
                assert_eq!(out.size(), size);
                worst = worst.min(psnr_luma(&camera.picture, &out));
                keys.extend(frame.key.then_some(number));
            }
            println!("{size}: at worst {worst:.1} dB, key frames {keys:?}");
            assert!(worst > 28.0, "{size}: {worst} dB");
            assert_eq!(keys, [0], "the driver's shortest period is longer than this");
        }
    });
}

#[test]
fn a_key_frame_comes_when_asked_and_needs_nothing_before_it() {
    let Some(lab) = Lab::enter("a_key_frame_comes_when_asked_and_needs_nothing_before_it") else { return };
    lab.both(|| {
        let (mut camera, mut encoder) = (Camera::new(VGA), encoder(VGA));
        let frames: Vec<_> = (0..8).map(|n| camera.next(&mut encoder, n == 5).unwrap()).collect();
        let keys: Vec<_> = frames.iter().map(|frame| frame.key).collect();
        assert_eq!(keys, [true, false, false, false, false, true, false, false]);
        let (mut decoder, mut out) = (decoder(), Picture::new(VGA));
        for frame in &frames[5..] {
            decoder.decode(frame, &mut out).unwrap();
        }
        assert!(psnr_luma(&camera.picture, &out) > 28.0);
    });
}

#[test]
fn a_stream_may_change_its_size_under_a_running_decoder() {
    let Some(lab) = Lab::enter("a_stream_may_change_its_size_under_a_running_decoder") else { return };
    lab.both(|| {
        let (mut decoder, mut out) = (decoder(), Picture::new(VGA));
        for size in [VGA, Size::new(1280, 720), Size::new(646, 362), Size::new(1000, 566), VGA] {
            let (mut camera, mut encoder) = (Camera::new(size), encoder(size));
            for number in 0..3 {
                let frame = camera.next(&mut encoder, false).unwrap();
                decoder.decode(&frame, &mut out).unwrap_or_else(|error| panic!("{size}, frame {number}: {error}"));
                assert_eq!(out.size(), size);
                assert!(psnr_luma(&camera.picture, &out) > 28.0, "{size}");
            }
        }
    });
}

#[test]
fn draining_brings_nothing_more_and_both_begin_anew() {
    let Some(lab) = Lab::enter("draining_brings_nothing_more_and_both_begin_anew") else { return };
    lab.both(|| {
        let (mut camera, mut encoder, mut decoder) = (Camera::new(VGA), encoder(VGA), decoder());
        let mut out = Picture::new(VGA);
        for _ in 0..3 {
            for number in 0..4 {
                let frame = camera.next(&mut encoder, false).unwrap();
                assert_eq!(frame.key, number == 0);
                decoder.decode(&frame, &mut out).unwrap();
                assert!(psnr_luma(&camera.picture, &out) > 28.0);
            }
            assert_eq!((encoder.drain().unwrap(), decoder.drain().unwrap()), (0, 0), "no frame was held back");
        }
    });
}

#[test]
fn a_codec_that_goes_away_is_a_fault_in_words_and_can_be_opened_when_it_is_back() {
    let Some(lab) = Lab::enter("a_codec_that_goes_away_is_a_fault_in_words") else { return };
    lab.both(|| {
        let (mut camera, mut encoder, mut decoder) = (Camera::new(VGA), encoder(VGA), decoder());
        let mut out = Picture::new(VGA);
        let frame = camera.next(&mut encoder, false).unwrap();
        decoder.decode(&frame, &mut out).unwrap();
        write("unbind", DEVICE);
        let gone =
            [camera.next(&mut encoder, false).map(drop).unwrap_err(), decoder.decode(&frame, &mut out).unwrap_err()];
        for error in gone {
            println!("{error}");
            assert!(matches!(&error, CodecError::Library(why) if why.contains("/dev/video") && why.contains("ENODEV")));
        }
        let absent = M2mEncoder::open(&CodecSpec::Hardware, Coded::Fwht, &EncoderConfig::default(), None).unwrap_err();
        println!("{absent}");
        drop((encoder, decoder));
        write("bind", DEVICE);
        let mut encoder = self::encoder(VGA);
        assert!(camera.next(&mut encoder, false).unwrap().key);
    });
}

#[test]
fn a_frame_of_which_no_picture_comes_is_a_fault_in_time_and_the_stage_s_end_ends_the_wait() {
    let Some(_lab) = Lab::enter("a_frame_of_which_no_picture_comes_is_a_fault_in_time") else { return };
    let (mut camera, mut encoder) = (Camera::new(VGA), encoder(VGA));
    let mut half = camera.next(&mut encoder, false).unwrap();
    half.data.truncate(half.data.len() / 2);
    let mut out = Picture::new(VGA);
    let error = decoder().decode(&half, &mut out).unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("did not answer in time"), "{error}");

    let stop = Stop::new().unwrap();
    let mut decoder = M2mDecoder::open(&CodecSpec::Hardware, Coded::Fwht, None, Some(stop.clone())).unwrap();
    let ending = std::thread::spawn(move || stop.stop());
    let error = decoder.decode(&half, &mut out).unwrap_err().to_string();
    ending.join().unwrap();
    assert!(error.contains("the station ends"), "{error}");
}

#[test]
fn damaged_streams_are_errors_and_the_next_key_frame_is_decoded_by_a_new_decoder() {
    let Some(_lab) = Lab::enter("damaged_streams_are_errors") else { return };
    let (mut camera, mut encoder) = (Camera::new(VGA), encoder(VGA));
    let frame = camera.next(&mut encoder, false).unwrap();
    let mut out = Picture::new(VGA);
    for at in [0, 9, 20, 45, frame.data.len() - 1] {
        let mut damaged = frame.clone();
        damaged.data[at] ^= 0xff;
        let _ = decoder().decode(&damaged, &mut out);
        let mut decoder = decoder();
        decoder.decode(&frame, &mut out).unwrap();
        assert!(psnr_luma(&camera.picture, &out) > 28.0);
    }
}

/// The next frame of vivid's camera, single- or multi-planar.
fn filmed(camera: &mut V4l2) -> Lent<FrameBuffer> {
    loop {
        if let Some(frame) = camera.capture(clock::now()).unwrap() {
            return frame;
        }
        let wait = camera.wait();
        let mut fds: Vec<_> = wait.fd.into_iter().map(|(fd, events)| PollFd::new(fd, events)).collect();
        poll::wait(&mut fds, wait.at).unwrap();
    }
}

#[test]
fn a_camera_s_frame_goes_into_the_encoder_where_it_lies() {
    let Some(lab) = Lab::enter("a_camera_s_frame_goes_into_the_encoder_where_it_lies") else { return };
    lab.both(|| {
        for node in ["/dev/video0", "/dev/video1"] {
            let mut camera = V4l2::open(Path::new(node), &CameraRequest::default(), clock::now()).unwrap();
            let format = camera.format();
            let config = EncoderConfig { size: format.size, ..EncoderConfig::default() };
            let mut encoder =
                M2mEncoder::open_shared(&CodecSpec::Hardware, Coded::Fwht, &config, &format, None).unwrap();
            let (mut decoder, mut frame, mut out) = (decoder(), EncodedFrame::default(), Picture::new(VGA));
            let (mut converter, mut original) = (Converter::new(), Picture::new(VGA));
            let mut worst = f64::INFINITY;
            for number in 0..12 {
                let taken = filmed(&mut camera);
                frame.captured_at = taken.captured_at;
                encoder.encode_shared(&taken, number == 7, &mut frame).unwrap();
                assert_eq!(frame.key, number == 0 || number == 7);
                converter.convert(taken.view().unwrap(), &format, format.size, &mut original).unwrap();
                decoder.decode(&frame, &mut out).unwrap();
                worst = worst.min(psnr_luma(&original, &out));
            }
            println!("{node}: {} {}, at worst {worst:.1} dB", format.pixel, format.size);
            assert!(worst > 28.0, "{worst} dB");
        }
    });
}

#[test]
fn a_frame_that_is_not_lent_to_the_encoder_is_an_error_and_the_copy_is_taken() {
    let Some(_lab) = Lab::enter("a_frame_that_is_not_lent_to_the_encoder_is_an_error") else { return };
    let mut camera = V4l2::open(Path::new("/dev/video0"), &CameraRequest::default(), clock::now()).unwrap();
    let taken = filmed(&mut camera);
    let mut frame = EncodedFrame::default();
    assert!(encoder(VGA).encode_shared(&taken, false, &mut frame).is_err(), "it was opened for copies");
    // Rows that lie further apart than in the driver's own layout.
    let format = VideoFormat { stride_bytes: 1_000, ..taken.format };
    let config = EncoderConfig::default();
    let fault = M2mEncoder::open_shared(&CodecSpec::Hardware, Coded::Fwht, &config, &format, None).unwrap_err();
    println!("{fault}");
    assert!(fault.to_string().contains("in place"));
    encoder(VGA).encode(&Picture::new(VGA), false, &mut frame).unwrap();
}

#[test]
fn what_a_frame_costs_is_printed() {
    let Some(_lab) = Lab::enter("what_a_frame_costs_is_printed") else { return };
    let (mut camera, mut encoder, mut decoder) = (Camera::new(VGA), encoder(VGA), decoder());
    let mut out = Picture::new(VGA);
    let mut took = [Duration::ZERO; 2];
    for _ in 0..60 {
        let begin = clock::now();
        let frame = camera.next(&mut encoder, false).unwrap();
        let between = clock::now();
        decoder.decode(&frame, &mut out).unwrap();
        took[0] += between.since(begin);
        took[1] += clock::now().since(between);
    }
    println!("640x480, vicodec: drawn and encoded in {:?} a frame, decoded in {:?}", took[0] / 60, took[1] / 60);
}
