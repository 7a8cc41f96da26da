//! Goal: the broker is told what is so and nothing twice, the documents are what Home Assistant asks for, and the door opens for
//! nobody who may not. Method: a station's status and events by hand, what is published looked at as JSON; which keys a platform
//! requires is taken from the pages of Home Assistant's documentation.

use super::*;
use crate::panel::protocol::LinkStatus;

const NOW: Instant = Instant::from_millis(1_000);

fn config(may_release: bool) -> MirrorConfig {
    MirrorConfig { topics: Topics::beneath("visavis/door"), discovery: "homeassistant".into(), may_release }
}

fn status() -> Status {
    let link = |name: &str| LinkStatus { name: name.into(), ..LinkStatus::default() };
    Status {
        station: "front door".into(),
        version: "0.1.0".into(),
        state: "idle".into(),
        key: "ABCDE-23456".into(),
        links: vec![link("kitchen"), link("Küche 2")],
        has_door: true,
        ..Status::default()
    }
}

/// A mirror of a station that is there, at a broker that has been told all.
fn mirror(may_release: bool) -> Mirror {
    let mut mirror = Mirror::new(config(may_release));
    mirror.handle_connected();
    mirror.handle_station();
    assert_eq!(mirror.poll_wish(), Some(Wish::Status));
    mirror.handle_status(NOW, status());
    mirror
}

fn published(mirror: &mut Mirror) -> Vec<(String, String)> {
    let all = std::iter::from_fn(|| mirror.poll_publication());
    all.map(|publication| (publication.topic, String::from_utf8(publication.payload).unwrap())).collect()
}

fn newest(published: &[(String, String)], topic: &str) -> Option<Value> {
    let found = published.iter().rev().find(|(of, _)| of == topic)?;
    Some(serde_json::from_str(&found.1).unwrap_or_else(|_| Value::from(found.1.as_str())))
}

fn message(topic: &str, payload: &str) -> Message {
    Message { topic: topic.into(), payload: Some(payload.into()), is_retained: false, is_timely: true }
}

fn state(state: &str, peer: Option<&str>) -> Event {
    let what = Happening::State { state: state.into(), peer: peer.map(Into::into), reason: None };
    Event { at_unix_ms: 7, what }
}

const DOCUMENT: &str = "homeassistant/device/visavis_abcde-23456/config";

#[test]
fn the_document_has_what_home_assistant_requires_of_each_platform() {
    for (may_release, door, other) in [(true, "lock", "door_state"), (false, "binary_sensor", "door")] {
        let told = published(&mut mirror(may_release));
        let document = newest(&told, DOCUMENT).unwrap();
        assert!(document["device"]["identifiers"][0].is_string() && document["device"]["name"] == "front door");
        assert_eq!(document["origin"]["name"], "visavis");
        assert_eq!(document["availability_topic"], "visavis/door/availability");
        let components = document["components"].as_object().unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for (name, component) in components {
            let required: &[&str] = match component["platform"].as_str().unwrap() {
                "event" => &["state_topic", "event_types"],
                "sensor" | "binary_sensor" => &["state_topic"],
                "lock" | "button" => &["command_topic"],
                "camera" => &["topic"],
                "image" => &["image_topic"],
                other => panic!("{other}"),
            };
            assert!(required.iter().all(|key| component.get(key).is_some()), "{name}: {component}");
            assert!(ids.insert(component["unique_id"].as_str().unwrap()), "{name}");
            let is_identifier = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
            assert!(is_identifier(name), "{name}");
        }
        assert_eq!(components["event"]["device_class"], "doorbell");
        assert!(components["call"]["options"].as_array().unwrap().contains(&"idle".into()));
        assert_eq!(components["call_K_c3_bcche_202"]["payload_press"], "ring Küche 2");
        let doors = components.values().filter(|component| component["name"] == "Door");
        assert_eq!(doors.map(|component| &component["platform"]).collect::<Vec<_>>(), [door]);
        // The other kind of door may stand there from before: it is taken away first.
        let first = told.iter().find(|(topic, _)| topic == DOCUMENT).unwrap();
        let first: Value = serde_json::from_str(&first.1).unwrap();
        assert_eq!(first["components"][other].as_object().unwrap().len(), 1, "only its platform");
    }
}

#[test]
fn a_station_that_was_forgotten_loses_its_button() {
    let mut mirror = mirror(false);
    published(&mut mirror);
    mirror.handle_status(NOW, status());
    assert_eq!(published(&mut mirror), [], "nothing is told twice");
    let mut shorter = status();
    shorter.links.pop();
    mirror.handle_status(NOW, shorter);
    let told = published(&mut mirror);
    assert_eq!(told.len(), 2, "{told:?}");
    let documents: Vec<Value> = told.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(documents[0]["components"]["call_K_c3_bcche_202"], json!({ "platform": "button" }));
    assert!(documents[1]["components"].get("call_K_c3_bcche_202").is_none());
}

#[test]
fn a_ring_is_told_at_once_and_its_picture_when_it_comes() {
    let mut mirror = mirror(false);
    published(&mut mirror);
    mirror.handle_event(&state("ringing", Some("kitchen")));
    let told = published(&mut mirror);
    let event = newest(&told, "visavis/door/event").unwrap();
    assert_eq!(event, json!({ "event_type": "ring", "peer": "kitchen", "at_unix_ms": 7 }));
    assert_eq!(mirror.poll_wish(), Some(Wish::Look { look: Look::Call, is_ring: true }));
    assert_eq!(mirror.poll_wish(), Some(Wish::Status));
    mirror.handle_picture(b"jpeg".to_vec(), true);
    let topics: Vec<_> = published(&mut mirror).into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(topics, ["visavis/door/ring/picture", "visavis/door/picture"]);
    mirror.handle_event(&state("calling", Some("kitchen")));
    assert_eq!(mirror.poll_wish(), Some(Wish::Look { look: Look::Camera, is_ring: true }), "who stands at this door");
    // One of several declined.
    published(&mut mirror);
    mirror.handle_event(&state("calling", None));
    assert_eq!((published(&mut mirror), mirror.poll_wish()), (Vec::new(), Some(Wish::Status)));
    // Talking is no ring.
    published(&mut mirror);
    mirror.handle_event(&state("talking", Some("kitchen")));
    assert_eq!(published(&mut mirror), []);
}

#[test]
fn faults_and_the_strike_are_told_as_they_are() {
    let mut mirror = mirror(true);
    published(&mut mirror);
    let event = |what| Event { at_unix_ms: 7, what };
    mirror.handle_event(&event(Happening::DoorOpen(true)));
    assert_eq!(published(&mut mirror), [("visavis/door/door".to_owned(), "UNLOCKED".to_owned())]);
    mirror.handle_event(&event(Happening::DoorOpen(false)));
    assert_eq!(published(&mut mirror), [("visavis/door/door".to_owned(), "LOCKED".to_owned())]);
    // That it was to be opened is an event; whether it is open the strike alone knows.
    mirror.handle_event(&event(Happening::DoorReleased { by: "kitchen".into() }));
    let told = published(&mut mirror);
    assert_eq!((told.len(), told[0].0.as_str()), (1, "visavis/door/event"));
    let faults = vec!["camera: /dev/video0 is absent".to_owned()];
    mirror.handle_status(NOW, Status { faults, missed: 2, ..status() });
    let told = published(&mut mirror);
    let health = newest(&told, "visavis/door/health").unwrap();
    assert_eq!((&health["camera"], &health["screen"]), (&"camera: /dev/video0 is absent".into(), &Value::Null));
    assert_eq!(newest(&told, "visavis/door/state").unwrap()["missed"], 2);
}

#[test]
fn a_station_that_is_gone_is_offline_and_everything_is_told_anew_to_a_broker_that_forgot() {
    let mut mirror = mirror(false);
    let whole = published(&mut mirror);
    assert_eq!(newest(&whole, "visavis/door/availability"), Some("online".into()));
    mirror.handle_station_gone();
    assert_eq!(published(&mut mirror), [("visavis/door/availability".to_owned(), "offline".to_owned())]);
    mirror.handle_disconnected();
    mirror.handle_station();
    mirror.handle_status(NOW, status());
    assert_eq!(published(&mut mirror), [], "there is nobody to be told");
    mirror.handle_connected();
    // Before the station had said how it is, it was offline.
    assert!(published(&mut mirror) == whole[1..]);
}

#[test]
fn an_automation_answers_and_rings_and_does_no_more() {
    let mut mirror = mirror(true);
    assert_eq!(mirror.poll_wish(), None);
    for (text, wanted) in [
        ("answer", Some("answer")),
        ("ring kitchen", Some("ring kitchen")),
        ("hang-up\n", Some("hang-up")),
        ("monitor kitchen", None),
        ("page all", None),
        ("release-here", None),
        ("release kitchen", None),
        ("invite release", None),
        ("pair", None),
        ("sing", None),
    ] {
        let done = mirror.handle_message(NOW, &message("visavis/door/command", text));
        let wish = mirror.poll_wish();
        match (wanted, &wish) {
            (Some(wanted), Some(Wish::Act(action))) => assert_eq!(action.to_string(), wanted),
            (None, None) => assert!(matches!(done, Err(Refusal::Unknown(_))), "{text}: {done:?}"),
            _ => panic!("{text}: {wish:?}"),
        }
    }
    let not_text = Message { payload: Some(vec![0xff]), ..message("visavis/door/command", "") };
    assert!(mirror.handle_message(NOW, &not_text).is_err());
    let too_long = Message { payload: None, ..not_text };
    assert_eq!(mirror.handle_message(NOW, &too_long), Err(Refusal::TooLong));
    let removal = message("visavis/door/door/set", "");
    assert_eq!(mirror.handle_message(NOW, &removal), Ok(()), "so a retained message is taken away");
    assert_eq!(mirror.poll_wish(), None);
}

#[test]
fn the_door_opens_for_nobody_who_may_not_and_for_nothing_old() {
    let unlock = message("visavis/door/door/set", "UNLOCK");
    assert_eq!(mirror(false).handle_message(NOW, &unlock), Err(Refusal::DoorIsClosed));
    let mut mirror = mirror(true);
    let retained = Message { is_retained: true, ..unlock.clone() };
    assert_eq!(mirror.handle_message(NOW, &retained), Err(Refusal::Retained));
    assert_eq!(mirror.handle_message(NOW, &Message { is_timely: false, ..unlock.clone() }), Err(Refusal::Late));
    for payload in ["unlock", "OPEN", "true"] {
        assert!(mirror.handle_message(NOW, &message("visavis/door/door/set", payload)).is_err());
    }
    assert_eq!(mirror.handle_message(NOW, &message("visavis/door/door/set", "LOCK")), Ok(()));
    assert_eq!(mirror.poll_wish(), None);
    for _ in 0..DOOR_OPENINGS_MAX {
        assert_eq!(mirror.handle_message(NOW, &unlock), Ok(()));
        assert_eq!(mirror.poll_wish(), Some(Wish::Act(Action::ReleaseHere)));
    }
    assert_eq!(mirror.handle_message(NOW, &unlock), Err(Refusal::TooOften));
    assert_eq!(mirror.handle_message(NOW + ALLOWED_WITHIN, &unlock), Ok(()));
}

#[test]
fn a_flood_of_wishes_does_not_reach_the_station() {
    let mut mirror = mirror(true);
    let mute = message("visavis/door/command", "mute");
    let taken = (0..1_000).filter(|_| {
        let is_taken = mirror.handle_message(NOW, &mute).is_ok();
        is_taken && mirror.poll_wish().is_some()
    });
    assert_eq!(taken.count(), ASKED_MAX);
    assert_eq!(mirror.handle_message(NOW + ALLOWED_WITHIN, &mute), Ok(()));
}

#[test]
fn refusals_are_said_seldom() {
    let mut mirror = mirror(false);
    let said = (0..100).filter(|_| mirror.is_said(NOW).is_some()).count();
    assert_eq!(said as u32, Seldom::SAID_MAX);
}
