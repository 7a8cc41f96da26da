//! The compress thread: newest raw frame in, encoded frame out. Its clock is the camera's.
//!
//! **A frame is dropped before it is encoded or not at all.** Raw frames are dropped when there is nobody to send to,
//! when the level says so, and when the net loop has not yet taken what it was given; each cause has its counter.
//! The camera's buffer is given back as soon as its pixels are converted, so the driver never waits for the encoder.

mod knobs;

pub use knobs::Knobs;

use super::hardware::{Hardware, Opens, SharedEncoder, Wanted};
use super::tap::Tap;
use super::{Anew, Context};
use crate::codec::convert::Converter;
use crate::codec::{CodecError, Encoder, EncoderConfig, VideoEncoder};
use crate::device::FrameBuffer;
use crate::device::m2m::{CodecSpec, M2mEncoder};
use crate::media::{EncodedFrame, FrameView, Level, Picture, Size, Thinning, VideoCodec, VideoFormat};
use crate::ring::{Claim, Lent, Pool, Producer, Receiver};
use crate::stats::{Counter, Histogram};
use crate::sys::clock;
use crate::sys::poll;
use crate::sys::wake::{Stop, Wake};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// Encoded frames under way to the net loop at most: at 30 a second a quarter of a second's worth. A net loop that is
/// later than that has lost the call anyway.
const SLOTS: usize = 8;
/// Room in a slot before it grows: a lossless 640x480 frame has half of it, an H.264 key frame a tenth. Memory that is
/// never written is never resident.
const SLOT_BYTES: usize = 512 * 1_024;

/// What does not change while the thread runs.
#[derive(Clone, Debug, Default)]
pub struct CompressConfig {
    /// The codec that is sent.
    pub codec: VideoCodec,
    /// Deflate: the most by which a sample may differ; 0 is lossless.
    pub near: u8,
    /// MJPEG: quality 1 to 100, where the camera does not make the images itself; 0 for the usual one.
    pub quality: u8,
    /// Who encodes H.264.
    pub encoder: CodecSpec,
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
    /// Of those that were sent, encoded in hardware.
    pub by_hardware: Counter,
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
    let mut compress = Compress::<M2mEncoder>::new(config, Some(ctx.stop.clone()), knobs, out, stats);
    compress.taps = taps;
    std::thread::Builder::new().name("compress".into()).spawn(move || {
        while !ctx.stop.is_stopped() {
            frames_wake.drain();
            if ctx.bell.answer().has(Anew::Device) {
                compress.begin_anew();
            }
            while let Some(frame) = frames.take() {
                if compress.handle(frame) {
                    ctx.net.signal();
                }
            }
            let waited_for = [frames_wake.as_fd(), ctx.stop.as_fd(), ctx.bell.as_fd()];
            let mut fds = waited_for.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
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
struct Compress<H> {
    config: CompressConfig,
    hardware: Hardware<H>,
    /// The camera and the encoder may agree on a layout: not found out to be otherwise yet.
    may_share: bool,
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

impl<H: Opens<Request = Wanted> + SharedEncoder> Compress<H> {
    fn new(
        config: CompressConfig,
        stop: Option<Stop>,
        knobs: Arc<Knobs>,
        out: Producer<Lent<EncodedFrame>>,
        stats: Arc<CompressStats>,
    ) -> Compress<H> {
        Compress {
            hardware: Hardware::new(config.encoder.clone(), stop),
            config,
            may_share: true,
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
                self.begin_anew();
                return false;
            }
        }
        self.failing = false;
        self.to_skip = level.skipped();
        self.send(slot)
    }

    /// Gives the encoder up, since it is unknown what state it is in: the next frame gets a new one.
    fn begin_anew(&mut self) {
        self.running = None;
        self.key_due = true;
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
        if let Some(outcome) = self.encode_shared(&frame, level, slot) {
            self.stats.encode.record(clock::now().since(started));
            return outcome;
        }
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

    /// What the encoder is to aim at for pictures of this size.
    fn aim(&self, format: &VideoFormat, level: Level, size: Size) -> EncoderConfig {
        let usual = EncoderConfig::default();
        let quality = if self.config.quality == 0 { usual.quality } else { self.config.quality };
        let rate_millihertz = self.knobs.limit().of_rate(format.millihertz / (level.skipped() + 1));
        EncoderConfig { size, rate_millihertz, bitrate_bps: self.knobs.bitrate(), near: self.config.near, quality }
    }

    fn encode(&mut self, format: &VideoFormat, level: Level, slot: &mut EncodedFrame) -> Outcome {
        let config = self.aim(format, level, self.picture.size());
        let EncoderConfig { size, rate_millihertz, bitrate_bps, .. } = config;
        // Asked for once, due until it is there.
        self.key_due |= self.knobs.key_frame.swap(false, Ordering::Relaxed);
        if let Some(outcome) = self.encode_in_hardware(&config, slot) {
            return outcome;
        }
        let running = match self.running.take() {
            Some(running) if (running.size, running.rate_millihertz) == (size, rate_millihertz) => running,
            _ => Running { encoder: Encoder::new(self.config.codec, config), size, rate_millihertz, bitrate_bps },
        };
        let running = self.running.insert(running);
        if running.bitrate_bps != bitrate_bps {
            running.encoder.set_bitrate(bitrate_bps);
            running.bitrate_bps = bitrate_bps;
        }
        match running.encoder.encode(&self.picture, self.key_due, slot) {
            Err(error) => Outcome::Failed(error),
            Ok(()) if slot.data.is_empty() => Outcome::LeftOut,
            Ok(()) => {
                self.key_due &= !slot.key;
                Outcome::Filled
            }
        }
    }

    /// `None` where there is no hardware for it, or it has just failed: then software does it, and begins with a key frame,
    /// as each new encoder does.
    fn encode_in_hardware(&mut self, config: &EncoderConfig, slot: &mut EncodedFrame) -> Option<Outcome> {
        if self.config.codec != VideoCodec::H264 {
            return None;
        }
        let now = clock::now();
        let encoder = self.hardware.ready(&Wanted { config: *config, shared: None }, now)?;
        encoder.set_bitrate(config.bitrate_bps);
        if let Err(error) = encoder.encode(&self.picture, self.key_due, slot) {
            self.hardware.fail(&error, now);
            return None;
        }
        Some(self.done_by_hardware(slot))
    }

    /// Has the camera's frame encoded where it lies; `None` where that cannot be: then it is copied.
    fn encode_shared(&mut self, frame: &FrameBuffer, level: Level, slot: &mut EncodedFrame) -> Option<Outcome> {
        let (format, size) = (frame.format, frame.format.size);
        let is_as_sent =
            self.config.codec == VideoCodec::H264 && self.knobs.limit().of_size(level.scaled(size)) == size;
        if !self.may_share || !is_as_sent || frame.exported().is_none() {
            return None;
        }
        let wanted = Wanted { config: self.aim(&format, level, size), shared: Some(format) };
        self.key_due |= self.knobs.key_frame.swap(false, Ordering::Relaxed);
        let shared = self.hardware.ready_to_share(&wanted, clock::now()).is_some_and(|encoder| {
            encoder.set_bitrate(wanted.config.bitrate_bps);
            encoder.encode_shared(frame, self.key_due, slot).is_ok()
        });
        if !shared {
            // Copies are tried next, and only if they fail as well is the hardware to blame.
            self.may_share = false;
            self.hardware.close();
            return None;
        }
        Some(self.done_by_hardware(slot))
    }

    fn done_by_hardware(&mut self, slot: &EncodedFrame) -> Outcome {
        self.running = None;
        if slot.data.is_empty() {
            return Outcome::LeftOut;
        }
        self.key_due &= !slot.key;
        self.stats.by_hardware.bump();
        Outcome::Filled
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
