//! The vigil: whether what should move does, part by part, and what is done about a part that does not. Pure: it is told
//! what is so, once a second, and says what is to be done.
//!
//! **A part owes progress** while its clock runs (a camera that works), or as long as what went into it has not come out (a
//! bell that was rung, a picture that was given to the encoder). One that owes for longer than its rule allows is put right
//! by the next rung of its ladder, and has as long again:
//!
//! 1. its device, or its codec, is *made anew* by its own thread;
//! 2. its *USB port* is switched off and on, where this program may do that;
//! 3. the *program ends*, for systemd to start it again, and [`Vigil::is_well`] says no from then on;
//! 4. where that is not to be, the first is tried again after growing pauses, for ever.
//!
//! **A thread that does not answer its bell is not abandoned: the program ends, at once.** Such a thread has its device
//! open, so that nobody else could open it, holds the ends of its rings and lent buffers that would never come back, and
//! cannot be ended. A new process costs a second, and the kernel takes all of that back.
//!
//! **The program's end is spent only on what has moved in this run**, since otherwise it would end over and over for what a
//! new start does not mend: a camera before which nothing moves, a driver that never opens. For a device alone it
//! ends no call, which has sound while the picture is missing, and not before it has run for a while ([`END_AFTER`]).
//!
//! After a pause of the whole program, and on a board that was too busy to look, nothing is held against anybody.

mod rules;

use crate::time::{Duration, Instant};
use rules::{Rule, Rung};

/// How often it looks: a small part of the shortest time that is allowed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look that is later than this was held up itself.
const LATE: Duration = Duration::from_secs(3);
/// So long a part must move before its complaint is taken back.
const SETTLED: Duration = Duration::from_secs(2);
/// A part that stops again within this time goes on up its ladder instead of beginning at the first rung.
const RELAPSE: Duration = Duration::from_mins(1);
/// The pause before the first of the repairs that go on for ever; each is twice as long as the one before …
const AGAIN_FIRST: Duration = Duration::from_mins(1);
/// … up to this: so often a camera that does stand still may blink.
const AGAIN_MOST: Duration = Duration::from_hours(1);
/// The program does not end for a device before it has run so long, so that whatever it mends it does not do so often.
pub const END_AFTER: Duration = Duration::from_mins(10);

/// What is watched: first the threads, then what they move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The capture thread turns.
    Capture,
    /// The compress thread turns.
    Compress,
    /// The expand thread turns.
    Expand,
    /// The present thread turns.
    Present,
    /// The voice thread turns.
    Voice,
    /// The talk thread turns.
    Talk,
    /// Frames come from the camera.
    Camera,
    /// They are not all the same.
    Scene,
    /// Of the frames given to the encoder, some come out.
    Encoder,
    /// Of the pictures given to the decoder, some come out.
    Decoder,
    /// What is given to the screen is seen.
    Screen,
    /// Periods come from the microphone.
    Microphone,
    /// The loudspeaker takes periods.
    Loudspeaker,
}

impl Part {
    /// All of them, in the order of [`Facts::observed`].
    pub const ALL: [Part; 13] = [
        Part::Capture,
        Part::Compress,
        Part::Expand,
        Part::Present,
        Part::Voice,
        Part::Talk,
        Part::Camera,
        Part::Scene,
        Part::Encoder,
        Part::Decoder,
        Part::Screen,
        Part::Microphone,
        Part::Loudspeaker,
    ];

    /// The device that people know it by.
    pub fn device(self) -> &'static str {
        self.rule().device
    }
}

/// Whether a part should move now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demand {
    /// It need not: it is not configured, or has said what it lacks.
    #[default]
    None,
    /// By itself.
    Clocked,
    /// As this grows, which counts what went in.
    Fed(u64),
}

/// One part, as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observation {
    /// Whether it should move.
    pub demand: Demand,
    /// What it has moved so far: any change is progress.
    pub progress: u64,
}

/// How everything is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// In the order of [`Part::ALL`].
    pub observed: [Observation; Part::ALL.len()],
    /// There is a call, which an end of the program would cut.
    pub is_in_call: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The part's device or codec is to be made anew.
    MakeAnew(Part),
    /// The port of the part's device is to be switched off and on; where that cannot be, [`Vigil::handle_no_port`].
    ResetPort(Part),
    /// The program is to end, for the reason that is given.
    End(String),
}

/// One part, watched.
#[derive(Clone, Debug)]
struct Watch {
    part: Part,
    progress: u64,
    /// What had gone in when it last moved; unknown while it need not move.
    fed: Option<u64>,
    has_moved: bool,
    /// Since when it owes progress, or since the last rung.
    owes_since: Option<Instant>,
    /// How long it may do so before the next rung.
    patience: Duration,
    /// Since when it owes nothing.
    well_since: Option<Instant>,
    /// The next of its ladder.
    rung: usize,
    /// Of the repairs that go on for ever.
    pause: Duration,
    /// What is done about it, as was last told.
    told: Option<&'static str>,
}

/// Watches over all parts.
#[derive(Debug)]
pub struct Vigil {
    started_at: Instant,
    looks_at: Instant,
    watches: Vec<Watch>,
    orders: heapless::Deque<Order, { Part::ALL.len() }>,
    is_ending: bool,
}

impl Vigil {
    /// Nothing has moved yet.
    pub fn new(now: Instant) -> Vigil {
        let watches = Part::ALL.into_iter().map(Watch::new).collect();
        Vigil { started_at: now, looks_at: now, watches, orders: heapless::Deque::new(), is_ending: false }
    }

    /// Takes in how everything is; to be called at [`Vigil::poll_timeout`].
    pub fn handle_facts(&mut self, now: Instant, facts: &Facts) {
        let is_late = now.since(self.looks_at) > LATE;
        self.looks_at = now + LOOK_EVERY;
        let may_end_for_device = !facts.is_in_call && now.since(self.started_at) >= END_AFTER;
        for (watch, observation) in self.watches.iter_mut().zip(facts.observed) {
            if is_late {
                // What is owed is owed from now on.
                watch.owes_since = None;
            }
            if watch.handle(now, observation)
                && let Some(order) = watch.climb(now, may_end_for_device)
            {
                self.is_ending |= matches!(order, Order::End(_));
                // There is room for one of each part, and all are taken between two looks.
                let _ = self.orders.push_back(order);
            }
        }
    }

    /// There is no port to be reset for a part: its next rung is climbed at the next look.
    pub fn handle_no_port(&mut self, part: Part) {
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.part == part) {
            watch.patience = Duration::ZERO;
        }
    }

    /// What is to be done, one after the other.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// When it wants to look.
    pub fn poll_timeout(&self) -> Instant {
        self.looks_at
    }

    /// Whether the watchdog may be told that all is well: everything moves, or has said why not, or is being repaired.
    pub fn is_well(&self) -> bool {
        !self.is_ending
    }

    /// What does not move though it should, and what is done about it, in words that begin with the device.
    pub fn complaints(&self) -> impl Iterator<Item = (Part, String)> {
        self.watches.iter().filter_map(|watch| Some((watch.part, watch.words(watch.told?))))
    }
}

impl Watch {
    fn new(part: Part) -> Watch {
        Watch {
            part,
            progress: 0,
            fed: None,
            has_moved: false,
            owes_since: None,
            patience: part.rule().within,
            well_since: None,
            rung: 0,
            pause: AGAIN_FIRST,
            told: None,
        }
    }

    fn words(&self, remedy: &str) -> String {
        let Rule { device, what, .. } = self.part.rule();
        format!("{device}: {what}; {remedy}")
    }

    /// Takes in how it is; whether something must be done about it.
    fn handle(&mut self, now: Instant, observation: Observation) -> bool {
        let Rule { within, least, .. } = self.part.rule();
        let has_moved = observation.progress != self.progress;
        if has_moved {
            (self.progress, self.fed, self.has_moved) = (observation.progress, None, true);
        }
        let owes = match observation.demand {
            Demand::None => {
                (self.fed, self.owes_since, self.well_since, self.told) = (None, None, None, None);
                self.patience = within;
                return false;
            }
            Demand::Clocked => !has_moved,
            Demand::Fed(fed) => fed.saturating_sub(*self.fed.get_or_insert(fed)) >= least,
        };
        if owes {
            self.well_since = None;
            return now >= *self.owes_since.get_or_insert(now) + self.patience;
        }
        (self.owes_since, self.patience) = (None, within);
        self.note_well(now);
        false
    }

    fn note_well(&mut self, now: Instant) {
        let since = now.since(*self.well_since.get_or_insert(now));
        if since >= SETTLED {
            self.told = None;
        }
        if since >= RELAPSE {
            (self.rung, self.pause) = (0, AGAIN_FIRST);
        }
    }

    /// Does the next thing about it.
    fn climb(&mut self, now: Instant, may_end_for_device: bool) -> Option<Order> {
        let Rule { within, ladder, anew, .. } = self.part.rule();
        (self.owes_since, self.patience) = (Some(now), within);
        match ladder.get(self.rung) {
            Some(Rung::MakeAnew) => {
                self.rung += 1;
                self.told = Some(anew);
                Some(Order::MakeAnew(self.part))
            }
            Some(Rung::ResetPort) => {
                self.rung += 1;
                Some(Order::ResetPort(self.part))
            }
            Some(Rung::End { is_thread }) if self.has_moved && (*is_thread || may_end_for_device) => {
                let remedy = "the program ends, to be started again";
                self.told = Some(remedy);
                Some(Order::End(self.words(remedy)))
            }
            Some(Rung::End { .. }) | None => self.again(),
        }
    }

    /// All rungs have been climbed: the first one, after growing pauses.
    fn again(&mut self) -> Option<Order> {
        self.patience = self.pause;
        self.pause = (self.pause * 2).min(AGAIN_MOST);
        let can_be_made_anew = self.part.rule().ladder.first() == Some(&Rung::MakeAnew);
        self.told = Some(if can_be_made_anew { "it is tried again from time to time" } else { "it is waited for" });
        can_be_made_anew.then_some(Order::MakeAnew(self.part))
    }
}

#[cfg(test)]
mod tests;
