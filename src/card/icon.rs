//! The signs beside the words, drawn as geometry in a square of side 1.

use super::canvas::{Mask, Rect};
use super::shape::{Polygon, arc, bow, disc, rounded, stroke};
use ab_glyph_rasterizer::{Point, point};
use core::f32::consts::PI;

/// What a sign shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// Somebody rings.
    Bell,
    /// A handset, lifted: to call, to answer.
    HandsetUp,
    /// A handset, laid down: to decline, to hang up.
    HandsetDown,
    /// A microphone.
    Microphone,
    /// A microphone, struck through.
    MicrophoneOff,
    /// A door that stands open.
    Door,
    /// Somebody watches.
    Eye,
    /// Do not disturb.
    Moon,
    /// Something is wrong.
    Warning,
    /// A loudspeaker.
    Loudspeaker,
    /// A loudspeaker with a plus.
    Louder,
    /// A loudspeaker with a minus.
    Quieter,
    /// An announcement.
    Megaphone,
    /// Two bars: the call is held.
    Pause,
    /// Few bars of a network.
    WeakNetwork,
    /// A clock: time that remains.
    Clock,
    /// Two links: two stations that know each other.
    Links,
    /// A tick: it is done.
    Tick,
    /// A cross: to stop.
    Cross,
}

/// Adds and erases polygons of the unit square on a mask.
struct Pen {
    mask: Mask,
    origin: Point,
    side: f32,
}

impl Pen {
    fn place(&self, polygon: Polygon) -> Polygon {
        let onto = |at: Point| point(self.origin.x + at.x * self.side, self.origin.y + at.y * self.side);
        polygon.into_iter().map(onto).collect()
    }

    fn add(&mut self, polygon: Polygon) {
        let polygon = self.place(polygon);
        self.mask.add(&polygon);
    }

    fn erase(&mut self, polygon: Polygon) {
        let polygon = self.place(polygon);
        self.mask.erase(&polygon);
    }

    fn stroke(&mut self, from: (f32, f32), to: (f32, f32), width: f32) {
        self.add(stroke(point(from.0, from.1), point(to.0, to.1), width));
    }
}

impl Icon {
    /// The sign in a square of `side` pixels at a place.
    pub fn mask(self, left: i32, top: i32, side: u32) -> Mask {
        let origin = point(left as f32, top as f32);
        let mut pen = Pen { mask: Mask::new(Rect::new(left, top, side, side)), origin, side: side as f32 };
        match self {
            Icon::Bell => bell(&mut pen),
            Icon::HandsetUp => handset(&mut pen, -0.75 * PI),
            Icon::HandsetDown => handset(&mut pen, 0.0),
            Icon::Microphone => microphone(&mut pen),
            Icon::MicrophoneOff => {
                microphone(&mut pen);
                pen.erase(stroke(point(0.1, 0.18), point(0.82, 0.9), 0.14));
                pen.stroke((0.15, 0.13), (0.87, 0.85), 0.08);
            }
            Icon::Door => door(&mut pen),
            Icon::Eye => eye(&mut pen),
            Icon::Moon => {
                pen.add(disc(point(0.47, 0.53), 0.4));
                pen.erase(disc(point(0.65, 0.37), 0.35));
            }
            Icon::Warning => warning(&mut pen),
            Icon::Loudspeaker => {
                loudspeaker(&mut pen);
                pen.add(bow(point(0.46, 0.5), 0.22, 0.07, -0.25 * PI, 0.25 * PI));
                pen.add(bow(point(0.46, 0.5), 0.38, 0.07, -0.25 * PI, 0.25 * PI));
            }
            Icon::Louder | Icon::Quieter => {
                loudspeaker(&mut pen);
                pen.stroke((0.66, 0.5), (0.92, 0.5), 0.09);
                if self == Icon::Louder {
                    pen.stroke((0.79, 0.37), (0.79, 0.63), 0.09);
                }
            }
            Icon::Megaphone => megaphone(&mut pen),
            Icon::Pause => {
                pen.add(rounded(0.22, 0.15, 0.2, 0.7, 0.05));
                pen.add(rounded(0.58, 0.15, 0.2, 0.7, 0.05));
            }
            Icon::WeakNetwork => weak_network(&mut pen),
            Icon::Clock => {
                pen.add(disc(point(0.5, 0.5), 0.42));
                pen.erase(disc(point(0.5, 0.5), 0.33));
                pen.stroke((0.5, 0.26), (0.5, 0.5), 0.08);
                pen.stroke((0.5, 0.5), (0.66, 0.6), 0.08);
            }
            Icon::Links => links(&mut pen),
            Icon::Tick => {
                pen.stroke((0.14, 0.55), (0.38, 0.78), 0.13);
                pen.stroke((0.38, 0.78), (0.86, 0.24), 0.13);
            }
            Icon::Cross => {
                pen.stroke((0.22, 0.22), (0.78, 0.78), 0.12);
                pen.stroke((0.78, 0.22), (0.22, 0.78), 0.12);
            }
        }
        pen.mask
    }
}

fn bell(pen: &mut Pen) {
    pen.add(disc(point(0.5, 0.13), 0.07));
    let mut body = arc(point(0.5, 0.42), 0.27, PI, 2.0 * PI);
    body.extend([(0.79, 0.6), (0.9, 0.75), (0.1, 0.75), (0.21, 0.6)].map(|(x, y)| point(x, y)));
    pen.add(body);
    pen.add(arc(point(0.5, 0.8), 0.12, 0.0, PI));
}

/// Turned about its middle; 0 is lying down.
fn handset(pen: &mut Pen, angle: f32) {
    let (sin, cos) = angle.sin_cos();
    let turn = |at: Point| {
        let (x, y) = (at.x - 0.5, at.y - 0.5);
        point(0.5 + x * cos - y * sin, 0.5 + x * sin + y * cos)
    };
    let turned = |polygon: Polygon| polygon.into_iter().map(turn).collect();
    pen.add(turned(bow(point(0.5, 0.9), 0.47, 0.2, 1.22 * PI, 1.78 * PI)));
    for left in [0.0, 0.7] {
        pen.add(turned(rounded(left, 0.46, 0.3, 0.26, 0.07)));
    }
}

fn microphone(pen: &mut Pen) {
    pen.stroke((0.5, 0.23), (0.5, 0.46), 0.28);
    pen.add(bow(point(0.5, 0.46), 0.26, 0.075, 0.0, PI));
    pen.stroke((0.5, 0.72), (0.5, 0.86), 0.075);
    pen.stroke((0.34, 0.89), (0.66, 0.89), 0.075);
}

fn door(pen: &mut Pen) {
    pen.add(rounded(0.2, 0.06, 0.58, 0.88, 0.04));
    pen.erase(rounded(0.28, 0.14, 0.42, 0.8, 0.0));
    pen.stroke((0.08, 0.9), (0.92, 0.9), 0.08);
    pen.add([(0.28, 0.1), (0.57, 0.22), (0.57, 0.98), (0.28, 0.9)].map(|(x, y)| point(x, y)).to_vec());
    pen.erase(disc(point(0.49, 0.57), 0.045));
}

fn eye(pen: &mut Pen) {
    // Two arcs that meet in the corners of the eye.
    let lens = |thinner: f32| {
        let mut lens = arc(point(0.5, 0.88), 0.6 - thinner, 1.21 * PI, 1.79 * PI);
        lens.extend(arc(point(0.5, 0.12), 0.6 - thinner, 0.21 * PI, 0.79 * PI));
        lens
    };
    pen.add(lens(0.0));
    pen.erase(lens(0.08));
    pen.add(disc(point(0.5, 0.5), 0.14));
}

fn warning(pen: &mut Pen) {
    let corners = [(0.5, 0.17), (0.88, 0.83), (0.12, 0.83)];
    pen.add(corners.map(|(x, y)| point(x, y)).to_vec());
    for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
        pen.stroke(*from, *to, 0.12);
    }
    pen.erase(stroke(point(0.5, 0.38), point(0.5, 0.58), 0.09));
    pen.erase(disc(point(0.5, 0.74), 0.055));
}

fn loudspeaker(pen: &mut Pen) {
    let cone = [(0.08, 0.37), (0.24, 0.37), (0.5, 0.16), (0.5, 0.84), (0.24, 0.63), (0.08, 0.63)];
    pen.add(cone.map(|(x, y)| point(x, y)).to_vec());
}

fn megaphone(pen: &mut Pen) {
    pen.add(
        [(0.08, 0.4), (0.3, 0.4), (0.74, 0.14), (0.74, 0.82), (0.3, 0.58), (0.08, 0.58)]
            .map(|(x, y)| point(x, y))
            .to_vec(),
    );
    pen.stroke((0.26, 0.58), (0.34, 0.84), 0.12);
    pen.add(bow(point(0.72, 0.48), 0.18, 0.07, -0.35 * PI, 0.35 * PI));
}

fn weak_network(pen: &mut Pen) {
    for (index, height) in [0.24, 0.42, 0.6, 0.78].into_iter().enumerate() {
        let left = 0.1 + 0.21 * index as f32;
        pen.add(rounded(left, 0.9 - height, 0.16, height, 0.03));
        if index > 0 {
            pen.erase(rounded(left + 0.045, 0.945 - height, 0.07, height - 0.09, 0.0));
        }
    }
}

fn links(pen: &mut Pen) {
    for centre in [0.34, 0.66] {
        let side = if centre < 0.5 { (0.2, 0.46) } else { (0.54, 0.8) };
        pen.stroke((side.0, 0.5), (side.1, 0.5), 0.38);
        pen.erase(stroke(point(side.0, 0.5), point(side.1, 0.5), 0.2));
    }
    pen.stroke((0.34, 0.5), (0.66, 0.5), 0.09);
}
