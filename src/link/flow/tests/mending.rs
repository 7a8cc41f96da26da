//! Goal: a frame with parities becomes whole out of any of its datagrams in sufficient number, waits for none that it does not
//! need, and harms nothing where they lie. Method: two flows whose payloads are handed over by hand; the sender has been told
//! of losses over a long path.

use super::network::make_frame;
use crate::link::MAX_PAYLOAD;
use crate::link::flow::{Flow, FlowConfig, FlowEvent};
use crate::media::{EncodedFrame, VideoCodec};
use crate::time::{Duration, Instant};
use crate::wire::{Feedback, Item, Parity, Payload, PayloadWriter, U16s};

fn payloads(flow: &mut Flow, now: Instant) -> Vec<Vec<u8>> {
    let mut out = [0; MAX_PAYLOAD];
    core::iter::from_fn(|| flow.poll_payload(now, &mut out).map(|length| out[..length].to_vec())).collect()
}

fn deliver(flow: &mut Flow, now: Instant, payloads: &[Vec<u8>]) {
    payloads.iter().for_each(|payload| flow.handle_payload(now, payload));
}

fn has(payload: &[u8], kind: impl Fn(&Item<'_>) -> bool) -> bool {
    Payload::parse(payload).unwrap().items().any(|item| item.is_ok_and(|item| kind(&item)))
}

fn is_parity(payload: &[u8]) -> bool {
    has(payload, |item| matches!(item, Item::Parity(_)))
}

fn frame_of(now: Instant, number: u64, before: Option<u64>, bytes: usize) -> EncodedFrame {
    EncodedFrame { captured_at: now, ..make_frame(number, before, bytes, VideoCodec::H264) }
}

/// A sender that knows of a round trip of 200 ms and of 10 % loss, its receiver, which has shown frame 0, and the time.
fn far_apart() -> (Flow, Flow, Instant) {
    let [mut near, mut far] = [1, 2].map(|ms| Flow::new(Instant::from_millis(ms), FlowConfig::default()));
    let mut now = Instant::from_millis(10);
    near.send_frame(now, &frame_of(now, 0, None, 2_000));
    let there = payloads(&mut near, now);
    now += Duration::from_millis(100);
    deliver(&mut far, now, &there);
    assert!(far.take_frame(now, &mut EncodedFrame::default()));
    let back = payloads(&mut far, now);
    now += Duration::from_millis(100);
    deliver(&mut near, now, &back);
    let epoch = Payload::parse(&back[0]).unwrap().epoch;
    for report in 1..60 {
        let (mut out, mut scratch) = ([0; 200], [0; 20]);
        let arrivals = U16s::build((0..10).map(|n| if n == 5 { Feedback::ABSENT } else { 0 }), &mut scratch);
        let mut writer = PayloadWriter::begin(&mut out, epoch).unwrap();
        let feedback =
            Feedback { expected: report * 10, received: report * 9, first: report * 10, base_us: 0, arrivals };
        assert!(writer.put(&Item::Feedback(feedback)));
        let length = writer.finish().unwrap();
        near.handle_payload(now, &out[..length]);
    }
    let pong = payloads(&mut near, now);
    now += Duration::from_millis(100);
    deliver(&mut far, now, &pong);
    (near, far, now)
}

/// The next frame's fragments and its parities.
fn send(near: &mut Flow, now: Instant, number: u64, bytes: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    payloads(near, now);
    near.send_frame(now, &frame_of(now, number, Some(number - 1), bytes));
    payloads(near, now).into_iter().partition(|payload| !is_parity(payload))
}

#[test]
fn a_frame_that_arrives_whole_waits_for_no_parity() {
    let (mut near, mut far, now) = far_apart();
    let (fragments, parities) = send(&mut near, now, 1, 8_000);
    assert!(!parities.is_empty());
    deliver(&mut far, now, &fragments);
    let mut frame = EncodedFrame::default();
    assert!(far.take_frame(now, &mut frame));
    assert_eq!(frame.data, make_frame(1, Some(0), 8_000, VideoCodec::H264).data);
    deliver(&mut far, now, &parities);
    assert!(!far.take_frame(now, &mut frame));
    assert_eq!(far.report().counts.fragments_mended, 0);
}

#[test]
fn lost_fragments_come_out_of_parities_and_nobody_asks_for_them() {
    let (mut near, mut far, now) = far_apart();
    let (mut fragments, parities) = send(&mut near, now, 1, 8_000);
    let lost = parities.len().min(fragments.len());
    (0..lost).for_each(|_| drop(fragments.remove(fragments.len() / 2)));
    deliver(&mut far, now, &fragments);
    let mut frame = EncodedFrame::default();
    assert!(!far.take_frame(now, &mut frame));
    deliver(&mut far, now + Duration::from_millis(5), &parities);
    assert!(far.take_frame(now + Duration::from_millis(5), &mut frame));
    let whole = make_frame(1, Some(0), 8_000, VideoCodec::H264);
    assert_eq!((&frame.data, &frame.piece_ends), (&whole.data, &whole.piece_ends));
    assert_eq!(far.report().counts.fragments_mended, lost as u64);
    let later = now + Duration::from_millis(50);
    far.handle_timeout(later);
    assert!(!payloads(&mut far, later).iter().any(|payload| has(payload, |item| matches!(item, Item::Nack(_)))));
}

#[test]
fn a_frame_of_which_only_parities_arrive_is_one_all_the_same() {
    let (mut near, mut far, now) = far_apart();
    let (fragments, parities) = send(&mut near, now, 1, 400);
    assert_eq!((fragments.len(), parities.len()), (1, 1));
    deliver(&mut far, now, &parities);
    let mut frame = EncodedFrame::default();
    assert!(far.take_frame(now, &mut frame));
    assert_eq!(frame.data, make_frame(1, Some(0), 400, VideoCodec::H264).data);
}

#[test]
fn what_cannot_come_in_time_is_given_up_at_once() {
    let (mut near, mut far, now) = far_apart();
    let (mut fragments, _) = send(&mut near, now, 1, 8_000);
    fragments.pop();
    fragments.remove(0);
    deliver(&mut far, now, &fragments);
    // An answer takes 200 ms, and no frame waits so long.
    let later = now + Duration::from_millis(20);
    far.handle_timeout(later);
    assert!(core::iter::from_fn(|| far.poll_event()).any(|event| matches!(event, FlowEvent::Frozen { .. })));
    let sent = payloads(&mut far, later);
    assert!(sent.iter().any(|payload| has(payload, |item| matches!(item, Item::KeyFrameRequest(_)))));
    assert!(!sent.iter().any(|payload| has(payload, |item| matches!(item, Item::Nack(_)))));
}

#[test]
fn a_parity_that_lies_costs_its_frame_and_nothing_else() {
    let (mut near, mut far, now) = far_apart();
    let (mut fragments, parities) = send(&mut near, now, 1, 8_000);
    fragments.remove(0);
    deliver(&mut far, now, &fragments);
    let payload = Payload::parse(&parities[0]).unwrap();
    let Some(Ok(Item::Parity(parity))) = payload.items().find(|item| matches!(item, Ok(Item::Parity(_)))) else {
        panic!("it is one");
    };
    let forge = |parity: Parity<'_>| {
        let mut out = [0; MAX_PAYLOAD];
        let mut writer = PayloadWriter::begin(&mut out, payload.epoch).unwrap();
        assert!(writer.put(&Item::Parity(parity)));
        let length = writer.finish().unwrap();
        out[..length].to_vec()
    };
    for lie in [
        Parity { row: 200, ..parity },
        Parity { count: parity.count + 1, ..parity },
        Parity { length: parity.length - 1, ..parity },
        Parity { length: u32::MAX, ..parity },
    ] {
        let refused = far.report().counts.fragments_refused;
        far.handle_payload(now, &forge(lie));
        assert_eq!(far.report().counts.fragments_refused, refused + 1);
    }
    let nonsense = vec![0xa5; parity.shard.len()];
    far.handle_payload(now, &forge(Parity { shard: &nonsense, ..parity }));
    let mut frame = EncodedFrame::default();
    assert!(!far.take_frame(now, &mut frame), "what came out is no frame");
    let key = frame_of(now, 2, None, 2_000);
    near.send_frame(now, &key);
    deliver(&mut far, now, &payloads(&mut near, now));
    assert!(far.take_frame(now, &mut frame));
    assert_eq!(frame.data, key.data);
}
