//! Dumb buffers: scan-out memory that the CPU writes.

use super::card::Card;
use super::layout::ScanLayout;
use crate::codec::convert::lay_out;
use crate::device::blit::{Blit, PackedTarget, PixelLayout};
use crate::media::{Pane, Picture, PixelFormat, Rect, Size, VideoFormat};
use crate::sys::memory::Map;
use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{Device as _, framebuffer};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

/// The formats that are drawn, YUV ones in order of preference: the first takes the decoder's planes as they are.
pub const YUV_FORMATS: [DrmFourcc; 3] = [DrmFourcc::Yuv420, DrmFourcc::Nv12, DrmFourcc::Yuyv];

/// A buffer that a plane can scan out.
#[derive(Debug)]
pub struct Buffer {
    card: Arc<Card>,
    dumb: DumbBuffer,
    map: Map,
    size: Size,
    format: DrmFourcc,
    stride_bytes: usize,
    framebuffer: framebuffer::Handle,
    /// The picture size that its borders were last cleared for.
    cleared_for: Option<Size>,
}

impl Buffer {
    /// A black RGB buffer, a transparent one with alpha, or a YUV one whose content is unspecified until it is drawn.
    pub fn new(card: &Arc<Card>, size: Size, format: DrmFourcc) -> io::Result<Buffer> {
        // Planar formats are one tall plane of bytes to the kernel, which knows dumb buffers by bits a pixel only.
        let (rows, bits) = match format {
            DrmFourcc::Yuv420 | DrmFourcc::Nv12 => (size.height + size.chroma().height, 8),
            DrmFourcc::Yuyv | DrmFourcc::Rgb565 => (size.height, 16),
            _ => (size.height, 32),
        };
        let dumb = card.create_dumb_buffer((size.width, rows), format, bits)?;
        let free = |error| {
            let _ = card.destroy_dumb_buffer(dumb);
            error
        };
        let layout = ScanLayout { fourcc: format, size, rows: size.height, pitch_bytes: dumb.pitch() };
        let framebuffer = layout.framebuffer(card, dumb.handle()).map_err(free)?;
        let map = drm_ffi::mode::dumbbuffer::map(card.as_fd(), dumb.handle().into(), 0, 0)
            .and_then(|map| Map::new(card.as_fd(), map.offset, dumb.pitch() as usize * rows as usize));
        let map = map.map_err(|error| {
            let _ = card.destroy_framebuffer(framebuffer);
            free(error)
        })?;
        Ok(Buffer {
            card: card.clone(),
            dumb,
            map,
            size,
            format,
            stride_bytes: dumb.pitch() as usize,
            framebuffer,
            cleared_for: None,
        })
    }

    /// The framebuffer to put on a plane.
    pub fn framebuffer(&self) -> framebuffer::Handle {
        self.framebuffer
    }

    /// Draws a picture: as it is into a YUV buffer of its size, else scaled and converted.
    pub fn draw(&mut self, picture: &Picture, blit: &mut Blit) {
        let layout = match self.format {
            DrmFourcc::Yuv420 | DrmFourcc::Nv12 | DrmFourcc::Yuyv => return self.draw_yuv(picture),
            DrmFourcc::Rgb565 => PixelLayout::Rgb565,
            _ => PixelLayout::Xrgb8888,
        };
        if self.cleared_for != Some(picture.size()) {
            self.map.bytes_mut().fill(0);
            self.cleared_for = Some(picture.size());
        }
        let (stride_bytes, size) = (self.stride_bytes, self.size);
        blit.packed(picture, &mut PackedTarget { data: self.map.bytes_mut(), stride_bytes, size, layout });
    }

    /// Makes one place the same as on a pane of this buffer's size.
    pub fn copy(&mut self, pane: &Pane, place: Rect) {
        debug_assert_eq!((pane.size(), self.format), (self.size, DrmFourcc::Argb8888), "it is made for the pane");
        let first = place.top as usize * self.stride_bytes + place.left as usize * Pane::PIXEL_BYTES;
        let rows = self.map.bytes_mut().get_mut(first..).unwrap_or_default().chunks_mut(self.stride_bytes);
        for (out, row) in rows.zip(pane.rows(place)) {
            out[..row.len()].copy_from_slice(row);
        }
    }

    fn draw_yuv(&mut self, picture: &Picture) {
        debug_assert_eq!(picture.size(), self.size, "YUV buffers are made for the picture's size");
        let pixel = match self.format {
            DrmFourcc::Yuyv => PixelFormat::Yuyv,
            DrmFourcc::Nv12 => PixelFormat::Nv12,
            _ => PixelFormat::I420,
        };
        let (size, stride_bytes, range) = (self.size, self.stride_bytes, picture.range);
        let format = VideoFormat { pixel, size, stride_bytes, range, millihertz: 0 };
        let fits = lay_out(picture, &format, self.map.bytes_mut());
        debug_assert!(fits, "the buffer was made for this layout");
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Both fail only where the card is gone, and its memory with it.
        let _ = self.card.destroy_framebuffer(self.framebuffer);
        let _ = self.card.destroy_dumb_buffer(self.dumb);
    }
}
