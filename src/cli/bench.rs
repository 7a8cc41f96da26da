//! `visavis bench`: what this board pays per frame for each stage, and per period of sound.
//!
//! Every figure is CPU time of the measuring thread, the median over many frames: what else runs on the board makes it
//! a little larger, but not meaningless. The pictures move and have sensor noise of sigma 2. The last rows are what the
//! tutorial that visavis grew out of pays for the same picture: zlib at level 9 over raw BGR.

mod link;
mod talk;
mod voice;

use crate::card::{self, Card, Manner, Overlay, Sheet};
use crate::codec::clip::{Clip, psnr_luma};
use crate::codec::convert::{Converter, Scaler};
use crate::codec::{CodecError, Decoder, Encoder, EncoderConfig, VideoDecoder, VideoEncoder};
use crate::device::FrameBuffer;
use crate::device::blit::{Blit, PackedTarget, PixelLayout, PlanarTarget};
use crate::device::m2m::{self, CodecSpec, Coded, M2mDecoder, M2mEncoder, Role};
use crate::media::{ColourRange, EncodedFrame, FrameView, Picture, PixelFormat, Plane, Size, VideoCodec, VideoFormat};
use crate::ring::{Pool, mailbox};
use crate::sys::clock;
use crate::time::{Duration, Instant};
use flate2::{Compression, FlushCompress, FlushDecompress};
use serde::Serialize;
use std::hint::black_box;
use std::io::Write;

/// What a camera of the kind gives, and what a good one gives.
const SIZES: [Size; 2] = [Size::new(640, 480), Size::new(1280, 720)];
/// Bits a second for H.264 at each of them: what the comparisons with other programs use.
const BITRATES: [u32; 2] = [2_000_000, 4_000_000];
/// Pictures in the clip: enough to move, few enough for a small board's memory.
const PICTURES: usize = 8;
/// Frames that a decoder and an encoder are given before anything counts.
const WARM_UP: usize = 4;
const MILLIHERTZ: u32 = 30_000;

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The stage: `convert`, `encode`, …
    pub stage: &'static str,
    /// What exactly.
    pub what: String,
    /// Picture size, `640x480`; of sound, how long a period is.
    pub size: String,
    /// Median CPU time a frame, or a period.
    pub cpu_ms: f64,
    /// For encoders: the rate at 30 frames a second, megabits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbit_s: Option<f64>,
    /// For decoders: luma PSNR of what came out; absent where it is what went in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psnr_db: Option<f64>,
}

/// Measures everything over `frames` frames each, and prints a table, or with `json` an array of [`Row`]s.
///
/// # Errors
/// Where a codec fails, or standard output is closed.
pub fn run(json: bool, frames: usize) -> std::io::Result<()> {
    let mut rows = Vec::new();
    for (size, bitrate) in SIZES.into_iter().zip(BITRATES) {
        rows.extend(measure(size, bitrate, frames.max(1)).map_err(std::io::Error::other)?);
    }
    rows.extend(voice::measure(frames.max(1)).map_err(std::io::Error::other)?);
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        return writeln!(out);
    }
    writeln!(out, "{:<10} {:<34} {:<9} {:>9} {:>9} {:>8}", "stage", "what", "size", "CPU ms", "Mbit/s", "PSNR dB")?;
    let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.1}"));
    for row in rows {
        let (rate, psnr) = (number(row.mbit_s), number(row.psnr_db));
        writeln!(out, "{:<10} {:<34} {:<9} {:>9.3} {rate:>9} {psnr:>8}", row.stage, row.what, row.size, row.cpu_ms)?;
    }
    Ok(())
}

/// The rows of one size: every stage that runs without a device, in the order in which a frame meets them.
///
/// # Errors
/// Where a codec fails.
pub fn measure(size: Size, bitrate_bps: u32, frames: usize) -> Result<Vec<Row>, CodecError> {
    let work = Work::new(size, bitrate_bps, frames);
    let mut rows = Vec::new();
    work.hand_over(&mut rows);
    work.convert(&mut rows)?;
    work.scale(&mut rows);
    for (name, codec, near) in [
        ("h264", VideoCodec::H264, 0),
        ("mjpeg", VideoCodec::Mjpeg, 0),
        ("deflate, lossless", VideoCodec::Deflate, 0),
        ("deflate, near 2", VideoCodec::Deflate, 2),
        ("deflate, near 8", VideoCodec::Deflate, 8),
    ] {
        work.code(name, codec, near, &mut rows)?;
    }
    work.hardware(&mut rows);
    work.link(&mut rows)?;
    work.card(&mut rows);
    work.screen(&mut rows);
    work.talk(&mut rows)?;
    work.tutorial(&mut rows)?;
    Ok(rows)
}

struct Work {
    size: Size,
    bitrate_bps: u32,
    frames: usize,
    pictures: Vec<Picture>,
}

/// The median of what `work` costs in CPU time, over so many calls with rising numbers.
fn median_ms(calls: usize, mut work: impl FnMut(usize) -> Result<(), CodecError>) -> Result<f64, CodecError> {
    let mut costs = Vec::with_capacity(calls);
    for n in 0..WARM_UP + calls {
        // All threads': the H.264 encoder shares a picture between two.
        let before = clock::process_cpu();
        work(n)?;
        costs.push(clock::process_cpu().saturating_sub(before));
    }
    let costs = &mut costs[WARM_UP..];
    costs.sort_unstable();
    Ok(ms(costs[costs.len() / 2]))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

impl Work {
    fn new(size: Size, bitrate_bps: u32, frames: usize) -> Work {
        let mut clip = Clip::new(size, 2.0);
        let pictures = (0..PICTURES).map(|_| {
            let mut picture = Picture::new(size);
            clip.draw(&mut picture);
            picture
        });
        Work { size, bitrate_bps, frames, pictures: pictures.collect() }
    }

    fn row(&self, stage: &'static str, what: impl Into<String>, cpu_ms: f64) -> Row {
        Row { stage, what: what.into(), size: self.size.to_string(), cpu_ms, mbit_s: None, psnr_db: None }
    }

    /// Back and forth through the clip, so that there is no cut where it begins anew.
    fn picture(&self, n: usize) -> &Picture {
        let turn = 2 * PICTURES - 2;
        let n = n % turn;
        &self.pictures[if n < PICTURES { n } else { turn - n }]
    }

    fn format(&self, pixel: PixelFormat, stride_bytes: usize) -> VideoFormat {
        VideoFormat { pixel, size: self.size, stride_bytes, range: ColourRange::Limited, millihertz: MILLIHERTZ }
    }

    /// What lending the driver's buffer saves: a copy of a YUYV frame.
    fn hand_over(&self, rows: &mut Vec<Row>) {
        let bytes = self.size.pixels() * 2;
        let format = self.format(PixelFormat::Yuyv, self.size.width as usize * 2);
        let (source, mut target) = (vec![1u8; bytes], vec![0u8; bytes]);
        let copy = median_ms(self.frames, |_| {
            black_box(&mut target).copy_from_slice(black_box(&source));
            Ok(())
        });
        let mut pool = Pool::new((0..4).map(|_| FrameBuffer::own(format, bytes)));
        let (mut sender, mut receiver) = mailbox();
        let lease = median_ms(self.frames, |_| {
            if let Some(claim) = pool.claim() {
                drop(sender.put(claim.lend()));
            }
            drop(black_box(receiver.take()));
            Ok(())
        });
        for (what, cost) in [("copy of a YUYV frame", copy), ("lease of it", lease)] {
            rows.push(self.row("capture", what, cost.unwrap_or_default()));
        }
    }

    fn convert(&self, rows: &mut Vec<Row>) -> Result<(), CodecError> {
        let (width, bytes) = (self.size.width as usize, self.size.pixels() * 2);
        let half = Size::new(self.size.width / 2, self.size.height / 2);
        let packed: Vec<u8> = self.picture(0).planes()[0].data.iter().flat_map(|y| [*y, 128]).take(bytes).collect();
        let jpeg = self.encode_one(VideoCodec::Mjpeg)?;
        let plane = |data, stride_bytes| Plane { data, stride_bytes };
        let nv12 = FrameView::Nv12(
            plane(&packed[..self.size.pixels()], width),
            plane(&packed[..self.size.pixels() / 2], width),
        );
        let mut converter = Converter::new();
        let mut out = Picture::new(self.size);
        for (name, view, format) in [
            ("YUYV", FrameView::Yuyv(plane(&packed, width * 2)), self.format(PixelFormat::Yuyv, width * 2)),
            ("NV12", nv12, self.format(PixelFormat::Nv12, width)),
            ("MJPEG", FrameView::Mjpeg(&jpeg.data), self.format(PixelFormat::Mjpeg, 0)),
        ] {
            for (suffix, size) in [("", self.size), (" at half size", half)] {
                let cost = median_ms(self.frames, |_| converter.convert(black_box(view), &format, size, &mut out))?;
                rows.push(self.row("convert", format!("{name} to I420{suffix}"), cost));
            }
        }
        Ok(())
    }

    fn scale(&self, rows: &mut Vec<Row>) {
        let mut out = Picture::new(self.size);
        for (name, num, den) in [("to 1/2", 1, 2), ("to 1/3", 1, 3), ("to 3/2, for a screen", 3, 2)] {
            let side = |v: u32| (v * num / den) & !1;
            let (mut scaler, size) = (Scaler::default(), Size::new(side(self.size.width), side(self.size.height)));
            let cost = median_ms(self.frames, |n| {
                scaler.scale(black_box(self.picture(n)), &mut out, size);
                Ok(())
            });
            rows.push(self.row("scale", name, cost.unwrap_or_default()));
        }
    }

    fn config(&self, near: u8) -> EncoderConfig {
        EncoderConfig {
            size: self.size,
            rate_millihertz: MILLIHERTZ,
            bitrate_bps: self.bitrate_bps,
            near,
            ..EncoderConfig::default()
        }
    }

    fn encode_one(&self, codec: VideoCodec) -> Result<EncodedFrame, CodecError> {
        let mut frame = EncodedFrame::default();
        Encoder::new(codec, self.config(0)).encode(self.picture(0), true, &mut frame)?;
        Ok(frame)
    }

    fn code(&self, name: &str, codec: VideoCodec, near: u8, rows: &mut Vec<Row>) -> Result<(), CodecError> {
        let stream = self.encode(name, &mut Encoder::new(codec, self.config(near)), rows)?;
        self.decode(name, &mut Decoder::new(), &stream, rows)
    }

    /// Adds the row of an encoder, and gives its stream.
    fn encode(
        &self,
        name: &str,
        encoder: &mut impl VideoEncoder,
        rows: &mut Vec<Row>,
    ) -> Result<Vec<EncodedFrame>, CodecError> {
        let mut stream = Vec::new();
        let mut frame = EncodedFrame::with_capacity(self.size.pixels() * 2);
        let encode = median_ms(self.frames, |n| {
            frame.captured_at = Instant::from_micros(n as u64 * 33_333);
            encoder.encode(self.picture(n), false, &mut frame)?;
            stream.push(frame.clone());
            Ok(())
        })?;
        let bytes: usize = stream[WARM_UP..].iter().map(|frame| frame.data.len()).sum();
        let mbit_s = Some(bytes as f64 / self.frames as f64 * 8.0 * 30.0 / 1e6);
        rows.push(Row { mbit_s, ..self.row("encode", name, encode) });
        Ok(stream)
    }

    /// Adds the row of a decoder.
    fn decode(
        &self,
        name: &str,
        decoder: &mut impl VideoDecoder,
        stream: &[EncodedFrame],
        rows: &mut Vec<Row>,
    ) -> Result<(), CodecError> {
        let mut out = Picture::new(self.size);
        let decode = median_ms(self.frames, |n| decoder.decode(&stream[n], &mut out))?;
        let psnr = psnr_luma(self.picture(stream.len() - 1), &out);
        rows.push(Row { psnr_db: psnr.is_finite().then_some(psnr), ..self.row("decode", name, decode) });
        Ok(())
    }

    /// The hardware that a station would take for H.264, where there is some. Each end is measured against software at the
    /// other; one that fails has no row.
    fn hardware(&self, rows: &mut Vec<Row>) {
        for codec in m2m::list().iter().filter(|c| c.lacks.is_none() && c.speaks(Coded::H264, self.size)) {
            let (name, spec) = (format!("h264 by {}", codec.driver), CodecSpec::Node(codec.path.clone()));
            let measured = match codec.role {
                Role::Encoder => M2mEncoder::open(&spec, Coded::H264, &self.config(0), None)
                    .map_err(|fault| CodecError::Library(fault.to_string()))
                    .and_then(|mut encoder| self.encode(&name, &mut encoder, rows).map(drop)),
                Role::Decoder => M2mDecoder::open(&spec, Coded::H264, Some(self.size), None)
                    .map_err(|fault| CodecError::Library(fault.to_string()))
                    .and_then(|mut decoder| {
                        let mut software = Encoder::new(VideoCodec::H264, self.config(0));
                        let stream = self.encode(&name, &mut software, &mut Vec::new())?;
                        self.decode(&name, &mut decoder, &stream, rows)
                    }),
            };
            if let Err(error) = measured {
                tracing::warn!("no row for {name}: {error}");
            }
        }
    }

    /// What the station itself draws, when there is something to say.
    fn card(&self, rows: &mut Vec<Row>) {
        let mut picture = Picture::new(self.size);
        let text = Card::NoPicture { peer: "kitchen".into(), why: "its camera does not answer".into() };
        let manner = Manner::default();
        let whole = median_ms(self.frames, |_| {
            card::draw(black_box(&text), &manner, &mut picture);
            Ok(())
        });
        let mut sheet = Sheet::default();
        sheet.set(&Overlay::note("no sound from kitchen"), &manner);
        let band = median_ms(self.frames, |_| {
            sheet.lay_on(black_box(&mut picture), None);
            Ok(())
        });
        for (what, cost) in [("a whole card", whole), ("a line across the picture", band)] {
            rows.push(self.row("card", what, cost.unwrap_or_default()));
        }
    }

    /// The picture brought into a screen's memory, as KMS and fbdev are given it. Memory that is mapped from a graphics
    /// chip may be slower to write.
    fn screen(&self, rows: &mut Vec<Row>) {
        let hd = Size::new(1920, 1080);
        for (what, layout, size) in [
            ("to XRGB8888", PixelLayout::Xrgb8888, self.size),
            ("to RGB565", PixelLayout::Rgb565, self.size),
            ("to XRGB8888 of 1920x1080", PixelLayout::Xrgb8888, hd),
        ] {
            let stride_bytes = size.width as usize * layout.bytes();
            let (mut blit, mut data) = (Blit::default(), vec![0; stride_bytes * size.height as usize]);
            let cost = median_ms(self.frames, |n| {
                let data = data.as_mut_slice();
                blit.packed(self.picture(n), &mut PackedTarget { data, stride_bytes, size, layout });
                Ok(())
            });
            rows.push(self.row("present", what, cost.unwrap_or_default()));
        }
        let (mut blit, mut out) = (Blit::default(), Picture::new(self.size));
        let strides = [out.stride_bytes(), out.stride_bytes() / 2, out.stride_bytes() / 2];
        let cost = median_ms(self.frames, |n| {
            blit.planes(self.picture(n), &mut PlanarTarget { size: self.size, planes: out.planes_mut(), strides });
            Ok(())
        });
        rows.push(self.row("present", "to a plane of I420", cost.unwrap_or_default()));
    }

    /// zlib at level 9 over the raw BGR picture, and back. Few frames: each takes as long as ten of ours.
    fn tutorial(&self, rows: &mut Vec<Row>) -> Result<(), CodecError> {
        let zlib = |error: &dyn core::fmt::Display| CodecError::Library(format!("zlib: {error}"));
        let bytes = self.size.pixels() * 3;
        let frames = self.frames.div_ceil(8);
        let raw: Vec<Vec<u8>> = self
            .pictures
            .iter()
            .map(|picture| {
                let (size, layout) = (self.size, PixelLayout::Xrgb8888);
                let stride_bytes = size.width as usize * layout.bytes();
                let mut xrgb = vec![0; stride_bytes * size.height as usize];
                Blit::default().packed(picture, &mut PackedTarget { data: &mut xrgb, stride_bytes, size, layout });
                xrgb.as_chunks::<4>().0.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
            })
            .collect();
        let (mut packed, mut back) = (Vec::with_capacity(bytes * 2), vec![0; bytes]);
        let mut total = 0;
        let encode = median_ms(frames, |n| {
            packed.clear();
            let mut zipper = flate2::Compress::new(Compression::best(), true);
            zipper.compress_vec(&raw[n % PICTURES], &mut packed, FlushCompress::Finish).map_err(|e| zlib(&e))?;
            total += packed.len();
            Ok(())
        })?;
        let decode = median_ms(frames, |_| {
            let mut unzipper = flate2::Decompress::new(true);
            unzipper.decompress(&packed, &mut back, FlushDecompress::Finish).map_err(|e| zlib(&e))?;
            Ok(())
        })?;
        let mbit_s = Some(total as f64 / (WARM_UP + frames) as f64 * 8.0 * 30.0 / 1e6);
        rows.push(Row { mbit_s, ..self.row("encode", "the tutorial: zlib 9 of raw BGR", encode) });
        rows.push(self.row("decode", "the tutorial: zlib 9 of raw BGR", decode));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the bench runs every stage to its end. Method: a small picture, few frames; no figure is judged.
    use super::*;

    #[test]
    fn every_stage_has_a_figure() {
        let mut rows = measure(Size::new(96, 64), 300_000, 2).unwrap();
        rows.extend(voice::measure(2).unwrap());
        for stage in
            ["capture", "convert", "scale", "encode", "decode", "packetise", "encrypt", "card", "present", "voice"]
        {
            assert!(rows.iter().any(|row| row.stage == stage), "{stage}");
        }
        assert!(rows.iter().all(|row| row.cpu_ms.is_finite() && row.mbit_s.is_none_or(|rate| rate > 0.0)));
        let lossless = |row: &&Row| row.what == "deflate, lossless" && row.stage == "decode";
        assert!(rows.iter().find(lossless).is_some_and(|row| row.psnr_db.is_none()));
    }
}
