//! Video and sound over networks that reorder, duplicate, stall, shrink and break.

use super::network::make_frame;
use super::*;
use crate::link::MAX_PAYLOAD;
use crate::link::flow::{Flow, FlowConfig, FlowEvent};
use crate::media::{EncodedFrame, VideoCodec};
use crate::time::{Duration, Instant};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Fixed delay each way, otherwise perfect.
fn clean(rtt_ms: u64) -> Network {
    Network::even(Path::new(ms(rtt_ms) / 2))
}

#[test]
fn jitter_and_duplicates_cost_neither_frames_nor_much_time() {
    let mut network = clean(4);
    for path in &mut network.paths {
        (path.jitter, path.duplicated) = (ms(10), 0.05);
    }
    let mut world = World::new(1, network);
    world.run(SECOND * 20);
    let (fps, p50, p95) = world.measure(Instant::from_millis(1_000));
    assert!(fps >= 29.9 && p50 <= 20.0 && p95 <= 30.0, "{fps:.2} frames/s, {p50:.1} ms, {p95:.1} ms");
    let (sent, report) = (world.stations[0].flow.report().counts, world.stations[1].flow.report());
    assert!(sent.fragments_repeated * 10 < sent.fragments_sent, "reordering is taken for loss: {sent:?}");
    assert!(report.loss_in < 0.01, "{report:?}");
}

#[test]
fn every_sound_packet_is_handed_out_once_with_its_time() {
    let mut network = clean(10);
    for path in &mut network.paths {
        (path.jitter, path.duplicated) = (ms(25), 0.2);
    }
    let mut world = World::new(2, network);
    world.run(SECOND * 10);
    let mut sequences: Vec<u32> = world.stations[1].sounds.iter().map(|s| s.0).collect();
    sequences.sort_unstable();
    let expected: Vec<u32> = (0..sequences.len() as u32).collect();
    assert_eq!(sequences, expected);
    assert!(sequences.len() >= 985);
    for &(sequence, age_ns) in world.stations[1].sounds.iter().skip(20) {
        let age_ms = age_ns as f64 / 1e6;
        assert!((-13.0..=45.0).contains(&age_ms), "packet {sequence} is {age_ms:.1} ms old");
    }
}

#[test]
fn bursts_of_loss_freeze_the_picture_for_a_moment_only() {
    let mut network = clean(10);
    for path in &mut network.paths {
        (path.loss, path.burst) = (0.05, 8.0);
    }
    let mut world = World::new(3, network);
    world.run(SECOND * 30);
    let (fps, _, p95) = world.measure(Instant::from_millis(1_000));
    assert!(fps >= 28.0 && p95 <= 110.0, "{fps:.2} frames/s, p95 {p95:.1} ms");
}

#[test]
fn large_jpegs_come_through_loss() {
    let mut network = clean(10);
    network.paths.iter_mut().for_each(|path| path.loss = 0.01);
    let mut world = World::new(4, network);
    for station in &mut world.stations {
        (station.codec, station.frame_bytes) = (VideoCodec::Mjpeg, 150_000);
    }
    world.run(SECOND * 10);
    let (fps, _, p95) = world.measure(Instant::from_millis(1_000));
    assert!(fps >= 29.5 && p95 <= 60.0, "{fps:.2} frames/s, p95 {p95:.1} ms");
}

#[test]
fn after_ten_seconds_of_sleep_only_new_pictures_are_shown() {
    let mut world = World::new(5, clean(10));
    world.run(SECOND * 3);
    world.stations[1].frozen = true;
    world.run(SECOND * 10);
    world.stations[1].frozen = false;
    let woke = world.now;
    world.run(SECOND * 3);
    let after: Vec<_> = world.stations[1].shown.iter().filter(|s| s.at >= woke).collect();
    let oldest = after.iter().map(|s| s.age).max().unwrap();
    assert!(oldest <= ms(150), "{oldest:?}");
    let first = after.first().unwrap().at.since(woke);
    assert!(first <= ms(150), "the picture comes back after {first:?}");
    assert!(after.len() >= 85, "{} frames in 3 s", after.len());
    assert!(world.stations[1].events.iter().any(|e| matches!(e, FlowEvent::Frozen { .. })));
    assert!(matches!(world.stations[1].events.last(), Some(FlowEvent::Resumed { .. })));
}

#[test]
fn after_a_cut_of_ten_seconds_the_picture_is_back_within_a_moment() {
    let mut world = World::new(6, clean(10));
    world.run(SECOND * 3);
    world.network.paths.iter_mut().for_each(|path| path.cut = true);
    world.run(SECOND * 10);
    world.network.paths.iter_mut().for_each(|path| path.cut = false);
    let mended = world.now;
    for station in 0..2 {
        let now = world.stations[station].local(mended);
        world.stations[station].flow.path_changed(now);
    }
    world.run(SECOND * 2);
    let after: Vec<_> = world.stations[1].shown.iter().filter(|s| s.at >= mended).collect();
    let first = after.first().unwrap().at.since(mended);
    assert!(first <= ms(150), "{first:?}");
    assert!(after.iter().all(|s| s.age <= ms(150)) && after.len() >= 55);
    let repeated = world.stations[0].flow.report().counts.fragments_repeated;
    assert!(repeated < 40, "{repeated} fragments of the time of the cut were sent again");
}

#[test]
fn a_path_that_is_slow_by_nature_shows_its_pictures_all_the_same() {
    let mut world = World::new(7, clean(700));
    world.run(SECOND * 10);
    let (fps, p50, _) = world.measure(Instant::from_millis(3_000));
    assert!(fps >= 29.9, "{fps:.2} frames/s, {p50:.1} ms old");
    // And one that becomes slow: for a while that passes for a queue, which it is tried to drain.
    world.network.paths[0].delay = ms(600);
    world.run(SECOND * 6);
    let (fps, p50, _) = world.measure(world.now - SECOND * 2);
    assert!(fps >= 29.5 && p50 > 600.0, "{fps:.2} frames/s, {p50:.1} ms old");
}

#[test]
fn a_path_cut_to_half_of_the_streams_rate_is_followed_within_two_seconds() {
    let mut world = World::new(8, clean(10));
    world.run(SECOND * 2);
    world.network.paths[0].rate = Some((1_200_000, 60_000));
    world.run(SECOND * 30);
    let shown = world.stations[1].shown.iter().map(|s| s.at).chain([world.now]);
    let times: Vec<_> = shown.filter(|&at| at > Instant::from_millis(2_000)).collect();
    let longest = times.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
    assert!(longest <= SECOND, "no picture for {longest:?}");
    let (fps, _, p95) = world.measure(Instant::from_millis(4_000));
    assert!(fps >= 25.0 && p95 <= 150.0, "{fps:.2} frames/s, p95 {p95:.1} ms");
    let heard = world.stations[1].sounds.len() as f64 / world.stations[0].flow.report().counts.sound_sent as f64;
    assert!(heard > 0.99, "{heard:.2} of the sound came through");
    // And as soon as the path carries it again, all is well.
    world.network.paths[0].rate = None;
    world.run(SECOND * 5);
    let (fps, _, p95) = world.measure(world.now - SECOND);
    assert!(fps >= 29.9 && p95 <= 20.0, "{fps:.2} frames/s, p95 {p95:.1} ms");
    assert!(world.stations[0].flow.picture_bps() > 2_000_000);
}

#[test]
fn a_peer_that_begins_anew_is_met_again() {
    let mut world = World::new(9, clean(10));
    world.run(SECOND * 3);
    let now = world.stations[0].local(world.now);
    world.stations[0].flow = Flow::new(now, FlowConfig::default());
    let restarted = world.now;
    world.run(SECOND * 2);
    assert_eq!(world.stations[1].events.iter().filter(|e| **e == FlowEvent::PeerRestarted).count(), 1);
    for station in &world.stations {
        let after: Vec<_> = station.shown.iter().filter(|s| s.at > restarted).collect();
        assert!(after.len() >= 55, "{} frames in 2 s", after.len());
        assert!(after.iter().skip(5).all(|s| s.age <= ms(30)));
    }
}

/// Two flows without a network: what one wants to send at `now`.
fn payloads(flow: &mut Flow, now: Instant) -> Vec<Vec<u8>> {
    let mut out = [0; MAX_PAYLOAD];
    let mut all = Vec::new();
    while let Some(length) = flow.poll_payload(now, &mut out) {
        all.push(out[..length].to_vec());
    }
    all
}

fn two_flows() -> (Flow, Flow) {
    let [a, b] = [1, 2].map(|ms| Flow::new(Instant::from_millis(ms), FlowConfig::default()));
    (a, b)
}

fn deliver(flow: &mut Flow, now: Instant, payloads: &[Vec<u8>]) {
    payloads.iter().for_each(|payload| flow.handle_payload(now, payload));
}

fn wants_key(flow: &mut Flow) -> bool {
    core::iter::from_fn(|| flow.poll_event()).any(|event| event == FlowEvent::KeyFrameWanted)
}

/// Frames of 20 kB on average.
fn frame(number: u64, key: bool) -> EncodedFrame {
    make_frame(number, number.checked_sub(1).filter(|_| !key), 20_000, VideoCodec::H264)
}

#[test]
fn the_loss_of_a_frames_last_fragment_is_repaired_before_the_next_frame() {
    let (mut near, mut far) = two_flows();
    let mut now = Instant::from_millis(10);
    near.send_frame(now, &frame(0, true));
    let mut sent = payloads(&mut near, now);
    let mut later = Vec::new();
    // A large frame is paced: take all of it.
    while let Some(due) = near.poll_timeout().filter(|&due| due < Instant::from_millis(14)) {
        now = due;
        later.extend(payloads(&mut near, now));
    }
    sent.extend(later);
    sent.pop();
    deliver(&mut far, now, &sent);
    let mut out = EncodedFrame::default();
    assert!(!far.take_frame(now, &mut out));
    // Every timer of both that comes within a frame's time.
    let end = now + ms(33);
    while let Some(due) = crate::time::earliest(near.poll_timeout(), far.poll_timeout()).filter(|&due| due < end) {
        now = due;
        near.handle_timeout(now);
        far.handle_timeout(now);
        for _ in 0..2 {
            let there = payloads(&mut near, now);
            deliver(&mut far, now, &there);
            let back = payloads(&mut far, now);
            deliver(&mut near, now, &back);
        }
    }
    assert!(far.take_frame(now, &mut out));
    assert_eq!(out.data, frame(0, true).data);
}

#[test]
fn a_large_frame_leaves_in_a_burst_and_then_evenly() {
    let (mut near, _) = two_flows();
    let start = Instant::from_millis(10);
    payloads(&mut near, start);
    near.send_frame(start, &make_frame(1, None, 150_000, VideoCodec::Mjpeg));
    let mut left = vec![(start, payloads(&mut near, start).len())];
    while near.report().counts.fragments_sent < 100 {
        let now = near.poll_timeout().unwrap();
        left.push((now, payloads(&mut near, now).len()));
    }
    assert!((30..=42).contains(&left[0].1), "{left:?}");
    // Of 1,500 bytes each; ours are shorter.
    assert!(left[1..].iter().all(|&(_, count)| count <= 20), "{left:?}");
    let total: usize = left.iter().map(|l| l.1).sum();
    assert!(left.last().unwrap().0.since(start) < Duration::from_micros(60) * total as u32, "{left:?}");
    assert!(left.last().unwrap().0.since(start) > Duration::from_micros(20) * total as u32, "{left:?}");
}

#[test]
fn a_gap_in_the_encoders_numbers_is_closed_by_a_key_frame() {
    let (mut near, _) = two_flows();
    let now = Instant::from_millis(10);
    near.send_frame(now, &frame(0, true));
    near.send_frame(now, &frame(2, false));
    assert_eq!(near.report().counts.frames_refused, 1);
    payloads(&mut near, now);
    assert!(wants_key(&mut near));
    near.send_frame(now, &frame(3, false));
    assert_eq!(near.report().counts.frames_sent, 1, "still dependent on the one left out");
    near.send_frame(now, &frame(4, true));
    near.send_frame(now, &frame(5, false));
    assert_eq!(near.report().counts.frames_sent, 3);
}

#[test]
fn a_decoder_that_failed_gets_a_key_frame_and_nothing_before_it() {
    let (mut near, mut far) = two_flows();
    let now = Instant::from_millis(10);
    let mut out = EncodedFrame::default();
    near.send_frame(now, &make_frame(0, None, 2_000, VideoCodec::H264));
    deliver(&mut far, now, &payloads(&mut near, now));
    assert!(far.take_frame(now, &mut out));
    far.request_key_frame(now);
    near.send_frame(now, &make_frame(1, Some(0), 2_000, VideoCodec::H264));
    deliver(&mut far, now, &payloads(&mut near, now));
    assert!(!far.take_frame(now, &mut out), "it depends on what the decoder lost");
    deliver(&mut near, now, &payloads(&mut far, now));
    assert!(wants_key(&mut near));
    near.send_frame(now, &make_frame(2, None, 2_000, VideoCodec::H264));
    deliver(&mut far, now, &payloads(&mut near, now));
    assert!(far.take_frame(now, &mut out) && out.key);
}

#[test]
fn what_could_not_leave_for_a_while_is_forgotten_and_begun_anew() {
    let (mut near, mut far) = two_flows();
    let mut now = Instant::from_millis(10);
    for number in 0..60 {
        near.send_frame(now, &make_frame(number, number.checked_sub(1), 3_000, VideoCodec::H264));
        near.handle_timeout(now);
        assert!(number == 0 || near.poll_timeout().is_none(), "nobody polls: nothing is due");
        now += ms(33);
    }
    near.path_changed(now);
    deliver(&mut far, now, &payloads(&mut near, now));
    assert!(!far.take_frame(now, &mut EncodedFrame::default()), "nothing stale was sent");
    assert!(wants_key(&mut near));
}

#[test]
fn a_smaller_buffer_gets_smaller_payloads() {
    let (mut near, mut far) = two_flows();
    let now = Instant::from_millis(10);
    let mut small = [0; 700];
    let mut sent = Vec::new();
    for number in [0, 1] {
        near.send_frame(now, &make_frame(number, None, 5_000, VideoCodec::Mjpeg));
        while let Some(length) = near.poll_payload(now, &mut small) {
            sent.push(small[..length].to_vec());
        }
    }
    assert!(near.report().counts.fragments_unsendable > 0, "the first frame was cut for larger ones");
    deliver(&mut far, now, &sent);
    let (mut out, later) = (EncodedFrame::default(), now + ms(200));
    far.handle_timeout(later);
    assert!(far.take_frame(later, &mut out));
    assert_eq!(out.data, make_frame(1, None, 5_000, VideoCodec::Mjpeg).data);
}

#[test]
fn images_that_a_narrow_path_could_not_carry_come_again_once_it_is_wide() {
    let mut world = World::new(1, Network::even(Path { rate: Some((200_000, 100_000)), ..Path::new(ms(2)) }));
    world.stations.iter_mut().for_each(|s| s.codec = VideoCodec::Mjpeg);
    world.run(SECOND * 4);
    world.network = clean(10);
    world.run(SECOND * 16);
    let (fps, _, _) = world.measure(world.now - SECOND);
    assert!(fps >= 29.0, "{fps:.2} frames/s after the path became wide");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_the_network_does_no_frame_lacks_what_it_depends_on_and_the_picture_comes_back(
        seed: u64, delay_ms in 0u64..80, jitter_ms in 0u64..60, loss in 0.0f64..0.6, burst in 1.0f64..20.0,
        duplicated in 0.0f64..0.3, rate in proptest::option::of(200_000u64..20_000_000), jpeg: bool,
    ) {
        let mut path = Path::new(ms(delay_ms));
        (path.jitter, path.loss, path.burst, path.duplicated) = (ms(jitter_ms), loss, burst, duplicated);
        path.rate = rate.map(|rate| (rate, 100_000));
        let mut world = World::new(seed, Network::even(path));
        if jpeg {
            world.stations.iter_mut().for_each(|s| s.codec = VideoCodec::Mjpeg);
        }
        // The world compares every frame with what was sent, and with the frame before it.
        world.run(SECOND * 4);
        world.network = clean(10);
        // What still stands in the old network's queue takes up to 4 s to come; and who had almost no bits feels the way up.
        world.run(SECOND * 16);
        let (fps, _, _) = world.measure(world.now - SECOND);
        prop_assert!(fps >= 29.0, "{fps:.2} frames/s after the network mended");
    }
}
