//! Two stations that know nobody are held face to face: each one's camera sees the other's screen. They pair without a
//! keyboard, by what they show, and neither the code nor a private key is anywhere to be read afterwards.

use crate::Outcome;
use crate::command::run;
use crate::devices::facing::Facing;
use crate::devices::network::{Ip, Network};
use crate::devices::screen::Screen;
use crate::devices::{End, buttons, camera, screen};
use crate::guest::RUN;
use crate::intercom::Intercom;
use crate::machine::Order;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

pub fn play(_: &Order) -> Outcome<String> {
    screen::load()?;
    camera::load_loopback()?;
    buttons::load()?;
    let _network = Network::lay(Ip::V6)?;
    let _eyes = [Facing::start(End::Near)?, Facing::start(End::Far)?];
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
    door.stop()?;
    kitchen.stop()?;
    Ok(format!("paired {:.1} s after both showed their codes", took.as_secs_f64()))
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
