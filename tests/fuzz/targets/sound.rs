//! Sound packets as a peer sends them: Opus, in any order, at any time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::media::{PERIOD, SoundPacket};
use visavis::time::{Duration, Instant};
use visavis::voice::{Playout, PlayoutConfig};

fuzz_target!(|bytes: &[u8]| {
    let mut playout = Playout::new(PlayoutConfig::default()).expect("memory");
    let (mut now, mut sequence) = (Instant::from_millis(10_000), 0u32);
    // Each packet: its length, how far its number and its capture time leap, and how long until it comes.
    let mut rest = bytes;
    while let Some((&[len, leap, age, pause], after)) = rest.split_first_chunk() {
        let (payload, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        now += Duration::from_millis(u64::from(pause));
        sequence = sequence.wrapping_add(u32::from(leap).pow(4));
        let captured_at = now - Duration::from_millis(u64::from(age) * 8);
        let payload = heapless::Vec::from_slice(payload).expect("255 bytes are within a packet's bound");
        playout.handle_packet(&SoundPacket { sequence, captured_at, payload }, now);
        playout.pull(now, &mut [0; PERIOD]);
    }
});
