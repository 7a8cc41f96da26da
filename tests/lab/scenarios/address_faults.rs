//! Addresses change in mid-call: a station gets another, the network gets another prefix, an interface goes down and
//! comes up. The call goes on by itself. Then the network is gone for longer than a call waits: it ends on both sides
//! with the right word, and once the network is back the next call stands at once.

use crate::Outcome;
use crate::devices::network::Ip;
use crate::machine::Order;
use crate::pair::{DOOR, KITCHEN, Pair};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a call waits, which is to outlast the changes; and how long the network is gone, which is to outlast that.
/// What ten minutes and a day of it do is simulated in the link's and the call's own tests.
const WAITS: &str = "[call]\nlost_time = \"12s\"\n";
const CUT: Duration = Duration::from_secs(25);

pub fn play(_: &Order) -> Outcome<String> {
    let mut pair = Pair::begin(WAITS, WAITS)?;
    pair.talk()?;
    let before = [pair.door.holdings()?, pair.kitchen.holdings()?];
    let moved = a_station_moves(&mut pair)?;
    let renumbered = the_prefix_changes(&mut pair)?;
    let up = an_interface_goes_down_and_up(&mut pair)?;
    pair.must_go_on()?;
    let (told, again) = the_network_is_gone_for_long(&mut pair)?;
    pair.must_go_on()?;
    for (station, before) in [&pair.door, &pair.kitchen].into_iter().zip(before) {
        before.wait_as_before(|| station.holdings())?;
    }
    pair.stop()?;
    let [moved, renumbered, up, told, again] = [moved, renumbered, up, told, again].map(|took| took.as_secs_f64());
    Ok(format!(
        "recovered in {moved:.1} s at another address, {renumbered:.1} s with another prefix, {up:.1} s from an interface \
         that came up; the end was told {told:.1} s after the cut; the next call was seen {again:.1} s after the network \
         was back"
    ))
}

/// The kitchen has another address from now on; the door knows nothing of it.
fn a_station_moves(pair: &mut Pair) -> Outcome<Duration> {
    let start = Instant::now();
    let network = &pair.call.network;
    network.add_address(KITCHEN, "fd87::22")?;
    network.remove_address(KITCHEN, Ip::V6.address(KITCHEN))?;
    wait_address(pair, "[fd87::22]")?;
    pair.wait_live()?;
    Ok(start.elapsed())
}

/// Neither knows the other's new address, and both old ones are gone.
fn the_prefix_changes(pair: &mut Pair) -> Outcome<Duration> {
    let start = Instant::now();
    let network = &pair.call.network;
    for (end, new, old) in [(DOOR, "fd88::1", Ip::V6.address(DOOR)), (KITCHEN, "fd88::2", "fd87::22")] {
        network.add_address(end, new)?;
        network.remove_address(end, old)?;
    }
    // The pictures that are there stay for a second.
    pair.door.wait_status("at another address", |status| {
        let address = status["links"][0]["address"].as_str().unwrap_or_default();
        status["links"][0]["is_here"] == true && !address.starts_with("[fd87")
    })?;
    pair.wait_live()?;
    Ok(start.elapsed())
}

fn an_interface_goes_down_and_up(pair: &mut Pair) -> Outcome<Duration> {
    let network = &pair.call.network;
    network.cut()?;
    pair.door.wait_status("alone", |status| status["links"][0]["is_here"] == false)?;
    let start = Instant::now();
    let network = &pair.call.network;
    network.plug(KITCHEN)?;
    network.add_address(KITCHEN, "fd88::2")?;
    pair.wait_live()?;
    Ok(start.elapsed())
}

/// How long after the cut the last was told that the call is over, and how long after the end of the cut the next call
/// was seen at both ends.
fn the_network_is_gone_for_long(pair: &mut Pair) -> Outcome<(Duration, Duration)> {
    let start = Instant::now();
    pair.call.network.cut()?;
    for station in [&pair.door, &pair.kitchen] {
        station.wait_event("that the call is lost", |what| {
            what["state"]["state"] == "ended" && what["state"]["reason"] == "connection lost"
        })?;
    }
    let told = start.elapsed();
    for station in [&pair.door, &pair.kitchen] {
        station.wait_state("idle")?;
        assert_eq!(station.status()?["links"][0]["is_here"], false);
    }
    std::thread::sleep(CUT.saturating_sub(start.elapsed()));

    pair.call.network.plug(KITCHEN)?;
    pair.call.network.add_address(KITCHEN, "fd88::2")?;
    let start = Instant::now();
    for station in [&pair.door, &pair.kitchen] {
        station.wait_joined()?;
    }
    pair.talk()?;
    Ok((told, start.elapsed()))
}

/// Waits until the door has heard the kitchen from there.
fn wait_address(pair: &Pair, address: &str) -> Outcome {
    let is_there =
        |status: &Value| status["links"][0]["address"].as_str().is_some_and(|there| there.starts_with(address));
    pair.door.wait_status(&format!("told that the kitchen is at {address}"), is_there).map(drop)
}
