//! What stands upon a picture: a band with words, marks, the volume, one's own picture, buttons.
//!
//! **Painted when it changes, laid on each picture.** A [`Sheet`] keeps what was painted as sprites, each no larger than
//! what it shows.

use super::canvas::{Canvas, Rect, Sprite, Under};
use super::colour::{Colour, GROUND, PLAIN, STRONG, WARN, WELL};
use super::content::about;
use super::icon::Icon;
use super::inset::Inset;
use super::layout::{self, EM_MIN_PX};
use super::pane::Glazing;
use super::shape::panel;
use super::zone::{self, Touch, Zone};
use super::{Manner, text};
use crate::media::{Picture, Size};

/// How much of a panel's ground covers the picture: on a white one, text still has its contrast.
pub const OPACITY: u8 = 200;
/// A shown buttons' row holds no more.
const TOUCHES_MAX: usize = 6;
/// Marks at once: on the smallest screens more would cover the picture.
const MARKS_MAX: usize = 4;

/// What stands upon a picture. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Words on a band across the foot.
    pub heading: Option<Heading>,
    /// Our microphone is off.
    pub is_muted: bool,
    /// Theirs is.
    pub is_muted_there: bool,
    /// The network loses or delays much.
    pub is_network_weak: bool,
    /// Pictures are smaller, slower or coarser than they were meant to be, and why.
    pub reduced: Option<Reduced>,
    /// The loudspeaker's volume, while it is being changed.
    pub volume_percent: Option<u8>,
    /// How long the call may still last, when that should be known.
    pub remaining_seconds: Option<u64>,
    /// Whether our own picture stands in a corner.
    pub has_self_view: bool,
    /// The buttons, where there is touch; the first six.
    pub touches: Vec<Touch>,
}

/// What the band says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heading {
    /// A station rings; this is its picture.
    Rings(String),
    /// We look at a station, which hears and sees nothing of us.
    Watching(String),
    /// Another station looks at us.
    WatchedBy(String),
    /// A door was released.
    DoorOpen,
    /// A door was not released, though somebody here wanted it.
    DoorShut,
    /// Anything else.
    Text(String),
}

/// Why pictures are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduced {
    /// The board is too hot.
    Heat,
    /// Its power supply is too weak.
    Power,
    /// It has too much to do.
    Work,
}

impl Overlay {
    /// Words on a band, and nothing else: "no sound from kitchen".
    pub fn note(words: impl Into<String>) -> Overlay {
        Overlay { heading: Some(Heading::Text(words.into())), ..Overlay::default() }
    }

    /// Where, on a picture of a size, its buttons are; nowhere without touch.
    pub fn zones(&self, manner: &Manner, size: Size) -> Vec<Zone> {
        if !manner.touch {
            return Vec::new();
        }
        zone::arrange(&self.touches[..self.touches.len().min(TOUCHES_MAX)], size)
    }

    /// Signs and words in the upper left corner, the most important first.
    fn marks(&self, manner: &Manner) -> Vec<(Icon, String)> {
        let say = manner.language.sentences();
        let mark = |is_on: bool, icon: Icon, words: &str| is_on.then(|| (icon, words.to_owned()));
        let remaining = self.remaining_seconds.map(|seconds| {
            let time = format!("{}:{:02}", seconds / 60, seconds % 60);
            (Icon::Clock, say.remaining.replace("{time}", &time))
        });
        let reduced = self.reduced.map(|why| match why {
            Reduced::Heat => (Icon::Warning, say.reduced_by_heat.to_owned()),
            Reduced::Power => (Icon::Warning, say.reduced_by_power.to_owned()),
            Reduced::Work => (Icon::Warning, say.reduced_by_work.to_owned()),
        });
        let marks = [
            mark(self.is_muted, Icon::MicrophoneOff, say.muted),
            mark(self.is_muted_there, Icon::MicrophoneOff, say.muted_there),
            mark(self.is_network_weak, Icon::WeakNetwork, say.weak_network),
            remaining,
            reduced,
        ];
        marks.into_iter().flatten().take(MARKS_MAX).collect()
    }

    fn heading(&self, manner: &Manner) -> Option<(Option<Icon>, String)> {
        let say = manner.language.sentences();
        Some(match self.heading.as_ref()? {
            Heading::Rings(name) => (Some(Icon::Bell), about(say.rings, name)),
            Heading::Watching(name) => (Some(Icon::Eye), about(say.watching, name)),
            Heading::WatchedBy(name) => (Some(Icon::Eye), about(say.watched_by, name)),
            Heading::DoorOpen => (Some(Icon::Door), say.door_open.into()),
            Heading::DoorShut => (Some(Icon::Warning), say.door_shut.into()),
            Heading::Text(words) => (None, words.clone()),
        })
    }
}

/// An overlay, painted, to be laid on one picture after the other.
#[derive(Debug, Default)]
pub struct Sheet {
    overlay: Overlay,
    manner: Manner,
    /// What pictures it was painted for; `None` while it is to be painted anew.
    painted_for: Option<Under>,
    sprites: Vec<Sprite>,
    inset: Option<Inset>,
    /// The same for a pane in front of pictures.
    pub(super) glazing: Glazing,
}

impl Sheet {
    /// Shows another overlay from the next picture on.
    pub fn set(&mut self, overlay: &Overlay, manner: &Manner) {
        if self.overlay != *overlay || self.manner != *manner {
            self.overlay.clone_from(overlay);
            self.manner = *manner;
            self.painted_for = None;
            self.glazing.is_painted = false;
        }
    }

    /// What it shows, and how.
    pub(super) fn shows(&self) -> (&Overlay, &Manner) {
        (&self.overlay, &self.manner)
    }

    /// Whether nothing of it would be seen, so that pictures need not be touched; `has_own` is whether there is a picture
    /// of our own.
    pub fn is_empty(&self, has_own: bool) -> bool {
        let Overlay { heading, volume_percent, has_self_view, touches, .. } = &self.overlay;
        let Overlay { is_muted, is_muted_there, is_network_weak, reduced, remaining_seconds, .. } = &self.overlay;
        let is_marked = *is_muted || *is_muted_there || *is_network_weak;
        let is_told = heading.is_some() || volume_percent.is_some() || reduced.is_some() || remaining_seconds.is_some();
        let is_touched = self.manner.touch && !touches.is_empty();
        !(is_marked || is_told || is_touched || has_own && *has_self_view)
    }

    /// Lays the overlay on a picture, and our own picture into its corner where that is wanted. Allocates only when the
    /// overlay or the pictures' size or range have changed.
    pub fn lay_on(&mut self, picture: &mut Picture, self_view: Option<&Picture>) {
        let under = Under::of(picture);
        if self.painted_for != Some(under) {
            self.sprites = paint(&self.overlay, &self.manner, under);
            self.painted_for = Some(under);
        }
        if let Some(small) = self_view.filter(|_| self.overlay.has_self_view) {
            if !self.inset.as_ref().is_some_and(|inset| inset.is_for(Under::of(small), under)) {
                self.inset = Inset::new(Under::of(small), under, super::margin(under.size));
            }
            if let Some(inset) = &self.inset {
                inset.draw(small, picture);
            }
        }
        for sprite in &self.sprites {
            sprite.lay_on(picture);
        }
    }
}

/// Paints everything but our own picture.
pub(super) fn paint(overlay: &Overlay, manner: &Manner, under: Under) -> Vec<Sprite> {
    let mut sprites = Vec::new();
    let zones = overlay.zones(manner, under.size);
    let mut foot = under.size.height as i32;
    if let Some(first) = zones.first() {
        foot = first.place.top - zone::gap(under.size) as i32;
    }
    if let Some((icon, words)) = overlay.heading(manner) {
        let (colour, is_large) = match overlay.heading {
            Some(Heading::Rings(_) | Heading::DoorOpen) => (WELL, true),
            Some(Heading::DoorShut) => (WARN, true),
            _ => (PLAIN, false),
        };
        let (sprite, top) = band(icon.map(|icon| (icon, colour)), &words, is_large, foot, under);
        sprites.push(sprite);
        foot = top;
    }
    let faces = zone::faces(&zones, manner.language, &[], overlay.is_muted);
    sprites.extend(zones.iter().zip(&faces).map(|(zone, face)| {
        let mut sprite = Sprite::new(zone.place, under);
        zone::draw(zone, face, &mut sprite.canvas());
        sprite
    }));
    sprites.extend(overlay.volume_percent.map(|percent| volume(percent, foot, under)));
    marks(&overlay.marks(manner), overlay.has_self_view, under, &mut sprites);
    sprites
}

/// Words across the picture, down to its lower edge, of which everything above `foot` is free for them. Tells its top.
fn band(icon: Option<(Icon, Colour)>, words: &str, is_large: bool, foot: i32, under: Under) -> (Sprite, i32) {
    let size = under.size;
    let em = (size.width.min(size.height) / if is_large { 9 } else { 14 }).max(EM_MIN_PX);
    let height = (em as f32 * 1.7) as i32;
    let top = (foot - height).max(0);
    let mut sprite = Sprite::new(Rect::new(0, top, size.width, (size.height as i32 - top) as u32), under);
    let canvas = &mut sprite.canvas();
    canvas.fill(Rect::of(size), GROUND, OPACITY);
    let room = Rect::new(0, top, size.width, height as u32);
    label(icon, words, em, room, true, canvas);
    (sprite, top)
}

/// A sign and words in one line, in the middle of a room or at its left. Words that are too long are made
/// smaller, down to three fifths, and then cut short.
fn label(icon: Option<(Icon, Colour)>, words: &str, em: u32, room: Rect, is_centred: bool, canvas: &mut Canvas<'_>) {
    let sign = if icon.is_some() { em + em * 2 / 5 } else { 0 };
    let free = room.width.saturating_sub(sign + em) as f32;
    let words = text::clean(words);
    let fitting = (free / text::width(&words).max(1.0)) as u32;
    let em = em.min(fitting.max(em * 3 / 5));
    let line = layout::shorten(&words, free / em as f32);
    let taken = sign + line.width_px(em);
    let off = if is_centred { room.width.saturating_sub(taken) / 2 } else { em / 2 };
    let left = room.left + off as i32;
    let middle = room.top + room.height as i32 / 2;
    if let Some((icon, colour)) = icon {
        canvas.paint(&icon.mask(left, middle - em as i32 / 2, em), colour, 255);
    }
    let baseline = middle + (em as f32 * text::CAPITAL / 2.0) as i32;
    text::draw(&line.text, em, left + sign as i32, baseline, STRONG, canvas);
}

/// The volume as a bar, above `foot` and at the right: the marks are at the left.
fn volume(percent: u8, foot: i32, under: Under) -> Sprite {
    let size = under.size;
    let shorter = size.width.min(size.height);
    let (width, height) = (shorter * 11 / 20, shorter / 9);
    let left = (size.width - width - super::margin(size)) as i32;
    let place = Rect::new(left, foot - height as i32 - zone::gap(size) as i32, width, height);
    let mut sprite = Sprite::new(place, under);
    let canvas = &mut sprite.canvas();
    canvas.paint(&panel(place, height as f32 / 4.0), GROUND, OPACITY);
    let side = height * 2 / 3;
    let pad = (height - side) / 2;
    canvas.paint(&Icon::Loudspeaker.mask(left + pad as i32, place.top + pad as i32, side), STRONG, 255);
    let from = left + (side + 2 * pad) as i32;
    let thick = (height / 5).max(1);
    let bar = Rect::new(
        from,
        place.top + (height.saturating_sub(thick) / 2) as i32,
        width.saturating_sub(side + 4 * pad),
        thick,
    );
    canvas.paint(&panel(bar, thick as f32), super::colour::BUTTON, 255);
    let full = Rect { width: bar.width * u32::from(percent.min(100)) / 100, ..bar };
    canvas.paint(&panel(full, thick as f32), STRONG, 255);
    sprite
}

/// Marks one below the other in the upper left corner, each on a panel of its own.
fn marks(marks: &[(Icon, String)], is_beside_inset: bool, under: Under, sprites: &mut Vec<Sprite>) {
    let size = under.size;
    let margin = super::margin(size);
    let em = (size.width.min(size.height) / 15).max(EM_MIN_PX);
    let height = em * 9 / 5;
    // Our own picture takes a quarter of the width.
    let taken = 2 * margin + if is_beside_inset { size.width / 4 + margin } else { 0 };
    let mut top = margin;
    for (icon, words) in marks {
        let words = text::clean(words);
        let wish = (text::width(&words) * em as f32) as u32 + em * 13 / 5;
        let place = Rect::new(margin as i32, top as i32, wish.min(size.width.saturating_sub(taken)), height);
        let mut sprite = Sprite::new(place, under);
        let canvas = &mut sprite.canvas();
        canvas.paint(&panel(place, height as f32 / 3.0), GROUND, OPACITY);
        label(Some((*icon, WARN)), &words, em, place, false, canvas);
        sprites.push(sprite);
        top += height + zone::gap(size);
    }
}
