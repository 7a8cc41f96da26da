//! Goal: monitoring and paging go one way, to those who allow it, and those who are seen know it. Method: stories in a
//! house of eight.

use super::calls::{CELLAR, DOOR, HALL, KITCHEN, home};
use super::house::key;
use crate::call::{CallEvent, Ending, Lamp, Media, State, Tone};
use crate::wire::CallKind;

#[test]
fn who_may_monitor_sees_and_hears_at_once_and_the_other_shows_that_it_is_watched() {
    let mut house = home(|_, _| {});
    house.act(KITCHEN, "monitor cellar");
    house.pass(0.5);
    let (watcher, watched) = (&house.stations[KITCHEN].call, &house.stations[CELLAR].call);
    let sees = Media { shown: Some(key(CELLAR)), heard: Some(key(CELLAR)), ..Media::default() };
    let shows = Media { picture_to: vec![key(KITCHEN)], sound_to: vec![key(KITCHEN)], ..Media::default() };
    assert_eq!((watcher.media(), watched.media()), (sees, shows));
    assert_eq!((watched.lamp(house.wall), watched.tone()), (Lamp::Watched, Tone::None));
    // Watching has hours, where a call has one.
    house.pass(2.0 * 3_600.0);
    assert_eq!(house.partner(KITCHEN), Some(CELLAR));
    house.act(CELLAR, "hang-up");
    house.pass(0.5);
    assert!(matches!(house.state(KITCHEN), State::Ended(ended) if ended.why == Ending::HungUp));
}

#[test]
fn who_may_not_monitor_sees_nothing_and_is_audited() {
    let mut house = home(|_, policy| policy.rights.monitor = policy.key != key(HALL));
    house.act(HALL, "monitor cellar");
    house.pass(0.5);
    assert!(matches!(house.state(HALL), State::Ended(ended) if ended.why == Ending::NotAllowed));
    assert_eq!((house.state(CELLAR), house.stations[CELLAR].call.media()), (&State::Idle, Media::default()));
    let audited = CallEvent::TurnedAway { peer: key(HALL), kind: CallKind::Monitor };
    assert!(house.stations[CELLAR].events.contains(&audited));
}

#[test]
fn a_call_takes_the_place_of_watching_on_either_side() {
    for (caller, called) in [(DOOR, KITCHEN), (DOOR, CELLAR), (CELLAR, KITCHEN), (KITCHEN, CELLAR), (KITCHEN, DOOR)] {
        let mut house = home(|_, _| {});
        house.act(KITCHEN, "monitor cellar");
        house.pass(0.5);
        house.act(caller, &format!("ring {}", super::house::NAMES[called]));
        house.pass(0.5);
        assert!(matches!(house.state(called), State::Ringing(ringing) if ringing.peer == key(caller)));
        for station in [KITCHEN, CELLAR] {
            assert!(!matches!(house.state(station), State::Talking(_)), "watching is over for both");
        }
    }
}

#[test]
fn a_second_watcher_does_not_push_the_first_away() {
    let mut house = home(|_, _| {});
    house.act(KITCHEN, "monitor cellar");
    house.pass(0.5);
    house.act(HALL, "monitor cellar");
    house.pass(0.5);
    assert!(matches!(house.state(HALL), State::Ended(ended) if ended.why == Ending::Busy));
    assert_eq!(house.partner(KITCHEN), Some(CELLAR));
}

#[test]
fn a_page_is_heard_by_all_who_are_free_and_nobody_answers() {
    let mut house = home(|_, _| {});
    house.act(CELLAR, "ring hall");
    house.pass(0.5);
    house.act(KITCHEN, "page all");
    house.pass(0.5);
    let media = house.stations[KITCHEN].call.media();
    assert_eq!(media.sound_to, [0, 1, DOOR, 4, 7].map(key), "but for those in a call");
    assert_eq!((media.shown, media.heard), (None, None), "one way");
    let heard = Media { shown: Some(key(KITCHEN)), heard: Some(key(KITCHEN)), ..Media::default() };
    assert_eq!(house.stations[DOOR].call.media(), heard);
    let begun = CallEvent::Begun { peer: key(KITCHEN), kind: CallKind::Page, is_caller: false };
    assert!(house.stations[DOOR].events.contains(&begun));
    // One has heard enough; the others hear on.
    house.act(DOOR, "hang-up");
    house.pass(0.5);
    assert_eq!(house.stations[KITCHEN].call.media().sound_to, [0, 1, 4, 7].map(key));
    house.act(KITCHEN, "mute");
    assert_eq!(house.stations[KITCHEN].call.media().sound_to, []);
    house.act(KITCHEN, "hang-up");
    house.pass(0.5);
    assert!(matches!(house.state(4), State::Ended(_)));
}

#[test]
fn a_page_ends_by_itself() {
    let mut house = home(|_, _| {});
    house.act(KITCHEN, "page");
    house.pass(61.0);
    for station in [KITCHEN, DOOR] {
        assert!(matches!(house.state(station), State::Ended(ended) if ended.why == Ending::TimeLimit), "{station}");
    }
}
