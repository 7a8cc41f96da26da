//! A rotary encoder: two contacts that open and close in turn (quadrature).

/// Which way it was turned, by one notch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first line leads.
    Clockwise,
    /// The second line leads.
    Counterclockwise,
}

/// Changes of the two lines from one notch to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notch {
    /// It rests with both contacts alike: open, or closed.
    Half,
    /// It rests with both contacts open: the usual kind.
    #[default]
    Full,
}

/// One encoder. Its contacts bounce, but only between two neighbouring states, which adds up to nothing.
#[derive(Debug)]
pub struct Rotary {
    notch: Notch,
    lines: [bool; 2],
    /// Changes clockwise since the last notch.
    changes: i8,
}

impl Rotary {
    /// An encoder that stands with its two lines so.
    pub fn new(notch: Notch, lines: [bool; 2]) -> Rotary {
        Rotary { notch, lines, changes: 0 }
    }

    /// Line 0 or 1 is active or not from now on; a turn where that completes one.
    pub fn handle_level(&mut self, line: usize, is_active: bool) -> Option<Turn> {
        let known = self.lines.get_mut(line)?;
        if core::mem::replace(known, is_active) == is_active {
            return None;
        }
        let [first, second] = self.lines;
        // Clockwise the states are 00, 10, 11, 01: the first line goes to where the second is not, the second to where
        // the first is.
        let is_clockwise = if line == 0 { first != second } else { first == second };
        self.changes = (self.changes + if is_clockwise { 1 } else { -1 }).clamp(-4, 4);
        let rests = first == second && (self.notch == Notch::Half || !first);
        if !rests {
            return None;
        }
        // One change of a full notch may have been lost; half of them tell nothing.
        let enough = if self.notch == Notch::Half { 2 } else { 3 };
        match core::mem::take(&mut self.changes) {
            changes if changes >= enough => Some(Turn::Clockwise),
            changes if changes <= -enough => Some(Turn::Counterclockwise),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a notch is one turn, whatever the contacts do. Method: the states of a turned encoder, with bounces put in.
    use super::*;
    use Turn::{Clockwise, Counterclockwise};
    use proptest::prelude::*;

    const CLOCKWISE: [(usize, bool); 4] = [(0, true), (1, true), (0, false), (1, false)];
    const COUNTER: [(usize, bool); 4] = [(1, true), (0, true), (1, false), (0, false)];

    fn turns(notch: Notch, changes: &[(usize, bool)]) -> Vec<Turn> {
        let mut rotary = Rotary::new(notch, [false; 2]);
        changes.iter().filter_map(|(line, level)| rotary.handle_level(*line, *level)).collect()
    }

    #[test]
    fn a_notch_is_one_turn_either_way() {
        assert_eq!(turns(Notch::Full, &CLOCKWISE), [Clockwise]);
        assert_eq!(turns(Notch::Full, &COUNTER), [Counterclockwise]);
        assert_eq!(turns(Notch::Half, &CLOCKWISE), [Clockwise; 2]);
    }

    #[test]
    fn half_a_notch_and_back_is_none() {
        assert_eq!(turns(Notch::Full, &[(0, true), (1, true), (1, false), (0, false)]), []);
    }

    #[test]
    fn a_line_that_there_is_not_does_nothing() {
        assert_eq!(turns(Notch::Full, &[(2, true), (9, false)]), []);
    }

    proptest! {
        #[test]
        fn bounces_turn_nothing(bounces in proptest::collection::vec(0usize..4, 4..40)) {
            let mut changes = Vec::new();
            for (number, count) in bounces.iter().enumerate() {
                let (line, level) = CLOCKWISE[number % 4];
                changes.push((line, level));
                changes.extend((0..*count).flat_map(|_| [(line, !level), (line, level)]));
            }
            prop_assert_eq!(turns(Notch::Full, &changes), vec![Clockwise; bounces.len() / 4]);
        }
    }
}
