//! The receiving side: from packets to the period that the playback card asks for.

use super::arrivals::{Arrival, Arrivals};
use super::comfort::Comfort;
use super::splice::{self, LAG_MAX, OVERLAP};
use super::store::{STORE, Store};
use super::{Drift, PERIOD_NANOS, frames_to_nanos, nanos_to_frames};
use crate::codec::CodecError;
use crate::codec::opus::{self, Decoder};
use crate::media::{PERIOD, Period, SoundPacket};
use crate::time::{Duration, Instant, Unwrap32};

/// What the target delay holds beyond the transit of the latest usual packet: a period, because the resampler may ask for
/// the first sample of a packet at any time within the one before; and 2 ms for the scheduler's lateness.
const SLACK_NANOS: i64 = PERIOD_NANOS + 2_000_000;

/// An error of delay from which splices are made; smaller ones are left to the resampler. Above what drift makes by
/// itself (1.8 ms, see [`Drift`]).
const SPLICE_NANOS: i64 = 6_000_000;
/// Where splicing, once begun, ends: what the shortest splice takes.
const SPLICED_NANOS: i64 = 2_500_000;
/// Periods between two splices: at most 15 ms go every 40 ms, which is hurried but clear speech.
const SPLICE_PERIODS: u32 = 4;

/// An error of delay that is skipped at once: it comes from an outage or a stall of our own, not from jitter.
const SKIP_NANOS: i64 = 120_000_000;

/// Shortfall of delay at which a missing packet is waited for (what bridges it is *inserted*), not played past.
const HOLD_NANOS: i64 = 2_000_000;

/// Share of packets missing from which it pays to wait for the packet after a missing one, for the FEC in it …
const LOSS_WAIT: f32 = 0.01;
/// … and below which it no longer does: one loss in 300 is concealed well enough.
const LOSS_NO_WAIT: f32 = 0.003;
/// Periods over which the share of missing packets is taken: 5 s.
const LOSS_PERIODS: f32 = 512.0;

/// Concealed periods after which the made-up sound begins to fade: what Opus continues is plausible for 50 ms.
const FADE_FROM: u32 = 5;
/// Concealed periods after which there is only the far room's noise: 120 ms.
const FADE_TO: u32 = 12;
/// Concealed periods that are counted for one gap, 1 s: beyond, the stream has not been concealed but is not there.
const GAP_COUNTED: u32 = 100;

/// Capture times that stray this far from the stream's own clock mean another stream: the sender has started anew.
const STREAM_STRAY_NANOS: i64 = 500_000_000;

/// Room for decoded sound: the longest target delay, filled with silence at a start, and what a splice needs.
const DECODED_MAX: usize = 16_384;

/// How the playout behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutConfig {
    /// The most jitter that is waited for. Beyond, packets are lost: a conversation at more than a fifth of a second one
    /// way turns into a walkie-talkie.
    pub jitter_max: Duration,
}

impl Default for PlayoutConfig {
    fn default() -> PlayoutConfig {
        PlayoutConfig { jitter_max: Duration::from_millis(150) }
    }
}

/// What became of the sound; in periods of 10 ms unless named otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutCounters {
    /// Decoded from their own packets.
    pub played: u64,
    /// Made from the FEC in the packet after.
    pub recovered: u64,
    /// Made up, a second of each gap at most.
    pub concealed: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that Opus could not read.
    pub broken: u64,
    /// Sample frames that splices took out.
    pub spliced_frames: u64,
    /// Periods skipped at once to come back to the target.
    pub skipped: u64,
    /// Streams begun.
    pub streams: u64,
}

/// One period of playout, as [`Playout::pull`] filled it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// When the first sample of it was captured, in the local clock; `None` where it is silence or made up.
    pub captured_at: Option<Instant>,
}

/// Jitter buffer, decoder, concealment and drift correction of one incoming stream.
///
/// The position in the stream is kept in the sender's sample clock: sequence number times 480. It moves with the playback
/// card, bent by [`Drift`]; a packet that is not there when its turn comes is recovered or concealed, or, while the delay is
/// short of its target, waited for.
#[derive(Debug)]
pub struct Playout {
    decoder: Decoder,
    store: Store,
    unwrap: Unwrap32,
    arrivals: Arrivals,
    drift: Drift,
    comfort: Comfort,
    /// The sequence number to be decoded next; `None` before the first packet.
    next: Option<u64>,
    /// Decoded and not yet played.
    decoded: Vec<f32>,
    /// Of [`Playout::decoded`], how many sample frames from the front reach to the end of the last made-up one.
    made_up: usize,
    /// A sequence number and when its first sample was captured.
    anchor: (u64, Instant),
    /// Bit n is set where the packet of `next − 1 − n` was decoded: tells a duplicate from a late packet.
    heard: u64,
    /// What [`Playout::delay`] says.
    waited_nanos: i64,
    /// Periods concealed without a break.
    gap: u32,
    /// The next decoded period does not continue the last: it is faded in over what went before.
    torn: bool,
    since_splice: u32,
    /// From [`SPLICE_NANOS`] of error until [`SPLICED_NANOS`].
    splicing: bool,
    /// Share of packets that were missing when their turn came.
    missing: f32,
    /// Whether the delay covers the packet after a missing one.
    waits_for_fec: bool,
    counters: PlayoutCounters,
    work: Period,
    output: [f32; PERIOD],
}

impl Playout {
    /// With nothing received yet.
    ///
    /// # Errors
    /// Where the decoder cannot be made.
    pub fn new(config: PlayoutConfig) -> Result<Playout, CodecError> {
        Ok(Playout {
            decoder: Decoder::new()?,
            store: Store::new(),
            unwrap: Unwrap32::new(),
            arrivals: Arrivals::new(config.jitter_max),
            drift: Drift::new(),
            comfort: Comfort::new(),
            next: None,
            decoded: Vec::with_capacity(DECODED_MAX),
            made_up: 0,
            anchor: (0, Instant::ZERO),
            heard: 0,
            waited_nanos: 0,
            gap: 0,
            torn: false,
            since_splice: 0,
            splicing: false,
            missing: 0.0,
            waits_for_fec: false,
            counters: PlayoutCounters::default(),
            work: [0; PERIOD],
            output: [0.0; PERIOD],
        })
    }

    /// Takes a packet that arrived at `received_at`.
    pub fn handle_packet(&mut self, packet: &SoundPacket, received_at: Instant) {
        let mut sequence = self.unwrap.unwrap(packet.sequence);
        // Where the sender's sample clock would have it captured, give or take a constant.
        let strayed = self.next.is_some() && {
            let foretold = self.captured_at((sequence as i64).saturating_mul(PERIOD as i64));
            packet.captured_at.signed_since(foretold).unsigned_abs() > STREAM_STRAY_NANOS as u64
        };
        if strayed {
            self.begin_anew();
            self.unwrap = Unwrap32::new();
            sequence = self.unwrap.unwrap(packet.sequence);
        }
        let Some(next) = self.next else { return self.begin(sequence, packet, received_at) };
        if sequence < next && next - sequence <= 64 && self.heard >> (next - 1 - sequence) & 1 == 1 {
            self.counters.duplicate += 1;
            return;
        }
        if sequence >= next + STORE {
            // We have not been pulled for long; what is still waiting is stale. The next pull sets the delay right.
            self.skip_to(sequence - STORE / 2);
        }
        if sequence < next {
            self.counters.late += 1;
        } else if !self.store.put(sequence, packet) {
            self.counters.duplicate += 1;
            return;
        }
        let arrival = self.arrivals.handle(transit(sequence, received_at), received_at);
        if arrival == Arrival::Moved {
            self.drift.forget_error();
        }
    }

    /// Fills the period that the playback card asks for at `now`; silence where there is nothing to play.
    pub fn pull(&mut self, now: Instant, period: &mut Period) -> Played {
        let Some(next) = self.next else {
            period.fill(0);
            return Played::default();
        };
        let mut error = self.error_nanos(now);
        if error > SKIP_NANOS {
            let periods = (error / PERIOD_NANOS) as u64;
            self.skip_to(next.saturating_add(periods));
            self.drift.forget_error();
            error = self.error_nanos(now);
        }
        // Steered first: it decides how many sample frames this period takes.
        self.drift.steer(error);
        while self.decoded.len() < self.drift.input_frames() {
            self.decode_next(error < -HOLD_NANOS);
        }
        self.splice();
        self.waited_nanos = self.transit_of_position(now).saturating_sub(self.arrivals.least());

        let frames = self.drift.input_frames().min(self.decoded.len());
        let captured_at = self.captured_at(self.position());
        let played = Played { captured_at: (self.made_up == 0 && self.gap == 0).then_some(captured_at) };
        self.drift.process(&self.decoded, &mut self.output);
        self.decoded.drain(..frames);
        self.made_up = self.made_up.saturating_sub(frames);
        for (to, from) in period.iter_mut().zip(&self.output) {
            // `as` saturates, which is what clipping is.
            *to = (from * 32_768.0).round() as i16;
        }
        played
    }

    /// Forgets the stream; the next packet begins another. The counters go on.
    pub fn reset(&mut self) {
        self.begin_anew();
        self.unwrap = Unwrap32::new();
        self.drift = Drift::new();
    }

    /// What became of the sound so far.
    pub fn counters(&self) -> PlayoutCounters {
        self.counters
    }

    /// How long the sound that was pulled last would have waited here, had it come by the fastest packet.
    pub fn delay(&self) -> Duration {
        Duration::from_nanos(self.waited_nanos.max(0) as u64)
    }

    /// What [`Playout::delay`] is steered to.
    pub fn target_delay(&self) -> Duration {
        let waits = self.target_nanos().saturating_sub(self.arrivals.least());
        Duration::from_nanos(waits.max(0) as u64)
    }

    /// By how much the sender's card is faster than ours, in parts per million, as far as is known.
    pub fn drift_ppm(&self) -> f64 {
        self.drift.ppm()
    }

    /// The sender's sample frame that is played next. All of the sound that waits decoded lies before `next`; whatever
    /// was inserted or taken out in between has moved this end of it, not that.
    fn position(&self) -> i64 {
        let end = (self.next.unwrap_or(0) as i64).saturating_mul(PERIOD as i64);
        end - self.decoded.len() as i64
    }

    fn transit_of_position(&self, now: Instant) -> i64 {
        now.signed_since(Instant::ZERO).saturating_sub(frames_to_nanos(self.position()))
    }

    fn target_nanos(&self) -> i64 {
        let following = self.arrivals.usual().saturating_add(PERIOD_NANOS);
        let late = self.arrivals.late();
        if self.waits_for_fec { late.max(following) } else { late }.saturating_add(SLACK_NANOS)
    }

    /// Delay less target.
    fn error_nanos(&self, now: Instant) -> i64 {
        self.transit_of_position(now).saturating_sub(self.target_nanos())
    }

    /// When that sample frame of the stream was captured, as it comes out of the decoder.
    fn captured_at(&self, position: i64) -> Instant {
        let (sequence, captured_at) = self.anchor;
        let frames = position.saturating_sub((sequence as i64).saturating_mul(PERIOD as i64));
        captured_at.offset(frames_to_nanos(frames)) - opus::DELAY
    }

    /// The first packet of a stream: silence is laid before it, as long as it is to wait.
    fn begin(&mut self, sequence: u64, packet: &SoundPacket, received_at: Instant) {
        self.counters.streams += 1;
        self.next = Some(sequence);
        self.anchor = (sequence, packet.captured_at);
        self.store.put(sequence, packet);
        self.arrivals.handle(transit(sequence, received_at), received_at);
        let waits = self.target_nanos().saturating_sub(transit(sequence, received_at));
        let frames = usize::try_from(nanos_to_frames(waits)).unwrap_or(0).min(DECODED_MAX / 2);
        self.decoded.resize(self.decoded.len().max(frames), 0.0);
        self.made_up = self.decoded.len();
        // By then it is known how long it has become.
        self.since_splice = 0;
    }

    /// Ends the stream; what is decoded of it fades out within 5 ms.
    fn begin_anew(&mut self) {
        self.store.clear();
        self.arrivals.reset();
        self.decoder.reset();
        self.comfort = Comfort::new();
        self.drift.forget_error();
        self.next = None;
        self.decoded.truncate(OVERLAP);
        let len = self.decoded.len() as f32;
        for (i, sample) in self.decoded.iter_mut().enumerate() {
            *sample *= 1.0 - (i as f32 + 1.0) / len;
        }
        (self.heard, self.gap, self.torn) = (0, 0, true);
    }

    /// Goes on with another sequence number; what lies between is not played.
    fn skip_to(&mut self, sequence: u64) {
        let Some(next) = self.next.filter(|next| sequence > *next) else { return };
        self.counters.skipped += sequence - next;
        self.advance(sequence - next, false);
        self.torn = true;
    }

    /// Moves `next` on, of which the last period was decoded from its packet or not.
    fn advance(&mut self, periods: u64, heard: bool) {
        self.next = self.next.map(|next| next.saturating_add(periods));
        self.heard = self.heard.checked_shl(u32::try_from(periods).unwrap_or(64)).unwrap_or(0) | u64::from(heard);
    }

    /// Decodes, recovers or makes up one more period. `hold`: the delay is short of its target, so a missing packet is
    /// waited for, and the sound that bridges it is inserted.
    fn decode_next(&mut self, hold: bool) {
        let Some(next) = self.next else { return };
        if let Some((captured_at, _)) = self.store.get(next) {
            self.anchor = (next, captured_at);
            self.decode_packet(next);
        } else if hold {
            self.conceal();
            self.drift.shift(PERIOD_NANOS);
        } else if let Some((captured_at, payload)) = self.store.get(next + 1)
            && self.gap < FADE_TO
            && self.decoder.recover(payload, &mut self.work).is_ok()
        {
            self.anchor = (next + 1, captured_at);
            self.counters.recovered += 1;
            self.gap = 0;
            self.note_missing(true);
            self.advance(1, false);
            self.append();
        } else {
            // In a long gap the stream is not there, which says nothing about loss.
            if self.gap < FADE_TO {
                self.note_missing(true);
            }
            self.conceal();
            self.advance(1, false);
        }
    }

    fn note_missing(&mut self, missing: bool) {
        self.missing += (f32::from(u8::from(missing)) - self.missing) / LOSS_PERIODS;
        self.waits_for_fec = self.missing > if self.waits_for_fec { LOSS_NO_WAIT } else { LOSS_WAIT };
    }

    fn decode_packet(&mut self, next: u64) {
        // Where the sound so far does not lead up to this packet, what would have followed it is faded into it.
        let torn = self.torn || self.gap >= FADE_FROM;
        let mut before = [0; PERIOD];
        if torn {
            if self.gap < FADE_TO {
                let _ = self.decoder.conceal(&mut before);
            }
            self.fade(&mut before);
        }
        let Some((_, payload)) = self.store.get(next) else { return };
        if self.decoder.decode(payload, &mut self.work).is_err() {
            self.counters.broken += 1;
            self.conceal();
            self.advance(1, false);
            return;
        }
        self.comfort.handle(&self.work);
        if torn {
            for (i, (to, from)) in self.work[..OVERLAP].iter_mut().zip(&before).enumerate() {
                let share = (i as f32 + 0.5) / OVERLAP as f32;
                *to = (f32::from(*to) * share + f32::from(*from) * (1.0 - share)) as i16;
            }
        }
        (self.gap, self.torn) = (0, false);
        self.counters.played += 1;
        self.note_missing(false);
        self.advance(1, true);
        self.append();
    }

    /// Makes up one period, fading to the far room's noise as the gap grows.
    fn conceal(&mut self) {
        let mut made_up = [0; PERIOD];
        if self.gap < FADE_TO && self.decoder.conceal(&mut made_up).is_err() {
            made_up.fill(0);
        }
        self.fade(&mut made_up);
        self.work = made_up;
        if self.gap < GAP_COUNTED {
            self.counters.concealed += 1;
        }
        self.gap = self.gap.saturating_add(1);
        self.append();
        self.made_up = self.decoded.len();
    }

    /// Fades what was made up for the period of the gap that is due: from full at [`FADE_FROM`] to the far room's noise at
    /// [`FADE_TO`].
    fn fade(&mut self, made_up: &mut Period) {
        let level = |gap: u32| {
            let left = f32::from(FADE_TO.saturating_sub(gap.max(FADE_FROM)) as u8);
            left / f32::from((FADE_TO - FADE_FROM) as u8)
        };
        let (from, to) = (level(self.gap), level(self.gap.saturating_add(1)));
        for (i, sample) in made_up.iter_mut().enumerate() {
            *sample = (f32::from(*sample) * (from + (to - from) * (i as f32 / PERIOD as f32))) as i16;
        }
        self.comfort.add(self.gap, (from, to), made_up);
    }

    fn append(&mut self) {
        self.decoded.extend(self.work.iter().map(|s| f32::from(*s) / 32_768.0));
    }

    /// Where there is clearly too much delay, takes out a piece that will not be missed.
    fn splice(&mut self) {
        self.since_splice = self.since_splice.saturating_add(1);
        let excess = self.drift.error_nanos();
        self.splicing = excess > if self.splicing { SPLICED_NANOS } else { SPLICE_NANOS };
        if !self.splicing || self.since_splice < SPLICE_PERIODS {
            return;
        }
        // What the period itself needs must be left over.
        let own = self.drift.input_frames();
        let wanted = (nanos_to_frames(excess) as usize).min(LAG_MAX);
        while self.decoded.len() < own + wanted && self.next.is_some_and(|next| self.store.get(next).is_some()) {
            self.decode_next(false);
        }
        let most = wanted.min(self.decoded.len() - own);
        let frames = splice::shorten(&mut self.decoded, most);
        if frames > 0 {
            self.counters.spliced_frames += frames as u64;
            self.made_up = self.made_up.saturating_sub(frames);
            self.drift.shift(-frames_to_nanos(frames as i64));
            self.since_splice = 0;
        }
    }
}

/// Arrival less the place in the sender's sample clock.
fn transit(sequence: u64, received_at: Instant) -> i64 {
    let place = (sequence as i64).saturating_mul(PERIOD_NANOS);
    received_at.signed_since(Instant::ZERO).saturating_sub(place)
}
