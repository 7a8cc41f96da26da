//! Goal: what is measured is what a voice takes, through noise and over a bad network, and what cannot be measured is said to
//! be so. Method: the real chain, cleaning and codec and playout, of two stations in one simulated room; held against the
//! time that each period itself says it was captured at.

use super::super::simulation::Random;
use super::super::{Playout, PlayoutConfig, Talk};
use super::{Chirps, Listener, TRIES, Try, Turn};
use crate::codec::opus::OpusConfig;
use crate::media::{PERIOD, PERIOD_TIME, Period, SoundPacket};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// What stands in the room, and what lies between the stations.
#[derive(Clone, Copy)]
struct Room {
    /// How loud the loudspeaker is at its own microphone, and at the other station's.
    here: f32,
    there: f32,
    /// Highest sample of the room's noise.
    noise: f32,
    /// Share of packets lost.
    loss: f64,
    /// Packets arrive up to so much later than the first could.
    jitter_ms: f64,
}

const QUIET: Room = Room { here: 0.5, there: 0.2, noise: 10.0, loss: 0.0, jitter_ms: 0.0 };

/// From the loudspeaker to the microphones: sound cards' buffers, then 1 ms through the air and 4 to the other station.
const HERE: usize = 20 * 48;
const THERE: usize = 23 * 48;
/// Periods from a chirp to its copy, about.
const COPY_PERIODS: usize = 7;
/// The network's own time.
const TRANSIT_MS: f64 = 8.0;

/// What became of each chirp, and how old the period itself said that it was in which the copy came, or nearly so.
fn measure(room: Room) -> (Vec<Try>, Vec<Duration>) {
    let mut random = Random::new(7);
    let (mut chirps, mut listener) = (Chirps::default(), Listener::default());
    let mut talk = Talk::new(OpusConfig::default(), true).unwrap();
    let mut playout = Playout::new(PlayoutConfig::default()).unwrap();
    let mut air: VecDeque<i16> = vec![0; THERE + PERIOD].into();
    let mut network: Vec<(Instant, SoundPacket)> = Vec::new();
    let (mut tries, mut said, mut ages, mut begun) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for n in 0..2_000u64 {
        let now = Instant::from_millis(5_000 + 10 * n);
        let mut far = [0; PERIOD];
        network.sort_by_key(|(at, _)| *at);
        while network.first().is_some_and(|(at, _)| *at <= now) {
            let (at, packet) = network.remove(0);
            playout.handle_packet(&packet, at);
        }
        let played = playout.pull(now, &mut far);
        ages.push(played.captured_at.map_or(Duration::ZERO, |at| now.since(at)));
        match chirps.mix(n >= 300, &mut far) {
            Turn::Over => break,
            Turn::Probing { begins: true } => {
                listener.begin();
                begun = ages.len();
            }
            _ => {}
        }
        air.extend(far);
        air.drain(..PERIOD);
        let mut hears = |delay: usize, gain: f32| -> Period {
            let from = air.len() - PERIOD - delay;
            core::array::from_fn(|i| {
                let noise = room.noise * (2.0 * random.share() as f32 - 1.0);
                (gain * f32::from(air[from + i]) + noise) as i16
            })
        };
        let near = hears(HERE, room.here);
        let there = hears(THERE, room.there);
        if let Some(result) = listener.handle(&near) {
            tries.push(result);
            said.push(ages[begun + COPY_PERIODS]);
        }
        talk.handle_far_end(&[0; PERIOD], now);
        let mut packet = SoundPacket { sequence: 0, captured_at: now, payload: heapless::Vec::new() };
        talk.handle_near_end(&there, now, false, &mut packet).unwrap();
        if random.share() >= room.loss {
            let way_ms = TRANSIT_MS + room.jitter_ms * random.share();
            network.push((now + PERIOD_TIME + Duration::from_secs_f64(way_ms * 1e-3), packet));
        }
    }
    (tries, said)
}

fn back(tries: &[Try]) -> Vec<Duration> {
    tries
        .iter()
        .filter_map(|t| match t {
            Try::Back(time) => Some(*time),
            _ => None,
        })
        .collect()
}

/// From the period that the loudspeaker is given to the other station's microphone, which no period knows of: [`THERE`].
const WAY: Duration = Duration::from_millis(23);

#[test]
fn what_is_measured_is_what_a_voice_takes() {
    for room in [QUIET, Room { noise: 600.0, ..QUIET }, Room { here: 0.1, there: 0.5, ..QUIET }] {
        let (tries, said) = measure(room);
        let back = back(&tries);
        assert!(back.len() == TRIES, "{tries:?}");
        for (time, age) in back.into_iter().zip(said) {
            let error = time.abs_diff(age + WAY);
            assert!(error < Duration::from_millis(3), "{time:?} where {age:?} and the way were right");
        }
    }
}

#[test]
fn over_a_bad_network_most_chirps_come_back_and_the_median_is_right() {
    let (tries, mut said) = measure(Room { loss: 0.05, jitter_ms: 30.0, ..QUIET });
    let mut back = back(&tries);
    assert!(back.len() >= 8, "{tries:?}");
    back.sort();
    said.sort();
    let age = said[said.len() / 2];
    let error = back[back.len() / 2].abs_diff(age + WAY);
    assert!(error < Duration::from_millis(8), "{back:?} where {age:?} was right");
}

#[test]
fn what_is_not_heard_is_said_to_be() {
    let (tries, _) = measure(Room { there: 0.0, ..QUIET });
    assert_eq!(tries, [Try::UnheardThere; TRIES]);
    let (tries, _) = measure(Room { here: 0.0, ..QUIET });
    assert_eq!(tries, [Try::UnheardHere; TRIES]);
    let (tries, _) = measure(Room { noise: 20_000.0, here: 0.01, there: 0.01, ..QUIET });
    assert_eq!(tries, [Try::UnheardHere; TRIES]);
}

#[test]
fn a_measurement_ends_by_itself_and_lets_everything_through_again() {
    let mut chirps = Chirps::default();
    let mut turns = Vec::new();
    while !matches!(turns.last(), Some(Turn::Over)) {
        turns.push(chirps.mix(true, &mut [0; PERIOD]));
    }
    assert_eq!(turns.len(), 100 * TRIES + 1);
    assert_eq!(turns.iter().filter(|turn| **turn == Turn::Probing { begins: true }).count(), TRIES);
    let mut period = [1_000; PERIOD];
    assert_eq!(chirps.mix(false, &mut period), Turn::Idle);
    assert_eq!(period, [1_000; PERIOD]);
}
