//! Goal: a decoded picture is on the screen where the decoder put it, and the decoder has its buffer back when it is seen no
//! more. Method: in the lab's kernel, the vicodec driver decodes, vkms shows, and a second client asks which memory the
//! display engine reads. That vkms knows no YUV format is the case of the fallback; elsewhere the screen is told that the
//! very same bytes are 32-bit RGB. Needs VISAVIS_LAB=1; elsewhere each test says that it was skipped.

#[path = "lab_plane/engine.rs"]
mod engine;
#[path = "lab_plane/overlay.rs"]
mod overlay;

use drm::buffer::DrmFourcc;
use drm::control::Device as _;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use visavis::codec::clip::{Clip, psnr_luma};
use visavis::codec::convert::Converter;
use visavis::codec::{EncoderConfig, VideoEncoder};
use visavis::device::drm::{Drm, DrmTarget, ScanLayout};
use visavis::device::m2m::{CodecSpec, Coded, M2mDecoder, M2mEncoder};
use visavis::device::{DecodedFrame, Pixels, VideoSink};
use visavis::media::{EncodedFrame, Picture, Size};
use visavis::ring::Lent;
use visavis::sys::{clock, poll};
use visavis::time::{Duration, Instant};

/// More than all buffers that a decoder has: by then each must have come back.
const MANY: u64 = 40;

fn in_lab(test: &str) -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    if std::env::var_os("VISAVIS_LAB").is_none() {
        println!("skipped: {test} needs the lab's kernel (VISAVIS_LAB=1)");
        return None;
    }
    let status = std::process::Command::new("modprobe").arg("vicodec").status().expect("modprobe");
    assert!(status.success(), "the lab's kernel has vicodec");
    Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What comes out of a decoder, of a clip that is encoded picture by picture.
struct Film {
    clip: Clip,
    picture: Picture,
    encoder: M2mEncoder,
    decoder: M2mDecoder,
    number: u64,
}

impl Film {
    fn new(size: Size) -> Film {
        let (spec, config) = (CodecSpec::Hardware, EncoderConfig { size, ..EncoderConfig::default() });
        let encoder = M2mEncoder::open(&spec, Coded::Fwht, &config, None).unwrap_or_else(|fault| panic!("{fault}"));
        let decoder = M2mDecoder::open(&spec, Coded::Fwht, None, None).unwrap_or_else(|fault| panic!("{fault}"));
        Film { clip: Clip::new(size, 2.0), picture: Picture::new(size), encoder, decoder, number: 0 }
    }

    /// The next picture where the decoder put it, or, with `None`, its copy in `copy`.
    fn next(&mut self, copy: &mut Picture) -> Option<Lent<DecodedFrame>> {
        self.clip.draw(&mut self.picture);
        self.pass(copy)
    }

    /// The same for whatever `picture` is.
    fn pass(&mut self, copy: &mut Picture) -> Option<Lent<DecodedFrame>> {
        let captured_at = Instant::from_micros(1_000_000 + self.number * 33_333);
        let mut frame = EncodedFrame { captured_at, ..EncodedFrame::default() };
        self.encoder.encode(&self.picture, false, &mut frame).unwrap();
        self.number += 1;
        self.decoder.decode_in_place(&frame, copy).unwrap().map(|claim| claim.lend())
    }
}

fn finish(screen: &mut Drm) {
    let give_up = clock::now() + Duration::from_secs(5);
    while screen.finish(clock::now()).unwrap().is_none() {
        assert!(clock::now() < give_up, "no flip");
        let wait = screen.wait();
        let mut fds: Vec<_> = wait.fd.map(|(fd, events)| nix::poll::PollFd::new(fd, events)).into_iter().collect();
        poll::wait(&mut fds, wait.at).unwrap();
    }
}

fn open() -> Drm {
    let target: DrmTarget = "card0".parse().unwrap();
    Drm::open(&target, clock::now()).unwrap_or_else(|fault| panic!("{fault}"))
}

/// Pictures whose luma is as many bytes as the screen has at 32 bits a pixel, and how that would lie.
fn as_rgb(screen: &Drm) -> (Size, ScanLayout) {
    let size = screen.size().unwrap();
    let layout = ScanLayout { fourcc: DrmFourcc::Xrgb8888, size, rows: size.height, pitch_bytes: 4 * size.width };
    (Size::new(2 * size.width, 2 * size.height), layout)
}

/// A client that only looks.
struct Looker(File);
impl AsFd for Looker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
impl drm::Device for Looker {}
impl drm::control::Device for Looker {}

impl Looker {
    fn open() -> Looker {
        let looker = Looker(OpenOptions::new().read(true).write(true).open("/dev/dri/card0").expect("the lab's card"));
        // Whoever opens first becomes master unasked.
        let _ = drm::Device::release_master_lock(&looker);
        looker
    }

    /// Which framebuffer is on the screen, and whose memory it is: the inode of the dmabuf behind it.
    fn shown(&self) -> (u32, u64) {
        let crtc = self.get_crtc(self.resource_handles().unwrap().crtcs()[0]).unwrap();
        let framebuffer = crtc.framebuffer().expect("a lit screen");
        let handle = self.get_planar_framebuffer(framebuffer).unwrap().buffers()[0].expect("root sees the handle");
        let memory = self.buffer_to_prime_fd(handle, 0).unwrap();
        let _ = self.close_buffer(handle);
        (framebuffer.into(), inode(memory.as_fd()))
    }
}

fn inode(memory: BorrowedFd<'_>) -> u64 {
    nix::sys::stat::fstat(memory).unwrap().st_ino
}

fn memory(frame: &DecodedFrame) -> u64 {
    let Pixels::Hardware(picture) = &frame.pixels else { panic!("a copy") };
    inode(picture.exported().expect("vicodec exports its buffers"))
}

#[test]
fn the_screen_reads_the_decoder_s_memory_and_gives_it_back_when_the_next_picture_is_seen() {
    let Some(_one) = in_lab("the_screen_reads_the_decoder_s_memory") else { return };
    let mut screen = open();
    let (size, layout) = as_rgb(&screen);
    let (mut film, mut copy, looker) = (Film::new(size), Picture::new(size), Looker::open());
    let (mut framebuffers, mut memories) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..MANY {
        let frame =
            film.next(&mut copy).unwrap_or_else(|| panic!("picture {number} was not lent: no buffer came back"));
        let (mine, index) = (memory(&frame), frame.index());
        assert!(screen.scan_out(frame, layout, None, clock::now()).is_ok());
        finish(&mut screen);
        let (framebuffer, shown) = looker.shown();
        assert_eq!(shown, mine, "picture {number}: another driver's memory is on the screen");
        framebuffers.insert(framebuffer);
        memories.insert(shown);
        if number == MANY / 2 {
            // It stays there for a while: nothing is decoded into it.
            for _ in 0..MANY {
                assert_ne!(film.next(&mut copy).expect("the others come back").index(), index);
            }
            assert_eq!(looker.shown().1, mine);
        }
    }
    println!("{MANY} pictures in {} buffers, {} framebuffers", memories.len(), framebuffers.len());
    assert_eq!(framebuffers.len(), memories.len(), "one import a buffer, which is kept");
    // And back to a drawn picture.
    screen.show(&film.picture, clock::now()).unwrap();
    finish(&mut screen);
    assert!(!memories.contains(&looker.shown().1));
}

#[test]
fn another_size_in_mid_call_brings_other_buffers_to_the_screen() {
    let Some(_one) = in_lab("another_size_in_mid_call_brings_other_buffers_to_the_screen") else { return };
    let mut screen = open();
    let (size, layout) = as_rgb(&screen);
    let looker = Looker::open();
    let mut copy = Picture::new(size);
    for size in [size, Size::new(size.width + 16, size.height + 16), size] {
        // As after a decoder's fault: the one before is gone, with its picture still on the screen.
        let mut film = Film::new(size);
        for _ in 0..3 {
            let frame = film.next(&mut copy).expect("it is lent");
            let mine = memory(&frame);
            assert!(screen.scan_out(frame, layout, None, clock::now()).is_ok(), "{size}");
            finish(&mut screen);
            assert_eq!(looker.shown().1, mine, "{size}");
        }
    }
}

#[test]
fn what_no_plane_takes_is_given_back_and_shown_as_a_copy() {
    let Some(_one) = in_lab("what_no_plane_takes_is_given_back_and_shown_as_a_copy") else { return };
    let mut screen = open();
    let size = Size::new(640, 480);
    let (mut film, mut copy, mut converter) = (Film::new(size), Picture::new(size), Converter::new());
    for _ in 0..MANY {
        let frame = film.next(&mut copy).expect("it is lent");
        let frame = screen.show_frame(frame, None, clock::now()).expect_err("vkms has no plane for YUV");
        frame.copy_to(&mut converter, &mut copy).unwrap();
        assert!(psnr_luma(&film.picture, &copy) > 28.0);
        screen.show(&copy, clock::now()).unwrap();
        finish(&mut screen);
    }
}

#[test]
fn a_buffer_that_the_driver_refuses_costs_no_picture_and_none_is_tried_again() {
    let Some(_one) = in_lab("a_buffer_that_the_driver_refuses_costs_no_picture_and_none_is_tried_again") else {
        return;
    };
    let mut screen = open();
    let (size, layout) = as_rgb(&screen);
    let (mut film, mut copy) = (Film::new(size), Picture::new(size));
    // In mid-call, rows that would reach beyond the memory: the driver makes no framebuffer of that.
    let beyond = ScanLayout { pitch_bytes: 8 * layout.pitch_bytes, ..layout };
    for (layout, is_taken) in [(layout, true), (layout, true), (beyond, false), (layout, false)] {
        let frame = film.next(&mut copy).expect("it is lent");
        let given = screen.scan_out(frame, layout, None, clock::now());
        assert_eq!(given.is_ok(), is_taken, "{layout:?}");
        if given.is_err() {
            screen.show(&film.picture, clock::now()).unwrap();
        }
        finish(&mut screen);
    }
}

#[test]
fn a_decoder_whose_buffers_are_all_held_gives_copies_and_never_stops() {
    let Some(_one) = in_lab("a_decoder_whose_buffers_are_all_held_gives_copies_and_never_stops") else { return };
    let size = Size::new(640, 480);
    let (mut film, mut copy, mut held) = (Film::new(size), Picture::new(size), Vec::new());
    for _ in 0..MANY {
        match film.next(&mut copy) {
            Some(frame) => held.push(frame),
            None => assert!(psnr_luma(&film.picture, &copy) > 28.0),
        }
    }
    println!("{} pictures were lent, then copies were given", held.len());
    assert!((3..MANY as usize).contains(&held.len()));
    held.clear();
    assert!(film.next(&mut copy).is_some(), "it lends again");
    // Pictures outlive their decoder.
    let last = film.next(&mut copy).unwrap();
    let shown = film.picture.clone();
    drop(film);
    last.copy_to(&mut Converter::new(), &mut copy).unwrap();
    assert!(psnr_luma(&shown, &copy) > 28.0);
}
