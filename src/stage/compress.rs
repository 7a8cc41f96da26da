//! The compress thread: newest raw frame in, encoded frame out. Its clock is the camera's.
//!
//! **A frame is dropped before it is encoded or not at all.** Raw frames are dropped when there is nobody to send to,
//! when the level says so, and when the net loop has not yet taken what it was given; each cause has its counter.
//! The camera's buffer is given back as soon as its pixels are converted, so the driver never waits for the encoder.

use super::Context;
use super::tap::Tap;
use crate::codec::convert::Converter;
use crate::codec::{CodecError, Encoder, EncoderConfig, VideoEncoder};
use crate::device::FrameBuffer;
use crate::media::{EncodedFrame, FrameView, Level, Limit, Picture, Size, Thinning, VideoCodec, VideoFormat};
use crate::ring::{Claim, Lent, Pool, Producer, Receiver};
use crate::stats::{Counter, Histogram};
use crate::sys::clock;
use crate::sys::poll;
use crate::sys::wake::Wake;
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Encoded frames under way to the net loop at most: at 30 a second a quarter of a second's worth. A net loop that is
/// later than that has lost the call anyway.
const SLOTS: usize = 8;
/// Room in a slot before it grows: a lossless 640x480 frame has half of it, an H.264 key frame a tenth. Memory that is
/// never written is never resident.
const SLOT_BYTES: usize = 512 * 1_024;

/// What does not change while the thread runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompressConfig {
    /// The codec that is sent.
    pub codec: VideoCodec,
    /// Deflate: the most by which a sample may differ; 0 is lossless.
    pub near: u8,
    /// MJPEG: quality 1 to 100, where the camera does not make the images itself; 0 for the usual one.
    pub quality: u8,
}

/// What the net loop sets while the thread runs.
#[derive(Debug)]
pub struct Knobs {
    key_frame: AtomicBool,
    paused: AtomicBool,
    bitrate_bps: AtomicU32,
    level: AtomicU8,
    /// Width above height.
    size_limit: AtomicU64,
    rate_limit_millihertz: AtomicU32,
}

impl Knobs {
    /// Not paused.
    pub fn new(bitrate_bps: u32, level: Level) -> Knobs {
        Knobs {
            key_frame: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            bitrate_bps: AtomicU32::new(bitrate_bps),
            level: AtomicU8::new(level.number()),
            size_limit: AtomicU64::new(u64::MAX),
            rate_limit_millihertz: AtomicU32::new(u32::MAX),
        }
    }

    /// Makes the next frame a key frame.
    pub fn ask_key_frame(&self) {
        self.key_frame.store(true, Ordering::Relaxed);
    }

    /// While there is nobody to send to, nothing is encoded. The first frame after a pause is a key frame.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Bits a second to aim at, from the next frame on.
    pub fn set_bitrate(&self, bits_per_second: u32) {
        self.bitrate_bps.store(bits_per_second, Ordering::Relaxed);
    }

    /// Bits a second aimed at.
    pub fn bitrate(&self) -> u32 {
        self.bitrate_bps.load(Ordering::Relaxed)
    }

    /// Size and rate to send at, from the next frame on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level.number(), Ordering::Relaxed);
    }

    /// Size and rate sent at.
    pub fn level(&self) -> Level {
        Level::new(self.level.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// The most that may be sent of what the level leaves, from the next frame on. The bitrate has its own knob.
    pub fn set_limit(&self, limit: Limit) {
        let Size { width, height } = limit.size;
        self.size_limit.store(u64::from(width) << 32 | u64::from(height), Ordering::Relaxed);
        self.rate_limit_millihertz.store(limit.rate_millihertz, Ordering::Relaxed);
    }

    fn limit(&self) -> Limit {
        let size = self.size_limit.load(Ordering::Relaxed);
        let rate_millihertz = self.rate_limit_millihertz.load(Ordering::Relaxed);
        Limit { size: Size::new((size >> 32) as u32, size as u32), rate_millihertz, ..Limit::NONE }
    }
}

/// What the thread did. Frames replaced in the mailbox before it came to them are counted by the stage that put them.
#[derive(Debug, Default)]
pub struct CompressStats {
    /// Raw frames taken out of the mailbox: the sum of all below it up to `sent`.
    pub taken: Counter,
    /// Dropped: nobody to send to.
    pub dropped_paused: Counter,
    /// Dropped: left out by the level.
    pub dropped_by_level: Counter,
    /// Dropped: left out by the limit on the rate.
    pub dropped_by_limit: Counter,
    /// Dropped: the net loop has not taken the frames before it.
    pub dropped_queue_full: Counter,
    /// Dropped: the link has not given a slot back.
    pub dropped_no_slot: Counter,
    /// Dropped: the driver delivered less than a frame, or a JPEG image that cannot be read.
    pub dropped_unreadable: Counter,
    /// Dropped: the encoder failed, and was made anew.
    pub dropped_encoder_failed: Counter,
    /// Dropped: the encoder chose to leave it out.
    pub dropped_by_encoder: Counter,
    /// Sent on.
    pub sent: Counter,
    /// Of those, key frames.
    pub key_frames: Counter,
    /// Of those, the camera's own JPEG images, passed through.
    pub passed_through: Counter,
    /// Bytes sent on.
    pub bytes: Counter,
    /// What would be sent without a limit: width, height (16 bits each) and millihertz, packed; 0 before the first.
    unlimited: Counter,
    /// From the sensor's time stamp to the start of the conversion.
    pub waited: Histogram,
    /// Conversion and scaling.
    pub convert: Histogram,
    /// Encoding.
    pub encode: Histogram,
}

impl CompressStats {
    /// Size and rate (in millihertz) of what would be sent without a limit, once a frame came.
    pub fn unlimited(&self) -> Option<(Size, u32)> {
        let packed = self.unlimited.get();
        (packed > 0).then(|| (Size::new((packed >> 48) as u32, (packed >> 32) as u32 & 0xffff), packed as u32))
    }

    fn note_unlimited(&self, size: Size, millihertz: u32) {
        let side = |pixels: u32| u64::from(pixels & 0xffff);
        self.unlimited.set(side(size.width) << 48 | side(size.height) << 32 | u64::from(millihertz));
    }
}

/// Starts the thread. It ends when `ctx.stop` says so. `taps` look at every frame, sent or not.
///
/// # Errors
/// Where the system has no thread to give.
#[expect(clippy::too_many_arguments, reason = "each is an end of a ring or a knob, named where it is made")]
pub fn spawn(
    ctx: Context,
    config: CompressConfig,
    mut frames: Receiver<Lent<FrameBuffer>>,
    frames_wake: Wake,
    knobs: Arc<Knobs>,
    out: Producer<Lent<EncodedFrame>>,
    taps: Vec<Tap>,
    stats: Arc<CompressStats>,
) -> std::io::Result<JoinHandle<()>> {
    let mut compress = Compress::new(config, knobs, out, stats);
    compress.taps = taps;
    std::thread::Builder::new().name("compress".into()).spawn(move || {
        while !ctx.stop.is_stopped() {
            frames_wake.drain();
            while let Some(frame) = frames.take() {
                if compress.handle(frame) {
                    ctx.net.signal();
                }
            }
            let mut fds = [&frames_wake.as_fd(), &ctx.stop.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
            if let Err(error) = poll::wait(&mut fds, None) {
                // Only a kernel out of memory gets here; without a wait the loop would spin.
                tracing::error!("compress: cannot wait (ppoll): {error}; the thread ends");
                return;
            }
        }
    })
}

/// The encoder and what it was made for.
#[derive(Debug)]
struct Running {
    encoder: Encoder,
    size: Size,
    rate_millihertz: u32,
    bitrate_bps: u32,
}

/// What became of a frame that was given to the encoder.
enum Outcome {
    Filled,
    LeftOut,
    Unreadable(CodecError),
    Failed(CodecError),
}

/// The thread's state.
#[derive(Debug)]
struct Compress {
    config: CompressConfig,
    knobs: Arc<Knobs>,
    out: Producer<Lent<EncodedFrame>>,
    stats: Arc<CompressStats>,
    taps: Vec<Tap>,
    slots: Pool<EncodedFrame>,
    converter: Converter,
    picture: Picture,
    running: Option<Running>,
    /// Frames yet to be left out before the next one is sent.
    to_skip: u32,
    thinning: Thinning,
    /// The far side cannot decode anything but a key frame.
    key_due: bool,
    number: u64,
    /// The last frame failed: said once, not for each.
    failing: bool,
}

impl Compress {
    fn new(
        config: CompressConfig,
        knobs: Arc<Knobs>,
        out: Producer<Lent<EncodedFrame>>,
        stats: Arc<CompressStats>,
    ) -> Compress {
        Compress {
            config,
            knobs,
            out,
            stats,
            taps: Vec::new(),
            slots: Pool::new((0..SLOTS).map(|_| EncodedFrame::with_capacity(SLOT_BYTES))),
            converter: Converter::new(),
            picture: Picture::new(Size::new(2, 2)),
            running: None,
            to_skip: 0,
            thinning: Thinning::default(),
            key_due: false,
            number: 0,
            failing: false,
        }
    }

    /// Handles one raw frame, and says whether an encoded one went into the queue.
    fn handle(&mut self, frame: Lent<FrameBuffer>) -> bool {
        self.stats.taken.bump();
        let now = clock::now();
        self.taps.iter_mut().for_each(|tap| tap.look(&frame, now));
        let level = self.knobs.level();
        let Some(mut slot) = self.admit(level, frame.format.millihertz) else { return false };
        self.stats.waited.record(clock::now().since(frame.captured_at));
        slot.captured_at = frame.captured_at;
        match self.fill(frame, level, &mut slot) {
            Outcome::Filled => {}
            Outcome::LeftOut => {
                self.stats.dropped_by_encoder.bump();
                return false;
            }
            Outcome::Unreadable(error) => {
                self.stats.dropped_unreadable.bump();
                self.complain("read the camera's frame", &error);
                return false;
            }
            Outcome::Failed(error) => {
                self.stats.dropped_encoder_failed.bump();
                self.complain("encode", &error);
                // What state it is in is unknown: the next frame gets a new one.
                self.running = None;
                self.key_due = true;
                return false;
            }
        }
        self.failing = false;
        self.to_skip = level.skipped();
        self.send(slot)
    }

    /// A slot for a frame that is to be sent; `None` where it is to be dropped, which is then counted.
    fn admit(&mut self, level: Level, camera_millihertz: u32) -> Option<Claim<EncodedFrame>> {
        if self.knobs.is_paused() {
            self.stats.dropped_paused.bump();
            self.key_due = true;
            self.to_skip = 0;
            return None;
        }
        // A level turned down takes effect at once.
        self.to_skip = self.to_skip.min(level.skipped());
        if self.to_skip > 0 {
            self.to_skip -= 1;
            self.stats.dropped_by_level.bump();
            return None;
        }
        let millihertz = camera_millihertz / (level.skipped() + 1);
        if !self.thinning.admits(millihertz, self.knobs.limit().of_rate(millihertz)) {
            self.to_skip = level.skipped();
            self.stats.dropped_by_limit.bump();
            return None;
        }
        if !self.out.has_room() {
            self.stats.dropped_queue_full.bump();
            return None;
        }
        let slot = self.slots.claim();
        if slot.is_none() {
            self.stats.dropped_no_slot.bump();
        }
        slot
    }

    fn fill(&mut self, frame: Lent<FrameBuffer>, level: Level, slot: &mut EncodedFrame) -> Outcome {
        let format = frame.format;
        let Some(view) = frame.view() else {
            return Outcome::Unreadable(CodecError::Broken("shorter than its format says"));
        };
        let unlimited = level.scaled(format.size);
        self.stats.note_unlimited(unlimited, format.millihertz / (level.skipped() + 1));
        // An image that is passed through costs less than a smaller one: of those the limit leaves out some, no more.
        if let (FrameView::Mjpeg(image), VideoCodec::Mjpeg, true) = (view, self.config.codec, unlimited == format.size)
        {
            return self.pass_through(image, unlimited, slot);
        }
        let size = self.knobs.limit().of_size(unlimited);
        let started = clock::now();
        let converted = self.converter.convert(view, &format, size, &mut self.picture);
        // The driver has its buffer back before the encoder begins.
        drop(frame);
        let ready = clock::now();
        self.stats.convert.record(ready.since(started));
        if let Err(error) = converted {
            return Outcome::Unreadable(error);
        }
        let outcome = self.encode(&format, level, slot);
        self.stats.encode.record(clock::now().since(ready));
        outcome
    }

    /// Takes the camera's own image as it is.
    fn pass_through(&mut self, image: &[u8], size: Size, slot: &mut EncodedFrame) -> Outcome {
        // A start marker, and behind the image at most the driver's padding.
        let end = image.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if !image.starts_with(&[0xff, 0xd8]) {
            return Outcome::Unreadable(CodecError::Broken("jpeg: no start of an image"));
        }
        slot.clear();
        slot.data.extend_from_slice(&image[..end]);
        (slot.codec, slot.key, slot.size) = (VideoCodec::Mjpeg, true, Some(size));
        self.stats.passed_through.bump();
        self.key_due = false;
        Outcome::Filled
    }

    fn encode(&mut self, format: &VideoFormat, level: Level, slot: &mut EncodedFrame) -> Outcome {
        let bitrate_bps = self.knobs.bitrate();
        let rate_millihertz = self.knobs.limit().of_rate(format.millihertz / (level.skipped() + 1));
        let size = self.picture.size();
        let running = match self.running.take() {
            Some(running) if (running.size, running.rate_millihertz) == (size, rate_millihertz) => running,
            _ => {
                let usual = EncoderConfig::default();
                let quality = if self.config.quality == 0 { usual.quality } else { self.config.quality };
                let config = EncoderConfig { size, rate_millihertz, bitrate_bps, near: self.config.near, quality };
                Running { encoder: Encoder::new(self.config.codec, config), size, rate_millihertz, bitrate_bps }
            }
        };
        let running = self.running.insert(running);
        if running.bitrate_bps != bitrate_bps {
            running.encoder.set_bitrate(bitrate_bps);
            running.bitrate_bps = bitrate_bps;
        }
        // Asked for once, due until it is there.
        self.key_due |= self.knobs.key_frame.swap(false, Ordering::Relaxed);
        match running.encoder.encode(&self.picture, self.key_due, slot) {
            Err(error) => Outcome::Failed(error),
            Ok(()) if slot.data.is_empty() => Outcome::LeftOut,
            Ok(()) => {
                self.key_due &= !slot.key;
                Outcome::Filled
            }
        }
    }

    fn send(&mut self, mut slot: Claim<EncodedFrame>) -> bool {
        slot.number = self.number;
        slot.ready_at = clock::now();
        let (bytes, key) = (slot.data.len() as u64, slot.key);
        if self.out.put(slot.lend()).is_err() {
            // There was room before encoding and nobody else fills it; but if it is lost, the next must be a key frame.
            self.stats.dropped_queue_full.bump();
            self.key_due = true;
            return false;
        }
        self.number += 1;
        self.stats.sent.bump();
        self.stats.bytes.add(bytes);
        self.stats.key_frames.add(u64::from(key));
        true
    }

    fn complain(&mut self, doing: &str, error: &CodecError) {
        if !core::mem::replace(&mut self.failing, true) {
            tracing::warn!("compress: cannot {doing}: {error}; going on with the next frame");
        }
    }
}

#[cfg(test)]
#[path = "compress_tests.rs"]
mod tests;
