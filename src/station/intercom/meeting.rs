//! A pairing that is going on: its code on the screen and before the camera, its link, and what comes of it.

use super::house::House;
use crate::card::{Card, Fault};
use crate::find::{Change, Found};
use crate::identity::{AddressBook, Code, Outcome, Pairing, PublicKey, Step, Ticket, system_random};
use crate::link::{CloseReason, Event, LinkId, Trust};
use crate::station::peer::Peer;
use crate::station::resolve::own_addresses;
use crate::station::switchboard::Switchboard;
use crate::time::{Duration, Instant};
use crate::wire::PROTOCOL_VERSION;
use std::net::SocketAddr;

/// How long the card stands that says how it went: two sentences are read in that time.
const RESULT_TIME: Duration = Duration::from_secs(8);

/// A pairing, or the card of one that has just ended.
pub(super) struct Meeting {
    pairing: Pairing,
    peer: Peer,
    /// The code and the ticket as the card shows them; forgotten at the end.
    words: String,
    ticket: String,
    /// Stations that announce that they are pairing.
    pairing_too: Vec<Found>,
    outcome: Option<(Outcome, Instant)>,
}

/// What whoever drives it must do.
pub(super) enum Consequence {
    /// The address book has changed: links and policies are to follow.
    BookChanged,
    /// It is over.
    Ended(Outcome),
}

impl Meeting {
    /// Begins: a new code, a link that listens under it, the eye open. `None` where all links are in use.
    pub fn begin(now: Instant, board: &mut Switchboard, own: PublicKey, found: Vec<Found>) -> Option<Meeting> {
        let code = Code::generate(system_random);
        let words = code.to_string();
        let port = board.socket.local_port().unwrap_or(0);
        let ticket = Ticket::new(code.clone(), &own, &board.name, port, &own_addresses()).to_text().to_string();
        let pairing = Pairing::start(now, own, code, board.endpoint.stats().refused_mac.get());
        let trusts: Vec<_> = pairing.psks().map(|psk| Trust::Code(psk.clone())).collect();
        let link = board.endpoint.dial(now, &trusts, &[])?;
        if let Some(looks) = &board.stages.looks {
            looks.eye.set_open(true);
        }
        let mut meeting =
            Meeting { pairing, peer: Peer::new(link), words, ticket, pairing_too: Vec::new(), outcome: None };
        found.into_iter().for_each(|found| meeting.handle_found(&Change::Found(found)));
        Some(meeting)
    }

    /// The link under the code.
    pub fn link(&self) -> LinkId {
        self.peer.link
    }

    /// This station's own code.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether codes still count.
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// The other station's code was typed here, and perhaps where it is.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn handle_typed(&mut self, code: &str, addresses: &[SocketAddr]) -> Result<(), String> {
        let code = code.parse::<Code>().map_err(|error| error.to_string())?;
        self.pairing.handle_code(code).map_err(|refused| refused.to_string())?;
        addresses.iter().for_each(|address| self.pairing.handle_address(*address));
        Ok(())
    }

    /// Another station announces itself, or no more.
    pub fn handle_found(&mut self, change: &Change) {
        let (Change::Found(found) | Change::Lost(found)) = change;
        self.pairing_too.retain(|known| known.instance != found.instance);
        if matches!(change, Change::Found(_)) && found.pairing && self.pairing_too.len() < crate::find::FOUND_MAX {
            self.pairing_too.push(found.clone());
        }
        let addresses: Vec<_> = self.pairing_too.iter().flat_map(|found| found.addresses.iter().copied()).collect();
        self.pairing.handle_found(&addresses);
    }

    /// Something happened to the link under the code.
    pub fn handle_link(&mut self, now: Instant, board: &mut Switchboard, event: Event) {
        match event {
            Event::Connected { peer, address } | Event::Replaced { peer, address } => {
                self.peer.replace(now, peer);
                board.introduce(&mut self.peer, PROTOCOL_VERSION);
                let place = board.endpoint.trust_place(self.peer.link).unwrap_or_default();
                self.pairing.handle_met(place, peer.key, address);
            }
            Event::Closed { .. } => self.pairing.handle_left(),
            Event::Away { .. } | Event::Back { .. } | Event::Roamed { .. } => {}
        }
    }

    /// The other station says its name over that link.
    pub fn handle_name(&mut self, now: Instant, name: &str) {
        if let Some(met) = self.peer.met {
            self.pairing.handle_name(now, &met.key, name);
        }
    }

    /// A session by key with this station stands.
    pub fn handle_known(&mut self, key: &PublicKey) {
        self.pairing.handle_known(key);
    }

    /// Somebody here wants no more of it.
    pub fn stop(&mut self) {
        self.pairing.stop();
    }

    /// Does what is due, and what the pairing asks for; what follows from it. To be called in each turn.
    pub fn turn(&mut self, now: Instant, board: &mut Switchboard, house: &mut House) -> Vec<Consequence> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        while let Some(text) = board.stages.looks.as_ref().and_then(|looks| looks.eye.poll()) {
            // Most symbols that a camera sees are no tickets, and the right one is seen many times.
            match text.parse::<Ticket>().map(|ticket| self.pairing.handle_ticket(ticket)) {
                Ok(Ok(())) => tracing::info!("another station's code was read"),
                Ok(Err(refused)) => tracing::debug!("a code was read: {refused}"),
                Err(error) => tracing::debug!("a QR code was read that is none of ours: {error}"),
            }
        }
        self.pairing.handle_refused(board.endpoint.stats().refused_mac.get());
        self.pairing.handle_timeout(now);
        let mut consequences = Vec::new();
        while let Some(step) = self.pairing.poll_step() {
            self.take(now, step, board, house, &mut consequences);
        }
        consequences
    }

    fn take(
        &mut self,
        now: Instant,
        step: Step,
        board: &mut Switchboard,
        house: &mut House,
        consequences: &mut Vec<Consequence>,
    ) {
        match step {
            Step::Look => {
                let trusts: Vec<_> = self.pairing.psks().map(|psk| Trust::Code(psk.clone())).collect();
                board.endpoint.set_trusts(now, self.peer.link, &trusts);
                board.endpoint.set_addresses(now, self.peer.link, &self.pairing.addresses());
            }
            Step::Keep { key, name, address } => {
                let kept = house.change(|book: &mut AddressBook| book.keep(key, &name, address));
                self.pairing.handle_kept(kept);
                consequences.push(Consequence::BookChanged);
                if house.by_key(&key).is_some_and(|known| known.peer.is_here()) {
                    self.pairing.handle_known(&key);
                }
            }
            Step::Forget { key } => {
                let forgotten = house.change(|book| {
                    book.remove(&key);
                    Ok(())
                });
                if let Err(why) = forgotten {
                    tracing::warn!("a station that was not paired stays in the address book: {why}");
                }
                consequences.push(Consequence::BookChanged);
            }
            Step::Ended(outcome) => {
                board.endpoint.close(now, self.peer.link, CloseReason::HungUp);
                if let Some(looks) = &board.stages.looks {
                    looks.eye.set_open(false);
                }
                self.words.clear();
                self.ticket.clear();
                self.outcome = Some((outcome.clone(), now + RESULT_TIME));
                consequences.push(Consequence::Ended(outcome));
            }
        }
    }

    /// When [`Meeting::turn`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.outcome {
            None => self.pairing.poll_timeout(),
            Some((_, until)) => Some(*until),
        }
    }

    /// Whether even its card has been read.
    pub fn is_over(&self, now: Instant) -> bool {
        self.outcome.as_ref().is_some_and(|(_, until)| now >= *until)
    }

    /// What the screen shows of it.
    pub fn card(&self, now: Instant) -> Card {
        match &self.outcome {
            None => Card::Pairing {
                // Blanks, at which a small screen may break the line.
                words: self.words.replace('-', " "),
                code: self.ticket.clone(),
                seconds: self.pairing.ends_at().since(now).as_secs(),
            },
            Some((Outcome::Paired { name, .. }, _)) => Card::Paired { name: name.clone() },
            Some((Outcome::Failed(failure), _)) => Card::Fault(Fault::Other(failure.to_string())),
        }
    }
}
