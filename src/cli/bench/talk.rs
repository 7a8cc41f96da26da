//! What a picture of a talk costs on its way to the screen: with ourselves in the corner and a sign, drawn into a copy of it,
//! or laid over it by a plane of the display hardware.

use super::{Row, Work, median_ms};
use crate::card::{Manner, Overlay, Sheet};
use crate::codec::CodecError;
use crate::codec::convert::{Converter, lay_out};
use crate::device::blit::{Blit, PackedTarget, PixelLayout, PlanarTarget};
use crate::media::{FrameView, Pane, Picture, PixelFormat, Size};
use std::hint::black_box;

/// A usual screen.
const SCREEN: Size = Size::new(1920, 1080);
/// Of our own picture, as the camera's stage leaves it for the corner.
const OWN: Size = Size::new(320, 240);

/// The two buffers that a plane shows in turn, in ordinary memory.
struct Front {
    buffers: [Vec<u8>; 2],
    versions: [u64; 2],
}

impl Front {
    fn new(size: Size) -> Front {
        let buffer = || vec![0; size.pixels() * Pane::PIXEL_BYTES];
        Front { buffers: [buffer(), buffer()], versions: [0; 2] }
    }

    /// Brings into one of them what changed, as the screen does.
    fn draw(&mut self, turn: usize, pane: &Pane) {
        let (buffer, version) = (&mut self.buffers[turn], &mut self.versions[turn]);
        for place in pane.changed_since(*version) {
            let first = place.top as usize * pane.stride_bytes() + place.left as usize * Pane::PIXEL_BYTES;
            for (out, row) in buffer[first..].chunks_mut(pane.stride_bytes()).zip(pane.rows(place)) {
                out[..row.len()].copy_from_slice(row);
            }
        }
        *version = pane.version();
    }
}

impl Work {
    /// One row for the copy, and one for planes with a picture where the hardware decoded it, and with one of openh264's. A
    /// new picture of ourselves comes with each. What the kernel does for a flip is not in them.
    pub(super) fn talk(&self, rows: &mut Vec<Row>) -> Result<(), CodecError> {
        let mut sheet = Sheet::default();
        sheet.set(&Overlay { has_self_view: true, is_muted: true, ..Overlay::default() }, &Manner::default());
        let own = Picture::new(OWN);
        let decoded = self.format(PixelFormat::Nv12, self.size.width as usize);
        let mut buffer = vec![0; self.size.pixels() * 3 / 2];
        if !lay_out(self.picture(0), &decoded, &mut buffer) {
            return Err(CodecError::Broken("a picture does not fit into its own size"));
        }
        let view = FrameView::parse(&buffer, &decoded).ok_or(CodecError::Broken("a picture is too short"))?;

        let (mut converter, mut copy, mut blit) = (Converter::new(), Picture::new(self.size), Blit::default());
        let (layout, stride_bytes) = (PixelLayout::Xrgb8888, SCREEN.width as usize * PixelLayout::Xrgb8888.bytes());
        let mut screen = vec![0; stride_bytes * SCREEN.height as usize];
        let copied = median_ms(self.frames, |_| {
            converter.convert(black_box(view), &decoded, self.size, &mut copy)?;
            sheet.lay_on(&mut copy, Some(black_box(&own)));
            blit.packed(&copy, &mut PackedTarget { data: &mut screen, stride_bytes, size: SCREEN, layout });
            Ok(())
        })?;

        let (.., shown) = self.size.fit(SCREEN);
        let mut front = Front::new(shown);
        let laid_over = median_ms(self.frames, |n| {
            front.draw(n % 2, sheet.pane(shown, Some(black_box(&own)), true));
            Ok(())
        })?;

        let mut plane = Picture::new(self.size);
        let strides = [plane.stride_bytes(), plane.stride_bytes() / 2, plane.stride_bytes() / 2];
        let laid_over_ours = median_ms(self.frames, |n| {
            blit.planes(self.picture(n), &mut PlanarTarget { size: self.size, planes: plane.planes_mut(), strides });
            front.draw(n % 2, sheet.pane(shown, Some(black_box(&own)), true));
            Ok(())
        })?;
        for (what, cost) in [
            ("a talk, copied to 1920x1080", copied),
            ("a talk by planes, by hardware", laid_over),
            ("a talk by planes, by openh264", laid_over_ours),
        ] {
            rows.push(self.row("present", what, cost));
        }
        Ok(())
    }
}
