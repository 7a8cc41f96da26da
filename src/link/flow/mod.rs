//! The inner half of a link: what flows between two stations once the session carries authenticated payloads.
//!
//! **A state machine without clock or socket.** Bytes that the session opened come in by [`Flow::handle_payload`], bytes
//! for it to seal go out by [`Flow::poll_payload`], and [`Flow::poll_timeout`] says when to call
//! [`Flow::handle_timeout`]. After any call that takes something in, the driver polls payloads until there are none;
//! whatever is due by `now` comes out of that, so that a timeout is never in the past after it.
//!
//! **What it promises**
//! - A video frame is handed out whole, in order, and only if everything it depends on was handed out before; and not
//!   if it is stale ([`FlowConfig::age_max`]) while something newer can be had. What it cannot complete it never shows:
//!   it asks for a key frame and goes on with that.
//! - Sound has the right of way over everything, is handed out once, and waits for nothing.
//! - Control messages arrive once each, in order, over any cut that ends.
//! - Memory is bounded whatever the peer sends, no bytes make it panic, and video and sound allocate nothing once the
//!   buffers have grown to the frames' size.
//! - Times that come out are in our clock: the peer's are translated by the offset that pings measure.
//!
//! `PROTOCOL.md` in the folder above is the specification. Inside: `clock` (offset and round trip), `pacer`,
//! `rate` (what the path carries), `breaker`, `outgoing` (history, repeats), `cutting` (fragments), `parity` (what stands in for
//! lost ones, and how much of it), `gaps` (what is missing), `assembly` (one frame), `frames` (their order),
//! `arrivals` (feedback), `sound`, `channel` (control); `receive` and `transmit` are the two directions of a payload.

mod arrivals;
mod assembly;
mod breaker;
mod channel;
mod clock;
mod cutting;
mod frames;
mod fuzz;
mod gaps;
mod outgoing;
mod pacer;
mod parity;
mod rate;
mod receive;
mod report;
mod sound;
#[cfg(test)]
mod tests;
mod transmit;

pub use fuzz::fuzz;
pub use report::{Counts, FlowReport};

use crate::link::MAX_PAYLOAD;
use crate::media::{EncodedFrame, SoundPacket};
use crate::time::{Duration, Instant, earliest};
use crate::wire::{Control, KeyFrameRequest, Pong};
use arrivals::{Arrivals, Loss};
use breaker::Breaker;
use channel::Channel;
use clock::PeerClock;
use core::fmt;
use frames::Frames;
use gaps::Gaps;
use outgoing::Outgoing;
use pacer::Pacer;
use parity::share::Share;
use rate::Rate;
use sound::{SoundIn, SoundOut};
use std::collections::VecDeque;

/// Events that wait to be polled; beyond it control messages stay unacknowledged until there is room.
const EVENTS_MAX: usize = 64;
/// Pongs owed. Pings come 20 ms apart at the least; more of them are from nobody who means well.
const PONGS_MAX: usize = 4;
/// Between two requests for a key frame beyond the round trip: the encoder answers with its next frame.
const KEY_REQUEST_PAUSE: Duration = Duration::from_millis(35);
/// Between two [`FlowEvent::KeyFrameWanted`]: three frames at 30 a second, which the slowest encoder needs to answer.
const KEY_WANTED_PAUSE: Duration = Duration::from_millis(100);
/// A frame's last fragment is followed by a probe after this time, if no sound told the peer of it meanwhile. Sound goes
/// out every 10 ms, so this saves 6 ms at most in a call with sound, and the time to the next frame in one without.
const TAIL_PROBE_PAUSE: Duration = Duration::from_millis(4);
/// What is hopeless is given up before its time only if that saves as much, which is a frame's time at 30 a second: then the key
/// frame that is asked for at once will be another. On a path where it saves less, what is late is in a queue, and a key
/// frame would make that longer.
const SAVED_LEAST: Duration = Duration::from_millis(33);

/// Of what the path carries, what pictures may have: headers, repeats and key frames want the rest.
const ENCODED_PERCENT: u64 = 80;
/// Pictures get so much whatever parities want: what of the least target is theirs.
const PICTURE_LEAST_BPS: f64 = 48_000.0;

/// How a [`Flow`] is set up.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// How old a frame may be when it is handed out, from its capture. 150 ms: within it a conversation does not
    /// suffer (ITU-T G.114), and over a round trip of 40 ms it leaves time for three repairs.
    pub age_max: Duration,
    /// What video beyond a burst is sent at, in bits a second, as long as the path seems to carry it. 200 Mbit/s: see the
    /// pacer.
    pub pace_bits_per_second: u64,
    /// Bytes a payload may have until the first [`Flow::poll_payload`], whose buffer says it from then on; at most
    /// [`MAX_PAYLOAD`].
    pub payload_bytes: usize,
    /// Bytes that each frame buffer has room for from the start; larger frames make them grow.
    pub frame_bytes: usize,
    /// What is done about loss.
    pub repair: Repair,
}

/// What is done about fragments that were lost: both, but to measure what each is worth.
#[derive(Clone, Copy, Debug)]
pub struct Repair {
    /// The receiver asks for them.
    pub requests: bool,
    /// The sender sends parities with its frames where they are worth their bits.
    pub parity: bool,
}

impl Default for Repair {
    fn default() -> Repair {
        Repair { requests: true, parity: true }
    }
}

impl Default for FlowConfig {
    fn default() -> FlowConfig {
        FlowConfig {
            age_max: Duration::from_millis(150),
            pace_bits_per_second: 200_000_000,
            payload_bytes: MAX_PAYLOAD,
            // A key frame of 640x480 at 2 Mbit/s. The memory is touched only as it is used.
            frame_bytes: 64 << 10,
            repair: Repair::default(),
        }
    }
}

/// What the station should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a few a minute, and 64 at most wait; a box would cost more than it saves"
)]
pub enum FlowEvent {
    /// The peer says something.
    Control(Control),
    /// The peer's decoder cannot go on, or a frame could not be sent: the next frame should be a key frame.
    KeyFrameWanted,
    /// The peer's flow began anew (its program was restarted): tell it again what it should know. Messages that it had
    /// not acknowledged are gone.
    PeerRestarted,
    /// No frame can be shown until a key frame comes.
    Frozen {
        /// Since when.
        since: Instant,
    },
    /// The key frame is here.
    Resumed {
        /// How long there was none.
        frozen: Duration,
    },
}

/// The control channel holds as many messages as it can; the peer acknowledges none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlFull;

impl fmt::Display for ControlFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("control channel full: the peer has acknowledged nothing for a while")
    }
}

impl std::error::Error for ControlFull {}

/// One peer's video, sound and control, both ways.
#[derive(Debug)]
pub struct Flow {
    config: FlowConfig,
    counts: Counts,
    events: VecDeque<FlowEvent>,
    /// This flow's life; see [`crate::wire::Payload::epoch`].
    epoch: u32,
    peer_epoch: Option<u32>,
    /// The peer's life before; its last payloads may still be on their way.
    peer_epoch_before: Option<u32>,
    /// Timeouts handled since a payload was polled.
    turns_unpolled: u32,
    /// When the peer last said anything.
    heard_at: Instant,
    clock: PeerClock,
    pongs: heapless::Deque<Pong, PONGS_MAX>,
    channel: Channel,

    outgoing: Outgoing,
    pacer: Pacer,
    rate: Rate,
    share: Share,
    breaker: Breaker,
    sound_out: SoundOut,
    tail_probe_due: Option<Instant>,
    key_wanted_at: Option<Instant>,
    loss_out: Loss,

    gaps: Gaps,
    frames: Frames,
    arrivals: Arrivals,
    sound_in: SoundIn,
    key_request_due: Option<Instant>,
    frozen_since: Option<Instant>,
    frozen: Duration,
}

impl Flow {
    /// A flow that knows nothing of its peer yet. It may be made before there is a session.
    pub fn new(now: Instant, config: FlowConfig) -> Flow {
        let config = FlowConfig { payload_bytes: config.payload_bytes.min(MAX_PAYLOAD), ..config };
        // Two lives of a station begin at different nanoseconds of their clock; all that counts is that they differ.
        let nanos = now.as_nanos();
        let epoch = (nanos ^ (nanos >> 32)) as u32;
        Flow {
            counts: Counts::default(),
            events: VecDeque::with_capacity(EVENTS_MAX),
            epoch,
            peer_epoch: None,
            peer_epoch_before: None,
            turns_unpolled: 0,
            heard_at: now,
            clock: PeerClock::new(now),
            pongs: heapless::Deque::new(),
            channel: Channel::new(),
            outgoing: Outgoing::new(config.frame_bytes),
            pacer: Pacer::new(now, config.pace_bits_per_second),
            rate: Rate::new(now),
            share: Share::default(),
            breaker: Breaker::default(),
            sound_out: SoundOut::default(),
            tail_probe_due: None,
            key_wanted_at: None,
            loss_out: Loss::default(),
            gaps: Gaps::new(config.repair.requests),
            frames: Frames::new(config.age_max, config.frame_bytes),
            arrivals: Arrivals::new(),
            sound_in: SoundIn::default(),
            key_request_due: None,
            frozen_since: None,
            frozen: Duration::ZERO,
            config,
        }
    }

    /// Queues a frame to be sent. Its numbers must count up; where one is left out, or a frame cannot be sent, frames
    /// are refused until a key frame comes, and [`FlowEvent::KeyFrameWanted`] asks for it.
    pub fn send_frame(&mut self, now: Instant, frame: &EncodedFrame) {
        if self.breaker.holds(now) {
            self.outgoing.leave_out(frame);
            self.counts.frames_held += 1;
            return;
        }
        let before = self.counts.frames_sent;
        let rtt = self.clock.rtt_min().unwrap_or_default();
        let repair = self.config.repair;
        let parities =
            |count| if repair.parity { self.share.parities(count, frame.key, rtt, repair.requests) } else { 0 };
        self.outgoing.push(now, frame, self.config.payload_bytes, parities, &mut self.counts);
        self.pacer.hurry(self.outgoing.waiting());
        if frame.key && self.counts.frames_sent > before {
            self.key_wanted_at = None;
            self.breaker.key_frame_sent(now, &mut self.loss_out);
        }
    }

    /// Queues a sound packet to be sent. Where they do not leave, the oldest are dropped.
    pub fn send_sound(&mut self, _now: Instant, packet: &SoundPacket) {
        self.counts.sound_unsent += u64::from(self.sound_out.push(packet));
    }

    /// Queues a control message; it is sent until the peer acknowledges it.
    pub fn send_control(&mut self, message: &Control) -> Result<(), ControlFull> {
        self.channel.push(message)
    }

    /// Hands out the next frame: whole, decodable, in order and not stale; false where there is none now. The buffers
    /// of `out` are traded for those of the frame. `captured_at` is in our clock, `ready_at` is when the last fragment
    /// came, `number` counts the peer's frames.
    pub fn take_frame(&mut self, now: Instant, out: &mut EncodedFrame) -> bool {
        let taken = self.frames.take(now, &self.clock, out, &mut self.counts);
        if taken {
            self.gaps.relax();
        }
        self.settle(now);
        taken
    }

    /// Hands out the next sound packet, in the order of arrival, its time in our clock.
    pub fn take_sound(&mut self) -> Option<SoundPacket> {
        self.sound_in.take()
    }

    /// The decoder failed: only a key frame helps. The peer is asked for one, if none is on its way already.
    pub fn request_key_frame(&mut self, now: Instant) {
        self.frames.wait_for_key(now);
        self.settle(now);
    }

    /// What the station should know, oldest first.
    pub fn poll_event(&mut self) -> Option<FlowEvent> {
        let event = self.events.pop_front();
        // Control messages that had no room may have some now.
        self.deliver_control();
        event
    }

    /// The session was made again, or the peer roamed, after a cut: what is still wanted is sent at once, what is
    /// stale is forgotten, and the path is measured anew.
    pub fn path_changed(&mut self, now: Instant) {
        self.clock.path_changed(now);
        self.channel.path_changed();
        self.rate.path_changed(now);
        self.share = Share::default();
        self.outgoing.drop_unsent_if_stale(now, &mut self.counts);
        self.sound_out.clear();
        self.key_request_due = None;
        self.settle(now);
    }

    /// Brings everything that depends on time up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.turns_unpolled = self.turns_unpolled.saturating_add(1);
        self.outgoing.drop_unsent_if_stale(now, &mut self.counts);
        self.settle(now);
    }

    /// When to call [`Flow::handle_timeout`], and poll payloads, at the latest. While the driver handles timeouts but
    /// polls no payloads (it has no session), what waits to be sent is no reason to wake it.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let incoming = self.frames.due(&self.clock);
        if self.turns_unpolled >= 2 {
            return incoming;
        }
        let overdue = self.clock.overdue();
        let pacing = self.outgoing.is_waiting().then(|| self.pacer.permits_at());
        let control = self.peer_epoch.and_then(|_| self.channel.due(overdue));
        [
            Some(self.clock.due()),
            control,
            pacing,
            self.tail_probe_due,
            self.gaps.due(overdue),
            incoming,
            self.arrivals.due(),
            self.key_request_due,
            self.key_wanted_due(),
        ]
        .into_iter()
        .fold(None, earliest)
    }

    /// Bits a second that the encoder may aim at, so that the path carries its pictures. It follows the peer's reports,
    /// which come every 50 ms.
    pub fn picture_bps(&self) -> u32 {
        let encoded_bps = self.rate.target_bps() * ENCODED_PERCENT / 100;
        let beside_parity_bps = encoded_bps as f64 * f64::from(1.0 - self.share.of_bits());
        // A cast to the nearest that there is.
        beside_parity_bps.max(PICTURE_LEAST_BPS) as u32
    }

    /// Whether [`Flow::picture_bps`] was measured. It is a guess until pictures have been large enough to measure the path:
    /// enough for their bits, and no reason to make them smaller.
    pub fn is_path_known(&self) -> bool {
        self.rate.is_known()
    }

    /// How things stand.
    pub fn report(&self) -> FlowReport {
        FlowReport {
            rtt: self.clock.rtt(),
            rtt_min: self.clock.rtt_min(),
            offset_ns: self.clock.offset_ns(),
            loss_in: self.arrivals.loss.share(),
            loss_out: self.loss_out.share(),
            target_bps: self.rate.target_bps(),
            frozen: self.frozen,
            frozen_since: self.frozen_since,
            counts: self.counts,
        }
    }

    /// Lets go of frames that are too late, and keeps requests and the record of freezes in step with that.
    fn settle(&mut self, now: Instant) {
        self.frames.settle(now, &self.clock, &mut self.counts);
        self.gaps.forget_before(self.frames.sequence_floor());
        if self.is_hopeless(now) {
            self.frames.give_up_awaited(now, &mut self.counts);
        }
        self.gaps.forget_before(self.frames.sequence_floor());
        self.gaps.expire(now);
        if !self.gaps.is_empty() && self.frames.waiting_since().is_some() {
            self.gaps.retain(|sequence| self.frames.wants_sequence(sequence));
        }
        if self.frames.wants_key() {
            self.key_request_due.get_or_insert(now);
        } else {
            self.key_request_due = None;
        }
        self.note_freeze(now);
    }

    /// Whether no answer can bring in time what the picture waits for. Then a key frame is here the sooner it is asked for.
    fn is_hopeless(&self, now: Instant) -> bool {
        let (Some((end, late_at)), Some(rtt)) = (self.frames.awaited(&self.clock), self.clock.rtt_min()) else {
            return false;
        };
        self.gaps.lost_at(end).is_some_and(|lost_at| {
            let answered_at = self.config.repair.requests.then(|| lost_at + rtt);
            lost_at <= now && lost_at + SAVED_LEAST < late_at && answered_at.is_none_or(|at| at > late_at)
        })
    }

    fn note_freeze(&mut self, now: Instant) {
        // Before the first picture nothing is frozen.
        let waiting = self.frames.waiting_since().filter(|_| self.counts.frames_whole > 0);
        match (self.frozen_since, waiting) {
            (None, Some(since)) => {
                self.frozen_since = Some(since);
                self.counts.freezes += 1;
                self.tell(FlowEvent::Frozen { since });
            }
            (Some(since), None) => {
                let frozen = now.since(since);
                self.frozen_since = None;
                self.frozen += frozen;
                self.tell(FlowEvent::Resumed { frozen });
            }
            _ => {}
        }
    }

    /// Queues an event. Where nobody polls, the oldest goes; control messages do not come this far then.
    fn tell(&mut self, event: FlowEvent) {
        if self.events.len() >= EVENTS_MAX
            && let Some(at) = self.events.iter().position(|e| !matches!(e, FlowEvent::Control(_)))
        {
            self.events.remove(at);
        }
        self.events.push_back(event);
    }

    /// The request for a key frame that is due at `now`.
    fn key_request(&self, now: Instant) -> Option<KeyFrameRequest> {
        let due = self.key_request_due.is_some_and(|due| due <= now);
        due.then(|| KeyFrameRequest { from: self.frames.seen() as u32 })
    }

    /// When to tell the station (again) that a key frame must come before anything can be sent.
    fn key_wanted_due(&self) -> Option<Instant> {
        let again = self.key_wanted_at.map_or(Instant::ZERO, |at| at + KEY_WANTED_PAUSE);
        self.outgoing.is_broken().then(|| again.max(self.breaker.until()))
    }

    /// Tells the station that a key frame is wanted, unless it was told a moment ago.
    fn want_key(&mut self, now: Instant) {
        let told = self.key_wanted_at.is_some_and(|at| now.since(at) < KEY_WANTED_PAUSE);
        if !told && !self.breaker.holds(now) {
            self.key_wanted_at = Some(now);
            self.counts.key_frames_wanted += 1;
            self.tell(FlowEvent::KeyFrameWanted);
        }
    }
}
