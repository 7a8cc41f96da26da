//! The camera's part of a measurement: what was received is kept, coarsely, and judged at the end.

use super::region::{self, Region};
use super::{FLASHES, Field, Grid};
use crate::time::{Duration, Instant};

/// Pictures that are kept: more than sixty a second give. What would be more is dropped.
const SEEN_MAX: usize = 1_024;
/// The time before a flash can be back that tells how bright it was: from, and until, before the usual delay.
const BEFORE: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(80)];
/// A flash is waited for so much longer than usual: a network's hiccup.
const LATER: Duration = Duration::from_millis(300);
/// The first picture with so much of the flash shows it. With half, an exposure into which the flash falls counts if most of
/// it does: on the average nothing is added by the exposure's length, and nothing taken away.
const SHOWS: f32 = 0.5;

/// A received picture.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub shown_at: Instant,
    pub grid: Grid,
}

/// What a measurement has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Flashes that this screen has shown.
    pub flashes: usize,
    /// Pictures that came meanwhile.
    pub pictures: usize,
    /// How long each took that was seen, in the order in which they were shown.
    pub took: heapless::Vec<Duration, FLASHES>,
}

/// Keeps what was shown and what was received.
#[derive(Debug)]
pub struct Watcher {
    field: Field,
    /// When the screen became bright.
    flashes: heapless::Vec<Instant, FLASHES>,
    seen: Vec<Seen>,
}

impl Default for Watcher {
    fn default() -> Watcher {
        Watcher { field: Field::Dark, flashes: heapless::Vec::new(), seen: Vec::with_capacity(SEEN_MAX) }
    }
}

impl Watcher {
    /// The screen shows this, from that flip on.
    pub fn handle_field(&mut self, shown_at: Instant, field: Field) {
        if core::mem::replace(&mut self.field, field) != field && field == Field::Bright {
            // There are no more of them.
            let _ = self.flashes.push(shown_at);
        }
    }

    /// A received picture would have been seen from that flip on.
    pub fn handle_picture(&mut self, shown_at: Instant, grid: Grid) {
        let is_in_order = self.seen.last().is_none_or(|last| last.shown_at <= shown_at);
        if self.seen.len() < SEEN_MAX && is_in_order {
            self.seen.push(Seen { shown_at, grid });
        }
    }

    /// Whether nothing was received so far.
    pub fn is_blind(&self) -> bool {
        self.seen.is_empty()
    }

    /// What became of the flashes. Takes some milliseconds.
    pub fn judge(&self) -> Found {
        let took = region::find(&self.seen, &self.flashes).map(|region| self.times(&region)).unwrap_or_default();
        Found { flashes: self.flashes.len(), pictures: self.seen.len(), took }
    }

    /// How long each flash took that is seen in the region.
    fn times(&self, region: &Region) -> heapless::Vec<Duration, FLASHES> {
        let lumas: Vec<f32> = self.seen.iter().map(|seen| mean(region, &seen.grid)).collect();
        let rises = self.flashes.iter().filter_map(|flash| self.rise(&lumas, *flash, region.delay));
        let rises: heapless::Vec<(Instant, f32, f32), FLASHES> = rises.collect();
        let Some(usual) = median(rises.iter().map(|(_, _, rise)| *rise)) else { return heapless::Vec::new() };
        let is_seen = |(_, _, rise): &&(Instant, f32, f32)| *rise >= SHOWS * usual;
        let time = |&(flash, before, _): &(Instant, f32, f32)| {
            let from = since(flash, flash + region.delay);
            let shows = |seen: &Seen, luma: f32| seen.shown_at > from && luma >= before + SHOWS * usual;
            let first = self.seen.iter().zip(&lumas).find(|(seen, luma)| shows(seen, **luma));
            first.map(|(seen, _)| seen.shown_at.since(flash))
        };
        rises.iter().filter(is_seen).filter_map(time).collect()
    }

    /// How bright it was before the flash was back, and by how much it rose.
    fn rise(&self, lumas: &[f32], flash: Instant, delay: Duration) -> Option<(Instant, f32, f32)> {
        let within = |from: Instant, until: Instant| {
            let of = move |seen: &Seen| (from..until).contains(&seen.shown_at);
            self.seen.iter().zip(lumas).filter(move |(seen, _)| of(seen)).map(|(_, luma)| *luma)
        };
        let back = flash + delay;
        let before = median(within(back - BEFORE[0], back - BEFORE[1]))?;
        let highest = within(since(flash, back), back + LATER).fold(before, f32::max);
        Some((flash, before, highest - before))
    }
}

/// From when on it may be back: never before it was shown, nor while the one before may still be there.
fn since(flash: Instant, back: Instant) -> Instant {
    flash.max(back - BEFORE[0])
}

fn mean(region: &Region, grid: &Grid) -> f32 {
    region.cells.iter().map(|cell| grid.luma(*cell)).sum::<f32>() / region.cells.len() as f32
}

fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
}
