//! Goal: a door opens for those who may, when they want it, and for its time. Method: stories in a house of eight for
//! what people do; single messages for what an attacker or a bad network does.

use super::calls::{CELLAR, DOOR, HALL, KITCHEN, home};
use super::house::{House, key};
use crate::call::{CallEvent, Refusal, State, Tone};
use crate::time::Duration;
use crate::wire::{CallId, CallMessage, ReleaseOutcome};

/// The kitchen, face to face with the door.
fn visit() -> House {
    let mut house = home(|_, policy| policy.rights.release = policy.key != key(HALL));
    house.act(DOOR, "ring");
    house.pass(0.5);
    house
}

fn talk(house: &mut House, with: usize) {
    house.act(with, "answer");
    house.pass(0.5);
}

fn answers(house: &House, station: usize) -> Vec<ReleaseOutcome> {
    let of = |event: &CallEvent| match event {
        CallEvent::ReleaseAnswered { outcome, .. } => Some(*outcome),
        _ => None,
    };
    house.stations[station].events.iter().filter_map(of).collect()
}

fn pulses(house: &House) -> Vec<(Option<crate::identity::PublicKey>, Duration)> {
    let of = |event: &CallEvent| match event {
        CallEvent::Released { by, pulse } => Some((*by, *pulse)),
        _ => None,
    };
    house.stations[DOOR].events.iter().filter_map(of).collect()
}

fn is_open(house: &House) -> bool {
    house.stations[DOOR].call.door_on_until().is_some()
}

#[test]
fn the_door_opens_for_its_time_and_no_longer_however_often_it_is_pressed() {
    let mut house = visit();
    talk(&mut house, KITCHEN);
    house.act(KITCHEN, "release");
    house.pass(0.5);
    assert_eq!(answers(&house, KITCHEN), [ReleaseOutcome::Released]);
    assert_eq!(pulses(&house), [(Some(key(KITCHEN)), Duration::from_secs(3))]);
    assert!(is_open(&house));
    assert_eq!(house.stations[DOOR].call.tone(), Tone::Door);
    house.act(KITCHEN, "release");
    house.pass(0.5);
    assert!(pulses(&house)[1].1 < Duration::from_secs(3), "what is left of it");
    house.pass(2.1);
    assert!(!is_open(&house), "three seconds after the first press");
    assert_eq!(house.partner(KITCHEN), Some(DOOR), "the call goes on");
}

#[test]
fn who_stands_at_the_door_is_let_in_without_a_word() {
    let mut house = visit();
    house.act(KITCHEN, "release");
    house.pass(0.5);
    assert_eq!(answers(&house, KITCHEN), [ReleaseOutcome::Released]);
    assert!(is_open(&house) && matches!(house.state(KITCHEN), State::Ringing(_)));
}

#[test]
fn who_has_no_right_or_no_call_is_refused_and_audited() {
    let mut house = visit();
    house.act(CELLAR, "release door");
    house.pass(0.5);
    assert_eq!(answers(&house, CELLAR), [ReleaseOutcome::NotAllowed], "not without a call");
    talk(&mut house, HALL);
    house.act(HALL, "release");
    house.pass(0.5);
    assert_eq!(answers(&house, HALL), [ReleaseOutcome::NotAllowed], "no right");
    house.act(KITCHEN, "release door");
    house.pass(0.5);
    assert_eq!(answers(&house, KITCHEN), [ReleaseOutcome::NotAllowed], "the call is another's");
    for by in [CELLAR, HALL, KITCHEN] {
        let audited = CallEvent::ReleaseRefused { by: key(by), outcome: ReleaseOutcome::NotAllowed };
        assert!(house.stations[DOOR].events.contains(&audited));
    }
    assert!(!is_open(&house) && pulses(&house).is_empty());
}

#[test]
fn whom_the_policy_trusts_needs_no_call() {
    let mut house = home(|_, policy| policy.release_without_call = policy.key == key(CELLAR));
    house.act(CELLAR, "release door");
    house.pass(0.5);
    assert_eq!(answers(&house, CELLAR), [ReleaseOutcome::Released]);
    assert_eq!(house.ask(CELLAR, "release"), Err(Refusal::NoCall));
    house.act(CELLAR, "release hall");
    house.pass(0.5);
    assert_eq!(answers(&house, CELLAR), [ReleaseOutcome::Released, ReleaseOutcome::NoDoor]);
}

#[test]
fn the_own_button_opens_the_own_door() {
    let mut house = home(|_, _| {});
    house.act(DOOR, "release-here");
    assert_eq!(pulses(&house), [(None, Duration::from_secs(3))]);
    house.pass(3.1);
    assert!(!is_open(&house));
    assert_eq!(house.ask(HALL, "release-here"), Err(Refusal::NoDoor));
}

#[test]
fn a_request_that_the_network_kept_does_not_open_the_door_later() {
    let mut house = visit();
    talk(&mut house, KITCHEN);
    house.set_link(DOOR, KITCHEN, false);
    house.act(KITCHEN, "release");
    house.pass(20.0);
    assert_eq!(answers(&house, KITCHEN), [ReleaseOutcome::TooLate]);
    house.set_link(DOOR, KITCHEN, true);
    house.pass(10.0);
    assert!(pulses(&house).is_empty());
    assert_eq!(house.partner(DOOR), Some(KITCHEN));
    house.set_link(DOOR, KITCHEN, false);
    house.pass(2.0);
    assert_eq!(house.ask(KITCHEN, "release"), Err(Refusal::Away("door".into())));
}

#[test]
fn who_no_longer_wants_the_door_open_does_not_confirm_it_even_if_the_driver_sleeps() {
    let mut house = visit();
    talk(&mut house, KITCHEN);
    let (now, wall) = (house.now, house.wall);
    let kitchen = &mut house.stations[KITCHEN].call;
    kitchen.handle_action(now, wall, &"release".parse().unwrap()).unwrap();
    let Some((_, CallMessage::ReleaseRequest { nonce, .. })) = kitchen.poll_message() else { panic!() };
    let challenge = CallMessage::ReleaseChallenge { nonce, challenge: 1 };
    kitchen.handle_message(now + Duration::from_secs(4), wall, key(DOOR), challenge);
    assert_eq!(kitchen.poll_message(), None);
}

/// What the door says to a message of the kitchen.
fn say(house: &mut House, message: CallMessage) -> Option<CallMessage> {
    let (now, wall) = (house.now, house.wall);
    let door = &mut house.stations[DOOR];
    door.call.handle_message(now, wall, key(KITCHEN), message);
    while let Some(event) = door.call.poll_event() {
        door.events.push(event);
    }
    door.call.poll_message().map(|(_, message)| message)
}

fn current_call(house: &House) -> CallId {
    match house.state(DOOR) {
        State::Talking(talking) => talking.call,
        state => panic!("{state:?}"),
    }
}

#[test]
fn a_request_or_a_confirmation_that_comes_twice_opens_nothing() {
    let mut house = visit();
    talk(&mut house, KITCHEN);
    let request = CallMessage::ReleaseRequest { nonce: 9, call: Some(current_call(&house)), valid_ms: 4_000 };
    let Some(CallMessage::ReleaseChallenge { nonce: 9, challenge }) = say(&mut house, request.clone()) else {
        panic!()
    };
    let refused = CallMessage::ReleaseAnswer { nonce: 9, outcome: ReleaseOutcome::TooLate };
    assert_eq!(say(&mut house, request), Some(refused), "the same request");
    let confirm = CallMessage::ReleaseConfirm { challenge };
    let released = CallMessage::ReleaseAnswer { nonce: 9, outcome: ReleaseOutcome::Released };
    assert_eq!(say(&mut house, confirm.clone()), Some(released));
    assert_eq!(say(&mut house, confirm), None, "the same confirmation");
    assert_eq!(pulses(&house).len(), 1);
    assert_eq!(say(&mut house, CallMessage::ReleaseConfirm { challenge: 77 }), None, "a guess");
    assert_eq!(pulses(&house).len(), 1);
}

#[test]
fn a_confirmation_that_comes_late_or_after_the_call_opens_nothing() {
    let mut house = visit();
    talk(&mut house, KITCHEN);
    let ask = |house: &mut House, nonce| {
        let request = CallMessage::ReleaseRequest { nonce, call: Some(current_call(house)), valid_ms: 4_000 };
        let Some(CallMessage::ReleaseChallenge { challenge, .. }) = say(house, request) else { panic!() };
        challenge
    };
    let challenge = ask(&mut house, 1);
    house.pass(4.1);
    let late = CallMessage::ReleaseAnswer { nonce: 1, outcome: ReleaseOutcome::TooLate };
    assert_eq!(say(&mut house, CallMessage::ReleaseConfirm { challenge }), Some(late));
    let challenge = ask(&mut house, 2);
    house.act(DOOR, "hang-up");
    let over = CallMessage::ReleaseAnswer { nonce: 2, outcome: ReleaseOutcome::NotAllowed };
    assert_eq!(say(&mut house, CallMessage::ReleaseConfirm { challenge }), Some(over));
    assert!(pulses(&house).is_empty());
}
