//! Video on its way in: fragments put together to frames, and frames let out in order.
//!
//! **A frame is handed out only if it is whole and everything it depends on was handed out.** A key frame stands
//! alone; any other depends on the one before it. One that cannot be completed in time is given up, and everything
//! up to the next key frame with it.
//!
//! **And only if it is new.** A frame that is older than the allowance is given up as if it had not arrived: the
//! process slept, or a queue stood somewhere, and a fresh key frame is a round trip away. Only where the key frame that
//! was asked for is itself that old, the path is to blame, and the allowance follows it.

use super::Counts;
use super::assembly::{Assembly, Head};
use super::clock::PeerClock;
use super::parity::Shard;
use crate::media::EncodedFrame;
use crate::time::{Duration, Instant, earliest};
use crate::wire::{Parity, VideoFragment};
use core::ops::Range;

/// Frames in assembly. A frame waits 150 ms at most as a rule, which is 9 frames at 60 a second.
pub(super) const FRAMES_MAX: usize = 16;
/// Bytes in assembly, as the frames' lengths say: two of the largest.
const BYTES_MAX: usize = 4 << 20;
/// How long a whole key frame waits for an unfinished one before it: a frame's time at 30 a second, in which a repair
/// mostly arrives. Without this wait every JPEG with a lost fragment would be passed by its successor.
const HOLD: Duration = Duration::from_millis(33);
/// How much older than the frame before it a frame may be: beyond this it stood in a queue.
const SLACK: Duration = Duration::from_millis(100);

/// What may be handed out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Any key frame, and nothing else.
    Key,
    /// The frame of this number, or a key frame after it.
    Number(u64),
}

/// The frames in assembly, and how far they were handed out.
#[derive(Debug)]
pub(super) struct Frames {
    /// In order of their numbers.
    active: Vec<Assembly>,
    spare: Vec<Assembly>,
    next: Next,
    /// Frames before this number are done with.
    floor: u64,
    /// Sequences before this one are of no use.
    sequence_floor: u64,
    /// One past the highest frame number seen.
    seen: u64,
    /// Something was seen at all.
    started: bool,
    /// Since when only a key frame helps.
    waiting_since: Option<Instant>,
    /// How old a frame may be.
    allowance: Option<Duration>,
    age_max: Duration,
}

impl Frames {
    pub(super) fn new(age_max: Duration, frame_bytes: usize) -> Frames {
        Frames {
            active: Vec::with_capacity(FRAMES_MAX),
            spare: (0..FRAMES_MAX).map(|_| Assembly::with_capacity(frame_bytes)).collect(),
            next: Next::Key,
            floor: 0,
            sequence_floor: 0,
            seen: 0,
            started: false,
            waiting_since: None,
            allowance: None,
            age_max,
        }
    }

    /// The sender began anew: so do we.
    pub(super) fn reset(&mut self) {
        self.spare.append(&mut self.active);
        (self.next, self.floor, self.sequence_floor, self.seen) = (Next::Key, 0, 0, 0);
        (self.started, self.waiting_since, self.allowance) = (false, None, None);
    }

    /// Since when only a key frame helps, if nothing less does.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// Whether to ask for a key frame: none is coming in.
    pub(super) fn wants_key(&self) -> bool {
        self.started && self.next == Next::Key && !self.active.iter().any(|f| f.frame.key)
    }

    /// One past the highest frame number seen.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Sequences before this one are of no use.
    pub(super) fn sequence_floor(&self) -> u64 {
        self.sequence_floor
    }

    /// Whether a missing sequence could help: it does not where it is part of a frame that depends on a lost one.
    pub(super) fn wants_sequence(&self, sequence: u64) -> bool {
        let at = self.active.partition_point(|f| f.end_sequence() <= sequence);
        let depends = self.active.get(at).is_some_and(|f| f.first_sequence <= sequence && !f.frame.key);
        let hopeless = self.next == Next::Key && depends && !self.active[..at].iter().any(|f| f.frame.key);
        sequence >= self.sequence_floor && !hopeless
    }

    /// Takes a fragment. `jump`: nothing before its frame counts any more. Returns the sequences of a frame that parities made
    /// whole.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        head: &Head,
        jump: bool,
        fragment: &VideoFragment<'_>,
        counts: &mut Counts,
    ) -> Option<Range<u64>> {
        if !head.fits() {
            counts.fragments_refused += 1;
            return None;
        }
        if !self.started {
            (self.started, self.floor, self.waiting_since) = (true, head.number, Some(now));
        }
        if jump {
            self.give_up_before(now, head.number, head.first_sequence, counts);
        }
        let Some(at) = self.place(now, head, counts) else {
            counts.fragments_late += 1;
            return None;
        };
        let shard = Shard { offset: fragment.offset, piece_ends: fragment.piece_ends, data: fragment.data };
        let frame = &mut self.active[at];
        if !frame.agrees(head) || !frame.fill(now, fragment.index.into(), &shard) {
            counts.fragments_refused += 1;
            return None;
        }
        self.complete(now, at, counts)
    }

    /// Takes a parity; otherwise as [`Frames::accept`].
    pub(super) fn accept_parity(
        &mut self,
        now: Instant,
        head: &Head,
        parity: &Parity<'_>,
        counts: &mut Counts,
    ) -> Option<Range<u64>> {
        if !head.fits() {
            counts.fragments_refused += 1;
            return None;
        }
        // It comes last of its frame: mostly that is done with, or whole.
        let at = self.place(now, head, counts)?;
        let frame = &mut self.active[at];
        if frame.is_whole() {
            return None;
        }
        if !frame.agrees(head) || !frame.keep(parity) {
            counts.fragments_refused += 1;
            return None;
        }
        self.complete(now, at, counts)
    }

    /// Mends the frame where that is possible, and gives it up where it is whole and yet no frame.
    fn complete(&mut self, now: Instant, at: usize, counts: &mut Counts) -> Option<Range<u64>> {
        let frame = &mut self.active[at];
        let mendable = if frame.is_whole() { 0 } else { frame.mendable() };
        let mended = (mendable > 0).then(|| frame.first_sequence..frame.end_sequence());
        if mended.is_some() && !frame.mend(now) || frame.is_whole() && !frame.tiles() {
            counts.fragments_refused += 1;
            self.abandon(now, at, counts);
            return None;
        }
        counts.fragments_mended += mendable as u64;
        mended
    }

    /// Finds a frame in assembly or begins it; `None` for one that is done with, or breaks a limit.
    fn place(&mut self, now: Instant, head: &Head, counts: &mut Counts) -> Option<usize> {
        let expected = match self.next {
            Next::Number(number) => number,
            Next::Key => self.floor,
        };
        if head.number > expected.saturating_add(FRAMES_MAX as u64) {
            // After a cut. What lies between was sent long ago.
            self.give_up_before(now, head.number, head.first_sequence, counts);
        }
        self.seen = self.seen.max(head.number.saturating_add(1));
        if head.number < self.floor {
            return None;
        }
        let at = self.active.partition_point(|f| f.number < head.number);
        match self.active.get(at) {
            Some(frame) if frame.number == head.number => Some(at),
            _ => self.begin(now, head, counts),
        }
    }

    /// Begins a frame and makes room for it; `None` where it breaks a limit.
    fn begin(&mut self, now: Instant, head: &Head, counts: &mut Counts) -> Option<usize> {
        let (number, length) = (head.number, head.length);
        let bytes = |active: &[Assembly]| active.iter().map(|f| f.length).sum::<usize>();
        while self.active.len() >= FRAMES_MAX || bytes(&self.active) + length > BYTES_MAX {
            if self.active.first().is_none_or(|lowest| lowest.number > number) {
                return None;
            }
            self.abandon(now, 0, counts);
        }
        let mut slot = self.spare.pop().unwrap_or_default();
        // Buffers only grow; where a peer made many of them large in turn, the idle ones are let go.
        let idle: usize = self.spare.iter().map(|f| f.frame.data.capacity()).sum();
        if idle + bytes(&self.active) + length.max(slot.frame.data.capacity()) > 2 * BYTES_MAX {
            self.spare.iter_mut().for_each(|f| f.frame = EncodedFrame::default());
        }
        slot.begin(now, head);
        let at = self.active.partition_point(|f| f.number < number);
        self.active.insert(at, slot);
        Some(at)
    }

    /// Removes one frame; if it was still to be handed out, what depends on it waits for a key frame.
    fn abandon(&mut self, now: Instant, at: usize, counts: &mut Counts) {
        let frame = self.active.remove(at);
        *match (frame.is_whole(), self.next) {
            (false, _) => &mut counts.frames_incomplete,
            (true, Next::Key) if !frame.frame.key => &mut counts.frames_undecodable,
            (true, _) => &mut counts.frames_stale,
        } += 1;
        if at == 0 {
            self.floor = self.floor.max(frame.number + 1);
            self.sequence_floor = self.sequence_floor.max(frame.end_sequence());
        }
        if self.next != Next::Key {
            self.wait_for_key(now);
        }
        self.spare.push(frame);
    }

    /// The frame that the picture waits for: one past its last sequence, and when it is too late. `None` where nothing is
    /// missing; or a key frame comes, which goes on without what is before it.
    pub(super) fn awaited(&self, clock: &PeerClock) -> Option<(u64, Instant)> {
        let first = self.active.first().filter(|first| !first.frame.key && self.next != Next::Key)?;
        let ready = self.is_next(first) && first.is_whole();
        self.expires_at(first, clock).filter(|_| !ready).map(|at| (first.end_sequence(), at))
    }

    /// What is missing of the frame that the picture waits for cannot come in time.
    pub(super) fn give_up_awaited(&mut self, now: Instant, counts: &mut Counts) {
        if !self.active.is_empty() {
            self.abandon(now, 0, counts);
        }
    }

    /// Gives up all frames before `number`, seen or not.
    fn give_up_before(&mut self, now: Instant, number: u64, first_sequence: u64, counts: &mut Counts) {
        while self.active.first().is_some_and(|f| f.number < number) {
            self.abandon(now, 0, counts);
        }
        self.floor = self.floor.max(number);
        self.sequence_floor = self.sequence_floor.max(first_sequence);
        if self.next != Next::Key && self.next != Next::Number(number) {
            self.wait_for_key(now);
        }
    }

    /// From now on only a key frame helps.
    pub(super) fn wait_for_key(&mut self, now: Instant) {
        self.next = Next::Key;
        self.waiting_since.get_or_insert(now);
    }

    /// When a frame becomes too old: its allowance after its capture. Before the first frame of all was handed out
    /// nobody knows how old they are on this path: then one that is not whole by the usual time.
    fn expires_at(&self, frame: &Assembly, clock: &PeerClock) -> Option<Instant> {
        let captured_at = frame.captured_at(clock);
        let asked_for = frame.frame.key && self.waiting_since.is_some_and(|since| captured_at >= since);
        // Who is frozen anyway waits for two repairs: to ask for another key frame would take as long as the first.
        let patience = self.age_max.max(clock.overdue() * 2);
        match self.allowance {
            Some(_) if asked_for && frame.is_whole() => None,
            Some(allowance) if asked_for => Some((captured_at + allowance).max(frame.begun_at + patience)),
            Some(allowance) => Some(captured_at + allowance),
            None if frame.is_whole() => None,
            None => Some(frame.begun_at + patience),
        }
    }

    fn is_next(&self, frame: &Assembly) -> bool {
        match self.next {
            Next::Number(number) => frame.number == number,
            Next::Key => frame.frame.key,
        }
    }

    /// The first whole key frame that may be handed out though frames before it are not whole, and when.
    fn leap(&self) -> Option<(usize, Instant)> {
        let (at, key) = self.active.iter().enumerate().find(|(_, f)| f.frame.key && f.is_whole())?;
        // Where a key frame is needed anyway, only another key frame before this one is worth a wait.
        let waits = match self.next {
            Next::Number(_) => true,
            Next::Key => self.active[..at].iter().any(|f| f.frame.key),
        };
        let whole_at = key.whole_at?;
        Some((at, if waits { whole_at + HOLD } else { whole_at }))
    }

    /// Gives up what came too late, until the first frame is one to hand out or to wait for. Returns whether it is
    /// one to hand out.
    pub(super) fn settle(&mut self, now: Instant, clock: &PeerClock, counts: &mut Counts) -> bool {
        loop {
            let Some(first) = self.active.first() else { return false };
            let stale = self.expires_at(first, clock).is_some_and(|at| at < now);
            if self.is_next(first) && first.is_whole() && !stale {
                return true;
            }
            match self.leap() {
                Some((at, when)) if when <= now && at > 0 => {
                    let (number, sequence) = (self.active[at].number, self.active[at].first_sequence);
                    self.leap_to(number, sequence, counts);
                }
                Some((0, when)) if when <= now && !stale => {
                    // Frames before it never showed at all.
                    let (number, sequence) = (first.number, first.first_sequence);
                    self.leap_to(number, sequence, counts);
                }
                _ if stale => self.abandon(now, 0, counts),
                _ => return false,
            }
        }
    }

    /// Goes on with the key frame `number`: what is before it is passed over, and nothing freezes.
    fn leap_to(&mut self, number: u64, first_sequence: u64, counts: &mut Counts) {
        while self.active.first().is_some_and(|f| f.number < number) {
            counts.frames_passed_over += 1;
            let frame = self.active.remove(0);
            self.spare.push(frame);
        }
        (self.floor, self.sequence_floor) = (number, first_sequence);
        self.next = Next::Number(number);
    }

    /// When [`Frames::settle`] has something to do without anything arriving.
    pub(super) fn due(&self, clock: &PeerClock) -> Option<Instant> {
        let first = self.active.first()?;
        // The moment itself is still in time.
        let expiry = self.expires_at(first, clock).map(|at| at + Duration::from_nanos(1));
        let ready = self.is_next(first) && first.is_whole();
        earliest(expiry, self.leap().filter(|_| !ready).map(|(_, when)| when))
    }

    /// Hands out the next frame, trading buffers with `out`.
    pub(super) fn take(
        &mut self,
        now: Instant,
        clock: &PeerClock,
        out: &mut EncodedFrame,
        counts: &mut Counts,
    ) -> bool {
        if !self.settle(now, clock, counts) {
            return false;
        }
        let mut slot = self.active.remove(0);
        let captured_at = slot.captured_at(clock);
        let asked_for = self.waiting_since.is_some();
        slot.frame.piece_ends.sort_unstable();
        core::mem::swap(&mut slot.frame, out);
        out.number = slot.number;
        out.captured_at = captured_at;
        out.ready_at = slot.whole_at.unwrap_or(now);
        self.next = Next::Number(slot.number + 1);
        self.floor = slot.number + 1;
        self.sequence_floor = slot.end_sequence();
        self.waiting_since = None;
        self.follow_age(now.since(captured_at), asked_for);
        self.spare.push(slot);
        counts.frames_whole += 1;
        true
    }

    /// The next frame may be older than this one by the slack, and always as old as configured. This only falls, lest
    /// a queue grows unseen; what raises it is a key frame that was asked for and is still older.
    fn follow_age(&mut self, age: Duration, asked_for: bool) {
        let wide = self.age_max.max(age.saturating_add(SLACK));
        self.allowance = Some(match self.allowance {
            Some(allowance) if age <= allowance || !asked_for => allowance.min(wide),
            _ => wide,
        });
    }
}
