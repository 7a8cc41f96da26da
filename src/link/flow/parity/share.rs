//! How many parities a frame is worth.
//!
//! A frame that lost more than its parities stand in for waits a round trip for repeats; where these cannot come in time, all
//! waits for a key frame. A parity costs bits, which the encoder gets less of. So the number is taken at which
//! *chance of losing more* × *the wait that follows* + *share of bits* × [`PRICE_MS`] is least: none at no loss, none where a
//! repeat is quickly here, and more the longer the round trip. The chance is that of a channel with two states (Gilbert 1960),
//! whose share of losses and mean run follow the peer's reports.
//!
//! **Measured** by `tests/repair.rs`, at equal bits (2.4 Mbit/s in all, of which pictures get what the rest leaves), means of three
//! seeds; its table, `repair.txt`, is under review:
//!
//! | round trip, loss | requests: frames/s, p95 of age, frozen | parities | both | pictures' Mbit/s, requests and both |
//! |---|---|---|---|---|
//! | 10 ms, 5 % | 30.0, 25 ms, 0 % | 29.8, 10 ms, 0.4 % | 30.0, 25 ms, 0 % | 1.89, 1.89 |
//! | 60 ms, 1 % | 29.9, 96 ms, 0 % | 29.8, 35 ms, 0.4 % | 30.0, 44 ms, 0 % | 1.98, 1.82 |
//! | 60 ms, 5 % | 27.7, 99 ms, 4.9 % | 29.5, 35 ms, 1.3 % | 29.7, 35 ms, 0.4 % | 1.81, 1.59 |
//! | 60 ms, 10 % | 22.0, 138 ms, 22 % | 29.1, 35 ms, 2.5 % | 30.0, 47 ms, 0 % | 1.52, 1.35 |
//! | 150 ms, 1 % | 22.2, 187 ms, 33 % | 29.8, 80 ms, 0.5 % | 29.8, 80 ms, 0.8 % | 1.72, 1.64 |
//! | 150 ms, 5 % | 17.5, 245 ms, 62 % | 29.8, 80 ms, 0.8 % | 29.8, 80 ms, 0.8 % | 1.56, 1.36 |
//! | 150 ms, 5 % in runs of 4 | 18.6, 231 ms, 49 % | 25.0, 80 ms, 15 % | 25.0, 80 ms, 15 % | 1.63, 0.90 |
//!
//! So both are kept: requests where a repeat is soon here, parities where it is not. Runs of losses want so many of
//! them that they help little at 60 ms, and cost much at 150.

use super::super::outgoing::Written;
use super::field::ROWS_MAX;
use crate::time::Duration;
use crate::wire::Feedback;

/// What it is worth not to spend as many bits again: so many milliseconds of a frame's wait. Over 20, 25, 30, 40, 60 and 80 freezes
/// and the age of late frames rise slowly, and so do the bits that pictures have; from 40 on, 1 % of loss at 60 ms is
/// mostly left to requests.
const PRICE_MS: f32 = 30.0;
/// A frozen picture counts as a wait of so long, beyond the two round trips that a key frame's request and the key frame take: half
/// a dozen frames are lost with it.
const FREEZE_MS: f32 = 400.0;
/// What a key frame's loss counts for beside another's: whoever waits for it is frozen already, and it is asked for anew.
const KEY_WEIGHT: f32 = 2.0;
/// Of a repeat's delay nobody sees so much, half a frame's time: on a short path there is nothing to gain.
const BORNE_MS: f32 = 15.0;
/// What is lost while more than this stands in a queue was dropped there as a rule, and parities would make it longer.
const QUEUE_MOST: Duration = Duration::from_millis(40);
/// Before a fragment is asked for, and after it came.
const REQUEST_MS: f32 = 3.0;
/// A frame's age when it leaves.
const ENCODING_MS: f32 = 10.0;
/// How old a frame may be as a rule, and how much older than the first one was: as the receiver has it.
const ALLOWANCE_MS: (f32, f32) = (150.0, 105.0);
/// Fragments that the figures remember: about four seconds of 2 Mbit/s.
const MEMORY: f32 = 1_000.0;
/// Of fewer nothing can be said: one lost of ten is no tenth.
const FRAGMENTS_LEAST: f32 = 200.0;
/// Less loss is none.
const LOSS_LEAST: f32 = 1e-4;
/// More is not what parities are for, nor is it in longer runs.
const LOSS_MOST: f32 = 0.5;
const RUN_MOST: f32 = 32.0;
/// The share of bits follows so many fragments: half a second's.
const SHARE_MEMORY: f32 = 128.0;

/// What the path loses, as the peer reports it, and what parities are sent for it.
#[derive(Debug, Default)]
pub(in super::super) struct Share {
    /// Reported of late; those of them that were lost, and in how many runs.
    fragments: f32,
    lost: f32,
    runs: f32,
    /// Sent of late.
    fragment_bytes: f32,
    parity_bytes: f32,
}

impl Share {
    /// Takes a report in; `lost` is the share of the fragments since the report before it, `queue` what the path makes wait.
    pub(in super::super) fn handle_feedback(&mut self, feedback: &Feedback<'_>, lost: Option<f32>, queue: Duration) {
        if queue > QUEUE_MOST {
            return;
        }
        let count = feedback.arrivals.len() as f32;
        let absent = || feedback.arrivals.iter().map(|units| units == Feedback::ABSENT);
        // A list ends with one that arrived, and the next begins after it.
        let runs =
            absent().zip(core::iter::once(false).chain(absent())).filter(|&(this, before)| this && !before).count();
        let keep = 1.0 - count / MEMORY;
        self.fragments = self.fragments * keep + count;
        // What was only late is counted back here.
        self.lost = (self.lost * keep + count * lost.unwrap_or(0.0)).max(0.0);
        self.runs = self.runs * keep + runs as f32;
    }

    /// This left, with so many bytes.
    pub(in super::super) fn sent(&mut self, bytes: usize, written: &Written) {
        match written {
            Written::Parity => self.parity_bytes += bytes as f32,
            Written::Fragment { repeat: false, .. } => {
                self.parity_bytes *= 1.0 - 1.0 / SHARE_MEMORY;
                self.fragment_bytes = self.fragment_bytes * (1.0 - 1.0 / SHARE_MEMORY) + bytes as f32;
            }
            Written::Fragment { .. } => {}
        }
    }

    /// Of what video takes, the share that parities have of late: 0 to 1.
    pub(in super::super) fn of_bits(&self) -> f32 {
        self.parity_bytes / (self.parity_bytes + self.fragment_bytes).max(1.0)
    }

    /// Parities for a frame of `count` fragments, `key` or not, over a path of this round trip. `requests`: what they do not
    /// mend is asked for. At most one for each fragment.
    pub(in super::super) fn parities(&self, count: usize, key: bool, rtt: Duration, requests: bool) -> u8 {
        let loss = (self.lost / self.fragments.max(FRAGMENTS_LEAST)).min(LOSS_MOST);
        if loss < LOSS_LEAST {
            return 0;
        }
        // Losses that know nothing of each other come in runs too.
        let run = (self.lost / self.runs.max(1.0)).clamp(1.0 / (1.0 - loss), RUN_MOST);
        let wait_ms = wait_ms(loss, rtt, requests) * if key { KEY_WEIGHT } else { 1.0 };
        let (ends, begins) = (1.0 / run, loss / (1.0 - loss) / run);
        // For each number of losses so far: the chance of it, and that the next datagram passes, or is lost.
        let mut chances = [(0.0, 0.0); ROWS_MAX + 1];
        chances[0] = (1.0 - loss, loss);
        let (mut best, mut least_ms) = (0, f32::MAX);
        for sent in 1..=count + count.min(ROWS_MAX) {
            for lost in (0..chances.len()).rev() {
                let passed = chances[lost].0;
                let missed = if lost == 0 { 0.0 } else { chances[lost - 1].1 };
                chances[lost] = (passed * (1.0 - begins) + missed * ends, passed * begins + missed * (1.0 - ends));
            }
            let Some(parities) = sent.checked_sub(count) else { continue };
            let enough: f32 = chances[..=parities].iter().map(|(passes, misses)| passes + misses).sum();
            let cost_ms = (1.0 - enough) * wait_ms + PRICE_MS * parities as f32 / count as f32;
            if cost_ms < least_ms {
                (best, least_ms) = (parities, cost_ms);
            }
        }
        best as u8
    }
}

/// What a frame waits, in the mean, that lost more than its parities: for a repeat, or for a key frame.
fn wait_ms(loss: f32, rtt: Duration, requests: bool) -> f32 {
    let rtt_ms = rtt.as_secs_f32() * 1e3;
    let repeat_ms = rtt_ms + REQUEST_MS;
    let (least, beyond) = ALLOWANCE_MS;
    let tries = ((least.max(beyond + rtt_ms / 2.0) - rtt_ms / 2.0 - ENCODING_MS) / repeat_ms).floor().max(0.0);
    // Of a request and its answer, one is lost.
    let failure = if requests { (2.0 * loss).min(1.0).powi(tries as i32) } else { 1.0 };
    (repeat_ms - BORNE_MS).max(0.0) + failure * (FREEZE_MS + 2.0 * rtt_ms)
}

#[cfg(test)]
mod tests {
    //! Goal: parities are sent where they are worth their bits, and never more than fragments. Method: reports of a peer, made up.

    use super::*;
    use crate::wire::U16s;
    use proptest::prelude::*;

    const PATHS_MS: [u64; 4] = [5, 10, 60, 150];

    /// After a minute of reports in which runs of `run` fragments are lost, `every` apart (0: none).
    fn told(every: usize, run: usize) -> Share {
        let mut share = Share::default();
        for report in 0..1_200 {
            let mut scratch = [0; 2 * 12];
            let is_lost = |n: usize| every != 0 && (report * 11 + n) % every < run;
            // The last of a list arrived.
            let units = (0..12).map(|n| if n < 11 && is_lost(n) { Feedback::ABSENT } else { 0 });
            let lost = (0..11).filter(|&n| is_lost(n)).count() as f32 / 12.0;
            let arrivals = U16s::build(units, &mut scratch);
            let feedback = Feedback { expected: 0, received: 0, first: 0, base_us: 0, arrivals };
            share.handle_feedback(&feedback, Some(lost), Duration::ZERO);
        }
        share
    }

    fn parities(share: &Share, count: usize, key: bool, rtt_ms: u64) -> u8 {
        share.parities(count, key, Duration::from_millis(rtt_ms), true)
    }

    #[test]
    fn a_path_that_loses_nothing_gets_none() {
        let share = told(0, 0);
        assert!(PATHS_MS.iter().all(|&rtt_ms| parities(&share, 8, true, rtt_ms) == 0));
    }

    #[test]
    fn at_home_a_repeat_is_quicker_and_far_away_only_parities_come_in_time() {
        let share = told(20, 1);
        let by_path = PATHS_MS.map(|rtt_ms| parities(&share, 8, false, rtt_ms));
        assert_eq!(by_path[..2], [0, 0]);
        assert!(by_path[2] >= 1 && by_path[3] > by_path[2], "{by_path:?}");
    }

    #[test]
    fn more_loss_and_key_frames_get_more() {
        let by_loss = [100, 20, 10].map(|every| parities(&told(every, 1), 8, false, 150));
        assert!(by_loss.is_sorted_by(|a, b| a < b), "{by_loss:?}");
        let share = told(20, 1);
        let of_all_sizes = |key| (1..40).map(|count| u32::from(parities(&share, count, key, 60))).sum::<u32>();
        assert!(of_all_sizes(true) > of_all_sizes(false));
    }

    #[test]
    fn what_a_standing_queue_drops_is_not_held_against_the_path() {
        let mut share = Share::default();
        let mut scratch = [0; 24];
        let arrivals = U16s::build((0..12).map(|n| if n % 2 == 0 { Feedback::ABSENT } else { 0 }), &mut scratch);
        let feedback = Feedback { expected: 0, received: 0, first: 0, base_us: 0, arrivals };
        (0..100).for_each(|_| share.handle_feedback(&feedback, Some(0.5), Duration::from_millis(100)));
        assert_eq!(parities(&share, 8, false, 150), 0);
    }

    proptest! {
        #[test]
        fn whatever_is_reported_there_is_at_most_one_for_each_fragment(
            reports in proptest::collection::vec((proptest::collection::vec(any::<u16>(), 0..128), -1.0f32..1.0), 0..40),
            count in 1usize..=224, key: bool, rtt_ms in 0u64..5_000, requests: bool,
        ) {
            let mut share = Share::default();
            for (units, lost) in reports {
                let mut scratch = [0; 256];
                let arrivals = U16s::build(units, &mut scratch);
                let feedback = Feedback { expected: 0, received: 0, first: 0, base_us: 0, arrivals };
                share.handle_feedback(&feedback, Some(lost), Duration::ZERO);
            }
            let parities = share.parities(count, key, Duration::from_millis(rtt_ms), requests);
            prop_assert!(usize::from(parities) <= count.min(ROWS_MAX));
        }
    }
}
