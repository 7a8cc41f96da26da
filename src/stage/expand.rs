//! The expand thread: encoded frames in, in order; pictures out, the newest wins. Its clock is the network's.
//!
//! **What depends on a lost frame is never shown.** After an error or a gap in the numbers nothing is decoded until a
//! key frame comes, and the net loop is told to ask for one.

use super::hardware::{Hardware, LendingDecoder, Opens};
use super::{Anew, Context};
use crate::codec::{CodecError, Decoder, VideoDecoder};
use crate::device::DecodedFrame;
use crate::device::m2m::{CodecSpec, M2mDecoder};
use crate::media::{EncodedFrame, Picture, Size, VideoCodec};
use crate::ring::{Claim, Consumer, Lent, Pool, Sender};
use crate::stats::{Counter, Histogram};
use crate::sys::clock;
use crate::sys::poll;
use crate::sys::wake::{Stop, Wake};
use crate::time::{Duration, Instant};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// One being decoded, one in the mailbox, one on the screen and one on its way there, one to spare.
const SLOTS: usize = 5;
/// A key frame that has not come by then is asked for again: longer than any round trip in which a call is bearable.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What the thread did, and what it wants.
#[derive(Debug, Default)]
pub struct ExpandStats {
    /// Frames taken out of the queue.
    pub taken: Counter,
    /// Dropped: they refer to a frame that is not there.
    pub dropped_no_reference: Counter,
    /// Dropped: the decoder refused them.
    pub dropped_broken: Counter,
    /// Decoded.
    pub decoded: Counter,
    /// Of those, decoded in hardware.
    pub by_hardware: Counter,
    /// Decoded, but replaced by a newer one before they were shown.
    pub replaced: Counter,
    /// Decoded, but not shown, since the screen held all slots.
    pub unshown: Counter,
    /// Key frames asked for.
    pub key_requests: Counter,
    /// From the arrival of the last byte to the start of decoding.
    pub waited: Histogram,
    /// Decoding.
    pub decode: Histogram,
    wants_key_frame: AtomicBool,
}

impl ExpandStats {
    /// Whether a key frame is to be asked for; answers yes once for each request.
    pub fn take_key_request(&self) -> bool {
        self.wants_key_frame.swap(false, Ordering::Relaxed)
    }
}

/// Starts the thread. It ends when `ctx.stop` says so. `decoder` is who decodes H.264.
///
/// # Errors
/// Where the system has no thread to give.
pub fn spawn(
    ctx: Context,
    decoder: CodecSpec,
    mut frames: Consumer<Lent<EncodedFrame>>,
    wake: Wake,
    out: Sender<Lent<DecodedFrame>>,
    out_wake: Wake,
    stats: Arc<ExpandStats>,
) -> std::io::Result<JoinHandle<()>> {
    let mut expand = Expand::<M2mDecoder>::new(decoder, Some(ctx.stop.clone()), out, stats);
    std::thread::Builder::new().name("expand".into()).spawn(move || {
        while !ctx.stop.is_stopped() {
            wake.drain();
            if ctx.bell.answer().has(Anew::Device) {
                expand.begin_anew();
            }
            while let Some(frame) = frames.take() {
                match expand.handle(&frame) {
                    Outcome::Shown => out_wake.signal(),
                    Outcome::KeyFrameWanted => ctx.net.signal(),
                    Outcome::Dropped => {}
                }
            }
            let waited_for = [wake.as_fd(), ctx.stop.as_fd(), ctx.bell.as_fd()];
            let mut fds = waited_for.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            if let Err(error) = poll::wait(&mut fds, None) {
                // Only a kernel out of memory gets here; without a wait the loop would spin.
                tracing::error!("expand: cannot wait (ppoll): {error}; the thread ends");
                return;
            }
        }
    })
}

/// Whom to wake after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Shown,
    Dropped,
    KeyFrameWanted,
}

/// The thread's state.
#[derive(Debug)]
struct Expand<H> {
    out: Sender<Lent<DecodedFrame>>,
    stats: Arc<ExpandStats>,
    slots: Pool<DecodedFrame>,
    hardware: Hardware<H>,
    decoder: Decoder,
    /// Takes a picture that no slot is free for: the frames after it refer to it.
    unshown: Picture,
    /// The number that the next frame must have, unless it is a key frame; `None` while only that will do.
    expected: Option<u64>,
    asked_at: Option<Instant>,
    /// The last frame failed: said once, not for each.
    failing: bool,
}

impl<H: Opens<Request = ()> + LendingDecoder> Expand<H> {
    fn new(spec: CodecSpec, stop: Option<Stop>, out: Sender<Lent<DecodedFrame>>, stats: Arc<ExpandStats>) -> Expand<H> {
        let smallest = Size::new(2, 2);
        Expand {
            out,
            stats,
            slots: Pool::new((0..SLOTS).map(|_| DecodedFrame::new(smallest))),
            hardware: Hardware::new(spec, stop),
            decoder: Decoder::new(),
            unshown: Picture::new(smallest),
            expected: None,
            asked_at: None,
            failing: false,
        }
    }

    /// Has a new decoder, which begins with a key frame.
    fn begin_anew(&mut self) {
        self.decoder = Decoder::new();
        self.expected = None;
    }

    fn handle(&mut self, frame: &EncodedFrame) -> Outcome {
        self.stats.taken.bump();
        let started = clock::now();
        self.stats.waited.record(started.since(frame.ready_at));
        if !frame.key && self.expected != Some(frame.number) {
            self.stats.dropped_no_reference.bump();
            self.expected = None;
            return self.ask(started);
        }
        let mut slot = self.slots.claim();
        let picture = slot.as_mut().and_then(|slot| slot.own_mut()).unwrap_or(&mut self.unshown);
        let decoded = decode(&mut self.hardware, &mut self.decoder, frame, picture, started);
        let now = clock::now();
        self.stats.decode.record(now.since(started));
        let in_place = match decoded {
            Ok(in_place) => in_place,
            Err(error) => {
                self.stats.dropped_broken.bump();
                self.complain(&error);
                self.expected = None;
                return self.ask(now);
            }
        };
        self.stats.decoded.bump();
        self.stats.by_hardware.add(u64::from(self.hardware.is_open() && frame.codec == VideoCodec::H264));
        (self.expected, self.asked_at, self.failing) = (Some(frame.number + 1), None, false);
        let Some(mut slot) = in_place.or(slot) else {
            self.stats.unshown.bump();
            return Outcome::Dropped;
        };
        slot.number = frame.number;
        slot.captured_at = frame.captured_at;
        slot.received_at = frame.ready_at;
        slot.decoded_at = now;
        if self.out.put(slot.lend()).is_some() {
            self.stats.replaced.bump();
        }
        Outcome::Shown
    }

    /// Asks for a key frame, unless that was done a moment ago.
    fn ask(&mut self, now: Instant) -> Outcome {
        if self.asked_at.is_some_and(|at| now.since(at) < ASK_AGAIN) {
            return Outcome::Dropped;
        }
        self.asked_at = Some(now);
        self.stats.key_requests.bump();
        self.stats.wants_key_frame.store(true, Ordering::Relaxed);
        Outcome::KeyFrameWanted
    }

    fn complain(&mut self, error: &CodecError) {
        if !core::mem::replace(&mut self.failing, true) {
            tracing::debug!("expand: {error}; waiting for a key frame");
        }
    }
}

/// Decodes in hardware where it is open, or can be opened at a key frame; else, and where it fails, in software. Where it
/// fails between two key frames, software has nothing to begin with, and that is the error. The picture is then in
/// `picture`, unless the hardware lends it where it is.
fn decode<H: Opens<Request = ()> + LendingDecoder>(
    hardware: &mut Hardware<H>,
    software: &mut Decoder,
    frame: &EncodedFrame,
    picture: &mut Picture,
    now: Instant,
) -> Result<Option<Claim<DecodedFrame>>, CodecError> {
    if frame.codec == VideoCodec::H264
        && (frame.key || hardware.is_open())
        && let Some(decoder) = hardware.ready(&(), now)
    {
        match decoder.decode_in_place(frame, picture) {
            Ok(in_place) => return Ok(in_place),
            // The stream's fault and not its own.
            Err(error @ CodecError::Broken(_)) => return Err(error),
            Err(error) => {
                hardware.fail(&error, now);
                // It knows nothing of the stream's last frames.
                *software = Decoder::new();
            }
        }
        if !frame.key {
            return Err(CodecError::Broken("the hardware decoder failed, and another can begin only at a key frame"));
        }
    }
    software.decode(frame, picture).map(|()| None)
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
