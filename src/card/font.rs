//! The letters, in a ladder of sizes.

use crate::media::Size;
use core::convert::Infallible;
use embedded_graphics::Pixel;
use embedded_graphics::geometry::{OriginDimensions, Point, Size as Area};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::DrawTarget;
use u8g2_fonts::FontRenderer;
use u8g2_fonts::fonts::{
    u8g2_font_fub11_tf, u8g2_font_fub14_tf, u8g2_font_fub17_tf, u8g2_font_fub20_tf, u8g2_font_fub25_tf,
    u8g2_font_fub30_tf, u8g2_font_fub35_tf, u8g2_font_fub42_tf,
};
use u8g2_fonts::types::{FontColor, VerticalPosition};

/// The font's sizes, by the height of its capitals in pixels.
static FACES: [(u32, FontRenderer); 8] = [
    (11, FontRenderer::new::<u8g2_font_fub11_tf>().with_ignore_unknown_chars(true)),
    (14, FontRenderer::new::<u8g2_font_fub14_tf>().with_ignore_unknown_chars(true)),
    (17, FontRenderer::new::<u8g2_font_fub17_tf>().with_ignore_unknown_chars(true)),
    (20, FontRenderer::new::<u8g2_font_fub20_tf>().with_ignore_unknown_chars(true)),
    (25, FontRenderer::new::<u8g2_font_fub25_tf>().with_ignore_unknown_chars(true)),
    (30, FontRenderer::new::<u8g2_font_fub30_tf>().with_ignore_unknown_chars(true)),
    (35, FontRenderer::new::<u8g2_font_fub35_tf>().with_ignore_unknown_chars(true)),
    (42, FontRenderer::new::<u8g2_font_fub42_tf>().with_ignore_unknown_chars(true)),
];

/// One size of letters: a face, each pixel of it drawn as a square.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    face: usize,
    scale: u32,
}

/// All sizes, growing: each face by itself, then the larger ones in squares of two and three.
pub const LADDER: [Step; 14] = [
    Step { face: 0, scale: 1 },
    Step { face: 1, scale: 1 },
    Step { face: 2, scale: 1 },
    Step { face: 3, scale: 1 },
    Step { face: 4, scale: 1 },
    Step { face: 5, scale: 1 },
    Step { face: 6, scale: 1 },
    Step { face: 7, scale: 1 },
    Step { face: 4, scale: 2 },
    Step { face: 5, scale: 2 },
    Step { face: 6, scale: 2 },
    Step { face: 7, scale: 2 },
    Step { face: 6, scale: 3 },
    Step { face: 7, scale: 3 },
];

impl Step {
    /// Height of a capital, in pixels.
    pub fn cap_height(self) -> u32 {
        FACES[self.face].0 * self.scale
    }

    /// Pixels from one line to the next: room for an accent above and a tail below.
    pub fn line_height(self) -> u32 {
        self.cap_height() * 17 / 10
    }

    /// Pixels from a line's top to its baseline.
    pub fn baseline(self) -> u32 {
        self.cap_height() * 27 / 20
    }

    /// Width of a character, in pixels.
    pub fn advance(self, letter: char) -> u32 {
        let extent = FACES[self.face].1.get_rendered_dimensions(letter, Point::zero(), VerticalPosition::Baseline);
        let Ok(extent) = extent else { return 0 };
        // A letter may reach beyond its own advance; then that is what it takes.
        let reach = extent.bounding_box.map_or(0, |b| b.top_left.x + b.size.width as i32);
        extent.advance.x.max(reach).max(0) as u32 * self.scale
    }

    /// Width of a text, in pixels.
    pub fn width(self, text: &str) -> u32 {
        text.chars().map(|letter| self.advance(letter)).sum()
    }

    /// Draws a line of text.
    pub fn draw(self, text: &str, ink: &mut Ink<'_>) {
        ink.scale = self.scale;
        let mut x = 0;
        for letter in text.chars() {
            let at = Point::new(x, 0);
            let colour = FontColor::Transparent(BinaryColor::On);
            // Letters that the font lacks are skipped, and this target takes every pixel: nothing is left to fail.
            let _ = FACES[self.face].1.render(letter, at, VerticalPosition::Baseline, colour, ink);
            x += (self.advance(letter) / self.scale) as i32;
        }
    }
}

/// A plane of luma to write on, from a baseline on.
pub struct Ink<'a> {
    luma: &'a mut [u8],
    stride_bytes: usize,
    size: Size,
    /// Where the text's baseline begins, in pixels of the plane.
    origin: (u32, u32),
    scale: u32,
    tone: u8,
}

impl<'a> Ink<'a> {
    /// Text that begins at `origin`; what falls outside of the plane is left out.
    pub fn new(luma: &'a mut [u8], stride_bytes: usize, size: Size, origin: (u32, u32), tone: u8) -> Ink<'a> {
        Ink { luma, stride_bytes, size, origin, scale: 1, tone }
    }
}

impl OriginDimensions for Ink<'_> {
    fn size(&self) -> Area {
        Area::new(self.size.width, self.size.height)
    }
}

impl DrawTarget for Ink<'_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let scale = i64::from(self.scale);
        let span = |origin: u32, at: i32, limit: u32| {
            let start = i64::from(origin) + i64::from(at) * scale;
            let clip = |v: i64| v.clamp(0, i64::from(limit)) as usize;
            clip(start)..clip(start + scale)
        };
        for Pixel(at, _) in pixels {
            let columns = span(self.origin.0, at.x, self.size.width);
            for row in span(self.origin.1, at.y, self.size.height) {
                self.luma[row * self.stride_bytes..][columns.clone()].fill(self.tone);
            }
        }
        Ok(())
    }
}
