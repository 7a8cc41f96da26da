//! Video on its way out: frames cut into fragments, held for a while in case they are asked for again.
//!
//! One list of frames is both queue and history: `unsent` says up to where it has gone out. Nothing is copied twice,
//! and fragments are written straight from the frame's bytes.

use super::Counts;
use super::cutting::{Fragment, ROOM_MIN, cut, cut_evenly};
use super::parity::{Ends, SHARD_HEADER_BYTES, SHARDS_MAX, Shard, add_shard};
use crate::link::MAX_PAYLOAD;
use crate::media::EncodedFrame;
use crate::time::{Duration, Instant, Unwrap32};
use crate::wire::{
    EPOCH_BYTES, ITEM_HEADER_BYTES, Item, PARITY_HEADER_BYTES, Parity, PayloadWriter, Range, Ranges,
    VIDEO_HEADER_BYTES, VideoFragment,
};
use std::collections::VecDeque;

/// Frames kept: 0.5 s at 30 a second. A receiver wants none back after its deadline, 150 ms as a rule.
const FRAMES_MAX: usize = 16;
/// Bytes kept. 16 JPEGs of 250 kB; and two frames of the largest size.
const BYTES_MAX: usize = 4 << 20;
/// The largest frame that is sent, in bytes.
pub(super) const FRAME_BYTES_MAX: usize = 2 << 20;
/// A fragment is sent this often at most: with 10 % loss each way, one in 10⁴ would need a seventh.
const TIMES_MAX: u8 = 6;
/// Fragments waiting to be sent again: half of the largest frame. Who misses more is better served by a key frame.
const RESEND_MAX: usize = 1_024;
/// What was not sent within this time is old news: the path is down, and what comes after it must be new.
const UNSENT_AGE_MAX: Duration = Duration::from_millis(150);
/// By so much a parity is longer than the longest of its frame's fragments.
const PARITY_EXTRA_BYTES: usize = PARITY_HEADER_BYTES + SHARD_HEADER_BYTES - VIDEO_HEADER_BYTES;

/// What repeats may cost, in quarters of a fragment: each fragment sent earns one, so that repeats stay under a quarter
/// of what is sent. A path that loses more than that is full, and repeats would only fill it further. 128 fragments
/// are saved up at most: a JPEG of 150 kB, lost whole.
const CREDIT_MAX: u32 = 128 * REPEAT_COST;
const REPEAT_COST: u32 = 4;

#[derive(Debug, Default)]
struct OutgoingFrame {
    number: u64,
    first_sequence: u64,
    captured_us: u32,
    queued_at: Instant,
    frame: EncodedFrame,
    fragments: Vec<Fragment>,
    /// Parities that follow the fragments, and how many of them are written.
    parities: u8,
    parities_written: u8,
}

impl OutgoingFrame {
    fn end_sequence(&self) -> u64 {
        self.first_sequence + self.fragments.len() as u64
    }

    fn shard<'a>(&'a self, index: usize, scratch: &'a mut Ends) -> Option<Shard<'a>> {
        let begin = index.checked_sub(1).map_or(0, |before| self.fragments[before].end);
        Shard::cut(&self.frame, begin as usize, self.fragments.get(index)?.end as usize, scratch)
    }

    /// The parity of this row, put together in `sum`.
    fn parity<'s>(&self, row: u8, sum: &'s mut [u8; MAX_PAYLOAD]) -> Parity<'s> {
        let (mut length, mut scratch) = (0, [0; _]);
        for index in 0..self.fragments.len() {
            if let Some(shard) = self.shard(index, &mut scratch) {
                add_shard(sum, &mut length, row, index, &shard);
            }
        }
        Parity {
            first: self.first_sequence as u32,
            frame: self.number as u32,
            captured_us: self.captured_us,
            length: self.frame.data.len() as u32,
            count: self.fragments.len() as u16,
            row,
            size: self.frame.size,
            codec: self.frame.codec,
            key: self.frame.key,
            shard: &sum[..length.min(MAX_PAYLOAD)],
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// A fragment; `repeat` where not for the first time.
    Fragment { sequence: u64, repeat: bool },
    /// What stands in for any fragment of a frame.
    Parity,
}

/// The video that leaves.
#[derive(Debug)]
pub(super) struct Outgoing {
    frames: VecDeque<OutgoingFrame>,
    spare: Vec<OutgoingFrame>,
    resend: VecDeque<u64>,
    /// For repeats; see [`CREDIT_MAX`].
    credit: u32,
    /// The number the next frame gets.
    next_number: u64,
    /// The sequence the next frame's first fragment gets.
    next_sequence: u64,
    /// The first sequence that has not been sent; `next_sequence` when nothing waits.
    unsent: u64,
    /// The encoder's number of the last frame taken.
    last_encoded: Option<u64>,
    /// A frame that others depend on was not sent, or the receiver began anew: only a key frame helps.
    broken: bool,
    last_key: Option<(u64, Instant)>,
}

impl Outgoing {
    pub(super) fn new(frame_bytes: usize) -> Outgoing {
        let slot = || OutgoingFrame {
            frame: EncodedFrame::with_capacity(frame_bytes),
            fragments: Vec::with_capacity(frame_bytes / ROOM_MIN + 1),
            ..OutgoingFrame::default()
        };
        Outgoing {
            frames: VecDeque::with_capacity(FRAMES_MAX),
            spare: (0..FRAMES_MAX).map(|_| slot()).collect(),
            resend: VecDeque::with_capacity(RESEND_MAX),
            credit: CREDIT_MAX,
            next_number: 0,
            next_sequence: 0,
            unsent: 0,
            last_encoded: None,
            broken: false,
            last_key: None,
        }
    }

    /// The receiver can do nothing with a frame that depends on another.
    pub(super) fn break_chain(&mut self) {
        self.broken = true;
    }

    /// A frame that is not sent at all, on purpose.
    pub(super) fn leave_out(&mut self, frame: &EncodedFrame) {
        self.last_encoded = Some(frame.number);
        self.broken |= !frame.data.is_empty();
    }

    /// Whether a key frame must come before anything can be sent.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The sequence after the last one sent.
    pub(super) fn sent_end(&self) -> u64 {
        self.unsent
    }

    /// Whether a fragment waits to be sent.
    pub(super) fn is_waiting(&self) -> bool {
        self.unsent < self.next_sequence || !self.resend.is_empty() || self.parity_due().is_some()
    }

    /// Fragments that wait to be sent for the first time, and parities.
    pub(super) fn waiting(&self) -> u64 {
        let parities = self.frames.iter().map(|f| u64::from(f.parities - f.parities_written));
        self.next_sequence - self.unsent + parities.sum::<u64>()
    }

    /// The frame whose fragments have left, and whose parities have not.
    fn parity_due(&self) -> Option<usize> {
        let at = self.frames.partition_point(|f| f.end_sequence() <= self.unsent).checked_sub(1)?;
        (self.frames[at].parities_written < self.frames[at].parities).then_some(at)
    }

    /// The newest key frame's number, and when it was queued.
    pub(super) fn last_key(&self) -> Option<(u64, Instant)> {
        self.last_key
    }

    /// The 64-bit number of a frame that the peer names.
    pub(super) fn widen_number(&self, number: u32) -> u64 {
        Unwrap32::after(self.next_number).peek(number)
    }

    /// Queues a frame, cut for payloads of `payload_bytes`; `parities` says how many go with so many fragments.
    pub(super) fn push(
        &mut self,
        now: Instant,
        frame: &EncodedFrame,
        payload_bytes: usize,
        parities: impl FnOnce(usize) -> u8,
        counts: &mut Counts,
    ) {
        self.drop_unsent_if_stale(now, counts);
        let follows = self.last_encoded.is_none_or(|last| frame.number == last.wrapping_add(1));
        self.last_encoded = Some(frame.number);
        if frame.data.is_empty() {
            // The encoder skipped a picture, and nothing depends on nothing.
            return;
        }
        if !frame.key && (self.broken || !follows) || frame.data.len() > FRAME_BYTES_MAX {
            self.broken = true;
            counts.frames_refused += 1;
            return;
        }
        self.broken = false;
        let mut slot = self.claim(frame.data.len());
        slot.number = self.next_number;
        slot.first_sequence = self.next_sequence;
        slot.captured_us = frame.captured_at.as_micros() as u32;
        slot.queued_at = now;
        copy(frame, &mut slot.frame);
        let room = payload_bytes.saturating_sub(EPOCH_BYTES + ITEM_HEADER_BYTES + VIDEO_HEADER_BYTES).max(ROOM_MIN);
        cut(&slot.frame, room, now, &mut slot.fragments);
        let count = slot.fragments.len();
        slot.parities = if count <= SHARDS_MAX { parities(count) } else { 0 };
        slot.parities_written = 0;
        if slot.parities > 0 {
            cut_evenly(&slot.frame, room - PARITY_EXTRA_BYTES, now, &mut slot.fragments);
        }
        self.next_number += 1;
        self.next_sequence = slot.end_sequence();
        if frame.key {
            self.last_key = Some((slot.number, now));
        }
        self.frames.push_back(slot);
        counts.frames_sent += 1;
    }

    /// A slot for a frame of `bytes`, taken from the oldest frames where there is no other.
    fn claim(&mut self, bytes: usize) -> OutgoingFrame {
        let mut held: usize = self.frames.iter().map(|f| f.frame.data.len()).sum();
        while self.frames.len() >= FRAMES_MAX || held + bytes > BYTES_MAX {
            let Some(oldest) = self.frames.pop_front() else { break };
            held -= oldest.frame.data.len();
            if oldest.end_sequence() > self.unsent {
                // It was never sent whole. What follows it in the queue may depend on it; the receiver will ask.
                self.unsent = oldest.end_sequence();
            }
            self.spare.push(oldest);
        }
        let slot = self.spare.pop().unwrap_or_default();
        // Buffers only grow; where frames of very different sizes made many of them large, the idle ones are let go.
        let idle: usize = self.spare.iter().map(|f| f.frame.data.capacity()).sum();
        if idle + held + bytes.max(slot.frame.data.capacity()) > 2 * BYTES_MAX {
            self.spare.iter_mut().for_each(|f| f.frame = EncodedFrame::default());
        }
        slot
    }

    /// Forgets the queue where its head has waited too long.
    pub(super) fn drop_unsent_if_stale(&mut self, now: Instant, counts: &mut Counts) {
        let head = self.frames.iter().find(|f| f.end_sequence() > self.unsent);
        if head.is_some_and(|f| now.since(f.queued_at) > UNSENT_AGE_MAX) {
            self.drop_unsent(counts);
        }
    }

    /// Forgets what was not sent. Frames of which nothing went out give their numbers back: nobody has seen them.
    pub(super) fn drop_unsent(&mut self, counts: &mut Counts) {
        while self.frames.back().is_some_and(|f| f.first_sequence >= self.unsent) {
            let Some(frame) = self.frames.pop_back() else { break };
            (self.next_number, self.next_sequence) = (frame.number, frame.first_sequence);
            self.spare.push(frame);
            self.broken = true;
            counts.frames_unsent += 1;
        }
        if self.unsent < self.next_sequence {
            self.unsent = self.next_sequence;
            self.broken = true;
            counts.frames_unsent += 1;
        }
        self.resend.clear();
        self.frames.iter_mut().for_each(|f| f.parities_written = f.parities);
        self.frames.iter_mut().flat_map(|f| &mut f.fragments).for_each(|f| f.queued = false);
    }

    /// The receiver misses these. A fragment is not sent again within `pause`: the last one may still arrive.
    pub(super) fn asked_again(&mut self, now: Instant, ranges: Ranges<'_>, pause: Duration, counts: &mut Counts) {
        let held = self.frames.front().map_or(self.unsent, |f| f.first_sequence)..self.unsent;
        let reference = Unwrap32::after(self.unsent);
        let wide = |range: Range| {
            let first = reference.peek(range.first);
            first.max(held.start)..first.saturating_add(range.count.into()).min(held.end)
        };
        for sequence in ranges.iter().flat_map(wide).take(RESEND_MAX) {
            let full = self.resend.len() >= RESEND_MAX || self.credit < REPEAT_COST;
            let Some(fragment) = self.fragment_mut(sequence) else { continue };
            if full || fragment.queued || fragment.times >= TIMES_MAX || now.since(fragment.sent_at) < pause {
                counts.repeats_refused += 1;
                continue;
            }
            fragment.queued = true;
            self.credit -= REPEAT_COST;
            self.resend.push_back(sequence);
        }
    }

    fn position(&self, sequence: u64) -> Option<(usize, usize)> {
        let frame = self.frames.partition_point(|f| f.end_sequence() <= sequence);
        let index = sequence.checked_sub(self.frames.get(frame)?.first_sequence)?;
        Some((frame, index as usize))
    }

    fn fragment_mut(&mut self, sequence: u64) -> Option<&mut Fragment> {
        let (frame, index) = self.position(sequence)?;
        self.frames[frame].fragments.get_mut(index)
    }

    /// Writes the next fragment: first what was asked for again. Returns which one was written; one that does not
    /// even fit an empty payload is given up.
    pub(super) fn write_next(
        &mut self,
        now: Instant,
        writer: &mut PayloadWriter<'_>,
        counts: &mut Counts,
    ) -> Option<Written> {
        while let Some(&sequence) = self.resend.front() {
            match self.write(now, sequence, true, writer) {
                Some(false) if !writer.is_empty() => return None,
                written => {
                    self.resend.pop_front();
                    if let Some(fragment) = self.fragment_mut(sequence) {
                        fragment.queued = false;
                    }
                    if written == Some(true) {
                        counts.fragments_repeated += 1;
                        return Some(Written::Fragment { sequence, repeat: true });
                    }
                }
            }
        }
        while let Some(at) = self.parity_due() {
            let frame = &mut self.frames[at];
            let written = writer.put(&Item::Parity(frame.parity(frame.parities_written, &mut [0; _])));
            if !written && !writer.is_empty() {
                return None;
            }
            frame.parities_written += 1;
            if written {
                counts.parities_sent += 1;
                return Some(Written::Parity);
            }
        }
        while self.unsent < self.next_sequence {
            match self.write(now, self.unsent, false, writer) {
                Some(false) if !writer.is_empty() => return None,
                written => {
                    self.unsent += 1;
                    if written == Some(true) {
                        counts.fragments_sent += 1;
                        self.credit = CREDIT_MAX.min(self.credit + 1);
                        return Some(Written::Fragment { sequence: self.unsent - 1, repeat: false });
                    }
                    self.broken = true;
                    counts.fragments_unsendable += 1;
                }
            }
        }
        None
    }

    /// Writes one fragment; `None` where it is no longer held, false where it does not fit.
    fn write(&mut self, now: Instant, sequence: u64, repeat: bool, writer: &mut PayloadWriter<'_>) -> Option<bool> {
        let (at, index) = self.position(sequence)?;
        let held = &mut self.frames[at];
        let mut scratch = [0; _];
        let shard = held.shard(index, &mut scratch)?;
        let item = Item::Video(VideoFragment {
            sequence: sequence as u32,
            frame: held.number as u32,
            captured_us: held.captured_us,
            length: held.frame.data.len() as u32,
            offset: shard.offset,
            index: index as u16,
            count: held.fragments.len() as u16,
            size: held.frame.size,
            codec: held.frame.codec,
            key: held.frame.key,
            repeat,
            parity: held.parities > 0,
            piece_ends: shard.piece_ends,
            data: shard.data,
        });
        let written = writer.put(&item);
        if written && let Some(fragment) = held.fragments.get_mut(index) {
            fragment.times += 1;
            fragment.sent_at = now;
        }
        Some(written)
    }
}

/// Copies what the link needs of a frame, into memory that stays. Piece ends that do not rise to the frame's end are
/// none.
fn copy(from: &EncodedFrame, to: &mut EncodedFrame) {
    to.clear();
    to.data.extend_from_slice(&from.data);
    let ends = &from.piece_ends;
    let rising = ends.first().is_some_and(|&end| end > 0) && ends.is_sorted_by(|a, b| a < b);
    if rising && ends.last().is_some_and(|&end| end as usize == from.data.len()) {
        to.piece_ends.extend_from_slice(ends);
    }
    (to.codec, to.key, to.size) = (from.codec, from.key, from.size);
}
