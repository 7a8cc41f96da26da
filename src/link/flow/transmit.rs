//! Payloads out.

use super::outgoing::Written;
use super::{Flow, KEY_REQUEST_PAUSE, TAIL_PROBE_PAUSE, arrivals, gaps};
use crate::time::Instant;
use crate::wire::{Item, PayloadWriter, Pong, Sound};

impl Flow {
    /// Writes the next payload to be sent at `now` into `out`, and says how long it is; `None` where there is nothing
    /// to send now. At most `out.len()` bytes; frames that come later are cut to fit it. (Under 512 bytes there is not
    /// room for every kind of item.) Sound goes first; what fits
    /// beside it shares its payload.
    pub fn poll_payload(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.turns_unpolled = 0;
        self.config.payload_bytes = out.len().min(crate::link::MAX_PAYLOAD);
        self.outgoing.drop_unsent_if_stale(now, &mut self.counts);
        if self.outgoing.is_broken() {
            // Asked for here, not where it broke: now the path takes something.
            self.want_key(now);
        }
        let mut writer = PayloadWriter::begin(out, self.epoch)?;
        self.put_sound(&mut writer);
        self.put_answers(now, &mut writer);
        self.put_requests(now, &mut writer);
        self.put_control(now, &mut writer);
        self.put_ping(now, &mut writer);
        self.put_feedback(now, &mut writer);
        let small = writer.room();
        if self.outgoing.is_waiting()
            && self.pacer.permits(now)
            && let Some(written) = self.outgoing.write_next(now, &mut writer, &mut self.counts)
        {
            let bytes = small - writer.room();
            match written {
                Written::Fragment { sequence, repeat } => self.rate.sent(now, sequence, bytes, repeat),
                Written::Parity => {}
            }
            self.share.sent(bytes, &written);
            self.tail_probe_due = (self.outgoing.sent_end() > 0).then(|| now + TAIL_PROBE_PAUSE);
            self.pacer.sent(now, bytes);
        }
        self.put_tail_probe(now, &mut writer);
        writer.finish()
    }

    fn put_sound(&mut self, writer: &mut PayloadWriter<'_>) {
        let video_end = self.outgoing.sent_end() as u32;
        while let Some(packet) = self.sound_out.front() {
            let captured_us = packet.captured_at.as_micros() as u32;
            let item = Sound { sequence: packet.sequence, captured_us, video_end, data: &packet.payload };
            if writer.put(&Item::Sound(item)) {
                self.counts.sound_sent += 1;
                self.tail_probe_due = None;
            } else if writer.is_empty() {
                self.counts.sound_unsent += 1;
            } else {
                return;
            }
            self.sound_out.pop();
        }
    }

    fn put_answers(&mut self, now: Instant, writer: &mut PayloadWriter<'_>) {
        while let Some(&pong) = self.pongs.front() {
            let put = writer.put(&Item::Pong(Pong { sent_us: now.as_micros(), ..pong }));
            if !put && !writer.is_empty() {
                return;
            }
            self.pongs.pop_front();
        }
        let ack = self.peer_epoch.and_then(|epoch| self.channel.ack(epoch));
        if ack.is_some_and(|ack| writer.put(&Item::ControlAck(ack))) {
            self.channel.ack_sent();
        }
    }

    fn put_requests(&mut self, now: Instant, writer: &mut PayloadWriter<'_>) {
        let overdue = self.clock.overdue();
        let mut scratch: gaps::Scratch = [0; _];
        let asked = self.gaps.ask(now, overdue, &mut scratch);
        if let Some((ranges, last)) = asked
            && writer.put(&Item::Nack(ranges))
        {
            self.gaps.asked(now, overdue, last);
            self.counts.nacks_sent += 1;
        }
        if let Some(request) = self.key_request(now)
            && writer.put(&Item::KeyFrameRequest(request))
        {
            self.counts.key_frames_requested += 1;
            self.key_request_due = Some(now + self.clock.rtt_or_guess() + KEY_REQUEST_PAUSE);
        }
    }

    fn put_control(&mut self, now: Instant, writer: &mut PayloadWriter<'_>) {
        // Before the peer has said anything there is nobody to name.
        let Some(epoch) = self.peer_epoch else { return };
        let overdue = self.clock.overdue();
        while let Some((at, segment)) = self.channel.next(now, epoch, overdue) {
            if !writer.put(&Item::Control(segment)) && !writer.is_empty() {
                return;
            }
            self.channel.sent(now, at);
        }
    }

    fn put_ping(&mut self, now: Instant, writer: &mut PayloadWriter<'_>) {
        if self.clock.ping(now).is_some_and(|ping| writer.put(&Item::Ping(ping))) {
            self.clock.ping_sent(now);
        }
    }

    fn put_feedback(&mut self, now: Instant, writer: &mut PayloadWriter<'_>) {
        if self.arrivals.due().is_some_and(|due| due <= now) {
            let totals = self.gaps.totals();
            let mut scratch: arrivals::Scratch = [0; _];
            if writer.put(&Item::Feedback(self.arrivals.report(totals, &mut scratch))) {
                self.arrivals.reported(totals);
            }
        }
    }

    fn put_tail_probe(&mut self, now: Instant, writer: &mut PayloadWriter<'_>) {
        if self.tail_probe_due.is_some_and(|due| due <= now)
            && writer.put(&Item::TailProbe(self.outgoing.sent_end() as u32))
        {
            self.tail_probe_due = None;
        }
    }
}
