//! Touch screens: single-touch ones, and multi-touch ones by protocol B (Documentation/input/multi-touch-protocol.rst).
//!
//! One finger is followed, the first; what others do meanwhile is no touch. Positions are shares of the picture's width
//! and height, 0 to 1 from its upper left corner, whatever way the screen is mounted.

use super::inputs::{Inputs, Read};
use crate::time::Instant;
use core::str::FromStr;
use evdev::raw_stream::RawDevice;
use evdev::{AbsInfo, AbsoluteAxisCode as Axis, EventSummary, KeyCode, PropType, SynchronizationCode};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Fingers that a screen tells apart at most; those beyond are not followed.
const SLOTS_MAX: usize = 16;

/// By how much the picture is turned clockwise on the screen as it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// Not at all.
    #[default]
    None,
    /// Its top is on the right.
    Right,
    /// Upside down.
    Around,
    /// Its top is on the left.
    Left,
}

impl FromStr for Rotation {
    type Err = String;

    fn from_str(text: &str) -> Result<Rotation, String> {
        match text {
            "0" => Ok(Rotation::None),
            "90" => Ok(Rotation::Right),
            "180" => Ok(Rotation::Around),
            "270" => Ok(Rotation::Left),
            _ => Err(format!("a screen is turned by 0, 90, 180 or 270 degrees, not `{text}`")),
        }
    }
}

impl Rotation {
    /// A place on the screen as it was built, as a place on the picture.
    fn applied(self, (x, y): (f32, f32)) -> (f32, f32) {
        match self {
            Rotation::None => (x, y),
            Rotation::Right => (y, 1.0 - x),
            Rotation::Around => (1.0 - x, 1.0 - y),
            Rotation::Left => (1.0 - y, x),
        }
    }
}

/// What a finger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchPhase {
    /// It comes down.
    Down,
    /// It moves.
    Move,
    /// It lifts.
    Up,
    /// It was lost sight of: what it began does not count.
    Lost,
}

/// A finger on the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// What it does.
    pub phase: TouchPhase,
    /// From the left, as a share of the picture's width, 0 to 1.
    pub x: f32,
    /// From the top, as a share of its height, 0 to 1.
    pub y: f32,
    /// When, by the kernel.
    pub at: Instant,
}

/// All touch screens of this machine.
#[derive(Debug)]
pub struct Touches {
    rotation: Rotation,
    screens: Inputs<Tracker>,
    touches: VecDeque<Touch>,
}

impl Touches {
    /// Opens every touch screen that may be opened; none is as well.
    pub fn open(rotation: Rotation) -> Touches {
        Touches { rotation, screens: Inputs::open("touches", Tracker::of), touches: VecDeque::new() }
    }

    /// Whether there is a screen that can be touched.
    pub fn has_screen(&self) -> bool {
        !self.screens.is_empty()
    }

    /// What to poll for reading before [`Touches::read`]; another set after each read, since screens come and go.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.screens.fds()
    }

    /// The next touch, if any; to be called until there is none.
    pub fn read(&mut self, now: Instant) -> Option<Touch> {
        if self.touches.is_empty() {
            let Touches { rotation, screens, touches } = self;
            screens.read(|read| {
                let seen = match read {
                    Read::Event(tracker, event, at) => tracker.handle(event.destructure(), at),
                    Read::Lost(tracker, _) => tracker.lose(now),
                    Read::Gone(mut tracker) => tracker.lose(now),
                };
                touches.extend(seen.map(|touch| {
                    let (x, y) = rotation.applied((touch.x, touch.y));
                    Touch { x, y, ..touch }
                }));
            });
        }
        self.touches.pop_front()
    }
}

/// From the least to the greatest value that an axis reports.
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    least: i32,
    most: i32,
}

impl Range {
    fn share(self, value: i32) -> f32 {
        let span = (i64::from(self.most) - i64::from(self.least)).max(1);
        let from = i64::from(value) - i64::from(self.least);
        (from as f32 / span as f32).clamp(0.0, 1.0)
    }
}

impl From<AbsInfo> for Range {
    fn from(info: AbsInfo) -> Range {
        Range { least: info.minimum(), most: info.maximum() }
    }
}

/// One finger's place in a multi-touch screen. The kernel reports only what changed, also from one finger to the next
/// in the same slot, so positions outlive the finger.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    is_down: bool,
    x: i32,
    y: i32,
}

nix::ioctl_read_buf!(
    /// EVIOCGMTSLOTS: the values of one axis in all slots. The first number is the axis, the others are filled in.
    get_slots,
    b'E',
    0x0a,
    i32
);

/// What an axis was last in each slot; zeros where the kernel does not say, as they are at a screen's start.
fn slot_values(device: &RawDevice, axis: Axis) -> [i32; SLOTS_MAX] {
    let mut numbers = [0; 1 + SLOTS_MAX];
    numbers[0] = i32::from(axis.0);
    // SAFETY: the descriptor is that of an open evdev node, and the kernel writes no more than the length that the
    // request's own number states, which is that of the slice.
    if unsafe { get_slots(device.as_raw_fd(), &mut numbers) }.is_err() {
        return [0; SLOTS_MAX];
    }
    core::array::from_fn(|slot| numbers[1 + slot])
}

/// What is known of one screen. A single-touch screen has one slot.
#[derive(Debug)]
struct Tracker {
    is_multi: bool,
    x: Range,
    y: Range,
    slots: [Slot; SLOTS_MAX],
    /// The slot that the kernel speaks of; it may be one beyond ours.
    current: usize,
    /// The slot of the finger that is followed.
    followed: Option<usize>,
    /// Whether a report was cut by lost events, up to its end.
    is_torn: bool,
}

impl Tracker {
    /// For a device that is a touch screen. A touch pad has BTN_TOUCH too, but moves a pointer.
    fn of(device: &RawDevice) -> Option<Tracker> {
        let keys = device.supported_keys()?;
        let is_pad = device.properties().contains(PropType::POINTER) || keys.contains(KeyCode::BTN_TOOL_FINGER);
        let is_direct = device.properties().contains(PropType::DIRECT);
        if !keys.contains(KeyCode::BTN_TOUCH) || (is_pad && !is_direct) {
            return None;
        }
        let axes: Vec<_> = device.get_absinfo().ok()?.collect();
        let axis = |wanted: Axis| axes.iter().find(|(axis, _)| *axis == wanted).map(|(_, info)| *info);
        let slot = axis(Axis::ABS_MT_SLOT);
        let (x, y) = match slot {
            Some(_) => (axis(Axis::ABS_MT_POSITION_X)?, axis(Axis::ABS_MT_POSITION_Y)?),
            None => (axis(Axis::ABS_X)?, axis(Axis::ABS_Y)?),
        };
        let start = slot.and_then(|info| usize::try_from(info.value()).ok()).unwrap_or(0);
        let mut tracker = Tracker::new(slot.is_some(), x.into(), y.into(), start);
        // Where the last fingers were: the next one may be at the very same place, of which nothing is said then.
        if slot.is_some() {
            let places = [Axis::ABS_MT_POSITION_X, Axis::ABS_MT_POSITION_Y].map(|axis| slot_values(device, axis));
            for (number, slot) in tracker.slots.iter_mut().enumerate() {
                [slot.x, slot.y] = places.map(|values| values[number]);
            }
        } else {
            [tracker.slots[0].x, tracker.slots[0].y] = [x.value(), y.value()];
            tracker.current = 0;
        }
        Some(tracker)
    }

    fn new(is_multi: bool, x: Range, y: Range, current: usize) -> Tracker {
        Tracker { is_multi, x, y, slots: Default::default(), current, followed: None, is_torn: false }
    }

    /// Takes an event; a touch where a report is complete and says something about the finger that is followed.
    fn handle(&mut self, event: EventSummary, at: Instant) -> Option<Touch> {
        let multi = self.is_multi;
        let mut no_slot = Slot::default();
        let slot = self.slots.get_mut(self.current).unwrap_or(&mut no_slot);
        match event {
            EventSummary::AbsoluteAxis(_, Axis::ABS_MT_SLOT, number) if multi => {
                self.current = usize::try_from(number).unwrap_or(SLOTS_MAX);
            }
            EventSummary::AbsoluteAxis(_, Axis::ABS_MT_TRACKING_ID, id) if multi => slot.is_down = id >= 0,
            EventSummary::AbsoluteAxis(_, Axis::ABS_MT_POSITION_X, x) if multi => slot.x = x,
            EventSummary::AbsoluteAxis(_, Axis::ABS_MT_POSITION_Y, y) if multi => slot.y = y,
            EventSummary::AbsoluteAxis(_, Axis::ABS_X, x) if !multi => slot.x = x,
            EventSummary::AbsoluteAxis(_, Axis::ABS_Y, y) if !multi => slot.y = y,
            EventSummary::Key(_, KeyCode::BTN_TOUCH, value) if !multi => slot.is_down = value != 0,
            EventSummary::Synchronization(_, SynchronizationCode::SYN_DROPPED, _) => self.is_torn = true,
            EventSummary::Synchronization(_, SynchronizationCode::SYN_REPORT, _) => return self.report(at),
            _ => {}
        }
        None
    }

    fn report(&mut self, at: Instant) -> Option<Touch> {
        // What follows SYN_DROPPED up to the next report is to be ignored, says the protocol.
        if core::mem::take(&mut self.is_torn) {
            return self.lose(at);
        }
        if let Some(number) = self.followed {
            let phase = if self.slots[number].is_down { TouchPhase::Move } else { TouchPhase::Up };
            if phase == TouchPhase::Up {
                self.followed = None;
            }
            return Some(self.touch(number, phase, at));
        }
        let number = self.slots.iter().position(|slot| slot.is_down)?;
        self.followed = Some(number);
        Some(self.touch(number, TouchPhase::Down, at))
    }

    fn lose(&mut self, at: Instant) -> Option<Touch> {
        self.slots.iter_mut().for_each(|slot| slot.is_down = false);
        let number = self.followed.take()?;
        Some(self.touch(number, TouchPhase::Lost, at))
    }

    fn touch(&self, number: usize, phase: TouchPhase, at: Instant) -> Touch {
        let slot = self.slots[number];
        Touch { phase, x: self.x.share(slot.x), y: self.y.share(slot.y), at }
    }
}

#[cfg(test)]
mod tests;
