//! One browser as a station.

use super::HandsetConfig;
use super::line::Line;
use super::status::{self, Scene};
use crate::call::{Action, CallEvent, Refusal, State, Whom};
use crate::identity::{Entry, PublicKey, Rights};
use crate::station::socket::Socket;
use crate::time::{Duration, Instant, earliest};
use crate::web::{Guest, Rtc, RtcEvent};
use crate::wire::ReleaseOutcome;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Pages of one browser, each with the same view.
const WATCHERS_MAX: usize = 4;
/// How long a browser whose page is gone is still here: for one that is loaded again, or loses its network for a moment.
const GRACE: Duration = Duration::from_secs(12);

/// A browser's line to the station, and its connection.
pub(super) struct Handset {
    rights: Rights,
    station_name: String,
    line: Line,
    rtc: Option<Rtc>,
    /// The browser's decoder knows nothing of the stream yet: its first frame must be a key frame.
    is_key_awaited: bool,
    watchers: Vec<SyncSender<Arc<str>>>,
    told: Arc<str>,
    /// When its last page went.
    left_at: Option<Instant>,
    door: Option<ReleaseOutcome>,
}

impl Handset {
    pub fn start(now: Instant, config: &HandsetConfig, guest: &Guest, entry: &Entry) -> io::Result<Handset> {
        Ok(Handset {
            rights: entry.rights,
            station_name: config.station_name.clone(),
            line: Line::start(now, config, guest, &entry.name, true)?,
            rtc: None,
            is_key_awaited: true,
            watchers: Vec::new(),
            told: Arc::from(""),
            left_at: Some(now),
            door: None,
        })
    }

    pub fn key(&self) -> PublicKey {
        self.line.key()
    }

    /// The address book's entry of this browser, as it is now.
    pub fn set_entry(&mut self, entry: &Entry) {
        self.rights = entry.rights;
        self.line.set_name(&entry.name);
    }

    /// A page wants to know what happens.
    pub fn watch(&mut self, events: SyncSender<Arc<str>>) {
        if self.watchers.len() == WATCHERS_MAX {
            self.watchers.remove(0);
        }
        self.left_at = None;
        self.watchers.push(events);
        // Told at the end of this turn, whatever it is.
        self.told = Arc::from("");
    }

    /// The browser has a new connection; one before it ends.
    pub fn connect(&mut self, now: Instant, rtc: Rtc, socket: &mut Socket) {
        self.disconnect(socket);
        self.rtc = Some(rtc);
        self.begin_pictures(now);
    }

    fn disconnect(&mut self, socket: &mut Socket) {
        if let Some(mut rtc) = self.rtc.take() {
            rtc.close();
            flush(&mut rtc, socket);
        }
    }

    /// Does what the person at the browser wants.
    ///
    /// # Errors
    /// In words, why not.
    pub fn act(&mut self, now: Instant, text: &str) -> Result<(), String> {
        let action: Action = text.parse().map_err(|_| "this page has no such button".to_owned())?;
        let is_ours = matches!(
            action,
            Action::Ring(Whom::Usual)
                | Action::Answer
                | Action::Decline
                | Action::HangUp
                | Action::Mute(_)
                | Action::Hold(_)
                | Action::Release(None)
        );
        if !is_ours {
            return Err("this page has no such button".into());
        }
        if matches!(action, Action::Release(_)) {
            self.door = None;
        }
        match self.line.act(now, &action) {
            // Both may have hung up at once.
            Err(Refusal::NoCall | Refusal::NothingRings) if matches!(action, Action::HangUp | Action::Decline) => {
                Ok(())
            }
            done => done.map_err(|refusal| refusal.to_string()),
        }
    }

    /// Whether a datagram of a browser is for this one.
    pub fn accepts(&self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        self.rtc.as_ref().is_some_and(|rtc| rtc.accepts(now, from, datagram))
    }

    pub fn handle_browser_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if let Some(rtc) = &mut self.rtc {
            rtc.handle_datagram(now, from, datagram);
        }
    }

    /// Everything that is due, each way.
    pub fn turn(&mut self, now: Instant, rtc_socket: &mut Socket) {
        let heard = self.line.turn(now);
        if heard.wants_key
            && let Some(rtc) = &mut self.rtc
        {
            rtc.request_key_frame();
        }
        self.follow_call();
        if heard.is_newly_shown {
            self.begin_pictures(now);
        }
        self.handle_browser(now);
        self.pictures_to_browser(now);
        self.line.send(now);
        if let Some(rtc) = &mut self.rtc {
            rtc.handle_timeout(now);
            flush(rtc, rtc_socket);
        }
        self.tell_pages(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let rtc = self.rtc.as_ref().and_then(Rtc::poll_timeout);
        let gone = self.left_at.map(|at| at + GRACE);
        [self.line.poll_timeout(), gone].into_iter().fold(rtc, earliest)
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.as_fd()
    }

    /// Whether a page is open, or was a moment ago.
    pub fn is_wanted(&self, now: Instant) -> bool {
        self.left_at.is_none_or(|at| now.since(at) < GRACE)
    }

    /// Says goodbye to both sides.
    pub fn leave(&mut self, now: Instant, rtc_socket: &mut Socket) {
        self.disconnect(rtc_socket);
        self.watchers.clear();
        self.line.leave(now);
    }

    fn follow_call(&mut self) {
        while let Some(event) = self.line.poll_call_event() {
            if let CallEvent::ReleaseAnswered { outcome, .. } = event {
                self.door = Some(outcome);
            }
        }
        if matches!(self.line.call().state(), State::Idle) {
            self.door = None;
        }
    }

    /// Whoever sees pictures from now on begins with a key frame, both ways.
    fn begin_pictures(&mut self, now: Instant) {
        self.is_key_awaited = true;
        self.line.request_key_frame(now);
        if let Some(rtc) = &mut self.rtc {
            rtc.request_key_frame();
        }
    }

    fn handle_browser(&mut self, now: Instant) {
        let (mut wants_key, mut is_gone) = (false, false);
        while let Some(event) = self.rtc.as_mut().and_then(Rtc::poll_event) {
            let is_seen = !self.line.media().picture_to.is_empty();
            let is_heard = !self.line.media().sound_to.is_empty();
            match (event, self.line.flow()) {
                (RtcEvent::Frame(frame), Some(flow)) if is_seen => flow.send_frame(now, &frame),
                (RtcEvent::Sound(packet), Some(flow)) if is_heard => flow.send_sound(now, &packet),
                (RtcEvent::Carries(bits), _) => self.line.tell_capacity(bits),
                (RtcEvent::KeyFrameWanted | RtcEvent::Connected, _) => wants_key = true,
                (RtcEvent::Closed, _) => is_gone = true,
                _ => {}
            }
        }
        if is_gone {
            self.rtc = None;
        } else if wants_key {
            self.begin_pictures(now);
        }
    }

    fn pictures_to_browser(&mut self, now: Instant) {
        while let Some(packet) = self.line.take_sound() {
            if let Some(rtc) = &mut self.rtc {
                rtc.send_sound(now, &packet);
            }
        }
        while let Some(frame) = self.line.take_frame(now) {
            if self.is_key_awaited && !frame.key {
                self.line.request_key_frame(now);
                continue;
            }
            self.is_key_awaited = false;
            if let Some(rtc) = &mut self.rtc {
                rtc.send_frame(now, frame);
            }
        }
    }

    fn tell_pages(&mut self, now: Instant) {
        let scene = Scene {
            call: self.line.call(),
            station: &self.station_name,
            is_here: self.line.is_here(),
            camera: self.line.camera(),
            rights: self.rights,
            door: self.door,
        };
        let text = status::text(&scene);
        if *text != *self.told {
            self.told = Arc::from(text);
            self.watchers.retain(|watcher| watcher.try_send(self.told.clone()).is_ok());
        }
        if self.watchers.is_empty() && self.left_at.is_none() {
            self.left_at = Some(now);
        }
    }
}

/// Sends all that a connection has to send.
pub(super) fn flush(rtc: &mut Rtc, socket: &mut Socket) {
    while let Some((to, datagram)) = rtc.poll_transmit() {
        socket.send(to, &datagram, datagram.len());
    }
}
