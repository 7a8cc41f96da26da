//! Goal: whatever the network does, the delay follows the jitter, comes back, and most of what is lost is mended.
//! Method: a made-up voice over a seeded simulated network, in simulated time; the table is printed
//! (`cargo test network_tests -- --nocapture`).

use super::simulation::{Path, Simulation, TRANSIT_MS, Tape, age_ms};
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
fn delay_follows_jitter_and_little_is_concealed() {
    println!("loss %  jitter ±ms | age ms p50  p99 | target ms | recovered %  concealed %  late %");
    for loss in [0.0, 0.01, 0.05, 0.10, 0.20] {
        let tape = tape((loss * 100.0) as u8 + 1);
        for jitter_ms in [0.0, 10.0, 30.0] {
            let mut simulation = Simulation::new(&tape, Path { loss, jitter_ms, ..Path::default() }, 7);
            simulation.run(Duration::from_secs(10), |_, _| {});
            let before = simulation.playout.counters();
            let (mut ages, mut target) = (Vec::new(), Duration::ZERO);
            simulation.run(Duration::from_secs(60), |pull, playout| {
                ages.extend(age_ms(pull));
                target = playout.target_delay();
            });
            let after = simulation.playout.counters();
            let share = |a: u64, b: u64| (a - b) as f64 / 60.0;
            let recovered = share(after.recovered, before.recovered);
            let concealed = share(after.concealed, before.concealed);
            let late = share(after.late, before.late);
            let (p50, p99) = (percentile(&mut ages, 50), percentile(&mut ages, 99));
            println!(
                "{:6.0}  {jitter_ms:10.0} | {p50:10.1} {p99:5.1} | {:9.1} | {recovered:11.2} {concealed:12.2} {late:7.2}",
                loss * 100.0,
                target.as_secs_f64() * 1e3,
            );
            // What physics asks for: a period to fill the packet, the way, the spread of the jitter or the packet after
            // a lost one, the codec; and what we add: at most a period and a half, and a splice's threshold.
            let wait = f64::max(2.0 * jitter_ms, if loss > 0.0 { 10.0 } else { 0.0 });
            let least = 10.0 + TRANSIT_MS + wait + 6.5;
            assert!(p99 < least + 15.0 + 6.0, "{p99} ms where {least} ms is the least");
            // Two in a row lost cannot be recovered, and the latest 2 % count as lost.
            let missing = loss + 0.02 * f64::from(u8::from(jitter_ms > 0.0));
            assert!(concealed < 100.0 * (missing * missing * 1.3 + missing * 0.5) + 0.3, "{concealed} % concealed");
            assert!(late < 4.0, "{late} % late");
            assert_eq!(after.streams, 1);
        }
    }
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

#[test]
fn a_gap_fades_to_silence_and_back_without_a_click() {
    let tape = Tape::tone();
    let path = Path { stall_ms: Some((2_000, 4_000)), ..Path::default() };
    let mut simulation = Simulation::new(&tape, path, 5);
    let mut sound = Vec::new();
    simulation.run(Duration::from_secs(6), |pull, _| sound.extend_from_slice(&pull.period));
    let silent = sound[48_000 * 2..48_000 * 4].iter().filter(|s| **s == 0).count();
    assert!(silent > 48_000 * 3 / 2, "{silent} sample frames of silence in two seconds of gap");
    let step = sound.windows(2).map(|w| i32::from(w[1]) - i32::from(w[0])).map(i32::abs).max().unwrap();
    // The tone itself steps by 461 at most (8,000 × 2π × 440 / 48,000).
    assert!(step < 461 * 2, "a step of {step}");
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
