//! Two stations that know nobody are held face to face: each one's camera sees the other's screen. They pair without a
//! keyboard, by what they show, and neither the code nor a private key is anywhere to be read afterwards. Then one calls the other,
//! and is asked by `visavis latency` how long a picture takes to it.

use crate::Outcome;
use crate::command::run;
use crate::devices::facing::Facing;
use crate::devices::network::{Ip, Network};
use crate::devices::screen::Screen;
use crate::devices::{End, buttons, camera, screen};
use crate::guest::RUN;
use crate::intercom::{Intercom, talk};
use crate::machine::Order;
use crate::station::PROGRAM;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Flashes of ten that must be seen, by a camera on a busy machine.
const SEEN_LEAST: usize = 7;
/// How much longer the median may be than what is known of its parts: the one core may be with somebody else.
const BUSY: Duration = Duration::from_millis(100);

pub fn play(_: &Order) -> Outcome<String> {
    screen::load()?;
    camera::load_loopback()?;
    buttons::load()?;
    let _network = Network::lay(Ip::V6)?;
    let eyes = [Facing::start(End::Near)?, Facing::start(End::Far)?];
    let door = Intercom::start(End::Near, "door", &config(End::Near))?;
    let kitchen = Intercom::start(End::Far, "kitchen", &config(End::Far))?;
    let screens = [Screen::open(End::Near)?, Screen::open(End::Far)?];

    door.act("pair")?;
    // Joined, for the words, and to hear how it ends; that is no part of how stations come together.
    let (words_of_door, door_waits) = door.pair()?;
    buttons::press("KITCHEN_CALL", true)?;
    kitchen.wait_event("that it pairs", |what| what["pairing"]["is_over"] == false)?;
    let both_show = Instant::now();
    let (words_of_kitchen, kitchen_waits) = kitchen.pair()?;
    keep(&screens, "1-codes")?;
    assert_eq!((door_waits.finish()?, kitchen_waits.finish()?), ("kitchen".to_string(), "door".to_string()));
    let took = both_show.elapsed();
    buttons::press("KITCHEN_CALL", false)?;
    std::thread::sleep(Duration::from_secs(1));
    keep(&screens, "2-paired")?;

    door.wait_joined()?;
    kitchen.wait_joined()?;
    for (station, other) in [(&door, "kitchen"), (&kitchen, "door")] {
        let book: serde_json::Value = serde_json::from_str(&station.peers("--json")?)?;
        assert_eq!((book.as_array().map(Vec::len), &book[0]["name"]), (Some(1), &other.into()));
        secrets_are_kept(station, &[&words_of_door, &words_of_kitchen])?;
    }
    let measured = measure(&door, &kitchen, &eyes[End::Far.index()])?;
    door.stop()?;
    kitchen.stop()?;
    Ok(format!("paired {:.1} s after both showed their codes; {measured}", took.as_secs_f64()))
}

/// What `visavis latency` finds at the door, against what the kitchen's camera knows of each flash, and the door itself of pictures.
fn measure(door: &Intercom, kitchen: &Intercom, eye: &Facing) -> Outcome<String> {
    eye.put_down();
    talk(door, kitchen)?;
    let said = run(&format!("{PROGRAM} latency --picture --json --socket {}", door.socket))?;
    let status = door.status()?;
    door.act("hang-up")?;
    println!("visavis latency: {said}the door's status: {}", status["media"]);
    let glimpses = eye.glimpses();
    let begins = glimpses.windows(2).filter(|pair| !pair[0].is_bright && pair[1].is_bright);
    // How long before the camera had a picture of it each flash was shown, at the most.
    let mut waits: Vec<Duration> = begins.map(|pair| pair[1].given_at - pair[0].looked_at).collect();
    waits.sort();
    let measured: Value = serde_json::from_str(&said)?;
    let took_ms = measured["picture"]["took_ms"].as_array();
    let mut took: Vec<Duration> =
        took_ms.into_iter().flatten().filter_map(Value::as_f64).map(|ms| Duration::from_secs_f64(ms * 1e-3)).collect();
    took.sort();
    // What the door itself counts begins where the driver has the picture.
    let path = Duration::from_secs_f64(status["media"]["latency_ms"].as_f64().unwrap_or_default() * 1e-3);
    let (Some(wait), Some(median)) = (waits.get(waits.len() / 2), took.get(took.len() / 2)) else {
        return Err(format!("the camera saw {} flashes, and visavis latency found {said}", waits.len()).into());
    };
    let told = format!(
        "visavis latency found {} ms from light to light by {} flashes, where a camera had them after {} ms at the most and \
         the station counts {} ms more",
        median.as_millis(),
        took.len(),
        wait.as_millis(),
        path.as_millis()
    );
    let is_right = took.len() >= SEEN_LEAST && *median > path / 2 && *median < *wait + path + BUSY;
    if is_right { Ok(told) } else { Err(told.into()) }
}

fn config(end: End) -> String {
    format!(
        "[station]\nip = \"6\"\nfind = false\n[camera]\ndevice = \"{}\"\n[screen]\ndevice = \"drm:{}\"\n\
         [microphone]\ndevice = \"none\"\n[loudspeaker]\ndevice = \"none\"\n[[button]]\nline = \"{}\"\n",
        camera::LOOPBACK[end.index()],
        Screen::card(end),
        if end == End::Near { "BTN_CALL" } else { "KITCHEN_CALL" }
    )
}

/// The private key is its owner's alone, and neither it nor a code is in anything that the station said.
fn secrets_are_kept(station: &Intercom, codes: &[&str]) -> Outcome {
    let file = format!("{}/identity.key", station.state);
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600, "{file}");
    let text = fs::read_to_string(&file)?;
    let key = text.split_whitespace().last().ok_or("an empty key file")?;
    assert!(key.len() >= 43, "a key of 32 bytes is longer than {} letters", key.len());
    let log = fs::read_to_string(station.log_file())?;
    // What the watcher was told is in the run folder too; what the station wrote down for itself is in its state.
    let kept = run(&format!("grep -r --text -h . {} --exclude=identity.key", station.state))?;
    let told = station.events()?.iter().map(|event| event.to_string()).collect::<String>();
    assert!(log.contains("paired with"), "the log says nothing of it: {log}");
    for said in [log, kept, told] {
        assert!(!said.contains(key), "{}: its private key is in {said}", station.name);
        for code in codes {
            // Two of its words, one after the other, are no chance.
            let words: Vec<&str> = code.split_whitespace().collect();
            assert!(!words.windows(2).any(|pair| said.contains(&pair.join(" ")) || said.contains(&pair.join("-"))));
        }
    }
    Ok(())
}

fn keep(screens: &[Screen; 2], step: &str) -> Outcome {
    for (screen, name) in screens.iter().zip(["door", "kitchen"]) {
        screen.photograph()?.ok_or("the screen is dark")?.save(&format!("{RUN}/{step}-{name}.ppm"))?;
    }
    Ok(())
}
