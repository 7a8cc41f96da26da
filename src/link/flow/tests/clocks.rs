//! What a flow says of times in the other station's clock.

use super::*;
use crate::time::{Duration, Instant};

fn world(seed: u64, drift_ppm: f64, jitter_ms: u64) -> World {
    let mut path = Path::new(Duration::from_millis(3));
    path.jitter = Duration::from_millis(jitter_ms);
    let mut world = World::new(seed, Network::even(path));
    world.stations[1].drift_ppm = drift_ppm;
    world
}

/// The flow's offset at station 0, minus the truth, in milliseconds.
fn offset_error_ms(world: &World) -> f64 {
    let [near, far] = &world.stations;
    let truth = far.local(world.now).signed_since(near.local(world.now));
    let offset = near.flow.report().offset_ns.expect("measured");
    (offset - truth) as f64 / 1e6
}

#[test]
fn the_offset_is_known_before_the_first_picture() {
    let mut world = world(1, 0.0, 0);
    world.run(Duration::from_millis(50));
    assert!(offset_error_ms(&world).abs() < 0.01);
    let rtt = world.stations[0].flow.report().rtt_min.unwrap();
    assert!((rtt.as_secs_f64() * 1e3 - 6.0).abs() < 0.1, "{rtt:?}");
}

#[test]
fn the_offset_stays_true_under_jitter_and_drift() {
    for drift_ppm in [-300.0, 0.0, 300.0] {
        let mut world = world(2, drift_ppm, 10);
        let mut errors_ms = Vec::new();
        for _ in 0..150 {
            world.run(Duration::from_secs(1));
            let error_ms = offset_error_ms(&world);
            errors_ms.push(error_ms.abs());
            // Jitter alone makes a half round trip wrong by up to 5 ms; the pings together are far better.
            assert!(error_ms.abs() < 4.0, "{error_ms:.2} ms off at {:?}, {drift_ppm} ppm", world.now);
        }
        errors_ms.sort_by(f64::total_cmp);
        println!("{drift_ppm} ppm: half of the time within {:.2} ms, always {:.2} ms", errors_ms[75], errors_ms[149]);
        assert!(errors_ms[75] < 1.5, "{:.2} ms off half of the time at {drift_ppm} ppm", errors_ms[75]);
    }
}

#[test]
fn capture_times_come_out_in_our_clock() {
    let mut world = world(3, 300.0, 2);
    world.run(Duration::from_secs(120));
    for shown in &world.stations[1].shown {
        assert!(shown.capture_error_ns.abs() < 2_500_000, "{shown:?}");
    }
    assert!(world.stations[1].shown.len() > 3_500);
}

#[test]
fn capture_times_survive_the_wrap_of_their_32_bits() {
    let mut world = world(4, 0.0, 0);
    // Station 0's microseconds wrap 2 s from now.
    let wrap = (1u64 << 32) * 1_000 * 77;
    let now = Instant::from_nanos(wrap - 2_000_000_000);
    world.stations[0].clock_zero = now;
    world.stations[0].flow = crate::link::flow::Flow::new(now, Default::default());
    world.run(Duration::from_secs(4));
    assert!(world.stations[1].shown.len() > 110);
    assert!(world.stations[1].shown.iter().all(|s| s.capture_error_ns.abs() < 100_000));
}
