//! Goal: the bytes are those of the specification, and any bytes can be read. Method: each item and message has golden
//! bytes here; what is written reads back the same (property); arbitrary and truncated bytes do not panic (property).

use super::*;
use crate::media::{Limit, SOUND_BYTES_MAX, Size, VideoCodec};
use proptest::collection::vec;
use proptest::prelude::*;

const EPOCH: u32 = 0x0403_0201;

fn written(item: &Item<'_>) -> Vec<u8> {
    let mut out = [0; 1_200];
    let mut writer = PayloadWriter::begin(&mut out, EPOCH).unwrap();
    assert!(writer.put(item));
    let length = writer.finish().unwrap();
    out[..length].to_vec()
}

/// The item written after the epoch has these bytes, and reads back.
fn golden(item: &Item<'_>, bytes: &[u8]) {
    let payload = written(item);
    assert_eq!(payload[..EPOCH_BYTES], [1, 2, 3, 4]);
    assert_eq!(payload[EPOCH_BYTES..], *bytes, "{item:?}");
    let read = Payload::parse(&payload).unwrap();
    assert_eq!(read.epoch, EPOCH);
    assert_eq!(read.items().collect::<Vec<_>>(), [Ok(*item)]);
}

#[test]
fn a_video_fragment_has_these_bytes() {
    let mut scratch = [0; 4];
    let fragment = VideoFragment {
        sequence: 0x0102_0304,
        frame: 5,
        captured_us: 0xfedc_ba98,
        length: 4_000,
        offset: 1_100,
        index: 1,
        count: 4,
        size: Some(Size::new(640, 480)),
        codec: VideoCodec::Deflate,
        key: true,
        repeat: true,
        parity: true,
        piece_ends: U16s::build([2, 3], &mut scratch),
        data: &[0xaa, 0xbb, 0xcc, 0xdd],
    };
    let bytes = [
        1, 39, 0, // kind, length
        4, 3, 2, 1, 5, 0, 0, 0, 0x98, 0xba, 0xdc, 0xfe, // sequence, frame, captured
        0xa0, 0x0f, 0, 0, 0x4c, 4, 0, 0, // length, offset
        1, 0, 4, 0, 0x80, 2, 0xe0, 1, // index, count, width, height
        7, 2, 2, 2, 0, 3, 0, // flags, codec, piece ends
        0xaa, 0xbb, 0xcc, 0xdd,
    ];
    golden(&Item::Video(fragment), &bytes);
}

#[test]
fn a_parity_has_these_bytes() {
    let parity = Parity {
        first: 0x0102_0304,
        frame: 5,
        captured_us: 0xfedc_ba98,
        length: 4_000,
        count: 4,
        row: 3,
        size: Some(Size::new(640, 480)),
        codec: VideoCodec::Deflate,
        key: true,
        shard: &[0xaa, 0xbb, 0xcc],
    };
    let bytes = [
        11, 28, 0, // kind, length
        4, 3, 2, 1, 5, 0, 0, 0, 0x98, 0xba, 0xdc, 0xfe, // first, frame, captured
        0xa0, 0x0f, 0, 0, 4, 0, 3, // length, count, row
        0x80, 2, 0xe0, 1, // width, height
        1, 2, // flags, codec
        0xaa, 0xbb, 0xcc,
    ];
    golden(&Item::Parity(parity), &bytes);
}

#[test]
fn the_small_items_have_these_bytes() {
    let sound = Sound { sequence: 1, captured_us: 2, video_end: 3, data: &[9, 8] };
    golden(&Item::Sound(sound), &[2, 14, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9, 8]);
    let mut scratch = [0; 4];
    let arrivals = U16s::build([0, Feedback::ABSENT], &mut scratch);
    let feedback = Feedback { expected: 1, received: 2, first: 3, base_us: 4, arrivals };
    let bytes = [3, 20, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0xff, 0xff];
    golden(&Item::Feedback(feedback), &bytes);
    let mut scratch = [0; 12];
    let ranges = [Range { first: 7, count: 1 }, Range { first: 0xffff_ffff, count: 258 }];
    let bytes = [4, 12, 0, 7, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 2, 1];
    golden(&Item::Nack(Ranges::build(ranges, &mut scratch)), &bytes);
    golden(&Item::KeyFrameRequest(KeyFrameRequest { from: 6 }), &[5, 4, 0, 6, 0, 0, 0]);
    let segment = ControlSegment { to_epoch: 1, sequence: 2, message: &[3] };
    golden(&Item::Control(segment), &[6, 9, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    let ack = ControlAck { to_epoch: 1, next: 2, beyond: 0x81 };
    golden(&Item::ControlAck(ack), &[7, 9, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x81]);
    golden(&Item::Ping(Ping { id: 1, sent_us: 1 << 40 }), &[8, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    let pong = Pong { id: 1, ping_sent_us: 2, ping_received_us: 3, sent_us: 4 };
    let bytes = [9, 28, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
    golden(&Item::Pong(pong), &bytes);
    golden(&Item::TailProbe(0x0a0b), &[10, 4, 0, 0x0b, 0x0a, 0, 0]);
}

#[test]
fn control_messages_have_these_bytes() {
    let hello = Control::Hello { version: 1, station: bounded("door"), software: bounded("visavis 0.1") };
    let capacity = Limit { size: Size::new(320, 240), rate_millihertz: 15_000, bitrate_bps: u32::MAX };
    let cases: [(Control, &[u8]); 10] = [
        (hello, b"\x00\x01\x04door\x0bvisavis 0.1"),
        (Control::Video(VideoState::Off), &[1, 0]),
        (
            Control::Video(VideoState::Working { codec: VideoCodec::Mjpeg, size: Size::new(640, 480) }),
            &[1, 1, 1, 0x80, 5, 0xe0, 3],
        ),
        (Control::Video(VideoState::Fault { text: bounded("gone") }), b"\x01\x02\x04gone"),
        (Control::Sound(SoundState::Off), &[2, 0]),
        (Control::Sound(SoundState::Working), &[2, 1]),
        (Control::Sound(SoundState::Fault { text: bounded("busy") }), b"\x02\x02\x04busy"),
        (Control::Bye { reason: Reason::HungUp }, &[3, 0]),
        (Control::Bye { reason: Reason::Incompatible }, &[3, 2]),
        (Control::Capacity(capacity), &[5, 0xc0, 2, 0xf0, 1, 0x98, 0x75, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    for (message, bytes) in cases {
        let mut out = [0; CONTROL_BYTES_MAX];
        let used = message.encode(&mut out);
        assert_eq!(&out[..used], bytes, "{message:?}");
        assert_eq!(Control::decode(bytes), Ok(message));
    }
}

#[test]
fn call_messages_have_these_bytes() {
    let call = CallId(300);
    let invite = |kind, group, early_media| {
        CallMessage::Invite(Invite { call: CallId(u64::MAX), kind, group: bounded(group), early_media })
    };
    let end = |reason, by| CallMessage::End { call, reason, by: bounded(by) };
    let longest = [0xff; 9];
    let cases: [(CallMessage, Vec<u8>); 17] = [
        (invite(CallKind::Talk, "", true), [&[4, 0], &longest[..], &[1, 0, 0, 1]].concat()),
        (invite(CallKind::Page, "up", false), [&[4, 0], &longest[..], &[1, 1, 2, b'u', b'p', 0]].concat()),
        (invite(CallKind::Monitor, "", false), [&[4, 0], &longest[..], &[1, 2, 0, 0]].concat()),
        (CallMessage::Ringing { call }, vec![4, 1, 0xac, 2]),
        (CallMessage::Accept { call }, vec![4, 2, 0xac, 2]),
        (CallMessage::Decline { call, reason: DeclineReason::Declined }, vec![4, 3, 0xac, 2, 0]),
        (CallMessage::Decline { call, reason: DeclineReason::Busy }, vec![4, 3, 0xac, 2, 1]),
        (CallMessage::Decline { call, reason: DeclineReason::NoAnswer }, vec![4, 3, 0xac, 2, 4]),
        (end(EndReason::HungUp, ""), vec![4, 4, 0xac, 2, 0, 0]),
        (end(EndReason::AnsweredElsewhere, "hut"), vec![4, 4, 0xac, 2, 2, 3, b'h', b'u', b't']),
        (end(EndReason::GaveWay, ""), vec![4, 4, 0xac, 2, 6, 0]),
        (CallMessage::Marks { call, held: true, muted: false }, vec![4, 5, 0xac, 2, 1, 0]),
        (
            CallMessage::ReleaseRequest { nonce: 5, call: Some(call), valid_ms: 4_000 },
            vec![4, 6, 5, 1, 0xac, 2, 0xa0, 0x1f],
        ),
        (CallMessage::ReleaseRequest { nonce: 5, call: None, valid_ms: 1 }, vec![4, 6, 5, 0, 1]),
        (CallMessage::ReleaseChallenge { nonce: 5, challenge: 6 }, vec![4, 7, 5, 6]),
        (CallMessage::ReleaseConfirm { challenge: 6 }, vec![4, 8, 6]),
        (CallMessage::ReleaseAnswer { nonce: 5, outcome: ReleaseOutcome::TooLate }, vec![4, 9, 5, 3]),
    ];
    for (message, bytes) in cases {
        let message = Control::Call(message);
        let mut out = [0; CONTROL_BYTES_MAX];
        let used = message.encode(&mut out);
        assert_eq!(out[..used], bytes, "{message:?}");
        assert_eq!(Control::decode(&bytes), Ok(message));
    }
}

#[test]
fn what_a_later_version_may_say_of_a_call_is_still_understood_as_far_as_it_matters() {
    let call = CallId(7);
    let read = |bytes: &[u8]| match Control::decode(bytes) {
        Ok(Control::Call(message)) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(read(&[4, 3, 7, 99]), CallMessage::Decline { call, reason: DeclineReason::Declined });
    assert_eq!(read(&[4, 4, 7, 99, 0]), CallMessage::End { call, reason: EndReason::HungUp, by: bounded("") });
    assert!(matches!(read(&[4, 0, 7, 99, 0, 0]), CallMessage::Invite(Invite { kind: CallKind::Other, .. })));
    let refused = CallMessage::ReleaseAnswer { nonce: 7, outcome: ReleaseOutcome::NotAllowed };
    assert_eq!(read(&[4, 9, 7, 99]), refused);
    assert_eq!(Control::decode(&[4, 200, 7]), Err(ControlError), "a message of later days is passed over");
    let mut long = vec![4, 4, 7, 2, 65];
    long.resize(100, b'x');
    assert_eq!(Control::decode(&long), Err(ControlError), "a name of 65 bytes");
}

#[test]
fn the_longest_call_message_fits_its_bound() {
    let (call, name) = (CallId(u64::MAX), bounded(&"n".repeat(99)));
    for message in [
        CallMessage::Invite(Invite { call, kind: CallKind::Other, group: name.clone(), early_media: true }),
        CallMessage::End { call, reason: EndReason::AnsweredElsewhere, by: name },
        CallMessage::ReleaseRequest { nonce: u64::MAX, call: Some(call), valid_ms: u16::MAX },
        CallMessage::ReleaseChallenge { nonce: u64::MAX, challenge: u64::MAX },
    ] {
        // Nothing is written of what does not fit.
        assert!(Control::Call(message).encode(&mut [0; CONTROL_BYTES_MAX]) > 20);
    }
}

#[test]
fn control_messages_may_grow_at_their_ends_and_may_not_exceed_their_bounds() {
    assert_eq!(Control::decode(&[3, 0, 77, 77]), Ok(Control::Bye { reason: Reason::HungUp }), "later fields");
    assert_eq!(Control::decode(&[9, 1, 2]), Err(ControlError), "a later variant");
    let mut long = vec![0, 1, 65];
    long.resize(100, b'x');
    assert_eq!(Control::decode(&long), Err(ControlError), "a name of 65 bytes");
    // The longest there is fits its bound.
    let text = bounded::<FAULT_TEXT_BYTES_MAX>(&"ü".repeat(500));
    assert_eq!(text.len(), FAULT_TEXT_BYTES_MAX);
    assert!(Control::Video(VideoState::Fault { text }).encode(&mut [0; CONTROL_BYTES_MAX]) > FAULT_TEXT_BYTES_MAX);
    let name = bounded(&"n".repeat(99));
    let hello = Control::Hello { version: u16::MAX, station: name.clone(), software: name };
    assert!(hello.encode(&mut [0; CONTROL_BYTES_MAX]) > 2 * NAME_BYTES_MAX);
}

#[test]
fn unknown_and_broken_items_do_not_hide_those_behind_them() {
    let mut payload = EPOCH.to_le_bytes().to_vec();
    payload.extend([200, 3, 0, 1, 2, 3]); // a kind of later days
    payload.extend([8, 2, 0, 0, 0]); // a ping that is too short
    payload.extend([10, 6, 0, 5, 0, 0, 0, 99, 99]); // a tail probe with later fields
    payload.extend([2, 255, 0, 1]); // sound that promises more than there is
    let items: Vec<_> = Payload::parse(&payload).unwrap().items().collect();
    let expected =
        [Ok(Item::Unknown(200)), Err(Malformed::Body { kind: 8 }), Ok(Item::TailProbe(5)), Err(Malformed::Truncated)];
    assert_eq!(items, expected);
}

#[test]
fn an_item_that_does_not_fit_leaves_the_payload_as_it_was() {
    let mut out = [0; EPOCH_BYTES + 7 + 7];
    let mut writer = PayloadWriter::begin(&mut out, EPOCH).unwrap();
    assert!(writer.put(&Item::TailProbe(1)));
    assert_eq!(writer.room(), 4);
    assert!(!writer.put(&Item::Ping(Ping { id: 1, sent_us: 2 })));
    assert!(writer.put(&Item::TailProbe(2)));
    assert_eq!(writer.finish(), Some(EPOCH_BYTES + 14));
    assert_eq!(PayloadWriter::begin(&mut [0; 9], EPOCH).unwrap().finish(), None, "nothing in it");
    assert!(PayloadWriter::begin(&mut [0; 3], EPOCH).is_none());
}

#[test]
fn a_fragment_that_contradicts_itself_is_malformed() {
    let good = VideoFragment {
        sequence: 0,
        frame: 0,
        captured_us: 0,
        length: 10,
        offset: 6,
        index: 0,
        count: 1,
        size: None,
        codec: VideoCodec::H264,
        key: false,
        repeat: false,
        parity: false,
        piece_ends: U16s::EMPTY,
        data: &[0; 4],
    };
    let reads = |fragment: VideoFragment<'_>| {
        Payload::parse(&written(&Item::Video(fragment))).unwrap().items().next().unwrap().is_ok()
    };
    assert!(reads(good));
    let mut ends = [0; 4];
    let (falling, beyond) = ([3, 3], [4, 5]);
    for bad in [
        VideoFragment { data: &[], ..good },
        VideoFragment { offset: 7, ..good },
        VideoFragment { offset: u32::MAX, ..good },
        VideoFragment { index: 1, ..good },
        VideoFragment { piece_ends: U16s::build(falling, &mut ends.clone()), ..good },
        VideoFragment { piece_ends: U16s::build(beyond, &mut ends), ..good },
    ] {
        assert!(!reads(bad), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes in vec(any::<u8>(), 0..1_300)) {
        let _ = Control::decode(&bytes);
        if let Ok(payload) = Payload::parse(&bytes) {
            // Each item takes three bytes at the least, so that walking ends.
            prop_assert!(payload.items().count() <= bytes.len() / 3 + 1);
        }
    }

    #[test]
    fn any_body_of_any_kind_reads_back_as_it_was_written(kind in 0u8..12, body in vec(any::<u8>(), 0..200)) {
        let mut payload = EPOCH.to_le_bytes().to_vec();
        payload.push(kind);
        payload.extend((body.len() as u16).to_le_bytes());
        payload.extend(&body);
        if let Some(Ok(item)) = Payload::parse(&payload).unwrap().items().next() {
            let again = written(&item);
            let read = Payload::parse(&again).unwrap().items().next().unwrap();
            prop_assert_eq!(read, Ok(item));
        }
    }

    #[test]
    fn fragments_and_sound_come_back_as_they_went(
        words in proptest::array::uniform3(any::<u32>()), data in vec(any::<u8>(), 1..1_000), offset in 0u32..1 << 21,
        index in 0u16..100, more in 1u16..100, ends in proptest::collection::btree_set(1u16..1_000, 0..30),
        key: bool, repeat: bool, parity: bool, codec in 0u8..3, sides in proptest::option::of((1u32..65_536, 1u32..65_536)),
        sound in vec(any::<u8>(), 0..SOUND_BYTES_MAX + 1),
    ) {
        let mut scratch = [0; 64];
        let within = ends.iter().copied().filter(|&end| usize::from(end) <= data.len());
        let fragment = VideoFragment {
            sequence: words[0], frame: words[1], captured_us: words[2],
            length: offset + data.len() as u32 + u32::from(more), offset, index, count: index + more,
            size: sides.map(|(w, h)| Size::new(w, h)), codec: codec_from_byte(codec).unwrap(), key, repeat, parity,
            piece_ends: U16s::build(within, &mut scratch), data: &data,
        };
        let parity = Parity {
            first: words[2], frame: words[0], captured_us: words[1], length: offset, count: more, row: index as u8,
            size: fragment.size, codec: fragment.codec, key, shard: &data,
        };
        let sound = Sound { sequence: words[2], captured_us: words[0], video_end: words[1], data: &sound };
        for item in [Item::Video(fragment), Item::Parity(parity), Item::Sound(sound)] {
            let payload = written(&item);
            prop_assert_eq!(Payload::parse(&payload).unwrap().items().collect::<Vec<_>>(), [Ok(item)]);
        }
    }
}
