//! One browser as a station.

use super::HandsetConfig;
use super::status::{self, Scene};
use crate::call::{Action, Call, CallConfig, CallEvent, Media, MinuteOfDay, PeerPolicy, Refusal, State, Whom};
use crate::identity::{Entry, PublicKey, Rights, system_random};
use crate::link::flow::{Flow, FlowConfig, FlowEvent};
use crate::link::{self, CloseReason, Endpoint, Event, LinkId, MAX_DATAGRAM, Trust};
use crate::media::{EncodedFrame, Limit};
use crate::station::socket::{IpVersion, Socket};
use crate::time::{Duration, Instant, earliest};
use crate::web::{Guest, Rtc, RtcEvent};
use crate::wire::{Control, PROTOCOL_VERSION, PROTOCOL_VERSION_OF_CALLS, ReleaseOutcome, VideoState, bounded};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Pages of one browser, each with the same view.
const WATCHERS_MAX: usize = 4;
/// How long a browser whose page is gone is still here: for one that is loaded again, or loses its network for a moment.
const GRACE: Duration = Duration::from_secs(12);
/// Room for the batch that is handed to the kernel in one call.
const TRANSMIT_BYTES: usize = 16 * MAX_DATAGRAM;
/// Of the bits that get through to the browser, the share that pictures may have: the rest is sound, and headers.
const PICTURE_SHARE_PERCENT: u64 = 85;
/// A limit that changes by less than this is not told again.
const CHANGE_PERCENT: u32 = 5;

/// A browser's link to the station, its call, and its connection.
pub(super) struct Handset {
    key: PublicKey,
    name: String,
    rights: Rights,
    station: PublicKey,
    station_name: String,
    endpoint: Endpoint<Flow>,
    link: LinkId,
    socket: Socket,
    call: Call,
    /// What the station's hello said that it speaks; 0 before.
    version: u16,
    /// What the station says of its camera.
    camera: Option<VideoState>,
    /// What it was told that we can take.
    told_bits: u32,
    rtc: Option<Rtc>,
    media: Media,
    /// The browser's decoder knows nothing of the stream yet: its first frame must be a key frame.
    is_key_awaited: bool,
    frame: EncodedFrame,
    transmit: Vec<u8>,
    watchers: Vec<SyncSender<Arc<str>>>,
    told: Arc<str>,
    /// When its last page went.
    left_at: Option<Instant>,
    door: Option<ReleaseOutcome>,
}

impl Handset {
    pub fn start(now: Instant, config: &HandsetConfig, guest: &Guest, entry: &Entry) -> io::Result<Handset> {
        let socket = Socket::bind(IpVersion::Both, None, 0)?;
        let own = link::Config { secret: guest.secret.clone(), accept: Vec::new(), random: Box::new(system_random) };
        let mut endpoint = Endpoint::new(now, own, |now, _peer| Flow::new(now, FlowConfig::default()));
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let addresses = here.map(|ip| SocketAddr::new(ip, config.station_port));
        let trust = [Trust::Book(config.station_key)];
        let link = endpoint.dial(now, &trust, &addresses).ok_or_else(|| io::Error::other("no link"))?;
        let mut call = Call::new(guest.key, CallConfig { usual: Whom::All, ..CallConfig::default() }, Box::new(random));
        let rights = Rights { call: true, monitor: false, release: false };
        let (key, name) = (config.station_key, config.station_name.clone());
        let station = PeerPolicy { key, name, rights, auto_answer: None, release_without_call: false };
        call.set_peers(now, &[station]);
        Ok(Handset {
            key: guest.key,
            name: entry.name.clone(),
            rights: entry.rights,
            station: config.station_key,
            station_name: config.station_name.clone(),
            endpoint,
            link,
            socket,
            call,
            version: 0,
            camera: None,
            told_bits: u32::MAX,
            rtc: None,
            media: Media::default(),
            is_key_awaited: true,
            frame: EncodedFrame::with_capacity(64 << 10),
            transmit: vec![0; TRANSMIT_BYTES],
            watchers: Vec::new(),
            told: Arc::from(""),
            left_at: Some(now),
            door: None,
        })
    }

    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// The address book's entry of this browser, as it is now.
    pub fn set_entry(&mut self, entry: &Entry) {
        self.rights = entry.rights;
        if self.name != entry.name {
            self.name.clone_from(&entry.name);
        }
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
        match self.call.handle_action(now, MinuteOfDay::MIDNIGHT, &action) {
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
        let mut buffer = [0; MAX_DATAGRAM + 1];
        while let Some((len, from, at)) = self.socket.receive(&mut buffer) {
            self.endpoint.handle_datagram(at, from, &buffer[..len]);
        }
        self.endpoint.handle_timeout(now);
        self.handle_link(now);
        self.call.handle_timeout(now);
        self.follow_call(now);
        self.handle_browser(now);
        self.pictures_to_browser(now);
        while let Some(batch) = self.endpoint.poll_transmit(now, &mut self.transmit) {
            self.socket.send(batch.to, &self.transmit[..batch.len], batch.segment_len);
        }
        if let Some(rtc) = &mut self.rtc {
            rtc.handle_timeout(now);
            flush(rtc, rtc_socket);
        }
        self.tell_pages(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let rtc = self.rtc.as_ref().and_then(Rtc::poll_timeout);
        let gone = self.left_at.map(|at| at + GRACE);
        [self.endpoint.poll_timeout(), self.call.poll_timeout(), gone].into_iter().fold(rtc, earliest)
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether a page is open, or was a moment ago.
    pub fn is_wanted(&self, now: Instant) -> bool {
        self.left_at.is_none_or(|at| now.since(at) < GRACE)
    }

    /// Says goodbye to both sides.
    pub fn leave(&mut self, now: Instant, rtc_socket: &mut Socket) {
        self.disconnect(rtc_socket);
        self.watchers.clear();
        self.endpoint.close(now, self.link, CloseReason::Leaving);
        while let Some(batch) = self.endpoint.poll_transmit(now, &mut self.transmit) {
            self.socket.send(batch.to, &self.transmit[..batch.len], batch.segment_len);
        }
    }

    fn handle_link(&mut self, now: Instant) {
        while let Some((_, event)) = self.endpoint.poll_event() {
            match event {
                Event::Connected { .. } | Event::Replaced { .. } => self.begin_anew(now),
                Event::Back { .. } => {
                    if let Some(flow) = self.endpoint.payloads(self.link) {
                        flow.path_changed(now);
                    }
                    self.call.handle_presence(now, self.station, self.version >= PROTOCOL_VERSION_OF_CALLS);
                }
                Event::Away { .. } => self.call.handle_presence(now, self.station, false),
                Event::Closed { .. } => {
                    self.call.handle_presence(now, self.station, false);
                    self.call.handle_restart(now, self.station);
                }
                Event::Roamed { .. } => {}
            }
        }
        while let Some(event) = self.endpoint.payloads(self.link).and_then(Flow::poll_event) {
            match event {
                FlowEvent::Control(Control::Call(message)) => {
                    self.call.handle_message(now, MinuteOfDay::MIDNIGHT, self.station, message);
                }
                FlowEvent::Control(Control::Hello { version, .. }) => {
                    self.version = version;
                    self.call.handle_presence(now, self.station, version >= PROTOCOL_VERSION_OF_CALLS);
                }
                FlowEvent::Control(Control::Video(state)) => self.camera = Some(state),
                FlowEvent::PeerRestarted => self.begin_anew(now),
                FlowEvent::KeyFrameWanted => {
                    if let Some(rtc) = &mut self.rtc {
                        rtc.request_key_frame();
                    }
                }
                FlowEvent::Control(_) | FlowEvent::Frozen { .. } | FlowEvent::Resumed { .. } => {}
            }
        }
    }

    /// The station began anew, or is met for the first time: it knows nothing of us.
    fn begin_anew(&mut self, now: Instant) {
        self.version = 0;
        (self.camera, self.told_bits) = (None, u32::MAX);
        self.call.handle_presence(now, self.station, false);
        self.call.handle_restart(now, self.station);
        let hello = Control::Hello {
            version: PROTOCOL_VERSION,
            station: bounded(&self.name),
            software: bounded(concat!("visavis web ", env!("CARGO_PKG_VERSION"))),
        };
        if let Some(flow) = self.endpoint.payloads(self.link) {
            // The channel is new and empty.
            let _ = flow.send_control(&hello);
        }
    }

    fn follow_call(&mut self, now: Instant) {
        while let Some((_, message)) = self.call.poll_message() {
            if let Some(flow) = self.endpoint.payloads(self.link)
                && let Err(full) = flow.send_control(&Control::Call(message))
            {
                tracing::debug!("{}: {full}", self.name);
            }
        }
        while let Some(event) = self.call.poll_event() {
            if let CallEvent::ReleaseAnswered { outcome, .. } = event {
                self.door = Some(outcome);
            }
        }
        if matches!(self.call.state(), State::Idle) {
            self.door = None;
        }
        let media = self.call.media();
        let is_newly_shown = media.shown.is_some() && self.media.shown.is_none();
        self.media = media;
        if is_newly_shown {
            self.begin_pictures(now);
        }
    }

    /// Whoever sees pictures from now on begins with a key frame, both ways.
    fn begin_pictures(&mut self, now: Instant) {
        self.is_key_awaited = true;
        if self.media.shown.is_some()
            && let Some(flow) = self.endpoint.payloads(self.link)
        {
            flow.request_key_frame(now);
        }
        if let Some(rtc) = &mut self.rtc {
            rtc.request_key_frame();
        }
    }

    fn handle_browser(&mut self, now: Instant) {
        let (mut wants_key, mut is_gone) = (false, false);
        while let Some(event) = self.rtc.as_mut().and_then(Rtc::poll_event) {
            let flow = self.endpoint.payloads(self.link);
            match (event, flow) {
                (RtcEvent::Frame(frame), Some(flow)) if !self.media.picture_to.is_empty() => {
                    flow.send_frame(now, &frame)
                }
                (RtcEvent::Sound(packet), Some(flow)) if !self.media.sound_to.is_empty() => {
                    flow.send_sound(now, &packet)
                }
                (RtcEvent::Carries(bits), Some(flow)) => {
                    let bits = (u64::from(bits) * PICTURE_SHARE_PERCENT / 100) as u32;
                    if bits.abs_diff(self.told_bits) > self.told_bits / 100 * CHANGE_PERCENT {
                        let limit = Limit { bitrate_bps: bits, ..Limit::NONE };
                        if flow.send_control(&Control::Capacity(limit)).is_ok() {
                            self.told_bits = bits;
                        }
                    }
                }
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
        let Some(flow) = self.endpoint.payloads(self.link) else { return };
        while self.media.heard.is_some()
            && let Some(packet) = flow.take_sound()
        {
            if let Some(rtc) = &mut self.rtc {
                rtc.send_sound(now, &packet);
            }
        }
        while self.media.shown.is_some() && flow.take_frame(now, &mut self.frame) {
            if self.is_key_awaited && !self.frame.key {
                flow.request_key_frame(now);
                continue;
            }
            self.is_key_awaited = false;
            if let Some(rtc) = &mut self.rtc {
                rtc.send_frame(now, &self.frame);
            }
        }
    }

    fn tell_pages(&mut self, now: Instant) {
        let scene = Scene {
            call: &self.call,
            station: &self.station_name,
            is_here: self.version >= PROTOCOL_VERSION_OF_CALLS && self.endpoint.is_here(self.link),
            camera: self.camera.as_ref(),
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

fn flush(rtc: &mut Rtc, socket: &mut Socket) {
    while let Some((to, datagram)) = rtc.poll_transmit() {
        socket.send(to, &datagram, datagram.len());
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    system_random(&mut bytes);
    u64::from_le_bytes(bytes)
}
