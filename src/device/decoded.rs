//! A decoded frame on its way to the screen.

use crate::codec::CodecError;
use crate::codec::convert::Converter;
use crate::media::{ColourRange, FrameView, Picture, Size, VideoFormat};
use crate::sys::memory::Map;
use crate::time::Instant;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A picture, and the times that its latency is made of; all in the local station's clock.
#[derive(Debug)]
pub struct DecodedFrame {
    /// What to show.
    pub pixels: Pixels,
    /// The sender's frame number.
    pub number: u64,
    /// When the sensor took it, corrected by the measured clock offset.
    pub captured_at: Instant,
    /// When the last byte of it arrived.
    pub received_at: Instant,
    /// When it was decoded.
    pub decoded_at: Instant,
}

/// Where a decoded picture is.
#[derive(Debug)]
pub enum Pixels {
    /// In memory of our own.
    Own(Picture),
    /// Where the hardware put it; it has its buffer back when the frame is dropped.
    Hardware(HardwarePicture),
}

/// A picture in a buffer of the hardware decoder's.
#[derive(Debug)]
pub struct HardwarePicture {
    map: Map,
    exported: Option<OwnedFd>,
    /// How the whole buffer is to be read.
    pub buffer: VideoFormat,
    /// What of it is the picture, from the upper left on.
    pub visible: Size,
    /// Which set of buffers it is one of: no two sets of a process have the same number.
    pub set: u64,
}

impl HardwarePicture {
    /// In a driver's mapped memory, which other drivers may read by `exported` (a dmabuf), where it can be.
    pub fn new(map: Map, exported: Option<OwnedFd>, buffer: VideoFormat, visible: Size, set: u64) -> HardwarePicture {
        HardwarePicture { map, exported, buffer, visible, set }
    }

    /// The memory, for another driver to read; `None` where there is no way to it but a copy.
    pub fn exported(&self) -> Option<BorrowedFd<'_>> {
        self.exported.as_ref().map(OwnedFd::as_fd)
    }

    /// The whole buffer's samples, which fill it, whatever the driver counts; `None` where it is shorter than its format
    /// says.
    pub fn view(&self) -> Option<FrameView<'_>> {
        FrameView::parse(self.map.bytes(), &self.buffer)
    }

    fn copy_to(&self, converter: &mut Converter, out: &mut Picture) -> Result<(), CodecError> {
        let short = CodecError::Broken("the hardware decoder's picture is shorter than its format says");
        let visible = VideoFormat { size: self.visible, ..self.buffer };
        converter.convert(self.view().ok_or(short)?, &visible, self.visible, out)
    }
}

impl DecodedFrame {
    /// A slot for pictures of up to `size` to be decoded into.
    pub fn new(size: Size) -> DecodedFrame {
        DecodedFrame::of(Pixels::Own(Picture::new(size)))
    }

    /// A slot with these pixels.
    pub fn of(pixels: Pixels) -> DecodedFrame {
        DecodedFrame {
            pixels,
            number: 0,
            captured_at: Instant::ZERO,
            received_at: Instant::ZERO,
            decoded_at: Instant::ZERO,
        }
    }

    /// The picture's size.
    pub fn size(&self) -> Size {
        match &self.pixels {
            Pixels::Own(picture) => picture.size(),
            Pixels::Hardware(picture) => picture.visible,
        }
    }

    /// Its levels.
    pub fn range(&self) -> ColourRange {
        match &self.pixels {
            Pixels::Own(picture) => picture.range,
            Pixels::Hardware(picture) => picture.buffer.range,
        }
    }

    /// The picture, where it is in memory of our own.
    pub fn own(&self) -> Option<&Picture> {
        match &self.pixels {
            Pixels::Own(picture) => Some(picture),
            Pixels::Hardware(_) => None,
        }
    }

    /// The same, to be drawn into.
    pub fn own_mut(&mut self) -> Option<&mut Picture> {
        match &mut self.pixels {
            Pixels::Own(picture) => Some(picture),
            Pixels::Hardware(_) => None,
        }
    }

    /// Makes `out` a copy of the picture, wherever it is.
    ///
    /// # Errors
    /// Broken where the hardware's buffer is too short for it.
    pub fn copy_to(&self, converter: &mut Converter, out: &mut Picture) -> Result<(), CodecError> {
        match &self.pixels {
            Pixels::Own(picture) => out.copy_from(picture),
            Pixels::Hardware(picture) => picture.copy_to(converter, out)?,
        }
        Ok(())
    }
}
