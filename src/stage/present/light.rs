//! A measurement from light to light, as `flash` tells of it: fields instead of pictures, and what comes is looked at.

use super::{Present, UnderWay, keep_snapshot};
use crate::codec::convert::Converter;
use crate::device::screen::Screen;
use crate::device::{DecodedFrame, Fault, VideoSink};
use crate::flash::{Field, Flashes, Grid, Watcher};
use crate::media::{ColourRange, Picture, Size};
use crate::ring::Lent;
use crate::time::Instant;

/// A measurement that goes on.
#[derive(Debug)]
pub(super) struct Light {
    flashes: Flashes,
    watcher: Watcher,
    /// What the screen was given last.
    given: Option<Field>,
    /// What was received in the picture whose turn that was.
    grid: Option<Grid>,
}

impl Light {
    pub(super) fn new(now: Instant) -> Light {
        Light { flashes: Flashes::new(now), watcher: Watcher::default(), given: None, grid: None }
    }

    /// Takes in that what was given is seen.
    pub(super) fn handle_shown(&mut self, shown_at: Instant) {
        if let Some(field) = self.given {
            self.watcher.handle_field(shown_at, field);
        }
        if let Some(grid) = self.grid.take() {
            self.watcher.handle_picture(shown_at, grid);
        }
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.flashes.poll_timeout(now)
    }

    /// Whether the screen is to become another.
    fn is_due(&self, now: Instant) -> bool {
        self.flashes.field(now) != self.given
    }

    /// What stands on the screen instead of a picture of that size.
    fn draw(&mut self, now: Instant, size: Size, range: ColourRange, picture: &mut Picture) {
        // One that is over is taken note of at the next turn.
        let field = self.flashes.field(now).unwrap_or(Field::Dark);
        self.given = Some(field);
        picture.reshape(size);
        picture.range = range;
        picture.fill(field.luma(range), 128, 128);
    }

    /// Takes in what was received. False for what cannot be read.
    fn look(&mut self, frame: &DecodedFrame, converter: &mut Converter, copy: &mut Picture) -> bool {
        let grid = match frame.own() {
            Some(picture) => Grid::of(picture),
            None => match frame.copy_to(converter, copy) {
                Ok(()) => Grid::of(copy),
                Err(error) => {
                    tracing::debug!("present: {error}");
                    return false;
                }
            },
        };
        self.grid = Some(grid);
        true
    }
}

impl Present {
    /// Ends a measurement that is over, or can come to nothing.
    pub(super) fn turn_light(&mut self, now: Instant) {
        let Some(light) = &self.light else { return };
        let has_screen = self.screen.as_ref().is_some_and(|screen| !matches!(screen, Screen::None(_)));
        let is_in_vain = light.watcher.is_blind() && !light.flashes.is_before_first(now);
        if has_screen && !self.is_covered() && !is_in_vain && light.flashes.field(now).is_some() {
            return;
        }
        self.ports.board.note_light(has_screen, light.watcher.judge());
        self.light = None;
        // A card that came meanwhile has not been drawn over the field.
        self.is_card_due = self.is_covered();
    }

    /// In a measurement: gives the screen a field in the turn of a picture. Else gives the picture back.
    pub(super) fn give_light(&mut self, frame: Lent<DecodedFrame>, now: Instant) -> Result<bool, Fault> {
        let (Some(screen), Some(light)) = (&mut self.screen, &mut self.light) else { return Ok(false) };
        let copy = self.scratch.get_or_insert_with(|| Picture::new(frame.size()));
        if !light.look(&frame, &mut self.converter, copy) {
            return Ok(false);
        }
        light.draw(now, frame.size(), frame.range(), copy);
        screen.show(copy, now)?;
        if core::mem::take(&mut self.is_snapshot_wanted) {
            keep_snapshot(&self.ports.board, copy, &self.context.net);
        }
        Ok(true)
    }

    /// In a measurement: shows a field that is due without waiting for a picture.
    pub(super) fn show_light(&mut self, now: Instant) -> Result<bool, Fault> {
        let (Some(screen), Some(light)) = (&mut self.screen, &mut self.light) else { return Ok(false) };
        // A file that takes any size waits for its first picture.
        let last = self.last.map(|(size, _)| size);
        let Some(size) = screen.size().or(last).filter(|_| light.is_due(now)) else { return Ok(false) };
        let picture = self.scratch.get_or_insert_with(|| Picture::new(size));
        let range = self.last.map_or(ColourRange::Limited, |(_, range)| range);
        light.draw(now, last.unwrap_or(size), range, picture);
        light.grid = None;
        screen.show(picture, now)?;
        self.under_way = Some(UnderWay::Field);
        self.ports.stats.given.bump();
        Ok(true)
    }
}
