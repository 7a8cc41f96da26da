//! Where a peer may be: the addresses that a link tries, and in which order.

use crate::identity::PEER_ADDRESSES_MAX;
use std::net::SocketAddr;

/// Of the addresses that a link tries, so many are kept for each source, however many the others give; what a source
/// does not use, the next one may.
const FIXED_KEPT: usize = 3;
const FOUND_KEPT: usize = 4;

/// What is known of one peer's addresses.
///
/// The order: where it was reached last; what the configuration says; what it announces itself; where it was reached
/// before. All of them are tried at once, so the order decides only what is left out. A peer that moved is found again by
/// its announcement, by its own call (which comes in whatever its address), or at an address where it was before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The last one first.
    reached: Vec<SocketAddr>,
    fixed: Vec<SocketAddr>,
    found: Vec<SocketAddr>,
}

impl Whereabouts {
    /// With the addresses where the peer was reached, the last one first, and those of the configuration.
    pub fn new(reached: &[SocketAddr], fixed: &[SocketAddr]) -> Whereabouts {
        let bounded = |all: &[SocketAddr]| all.iter().copied().take(PEER_ADDRESSES_MAX).collect();
        Whereabouts { reached: bounded(reached), fixed: bounded(fixed), found: Vec::new() }
    }

    /// The names of the configuration were looked up anew.
    pub fn handle_fixed(&mut self, fixed: &[SocketAddr]) {
        self.fixed.clear();
        self.fixed.extend(fixed.iter().take(PEER_ADDRESSES_MAX));
    }

    /// The peer announces these addresses. An empty list takes the announcement back.
    pub fn handle_found(&mut self, found: &[SocketAddr]) {
        self.found.clear();
        self.found.extend(found.iter().take(PEER_ADDRESSES_MAX));
    }

    /// The peer was reached here.
    pub fn handle_reached(&mut self, address: SocketAddr) {
        self.reached.retain(|known| *known != address);
        self.reached.insert(0, address);
        self.reached.truncate(PEER_ADDRESSES_MAX);
    }

    /// The addresses to try, at most [`PEER_ADDRESSES_MAX`], each once.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let (last, before) = self.reached.split_at(self.reached.len().min(1));
        let kept = |all: &[SocketAddr], count: usize| all.len().min(count);
        let (fixed, found) = (kept(&self.fixed, FIXED_KEPT), kept(&self.found, FOUND_KEPT));
        // First everybody's share, then what they have beyond it.
        let shares = [last, &self.fixed[..fixed], &self.found[..found], before];
        let beyond = [&self.fixed[fixed..], &self.found[found..]];
        let mut addresses = Vec::with_capacity(PEER_ADDRESSES_MAX);
        for address in shares.into_iter().chain(beyond).flatten() {
            if addresses.len() < PEER_ADDRESSES_MAX && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        addresses
    }
}

#[cfg(test)]
mod tests {
    //! Goal: whatever is known of a peer, the address that works is among those tried. Method: lists there and back.

    use super::*;
    use proptest::prelude::*;

    fn at(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 10_087))
    }

    fn all(numbers: &[u8]) -> Vec<SocketAddr> {
        numbers.iter().copied().map(at).collect()
    }

    #[test]
    fn what_worked_last_comes_first_then_configuration_announcement_and_memory() {
        let mut whereabouts = Whereabouts::new(&all(&[1, 2]), &all(&[3]));
        whereabouts.handle_found(&all(&[4, 1]));
        assert_eq!(whereabouts.addresses(), all(&[1, 3, 4, 2]));
        whereabouts.handle_reached(at(4));
        assert_eq!(whereabouts.addresses(), all(&[4, 3, 1, 2]));
    }

    #[test]
    fn a_peer_that_moved_is_looked_for_where_it_announces_itself_and_no_more_where_it_did() {
        let mut whereabouts = Whereabouts::new(&all(&[1]), &[]);
        whereabouts.handle_found(&all(&[1]));
        whereabouts.handle_found(&all(&[7]));
        assert_eq!(whereabouts.addresses(), all(&[1, 7]));
        whereabouts.handle_found(&[]);
        assert_eq!(whereabouts.addresses(), all(&[1]), "where it was reached is not forgotten");
        whereabouts.handle_fixed(&all(&[9]));
        assert_eq!(whereabouts.addresses(), all(&[1, 9]));
    }

    #[test]
    fn a_peer_of_which_nothing_is_known_is_called_nowhere() {
        assert_eq!(Whereabouts::default().addresses(), []);
    }

    proptest! {
        #[test]
        fn no_source_crowds_out_another(reached in prop::collection::vec(0u8..100, 0..12), fixed in prop::collection::vec(100u8..200, 0..12), found in prop::collection::vec(200u8..255, 0..12)) {
            let mut whereabouts = Whereabouts::new(&all(&reached), &all(&fixed));
            whereabouts.handle_found(&all(&found));
            let addresses = whereabouts.addresses();
            let mut once = addresses.clone();
            once.sort();
            once.dedup();
            prop_assert!(addresses.len() <= PEER_ADDRESSES_MAX && once.len() == addresses.len());
            for source in [&reached, &fixed, &found] {
                prop_assert!(source.first().is_none_or(|first| addresses.contains(&at(*first))));
            }
        }
    }
}
