//! A finger on the screen: a tap, a long press, or neither.

use super::button::LONG_PRESS;
use crate::device::touch::{Touch, TouchPhase};
use crate::time::Instant;
use std::collections::VecDeque;

/// A finger that moves farther, as a share of the width or height, strokes and does not tap: a fingertip's width on a
/// small screen.
const MOVED: f32 = 0.06;

/// Where somebody tapped, as shares of the picture's width and height, from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tap {
    /// 0 to 1 from the left.
    pub x: f32,
    /// 0 to 1 from the top.
    pub y: f32,
    /// Whether the finger stays; reported while it does.
    pub is_long: bool,
}

/// Makes taps of touches.
#[derive(Debug, Default)]
pub struct Taps {
    /// Where and since when the finger is down that may become a tap.
    down: Option<(f32, f32, Instant)>,
    taps: VecDeque<Tap>,
}

impl Taps {
    /// A finger came, moved or went.
    pub fn handle_touch(&mut self, touch: Touch) {
        self.handle_timeout(touch.at);
        match (touch.phase, self.down) {
            (TouchPhase::Down, _) => self.down = Some((touch.x, touch.y, touch.at)),
            (TouchPhase::Lost, _) => self.down = None,
            (_, Some((x, y, _))) if (touch.x - x).abs() > MOVED || (touch.y - y).abs() > MOVED => self.down = None,
            (TouchPhase::Up, Some((x, y, _))) => {
                self.taps.push_back(Tap { x, y, is_long: false });
                self.down = None;
            }
            (TouchPhase::Move | TouchPhase::Up, _) => {}
        }
    }

    /// To be called at [`Taps::poll_timeout`], and as well at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some((x, y, _)) = self.down.take_if(|(.., since)| now >= *since + LONG_PRESS) {
            self.taps.push_back(Tap { x, y, is_long: true });
        }
    }

    /// What was tapped; to be called until there is nothing.
    pub fn poll_tap(&mut self) -> Option<Tap> {
        self.taps.pop_front()
    }

    /// When to call [`Taps::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.down.map(|(.., since)| since + LONG_PRESS)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what a finger does is told apart as a person does. Method: touches by table.
    use super::*;
    use TouchPhase::{Down, Lost, Move, Up};

    fn taps(touches: &[(u64, TouchPhase, f32, f32)], end_ms: u64) -> Vec<(f32, f32, bool)> {
        let mut taps = Taps::default();
        for (at_ms, phase, x, y) in touches {
            taps.handle_touch(Touch { phase: *phase, x: *x, y: *y, at: Instant::from_millis(*at_ms) });
        }
        taps.handle_timeout(Instant::from_millis(end_ms));
        core::iter::from_fn(|| taps.poll_tap()).map(|tap| (tap.x, tap.y, tap.is_long)).collect()
    }

    #[test]
    fn a_finger_that_comes_and_goes_has_tapped_where_it_came() {
        let touches = [(0, Down, 0.5, 0.25), (50, Move, 0.52, 0.25), (100, Up, 0.53, 0.26)];
        assert_eq!(taps(&touches, 9_000), [(0.5, 0.25, false)]);
    }

    #[test]
    fn a_finger_that_stays_presses_long_and_does_not_tap_as_it_goes() {
        assert_eq!(taps(&[(0, Down, 0.5, 0.5)], 800), [(0.5, 0.5, true)]);
        assert_eq!(taps(&[(0, Down, 0.5, 0.5), (2_000, Up, 0.5, 0.5)], 9_000), [(0.5, 0.5, true)]);
    }

    #[test]
    fn a_stroke_and_a_lost_finger_are_no_taps() {
        assert_eq!(taps(&[(0, Down, 0.2, 0.5), (90, Move, 0.4, 0.5), (99, Up, 0.2, 0.5)], 9_000), []);
        assert_eq!(taps(&[(0, Down, 0.2, 0.5), (90, Lost, 0.2, 0.5), (99, Up, 0.2, 0.5)], 9_000), []);
    }
}
