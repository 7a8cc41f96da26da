//! The loudspeaker's part of a measurement: a chirp a second, and a gate for what comes from the far side.

use super::{CHIRP, PEAK, ROUND, TRIES, WINDOW, chirp};
use crate::media::{PERIOD, Period};

/// What is played while it is measured; after [`TRIES`] rounds it has ended by itself.
#[derive(Clone, Debug, Default)]
pub struct Chirps {
    /// Periods since the beginning; `None` while nothing is measured.
    played: Option<u32>,
    is_open: bool,
}

/// What a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// One as any other.
    Idle,
    /// One of a measurement; `begins`: with it, a chirp.
    Probing {
        /// Whether a chirp begins with it.
        begins: bool,
    },
    /// The measurement has come to its end before it.
    Over,
}

impl Chirps {
    /// Adds to the period what a measurement plays, and takes out of it what would go round, as long as one is `wanted`.
    pub fn mix(&mut self, wanted: bool, period: &mut Period) -> Turn {
        let at = match self.played {
            _ if !wanted => {
                *self = Chirps::default();
                return Turn::Idle;
            }
            None => 0,
            Some(at) if at >= ROUND * TRIES as u32 => return Turn::Over,
            Some(at) => at,
        };
        let in_round = at % ROUND;
        self.gate(in_round < WINDOW, period);
        let from = in_round as usize * PERIOD;
        if from < CHIRP {
            for (i, sample) in period.iter_mut().enumerate() {
                // Saturates, where somebody speaks at full scale.
                *sample = (f32::from(*sample) * (1.0 - PEAK) + 32_767.0 * chirp(from + i)) as i16;
            }
        }
        self.played = Some(at + 1);
        Turn::Probing { begins: in_round == 0 }
    }

    /// Lets the far side through or not, in a straight line within the period where that changes: no click.
    fn gate(&mut self, is_open: bool, period: &mut Period) {
        let was_open = core::mem::replace(&mut self.is_open, is_open);
        if was_open && is_open {
            return;
        }
        for (i, sample) in period.iter_mut().enumerate() {
            let step = (i + 1) as f32 / PERIOD as f32;
            let share = match (was_open, is_open) {
                (false, true) => step,
                (true, false) => 1.0 - step,
                _ => 0.0,
            };
            *sample = (f32::from(*sample) * share) as i16;
        }
    }
}
