//! Which of two planes lies above the other.

/// Where a plane lies among others.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Its place in the kernel's list: where a driver says no more than that, later ones are above.
    pub index: usize,
    /// Its `zpos`, greater ones above, where the driver tells; and the least and greatest that it can be given, if it can.
    pub zpos: Option<(u64, Option<(u64, u64)>)>,
}

/// What to set two planes' `zpos` to; `None` where it is not to be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The lower one's.
    pub lower: Option<u64>,
    /// The upper one's.
    pub upper: Option<u64>,
}

impl Depth {
    /// As high as the plane can be.
    pub fn highest(&self) -> Option<u64> {
        self.zpos.map(|(value, range)| range.map_or(value, |(_, greatest)| greatest))
    }

    /// Whether what it shows would lie beneath `other`, and not be seen.
    pub fn is_beneath(&self, other: &Depth) -> bool {
        self.zpos.zip(other.zpos).is_some_and(|((own, _), (other, _))| own < other)
    }

    /// How this plane comes to lie above `lower`; `None` where it cannot.
    pub fn above(&self, lower: &Depth) -> Option<Order> {
        let (Some(top), Some((value, range))) = (self.highest(), lower.zpos) else {
            return (lower.index < self.index).then(Order::default);
        };
        let lowered = match range {
            Some((least, _)) if value >= top => top.checked_sub(1).filter(|beneath| *beneath >= least)?,
            None if value >= top => return None,
            _ => value,
        };
        let is_free = self.zpos.is_some_and(|(_, range)| range.is_some());
        Some(Order { lower: range.map(|_| lowered), upper: is_free.then_some(top) })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is to be above is above. Method: what planes say of themselves in the kernel's drivers.
    use super::*;

    fn depth(index: usize, value: u64, range: Option<(u64, u64)>) -> Depth {
        Depth { index, zpos: Some((value, range)) }
    }

    fn order(lower: Option<u64>, upper: Option<u64>) -> Option<Order> {
        Some(Order { lower, upper })
    }

    #[test]
    fn planes_that_stand_fast_are_in_their_own_order() {
        // i915: a number each, and none can be changed.
        let [low, high] = [depth(0, 0, None), depth(1, 1, None)];
        assert_eq!((high.above(&low), low.above(&high)), (order(None, None), None));
        assert!(low.is_beneath(&high) && !high.is_beneath(&low));
    }

    #[test]
    fn planes_that_can_be_moved_are_moved_as_far_up_as_needed() {
        // vc4: the primary plane at the bottom, the others anywhere above it.
        let [primary, overlay, last] = [depth(0, 0, None), depth(1, 1, Some((1, 127))), depth(9, 9, Some((1, 127)))];
        assert_eq!(overlay.above(&primary), order(None, Some(127)));
        assert_eq!(last.above(&overlay), order(Some(1), Some(127)));
        // Whatever another program has left behind.
        let [left, other] = [depth(3, 127, Some((1, 127))), depth(2, 127, Some((1, 127)))];
        assert_eq!(other.above(&left), order(Some(126), Some(127)));
        // rockchip: all of them, from 0 on.
        let [primary, overlay] = [depth(0, 1, Some((0, 1))), depth(1, 0, Some((0, 1)))];
        assert_eq!(overlay.above(&primary), order(Some(0), Some(1)));
        // Only one of the two.
        assert_eq!(depth(0, 5, None).above(&depth(1, 6, Some((0, 9)))), order(Some(4), None));
        assert_eq!(depth(0, 0, Some((0, 0))).above(&depth(1, 0, Some((0, 0)))), None);
    }

    #[test]
    fn where_nothing_is_told_the_kernel_s_list_is_the_order() {
        // vkms.
        let [first, second] = [0, 1].map(|index| Depth { index, zpos: None });
        assert_eq!((second.above(&first), first.above(&second)), (order(None, None), None));
        assert!(!first.is_beneath(&second));
    }
}
