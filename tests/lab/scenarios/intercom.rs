//! A door and a kitchen, with buttons, lamp and strike: somebody rings, is seen before anybody answers, is talked to,
//! is let in, and goes. Both screens are photographed at each step.

use crate::Outcome;
use crate::call::{Call, PATIENCE, Plan};
use crate::command::wait_for;
use crate::devices::buttons::{self, Watched};
use crate::devices::network::Ip;
use crate::devices::screen::Screen;
use crate::devices::{End, camera, sound};
use crate::guest::RUN;
use crate::intercom::{Intercom, make_known};
use crate::judge::photo::{Photo, Region, Sight};
use crate::judge::tone;
use crate::machine::Order;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// How long the strike is to be on; the configuration of the door says the same.
const PULSE: Duration = Duration::from_secs(1);
/// How much longer or shorter it may have been, as it is seen from outside: the one core may be with somebody else.
const PULSE_ERROR: Duration = Duration::from_millis(150);
/// How long the lamp is watched: a lamp that tells of ringing changes several times a second.
const BLINKING: Duration = Duration::from_secs(2);
/// Quieter than this is no bell.
const BELL_LEVEL: f64 = 0.01;
/// One is the door, the other the kitchen.
const DOOR: End = End::Near;
const KITCHEN: End = End::Far;
const NAMES: [&str; 2] = ["door", "kitchen"];

pub fn play(_: &Order) -> Outcome<String> {
    buttons::load()?;
    let mut call = Call::prepare(Plan { judged: Region::BESIDE_OVERLAY, ..Plan::default() })?;
    let door = Intercom::start(DOOR, "door", &config(DOOR, DOOR_HANDS))?;
    let kitchen = Intercom::start(KITCHEN, "kitchen", &config(KITCHEN, KITCHEN_HANDS))?;
    wait_card(&call, DOOR)?;
    wait_card(&call, KITCHEN)?;
    photograph(&call, NAMES, "1-unpaired")?;
    make_known(&door, &kitchen, Ip::V6.address(DOOR))?;
    door.wait_joined()?;
    kitchen.wait_joined()?;

    let (lit, early) = ring(&mut call, &door, &kitchen)?;
    let first = answer(&mut call, &door, &kitchen)?;
    who_may_not_does_not(&call, &door)?;
    door.peers("allow kitchen release")?;
    door.act("rescan")?;
    let pulse = release(&call)?;
    for is_open in [true, false] {
        door.wait_event("what its strike does", |what| what["door_open"] == is_open)?;
    }
    door.wait_record("the release, with a picture", |record| {
        record["what"] == "door-released" && record["who"] == "kitchen" && record["still"].is_string()
    })
    .and_then(|record| still_shows_the_door(&door, &record, Region::WHOLE))?;
    hang_up(&call, &door, &kitchen)?;
    a_call_in_vain_is_kept(&mut call, &door, &kitchen)?;
    door.stop()?;
    kitchen.stop()?;
    Ok(format!(
        "from the press the lamp in {} ms, the caller's picture in {} ms; from the answer pictures both ways in {} ms; \
         the strike was on for {} ms of {}",
        lit.as_millis(),
        early.as_millis(),
        first.as_millis(),
        pulse.as_millis(),
        PULSE.as_millis()
    ))
}

const DOOR_HANDS: &str = r#"
[door]
line = "STRIKE"
pulse = "1s"
[[button]]
line = "BTN_CALL"
[[button]]
line = "BTN_HANGUP"
short = "hang-up"
"#;

const KITCHEN_HANDS: &str = r#"
[[button]]
line = "KITCHEN_CALL"
[[button]]
line = "KITCHEN_DOOR"
short = "release"
[[lamp]]
line = "KITCHEN_LAMP"
shows = ["ringing", "talking"]
"#;

/// The configuration of a station with a camera that shows the clip, a screen and a sound card.
pub fn config(end: End, hands: &str) -> String {
    let (camera, screen, card) = (camera::LOOPBACK[end.index()], Screen::card(end), sound::station_side(end));
    // Cameras and screens are small already; the bits are those of the other calls. What is judged is the whole picture, which
    // a busy machine is not to make smaller.
    format!(
        "[station]\nip = \"6\"\nadapt = false\n[camera]\ndevice = \"{camera}\"\nlevel = 0\nbitrate = \"2 Mbit/s\"\n[screen]\ndevice = \"drm:{screen}\"\n\
         [microphone]\ndevice = \"alsa:{card}\"\nclean = false\n[loudspeaker]\ndevice = \"alsa:{card}\"\n{hands}"
    )
}

/// Somebody presses the button at the door. How long after that the kitchen's lamp was lit, and its screen showed who
/// stands there.
fn ring(call: &mut Call, door: &Intercom, kitchen: &Intercom) -> Outcome<(Duration, Duration)> {
    let lamp = Watched::start("KITCHEN_LAMP")?;
    let pressed = buttons::tap("BTN_CALL")?;
    call.wait_live(KITCHEN)?;
    let early = pressed.elapsed();
    kitchen.wait_state("ringing")?;
    door.wait_state("calling")?;
    std::thread::sleep(BLINKING);
    let changes = lamp.finish()?;
    assert!(changes.len() >= 4, "the lamp changes in {changes:?}");
    let lit = changes.first().ok_or("a dark lamp")?.0;
    call.watch(KITCHEN)?;
    the_band_covers_the_foot(call)?;
    wait_card(call, DOOR)?;
    let bell = tone::level(&sound::listen(KITCHEN, Duration::from_secs(3))?);
    assert!(bell > BELL_LEVEL, "the bell's level is {bell}");
    photograph(call, NAMES, "2-rings")?;
    Ok((lit.duration_since(pressed), early))
}

/// The caller's picture has the band that says who rings, which no part of the clip is like.
fn the_band_covers_the_foot(call: &Call) -> Outcome {
    let photo = call.look(KITCHEN)?.photo.ok_or("the screen is dark")?;
    match photo.sight() {
        Sight::Clip { worst_db, .. } if worst_db < 20.0 => Ok(()),
        other => Err(format!("the kitchen shows {other:?}, and no band upon it").into()),
    }
}

/// Somebody in the kitchen answers. How long after that each saw the other.
fn answer(call: &mut Call, door: &Intercom, kitchen: &Intercom) -> Outcome<Duration> {
    let pressed = buttons::tap("KITCHEN_CALL")?;
    for end in End::BOTH {
        call.wait_live(end)?;
    }
    let first = pressed.elapsed();
    kitchen.wait_state("talking")?;
    door.wait_state("talking")?;
    for end in End::BOTH {
        call.speak(end)?;
    }
    for end in End::BOTH {
        call.watch(end)?;
        call.wait_heard(end)?;
    }
    photograph(call, NAMES, "3-talk")?;
    Ok(first)
}

/// As long as the door's book does not say that the kitchen may, its door button does nothing but tell so.
fn who_may_not_does_not(call: &Call, door: &Intercom) -> Outcome {
    let strike = Watched::start("STRIKE")?;
    buttons::tap("KITCHEN_DOOR")?;
    door.wait_event("whom it refused", |what| what["release_refused"]["by"] == "kitchen")?;
    door.wait_record("whom it refused", |record| record["what"] == "release-refused" && record["who"] == "kitchen")?;
    photograph(call, NAMES, "4-refused")?;
    assert_eq!(strike.finish()?, [], "the strike was on");
    Ok(())
}

/// The kitchen's door button. How long the strike was on.
fn release(call: &Call) -> Outcome<Duration> {
    let strike = Watched::start("STRIKE")?;
    buttons::tap("KITCHEN_DOOR")?;
    wait_for("the strike is on", PATIENCE, || buttons::is_high("STRIKE").ok()?.then_some(()))?;
    // Both screens tell of it at their next look.
    std::thread::sleep(PULSE / 2);
    photograph(call, NAMES, "5-release")?;
    wait_for("the strike is off", PATIENCE, || (!buttons::is_high("STRIKE").ok()?).then_some(()))?;
    // What is off must stay off.
    std::thread::sleep(PULSE);
    let changes = strike.finish()?;
    let [(on, true), (off, false)] = changes[..] else { return Err(format!("the strike changed: {changes:?}").into()) };
    let pulse = off.duration_since(on);
    assert!(pulse.abs_diff(PULSE) <= PULSE_ERROR, "the strike was on for {pulse:?}");
    Ok(pulse)
}

/// Somebody rings once more and goes before anybody answers: the kitchen keeps who it was, and says so.
fn a_call_in_vain_is_kept(call: &mut Call, door: &Intercom, kitchen: &Intercom) -> Outcome {
    buttons::tap("BTN_CALL")?;
    kitchen.wait_state("ringing")?;
    call.wait_live(KITCHEN)?;
    // From then on whoever rings stands before the camera.
    std::thread::sleep(Duration::from_secs(2));
    buttons::tap("BTN_HANGUP")?;
    let record = kitchen.wait_record("the call in vain, with a picture", |record| {
        record["what"] == "missed-call" && record["who"] == "door" && record["still"].is_string()
    })?;
    still_shows_the_door(kitchen, &record, Region::BESIDE_OVERLAY)?;
    for station in [door, kitchen] {
        station.wait_state("idle")?;
    }
    std::thread::sleep(Duration::from_millis(500));
    photograph(call, NAMES, "8-missed")
}

/// The still picture in a journal is a JPEG of what the door's camera saw.
fn still_shows_the_door(station: &Intercom, record: &Value, region: Region) -> Outcome {
    let file = record["still"].as_str().ok_or("there is no picture")?;
    let jpeg = fs::read(format!("{}/stills/{file}", station.state))?;
    fs::write(format!("{RUN}/still-{}.jpg", station.name), &jpeg)?;
    let picture = turbojpeg::decompress(&jpeg, turbojpeg::PixelFormat::RGB)?;
    let photo = Photo {
        width: picture.width as u32,
        height: picture.height as u32,
        pitch: picture.pitch,
        bytes: picture.pixels,
        pixel: |row, x| [row[x * 3], row[x * 3 + 1], row[x * 3 + 2]],
    };
    match photo.sight_within(region) {
        Sight::Clip { worst_db, .. } if worst_db > 25.0 => Ok(()),
        other => Err(format!("the still picture shows {other:?}").into()),
    }
}

fn hang_up(call: &Call, door: &Intercom, kitchen: &Intercom) -> Outcome {
    buttons::tap("BTN_HANGUP")?;
    for end in End::BOTH {
        wait_card(call, end)?;
    }
    photograph(call, NAMES, "6-ended")?;
    for station in [door, kitchen] {
        station.wait_state("idle")?;
        wait_record_of_the_call(station)?;
    }
    for end in End::BOTH {
        wait_card(call, end)?;
    }
    assert!(!buttons::is_high("KITCHEN_LAMP")?, "the lamp is lit though nothing goes on");
    // The idle card is drawn in the turn after.
    std::thread::sleep(Duration::from_millis(500));
    photograph(call, NAMES, "7-idle")
}

fn wait_record_of_the_call(station: &Intercom) -> Outcome {
    let what = if station.name == "door" { "made-call" } else { "answered-call" };
    let who = if station.name == "door" { "kitchen" } else { "door" };
    let is_it =
        |record: &Value| record["what"] == what && record["who"] == who && record["lasted_ms"].as_u64() > Some(0);
    station.wait_record("the call", is_it).map(drop)
}

/// Waits until the screen at `end` shows no picture, but words.
pub fn wait_card(call: &Call, end: End) -> Outcome {
    let is_card = || call.look(end).ok().filter(|look| look.sight == Sight::Other).map(drop);
    wait_for(&format!("a card at the {} end", end.name()), PATIENCE, is_card).map(drop)
}

/// Leaves a photograph of each screen in the run folder.
pub fn photograph(call: &Call, names: [&str; 2], step: &str) -> Outcome {
    End::BOTH.into_iter().try_for_each(|end| call.look(end)?.keep(&format!("{step}-{}", names[end.index()])))
}
