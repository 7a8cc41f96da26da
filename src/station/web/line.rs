//! A link to the station, and the call on it: what whoever has no devices here is a station by.

use super::HandsetConfig;
use crate::call::{Action, Call, CallConfig, CallEvent, Media, MinuteOfDay, PeerPolicy, Refusal, Whom};
use crate::identity::{PublicKey, Rights, system_random};
use crate::link::flow::{Flow, FlowConfig, FlowEvent};
use crate::link::{self, CloseReason, Endpoint, Event, LinkId, MAX_DATAGRAM, Trust};
use crate::media::{EncodedFrame, Limit, SoundPacket};
use crate::station::socket::{IpVersion, Socket};
use crate::time::{Instant, earliest};
use crate::web::Guest;
use crate::wire::{Control, PROTOCOL_VERSION, PROTOCOL_VERSION_OF_CALLS, VideoState, bounded};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// Room for the batch that is handed to the kernel in one call.
const TRANSMIT_BYTES: usize = 16 * MAX_DATAGRAM;
/// Of the bits that get through to the other side, the share that pictures may have: the rest is sound, and headers.
const PICTURE_SHARE_PERCENT: u64 = 85;
/// A limit that changes by less than this is not told again.
const CHANGE_PERCENT: u32 = 5;

/// The link, and the call.
pub(super) struct Line {
    key: PublicKey,
    name: String,
    station: PublicKey,
    endpoint: Endpoint<Flow>,
    link: LinkId,
    socket: Socket,
    call: Call,
    media: Media,
    /// What the station's hello said that it speaks; 0 before.
    version: u16,
    /// What the station says of its camera.
    camera: Option<VideoState>,
    /// What it was told that we can take.
    told_bits: u32,
    frame: EncodedFrame,
    transmit: Vec<u8>,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The station cannot go on without a key frame of ours.
    pub wants_key: bool,
    /// Its pictures come from now on, and did not before.
    pub is_newly_shown: bool,
}

impl Line {
    /// Dials the station with a guest's key, by the name that it has there; the station may ring it, or not.
    pub fn start(now: Instant, config: &HandsetConfig, guest: &Guest, name: &str, rings: bool) -> io::Result<Line> {
        let socket = Socket::bind(IpVersion::Both, None, 0)?;
        let own = link::Config { secret: guest.secret.clone(), accept: Vec::new(), random: Box::new(system_random) };
        let mut endpoint = Endpoint::new(now, own, |now, _peer| Flow::new(now, FlowConfig::default()));
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let addresses = here.map(|ip| SocketAddr::new(ip, config.station_port));
        let trust = [Trust::Book(config.station_key)];
        let link = endpoint.dial(now, &trust, &addresses).ok_or_else(|| io::Error::other("no link"))?;
        let mut call = Call::new(guest.key, CallConfig { usual: Whom::All, ..CallConfig::default() }, Box::new(random));
        let rights = Rights { call: rings, monitor: false, release: false };
        let (key, station_name) = (config.station_key, config.station_name.clone());
        let station = PeerPolicy { key, name: station_name, rights, auto_answer: None, release_without_call: false };
        call.set_peers(now, &[station]);
        Ok(Line {
            key: guest.key,
            name: name.to_owned(),
            station: config.station_key,
            endpoint,
            link,
            socket,
            call,
            media: Media::default(),
            version: 0,
            camera: None,
            told_bits: u32::MAX,
            frame: EncodedFrame::with_capacity(64 << 10),
            transmit: vec![0; TRANSMIT_BYTES],
        })
    }

    /// Whose key it has.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// What it is called from the next hello on.
    pub fn set_name(&mut self, name: &str) {
        if self.name != name {
            name.clone_into(&mut self.name);
        }
    }

    /// How the call is.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Where pictures and sound go to and come from.
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// Whether the station is reached, and speaks of calls.
    pub fn is_here(&self) -> bool {
        self.version >= PROTOCOL_VERSION_OF_CALLS && self.endpoint.is_here(self.link)
    }

    /// What the station says of its camera.
    pub fn camera(&self) -> Option<&VideoState> {
        self.camera.as_ref()
    }

    /// Does something with the call.
    pub fn act(&mut self, now: Instant, action: &Action) -> Result<(), Refusal> {
        self.call.handle_action(now, MinuteOfDay::MIDNIGHT, action)
    }

    /// What happened in the call.
    pub fn poll_call_event(&mut self) -> Option<CallEvent> {
        self.call.poll_event()
    }

    /// Pictures and sound to the station, while it is linked.
    pub fn flow(&mut self) -> Option<&mut Flow> {
        self.endpoint.payloads(self.link)
    }

    /// Reads all that came, and does what is due.
    pub fn turn(&mut self, now: Instant) -> Heard {
        let mut buffer = [0; MAX_DATAGRAM + 1];
        while let Some((len, from, at)) = self.socket.receive(&mut buffer) {
            self.endpoint.handle_datagram(at, from, &buffer[..len]);
        }
        self.endpoint.handle_timeout(now);
        let wants_key = self.handle_link(now);
        self.call.handle_timeout(now);
        self.send_messages();
        let media = self.call.media();
        let is_newly_shown = media.shown.is_some() && self.media.shown.is_none();
        self.media = media;
        Heard { wants_key, is_newly_shown }
    }

    /// The next picture of the station, while one is to be shown.
    pub fn take_frame(&mut self, now: Instant) -> Option<&EncodedFrame> {
        let flow = self.endpoint.payloads(self.link).filter(|_| self.media.shown.is_some())?;
        flow.take_frame(now, &mut self.frame).then_some(&self.frame)
    }

    /// The next period of its sound, while it is to be heard.
    pub fn take_sound(&mut self) -> Option<SoundPacket> {
        self.endpoint.payloads(self.link).filter(|_| self.media.heard.is_some()).and_then(Flow::take_sound)
    }

    /// Asks for a key frame, while pictures are to be shown.
    pub fn request_key_frame(&mut self, now: Instant) {
        if self.media.shown.is_some()
            && let Some(flow) = self.endpoint.payloads(self.link)
        {
            flow.request_key_frame(now);
        }
    }

    /// Tells the station that so many bits a second get through to whoever looks.
    pub fn tell_capacity(&mut self, bits: u32) {
        let bits = (u64::from(bits) * PICTURE_SHARE_PERCENT / 100) as u32;
        if bits.abs_diff(self.told_bits) <= self.told_bits / 100 * CHANGE_PERCENT {
            return;
        }
        let limit = Limit { bitrate_bps: bits, ..Limit::NONE };
        let flow = self.endpoint.payloads(self.link);
        if flow.is_some_and(|flow| flow.send_control(&Control::Capacity(limit)).is_ok()) {
            self.told_bits = bits;
        }
    }

    /// Sends all that waits.
    pub fn send(&mut self, now: Instant) {
        while let Some(batch) = self.endpoint.poll_transmit(now, &mut self.transmit) {
            self.socket.send(batch.to, &self.transmit[..batch.len], batch.segment_len);
        }
    }

    /// When [`Line::turn`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.endpoint.poll_timeout(), self.call.poll_timeout())
    }

    /// Says goodbye.
    pub fn leave(&mut self, now: Instant) {
        self.endpoint.close(now, self.link, CloseReason::Leaving);
        self.send(now);
    }

    /// Whether the station wants a key frame.
    fn handle_link(&mut self, now: Instant) -> bool {
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
        let mut wants_key = false;
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
                FlowEvent::KeyFrameWanted => wants_key = true,
                FlowEvent::Control(_) | FlowEvent::Frozen { .. } | FlowEvent::Resumed { .. } => {}
            }
        }
        wants_key
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

    fn send_messages(&mut self) {
        while let Some((_, message)) = self.call.poll_message() {
            if let Some(flow) = self.endpoint.payloads(self.link)
                && let Err(full) = flow.send_control(&Control::Call(message))
            {
                tracing::debug!("{}: {full}", self.name);
            }
        }
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    system_random(&mut bytes);
    u64::from_le_bytes(bytes)
}
