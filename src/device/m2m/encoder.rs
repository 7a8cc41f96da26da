//! An encoder in hardware.

use super::calls::Command;
use super::list::{RAW, Role, find};
use super::quirks::reads_in_place;
use super::session::{FIRST_WITHIN, FRAME_WITHIN, Session, Taken};
use super::{CodecSpec, Coded};
use crate::codec::convert::lay_out;
use crate::codec::h264::Headers;
use crate::codec::{CodecError, EncoderConfig, VideoEncoder};
use crate::device::v4l2::buffers::Memory;
use crate::device::v4l2::raw::{Node, Side};
use crate::device::v4l2::streaming_fault;
use crate::device::{Fault, FaultKind, FrameBuffer};
use crate::media::{ColourRange, EncodedFrame, Picture, PixelFormat, Size, VideoFormat};
use crate::sys::clock;
use crate::sys::wake::Stop;
use crate::time::{Duration, Instant};
use nix::poll::PollFlags;
use std::io;
use v4l::v4l_sys as sys;

/// One with the driver, one being copied, one to spare.
const CAPTURE_BUFFERS: u32 = 3;
/// Frames between scheduled key frames, as far as the driver lets it: an hour at 30 a second. They come when asked for.
const KEY_PERIOD_FRAMES: i32 = 108_000;
/// A driver that does not make a key frame at the third demand never will.
const KEYS_IGNORED_MAX: u32 = 3;
/// What most cameras do.
const USUAL_MILLIHERTZ: u32 = 30_000;
/// Where the test format's header has its flags, big-endian, and the one for a frame that stands alone
/// (`struct fwht_cframe_hdr`, V4L2_FWHT_FL_I_FRAME).
const FWHT_FLAGS: core::ops::Range<usize> = 20..24;
const FWHT_KEY: u32 = 1 << 10;

/// An open encoder for pictures of one size and rate.
#[derive(Debug)]
pub struct M2mEncoder {
    session: Session,
    coded: Coded,
    /// How a picture lies in its buffers.
    layout: VideoFormat,
    /// The buffers are a camera's own.
    is_shared: bool,
    size: Size,
    rate_millihertz: u32,
    headers: Headers,
    bitrate_bps: u32,
    /// What the driver was told last.
    told_bps: u32,
    is_first: bool,
    keys_ignored: u32,
}

impl M2mEncoder {
    /// Opens the encoder that `spec` means, for pictures of the size, rate and bitrate of `config`.
    ///
    /// # Errors
    /// Absent where there is none; unusable where it does not take such pictures, is busy, or has no memory left.
    pub fn open(
        spec: &CodecSpec,
        coded: Coded,
        config: &EncoderConfig,
        stop: Option<Stop>,
    ) -> Result<M2mEncoder, Fault> {
        M2mEncoder::open_for(spec, coded, config, None, stop)
    }

    /// The same for frames that are read where a camera of this `format` has them: [`M2mEncoder::encode_shared`].
    ///
    /// # Errors
    /// As above, and unusable where the encoder reads another layout than the camera writes.
    pub fn open_shared(
        spec: &CodecSpec,
        coded: Coded,
        config: &EncoderConfig,
        format: &VideoFormat,
        stop: Option<Stop>,
    ) -> Result<M2mEncoder, Fault> {
        M2mEncoder::open_for(spec, coded, config, Some(format), stop)
    }

    fn open_for(
        spec: &CodecSpec,
        coded: Coded,
        config: &EncoderConfig,
        shared: Option<&VideoFormat>,
        stop: Option<Stop>,
    ) -> Result<M2mEncoder, Fault> {
        let size = config.size;
        let info = find(spec, Role::Encoder, coded, size)?.ok_or_else(|| {
            Fault::plain(FaultKind::Absent, spec.to_string(), "open a hardware encoder", "the choice is software")
        })?;
        let name = info.path.display().to_string();
        let (node, card) = Node::open(&info.path)?;
        let fault = |doing| {
            let name = name.clone();
            move |e: io::Error| streaming_fault(&name, doing, e)
        };
        // The order is the interface's: coded format, raw format, rate, visible part, controls, buffers.
        let frame_bytes = size.pixels() * 3 / 2;
        node.facing(Side::Capture)
            .set_coded(coded.fourcc(), size, frame_bytes)
            .map_err(fault("set the coded format (VIDIOC_S_FMT)"))?;
        let output = node.facing(Side::Output);
        let layout = match shared {
            Some(format) => set_shared(&output, &card.driver, format, size),
            None => set_raw(&output, size),
        };
        let layout = layout.map_err(fault("set the picture format (VIDIOC_S_FMT)"))?.ok_or_else(|| {
            let remedy = match shared {
                Some(format) => {
                    format!("it does not read {} of {} bytes a row in place", format.pixel, format.stride_bytes)
                }
                None => format!("it takes no YU12 and no NV12 at {size}"),
            };
            Fault::plain(FaultKind::Unusable, &name, "set the picture format (VIDIOC_S_FMT)", remedy)
        })?;
        output.set_rate(rate(config.rate_millihertz));
        crop(&output, size, layout.size).map_err(fault("crop its pictures (VIDIOC_S_SELECTION)"))?;
        set_controls(&node, coded, config);
        let memory = if shared.is_some() { Memory::Imported } else { Memory::Mapped };
        let mut session = Session::new(name, node, memory, stop)?;
        session.start_capture(CAPTURE_BUFFERS, 1, |_, _, map| map)?;
        session.start_output()?;
        Ok(M2mEncoder {
            session,
            coded,
            layout,
            is_shared: shared.is_some(),
            size,
            rate_millihertz: config.rate_millihertz,
            headers: Headers::default(),
            bitrate_bps: config.bitrate_bps,
            told_bps: config.bitrate_bps,
            is_first: true,
            keys_ignored: 0,
        })
    }

    /// Whether it was opened for such pictures, in a camera's memory (`shared`) or not; the bitrate can be changed.
    pub fn fits(&self, config: &EncoderConfig, shared: Option<&VideoFormat>) -> bool {
        let in_place = |f: &VideoFormat| (f.pixel, f.stride_bytes) == (self.layout.pixel, self.layout.stride_bytes);
        (self.size, self.rate_millihertz) == (config.size, config.rate_millihertz)
            && shared.map_or(!self.is_shared, |format| self.is_shared && in_place(format))
    }

    /// Encodes a camera's frame where it lies; as [`VideoEncoder::encode`] otherwise. The frame is done with when this
    /// returns.
    ///
    /// # Errors
    /// Unsupported where it was not opened for that, or the memory is not lent to other devices.
    pub fn encode_shared(&mut self, frame: &FrameBuffer, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
        out.clear();
        let memory = frame.exported().filter(|_| self.is_shared && frame.format.size == self.size);
        let memory =
            memory.ok_or_else(|| CodecError::Unsupported("the frame is not where the encoder reads it".into()))?;
        let used = frame.bytes().len();
        self.code(key, out, |session, at, within| session.send_shared(at, within, memory, used))
    }

    /// Has it give out what it holds, and says how many frames that were: none, since what holds frames back is a fault.
    /// It begins anew then, with a key frame.
    ///
    /// # Errors
    /// Where it does not come to an end.
    pub fn drain(&mut self) -> Result<usize, Fault> {
        self.session.drain(Command::StopEncoder)
    }

    /// Has one frame encoded, which `send` gives to the driver.
    fn code(
        &mut self,
        key: bool,
        out: &mut EncodedFrame,
        send: impl FnOnce(&mut Session, Instant, Duration) -> Result<u64, Fault>,
    ) -> Result<(), CodecError> {
        self.try_code(key, out, send).map_err(|fault| CodecError::Library(fault.to_string()))?;
        out.codec = self.coded.codec().unwrap_or(out.codec);
        out.size = Some(self.size);
        Ok(())
    }

    fn try_code(
        &mut self,
        key: bool,
        out: &mut EncodedFrame,
        send: impl FnOnce(&mut Session, Instant, Duration) -> Result<u64, Fault>,
    ) -> Result<(), Fault> {
        if self.bitrate_bps != self.told_bps {
            // A driver without this control (the test one) keeps its own.
            let _ = self.session.node.set_control(sys::V4L2_CID_MPEG_VIDEO_BITRATE, clamped(self.bitrate_bps));
            self.told_bps = self.bitrate_bps;
        }
        let key = key && !self.is_first;
        if key && self.session.node.set_control(sys::V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME, 1).is_err() {
            self.session.restart()?;
        }
        let within = if core::mem::take(&mut self.is_first) { FIRST_WITHIN } else { FRAME_WITHIN };
        let stamp = send(&mut self.session, out.captured_at, within)?;
        self.gather(stamp, within, out)?;
        self.keys_ignored = if key && !out.key { self.keys_ignored + 1 } else { 0 };
        if self.keys_ignored >= KEYS_IGNORED_MAX {
            return Err(self.session.plain(FaultKind::Unusable, "get a key frame from it", "it makes none when asked"));
        }
        Ok(())
    }

    /// Waits for what comes of the picture with this stamp.
    fn gather(&mut self, stamp: u64, within: Duration, out: &mut EncodedFrame) -> Result<(), Fault> {
        let until = clock::now() + within;
        loop {
            let (got, claim) = match self.session.take()? {
                Taken::Frame(got, claim) => (got, claim),
                Taken::End => {
                    return Err(self.session.plain(FaultKind::Stalled, "get a frame through it", "it has stopped"));
                }
                Taken::Nothing => {
                    self.session.wait(until, PollFlags::POLLIN)?;
                    continue;
                }
            };
            if got.broken {
                return Err(self.session.plain(
                    FaultKind::Unusable,
                    "encode",
                    "the driver says that the frame is damaged",
                ));
            }
            let bytes = claim.bytes();
            let bytes = &bytes[..got.used.min(bytes.len())];
            let has_picture = match self.coded {
                Coded::H264 => self.headers.take(bytes, out),
                Coded::Fwht => {
                    out.data.extend_from_slice(bytes);
                    out.key = got.key || is_fwht_key(bytes);
                    true
                }
            };
            // Parameter sets may come by themselves, with any stamp; a picture's stamp is its own.
            if has_picture && got.copied_micros.is_none_or(|copied| copied == stamp) {
                return Ok(());
            }
            if has_picture {
                return Err(self.session.plain(
                    FaultKind::Stalled,
                    "encode",
                    "it holds frames back, which delays the call",
                ));
            }
        }
    }
}

impl VideoEncoder for M2mEncoder {
    fn encode(&mut self, picture: &Picture, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
        out.clear();
        if picture.size() != self.size {
            return Err(CodecError::Unsupported(format!("it was opened for {}, not {}", self.size, picture.size())));
        }
        let layout = self.layout;
        let bytes = frame_bytes(&layout);
        self.code(key, out, |session, at, within| {
            session.send(at, within, |buffer| lay_out(picture, &layout, buffer).then(|| bytes.min(buffer.len())))
        })
    }

    fn set_bitrate(&mut self, bits_per_second: u32) {
        self.bitrate_bps = bits_per_second;
    }
}

/// Sets the first of the formats that are written here which the driver takes; `None` where it takes none.
fn set_raw(output: &Node, size: Size) -> io::Result<Option<VideoFormat>> {
    let offered = output.fourccs();
    for pixel in RAW.into_iter().filter(|pixel| offered.contains(&pixel.fourcc())) {
        let format = output.set_format(pixel, size)?;
        // Rounded up is what the visible part is for; rounded down is another picture.
        let holds = |f: &VideoFormat| f.pixel == pixel && f.size.width >= size.width && f.size.height >= size.height;
        if let Some(format) = format.filter(holds) {
            return Ok(Some(format));
        }
    }
    Ok(None)
}

/// Sets a camera's format on the encoder; `None` where it would read another layout, or other levels than it says.
fn set_shared(output: &Node, driver: &str, camera: &VideoFormat, size: Size) -> io::Result<Option<VideoFormat>> {
    let plain = camera.pixel != PixelFormat::Mjpeg && camera.range == ColourRange::Limited && camera.size == size;
    if !plain
        || !output.fourccs().contains(&camera.pixel.fourcc())
        || !reads_in_place(driver, camera.pixel, camera.stride_bytes)
    {
        return Ok(None);
    }
    let format = output.set_layout(camera.pixel, size, camera.stride_bytes)?;
    let same = |f: &VideoFormat| (f.pixel, f.size, f.stride_bytes) == (camera.pixel, size, camera.stride_bytes);
    Ok(format.filter(same))
}

/// Has the encoder take the visible part of buffers that are larger than the picture.
fn crop(output: &Node, size: Size, buffer: Size) -> io::Result<()> {
    if size == buffer {
        return Ok(());
    }
    if output.crop(size)? == size { Ok(()) } else { Err(nix::errno::Errno::ERANGE.into()) }
}

/// Bytes of a frame in a layout, which every plane counts into with its whole stride.
fn frame_bytes(layout: &VideoFormat) -> usize {
    let (stride, rows) = (layout.stride_bytes, layout.size.height as usize);
    stride * rows + stride * rows.div_ceil(2)
}

fn clamped(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Sets what the driver has of the controls that a call wants; each is optional for a driver, and none is worth failing
/// for: what matters of them shows in what comes out.
fn set_controls(node: &Node, coded: Coded, config: &EncoderConfig) {
    let mut controls = vec![
        (sys::V4L2_CID_MPEG_VIDEO_GOP_SIZE, KEY_PERIOD_FRAMES),
        (sys::V4L2_CID_MPEG_VIDEO_FRAME_RC_ENABLE, 1),
        (
            sys::V4L2_CID_MPEG_VIDEO_BITRATE_MODE,
            sys::v4l2_mpeg_video_bitrate_mode_V4L2_MPEG_VIDEO_BITRATE_MODE_CBR.cast_signed(),
        ),
        (sys::V4L2_CID_MPEG_VIDEO_BITRATE, clamped(config.bitrate_bps)),
    ];
    if coded == Coded::H264 {
        use sys::{
            v4l2_mpeg_video_h264_profile_V4L2_MPEG_VIDEO_H264_PROFILE_BASELINE as BASELINE,
            v4l2_mpeg_video_h264_profile_V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE as CONSTRAINED,
            v4l2_mpeg_video_header_mode_V4L2_MPEG_VIDEO_HEADER_MODE_JOINED_WITH_1ST_FRAME as JOINED,
        };
        controls.extend([
            (sys::V4L2_CID_MPEG_VIDEO_B_FRAMES, 0),
            (sys::V4L2_CID_MPEG_VIDEO_H264_I_PERIOD, KEY_PERIOD_FRAMES),
            // The second stands where the driver takes it, the first where not.
            (sys::V4L2_CID_MPEG_VIDEO_H264_PROFILE, BASELINE.cast_signed()),
            (sys::V4L2_CID_MPEG_VIDEO_H264_PROFILE, CONSTRAINED.cast_signed()),
            (sys::V4L2_CID_MPEG_VIDEO_H264_LEVEL, level(config.size, config.rate_millihertz).cast_signed()),
            (sys::V4L2_CID_MPEG_VIDEO_HEADER_MODE, JOINED.cast_signed()),
            // They are kept here, and not every driver repeats them for long (see the quirks).
            (sys::V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER, 0),
        ]);
    }
    for (id, value) in controls {
        if let Err(error) = node.set_control(id, value) {
            tracing::trace!("codec: control {id:#x} is not set: {error}");
        }
    }
}

/// Frames in 1,000 s, where the camera does not know it too: rate control goes by it.
fn rate(millihertz: u32) -> u32 {
    if millihertz == 0 { USUAL_MILLIHERTZ } else { millihertz }
}

/// The lowest level that carries such pictures at such a rate (ITU-T H.264 table A-1: macroblocks a frame and a second),
/// from 3.0 on, below which no decoder is.
fn level(size: Size, rate_millihertz: u32) -> u32 {
    let frame = u64::from(size.width.div_ceil(16)) * u64::from(size.height.div_ceil(16));
    let second = frame * u64::from(rate(rate_millihertz)).div_ceil(1_000);
    let levels = [
        (1_620, 40_500, sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_3_0),
        (3_600, 108_000, sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_3_1),
        (5_120, 216_000, sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_3_2),
        (8_192, 245_760, sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_4_0),
        (8_704, 522_240, sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_4_2),
    ];
    let fitting = levels.iter().find(|(frame_max, second_max, _)| frame <= *frame_max && second <= *second_max);
    fitting.map_or(sys::v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_5_1, |(_, _, level)| *level)
}

fn is_fwht_key(frame: &[u8]) -> bool {
    let flags = frame.get(FWHT_FLAGS).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    flags & FWHT_KEY != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_lowest_that_carries_the_pictures() {
        use sys::{
            v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_3_0 as L30,
            v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_3_1 as L31,
            v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_4_0 as L40,
            v4l2_mpeg_video_h264_level_V4L2_MPEG_VIDEO_H264_LEVEL_5_1 as L51,
        };
        for (width, height, hertz, wanted) in [
            (640, 480, 30, L30),
            (640, 480, 60, L31),
            (1280, 720, 30, L31),
            (1920, 1080, 30, L40),
            (3840, 2160, 30, L51),
        ] {
            assert_eq!(level(Size::new(width, height), hertz * 1_000), wanted, "{width}x{height} at {hertz}");
        }
        assert_eq!(level(Size::new(640, 480), 0), L30);
    }

    #[test]
    fn an_encoder_that_is_none_is_a_fault_that_names_it() {
        let spec = CodecSpec::Node("/dev/null".into());
        let fault = M2mEncoder::open(&spec, Coded::H264, &EncoderConfig::default(), None).unwrap_err();
        assert!(fault.to_string().starts_with("/dev/null"), "{fault}");
    }
}
