//! The net loop: it moves leases and packets between the rings and the link, and touches no pixel and no sample.

use super::config::Config;
use super::peer::{Camera, Peer, Presence};
use super::report::{Link as LinkReport, Report};
use super::resolve::Resolver;
use super::socket::Socket;
use super::stages::{Stages, fault};
use super::view::{NetView, View};
use crate::device::camera::CameraSpec;
use crate::device::keys::{Key, KeyMotion, Keys};
use crate::device::png;
use crate::identity::system_random;
use crate::link::flow::{Flow, FlowConfig, FlowEvent};
use crate::link::{self, CloseReason, Endpoint, Event, LinkId, MAX_DATAGRAM};
use crate::media::{Picture, Size, VideoCodec};
use crate::stage::State;
use crate::sys::wake::{Stop, Wake};
use crate::sys::{clock, poll};
use crate::time::{Duration, Instant, earliest};
use crate::wire::{Control, PROTOCOL_VERSION, VideoState, bounded};
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often what other threads see of the net loop is refreshed, cards are reconsidered, and stages looked after.
const HOUSEKEEPING: Duration = Duration::from_millis(200);

/// How often a name is looked up again while the far side is not reached: its address may have changed.
const RESOLVE_AGAIN: Duration = Duration::from_secs(5);

/// Datagrams read before anything else gets its turn: a picture's worth. A flood cannot keep the loop here.
const RECEIVE_BURST: usize = 256;

/// Room for the batch that is handed to the kernel in one call: UDP_SEGMENT takes 64 kB at most.
const TRANSMIT_BYTES: usize = 64 << 10;

/// One station, assembled and started.
pub struct Station {
    config: Config,
    socket: Socket,
    resolver: Resolver,
    resolve_at: Instant,
    endpoint: Endpoint<Flow>,
    link: LinkId,
    stages: Stages,
    peer: Peer,
    /// Who the far side proved to be.
    met: Option<link::Peer>,
    told: Told,
    view: Arc<View>,
    net: Wake,
    keys: Keys,
    housekeeping_at: Instant,
    totals: Totals,
    /// What the last frame was that left, and that came.
    sent: Option<(VideoCodec, Size)>,
    received: Option<(VideoCodec, Size)>,
    /// The newest copy of what the screen showed, where one is to be kept.
    snapshot: Option<Picture>,
    /// How often each device's state had changed when it was last logged.
    logged: [u64; 4],
    transmit: Vec<u8>,
}

/// What the far side was last told of our camera, to tell it again only when that changes.
#[derive(Debug, Default)]
struct Told {
    video: Option<VideoState>,
}

/// What happened to the link in this run.
#[derive(Debug, Default)]
struct Totals {
    started_at: Instant,
    connects: u64,
    connected_at: Option<Instant>,
    first_connected_at: Option<Instant>,
    first_picture_at: Option<Instant>,
    linked_time: Duration,
    longest_cut: Duration,
}

impl Station {
    /// Binds the port, starts the threads and begins to look for the far side.
    ///
    /// # Errors
    /// EADDRINUSE where the port is taken and may not be another; what the system says of threads and descriptors.
    pub fn start(config: Config) -> io::Result<Station> {
        let now = clock::now();
        let net = Wake::new()?;
        let bind = |port| Socket::bind(config.version, config.listen_address, port);
        let socket = match bind(config.listen_port) {
            Err(e) if config.may_move_port && e.kind() == io::ErrorKind::AddrInUse => bind(0)?,
            bound => bound?,
        };
        if let Ok(port) = socket.local_port() {
            tracing::info!("{} listens on UDP port {port}", config.name);
        }
        let resolver = Resolver::new(config.host.clone(), config.port, config.version, net.clone())?;
        let own = link::Config { secret: config.secret.clone(), accept: Vec::new(), random: Box::new(system_random) };
        let mut endpoint = Endpoint::new(now, own, |now, _peer| Flow::new(now, FlowConfig::default()));
        let too_many = || io::Error::other("the address book holds too many stations; name one of them by --peer");
        let link = endpoint.dial(now, &config.trusts, &[]).ok_or_else(too_many)?;
        let stages = Stages::start(&config.media, &net)?;
        stages.knobs.set_paused(true);
        let view = Arc::new(View::new(&config.name, now, stages.stats.clone()));
        Ok(Station {
            socket,
            resolver,
            resolve_at: now + RESOLVE_AGAIN,
            endpoint,
            link,
            stages,
            peer: Peer::default(),
            met: None,
            told: Told::default(),
            view,
            net,
            keys: Keys::open(&Key::HANG_UP),
            housekeeping_at: now,
            totals: Totals { started_at: now, ..Totals::default() },
            sent: None,
            received: None,
            snapshot: None,
            logged: [0; 4],
            transmit: vec![0; TRANSMIT_BYTES],
            config,
        })
    }

    /// The live numbers, for other threads.
    pub fn view(&self) -> Arc<View> {
        self.view.clone()
    }

    /// The net loop: returns with the report when `stop` is asked for, or Esc or q is pressed on the station's own
    /// keyboard.
    ///
    /// # Errors
    /// The name of a thread of ours that ended by itself: a bug; or what `ppoll(2)` says.
    pub fn run(mut self, stop: &Stop) -> Result<Report, String> {
        while !stop.is_stopped() {
            // Before the rings are read: what is put in afterwards signals anew.
            self.net.drain();
            let now = clock::now();
            self.receive(now);
            self.endpoint.handle_timeout(now);
            self.handle_events(now);
            self.send_media(now);
            self.hand_out_media(now);
            self.transmit(now);
            if now >= self.housekeeping_at {
                self.keep_house(now)?;
            }
            if self.wait(stop).map_err(|e| format!("cannot wait (ppoll): {e}"))? {
                stop.stop();
            }
        }
        Ok(self.hang_up())
    }

    fn receive(&mut self, now: Instant) {
        // One byte more than any datagram of ours: a longer one is cut, and then fails its MAC.
        let mut buffer = [0; MAX_DATAGRAM + 1];
        for _ in 0..RECEIVE_BURST {
            let Some((len, from)) = self.socket.receive(&mut buffer) else { break };
            self.endpoint.handle_datagram(now, from, &buffer[..len]);
        }
    }

    fn handle_events(&mut self, now: Instant) {
        if let Some(answer) = self.resolver.poll() {
            match answer {
                Ok(addresses) => self.endpoint.set_addresses(now, self.link, &addresses),
                Err(why) => tracing::warn!("{why}; trying again every {} s", RESOLVE_AGAIN.as_secs()),
            }
        }
        while let Some((link, event)) = self.endpoint.poll_event() {
            if link == self.link {
                self.handle_link_event(now, event);
            }
        }
        while let Some(event) = self.endpoint.payloads(self.link).and_then(Flow::poll_event) {
            self.handle_flow_event(now, event);
        }
        if self.stages.stats.expand.take_key_request()
            && let Some(flow) = self.endpoint.payloads(self.link)
        {
            flow.request_key_frame(now);
        }
        self.tell(now);
    }

    fn handle_link_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected { peer, address } | Event::Replaced { peer, address } => {
                // Both sides call at once, and the second of the two handshakes may begin the conversation anew.
                if self.met != Some(peer) || self.peer.presence != Presence::Here {
                    tracing::info!("linked to {address}");
                    self.met = Some(peer);
                    self.peer.replace(now);
                    self.connected(now);
                }
                self.stages.knobs.ask_key_frame();
                self.introduce();
            }
            Event::Back { after } => {
                tracing::info!("{} is back after {after:.1?}", self.peer.name_or(&self.config.host));
                self.totals.longest_cut = self.totals.longest_cut.max(after);
                self.peer.arrive(now);
                self.connected(now);
                if let Some(flow) = self.endpoint.payloads(self.link) {
                    flow.path_changed(now);
                }
            }
            Event::Roamed { address } => {
                tracing::info!("the far side is now at {address}");
            }
            Event::Away { since } => {
                tracing::info!("{} is away; calling on", self.peer.name_or(&self.config.host));
                self.disconnected(now, since);
            }
            Event::Closed { reason } => {
                tracing::info!("{} left ({reason}); calling on", self.peer.name_or(&self.config.host));
                self.disconnected(now, now);
            }
        }
    }

    fn connected(&mut self, now: Instant) {
        let totals = &mut self.totals;
        totals.connects += 1;
        totals.connected_at.get_or_insert(now);
        totals.first_connected_at.get_or_insert(now);
        self.stages.knobs.set_paused(false);
        self.stages.knobs.ask_key_frame();
        self.stages.voice_knobs.paused.store(false, Ordering::Relaxed);
        self.housekeeping_at = now;
    }

    fn disconnected(&mut self, now: Instant, since: Instant) {
        self.peer.leave(since);
        if let Some(connected_at) = self.totals.connected_at.take() {
            self.totals.linked_time += now.since(connected_at);
        }
        self.stages.knobs.set_paused(true);
        self.stages.voice_knobs.paused.store(true, Ordering::Relaxed);
        self.resolver.ask_again();
        self.housekeeping_at = now;
    }

    /// The first words to a peer that knows nothing of us yet.
    fn introduce(&mut self) {
        self.told = Told::default();
        let hello = Control::Hello {
            version: PROTOCOL_VERSION,
            station: bounded(&self.config.name),
            software: bounded(concat!("visavis ", env!("CARGO_PKG_VERSION"))),
        };
        if let Some(flow) = self.endpoint.payloads(self.link) {
            // The channel is new and empty.
            let _ = flow.send_control(&hello);
        }
    }

    fn handle_flow_event(&mut self, now: Instant, event: FlowEvent) {
        match event {
            FlowEvent::KeyFrameWanted => self.stages.knobs.ask_key_frame(),
            FlowEvent::PeerRestarted => self.introduce(),
            FlowEvent::Control(Control::Hello { station, software, .. }) => {
                tracing::info!("talking to {station} ({software})");
                self.peer.name = Some(station.as_str().to_owned());
            }
            FlowEvent::Control(Control::Video(state)) => {
                self.peer.camera = match state {
                    VideoState::Off => Camera::None,
                    VideoState::Working { .. } => Camera::Working,
                    VideoState::Fault { text } => Camera::Faulty(text.as_str().to_owned()),
                };
            }
            FlowEvent::Control(Control::Sound(_) | Control::Bye { .. }) => {}
            FlowEvent::Frozen { .. } => tracing::debug!("picture frozen until a key frame comes"),
            FlowEvent::Resumed { frozen } => tracing::debug!("picture goes on after {frozen:.1?}"),
        }
        self.housekeeping_at = now;
    }

    /// Tells the far side how our camera is, when that changed.
    fn tell(&mut self, now: Instant) {
        let state = match (self.config.media.camera == CameraSpec::None, fault(&self.stages.healths.camera)) {
            (true, _) => VideoState::Off,
            (false, Some(why)) => VideoState::Fault { text: bounded(&why) },
            (false, None) => match self.sent {
                Some((codec, size)) => VideoState::Working { codec, size },
                // Nothing was encoded yet.
                None => return,
            },
        };
        if self.told.video.as_ref() == Some(&state) || self.peer.presence != Presence::Here {
            return;
        }
        if let Some(flow) = self.endpoint.payloads(self.link)
            && flow.send_control(&Control::Video(state.clone())).is_ok()
        {
            self.told.video = Some(state);
            self.housekeeping_at = now;
        }
    }

    /// From the rings to the link.
    fn send_media(&mut self, now: Instant) {
        let here = self.peer.presence == Presence::Here;
        let mut flow = self.endpoint.payloads(self.link).filter(|_| here);
        while let Some(packet) = self.stages.spoken.take() {
            if let Some(flow) = &mut flow {
                flow.send_sound(now, &packet);
            }
        }
        while let Some(frame) = self.stages.encoded.take() {
            if let Some(size) = frame.size.filter(|size| self.sent != Some((frame.codec, *size))) {
                self.sent = Some((frame.codec, size));
                self.stages.knobs.set_bitrate(self.config.media.bitrate_for(size));
            }
            if let Some(flow) = &mut flow {
                flow.send_frame(now, &frame);
            }
        }
    }

    /// From the link to the rings.
    fn hand_out_media(&mut self, now: Instant) {
        let Some(flow) = self.endpoint.payloads(self.link) else { return };
        let mut came = false;
        while self.stages.whole.has_room() {
            let Some(mut slot) = self.stages.slots.claim() else { break };
            if !flow.take_frame(now, &mut slot) {
                break;
            }
            came = true;
            self.received = slot.size.map(|size| (slot.codec, size));
            self.view.received_picture_bytes.add(slot.data.len() as u64);
            // There is room: this end is the only one that puts anything in.
            let _ = self.stages.whole.put(slot.lend());
        }
        if came {
            self.stages.whole_wake.signal();
            self.peer.picture_at = now;
            if !self.peer.has_picture {
                self.peer.has_picture = true;
                self.housekeeping_at = now;
            }
        }
        let mut heard = false;
        while let Some(packet) = flow.take_sound() {
            // A full ring means that the voice thread has not run for 160 ms; what is new then would be late anyway.
            heard |= self.stages.heard.put(packet).is_ok();
        }
        if heard {
            self.stages.heard_wake.signal();
        }
        if self.totals.first_picture_at.is_none() && self.stages.stats.present.shown.get() > 0 {
            self.totals.first_picture_at = Some(now);
        }
    }

    fn transmit(&mut self, now: Instant) {
        while let Some(batch) = self.endpoint.poll_transmit(now, &mut self.transmit) {
            self.socket.send(batch.to, &self.transmit[..batch.len], batch.segment_len);
        }
    }

    fn keep_house(&mut self, now: Instant) -> Result<(), String> {
        self.housekeeping_at = now + HOUSEKEEPING;
        if let Some(name) = self.stages.ended() {
            return Err(format!("the {name} thread ended by itself"));
        }
        self.log_faults();
        if self.peer.presence != Presence::Here && now >= self.resolve_at {
            self.resolve_at = now + RESOLVE_AGAIN;
            self.resolver.ask_again();
        }
        if let Presence::Away(since) = self.peer.presence {
            self.totals.longest_cut = self.totals.longest_cut.max(now.since(since));
        }
        self.stages.board.set(self.peer.card(now, &self.config.host, self.config.shown_code.as_deref()));
        if self.config.snapshot.is_some() && self.peer.has_picture {
            self.snapshot = self.stages.board.take_snapshot().or(self.snapshot.take());
            self.stages.board.request_snapshot();
        }
        let view = self.net_view(now);
        // In-band FEC costs bits, which only a network that loses packets makes up for.
        let loss_percent = (view.loss_out * 100.0).round().clamp(0.0, 100.0) as u8;
        self.stages.voice_knobs.expected_loss_percent.store(loss_percent, Ordering::Relaxed);
        self.view.set_net(view);
        Ok(())
    }

    /// Says what is wrong with a device, once for each change.
    fn log_faults(&mut self) {
        let healths = &self.stages.healths;
        let all = [&healths.camera, &healths.mic, &healths.screen, &healths.speaker];
        for (last, (health, device)) in
            self.logged.iter_mut().zip(all.into_iter().zip(["camera", "microphone", "screen", "loudspeaker"]))
        {
            let (state, changes) = health.get();
            if core::mem::replace(last, changes) == changes {
                continue;
            }
            match state {
                State::Faulty(fault) => tracing::warn!("{device}: {fault}"),
                State::Working => tracing::info!("{device}: works"),
                State::Starting => {}
            }
        }
    }

    /// Waits for the next thing to do; whether a person at the station's own keyboard wants to hang up.
    fn wait(&mut self, stop: &Stop) -> io::Result<bool> {
        let until = earliest(self.endpoint.poll_timeout(), Some(self.housekeeping_at));
        let mut fds = vec![
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.net.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(self.keys.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        poll::wait(&mut fds, until)?;
        let typed = fds[3..].iter().any(poll::is_ready);
        drop(fds);
        let now = clock::now();
        Ok(typed && core::iter::from_fn(|| self.keys.read(now)).any(|event| event.motion == KeyMotion::Down))
    }

    /// Says goodbye, puts the devices back, and sums up.
    fn hang_up(mut self) -> Report {
        let now = clock::now();
        let view = self.net_view(now);
        self.endpoint.close(now, self.link, CloseReason::HungUp);
        self.transmit(now);
        self.stages.stop();
        if let (Some(path), Some(picture)) =
            (&self.config.snapshot, self.stages.board.take_snapshot().or(self.snapshot))
            && let Err(e) = png::write(&picture, path)
        {
            tracing::warn!("cannot keep a picture in {}: {e}", path.display());
        }
        self.view.set_net(view);
        self.view.report(clock::now())
    }

    fn net_view(&mut self, now: Instant) -> NetView {
        let path = self.endpoint.address(self.link);
        let host = self.config.host.as_str();
        let state = match self.peer.presence {
            Presence::Awaited => format!("waiting for {host}"),
            Presence::Here => format!("talking to {}", self.peer.name_or(host)),
            Presence::Away(_) => format!("{} is away", self.peer.name_or(host)),
        };
        let flow = self.endpoint.payloads(self.link).map(|flow| flow.report()).unwrap_or_default();
        let totals = &self.totals;
        let since_start = |at: Instant| at.since(totals.started_at).as_secs_f64() * 1_000.0;
        let linked_now = totals.connected_at.map_or(Duration::ZERO, |at| now.since(at));
        let healths = &self.stages.healths;
        NetView {
            state,
            link: LinkReport {
                connects: totals.connects,
                peer: self.peer.name.clone(),
                path: path.map(|path| path.to_string()),
                ip_version: path.map(|path| if path.is_ipv4() { 4 } else { 6 }),
                rtt_ms: flow.rtt.map_or(0.0, |rtt| rtt.as_secs_f64() * 1_000.0),
                loss: f64::from(flow.loss_in),
                connected_after_ms: totals.first_connected_at.map(since_start),
                first_picture_ms: totals
                    .first_picture_at
                    .zip(totals.first_connected_at)
                    .map(|(picture, link)| picture.since(link).as_secs_f64() * 1_000.0),
                longest_cut_ms: totals.longest_cut.as_secs_f64() * 1_000.0,
                refused: self.endpoint.stats().refused(),
            },
            linked_time: totals.linked_time + linked_now,
            received: self.received,
            lost: flow.counts,
            loss_out: flow.loss_out,
            sent: self.sent,
            camera_fault: fault(&healths.camera),
            screen_fault: fault(&healths.screen),
            sound_faults: [&healths.mic, &healths.speaker].into_iter().filter_map(fault).collect(),
        }
    }
}
