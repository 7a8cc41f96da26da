//! What a narrow network leaves of the pictures: bits at once, then size and rate, so that what is sent looks well.

use super::Step;
use crate::media::{Limit, Size};
use crate::time::{Duration, Instant};

/// Fewer bits than this share of what a step's pictures would have show as blocks: smaller and fewer ones look better.
const POOR_PERCENT: u64 = 40;
/// More bits than this share of what the next better step's would have are enough for it.
const RICH_PERCENT: u64 = 80;
/// So long it must be too narrow for a step down. A call begins with few bits, until its first pictures have measured
/// the path; that takes a tenth of a second.
const DOWN_AFTER: Duration = Duration::from_millis(400);
/// And wide enough for steps up, which are then taken at once: a picture that changes its size more often is looked at for
/// that.
const UP_AFTER: Duration = Duration::from_secs(4);
/// Bits below which only a few pictures a second are sent, and how many (in millihertz): sound must have the rest.
const SCANT: [(u32, u32); 2] = [(120_000, 5_000), (240_000, 10_000)];

/// Pictures as they would be sent if the network were wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Their size.
    pub size: Size,
    /// Pictures in a thousand seconds.
    pub rate_millihertz: u32,
    /// Bits a second.
    pub bitrate_bps: u32,
    /// Bits of a picture, where the encoder cannot aim at a bitrate (JPEG images, lossless ones): then only their number
    /// can be less.
    pub picture_bits: Option<u32>,
}

/// One camera's pictures on their narrowest path.
#[derive(Debug, Default)]
pub struct Narrowing {
    step: Step,
    wish: Option<Wish>,
}

/// That another step would be better.
#[derive(Clone, Copy, Debug)]
struct Wish {
    since: Instant,
    /// A lower one.
    is_down: bool,
    /// The fewest bits a second that there were meanwhile.
    bits_least: u64,
}

impl Narrowing {
    /// The limit of pictures that would be `whole`, on a path that carries `bits_per_second` of them.
    pub fn limit(&mut self, now: Instant, bits_per_second: u32, whole: &Whole) -> Limit {
        if let Some(picture_bits) = whole.picture_bits {
            let rate_millihertz = u64::from(bits_per_second) * 1_000 / u64::from(picture_bits.max(1));
            return Limit { rate_millihertz: rate_millihertz.min(u32::MAX.into()) as u32, ..Limit::NONE };
        }
        self.settle(now, bits_per_second, whole);
        let scant = SCANT.iter().find(|(bits, _)| bits_per_second < *bits);
        let by_bits = Limit {
            bitrate_bps: bits_per_second,
            rate_millihertz: scant.map_or(u32::MAX, |(_, rate_millihertz)| *rate_millihertz),
            ..Limit::NONE
        };
        let of_step = self.step.limit(whole.size, whole.rate_millihertz, whole.bitrate_bps);
        by_bits.lower(Limit { bitrate_bps: u32::MAX, ..of_step })
    }

    /// How far size and rate are reduced.
    pub fn step(&self) -> Step {
        self.step
    }

    /// A step up or down, where that was better for long enough.
    fn settle(&mut self, now: Instant, bits_per_second: u32, whole: &Whole) {
        let wanted = |step: Step, percent: u64| {
            let bitrate_bps =
                step.limit(whole.size, whole.rate_millihertz, whole.bitrate_bps).of_bitrate(whole.bitrate_bps);
            u64::from(bitrate_bps) * percent / 100
        };
        let bits = u64::from(bits_per_second);
        let better = |step: Step, bits: u64| step.up().filter(|up| bits >= wanted(*up, RICH_PERCENT));
        let lower = self.step.down().filter(|_| bits < wanted(self.step, POOR_PERCENT));
        let is_down = lower.is_some();
        if !is_down && better(self.step, bits).is_none() {
            self.wish = None;
            return;
        }
        let new = Wish { since: now, is_down, bits_least: bits };
        let wish = self.wish.get_or_insert(new);
        if wish.is_down != is_down {
            *wish = new;
        }
        wish.bits_least = wish.bits_least.min(bits);
        let passed = now.since(wish.since);
        if let Some(step) = lower.filter(|_| passed >= DOWN_AFTER) {
            (self.step, self.wish) = (step, None);
        } else if !is_down && passed >= UP_AFTER {
            let bits_least = wish.bits_least;
            while let Some(step) = better(self.step, bits_least) {
                self.step = step;
            }
            self.wish = None;
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a narrow network makes pictures coarser at once, smaller soon, whole again slowly, and never pump. Method: looks
    //! every 20 ms at paths that change.
    use super::*;

    const WHOLE: Whole =
        Whole { size: Size::new(640, 480), rate_millihertz: 30_000, bitrate_bps: 2_000_000, picture_bits: None };

    /// The limit after `seconds` at `bits_per_second`, and how often size or rate changed meanwhile.
    fn run(narrowing: &mut Narrowing, now: &mut Instant, seconds: u64, bits_per_second: u32) -> (Limit, usize) {
        let mut changes = 0;
        let mut limit = narrowing.limit(*now, bits_per_second, &WHOLE);
        for _ in 0..seconds * 50 {
            *now += Duration::from_millis(20);
            let next = narrowing.limit(*now, bits_per_second, &WHOLE);
            assert_eq!(next.bitrate_bps, bits_per_second, "bits follow at once");
            changes += usize::from((next.size, next.rate_millihertz) != (limit.size, limit.rate_millihertz));
            limit = next;
        }
        (limit, changes)
    }

    #[test]
    fn a_wide_network_limits_nothing_and_a_short_dip_no_size() {
        let (mut narrowing, mut now) = (Narrowing::default(), Instant::from_millis(5_000));
        for _ in 0..20 {
            let dip = narrowing.limit(now, 300_000, &WHOLE);
            assert_eq!((dip.bitrate_bps, dip.size), (300_000, Limit::NONE.size));
            now += Duration::from_millis(15);
        }
        let (limit, changes) = run(&mut narrowing, &mut now, 10, 50_000_000);
        assert_eq!((limit.size, limit.rate_millihertz, changes), (Limit::NONE.size, u32::MAX, 0));
    }

    #[test]
    fn a_narrow_network_gets_smaller_pictures_soon_and_whole_ones_once_it_is_wide_for_a_while() {
        let (mut narrowing, mut now) = (Narrowing::default(), Instant::from_millis(5_000));
        let (limit, _) = run(&mut narrowing, &mut now, 3, 400_000);
        assert_eq!(limit.of_size(WHOLE.size), Size::new(480, 360), "400 kbit/s");
        let (limit, _) = run(&mut narrowing, &mut now, 3, 100_000);
        assert_eq!((limit.of_size(WHOLE.size), limit.of_rate(30_000)), (Size::new(320, 240), 5_000), "100 kbit/s");
        let (limit, _) = run(&mut narrowing, &mut now, 3, 5_000_000);
        assert!(limit.of_rate(30_000) < 30_000, "slowly");
        let (limit, changes) = run(&mut narrowing, &mut now, 3, 5_000_000);
        assert_eq!((limit.of_size(WHOLE.size), limit.of_rate(30_000), changes), (WHOLE.size, 30_000, 1), "but at once");
    }

    #[test]
    fn a_network_that_wavers_does_not_make_the_picture_pump() {
        let (mut narrowing, mut now) = (Narrowing::default(), Instant::from_millis(5_000));
        run(&mut narrowing, &mut now, 20, 1_000_000);
        let changes: usize = (0..60)
            .map(|second| run(&mut narrowing, &mut now, 1, if second % 2 == 0 { 800_000 } else { 1_200_000 }).1)
            .sum();
        assert!(changes <= 2, "{changes} changes in a minute");
    }

    #[test]
    fn of_pictures_that_cannot_be_made_smaller_fewer_are_sent() {
        let images = Whole { picture_bits: Some(1_200_000), ..WHOLE };
        let limit = Narrowing::default().limit(Instant::from_millis(5_000), 12_000_000, &images);
        assert_eq!((limit.of_rate(30_000), limit.of_size(WHOLE.size)), (10_000, WHOLE.size));
    }
}
