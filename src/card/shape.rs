//! Shapes with soft edges, put together from polygons.

use super::canvas::{Mask, Rect};
use ab_glyph_rasterizer::{Point, Rasterizer, point};
use core::f32::consts::{PI, TAU};

/// The corners of a polygon, in pixels of the picture or in parts of a square.
pub type Polygon = Vec<Point>;

impl Mask {
    /// Covers a polygon as well. Its edges must not cross.
    pub fn add(&mut self, polygon: &[Point]) {
        self.each_covered(polygon, |under, cover| under + (1.0 - under) * cover);
    }

    /// Covers a polygon no longer.
    pub fn erase(&mut self, polygon: &[Point]) {
        self.each_covered(polygon, |under, cover| under * (1.0 - cover));
    }

    fn each_covered(&mut self, polygon: &[Point], change: impl Fn(f32, f32) -> f32) {
        let part = bounds(polygon).common(&self.place);
        if part.width == 0 || part.height == 0 {
            return;
        }
        let shift = |at: &Point| {
            // The rasteriser wants all of an outline inside. What is beyond an edge lies on it.
            let (x, y) = (at.x - part.left as f32, at.y - part.top as f32);
            point(x.clamp(0.0, part.width as f32), y.clamp(0.0, part.height as f32))
        };
        let mut rasterizer = Rasterizer::new(part.width as usize, part.height as usize);
        for (from, to) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
            rasterizer.draw_line(shift(from), shift(to));
        }
        let width = self.place.width as usize;
        let from = (part.top - self.place.top) as usize * width + (part.left - self.place.left) as usize;
        rasterizer.for_each_pixel_2d(|x, y, cover| {
            let under = &mut self.cover[from + y as usize * width + x as usize];
            *under = (change(f32::from(*under) / 255.0, cover.clamp(0.0, 1.0)) * 255.0 + 0.5) as u8;
        });
    }
}

/// The pixels that a polygon touches.
fn bounds(polygon: &[Point]) -> Rect {
    let least = |part: fn(&Point) -> f32| polygon.iter().map(part).fold(f32::MAX, f32::min).floor() as i32;
    let most = |part: fn(&Point) -> f32| polygon.iter().map(part).fold(f32::MIN, f32::max).ceil() as i32;
    let (left, top) = (least(|at| at.x), least(|at| at.y));
    let extent = |from: i32, to: i32| to.saturating_sub(from).max(0) as u32;
    Rect::new(left, top, extent(left, most(|at| at.x)), extent(top, most(|at| at.y)))
}

/// Corners of a full circle: on the largest icons an edge of 4 pixels, which nobody sees.
const CORNERS: usize = 64;

/// Points on a circle from one angle to another, in radians clockwise from the right.
pub fn arc(centre: Point, radius: f32, from: f32, to: f32) -> Polygon {
    let steps = ((to - from).abs() / TAU * CORNERS as f32).ceil().max(1.0) as usize;
    let at = |step: usize| {
        let (sin, cos) = (from + (to - from) * step as f32 / steps as f32).sin_cos();
        point(centre.x + radius * cos, centre.y + radius * sin)
    };
    (0..=steps).map(at).collect()
}

/// A filled circle.
pub fn disc(centre: Point, radius: f32) -> Polygon {
    arc(centre, radius, 0.0, TAU)
}

/// A part of a ring, `width` thick, with round ends.
pub fn bow(centre: Point, radius: f32, width: f32, from: f32, to: f32) -> Polygon {
    let half = width / 2.0;
    let end = |angle: f32| point(centre.x + radius * angle.cos(), centre.y + radius * angle.sin());
    let mut polygon = arc(centre, radius + half, from, to);
    polygon.extend(arc(end(to), half, to, to + PI));
    polygon.extend(arc(centre, radius - half, to, from));
    polygon.extend(arc(end(from), half, from + PI, from + TAU));
    polygon
}

/// A straight stroke, `width` thick, with round ends.
pub fn stroke(from: Point, to: Point, width: f32) -> Polygon {
    let along = (to.y - from.y).atan2(to.x - from.x);
    let mut polygon = arc(to, width / 2.0, along - PI / 2.0, along + PI / 2.0);
    polygon.extend(arc(from, width / 2.0, along + PI / 2.0, along + 1.5 * PI));
    polygon
}

/// A rectangle whose corners are round.
pub fn rounded(left: f32, top: f32, width: f32, height: f32, radius: f32) -> Polygon {
    let radius = radius.min(width / 2.0).min(height / 2.0);
    let (right, bottom) = (left + width - radius, top + height - radius);
    let (left, top) = (left + radius, top + radius);
    let corners = [(left, top, PI), (right, top, 1.5 * PI), (right, bottom, TAU), (left, bottom, 2.5 * PI)];
    corners.into_iter().flat_map(|(x, y, from)| arc(point(x, y), radius, from, from + PI / 2.0)).collect()
}

/// A mask of a rectangle with round corners.
pub fn panel(place: Rect, radius: f32) -> Mask {
    let mut mask = Mask::new(place);
    mask.add(&rounded(place.left as f32, place.top as f32, place.width as f32, place.height as f32, radius));
    mask
}
