//! Goal: what each way to repair a loss is worth, by round trip and loss, is under review. Method: one direction of a call
//! through a path that loses datagrams at random or in runs, with requests alone, parities alone and both. **At equal bits**: in each
//! second the pictures get as much as the second before left of 2.4 Mbit/s for everything that is sent. Means of three seeds;
//! compared with `repair.txt` as a whole. Where a change of it is for the better, what is printed takes its place.

use super::*;
use crate::link::flow::{Flow, FlowConfig, Repair};
use crate::time::{Duration, Instant};
use core::fmt::Write;

const SECOND: Duration = Duration::from_secs(1);
/// Everything that leaves, headers too.
const BYTES_A_SECOND: f64 = 300_000.0;
const SEEDS: u64 = 3;
const SECONDS: u32 = 24;
/// For the share of bits to settle, and the loss to be known.
const SETTLING: u32 = 4;

/// What came of a call.
#[derive(Clone, Copy, Default)]
struct Outcome {
    fps: f64,
    p50_ms: f64,
    p95_ms: f64,
    frozen_percent: f64,
    picture_mbps: f64,
    parities_a_frame: f64,
}

impl Outcome {
    fn add(&mut self, other: &Outcome) {
        self.fps += other.fps;
        self.p50_ms += other.p50_ms;
        self.p95_ms += other.p95_ms;
        self.frozen_percent += other.frozen_percent;
        self.picture_mbps += other.picture_mbps;
        self.parities_a_frame += other.parities_a_frame;
    }
}

fn call(rtt_ms: u64, (loss, run): (f64, f64), repair: Repair, seed: u64) -> Outcome {
    let path = Path { loss, burst: run, ..Path::new(Duration::from_micros(rtt_ms * 500)) };
    let mut world = World::new(seed, Network::even(path));
    for station in &mut world.stations {
        station.flow = Flow::new(station.clock_zero, FlowConfig { repair, ..FlowConfig::default() });
    }
    let mut picture_bytes = 0.0;
    let mut settled = None;
    for second in 0..SECONDS {
        let (sent, frames) = (world.stations[0].bytes as f64, world.stations[0].frame_bytes as f64);
        if second == SETTLING {
            settled = Some((world.now, world.stations.each_ref().map(|s| s.flow.report())));
        }
        world.run(SECOND);
        let beside = world.stations[0].bytes as f64 - sent - frames * 30.0;
        picture_bytes += if settled.is_some() { frames * 30.0 } else { 0.0 };
        // Half of the way, lest it swings.
        world.stations[0].frame_bytes = ((frames + (BYTES_A_SECOND - beside) / 30.0) / 2.0).max(500.0) as usize;
    }
    let (from, [near_before, far_before]) = settled.unwrap_or((Instant::ZERO, Default::default()));
    let [near, far] = world.stations.each_ref().map(|s| s.flow.report());
    let seconds = world.now.since(from).as_secs_f64();
    let (fps, p50_ms, p95_ms) = world.measure(from);
    let frames = (near.counts.frames_sent - near_before.counts.frames_sent) as f64;
    Outcome {
        fps,
        p50_ms,
        p95_ms,
        frozen_percent: 100.0 * (far.frozen - far_before.frozen).as_secs_f64() / seconds,
        picture_mbps: picture_bytes * 8.0 / seconds / 1e6,
        parities_a_frame: (near.counts.parities_sent - near_before.counts.parities_sent) as f64 / frames,
    }
}

fn line(name: &str, rtt_ms: u64, loss: (f64, f64), repair: Repair) -> String {
    let mut sum = Outcome::default();
    (1..=SEEDS).for_each(|seed| sum.add(&call(rtt_ms, loss, repair, seed)));
    let seeds = SEEDS as f64;
    format!(
        "{name:44} {:6.1} {:6.0} {:6.0} {:9.1} {:9.2} {:9.2}",
        sum.fps / seeds,
        sum.p50_ms / seeds,
        sum.p95_ms / seeds,
        sum.frozen_percent / seeds,
        sum.picture_mbps / seeds,
        sum.parities_a_frame / seeds,
    )
}

#[test]
fn each_way_to_repair_a_loss_does_what_was_reviewed() {
    let mut table = String::from(
        "round trip, loss, what is done                fps/s    p50    p95  frozen %  pictures  parities\n",
    );
    let losses = [("1 %", (0.01, 1.0)), ("5 %", (0.05, 1.0)), ("10 %", (0.10, 1.0)), ("5 % in runs of 4", (0.05, 4.0))];
    let ways = [
        ("requests", Repair { requests: true, parity: false }),
        ("parities", Repair { requests: false, parity: true }),
        ("both", Repair::default()),
    ];
    for rtt_ms in [10, 60, 150] {
        for (said, loss) in losses {
            for (way, repair) in ways {
                let name = format!("{rtt_ms} ms, {said}, {way}");
                writeln!(table, "{}", line(&name, rtt_ms, loss, repair)).unwrap();
            }
        }
    }
    println!("{table}");
    assert_eq!(table, include_str!("repair.txt"));
}
