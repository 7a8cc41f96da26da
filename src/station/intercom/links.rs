//! What comes over the links, and from the network at large: who is there, who began anew, who is found where, and the
//! pairing that goes on.

use super::meeting::Consequence;
use super::{Intercom, here, policies, wall};
use crate::find::{Change, Finder};
use crate::identity::Outcome;
use crate::link::flow::{Flow, FlowEvent};
use crate::link::{Event, LinkId};
use crate::panel::protocol::Happening;
use crate::time::Instant;
use crate::wire::{Control, PROTOCOL_VERSION, PROTOCOL_VERSION_OF_CALLS};

/// Stations that announce that they are pairing, and are called when pairing begins here.
const FOUND_MAX: usize = 16;

impl Intercom {
    pub(super) fn handle_links(&mut self, now: Instant) {
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
                if let Some(unsaid) = self.often.roamed.admit(now) {
                    tracing::info!(peer = name, "{name} is now at {address}{unsaid}");
                }
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

    pub(super) fn handle_finder(&mut self, now: Instant) {
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

    pub(super) fn turn_meeting(&mut self, now: Instant) {
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
        let announcement = self.announcement(false);
        if let Some(finder) = &mut self.finder {
            finder.announce(announcement);
        }
        let (words, peer) = match outcome {
            Outcome::Paired { name, .. } => (format!("paired with {name}"), Some(name.clone())),
            Outcome::Failed(failure) => (failure.to_string(), None),
        };
        self.chronicle.publish(now, Happening::Pairing { words, is_over: true, peer });
        self.housekeeping_at = now;
    }

    /// The address book is another: links, policies and announcements follow.
    pub(super) fn follow_book(&mut self, now: Instant) {
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
}
