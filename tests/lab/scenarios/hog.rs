//! Other programs take the station's one core, in the middle of a call: pictures become fewer and smaller, which is told, the
//! call goes on, and when the core is free again so do the pictures, step by step.

use super::intercom::config;
use crate::Outcome;
use crate::call::{Call, Plan};
use crate::command::wait_for;
use crate::devices::End;
use crate::devices::network::Ip;
use crate::intercom::{Intercom, make_known};
use crate::judge::photo::Region;
use crate::machine::Order;
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Programs that want the whole core: with two stations and two cameras there is a tenth of it left for each.
const HOGS: usize = 8;
/// How long they are at it.
const HOGGED: Duration = Duration::from_secs(25);
/// A step up takes half a minute of quiet, and there are five; on a machine that is busy itself some take two attempts.
const UP_WITHIN: Duration = Duration::from_secs(400);
const DOOR: End = End::Near;
const KITCHEN: End = End::Far;

pub fn play(_: &Order) -> Outcome<String> {
    let mut call = Call::prepare(Plan { judged: Region::BESIDE_OVERLAY, ..Plan::default() })?;
    let adapting = |end: End, more: &str| config(end, more).replace("adapt = false", "adapt = true");
    let door = Intercom::start(DOOR, "door", &adapting(DOOR, ""))?;
    let kitchen =
        Intercom::start(KITCHEN, "kitchen", &adapting(KITCHEN, "[[peer]]\nname = \"door\"\nauto_answer = true\n"))?;
    make_known(&door, &kitchen, Ip::V6.address(DOOR))?;
    door.wait_joined()?;
    kitchen.wait_joined()?;
    door.act("ring kitchen")?;
    door.wait_state("talking")?;
    for end in End::BOTH {
        call.wait_live(end)?;
    }

    let start = Instant::now();
    let hogs: Vec<Hog> = (0..HOGS).map(|_| Hog::start()).collect::<Outcome<_>>()?;
    let stations = [&door, &kitchen];
    let down = wait_for("a station makes less of its pictures", HOGGED, || {
        stations.iter().any(|station| steps(station).iter().any(|step| *step > 0)).then_some(())
    })?
    .1;
    std::thread::sleep(HOGGED.saturating_sub(start.elapsed()));
    let mut states = Vec::new();
    for station in stations {
        let status = station.status()?;
        assert_eq!(status["state"], "talking", "the call goes on: {status}");
        println!("{} with {HOGS} hogs: {}", station.name, status["reduced"]);
        states.push(status["media"]["latency_ms"].as_f64().unwrap_or_default());
    }
    drop(hogs);

    let start = Instant::now();
    for end in End::BOTH {
        call.wait_live(end)?;
    }
    let live = start.elapsed();
    let first_up = wait_for("a step up", UP_WITHIN, || {
        stations.iter().any(|station| steps(station).windows(2).any(|pair| pair[1] < pair[0])).then_some(())
    })?
    .1;
    wait_for("all pictures are whole again", UP_WITHIN, || {
        // Both ways have a line of steps of their own, and the last word of each must be 0.
        stations.iter().all(|station| ["sent", "shown"].iter().all(|way| last_step(station, way) == 0)).then_some(())
    })?;
    let whole = start.elapsed();
    for end in End::BOTH {
        call.watch(end)?;
    }
    door.act("hang-up")?;
    kitchen.wait_state("idle")?;
    door.stop()?;
    kitchen.stop()?;
    Ok(format!(
        "reduced {:.1} s after the hogs came, with pictures {:.0} and {:.0} ms old; after they went live within {:.1} s, \
         the first step up after {:.0} s, whole after {:.0} s",
        down.as_secs_f64(),
        states[0],
        states[1],
        live.as_secs_f64(),
        first_up.as_secs_f64(),
        whole.as_secs_f64()
    ))
}

/// The steps that a station has told of, in their order.
fn steps(station: &Intercom) -> Vec<u64> {
    loads(station).iter().filter_map(|load| load["step"].as_u64()).collect()
}

fn last_step(station: &Intercom, way: &str) -> u64 {
    loads(station).iter().rfind(|load| load["pictures"] == way).and_then(|load| load["step"].as_u64()).unwrap_or(0)
}

fn loads(station: &Intercom) -> Vec<Value> {
    let events = station.events().unwrap_or_default();
    events.into_iter().map(|mut event| event["what"]["load"].take()).filter(|load| !load.is_null()).collect()
}

/// A program that does nothing for as long as it is let; killed when dropped.
struct Hog(Child);

impl Hog {
    fn start() -> Outcome<Hog> {
        let hog = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn()?;
        Ok(Hog(hog))
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        // It does not end by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
