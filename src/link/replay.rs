//! The window of counters: each datagram is taken once, however often the network delivers it.

/// Bits a word.
const WORD: u64 = 64;
/// Words of the ring: a power of two, so that a place is a mask.
const WORDS: u64 = 64;
/// Counters below the newest that are still told apart: one word less than the ring, since the newest word is only
/// partly filled. 4,032 datagrams are a good two seconds of everything a station sends, far beyond any reordering.
const WINDOW: u64 = (WORDS - 1) * WORD;

/// A sliding bitmap after RFC 6479: the ring's words are cleared as the window moves over them, so nothing is shifted.
pub struct ReplayWindow {
    /// One above the highest counter taken; 0 while none was.
    next: u64,
    words: [u64; WORDS as usize],
}

impl ReplayWindow {
    /// Nothing taken yet.
    pub fn new() -> ReplayWindow {
        ReplayWindow { next: 0, words: [0; WORDS as usize] }
    }

    fn place(counter: u64) -> (usize, u64) {
        (((counter / WORD) % WORDS) as usize, 1 << (counter % WORD))
    }

    /// Whether `counter` is neither taken nor too old to know. To be asked before the costly opening.
    pub fn is_fresh(&self, counter: u64) -> bool {
        if counter >= self.next {
            return true;
        }
        let (word, bit) = ReplayWindow::place(counter);
        // Same measure as in `take`: whole words, as they are what is cleared.
        self.next - 1 - counter < WINDOW && self.words[word] & bit == 0
    }

    /// Takes `counter`, of a datagram that has proved genuine. Says whether it is the newest so far.
    pub fn take(&mut self, counter: u64) -> bool {
        let newest = counter >= self.next;
        if newest {
            let old_word = self.next.saturating_sub(1) / WORD;
            let words_on = (counter / WORD - old_word).min(WORDS);
            for step in 1..=words_on {
                self.words[((old_word + step) % WORDS) as usize] = 0;
            }
            // The session ends long before the counter does (`session::COUNTER_MAX`).
            self.next = counter.saturating_add(1);
        }
        let (word, bit) = ReplayWindow::place(counter);
        self.words[word] |= bit;
        newest
    }
}

#[cfg(test)]
mod tests {
    //! Goal: no counter is taken twice, and no fresh one within the window is refused. Method: a set as the model.

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(start in prop_oneof![Just(0u64), 0u64..1 << 60], steps in proptest::collection::vec(prop_oneof![8 => -100i64..100, 1 => -9_000i64..9_000], 1..400)) {
            let mut window = ReplayWindow::new();
            let mut taken = BTreeSet::new();
            let mut at = start;
            for step in steps {
                at = at.saturating_add_signed(step);
                let too_old = taken.last().is_some_and(|newest| *newest >= at + WINDOW);
                prop_assert_eq!(window.is_fresh(at), !too_old && !taken.contains(&at), "counter {}", at);
                if window.is_fresh(at) {
                    let newest = taken.last().is_none_or(|newest| *newest < at);
                    prop_assert_eq!(window.take(at), newest);
                    taken.insert(at);
                }
            }
        }
    }

    #[test]
    fn a_thousand_datagrams_may_overtake_one() {
        let mut window = ReplayWindow::new();
        window.take(0);
        for counter in 2..4_000 {
            window.take(counter);
        }
        assert!(window.is_fresh(1));
        window.take(1);
        assert!(!window.is_fresh(1) && !window.is_fresh(0) && !window.is_fresh(3_999));
        assert!(!window.is_fresh(0) && window.is_fresh(u64::MAX - 1));
    }
}
