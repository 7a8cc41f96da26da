//! The control channel: messages delivered once each, in order, whatever the path loses.
//!
//! A message is one segment. A window of segments is in flight; each is sent again when its acknowledgement is
//! overdue, with a growing pause, for as long as it takes. Segments name the receiver's epoch, so that nothing meant
//! for an earlier life of a station reaches a later one.

use super::ControlFull;
use crate::time::{Duration, Instant, Unwrap32};
use crate::wire::{CONTROL_BYTES_MAX, Control, ControlAck, ControlSegment};
use std::collections::VecDeque;

/// Segments in flight: the bits of an acknowledgement, and one.
const WINDOW: usize = 8;
/// Messages waiting to be sent or acknowledged; they come when something changes, a few a minute.
const WAITING_MAX: usize = 32;
/// The longest pause between two attempts: after a cut of any length the channel moves again within a second.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The shortest pause: an answer waits for the other net loop's turn.
const PAUSE_MIN: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Outbound {
    message: Vec<u8>,
    sent_at: Option<Instant>,
    tries: u32,
    acknowledged: bool,
}

impl Outbound {
    /// When it is to be sent; `None` before the first time, which is now.
    fn due(&self, overdue: Duration) -> Option<Instant> {
        let pause = overdue.max(PAUSE_MIN).saturating_mul(1 << self.tries.saturating_sub(1).min(6));
        self.sent_at.map(|at| at + pause.min(PAUSE_MAX))
    }
}

/// What a received segment came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Kept; [`Channel::deliver`] may have something.
    Kept,
    /// Had it before, or it lies beyond the window.
    Surplus,
}

/// Both directions of the channel.
#[derive(Debug)]
pub(super) struct Channel {
    waiting: VecDeque<Outbound>,
    /// The sequence of the first one waiting.
    first: u64,
    /// The sequence that is delivered next.
    expected: u64,
    /// What arrived of `expected` and after.
    arrived: [Option<Vec<u8>>; WINDOW],
    owes_ack: bool,
}

impl Channel {
    pub(super) fn new() -> Channel {
        Channel {
            waiting: VecDeque::with_capacity(WAITING_MAX),
            first: 0,
            expected: 0,
            arrived: Default::default(),
            owes_ack: false,
        }
    }

    /// The peer began anew: what was meant for its earlier life is dropped, and both directions count from 0.
    pub(super) fn restart(&mut self) {
        *self = Channel::new();
    }

    /// Queues a message.
    pub(super) fn push(&mut self, message: &Control) -> Result<(), ControlFull> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(ControlFull);
        }
        let mut bytes = [0; CONTROL_BYTES_MAX];
        let used = message.encode(&mut bytes);
        let message = bytes[..used].to_vec();
        self.waiting.push_back(Outbound { message, sent_at: None, tries: 0, acknowledged: false });
        Ok(())
    }

    /// The path works again: what is unacknowledged is sent at once.
    pub(super) fn path_changed(&mut self) {
        for outbound in &mut self.waiting {
            (outbound.sent_at, outbound.tries) = (None, 0);
        }
    }

    /// The next segment to send at `now`, if any; its place is what [`Channel::sent`] wants.
    pub(super) fn next(&self, now: Instant, to_epoch: u32, overdue: Duration) -> Option<(usize, ControlSegment<'_>)> {
        let mut window = self.waiting.iter().take(WINDOW).enumerate();
        let ready = |o: &Outbound| !o.acknowledged && o.due(overdue).is_none_or(|due| due <= now);
        let (at, outbound) = window.find(|(_, outbound)| ready(outbound))?;
        let sequence = (self.first + at as u64) as u32;
        Some((at, ControlSegment { to_epoch, sequence, message: &outbound.message }))
    }

    /// That segment left.
    pub(super) fn sent(&mut self, now: Instant, at: usize) {
        if let Some(outbound) = self.waiting.get_mut(at) {
            outbound.sent_at = Some(now);
            outbound.tries += 1;
        }
    }

    /// When a segment is to be sent again.
    pub(super) fn due(&self, overdue: Duration) -> Option<Instant> {
        let window = self.waiting.iter().take(WINDOW).filter(|o| !o.acknowledged);
        window.filter_map(|o| o.due(overdue)).min()
    }

    /// Takes an acknowledgement.
    pub(super) fn acknowledged(&mut self, ack: &ControlAck) {
        let next = Unwrap32::after(self.first).peek(ack.next);
        let sent = self.waiting.iter().take(WINDOW).take_while(|o| o.tries > 0 || o.acknowledged).count() as u64;
        // Nothing can be acknowledged that was not sent.
        if !(self.first..=self.first + sent).contains(&next) {
            return;
        }
        for bit in (0..8).filter(|bit| ack.beyond & (1 << bit) != 0) {
            let at = (next - self.first) as usize + 1 + bit;
            if let Some(outbound) = self.waiting.get_mut(at).filter(|o| o.tries > 0) {
                outbound.acknowledged = true;
            }
        }
        self.waiting.drain(..(next - self.first) as usize);
        self.first = next;
    }

    /// Takes a segment that is meant for us.
    pub(super) fn received(&mut self, segment: &ControlSegment<'_>) -> Received {
        self.owes_ack = true;
        let sequence = Unwrap32::after(self.expected).peek(segment.sequence);
        let place = sequence.checked_sub(self.expected).and_then(|at| self.arrived.get_mut(at as usize));
        match place {
            Some(place @ None) if segment.message.len() <= CONTROL_BYTES_MAX => {
                *place = Some(segment.message.to_vec());
                Received::Kept
            }
            _ => Received::Surplus,
        }
    }

    /// The next message in order, if it is here.
    pub(super) fn deliver(&mut self) -> Option<Vec<u8>> {
        let message = self.arrived[0].take()?;
        self.arrived.rotate_left(1);
        self.expected += 1;
        Some(message)
    }

    /// The acknowledgement to send, if one is owed.
    pub(super) fn ack(&self, to_epoch: u32) -> Option<ControlAck> {
        let beyond = self.arrived[1..].iter().enumerate().filter(|(_, a)| a.is_some());
        let beyond = beyond.fold(0, |bits, (bit, _)| bits | 1 << bit);
        self.owes_ack.then_some(ControlAck { to_epoch, next: self.expected as u32, beyond })
    }

    /// That acknowledgement left.
    pub(super) fn ack_sent(&mut self) {
        self.owes_ack = false;
    }
}
