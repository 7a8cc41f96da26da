//! What a house's automation meets.

use crate::broker::Broker;
use crate::house::{Station, pair, until};
use crate::scratch::Scratch;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use std::fs;
use std::path::Path;
use std::process::Command;
use visavis::codec::mjpeg::JpegReader;
use visavis::media::Size;
use visavis::panel::protocol::{Answer, Happening, Look, Request};

const OPEN: &str = "allow_anonymous true";

fn plain(broker: &Broker) -> String {
    format!("broker = 'mqtt://127.0.0.1:{}'", broker.port)
}

/// Luma of an image, row by row.
fn luma(jpeg: &[u8]) -> (Size, Vec<f64>) {
    let mut reader = JpegReader::new();
    let planes = reader.read(jpeg, None).expect("a JPEG image");
    let (plane, size) = planes.y;
    let rows = plane.data.chunks(plane.stride_bytes).take(size.height as usize);
    (size, rows.flat_map(|row| row[..size.width as usize].iter().map(|luma| f64::from(*luma))).collect())
}

/// How alike two pictures are: 1 is the same, 0 has nothing to do with it.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let mean = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product =
        |x: &[f64], of_x: f64, y: &[f64], of_y: f64| x.iter().zip(y).map(|(x, y)| (x - of_x) * (y - of_y)).sum::<f64>();
    product(a, mean_a, b, mean_b) / (product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b)).sqrt()
}

fn still(station: &Station) -> (Size, Vec<f64>) {
    match station.ask(&Request::Still(Look::Camera)) {
        Answer::Still(jpeg) => luma(&jpeg),
        other => panic!("{other:?}"),
    }
}

pub fn a_ring_is_told_with_its_picture_and_answered() {
    let scratch = Scratch::new("ring");
    let [door, kitchen] = pair(&scratch.0);
    let broker = Broker::start(&scratch.0, OPEN, &[]);
    let ears = broker.listen();
    let mut bridge = kitchen.bridge(&plain(&broker));
    let id = format!("visavis_{}", kitchen.status().key.to_ascii_lowercase());
    let topic = format!("homeassistant/device/{id}/config");
    let document = ears.until(&topic, |heard| heard.json()["components"]["door"].get("state_topic").is_none());
    assert_eq!(document.json()["device"]["name"], "kitchen");
    assert_eq!(document.json()["components"]["call_door"]["payload_press"], "ring door");
    ears.until_said("visavis/kitchen/availability", "online");
    // Who comes later finds all of it.
    assert!(broker.listen().until(&topic, |_| true).is_retained);

    door.act("ring kitchen");
    let event = ears.until("visavis/kitchen/event", |_| true);
    assert_eq!((&event.json()["event_type"], &event.json()["peer"]), (&"ring".into(), &"door".into()));
    assert_eq!((event.qos, event.is_retained), (1, false));
    let (size, seen) = luma(&ears.until("visavis/kitchen/ring/picture", |_| true).payload);
    let (door_size, there) = still(&door);
    assert_eq!(size, door_size);
    // Its size is the door's alone. Beneath the heading, which the kitchen's screen has on it, it is the test pattern; in that, a
    // band and a ball have moved on since.
    let middle = size.width as usize * 40..size.width as usize * 80;
    let alike = correlation(&seen[middle.clone()], &there[middle]);
    assert!(alike > 0.5, "the picture is not of the door: {alike}");
    broker.say("visavis/kitchen/command", "answer", &[]);
    door.until_state("talking");
    ears.until("visavis/kitchen/state", |heard| heard.json()["state"] == "talking" && heard.json()["peer"] == "door");

    // A picture on request is of this station's own camera.
    broker.say("visavis/kitchen/picture/take", "PRESS", &[]);
    let (size, _) = luma(&ears.until("visavis/kitchen/picture", |heard| luma(&heard.payload).0 != door_size).payload);
    assert_eq!(size, Size::new(320, 240));
    broker.say("visavis/kitchen/command", "monitor door", &[]);
    bridge.until_says("`monitor door` cannot be asked for by MQTT");
    broker.say("visavis/kitchen/command", "hang-up", &[]);
    door.until_state("idle");
    ears.until("visavis/kitchen/state", |heard| heard.json()["state"] == "idle");

    // Who rings in vain is missed, until somebody looks.
    door.act("ring kitchen");
    ears.until("visavis/kitchen/event", |heard| heard.json()["event_type"] == "ring");
    door.act("hang-up");
    ears.until("visavis/kitchen/event", |heard| heard.json()["event_type"] == "missed");
    ears.until("visavis/kitchen/state", |heard| heard.json()["missed"] == 1);
    bridge.stop();
    ears.until_said("visavis/kitchen/availability", "offline");
}

pub fn the_door_opens_on_a_fresh_word_alone() {
    let scratch = Scratch::new("door");
    let door = Station::start(&scratch.0, "door", "160x120");
    let broker = Broker::start(&scratch.0, OPEN, &[]);
    // Somebody's old word lies in the broker.
    broker.say("visavis/door/door/set", "UNLOCK", &["-r"]);
    let ears = broker.listen();
    let bridge = door.bridge(&format!("{}\nrelease = true", plain(&broker)));
    bridge.until_says("is ignored: it was retained");
    ears.until_said("visavis/door/door", "LOCKED");
    ears.until_said("visavis/door/availability", "online");
    let is_release = |event: &Happening| matches!(event, Happening::DoorReleased { .. });
    assert!(!door.happened().iter().any(is_release));

    // What is long, and what is no word, does nothing; what comes after it is heard.
    broker.say("visavis/door/door/set", &"UNLOCK".repeat(5_000), &[]);
    bridge.until_says("longer than any message");
    broker.say("visavis/door/door/set", "OPEN", &[]);
    bridge.until_says("a door takes UNLOCK and LOCK");
    assert!(!door.happened().iter().any(is_release));
    broker.say("visavis/door/door/set", "UNLOCK", &[]);
    door.until("released", is_release);
    let event = ears.until("visavis/door/event", |_| true);
    assert_eq!(event.json()["event_type"], "door");
    // The strike's line is not there, so it has not opened: only the strike says that.
    let told = ears.so_far(&broker);
    assert!(!told.iter().any(|heard| heard.payload == b"UNLOCKED"), "{told:?}");
    // Whoever holds the button down opens it so and so often.
    for _ in 0..6 {
        broker.say("visavis/door/door/set", "UNLOCK", &[]);
    }
    bridge.until_says("asked for often enough");
}

pub fn a_door_that_is_not_released_stays_shut() {
    let scratch = Scratch::new("shut");
    let door = Station::start(&scratch.0, "door", "160x120");
    let broker = Broker::start(&scratch.0, OPEN, &[]);
    let ears = broker.listen();
    let bridge = door.bridge(&plain(&broker));
    ears.until_said("visavis/door/availability", "online");
    broker.say("visavis/door/door/set", "UNLOCK", &[]);
    bridge.until_says("takes release = true under [mqtt]");
    broker.say("visavis/door/command", "release-here", &[]);
    bridge.until_says("`release-here` cannot be asked for by MQTT");
    assert!(!door.happened().iter().any(|event| matches!(event, Happening::DoorReleased { .. })));
}

pub fn what_becomes_of_the_broker_or_the_bridge_is_seen() {
    let scratch = Scratch::new("restart");
    let door = Station::start(&scratch.0, "door", "160x120");
    let mut broker = Broker::start(&scratch.0, OPEN, &[]);
    let bridge = door.bridge(&plain(&broker));
    broker.listen().until_said("visavis/door/availability", "online");
    broker.kill();
    bridge.until_says("it is tried again for as long as it takes");
    // One that forgot everything.
    broker.start_again();
    let ears = broker.listen();
    let said = bridge.until_says("connected to the broker");
    let warnings = said.iter().filter(|line| line.contains("WARN")).count();
    assert!(warnings <= 1, "it is said once that it hung up, once that it is not reached: {said:#?}");
    ears.until("visavis/door/state", |heard| heard.json()["state"] == "idle");
    ears.until_said("visavis/door/availability", "online");
    // A death without a word.
    bridge.kill();
    ears.until_said("visavis/door/availability", "offline");
    // And a station that is gone, while somebody still speaks for it.
    let bridge = door.bridge(&plain(&broker));
    ears.until_said("visavis/door/availability", "online");
    drop(door);
    ears.until_said("visavis/door/availability", "offline");
    bridge.until_says("the station is not here");
}

pub fn who_the_broker_is_and_who_we_are_is_proved() {
    let scratch = Scratch::new("proof");
    let folder = &scratch.0;
    let door = Station::start(folder, "door", "160x120");
    certificate(folder);
    let users = folder.join("users");
    let made = Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(&users).args(["door", "open-sesame"]).status();
    assert!(made.unwrap().success());
    fs::write(folder.join("password"), "open-sesame\n").unwrap();
    fs::write(folder.join("wrong"), "open-says-me\n").unwrap();
    let [certificate, key] = ["broker.pem", "broker.key"].map(|name| folder.join(name).display().to_string());
    let more =
        format!("password_file {}\ncertfile {certificate}\nkeyfile {key}\nallow_anonymous false", users.display());
    let credentials = ["-u", "door", "-P", "open-sesame", "--cafile", &certificate];
    let broker = Broker::start(folder, &more, &credentials);
    let mqtt = |authority: &str, password: &str| {
        let password = folder.join(password).display().to_string();
        let port = broker.port;
        format!("broker = 'mqtts://127.0.0.1:{port}'\nuser = 'door'\npassword_file = '{password}'\n{authority}")
    };
    let ours = format!("ca_file = '{certificate}'");
    door.bridge(&mqtt("", "password")).until_says("does not prove who it is, by TLS");
    door.bridge(&mqtt(&ours, "wrong")).until_says("refuses user and password: see user and password_file under [mqtt]");
    let ears = broker.listen();
    let bridge = door.bridge(&mqtt(&ours, "password"));
    ears.until_said("visavis/door/availability", "online");
    broker.say("visavis/door/picture/take", "PRESS", &[]);
    let picture = ears.until("visavis/door/picture", |_| true);
    assert_eq!(luma(&picture.payload).0, Size::new(160, 120));
    let said = until("something said", || Some(bridge.said()).filter(|said| !said.is_empty()));
    assert!(!said.iter().any(|line| line.contains("sesame")), "{said:#?}");
}

/// Of a broker at 127.0.0.1 that vouches for itself, in `folder`.
fn certificate(folder: &Path) {
    let key = PKey::from_rsa(Rsa::generate(2_048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "broker").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    fs::write(folder.join("broker.pem"), builder.build().to_pem().unwrap()).unwrap();
    fs::write(folder.join("broker.key"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
}
