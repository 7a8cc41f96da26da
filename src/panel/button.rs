//! A push button: what a person means by pressing it.

use crate::time::{Duration, Instant, earliest};
use std::collections::VecDeque;

/// How long a button must be held to mean something else, unless the configuration says so.
pub const LONG_PRESS: Duration = Duration::from_millis(800);
/// How soon the second press of a double one must follow.
pub const DOUBLE_PRESS: Duration = Duration::from_millis(350);
/// A held button that repeats waits so long before the second time, and so long between further ones: as keyboards do.
const REPEAT_DELAY: Duration = Duration::from_millis(500);
const REPEAT_PAUSE: Duration = Duration::from_millis(150);
/// A button that is down for longer is taken for stuck: a leaning bag, water in the box, a cable that is cut. Talking
/// with push to talk may take a minute or two.
const STUCK: Duration = Duration::from_secs(180);

/// What a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gesture {
    /// The button goes down, whatever it will become.
    Down,
    /// It comes up, or is taken for stuck.
    Up,
    /// A press that is neither long nor double.
    Short,
    /// Held: reported while it is held.
    Long,
    /// Pressed twice in short order: reported as it goes down again.
    Double,
    /// Held on, where holding repeats.
    Repeat,
}

/// Which gestures a button tells apart. What it need not wait for, it does not: without a double press a short one is
/// reported as the button comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Held for so long it is a long press; `None` where a long press is a short one.
    pub long: Option<Duration>,
    /// A second press within so long makes it a double one.
    pub double: Option<Duration>,
    /// The press is reported as it goes down, and again while it is held.
    pub repeats: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// `is_spent` once what it means has been reported.
    Down {
        since: Instant,
        is_spent: bool,
        repeat_at: Option<Instant>,
    },
    /// Up after a first press, and perhaps before a second.
    Between {
        until: Instant,
    },
    /// Down for too long, or since before we looked: nothing until it comes up.
    Stuck,
}

/// One button.
#[derive(Debug)]
pub struct Button {
    timing: Timing,
    state: State,
    gestures: VecDeque<Gesture>,
}

impl Button {
    /// A button that is found up, or down: the latter does nothing before it has come up once.
    pub fn new(timing: Timing, is_down: bool) -> Button {
        let state = if is_down { State::Stuck } else { State::Up };
        Button { timing, state, gestures: VecDeque::new() }
    }

    /// It is up or down since `at`.
    pub fn handle_level(&mut self, at: Instant, is_down: bool) {
        self.handle_timeout(at);
        match (self.state, is_down) {
            (State::Up, true) => {
                self.gestures.push_back(Gesture::Down);
                if self.timing.repeats {
                    self.gestures.push_back(Gesture::Short);
                }
                let repeat_at = self.timing.repeats.then(|| at + REPEAT_DELAY);
                self.state = State::Down { since: at, is_spent: self.timing.repeats, repeat_at };
            }
            (State::Between { .. }, true) => {
                self.gestures.extend([Gesture::Down, Gesture::Double]);
                self.state = State::Down { since: at, is_spent: true, repeat_at: None };
            }
            (State::Down { is_spent, .. }, false) => {
                self.gestures.push_back(Gesture::Up);
                self.state = match self.timing.double {
                    Some(within) if !is_spent => State::Between { until: at + within },
                    _ => State::Up,
                };
                if !is_spent && self.timing.double.is_none() {
                    self.gestures.push_back(Gesture::Short);
                }
            }
            (State::Stuck, false) => self.state = State::Up,
            (State::Up | State::Between { .. }, false) | (State::Down { .. } | State::Stuck, true) => {}
        }
    }

    /// To be called at [`Button::poll_timeout`], and as well at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Between { until } if now >= *until => {
                self.gestures.push_back(Gesture::Short);
                self.state = State::Up;
            }
            State::Down { since, is_spent, repeat_at } => {
                if !*is_spent && self.timing.long.is_some_and(|long| now >= *since + long) {
                    self.gestures.push_back(Gesture::Long);
                    *is_spent = true;
                }
                // A loop that was late repeats once, not as often as it missed.
                if let Some(at) = repeat_at.as_mut().filter(|at| now >= **at) {
                    self.gestures.push_back(Gesture::Repeat);
                    *at = now + REPEAT_PAUSE;
                }
                if now >= *since + STUCK {
                    self.gestures.push_back(Gesture::Up);
                    self.state = State::Stuck;
                }
            }
            _ => {}
        }
    }

    /// What was done, in its order; to be called until there is nothing.
    pub fn poll_gesture(&mut self) -> Option<Gesture> {
        self.gestures.pop_front()
    }

    /// When to call [`Button::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Up | State::Stuck => None,
            State::Between { until } => Some(until),
            State::Down { since, is_spent, repeat_at } => {
                let long = self.timing.long.filter(|_| !is_spent).map(|long| since + long);
                earliest(earliest(long, repeat_at), Some(since + STUCK))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every way of pressing means what a person means by it, and nothing for ever. Method: presses by table, and
    //! random ones in simulated time.
    use super::*;
    use Gesture::{Double, Down, Long, Repeat, Short, Up};
    use proptest::prelude::*;

    const ALL: Timing = Timing { long: Some(LONG_PRESS), double: Some(DOUBLE_PRESS), repeats: false };
    const PLAIN: Timing = Timing { long: None, double: None, repeats: false };
    const VOLUME: Timing = Timing { repeats: true, ..PLAIN };

    /// What is reported up to `end_ms`, and when, of levels at times; timeouts are kept to the nanosecond.
    fn play(timing: Timing, levels: &[(u64, bool)], end_ms: u64) -> Vec<(u64, Gesture)> {
        let mut button = Button::new(timing, false);
        let mut told = Vec::new();
        let steps = levels.iter().map(|(at, level)| (*at, Some(*level))).chain([(end_ms, None)]);
        for (at_ms, level) in steps {
            let at = Instant::from_millis(at_ms);
            while let Some(due) = button.poll_timeout().filter(|due| *due <= at) {
                button.handle_timeout(due);
                told.extend(core::iter::from_fn(|| button.poll_gesture()).map(|g| (due.as_micros() / 1_000, g)));
                assert_ne!(button.poll_timeout(), Some(due), "it asks for the same time again");
            }
            if let Some(level) = level {
                button.handle_level(at, level);
            }
            told.extend(core::iter::from_fn(|| button.poll_gesture()).map(|gesture| (at_ms, gesture)));
        }
        told
    }

    #[test]
    fn a_short_press_waits_only_for_what_it_may_become() {
        let press = [(0, true), (100, false)];
        assert_eq!(play(PLAIN, &press, 9_000), [(0, Down), (100, Up), (100, Short)]);
        assert_eq!(play(ALL, &press, 9_000), [(0, Down), (100, Up), (450, Short)]);
    }

    #[test]
    fn a_long_press_is_told_while_it_is_held_and_is_no_short_one() {
        assert_eq!(play(ALL, &[(0, true), (2_000, false)], 9_000), [(0, Down), (800, Long), (2_000, Up)]);
        assert_eq!(play(PLAIN, &[(0, true), (2_000, false)], 9_000), [(0, Down), (2_000, Up), (2_000, Short)]);
    }

    #[test]
    fn two_presses_are_double_only_in_short_order() {
        let twice = |second| [(0, true), (100, false), (second, true), (second + 2_000, false)];
        assert_eq!(play(ALL, &twice(300), 9_000), [(0, Down), (100, Up), (300, Down), (300, Double), (2_300, Up)]);
        let apart = play(ALL, &twice(500), 9_000);
        assert_eq!(apart, [(0, Down), (100, Up), (450, Short), (500, Down), (1_300, Long), (2_500, Up)]);
    }

    #[test]
    fn a_volume_button_acts_at_once_and_repeats_while_held() {
        let told = play(VOLUME, &[(0, true), (900, false)], 9_000);
        assert_eq!(told, [(0, Down), (0, Short), (500, Repeat), (650, Repeat), (800, Repeat), (900, Up)]);
    }

    #[test]
    fn a_stuck_button_ends_by_itself_and_works_again_once_it_is_up() {
        let told = play(VOLUME, &[(0, true)], 400_000);
        assert_eq!(told.last(), Some(&(180_000, Up)));
        let again = play(PLAIN, &[(0, true), (300_000, false), (301_000, true), (301_100, false)], 400_000);
        assert_eq!(again, [(0, Down), (180_000, Up), (301_000, Down), (301_100, Up), (301_100, Short)]);
    }

    #[test]
    fn a_button_that_is_found_down_does_nothing_before_it_comes_up() {
        let mut button = Button::new(ALL, true);
        button.handle_level(Instant::from_millis(1), true);
        assert_eq!((button.poll_gesture(), button.poll_timeout()), (None, None));
        button.handle_level(Instant::from_millis(2), false);
        button.handle_level(Instant::from_millis(3), true);
        assert_eq!(button.poll_gesture(), Some(Down));
    }

    proptest! {
        #[test]
        fn whatever_is_pressed_downs_and_ups_alternate_and_it_comes_to_rest(
            gaps in proptest::collection::vec((0u64..2_000, any::<bool>()), 0..60), long: bool, double: bool, repeats: bool,
        ) {
            let timing = Timing {
                long: long.then_some(LONG_PRESS),
                double: double.then_some(DOUBLE_PRESS),
                repeats,
            };
            let mut at = 0;
            let levels: Vec<_> = gaps.into_iter().map(|(gap, level)| { at += gap; (at, level) }).collect();
            let told = play(timing, &levels, at + 400_000);
            let ends: Vec<_> = told.iter().filter(|(_, gesture)| matches!(gesture, Down | Up)).collect();
            for (number, (_, gesture)) in ends.iter().enumerate() {
                prop_assert_eq!(*gesture, if number % 2 == 0 { Down } else { Up });
            }
            prop_assert_eq!(ends.len() % 2, 0, "it ends up, be it as stuck");
            let meant = told.iter().filter(|(_, gesture)| matches!(gesture, Short | Long | Double)).count();
            prop_assert!(meant <= ends.len() / 2, "a press means one thing");
        }
    }
}
