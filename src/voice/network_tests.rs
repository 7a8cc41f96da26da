//! Goal: whatever the network does, the delay comes back, and a gap is no click. How the delay follows the jitter, and how
//! much of what is lost is mended, is in `table_tests.rs`. Method: a made-up voice over a seeded simulated network, in
//! simulated time.

use super::simulation::{Path, Simulation, Tape, age_ms};
use super::*;
use crate::codec::opus::OpusConfig;
use crate::codec::opus::tests::voice;
use crate::time::{Duration, Instant};

fn tape(expected_loss_percent: u8) -> Tape {
    Tape::of(&voice(500), OpusConfig { expected_loss_percent, ..OpusConfig::default() })
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

#[test]
fn after_two_seconds_of_stall_the_burst_does_not_leave_delay_behind() {
    let tape = tape(5);
    let path = Path { jitter_ms: 5.0, stall_ms: Some((20_000, 22_000)), ..Path::default() };
    let mut simulation = Simulation::new(&tape, path, 3);
    let mut ages = Vec::new();
    simulation.run(Duration::from_secs(19), |pull, _| ages.extend(age_ms(pull)));
    let before = percentile(&mut ages, 50);
    simulation.run(Duration::from_secs(3), |_, _| {});
    let mut after = Vec::new();
    simulation.run(Duration::from_secs(1), |pull, _| after.extend(age_ms(pull)));
    assert!(after.len() > 90, "sound is back within a second");
    let worst = percentile(&mut after, 100);
    assert!(worst < before + 20.0, "{worst} ms after the stall, {before} ms before");
}

#[test]
fn a_stall_of_our_own_is_skipped_at_once() {
    let tape = tape(5);
    let mut playout = Playout::new(PlayoutConfig::default()).unwrap();
    let mut period = [0; 480];
    let packet_at =
        |n: u64| (tape.packet(n, Instant::from_millis(1_000 + 10 * n)), Instant::from_millis(1_030 + 10 * n));
    let mut age = |playout: &mut Playout, n: u64| {
        let now = Instant::from_millis(1_035 + 10 * n);
        playout.pull(now, &mut period).captured_at.map(|at| now.since(at).as_millis())
    };
    let mut before = None;
    for n in 0..300 {
        let (packet, at) = packet_at(n);
        playout.handle_packet(&packet, at);
        before = age(&mut playout, n);
    }
    // Two seconds without a pull; what arrived meanwhile is handed over at the end of it.
    for n in 300..500 {
        playout.handle_packet(&packet_at(n).0, Instant::from_millis(1_030 + 5_000));
    }
    let ages: Vec<_> = (500..520)
        .filter_map(|n| {
            let (packet, at) = packet_at(n);
            playout.handle_packet(&packet, at);
            age(&mut playout, n)
        })
        .collect();
    let worst = ages.iter().max().copied();
    assert!(ages.len() > 15 && worst <= before.map(|b| b + 20), "{ages:?} ms after, {before:?} ms before");
}

#[test]
fn a_sender_that_starts_anew_is_followed_at_once() {
    let tape = tape(5);
    let mut playout = Playout::new(PlayoutConfig::default()).unwrap();
    let mut period = [0; 480];
    let mut heard = 0;
    for n in 0..600u64 {
        // After three seconds the sequence numbers begin again.
        let captured_at = Instant::from_millis(1_000 + 10 * n);
        playout.handle_packet(&tape.packet(n % 300, captured_at), captured_at + Duration::from_millis(30));
        let now = captured_at + Duration::from_millis(35);
        let played = playout.pull(now, &mut period);
        heard += u64::from(n >= 300 && played.captured_at.is_some_and(|at| now.since(at) < Duration::from_millis(90)));
    }
    assert_eq!(playout.counters().streams, 2);
    assert!(heard > 290, "{heard} of 300 periods of the second stream");
}

/// What is heard of this in six seconds of which the third and the fourth do not arrive.
fn heard_with_a_gap(tape: &Tape) -> Vec<i16> {
    let path = Path { stall_ms: Some((2_000, 4_000)), ..Path::default() };
    let (mut simulation, mut sound) = (Simulation::new(tape, path, 5), Vec::new());
    simulation.run(Duration::from_secs(6), |pull, _| sound.extend_from_slice(&pull.period));
    sound
}

#[test]
fn a_gap_fades_away_and_back_without_a_click() {
    let sound = heard_with_a_gap(&Tape::tone());
    // A tone is no noise: what is left is at the most that a room's noise can be, −50 dBFS.
    let quiet = sound[48_000 * 2..48_000 * 4].iter().filter(|s| s.unsigned_abs() < 330).count();
    assert!(quiet > 48_000 * 3 / 2, "{quiet} sample frames of quiet in two seconds of gap");
    let step = sound.windows(2).map(|w| i32::from(w[1]) - i32::from(w[0])).map(i32::abs).max().unwrap();
    // The tone itself steps by 461 at most (8,000 × 2π × 440 / 48,000).
    assert!(step < 461 * 2, "a step of {step}");
}

#[test]
fn in_a_gap_the_far_room_goes_on_and_who_is_muted_is_silent() {
    let mut random = simulation::Random::new(13);
    let mut noise = |peak: f64| -> Vec<_> {
        (0..500).map(|_| core::array::from_fn(|_| (peak * (2.0 * random.share() - 1.0)) as i16)).collect()
    };
    let level = |sound: &[i16]| sound.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / sound.len() as f64;
    let sound = heard_with_a_gap(&Tape::of(&noise(60.0), OpusConfig::default()));
    let (before, within) = (level(&sound[48_000..96_000]), level(&sound[48_000 * 5 / 2..48_000 * 7 / 2]));
    let louder_db = 10.0 * (within / before).log10();
    assert!(louder_db.abs() < 4.0, "{louder_db:.1} dB louder than the room was");
    let sound = heard_with_a_gap(&Tape::of(&noise(0.0), OpusConfig::default()));
    // But for what the decoder rounds.
    let loudest = sound.iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest <= Some(2), "muted, and heard at {loudest:?}");
}

#[test]
fn no_packet_can_make_it_panic() {
    let mut random = simulation::Random::new(11);
    let mut playout = Playout::new(PlayoutConfig::default()).unwrap();
    let mut period = [0; 480];
    let odd = |random: &mut simulation::Random| match (random.share() * 6.0) as u32 {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << 63,
        3 => (random.share() * 1e12) as u64,
        _ => (random.share() * 1e9) as u64,
    };
    for n in 0..20_000u64 {
        let mut payload = heapless::Vec::new();
        payload.resize((random.share() * 60.0) as usize, (random.share() * 256.0) as u8).unwrap();
        let sequence = if n % 3 == 0 { odd(&mut random) as u32 } else { n as u32 };
        let captured_at = Instant::from_nanos(odd(&mut random));
        let packet = crate::media::SoundPacket { sequence, captured_at, payload };
        playout.handle_packet(&packet, Instant::from_nanos(odd(&mut random)));
        playout.pull(Instant::from_nanos(odd(&mut random)), &mut period);
        let _ = (playout.delay(), playout.target_delay());
    }
}
