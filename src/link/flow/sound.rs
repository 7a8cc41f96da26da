//! Sound packets in and out: bounded, each once. Order and timing are the jitter buffer's matter, above.
//!
//! **No packet is repeated in the next**: a lost one comes back by the FEC in the one after, and that is the better use of
//! the bits. Of 15 s of speech at 32 kbit/s in all, with 10 % lost at random, FEC left a spectral distance of 4.6 dB to what was
//! said and 22 % of the periods worse than 6 dB, concealment 5.6 dB and 34 %; with the repeat (its 15 bytes of header
//! too) 10 kbit/s are left to the voice, which is 12.6 dB and 97 %, loss or not. With 20 %: 5.7, 7.0 and 12.8 dB.

use crate::media::SoundPacket;
use crate::time::Unwrap32;
use heapless::Deque;

/// Packets waiting to leave: 80 ms. They wait for the net loop's next turn only.
const OUT_MAX: usize = 8;
/// Packets waiting to be taken: 320 ms, more than the jitter buffer above would play.
const IN_MAX: usize = 32;
/// How far back a packet is known to have come before: the bits of a word, 640 ms.
const MEMORY: u64 = 64;
/// So many packets in a row from before the memory mean that the sender counts from a new start.
const RESTART: u32 = 5;

/// Sound that leaves; where it does not leave in time, the oldest is dropped.
#[derive(Debug, Default)]
pub(super) struct SoundOut {
    queue: Deque<SoundPacket, OUT_MAX>,
}

impl SoundOut {
    /// Queues a packet; true where the oldest had to go.
    pub(super) fn push(&mut self, packet: &SoundPacket) -> bool {
        let full = self.queue.is_full();
        if full {
            self.queue.pop_front();
        }
        // Cannot fail: there is room for one.
        let _ = self.queue.push_back(packet.clone());
        full
    }

    pub(super) fn front(&self) -> Option<&SoundPacket> {
        self.queue.front()
    }

    pub(super) fn pop(&mut self) {
        self.queue.pop_front();
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}

/// Sound that arrived.
#[derive(Debug, Default)]
pub(super) struct SoundIn {
    queue: Deque<SoundPacket, IN_MAX>,
    /// The highest sequence so far.
    highest: Option<u64>,
    /// Bit `i`: `highest − i` arrived.
    arrived: u64,
    too_late: u32,
}

impl SoundIn {
    /// Whether a packet with this sequence is one to keep; remembers it.
    pub(super) fn is_new(&mut self, sequence: u32) -> bool {
        let Some(highest) = self.highest else {
            self.restart(sequence);
            return true;
        };
        let wide = Unwrap32::after(highest).peek(sequence);
        if wide > highest {
            self.arrived = self.arrived.checked_shl((wide - highest).min(MEMORY) as u32).unwrap_or(0) | 1;
            (self.highest, self.too_late) = (Some(wide), 0);
            return true;
        }
        let back = highest - wide;
        if back >= MEMORY {
            self.too_late += 1;
            if self.too_late >= RESTART {
                self.restart(sequence);
            }
            return self.too_late == 0;
        }
        let new = self.arrived & (1 << back) == 0;
        self.arrived |= 1 << back;
        self.too_late = 0;
        new
    }

    fn restart(&mut self, sequence: u32) {
        // Away from zero, so that what comes late has a place below.
        self.highest = Some(1 << 32 | u64::from(sequence));
        (self.arrived, self.too_late) = (1, 0);
    }

    /// Keeps a packet; true where the oldest had to go.
    pub(super) fn push(&mut self, packet: SoundPacket) -> bool {
        let full = self.queue.is_full();
        if full {
            self.queue.pop_front();
        }
        let _ = self.queue.push_back(packet);
        full
    }

    pub(super) fn take(&mut self) -> Option<SoundPacket> {
        self.queue.pop_front()
    }

    /// The sender began anew.
    pub(super) fn forget_sequences(&mut self) {
        (self.highest, self.arrived, self.too_late) = (None, 0, 0);
    }
}
