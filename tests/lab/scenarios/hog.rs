//! Other programs take the station's one core, in the middle of a call: pictures become fewer and smaller, which is told, the
//! call goes on, and when the core is free again so do the pictures, step by step. The door's camera is vivid, whose
//! pictures the kernel makes: one that a program feeds would starve first, and there would be little to do.

use super::intercom::config;
use crate::Outcome;
use crate::call::{Call, Plan};
use crate::command::wait_for;
use crate::devices::End;
use crate::devices::camera::{LOOPBACK, VIVID};
use crate::devices::network::Ip;
use crate::intercom::{Intercom, make_known};
use crate::judge::photo::Region;
use crate::machine::Order;
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Programs that want the whole core: beside them a thread has less than a tenth of it.
const HOGS: usize = 12;
/// How long they are at it.
const HOGGED: Duration = Duration::from_secs(15);
/// A step up takes half a minute of quiet, and there are five; on a machine that is busy itself some take two attempts.
const UP_WITHIN: Duration = Duration::from_secs(400);
const DOOR: End = End::Near;
const KITCHEN: End = End::Far;

pub fn play(_: &Order) -> Outcome<String> {
    let plan = Plan { vivid: Some(VIVID[DOOR.index()]), judged: Region::BESIDE_OVERLAY, ..Plan::default() };
    let mut call = Call::prepare(plan)?;
    // As large a picture as makes work on a quick host, too.
    let adapting = config(DOOR, "")
        .replace("adapt = false", "adapt = true")
        .replace(LOOPBACK[DOOR.index()], VIVID[DOOR.index()])
        .replace("level = 0", "level = 0\nsize = \"1280x720\"");
    let door = Intercom::start(DOOR, "door", &adapting)?;
    let kitchen =
        Intercom::start(KITCHEN, "kitchen", &config(KITCHEN, "[[peer]]\nname = \"door\"\nauto_answer = true\n"))?;
    make_known(&door, &kitchen, Ip::V6.address(DOOR))?;
    door.wait_joined()?;
    kitchen.wait_joined()?;
    door.act("ring kitchen")?;
    door.wait_state("talking")?;
    for end in End::BOTH {
        call.wait_live(end)?;
    }

    let (down, age_ms) = hogs_come(&door)?;
    let start = Instant::now();
    for end in End::BOTH {
        call.wait_live(end)?;
    }
    let live = start.elapsed();
    let is_up = || steps(&door).windows(2).any(|pair| pair[1] < pair[0]).then_some(());
    let (_, first_up) = wait_for("a step up", UP_WITHIN, is_up)?;
    // Both ways have a line of steps of their own, and the last word of each must be 0.
    let is_whole = || ["sent", "shown"].iter().all(|way| last_step(&door, way) == 0).then_some(());
    wait_for("all pictures are whole again", UP_WITHIN, is_whole)?;
    let whole = start.elapsed();
    for end in End::BOTH {
        call.wait_live(end)?;
    }
    door.act("hang-up")?;
    kitchen.wait_state("idle")?;
    door.stop()?;
    kitchen.stop()?;
    Ok(format!(
        "reduced {:.1} s after the hogs came, with pictures {age_ms:.0} ms old; after they went live within {:.1} s, the first \
         step up after {:.0} s, whole after {:.0} s",
        down.as_secs_f64(),
        live.as_secs_f64(),
        first_up.as_secs_f64(),
        whole.as_secs_f64()
    ))
}

/// They come, and go again. How long after they came the door made less of its pictures, and how old those that it shows
/// were at the end.
fn hogs_come(door: &Intercom) -> Outcome<(Duration, f64)> {
    let start = Instant::now();
    let _hogs: Vec<Hog> = (0..HOGS).map(|_| Hog::start()).collect::<Outcome<_>>()?;
    let is_reduced = || steps(door).iter().any(|step| *step > 0).then_some(());
    let (_, down) = wait_for("the door makes less of its pictures", HOGGED, is_reduced)?;
    std::thread::sleep(HOGGED.saturating_sub(start.elapsed()));
    let status = door.status()?;
    assert_eq!(status["state"], "talking", "the call goes on: {status}");
    println!("{} with {HOGS} hogs: {}", door.name, status["reduced"]);
    Ok((down, status["media"]["latency_ms"].as_f64().unwrap_or_default()))
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
