//! Which video fragments are missing, since when, and whether it is time to ask for them.
//!
//! A sequence that is passed over is a gap. It is asked for after a short grace, in case it was only overtaken, and
//! again whenever an answer is overdue. The grace follows what reordering the path shows, as in RACK (RFC 8985 §6.2).

use crate::time::{Duration, Instant};
use crate::wire::{Range, Ranges, VideoFragment};
use heapless::Deque;
use std::collections::VecDeque;

/// Gaps kept: the largest frame, lost whole (2 MB in fragments of 1,130 bytes).
const GAPS_MAX: usize = 2_048;
/// A step ahead by more than this is a new beginning, not a loss: twice the gaps that could be kept.
const STEP_MAX: u64 = 4_096;
/// The grace before any reordering was seen: a wire keeps order, and a busy switch or radio stays within a few ms.
const GRACE_MIN: Duration = Duration::from_millis(1);
/// More grace than this costs more frames than asking in vain costs datagrams.
const GRACE_MAX: Duration = Duration::from_millis(15);
/// A fragment is asked for this often: twice for each time that the sender would send it.
const TRIES_MAX: u8 = 12;
/// In a frame with parities a gap waits so much longer, since these come last: the time that 8 fragments take at 8 Mbit/s.
/// Parities are sent where the round trip is several times as long.
const PARITY_WAIT: Duration = Duration::from_millis(10);
/// Each request goes out again after a quarter of the time an answer takes: if the first was lost, little time is, and
/// if not, the sender knows what it sent a moment ago. On a path so short that this is less than 3 ms it gains nothing.
const ECHO_SHARE: u32 = 4;
const ECHO_MIN: Duration = Duration::from_millis(3);
/// A gap older than this belongs to a frame that no deadline allows.
const GAP_AGE_MAX: Duration = Duration::from_secs(1);

/// Ranges in one request: 384 bytes, and few losses come in more than 64 pieces within a round trip.
const RANGES_MAX: usize = 64;
/// Where a request is put together.
pub(super) type Scratch = [u8; RANGES_MAX * Ranges::RANGE_BYTES];
/// Repaired fragments that are remembered, in case the original arrives after all.
const REPAIRED: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Gap {
    sequence: u64,
    since: Instant,
    /// Parities of its frame are still to come.
    mendable: bool,
    asked_at: Option<Instant>,
    tries: u8,
}

impl Gap {
    fn due(&self, grace: Duration, overdue: Duration) -> Option<Instant> {
        let echo = overdue / ECHO_SHARE;
        let pause = match self.tries % 2 {
            _ if echo < ECHO_MIN => overdue,
            0 => overdue - echo,
            _ => echo,
        };
        (self.tries < TRIES_MAX).then(|| self.asked_at.map_or(self.lost_at(grace), |asked| asked + pause))
    }

    /// When it is more than reordering, and no parity came in time.
    fn lost_at(&self, grace: Duration) -> Instant {
        self.since + grace + if self.mendable { PARITY_WAIT } else { Duration::ZERO }
    }
}

/// What a fragment's arrival means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The next one, or one that opened gaps before it.
    New,
    /// One that was missing.
    Filled,
    /// One that came before, or that nobody waits for any more.
    Duplicate,
    /// So far ahead that nothing before it counts any more.
    Jump,
}

/// Sequences and when they were missed.
type Repaired = Deque<(u64, Instant), REPAIRED>;

fn remember(repaired: &mut Repaired, gap: &Gap) {
    if repaired.is_full() {
        repaired.pop_front();
    }
    // Cannot fail: there is room for one.
    let _ = repaired.push_back((gap.sequence, gap.since));
}

/// The fragments that are missing, in order.
#[derive(Debug)]
pub(super) struct Gaps {
    open: VecDeque<Gap>,
    /// Whether they are asked for at all.
    asks: bool,
    /// One past the highest sequence known to have been sent.
    end: Option<u64>,
    /// There was a long silence: if the next fragment is not the next one, nothing before it counts.
    silence: bool,
    reordering: Duration,
    /// Repaired gaps and when they opened: an original that comes after its repeat tells that we asked too soon.
    repaired: Repaired,
    expected: u64,
    originals: u64,
}

impl Gaps {
    pub(super) fn new(asks: bool) -> Gaps {
        Gaps {
            asks,
            open: VecDeque::with_capacity(GAPS_MAX),
            end: None,
            silence: false,
            reordering: Duration::ZERO,
            repaired: Deque::new(),
            expected: 0,
            originals: 0,
        }
    }

    /// Forgets all, keeping the memory.
    pub(super) fn reset(&mut self) {
        self.open.clear();
        self.repaired.clear();
        self.silence = false;
        (self.end, self.reordering, self.expected, self.originals) = (None, Duration::ZERO, 0, 0);
    }

    /// One past the highest sequence known to have been sent; `None` before the first.
    pub(super) fn end(&self) -> Option<u64> {
        self.end
    }

    /// Sequences known to have been sent, and those that arrived unasked.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.expected, self.originals)
    }

    /// A fragment arrived; `first` is the first sequence of its frame.
    pub(super) fn arrived(&mut self, now: Instant, sequence: u64, first: u64, fragment: &VideoFragment<'_>) -> Arrival {
        let repeat = fragment.repeat;
        let end = *self.end.get_or_insert(first);
        if sequence >= end {
            let jump = sequence - end > if self.silence { 0 } else { STEP_MAX };
            self.silence = false;
            if jump {
                self.open.clear();
                self.end = Some(first.max(end));
            }
            self.extend(now, sequence, if fragment.parity { first } else { sequence });
            self.end = Some(sequence + 1);
            self.expected += 1;
            self.originals += u64::from(!repeat);
            return if jump { Arrival::Jump } else { Arrival::New };
        }
        let Ok(at) = self.open.binary_search_by_key(&sequence, |gap| gap.sequence) else {
            self.overtaken_by_its_repeat(now, sequence, repeat);
            return Arrival::Duplicate;
        };
        let Some(gap) = self.open.remove(at) else { return Arrival::Duplicate };
        if repeat {
            remember(&mut self.repaired, &gap);
        } else {
            self.was_only_late(now, gap.since);
        }
        Arrival::Filled
    }

    fn overtaken_by_its_repeat(&mut self, now: Instant, sequence: u64, repeat: bool) {
        let since = self.repaired.iter().find(|(repaired, _)| *repaired == sequence).map(|&(_, since)| since);
        if let Some(since) = since.filter(|_| !repeat) {
            self.repaired.retain(|&(repaired, _)| repaired != sequence);
            self.was_only_late(now, since);
        }
    }

    /// An original arrived behind later ones.
    fn was_only_late(&mut self, now: Instant, since: Instant) {
        self.originals += 1;
        self.reordering = self.reordering.max(now.since(since).min(GRACE_MAX));
    }

    /// Nothing came for so long that what was sent meanwhile is not wanted.
    pub(super) fn silence(&mut self) {
        self.silence = true;
    }

    /// All before `end` were sent, says the sender. Returns whether they are known now.
    pub(super) fn announced(&mut self, now: Instant, end: u64) -> bool {
        // Before the first fragment nobody knows where to begin; and what is too far ahead will show itself.
        if !self.silence && self.end.is_some_and(|known| end > known && end - known <= STEP_MAX) {
            self.extend(now, end, end);
            self.end = Some(end);
        }
        self.end.is_some_and(|known| end <= known)
    }

    /// These came out of parities. An original that comes after all was only late.
    pub(super) fn mended(&mut self, sequences: core::ops::Range<u64>) {
        let begin = self.open.partition_point(|gap| gap.sequence < sequences.start);
        let end = self.open.partition_point(|gap| gap.sequence < sequences.end);
        for gap in self.open.drain(begin..end) {
            remember(&mut self.repaired, &gap);
        }
    }

    /// Opens gaps from the known end to before `to`, those from `mendable` on with parities to come.
    fn extend(&mut self, now: Instant, to: u64, mendable: u64) {
        let Some(end) = self.end else { return };
        self.expected += to.saturating_sub(end);
        for sequence in end.max(to.saturating_sub(GAPS_MAX as u64))..to {
            if self.open.len() >= GAPS_MAX {
                self.open.pop_front();
            }
            let mendable = sequence >= mendable;
            self.open.push_back(Gap { sequence, since: now, mendable, asked_at: None, tries: 0 });
        }
    }

    /// Nobody waits for what is before `sequence`.
    pub(super) fn forget_before(&mut self, sequence: u64) {
        while self.open.front().is_some_and(|gap| gap.sequence < sequence) {
            self.open.pop_front();
        }
    }

    /// Keeps only the gaps that `wanted` names.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(u64) -> bool) {
        self.open.retain(|gap| wanted(gap.sequence));
    }

    /// Whether nothing is missing.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A frame was completed: the reordering seen long ago counts less and less, half after 6 s at 30 frames a second.
    pub(super) fn relax(&mut self) {
        self.reordering -= self.reordering / 256;
    }

    /// When the oldest gap, if it is before `end`, is asked for.
    pub(super) fn lost_at(&self, end: u64) -> Option<Instant> {
        let oldest = self.open.front().filter(|gap| gap.sequence < end)?;
        Some(oldest.lost_at(self.grace()))
    }

    /// How long a gap may be mere reordering: what was seen, and a quarter more.
    fn grace(&self) -> Duration {
        (self.reordering * 5 / 4).clamp(GRACE_MIN, GRACE_MAX)
    }

    /// When the next gap is to be asked for.
    pub(super) fn due(&self, overdue: Duration) -> Option<Instant> {
        let grace = self.grace();
        self.open.iter().filter(|_| self.asks).filter_map(|gap| gap.due(grace, overdue)).min()
    }

    /// What to ask for at `now`, and the last sequence of it. If something is due, all that was asked for before and
    /// is still missing goes with it: the last request may be lost itself, and the sender knows what it sent a moment
    /// ago.
    pub(super) fn ask<'s>(
        &self,
        now: Instant,
        overdue: Duration,
        scratch: &'s mut Scratch,
    ) -> Option<(Ranges<'s>, u64)> {
        let grace = self.grace();
        self.due(overdue).filter(|&due| due <= now)?;
        let wanted = self.open.iter().filter(|gap| {
            let due = gap.due(grace, overdue);
            due.is_some_and(|due| due <= now || gap.asked_at.is_some())
        });
        let (mut ranges, mut last) = (heapless::Vec::<Range, RANGES_MAX>::new(), 0);
        for gap in wanted {
            match ranges.last_mut() {
                Some(range) if gap.sequence == last + 1 && range.count < u16::MAX => range.count += 1,
                _ => {
                    if ranges.push(Range { first: gap.sequence as u32, count: 1 }).is_err() {
                        break;
                    }
                }
            }
            last = gap.sequence;
        }
        Some((Ranges::build(ranges, scratch), last))
    }

    /// All up to `last` was asked for: what was due begins to wait for an answer.
    pub(super) fn asked(&mut self, now: Instant, overdue: Duration, last: u64) {
        let grace = self.grace();
        for gap in self.open.iter_mut().take_while(|gap| gap.sequence <= last) {
            if gap.due(grace, overdue).is_some_and(|due| due <= now) {
                gap.asked_at = Some(now);
                gap.tries += 1;
            }
        }
    }

    /// Forgets what is too old to be wanted.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.open.front().is_some_and(|gap| now.since(gap.since) > GAP_AGE_MAX) {
            self.open.pop_front();
        }
    }
}
