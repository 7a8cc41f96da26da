//! `visavis chat`: the net loop of a station that talks to one other, from the first link to the end.

use super::config::{ChatConfig, Config};
use super::peer::{Peer, Presence};
use super::report::{Link as LinkReport, Report};
use super::resolve::Resolver;
use super::stages::fault;
use super::switchboard::{HOUSEKEEPING, Routes, Switchboard};
use super::view::{NetView, View};
use crate::device::keys::{Key, KeyMotion, Keys};
use crate::device::png;
use crate::link::flow::{Flow, FlowEvent};
use crate::link::{CloseReason, Event, LinkId};
use crate::media::Picture;
use crate::sys::clock;
use crate::sys::wake::Stop;
use crate::time::{Duration, Instant, Seldom, earliest};
use crate::wire::PROTOCOL_VERSION_OF_CALLS;
use nix::poll::PollFlags;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a name is looked up again while the far side is not reached: its address may have changed.
const RESOLVE_AGAIN: Duration = Duration::from_secs(5);

/// What it says that it speaks: it knows no calls, and is not to be rung.
const VERSION: u16 = PROTOCOL_VERSION_OF_CALLS - 1;

/// One station that talks to one other, assembled and started.
pub struct Chat {
    board: Switchboard,
    config: ChatConfig,
    snapshot_file: Option<PathBuf>,
    resolver: Resolver,
    resolve_at: Instant,
    /// Times that the far side's name was not found.
    unresolved: Seldom,
    peer: Peer,
    keys: Keys,
    housekeeping_at: Instant,
    totals: Totals,
    /// The newest copy of what the screen showed, where one is to be kept.
    snapshot: Option<Picture>,
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

impl Chat {
    /// Binds the port, starts the threads and begins to look for the far side.
    ///
    /// # Errors
    /// EADDRINUSE where the port is taken and may not be another; what the system says of threads and descriptors.
    pub fn start(config: Config, chat: ChatConfig) -> io::Result<Chat> {
        let now = clock::now();
        let mut board = Switchboard::start(&config, Vec::new(), None)?;
        let resolver = Resolver::new(chat.host.clone(), chat.port, config.port.version, board.net.clone())?;
        let too_many = || io::Error::other("the address book holds too many stations; name one of them by --peer");
        let link = board.endpoint.dial(now, &chat.trusts, &[]).ok_or_else(too_many)?;
        Ok(Chat {
            board,
            config: chat,
            snapshot_file: config.snapshot,
            resolver,
            resolve_at: now + RESOLVE_AGAIN,
            unresolved: Seldom::default(),
            peer: Peer::new(link),
            keys: Keys::open(&Key::HANG_UP),
            housekeeping_at: now,
            totals: Totals { started_at: now, ..Totals::default() },
            snapshot: None,
        })
    }

    /// The live numbers, for other threads.
    pub fn view(&self) -> Arc<View> {
        self.board.view.clone()
    }

    /// The net loop: returns with the report when `stop` is asked for, or Esc or q is pressed on the station's own
    /// keyboard.
    ///
    /// # Errors
    /// The name of a thread of ours that ended by itself: a bug; or what `ppoll(2)` says.
    pub fn run(mut self, stop: &Stop) -> Result<Report, String> {
        while !stop.is_stopped() {
            // Before the rings are read: what is put in afterwards signals anew.
            self.board.net.drain();
            let now = clock::now();
            self.board.receive(now);
            self.handle_events(now);
            self.move_media(now);
            self.board.transmit(now);
            if now >= self.housekeeping_at {
                self.keep_house(now)?;
            }
            if self.wait(stop).map_err(|e| format!("cannot wait (ppoll): {e}"))? {
                stop.stop();
            }
        }
        Ok(self.hang_up())
    }

    fn link(&self) -> LinkId {
        self.peer.link
    }

    fn handle_events(&mut self, now: Instant) {
        if let Some(answer) = self.resolver.poll() {
            match answer {
                Ok(addresses) => self.board.endpoint.set_addresses(now, self.link(), &addresses),
                Err(why) => {
                    if let Some(unsaid) = self.unresolved.admit(now) {
                        tracing::warn!("{why}; trying again every {} s{unsaid}", RESOLVE_AGAIN.as_secs());
                    }
                }
            }
        }
        while let Some((link, event)) = self.board.endpoint.poll_event() {
            if link == self.link() {
                self.handle_link_event(now, event);
            }
        }
        while let Some(event) = self.board.endpoint.payloads(self.link()).and_then(Flow::poll_event) {
            self.handle_flow_event(now, event);
        }
        if self.board.tell(&mut self.peer) {
            self.housekeeping_at = now;
        }
    }

    fn handle_link_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected { peer, address } | Event::Replaced { peer, address } => {
                // Both sides call at once, and the second of the two handshakes may begin the conversation anew.
                if self.peer.met != Some(peer) || !self.peer.is_here() {
                    tracing::info!("linked to {address}");
                    self.peer.replace(now, peer);
                    self.connected(now);
                }
                self.board.stages.knobs.ask_key_frame();
                self.board.introduce(&mut self.peer, VERSION);
            }
            Event::Back { after } => {
                tracing::info!("{} is back after {after:.1?}", self.peer.name_or(&self.config.host));
                self.totals.longest_cut = self.totals.longest_cut.max(after);
                self.peer.arrive(now);
                self.connected(now);
                if let Some(flow) = self.board.endpoint.payloads(self.peer.link) {
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
        self.board.set_routes(Routes::both_ways(Some(self.peer.link)));
        self.housekeeping_at = now;
    }

    fn disconnected(&mut self, now: Instant, since: Instant) {
        self.peer.leave(since);
        if let Some(connected_at) = self.totals.connected_at.take() {
            self.totals.linked_time += now.since(connected_at);
        }
        self.board.set_routes(Routes::default());
        self.resolver.ask_again();
        self.housekeeping_at = now;
    }

    fn handle_flow_event(&mut self, now: Instant, event: FlowEvent) {
        match event {
            FlowEvent::KeyFrameWanted => self.board.stages.knobs.ask_key_frame(),
            FlowEvent::PeerRestarted => self.board.introduce(&mut self.peer, VERSION),
            FlowEvent::Control(message) => {
                self.peer.handle_control(&message);
            }
            FlowEvent::Frozen { .. } => tracing::debug!("picture frozen until a key frame comes"),
            FlowEvent::Resumed { frozen } => tracing::debug!("picture goes on after {frozen:.1?}"),
        }
        self.housekeeping_at = now;
    }

    fn move_media(&mut self, now: Instant) {
        self.board.send_media(now);
        if self.board.hand_out_media(now) && self.peer.seen(now) {
            self.housekeeping_at = now;
        }
        if self.totals.first_picture_at.is_none() && self.board.stages.stats.present.shown.get() > 0 {
            self.totals.first_picture_at = Some(now);
        }
    }

    fn keep_house(&mut self, now: Instant) -> Result<(), String> {
        self.housekeeping_at = now + HOUSEKEEPING;
        // There is always a call, or one is waited for.
        self.board.look_after_stages(now, true).map_err(|halt| halt.to_string())?;
        self.board.keep_pace(now, self.peer.capacity);
        if !self.peer.is_here() && now >= self.resolve_at {
            self.resolve_at = now + RESOLVE_AGAIN;
            self.resolver.ask_again();
        }
        if let Presence::Away(since) = self.peer.presence {
            self.totals.longest_cut = self.totals.longest_cut.max(now.since(since));
        }
        let screen = &self.board.stages.board;
        screen.set(self.peer.card(now, &self.config.host, self.config.shown_code.as_deref()));
        if self.snapshot_file.is_some() && self.peer.has_picture {
            self.snapshot = screen.take_snapshot().or(self.snapshot.take());
            screen.request_snapshot();
        }
        let view = self.net_view(now);
        // In-band FEC costs bits, which only a network that loses packets makes up for.
        let loss_percent = (view.loss_out * 100.0).round().clamp(0.0, 100.0) as u8;
        self.board.stages.voice_knobs.expected_loss_percent.store(loss_percent, Ordering::Relaxed);
        self.board.view.set_net(view);
        Ok(())
    }

    /// Waits for the next thing to do; whether a person at the station's own keyboard wants to hang up.
    fn wait(&mut self, stop: &Stop) -> io::Result<bool> {
        let until = earliest(self.board.endpoint.poll_timeout(), Some(self.housekeeping_at));
        let others = core::iter::once(stop.as_fd()).chain(self.keys.fds()).map(|fd| (fd, PollFlags::POLLIN));
        let ready = self.board.wait(others, until)?;
        let typed = ready[1..].contains(&true);
        let now = clock::now();
        Ok(typed && core::iter::from_fn(|| self.keys.read(now)).any(|event| event.motion == KeyMotion::Down))
    }

    /// Says goodbye, puts the devices back, and sums up.
    fn hang_up(mut self) -> Report {
        let now = clock::now();
        let view = self.net_view(now);
        self.board.endpoint.close(now, self.peer.link, CloseReason::HungUp);
        self.board.transmit(now);
        self.board.stages.stop();
        if let (Some(path), Some(picture)) =
            (&self.snapshot_file, self.board.stages.board.take_snapshot().or(self.snapshot))
            && let Err(e) = png::write(&picture, path)
        {
            tracing::warn!("cannot keep a picture in {}: {e}", path.display());
        }
        self.board.view.set_net(view);
        self.board.view.report(clock::now())
    }

    fn net_view(&mut self, now: Instant) -> NetView {
        let (link, host) = (self.peer.link, self.config.host.as_str());
        let path = self.board.endpoint.address(link);
        let state = match self.peer.presence {
            Presence::Awaited => format!("waiting for {host}"),
            Presence::Here => format!("talking to {}", self.peer.name_or(host)),
            Presence::Away(_) => format!("{} is away", self.peer.name_or(host)),
        };
        let flow = self.board.endpoint.payloads(link).map(|flow| flow.report()).unwrap_or_default();
        let totals = &self.totals;
        let since_start = |at: Instant| at.since(totals.started_at).as_secs_f64() * 1_000.0;
        let linked_now = totals.connected_at.map_or(Duration::ZERO, |at| now.since(at));
        let healths = &self.board.stages.healths;
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
                refused: self.board.endpoint.stats().refused(),
            },
            linked_time: totals.linked_time + linked_now,
            received: self.board.received,
            lost: flow.counts,
            loss_out: flow.loss_out,
            sent: self.board.sent,
            camera_fault: fault(&healths.camera),
            screen_fault: fault(&healths.screen),
            sound_faults: [&healths.mic, &healths.speaker].into_iter().filter_map(fault).collect(),
        }
    }
}
