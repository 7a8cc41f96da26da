//! A station dies at the worst moments: with its strike on, which falls; and in a call, which ends with the right word,
//! after which it is rung again as if nothing had been.

use crate::Outcome;
use crate::call::PATIENCE;
use crate::command::wait_for;
use crate::devices::network::{Ip, Network};
use crate::devices::{End, buttons};
use crate::intercom::{Intercom, make_known, talk};
use crate::machine::Order;
use serde_json::Value;
use std::time::{Duration, Instant};

/// A door that would be open for longer than the scenario lasts, and waits for nobody.
const DOOR: &str = "[call]\nlost_time = \"2s\"\n[door]\nline = \"STRIKE\"\npulse = \"30s\"\n";

pub fn play(_: &Order) -> Outcome<String> {
    buttons::load()?;
    let _network = Network::lay(Ip::V6)?;
    let mut door = Intercom::start(End::Near, "door", &config(DOOR))?;
    let mut kitchen = Intercom::start(End::Far, "kitchen", &config(""))?;
    make_known(&door, &kitchen, Ip::V6.address(End::Near))?;
    door.wait_joined()?;

    door.act("release-here")?;
    wait_for("the strike is on", PATIENCE, || buttons::is_high("STRIKE").ok()?.then_some(()))?;
    let start = Instant::now();
    door.crash()?;
    assert!(!buttons::is_high("STRIKE")?, "the strike is on though nobody holds it");
    let fell = start.elapsed();
    door.start_again()?;
    door.wait_joined()?;
    kitchen.wait_joined()?;
    assert!(!buttons::is_high("STRIKE")?, "an opening that was cut short is not made up for");

    talk(&door, &kitchen)?;
    let start = Instant::now();
    kitchen.crash()?;
    kitchen.start_again()?;
    let told = wait_lost(&door, start)?;

    let again = talk(&door, &kitchen)?;
    let start = Instant::now();
    kitchen.crash()?;
    let given_up = wait_lost(&door, start)?;
    kitchen.start_again()?;
    door.wait_joined()?;
    talk(&door, &kitchen)?;
    door.stop()?;
    kitchen.stop()?;
    Ok(format!(
        "the line fell within {} ms; a call's end was told {} ms after the kill of a station that came back, \
         {} ms after that of one that did not; the next call stood after {} ms",
        fell.as_millis(),
        told.as_millis(),
        given_up.as_millis(),
        again.as_millis()
    ))
}

fn config(door: &str) -> String {
    format!(
        "[station]\nip = \"6\"\nfind = false\n[camera]\ndevice = \"pattern\"\nsize = \"320x240\"\nrate = \"5 fps\"\n\
         [screen]\ndevice = \"none\"\n[microphone]\ndevice = \"none\"\n[loudspeaker]\ndevice = \"none\"\n{door}"
    )
}

/// The call ends, and for the right reason; then the station is at rest. How long after `start` it was told.
fn wait_lost(door: &Intercom, start: Instant) -> Outcome<Duration> {
    let lost = |status: &Value| status["state"] == "ended" && status["reason"] == "connection lost";
    door.wait_status("told that the call is lost", lost)?;
    let told = start.elapsed();
    door.wait_state("idle")?;
    Ok(told)
}
