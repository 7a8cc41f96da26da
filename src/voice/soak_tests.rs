//! Goal: after three days the voice is as it was in the first minutes. Method: two stations in simulated time, whose cards
//! differ by hundreds of ppm and wander with the day's warmth, over a network with bursts of jitter and of loss, and an
//! outage now and then. By default twenty minutes; `VISAVIS_SOAK_HOURS=72 cargo test --release --lib voice::soak` takes the
//! three days in less than half an hour.

use super::simulation::{Path, Simulation, Tape, age_ms};
use super::*;
use crate::time::Duration;

/// A round of what happens to the network; from minute 8 on it is quiet, and the end of that is measured.
const ROUND_S: u64 = 600;
const MEASURED_S: u64 = 10;

/// What a round left behind: the mean delay in quiet, and the playout's counters.
struct Left {
    age_ms: f64,
    counters: PlayoutCounters,
}

/// What the network is in that second of a round.
fn path_at(second: u64, round: u64, still: Path) -> Path {
    match second {
        // An outage, of one second and of up to eight.
        60..70 => {
            let from_ms = round * ROUND_S * 1_000 + 60_000;
            Path { stall_ms: Some((from_ms, from_ms + 1_000 * (1 + round % 8))), ..still }
        }
        120..150 => Path { jitter_ms: 20.0, ..still },
        200..260 => Path { loss: 0.05, ..still },
        300..310 => Path { jitter_ms: 60.0, loss: 0.2, ..still },
        400..430 => Path { jitter_ms: 5.0, loss: 0.01, ..still },
        _ => still,
    }
}

fn rounds(count: u64, still: Path, seed: u64) -> Vec<Left> {
    let tape = Tape::tone();
    let mut simulation = Simulation::new(&tape, still, seed);
    let mut round = |round| {
        let (mut sum, mut heard) = (0.0, 0);
        for second in 0..ROUND_S {
            simulation.path = path_at(second, round, still);
            simulation.run(Duration::from_secs(1), |pull, _| {
                if second >= ROUND_S - MEASURED_S
                    && let Some(age) = age_ms(pull)
                {
                    (sum, heard) = (sum + age, heard + 1);
                }
            });
        }
        assert_eq!(heard, MEASURED_S * 100, "in quiet all is played, in round {round}");
        Left { age_ms: sum / heard as f64, counters: simulation.playout.counters() }
    };
    (0..count).map(&mut round).collect()
}

#[test]
fn after_days_the_voice_is_as_it_was_at_the_beginning() {
    let hours = std::env::var("VISAVIS_SOAK_HOURS").ok().and_then(|hours| hours.parse().ok()).unwrap_or(1.0 / 3.0);
    let count = ((hours * 3_600.0 / ROUND_S as f64) as u64).max(2);
    let station = |ppm: f64| Path { sender_ppm: ppm, playback_ppm: -ppm / 3.0, wander_ms: 10.0, ..Path::default() };
    let both = std::thread::scope(|scope| {
        [210.0, -210.0].map(|ppm| scope.spawn(move || rounds(count, station(ppm), 5))).map(|run| run.join().unwrap())
    });
    for rounds in both {
        let (first, last) = (&rounds[0], &rounds[rounds.len() - 1]);
        let each = last.counters.concealed as f64 / count as f64 / first.counters.concealed as f64;
        println!("{hours} h: {:.1} ms, and {:.1} ms at the end; {:?}", first.age_ms, last.age_ms, last.counters);
        let furthest = rounds.iter().map(|round| (round.age_ms - first.age_ms).abs()).fold(0.0, f64::max);
        assert!(furthest < 5.0, "{furthest} ms away from the beginning");
        // The outages differ in length.
        assert!((0.5..3.0).contains(&each), "{each} times as much made up as in the first round");
    }
}
