//! Goal: whatever one machine is told, in whatever order, it keeps its promises. Method: random sequences of everything
//! that can come in, from peers that obey no protocol; after each the promises are looked at, and in the end, with no
//! more coming in, everything must come to rest (property).

use super::house::{NAMES, key, policy};
use crate::call::{Action, Call, CallConfig, CallEvent, MinuteOfDay, State, Switch, Whom};
use crate::time::{Duration, Instant};
use crate::wire::{
    CallId, CallKind, CallMessage, DeclineReason, EndReason, Invite, NAME_BYTES_MAX, ReleaseOutcome, bounded,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The machine's own number, so that there are smaller and larger keys than its own.
const OWN: usize = 1;
const PEERS: [usize; 3] = [0, 2, 3];
/// One that stands in no book.
const STRANGER: usize = 7;

#[derive(Clone, Debug)]
enum Told {
    Act(Action),
    /// With the name of the present call, where there is one and this is wanted.
    Message(usize, bool, CallMessage),
    Presence(usize, bool),
    Restart(usize),
    /// The driver wakes in time.
    Pass(u64),
    /// The driver sleeps, and is late.
    Oversleep(u64),
    Book(bool),
}

fn action() -> impl Strategy<Value = Action> {
    let name = prop::sample::select(vec![NAMES[0], NAMES[2], NAMES[3], "nobody"]).prop_map(String::from);
    let whom = prop_oneof![Just(Whom::All), Just(Whom::Usual), name.clone().prop_map(Whom::Named)];
    let switch = prop::sample::select(vec![Switch::On, Switch::Off, Switch::Toggle]);
    prop_oneof![
        4 => whom.clone().prop_map(Action::Ring),
        4 => Just(Action::Answer),
        1 => Just(Action::Decline),
        2 => Just(Action::HangUp),
        2 => Just(Action::CallButton),
        1 => switch.clone().prop_map(Action::Mute),
        1 => switch.clone().prop_map(Action::Hold),
        1 => whom.prop_map(Action::Page),
        2 => name.clone().prop_map(Action::Monitor),
        1 => prop::option::of(name).prop_map(Action::Release),
        3 => Just(Action::ReleaseHere),
        1 => switch.prop_map(Action::DoNotDisturb),
    ]
}

fn message() -> impl Strategy<Value = CallMessage> {
    let call = (0u64..3).prop_map(CallId);
    let kind = (0u8..4).prop_map(CallKind::from);
    prop_oneof![
        4 => (call.clone(), kind, any::<bool>()).prop_map(|(call, kind, early_media)| {
            CallMessage::Invite(Invite { call, kind, group: bounded(&"g".repeat(NAME_BYTES_MAX)), early_media })
        }),
        3 => call.clone().prop_map(|call| CallMessage::Ringing { call }),
        4 => call.clone().prop_map(|call| CallMessage::Accept { call }),
        2 => (call.clone(), 0u8..6).prop_map(|(call, reason)| {
            CallMessage::Decline { call, reason: DeclineReason::from(reason) }
        }),
        2 => (call.clone(), 0u8..8).prop_map(|(call, reason)| {
            CallMessage::End { call, reason: EndReason::from(reason), by: bounded("somebody") }
        }),
        1 => (call.clone(), any::<(bool, bool)>()).prop_map(|(call, (held, muted))| {
            CallMessage::Marks { call, held, muted }
        }),
        2 => (0u64..3, prop::option::of(call), any::<u16>()).prop_map(|(nonce, call, valid_ms)| {
            CallMessage::ReleaseRequest { nonce, call, valid_ms }
        }),
        1 => (0u64..3, 0u64..3).prop_map(|(nonce, challenge)| CallMessage::ReleaseChallenge { nonce, challenge }),
        2 => (0u64..3).prop_map(|challenge| CallMessage::ReleaseConfirm { challenge }),
        1 => (0u64..3, 0u8..4).prop_map(|(nonce, outcome)| {
            CallMessage::ReleaseAnswer { nonce, outcome: ReleaseOutcome::from(outcome) }
        }),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    let peer = prop::sample::select(vec![0, 2, 3]);
    let speaker = prop::sample::select(vec![0, 0, 2, 2, 3, STRANGER]);
    prop_oneof![
        6 => action().prop_map(Told::Act),
        10 => (speaker, any::<bool>(), message()).prop_map(|(from, own, message)| Told::Message(from, own, message)),
        3 => (peer.clone(), prop::bool::weighted(0.7)).prop_map(|(peer, here)| Told::Presence(peer, here)),
        1 => peer.prop_map(Told::Restart),
        2 => (0u64..3_000).prop_map(Told::Pass),
        2 => (0u64..70_000).prop_map(Told::Pass),
        1 => (0u64..70_000).prop_map(Told::Oversleep),
        1 => any::<bool>().prop_map(Told::Book),
    ]
}

/// A machine and what was seen of it.
struct Watched {
    call: Call,
    now: Instant,
    here: BTreeSet<usize>,
    /// When the line went on, as events said.
    on_since: Option<Instant>,
}

fn wall() -> MinuteOfDay {
    MinuteOfDay::MIDNIGHT
}

fn pulse() -> Duration {
    Duration::from_secs(3)
}

impl Watched {
    fn new() -> Watched {
        let config = CallConfig { door: Some(pulse()), early_media: true, ..CallConfig::default() };
        let mut drawn = 0;
        // Small numbers, so that what peers say of calls and challenges is often right.
        let random = Box::new(move || {
            drawn += 1;
            drawn % 3
        });
        let mut watched = Watched {
            call: Call::new(key(OWN), config, random),
            now: Instant::ZERO,
            here: BTreeSet::new(),
            on_since: None,
        };
        watched.tell(&Told::Book(true));
        watched
    }

    fn tell(&mut self, told: &Told) {
        let now = self.now;
        match told {
            Told::Act(action) => drop(self.call.handle_action(now, wall(), action)),
            Told::Message(from, own, message) => {
                let message = if *own { self.about_the_present_call(message.clone()) } else { message.clone() };
                if *from != STRANGER {
                    self.here.insert(*from);
                }
                self.call.handle_message(now, wall(), key(*from), message);
            }
            Told::Presence(peer, here) => {
                if *here {
                    self.here.insert(*peer)
                } else {
                    self.here.remove(peer)
                };
                self.call.handle_presence(now, key(*peer), *here);
            }
            Told::Restart(peer) => self.call.handle_restart(now, key(*peer)),
            Told::Pass(ms) => self.pass(Duration::from_millis(*ms)),
            Told::Oversleep(ms) => {
                self.now += Duration::from_millis(*ms);
                self.call.handle_timeout(self.now);
            }
            Told::Book(full) => {
                let mut policies: Vec<_> = PEERS.into_iter().map(policy).collect();
                policies[2].release_without_call = true;
                policies[1].rights.monitor = false;
                policies[1].auto_answer = Some(Duration::from_secs(2));
                self.call.set_peers(now, if *full { &policies } else { &policies[..2] });
            }
        }
    }

    fn about_the_present_call(&self, mut message: CallMessage) -> CallMessage {
        let present = match self.call.state() {
            State::Calling(calling) => calling.call,
            State::Ringing(ringing) => ringing.call,
            State::Talking(talking) => talking.call,
            State::Idle | State::Ended(_) => return message,
        };
        match &mut message {
            CallMessage::Ringing { call }
            | CallMessage::Accept { call }
            | CallMessage::Decline { call, .. }
            | CallMessage::End { call, .. }
            | CallMessage::Marks { call, .. } => *call = present,
            CallMessage::ReleaseRequest { call, .. } => *call = Some(present),
            _ => {}
        }
        message
    }

    /// Lets time pass, as a driver does that wakes when it is to.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.call.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.call.handle_timeout(self.now);
            assert!(self.call.poll_timeout().is_none_or(|next| next > self.now), "it would spin");
            self.look();
            wakes += 1;
            assert!(wakes < 50, "it wakes for ever");
        }
        self.now = end;
    }

    /// Every promise about a machine at any moment.
    fn look(&mut self) {
        while let Some(event) = self.call.poll_event() {
            if let CallEvent::Released { pulse: left, .. } = event {
                let since = *self.on_since.get_or_insert(self.now);
                assert!(self.now + left <= since + pulse(), "the line is on for longer than its pulse");
            }
        }
        match self.call.door_on_until() {
            Some(until) => assert!(self.call.poll_timeout().is_some_and(|at| at <= until), "no timer ends the line"),
            None => self.on_since = None,
        }
        while self.call.poll_message().is_some() {}
        self.look_at_timers();
        self.look_at_media();
        let _ = (self.call.tone(), self.call.lamp(wall()));
    }

    fn look_at_timers(&self) {
        let within = |time: Duration| {
            let at = self.call.poll_timeout().unwrap_or_else(|| panic!("no timer: {:?}", self.call.state()));
            assert!(at <= self.now + time, "{:?}", self.call.state());
        };
        let config = CallConfig::default();
        match self.call.state() {
            State::Idle => {}
            State::Calling(_) => within(config.page_time.max(config.ring_time)),
            State::Ringing(_) => within(config.ring_time),
            State::Talking(talking) => {
                let is_here = self.here.iter().any(|peer| key(*peer) == talking.peer);
                within(if is_here { config.monitor_time } else { config.absence });
            }
            State::Ended(_) => within(config.card_time),
        }
    }

    fn look_at_media(&self) {
        let media = self.call.media();
        let named: Vec<_> = match self.call.state() {
            State::Idle | State::Ended(_) => Vec::new(),
            State::Calling(calling) => calling.reached().collect(),
            State::Ringing(ringing) => vec![ringing.peer],
            State::Talking(talking) => vec![talking.peer],
        };
        let sent = media.picture_to.iter().chain(&media.sound_to).chain(&media.shown).chain(&media.heard);
        for peer in sent {
            assert!(named.contains(peer), "{:?}", self.call.state());
        }
        assert!(!self.call.is_muted() || media.sound_to.is_empty(), "muted and heard");
        if matches!(self.call.state(), State::Ringing(_) | State::Calling(_)) {
            assert_eq!(media.heard, None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn whatever_it_is_told_it_keeps_its_promises_and_comes_to_rest(sequence in prop::collection::vec(told(), 0..80)) {
        let mut watched = Watched::new();
        for told in &sequence {
            watched.tell(told);
            watched.look();
        }
        let config = CallConfig::default();
        // As long as nothing may take longer but a conversation with one who is here.
        watched.pass(config.ring_time + config.page_time + config.card_time + config.absence);
        watched.look();
        let present = |peer| watched.here.iter().any(|one| key(*one) == peer);
        match watched.call.state() {
            State::Idle => prop_assert_eq!(watched.call.poll_timeout(), None),
            State::Talking(talking) => prop_assert!(present(talking.peer)),
            state => prop_assert!(false, "left in {state:?}"),
        }
        prop_assert_eq!(watched.call.door_on_until(), None);
        watched.pass(config.monitor_time + config.card_time);
        prop_assert_eq!(watched.call.state(), &State::Idle, "nothing lasts for ever");
    }
}
