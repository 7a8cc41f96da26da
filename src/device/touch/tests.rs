//! Goal: a finger is where the picture says it is, and no finger stays down for ever. Method: the kernel's events as
//! screens send them, made here, and at random.

use super::*;
use evdev::{EventType, InputEvent};
use proptest::prelude::*;

const X: Range = Range { least: 0, most: 800 };
const Y: Range = Range { least: 0, most: 480 };

fn event(kind: EventType, code: u16, value: i32) -> EventSummary {
    InputEvent::new(kind.0, code, value).destructure()
}

fn axis(axis: Axis, value: i32) -> EventSummary {
    event(EventType::ABSOLUTE, axis.0, value)
}

fn report() -> EventSummary {
    event(EventType::SYNCHRONIZATION, SynchronizationCode::SYN_REPORT.0, 0)
}

fn seen(tracker: &mut Tracker, events: Vec<EventSummary>) -> Vec<(TouchPhase, f32, f32)> {
    let touches = events.into_iter().filter_map(|event| tracker.handle(event, Instant::ZERO));
    touches.map(|touch| (touch.phase, touch.x, touch.y)).collect()
}

#[test]
fn a_finger_on_a_single_touch_screen_comes_moves_and_lifts() {
    let touch = |value| event(EventType::KEY, KeyCode::BTN_TOUCH.0, value);
    let mut screen = Tracker::new(false, X, Y, 0);
    let events = vec![
        axis(Axis::ABS_X, 400),
        axis(Axis::ABS_Y, 120),
        touch(1),
        report(),
        axis(Axis::ABS_X, 800),
        report(),
        touch(0),
        report(),
    ];
    use TouchPhase::{Down, Move, Up};
    assert_eq!(seen(&mut screen, events), [(Down, 0.5, 0.25), (Move, 1.0, 0.25), (Up, 1.0, 0.25)]);
}

#[test]
fn the_first_finger_of_several_is_followed_and_a_place_that_did_not_change_is_remembered() {
    let id = |id| axis(Axis::ABS_MT_TRACKING_ID, id);
    let slot = |slot| axis(Axis::ABS_MT_SLOT, slot);
    let mut screen = Tracker::new(true, X, Y, 0);
    let two = vec![
        id(7),
        axis(Axis::ABS_MT_POSITION_X, 200),
        axis(Axis::ABS_MT_POSITION_Y, 240),
        report(),
        slot(1),
        id(8),
        axis(Axis::ABS_MT_POSITION_X, 800),
        report(),
        id(-1),
        slot(0),
        id(-1),
        report(),
        // The same place again, of which the kernel says nothing.
        id(9),
        report(),
    ];
    use TouchPhase::{Down, Move, Up};
    assert_eq!(seen(&mut screen, two), [(Down, 0.25, 0.5), (Move, 0.25, 0.5), (Up, 0.25, 0.5), (Down, 0.25, 0.5)]);
}

#[test]
fn a_finger_in_a_slot_beyond_ours_is_no_touch() {
    let mut screen = Tracker::new(true, X, Y, 0);
    let events = vec![axis(Axis::ABS_MT_SLOT, 99), axis(Axis::ABS_MT_TRACKING_ID, 1), report()];
    assert_eq!(seen(&mut screen, events), []);
}

#[test]
fn lost_events_end_the_touch_without_a_tap() {
    let mut screen = Tracker::new(true, X, Y, 0);
    let dropped = event(EventType::SYNCHRONIZATION, SynchronizationCode::SYN_DROPPED.0, 0);
    let events = vec![axis(Axis::ABS_MT_TRACKING_ID, 1), report(), dropped, report(), report()];
    let phases: Vec<_> = seen(&mut screen, events).into_iter().map(|(phase, ..)| phase).collect();
    assert_eq!(phases, [TouchPhase::Down, TouchPhase::Lost]);
}

#[test]
fn the_picture_s_upper_left_corner_is_found_however_the_screen_is_mounted() {
    // Where that corner is on the screen as it was built.
    for (text, corner) in [("0", (0.0, 0.0)), ("90", (1.0, 0.0)), ("180", (1.0, 1.0)), ("270", (0.0, 1.0))] {
        let rotation: Rotation = text.parse().unwrap();
        assert_eq!(rotation.applied(corner), (0.0, 0.0), "{text}");
    }
    assert_eq!(Rotation::Right.applied((0.9, 0.5)).0, 0.5, "halfway along the top");
    assert!("45".parse::<Rotation>().unwrap_err().contains("0, 90, 180 or 270"));
}

proptest! {
    #[test]
    fn any_events_give_downs_and_ends_in_turn_and_places_on_the_picture(
        codes in proptest::collection::vec((0usize..7, any::<i32>()), 0..200), is_multi: bool, x: (i32, i32), y: (i32, i32),
    ) {
        let mut screen = Tracker::new(is_multi, Range { least: x.0, most: x.1 }, Range { least: y.0, most: y.1 }, 0);
        let axes = [Axis::ABS_MT_SLOT, Axis::ABS_MT_TRACKING_ID, Axis::ABS_MT_POSITION_X, Axis::ABS_X];
        let mut is_down = false;
        for (code, value) in codes {
            let event = match code {
                4 => event(EventType::KEY, KeyCode::BTN_TOUCH.0, value & 1),
                5 => report(),
                6 => event(EventType::SYNCHRONIZATION, SynchronizationCode::SYN_DROPPED.0, 0),
                code => axis(axes[code], if code == 0 { value & 31 } else { value }),
            };
            if let Some(touch) = screen.handle(event, Instant::ZERO) {
                prop_assert!((0.0..=1.0).contains(&touch.x) && (0.0..=1.0).contains(&touch.y));
                prop_assert_eq!(touch.phase == TouchPhase::Down, !is_down);
                is_down = matches!(touch.phase, TouchPhase::Down | TouchPhase::Move);
            }
        }
    }
}
