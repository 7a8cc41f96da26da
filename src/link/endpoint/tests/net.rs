//! The simulated network, the stations on it, and something for them to say.

use super::super::*;
use crate::identity::SecretKey;
use crate::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough for losses and test keys.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.next() as u8;
        }
    }
}

/// An inner half that sends a numbered payload every 10 ms and keeps what it gets.
pub struct Talk {
    /// Which of all that were made this is.
    pub serial: u32,
    pub received: BTreeSet<u64>,
    pub sent: u64,
    next_at: Instant,
    pub silent: bool,
    /// Lengths of the payloads to be sent at once, besides.
    pub burst: Vec<usize>,
}

static SERIAL: AtomicU32 = AtomicU32::new(0);
const EVERY: Duration = Duration::from_millis(10);

impl Payloads for Talk {
    fn handle_payload(&mut self, _: Instant, payload: &[u8]) {
        if let Ok(number) = payload.try_into() {
            assert!(self.received.insert(u64::from_le_bytes(number)), "a payload came twice");
        }
    }
    fn poll_payload(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if let Some(len) = self.burst.pop() {
            out[..len].fill(1);
            return Some(len);
        }
        if self.silent || now < self.next_at {
            return None;
        }
        self.next_at = now + EVERY;
        self.sent += 1;
        out[..8].copy_from_slice(&self.sent.to_le_bytes());
        Some(8)
    }
    fn handle_timeout(&mut self, now: Instant) {
        assert!(now >= self.next_at);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        (!self.silent).then_some(self.next_at)
    }
}

/// One station: an endpoint, where it is, and what it was told.
pub struct Station {
    pub endpoint: Endpoint<Talk>,
    pub addresses: Vec<SocketAddr>,
    pub events: Vec<(LinkId, Event)>,
}

/// How the network treats datagrams.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    pub delay: Duration,
    pub jitter: Duration,
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub cut: bool,
}

/// Datagrams: from, to, bytes.
pub type Tape = Vec<(SocketAddr, SocketAddr, Vec<u8>)>;

/// Stations, and the datagrams between them.
pub struct Net {
    pub now: Instant,
    pub dice: Dice,
    pub weather: Weather,
    pub stations: Vec<Option<Station>>,
    under_way: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    number: u64,
    /// Everything that was sent.
    pub tape: Option<Tape>,
}

pub fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n as u8 + 1], 10_087))
}

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes([n + 1; 32])
}

pub fn book(n: u8) -> Trust {
    Trust::Book(key(n).public())
}

pub const RTT: Duration = Duration::from_millis(40);

impl Net {
    pub fn new(seed: u64) -> Net {
        let weather = Weather { delay: RTT / 2, ..Weather::default() };
        Net {
            now: Instant::from_millis(1_000),
            dice: Dice(seed),
            weather,
            stations: Vec::new(),
            under_way: BTreeMap::new(),
            number: 0,
            tape: None,
        }
    }

    /// Puts a station with this key on the network.
    pub fn join(&mut self, secret: SecretKey, accept: Vec<Trust>) -> usize {
        self.stations.push(None);
        let place = self.stations.len() - 1;
        self.start(place, secret, accept);
        place
    }

    /// Starts the program of a station, anew where it ran.
    pub fn start(&mut self, place: usize, secret: SecretKey, accept: Vec<Trust>) {
        let mut dice = Dice(self.dice.next());
        let config = Config { secret, accept, random: Box::new(move |out| dice.fill(out)) };
        let make = |now, _: &Peer| Talk {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            received: BTreeSet::new(),
            sent: 0,
            next_at: now,
            silent: false,
            burst: Vec::new(),
        };
        let endpoint = Endpoint::new(self.now, config, make);
        self.stations[place] = Some(Station { endpoint, addresses: vec![address(place)], events: Vec::new() });
    }

    pub fn at(&mut self, place: usize) -> &mut Station {
        self.stations[place].as_mut().unwrap()
    }

    pub fn dial(&mut self, place: usize, trusts: &[Trust], to: &[SocketAddr]) -> LinkId {
        let now = self.now;
        self.at(place).endpoint.dial(now, trusts, to).unwrap()
    }

    /// Two stations that know each other's keys, both dialling, run until they are connected.
    pub fn call(seed: u64) -> (Net, LinkId, LinkId) {
        let mut net = Net::new(seed);
        let (a, b) = (net.join(key(0), vec![]), net.join(key(1), vec![]));
        let of_a = net.dial(a, &[book(1)], &[address(b)]);
        let of_b = net.dial(b, &[book(0)], &[address(a)]);
        net.run(Duration::from_millis(500));
        net.assert_one_session(0, of_a, 1, of_b);
        (net, of_a, of_b)
    }

    /// Puts a datagram on the network, as anybody might.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.under_way.insert((self.now, self.number), (from, to, bytes.to_vec()));
        self.number += 1;
    }

    fn post(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if let Some(tape) = &mut self.tape {
            tape.push((from, to, bytes.to_vec()));
        }
        let weather = self.weather;
        if weather.cut || self.dice.below(100) < weather.loss_percent {
            return;
        }
        let copies = if self.dice.below(100) < weather.duplicate_percent { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = Duration::from_nanos(self.dice.below(weather.jitter.as_nanos() as u64 + 1));
            self.under_way.insert((self.now + weather.delay + jitter, self.number), (from, to, bytes.to_vec()));
            self.number += 1;
        }
    }

    /// Lets every station send what it has, and fetches its events.
    pub fn drain(&mut self) {
        let mut out = vec![0; 16 * MAX_DATAGRAM];
        for place in 0..self.stations.len() {
            let Some(mut station) = self.stations[place].take() else { continue };
            let mut rounds = 0;
            while let Some(Transmit { to, len, segment_len }) = station.endpoint.poll_transmit(self.now, &mut out) {
                assert!(segment_len <= len && segment_len <= MAX_DATAGRAM && len.div_ceil(segment_len) <= 16);
                // A v4 station sends from its v4 address, as a socket does.
                let same = station.addresses.iter().find(|a| a.is_ipv4() == to.is_ipv4());
                let from = *same.unwrap_or(&station.addresses[0]);
                for datagram in out[..len].chunks(segment_len) {
                    self.post(from, to, datagram);
                }
                rounds += 1;
                assert!(rounds < 2_000, "a station does not stop sending");
            }
            while let Some(event) = station.endpoint.poll_event() {
                station.events.push(event);
            }
            self.stations[place] = Some(station);
        }
    }

    /// Runs the network for a while.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut here = 0;
        loop {
            self.drain();
            let timeouts = self.stations.iter().flatten().map(|s| s.endpoint.poll_timeout());
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let next = timeouts.fold(arrival, earliest).map(|next| next.max(self.now));
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            here = if next == self.now { here + 1 } else { 0 };
            assert!(here < 100_000, "time stands still");
            self.now = next;
            while let Some(entry) = self.under_way.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (from, to, bytes) = entry.remove();
                let now = self.now;
                if let Some(station) = self.stations.iter_mut().flatten().find(|s| s.addresses.contains(&to)) {
                    station.endpoint.handle_datagram(now, from, &bytes);
                }
            }
            for station in self.stations.iter_mut().flatten() {
                station.endpoint.handle_timeout(self.now);
            }
        }
    }

    /// Both ends use one and the same session, in both directions, for one and the same conversation.
    pub fn assert_one_session(&mut self, a: usize, of_a: LinkId, b: usize, of_b: LinkId) {
        let terms = |net: &mut Net, place, id| {
            let link = net.at(place).endpoint.link_mut(id).unwrap();
            assert!(link.here, "station {place} is alone");
            (link.current.as_ref().unwrap().terms, link.held())
        };
        let ((one, held_one), (two, held_two)) = (terms(self, a, of_a), terms(self, b, of_b));
        assert_eq!((one.local, one.remote), (two.remote, two.local));
        assert_ne!(one.initiator, two.initiator);
        assert_eq!((one.generation, one.conversation, held_one), (two.generation, two.conversation, held_two));
        assert_eq!(one.conversation, held_one);
    }

    pub fn talk(&mut self, place: usize, id: LinkId) -> &mut Talk {
        self.at(place).endpoint.payloads(id).expect("a conversation")
    }

    /// What a station was told since the last time.
    pub fn told(&mut self, place: usize) -> Vec<Event> {
        self.at(place).events.drain(..).map(|(_, event)| event).collect()
    }

    /// Passes over what everybody was told so far.
    pub fn forget(&mut self) {
        for station in self.stations.iter_mut().flatten() {
            station.events.clear();
        }
    }

    /// Bytes that a station has sent.
    pub fn sent_bytes(&mut self, place: usize) -> u64 {
        self.at(place).endpoint.stats().sent_bytes.get()
    }
}
