//! How a picture lies in a buffer that a plane reads.

use super::card::Card;
use crate::device::HardwarePicture;
use crate::media::{PixelFormat, Size};
use drm::buffer::{DrmFourcc, DrmModifier, Handle, PlanarBuffer};
use drm::control::{Device as _, FbCmd2Flags, framebuffer};
use std::io;

/// One buffer with all planes of a picture in it, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLayout {
    /// The format, as the kernel names it.
    pub fourcc: DrmFourcc,
    /// What of it is shown, from the upper left on.
    pub size: Size,
    /// Rows of the first plane that the buffer has, shown or not; the other planes of 4:2:0 have half of them.
    pub rows: u32,
    /// Bytes from one row of the first plane to the next.
    pub pitch_bytes: u32,
}

impl ScanLayout {
    /// How a decoder left its picture; `None` for a format that no plane takes.
    pub fn of(picture: &HardwarePicture) -> Option<ScanLayout> {
        let fourcc = match picture.buffer.pixel {
            PixelFormat::I420 => DrmFourcc::Yuv420,
            PixelFormat::Nv12 => DrmFourcc::Nv12,
            PixelFormat::Yuyv => DrmFourcc::Yuyv,
            PixelFormat::Mjpeg => return None,
        };
        let pitch_bytes = u32::try_from(picture.buffer.stride_bytes).ok()?;
        Some(ScanLayout { fourcc, size: picture.visible, rows: picture.buffer.size.height, pitch_bytes })
    }

    /// Makes a framebuffer of the memory behind `handle`, which it keeps.
    pub(super) fn framebuffer(self, card: &Card, handle: Handle) -> io::Result<framebuffer::Handle> {
        card.add_planar_framebuffer(&InBuffer { layout: self, handle }, FbCmd2Flags::empty())
    }

    /// Bytes from row to row, and where each plane starts; as many as the format has planes.
    fn planes(self) -> ([u32; 4], [u32; 4], usize) {
        let pitch = self.pitch_bytes;
        let luma = pitch.saturating_mul(self.rows);
        match self.fourcc {
            DrmFourcc::Yuv420 => {
                let half = pitch.div_ceil(2);
                let chroma = half.saturating_mul(self.rows.div_ceil(2));
                ([pitch, half, half, 0], [0, luma, luma.saturating_add(chroma), 0], 3)
            }
            DrmFourcc::Nv12 => ([pitch, pitch, 0, 0], [0, luma, 0, 0], 2),
            _ => ([pitch, 0, 0, 0], [0; 4], 1),
        }
    }
}

/// The same for the call that makes framebuffers.
struct InBuffer {
    layout: ScanLayout,
    handle: Handle,
}

impl PlanarBuffer for InBuffer {
    fn size(&self) -> (u32, u32) {
        (self.layout.size.width, self.layout.size.height)
    }
    fn format(&self) -> DrmFourcc {
        self.layout.fourcc
    }
    /// The driver's own choice for a buffer that is no other's: rows one after the other.
    fn modifier(&self) -> Option<DrmModifier> {
        None
    }
    fn pitches(&self) -> [u32; 4] {
        self.layout.planes().0
    }
    fn handles(&self) -> [Option<Handle>; 4] {
        let (_, _, planes) = self.layout.planes();
        core::array::from_fn(|plane| (plane < planes).then_some(self.handle))
    }
    fn offsets(&self) -> [u32; 4] {
        self.layout.planes().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_start_where_the_decoder_s_rows_end_not_where_the_picture_does() {
        // 1920x1080 as decoders for blocks of 16 leave it.
        let layout =
            |fourcc| ScanLayout { fourcc, size: Size::new(1920, 1080), rows: 1_088, pitch_bytes: 2_048 }.planes();
        let luma = 2_048 * 1_088;
        assert_eq!(layout(DrmFourcc::Nv12), ([2_048, 2_048, 0, 0], [0, luma, 0, 0], 2));
        assert_eq!(layout(DrmFourcc::Yuv420), ([2_048, 1_024, 1_024, 0], [0, luma, luma + luma / 4, 0], 3));
        assert_eq!(layout(DrmFourcc::Xrgb8888), ([2_048, 0, 0, 0], [0; 4], 1));
    }
}
