//! Goal: the delay is what the network's jitter asks for and not more, and most of what is lost is mended; by how much stands
//! in `table.txt`, to be looked at by whoever changes it (`VISAVIS_WRITE_TABLES=1 cargo test --lib voice::table` writes it).
//!
//! Method: a made-up voice with a chirp in each half second, over a seeded network in simulated time. Delays are those of the
//! chirps, found by correlation in what the card was given: from the microphone to there, the codec included and both cards'
//! buffers not. What was made up is the simulation's truth too: where no chirp and no voice of the far side was played.

use super::simulation::{FIRST_PULL_MS, Path, Simulation, TRANSIT_MS, Tape, age_ms};
use crate::codec::opus::OpusConfig;
use crate::codec::opus::tests::voice;
use crate::media::PERIOD;
use crate::time::Duration;
use core::f64::consts::TAU;
use std::fmt::Write as _;

/// Periods from one chirp to the next, and of the first.
const CHIRP_EVERY: usize = 50;
const CHIRP_AT: usize = 25;
/// Sample frames of a chirp: 20 ms, from 500 to 3,000 Hz.
const CHIRP: usize = 960;
/// Of so many sample frames one is looked at: 12 kHz, of which a chirp has nothing.
const THINNED: usize = 4;
/// A chirp is found where it is that much alike; else it was lost.
const ALIKE: f32 = 0.6;
/// No delay is longer.
const DELAY_MAX_MS: usize = 300;

fn chirp(n: usize) -> f64 {
    let (t, length) = (n as f64 / 48e3, CHIRP as f64 / 48e3);
    (TAU * (500.0 * t + (3_000.0 - 500.0) / (2.0 * length) * t * t)).sin()
}

/// Five seconds of a voice that makes way for the chirps.
fn tape(expected_loss_percent: u8) -> Tape {
    let mut sound = voice(500);
    for (n, period) in sound.iter_mut().enumerate() {
        let since = (n + CHIRP_EVERY - CHIRP_AT) % CHIRP_EVERY;
        if since < 2 {
            *period = core::array::from_fn(|i| (9_000.0 * chirp(since * PERIOD + i)) as i16);
        } else if !(5..=CHIRP_EVERY - 3).contains(&since) {
            *period = [0; PERIOD];
        }
    }
    Tape::of(&sound, OpusConfig { expected_loss_percent, ..OpusConfig::default() })
}

fn thinned(sound: impl IntoIterator<Item = f32>) -> Vec<f32> {
    let sound: Vec<f32> = sound.into_iter().collect();
    sound.chunks_exact(THINNED).map(|chunk| chunk.iter().sum::<f32>() / THINNED as f32).collect()
}

/// The delays of the chirps in what was played from the start of the simulation on, in milliseconds; of those that came.
fn delays_ms(played: &[i16], from_s: usize) -> Vec<f64> {
    let played = thinned(played.iter().map(|sample| f32::from(*sample) / 32_768.0));
    let wanted = thinned((0..CHIRP).map(|n| chirp(n) as f32));
    let norm = |sound: &[f32]| sound.iter().map(|s| s * s).sum::<f32>().sqrt().max(1e-6);
    let own = norm(&wanted);
    let spoken = (CHIRP_AT * PERIOD..).step_by(CHIRP_EVERY * PERIOD).map(|at| at / THINNED);
    let find = |at: usize| {
        let near = played.get(at..at + DELAY_MAX_MS * 12)?;
        let alike = |heard: &[f32]| heard.iter().zip(&wanted).map(|(a, b)| a * b).sum::<f32>() / (own * norm(heard));
        let all = near.windows(wanted.len()).map(alike).enumerate();
        let (later, alike) = all.max_by(|a, b| a.1.total_cmp(&b.1))?;
        // The card's first sample is heard when it is pulled first.
        (alike > ALIKE).then(|| later as f64 / 12.0 + FIRST_PULL_MS)
    };
    spoken.take_while(|at| *at < played.len()).skip(from_s * 2).filter_map(find).collect()
}

/// What a minute of a network brought.
struct Brought {
    mean_ms: f64,
    p95_ms: f64,
    /// What the playout says of it itself, on average.
    stated_ms: f64,
    recovered_percent: f64,
    concealed_percent: f64,
    /// Stretches of 20 ms and more that were made up, in a minute, and the longest.
    gaps: usize,
    gap_ms: usize,
    chirps: usize,
}

/// The longest row of periods that were made up, and how many rows were longer than one.
#[derive(Default)]
struct Gaps {
    now: usize,
    longest: usize,
    count: usize,
}

impl Gaps {
    fn note(&mut self, made_up: u64) {
        self.now = if made_up > 0 { self.now + made_up as usize } else { 0 };
        self.count += usize::from(made_up > 0 && self.now >= 2 && self.now - (made_up as usize) < 2);
        self.longest = self.longest.max(self.now);
    }
}

fn minute(loss: f64, jitter_ms: f64) -> Brought {
    const SETTLE_S: usize = 10;
    let tape = tape((loss * 100.0) as u8);
    let mut simulation = Simulation::new(&tape, Path { loss, jitter_ms, ..Path::default() }, 7);
    let (mut played, mut ages, mut gaps) = (Vec::new(), Vec::new(), Gaps::default());
    simulation.run(Duration::from_secs(SETTLE_S as u64), |pull, _| played.extend_from_slice(&pull.period));
    let before = simulation.playout.counters();
    let mut last = before.concealed;
    simulation.run(Duration::from_secs(60), |pull, playout| {
        played.extend_from_slice(&pull.period);
        ages.extend(age_ms(pull));
        let concealed = playout.counters().concealed;
        gaps.note(concealed - last);
        last = concealed;
    });
    let after = simulation.playout.counters();
    assert_eq!(after.streams, 1);
    let mut delays = delays_ms(&played, SETTLE_S);
    delays.sort_by(f64::total_cmp);
    Brought {
        mean_ms: delays.iter().sum::<f64>() / delays.len() as f64,
        p95_ms: delays[(delays.len() - 1) * 95 / 100],
        stated_ms: ages.iter().sum::<f64>() / ages.len() as f64,
        recovered_percent: (after.recovered - before.recovered) as f64 / 60.0,
        concealed_percent: (after.concealed - before.concealed) as f64 / 60.0,
        gaps: gaps.count,
        gap_ms: gaps.longest * 10,
        chirps: delays.len(),
    }
}

/// What a change of the jitter brought, and the change back five seconds later.
struct Changed {
    /// Made up within two seconds of the change, in milliseconds.
    concealed_ms: u64,
    /// Until the delay is within 10 ms of what it is at the end of these five seconds.
    grown_after_ms: usize,
    /// From the change back until it is within 10 ms of what it was before.
    shrunk_after_ms: usize,
}

fn changed(jitter_ms: f64) -> Changed {
    let tape = tape(1);
    let mut simulation = Simulation::new(&tape, Path::default(), 7);
    let ages = |simulation: &mut Simulation, seconds| {
        let mut ages = Vec::new();
        simulation.run(Duration::from_secs(seconds), |pull, _| ages.push(age_ms(pull)));
        ages
    };
    let before = ages(&mut simulation, 10)[999].unwrap();
    let concealed = simulation.playout.counters().concealed;
    simulation.path.jitter_ms = jitter_ms;
    let mut during = ages(&mut simulation, 2);
    let concealed_ms = (simulation.playout.counters().concealed - concealed) * 10;
    during.extend(ages(&mut simulation, 3));
    simulation.path.jitter_ms = 0.0;
    let after = ages(&mut simulation, 20);
    let grown = during.iter().rev().find_map(|age| *age).unwrap();
    let until = |ages: &[Option<f64>], goal: f64| {
        ages.iter().position(|age| age.is_some_and(|age| (age - goal).abs() < 10.0)).map_or(usize::MAX, |at| at * 10)
    };
    Changed { concealed_ms, grown_after_ms: until(&during, grown), shrunk_after_ms: until(&after, before) }
}

const LOSSES: [f64; 5] = [0.0, 0.01, 0.05, 0.10, 0.20];
const JITTERS_MS: [f64; 3] = [0.0, 10.0, 30.0];

#[test]
fn delay_and_mending_are_those_of_the_table() {
    let rows: Vec<Vec<Brought>> = std::thread::scope(|scope| {
        let row = |loss| scope.spawn(move || JITTERS_MS.map(|jitter_ms| minute(loss, jitter_ms)).into());
        let rows = LOSSES.map(row);
        rows.map(|row| row.join().unwrap()).into()
    });
    let mut table = String::from(
        "# Loss, and jitter around the mean -> delay from the microphone to the loudspeaker's card, of which 20 ms and the\n\
         # jitter are the way's; shares of periods; stretches of 20 ms and more that were made up, in a minute, and the longest.\n\
         # loss %  jitter ±ms | mean ms  p95 ms | recovered %  concealed % | gaps  longest ms\n",
    );
    for (loss, row) in LOSSES.into_iter().zip(&rows) {
        for (jitter_ms, brought) in JITTERS_MS.into_iter().zip(row) {
            let Brought { mean_ms, p95_ms, stated_ms, recovered_percent, concealed_percent, gaps, gap_ms, chirps } =
                brought;
            let _ = writeln!(
                table,
                "{:8.0}  {jitter_ms:10.0} | {mean_ms:7.0} {p95_ms:7.0} | {recovered_percent:11.1} {concealed_percent:12.1} | {gaps:4} {gap_ms:11}",
                loss * 100.0,
            );
            assert!((mean_ms - stated_ms).abs() < 1.5, "{mean_ms} ms, and the playout says {stated_ms}");
            assert!(*chirps > 60, "{chirps} of 120 chirps");
            hold_to_bounds(loss, jitter_ms, brought);
        }
    }
    table.push_str(
        "# The jitter begins, and ends 5 s later -> made up within 2 s; until the delay has grown to it; until it is back.\n\
         # jitter ±ms | made up ms  grown ms | back ms\n",
    );
    for jitter_ms in [10.0, 30.0, 60.0] {
        let Changed { concealed_ms, grown_after_ms, shrunk_after_ms } = changed(jitter_ms);
        let _ = writeln!(table, "{jitter_ms:12.0} | {concealed_ms:10} {grown_after_ms:9} | {shrunk_after_ms:7}");
        assert!(shrunk_after_ms < 10_000, "{shrunk_after_ms} ms");
    }
    reviewed("src/voice/table.txt", include_str!("table.txt"), &table);
}

/// What must be, whatever the table says.
fn hold_to_bounds(loss: f64, jitter_ms: f64, brought: &Brought) {
    let Brought { p95_ms, concealed_percent, .. } = brought;
    // With the period that each card holds.
    assert!(p95_ms + 20.0 <= if jitter_ms > 0.0 { 150.0 } else { 80.0 }, "{p95_ms} ms");
    // What physics asks for: a period to fill the packet, the way, the spread of the jitter or the packet after a lost one,
    // the codec; and what we add: at most a period and a half.
    let following_ms = if loss > 0.0 { 10.0 + 0.8 * 2.0 * jitter_ms } else { 0.0 };
    let least_ms = 10.0 + TRANSIT_MS + f64::max(2.0 * jitter_ms, following_ms) + 6.5;
    assert!(p95_ms < &(least_ms + 15.0), "{p95_ms} ms where {least_ms} ms is the least");
    // Two in a row lost cannot be mended, and the latest 2 % count as lost.
    let missing = loss + if jitter_ms > 0.0 { 0.02 } else { 0.0 };
    let most = 100.0 * missing * (missing * 1.3 + 0.1) + 0.3;
    assert!(concealed_percent < &most, "{concealed_percent} % concealed, and {most} % at most");
}

/// Holds a table against the one that was looked at, or writes it.
fn reviewed(path: &str, kept: &str, found: &str) {
    if std::env::var_os("VISAVIS_WRITE_TABLES").is_some() {
        std::fs::write(path, found).unwrap();
    } else {
        assert_eq!(found, kept, "{path} is no longer true; found was\n{found}");
    }
}
