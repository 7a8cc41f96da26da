//! Where in the pictures the screen is, and after how long, about.
//!
//! **The test.** A part of the picture that has the screen in it is brighter, after each flash and always after about the same
//! time, than it was before, and than it is when the flash is over; and rises so at hardly any other time. So each part's rises
//! are put in their order: those at the flashes, if they were so long under way, and all others. Where four of five at the
//! flashes are well beyond nine of ten of the others, that is no chance, whatever the part has else in it: noise, a lamp that
//! beats with the camera, people who walk, an exposure that follows the light. Nothing is assumed of how any of these is
//! distributed.
//!
//! **The first counts.** What a flash causes comes after it: exposure that swings back, light that comes round by the other
//! screen. So of all delays that the test finds, the shortest is that of the flash itself, and the parts that have it are the screen.

use super::flashes::FLASH;
use super::grid::CELLS;
use super::watcher::Seen;
use crate::time::{Duration, Instant};
use core::ops::Range;

/// The longest way that is looked for; no picture of a call that people bear takes so long.
const LONGEST: Duration = Duration::from_millis(700);
/// Delays are tried in steps of this: finer than pictures come.
const STEP: Duration = Duration::from_millis(10);
const DELAYS: usize = (LONGEST.as_millis() / STEP.as_millis()) as usize + 1;
/// What counts as after a moment, and as before it: some pictures of a usual camera, one of a slow one. Less than a flash, and
/// before automatic exposure has done much.
const AFTER: Duration = Duration::from_millis(120);
const BEFORE: Duration = Duration::from_millis(220);
/// When it is over that began at a moment, with an exposure that has its end in it.
const OVER: Duration = Duration::from_millis(FLASH.as_millis() as u64 + 40);

/// Fewer flashes prove nothing.
const FLASHES_LEAST: usize = 5;
/// Of so many flashes in five is the least rise that counts.
const FLASHES_IN_FIVE: usize = 4;
/// What no coding of a picture that stands still makes of a part's mean.
const RISE_LEAST: f32 = 1.0;
/// Of a hundred rises at other times so many are less than what a flash is compared with; and so much more it must be.
const OTHERS_PERCENT: usize = 90;
const BEYOND_OTHERS: f32 = 2.0;
/// A moment so near to a flash's is none of the others.
const NEAR: Duration = Duration::from_millis(200);

/// A part's first delay with so much of its highest rise is that of the direct way, and the peak follows within so many steps.
const FIRST_SHARE: f32 = 0.5;
const PEAK_WITHIN: usize = 12;
/// A part with less than this share of the best one's rise says nothing of when the flash came.
const FAINT_SHARE: f32 = 0.1;
/// Parts that rise within this time of the first are of the same screen: a sensor reads out its rows one after the other.
const SAME_SCREEN: usize = 7;
/// Parts of the screen with less than this share of the best one's rise have little of it in them.
const PART_SHARE: f32 = 0.5;

/// The parts of the pictures in which the screen is.
pub(super) struct Region {
    pub cells: heapless::Vec<usize, CELLS>,
    /// How long a flash is under way, about.
    pub delay: Duration,
}

/// A part that passes the test.
#[derive(Clone, Copy)]
struct Hit {
    cell: usize,
    /// In steps.
    delay: usize,
    rise: f32,
}

/// Finds it in what was seen, in the order in which it was shown, by when flashes were shown.
pub(super) fn find(seen: &[Seen], flashes: &[Instant]) -> Option<Region> {
    if flashes.len() < FLASHES_LEAST {
        return None;
    }
    let moments = Moments::of(seen, flashes);
    let mut hits = heapless::Vec::<Hit, CELLS>::new();
    // There are no more of them than cells.
    hits.extend((0..CELLS).filter_map(|cell| moments.judge(cell)));
    let best = |hits: &mut dyn Iterator<Item = &Hit>| hits.max_by(|a, b| a.rise.total_cmp(&b.rise)).copied();
    let strongest = best(&mut hits.iter())?;
    let first = hits.iter().filter(|hit| hit.rise >= FAINT_SHARE * strongest.rise).map(|hit| hit.delay).min()?;
    hits.retain(|hit| (first..=first + SAME_SCREEN).contains(&hit.delay));
    let best = best(&mut hits.iter())?;
    hits.retain(|hit| hit.rise >= PART_SHARE * best.rise);
    let cells = hits.iter().map(|hit| hit.cell).collect();
    Some(Region { cells, delay: STEP * best.delay as u32 })
}

/// When what is compared was shown: the same for all parts.
struct Moments<'a> {
    seen: &'a [Seen],
    around: Vec<Around>,
    /// For each delay, the first picture that each flash can be in.
    at_flash: Vec<heapless::Vec<usize, { super::FLASHES }>>,
}

/// Which pictures a picture is compared with that may be a flash's first.
struct Around {
    before: Range<usize>,
    after: Range<usize>,
    over: Range<usize>,
}

impl<'a> Moments<'a> {
    fn of(seen: &'a [Seen], flashes: &[Instant]) -> Moments<'a> {
        let first_since = |at: Instant| seen.partition_point(|other| other.shown_at < at);
        let around = |(place, moment): (usize, &Seen)| {
            let (at, over) = (moment.shown_at, moment.shown_at + OVER);
            Around {
                before: first_since(at - BEFORE)..place,
                after: place..first_since(at + AFTER),
                over: first_since(over)..first_since(over + AFTER),
            }
        };
        let at_flash = |delay: usize| {
            let arrivals = flashes.iter().map(|flash| first_since(*flash + STEP * delay as u32));
            arrivals.filter(|at| *at < seen.len()).collect()
        };
        Moments {
            seen,
            around: seen.iter().enumerate().map(around).collect(),
            at_flash: (0..DELAYS).map(at_flash).collect(),
        }
    }

    /// Whether the part has the screen in it.
    fn judge(&self, cell: usize) -> Option<Hit> {
        let rises = self.rises(cell);
        let at_flashes: Vec<f32> = self.at_flash.iter().map(|moments| common_rise(&rises, moments)).collect();
        let highest = at_flashes.iter().copied().fold(0.0, f32::max);
        if highest < RISE_LEAST {
            return None;
        }
        let first = at_flashes.iter().position(|rise| *rise >= FIRST_SHARE * highest)?;
        let until = (first + PEAK_WITHIN).min(DELAYS);
        let (delay, rise) = (first..until).map(|at| (at, at_flashes[at])).max_by(|a, b| a.1.total_cmp(&b.1))?;
        let is_beyond = rise > BEYOND_OTHERS * self.others(&rises, delay);
        is_beyond.then_some(Hit { cell, delay, rise })
    }

    /// By how much the part is brighter from each picture on than it was before, and than it is when a flash were over.
    fn rises(&self, cell: usize) -> Vec<f32> {
        let mut sums = Vec::with_capacity(self.seen.len() + 1);
        let mut sum = 0.0;
        sums.push(sum);
        sums.extend(self.seen.iter().map(|seen| {
            sum += f64::from(seen.grid.luma(cell));
            sum
        }));
        let mean = |range: &Range<usize>| match range.len() {
            0 => None,
            pictures => Some((sums[range.end] - sums[range.start]) / pictures as f64),
        };
        let rise = |around: &Around| {
            let else_it_is = mean(&around.before)?.max(mean(&around.over)?);
            Some((mean(&around.after)? - else_it_is) as f32)
        };
        // Where nothing was before, nothing is known to have risen.
        self.around.iter().map(|around| rise(around).unwrap_or_default()).collect()
    }

    /// What hardly any rise at other times is beyond.
    fn others(&self, rises: &[f32], delay: usize) -> f32 {
        let flashes = self.at_flash[delay].iter().map(|at| self.seen[*at].shown_at);
        let is_other = |at: Instant| flashes.clone().all(|flash| at.since(flash) > NEAR || flash.since(at) > NEAR);
        let mut others: Vec<f32> =
            self.seen.iter().zip(rises).filter(|(seen, _)| is_other(seen.shown_at)).map(|(_, rise)| *rise).collect();
        let place = others.len() * OTHERS_PERCENT / 100;
        if place >= others.len() {
            return f32::MAX;
        }
        others.select_nth_unstable_by(place, f32::total_cmp).1.max(0.0)
    }
}

/// What most rises at the flashes reach.
fn common_rise(rises: &[f32], moments: &[usize]) -> f32 {
    let mut at_flashes: heapless::Vec<f32, { super::FLASHES }> = moments.iter().map(|at| rises[*at]).collect();
    at_flashes.sort_unstable_by(f32::total_cmp);
    let missed = at_flashes.len() - at_flashes.len() * FLASHES_IN_FIVE / 5;
    at_flashes.get(missed).copied().unwrap_or_default()
}
