//! H.264 constrained baseline by openh264: one picture in, one frame out, no delay.
//!
//! Every slice is at most [`SLICE_BYTES_MAX`] bytes, so that a NAL unit fits a datagram and a lost datagram is one
//! slice to repair. There are no B-frames, no scheduled key frames and no scene cuts: a key frame comes when it is
//! asked for, and costs what ten others do. What is lost is never concealed: a frame that refers to a missing one is an
//! error, and the caller asks for a key frame.

mod options;
mod sps;
mod units;

pub use sps::find_range;
pub use units::Headers;

use super::{CodecError, VideoDecoder, VideoEncoder};
use crate::media::{ColourRange, EncodedFrame, Picture, Size, VideoCodec};
use openh264::decoder::{self, Flush};
use openh264::encoder::{
    self, BitRate, Complexity, FrameRate, FrameType, IntraFramePeriod, Profile, QpRange, RateControlMode, UsageType,
    VuiConfig,
};
use openh264::formats::{YUVSlices, YUVSource};
use openh264::{OpenH264API, Timestamp};

/// The most bytes of a piece: with headers and seal it fits the 1,280 bytes that every IPv6 path carries.
pub const SLICE_BYTES_MAX: usize = 1_100;
/// What the encoder is told to stay under. It closes a slice by what macroblocks cost in its estimate, which leaves
/// out the start code and a closing macroblock's overshoot; at this setting the largest seen had 1,091 bytes.
const SLICE_BYTES_ASKED: u32 = 1_200;
/// Below this the encoder's rate control makes nothing that could be looked at.
const BITRATE_MIN: u32 = 30_000;
/// The finest quantiser. Below it the encoder spends an easy scene's spare bits on the sensor's noise, all at once: at
/// 2 Mbit/s and 640x480 single frames grew to 80 kB, a third of a second on the link, where with this bound the largest
/// had 17 kB at the same rate and the same PSNR. (At 20 the rate itself was no longer reached.)
const QP_MIN: u8 = 18;
/// The coarsest that H.264 has.
const QP_MAX: u8 = 51;
/// Sides the library takes: a macroblock at least, and its own upper bound.
const SIDE_MIN: u32 = 16;
const SIDES_MAX: (u32, u32) = (3_840, 2_160);
/// Frames in 1,000 s where the source does not know its rate.
const USUAL_MILLIHERTZ: u32 = 30_000;

/// Threads that share a frame, each with a half of the picture: it is ready in two thirds of the time for the same work.
/// More would take the cores that the decoder and the net loop run on; on a single core two would only wait for each other.
fn threads() -> u16 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2)) as u16
}

fn library(error: openh264::Error) -> CodecError {
    CodecError::Library(format!("openh264: {error}"))
}

/// Where the bitrate falls below this share at a key frame, the encoder begins anew, with a key frame as well: openh264 1.x
/// would else starve the next dozen frames, as if it had overdrawn, however many bits it is given.
const CUT: (u64, u64) = (3, 4);

/// Turns pictures into H.264 frames.
pub struct H264Encoder {
    rate_millihertz: u32,
    bitrate_bps: u32,
    running: Option<Running>,
}

/// The library's encoder, made for one size and range.
struct Running {
    encoder: encoder::Encoder,
    size: Size,
    range: ColourRange,
    /// What the library was told last, and is told before the next frame where the two differ.
    bitrate_bps: u32,
    last_ms: Option<u64>,
}

impl core::fmt::Debug for H264Encoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "H264Encoder({} bit/s, {:?})", self.bitrate_bps, self.running.as_ref().map(|r| r.size))
    }
}

impl H264Encoder {
    /// For a stream of so many frames in 1,000 s (0: not known) and so many bits a second.
    pub fn new(rate_millihertz: u32, bitrate_bps: u32) -> H264Encoder {
        let rate_millihertz = if rate_millihertz == 0 { USUAL_MILLIHERTZ } else { rate_millihertz };
        H264Encoder { rate_millihertz, bitrate_bps: bitrate_bps.max(BITRATE_MIN), running: None }
    }

    fn start(&self, size: Size, range: ColourRange) -> Result<Running, CodecError> {
        let (long, short) = (size.width.max(size.height), size.width.min(size.height));
        if !size.width.is_multiple_of(2)
            || !size.height.is_multiple_of(2)
            || short < SIDE_MIN
            || long > SIDES_MAX.0
            || short > SIDES_MAX.1
        {
            return Err(CodecError::Unsupported(format!(
                "h264 takes pictures of even size from {SIDE_MIN}x{SIDE_MIN} to {}x{}, not {size}",
                SIDES_MAX.0, SIDES_MAX.1
            )));
        }
        let config = encoder::EncoderConfig::new()
            .usage_type(UsageType::CameraVideoRealTime)
            .rate_control_mode(RateControlMode::Bitrate)
            .bitrate(BitRate::from_bps(self.bitrate_bps))
            .max_frame_rate(FrameRate::from_hz(self.rate_millihertz as f32 / 1_000.0))
            // A frame left out is a gap of 33 ms in what the far side sees; the pacer evens out a frame that is too big.
            .skip_frames(false)
            .complexity(Complexity::Low)
            .qp(QpRange::new(QP_MIN, QP_MAX))
            .profile(Profile::Baseline)
            .max_slice_len(SLICE_BYTES_ASKED)
            .num_threads(threads())
            .scene_change_detect(false)
            .intra_frame_period(IntraFramePeriod::auto())
            .vui(VuiConfig::bt601().full_range(range == ColourRange::Full));
        let mut encoder = encoder::Encoder::with_api_config(OpenH264API::from_source(), config).map_err(library)?;
        options::silence(&mut encoder);
        Ok(Running { encoder, size, range, bitrate_bps: self.bitrate_bps, last_ms: None })
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(&mut self, picture: &Picture, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
        out.clear();
        let (size, range) = (picture.size(), picture.range);
        let is_cut = |running: &Running| u64::from(self.bitrate_bps) * CUT.1 < u64::from(running.bitrate_bps) * CUT.0;
        let running = match self.running.take() {
            Some(running) if (running.size, running.range) == (size, range) && !(key && is_cut(&running)) => running,
            _ => self.start(size, range)?,
        };
        let running = self.running.insert(running);
        if running.bitrate_bps != self.bitrate_bps && running.last_ms.is_some() {
            options::set_bitrate(&mut running.encoder, running.bitrate_bps, self.bitrate_bps)?;
            running.bitrate_bps = self.bitrate_bps;
        }
        if key && running.last_ms.is_some() {
            running.encoder.force_intra_frame();
        }
        // Rate control goes by the time between frames; a source whose clock stands still is given a millisecond.
        let now_ms = out.captured_at.as_micros() / 1_000;
        let at_ms = running.last_ms.map_or(now_ms, |last| now_ms.max(last + 1));
        running.last_ms = Some(at_ms);
        let [y, u, v] = picture.planes();
        let planes = YUVSlices::new(
            (y.data, u.data, v.data),
            (size.width as usize, size.height as usize),
            (y.stride_bytes, u.stride_bytes, v.stride_bytes),
        );
        let stream = running.encoder.encode_at(&planes, Timestamp::from_millis(at_ms)).map_err(library)?;
        gather(&stream, out);
        out.codec = VideoCodec::H264;
        out.key = stream.frame_type() == FrameType::IDR;
        out.size = Some(size);
        Ok(())
    }

    fn set_bitrate(&mut self, bits_per_second: u32) {
        self.bitrate_bps = bits_per_second.max(BITRATE_MIN);
    }
}

/// Takes the NAL units over, each a piece; small ones (parameter sets) share one.
fn gather(stream: &encoder::EncodedBitStream<'_>, out: &mut EncodedFrame) {
    let mut piece = 0;
    for layer in (0..stream.num_layers()).filter_map(|n| stream.layer(n)) {
        for nal in (0..layer.nal_count()).filter_map(|n| layer.nal_unit(n)) {
            let length = out.data.len() - piece;
            if length > 0 && (layer.is_video() || length + nal.len() > SLICE_BYTES_MAX) {
                out.end_piece();
                piece = out.data.len();
            }
            out.data.extend_from_slice(nal);
        }
    }
    if out.data.len() > piece {
        out.end_piece();
    }
}

/// Turns H.264 frames into pictures.
pub struct H264Decoder {
    decoder: Option<decoder::Decoder>,
    /// As the last parameter set said.
    range: ColourRange,
}

impl core::fmt::Debug for H264Decoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "H264Decoder({:?})", self.range)
    }
}

impl Default for H264Decoder {
    fn default() -> H264Decoder {
        H264Decoder::new()
    }
}

impl H264Decoder {
    /// Waiting for a key frame.
    pub fn new() -> H264Decoder {
        H264Decoder { decoder: None, range: ColourRange::Limited }
    }

    /// Decodes one access unit in Annex B form into `out`, and says whether a picture came of it: a stream with
    /// B-frames (a film) gives its pictures later, in the order in which they are shown.
    ///
    /// # Errors
    /// Broken, for a damaged frame or one whose reference is missing.
    pub fn decode_unit(&mut self, unit: &[u8], out: &mut Picture) -> Result<bool, CodecError> {
        if let Some(full) = find_range(unit) {
            self.range = full;
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                // Flushing would push out frames that a later one refers to: it breaks streams with B-frames.
                let config = decoder::DecoderConfig::new().flush_after_decode(Flush::NoFlush);
                none.insert(decoder::Decoder::with_api_config(OpenH264API::from_source(), config).map_err(library)?)
            }
        };
        let decoded =
            decoder.decode(unit).map_err(|_| CodecError::Broken("h264: damaged, or its reference is missing"))?;
        let Some(decoded) = decoded else { return Ok(false) };
        let (width, height) = decoded.dimensions();
        let size = Size::new(width as u32, height as u32);
        out.reshape(size);
        out.range = self.range;
        let (y, u, v) = decoded.strides();
        let half = size.chroma();
        let strides = [out.stride_bytes(), out.stride_bytes() / 2, out.stride_bytes() / 2];
        let sources = [(decoded.y(), y, size), (decoded.u(), u, half), (decoded.v(), v, half)];
        for ((to, to_stride), (from, from_stride, size)) in out.planes_mut().into_iter().zip(strides).zip(sources) {
            let width = size.width as usize;
            let rows = to.chunks_mut(to_stride.max(1)).zip(from.chunks(from_stride.max(1)));
            for (to, from) in rows.take(size.height as usize) {
                to[..width].copy_from_slice(&from[..width]);
            }
        }
        Ok(true)
    }
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError> {
        let nothing = CodecError::Broken("h264: no picture came of the frame");
        match self.decode_unit(&frame.data, out) {
            Ok(true) => return Ok(()),
            // What damage of earlier frames left in the decoder can spoil a good key frame; a new decoder knows nothing
            // of it.
            Ok(false) | Err(_) if frame.key => self.decoder = None,
            Ok(false) => return Err(nothing),
            Err(error) => return Err(error),
        }
        if self.decode_unit(&frame.data, out)? { Ok(()) } else { Err(nothing) }
    }
}

#[cfg(test)]
mod tests;
