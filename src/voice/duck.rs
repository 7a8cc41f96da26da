//! Where an echo cannot be taken away (a loudspeaker that rattles, a card that hides its delay anew each second), people still
//! want to talk: then the weaker of the two directions is turned down, as a speakerphone of old does it, for as long as it
//! takes; and both are let through again to see whether it is better.

use crate::media::PERIOD_TIME;
use crate::time::Duration;

/// Whose direction is turned down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ducked {
    /// Both directions are as loud as they are.
    #[default]
    Nobody,
    /// What the microphone takes.
    Near,
    /// What the loudspeaker plays.
    Far,
}

/// An echo is heard above this likelihood.
const LIKELY: f32 = 0.6;
/// It is to be heard for so long, before anything is done.
const HEARD_TIME: Duration = Duration::from_secs(1);
/// How long one speaks at a time, at first and at most.
const PATIENCE: Duration = Duration::from_secs(8);
const PATIENCE_MAX: Duration = Duration::from_secs(120);
/// An echo that comes back within this time makes the next patience twice as long.
const SOON: Duration = Duration::from_secs(20);
/// Who is below this level does not speak.
const SPEECH_DBFS: f32 = -50.0;
/// Who speaks keeps the word for this long when he pauses.
const HOLD: Duration = Duration::from_millis(300);
/// Who speaks louder than him by so much takes it.
const LOUDER_DB: f32 = 10.0;

/// Decides whether, and whom.
#[derive(Debug)]
pub struct Duck {
    heard: Duration,
    /// How long one more speaks at a time.
    left: Duration,
    patience: Duration,
    /// Since both were let through again.
    since: Duration,
    word: Ducked,
    silent: Duration,
}

impl Default for Duck {
    fn default() -> Duck {
        let (heard, left, silent) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        Duck { heard, left, patience: PATIENCE, since: SOON, word: Ducked::Nobody, silent }
    }
}

impl Duck {
    /// Takes what a period says: how likely an echo is to be heard, and the levels of both directions.
    pub fn handle(&mut self, echo_likelihood: f32, near_dbfs: f32, far_dbfs: f32) -> Ducked {
        if self.left == Duration::ZERO {
            self.since = self.since.saturating_add(PERIOD_TIME);
            self.heard = if echo_likelihood > LIKELY { self.heard.saturating_add(PERIOD_TIME) } else { Duration::ZERO };
            if self.heard < HEARD_TIME {
                return Ducked::Nobody;
            }
            self.patience = if self.since < SOON { (self.patience * 2).min(PATIENCE_MAX) } else { PATIENCE };
            (self.heard, self.left) = (Duration::ZERO, self.patience);
        }
        self.left = self.left.saturating_sub(PERIOD_TIME);
        if self.left == Duration::ZERO {
            (self.since, self.word) = (Duration::ZERO, Ducked::Nobody);
        } else {
            self.give_the_word(near_dbfs, far_dbfs);
        }
        self.word
    }

    /// Whether only one speaks at a time just now.
    pub fn is_one_way(&self) -> bool {
        self.left > Duration::ZERO
    }

    fn give_the_word(&mut self, near_dbfs: f32, far_dbfs: f32) {
        // Whoever has the word hears the other turned down; a tie is the far end's, whose echo is what is feared.
        let louder = if near_dbfs > far_dbfs + LOUDER_DB { Ducked::Far } else { Ducked::Near };
        let (speaks, other) = match self.word {
            Ducked::Far => (near_dbfs, far_dbfs),
            Ducked::Near | Ducked::Nobody => (far_dbfs, near_dbfs),
        };
        self.silent = if speaks > SPEECH_DBFS { Duration::ZERO } else { self.silent.saturating_add(PERIOD_TIME) };
        if self.silent >= HOLD || other > speaks + LOUDER_DB || self.word == Ducked::Nobody {
            self.word = if near_dbfs.max(far_dbfs) > SPEECH_DBFS { louder } else { Ducked::Nobody };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(duck: &mut Duck, seconds: f32, likelihood: f32, near: f32, far: f32) -> Ducked {
        let mut ducked = Ducked::Nobody;
        for _ in 0..(seconds * 100.0) as u32 {
            ducked = duck.handle(likelihood, near, far);
        }
        ducked
    }

    #[test]
    fn both_speak_at_once_while_there_is_no_echo() {
        let mut duck = Duck::default();
        assert_eq!(seconds(&mut duck, 60.0, 0.3, -20.0, -20.0), Ducked::Nobody);
        assert_eq!(seconds(&mut duck, 0.9, 0.9, -20.0, -20.0), Ducked::Nobody, "a word is no echo yet");
    }

    #[test]
    fn with_an_echo_the_weaker_is_turned_down_and_the_word_passes_on() {
        let mut duck = Duck::default();
        assert_eq!(seconds(&mut duck, 1.1, 0.9, -40.0, -20.0), Ducked::Near);
        // A pause between two words keeps it.
        assert_eq!(seconds(&mut duck, 0.2, 0.9, -70.0, -60.0), Ducked::Near);
        assert_eq!(seconds(&mut duck, 0.5, 0.1, -20.0, -60.0), Ducked::Far);
        assert_eq!(seconds(&mut duck, 0.5, 0.1, -60.0, -20.0), Ducked::Near);
    }

    #[test]
    fn both_are_let_through_again_and_each_failure_makes_it_more_patient() {
        let mut duck = Duck::default();
        let mut one_way = |likelihood: f32| {
            let mut periods = 0u32;
            for _ in 0..20_000 {
                duck.handle(likelihood, -40.0, -20.0);
                periods += u32::from(duck.is_one_way());
                if periods > 0 && !duck.is_one_way() {
                    break;
                }
            }
            periods / 100
        };
        let patience: Vec<u32> = (0..6).map(|_| one_way(0.9)).collect();
        assert!(patience.windows(2).all(|w| w[1] >= w[0]) && patience[5] > 10 * patience[0], "{patience:?}");
        assert_eq!(one_way(0.0), 0, "no echo, and nobody is turned down");
    }
}
