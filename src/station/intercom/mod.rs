//! `visavis run`: the net loop of an intercom, which knows the stations of its house, rings them, and is rung.
//!
//! It joins rooms that know nothing of each other: `call` decides, `house` keeps a link to each station, `meeting`
//! pairs new ones, `panel` has the hands and the control socket, `card` and the stages show and sound what is so, and
//! `chronicle` tells it. **Everything that happens comes in by a `handle_*` of `call` and leaves by its views**: the
//! routes of media, the tone, the lamps and the screen are derived from the state, never kept beside it.

mod act;
mod chronicle;
mod follow;
mod house;
mod links;
mod meeting;
mod notice;
mod settings;
mod show;
mod status;
mod still;

pub use settings::{IntercomConfig, PeerSettings};

use self::chronicle::Chronicle;
use self::house::House;
use self::meeting::Meeting;
use self::notice::Notice;
use self::status::Pace;
use self::still::Stills;
use super::config::Config;
use super::halt::Halt;
use super::invitation::Invited;
use super::switchboard::{HOUSEKEEPING, Switchboard};
use crate::call::{Call, MinuteOfDay, State};
use crate::card::Manner;
use crate::find::{Announcement, Finder, Found};
use crate::identity::{PublicKey, system_random};
use crate::journal::Journal;
use crate::link::CloseReason;
use crate::panel::Hands;
use crate::panel::socket::Server;
use crate::sys::calendar::{LocalTime, local_time, unix_ms};
use crate::sys::clock;
use crate::sys::notify::Notify;
use crate::sys::wake::Stop;
use crate::time::{Duration, Instant, Seldom, earliest};
use nix::poll::PollFlags;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// How long the volume stands on the screen after it was changed.
const VOLUME_SHOWN: Duration = Duration::from_secs(2);

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
    told_door: bool,
    told_strangers: u64,
    often: Often,
    pace: Pace,
    notice: Notice,
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
    stills: Stills,
    /// A link that is shown, and until when it holds.
    invitation: Option<(Invited, Instant)>,
}

/// What others can cause for ever, and is logged seldom.
#[derive(Default)]
struct Often {
    /// Stations that come from another address.
    roamed: Seldom,
    /// Messages for which there is no room.
    unsent: Seldom,
    /// Actions of hands that come to nothing.
    refused: Seldom,
}

impl Intercom {
    /// Binds the port, starts the threads, claims the hands, and begins to look for the stations of the book.
    ///
    /// # Errors
    /// In words: a port that is taken, a book that cannot be read, a control socket that another station has.
    pub fn start(config: Config, settings: IntercomConfig) -> Result<Intercom, String> {
        let now = clock::now();
        let said = |what: &'static str| move |error: io::Error| format!("cannot {what}: {error}");
        let mut board = Switchboard::start(&config, Vec::new(), settings.metrics).map_err(said("start the station"))?;
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
            told_door: false,
            told_strangers: 0,
            often: Often::default(),
            pace: Pace::new(now, &board.view),
            notice: Notice::default(),
            loss: 0.0,
            manner: Manner { language: settings.language, touch: false },
            volume_percent: settings.volume_percent,
            volume_until: Instant::ZERO,
            ends_at: None,
            door_answer: (false, Instant::ZERO),
            touched_at: now,
            is_snapshot_wanted: false,
            stills: Stills::start(board.net.clone()).map_err(said("start a thread"))?,
            invitation: None,
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

    /// Has the service manager told how things are.
    pub fn report_to(&mut self, manager: Notify) {
        self.notice = Notice::to(manager);
    }

    /// The net loop: returns when `stop` is asked for.
    ///
    /// # Errors
    /// A thread of ours that ended by itself, or something that stands still and that only a new process may put right.
    pub fn run(mut self, stop: &Stop) -> Result<(), Halt> {
        let done = self.turn(stop);
        self.notice.stopping(done.as_ref().err().map(Halt::to_string).as_deref());
        self.leave();
        done
    }

    fn turn(&mut self, stop: &Stop) -> Result<(), Halt> {
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
            self.answer_looks(now);
            self.note_door(now);
            self.board.transmit(now);
            if now >= self.housekeeping_at {
                self.keep_house(now)?;
            }
            is_hand_ready = self.wait(now, stop).map_err(|e| Halt::Bug(format!("cannot wait (ppoll): {e}")))?;
        }
        Ok(())
    }

    fn wake_screen(&mut self, now: Instant) {
        self.touched_at = now;
        self.housekeeping_at = now;
    }

    fn keep_house(&mut self, now: Instant) -> Result<(), Halt> {
        self.housekeeping_at = now + HOUSEKEEPING;
        let is_in_call = !matches!(self.call.state(), State::Idle | State::Ended(_));
        self.board.look_after_stages(now, is_in_call)?;
        self.house.keep(now, &mut self.board);
        for place in 0..self.house.neighbours().len() {
            let link = self.house.neighbours()[place].peer.link;
            if let Some(neighbour) = self.house.by_link(link) {
                self.board.tell(&mut neighbour.peer);
            }
        }
        self.keep_pace(now);
        self.note_faults(now);
        self.show(now);
        self.take_pictures(now);
        self.look_at_network(now);
        self.give_notice(now);
        Ok(())
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
            self.stills.poll_timeout(),
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
