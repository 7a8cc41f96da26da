//! What every net loop has: the port, the links, the stages, and the way of media between them.
//!
//! The switchboard knows no policy. Whoever drives it (`chat`, `intercom`) decides who is looked for and what flows where, as
//! [`Routes`]; the switchboard moves leases and packets between rings and links, and touches no pixel and no sample.

use super::config::{Config, MediaConfig, PortConfig};
use super::gauge::Gauge;
use super::halt::Halt;
use super::load::{Loads, Way};
use super::peer::Peer;
use super::socket::{IpVersion, Socket};
use super::stages::{Stages, fault};
use super::supervision::Supervision;
use super::view::View;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::screen::ScreenSpec;
use crate::identity::system_random;
use crate::link::flow::{Flow, FlowConfig};
use crate::link::{self, Endpoint, LinkId, MAX_DATAGRAM, Trust};
use crate::load::{Change, Narrowing, Whole};
use crate::media::{EncodedFrame, Limit, Limits, Size, VideoCodec};
use crate::stage::{Health, State};
use crate::sys::wake::Wake;
use crate::sys::{clock, poll};
use crate::time::{Duration, Instant, Seldom};
use crate::wire::{Control, VideoState, bounded};
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often what other threads see of the net loop is refreshed, cards are reconsidered, and stages looked after.
pub(super) const HOUSEKEEPING: Duration = Duration::from_millis(200);

/// Datagrams read before anything else gets its turn: a picture's worth. A flood cannot keep the loop here.
const RECEIVE_BURST: usize = 256;

/// Room for the batch that is handed to the kernel in one call: UDP_SEGMENT takes 64 kB at most.
const TRANSMIT_BYTES: usize = 64 << 10;

/// Stations that get our picture or sound at once: a group that is rung, or a page to everybody.
pub(super) const ROUTES_MAX: usize = link::LINKS_MAX;

/// What flows where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Routes {
    /// To whom our pictures go.
    pub picture_to: heapless::Vec<LinkId, ROUTES_MAX>,
    /// To whom our sound goes.
    pub sound_to: heapless::Vec<LinkId, ROUTES_MAX>,
    /// Whose pictures are shown.
    pub show: Option<LinkId>,
    /// Whose sound is heard.
    pub hear: Option<LinkId>,
}

impl Routes {
    /// Both ways with one peer, or nothing.
    pub fn both_ways(with: Option<LinkId>) -> Routes {
        let one = || with.into_iter().collect();
        Routes { picture_to: one(), sound_to: one(), show: with, hear: with }
    }
}

/// The port, the links, the stages.
pub(super) struct Switchboard {
    pub name: String,
    pub version: IpVersion,
    media: MediaConfig,
    pub socket: Socket,
    pub endpoint: Endpoint<Flow>,
    pub stages: Stages,
    pub supervision: Supervision,
    pub view: Arc<View>,
    pub net: Wake,
    routes: Routes,
    /// The decoder knows nothing of whom is shown now: its first frame must be a key frame.
    is_key_awaited: bool,
    /// What the last frame was that left, and that came.
    pub sent: Option<(VideoCodec, Size)>,
    pub received: Option<(VideoCodec, Size)>,
    /// How often each device's state had changed when it was last logged; and how often that may be.
    logged: [(u64, Seldom); 4],
    /// What is left of what was configured, and why.
    limits: Limits,
    narrowing: Narrowing,
    /// The mean of what a picture that left had, where its encoder aims at no bitrate: bits.
    picture_bits: Option<u32>,
    pub loads: Loads,
    transmit: Vec<u8>,
}

impl Switchboard {
    /// Binds the port and starts the threads. Those of `accept` may call without having been dialled. Who reads metrics at
    /// the address `metrics` gets them.
    ///
    /// # Errors
    /// EADDRINUSE where the port is taken and may not be another; what the system says of threads and descriptors.
    pub fn start(config: &Config, accept: Vec<Trust>, metrics: Option<SocketAddr>) -> io::Result<Switchboard> {
        let now = clock::now();
        let net = Wake::new()?;
        let socket = bind(&config.port)?;
        if let Ok(port) = socket.local_port() {
            tracing::info!("{} listens on UDP port {port}", config.name);
        }
        let own = link::Config { secret: config.secret.clone(), accept, random: Box::new(system_random) };
        let endpoint = Endpoint::new(now, own, |now, _peer| Flow::new(now, FlowConfig::default()));
        let stages = Stages::start(&config.media, &net)?;
        stages.knobs.set_paused(true);
        let view = Arc::new(View::new(&config.name, now, stages.stats.clone()));
        let gauge = Gauge::start(view.clone(), metrics)?;
        Ok(Switchboard {
            name: config.name.clone(),
            version: config.port.version,
            media: config.media.clone(),
            socket,
            endpoint,
            stages,
            supervision: Supervision::new(config.media.clone(), now),
            view,
            net,
            routes: Routes::default(),
            is_key_awaited: true,
            sent: None,
            received: None,
            logged: Default::default(),
            limits: Limits::default(),
            narrowing: Narrowing::default(),
            picture_bits: None,
            loads: Loads::new(now, gauge),
            transmit: vec![0; TRANSMIT_BYTES],
        })
    }

    /// Takes in what has come to the port.
    pub fn receive(&mut self, now: Instant) {
        // One byte more than any datagram of ours: a longer one is cut, and then fails its MAC.
        let mut buffer = [0; MAX_DATAGRAM + 1];
        for _ in 0..RECEIVE_BURST {
            let Some((len, from, at)) = self.socket.receive(&mut buffer) else { break };
            self.endpoint.handle_datagram(at, from, &buffer[..len]);
        }
        self.endpoint.handle_timeout(now);
    }

    /// What flows where now.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Has media flow so from now on. Who newly gets our pictures begins with a key frame, and so does who is newly shown.
    pub fn set_routes(&mut self, routes: Routes) {
        if routes == self.routes {
            return;
        }
        if routes.picture_to.iter().any(|to| !self.routes.picture_to.contains(to)) {
            self.stages.knobs.ask_key_frame();
        }
        self.stages.knobs.set_paused(routes.picture_to.is_empty());
        let is_silent = routes.sound_to.is_empty() && routes.hear.is_none();
        self.stages.voice_knobs.paused.store(is_silent, Ordering::Relaxed);
        if routes.show != self.routes.show {
            self.is_key_awaited = true;
            self.loads.expect_another();
        }
        self.routes = routes;
    }

    /// Takes in how large pictures are whose encoder aims at no bitrate.
    fn note_picture(&mut self, frame: &EncodedFrame) {
        let bits = (frame.data.len() * 8).min(u32::MAX as usize) as u32;
        self.picture_bits = match frame.codec {
            VideoCodec::H264 => None,
            // About the last eight count.
            VideoCodec::Mjpeg | VideoCodec::Deflate => {
                Some(self.picture_bits.map_or(bits, |mean| mean - mean / 8 + bits / 8))
            }
        };
    }

    /// Has the pictures follow what the narrowest path to those who get them carries.
    fn follow_network(&mut self, now: Instant) {
        let endpoint = &mut self.endpoint;
        let mut carried: Option<(u32, bool)> = None;
        for link in &self.routes.picture_to {
            if let Some(flow) = endpoint.payloads(*link) {
                let this = (flow.picture_bps(), flow.is_path_known());
                carried = Some(carried.map_or(this, |narrowest| narrowest.min(this)));
            }
        }
        let network = match (carried, self.stages.stats.compress.unlimited()) {
            (Some((carried_bps, true)), Some((size, rate_millihertz))) => {
                let bitrate_bps = self.media.bitrate_for(size);
                let whole = Whole { size, rate_millihertz, bitrate_bps, picture_bits: self.picture_bits };
                self.narrowing.limit(now, carried_bps, &whole)
            }
            (Some((carried_bps, _)), _) => Limit { bitrate_bps: carried_bps, ..Limit::NONE },
            (None, _) => Limit::NONE,
        };
        self.set_limits(Limits { network, ..self.limits });
    }

    /// From the rings to the links.
    pub fn send_media(&mut self, now: Instant) {
        self.follow_network(now);
        while let Some(packet) = self.stages.spoken.take() {
            for link in &self.routes.sound_to {
                if let Some(flow) = self.endpoint.payloads(*link) {
                    flow.send_sound(now, &packet);
                }
            }
        }
        while let Some(frame) = self.stages.encoded.take() {
            if let Some(size) = frame.size.filter(|size| self.sent != Some((frame.codec, *size))) {
                self.sent = Some((frame.codec, size));
                self.set_bitrate();
            }
            self.note_picture(&frame);
            for link in &self.routes.picture_to {
                if let Some(flow) = self.endpoint.payloads(*link) {
                    flow.send_frame(now, &frame);
                }
            }
        }
    }

    /// Has the pictures follow what this board can bear, and `peers`, who get them. What is to be told of that.
    pub fn keep_pace(&mut self, now: Instant, peers: Limit) -> Vec<(Way, Change)> {
        let (is_sending, received) = (!self.routes.picture_to.is_empty(), self.received.map(|(_, size)| size));
        let changes = if self.media.adapts {
            self.loads.look(now, &self.stages, &self.limits, is_sending, received)
        } else {
            Vec::new()
        };
        let load = self.stages.stats.compress.unlimited().map_or(Limit::NONE, |(size, rate_millihertz)| {
            self.loads.limit(size, rate_millihertz, self.media.bitrate_for(size))
        });
        self.set_limits(Limits { load, peers, ..self.limits });
        changes
    }

    fn set_limits(&mut self, limits: Limits) {
        if limits != self.limits {
            self.limits = limits;
            self.stages.knobs.set_limit(limits.lowest());
            self.set_bitrate();
        }
    }

    fn set_bitrate(&self) {
        // Until the first picture tells its true size.
        let expected = || self.media.level.scaled(self.media.size.unwrap_or(Size::new(640, 480)));
        let size = self.sent.map_or_else(expected, |(_, size)| size);
        self.stages.knobs.set_bitrate(self.limits.lowest().of_bitrate(self.media.bitrate_for(size)));
    }

    /// From the links to the rings; whether a picture came. What comes from links that are not shown or heard stays in
    /// them, where it grows stale and is dropped.
    pub fn hand_out_media(&mut self, now: Instant) -> bool {
        let expand = &self.stages.stats.expand;
        if expand.take_key_request()
            && let Some(flow) = self.routes.show.and_then(|link| self.endpoint.payloads(link))
        {
            flow.request_key_frame(now);
        }
        let pictures = self.hand_out_pictures(now);
        self.hand_out_sound();
        pictures
    }

    fn hand_out_pictures(&mut self, now: Instant) -> bool {
        let Some(flow) = self.routes.show.and_then(|link| self.endpoint.payloads(link)) else { return false };
        let mut came = false;
        while self.stages.whole.has_room() {
            let Some(mut slot) = self.stages.slots.claim() else { break };
            if !flow.take_frame(now, &mut slot) {
                break;
            }
            if self.is_key_awaited && !slot.key {
                // It referred to what this station never decoded; the flow holds back all others until a key frame.
                flow.request_key_frame(now);
                continue;
            }
            self.is_key_awaited = false;
            came = true;
            self.received = slot.size.map(|size| (slot.codec, size));
            self.view.arrived.record(slot.ready_at.since(slot.captured_at));
            self.view.received_picture_bytes.add(slot.data.len() as u64);
            // There is room: this end is the only one that puts anything in.
            let _ = self.stages.whole.put(slot.lend());
        }
        if came {
            self.stages.whole_wake.signal();
        }
        came
    }

    fn hand_out_sound(&mut self) {
        let Some(flow) = self.routes.hear.and_then(|link| self.endpoint.payloads(link)) else { return };
        let mut heard = false;
        while let Some(packet) = flow.take_sound() {
            // A full ring means that the voice thread has not run for 160 ms; what is new then would be late anyway.
            heard |= self.stages.heard.put(packet).is_ok();
        }
        if heard {
            self.stages.heard_wake.signal();
        }
    }

    /// Sends what is due.
    pub fn transmit(&mut self, now: Instant) {
        while let Some(batch) = self.endpoint.poll_transmit(now, &mut self.transmit) {
            self.socket.send(batch.to, &self.transmit[..batch.len], batch.segment_len);
        }
    }

    /// The first words to a peer that knows nothing of us yet; `version` is what this station's program speaks of the
    /// protocol.
    pub fn introduce(&mut self, peer: &mut Peer, version: u16) {
        peer.begin_anew();
        let hello = Control::Hello {
            version,
            station: bounded(&self.name),
            software: bounded(concat!("visavis ", env!("CARGO_PKG_VERSION"))),
        };
        if let Some(flow) = self.endpoint.payloads(peer.link) {
            // The channel is new and empty.
            let _ = flow.send_control(&hello);
        }
    }

    /// Tells a peer how our camera is, and how much of its own pictures we can take, when that changed; whether it did.
    pub fn tell(&mut self, peer: &mut Peer) -> bool {
        self.tell_capacity(peer) | self.tell_camera(peer)
    }

    fn tell_capacity(&mut self, peer: &mut Peer) -> bool {
        let is_shown = self.routes.show == Some(peer.link);
        let capacity = if is_shown { self.loads.capacity() } else { Limit::NONE };
        if peer.told_capacity == capacity || !peer.is_here() {
            return false;
        }
        let Some(flow) = self.endpoint.payloads(peer.link) else { return false };
        let is_told = flow.send_control(&Control::Capacity(capacity)).is_ok();
        if is_told {
            peer.told_capacity = capacity;
        }
        is_told
    }

    fn tell_camera(&mut self, peer: &mut Peer) -> bool {
        // A picture that stands still is no living one, whatever the camera says.
        let complaint = || self.supervision.complaints().find(|(device, _)| *device == "camera");
        let why = fault(&self.stages.healths.camera).or_else(|| complaint().map(|(_, words)| words.to_owned()));
        let state = match (self.media.camera == CameraSpec::None, why) {
            (true, _) => VideoState::Off,
            (false, Some(why)) => VideoState::Fault { text: bounded(&why) },
            (false, None) => match self.sent {
                Some((codec, size)) => VideoState::Working { codec, size },
                // Nothing was encoded yet.
                None => return false,
            },
        };
        if peer.told.as_ref() == Some(&state) || !peer.is_here() {
            return false;
        }
        let Some(flow) = self.endpoint.payloads(peer.link) else { return false };
        if flow.send_control(&Control::Video(state.clone())).is_err() {
            return false;
        }
        peer.told = Some(state);
        true
    }

    /// The devices that are configured, and whether each works.
    pub fn devices(&self) -> Vec<(&'static str, bool)> {
        let (media, healths) = (&self.media, &self.stages.healths);
        let all = [
            ("camera", media.camera != CameraSpec::None, &healths.camera),
            ("microphone", media.mic != MicSpec::None, &healths.mic),
            ("screen", media.screen != ScreenSpec::None, &healths.screen),
            ("loudspeaker", media.speaker != SpeakerSpec::None, &healths.speaker),
        ];
        let works = |health: &Health| matches!(health.get().0, State::Working);
        all.into_iter().filter(|(_, is_there, _)| *is_there).map(|(name, _, health)| (name, works(health))).collect()
    }

    /// Has what stands still put right, and logs what is wrong with devices, once for each change.
    ///
    /// # Errors
    /// That a thread ended, which is a bug of ours, or stands still, so that the program must end.
    pub fn look_after_stages(&mut self, now: Instant, is_in_call: bool) -> Result<(), Halt> {
        if let Some(name) = self.stages.ended() {
            return Err(Halt::Bug(format!("the {name} thread ended by itself")));
        }
        self.supervision.look(now, &self.stages, is_in_call).map_err(Halt::Repair)?;
        let healths = &self.stages.healths;
        let all = [&healths.camera, &healths.mic, &healths.screen, &healths.speaker];
        for ((last, seldom), (health, device)) in
            self.logged.iter_mut().zip(all.into_iter().zip(["camera", "microphone", "screen", "loudspeaker"]))
        {
            let (state, changes) = health.get();
            if *last == changes || !seldom.may(now) {
                // What changes too often to be logged is, as it is then, as soon as it may be.
                continue;
            }
            *last = changes;
            match state {
                State::Faulty(fault) => tracing::warn!(device, "{device}: {fault}"),
                State::Working => tracing::info!(device, "{device}: works"),
                State::Starting => continue,
            }
            let _ = seldom.admit(now);
        }
        Ok(())
    }

    /// Waits for the port, for the stages, for one of `others`, or until `until`; which of `others` are ready.
    ///
    /// # Errors
    /// What `ppoll(2)` says.
    pub fn wait<'fd>(
        &'fd self,
        others: impl IntoIterator<Item = (BorrowedFd<'fd>, PollFlags)>,
        until: Option<Instant>,
    ) -> io::Result<Vec<bool>> {
        let own = [self.socket.as_fd(), self.net.as_fd()].map(|fd| (fd, PollFlags::POLLIN));
        let mut fds: Vec<_> = own.into_iter().chain(others).map(|(fd, flags)| PollFd::new(fd, flags)).collect();
        poll::wait(&mut fds, until)?;
        Ok(fds[own.len()..].iter().map(poll::is_ready).collect())
    }
}

fn bind(port: &PortConfig) -> io::Result<Socket> {
    let bind = |number| Socket::bind(port.version, port.address, number);
    match bind(port.number) {
        Err(e) if port.may_move && e.kind() == io::ErrorKind::AddrInUse => bind(0),
        bound => bound,
    }
}
