//! The policy: when to step down, and when to try a step up.

use super::Step;
use crate::time::{Duration, Instant};
use core::fmt;

/// How often it looks: several frames at the usual rates, and five looks in the second within which it must act.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looks that are remembered: a second.
const LOOKS: usize = 5;
/// So many of them strained are a step down: one frame that took long (a key frame, a stalled disk) is not.
const STRAINED_MOST: u32 = 3;
/// A thread that works more than this share of the time has no room for a harder picture, and is about to be late.
const BUSY_MOST: f32 = 0.9;
/// A step up that would make it busier than this is not likely to last.
const BUSY_AFTERWARDS: f32 = 0.85;
/// Frames that were due and not made, of two looks: a share of them, and more than what falls between two looks.
const MISSED_SHARE: f32 = 0.25;
const MISSED_LEAST: f32 = 1.5;
/// After a step the encoder begins anew with a key frame, and what waited is worked off: that is not looked at.
const SETTLE: Duration = Duration::from_millis(400);
/// Heat follows work slowly: what a step brings shows after this time at the earliest.
const HEAT_PAUSE: Duration = Duration::from_secs(10);
/// Quiet that a step up takes, at first.
const PATIENCE: Duration = Duration::from_secs(30);
/// And after many that failed.
const PATIENCE_MOST: Duration = Duration::from_secs(600);
/// A step up that lasted so long was right.
const TRIAL: Duration = Duration::from_secs(60);
/// Other programs leave the processor (nearly) never alone: no time to take on more.
const PRESSURE_MOST: f32 = 0.9;
/// How much cooler than its limit a board must be before it is given more to do, in thousandths of a degree.
const COOL_MILLIKELVIN: i32 = 3_000;

/// How the board is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Board {
    /// Degrees (in thousandths) left to where the kernel or the firmware throttles; where that is known.
    pub headroom_millikelvin: Option<i32>,
    /// The firmware throttles it now.
    pub is_throttled: bool,
    /// The firmware runs it somewhat slower, since it is warm; deadlines may be kept all the same.
    pub is_warm: bool,
    /// Its supply's voltage is too low, for which the firmware runs it slower too.
    pub is_undervolted: bool,
    /// Share of the time for which something that could run waited for a processor; 0 where it is not known.
    pub pressure: f32,
}

impl Board {
    fn is_too_hot(&self) -> bool {
        self.is_throttled || self.headroom_millikelvin.is_some_and(|left| left <= 0)
    }

    fn is_cool(&self) -> bool {
        !self.is_throttled && self.headroom_millikelvin.is_none_or(|left| left >= COOL_MILLIKELVIN)
    }
}

/// How a direction went since the last look. Nothing flows: all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// Share of the time that its thread worked; more than 1 where a frame ends that began before.
    pub busy: f32,
    /// Frames that were due at the present step.
    pub due: f32,
    /// Of those, frames that were made in time.
    pub made: f32,
    /// How the board is.
    pub board: Board,
}

/// Why pictures are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The board is too hot.
    Heat,
    /// Its power supply is too weak for its full speed.
    Power,
    /// It has more to do than it can.
    Work,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Heat => "the board is too hot",
            Cause::Power => "the board's power supply is too weak",
            Cause::Work => "the board has too much to do",
        })
    }
}

/// Another step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// From now on.
    pub step: Step,
    /// Why it is reduced; none where it no longer is.
    pub cause: Option<Cause>,
}

/// One direction's policy.
#[derive(Debug)]
pub struct Governor {
    step: Step,
    cause: Option<Cause>,
    /// Whether the last looks were strained, the newest first, one bit each.
    strained: u8,
    /// The look before: frames due and made.
    before: (f32, f32),
    /// How busy it was, over about a second.
    busy: f32,
    look_at: Instant,
    settled_at: Instant,
    lowered_at: Option<Instant>,
    /// When it was raised last, until that proves to be right or wrong.
    raised_at: Option<Instant>,
    quiet_since: Option<Instant>,
    patience: Duration,
    change: Option<Change>,
}

impl Governor {
    /// At step 0.
    pub fn new(now: Instant) -> Governor {
        Governor {
            step: Step::default(),
            cause: None,
            strained: 0,
            before: (0.0, 0.0),
            busy: 0.0,
            look_at: now + LOOK_EVERY,
            settled_at: now,
            lowered_at: None,
            raised_at: None,
            quiet_since: None,
            patience: PATIENCE,
            change: None,
        }
    }

    /// At which step pictures are to be.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Why they are reduced, while they are.
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// When it wants to be told how things go.
    pub fn poll_timeout(&self) -> Instant {
        self.look_at
    }

    /// The change that the last look brought, if any.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.change.take()
    }

    /// Takes in how things went since the last look.
    pub fn handle_look(&mut self, now: Instant, look: &Look) {
        self.look_at = now + LOOK_EVERY;
        let misses = self.misses(look);
        self.busy += (look.busy.clamp(0.0, 1.0) - self.busy) / LOOKS as f32;
        if now < self.settled_at {
            return;
        }
        let is_hot = look.board.is_too_hot();
        let is_strained = misses || look.busy >= BUSY_MOST || is_hot;
        self.strained = (self.strained << 1 | u8::from(is_strained)) & ((1 << LOOKS) - 1);
        if self.raised_at.is_some_and(|at| now.since(at) >= TRIAL) {
            self.raised_at = None;
            self.patience = (self.patience / 2).max(PATIENCE);
        }
        if is_strained {
            self.quiet_since = None;
            let is_of_work = misses || look.busy >= BUSY_MOST;
            let has_shown = self.lowered_at.is_none_or(|at| now.since(at) >= HEAT_PAUSE);
            if self.strained.count_ones() >= STRAINED_MOST && (is_of_work || has_shown) {
                self.lower(now, &look.board);
            }
        } else {
            self.consider_raising(now, &look.board);
        }
    }

    /// Whether frames that were due were not made, in this look and the one before.
    fn misses(&mut self, look: &Look) -> bool {
        let (due, made) = (look.due + self.before.0, look.made + self.before.1);
        self.before = (look.due, look.made);
        due - made >= MISSED_LEAST && made < due * (1.0 - MISSED_SHARE)
    }

    fn lower(&mut self, now: Instant, board: &Board) {
        // A raise that does not last: the next attempt waits longer.
        if self.raised_at.take().is_some() {
            self.patience = (self.patience * 2).min(PATIENCE_MOST);
        }
        let Some(step) = self.step.down() else { return };
        self.lowered_at = Some(now);
        let cause = match board {
            board if board.is_too_hot() || board.is_warm => Cause::Heat,
            board if board.is_undervolted => Cause::Power,
            _ => Cause::Work,
        };
        self.go(now, step, Some(cause));
    }

    fn consider_raising(&mut self, now: Instant, board: &Board) {
        let Some(step) = self.step.up().filter(|_| board.is_cool() && board.pressure < PRESSURE_MOST) else {
            self.quiet_since = None;
            return;
        };
        let quiet = now.since(*self.quiet_since.get_or_insert(now));
        // What is not likely to last is tried now and then all the same: nobody knows but by trying.
        let is_likely = self.busy * step.cost() / self.step.cost() <= BUSY_AFTERWARDS;
        if quiet >= if is_likely { self.patience } else { PATIENCE_MOST } {
            let cause = self.cause.filter(|_| step > Step::default());
            self.raised_at = Some(now);
            self.go(now, step, cause);
        }
    }

    fn go(&mut self, now: Instant, step: Step, cause: Option<Cause>) {
        // What the new step costs is not known yet; it should be this.
        self.busy = (self.busy * step.cost() / self.step.cost()).min(1.0);
        (self.step, self.cause, self.strained, self.before) = (step, cause, 0, (0.0, 0.0));
        (self.quiet_since, self.settled_at) = (None, now + SETTLE);
        self.change = Some(Change { step, cause });
    }
}
