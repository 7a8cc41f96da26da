//! What is painted on: a picture, or a part of one that is laid on pictures later.

use super::colour::Colour;
pub use crate::media::Rect;
use crate::media::{ColourRange, Picture, Plane, Size};

/// What something is to be laid on, as far as that matters before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Under {
    /// Size in pixels.
    pub size: Size,
    /// Its levels.
    pub range: ColourRange,
}

impl Under {
    /// A picture.
    pub fn of(picture: &Picture) -> Under {
        Under { size: picture.size(), range: picture.range }
    }
}

/// How much of each pixel of a rectangle a shape covers: 0 nothing, 255 all.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Where it lies.
    pub place: Rect,
    /// Coverage, row by row.
    pub cover: Vec<u8>,
}

impl Mask {
    /// Covers nothing yet.
    pub fn new(place: Rect) -> Mask {
        Mask { place, cover: vec![0; place.width as usize * place.height as usize] }
    }

    /// Coverage of a row of the picture, from the mask's left edge on; empty outside.
    fn row(&self, y: i32) -> &[u8] {
        let width = self.place.width as usize;
        if y < self.place.top || y >= self.place.bottom() {
            return &[];
        }
        &self.cover[(y - self.place.top) as usize * width..][..width]
    }
}

/// A picture, or a sprite, to be painted on. Places are in pixels of the whole picture in both.
pub struct Canvas<'a> {
    ink: &'a mut Picture,
    /// Of a sprite: how much stays of what it is laid on. What is painted on `ink` takes away from it.
    keep: Option<&'a mut Picture>,
    /// What of the whole picture it is, beginning on even pixels.
    place: Rect,
}

impl<'a> Canvas<'a> {
    /// A whole picture.
    pub fn of(picture: &'a mut Picture) -> Canvas<'a> {
        let place = Rect::of(picture.size());
        Canvas { ink: picture, keep: None, place }
    }

    /// Paints a colour where a mask covers, thinned to `opacity` of 255.
    pub fn paint(&mut self, mask: &Mask, colour: Colour, opacity: u8) {
        let samples = colour.samples(self.ink.range);
        blend(self.ink, &self.place, mask, samples, opacity);
        if let Some(keep) = &mut self.keep {
            blend(keep, &self.place, mask, [0; 3], opacity);
        }
    }

    /// Fills a rectangle with a colour.
    pub fn fill(&mut self, place: Rect, colour: Colour, opacity: u8) {
        let place = place.common(&self.place);
        self.paint(&Mask { place, cover: vec![255; place.width as usize * place.height as usize] }, colour, opacity);
    }
}

/// `under` where nothing covers, `over` where 255 does.
fn mix(under: u8, over: u8, cover: u32) -> u8 {
    // Most of what is covered is covered whole.
    if cover == 255 {
        return over;
    }
    ((u32::from(under) * (255 - cover) + u32::from(over) * cover + 127) / 255) as u8
}

fn blend(picture: &mut Picture, window: &Rect, mask: &Mask, samples: [u8; 3], opacity: u8) {
    let place = mask.place.common(window);
    if place.width == 0 || place.height == 0 {
        return;
    }
    let stride = picture.stride_bytes();
    let [luma, u, v] = picture.planes_mut();
    let thin = |cover: u32| (cover * u32::from(opacity) + 127) / 255;
    let skipped = (place.left - mask.place.left) as usize;
    for y in place.top..place.bottom() {
        let covers = &mask.row(y)[skipped..][..place.width as usize];
        let row = &mut luma[(y - window.top) as usize * stride + (place.left - window.left) as usize..];
        for (sample, cover) in row.iter_mut().zip(covers).filter(|(_, cover)| **cover > 0) {
            *sample = mix(*sample, samples[0], thin(u32::from(*cover)));
        }
    }
    // A sample of chroma is covered as its four pixels are on average.
    for y in (place.top & !1..place.bottom()).step_by(2) {
        let row = (y - window.top) as usize / 2 * (stride / 2);
        let (upper, lower) = (mask.row(y), mask.row(y + 1));
        for x in (place.left & !1..place.right()).step_by(2) {
            // Left of the mask is no index either.
            let at = |row: &[u8], x: i32| row.get((x - mask.place.left) as usize).map_or(0, |cover| u32::from(*cover));
            let four = at(upper, x) + at(upper, x + 1) + at(lower, x) + at(lower, x + 1);
            if four > 0 {
                let (at, cover) = (row + (x - window.left) as usize / 2, thin(four.div_ceil(4)));
                u[at] = mix(u[at], samples[1], cover);
                v[at] = mix(v[at], samples[2], cover);
            }
        }
    }
}

/// Something painted once, to be laid on one picture after the other.
#[derive(Debug)]
pub struct Sprite {
    place: Rect,
    /// Samples, already multiplied by how much they cover.
    ink: Picture,
    /// How much stays of what is beneath, of 255.
    keep: Picture,
}

impl Sprite {
    /// Covers nothing yet. `place` is cut to what it is to be laid on.
    pub fn new(place: Rect, under: Under) -> Sprite {
        let mut place = place.even().common(&Rect::of(under.size));
        if place.width == 0 || place.height == 0 {
            place = Rect::default();
        }
        let size = Size::new(place.width, place.height);
        let (mut ink, mut keep) = (Picture::new(size), Picture::new(size));
        ink.fill(0, 0, 0);
        keep.fill(255, 255, 255);
        ink.range = under.range;
        Sprite { place, ink, keep }
    }

    /// Where it lies, its samples already multiplied by how much they cover, and how much stays of what is beneath.
    pub fn parts(&self) -> (Rect, &Picture, &Picture) {
        (self.place, &self.ink, &self.keep)
    }

    /// To paint on it.
    pub fn canvas(&mut self) -> Canvas<'_> {
        Canvas { ink: &mut self.ink, keep: Some(&mut self.keep), place: self.place }
    }

    /// Lays it on a picture of the size and range that it was made for. Allocates nothing.
    pub fn lay_on(&self, picture: &mut Picture) {
        let stride = picture.stride_bytes();
        let planes = picture.planes_mut().into_iter().zip(self.ink.planes()).zip(self.keep.planes());
        for (index, ((plane, ink), keep)) in planes.enumerate() {
            let half = u32::from(index > 0);
            let stride = stride >> half;
            let from = (self.place.top as usize >> half) * stride + (self.place.left as usize >> half);
            let size = if index > 0 { self.ink.size().chroma() } else { self.ink.size() };
            lay(plane, from, stride, ink, keep, size);
        }
    }
}

fn lay(plane: &mut [u8], from: usize, stride: usize, ink: Plane<'_>, keep: Plane<'_>, size: Size) {
    for row in 0..size.height as usize {
        let at = row * ink.stride_bytes;
        let columns = size.width as usize;
        let under = &mut plane[from + row * stride..][..columns];
        for ((sample, ink), keep) in under.iter_mut().zip(&ink.data[at..]).zip(&keep.data[at..]) {
            // x · 257 / 65,536, rounded, is x / 255 for all products of two bytes; a form that becomes vector code.
            let stays = ((u32::from(*sample) * u32::from(*keep) + 128) * 257) >> 16;
            *sample = (stays as u8).saturating_add(*ink);
        }
    }
}
