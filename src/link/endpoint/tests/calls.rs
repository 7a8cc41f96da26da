//! Finding each other: by key, by code, by oneself, at once, at several addresses.

use super::super::types::{LINKS_MAX, TrustedBy};
use super::super::*;
use super::net::*;
use crate::identity::{Code, Psk};
use crate::time::Duration;

fn code() -> Trust {
    Trust::Code("abandon ability able about above absent".parse::<Code>().unwrap().psk())
}

fn connected(events: &[Event]) -> usize {
    events.iter().filter(|e| matches!(e, Event::Connected { .. })).count()
}

#[test]
fn a_station_that_is_called_answers_within_a_round_trip() {
    let mut net = Net::new(1);
    let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![book(0)]));
    let id = net.dial(a, &[book(1)], &[address(b)]);
    net.run(RTT);
    let told = net.told(a);
    let [Event::Connected { peer, address: at }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((peer.key, peer.trusted_by, *at), (key(1).public(), TrustedBy::Book, address(b)));
    net.run(RTT / 2 + Duration::from_millis(1));
    let told = net.told(b);
    let [Event::Connected { peer, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(peer.key, key(0).public());
    net.run(Duration::from_secs(1));
    assert!(net.talk(a, id).received.len() > 90);
}

#[test]
fn the_same_code_on_both_sides_is_enough() {
    let mut net = Net::new(2);
    let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![]));
    let of_a = net.dial(a, &[code()], &[address(b)]);
    let of_b = net.dial(b, &[code()], &[]);
    net.run(Duration::from_millis(200));
    net.assert_one_session(a, of_a, b, of_b);
    let peer = *net.at(b).endpoint.peer(of_b).unwrap();
    assert_eq!((peer.key, peer.trusted_by), (key(0).public(), TrustedBy::Code));
    assert_eq!((connected(&net.told(a)), connected(&net.told(b))), (1, 1));
}

#[test]
fn two_programs_of_one_station_are_each_others_peer() {
    let mut net = Net::new(3);
    let (a, b) = (net.join(key(0), vec![]), net.join(key(0), vec![]));
    let of_a = net.dial(a, &[Trust::Own], &[address(b), address(a)]);
    let of_b = net.dial(b, &[Trust::Own], &[address(a), address(b)]);
    net.run(Duration::from_secs(2));
    net.assert_one_session(a, of_a, b, of_b);
    assert_eq!(net.at(a).endpoint.peer(of_a).unwrap().trusted_by, TrustedBy::Own);
}

#[test]
fn a_program_that_calls_itself_does_not_answer() {
    for trust in [Trust::Own, code()] {
        let mut net = Net::new(4);
        let a = net.join(key(0), vec![]);
        net.dial(a, &[trust], &[address(a)]);
        net.run(Duration::from_secs(10));
        assert_eq!(net.told(a), []);
        let stats = net.at(a).endpoint.stats().clone();
        assert!(stats.refused_own_instance.get() > 3);
        assert_eq!(stats.handshakes_answered.get(), 0);
    }
}

#[test]
fn calls_that_cross_end_in_one_session_and_lose_no_time() {
    for trust in [false, true] {
        let (of_first, of_second) = if trust { (code(), code()) } else { (book(1), book(0)) };
        for seed in 0..60 {
            let mut net = Net::new(seed);
            let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![]));
            let of_a = net.dial(a, std::slice::from_ref(&of_first), &[address(b)]);
            // The other dials up to a round trip later: as good as at once, or just not.
            let later = RTT.mul_f64((seed % 20) as f64 / 19.0);
            net.run(later);
            let of_b = net.dial(b, std::slice::from_ref(&of_second), &[address(a)]);
            // A lone call takes one round trip by key and one and a half by code, and half of one more until the far
            // side hears of it.
            let lone = if trust { RTT * 2 } else { RTT * 3 / 2 };
            net.run(lone + Duration::from_millis(1));
            net.assert_one_session(a, of_a, b, of_b);
            net.run(Duration::from_secs(5));
            net.assert_one_session(a, of_a, b, of_b);
            let (told_a, told_b) = (net.told(a), net.told(b));
            assert_eq!((told_a.len(), told_b.len()), (1, 1), "seed {seed}: {told_a:?} {told_b:?}");
            assert!(net.talk(a, of_a).received.len() > 450 && net.talk(b, of_b).received.len() > 450);
        }
    }
}

#[test]
fn calls_that_cross_in_foul_weather_still_end_in_one_session() {
    for seed in 0..150 {
        let mut net = Net::new(seed);
        let delay = Duration::from_millis(net.dice.below(150));
        let jitter = Duration::from_millis(net.dice.below(100));
        net.weather = Weather { delay, jitter, loss_percent: seed % 30, duplicate_percent: 10, cut: false };
        let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![]));
        let by_code = seed % 2 == 0;
        let of_a = net.dial(a, &[if by_code { code() } else { book(1) }], &[address(b)]);
        let later = Duration::from_millis(net.dice.below(400));
        net.run(later);
        let of_b = net.dial(b, &[if by_code { code() } else { book(0) }], &[address(a)]);
        net.run(Duration::from_secs(20));
        net.assert_one_session(a, of_a, b, of_b);
    }
}

#[test]
fn a_far_peer_whose_answer_takes_longer_than_a_pause_is_reached() {
    let mut net = Net::new(5);
    net.weather.delay = Duration::from_millis(300);
    let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![book(0)]));
    net.dial(a, &[book(1)], &[address(b)]);
    net.run(Duration::from_millis(1_500));
    assert_eq!(connected(&net.told(a)), 1);
}

#[test]
fn whoever_comes_first_waits_for_the_other() {
    let mut net = Net::new(6);
    let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![]));
    net.stations[b] = None;
    let of_a = net.dial(a, &[book(1)], &[address(b)]);
    net.run(Duration::from_secs(3_600));
    assert_eq!(net.told(a), []);
    // An hour at three seconds and a quarter either way.
    let tries = net.at(a).endpoint.stats().handshakes_begun.get();
    assert!((1_000..1_500).contains(&tries), "{tries}");
    net.start(b, key(1), vec![]);
    let of_b = net.dial(b, &[book(0)], &[address(a)]);
    net.run(RTT * 2);
    net.assert_one_session(a, of_a, b, of_b);
}

#[test]
fn the_one_of_several_addresses_that_works_is_found_at_once_and_may_change() {
    let mut net = Net::new(7);
    let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![book(0)]));
    let v6: SocketAddr = "[2001:db8::2]:10087".parse().unwrap();
    net.at(b).addresses = vec![v6];
    net.at(a).addresses.push("[2001:db8::1]:10087".parse().unwrap());
    let of_a = net.dial(a, &[book(1)], &[address(50), address(51)]);
    net.run(Duration::from_secs(10));
    assert_eq!(net.told(a), []);
    let now = net.now;
    net.at(a).endpoint.set_addresses(now, of_a, &[address(50), v6, address(51)]);
    net.run(RTT);
    assert_eq!(net.at(a).endpoint.address(of_a), Some(v6));
}

#[test]
fn whichever_trusted_station_stands_at_an_address_is_found() {
    let mut net = Net::new(8);
    let (a, b) = (net.join(key(0), vec![]), net.join(key(30), vec![book(0)]));
    let everybody: Vec<Trust> = (1..40).map(book).chain([Trust::Own, code()]).collect();
    let of_a = net.dial(a, &everybody, &[address(b)]);
    net.run(Duration::from_secs(3));
    assert_eq!(net.at(a).endpoint.peer(of_a).unwrap().key, key(30).public());
}

#[test]
fn a_second_trusted_station_waits_until_the_first_is_away() {
    let (mut net, of_a, _) = Net::call(9);
    let c = net.join(key(2), vec![]);
    net.at(0).endpoint.link_mut(of_a).unwrap().candidates.push(Candidate::new(&book(2), &key(0).public()));
    let of_c = net.dial(c, &[book(0)], &[address(0)]);
    net.run(Duration::from_secs(10));
    assert!(net.at(c).endpoint.peer(of_c).is_none() && net.at(0).endpoint.stats().refused_busy.get() > 0);
    net.told(0);
    net.stations[1] = None;
    net.run(Duration::from_secs(10));
    assert_eq!(net.at(0).endpoint.peer(of_a).unwrap().key, key(2).public());
    let told = net.told(0);
    assert!(matches!(told[..], [Event::Away { .. }, Event::Replaced { .. }]), "{told:?}");
}

#[test]
fn callers_get_links_of_their_own_as_far_as_there_are_and_give_them_back() {
    let mut net = Net::new(10);
    let a = net.join(key(0), (1..80).map(book).collect());
    let callers: Vec<(usize, LinkId)> = (1..=LINKS_MAX as u8 + 2)
        .map(|n| {
            let place = net.join(key(n), vec![]);
            (place, net.dial(place, &[book(0)], &[address(a)]))
        })
        .collect();
    net.run(Duration::from_secs(10));
    assert_eq!(net.at(a).endpoint.links().count(), LINKS_MAX);
    assert_eq!(connected(&net.told(a)), LINKS_MAX);
    let now = net.now;
    let (there, id) =
        *callers.iter().find(|(place, id)| net.stations[*place].as_ref().unwrap().endpoint.is_here(*id)).unwrap();
    net.at(there).endpoint.close(now, id, CloseReason::HungUp);
    net.run(Duration::from_secs(10));
    // Another of those who were waiting has taken its place.
    assert_eq!(net.at(a).endpoint.links().count(), LINKS_MAX);
    let told = net.told(a);
    assert!(matches!(told[..], [Event::Closed { reason: CloseReason::HungUp }, Event::Connected { .. }]), "{told:?}");
}

#[test]
fn a_caller_that_is_accepted_gets_its_own_link_beside_a_call() {
    let mut net = Net::new(14);
    let (a, b) = (net.join(key(0), vec![book(1), book(2)]), net.join(key(1), vec![book(0)]));
    let c = net.join(key(2), vec![]);
    let first = net.dial(a, &[book(1), book(2)], &[address(b)]);
    net.run(Duration::from_secs(1));
    let of_c = net.dial(c, &[book(0)], &[address(a)]);
    net.run(Duration::from_secs(1));
    let second = net.at(a).endpoint.links().find(|id| *id != first).unwrap();
    net.assert_one_session(a, second, c, of_c);
    assert_eq!(net.at(a).endpoint.peer(first).unwrap().key, key(1).public());
}

#[test]
fn a_goodbye_ends_the_conversation_and_the_next_call_begins_another() {
    let (mut net, of_a, of_b) = Net::call(11);
    net.told(1);
    let before = net.talk(1, of_b).serial;
    let now = net.now;
    net.at(0).endpoint.close(now, of_a, CloseReason::Busy);
    net.run(RTT);
    assert_eq!(net.told(1), [Event::Closed { reason: CloseReason::Busy }]);
    assert!(net.at(1).endpoint.payloads(of_b).is_none() && net.at(1).endpoint.peer(of_b).is_none());
    let of_a = net.dial(0, &[book(1)], &[address(1)]);
    net.run(RTT * 2);
    net.assert_one_session(0, of_a, 1, of_b);
    assert!(net.talk(1, of_b).serial > before);
}

#[test]
fn what_cannot_be_dialled_is_refused() {
    let mut net = Net::new(12);
    let a = net.join(key(0), vec![]);
    let now = net.now;
    let endpoint = &mut net.at(a).endpoint;
    assert!(endpoint.dial(now, &[], &[address(1)]).is_none());
    assert!(endpoint.dial(now, &vec![Trust::Own; TRUSTS_MAX + 1], &[address(1)]).is_none());
    for _ in 0..LINKS_MAX {
        assert!(endpoint.dial(now, &[Trust::Code(Psk::from_bytes([1; 32]))], &[]).is_some());
    }
    assert!(endpoint.dial(now, &[Trust::Own], &[]).is_none());
    assert_eq!(endpoint.poll_timeout(), None, "a station with nowhere to call sleeps");
}

#[test]
fn payloads_of_equal_length_go_out_together() {
    let (mut net, of_a, of_b) = Net::call(13);
    for (place, id) in [(0, of_a), (1, of_b)] {
        net.talk(place, id).silent = true;
    }
    net.run(Duration::from_secs(1));
    // Popped from the end: forty of 1,200, a shorter one, and a longer one again.
    net.talk(0, of_a).burst = [vec![900], vec![300], vec![1_200; 40]].concat();
    let (now, mut out) = (net.now, vec![0; 16 * MAX_DATAGRAM]);
    let mut sizes = Vec::new();
    while let Some(t) = net.at(0).endpoint.poll_transmit(now, &mut out) {
        sizes.push((t.len, t.segment_len));
    }
    let full = 1_200 + OVERHEAD;
    assert_eq!(sizes, [(16 * full, full), (16 * full, full), (8 * full + 330, full), (930, 930)]);
    // A buffer of one datagram gets one datagram.
    net.talk(0, of_a).burst = vec![1_200; 2];
    let one = net.at(0).endpoint.poll_transmit(now, &mut out[..MAX_DATAGRAM]).unwrap();
    assert_eq!((one.len, one.segment_len), (full, full));
    assert!(net.at(0).endpoint.poll_transmit(now, &mut out[..MAX_DATAGRAM - 1]).is_none());
}
