//! A camera goes on delivering the same picture, and later none at all, without saying that anything is wrong. The station
//! finds out, tells whom it concerns, opens the camera anew, keeps the rest running, and is content as soon as the picture
//! moves again.

use crate::Outcome;
use crate::command::run;
use crate::devices::End;
use crate::devices::camera::{self, Feed, Player};
use crate::devices::network::{Ip, Network};
use crate::intercom::{Intercom, make_known};
use crate::machine::Order;
use serde_json::Value;
use std::time::{Duration, Instant};

pub fn play(_: &Order) -> Outcome<String> {
    camera::load_loopback()?;
    camera::load_vivid()?;
    let _network = Network::lay(Ip::V6)?;
    let player = Player::start(End::Near, Feed::Raw)?;
    let mut door = Intercom::start(End::Near, "door", &config(camera::LOOPBACK[0]))?;
    let mut kitchen = Intercom::start(End::Far, "kitchen", &config(camera::VIVID[0]))?;
    make_known(&door, &kitchen, Ip::V6.address(End::Near))?;
    for station in [&door, &kitchen] {
        station.wait_joined()?;
        station.wait_status("at rest with its devices", is_well)?;
    }

    player.freeze(true);
    let (found, mended) = found_and_mended(&door, "the same picture", || {
        player.freeze(false);
        Ok(())
    })?;
    player.newest()?;

    run(&format!("v4l2-ctl -d {} -c percentage_of_dropped_buffers=100", camera::VIVID[0]))?;
    let (missed, back) = found_and_mended(&kitchen, "frame came in time", || {
        run(&format!("v4l2-ctl -d {} -c percentage_of_dropped_buffers=0", camera::VIVID[0])).map(drop)
    })?;
    for station in [&mut door, &mut kitchen] {
        station.must_run()?;
    }
    door.stop()?;
    kitchen.stop()?;
    Ok(format!(
        "a frozen picture was told after {:.1} s and forgotten {:.1} s after it moved, none at all after {:.1} s and {:.1} s",
        found.as_secs_f64(),
        mended.as_secs_f64(),
        missed.as_secs_f64(),
        back.as_secs_f64()
    ))
}

fn config(device: &str) -> String {
    format!(
        "[station]\nip = \"6\"\nfind = false\n[camera]\ndevice = \"{device}\"\nsize = \"320x240\"\n[screen]\ndevice = \"none\"\n\
         [microphone]\ndevice = \"none\"\n[loudspeaker]\ndevice = \"none\"\n"
    )
}

fn is_well(status: &Value) -> bool {
    status["faults"].as_array().is_some_and(Vec::is_empty)
}

/// Waits until the station has told of its camera in such words, has the camera mended, and waits until nothing is told any
/// more. How long each took.
fn found_and_mended(station: &Intercom, words: &str, mend: impl FnOnce() -> Outcome) -> Outcome<(Duration, Duration)> {
    let start = Instant::now();
    let tells = |status: &Value| {
        let faults = status["faults"].as_array().map_or(&[][..], Vec::as_slice);
        faults.iter().filter_map(Value::as_str).any(|fault| fault.starts_with("camera: ") && fault.contains(words))
    };
    station.wait_status("troubled by its camera", tells)?;
    station.wait_event("of its camera", |what| {
        what["fault"]["device"] == "camera" && what["fault"]["words"].as_str().is_some_and(|told| told.contains(words))
    })?;
    let found = start.elapsed();
    mend()?;
    let start = Instant::now();
    station.wait_status("content again", is_well)?;
    Ok((found, start.elapsed()))
}
