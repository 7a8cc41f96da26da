//! A decoder in hardware.

use super::calls::Command;
use super::list::{RAW, Role, find};
use super::session::{FIRST_WITHIN, FRAME_WITHIN, Session, Taken};
use super::{CodecSpec, Coded};
use crate::codec::convert::Converter;
use crate::codec::h264::find_range;
use crate::codec::{CodecError, VideoDecoder};
use crate::device::v4l2::buffers::Memory;
use crate::device::v4l2::raw::{Node, Side};
use crate::device::v4l2::streaming_fault;
use crate::device::{Fault, FaultKind};
use crate::media::{ColourRange, EncodedFrame, FrameView, Picture, Size, VideoFormat};
use crate::sys::clock;
use crate::sys::wake::Stop;
use nix::poll::PollFlags;
use v4l::v4l_sys as sys;

/// Room for a coded frame: more than a key frame of 1080p takes at the highest rate that a station sends.
const FRAME_BYTES: usize = 1 << 20;
/// The size that is said before the stream says its own; any that every driver takes.
const SIZE_BEFORE: Size = Size::new(640, 480);
/// Pictures that the driver may fill while one is copied.
const CAPTURE_BUFFERS_MORE: u32 = 2;
/// More than any driver needs for references; a broken one may ask for any number.
const CAPTURE_BUFFERS_MAX: u32 = 24;

/// How decoded pictures lie in the driver's buffers.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// The whole buffer.
    buffer: VideoFormat,
    /// What of it is the picture, from the upper left on.
    visible: Size,
}

/// An open decoder.
#[derive(Debug)]
pub struct M2mDecoder {
    session: Session,
    coded: Coded,
    layout: Option<Layout>,
    /// The driver has said that the stream has other pictures from here on.
    is_changing: bool,
    converter: Converter,
    /// As the last parameter set said.
    range: ColourRange,
    is_first: bool,
}

impl M2mDecoder {
    /// Opens the decoder that `spec` means. `size` is what is expected; the stream may bring another.
    ///
    /// # Errors
    /// Absent where there is none; unusable where it does not take such a stream, is busy, or has no memory left.
    pub fn open(spec: &CodecSpec, coded: Coded, size: Option<Size>, stop: Option<Stop>) -> Result<M2mDecoder, Fault> {
        let size = size.unwrap_or(SIZE_BEFORE);
        let info = find(spec, Role::Decoder, coded, size)?.ok_or_else(|| {
            Fault::plain(FaultKind::Absent, spec.to_string(), "open a hardware decoder", "the choice is software")
        })?;
        let name = info.path.display().to_string();
        let (node, _) = Node::open(&info.path)?;
        // Whether pictures come at once or in the order of a film's; not every driver lets one choose.
        for (id, value) in
            [(sys::V4L2_CID_MPEG_VIDEO_DEC_DISPLAY_DELAY, 0), (sys::V4L2_CID_MPEG_VIDEO_DEC_DISPLAY_DELAY_ENABLE, 1)]
        {
            let _ = node.set_control(id, value);
        }
        node.facing(Side::Output)
            .set_coded(coded.fourcc(), size, FRAME_BYTES)
            .map_err(|e| streaming_fault(&name, "set the coded format (VIDIOC_S_FMT)", e))?;
        node.subscribe(sys::V4L2_EVENT_SOURCE_CHANGE)
            .map_err(|e| streaming_fault(&name, "ask for its events (VIDIOC_SUBSCRIBE_EVENT)", e))?;
        let session = Session::new(name, node, Memory::Mapped, stop)?;
        session.start_output()?;
        Ok(M2mDecoder {
            session,
            coded,
            layout: None,
            is_changing: false,
            converter: Converter::new(),
            range: ColourRange::Limited,
            is_first: true,
        })
    }

    /// Has it give out what it holds, and says how many frames that were: none, since what holds frames back is a fault.
    /// It begins anew then, with a key frame.
    ///
    /// # Errors
    /// Where it does not come to an end.
    pub fn drain(&mut self) -> Result<usize, Fault> {
        self.session.drain(Command::StopDecoder)
    }

    /// Takes the stream's own format over, and makes buffers for it.
    fn configure(&mut self) -> Result<(), Fault> {
        let node = self.session.node.clone();
        let doing = "take over the stream's format (VIDIOC_G_FMT, VIDIOC_S_FMT)";
        // Buffers of the old format keep the driver from taking a new one.
        self.session.stop_capture();
        let coded_size = node.buffer_size().map_err(|e| self.session.fault(doing, e))?;
        let offered = node.fourccs();
        let mut buffer = None;
        for pixel in RAW.into_iter().filter(|pixel| offered.contains(&pixel.fourcc())) {
            buffer = node.set_format(pixel, coded_size).map_err(|e| self.session.fault(doing, e))?;
            if buffer.is_some_and(|b| b.pixel == pixel) {
                break;
            }
        }
        let buffer = buffer.filter(|b| RAW.contains(&b.pixel)).ok_or_else(|| {
            let remedy = format!("it gives no YU12 and no NV12 at {coded_size}");
            self.session.plain(FaultKind::Unusable, doing, remedy)
        })?;
        let whole = buffer.size;
        let visible = node.visible().filter(|v| v.width <= whole.width && v.height <= whole.height).unwrap_or(whole);
        let wanted = node.control(sys::V4L2_CID_MIN_BUFFERS_FOR_CAPTURE).map_or(1, |n| n.max(1).cast_unsigned());
        let wanted = wanted.min(CAPTURE_BUFFERS_MAX);
        self.session.start_capture(wanted + CAPTURE_BUFFERS_MORE, wanted as usize)?;
        self.layout = Some(Layout { buffer, visible });
        self.is_changing = false;
        Ok(())
    }

    /// Waits for the picture with this stamp, and takes format changes over on the way.
    fn receive(&mut self, stamp: u64, within: core::time::Duration, out: &mut Picture) -> Result<(), CodecError> {
        let until = clock::now() + within;
        loop {
            while let Some(event) =
                self.session.node.event().map_err(|e| self.fault("read its events (VIDIOC_DQEVENT)", e))?
            {
                self.is_changing |= event == sys::V4L2_EVENT_SOURCE_CHANGE;
            }
            match self.session.take().map_err(library)? {
                Taken::Frame(got, claim) if got.copied_micros.is_none_or(|copied| copied == stamp) => {
                    if got.broken {
                        return Err(CodecError::Broken("the hardware decoder says that the picture is damaged"));
                    }
                    // Raw pictures fill their buffer, whatever the driver counts.
                    return self.copy_out(claim.bytes(), out);
                }
                // What was given before, and given up.
                Taken::Frame(..) => {}
                Taken::End if self.is_changing => self.configure().map_err(library)?,
                Taken::Nothing if self.is_changing && !self.session.has_capture() => {
                    self.configure().map_err(library)?
                }
                Taken::End | Taken::Nothing => self.session.wait(until, PollFlags::POLLIN).map_err(library)?,
            }
        }
    }

    fn fault(&self, doing: &'static str, error: std::io::Error) -> CodecError {
        library(self.session.fault(doing, error))
    }
}

impl M2mDecoder {
    /// Copies the visible part of a decoded picture.
    fn copy_out(&mut self, bytes: &[u8], out: &mut Picture) -> Result<(), CodecError> {
        let nothing = CodecError::Broken("the hardware decoder's picture is shorter than its format says");
        let Some(layout) = self.layout else { return Err(nothing) };
        let Some(view) = FrameView::parse(bytes, &layout.buffer) else { return Err(nothing) };
        let range = if self.coded == Coded::H264 { self.range } else { layout.buffer.range };
        let visible = VideoFormat { size: layout.visible, range, ..layout.buffer };
        self.converter.convert(view, &visible, layout.visible, out)
    }
}

impl VideoDecoder for M2mDecoder {
    fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError> {
        if self.coded == Coded::H264
            && let Some(range) = find_range(&frame.data)
        {
            self.range = range;
        }
        let within = if core::mem::take(&mut self.is_first) { FIRST_WITHIN } else { FRAME_WITHIN };
        let stamp = self.session.send(frame.captured_at, within, |buffer| {
            buffer.get_mut(..frame.data.len())?.copy_from_slice(&frame.data);
            Some(frame.data.len())
        });
        self.receive(stamp.map_err(library)?, within, out)
    }
}

fn library(fault: Fault) -> CodecError {
    CodecError::Library(fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_is_none_is_a_fault_that_names_it() {
        let spec = CodecSpec::Node("/dev/null".into());
        let fault = M2mDecoder::open(&spec, Coded::H264, None, None).unwrap_err();
        assert!(fault.to_string().starts_with("/dev/null"), "{fault}");
    }
}
