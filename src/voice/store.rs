//! Packets that wait for their turn.

use crate::media::{SOUND_BYTES_MAX, SoundPacket};
use crate::time::Instant;

/// Packets held: 640 ms, several times the longest target delay. More than that ahead of playback is not waiting any more.
pub(super) const STORE: u64 = 64;

#[derive(Clone, Debug)]
struct Slot {
    /// The sequence number plus one; 0 while empty.
    tag: u64,
    captured_at: Instant,
    payload: heapless::Vec<u8, SOUND_BYTES_MAX>,
}

/// A table of packets by sequence number, in which old ones are overwritten.
#[derive(Debug)]
pub(super) struct Store {
    slots: Box<[Slot]>,
}

impl Store {
    pub fn new() -> Store {
        let empty = Slot { tag: 0, captured_at: Instant::ZERO, payload: heapless::Vec::new() };
        Store { slots: vec![empty; STORE as usize].into() }
    }

    /// Keeps a packet; false where it is there already.
    pub fn put(&mut self, sequence: u64, packet: &SoundPacket) -> bool {
        let slot = &mut self.slots[(sequence % STORE) as usize];
        if slot.tag == sequence + 1 {
            return false;
        }
        slot.tag = sequence + 1;
        slot.captured_at = packet.captured_at;
        slot.payload.clone_from(&packet.payload);
        true
    }

    /// When the packet was captured, and its bytes.
    pub fn get(&self, sequence: u64) -> Option<(Instant, &[u8])> {
        let slot = &self.slots[(sequence % STORE) as usize];
        (slot.tag == sequence + 1).then_some((slot.captured_at, slot.payload.as_slice()))
    }

    /// Forgets all packets.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.tag = 0;
        }
    }
}
