//! When the next try is due: at once, then with growing pauses, for ever.

use crate::time::{Duration, Instant};

/// The pause after the first try. More than a round trip anywhere on a house's network or between two on a continent.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: a peer that comes back is called within three seconds, at some 150 bytes each.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Pauses grow by half: 0.25, 0.375, 0.56, 0.84, 1.27, 1.9, 2.8, 3 s.
const GROWTH: (u32, u32) = (3, 2);

/// A schedule of tries.
#[derive(Debug)]
pub struct Dialler {
    next_at: Instant,
    pause: Duration,
    tries: u32,
    held: bool,
}

impl Dialler {
    /// The first try is due now.
    pub fn start(now: Instant) -> Dialler {
        Dialler { next_at: now, pause: FIRST_PAUSE, tries: 0, held: false }
    }

    /// As if it had been trying for long: the first try is due after the longest pause.
    pub fn start_slowly(now: Instant) -> Dialler {
        Dialler { next_at: now + LONGEST_PAUSE, pause: LONGEST_PAUSE, tries: 0, held: false }
    }

    /// When the next try is due.
    pub fn next_at(&self) -> Instant {
        self.next_at
    }

    /// Tries so far.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// A try was made. `chance` is a random number: it moves the pause by up to a quarter either way, so that two
    /// stations, or a house full of them after a power cut, do not keep calling in step.
    pub fn tried(&mut self, now: Instant, chance: u16) {
        let spread = f64::from(chance) / f64::from(u16::MAX) * 0.5 + 0.75;
        self.next_at = now + self.pause.mul_f64(spread);
        self.pause = (self.pause * GROWTH.0 / GROWTH.1).min(LONGEST_PAUSE);
        self.tries = self.tries.saturating_add(1);
        self.held = false;
    }

    /// The peer's own call is being answered: leave it the time of a first pause. Only once between two tries: calls of
    /// long ago, which somebody recorded and plays again, must not keep us from calling.
    pub fn hold(&mut self, now: Instant) {
        if !self.held {
            self.next_at = self.next_at.max(now + FIRST_PAUSE);
        }
        self.held = true;
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the pauses are those promised. Method: the schedule walked with the extremes of chance.

    use super::*;

    #[test]
    fn pauses_grow_from_a_quarter_of_a_second_to_three_and_never_stop() {
        for (chance, factor) in [(0, 0.75), (u16::MAX, 1.25)] {
            let mut dialler = Dialler::start(Instant::from_millis(5));
            assert_eq!(dialler.next_at(), Instant::from_millis(5));
            let mut pauses = Vec::new();
            for _ in 0..1_000 {
                let now = dialler.next_at();
                dialler.tried(now, chance);
                pauses.push(dialler.next_at().since(now).as_secs_f64() / factor);
            }
            assert!((pauses[0] - 0.25).abs() < 1e-6 && (pauses[1] - 0.375).abs() < 1e-6, "{:?}", &pauses[..3]);
            assert!(pauses.windows(2).all(|p| p[1] >= p[0] - 1e-6));
            assert!((pauses[999] - 3.0).abs() < 1e-6);
        }
    }
    #[test]
    fn answering_puts_a_try_off_once() {
        let mut dialler = Dialler::start(Instant::ZERO);
        dialler.hold(Instant::ZERO);
        let held = dialler.next_at();
        assert_eq!(held, Instant::ZERO + FIRST_PAUSE);
        dialler.hold(held);
        assert_eq!(dialler.next_at(), held);
        dialler.tried(held, 0);
        dialler.hold(held + FIRST_PAUSE);
        assert_eq!(dialler.next_at(), held + FIRST_PAUSE * 2);
    }
}
