//! How much video the path carries: what the peer reports of arrivals becomes a target in bits a second, and a pace.
//!
//! **The design** is Google's congestion control (draft-ietf-rmcat-gcc-02): a detector of queues that grow (`detector`)
//! with a threshold that gives way to a queue that others fill, states with a multiplicative decrease to a share of what
//! arrived (`control`), and loss as the second signal, of which the first 2 % mean nothing and 10 % no retreat. What
//! differs from the draft stands, with its reason, at its place. Bursts measure what there is room for (`train`).
//!
//! **Why not SCReAM** (RFC 8298): a short form of it was run through the weather of `tests/weather.rs` with the same samples, trains and
//! pacer. Its window gives way to every loss and to jitter: of a stream of 2.4 Mbit/s with 1 % lost at random it left
//! 1.3 (this: 2.4), with 5 % 0.7 (2.5), under 10 ± 10 ms of jitter 1.1 (2.5), and Wi-Fi is just that; a path cut to half
//! froze for 1.3 s (0.4). Where a download fills the queue it had 1.3 of 4 Mbit/s (1.5).
//!
//! Whatever a peer reports, the target stays within `control`'s bounds, an arrival counts once and only for what was sent,
//! and the memory is that of [`SENT_MAX`] fragments.

mod control;
mod detector;
mod train;

use crate::time::{Duration, Instant, Unwrap32};
use crate::wire::Feedback;
use control::Control;
use detector::Detector;
use train::Train;

/// Fragments whose fate is awaited: a third of a second of the widest stream (a camera's own JPEG images, 40 Mbit/s).
const SENT_MAX: usize = 2_048;
/// What a fragment's datagram has beside its payload, in bytes: IPv6, UDP and the session's seal.
const ENVELOPE_BYTES: u32 = 48 + 30;

/// A fragment that left.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    sequence: u64,
    at: Instant,
    /// None once it was reported.
    bytes: u32,
    /// It was sent again, so that it is not known which of the two arrived.
    is_repeated: bool,
}

/// An arrival, as both sides saw it.
#[derive(Clone, Copy, Debug)]
struct Sample {
    sent_at: Instant,
    /// In the peer's clock.
    arrived_us: u64,
    bytes: u32,
}

impl Sample {
    /// One way, and the difference of the clocks.
    fn delay_us(&self) -> i64 {
        self.arrived_us as i64 - self.sent_at.as_micros() as i64
    }
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Outcome {
    /// Bytes that newly arrived.
    bytes: u64,
    /// Share that was lost of late.
    loss: f32,
    /// What the last bursts went through at.
    train_bps: Option<u64>,
    /// What bursts went through at when there last was one.
    known_bps: Option<u64>,
    signal: detector::Signal,
    /// How long even the luckiest fragment had to wait.
    queue: Duration,
    /// The detector's allowance for it.
    allowed: Duration,
}

/// How fast losses are forgotten: of those a second ago a third counts.
const LOSS_MEMORY_S: f32 = 1.0;
/// Fewer fragments tell nothing.
const LOSS_FRAGMENTS_LEAST: f32 = 10.0;
/// Standard deviations by which the few that were counted may have lost more by chance: a path that loses one in twenty loses
/// two of ten often enough, and is no fuller for it.
const CHANCE: f32 = 2.0;

/// The share lost of the last second's fragments, as far as it is more than chance.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    fragments: f32,
    lost: f32,
    updated_at: Option<Instant>,
}

impl Losses {
    fn update(&mut self, now: Instant, fragments: usize, lost: Option<f32>) -> f32 {
        let passed_s = self.updated_at.map_or(0.0, |at| now.since(at).as_secs_f32());
        self.updated_at = Some(now);
        let keep = (1.0 - passed_s / LOSS_MEMORY_S).max(0.0);
        self.fragments = self.fragments * keep + fragments as f32;
        self.lost = self.lost * keep + fragments as f32 * lost.unwrap_or(0.0);
        if self.fragments < LOSS_FRAGMENTS_LEAST {
            return 0.0;
        }
        let share = (self.lost / self.fragments).clamp(0.0, 1.0);
        (share - CHANCE * (share * (1.0 - share) / self.fragments).sqrt()).max(0.0)
    }
}

/// The target of one peer.
#[derive(Debug)]
pub(super) struct Rate {
    sent: Box<[Sent]>,
    arrivals: Unwrap32,
    detector: Detector,
    train: Train,
    losses: Losses,
    control: Control,
    queue: Duration,
    /// Of the bits, what parities have beside the fragments.
    parity_share: f32,
}

impl Rate {
    /// On a path of which nothing is known.
    pub(super) fn new(now: Instant) -> Rate {
        Rate {
            sent: vec![Sent::default(); SENT_MAX].into_boxed_slice(),
            arrivals: Unwrap32::new(),
            detector: Detector::default(),
            train: Train::default(),
            losses: Losses::default(),
            control: Control::new(now),
            queue: Duration::ZERO,
            parity_share: 0.0,
        }
    }

    /// The path is another one: what was measured says nothing of it.
    pub(super) fn path_changed(&mut self, now: Instant) {
        self.detector = Detector::default();
        self.train = Train::default();
        self.losses = Losses::default();
        self.control = Control::new(now);
        self.sent.iter_mut().for_each(|sent| sent.bytes = 0);
    }

    /// Beside the fragments parities take this share of the bits, 0 to 1: they arrive as the fragments do, and are in no report.
    pub(super) fn set_parity_share(&mut self, share: f32) {
        self.parity_share = share;
    }

    /// A fragment left with a payload of `bytes`; `repeat` where not for the first time.
    pub(super) fn sent(&mut self, now: Instant, sequence: u64, bytes: usize, repeat: bool) {
        let place = &mut self.sent[(sequence % SENT_MAX as u64) as usize];
        if !repeat {
            *place = Sent { sequence, at: now, bytes: bytes as u32 + ENVELOPE_BYTES, is_repeated: false };
        } else if place.sequence == sequence {
            place.is_repeated = true;
        }
    }

    /// Takes a report in; `sent_end` is one past the highest sequence that left, `lost`
    /// the share that was lost of the fragments since the report before, where there were any.
    pub(super) fn handle_feedback(&mut self, now: Instant, feedback: &Feedback<'_>, sent_end: u64, lost: Option<f32>) {
        let first = Unwrap32::after(sent_end).peek(feedback.first);
        let base_us = self.arrivals.unwrap(feedback.base_us);
        let mut bytes = 0;
        for (sequence, units) in (first..sent_end).zip(feedback.arrivals.iter()) {
            let sent = &mut self.sent[(sequence % SENT_MAX as u64) as usize];
            if units == Feedback::ABSENT || sent.sequence != sequence || sent.bytes == 0 {
                continue;
            }
            let arrived_us = base_us + u64::from(units) * u64::from(Feedback::UNIT_US);
            let sample = Sample { sent_at: sent.at, arrived_us, bytes: core::mem::take(&mut sent.bytes) };
            bytes += u64::from(sample.bytes);
            if !sent.is_repeated {
                self.detector.sample(&sample);
                self.train.sample(&sample);
            }
        }
        let bytes = (bytes as f32 / (1.0 - self.parity_share)) as u64;
        let (signal, queue, allowed) = self.detector.conclude(now);
        let loss = self.losses.update(now, feedback.arrivals.len(), lost);
        self.queue = queue;
        let (train_bps, known_bps) = (self.train.conclude(), self.train.known_bps());
        let outcome = Outcome { bytes, loss, train_bps, known_bps, signal, queue, allowed };
        self.control.handle_outcome(now, &outcome);
    }

    /// Bits a second that video may have, headers and repeats among them.
    pub(super) fn target_bps(&self) -> u64 {
        self.control.target_bps()
    }

    /// Whether anything tells what the path carries: a burst that was measured, or a retreat. Until then the target is a
    /// guess.
    pub(super) fn is_known(&self) -> bool {
        self.train.known_bps().is_some() || self.control.has_retreated()
    }

    /// How long what leaves now will wait on its way, as far as the last report tells.
    pub(super) fn queue(&self) -> Duration {
        self.queue
    }

    /// What bursts may leave at; `None` as long as the path is unknown.
    pub(super) fn pace_bps(&self) -> Option<u64> {
        self.train.pace_bps(self.target_bps())
    }
}
