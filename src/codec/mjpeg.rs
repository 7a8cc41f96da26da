//! Motion JPEG through libjpeg-turbo, planar both ways: nothing is converted to RGB and back.
//!
//! What cameras send is read leniently: without Huffman tables (UVC cameras leave the standard ones out, ISO/IEC
//! 10918-1 Annex K; the library supplies them), with any usual subsampling, and with the driver's padding behind it.

use super::convert::{Planes, Scaler};
use super::{CodecError, VideoDecoder, VideoEncoder};
use crate::media::{ColourRange, EncodedFrame, Picture, Plane, Size, VideoCodec};
use turbojpeg::{Colorspace, Compressor, Decompressor, OutputBuf, ScalingFactor, Subsamp, YuvImage, YuvPlanesImage};

/// The largest side that is read or written: [`Size`]'s own limit. It bounds what a stranger's header can allocate.
const SIDE_MAX: usize = 4_096;
/// A progressive image may come in any number of scans, each over the whole picture; camera images have one.
const SCANS_MAX: u32 = 16;
/// Quality where none is asked for: 41 dB on a noisy 720p picture, at 38 Mbit/s for 30 a second.
pub const DEFAULT_QUALITY: u8 = 85;

fn library(error: turbojpeg::Error) -> CodecError {
    CodecError::Library(format!("libjpeg-turbo: {error}"))
}

/// Turns pictures into JPEG images at 4:2:0.
#[derive(Debug)]
pub struct MjpegEncoder {
    compressor: Option<Compressor>,
    quality: u8,
    /// Room for the largest image of the present size.
    room: Vec<u8>,
}

impl MjpegEncoder {
    /// At a quality of 1 to 100 in libjpeg's scale.
    pub fn new(quality: u8) -> MjpegEncoder {
        MjpegEncoder { compressor: None, quality: quality.clamp(1, 100), room: Vec::new() }
    }
}

impl VideoEncoder for MjpegEncoder {
    fn encode(&mut self, picture: &Picture, _: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
        out.clear();
        let size = picture.size();
        let (width, height) = (size.width as usize, size.height as usize);
        let side = 2..=SIDE_MAX;
        if !width.is_multiple_of(2) || !height.is_multiple_of(2) || !side.contains(&width) || !side.contains(&height) {
            return Err(CodecError::Unsupported(format!(
                "mjpeg takes pictures of even size up to {SIDE_MAX} a side, not {size}"
            )));
        }
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => {
                let mut compressor = Compressor::new().map_err(library)?;
                compressor.set_quality(self.quality.into()).map_err(library)?;
                none.insert(compressor)
            }
        };
        let most = turbojpeg::compressed_buf_len(width, height, Subsamp::Sub2x2).map_err(library)?;
        self.room.resize(self.room.len().max(most), 0);
        let [y, u, v] = picture.planes();
        let image = YuvPlanesImage {
            y_plane: y.data,
            u_plane: u.data,
            v_plane: v.data,
            width,
            height,
            y_stride: y.stride_bytes,
            u_stride: u.stride_bytes,
            v_stride: v.stride_bytes,
            subsamp: Subsamp::Sub2x2,
        };
        let mut room = OutputBuf::borrowed(&mut self.room);
        compressor.compress_yuv_planes(&image, &mut room).map_err(library)?;
        out.data.extend_from_slice(&room);
        out.codec = VideoCodec::Mjpeg;
        out.key = true;
        out.size = Some(size);
        Ok(())
    }

    fn set_bitrate(&mut self, _: u32) {}
}

/// Reads JPEG images into planes of its own.
#[derive(Debug)]
pub struct JpegReader {
    decompressor: Option<Decompressor>,
    planes: Vec<u8>,
}

impl Default for JpegReader {
    fn default() -> JpegReader {
        JpegReader::new()
    }
}

impl JpegReader {
    /// Buffers grow at the first image.
    pub fn new() -> JpegReader {
        JpegReader { decompressor: None, planes: Vec::new() }
    }

    /// Reads one image. With a size in `wanted`, an image more than that is shrunk while it is decoded, as far as it
    /// stays at least as large: to a half, a quarter or an eighth, which saves most of the work.
    ///
    /// # Errors
    /// Broken for bytes that are not a whole image; Unsupported for what cameras do not send (RGB, CMYK, arithmetic
    /// coding, 4:1:0) and for more than 4,096 pixels a side.
    pub fn read(&mut self, bytes: &[u8], wanted: Option<Size>) -> Result<Planes<'_>, CodecError> {
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            none => {
                let mut decompressor = Decompressor::new().map_err(library)?;
                decompressor.set_scan_limit(SCANS_MAX).map_err(library)?;
                none.insert(decompressor)
            }
        };
        let header = decompressor.read_header(bytes).map_err(|_| CodecError::Broken("jpeg: no image header"))?;
        if header.width > SIDE_MAX || header.height > SIDE_MAX {
            return Err(CodecError::Unsupported(format!(
                "a JPEG image of {}x{} is too large",
                header.width, header.height
            )));
        }
        if !matches!(header.colorspace, Colorspace::YCbCr | Colorspace::Gray)
            || header.is_lossless
            || header.is_arithmetic
        {
            return Err(CodecError::Unsupported(format!(
                "a JPEG image in {:?}, or of an unusual process",
                header.colorspace
            )));
        }
        if header.subsamp == Subsamp::Unknown {
            return Err(CodecError::Unsupported("a JPEG image of unknown subsampling".into()));
        }
        let factor = shrink(header.width, header.height, wanted);
        decompressor.set_scaling_factor(factor).map_err(library)?;
        let (width, height) = (factor.scale(header.width), factor.scale(header.height));
        let room = turbojpeg::yuv_pixels_len(width, 1, height, header.subsamp).map_err(library)?;
        self.planes.resize(self.planes.len().max(room), 0);
        let image = YuvImage { pixels: &mut self.planes[..room], width, align: 1, height, subsamp: header.subsamp };
        if let Err(error) = decompressor.decompress_to_yuv(bytes, image) {
            // Some cameras put filler before the last marker; the image is whole all the same. Anything else that the
            // library warns of has left a part of the picture undecoded, and frames never smear.
            if !error.to_string().contains("extraneous bytes before marker") {
                return Err(CodecError::Broken("jpeg: a damaged image"));
            }
        }
        Ok(split(&self.planes[..room], width, height, header.subsamp))
    }
}

/// The smallest of 1, 1/2, 1/4 and 1/8 that leaves an image of at least the wanted size.
fn shrink(width: usize, height: usize, wanted: Option<Size>) -> ScalingFactor {
    let Some(wanted) = wanted else { return ScalingFactor::ONE };
    [ScalingFactor::ONE_EIGHTH, ScalingFactor::ONE_QUARTER, ScalingFactor::ONE_HALF]
        .into_iter()
        .find(|f| f.scale(width) >= wanted.width as usize && f.scale(height) >= wanted.height as usize)
        .unwrap_or(ScalingFactor::ONE)
}

/// Where the library put the planes: one after the other, luma padded to whole chroma samples.
fn split(planes: &[u8], width: usize, height: usize, subsamp: Subsamp) -> Planes<'_> {
    let (across, down) = subsamp.size();
    let stride = width.next_multiple_of(across);
    let luma = stride * height.next_multiple_of(down);
    let half = Size::new(width.div_ceil(across) as u32, height.div_ceil(down) as u32);
    let plane = |data, stride_bytes| Plane { data, stride_bytes };
    let y = (plane(&planes[..luma], stride), Size::new(width as u32, height as u32));
    if subsamp == Subsamp::Gray {
        return Planes { y, chroma: None };
    }
    let (u, v) = planes[luma..].split_at(half.pixels());
    Planes { y, chroma: Some(([plane(u, half.width as usize), plane(v, half.width as usize)], half)) }
}

/// Turns JPEG images into pictures.
#[derive(Debug, Default)]
pub struct MjpegDecoder {
    reader: JpegReader,
    scaler: Scaler,
}

impl MjpegDecoder {
    /// Every frame stands alone, so there is nothing to wait for.
    pub fn new() -> MjpegDecoder {
        MjpegDecoder::default()
    }
}

impl VideoDecoder for MjpegDecoder {
    fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError> {
        let planes = self.reader.read(&frame.data, None)?;
        let size = planes.y.1;
        self.scaler.scale_planes(planes, ColourRange::Full, out, size);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Goal: images of all kinds that cameras send are read, damaged ones refused. Method: the library writes them.
    use super::*;
    use crate::codec::clip::{Clip, psnr_luma};
    use proptest::prelude::*;

    fn picture(size: Size) -> Picture {
        let mut picture = Picture::new(size);
        Clip::new(size, 2.0).draw(&mut picture);
        picture
    }

    fn encoded(picture: &Picture) -> EncodedFrame {
        let mut frame = EncodedFrame::default();
        MjpegEncoder::new(DEFAULT_QUALITY).encode(picture, false, &mut frame).unwrap();
        frame
    }

    /// Without the segments of one marker.
    fn without(jpeg: &[u8], marker: u8) -> Vec<u8> {
        let (mut out, mut at) = (jpeg[..2].to_vec(), 2);
        loop {
            let length = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            if jpeg[at + 1] == 0xda {
                out.extend_from_slice(&jpeg[at..]);
                return out;
            }
            if jpeg[at + 1] != marker {
                out.extend_from_slice(&jpeg[at..at + length]);
            }
            at += length;
        }
    }

    #[test]
    fn a_picture_survives_at_its_quality() {
        for size in [Size::new(640, 480), Size::new(98, 34), Size::new(2, 2)] {
            let picture = picture(size);
            let frame = encoded(&picture);
            assert!(frame.key && frame.size == Some(size));
            let mut out = Picture::new(Size::new(2, 2));
            MjpegDecoder::new().decode(&frame, &mut out).unwrap();
            assert_eq!((out.size(), out.range), (size, ColourRange::Full));
            assert!(psnr_luma(&picture, &out) > 35.0, "{size}: {} dB", psnr_luma(&picture, &out));
        }
    }

    #[test]
    fn an_odd_size_is_refused_in_words() {
        let error = MjpegEncoder::new(85).encode(&Picture::new(Size::new(33, 20)), false, &mut EncodedFrame::default());
        assert!(matches!(error, Err(CodecError::Unsupported(why)) if why.contains("33x20")));
    }

    #[test]
    fn an_image_without_huffman_tables_and_with_padding_behind_it_is_whole() {
        let mut frame = encoded(&picture(Size::new(320, 240)));
        let mut whole = Picture::new(Size::new(2, 2));
        MjpegDecoder::new().decode(&frame, &mut whole).unwrap();
        let stripped = without(&frame.data, 0xc4);
        assert!(stripped.len() < frame.data.len() - 400, "the tables are gone");
        frame.data = stripped;
        frame.data.extend_from_slice(&[0; 5_000]);
        let mut out = Picture::new(Size::new(2, 2));
        MjpegDecoder::new().decode(&frame, &mut out).unwrap();
        assert!(psnr_luma(&whole, &out).is_infinite());
    }

    #[test]
    fn every_usual_subsampling_is_read_and_comes_out_with_its_colour() {
        let size = Size::new(97, 63);
        for subsamp in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub1x2, Subsamp::Gray] {
            let pixels: Vec<u8> = (0..size.pixels()).flat_map(|_| [200, 60, 40]).collect();
            let (width, height) = (size.width as usize, size.height as usize);
            let image = turbojpeg::Image {
                pixels: &pixels[..],
                width,
                pitch: width * 3,
                height,
                format: turbojpeg::PixelFormat::RGB,
            };
            let data = turbojpeg::compress(image, 95, subsamp).unwrap().to_vec();
            let mut out = Picture::new(Size::new(2, 2));
            MjpegDecoder::new().decode(&EncodedFrame { data, ..EncodedFrame::default() }, &mut out).unwrap();
            assert_eq!(out.size(), size);
            // 200, 60, 40 is Y 99.6, U 94.4, V 199.6 in JFIF.
            let [y, u, v] = out.planes().map(|plane| plane.data[plane.stride_bytes * 20 + 20]);
            let (wanted_u, wanted_v) = if subsamp == Subsamp::Gray { (128, 128) } else { (94, 200) };
            assert!(
                y.abs_diff(100) < 3 && u.abs_diff(wanted_u) < 3 && v.abs_diff(wanted_v) < 3,
                "{subsamp:?}: {y} {u} {v}"
            );
        }
    }

    #[test]
    fn an_image_is_shrunk_no_further_than_what_is_wanted() {
        let frame = encoded(&picture(Size::new(640, 480)));
        let mut reader = JpegReader::new();
        for (wanted, read) in [(640, 640), (321, 640), (320, 320), (212, 320), (160, 160), (40, 80)] {
            let planes = reader.read(&frame.data, Some(Size::new(wanted, wanted * 3 / 4))).unwrap();
            assert_eq!(planes.y.1.width, read, "wanted {wanted}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damage_is_an_error_or_at_least_no_panic(at in any::<proptest::sample::Index>(), bit in 0u8..8, cut in any::<proptest::sample::Index>()) {
            let frame = encoded(&picture(Size::new(64, 48)));
            let mut out = Picture::new(Size::new(2, 2));
            let mut short = frame.clone();
            // The last two bytes are the end marker, without which the image is still whole.
            short.data.truncate(cut.index(frame.data.len() - 3));
            prop_assert!(MjpegDecoder::new().decode(&short, &mut out).is_err());
            let mut flipped = frame;
            let at = at.index(flipped.data.len());
            flipped.data[at] ^= 1 << bit;
            let _ = MjpegDecoder::new().decode(&flipped, &mut out);
        }
    }
}
