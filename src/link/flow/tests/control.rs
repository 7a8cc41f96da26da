//! Control messages: each once, in order, over any cut that ends.

use super::*;
use crate::link::flow::{Flow, FlowConfig, FlowEvent};
use crate::time::{Duration, Instant};
use crate::wire::{Control, NAME_BYTES_MAX, PROTOCOL_VERSION, bounded};
use proptest::prelude::*;

/// A message that can be told from the others.
fn message(number: usize) -> Control {
    let station = bounded::<NAME_BYTES_MAX>(&format!("message {number}"));
    Control::Hello { version: PROTOCOL_VERSION, station, software: bounded("") }
}

fn delivered(world: &World, station: usize) -> Vec<Control> {
    let control = |event: &FlowEvent| match event {
        FlowEvent::Control(message) => Some(message.clone()),
        _ => None,
    };
    world.stations[station].events.iter().filter_map(control).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn messages_arrive_once_each_and_in_order(
        seed: u64, loss in 0.0f64..0.5, jitter_ms in 0u64..100, duplicated in 0.0f64..0.5,
        pauses_ms in proptest::collection::vec(0u64..300, 1..40),
    ) {
        let mut path = Path::new(Duration::from_millis(5));
        (path.loss, path.duplicated) = (loss, duplicated);
        path.jitter = Duration::from_millis(jitter_ms);
        let mut world = World::new(seed, Network::even(path));
        let mut sent = Vec::new();
        for (number, pause_ms) in pauses_ms.into_iter().enumerate() {
            if world.stations[0].flow.send_control(&message(number)).is_ok() {
                sent.push(message(number));
            }
            world.run(Duration::from_millis(pause_ms));
        }
        world.network = Network::even(Path::new(Duration::from_millis(5)));
        world.run(Duration::from_secs(3));
        prop_assert_eq!(delivered(&world, 1), sent);
        prop_assert_eq!(delivered(&world, 0), []);
    }
}

#[test]
fn messages_survive_a_cut_of_ten_seconds() {
    let mut world = World::new(1, Network::even(Path::new(Duration::from_millis(5))));
    world.run(Duration::from_secs(1));
    world.network.paths.iter_mut().for_each(|path| path.cut = true);
    let sent: Vec<_> = (0..20).map(message).collect();
    sent.iter().for_each(|message| world.stations[0].flow.send_control(message).unwrap());
    world.run(Duration::from_secs(10));
    assert_eq!(delivered(&world, 1), []);
    world.network.paths.iter_mut().for_each(|path| path.cut = false);
    // Even if nobody says that the path is back.
    world.run(Duration::from_secs(2));
    assert_eq!(delivered(&world, 1), sent);
}

#[test]
fn a_full_channel_says_so() {
    let mut flow = Flow::new(Instant::from_millis(1), FlowConfig::default());
    let taken = (0..1_000).take_while(|&n| flow.send_control(&message(n)).is_ok()).count();
    assert_eq!(taken, 32);
}

#[test]
fn nothing_meant_for_an_earlier_life_reaches_a_later_one() {
    let mut world = World::new(2, Network::even(Path::new(Duration::from_millis(5))));
    world.run(Duration::from_millis(500));
    world.network.paths.iter_mut().for_each(|path| path.cut = true);
    (0..5).for_each(|n| world.stations[0].flow.send_control(&message(n)).unwrap());
    world.run(Duration::from_millis(500));
    let now = world.stations[1].local(world.now);
    world.stations[1].flow = Flow::new(now, FlowConfig::default());
    world.stations[1].flow.send_control(&message(77)).unwrap();
    world.network.paths.iter_mut().for_each(|path| path.cut = false);
    world.run(Duration::from_secs(2));
    assert_eq!(delivered(&world, 1), []);
    assert_eq!(delivered(&world, 0), [message(77)]);
    assert!(world.stations[0].events.contains(&FlowEvent::PeerRestarted));
    // And the channel goes on.
    world.stations[0].flow.send_control(&message(78)).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(delivered(&world, 1), [message(78)]);
}

#[test]
fn a_station_that_polls_no_events_holds_the_peer_up_instead_of_growing() {
    let mut flows = [1, 2].map(|ms| Flow::new(Instant::from_millis(ms), FlowConfig::default()));
    let mut now = Instant::from_millis(10);
    let mut out = [0; 1_200];
    let mut sent = 0;
    for _ in 0..2_000 {
        if flows[0].send_control(&message(sent)).is_ok() {
            sent += 1;
        }
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(length) = flows[from].poll_payload(now, &mut out) {
                flows[to].handle_payload(now, &out[..length]);
            }
        }
        now += Duration::from_millis(20);
        if sent < 1_000 && flows[1].report().counts.control_void > 50 {
            // It held up. Now somebody looks, and all of it comes.
            break;
        }
    }
    assert!(flows[1].report().counts.control_void > 50 && sent < 150, "{sent} messages taken");
    let mut got = Vec::new();
    for _ in 0..500 {
        got.extend(core::iter::from_fn(|| flows[1].poll_event()));
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(length) = flows[from].poll_payload(now, &mut out) {
                flows[to].handle_payload(now, &out[..length]);
            }
        }
        now += Duration::from_millis(20);
    }
    let expected: Vec<_> = (0..sent).map(|n| FlowEvent::Control(message(n))).collect();
    assert_eq!(got, expected);
}
