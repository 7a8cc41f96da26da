//! Goal: two stations whose people gave them a code end up in each other's address books, once, whatever the network
//! does; and nobody ends with half a pairing that it takes for a whole one.
//! Method: real endpoints, flows, address books and pairings, joined by a seeded simulated network; time is a number.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use visavis::identity::{AddressBook, Code, Failure, Outcome, Pairing, PublicKey, SecretKey, Step, Ticket};
use visavis::link::flow::{Flow, FlowConfig, FlowEvent};
use visavis::link::{CloseReason, Config, Endpoint, Event, LinkId, MAX_DATAGRAM, TRUSTS_MAX, Trust, TrustedBy};
use visavis::time::{Duration, Instant, earliest};
use visavis::wire::{Control, PROTOCOL_VERSION, bounded};

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.next() as u8);
    }
}

/// A station as far as pairing goes: what the net loop does with the machine's steps.
struct Station {
    name: &'static str,
    address: SocketAddr,
    endpoint: Endpoint<Flow>,
    book: AddressBook,
    links: BTreeMap<LinkId, PublicKey>,
    pairing: Option<(Pairing, LinkId)>,
    outcome: Option<Outcome>,
    /// Whether the disk is full.
    cannot_write: bool,
    keeps: usize,
}

impl Station {
    fn new(n: u8, name: &'static str, now: Instant, seed: u64) -> Station {
        let mut dice = Dice(seed);
        let secret = SecretKey::from_bytes([n + 1; 32]);
        let config = Config { secret, accept: Vec::new(), random: Box::new(move |out| dice.fill(out)) };
        let flow = |now, _: &_| Flow::new(now, FlowConfig { frame_bytes: 0, ..FlowConfig::default() });
        Station {
            name,
            address: SocketAddr::from(([192, 0, 2, n + 1], 10_087)),
            endpoint: Endpoint::new(now, config, flow),
            book: AddressBook::default(),
            links: BTreeMap::new(),
            pairing: None,
            outcome: None,
            cannot_write: false,
            keeps: 0,
        }
    }

    fn key(&self) -> PublicKey {
        *self.endpoint.public_key()
    }

    fn pair(&mut self, now: Instant, code: Code) {
        let refused = self.endpoint.stats().refused_mac.get();
        let pairing = Pairing::start(now, self.key(), code, refused);
        let trusts: Vec<Trust> = pairing.psks().cloned().map(Trust::Code).collect();
        let link = self.endpoint.dial(now, &trusts, &[]).expect("there is room for a link");
        self.pairing = Some((pairing, link));
        self.outcome = None;
    }

    /// What the other station's camera sees.
    fn ticket(&self) -> Ticket {
        let code = self.pairing().code().expect("pairing is on").clone();
        let ticket = Ticket::new(code, &self.key(), self.name, self.address.port(), &[self.address.ip()]);
        ticket.to_text().parse().expect("what is written is read")
    }

    fn pairing(&self) -> &Pairing {
        &self.pairing.as_ref().expect("pairing is on").0
    }

    fn pairing_mut(&mut self) -> &mut Pairing {
        &mut self.pairing.as_mut().expect("pairing is on").0
    }

    fn handle_events(&mut self, now: Instant) {
        while let Some((link, event)) = self.endpoint.poll_event() {
            let (peer, address) = match event {
                Event::Connected { peer, address } | Event::Replaced { peer, address } => (peer, address),
                Event::Closed { .. } => {
                    let pairing = self.pairing.as_mut().filter(|(_, of_code)| *of_code == link);
                    pairing.into_iter().for_each(|(pairing, _)| pairing.handle_left());
                    continue;
                }
                Event::Roamed { .. } | Event::Away { .. } | Event::Back { .. } => continue,
            };
            let hello =
                Control::Hello { version: PROTOCOL_VERSION, station: bounded(self.name), software: bounded("test") };
            if let Some(flow) = self.endpoint.payloads(link) {
                flow.send_control(&hello).expect("the channel is empty");
            }
            let Some((pairing, pairing_link)) = &mut self.pairing else { continue };
            match peer.trusted_by {
                // It may be gone again by now.
                TrustedBy::Code if *pairing_link == link && self.endpoint.peer(link) == Some(&peer) => {
                    pairing.handle_met(self.endpoint.trust_place(link).unwrap(), peer.key, address);
                }
                TrustedBy::Book => pairing.handle_known(&peer.key),
                _ => {}
            }
        }
        for link in self.endpoint.links().collect::<Vec<_>>() {
            while let Some(event) = self.endpoint.payloads(link).and_then(Flow::poll_event) {
                let key = self.endpoint.peer(link).map(|peer| peer.key);
                if let (FlowEvent::Control(Control::Hello { station, .. }), Some(key), Some((pairing, of_code))) =
                    (event, key, &mut self.pairing)
                    && *of_code == link
                {
                    pairing.handle_name(now, &key, station.as_str());
                }
            }
        }
        if let Some((pairing, _)) = &mut self.pairing {
            pairing.handle_refused(self.endpoint.stats().refused_mac.get());
            pairing.handle_timeout(now);
        }
        while let Some(step) = self.pairing.as_mut().and_then(|(pairing, _)| pairing.poll_step()) {
            self.take_step(now, step);
        }
    }

    fn take_step(&mut self, now: Instant, step: Step) {
        let (pairing, link) = self.pairing.as_mut().expect("it gave the step");
        match step {
            Step::Look => {
                let trusts: Vec<Trust> = pairing.psks().cloned().map(Trust::Code).collect();
                assert!(self.endpoint.set_trusts(now, *link, &trusts));
                self.endpoint.set_addresses(now, *link, &pairing.addresses());
            }
            Step::Keep { key, name, address } => {
                self.keeps += 1;
                let full = || Err("No space left on device".to_owned());
                let kept = if self.cannot_write { full() } else { self.book.keep(key, &name, address) };
                let ok = kept.is_ok();
                pairing.handle_kept(kept);
                let known = self.links.iter().find(|(_, known)| **known == key).map(|(link, _)| *link);
                match known {
                    Some(link) if self.endpoint.is_here(link) => pairing.handle_known(&key),
                    None if ok => self.know(now, key, address),
                    _ => {}
                }
            }
            Step::Forget { key } => {
                self.book.remove(&key).expect("it was kept");
                let link = *self.links.iter().find(|(_, known)| **known == key).expect("it was called").0;
                self.links.remove(&link);
                self.endpoint.close(now, link, CloseReason::Leaving);
            }
            Step::Ended(outcome) => {
                assert!(pairing.code().is_none() && pairing.psks().count() == 0 && pairing.poll_step().is_none());
                self.endpoint.close(now, *link, CloseReason::HungUp);
                self.pairing = None;
                assert!(self.outcome.replace(outcome).is_none(), "a pairing ends once");
            }
        }
    }

    /// Calls a station of the book from now on.
    fn know(&mut self, now: Instant, key: PublicKey, address: SocketAddr) {
        let link = self.endpoint.dial(now, &[Trust::Book(key)], &[address]).expect("there is room");
        self.links.insert(link, key);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.endpoint.poll_timeout(), self.pairing.as_ref().and_then(|(pairing, _)| pairing.poll_timeout()))
    }
}

/// Stations and the datagrams between them.
struct Net {
    now: Instant,
    dice: Dice,
    stations: Vec<Station>,
    under_way: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    number: u64,
    loss_percent: u64,
}

impl Net {
    /// Stations of these names, all pairing, each under a code of its own.
    fn pairing(seed: u64, names: &[&'static str]) -> Net {
        let now = Instant::from_millis(1_000);
        let mut dice = Dice(seed);
        let stations = names.iter().enumerate().map(|(n, name)| Station::new(n as u8, name, now, dice.next()));
        let mut net =
            Net { now, stations: stations.collect(), under_way: BTreeMap::new(), number: 0, loss_percent: 0, dice };
        for n in 0..names.len() {
            let code = Code::generate(|out| net.dice.fill(out));
            net.stations[n].pair(now, code);
        }
        net
    }

    /// Station `reader` holds its camera before the screen of `shown`.
    fn read(&mut self, reader: usize, shown: usize) {
        let ticket = self.stations[shown].ticket();
        self.stations[reader].pairing_mut().handle_ticket(ticket).expect("a new code");
    }

    fn run(&mut self, time: Duration) {
        self.run_while(time, |_| true);
    }

    /// Runs the network for a while, or as long as it is `wanted`.
    fn run_while(&mut self, time: Duration, wanted: impl Fn(&Net) -> bool) {
        let end = self.now + time;
        let mut out = vec![0; 16 * MAX_DATAGRAM];
        while wanted(self) {
            for n in 0..self.stations.len() {
                self.stations[n].handle_events(self.now);
                let from = self.stations[n].address;
                while let Some(batch) = self.stations[n].endpoint.poll_transmit(self.now, &mut out) {
                    for datagram in out[..batch.len].chunks(batch.segment_len) {
                        let jitter = Duration::from_micros(self.dice.next() % 3_000);
                        if self.dice.next() % 100 >= self.loss_percent {
                            let at = self.now + Duration::from_millis(2) + jitter;
                            self.under_way.insert((at, self.number), (from, batch.to, datagram.to_vec()));
                            self.number += 1;
                        }
                    }
                }
            }
            let timeouts = self.stations.iter().filter_map(Station::poll_timeout);
            let next = self.under_way.keys().map(|(at, _)| *at).take(1).chain(timeouts).min();
            let Some(next) = next.map(|next| next.max(self.now)).filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = next;
            while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= next) {
                let (from, to, bytes) = entry.remove();
                if let Some(station) = self.stations.iter_mut().find(|station| station.address == to) {
                    station.endpoint.handle_datagram(next, from, &bytes);
                }
            }
            for station in &mut self.stations {
                station.endpoint.handle_timeout(next);
            }
        }
    }

    fn assert_paired(&self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            let (one, other) = (&self.stations[one], &self.stations[other]);
            let entry = one
                .book
                .by_key(&other.key())
                .unwrap_or_else(|| panic!("{} lacks the other: {:?}", one.name, one.outcome));
            assert_eq!((entry.name.as_str(), one.keeps), (other.name, 1));
            assert_eq!(one.outcome, Some(Outcome::Paired { key: other.key(), name: entry.name.clone() }));
            assert!(entry.rights.call && !entry.rights.monitor && !entry.rights.release);
            let link = one.links.iter().find(|(_, key)| **key == other.key()).expect("it is called by key").0;
            assert!(one.endpoint.is_here(*link));
        }
    }

    fn assert_failed(&self, place: usize, failure: &Failure) {
        let station = &self.stations[place];
        assert_eq!(station.outcome, Some(Outcome::Failed(failure.clone())), "{}", station.name);
        assert!(station.book.entries().is_empty() && station.links.is_empty());
    }
}

#[test]
fn one_reads_what_the_other_shows_and_both_hold_each_other() {
    let mut net = Net::pairing(1, &["door", "kitchen"]);
    net.read(1, 0);
    net.run(Duration::from_secs(2));
    net.assert_paired(0, 1);
}

#[test]
fn held_face_to_face_both_read_and_are_paired_once() {
    for seed in 0..30 {
        let mut net = Net::pairing(seed, &["door", "kitchen"]);
        net.read(1, 0);
        let apart = Duration::from_millis(net.dice.next() % 12);
        net.run(apart);
        if net.stations[0].pairing.is_some() {
            let ticket = net.stations[1].pairing.as_ref().map(|_| net.stations[1].ticket());
            // The first may be done already; then this one is late, which does no harm.
            let _ = ticket.map(|ticket| net.stations[0].pairing_mut().handle_ticket(ticket));
        }
        net.run(Duration::from_secs(3));
        net.assert_paired(0, 1);
    }
}

#[test]
fn a_code_that_was_typed_finds_its_station_among_those_that_announce_themselves() {
    let mut net = Net::pairing(3, &["door", "kitchen", "attic"]);
    let code = net.stations[0].pairing().code().unwrap().to_string();
    net.stations[1].pairing_mut().handle_code(code.parse().unwrap()).unwrap();
    net.run(Duration::from_secs(1));
    assert!(net.stations[1].outcome.is_none(), "nobody knows where the other is");
    let announced = [net.stations[2].address, net.stations[0].address];
    net.stations[1].pairing_mut().handle_found(&announced);
    net.run(Duration::from_secs(1));
    net.assert_paired(0, 1);
    assert!(net.stations[2].outcome.is_none() && net.stations[2].book.entries().is_empty());
}

#[test]
fn a_code_and_an_address_that_were_typed_do_without_announcements() {
    let mut net = Net::pairing(4, &["door", "kitchen"]);
    let (code, address) = (net.stations[0].pairing().code().unwrap().clone(), net.stations[0].address);
    net.stations[1].pairing_mut().handle_address(address);
    net.stations[1].pairing_mut().handle_code(code).unwrap();
    net.run(Duration::from_secs(1));
    net.assert_paired(0, 1);
}

#[test]
fn a_third_of_all_datagrams_may_be_lost() {
    for seed in 0..20 {
        let mut net = Net::pairing(seed, &["door", "kitchen"]);
        net.loss_percent = 33;
        net.read(1, 0);
        net.run(Duration::from_secs(60));
        net.assert_paired(0, 1);
    }
}

#[test]
fn wherever_the_network_is_cut_nobody_believes_in_half_a_pairing() {
    // Cut for good after so many datagrams: at every place of the exchange.
    for datagrams in 0..60 {
        let mut net = Net::pairing(7, &["door", "kitchen"]);
        net.read(1, 0);
        net.run_while(Duration::from_secs(2), |net| net.number < datagrams);
        net.loss_percent = 100;
        net.under_way.clear();
        net.run(Duration::from_secs(400));
        let paired = |n: usize| matches!(net.stations[n].outcome, Some(Outcome::Paired { .. }));
        for n in 0..2 {
            let station = &net.stations[n];
            // What is said on the screen is what stands in the book.
            assert_eq!(station.book.entries().len(), usize::from(paired(n)), "{datagrams}: {:?}", station.outcome);
            assert!(station.outcome.is_some() && station.links.len() == station.book.entries().len());
        }
        // If only one took it for whole, the other has said that it failed, and the one sees it away.
        if paired(0) != paired(1) {
            let (one, other) = if paired(0) { (0, 1) } else { (1, 0) };
            net.assert_failed(other, &Failure::Unproven);
            assert!(net.stations[one].links.keys().all(|link| !net.stations[one].endpoint.is_here(*link)));
        }
    }
}

#[test]
fn wherever_the_network_is_cut_for_some_seconds_the_pairing_goes_on_after_it() {
    for datagrams in (0..40).step_by(3) {
        let mut net = Net::pairing(8, &["door", "kitchen"]);
        net.read(1, 0);
        net.run_while(Duration::from_secs(2), |net| net.number < datagrams);
        net.loss_percent = 100;
        net.run(Duration::from_secs(8));
        net.loss_percent = 0;
        net.run(Duration::from_secs(10));
        net.assert_paired(0, 1);
    }
}

#[test]
fn a_book_that_cannot_be_written_is_a_failure_on_both_sides() {
    let mut net = Net::pairing(9, &["door", "kitchen"]);
    net.stations[0].cannot_write = true;
    net.read(1, 0);
    net.run(Duration::from_secs(40));
    net.assert_failed(0, &Failure::Book("No space left on device".into()));
    net.assert_failed(1, &Failure::Unproven);
}

#[test]
fn nobody_comes_and_the_code_is_forgotten() {
    let mut net = Net::pairing(10, &["door"]);
    net.run(Duration::from_secs(299));
    assert!(net.stations[0].outcome.is_none());
    net.run(Duration::from_secs(2));
    net.assert_failed(0, &Failure::TimedOut);
}

#[test]
fn who_stops_it_after_the_names_were_said_leaves_no_trace() {
    let mut net = Net::pairing(11, &["door", "kitchen"]);
    net.read(1, 0);
    net.run_while(Duration::from_secs(2), |net| net.stations[0].book.entries().is_empty());
    net.stations[0].pairing_mut().stop();
    net.run(Duration::from_secs(60));
    net.assert_failed(0, &Failure::Stopped);
    net.assert_failed(1, &Failure::Unproven);
}

#[test]
fn a_thief_who_has_seen_the_code_is_noticed_by_who_read_it_from_the_screen() {
    let mut net = Net::pairing(12, &["door", "kitchen", "thief"]);
    // The kitchen reads the door's symbol; but at the door's address stands the thief, who has the code.
    let ticket = net.stations[0].ticket();
    let door = net.stations[0].address;
    net.stations[2].pairing_mut().handle_code(ticket.code.clone()).unwrap();
    net.stations[2].address = door;
    net.stations[0].address = SocketAddr::from(([192, 0, 2, 99], 10_087));
    net.stations[1].pairing_mut().handle_ticket(ticket).unwrap();
    net.run(Duration::from_secs(60));
    net.assert_failed(1, &Failure::NotTheOneShown);
    net.assert_failed(2, &Failure::Unproven);
}

#[test]
fn a_second_station_that_knows_the_code_ends_it() {
    let mut net = Net::pairing(13, &["door", "kitchen", "thief"]);
    let code = net.stations[0].pairing().code().unwrap().clone();
    let door = net.stations[0].address;
    for n in [1, 2] {
        net.stations[n].pairing_mut().handle_address(door);
    }
    // The kitchen is met, but vanishes before it has said its name; then the thief comes.
    net.stations[1].pairing_mut().handle_code(code.clone()).unwrap();
    net.run_while(Duration::from_secs(2), |net| format!("{:?}", net.stations[0].pairing()) == "Pairing(looking, …)");
    net.under_way.clear();
    net.stations.remove(1);
    net.stations[1].pairing_mut().handle_code(code).unwrap();
    net.run(Duration::from_secs(60));
    net.assert_failed(0, &Failure::Contested);
}

#[test]
fn stations_that_know_each_other_can_be_paired_again() {
    let mut net = Net::pairing(14, &["door", "kitchen"]);
    net.read(1, 0);
    net.run(Duration::from_secs(2));
    net.assert_paired(0, 1);
    // The kitchen has lost its book; the door has not, and has another name and other rights for it.
    let door = net.stations[0].key();
    net.stations[1].book.remove(&door);
    let link = *net.stations[1].links.keys().next().unwrap();
    let now = net.now;
    net.stations[1].links.clear();
    net.stations[1].endpoint.close(now, link, CloseReason::Leaving);
    for n in 0..2 {
        let code = Code::generate(|out| net.dice.fill(out));
        net.stations[n].pair(now, code);
        net.stations[n].keeps = 0;
    }
    net.read(0, 1);
    net.run(Duration::from_secs(5));
    net.assert_paired(0, 1);
    assert_eq!(net.stations[0].book.entries().len(), 1);
}

#[test]
fn neighbours_who_pair_at_the_same_time_do_not_end_it_and_guesses_do() {
    let mut net = Net::pairing(15, &["door", "kitchen", "guesser"]);
    let door = net.stations[0].address;
    // A neighbour types another station's code, and looks for it at everybody who announces pairing.
    let code = Code::generate(|out| net.dice.fill(out));
    net.stations[2].pairing_mut().handle_code(code).unwrap();
    let announced = [door, net.stations[1].address];
    net.stations[2].pairing_mut().handle_found(&announced);
    net.run(Duration::from_secs(200));
    assert!(net.stations[0].endpoint.stats().refused_mac.get() > 50 && net.stations[0].outcome.is_none());
    // A thousand guesses a second would take two thousand million years; they end pairing within a minute.
    let (mut guesses, from) = (0, net.stations[2].address);
    while net.stations[0].outcome.is_none() && guesses < 100_000 {
        let mut guess = [0; 169];
        net.dice.fill(&mut guess);
        guess[0] = 0x13;
        let now = net.now;
        net.stations[0].endpoint.handle_datagram(now, from, &guess);
        net.stations[0].handle_events(now);
        guesses += 1;
    }
    net.assert_failed(0, &Failure::Guessed);
    assert!(guesses > 60_000);
}

#[test]
fn a_link_takes_all_codes_that_a_pairing_may_hold() {
    let mut net = Net::pairing(16, &["door"]);
    let refused = (0..20).filter(|_| {
        let code = Code::generate(|out| net.dice.fill(out));
        net.stations[0].pairing_mut().handle_code(code).is_err()
    });
    assert_eq!(refused.count(), 13);
    assert!(net.stations[0].pairing().psks().count() <= TRUSTS_MAX);
    net.run(Duration::from_secs(1));
}
