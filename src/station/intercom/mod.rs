//! `visavis run`: the net loop of an intercom, which knows the stations of its house, rings them, and is rung.
//!
//! It joins rooms that know nothing of each other: `call` decides, `house` keeps a link to each station, `meeting`
//! pairs new ones, `panel` has the hands and the control socket, `card` and the stages show and sound what is so, and
//! `chronicle` tells it. **Everything that happens comes in by a `handle_*` of `call` and leaves by its views**: the
//! routes of media, the tone, the lamps and the screen are derived from the state, never kept beside it.

mod act;
mod chronicle;
mod house;
mod meeting;
mod settings;
mod show;
mod status;

pub use settings::{IntercomConfig, PeerSettings};

use self::chronicle::Chronicle;
use self::house::House;
use self::meeting::{Consequence, Meeting};
use self::show::{Scene, Showing};
use self::status::Pace;
use super::config::Config;
use super::stages::fault;
use super::switchboard::{HOUSEKEEPING, Routes, Switchboard};
use super::view::NetView;
use crate::call::{Call, CallEvent, MinuteOfDay, State, Tone};
use crate::card::{Card, Manner};
use crate::find::{Announcement, Change, Finder, Found};
use crate::identity::{Outcome, PublicKey, system_random};
use crate::journal::Journal;
use crate::link::flow::{Flow, FlowEvent};
use crate::link::{CloseReason, Event, LinkId};
use crate::panel::Hands;
use crate::panel::protocol::Happening;
use crate::panel::socket::Server;
use crate::sys::calendar::{LocalTime, local_time, unix_ms};
use crate::sys::clock;
use crate::sys::wake::Stop;
use crate::time::{Duration, Instant, earliest};
use crate::voice;
use crate::wire::{Control, PROTOCOL_VERSION, PROTOCOL_VERSION_OF_CALLS, ReleaseOutcome};
use nix::poll::PollFlags;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// How long the volume stands on the screen after it was changed.
const VOLUME_SHOWN: Duration = Duration::from_secs(2);
/// How long it stands on the screen whether the other station's door opened.
const DOOR_SHOWN: Duration = Duration::from_secs(3);
/// A picture of who rings is kept from this time on: by then they stand before the camera, and the picture is sharp.
const CALLER_SETTLES: Duration = Duration::from_secs(1);
/// Stations that announce that they are pairing, and are called when pairing begins here.
const FOUND_MAX: usize = 16;
/// An intercom, assembled and started.
pub struct Intercom {
    board: Switchboard,
    settings: IntercomConfig,
    own: PublicKey,
    call: Call,
    house: House,
    hands: Hands,
    finder: Option<Finder>,
    /// Stations that are pairing, as they announce it.
    pairing_there: Vec<Found>,
    meeting: Option<Meeting>,
    chronicle: Chronicle,
    started_at: Instant,
    housekeeping_at: Instant,
    /// When the state became what it is.
    state_since: Instant,
    /// As last told: to notice what is news.
    told_state: (String, Vec<PublicKey>),
    told_faults: Vec<String>,
    told_strangers: u64,
    pace: Pace,
    /// The share of our datagrams that whoever is shown misses.
    loss: f32,
    manner: Manner,
    volume_percent: u8,
    volume_until: Instant,
    ends_at: Option<Instant>,
    /// Whether the other station opened its door, and until when that is news.
    door_answer: (bool, Instant),
    touched_at: Instant,
    /// Somebody wants a picture of the screen kept.
    is_snapshot_wanted: bool,
}

impl Intercom {
    /// Binds the port, starts the threads, claims the hands, and begins to look for the stations of the book.
    ///
    /// # Errors
    /// In words: a port that is taken, a book that cannot be read, a control socket that another station has.
    pub fn start(config: Config, settings: IntercomConfig) -> Result<Intercom, String> {
        let now = clock::now();
        let said = |what: &'static str| move |error: io::Error| format!("cannot {what}: {error}");
        let mut board = Switchboard::start(&config, Vec::new()).map_err(said("start the station"))?;
        let own = *board.endpoint.public_key();
        let mut house = House::load(&settings.state).map_err(|error| error.to_string())?;
        house.join(now, &mut board, &settings).map_err(said("look for stations"))?;
        let control = match &settings.control {
            Some((path, group)) => Some(Server::bind(path, group.as_deref()).map_err(|error| error.to_string())?),
            None => None,
        };
        // A disk that refuses is no reason not to ring.
        let journal = Journal::start(&settings.state).inspect_err(|error| tracing::warn!("no journal: {error}")).ok();
        let mut call = Call::new(own, settings.call.clone(), Box::new(random_u64));
        call.set_peers(now, &policies(&house, &settings));
        let mut intercom = Intercom {
            finder: None,
            pairing_there: Vec::new(),
            hands: Hands::open(settings.panel.clone(), now),
            chronicle: Chronicle::new(journal, control),
            meeting: None,
            started_at: now,
            housekeeping_at: now,
            state_since: now,
            told_state: ("idle".into(), Vec::new()),
            told_faults: Vec::new(),
            told_strangers: 0,
            pace: Pace::new(now, &board.view),
            loss: 0.0,
            manner: Manner { language: settings.language, touch: false },
            volume_percent: settings.volume_percent,
            volume_until: Instant::ZERO,
            ends_at: None,
            door_answer: (false, Instant::ZERO),
            touched_at: now,
            is_snapshot_wanted: false,
            board,
            settings,
            own,
            call,
            house,
        };
        intercom.board.stages.voice_knobs.volume_percent.store(intercom.volume_percent, Ordering::Relaxed);
        intercom.find().map_err(said("look for stations by multicast DNS"))?;
        Ok(intercom)
    }

    fn find(&mut self) -> io::Result<()> {
        let Some(config) = self.settings.find.clone() else { return Ok(()) };
        let mut finder = Finder::start(config, self.announcement(false))?;
        finder.set_book(&self.keys());
        self.finder = Some(finder);
        Ok(())
    }

    fn announcement(&self, pairing: bool) -> Announcement {
        let port = self.board.socket.local_port().unwrap_or_default();
        Announcement { name: self.board.name.clone(), port, key: self.own, pairing }
    }

    fn keys(&self) -> Vec<PublicKey> {
        self.house.book().entries().iter().map(|entry| entry.key).collect()
    }

    /// The net loop: returns when `stop` is asked for.
    ///
    /// # Errors
    /// The name of a thread of ours that ended by itself: a bug; or what `ppoll(2)` says.
    pub fn run(mut self, stop: &Stop) -> Result<(), String> {
        let mut is_hand_ready = true;
        while !stop.is_stopped() {
            // Before the rings are read: what is put in afterwards signals anew.
            self.board.net.drain();
            let now = clock::now();
            self.board.receive(now);
            self.handle_links(now);
            if is_hand_ready {
                self.handle_hands(now);
                self.handle_control(now);
                self.handle_finder(now);
            }
            self.call.handle_timeout(now);
            self.turn_meeting(now);
            self.follow_call(now);
            self.move_media(now);
            self.board.transmit(now);
            if now >= self.housekeeping_at {
                self.keep_house(now)?;
            }
            is_hand_ready = self.wait(now, stop).map_err(|e| format!("cannot wait (ppoll): {e}"))?;
        }
        self.leave();
        Ok(())
    }

    fn handle_links(&mut self, now: Instant) {
        while let Some((link, event)) = self.board.endpoint.poll_event() {
            if self.meeting.as_ref().is_some_and(|meeting| meeting.is_open() && meeting.link() == link) {
                if let Some(meeting) = &mut self.meeting {
                    meeting.handle_link(now, &mut self.board, event);
                }
            } else {
                self.handle_link_event(now, link, event);
            }
        }
        for place in 0..self.house.neighbours().len() {
            let link = self.house.neighbours()[place].peer.link;
            while let Some(event) = self.board.endpoint.payloads(link).and_then(Flow::poll_event) {
                self.handle_flow_event(now, link, event);
            }
        }
        let Some(meeting) = self.meeting.as_mut().filter(|meeting| meeting.is_open()) else { return };
        while let Some(event) = self.board.endpoint.payloads(meeting.link()).and_then(Flow::poll_event) {
            if let FlowEvent::Control(Control::Hello { station, .. }) = event {
                meeting.handle_name(now, &station);
            }
        }
    }

    fn handle_link_event(&mut self, now: Instant, link: LinkId, event: Event) {
        let Some(neighbour) = self.house.by_link(link) else { return };
        let (key, name) = (neighbour.key, neighbour.name.clone());
        match event {
            Event::Connected { peer, address } | Event::Replaced { peer, address } => {
                if neighbour.peer.met != Some(peer) || !neighbour.peer.is_here() {
                    neighbour.since = now;
                    self.chronicle.publish(now, Happening::LinkUp { peer: name, address: address.to_string() });
                }
                neighbour.peer.replace(now, peer);
                self.house.reached(link, address);
                self.begin_anew(now, link);
                if let Some(meeting) = &mut self.meeting {
                    meeting.handle_known(&key);
                }
            }
            Event::Back { .. } => {
                neighbour.peer.arrive(now);
                neighbour.since = now;
                let knows_calls = neighbour.version >= PROTOCOL_VERSION_OF_CALLS;
                if let Some(flow) = self.board.endpoint.payloads(link) {
                    flow.path_changed(now);
                }
                if knows_calls {
                    self.call.handle_presence(now, key, true);
                }
                let address = self.board.endpoint.address(link).map(|at| at.to_string()).unwrap_or_default();
                self.chronicle.publish(now, Happening::LinkUp { peer: name, address });
            }
            Event::Roamed { address } => {
                tracing::info!("{name} is now at {address}");
                self.house.reached(link, address);
            }
            Event::Away { .. } => self.lose(now, link, "nothing is heard of it".into()),
            Event::Closed { reason } => {
                self.lose(now, link, reason.to_string());
                self.call.handle_restart(now, key);
            }
        }
        self.housekeeping_at = now;
    }

    /// What was said over a link is gone, since its other end began anew: another run of the program there, or, where both
    /// called at once, the second of two conversations. It is here again once its hello has said that it knows calls.
    fn begin_anew(&mut self, now: Instant, link: LinkId) {
        let Some(neighbour) = self.house.by_link(link) else { return };
        neighbour.version = 0;
        self.call.handle_presence(now, neighbour.key, false);
        self.call.handle_restart(now, neighbour.key);
        self.board.introduce(&mut neighbour.peer, PROTOCOL_VERSION);
    }

    fn lose(&mut self, now: Instant, link: LinkId, reason: String) {
        let Some(neighbour) = self.house.by_link(link) else { return };
        neighbour.peer.leave(now);
        neighbour.since = now;
        let (key, peer) = (neighbour.key, neighbour.name.clone());
        self.call.handle_presence(now, key, false);
        self.chronicle.publish(now, Happening::LinkDown { peer, reason });
    }

    fn handle_flow_event(&mut self, now: Instant, link: LinkId, event: FlowEvent) {
        let Some(neighbour) = self.house.by_link(link) else { return };
        let key = neighbour.key;
        match event {
            FlowEvent::Control(Control::Call(message)) => {
                let wall = wall(here());
                self.call.handle_message(now, wall, key, message);
            }
            FlowEvent::Control(message) => {
                if let Control::Hello { version, .. } = message {
                    neighbour.version = version;
                }
                neighbour.peer.handle_control(&message);
                if neighbour.version >= PROTOCOL_VERSION_OF_CALLS {
                    self.call.handle_presence(now, key, true);
                }
                self.housekeeping_at = now;
            }
            FlowEvent::PeerRestarted => self.begin_anew(now, link),
            FlowEvent::KeyFrameWanted => {
                if self.board.routes().picture_to.contains(&link) {
                    self.board.stages.knobs.ask_key_frame();
                }
            }
            FlowEvent::Frozen { .. } | FlowEvent::Resumed { .. } => {}
        }
    }

    fn handle_finder(&mut self, now: Instant) {
        while let Some(change) = self.finder.as_mut().and_then(Finder::poll) {
            self.house.handle_found(now, &mut self.board, &change);
            let (Change::Found(found) | Change::Lost(found)) = &change;
            self.pairing_there.retain(|known| known.instance != found.instance);
            if matches!(change, Change::Found(_)) && found.pairing && self.pairing_there.len() < FOUND_MAX {
                self.pairing_there.push(found.clone());
            }
            if let Some(meeting) = self.meeting.as_mut().filter(|meeting| meeting.is_open()) {
                meeting.handle_found(&change);
            }
        }
    }

    fn turn_meeting(&mut self, now: Instant) {
        let Some(mut meeting) = self.meeting.take() else { return };
        let consequences = meeting.turn(now, &mut self.board, &mut self.house);
        if !meeting.is_over(now) {
            self.meeting = Some(meeting);
        }
        for consequence in consequences {
            match consequence {
                Consequence::BookChanged => self.follow_book(now),
                Consequence::Ended(outcome) => self.end_meeting(now, &outcome),
            }
        }
    }

    fn end_meeting(&mut self, now: Instant, outcome: &Outcome) {
        if let Some(finder) = &mut self.finder {
            let port = self.board.socket.local_port().unwrap_or_default();
            finder.announce(Announcement { name: self.board.name.clone(), port, key: self.own, pairing: false });
        }
        let (words, peer) = match outcome {
            Outcome::Paired { name, .. } => (format!("paired with {name}"), Some(name.clone())),
            Outcome::Failed(failure) => (failure.to_string(), None),
        };
        self.chronicle.publish(now, Happening::Pairing { words, is_over: true, peer });
        self.housekeeping_at = now;
    }

    /// The address book is another: links, policies and announcements follow.
    fn follow_book(&mut self, now: Instant) {
        if let Err(error) = self.house.join(now, &mut self.board, &self.settings) {
            tracing::warn!("a station of the address book is not looked for: {error}");
        }
        let keys = self.keys();
        if let Some(finder) = &mut self.finder {
            finder.set_book(&keys);
        }
        self.call.set_peers(now, &policies(&self.house, &self.settings));
        self.housekeeping_at = now;
    }

    /// Sends what the call says, keeps what it tells, and has media and tones follow it.
    fn follow_call(&mut self, now: Instant) {
        while let Some((key, message)) = self.call.poll_message() {
            let link = self.house.link_of(&key);
            if let Some(flow) = link.and_then(|link| self.board.endpoint.payloads(link))
                && let Err(full) = flow.send_control(&Control::Call(message))
            {
                tracing::warn!("{}: {full}", self.house.name_of(&key));
            }
        }
        while let Some(event) = self.call.poll_event() {
            self.handle_call_event(now, &event);
        }
        let media = self.call.media();
        let house = &self.house;
        let links = |keys: &[PublicKey]| keys.iter().filter_map(|key| house.link_of(key)).collect();
        self.board.set_routes(Routes {
            picture_to: links(&media.picture_to),
            sound_to: links(&media.sound_to),
            show: media.shown.and_then(|key| house.link_of(&key)),
            hear: media.heard.and_then(|key| house.link_of(&key)),
        });
        let knobs = &self.board.stages.voice_knobs;
        knobs.is_muted.store(self.call.is_muted(), Ordering::Relaxed);
        let tone = match self.call.tone() {
            Tone::None => None,
            Tone::Ring => Some(voice::Tone::Ring),
            Tone::RingBack => Some(voice::Tone::RingBack),
            Tone::Busy => Some(voice::Tone::Busy),
            Tone::Door => Some(voice::Tone::Door),
            Tone::Error => Some(voice::Tone::Error),
        };
        if knobs.tone() != tone {
            knobs.set_tone(tone);
        }
    }

    fn handle_call_event(&mut self, now: Instant, event: &CallEvent) {
        let about = match event {
            CallEvent::Missed { peer, .. } | CallEvent::ReleaseAnswered { peer, .. } => Some(*peer),
            CallEvent::Ended { peer, .. } => *peer,
            CallEvent::Released { by, .. } => *by,
            CallEvent::ReleaseRefused { by, .. } => Some(*by),
            _ => None,
        };
        let name = about.map_or_else(|| "somebody here".into(), |key| self.house.name_of(&key));
        if self.chronicle.note(now, event, &name)
            && let Some(looks) = &self.board.stages.looks
        {
            looks.still.switch().set(true);
        }
        match event {
            CallEvent::Changed => self.note_state(now),
            CallEvent::Released { .. } => {
                if let Err(why) = self.hands.release(now) {
                    tracing::warn!("the door was to be opened: {why}");
                }
            }
            CallEvent::EndsSoon { left } => self.ends_at = Some(now + *left),
            CallEvent::Ended { .. } => self.ends_at = None,
            CallEvent::ReleaseAnswered { peer, outcome } => {
                tracing::info!("{} about its door: {outcome:?}", self.house.name_of(peer));
                self.door_answer = (*outcome == ReleaseOutcome::Released, now + DOOR_SHOWN);
            }
            _ => {}
        }
        self.housekeeping_at = now;
    }

    fn note_state(&mut self, now: Instant) {
        self.chronicle.note_state(self.call.state());
        let (word, peers) = show::words(self.call.state());
        if (word, &peers) == (self.told_state.0.as_str(), &self.told_state.1) {
            return;
        }
        self.state_since = now;
        let names: Vec<_> = peers.iter().map(|key| self.house.name_of(key)).collect();
        let peer = (!names.is_empty()).then(|| names.join(", "));
        let reason = show::why_ended(self.call.state());
        self.chronicle.publish(now, Happening::State { state: word.into(), peer, reason });
        self.told_state = (word.into(), peers);
        self.wake_screen(now);
    }

    fn wake_screen(&mut self, now: Instant) {
        self.touched_at = now;
        self.housekeeping_at = now;
    }

    fn move_media(&mut self, now: Instant) {
        self.board.send_media(now);
        let shown = self.board.routes().show;
        if self.board.hand_out_media(now)
            && let Some(neighbour) = shown.and_then(|link| self.house.by_link(link))
            && neighbour.peer.seen(now)
        {
            self.housekeeping_at = now;
        }
        if let Some(looks) = &mut self.board.stages.looks
            && let Some(picture) = looks.still.pictures.take()
        {
            looks.still.switch().set(false);
            self.chronicle.flush(now, Some(picture.clone()), false);
        }
        self.chronicle.flush(now, None, false);
    }

    fn keep_house(&mut self, now: Instant) -> Result<(), String> {
        self.housekeeping_at = now + HOUSEKEEPING;
        self.board.look_after_stages()?;
        self.house.keep(now, &mut self.board);
        for place in 0..self.house.neighbours().len() {
            let link = self.house.neighbours()[place].peer.link;
            if let Some(neighbour) = self.house.by_link(link) {
                self.board.tell(&mut neighbour.peer);
            }
        }
        self.note_faults(now);
        self.show(now);
        self.take_pictures(now);
        self.look_at_network(now);
        Ok(())
    }

    /// Tells of faults, once for each change.
    fn note_faults(&mut self, now: Instant) {
        let faults = self.faults();
        let (gone, new): (Vec<_>, Vec<_>) = (
            self.told_faults.iter().filter(|fault| !faults.contains(fault)).cloned().collect(),
            faults.iter().filter(|fault| !self.told_faults.contains(fault)).cloned().collect(),
        );
        let device = |words: &str| words.split(':').next().unwrap_or_default().to_owned();
        for words in gone {
            self.chronicle.publish(now, Happening::Fault { device: device(&words), words: None });
        }
        for words in new {
            self.chronicle.publish(now, Happening::Fault { device: device(&words), words: Some(words) });
        }
        self.told_faults = faults;
        let strangers = self.board.endpoint.stats().refused_stranger.get();
        // Of two that pair, the one that has written down the other first calls as a stranger for a moment.
        let is_pairing = self.meeting.as_ref().is_some_and(Meeting::is_open);
        if strangers > self.told_strangers && !is_pairing {
            self.chronicle.note_stranger(strangers - self.told_strangers);
        }
        self.told_strangers = strangers;
    }

    fn show(&mut self, now: Instant) {
        self.manner.touch = self.hands.has_touch();
        let local = here();
        let meeting = self.meeting.as_ref().filter(|_| matches!(self.call.state(), State::Idle));
        let showing: Showing = match meeting {
            Some(meeting) => meeting.card(now).into(),
            None => self.scene(now, local).showing(),
        };
        let is_idle = matches!(&showing.card, Some(Card::Idle(_)));
        let slept = self.settings.sleep_after.is_some_and(|after| now.since(self.touched_at) >= after);
        let screen = &self.board.stages.board;
        screen.set_manner(self.manner);
        screen.set_asleep(is_idle && slept);
        screen.set(showing.card.clone());
        screen.set_overlay(showing.overlay.clone());
        if let Some(looks) = &self.board.stages.looks {
            looks.mirror.set(showing.overlay.has_self_view);
        }
        if let Some(size) = screen.screen_size() {
            self.hands.set_zones(show::zones(&showing, &self.manner, size, screen.picture_size()));
        }
        let all_away = !self.house.neighbours().is_empty()
            && !self.house.neighbours().iter().any(|neighbour| neighbour.peer.is_here());
        let has_fault = !self.told_faults.is_empty();
        let signs = self.scene(now, local).signs(self.chronicle.missed > 0, all_away, has_fault);
        self.hands.set_signs(now, signs);
    }

    /// Everything that the screen and the lamps look at.
    fn scene(&self, now: Instant, local: LocalTime) -> Scene<'_> {
        Scene {
            now,
            local,
            call: &self.call,
            station: self,
            volume_percent: (now < self.volume_until).then_some(self.volume_percent),
            ends_at: self.ends_at,
            door: if self.hands.is_releasing() {
                Some(true)
            } else {
                (now < self.door_answer.1).then_some(self.door_answer.0)
            },
        }
    }

    /// Keeps who rings, and what somebody wants kept of the screen.
    fn take_pictures(&mut self, now: Instant) {
        let screen = self.board.stages.board.clone();
        let settled = now.since(self.state_since) >= CALLER_SETTLES;
        let wants_caller = settled && self.chronicle.wants_caller(self.call.state());
        if let Some(picture) = screen.take_snapshot() {
            if core::mem::take(&mut self.is_snapshot_wanted) {
                self.keep_snapshot(&picture);
            }
            if wants_caller {
                self.chronicle.note_caller(picture);
            }
        } else if wants_caller || self.is_snapshot_wanted {
            screen.request_snapshot();
        }
    }

    /// Refreshes what other threads, and the voice codec, should know of the network.
    fn look_at_network(&mut self, now: Instant) {
        let shown = self.board.routes().show;
        let flow = shown.and_then(|link| self.board.endpoint.payloads(link)).map(|flow| flow.report());
        let flow = flow.unwrap_or_default();
        self.loss = flow.loss_out;
        self.pace.look(now, &self.board.view);
        let loss_percent = (flow.loss_out * 100.0).round().clamp(0.0, 100.0) as u8;
        self.board.stages.voice_knobs.expected_loss_percent.store(loss_percent, Ordering::Relaxed);
        let healths = &self.board.stages.healths;
        let view = NetView {
            state: self.told_state.0.clone(),
            linked_time: now.since(self.started_at),
            received: self.board.received,
            sent: self.board.sent,
            lost: flow.counts,
            loss_out: flow.loss_out,
            camera_fault: fault(&healths.camera),
            screen_fault: fault(&healths.screen),
            sound_faults: [&healths.mic, &healths.speaker].into_iter().filter_map(fault).collect(),
            ..NetView::default()
        };
        self.board.view.set_net(view);
    }

    /// Waits for the next thing to do; whether a hand, a client or the finder has something.
    fn wait(&mut self, now: Instant, stop: &Stop) -> io::Result<bool> {
        let hands_at = self.hands.poll_timeout(now);
        let control_at = self.chronicle.control.as_ref().and_then(Server::poll_timeout);
        let until = [
            self.board.endpoint.poll_timeout(),
            self.call.poll_timeout(),
            self.meeting.as_ref().and_then(Meeting::poll_timeout),
            self.chronicle.poll_timeout(),
            hands_at,
            control_at,
        ]
        .into_iter()
        .fold(Some(self.housekeeping_at), earliest);
        let readable = |fd| (fd, PollFlags::POLLIN);
        let others = core::iter::once(readable(stop.as_fd()))
            .chain(self.hands.fds().map(readable))
            .chain(self.finder.iter().map(|finder| readable(finder.as_fd())))
            .chain(self.chronicle.control.iter().flat_map(|control| control.fds(now)));
        let ready = self.board.wait(others, until)?;
        let is_due = earliest(hands_at, control_at).is_some_and(|at| at <= clock::now());
        Ok(is_due || ready[1..].contains(&true))
    }

    /// Says goodbye to everybody, and puts the devices back.
    fn leave(mut self) {
        let now = clock::now();
        self.house.write_down();
        let links: Vec<_> = self.board.endpoint.links().collect();
        links.into_iter().for_each(|link| self.board.endpoint.close(now, link, CloseReason::Leaving));
        self.board.transmit(now);
        self.chronicle.flush(now, None, true);
        self.board.stages.stop();
    }
}

fn policies(house: &House, settings: &IntercomConfig) -> Vec<crate::call::PeerPolicy> {
    house.book().entries().iter().map(|entry| settings.policy(entry)).collect()
}

fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    system_random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// What the clocks here show.
fn here() -> LocalTime {
    local_time(unix_ms() / 1_000).unwrap_or_default()
}

fn wall(local: LocalTime) -> MinuteOfDay {
    MinuteOfDay::new(local.hour.into(), local.minute.into()).unwrap_or(MinuteOfDay::MIDNIGHT)
}
