//! Strangers, floods, replays and bent datagrams: they get no answer, disturb no call and grow no memory.

use super::super::*;
use super::net::*;
use crate::identity::Psk;
use crate::link::MAX_DATAGRAM;
use crate::link::datagram::{self, Datagram};
use crate::time::Duration;

/// What an endpoint may hold at the most, whatever comes.
fn assert_bounded(net: &mut Net, place: usize) {
    let endpoint = &net.at(place).endpoint;
    assert!(endpoint.links.len() <= LINKS_MAX);
    for link in &endpoint.links {
        assert!(link.unproven.len() <= 4 && link.unproven.capacity() == 4);
        assert!(link.outgoing.len() <= 16 && link.cookies.len() <= ADDRESSES_MAX);
    }
}

/// What was sent to `to` in a call of ten seconds, from its first datagram on; and the call.
fn recorded_call(seed: u64) -> (Net, [LinkId; 2], Tape) {
    let mut net = Net::new(seed);
    net.tape = Some(Vec::new());
    let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![]));
    let of_a = net.dial(a, &[book(1)], &[address(b)]);
    net.run(Duration::from_millis(500));
    let of_b = net.dial(b, &[book(0)], &[address(a)]);
    net.run(Duration::from_secs(10));
    net.assert_one_session(a, of_a, b, of_b);
    let tape = net.tape.take().unwrap();
    (net, [of_a, of_b], tape)
}

#[test]
fn a_stranger_gets_not_one_byte() {
    let with_code = |n| Trust::Code(Psk::from_bytes([n; 32]));
    // Whom the station trusts, and how the stranger, who has key 5, calls it.
    let cases = [
        (vec![book(1)], book(9)),      // Does not know its key.
        (vec![book(1)], book(0)),      // Knows its key, but is not in the book.
        (vec![Trust::Own], book(0)),   // The same.
        (vec![with_code(1)], book(0)), // Has no code.
        (vec![with_code(1)], with_code(2)),
        (vec![book(5)], with_code(2)), // Is in the book, but comes by a code that nobody gave.
    ];
    for (trusts, call) in cases {
        let mut net = Net::new(40);
        let (a, b) = (net.join(key(0), vec![]), net.join(key(5), vec![]));
        net.dial(a, &trusts, &[]);
        net.dial(b, &[call], &[address(a)]);
        net.run(Duration::from_secs(60));
        assert_eq!((net.sent_bytes(a), net.told(a), net.told(b)), (0, vec![], vec![]));
        let stats = net.at(a).endpoint.stats().clone();
        assert!(stats.received.get() > 20);
        assert_eq!(stats.refused(), stats.received.get());
        assert!(
            stats.refused_mac.get() == stats.received.get() || stats.refused_stranger.get() == stats.received.get()
        );
    }
}

#[test]
fn garbage_at_volume_is_counted_and_that_is_all() {
    let (mut net, of_a, of_b) = Net::call(41);
    net.forget();
    let sent = net.talk(0, of_a).sent;
    let (mut bytes, mut dice) = ([0; 1_500], Dice(41));
    for round in 0..200_000u64 {
        let len = dice.below(1_500) as usize;
        // Some bytes are new each time; the first is often one of ours, and so is the length.
        let (at, n) = (dice.below(1_400) as usize, dice.below(100) as usize);
        dice.fill(&mut bytes[at..at + n]);
        bytes[0] = if round % 2 == 0 { 0x11 + (round / 2 % 7) as u8 } else { dice.next() as u8 };
        let (now, from) = (net.now, address(dice.below(200) as usize));
        let len = if round % 4 == 0 { [169, 109, 157, 85, 53, 31][(round / 4 % 6) as usize] } else { len };
        net.at(0).endpoint.handle_datagram(now, from, &bytes[..len]);
    }
    assert_bounded(&mut net, 0);
    let stats = net.at(0).endpoint.stats().clone();
    assert!(stats.refused() >= 200_000);
    assert_eq!(stats.cookies.get(), 0);
    net.run(Duration::from_secs(1));
    net.assert_one_session(0, of_a, 1, of_b);
    assert!(net.talk(0, of_a).sent > sent + 95);
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
}

#[test]
fn bent_and_shortened_datagrams_are_refused_each_for_a_cause() {
    let (mut net, [of_a, of_b], tape) = recorded_call(42);
    net.forget();
    let (mut refused_before, mut injected) = (net.at(1).endpoint.stats().refused(), 0);
    let to_b: Vec<_> = tape.iter().filter(|(_, to, _)| *to == address(1)).collect();
    for (from, _, bytes) in to_b.iter().take(3).chain(to_b.iter().rev().take(3)) {
        let now = net.now;
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            net.at(1).endpoint.handle_datagram(now, *from, &bent);
        }
        for len in 0..bytes.len() {
            net.at(1).endpoint.handle_datagram(now, *from, &bytes[..len]);
        }
        injected += bytes.len() as u64 * 9;
    }
    let stats = net.at(1).endpoint.stats().clone();
    assert_eq!(stats.refused() - refused_before, injected);
    refused_before = stats.refused();
    net.run(Duration::from_secs(1));
    net.assert_one_session(0, of_a, 1, of_b);
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
    assert_eq!(stats.refused(), refused_before);
}

#[test]
fn bending_a_handshake_on_its_way_delays_it_and_nothing_more() {
    // An attacker on the path sends a bent copy ahead of each genuine datagram: no bit of it may spoil the genuine one.
    for (seed, by_code) in [(43, false), (44, true)] {
        let trusts = if by_code {
            [Trust::Code(Psk::from_bytes([3; 32])), Trust::Code(Psk::from_bytes([3; 32]))]
        } else {
            [book(1), book(0)]
        };
        for round in 0..150 {
            let mut net = Net::new(seed);
            net.tape = Some(Vec::new());
            let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![]));
            let of_a = net.dial(a, &trusts[..1], &[address(b)]);
            let of_b = net.dial(b, &trusts[1..], &[]);
            let mut seen = 0;
            for _ in 0..20 {
                net.drain();
                let fresh: Vec<_> = net.tape.as_ref().unwrap()[seen..].to_vec();
                seen += fresh.len();
                for (from, to, mut bytes) in fresh.into_iter().filter(|(.., bytes)| bytes.len() > 31) {
                    let bit = (round * 9 + 8 + net.dice.below(9) as usize) % (bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    net.inject(from, to, &bytes);
                }
                net.run(Duration::from_millis(10));
            }
            net.assert_one_session(a, of_a, b, of_b);
        }
    }
}

#[test]
fn whatever_was_recorded_can_be_played_again_to_no_effect() {
    let (mut net, [of_a, of_b], tape) = recorded_call(45);
    net.forget();
    let serials = (net.talk(0, of_a).serial, net.talk(1, of_b).serial);
    // `Talk` itself panics where a payload comes twice.
    let before = [0, 1].map(|n| net.at(n).endpoint.stats().handshakes_answered.get());
    for (from, to, bytes) in &tape {
        net.inject(*from, *to, bytes);
        net.inject(address(77), *to, bytes);
    }
    net.run(Duration::from_secs(2));
    net.assert_one_session(0, of_a, 1, of_b);
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
    assert_eq!(serials, (net.talk(0, of_a).serial, net.talk(1, of_b).serial));
    assert_eq!([0, 1].map(|n| net.at(n).endpoint.stats().handshakes_answered.get()), before);
    let stats = net.at(1).endpoint.stats().clone();
    assert!(stats.refused_replayed.get() >= 1_000 && stats.refused_repeated.get() >= 1);
    assert_bounded(&mut net, 0);
}

#[test]
fn what_was_recorded_before_a_restart_does_not_disturb_the_call_after_it() {
    let (mut net, [of_a, _], tape) = recorded_call(46);
    net.start(1, key(1), vec![]);
    let of_b = net.dial(1, &[book(0)], &[address(0)]);
    net.run(Duration::from_secs(1));
    net.forget();
    // The restarted station no longer knows the time stamps of old initiations: it answers, and nothing comes of it.
    for _ in 0..20 {
        for (_, to, bytes) in tape.iter().take(50) {
            net.inject(address(77), *to, bytes);
        }
        net.run(Duration::from_millis(100));
    }
    net.assert_one_session(0, of_a, 1, of_b);
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
    assert_bounded(&mut net, 1);
}

#[test]
fn a_flood_of_handshakes_gets_its_ration_and_a_genuine_caller_gets_in() {
    let (mut net, of_a, of_b) = Net::call(47);
    let c = net.join(key(2), vec![]);
    net.at(0).endpoint.shared.accept.push(Candidate::new(&book(2), &key(0).public()));
    net.forget();
    // Somebody who knows station 0's public key makes initiations for it, and sends them from forged addresses.
    let mut flood = Net::new(48);
    let stranger = flood.join(key(7), vec![]);
    flood.tape = Some(Vec::new());
    flood.dial(stranger, &[book(0)], &[address(0)]);
    flood.run(Duration::from_secs(120));
    let made: Vec<Vec<u8>> = flood.tape.take().unwrap().into_iter().map(|(.., bytes)| bytes).collect();
    let stats = net.at(0).endpoint.stats().clone();
    let (mut n, mut of_c) = (0u32, None);
    let talked = net.talk(1, of_b).received.len();
    for step in 0..5_000 {
        for _ in 0..2 {
            n += 1;
            let forged = SocketAddr::from((n.wrapping_mul(0x9e37_79b9).to_be_bytes(), 999));
            net.inject(forged, address(0), &made[n as usize % made.len()]);
        }
        if step == 2_000 {
            of_c = Some(net.dial(c, &[book(0)], &[address(0)]));
        }
        net.run(Duration::from_millis(1));
    }
    // Five seconds: ten each second, and twenty at once. Each is refused after two multiplications.
    assert!((20..=75).contains(&stats.refused_stranger.get()), "{}", stats.refused_stranger.get());
    assert!(stats.cookies.get() > 5_000);
    assert!(net.at(c).endpoint.is_here(of_c.unwrap()), "the genuine caller did not get in");
    net.assert_one_session(0, of_a, 1, of_b);
    assert!(net.talk(1, of_b).received.len() > talked + 490, "the call was disturbed");
    assert_bounded(&mut net, 0);
}

#[test]
fn goodbye_cannot_be_said_by_another() {
    let (mut net, [of_a, of_b], tape) = recorded_call(49);
    net.forget();
    // A goodbye of an earlier call, recorded.
    let now = net.now;
    net.tape = Some(Vec::new());
    net.at(0).endpoint.close(now, of_a, CloseReason::HungUp);
    net.run(Duration::from_millis(100));
    assert_eq!(net.told(1), [Event::Closed { reason: CloseReason::HungUp }]);
    let goodbyes: Vec<_> = net.tape.take().unwrap().into_iter().filter(|(.., bytes)| bytes.len() == 31).collect();
    assert_eq!(goodbyes.len(), 3);
    let of_a = net.dial(0, &[book(1)], &[address(1)]);
    net.run(Duration::from_millis(500));
    net.told(1);
    for (from, to, bytes) in goodbyes.iter().chain(&tape) {
        net.inject(*from, *to, bytes);
    }
    net.run(Duration::from_millis(500));
    assert_eq!(net.told(1), []);
    net.assert_one_session(0, of_a, 1, of_b);
}

#[test]
fn nothing_of_a_payload_shows_on_the_wire() {
    let (mut net, [of_a, _], _) = recorded_call(50);
    net.tape = Some(Vec::new());
    net.talk(0, of_a).burst = vec![1_000];
    net.run(Duration::from_millis(100));
    let tape = net.tape.take().unwrap();
    let (.., long) = tape.iter().find(|(.., bytes)| bytes.len() > 1_000).unwrap();
    let Some(Datagram::Data { sealed, .. }) = datagram::parse(long) else { panic!() };
    assert!(long.len() <= MAX_DATAGRAM && !sealed.windows(4).any(|w| w == [1; 4]));
}
