//! Three stations: the door rings the house, the office answers, and the kitchen is told; nobody disturbs who does not
//! want it; and a station that the door does not know, or no longer, gets nowhere.

use crate::Outcome;
use crate::devices::End;
use crate::devices::network::{Ip, Network};
use crate::devices::screen::{self, Screen};
use crate::guest::RUN;
use crate::intercom::{Intercom, make_known};
use crate::machine::Order;
use serde_json::Value;
use std::time::{Duration, Instant};

pub fn play(_: &Order) -> Outcome<String> {
    screen::load()?;
    let _network = Network::lay(Ip::V6)?;
    let door = Intercom::start(End::Near, "door", &config(10087, "none"))?;
    let kitchen = Intercom::start(End::Far, "kitchen", &config(10087, &format!("drm:{}", Screen::card(End::Far))))?;
    let office = Intercom::start(End::Far, "office", &config(10088, "none"))?;
    make_known(&door, &kitchen, Ip::V6.address(End::Near))?;
    make_known(&door, &office, &at(End::Near))?;
    make_known(&kitchen, &office, &at(End::Far))?;
    for station in [&door, &kitchen, &office] {
        station.wait_joined()?;
    }

    let (all_ring, others_stop) = the_first_to_answer_has_the_call(&door, &kitchen, &office)?;
    who_wants_quiet_has_it(&door, &kitchen)?;
    a_stranger_gets_nowhere(&door)?;
    for station in [&door, &kitchen, &office] {
        station.wait_joined()?;
    }
    [door, kitchen, office].into_iter().try_for_each(Intercom::stop)?;
    Ok(format!(
        "both rang after {} ms, the one stopped {} ms after the other answered",
        all_ring.as_millis(),
        others_stop.as_millis()
    ))
}

/// Where the first station of an end is, for one that has another port.
fn at(end: End) -> String {
    format!("[{}]:10087", Ip::V6.address(end))
}

/// A station without a sound card. Its pictures are small and slow: one core carries three stations.
fn config(port: u16, screen: &str) -> String {
    format!(
        "[station]\nport = {port}\nip = \"6\"\nfind = false\n[camera]\ndevice = \"pattern\"\nsize = \"320x240\"\nrate = \"5 fps\"\nlevel = 0\n\
         [screen]\ndevice = \"{screen}\"\n[microphone]\ndevice = \"none\"\n[loudspeaker]\ndevice = \"none\"\n\
         [call.groups]\nhouse = [\"kitchen\", \"office\"]\n"
    )
}

/// How long it took until both rang, and from the answer of the one until the other was silent.
fn the_first_to_answer_has_the_call(
    door: &Intercom,
    kitchen: &Intercom,
    office: &Intercom,
) -> Outcome<(Duration, Duration)> {
    let start = Instant::now();
    door.act("ring house")?;
    kitchen.wait_state("ringing")?;
    office.wait_state("ringing")?;
    let all_ring = start.elapsed();
    let start = Instant::now();
    office.act("answer")?;
    let ended = |status: &Value| status["state"] == "ended" && status["reason"] == "answered by office";
    kitchen.wait_status("told who answered", ended)?;
    let others_stop = start.elapsed();
    let card = Screen::open(End::Far)?.photograph()?.ok_or("the screen is dark")?;
    card.save(&format!("{RUN}/1-answered-elsewhere.ppm"))?;
    kitchen.wait_event("who answered", |what| what["state"]["reason"] == "answered by office")?;
    door.wait_status("talking to the office", |status| status["state"] == "talking" && status["peer"] == "office")?;
    office.wait_status("talking to the door", |status| status["state"] == "talking" && status["peer"] == "door")?;
    kitchen.wait_state("idle")?;

    office.act("hang-up")?;
    for station in [door, office] {
        station.wait_state("idle")?;
    }
    door.wait_record("whom it called", |record| record["what"] == "made-call" && record["who"] == "office")?;
    office.wait_record("who called", |record| record["what"] == "answered-call" && record["who"] == "door")?;
    Ok((all_ring, others_stop))
}

/// The kitchen does not ring, and the door is told why not.
fn who_wants_quiet_has_it(door: &Intercom, kitchen: &Intercom) -> Outcome {
    let rings = |events: Vec<Value>| events.iter().filter(|event| event["what"]["state"]["state"] == "ringing").count();
    let before = rings(kitchen.events()?);
    kitchen.act("do-not-disturb on")?;
    door.act("ring kitchen")?;
    let refused = |status: &Value| status["state"] == "ended" && status["reason"] == "do not disturb";
    door.wait_status("told that the kitchen is not to be disturbed", refused)?;
    door.wait_state("idle")?;
    assert_eq!(rings(kitchen.events()?), before, "the kitchen rang");
    kitchen.act("do-not-disturb off")?;
    door.act("ring kitchen")?;
    kitchen.wait_state("ringing")?;
    kitchen.act("decline")?;
    let declined = |status: &Value| status["state"] == "ended" && status["reason"] == "declined there";
    door.wait_status("told that the kitchen declines", declined)?;
    door.wait_state("idle").map(drop)
}

/// A station that was once paired and is forgotten: it knows the door's key and address, and the door knows it no more.
fn a_stranger_gets_nowhere(door: &Intercom) -> Outcome {
    let stranger = Intercom::start(End::Far, "stranger", &config(10089, "none"))?;
    make_known(door, &stranger, &at(End::Near))?;
    stranger.wait_joined()?;
    door.peers("forget stranger")?;
    door.act("rescan")?;
    stranger.wait_status("without the door", |status| status["links"][0]["is_here"] == false)?;
    stranger.act("ring door")?;
    let unreached = |status: &Value| status["state"] == "ended" && status["reason"] == "not reached";
    stranger.wait_status("told that nobody is there", unreached)?;
    door.wait_record("the stranger", |record| record["what"] == "stranger-refused")?;
    let rang = door.events()?.iter().any(|event| event["what"]["state"]["peer"] == "stranger");
    assert!(!rang, "the door rang for a stranger");
    stranger.stop()
}
