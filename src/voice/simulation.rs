//! A sender, a network and a playback card in simulated time, for the tests of this room.

use super::{Played, Playout, PlayoutConfig};
use crate::codec::opus::{Encoder, OpusConfig};
use crate::media::{PERIOD, Period, SoundPacket};
use crate::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// xorshift64*: the same numbers on every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Between 0 and 1.
    pub fn share(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Encoded sound, sent round and round.
pub struct Tape(Vec<SoundPacket>);

impl Tape {
    pub fn of(sound: &[Period], config: OpusConfig) -> Tape {
        let mut encoder = Encoder::new(config).unwrap();
        let encode = |period| {
            let mut payload = heapless::Vec::new();
            encoder.encode(period, &mut payload).unwrap();
            SoundPacket { sequence: 0, captured_at: Instant::ZERO, payload }
        };
        Tape(sound.iter().map(encode).collect())
    }

    /// Ten seconds of a 440 Hz sine, which is a whole number of cycles. A second before them is not kept: what an encoder makes
    /// of its first packets does not follow from its last ones.
    pub fn tone() -> Tape {
        let sample = |n: usize| (8_000.0 * (n as f64 * 440.0 * core::f64::consts::TAU / 48e3).sin()) as i16;
        let sound: Vec<Period> = (0..1_100).map(|p| core::array::from_fn(|i| sample(p * PERIOD + i))).collect();
        let mut tape = Tape::of(&sound, OpusConfig { bitrate_bps: 64_000, complexity: 0, ..OpusConfig::default() });
        tape.0.drain(..100);
        tape
    }

    pub fn packet(&self, number: u64, captured_at: Instant) -> SoundPacket {
        let mut packet = self.0[(number % self.0.len() as u64) as usize].clone();
        packet.sequence = number as u32;
        packet.captured_at = captured_at;
        packet
    }
}

/// What lies between the two sound cards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path {
    /// Share of packets lost, each by itself.
    pub loss: f64,
    /// Uniform around the mean, as netem's: so packets overtake each other.
    pub jitter_ms: f64,
    /// The sender's card is faster by this much.
    pub sender_ppm: f64,
    /// The sender's card gets ahead and falls behind by up to this much within an hour, as it gets warm and cold.
    pub wander_ms: f64,
    /// The playback card is faster by this much.
    pub playback_ppm: f64,
    /// Packets sent within these times (ms) all arrive at the end of it.
    pub stall_ms: Option<(u64, u64)>,
}

/// The time that the first bit takes, without jitter.
pub const TRANSIT_MS: f64 = 20.0;
/// Both clocks begin here.
const START_MS: f64 = 5_000.0;
/// The first pull is so much later.
pub const FIRST_PULL_MS: f64 = 3.7;
/// How late a pull may be: the scheduler.
const PULL_LATE_MS: f64 = 1.0;

pub struct Simulation<'t> {
    tape: &'t Tape,
    pub path: Path,
    random: Random,
    pub playout: Playout,
    sent: u64,
    pulled: u64,
    on_the_way: BinaryHeap<Reverse<(u64, u64)>>,
}

/// One pull: when, and what came.
pub struct Pull {
    pub now: Instant,
    pub played: Played,
    pub period: Period,
}

impl<'t> Simulation<'t> {
    pub fn new(tape: &'t Tape, path: Path, seed: u64) -> Simulation<'t> {
        Simulation {
            tape,
            path,
            random: Random::new(seed),
            playout: Playout::new(PlayoutConfig::default()).unwrap(),
            sent: 0,
            pulled: 0,
            on_the_way: BinaryHeap::new(),
        }
    }

    /// When the sender's card takes the first sample of that period, in milliseconds.
    fn capture_ms(&self, number: u64) -> f64 {
        let wander = self.path.wander_ms * (number as f64 * core::f64::consts::TAU / 360_000.0).sin();
        START_MS + number as f64 * 10.0 / (1.0 + self.path.sender_ppm * 1e-6) + wander
    }

    fn send(&mut self) {
        let sent_ms = self.capture_ms(self.sent + 1);
        let jitter = self.path.jitter_ms * (2.0 * self.random.share() - 1.0);
        let mut arrives_ms = sent_ms + TRANSIT_MS + self.path.jitter_ms + jitter;
        if let Some((from, to)) = self.path.stall_ms
            && (from as f64..to as f64).contains(&(sent_ms - START_MS))
        {
            arrives_ms = arrives_ms.max(START_MS + to as f64 + TRANSIT_MS);
        }
        if self.random.share() >= self.path.loss {
            self.on_the_way.push(Reverse(((arrives_ms * 1e6) as u64, self.sent)));
        }
        self.sent += 1;
    }

    /// Lets everything arrive up to the next pull, and pulls.
    pub fn pull(&mut self) -> Pull {
        let due_ms = START_MS + FIRST_PULL_MS + self.pulled as f64 * 10.0 / (1.0 + self.path.playback_ppm * 1e-6);
        let now_ms = due_ms + PULL_LATE_MS * self.random.share();
        self.pulled += 1;
        let now = Instant::from_nanos((now_ms * 1e6) as u64);
        while self.capture_ms(self.sent + 1) <= now_ms {
            self.send();
        }
        while let Some(Reverse((at, number))) = self.on_the_way.peek().copied().filter(|p| p.0.0 <= now.as_nanos()) {
            self.on_the_way.pop();
            let captured_at = Instant::from_nanos((self.capture_ms(number) * 1e6) as u64);
            self.playout.handle_packet(&self.tape.packet(number, captured_at), Instant::from_nanos(at));
        }
        let mut period = [0; PERIOD];
        let played = self.playout.pull(now, &mut period);
        Pull { now, played, period }
    }

    /// Pulls for that long, and lets `look` see each.
    pub fn run(&mut self, time: Duration, mut look: impl FnMut(&Pull, &Playout)) {
        for _ in 0..time.as_millis() / 10 {
            let pull = self.pull();
            look(&pull, &self.playout);
        }
    }
}

/// Capture to playback of what was just pulled, in milliseconds.
pub fn age_ms(pull: &Pull) -> Option<f64> {
    pull.played.captured_at.map(|at| pull.now.signed_since(at) as f64 * 1e-6)
}
