//! Those who look on: viewers and media servers, each with a connection, all on one line to the station.
//!
//! A station lets one look on at a time, and sends its pictures once; so whoever came first among the audience lends its key to
//! the line, and everybody gets what comes. When it goes, the next one's key is dialled with. **A call is worth more than
//! looking on**: while the station is in one, the line is turned away, the pictures stand still, and nobody outside sees or
//! hears who talks there; afterwards they go on.

use super::HandsetConfig;
use super::handset::flush;
use super::line::Line;
use crate::call::{Action, State};
use crate::identity::{AddressBook, PublicKey};
use crate::station::socket::Socket;
use crate::time::{Duration, Instant, earliest};
use crate::web::{Guests, Rtc, RtcEvent};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Connections at once, of viewers and to media servers together: each is a stream of pictures.
const SPECTATORS_MAX: usize = 8;
/// Of them, those that one token may have: a player that is loaded again leaves one behind for a while.
const SPECTATORS_OF_ONE_MAX: usize = 4;
/// How long a connection may take to come about; a slot is not held without pictures.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// How often the station is asked again that does not let us look on now, since it is in a call.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often a key frame is asked for: each costs everybody who looks on a moment, whoever wants it.
const KEY_AGAIN: Duration = Duration::from_secs(1);

/// One who looks on.
struct Spectator {
    session: String,
    key: PublicKey,
    rtc: Rtc,
    since: Instant,
    is_connected: bool,
    /// Its decoder knows nothing of the stream yet: its first frame must be a key frame.
    is_key_awaited: bool,
    /// What gets through to it, in bits a second, once that is known.
    carries: Option<u32>,
    is_gone: bool,
}

impl Spectator {
    fn handle_events(&mut self, now: Instant) {
        while let Some(event) = self.rtc.poll_event() {
            match event {
                RtcEvent::Connected => self.is_connected = true,
                RtcEvent::KeyFrameWanted => self.is_key_awaited = true,
                RtcEvent::Carries(bits) => self.carries = Some(bits),
                RtcEvent::Closed => self.is_gone = true,
                // Nobody here looks at who looks on.
                RtcEvent::Frame(_) | RtcEvent::Sound(_) => {}
            }
        }
        self.is_gone |= !self.is_connected && now.since(self.since) >= CONNECT_WITHIN;
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Audience {
    line: Option<Line>,
    spectators: Vec<Spectator>,
    /// Before this the station is not asked again to be looked at.
    look_at: Option<Instant>,
    /// Nor, before this, for a key frame.
    key_at: Option<Instant>,
}

impl Audience {
    /// Whether one more has room.
    pub fn has_room(&self, key: &PublicKey) -> bool {
        let of_one = self.spectators.iter().filter(|spectator| spectator.key == *key).count();
        self.spectators.len() < SPECTATORS_MAX && of_one < SPECTATORS_OF_ONE_MAX
    }

    /// Takes in who looks on from now, by the right of `key`.
    pub fn admit(&mut self, now: Instant, session: String, key: PublicKey, rtc: Rtc) {
        let (is_connected, is_key_awaited, carries, is_gone) = (false, true, None, false);
        self.spectators.push(Spectator {
            session,
            key,
            rtc,
            since: now,
            is_connected,
            is_key_awaited,
            carries,
            is_gone,
        });
    }

    /// Ends a session; whether there was one, of this key.
    pub fn dismiss(&mut self, session: &str, key: &PublicKey, socket: &mut Socket) -> bool {
        let before = self.spectators.len();
        self.retain(socket, |spectator| spectator.key != *key || spectator.session != session);
        self.spectators.len() < before
    }

    /// Whether a session of this key is here still.
    pub fn has(&self, session: &str, key: &PublicKey) -> bool {
        self.spectators.iter().any(|spectator| spectator.key == *key && spectator.session == session)
    }

    /// Sends away those who may look on no longer.
    pub fn follow_book(&mut self, book: &AddressBook, socket: &mut Socket) {
        self.retain(socket, |spectator| book.by_key(&spectator.key).is_some_and(|entry| entry.rights.monitor));
    }

    fn retain(&mut self, socket: &mut Socket, stays: impl Fn(&Spectator) -> bool) {
        self.spectators.retain_mut(|spectator| {
            let stays = stays(spectator);
            if !stays {
                spectator.rtc.close();
                flush(&mut spectator.rtc, socket);
            }
            stays
        });
    }

    /// Takes a datagram, if it is for one of them.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let to = self.spectators.iter_mut().find(|spectator| spectator.rtc.accepts(now, from, datagram));
        to.map(|spectator| spectator.rtc.handle_datagram(now, from, datagram)).is_some()
    }

    /// Everything that is due.
    pub fn turn(&mut self, now: Instant, world: &World<'_>, socket: &mut Socket) {
        self.spectators.iter_mut().for_each(|spectator| spectator.handle_events(now));
        self.retain(socket, |spectator| !spectator.is_gone);
        self.keep_line(now, world);
        if let Some(line) = &mut self.line {
            let heard = line.turn(now);
            while line.poll_call_event().is_some() {}
            if heard.is_newly_shown {
                self.spectators.iter_mut().for_each(|spectator| spectator.is_key_awaited = true);
                line.request_key_frame(now);
            }
            look(now, line, world.config, &mut self.look_at);
            if let Some(bits) = self.spectators.iter().filter_map(|spectator| spectator.carries).min() {
                line.tell_capacity(bits);
            }
            let is_key_wanted = show(now, line, &mut self.spectators);
            if is_key_wanted && self.key_at.is_none_or(|at| now >= at) {
                self.key_at = Some(now + KEY_AGAIN);
                line.request_key_frame(now);
            }
            line.send(now);
        }
        for spectator in &mut self.spectators {
            spectator.rtc.handle_timeout(now);
            flush(&mut spectator.rtc, socket);
        }
    }

    /// When [`Audience::turn`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let line = self.line.as_ref().and_then(Line::poll_timeout);
        let is_idle = |line: &Line| matches!(line.call().state(), State::Idle | State::Ended(_));
        let look = self.look_at.filter(|_| self.line.as_ref().is_some_and(|line| line.is_here() && is_idle(line)));
        self.spectators.iter().fold(earliest(line, look), |first, spectator| {
            let late = (!spectator.is_connected).then_some(spectator.since + CONNECT_WITHIN);
            earliest(first, earliest(late, spectator.rtc.poll_timeout()))
        })
    }

    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.line.as_ref().map(AsFd::as_fd)
    }

    /// Says goodbye to everybody.
    pub fn leave(&mut self, now: Instant, socket: &mut Socket) {
        self.retain(socket, |_| false);
        if let Some(mut line) = self.line.take() {
            line.leave(now);
        }
    }

    /// There is a line while somebody looks on, by the right of one of them.
    fn keep_line(&mut self, now: Instant, world: &World<'_>) {
        let is_lent = |line: &Line| self.spectators.iter().any(|spectator| spectator.key == line.key());
        if let Some(mut line) = self.line.take_if(|line| !is_lent(line)) {
            line.leave(now);
        }
        if self.line.is_some() {
            return;
        }
        let Some(first) = self.spectators.first() else { return };
        let (Some(guest), Some(entry)) = (world.viewers.by_key(&first.key), world.book.by_key(&first.key)) else {
            return;
        };
        self.look_at = None;
        // Nobody is there who would answer.
        match Line::start(now, world.config, guest, &entry.name, false) {
            Ok(line) => self.line = Some(line),
            Err(error) => tracing::debug!("nobody can look on: {error}"),
        }
    }
}

/// What the audience has to do with.
pub(super) struct World<'a> {
    pub config: &'a HandsetConfig,
    pub viewers: &'a Guests,
    pub book: &'a AddressBook,
}

/// Looks at the station, again and again while it does not let us.
fn look(now: Instant, line: &mut Line, config: &HandsetConfig, look_at: &mut Option<Instant>) {
    let is_idle = matches!(line.call().state(), State::Idle | State::Ended(_));
    if !is_idle || !line.is_here() || look_at.is_some_and(|at| now < at) {
        return;
    }
    *look_at = Some(now + LOOK_AGAIN);
    if let Err(why) = line.act(now, &Action::Monitor(config.station_name.clone())) {
        tracing::debug!("the station is not looked at: {why}");
    }
}

/// Gives everybody what came; whether somebody waits for a key frame now.
fn show(now: Instant, line: &mut Line, spectators: &mut [Spectator]) -> bool {
    while let Some(packet) = line.take_sound() {
        spectators.iter_mut().for_each(|spectator| spectator.rtc.send_sound(now, &packet));
    }
    let mut is_key_wanted = false;
    while let Some(frame) = line.take_frame(now) {
        for spectator in spectators.iter_mut().filter(|spectator| spectator.is_connected) {
            spectator.is_key_awaited &= !frame.key;
            if !spectator.is_key_awaited {
                spectator.rtc.send_frame(now, frame);
            }
            is_key_wanted |= spectator.is_key_awaited;
        }
    }
    is_key_wanted
}
