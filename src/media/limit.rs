//! The most that a stream of pictures may be: what heat, a slow far side or a narrow network leave of what was configured.

use super::Size;

/// Nothing is asked to be narrower or lower than this: smaller pictures show nobody's face.
const SIDE_LEAST: u32 = 64;
/// Nor slower: what moves less than twice a second passes for a still picture.
const RATE_LEAST_MILLIHERTZ: u32 = 2_000;
/// Nor given fewer bits; the least that the configuration takes, too.
const BITRATE_LEAST_BPS: u32 = 50_000;

/// The most that may be sent. Of several limits the lowest counts, in each respect by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Pictures fit into this.
    pub size: Size,
    /// Pictures in a thousand seconds.
    pub rate_millihertz: u32,
    /// Encoded bits a second.
    pub bitrate_bps: u32,
}

impl Limit {
    /// No limit.
    pub const NONE: Limit =
        Limit { size: Size::new(u32::MAX, u32::MAX), rate_millihertz: u32::MAX, bitrate_bps: u32::MAX };

    /// What both allow.
    pub fn lower(self, other: Limit) -> Limit {
        Limit {
            size: Size::new(self.size.width.min(other.size.width), self.size.height.min(other.size.height)),
            rate_millihertz: self.rate_millihertz.min(other.rate_millihertz),
            bitrate_bps: self.bitrate_bps.min(other.bitrate_bps),
        }
    }

    /// The size that is sent of pictures of `size`: the same shape, even in both directions, as 4:2:0 codecs want it.
    pub fn of_size(self, size: Size) -> Size {
        let bound = Size::new(self.size.width.max(SIDE_LEAST), self.size.height.max(SIDE_LEAST));
        if size.width <= bound.width && size.height <= bound.height { size } else { size.fit(bound).2 }
    }

    /// The rate at which is sent of pictures that come at `millihertz`.
    pub fn of_rate(self, millihertz: u32) -> u32 {
        millihertz.min(self.rate_millihertz.max(RATE_LEAST_MILLIHERTZ))
    }

    /// The bitrate of a stream that would have `bits_per_second`.
    pub fn of_bitrate(self, bits_per_second: u32) -> u32 {
        bits_per_second.min(self.bitrate_bps.max(BITRATE_LEAST_BPS))
    }
}

/// Who limits what is sent. **This is the one place where limits meet.**
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What this board can bear to make.
    pub load: Limit,
    /// What those who get it can bear to take.
    pub peers: Limit,
    /// What the narrowest path to them carries.
    pub network: Limit,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { load: Limit::NONE, peers: Limit::NONE, network: Limit::NONE }
    }
}

impl Limits {
    /// What holds.
    pub fn lowest(&self) -> Limit {
        self.load.lower(self.peers).lower(self.network)
    }
}

/// Leaves frames out evenly.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thinning {
    /// What is left of the rates of the frames before, in millihertz.
    credit: u32,
}

impl Thinning {
    /// Whether the next of frames that come at `millihertz` is one of those that go on at `allowed_millihertz`.
    pub fn admits(&mut self, millihertz: u32, allowed_millihertz: u32) -> bool {
        if allowed_millihertz >= millihertz {
            self.credit = 0;
            return true;
        }
        self.credit = self.credit.min(millihertz) + allowed_millihertz;
        let is_due = self.credit >= millihertz;
        if is_due {
            self.credit -= millihertz;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    //! Goal: of all limits the lowest counts, and none makes pictures that nobody can use. Method: property tests.
    use super::*;
    use proptest::prelude::*;

    fn limits() -> impl Strategy<Value = Limit> {
        (any::<(u32, u32)>(), any::<u32>(), any::<u32>()).prop_map(|((width, height), rate_millihertz, bitrate_bps)| {
            Limit { size: Size::new(width, height), rate_millihertz, bitrate_bps }
        })
    }

    proptest! {
        #[test]
        fn whoever_wants_less_gets_it_whatever_the_order(a in limits(), b in limits(), width in 64u32..4_096, height in 64u32..4_096) {
            let size = Size::new(width & !1, height & !1);
            let both = a.lower(b);
            prop_assert_eq!(both, b.lower(a));
            let [of_both, of_a, of_b] = [both, a, b].map(|limit| limit.of_size(size));
            prop_assert!(of_both.width <= of_a.width.min(of_b.width) && of_both.height <= of_a.height.min(of_b.height));
            prop_assert_eq!(both.of_rate(30_000), a.of_rate(30_000).min(b.of_rate(30_000)));
            prop_assert_eq!(both.of_bitrate(2_000_000), a.of_bitrate(2_000_000).min(b.of_bitrate(2_000_000)));
            prop_assert!(of_both.width % 2 == 0 && of_both.height % 2 == 0 && of_both.width >= 2 && of_both.height >= 2);
            prop_assert_eq!(Limit::NONE.lower(a), a);
        }

        #[test]
        fn frames_are_left_out_evenly(millihertz in 1_000u32..120_000, percent in 5u32..100) {
            let allowed = millihertz * percent / 100;
            let mut thinning = Thinning::default();
            let kept = (0..1_000).filter(|_| thinning.admits(millihertz, allowed)).count();
            let wanted = 1_000.0 * f64::from(allowed) / f64::from(millihertz);
            prop_assert!((kept as f64 - wanted).abs() <= 1.0, "{kept} of 1000 for {percent} %");
        }
    }

    #[test]
    fn a_limit_of_nothing_leaves_a_picture() {
        let nothing = Limit { size: Size::new(0, 0), rate_millihertz: 0, bitrate_bps: 0 };
        assert_eq!(nothing.of_size(Size::new(640, 480)), Size::new(64, 48));
        assert_eq!((nothing.of_rate(30_000), nothing.of_bitrate(2_000_000)), (2_000, 50_000));
        assert_eq!(Limit::NONE.of_size(Size::new(641, 481)), Size::new(641, 481), "no limit changes nothing");
    }
}
