//! Payloads in.

use super::{EVENTS_MAX, Flow, FlowEvent, KEY_WANTED_PAUSE, assembly::Head, gaps::Arrival};
use crate::media::SoundPacket;
use crate::time::{Duration, Instant, Unwrap32};
use crate::wire::{
    Control, ControlSegment, Feedback, Item, KeyFrameRequest, Parity, Payload, Ping, Pong, Ranges, Sound, VideoFragment,
};

/// A fragment is not sent again within this part of the shortest round trip: whoever asks again sooner cannot have
/// missed the repeat yet. Not the whole, since the request may have overtaken.
const REPEAT_PAUSE_RTT: f64 = 0.75;
/// Nor within this time, nor later than that: bounds where the round trip is next to nothing, or badly known.
const REPEAT_PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// After this time without a payload the path was cut, or we slept: what was sent meanwhile is not asked for again.
/// Far more than lies between two frames, and than most hiccups; within it a repair is cheaper than a key frame.
const SILENCE: Duration = Duration::from_secs(1);

impl Flow {
    /// Takes what the session opened. Bytes that are not what they should be are counted and passed over.
    pub fn handle_payload(&mut self, now: Instant, payload: &[u8]) {
        let Ok(payload) = Payload::parse(payload) else {
            self.counts.malformed += 1;
            return;
        };
        if !self.meet(now, payload.epoch) {
            self.counts.payloads_stale += 1;
            return;
        }
        if now.since(self.heard_at) > SILENCE {
            self.gaps.silence();
        }
        self.heard_at = now;
        for item in payload.items() {
            match item {
                Ok(item) => self.handle_item(now, &item),
                Err(_) => self.counts.malformed += 1,
            }
        }
        self.settle(now);
    }

    /// Whether payloads of this epoch are to be read. A new one means that the peer's flow began anew.
    fn meet(&mut self, now: Instant, epoch: u32) -> bool {
        if self.peer_epoch == Some(epoch) {
            return true;
        }
        if self.peer_epoch_before == Some(epoch) {
            return false;
        }
        self.peer_epoch_before = self.peer_epoch;
        self.peer_epoch = Some(epoch);
        if self.peer_epoch_before.is_some() {
            self.begin_anew(now);
        }
        true
    }

    /// The peer knows nothing of what was, and its counters stand at zero.
    fn begin_anew(&mut self, now: Instant) {
        self.clock = super::clock::PeerClock::new(now);
        self.pongs.clear();
        self.channel.restart();
        self.gaps.reset();
        self.frames.reset();
        self.arrivals = super::arrivals::Arrivals::new();
        self.loss_out = super::arrivals::Loss::default();
        self.rate.path_changed(now);
        self.share = super::parity::share::Share::default();
        self.sound_in.forget_sequences();
        self.key_request_due = None;
        self.outgoing.drop_unsent(&mut self.counts);
        self.outgoing.break_chain();
        self.events.retain(|event| !matches!(event, FlowEvent::Control(_)));
        self.tell(FlowEvent::PeerRestarted);
    }

    fn handle_item(&mut self, now: Instant, item: &Item<'_>) {
        match item {
            Item::Video(fragment) => self.handle_video(now, fragment),
            Item::Sound(sound) => self.handle_sound(now, sound),
            Item::Feedback(feedback) => self.handle_feedback(now, feedback),
            Item::Nack(ranges) => self.handle_nack(now, *ranges),
            Item::KeyFrameRequest(request) => self.handle_key_frame_request(now, *request),
            Item::Control(segment) => self.handle_control(segment),
            Item::ControlAck(ack) if ack.to_epoch == self.epoch => self.channel.acknowledged(ack),
            Item::ControlAck(_) => self.counts.control_void += 1,
            Item::Ping(ping) => self.handle_ping(now, *ping),
            Item::Pong(pong) => self.counts.pongs_refused += u64::from(!self.clock.pong(now, pong)),
            Item::TailProbe(end) => self.handle_video_end(now, *end),
            Item::Parity(parity) => self.handle_parity(now, parity),
            Item::Unknown(_) => self.counts.items_unknown += 1,
        }
    }

    fn handle_video(&mut self, now: Instant, fragment: &VideoFragment<'_>) {
        self.counts.fragments_received += 1;
        // The first value seen is placed away from zero, so that what came before it has a number too.
        let widen = |known: Option<u64>, value: u32| {
            known.map_or(1 << 32 | u64::from(value), |last| Unwrap32::after(last).peek(value))
        };
        let sequence = widen(self.gaps.end(), fragment.sequence);
        let number = widen(self.gaps.end().map(|_| self.frames.seen()), fragment.frame);
        let Some(first) = sequence.checked_sub(fragment.index.into()) else {
            self.counts.fragments_refused += 1;
            return;
        };
        let arrival = self.gaps.arrived(now, sequence, first, fragment);
        match arrival {
            Arrival::Duplicate => {
                self.counts.fragments_duplicate += 1;
                return;
            }
            Arrival::Filled => self.counts.fragments_repaired += 1,
            Arrival::New | Arrival::Jump => {}
        }
        self.arrivals.record(now, sequence);
        let jump = arrival == Arrival::Jump;
        let head = Head::of_fragment(number, first, fragment);
        if let Some(mended) = self.frames.accept(now, &head, jump, fragment, &mut self.counts) {
            self.gaps.mended(mended);
        }
    }

    /// Parities follow their frame: they also tell that all of it was sent.
    fn handle_parity(&mut self, now: Instant, parity: &Parity<'_>) {
        self.counts.parities_received += 1;
        // Before the first fragment nobody knows where to begin.
        let Some(known) = self.gaps.end() else { return };
        let first = Unwrap32::after(known).peek(parity.first);
        let number = Unwrap32::after(self.frames.seen()).peek(parity.frame);
        if !self.gaps.announced(now, first.saturating_add(parity.count.into())) {
            return;
        }
        let head = Head::of_parity(number, first, parity);
        if let Some(mended) = self.frames.accept_parity(now, &head, parity, &mut self.counts) {
            self.gaps.mended(mended);
        }
    }

    fn handle_video_end(&mut self, now: Instant, end: u32) {
        if let Some(known) = self.gaps.end() {
            self.gaps.announced(now, Unwrap32::after(known).peek(end));
        }
    }

    fn handle_sound(&mut self, now: Instant, sound: &Sound<'_>) {
        self.handle_video_end(now, sound.video_end);
        if !self.sound_in.is_new(sound.sequence) {
            self.counts.sound_duplicate += 1;
            return;
        }
        // As long as the offset is not known, sound was captured when it came.
        let captured_at = self.clock.to_local(sound.captured_us, now).unwrap_or(now);
        let Ok(payload) = heapless::Vec::from_slice(sound.data) else {
            self.counts.malformed += 1;
            return;
        };
        self.counts.sound_received += 1;
        let packet = SoundPacket { sequence: sound.sequence, captured_at, payload };
        self.counts.sound_untaken += u64::from(self.sound_in.push(packet));
    }

    /// The totals tell the loss, the arrival times what the path carries.
    fn handle_feedback(&mut self, now: Instant, feedback: &Feedback<'_>) {
        let lost = self.loss_out.update(feedback.expected, feedback.received);
        self.rate.set_parity_share(self.share.of_bits());
        self.rate.handle_feedback(now, feedback, self.outgoing.sent_end(), lost);
        self.share.handle_feedback(feedback, lost, self.rate.queue());
        self.pacer.set_rate(self.rate.pace_bps());
    }

    fn handle_nack(&mut self, now: Instant, ranges: Ranges<'_>) {
        let rtt = self.clock.rtt_min().unwrap_or_default();
        let pause = rtt.mul_f64(REPEAT_PAUSE_RTT).clamp(REPEAT_PAUSE.0, REPEAT_PAUSE.1);
        self.outgoing.asked_again(now, ranges, pause, &mut self.counts);
    }

    fn handle_key_frame_request(&mut self, now: Instant, request: KeyFrameRequest) {
        let from = self.outgoing.widen_number(request.from);
        // One that left after the peer asked is the answer, unless it should have arrived by now.
        let patience = KEY_WANTED_PAUSE.max(self.clock.rtt_or_guess() * 2) + self.rate.queue();
        let coming = self.outgoing.last_key().is_some_and(|(key, at)| key >= from && now.since(at) < patience);
        if !coming {
            self.want_key(now);
        }
    }

    fn handle_control(&mut self, segment: &ControlSegment<'_>) {
        // Without room for what it may bring, it stays unacknowledged and is sent again.
        if segment.to_epoch != self.epoch || self.events.len() >= EVENTS_MAX {
            self.counts.control_void += 1;
            return;
        }
        self.channel.received(segment);
        self.deliver_control();
    }

    pub(super) fn deliver_control(&mut self) {
        while self.events.len() < EVENTS_MAX
            && let Some(message) = self.channel.deliver()
        {
            match Control::decode(&message) {
                Ok(message) => {
                    self.counts.control_delivered += 1;
                    self.tell(FlowEvent::Control(message));
                }
                Err(_) => self.counts.control_unknown += 1,
            }
        }
    }

    fn handle_ping(&mut self, now: Instant, ping: Ping) {
        if self.pongs.is_full() {
            self.pongs.pop_front();
        }
        let received = Pong { id: ping.id, ping_sent_us: ping.sent_us, ping_received_us: now.as_micros(), sent_us: 0 };
        // Cannot fail: there is room for one.
        let _ = self.pongs.push_back(received);
    }
}
