//! How long a voice takes from the mouth into the other's ear, over real sound drivers: a chirp is said into one station's
//! microphone and found in what comes out of the other's loudspeaker, both timed by one clock. On a clean network, on a bad
//! one, and with cards that can do one odd layout only, both ways at once. Then both stand in one room, and the near one is asked
//! by `visavis latency` to measure that itself.
//!
//! This kernel ticks 100 times a second, and snd-aloop moves sound at its ticks: of what is measured 5 ms a card are the lab's.

use crate::Outcome;
use crate::command::run;
use crate::devices::End;
use crate::devices::network::{Ip, Network};
use crate::devices::room::{CHIRP_EVERY, Heard, Layout, Room, SharedRoom};
use crate::devices::sound;
use crate::intercom::{Intercom, make_known};
use crate::machine::Order;
use crate::station::{PROGRAM, Station};
use alsa::pcm::Format;
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

const USUAL: Layout = Layout { format: Format::S16LE, channels: 1, rate_hz: 48_000 };
/// What cards can do that do not do the usual: the near end's, the far end's.
const ODD: [[Layout; 2]; 2] = [
    [
        Layout { format: Format::S16LE, channels: 2, rate_hz: 44_100 },
        Layout { format: Format::S243LE, channels: 2, rate_hz: 48_000 },
    ],
    [
        Layout { format: Format::S16LE, channels: 1, rate_hz: 16_000 },
        Layout { format: Format::S32LE, channels: 2, rate_hz: 96_000 },
    ],
];
/// Five of a hundred packets are lost each way, and each is late by up to 30 ms.
const BAD: &str = "loss 5% delay 15ms 15ms";

/// Chirps come every 400 ms, and the first are spoken to nobody.
const LISTEN: Duration = Duration::from_secs(5);
/// A call that does what it should is at half of this. More is a queue that grew, whatever else the machine has to do.
const MEDIAN_MAX: Duration = Duration::from_millis(200);
/// Chirps that must arrive, at each end. The first second has none, and the bad network may swallow some.
const HEARD_LEAST: usize = 5;
/// How often a call is tried.
const TRIES_MAX: usize = 3;
/// And of those that the program plays by itself, ten.
const BACK_LEAST: usize = 7;

pub fn play(_: &Order) -> Outcome<String> {
    sound::load()?;
    let network = Network::lay(Ip::V6)?;
    let mut told = String::new();
    write!(told, "clean network: {}", call([USUAL; 2])?)?;
    network.spoil(BAD)?;
    write!(told, "; 5 % loss and 30 ms of jitter: {}", call([USUAL; 2])?)?;
    network.mend()?;
    for layouts in ODD {
        let [near, far] =
            layouts.map(|layout| format!("{} of {} Hz, {} channel(s)", layout.format, layout.rate_hz, layout.channels));
        write!(told, "; {near} and {far}: {}", call(layouts)?)?;
    }
    write!(told, "; {}", measured_by_itself()?)?;
    Ok(told)
}

/// What `visavis latency` finds, and how much of that is the air from one station to the other.
fn measured_by_itself() -> Outcome<String> {
    let room = SharedRoom::start(USUAL)?;
    let start = |end: End, more: &str| {
        let card = sound::station_side(end);
        let config = format!(
            "[station]\nip = \"6\"\n[camera]\ndevice = \"none\"\n[screen]\ndevice = \"none\"\n\
             [microphone]\ndevice = \"alsa:{card}\"\n[loudspeaker]\ndevice = \"alsa:{card}\"\n{more}"
        );
        Intercom::start(end, end.name(), &config)
    };
    let near = start(End::Near, "")?;
    let far = start(End::Far, "[[peer]]\nname = \"near\"\nauto_answer = true\n[call]\nauto_answer_delay = \"1s\"\n")?;
    make_known(&near, &far, Ip::V6.address(End::Near))?;
    near.wait_joined()?;
    far.wait_joined()?;
    let said = run(&format!("{PROGRAM} latency --json --to far --socket {}", near.socket))?;
    println!("visavis latency: {said}");
    near.wait_state("idle")?;
    near.stop()?;
    far.stop()?;
    let air = room.end()?;
    let measured: Value = serde_json::from_str(&said)?;
    let took_ms: Vec<f64> = measured["took_ms"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let mut took: Vec<Duration> = took_ms.iter().map(|ms| Duration::from_secs_f64(ms * 1e-3)).collect();
    took.sort();
    let delays = Delays(took);
    if delays.0.len() < BACK_LEAST || delays.part(0.5) < air || delays.part(0.5) > air + MEDIAN_MAX {
        return Err(format!("visavis latency found {said}where the air alone takes {air:?}").into());
    }
    Ok(format!("visavis latency found {delays}, of which {} ms are the air", air.as_millis()))
}

/// How long sound takes each way between cards of those layouts. A host that has no time for this machine spoils a try, and
/// hardly three; a station that is slow spoils all.
fn call(layouts: [Layout; 2]) -> Outcome<String> {
    let mut tried = try_call(layouts);
    for _ in 1..TRIES_MAX {
        match tried {
            Ok(_) => break,
            Err(error) => println!("{error}"),
        }
        tried = try_call(layouts);
    }
    tried
}

/// A call without pictures.
fn try_call(layouts: [Layout; 2]) -> Outcome<String> {
    let rooms = [Room::start(End::Near, layouts[0])?, Room::start(End::Far, layouts[1])?];
    let start = |end: End| {
        let options = [
            ("--host", Ip::V6.address(end.other()).to_string()),
            ("-v", "6".into()),
            ("--camera", "none".into()),
            ("--screen", "none".into()),
            ("--mic", format!("alsa:{}", sound::station_side(end))),
            ("--speaker", format!("alsa:{}", sound::station_side(end))),
        ];
        let words: Vec<String> = options.into_iter().flat_map(|(name, value)| [name.to_string(), value]).collect();
        Station::start(end, &words)
    };
    let (near, far) = (start(End::Near)?, start(End::Far)?);
    std::thread::sleep(LISTEN);
    near.hang_up()?;
    let report = far.hang_up()?;
    println!("{layouts:?}: the far station says of itself: {}", report["audio"]);
    let [near, far] = rooms.map(Room::end);
    let (near, far) = (near?, far?);
    Ok(format!("{} there, {} back", Delays::of("far", &near, &far)?, Delays::of("near", &far, &near)?))
}

/// How long chirps took one way, sorted.
struct Delays(Vec<Duration>);

impl Delays {
    fn of(name: &str, mouth: &Heard, ear: &Heard) -> Outcome<Delays> {
        let since_said = |heard: &Duration| {
            let said = mouth.said.iter().rev().find(|said| *said < heard)?;
            // One whose beginning an underrun has hidden is not to be taken for the one before it.
            Some(*heard - *said).filter(|delay| *delay < CHIRP_EVERY)
        };
        let mut delays: Vec<Duration> = ear.heard.iter().filter_map(since_said).collect();
        println!("{name}: {delays:?} of {} said", mouth.said.len());
        delays.sort();
        let delays = Delays(delays);
        if delays.0.len() < HEARD_LEAST || delays.part(0.5) > MEDIAN_MAX {
            let (said, heard) = (mouth.said.len(), delays.0.len());
            return Err(format!("of {said} chirps {heard} were heard at the {name} end, {delays}").into());
        }
        Ok(delays)
    }

    /// What that share of them took at the most.
    fn part(&self, share: f64) -> Duration {
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |share| self.part(share).as_secs_f64() * 1e3;
        write!(f, "{:.0} ms (95 of 100 within {:.0})", ms(0.5), ms(0.95))
    }
}
