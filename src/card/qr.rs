//! A QR code, as large as fits beside the words that say the same.

use super::canvas::{Canvas, Mask, Rect};
use super::colour::{INK, PAPER};
use qrcode::{Color, EcLevel, QrCode};

/// Light modules on each side (ISO/IEC 18004, 9.1), without which readers do not find the code.
const QUIET: usize = 4;
/// A module smaller than this many pixels is lost to the other station's camera.
const MODULE_MIN_PX: u32 = 2;
/// What the code may take of the longer side of its room; the rest is for the words.
const SHARE: (u32, u32) = (11, 20);

/// Draws the code at the left of a room, or at its top where it is high, and tells what is left of the room. All of it
/// is left where there is no room for a code, or `text` is too long for one.
pub fn draw(text: &str, room: Rect, canvas: &mut Canvas<'_>) -> Rect {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return room };
    let is_wide = room.width >= room.height;
    let (longer, shorter) = if is_wide { (room.width, room.height) } else { (room.height, room.width) };
    let modules = code.width() + 2 * QUIET;
    let module_px = shorter.min(longer * SHARE.0 / SHARE.1) / modules as u32;
    if module_px < MODULE_MIN_PX {
        return room;
    }
    let side = module_px * modules as u32;
    let off = ((shorter - side) / 2) as i32;
    let (left, top) = if is_wide { (room.left, room.top + off) } else { (room.left + off, room.top) };
    let place = Rect::new(left, top, side, side);
    canvas.fill(place, PAPER, 255);
    canvas.paint(&dark(&code, place, module_px as usize), INK, 255);
    // Its own margin parts it from the words, and a little more.
    let taken = side + side / 16;
    if is_wide {
        Rect::new(room.left + taken as i32, room.top, room.width.saturating_sub(taken), room.height)
    } else {
        Rect::new(room.left, room.top + taken as i32, room.width, room.height.saturating_sub(taken))
    }
}

/// The dark modules.
fn dark(code: &QrCode, place: Rect, module_px: usize) -> Mask {
    let mut mask = Mask::new(place);
    let width = place.width as usize;
    for (index, _) in code.to_colors().iter().enumerate().filter(|(_, colour)| **colour == Color::Dark) {
        let (column, row) = (index % code.width() + QUIET, index / code.width() + QUIET);
        for y in row * module_px..(row + 1) * module_px {
            mask.cover[y * width + column * module_px..][..module_px].fill(255);
        }
    }
    mask
}
