//! Buttons on a touch screen: what they mean, where they are, and what they look like.
//!
//! They stand in rows at the foot, where a hand covers the least. Each is at least an eighth of the screen's shorter side
//! in both directions: 9 mm on a 5-inch screen, which is what a finger hits without care.

use super::canvas::{Canvas, Rect};
use super::colour::STRONG;
use super::content::button_colour;
use super::icon::Icon;
use super::language::Language;
use super::layout::{self, EM_MIN_PX};
use super::shape::panel;
use super::text;
use crate::media::Size;

/// What a touch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// To answer who rings.
    Answer,
    /// Not to answer.
    Decline,
    /// To end what goes on: a call, a page, being watched.
    HangUp,
    /// To switch the microphone off or on.
    Mute,
    /// To open the door.
    Release,
    /// To make the loudspeaker quieter.
    VolumeDown,
    /// To make it louder.
    VolumeUp,
    /// To ring a contact of the idle card, by its place in that list.
    Ring(usize),
    /// To switch "do not disturb" on or off.
    DoNotDisturb,
    /// To offer a one-time code.
    Pair,
    /// To take it back.
    StopPairing,
}

/// A part of the screen that can be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Where, in pixels of the picture that was drawn.
    pub place: Rect,
    /// What for.
    pub touch: Touch,
}

/// Fewer pixels than this on the shorter side are no touch screen.
const TOUCH_MIN_PX: u32 = 96;
/// Rows of buttons, on screens that are wide and on those that are high.
const ROWS_MAX: (usize, usize) = (2, 3);
/// Buttons in a row where more fit: more would have no room for a word.
const COLUMNS_WISH: (usize, usize) = (3, 2);
/// A button is no wider than this many times its height, so that it looks like one.
const WIDTH_PER_HEIGHT: u32 = 4;

/// Between buttons, and between them and other things.
pub fn gap(size: Size) -> u32 {
    size.width.min(size.height) / 30
}

/// Places buttons at the foot of a screen, from left to right and from top to bottom.
pub fn arrange(touches: &[Touch], size: Size) -> Vec<Zone> {
    let shorter = size.width.min(size.height);
    if shorter < TOUCH_MIN_PX || touches.is_empty() {
        return Vec::new();
    }
    let is_wide = size.width >= size.height;
    let (rows_max, wish) = if is_wide { (ROWS_MAX.0, COLUMNS_WISH.0) } else { (ROWS_MAX.1, COLUMNS_WISH.1) };
    // In one row as long as each is a sign only, or few have words.
    let wish = if touches.iter().any(|touch| matches!(touch, Touch::Ring(_))) { wish } else { wish * 2 };
    // As many in each row as in the others, as far as they go.
    let rows = touches.len().div_ceil(wish).min(rows_max);
    let columns = touches.len().div_ceil(rows);
    let (room, gap, height) = (Rect::of(size).inside(super::margin(size)), gap(size), shorter / 6);
    let share = (room.width - gap * (columns as u32 - 1)) / columns as u32;
    let width = share.min(height * WIDTH_PER_HEIGHT);
    let top = room.bottom() - (rows as u32 * (height + gap) - gap) as i32;
    let place = |index: usize| {
        let (row, column) = (index / columns, index % columns);
        // The last row may have fewer; each row stands in the middle.
        let in_row = columns.min(touches.len() - row * columns) as u32;
        let left = room.left + ((room.width - (in_row * (width + gap) - gap)) / 2) as i32;
        let (right, down) = (column as u32 * (width + gap), row as u32 * (height + gap));
        Rect::new(left + right as i32, top + down as i32, width, height)
    };
    touches.iter().enumerate().map(|(index, touch)| Zone { place: place(index), touch: *touch }).collect()
}

/// What stands on a button.
#[derive(Debug)]
pub struct Face {
    icon: Option<Icon>,
    label: String,
}

/// The sign and the words of a button; `is_muted` is what the microphone is now.
fn face(touch: &Touch, language: Language, contacts: &[String], is_muted: bool) -> Face {
    let say = language.sentences();
    let (icon, label) = match touch {
        Touch::Answer => (Icon::HandsetUp, say.answer_button),
        Touch::Decline => (Icon::HandsetDown, say.decline_button),
        Touch::HangUp => (Icon::HandsetDown, say.hang_up_button),
        Touch::Mute if is_muted => (Icon::MicrophoneOff, ""),
        Touch::Mute => (Icon::Microphone, ""),
        Touch::Release => (Icon::Door, say.release_button),
        Touch::VolumeDown => (Icon::Quieter, ""),
        Touch::VolumeUp => (Icon::Louder, ""),
        Touch::DoNotDisturb => (Icon::Moon, ""),
        Touch::Pair => (Icon::Links, say.pair_button),
        Touch::StopPairing => (Icon::Cross, say.stop_button),
        Touch::Ring(contact) => {
            let name = contacts.get(*contact).map_or(String::new(), |name| text::clean(name));
            return Face { icon: None, label: name };
        }
    };
    Face { icon: Some(icon), label: label.to_owned() }
}

/// What stands on each of some buttons that are shown together. **Where a word does not fit beside its sign, all are
/// left to their signs**, so that none seems to matter more; a name, which has no sign, is cut short when it is drawn.
pub fn faces(zones: &[Zone], language: Language, contacts: &[String], is_muted: bool) -> Vec<Face> {
    let mut faces: Vec<_> = zones.iter().map(|zone| face(&zone.touch, language, contacts, is_muted)).collect();
    let fits = |(zone, face): (&Zone, &Face)| {
        face.icon.is_none() || layout::Line::new(face.label.clone()).width_px(em_px(zone)) <= free_px(zone, face)
    };
    if !zones.iter().zip(&faces).all(fits) {
        faces.iter_mut().filter(|face| face.icon.is_some()).for_each(|face| face.label.clear());
    }
    faces
}

fn em_px(zone: &Zone) -> u32 {
    (zone.place.height * 2 / 5).max(EM_MIN_PX)
}

/// Free at each end of a button, and between its sign and its words.
fn pad_px(zone: &Zone) -> u32 {
    zone.place.height / 6
}

/// Side of a button's sign; larger where it stands alone.
fn sign_px(zone: &Zone, face: &Face) -> u32 {
    match face.icon {
        None => 0,
        Some(_) if face.label.is_empty() => zone.place.height * 2 / 3,
        Some(_) => zone.place.height / 2,
    }
}

/// What is left for words.
fn free_px(zone: &Zone, face: &Face) -> u32 {
    let (sign, pad) = (sign_px(zone, face), pad_px(zone));
    zone.place.width.saturating_sub(2 * pad + sign + if sign > 0 { pad } else { 0 })
}

/// Draws a button.
pub fn draw(zone: &Zone, face: &Face, canvas: &mut Canvas<'_>) {
    let place = zone.place;
    let colour = button_colour(&zone.touch);
    canvas.paint(&panel(place, place.height as f32 / 4.0), colour, 255);
    let (em, side, pad) = (em_px(zone), sign_px(zone, face), pad_px(zone));
    let line = layout::shorten(&face.label, free_px(zone, face) as f32 / em as f32);
    let words = line.width_px(em);
    let between = if side > 0 && words > 0 { pad } else { 0 };
    let left = place.left + (place.width.saturating_sub(side + between + words) / 2) as i32;
    let middle = place.top + place.height as i32 / 2;
    if let Some(icon) = face.icon {
        canvas.paint(&icon.mask(left, middle - side as i32 / 2, side), STRONG, 255);
    }
    let baseline = middle + (em as f32 * text::CAPITAL / 2.0) as i32;
    text::draw(&line.text, em, left + (side + between) as i32, baseline, STRONG, canvas);
}
