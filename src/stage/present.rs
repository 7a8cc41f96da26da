//! The stage whose clock is the screen: the newest decoded picture, at the next vblank.
//!
//! **One picture is under way at a time, and the newest wins.** While one is, the next stays in the mailbox, where a newer
//! one replaces it; so what is drawn is as new as it can be. A lease goes back as soon as the screen has its copy, or, where
//! the screen reads the decoder's own memory, as soon as another picture is seen in its place. Late pictures after a stall
//! are passed over ([`lateness`]). While the net loop has a card on the [`Board`], it is shown instead of pictures; and
//! fields, dark and bright, while it wants to know how long pictures take ([`light`]). What stands upon a picture is laid
//! over it by the screen, where it can, and else drawn into a copy ([`give`]).
//!
//! A screen that faults is opened again after a growing pause; pictures meanwhile are dropped, and the rest of the station
//! goes on.

mod board;
mod give;
mod lateness;
mod light;
mod stats;

pub use board::{Board, Lighting};
pub use stats::PresentStats;

use super::health::{Health, Pause, State};
use super::{Anew, Context};
use crate::card::{self, Card, Manner, Sheet};
use crate::codec::convert::Converter;
use crate::device::drm::Options;
use crate::device::screen::{Screen, ScreenSpec};
use crate::device::{DecodedFrame, Fault, FaultKind, VideoSink};
use crate::media::{ColourRange, Picture, Size};
use crate::ring::{Lent, Receiver};
use crate::sys::poll::{self, Wait};
use crate::sys::{clock, wake::Wake};
use crate::time::{Duration, Instant, earliest};
use give::{Own, keep_snapshot};
use lateness::Lateness;
use light::Light;
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;

/// How late, beyond what the path costs by itself, a picture may be: about what two people who talk do not notice.
const LATE_LIMIT: Duration = Duration::from_millis(150);

/// A picture that stands longer than this counts as frozen: three periods of the slowest stream that is meant to move
/// (15 a second).
const FROZEN_AFTER: Duration = Duration::from_millis(200);
/// Of the copy of a card that is on no screen yet.
const COPY_SIZE: Size = Size::new(640, 480);

/// What the stage is joined to.
#[derive(Debug)]
pub struct PresentPorts {
    /// The newest decoded picture.
    pub pictures: Receiver<Lent<DecodedFrame>>,
    /// The station's own picture, small, for a corner; none without a camera.
    pub mirror: Option<Receiver<Lent<Picture>>>,
    /// Signalled by whoever puts a picture into `pictures`; the board's own.
    pub wake: Wake,
    /// What the net loop wants shown besides pictures.
    pub board: Board,
    /// How the screen is.
    pub health: Health,
    /// What is counted.
    pub stats: Arc<PresentStats>,
}

/// Starts the stage. `options` are for a KMS screen.
///
/// # Errors
/// Where no thread can be started.
pub fn spawn(context: Context, spec: ScreenSpec, options: Options, ports: PresentPorts) -> io::Result<JoinHandle<()>> {
    Present::new(context, spec, options, ports).start()
}

/// What was given to the screen and is not yet seen.
#[derive(Clone, Copy, Debug)]
enum UnderWay {
    Card,
    /// A field of a measurement, in nobody's turn.
    Field,
    Picture {
        captured_at: Instant,
        decoded_at: Instant,
        number: u64,
    },
}

struct Present {
    context: Context,
    spec: ScreenSpec,
    options: Options,
    ports: PresentPorts,
    screen: Option<Screen>,
    /// When to open the screen; `None` while it is open, or is not to be opened again.
    open_at: Option<Instant>,
    pause: Pause,
    under_way: Option<UnderWay>,
    /// The board's, as last read.
    version: u64,
    card: Option<Card>,
    manner: Manner,
    is_asleep: bool,
    /// The overlay, painted.
    sheet: Sheet,
    own: Own,
    is_card_due: bool,
    is_snapshot_wanted: bool,
    /// For cards, marked pictures, and copies of what the screen cannot read where it is.
    scratch: Option<Picture>,
    converter: Converter,
    /// Size and range of the last picture: what cards are drawn in where the screen takes any.
    last: Option<(Size, ColourRange)>,
    lateness: Lateness,
    /// When the picture last moved; `None` while none is meant to.
    moved_at: Option<Instant>,
    /// A measurement from light to light, while one goes on.
    light: Option<Box<Light>>,
}

impl Present {
    fn new(context: Context, spec: ScreenSpec, options: Options, ports: PresentPorts) -> Present {
        Present {
            context,
            spec,
            options,
            ports,
            screen: None,
            open_at: Some(Instant::ZERO),
            pause: Pause::default(),
            under_way: None,
            version: 0,
            card: None,
            manner: Manner::default(),
            is_asleep: false,
            sheet: Sheet::default(),
            own: Own::default(),
            is_card_due: false,
            is_snapshot_wanted: false,
            scratch: None,
            converter: Converter::new(),
            last: None,
            lateness: Lateness::new(LATE_LIMIT),
            moved_at: None,
            light: None,
        }
    }

    fn start(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("present".into()).spawn(move || self.run())
    }

    fn run(mut self) {
        while !self.context.stop.is_stopped() {
            self.ports.wake.drain();
            let now = clock::now();
            if self.context.bell.answer().has(Anew::Device) && self.screen.take().is_some() {
                (self.under_way, self.open_at) = (None, Some(now));
            }
            self.read_board(now);
            if self.open_at.is_some_and(|at| now >= at) {
                self.open(now);
            }
            self.turn_light(now);
            if let Err(fault) = self.serve() {
                self.lose(fault, clock::now());
            }
            self.pass_over();
            if let Err(error) = self.wait() {
                tracing::error!("present: cannot poll: {error}");
                break;
            }
        }
        self.settle(clock::now());
    }

    fn wait(&self) -> io::Result<()> {
        let wait = self.screen.as_ref().map_or_else(Wait::default, VideoSink::wait);
        let light_at = self.light.as_ref().and_then(|light| light.poll_timeout(clock::now()));
        let until = [self.open_at, light_at].into_iter().fold(wait.at, earliest);
        let [wake, stop, bell] = [self.ports.wake.as_fd(), self.context.stop.as_fd(), self.context.bell.as_fd()]
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match wait.fd {
            Some((fd, events)) => poll::wait(&mut [wake, stop, bell, PollFd::new(fd, events)], until),
            None => poll::wait(&mut [wake, stop, bell], until),
        }
    }

    fn read_board(&mut self, now: Instant) {
        let version = self.ports.board.version();
        if version == self.version {
            return;
        }
        self.version = version;
        let notes = self.ports.board.notes();
        self.is_snapshot_wanted = notes.is_snapshot_wanted;
        let is_light_wanted = notes.light.is_on;
        self.sheet.set(&notes.overlay, &notes.manner);
        let is_new = self.card != notes.card || self.is_asleep != notes.is_asleep;
        let is_drawn_anew = is_new || self.manner != notes.manner;
        (self.manner, self.is_asleep) = (notes.manner, notes.is_asleep);
        if is_new {
            self.card.clone_from(&notes.card);
        }
        drop(notes);
        // A card that stands there is drawn once more for its copy.
        if is_drawn_anew || self.is_snapshot_wanted {
            self.is_card_due = self.is_covered();
        }
        if is_new {
            self.settle(now);
        }
        if is_light_wanted {
            self.light.get_or_insert_with(|| Box::new(Light::new(now)));
        }
    }

    /// Whether something else than pictures is on the screen.
    fn is_covered(&self) -> bool {
        self.is_asleep || self.card.is_some()
    }

    fn open(&mut self, now: Instant) {
        match Screen::open(&self.spec, self.options, now) {
            Ok(screen) => {
                if let Some(size) = screen.size() {
                    self.ports.board.note_screen(size);
                }
                self.screen = Some(screen);
                self.open_at = None;
                self.is_card_due = self.is_covered();
                self.ports.stats.opened.bump();
                self.ports.health.set(State::Working);
            }
            Err(fault) => self.lose(fault, now),
        }
    }

    /// The screen is gone, or never came.
    fn lose(&mut self, fault: Fault, now: Instant) {
        tracing::debug!("{fault}");
        // Closed first, so that the next attempt finds the device free.
        self.screen = None;
        self.under_way = None;
        self.open_at = (fault.kind != FaultKind::Ended).then(|| self.pause.after_failure(now));
        self.ports.health.set(State::Faulty(fault));
        self.settle(now);
    }

    /// Shows whatever can be shown now.
    fn serve(&mut self) -> Result<(), Fault> {
        loop {
            let now = clock::now();
            let Some(screen) = &mut self.screen else { return Ok(()) };
            if let Some(shown_at) = screen.finish(now)? {
                self.finished(shown_at);
            }
            let Some(screen) = &mut self.screen else { return Ok(()) };
            if !screen.is_ready() {
                return Ok(());
            }
            let begun = if self.is_covered() {
                self.show_card(now)?
            } else {
                self.show_picture(now)? || self.show_light(now)?
            };
            if !begun {
                return Ok(());
            }
        }
    }

    fn finished(&mut self, shown_at: Instant) {
        self.pause.reset();
        self.ports.stats.finished.bump();
        if let Some(light) = &mut self.light {
            light.handle_shown(shown_at);
        }
        let Some(UnderWay::Picture { captured_at, decoded_at, number }) = self.under_way.take() else { return };
        let stats = &self.ports.stats;
        stats.latency.record(shown_at.since(captured_at));
        stats.present.record(shown_at.since(decoded_at));
        stats.shown.bump();
        stats.last_number.set(number);
        stats.last_shown_at.set(shown_at.as_nanos());
        self.settle(shown_at);
        self.moved_at = (!self.is_covered()).then_some(shown_at);
    }

    /// Counts the time since the picture last moved, if that was too long, and begins anew.
    fn settle(&mut self, now: Instant) {
        let Some(still) = self.moved_at.take().map(|at| now.since(at)) else { return };
        if still > FROZEN_AFTER {
            self.ports.stats.freezes.bump();
            self.ports.stats.frozen_ms.add(u64::try_from(still.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// Draws the card if it has changed. A sink that takes any size (a file) gets none before its first picture, which
    /// says what size the stream has.
    fn show_card(&mut self, now: Instant) -> Result<bool, Fault> {
        let Some(screen) = &mut self.screen else { return Ok(false) };
        let size = screen.size().or(self.last.map(|(size, _)| size));
        // A file that takes any size waits for its first picture; who wants a copy of the card does not.
        if !self.is_card_due || size.is_none() && !self.is_snapshot_wanted {
            return Ok(false);
        }
        self.is_card_due = size.is_none();
        let (size, is_shown) = (size.unwrap_or(COPY_SIZE), size.is_some());
        let picture = self.scratch.get_or_insert_with(|| Picture::new(size));
        picture.reshape(size);
        picture.range = self.last.map_or(ColourRange::Limited, |(_, range)| range);
        match &self.card {
            Some(card) if !self.is_asleep => card::draw(card, &self.manner, picture),
            _ => picture.fill(if picture.range == ColourRange::Full { 0 } else { 16 }, 128, 128),
        }
        if is_shown {
            screen.show(picture, now)?;
            self.under_way = Some(UnderWay::Card);
            self.ports.stats.given.bump();
        }
        if core::mem::take(&mut self.is_snapshot_wanted) {
            keep_snapshot(&self.ports.board, picture, &self.context.net);
        }
        Ok(is_shown)
    }

    /// Shows the newest picture that is not too late.
    fn show_picture(&mut self, now: Instant) -> Result<bool, Fault> {
        let Some(screen) = &mut self.screen else { return Ok(false) };
        let Some(frame) = self.ports.pictures.take() else { return Ok(false) };
        if self.lateness.is_late(frame.captured_at, now) {
            self.ports.stats.late.bump();
            return Ok(true);
        }
        let size = frame.size();
        self.last = Some((size, frame.range()));
        if screen.size().is_none() {
            self.ports.board.note_screen(size);
        }
        let DecodedFrame { captured_at, decoded_at, number, .. } = *frame;
        if !self.give(frame, now)? {
            return Ok(true);
        }
        self.lateness.shown(now);
        self.under_way = Some(UnderWay::Picture { captured_at, decoded_at, number });
        self.ports.stats.given.bump();
        Ok(true)
    }

    /// Gives back at once what cannot be shown, so that the decoder has its slots.
    fn pass_over(&mut self) {
        let counter = match &self.screen {
            None => &self.ports.stats.no_screen,
            Some(_) if self.is_covered() => &self.ports.stats.covered,
            Some(_) => return,
        };
        while let Some(frame) = self.ports.pictures.take() {
            self.last = Some((frame.size(), frame.range()));
            counter.bump();
        }
    }
}

#[cfg(test)]
mod tests;
