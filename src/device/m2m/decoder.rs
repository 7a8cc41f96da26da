//! A decoder in hardware.
//!
//! A picture is given out as a copy, or lent in the driver's own buffer ([`M2mDecoder::decode_in_place`]): the driver has
//! that back when the frame is dropped, from whatever thread. It is lent only while the driver keeps as many buffers as it
//! says that it needs, so a screen that holds on to pictures never stops it.

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
use crate::device::{DecodedFrame, Fault, FaultKind, HardwarePicture, Pixels};
use crate::media::{ColourRange, EncodedFrame, Picture, Size};
use crate::ring::Claim;
use crate::sys::clock;
use crate::sys::wake::Stop;
use core::sync::atomic::{AtomicU64, Ordering};
use nix::poll::PollFlags;
use v4l::v4l_sys as sys;

/// Room for a coded frame: more than a key frame of 1080p takes at the highest rate that a station sends.
const FRAME_BYTES: usize = 1 << 20;
/// The size that is said before the stream says its own; any that every driver takes.
const SIZE_BEFORE: Size = Size::new(640, 480);
/// Pictures that the driver may fill while one is copied.
const CAPTURE_BUFFERS_MORE: u32 = 2;
/// Pictures that are lent: one that waits for the screen, one on its way there, and one on it.
const CAPTURE_BUFFERS_LENT: u32 = 3;
/// More than any driver needs for references; a broken one may ask for any number.
const CAPTURE_BUFFERS_MAX: u32 = 24;

/// Numbers the sets of buffers of all decoders of the process.
static SETS: AtomicU64 = AtomicU64::new(0);

/// An open decoder.
#[derive(Debug)]
pub struct M2mDecoder {
    session: Session<DecodedFrame>,
    coded: Coded,
    /// Buffers that the driver needs for itself.
    needed: usize,
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
            needed: 1,
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
        let set = SETS.fetch_add(1, Ordering::Relaxed);
        let count = wanted + CAPTURE_BUFFERS_MORE + CAPTURE_BUFFERS_LENT;
        self.session.start_capture(count, wanted as usize, |node, index, map| {
            let exported = node.export(index).ok();
            DecodedFrame::of(Pixels::Hardware(HardwarePicture::new(map, exported, buffer, visible, set)))
        })?;
        self.needed = wanted as usize;
        self.is_changing = false;
        Ok(())
    }

    /// Waits for the picture with this stamp, and takes format changes over on the way.
    fn receive(&mut self, stamp: u64, within: core::time::Duration) -> Result<Claim<DecodedFrame>, CodecError> {
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
                    return Ok(claim);
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
    /// Decodes a frame: the picture where the hardware put it, or, where that memory cannot be spared or shared, a copy of
    /// it in `out`.
    ///
    /// # Errors
    /// As for [`VideoDecoder::decode`].
    pub fn decode_in_place(
        &mut self,
        frame: &EncodedFrame,
        out: &mut Picture,
    ) -> Result<Option<Claim<DecodedFrame>>, CodecError> {
        let claim = self.decode_one(frame)?;
        let is_spared = self.session.with_driver() >= self.needed;
        match &claim.pixels {
            Pixels::Hardware(picture) if is_spared && picture.exported().is_some() && picture.view().is_some() => {
                Ok(Some(claim))
            }
            _ => claim.copy_to(&mut self.converter, out).map(|()| None),
        }
    }

    /// Has a frame decoded, into a buffer of the driver's.
    fn decode_one(&mut self, frame: &EncodedFrame) -> Result<Claim<DecodedFrame>, CodecError> {
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
        let mut claim = self.receive(stamp.map_err(library)?, within)?;
        if let (Coded::H264, Pixels::Hardware(picture)) = (self.coded, &mut claim.pixels) {
            picture.buffer.range = self.range;
        }
        Ok(claim)
    }
}

impl VideoDecoder for M2mDecoder {
    fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError> {
        let claim = self.decode_one(frame)?;
        claim.copy_to(&mut self.converter, out)
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
