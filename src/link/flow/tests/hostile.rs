//! Bytes that no honest peer sends: counted, bounded, and never a panic.

use super::*;
use crate::link::MAX_PAYLOAD;
use crate::link::flow::{Flow, FlowConfig, fuzz};
use crate::media::{EncodedFrame, VideoCodec};
use crate::time::{Duration, Instant};
use crate::wire::{Feedback, Item, Parity, PayloadWriter, Range, Ranges, U16s, VideoFragment};
use proptest::collection::vec;
use proptest::prelude::*;

fn flow() -> Flow {
    Flow::new(Instant::from_millis(1_000), FlowConfig { frame_bytes: 0, ..FlowConfig::default() })
}

fn payload(items: &[Item<'_>]) -> Vec<u8> {
    let mut out = [0; MAX_PAYLOAD];
    let mut writer = PayloadWriter::begin(&mut out, 5).unwrap();
    assert!(items.iter().all(|item| writer.put(item)));
    let length = writer.finish().unwrap();
    out[..length].to_vec()
}

fn fragment(sequence: u32, frame: u32, length: u32, data: &[u8]) -> VideoFragment<'_> {
    VideoFragment {
        sequence,
        frame,
        captured_us: 0,
        length,
        offset: 0,
        index: 0,
        count: 2,
        size: None,
        codec: VideoCodec::H264,
        key: true,
        repeat: false,
        parity: false,
        piece_ends: U16s::EMPTY,
        data,
    }
}

/// Of a frame with a fragment like this.
fn parity_of<'a>(fragment: &VideoFragment<'_>, row: u8, shard: &'a [u8]) -> Parity<'a> {
    Parity {
        first: fragment.sequence.wrapping_sub(fragment.index.into()),
        frame: fragment.frame,
        captured_us: fragment.captured_us,
        length: fragment.length,
        count: fragment.count,
        row,
        size: fragment.size,
        codec: fragment.codec,
        key: fragment.key,
        shard,
    }
}

proptest! {
    #[test]
    fn garbage_does_not_harm(bytes in vec(any::<u8>(), 0..3_000)) {
        fuzz(&bytes);
    }

    #[test]
    fn well_formed_nonsense_does_not_harm(
        items in vec((1u8..12, vec(any::<u8>(), 0..80), any::<u8>(), any::<bool>()), 0..60),
    ) {
        // Items of the right kinds with lengths that parse, under two epochs, some a long time apart.
        let mut bytes = Vec::new();
        for (kind, body, pause, epoch) in items {
            let mut payload = vec![u8::from(epoch), 0, 0, 0, kind];
            payload.extend((body.len() as u16).to_le_bytes());
            payload.extend(&body);
            bytes.extend((payload.len() as u16).to_le_bytes());
            bytes.push(pause);
            bytes.extend(payload);
        }
        fuzz(&bytes);
    }

    #[test]
    fn nearly_right_fragments_and_parities_do_not_harm(
        fragments in vec((0u32..40, 0u32..12, 0u32..40, 0u16..5, 1u16..6, any::<[bool; 3]>(), any::<Option<[u8; 28]>>()), 0..300),
    ) {
        let mut bytes = Vec::new();
        for (sequence, frame, offset, index, count, [key, repeat, pause], parity) in fragments {
            let part = VideoFragment { offset, index, count, key, repeat, ..fragment(sequence, frame, 60, &[1; 20]) };
            let item = match &parity {
                Some(shard) => Item::Parity(Parity { key, ..parity_of(&part, index as u8, shard) }),
                None => Item::Video(part),
            };
            let payload = payload(&[item]);
            bytes.extend((payload.len() as u16).to_le_bytes());
            bytes.push(if pause { 9 } else { 0 });
            bytes.extend(payload);
        }
        fuzz(&bytes);
    }
}

proptest! {
    #[test]
    fn a_peer_that_lies_of_arrivals_gets_a_rate_within_bounds_and_frames_all_the_same(
        reports in vec((any::<[u32; 2]>(), 0u32..600, any::<u32>(), vec(any::<u16>(), 0..128), 0u64..200), 0..60),
    ) {
        let mut flow = flow();
        let mut now = Instant::from_millis(1_000);
        let mut out = [0; MAX_PAYLOAD];
        for (number, ([expected, received], first, base_us, arrivals, pause_ms)) in reports.into_iter().enumerate() {
            flow.send_frame(now, &super::network::make_frame(number as u64, None, 8_000, VideoCodec::H264));
            let mut scratch = [0; 2 * Feedback::ARRIVALS_MAX];
            let arrivals = U16s::build(arrivals, &mut scratch);
            let lie = Feedback { expected, received, first, base_us, arrivals };
            flow.handle_payload(now, &payload(&[Item::Feedback(lie)]));
            while flow.poll_payload(now, &mut out).is_some() {}
            now += Duration::from_millis(pause_ms);
            flow.handle_timeout(now);
            while flow.poll_payload(now, &mut out).is_some() {}
            prop_assert!((40_000..=200_000_000).contains(&flow.picture_bps()));
            prop_assert!(flow.poll_timeout().is_none_or(|due| due > now));
        }
        // Whatever it said: the slowest pace lets a small frame through before it is stale.
        let before = flow.report().counts.fragments_sent;
        now += Duration::from_secs(1);
        flow.handle_timeout(now);
        flow.send_frame(now, &super::network::make_frame(1_000, None, 500, VideoCodec::Mjpeg));
        while flow.poll_payload(now, &mut out).is_some() {}
        prop_assert!(flow.report().counts.fragments_sent > before);
    }
}

#[test]
fn a_stream_with_flipped_bits_harms_only_itself() {
    let mut world = World::new(1, Network::even(Path::new(Duration::from_millis(2))));
    world.run(Duration::from_secs(1));
    let mut dice = super::network::Dice(9);
    let mut victim = flow();
    let near = &mut world.stations[0];
    let mut now = near.local(world.now);
    let mut out = [0; MAX_PAYLOAD];
    for number in 0..2_000u64 {
        let frame = super::network::make_frame(1_000 + number, None, 4_000, VideoCodec::H264);
        near.flow.send_frame(now, &frame);
        while let Some(length) = near.flow.poll_payload(now, &mut out) {
            let at = dice.below(length as u64) as usize;
            // Mostly not the epoch, which would only begin anew.
            if at >= 4 || dice.below(50) == 0 {
                out[at] ^= 1 << dice.below(8);
            }
            victim.handle_payload(now, &out[..length]);
        }
        while victim.take_frame(now, &mut EncodedFrame::default()) {}
        while victim.poll_event().is_some() {}
        while victim.take_sound().is_some() {}
        while victim.poll_payload(now, &mut out).is_some() {}
        now += Duration::from_millis(7);
        victim.handle_timeout(now);
    }
    assert!(victim.report().counts.malformed > 0);
}

#[test]
fn promises_of_huge_frames_reserve_no_memory_beyond_the_bound() {
    let mut flow = flow();
    let now = Instant::from_millis(1_000);
    for frame in 0..500 {
        flow.handle_payload(now, &payload(&[Item::Video(fragment(frame * 2, frame, 2 << 20, &[1]))]));
    }
    flow.handle_payload(now, &payload(&[Item::Video(fragment(1_000, 500, u32::MAX, &[1]))]));
    let counts = flow.report().counts;
    assert_eq!(counts.fragments_refused, 1, "one beyond the largest frame");
    assert_eq!(counts.frames_incomplete, 498, "two of 2 MB are in assembly");
}

#[test]
fn requests_for_everything_are_bounded() {
    let mut flow = flow();
    let mut now = Instant::from_millis(1_000);
    let mut out = [0; MAX_PAYLOAD];
    for number in 0..4 {
        flow.send_frame(now, &super::network::make_frame(number, None, 300_000, VideoCodec::Mjpeg));
        for _ in 0..100 {
            while flow.poll_payload(now, &mut out).is_some() {}
            now += Duration::from_micros(400);
        }
    }
    let sent = flow.report().counts.fragments_sent;
    assert!(sent > 900);
    let mut scratch = [0; 600];
    let everything = (0..100).map(|_| Range { first: 0, count: u16::MAX });
    let nack = payload(&[Item::Nack(Ranges::build(everything, &mut scratch))]);
    let mut repeats = 0;
    for _ in 0..1_000 {
        now += Duration::from_millis(1);
        flow.handle_payload(now, &nack);
        repeats += core::iter::from_fn(|| flow.poll_payload(now, &mut out)).count() as u64;
    }
    assert!(repeats <= 6 * sent + 100, "{repeats} datagrams for {sent} fragments");
}
