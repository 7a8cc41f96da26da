//! Staying connected: cuts, restarts, new addresses, new keys.

use super::super::*;
use super::net::*;
use crate::time::Duration;

#[test]
fn silence_of_a_second_is_noticed_and_the_call_goes_on_where_it_was() {
    let (mut net, of_a, of_b) = Net::call(20);
    net.forget();
    let serials = (net.talk(0, of_a).serial, net.talk(1, of_b).serial);
    net.weather.cut = true;
    let cut_at = net.now;
    net.run(Duration::from_millis(1_100));
    for place in [0, 1] {
        let told = net.told(place);
        let [Event::Away { since }] = told[..] else { panic!("{told:?}") };
        assert!(cut_at.since(since) < Duration::from_millis(20));
    }
    net.run(Duration::from_millis(8_900));
    let had = net.talk(0, of_a).received.len();
    net.weather.cut = false;
    // A keep-alive is due within 300 ms, without any handshake.
    net.run(Duration::from_millis(300) + RTT);
    for place in [0, 1] {
        let told = net.told(place);
        let [Event::Back { after }] = told[..] else { panic!("{told:?}") };
        assert!(after > Duration::from_secs(10));
    }
    net.run(Duration::from_secs(5));
    assert_eq!(serials, (net.talk(0, of_a).serial, net.talk(1, of_b).serial));
    net.assert_one_session(0, of_a, 1, of_b);
    assert!(net.talk(0, of_a).received.len() > had + 480);
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
}

#[test]
fn the_inner_half_rests_while_the_peer_is_away() {
    let (mut net, of_a, _) = Net::call(21);
    net.weather.cut = true;
    net.run(Duration::from_secs(2));
    let sent = net.talk(0, of_a).sent;
    net.run(Duration::from_secs(60));
    assert_eq!(net.talk(0, of_a).sent, sent);
}

#[test]
fn a_cut_that_outlives_the_session_is_survived_by_the_conversation() {
    for seed in 0..10 {
        let (mut net, of_a, of_b) = Net::call(seed);
        let serials = (net.talk(0, of_a).serial, net.talk(1, of_b).serial);
        net.weather.cut = true;
        net.run(Duration::from_secs(400));
        assert!(net.at(0).endpoint.link(of_a).unwrap().current.is_none());
        net.weather.cut = false;
        // The longest pause with its jitter, and the handshake.
        net.run(Duration::from_millis(3_750) + RTT * 3);
        net.assert_one_session(0, of_a, 1, of_b);
        assert_eq!(serials, (net.talk(0, of_a).serial, net.talk(1, of_b).serial));
        assert!(matches!(net.told(0)[..], [Event::Connected { .. }, Event::Away { .. }, Event::Back { .. }]));
    }
}

#[test]
fn after_ten_minutes_and_after_hours_without_a_network_stations_meet_as_soon_as_it_is_back() {
    for (seed, cut_s) in [(30, 600), (31, 601), (32, 4 * 3_600)] {
        let (mut net, of_a, of_b) = Net::call(seed);
        net.forget();
        net.weather.cut = true;
        let (cut_at, sent) = (net.now, net.sent_bytes(0));
        net.run(Duration::from_secs(cut_s));
        // A try of some 150 bytes every three seconds, and keep-alives for as long as the session lives.
        assert!(net.sent_bytes(0) - sent < 60 * cut_s + 30_000, "{} bytes in {cut_s} s", net.sent_bytes(0) - sent);
        let told = net.told(0);
        let [Event::Away { since }] = told[..] else { panic!("{told:?}") };
        assert!(cut_at.since(since) < Duration::from_secs(1));

        net.weather.cut = false;
        // The longest pause with its jitter, and the handshake.
        net.run(Duration::from_millis(3_750) + RTT * 3);
        net.assert_one_session(0, of_a, 1, of_b);
        let told = net.told(0);
        let [Event::Back { after }] = told[..] else { panic!("{told:?}") };
        assert!(after.as_secs() >= cut_s);
        let had = net.talk(0, of_a).received.len();
        net.run(Duration::from_secs(1));
        assert!(net.talk(0, of_a).received.len() > had + 95);
    }
}

#[test]
fn a_peer_that_restarts_is_there_again_at_once_with_a_fresh_inner_half() {
    let (mut net, of_a, of_b) = Net::call(22);
    net.forget();
    let before = net.talk(0, of_a).serial;
    let _ = of_b;
    net.start(1, key(1), vec![]);
    let of_b = net.dial(1, &[book(0)], &[address(0)]);
    net.run(RTT * 3 / 2 + Duration::from_millis(1));
    net.assert_one_session(0, of_a, 1, of_b);
    let told = net.told(0);
    assert!(matches!(told[..], [Event::Replaced { .. }]), "{told:?}");
    assert!(net.talk(0, of_a).serial > before);
    net.run(Duration::from_secs(2));
    assert!(net.talk(0, of_a).received.len() > 190 && net.talk(1, of_b).received.len() > 190);
}

#[test]
fn keys_are_renewed_for_ever_without_anybody_noticing() {
    for (seed, loss_percent) in [(23, 0), (24, 20)] {
        let (mut net, of_a, of_b) = Net::call(seed);
        net.forget();
        net.weather.loss_percent = loss_percent;
        net.weather.jitter = Duration::from_millis(20);
        let before = net.at(0).endpoint.link(of_a).unwrap().current.as_ref().unwrap().terms;
        net.run(Duration::from_secs(600));
        let after = net.at(0).endpoint.link(of_a).unwrap().current.as_ref().unwrap().terms;
        assert!(after.generation >= before.generation + 4, "{} → {}", before.generation, after.generation);
        assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
        net.weather.loss_percent = 0;
        net.run(Duration::from_secs(1));
        let (sent, received) = (net.talk(0, of_a).sent, net.talk(1, of_b).received.len() as u64);
        assert!(received * 100 >= sent * (100 - loss_percent - 2), "{received} of {sent}");
        if loss_percent == 0 {
            // Make before break: what is under way when keys change still arrives.
            assert!(sent - received <= 6, "{received} of {sent}");
        }
    }
}

#[test]
fn a_session_that_cannot_be_renewed_ends() {
    let (mut net, of_a, of_b) = Net::call(25);
    // Handshakes no longer come through, data does: what a strange firewall might do.
    for (place, id) in [(0, of_a), (1, of_b)] {
        net.at(place).endpoint.link_mut(id).unwrap().candidates.clear();
    }
    let made_at = net.at(0).endpoint.link(of_a).unwrap().current.as_ref().unwrap().terms.made_at;
    net.run(Duration::from_secs(170));
    net.assert_one_session(0, of_a, 1, of_b);
    net.run(Duration::from_secs(30));
    assert!(net.now.since(made_at) > Duration::from_secs(180));
    let link = net.at(0).endpoint.link(of_a).unwrap();
    assert!(link.current.is_none() && !link.here);
    assert!(net.told(0).iter().any(|e| matches!(e, Event::Away { .. })));
}

#[test]
fn a_peer_that_moves_is_followed_by_what_it_seals() {
    let (mut net, of_a, of_b) = Net::call(26);
    net.forget();
    let elsewhere: SocketAddr = "[2001:db8::9]:4000".parse().unwrap();
    net.at(1).addresses = vec![elsewhere];
    net.run(RTT);
    assert_eq!(net.told(0), [Event::Roamed { address: elsewhere }]);
    net.run(Duration::from_secs(2));
    net.assert_one_session(0, of_a, 1, of_b);
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
}

#[test]
fn an_old_datagram_from_elsewhere_moves_nobody() {
    let (mut net, of_a, _) = Net::call(27);
    net.tape = Some(Vec::new());
    net.weather.loss_percent = 100;
    net.run(Duration::from_millis(20));
    net.weather.loss_percent = 0;
    let (_, to, held_back) = net.tape.take().unwrap().into_iter().find(|(from, ..)| *from == address(1)).unwrap();
    net.run(Duration::from_millis(200));
    net.told(0);
    // Genuine and fresh, but overtaken by later ones.
    net.inject(address(66), to, &held_back);
    net.run(Duration::from_millis(50));
    assert_eq!((net.told(0), net.at(0).endpoint.address(of_a)), (vec![], Some(address(1))));
}

#[test]
fn an_idle_call_is_kept_alive_at_little_cost() {
    let (mut net, of_a, of_b) = Net::call(28);
    net.forget();
    for (place, id) in [(0, of_a), (1, of_b)] {
        net.talk(place, id).silent = true;
    }
    let before = net.sent_bytes(0);
    net.run(Duration::from_secs(100));
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
    let per_second = (net.sent_bytes(0) - before) / 100;
    assert!(per_second <= 4 * 30, "{per_second} bytes a second");
}

#[test]
fn a_call_survives_an_hour_of_bad_hours() {
    for seed in 0..3 {
        let (mut net, of_a, of_b) = Net::call(seed);
        for _ in 0..120 {
            let delay = Duration::from_millis(net.dice.below(200));
            let jitter = Duration::from_millis(net.dice.below(60));
            let loss_percent = net.dice.below(40);
            let cut = net.dice.below(4) == 0;
            net.weather = Weather { delay, jitter, loss_percent, duplicate_percent: 3, cut };
            if net.dice.below(20) == 0 {
                let address = address(100 + net.dice.below(50) as usize);
                net.at(1).addresses = vec![address];
            }
            let time = Duration::from_millis(net.dice.below(60_000));
            net.run(time);
        }
        net.weather = Weather { delay: RTT / 2, ..Weather::default() };
        net.run(Duration::from_secs(20));
        net.assert_one_session(0, of_a, 1, of_b);
    }
}
