//! Pictures that clients of the control socket ask for: of who stands here, and of who rings or is talked to.
//!
//! A client waits until its picture has come, or will not; whoever asks for the same meanwhile gets the same.

use super::Intercom;
use crate::media::Picture;
use crate::panel::protocol::{Answer, Happening, Look, STILL_BYTES_MAX};
use crate::panel::socket::ClientId;
use crate::station::darkroom::Darkroom;
use crate::sys::wake::Wake;
use crate::time::{Duration, Instant, earliest};
use std::io;

/// How long a picture may take: a call's first one comes when its path is known and a key frame has crossed it. Clients wait
/// longer.
const WITHIN: Duration = Duration::from_secs(5);
/// Clients that wait at once, those that have gone meanwhile among them.
const WAITING_MAX: usize = 32;

/// Who waits for what.
pub(super) struct Stills {
    darkroom: Darkroom<Look>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    client: ClientId,
    look: Look,
    until: Instant,
    /// Its picture is being made an image.
    is_taken: bool,
}

impl Stills {
    /// Starts the thread that makes images.
    ///
    /// # Errors
    /// Where the system refuses it.
    pub fn start(net: Wake) -> io::Result<Stills> {
        Ok(Stills { darkroom: Darkroom::start(STILL_BYTES_MAX, net)?, waiting: Vec::new() })
    }

    /// Somebody wants a picture.
    pub fn handle_wish(&mut self, now: Instant, client: ClientId, look: Look) {
        self.waiting.push(Waiting { client, look, until: now + WITHIN, is_taken: false });
    }

    /// Whether a picture is wanted.
    pub fn wants(&self, look: Look) -> bool {
        self.waiting.iter().any(|waiting| waiting.look == look && !waiting.is_taken)
    }

    /// A picture.
    pub fn handle_picture(&mut self, look: Look, picture: &Picture) {
        if !self.wants(look) || !self.darkroom.handle_picture(look, picture.clone()) {
            return;
        }
        let is_meant = |waiting: &&mut Waiting| waiting.look == look;
        self.waiting.iter_mut().filter(is_meant).for_each(|waiting| waiting.is_taken = true);
    }

    /// What is answered to whom now.
    fn poll_answers(&mut self, now: Instant) -> Vec<(ClientId, Answer)> {
        let mut answers = Vec::new();
        while let Some((look, image)) = self.darkroom.poll_image() {
            let answer = image.map_or_else(Answer::Refused, Answer::Still);
            let ready = self.waiting.extract_if(.., |waiting| waiting.look == look && waiting.is_taken);
            answers.extend(ready.map(|waiting| (waiting.client, answer.clone())));
        }
        let late = self.waiting.extract_if(.., |waiting| now >= waiting.until);
        answers.extend(late.map(|waiting| {
            let words = match waiting.look {
                Look::Camera => "no picture came from this station's camera: see visavis status",
                Look::Call => "no picture came from the other station",
            };
            (waiting.client, Answer::Refused(words.into()))
        }));
        answers
    }

    /// When somebody has waited long enough.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| Some(waiting.until)).fold(None, earliest)
    }
}

impl Intercom {
    /// Has a picture taken for a client, or answers at once why there is none.
    pub(super) fn look(&mut self, now: Instant, client: ClientId, look: Look) -> Option<Answer> {
        let refusal = match (look, &self.board.stages.looks) {
            (Look::Camera, None) => Some("this station has no camera"),
            _ if self.stills.waiting.len() >= WAITING_MAX => Some("too many wait for a picture: try again"),
            (Look::Call, _) if self.board.routes().show.is_none() => Some("there is no call with a picture"),
            _ => None,
        };
        if let Some(words) = refusal {
            return Some(Answer::Refused(words.into()));
        }
        self.stills.handle_wish(now, client, look);
        if let (Look::Camera, Some(looks)) = (look, &self.board.stages.looks) {
            looks.still.switch().set(true);
        }
        self.housekeeping_at = now;
        None
    }

    /// Whether a picture of the far side is wanted, and one has come that can be taken.
    pub(super) fn wants_far_side(&mut self) -> bool {
        let shown = self.board.routes().show;
        self.stills.wants(Look::Call)
            && shown.and_then(|link| self.house.by_link(link)).is_some_and(|neighbour| neighbour.peer.has_picture)
    }

    /// Answers those whose picture has come, or will not.
    pub(super) fn answer_looks(&mut self, now: Instant) {
        for (client, answer) in self.stills.poll_answers(now) {
            if let Some(control) = &mut self.chronicle.control {
                control.answer(now, client, answer);
            }
        }
    }

    /// Tells when the strike gets current, and when it has it no more.
    pub(super) fn note_door(&mut self, now: Instant) {
        let is_open = self.hands.is_releasing();
        if core::mem::replace(&mut self.told_door, is_open) != is_open {
            self.chronicle.publish(now, Happening::DoorOpen(is_open));
        }
    }
}
