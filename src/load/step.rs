//! The steps, and what each leaves of the pictures that were configured.

use crate::media::{Limit, Size};

/// What a step leaves, in percent: of each side, of the rate, of the bitrate.
struct Shares {
    side: u32,
    rate: u32,
    bitrate: u32,
}

const fn shares(side: u32, rate: u32, bitrate: u32) -> Shares {
    Shares { side, rate, bitrate }
}

/// A picture a third of the time is missed by few; half the size by nobody who talks. What they cost in all (side² × rate)
/// falls by a third or so each time, down to a twelfth. The bitrate falls less than that: what is left should look well.
const STEPS: [Shares; 6] = [
    shares(100, 100, 100),
    shares(100, 67, 80),
    shares(75, 67, 55),
    shares(75, 50, 45),
    shares(50, 50, 30),
    shares(50, 33, 20),
];

/// The lowest step's number.
pub const STEP_LAST: u8 = STEPS.len() as u8 - 1;

/// How far the pictures are reduced: 0 is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(u8);

impl Step {
    /// Its number, 0 to [`STEP_LAST`].
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The next lower quality, if there is one.
    pub(super) fn down(self) -> Option<Step> {
        (self.0 < STEP_LAST).then(|| Step(self.0 + 1))
    }

    /// The next better quality, if there is one.
    pub(super) fn up(self) -> Option<Step> {
        self.0.checked_sub(1).map(Step)
    }

    fn shares(self) -> &'static Shares {
        &STEPS[usize::from(self.0.min(STEP_LAST))]
    }

    /// What its pictures cost, as a share of those of step 0: pixels a second.
    pub fn cost(self) -> f32 {
        let Shares { side, rate, .. } = self.shares();
        (side * side * rate) as f32 / 1e6
    }

    /// The limit at this step of a stream that would have `size`, `rate_millihertz` and `bitrate_bps`.
    pub fn limit(self, size: Size, rate_millihertz: u32, bitrate_bps: u32) -> Limit {
        if self.0 == 0 {
            return Limit::NONE;
        }
        let part = |whole: u32, percent: u32| (u64::from(whole) * u64::from(percent) / 100) as u32;
        let Shares { side, rate, bitrate } = self.shares();
        Limit {
            size: Size::new(part(size.width, *side), part(size.height, *side)),
            rate_millihertz: part(rate_millihertz, *rate),
            bitrate_bps: part(bitrate_bps, *bitrate),
        }
    }
}
