//! How many frames come out, and how old, by loss and round trip. Bounds are asserted; the table is printed for review
//! (`cargo test --lib flow::tests::table -- --nocapture`).

use super::*;
use crate::time::{Duration, Instant};

/// Half a minute of video and sound both ways, after a second to settle.
fn run(loss: f64, rtt_ms: u64, seed: u64) -> World {
    let mut path = Path::new(Duration::from_micros(rtt_ms * 500));
    path.loss = loss;
    let mut world = World::new(seed, Network::even(path));
    world.run(Duration::from_secs(31));
    world
}

#[test]
fn frames_come_out_whole_and_soon_over_loss_and_round_trips() {
    println!("loss  rtt | frames/s   p50   p95 ms | frozen ms  nacks  repeats  sent datagrams/s");
    // For each loss: frames a second at the least, at round trips of 2, 10 and 40 ms; and the 95th percentile of age.
    let bounds = [
        (0.00, [29.9, 29.9, 29.9], [8.0, 12.0, 28.0]),
        (0.01, [29.9, 29.9, 29.5], [15.0, 30.0, 75.0]),
        (0.05, [29.5, 29.5, 29.0], [20.0, 35.0, 95.0]),
        (0.10, [29.5, 29.0, 27.0], [25.0, 45.0, 130.0]),
    ];
    for (loss, least_fps, most_p95_ms) in bounds {
        for (at, rtt_ms) in [2, 10, 40].into_iter().enumerate() {
            let world = run(loss, rtt_ms, 7 + rtt_ms);
            let (fps, p50, p95) = world.measure(Instant::from_millis(1_000));
            let [near, far] = world.stations.each_ref().map(|s| s.flow.report());
            println!(
                "{:3.0} % {rtt_ms:4} | {fps:8.2} {p50:5.1} {p95:5.1}    | {:9.0} {:6} {:8} {:8.0}",
                loss * 100.0,
                far.frozen.as_secs_f64() * 1e3,
                far.counts.nacks_sent,
                near.counts.fragments_repeated,
                world.stations[0].datagrams as f64 / 31.0,
            );
            assert!(fps >= least_fps[at], "{fps:.2} frames/s");
            assert!(p95 <= most_p95_ms[at], "p95 {p95:.1} ms");
        }
    }
}
