//! What follows from the state: messages and media, tones, the screen, lamps and the journal.

use super::house::Neighbour;
use super::meeting::Meeting;
use super::show::{self, Scene, Showing};
use super::{Intercom, here};
use crate::call::{CallEvent, State, Tone};
use crate::card::Card;
use crate::identity::PublicKey;
use crate::media::Limit;
use crate::panel::protocol::{Happening, Look};
use crate::station::stages::fault;
use crate::station::switchboard::Routes;
use crate::station::view::{HouseView, NetView, PeerView};
use crate::sys::calendar::LocalTime;
use crate::time::{Duration, Instant};
use crate::voice;
use crate::wire::{Control, ReleaseOutcome};
use std::sync::atomic::Ordering;

/// How long it stands on the screen whether the other station's door opened.
const DOOR_SHOWN: Duration = Duration::from_secs(3);
/// A picture of who rings is kept from this time on: by then they stand before the camera, and the picture is sharp.
const CALLER_SETTLES: Duration = Duration::from_secs(1);

impl Intercom {
    /// Sends what the call says, keeps what it tells, and has media and tones follow it.
    pub(super) fn follow_call(&mut self, now: Instant) {
        while let Some((key, message)) = self.call.poll_message() {
            let link = self.house.link_of(&key);
            if let Some(flow) = link.and_then(|link| self.board.endpoint.payloads(link))
                && let Err(full) = flow.send_control(&Control::Call(message))
                && let Some(unsaid) = self.often.unsent.admit(now)
            {
                let name = self.house.name_of(&key);
                tracing::warn!(peer = name, "{name}: {full}{unsaid}");
            }
        }
        while let Some(event) = self.call.poll_event() {
            self.handle_call_event(now, &event);
        }
        let media = self.call.media();
        if let Some(neighbour) = media.shown.and_then(|key| self.house.by_key(&key))
            && self.board.routes().show != Some(neighbour.peer.link)
        {
            neighbour.peer.expect_picture(now);
        }
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
        self.board.view.tally.note(event);
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

    pub(super) fn move_media(&mut self, now: Instant) {
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
            self.stills.handle_picture(Look::Camera, &picture);
            self.chronicle.flush(now, Some(picture.clone()), false);
        }
        self.chronicle.flush(now, None, false);
    }

    /// Has pictures follow what this board, and those who get them, can bear; tells when that changes.
    pub(super) fn keep_pace(&mut self, now: Instant) {
        let goes_there = |neighbour: &&Neighbour| self.board.routes().picture_to.contains(&neighbour.peer.link);
        let peers = self.house.neighbours().iter().filter(goes_there).map(|neighbour| neighbour.peer.capacity);
        let peers = peers.fold(Limit::NONE, Limit::lower);
        for (way, change) in self.board.keep_pace(now, peers) {
            let (pictures, step) = (way.to_string(), change.step.number());
            let reason = change.cause.map(|cause| cause.to_string());
            self.chronicle.publish(now, Happening::Load { pictures, step, reason });
        }
    }

    /// Tells of faults, once for each change.
    pub(super) fn note_faults(&mut self, now: Instant) {
        let faults = self.faults();
        let (gone, new): (Vec<_>, Vec<_>) = (
            self.told_faults.iter().filter(|fault| !faults.contains(fault)).cloned().collect(),
            faults.iter().filter(|fault| !self.told_faults.contains(fault)).cloned().collect(),
        );
        let device = |words: &str| words.split(':').next().unwrap_or_default().to_owned();
        // What is wrong with a device may be another thing than before.
        let is_well = |device: &str| !faults.iter().any(|words| words.split(':').next() == Some(device));
        for words in gone.into_iter().filter(|words| is_well(&device(words))) {
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

    pub(super) fn show(&mut self, now: Instant) {
        self.manner.touch = self.hands.has_touch();
        let local = here();
        let meeting = self.meeting.as_ref().filter(|_| matches!(self.call.state(), State::Idle));
        self.invitation.take_if(|(_, until)| now >= *until);
        let invitation = self.invitation.as_ref().filter(|_| matches!(self.call.state(), State::Idle));
        let showing: Showing = match (meeting, invitation) {
            (Some(meeting), _) => meeting.card(now).into(),
            (None, Some((invited, until))) => Card::Invitation {
                link: invited.link.clone(),
                fingerprint: invited.fingerprint.clone(),
                seconds: until.since(now).as_secs(),
            }
            .into(),
            (None, None) => self.scene(now, local).showing(),
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
    pub(super) fn take_pictures(&mut self, now: Instant) {
        let screen = self.board.stages.board.clone();
        let settled = now.since(self.state_since) >= CALLER_SETTLES;
        let wants_caller = settled && self.chronicle.wants_caller(self.call.state());
        let wants_far_side = self.wants_far_side();
        if let Some(picture) = screen.take_snapshot() {
            if core::mem::take(&mut self.is_snapshot_wanted) {
                self.keep_snapshot(&picture);
            }
            if wants_far_side {
                self.stills.handle_picture(Look::Call, &picture);
            }
            if wants_caller {
                self.chronicle.note_caller(picture);
            }
        } else if wants_caller || wants_far_side || self.is_snapshot_wanted {
            screen.request_snapshot();
        }
    }

    /// Refreshes what other threads, and the voice codec, should know of the network.
    pub(super) fn look_at_network(&mut self, now: Instant) {
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
        // Only the metrics look at it.
        if self.settings.metrics.is_some() {
            let house = self.house_view(flow.loss_in, flow.loss_out);
            self.board.view.set_house(house);
        }
    }

    fn house_view(&mut self, loss_in: f32, loss_out: f32) -> HouseView {
        let mut view = HouseView {
            state: self.told_state.0.clone(),
            loss_in,
            loss_out,
            devices: self.board.devices(),
            steps: self.board.loads.steps(),
            repairs: self.board.supervision.repairs().to_vec(),
            ..HouseView::default()
        };
        for neighbour in self.house.neighbours() {
            let is_here = neighbour.peer.is_here();
            let flow = self.board.endpoint.payloads(neighbour.peer.link).map(|flow| flow.report()).unwrap_or_default();
            view.counts += flow.counts;
            view.peers.push(PeerView { name: neighbour.name.clone(), is_here, rtt: flow.rtt.filter(|_| is_here) });
        }
        let stats = self.board.endpoint.stats();
        (view.refused_datagrams, view.refused_strangers) = (stats.refused(), stats.refused_stranger.get());
        (view.sent_bytes, view.received_bytes) = (stats.sent_bytes.get(), stats.received_bytes.get());
        view
    }
}
