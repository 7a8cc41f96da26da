//! A house: stations, and links between each two of them that delay, break, and forget when a station begins anew.
//!
//! A link delivers in order and once, as the real one does; different links know nothing of each other, so that what
//! stations say to a third arrives in any order. A cut holds messages back until it is mended. Each station learns of
//! cuts and restarts in its own time, as it does by missing keep-alives.

use crate::call::{Action, Call, CallConfig, CallEvent, MinuteOfDay, PeerPolicy, Refusal, State};
use crate::identity::{PublicKey, Rights};
use crate::time::{Duration, Instant};
use crate::wire::CallMessage;
use std::collections::{BTreeMap, VecDeque};

/// What the stations are called, in the order of their keys.
pub(super) const NAMES: [&str; 8] = ["attic", "bath", "cellar", "door", "garage", "hall", "kitchen", "nursery"];

/// A message is under way for at most so long while the link stands.
const DELAY_MS: u64 = 40;
/// A cut or a restart is noticed within so long.
const NOTICE_MS: u64 = 1_500;

/// SplitMix64 (Steele, Lea, Flood 2014): enough for dice.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// The key of the station with this number.
pub(super) fn key(station: usize) -> PublicKey {
    PublicKey([station as u8 + 1; 32])
}

/// Everything allowed, as the tests that are not about rights want it.
pub(super) fn policy(station: usize) -> PeerPolicy {
    PeerPolicy {
        key: key(station),
        name: NAMES[station].to_owned(),
        rights: Rights { call: true, monitor: true, release: true },
        auto_answer: None,
        release_without_call: false,
    }
}

/// What one station knows of its link to another.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    conversation: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    up: bool,
    /// Counts how often one of the two began anew.
    conversation: u64,
}

struct Letter {
    due: Instant,
    conversation: u64,
    message: CallMessage,
}

pub(super) struct Station {
    pub call: Call,
    pub events: Vec<CallEvent>,
    config: CallConfig,
    policies: Vec<PeerPolicy>,
}

pub(super) struct House {
    pub now: Instant,
    pub wall: MinuteOfDay,
    pub stations: Vec<Station>,
    pub dice: Dice,
    /// Everything said, for those who want to read it when a test fails.
    pub said: Vec<String>,
    links: BTreeMap<(usize, usize), Link>,
    sides: BTreeMap<(usize, usize), Side>,
    post: BTreeMap<(usize, usize), VecDeque<Letter>>,
    /// When a station looks at its link to another.
    looks: Vec<(Instant, usize, usize)>,
}

impl House {
    /// So many stations with the default policies, linked to each other, and everything allowed.
    pub fn new(stations: usize, seed: u64) -> House {
        House::with(stations, seed, |_, _| {}, |_, _| {})
    }

    /// The same, with what `configure` changes for a station, and `allow` in its policy for a peer.
    pub fn with(
        count: usize,
        seed: u64,
        configure: impl Fn(usize, &mut CallConfig),
        allow: impl Fn(usize, &mut PeerPolicy),
    ) -> House {
        let mut house = House {
            now: Instant::from_millis(1_000_000),
            wall: MinuteOfDay::new(12, 0).unwrap(),
            stations: Vec::new(),
            dice: Dice(seed),
            said: Vec::new(),
            links: BTreeMap::new(),
            sides: BTreeMap::new(),
            post: BTreeMap::new(),
            looks: Vec::new(),
        };
        for station in 0..count {
            let mut config = CallConfig::default();
            configure(station, &mut config);
            let mut policies: Vec<_> = (0..count).filter(|peer| *peer != station).map(policy).collect();
            policies.iter_mut().for_each(|policy| allow(station, policy));
            let call = house.start(station, &config, &policies);
            house.stations.push(Station { call, events: Vec::new(), config, policies });
        }
        for (a, b) in pairs(count) {
            house.links.insert((a, b), Link { up: true, conversation: 0 });
            for (who, about) in [(a, b), (b, a)] {
                house.sides.insert((who, about), Side::default());
                house.stations[who].call.handle_presence(house.now, key(about), true);
            }
        }
        house.deliver_all();
        house
    }

    fn start(&mut self, station: usize, config: &CallConfig, policies: &[PeerPolicy]) -> Call {
        let mut dice = Dice(self.dice.next());
        let mut call = Call::new(key(station), config.clone(), Box::new(move || dice.next()));
        call.set_peers(self.now, policies);
        call
    }

    /// Does what is typed at a station.
    pub fn ask(&mut self, station: usize, action: &str) -> Result<(), Refusal> {
        let action: Action = action.parse().unwrap();
        self.said.push(format!("{} {}: {action}", self.now.as_micros(), NAMES[station]));
        let done = self.stations[station].call.handle_action(self.now, self.wall, &action);
        self.collect(station);
        done
    }

    /// The same, for what must go.
    #[track_caller]
    pub fn act(&mut self, station: usize, action: &str) {
        self.ask(station, action).unwrap_or_else(|refusal| panic!("{}: {action}: {refusal}", NAMES[station]));
    }

    pub fn state(&self, station: usize) -> &State {
        self.stations[station].call.state()
    }

    /// With whom a station is in conversation.
    pub fn partner(&self, station: usize) -> Option<usize> {
        let State::Talking(talking) = self.state(station) else { return None };
        (0..self.stations.len()).find(|peer| key(*peer) == talking.peer)
    }

    pub fn is_up(&self, a: usize, b: usize) -> bool {
        self.links[&(a.min(b), a.max(b))].up
    }

    /// Cuts or mends the link between two.
    pub fn set_link(&mut self, a: usize, b: usize, up: bool) {
        if let Some(link) = self.links.get_mut(&(a.min(b), a.max(b))) {
            link.up = up;
        }
        self.said.push(format!("{} link {} {}: {up}", self.now.as_micros(), NAMES[a], NAMES[b]));
        self.look_soon(a, b);
        self.look_soon(b, a);
    }

    /// Cuts or mends all links between those who are in `part` and those who are not.
    pub fn set_partition(&mut self, part: impl Fn(usize) -> bool, up: bool) {
        for (a, b) in pairs(self.stations.len()) {
            if part(a) != part(b) {
                self.set_link(a, b, up);
            }
        }
    }

    /// Mends everything.
    pub fn mend(&mut self) {
        for (a, b) in pairs(self.stations.len()) {
            self.set_link(a, b, true);
        }
    }

    /// The program of a station ends and begins anew, and knows of nothing.
    pub fn restart(&mut self, station: usize) {
        self.said.push(format!("{} {} restarts", self.now.as_micros(), NAMES[station]));
        let (config, policies) = (self.stations[station].config.clone(), self.stations[station].policies.clone());
        self.stations[station].call = self.start(station, &config, &policies);
        for peer in (0..self.stations.len()).filter(|peer| *peer != station) {
            let link = self.links.get_mut(&(station.min(peer), station.max(peer))).unwrap();
            link.conversation += 1;
            self.sides.insert((station, peer), Side { conversation: link.conversation });
            self.look_soon(station, peer);
            self.look_soon(peer, station);
        }
    }

    fn look_soon(&mut self, who: usize, about: usize) {
        let after = Duration::from_millis(self.dice.next() % NOTICE_MS);
        self.looks.push((self.now + after, who, about));
    }

    /// A station notices how its link is.
    fn look(&mut self, who: usize, about: usize) {
        let link = self.links[&(who.min(about), who.max(about))];
        if link.up {
            self.meet(who, about, link.conversation);
        }
        self.stations[who].call.handle_presence(self.now, key(about), link.up);
        self.collect(who);
    }

    /// A station learns that the other began anew.
    fn meet(&mut self, who: usize, about: usize, conversation: u64) {
        if self.sides[&(who, about)].conversation < conversation {
            self.sides.insert((who, about), Side { conversation });
            self.stations[who].call.handle_restart(self.now, key(about));
            self.collect(who);
        }
    }

    /// Takes what a station has to say, and posts it.
    fn collect(&mut self, from: usize) {
        while let Some((to, message)) = self.stations[from].call.poll_message() {
            let Some(to) = (0..self.stations.len()).find(|peer| key(*peer) == to) else { continue };
            self.said.push(format!("{} {} > {}: {message:?}", self.now.as_micros(), NAMES[from], NAMES[to]));
            let delay = Duration::from_millis(1 + self.dice.next() % DELAY_MS);
            let conversation = self.sides[&(from, to)].conversation;
            let queue = self.post.entry((from, to)).or_default();
            let due = queue.back().map_or(self.now, |last| last.due).max(self.now + delay);
            queue.push_back(Letter { due, conversation, message });
        }
        while let Some(event) = self.stations[from].call.poll_event() {
            self.stations[from].events.push(event);
        }
    }

    fn deliver(&mut self, from: usize, to: usize) {
        let Some(letter) = self.post.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { return };
        self.meet(to, from, letter.conversation);
        // What an earlier life of the receiver was told is lost with it.
        if letter.conversation == self.sides[&(to, from)].conversation {
            self.stations[to].call.handle_message(self.now, self.wall, key(from), letter.message);
            self.collect(to);
        }
    }

    /// Whatever comes next, if it comes before `end`; whether there was anything.
    fn happen_next(&mut self, end: Instant) -> bool {
        let (links, now) = (&self.links, self.now);
        let letters = self.post.iter().filter_map(|(pair, queue)| {
            let letter = queue.front().filter(|_| links[&(pair.0.min(pair.1), pair.0.max(pair.1))].up)?;
            Some((letter.due.max(now), What::Letter(pair.0, pair.1)))
        });
        let looks = self.looks.iter().enumerate().map(|(at, look)| (look.0, What::Look(at)));
        let timeouts = self.stations.iter().enumerate();
        let timeouts =
            timeouts.filter_map(|(s, station)| Some((station.call.poll_timeout()?.max(now), What::Timeout(s))));
        let next = letters.chain(looks).chain(timeouts).min_by_key(|(at, _)| *at);
        let Some((at, what)) = next.filter(|(at, _)| *at <= end) else { return false };
        self.now = at;
        match what {
            What::Letter(from, to) => self.deliver(from, to),
            What::Look(at) => {
                let (_, who, about) = self.looks.remove(at);
                self.look(who, about);
            }
            What::Timeout(station) => {
                self.stations[station].call.handle_timeout(at);
                let next = self.stations[station].call.poll_timeout();
                assert!(next.is_none_or(|next| next > at), "{} would spin", NAMES[station]);
                self.collect(station);
            }
        }
        true
    }

    /// Lets time pass, and looks at every station after everything that happens.
    pub fn pass_watching(&mut self, seconds: f64, mut look: impl FnMut(&House)) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while self.happen_next(end) {
            look(self);
        }
        self.now = end;
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: f64) {
        self.pass_watching(seconds, |_| {});
    }

    fn deliver_all(&mut self) {
        (0..self.stations.len()).for_each(|station| self.collect(station));
        self.pass(1.0);
    }
}

enum What {
    Letter(usize, usize),
    Look(usize),
    Timeout(usize),
}

pub(super) fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |a| (a + 1..count).map(move |b| (a, b)))
}
