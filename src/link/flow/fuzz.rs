//! The way in for a fuzzer.

use super::{Flow, FlowConfig};
use crate::media::EncodedFrame;
use crate::time::{Duration, Instant};
use crate::wire::{Control, Payload};

/// Feeds bytes to every parser, and to a flow as payloads of a peer; panics only where there is a bug.
///
/// The bytes are cut into steps: a length (two bytes, little-endian), a pause (one byte, in milliseconds squared, so
/// that timers run out too), and that many bytes of payload.
pub fn fuzz(bytes: &[u8]) {
    let _ = Control::decode(bytes);
    if let Ok(payload) = Payload::parse(bytes) {
        payload.items().for_each(drop);
    }
    let mut now = Instant::from_millis(5_000);
    let mut flow = Flow::new(now, FlowConfig { frame_bytes: 0, ..FlowConfig::default() });
    let (mut frame, mut out) = (EncodedFrame::default(), [0; crate::link::MAX_PAYLOAD]);
    let mut rest = bytes;
    while let Some((&[low, high, pause], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (payload, after) = after.split_at(length);
        rest = after;
        now += Duration::from_millis(u64::from(pause) * u64::from(pause));
        flow.handle_timeout(now);
        flow.handle_payload(now, payload);
        while flow.take_frame(now, &mut frame) {
            assert!(
                frame.piece_ends.is_sorted()
                    && frame.piece_ends.last().is_none_or(|&end| end as usize <= frame.data.len())
            );
        }
        while flow.take_sound().is_some() {}
        while flow.poll_event().is_some() {}
        while flow.poll_payload(now, &mut out).is_some() {}
        assert!(flow.poll_timeout().is_none_or(|due| due > now), "a timeout in the past would spin the driver");
    }
}
