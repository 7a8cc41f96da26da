//! What stands upon a picture, on a pane of its own: for screens whose hardware lays that over pictures by itself.
//!
//! **Only what changed is drawn**: our own picture with each that the camera takes, a sign when it comes, goes or says
//! something else. It looks like what [`Sheet::lay_on`] makes of a picture, but for edges, which are as sharp as the screen.

use super::canvas::{Rect, Sprite, Under};
use super::inset::Inset;
use super::overlay::{Sheet, paint};
use crate::media::{ColourRange, Pane, Picture, Size};
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix, yuv420_to_bgra};

/// A pixel of a pane.
type Pixel = [u8; Pane::PIXEL_BYTES];

/// A pane, and what stands on it.
#[derive(Debug, Default)]
pub(super) struct Glazing {
    pane: Pane,
    /// Whether the stains are those of the overlay that is to be shown.
    pub is_painted: bool,
    stains: Vec<Stain>,
    own: Own,
    /// What is to be drawn anew; empty between two calls.
    stale: Vec<Rect>,
}

/// A sprite in a pane's pixels.
#[derive(Debug, PartialEq)]
struct Stain {
    place: Rect,
    pixels: Vec<Pixel>,
}

/// Our own picture on a pane.
#[derive(Debug, Default)]
struct Own {
    inset: Option<Inset>,
    /// Where it stands now, with its frame; empty for nowhere.
    place: Rect,
    /// The part of a large picture that it takes, on even pixels, as samples and as pixels.
    part: Rect,
    samples: Option<Picture>,
    pixels: Vec<u8>,
}

impl Sheet {
    /// What [`Sheet::lay_on`] would lay on a picture, on a pane of a size. `own` is our own picture, and `is_new` whether it
    /// is another than at the last call. Allocates only when the overlay or a size has changed.
    pub fn pane(&mut self, size: Size, own: Option<&Picture>, is_new: bool) -> &Pane {
        // Nothing is lost between these levels and a screen's.
        let under = Under { size, range: ColourRange::Full };
        if self.glazing.pane.size() != size {
            let pane = core::mem::take(&mut self.glazing.pane);
            self.glazing = Glazing { pane, ..Glazing::default() };
            self.glazing.pane.reshape(size);
        }
        if !self.glazing.is_painted {
            let (overlay, manner) = self.shows();
            let fresh = paint(overlay, manner, under).iter().map(Stain::of).collect();
            self.glazing.replace(fresh);
        }
        let own = own.filter(|_| self.shows().0.has_self_view);
        let mut stale = core::mem::take(&mut self.glazing.stale);
        self.glazing.own.follow(own, is_new, under, &mut stale);
        stale.drain(..).for_each(|place| self.glazing.draw(place));
        self.glazing.stale = stale;
        &self.glazing.pane
    }
}

impl Glazing {
    /// Takes other stains; where they differ is stale.
    fn replace(&mut self, fresh: Vec<Stain>) {
        let gone = self.stains.iter().filter(|stain| !fresh.contains(stain));
        let new = fresh.iter().filter(|stain| !self.stains.contains(stain));
        self.stale.extend(gone.chain(new).map(|stain| stain.place));
        self.stains = fresh;
        self.is_painted = true;
    }

    /// Draws a rectangle anew.
    fn draw(&mut self, place: Rect) {
        let place = place.common(&Rect::of(self.pane.size()));
        for (row, y) in self.pane.change(place).zip(place.top..) {
            row.fill(0);
            let (row, _) = row.as_chunks_mut::<{ Pane::PIXEL_BYTES }>();
            if let Some((own, out)) = shared(self.own.row(y), self.own.place.left, row, place.left) {
                out.copy_from_slice(own);
            }
            for stain in &self.stains {
                let Some((stain, out)) = shared(stain.row(y), stain.place.left, row, place.left) else { continue };
                out.iter_mut().zip(stain).for_each(|(out, over)| *out = laid_on(*out, *over));
            }
        }
    }
}

/// What two runs of pixels of one row have in common, by where each begins.
fn shared<'a>(from: &'a [Pixel], at: i32, onto: &'a mut [Pixel], begin: i32) -> Option<(&'a [Pixel], &'a mut [Pixel])> {
    let (left, right) = (at.max(begin), (at + from.len() as i32).min(begin + onto.len() as i32));
    let range = |first: i32| (left - first) as usize..(right - first) as usize;
    (left < right).then(|| (&from[range(at)], &mut onto[range(begin)]))
}

fn laid_on(under: Pixel, over: Pixel) -> Pixel {
    let keep = 255 - u32::from(over[3]);
    core::array::from_fn(|n| over[n].saturating_add(((u32::from(under[n]) * keep + 127) / 255) as u8))
}

impl Stain {
    fn of(sprite: &Sprite) -> Stain {
        let (place, ink, keep) = sprite.parts();
        let width = place.width as usize;
        let (stride, ink, keep) = (ink.stride_bytes(), ink.planes(), keep.planes());
        let pixels = (0..width * place.height as usize).map(|n| {
            let (x, y) = (n % width, n / width);
            let (whole, half) = (y * stride + x, y / 2 * (stride / 2) + x / 2);
            let covers = [255 - keep[0].data[whole], 255 - keep[1].data[half]];
            pixel([ink[0].data[whole], ink[1].data[half], ink[2].data[half]], covers)
        });
        Stain { place, pixels: pixels.collect() }
    }

    fn row(&self, y: i32) -> &[Pixel] {
        let width = self.place.width as usize;
        if y < self.place.top || y >= self.place.bottom() {
            return &[];
        }
        &self.pixels[(y - self.place.top) as usize * width..][..width]
    }
}

/// A pixel of samples at full levels that are multiplied by how much they cover: luma by the first, chroma by the second.
fn pixel(samples: [u8; 3], covers: [u8; 2]) -> Pixel {
    let [luma_cover, chroma_cover] = covers.map(f32::from);
    // What a sample of chroma covers of four pixels on average, this one covers by itself.
    let chroma = |sample: u8| match chroma_cover {
        0.0 => 0.0,
        cover => (f32::from(sample) - 128.0 * cover / 255.0) * luma_cover / cover,
    };
    let (y, u, v) = (f32::from(samples[0]), chroma(samples[1]), chroma(samples[2]));
    // BT.601.
    let colours = [y + 1.772 * u, y - 0.344_136 * u - 0.714_136 * v, y + 1.402 * v];
    let [b, g, r] = colours.map(|colour| colour.round().clamp(0.0, luma_cover) as u8);
    [b, g, r, covers[0]]
}

impl Own {
    /// Shows another picture, at another place, or none; where that makes a difference is stale.
    fn follow(&mut self, own: Option<&Picture>, is_new: bool, under: Under, stale: &mut Vec<Rect>) {
        if let Some(small) = own
            && !self.inset.as_ref().is_some_and(|inset| inset.is_for(Under::of(small), under))
        {
            self.inset = Inset::new(Under::of(small), under, super::margin(under.size));
        }
        let shown = own.zip(self.inset.as_ref());
        let place = shown.map_or(Rect::default(), |(_, inset)| inset.covers());
        let is_moved = place != self.place;
        if is_moved && self.place != Rect::default() {
            stale.push(self.place);
        }
        self.place = place;
        if let Some((small, _)) = shown.filter(|_| is_new || is_moved) {
            stale.push(place);
            self.part = place.even();
            self.convert(small, under.range);
        }
    }

    fn convert(&mut self, small: &Picture, range: ColourRange) {
        let Some(inset) = &self.inset else { return };
        let size = Size::new(self.part.width, self.part.height);
        let part = self.samples.get_or_insert_with(|| Picture::new(size));
        part.reshape(size);
        part.range = range;
        inset.draw_on(small, part, (self.part.left, self.part.top));
        let stride = part.stride_bytes() as u32;
        let [y, u, v] = part.planes().map(|plane| plane.data);
        let (y_stride, u_stride, v_stride) = (stride, stride / 2, stride / 2);
        let (width, height) = (size.width, size.height);
        let image = YuvPlanarImage { y_plane: y, y_stride, u_plane: u, u_stride, v_plane: v, v_stride, width, height };
        self.pixels.resize(size.pixels() * Pane::PIXEL_BYTES, 0);
        let row_bytes = size.width * Pane::PIXEL_BYTES as u32;
        // It refuses only planes that are too short for the size.
        let done = yuv420_to_bgra(&image, &mut self.pixels, row_bytes, YuvRange::Full, YuvStandardMatrix::Bt601);
        debug_assert!(done.is_ok(), "{done:?}");
    }

    fn row(&self, y: i32) -> &[Pixel] {
        if y < self.place.top || y >= self.place.bottom() {
            return &[];
        }
        let (pixels, _) = self.pixels.as_chunks::<{ Pane::PIXEL_BYTES }>();
        let first =
            (y - self.part.top) as usize * self.part.width as usize + (self.place.left - self.part.left) as usize;
        &pixels[first..][..self.place.width as usize]
    }
}
