//! The three video codecs as one closed set each way.

use super::deflate::{DeflateDecoder, DeflateEncoder};
use super::h264::{H264Decoder, H264Encoder};
use super::mjpeg::{DEFAULT_QUALITY, MjpegDecoder, MjpegEncoder};
use super::{CodecError, VideoDecoder, VideoEncoder};
use crate::media::{EncodedFrame, Picture, Size, VideoCodec};

/// What an encoder is to aim at. Each codec reads what concerns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// The size expected: pictures of another one are taken as well, and begin with a key frame.
    pub size: Size,
    /// Frames in 1,000 s that are sent; 0 where that is not known.
    pub rate_millihertz: u32,
    /// H.264: bits a second.
    pub bitrate_bps: u32,
    /// Deflate: the most by which a sample may differ, 0 (lossless) to 64.
    pub near: u8,
    /// MJPEG: quality, 1 to 100.
    pub quality: u8,
}

impl Default for EncoderConfig {
    fn default() -> EncoderConfig {
        EncoderConfig {
            size: Size::new(640, 480),
            rate_millihertz: 30_000,
            bitrate_bps: 2_000_000,
            near: 0,
            quality: DEFAULT_QUALITY,
        }
    }
}

/// Any of the encoders.
#[derive(Debug)]
pub enum Encoder {
    /// See [`super::h264`].
    H264(Box<H264Encoder>),
    /// See [`super::mjpeg`].
    Mjpeg(MjpegEncoder),
    /// See [`super::deflate`].
    Deflate(Box<DeflateEncoder>),
}

impl Encoder {
    /// An encoder for `codec`. The library behind it is started with the first picture.
    pub fn new(codec: VideoCodec, config: EncoderConfig) -> Encoder {
        match codec {
            VideoCodec::H264 => Encoder::H264(Box::new(H264Encoder::new(config.rate_millihertz, config.bitrate_bps))),
            VideoCodec::Mjpeg => Encoder::Mjpeg(MjpegEncoder::new(config.quality)),
            VideoCodec::Deflate => Encoder::Deflate(Box::new(DeflateEncoder::new(config.near))),
        }
    }
}

impl VideoEncoder for Encoder {
    fn encode(&mut self, picture: &Picture, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
        match self {
            Encoder::H264(encoder) => encoder.encode(picture, key, out),
            Encoder::Mjpeg(encoder) => encoder.encode(picture, key, out),
            Encoder::Deflate(encoder) => encoder.encode(picture, key, out),
        }
    }

    fn set_bitrate(&mut self, bits_per_second: u32) {
        match self {
            Encoder::H264(encoder) => encoder.set_bitrate(bits_per_second),
            Encoder::Mjpeg(encoder) => encoder.set_bitrate(bits_per_second),
            Encoder::Deflate(encoder) => encoder.set_bitrate(bits_per_second),
        }
    }
}

/// Decodes whatever the frames say they are.
#[derive(Debug, Default)]
pub enum Decoder {
    /// No frame was seen yet.
    #[default]
    Idle,
    /// See [`super::h264`].
    H264(H264Decoder),
    /// See [`super::mjpeg`].
    Mjpeg(Box<MjpegDecoder>),
    /// See [`super::deflate`].
    Deflate(Box<DeflateDecoder>),
}

impl Decoder {
    /// Makes the decoder of the first frame, and a new one where a later frame is of another codec.
    pub fn new() -> Decoder {
        Decoder::Idle
    }

    fn prepare(&mut self, codec: VideoCodec) {
        match (codec, &self) {
            (VideoCodec::H264, Decoder::H264(_)) | (VideoCodec::Mjpeg, Decoder::Mjpeg(_)) => {}
            (VideoCodec::Deflate, Decoder::Deflate(_)) => {}
            (VideoCodec::H264, _) => *self = Decoder::H264(H264Decoder::new()),
            (VideoCodec::Mjpeg, _) => *self = Decoder::Mjpeg(Box::default()),
            (VideoCodec::Deflate, _) => *self = Decoder::Deflate(Box::default()),
        }
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError> {
        self.prepare(frame.codec);
        match self {
            Decoder::Idle => Err(CodecError::Broken("no codec")),
            Decoder::H264(decoder) => decoder.decode(frame, out),
            Decoder::Mjpeg(decoder) => decoder.decode(frame, out),
            Decoder::Deflate(decoder) => decoder.decode(frame, out),
        }
    }
}
