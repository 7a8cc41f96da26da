//! Goal: ringing, answering and ending are as people expect. Method: stories in a house of eight, told by what each
//! station shows, plays and sends.

use super::house::{House, key};
use crate::call::{
    CallConfig, CallEvent, Ending, Group, Lamp, Media, MinuteOfDay, PeerPolicy, Progress, QuietHours, Refusal, State,
    Tone, Whom,
};
use crate::time::Duration;
use crate::wire::{CallId, CallKind, CallMessage, DeclineReason, EndReason, Invite, bounded};

pub(super) const CELLAR: usize = 2;
pub(super) const DOOR: usize = 3;
pub(super) const HALL: usize = 5;
pub(super) const KITCHEN: usize = 6;

/// A door whose button rings kitchen and hall, and shows who stands there.
pub(super) fn home(allow: impl Fn(usize, &mut PeerPolicy)) -> House {
    let configure = |station: usize, config: &mut CallConfig| {
        if station == DOOR {
            config.early_media = true;
            config.door = Some(Duration::from_secs(3));
            config.groups = vec![Group { name: "Living".into(), members: vec!["Kitchen".into(), "hall".into()] }];
            config.usual = Whom::Named("living".into());
        }
    };
    House::with(8, 1, configure, allow)
}

fn quiet_home() -> House {
    home(|_, _| {})
}

/// Both ways with one peer.
fn face_to_face(peer: usize) -> Media {
    let peer = key(peer);
    Media { picture_to: vec![peer], sound_to: vec![peer], shown: Some(peer), heard: Some(peer) }
}

fn ending(house: &House, station: usize) -> Ending {
    match house.state(station) {
        State::Ended(ended) => ended.why.clone(),
        state => panic!("{state:?}"),
    }
}

fn has_event(house: &House, station: usize, wanted: impl Fn(&CallEvent) -> bool) -> bool {
    house.stations[station].events.iter().any(wanted)
}

fn missed(house: &House, station: usize) -> usize {
    house.stations[station].events.iter().filter(|event| matches!(event, CallEvent::Missed { .. })).count()
}

#[test]
fn the_button_at_the_door_rings_the_house_and_the_first_to_answer_has_the_call() {
    let mut house = quiet_home();
    house.act(DOOR, "call-button");
    house.pass(0.5);
    let call = |station: usize| &house.stations[station].call;
    for station in [KITCHEN, HALL] {
        assert!(matches!(house.state(station), State::Ringing(ringing) if ringing.group == "Living"));
        assert_eq!((call(station).tone(), call(station).lamp(house.wall)), (Tone::Ring, Lamp::Ringing));
        assert_eq!(call(station).media(), Media { shown: Some(key(DOOR)), ..Media::default() });
    }
    assert_eq!((call(DOOR).tone(), call(DOOR).lamp(house.wall)), (Tone::RingBack, Lamp::Calling));
    let early = Media { picture_to: vec![key(HALL), key(KITCHEN)], ..Media::default() };
    assert_eq!(call(DOOR).media(), early, "the picture alone, and only to those that ring");
    assert_eq!(house.state(CELLAR), &State::Idle);

    house.act(KITCHEN, "call-button");
    house.pass(0.5);
    assert_eq!(house.stations[DOOR].call.media(), face_to_face(KITCHEN));
    assert_eq!(house.stations[KITCHEN].call.media(), face_to_face(DOOR));
    assert_eq!(ending(&house, HALL), Ending::AnsweredBy("kitchen".into()));
    assert_eq!((missed(&house, HALL), house.stations[HALL].call.tone()), (0, Tone::None));

    house.act(KITCHEN, "hang-up");
    house.pass(0.5);
    assert_eq!((ending(&house, KITCHEN), ending(&house, DOOR)), (Ending::HungUpHere, Ending::HungUp));
    let lasted =
        |event: &CallEvent| matches!(event, CallEvent::Ended { lasted: Some(lasted), .. } if !lasted.is_zero());
    assert!(has_event(&house, DOOR, lasted) && has_event(&house, KITCHEN, lasted));
    house.pass(10.0);
    assert_eq!((house.state(KITCHEN), house.state(DOOR)), (&State::Idle, &State::Idle));
}

#[test]
fn who_is_in_a_call_is_busy_and_sees_later_who_rang() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    house.act(CELLAR, "ring kitchen");
    house.pass(0.5);
    assert_eq!((ending(&house, CELLAR), house.stations[CELLAR].call.tone()), (Ending::Busy, Tone::Busy));
    assert_eq!((house.partner(DOOR), missed(&house, KITCHEN)), (Some(KITCHEN), 1));
    assert_eq!(house.ask(KITCHEN, "ring cellar"), Err(Refusal::InACall));
}

#[test]
fn while_it_rings_another_caller_is_told_that_it_is_busy() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(CELLAR, "ring kitchen");
    house.pass(0.5);
    assert_eq!(ending(&house, CELLAR), Ending::Busy);
    assert!(matches!(house.state(KITCHEN), State::Ringing(ringing) if ringing.peer == key(DOOR)));
}

#[test]
fn a_refused_call_ends_for_one_and_goes_on_for_a_group() {
    let mut house = quiet_home();
    house.act(DOOR, "ring");
    house.pass(0.5);
    house.act(KITCHEN, "decline");
    house.pass(0.5);
    assert!(matches!(house.state(DOOR), State::Calling(_)) && matches!(house.state(HALL), State::Ringing(_)));
    assert_eq!((ending(&house, KITCHEN), missed(&house, KITCHEN)), (Ending::DeclinedHere, 0));
    house.act(HALL, "decline");
    house.pass(0.5);
    assert_eq!((ending(&house, DOOR), house.stations[DOOR].call.tone()), (Ending::Declined, Tone::Busy));
}

#[test]
fn a_call_that_nobody_answers_ends_and_is_kept_with_a_picture() {
    let mut house = quiet_home();
    let began = house.now;
    house.act(DOOR, "ring kitchen");
    house.pass(46.0);
    assert_eq!((ending(&house, DOOR), ending(&house, KITCHEN)), (Ending::NoAnswer, Ending::Missed));
    let kept = |event: &CallEvent| match event {
        CallEvent::Missed { peer, at, picture } => *peer == key(DOOR) && *picture && at.since(began).as_secs() < 1,
        _ => false,
    };
    assert!(has_event(&house, KITCHEN, kept));
    assert_eq!(
        house.stations[KITCHEN].call.tone(),
        Tone::None,
        "a busy tone would wake those who did not hear it ring"
    );
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing_and_leaves_a_missed_call() {
    let mut house = quiet_home();
    house.act(DOOR, "ring");
    house.pass(0.5);
    house.act(DOOR, "call-button");
    house.pass(0.5);
    for station in [KITCHEN, HALL] {
        assert_eq!((ending(&house, station), missed(&house, station)), (Ending::Missed, 1));
    }
}

#[test]
fn both_who_press_the_button_at_once_to_hang_up_do_not_ring_anew() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.pass(5.0);
    house.act(KITCHEN, "call-button");
    house.pass(0.3);
    house.act(DOOR, "call-button");
    house.pass(0.3);
    assert_eq!((house.state(DOOR), house.state(HALL)), (&State::Idle, &State::Idle));
    // A later press means another call, though the card may still stand.
    house.act(DOOR, "call-button");
    house.pass(0.3);
    assert!(matches!(house.state(HALL), State::Ringing(_)));
}

#[test]
fn nobody_here_is_unreachable_at_once_and_somebody_here_is_enough() {
    let mut house = quiet_home();
    for station in [KITCHEN, HALL] {
        house.set_link(DOOR, station, false);
    }
    house.pass(60.0);
    house.act(DOOR, "ring");
    assert_eq!((ending(&house, DOOR), house.stations[DOOR].call.tone()), (Ending::Unreachable, Tone::Error));
    house.set_link(DOOR, HALL, true);
    house.pass(10.0);
    house.act(DOOR, "ring");
    house.pass(5.0);
    assert!(matches!(house.state(HALL), State::Ringing(_)));
    // The kitchen comes back while it rings, and rings too.
    house.set_link(DOOR, KITCHEN, true);
    house.pass(5.0);
    assert!(matches!(house.state(KITCHEN), State::Ringing(_)));
}

#[test]
fn a_station_that_just_begins_anew_is_waited_for_and_rung() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(3.0);
    house.restart(KITCHEN);
    house.pass(5.0);
    assert!(matches!(house.state(KITCHEN), State::Ringing(_)));
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    assert_eq!(house.partner(DOOR), Some(KITCHEN));
    // One that is just away is waited for, but not for ever.
    house.act(DOOR, "hang-up");
    house.set_link(DOOR, KITCHEN, false);
    house.pass(2.0);
    house.act(DOOR, "ring kitchen");
    assert!(matches!(house.state(DOOR), State::Calling(calling) if calling.legs[0].progress == Progress::Waiting));
    house.pass(12.0);
    assert_eq!(ending(&house, DOOR), Ending::Unreachable);
}

#[test]
fn ringing_somebody_who_leaves_goes_on_for_a_while_only() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.set_link(DOOR, KITCHEN, false);
    house.pass(9.0);
    assert!(matches!(house.state(DOOR), State::Calling(_)));
    house.pass(4.0);
    assert_eq!(ending(&house, DOOR), Ending::Unreachable);
}

#[test]
fn a_call_survives_a_cut_of_the_network_and_a_longer_one_ends_it_on_both_sides() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    house.set_link(DOOR, KITCHEN, false);
    house.pass(20.0);
    house.act(KITCHEN, "mute on");
    house.set_link(DOOR, KITCHEN, true);
    house.pass(60.0);
    assert!(matches!(house.state(DOOR), State::Talking(talking) if talking.muted_there), "told what it could not hear");
    assert_eq!(house.partner(KITCHEN), Some(DOOR));
    house.set_link(DOOR, KITCHEN, false);
    house.pass(33.0);
    assert_eq!((ending(&house, DOOR), ending(&house, KITCHEN)), (Ending::Lost, Ending::Lost));
}

#[test]
fn after_ten_minutes_without_a_network_the_call_is_over_and_the_next_one_stands_at_once() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    house.set_link(DOOR, KITCHEN, false);
    house.pass(600.0);
    for station in [DOOR, KITCHEN] {
        let is_lost = |event: &CallEvent| matches!(event, CallEvent::Ended { why: Ending::Lost, .. });
        assert!(has_event(&house, station, is_lost));
        assert_eq!(house.state(station), &State::Idle, "nobody stands in a call that is over");
    }
    house.set_link(DOOR, KITCHEN, true);
    house.pass(0.5);
    assert_eq!(house.state(KITCHEN), &State::Idle, "what was said before the cut ends nothing and begins nothing");
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    assert_eq!((house.partner(DOOR), house.partner(KITCHEN)), (Some(KITCHEN), Some(DOOR)));
}

#[test]
fn an_answer_given_while_the_caller_is_away_reaches_it_when_it_is_back() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.set_link(DOOR, KITCHEN, false);
    house.pass(3.0);
    house.act(KITCHEN, "answer");
    house.pass(2.0);
    house.set_link(DOOR, KITCHEN, true);
    house.pass(3.0);
    assert_eq!((house.partner(DOOR), house.partner(KITCHEN)), (Some(KITCHEN), Some(DOOR)));
}

#[test]
fn who_begins_anew_during_a_call_has_left_it() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    house.restart(DOOR);
    house.pass(2.0);
    assert_eq!((house.state(DOOR), ending(&house, KITCHEN)), (&State::Idle, Ending::Lost));
}

#[test]
fn who_waits_on_hold_is_neither_seen_nor_heard_and_is_told() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.act(KITCHEN, "hold");
    house.pass(0.5);
    for station in [KITCHEN, DOOR] {
        let call = &house.stations[station].call;
        assert_eq!((call.media(), call.lamp(house.wall)), (Media::default(), Lamp::Held));
    }
    assert!(matches!(house.state(DOOR), State::Talking(talking) if talking.held_there && !talking.held_here));
    house.act(KITCHEN, "hold off");
    house.pass(0.5);
    assert_eq!(house.stations[DOOR].call.media(), face_to_face(KITCHEN));
    assert_eq!(house.ask(HALL, "hold"), Err(Refusal::NoCall));
}

#[test]
fn a_muted_microphone_is_heard_by_nobody_until_the_call_is_over() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "mute on");
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    assert_eq!(house.stations[KITCHEN].call.media().sound_to, []);
    assert!(matches!(house.state(DOOR), State::Talking(talking) if talking.muted_there), "marked from the beginning");
    house.act(KITCHEN, "talk on");
    house.pass(0.5);
    assert_eq!(house.stations[KITCHEN].call.media().sound_to, [key(DOOR)]);
    house.act(KITCHEN, "talk off");
    house.act(KITCHEN, "hang-up");
    assert!(!house.stations[KITCHEN].call.is_muted(), "the next call begins as ever");
}

#[test]
fn nobody_rings_at_night_and_the_caller_is_told_why() {
    let night = QuietHours { from: MinuteOfDay::new(22, 0).unwrap(), to: MinuteOfDay::new(6, 0).unwrap() };
    let mut house = House::with(2, 1, |_, config| config.quiet_hours = Some(night), |_, _| {});
    house.wall = MinuteOfDay::new(5, 59).unwrap();
    house.act(0, "ring bath");
    house.pass(0.5);
    assert_eq!((ending(&house, 0), missed(&house, 1)), (Ending::DoNotDisturb, 1));
    assert_eq!(house.stations[1].call.lamp(house.wall), Lamp::DoNotDisturb);
    assert_eq!(house.ask(1, "do-not-disturb off"), Err(Refusal::QuietHours));
    house.wall = MinuteOfDay::new(6, 0).unwrap();
    house.act(0, "ring bath");
    house.pass(0.5);
    assert!(matches!(house.state(1), State::Ringing(_)));
    house.act(1, "decline");
    house.pass(0.5);
    house.act(1, "do-not-disturb");
    house.act(0, "page");
    house.pass(0.5);
    assert_eq!(ending(&house, 0), Ending::DoNotDisturb);
}

#[test]
fn who_may_not_call_is_turned_away_and_audited() {
    let mut house = home(|station, policy| policy.rights.call = station != KITCHEN);
    house.act(CELLAR, "ring kitchen");
    house.pass(0.5);
    assert_eq!((ending(&house, CELLAR), missed(&house, KITCHEN)), (Ending::NotAllowed, 0));
    let audited = CallEvent::TurnedAway { peer: key(CELLAR), kind: CallKind::Talk };
    assert!(has_event(&house, KITCHEN, |event| *event == audited));
}

#[test]
fn a_call_is_answered_by_the_station_itself_where_that_is_agreed() {
    let after = Duration::from_secs(3);
    let mut house = home(|station, policy| policy.auto_answer = (station == KITCHEN).then_some(after));
    house.act(CELLAR, "ring kitchen");
    house.pass(2.9);
    assert!(matches!(house.state(KITCHEN), State::Ringing(_)));
    house.pass(0.5);
    assert_eq!(house.partner(CELLAR), Some(KITCHEN));
}

#[test]
fn the_longest_call_ends_on_both_sides_and_is_announced_a_minute_before() {
    let mut house = House::with(2, 1, |_, config| config.call_time = Duration::from_secs(300), |_, _| {});
    house.act(0, "ring bath");
    house.pass(0.5);
    house.act(1, "answer");
    house.pass(239.0);
    let soon = |event: &CallEvent| *event == CallEvent::EndsSoon { left: Duration::from_secs(60) };
    assert!(!has_event(&house, 0, soon));
    house.pass(2.0);
    assert!(has_event(&house, 0, soon) && has_event(&house, 1, soon));
    house.pass(60.0);
    assert_eq!((ending(&house, 0), ending(&house, 1)), (Ending::TimeLimit, Ending::TimeLimit));
}

#[test]
fn a_peer_that_leaves_the_book_leaves_the_call() {
    let mut house = quiet_home();
    house.act(DOOR, "ring kitchen");
    house.pass(0.5);
    house.act(KITCHEN, "answer");
    house.pass(0.5);
    let now = house.now;
    house.stations[DOOR].call.set_peers(now, &[]);
    assert_eq!(ending(&house, DOOR), Ending::Lost);
    assert_eq!(house.ask(DOOR, "ring all"), Err(Refusal::Nobody));
    assert_eq!(house.ask(DOOR, "ring kitchen"), Err(Refusal::Unknown("kitchen".into())));
}

#[test]
fn what_is_not_about_calls_is_left_to_the_station() {
    let mut house = quiet_home();
    for action in ["volume +5", "level 2", "snapshot", "rescan", "pair", "stop-pairing"] {
        assert_eq!(house.ask(KITCHEN, action), Err(Refusal::NotACall), "{action}");
    }
    assert_eq!(house.ask(KITCHEN, "answer"), Err(Refusal::NothingRings));
    assert_eq!(house.ask(KITCHEN, "hang-up"), Err(Refusal::NoCall));
}

#[test]
fn the_call_button_held_pairs_only_a_station_that_knows_nobody() {
    let mut house = quiet_home();
    assert_eq!(house.ask(DOOR, "call-button-held"), Ok(()));
    assert!(matches!(house.stations[DOOR].call.state(), State::Calling(_)), "who leans on the bell rings it");
    let now = house.now;
    house.stations[KITCHEN].call.set_peers(now, &[]);
    assert_eq!(house.ask(KITCHEN, "call-button-held"), Err(Refusal::NotACall), "the station pairs then");
}

#[test]
fn who_accepts_a_call_that_is_no_more_hears_that_it_is_over() {
    let mut house = quiet_home();
    let (now, wall) = (house.now, house.wall);
    let call = &mut house.stations[KITCHEN].call;
    call.handle_message(now, wall, key(DOOR), CallMessage::Accept { call: CallId(1) });
    let over = CallMessage::End { call: CallId(1), reason: EndReason::Cancelled, by: bounded("") };
    assert_eq!(call.poll_message(), Some((key(DOOR), over)));
}

#[test]
fn who_has_declined_cannot_accept_any_more() {
    let mut house = quiet_home();
    house.act(DOOR, "ring");
    house.pass(0.5);
    house.act(KITCHEN, "decline");
    house.pass(0.5);
    let State::Calling(calling) = house.state(DOOR).clone() else { panic!("{:?}", house.state(DOOR)) };
    let (now, wall) = (house.now, house.wall);
    house.stations[DOOR].call.handle_message(now, wall, key(KITCHEN), CallMessage::Accept { call: calling.call });
    assert_eq!(house.state(DOOR), &State::Calling(calling));
}

#[test]
fn what_was_meant_for_a_station_before_it_began_anew_is_not_said_to_it() {
    let mut house = quiet_home();
    let (now, wall) = (house.now, house.wall);
    let call = &mut house.stations[KITCHEN].call;
    call.handle_action(now, wall, &"ring door".parse().unwrap()).unwrap();
    call.handle_action(now, wall, &"hang-up".parse().unwrap()).unwrap();
    call.handle_restart(now, key(DOOR));
    assert_eq!(call.poll_message(), None);
}

#[test]
fn a_kind_of_call_from_a_later_version_is_declined() {
    let mut house = quiet_home();
    let invite = Invite { call: CallId(1), kind: CallKind::Other, group: bounded(""), early_media: false };
    let (now, wall) = (house.now, house.wall);
    let call = &mut house.stations[KITCHEN].call;
    call.handle_message(now, wall, key(DOOR), CallMessage::Invite(invite));
    let declined = CallMessage::Decline { call: CallId(1), reason: DeclineReason::NotAllowed };
    assert_eq!(call.poll_message(), Some((key(DOOR), declined)));
    assert_eq!(call.state(), &State::Idle);
}
