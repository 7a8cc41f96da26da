//! Goal: once it runs, the path of a frame from the camera's buffer to the screen's mailbox allocates nothing.
//! Method: the real compress and expand threads between two rings, counted. What the C libraries
//! take from malloc is their own.

use crate::counting;
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::sync::Arc;
use visavis::codec::clip::Clip;
use visavis::codec::{Encoder, EncoderConfig, VideoEncoder};
use visavis::device::FrameBuffer;
use visavis::device::m2m::CodecSpec;
use visavis::media::{ColourRange, EncodedFrame, Level, Picture, PixelFormat, Size, VideoCodec, VideoFormat};
use visavis::ring::{Pool, fifo, mailbox};
use visavis::stage::Context;
use visavis::stage::compress::{self, CompressConfig, CompressStats, Knobs};
use visavis::stage::expand::{self, ExpandStats};
use visavis::sys::poll;
use visavis::sys::wake::{Stop, Wake};

const SIZE: Size = Size::new(320, 240);
const PICTURES: usize = 10;

/// The camera's frames as bytes, and how they lie.
fn film(pixel: PixelFormat) -> (VideoFormat, Vec<Vec<u8>>) {
    let stride_bytes = match pixel {
        PixelFormat::Yuyv => 640,
        PixelFormat::Mjpeg => 0,
        _ => 320,
    };
    let format = VideoFormat { pixel, size: SIZE, stride_bytes, range: ColourRange::Limited, millihertz: 30_000 };
    let mut clip = Clip::new(SIZE, 2.0);
    let mut picture = Picture::new(SIZE);
    let frames = (0..PICTURES).map(|_| {
        clip.draw(&mut picture);
        let [y, u, v] = picture.planes();
        match pixel {
            PixelFormat::Mjpeg => {
                let mut image = EncodedFrame::default();
                Encoder::new(VideoCodec::Mjpeg, EncoderConfig::default()).encode(&picture, true, &mut image).unwrap();
                image.data
            }
            PixelFormat::Yuyv => y.data.iter().flat_map(|sample| [*sample, 128]).collect(),
            _ => [y.data, u.data, v.data].concat(),
        }
    });
    (format, frames.collect())
}

/// Allocations of the whole process during 60 frames, after 60 others.
fn allocations(pixel: PixelFormat, codec: VideoCodec, level: Level) -> u64 {
    let (format, film) = film(pixel);
    let room = film.iter().map(Vec::len).max().unwrap();
    let mut camera = Pool::new((0..4).map(|_| FrameBuffer::own(format, room)));
    let [net, frames_wake, encoded_wake, shown_wake] = [(); 4].map(|()| Wake::new().unwrap());
    let ctx = Context::new(Stop::new().unwrap(), net.clone()).unwrap();
    let (mut raw, raw_taken) = mailbox();
    let (sent, mut queue) = fifo::<_, 4>();
    let (mut received, frames) = fifo::<_, 4>();
    let (shown, mut screen) = mailbox();
    let knobs = Arc::new(Knobs::new(800_000, level));
    let (compressed, expanded) = (Arc::new(CompressStats::default()), Arc::new(ExpandStats::default()));
    let config = CompressConfig { codec, encoder: CodecSpec::Software, ..CompressConfig::default() };
    let threads = [
        compress::spawn(
            ctx.clone(),
            config,
            raw_taken,
            frames_wake.clone(),
            knobs,
            sent,
            Vec::new(),
            compressed.clone(),
        )
        .unwrap(),
        expand::spawn(
            ctx.clone(),
            CodecSpec::Software,
            frames,
            encoded_wake.clone(),
            shown,
            shown_wake.clone(),
            expanded.clone(),
        )
        .unwrap(),
    ];
    let wait = |wake: &Wake| {
        poll::wait(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], None).unwrap();
        wake.drain();
    };
    let mut before = 0;
    // The level leaves frames out, so this counts what was shown.
    let mut n = 0;
    while expanded.decoded.get() < 120 {
        if expanded.decoded.get() == 60 && before == 0 {
            before = counting::allocations();
        }
        let taken = compressed.taken.get();
        let mut frame = camera.claim().expect("the camera has its buffers back");
        let bytes = &film[n % PICTURES];
        frame.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        frame.used = bytes.len();
        frame.captured_at = visavis::sys::clock::now();
        n += 1;
        drop(raw.put(frame.lend()));
        frames_wake.signal();
        if taken % u64::from(level.skipped() + 1) == 0 {
            wait(&net);
            received.put(queue.take().expect("the net loop was woken for a frame")).unwrap();
            encoded_wake.signal();
            wait(&shown_wake);
            drop(screen.take().expect("the screen was woken for a picture"));
        } else {
            // Left out: its buffer is back as soon as the thread has seen it.
            while camera.free() < 4 {
                std::thread::yield_now();
            }
        }
    }
    let during = counting::allocations() - before;
    assert_eq!((expanded.dropped_broken.get(), expanded.replaced.get()), (0, 0));
    ctx.stop.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    during
}

pub fn a_running_video_path_allocates_nothing() {
    use {PixelFormat as P, VideoCodec as V};
    let half = Level::new(1).unwrap();
    for (pixel, codec, level) in [
        (P::Yuyv, V::H264, Level::FULL),
        (P::Nv12, V::H264, half),
        (P::Mjpeg, V::H264, half),
        (P::I420, V::Mjpeg, Level::FULL),
        (P::Mjpeg, V::Mjpeg, Level::FULL),
        (P::Yuyv, V::Deflate, Level::FULL),
    ] {
        assert_eq!(allocations(pixel, codec, level), 0, "{pixel} as {codec} at level {level}");
    }
}
