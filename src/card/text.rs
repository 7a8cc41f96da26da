//! The letters: which font has one, how wide it is, and what it covers.
//!
//! Two fonts, both in the program: Noto Sans for Latin, Greek and Cyrillic, Noto Sans CJK SC for what GB 2312 has. A
//! letter that neither has is drawn as a box, so that it is seen to be missing. Scripts whose letters join or run from
//! right to left would need a shaper; they become boxes too.

use super::canvas::{Canvas, Mask, Rect};
use super::colour::Colour;
use ab_glyph::{Font, FontRef, Glyph, GlyphId, PxScale, point};
use std::sync::LazyLock;

/// In the order in which they are asked.
static FONTS: LazyLock<[FontRef<'static>; 2]> = LazyLock::new(|| {
    [&include_bytes!("fonts/latin.ttf")[..], &include_bytes!("fonts/han.otf")[..]]
        .map(|font| FontRef::try_from_slice(font).expect("a font in the program; a test reads both"))
});

/// More than this is not read from a screen; it bounds the work, whoever chose the text.
pub const LETTERS_MAX: usize = 300;

/// Height of a capital in parts of the em, as both fonts have it.
pub const CAPITAL: f32 = 0.72;
/// From one baseline to the next in parts of the em: room for an accent on a capital, and a tail above it.
pub const LINE: f32 = 1.32;
/// From the top of a line to its baseline in parts of the em.
pub const BASELINE: f32 = 1.02;

/// A font's picture of a letter.
fn glyph(letter: char) -> (&'static FontRef<'static>, GlyphId) {
    let missing = GlyphId(0);
    let has = |font: &'static FontRef<'static>| Some((font, font.glyph_id(letter))).filter(|(_, id)| *id != missing);
    FONTS.iter().find_map(has).unwrap_or((&FONTS[0], missing))
}

/// Parts of the em that a text takes from left to right.
pub fn width(text: &str) -> f32 {
    text.chars().map(advance).sum()
}

fn advance(letter: char) -> f32 {
    let (font, id) = glyph(letter);
    font.h_advance_unscaled(id) / font.units_per_em().unwrap_or(1_000.0)
}

/// Whether a font has the letter.
#[cfg(test)]
pub fn has(letter: char) -> bool {
    glyph(letter).1 != GlyphId(0)
}

/// What is drawn of a text that anybody may have chosen: one line, of bounded length, without marks that say how to draw
/// (direction, joining), which have no width and no glyph.
pub fn clean(text: &str) -> String {
    let is_invisible = |letter: &char| {
        matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    };
    let plain = |letter: char| match letter {
        // Spaces at which no line ends stay that.
        '\u{a0}' | '\u{202f}' => '\u{a0}',
        letter if letter.is_whitespace() || letter.is_control() => ' ',
        letter => letter,
    };
    text.chars().take(LETTERS_MAX).filter(|letter| !is_invisible(letter)).map(plain).collect()
}

/// Draws a line of text, from a point on its baseline on.
pub fn draw(text: &str, em_px: u32, left: i32, baseline: i32, colour: Colour, canvas: &mut Canvas<'_>) {
    let mut mask = Mask::default();
    let mut x = left as f32;
    for letter in text.chars() {
        let (font, id) = glyph(letter);
        let units = font.units_per_em().unwrap_or(1_000.0);
        let scale = PxScale::from(em_px as f32 * font.height_unscaled() / units);
        if let Some(outline) = font.outline_glyph(Glyph { id, scale, position: point(x, baseline as f32) }) {
            let bounds = outline.px_bounds();
            mask.place =
                Rect::new(bounds.min.x as i32, bounds.min.y as i32, bounds.width() as u32, bounds.height() as u32);
            mask.cover.clear();
            outline.draw(|_, _, cover| mask.cover.push((cover.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
            mask.cover.resize(mask.place.width as usize * mask.place.height as usize, 0);
            canvas.paint(&mask, colour, 255);
        }
        x += em_px as f32 * font.h_advance_unscaled(id) / units;
    }
}
