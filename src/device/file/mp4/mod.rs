//! MP4 with H.264: the boxes of ISO/IEC 14496-12, the configuration record and samples of 14496-15.
//!
//! Only the table of contents (`moov`) is read when the film is opened; samples are read one by one, turned from
//! length-prefixed NAL units into an Annex B byte stream, and decoded here, since a camera delivers pictures.
//! Pictures leave in the order in which they are shown, each at its composition time.

mod contents;
mod sound;

use super::bytes::Bytes;
use super::sound::{Pcm, foreign};
use super::{Film, Next, check_size, scaled, unusable};
use crate::device::{Fault, FaultKind, FrameBuffer};
use crate::media::{ColourRange, PixelFormat, VideoFormat};
use contents::{Sample, Track};
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Where a film's sound is; `None` where it has none.
pub fn sound(name: &str, file: &File) -> Result<Option<Pcm>, Fault> {
    let (table, end) = contents::read(name, file)?;
    sound::parse(&table, end).transpose().map_err(|why| foreign(name, &why, "film.mov"))
}

/// An MP4 file, played.
pub struct Mp4 {
    name: String,
    file: File,
    format: VideoFormat,
    track: Track,
    decoder: Decoder,
    next: usize,
    /// A sample as it is in the file, and as the decoder wants it.
    sample: Vec<u8>,
    stream: Vec<u8>,
    /// Times of the samples that have gone into the decoder and not come out. The one shown next has the least.
    waiting: BinaryHeap<Reverse<u64>>,
    /// Pictures that the decoder still held at the end.
    tail: VecDeque<Vec<u8>>,
    flushed: bool,
}

impl core::fmt::Debug for Mp4 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Mp4").field("name", &self.name).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Mp4 {
    /// Reads the table of contents.
    pub fn open(name: &str, file: File) -> Result<Mp4, Fault> {
        let (table, end) = contents::read(name, &file)?;
        let track = contents::parse(name, &table, end)?;
        check_size(name, track.size)?;
        let largest = track.samples.iter().map(|s| s.len).max().unwrap_or(0) as usize;
        let count = track.samples.len() as u64;
        let format = VideoFormat {
            pixel: PixelFormat::I420,
            size: track.size,
            stride_bytes: track.size.width as usize,
            range: ColourRange::Limited,
            // The mean: a track may have a duration of its own for each sample.
            millihertz: u32::try_from(count * u64::from(track.timescale) * 1_000 / track.end.max(1))
                .unwrap_or(u32::MAX),
        };
        let mut mp4 = Mp4 {
            name: name.into(),
            file,
            format,
            decoder: decoder(name)?,
            next: 0,
            sample: Vec::with_capacity(largest),
            stream: Vec::with_capacity(largest + track.parameters.len() + 256),
            waiting: BinaryHeap::with_capacity(32),
            tail: VecDeque::new(),
            flushed: false,
            track,
        };
        mp4.feed_parameters()?;
        Ok(mp4)
    }

    /// Offset, length and time of each sample.
    #[cfg(test)]
    pub fn index(&self) -> Vec<(u64, u64, u64)> {
        self.track.samples.iter().map(|s| (s.offset, u64::from(s.len), s.at)).collect()
    }

    fn feed_parameters(&mut self) -> Result<(), Fault> {
        match self.decoder.decode(&self.track.parameters) {
            Ok(_) => Ok(()),
            Err(e) => Err(unusable(&self.name, format!("its H.264 profile is not one that openh264 decodes ({e})"))),
        }
    }

    /// Reads sample `next` and turns it into Annex B; false where it is not what it should be.
    fn read_sample(&mut self, sample: Sample) -> Result<bool, Fault> {
        self.sample.resize(sample.len as usize, 0);
        match self.file.read_exact_at(&mut self.sample, sample.offset) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(Fault::new(&self.name, "read it (pread)", e)),
        }
        self.stream.clear();
        Ok(to_annex_b(&self.sample, self.track.length_bytes, &mut self.stream).is_some())
    }

    fn due(&self, at: u64) -> crate::time::Duration {
        scaled(at, 1, u64::from(self.track.timescale))
    }

    /// What the decoder still holds once all has gone in.
    fn next_of_tail(&mut self, slot: &mut FrameBuffer) -> Next {
        if !self.flushed {
            self.flushed = true;
            let held = self.decoder.flush_remaining().unwrap_or_default();
            let mut copy = FrameBuffer::own(self.format, slot.bytes_mut().len());
            self.tail = held
                .iter()
                .filter_map(|p| if fill(&mut copy, p) { Some(copy.bytes().to_vec()) } else { None })
                .collect();
        }
        match (self.tail.pop_front(), self.waiting.pop()) {
            (Some(picture), Some(Reverse(at))) => {
                slot.bytes_mut().copy_from_slice(&picture);
                slot.used = picture.len();
                Next::Picture(self.due(at))
            }
            _ => Next::End(self.due(self.track.end)),
        }
    }
}

impl Film for Mp4 {
    fn format(&self) -> VideoFormat {
        self.format
    }

    fn slot(&self) -> FrameBuffer {
        FrameBuffer::own(self.format, self.track.size.pixels() + 2 * self.track.size.chroma().pixels())
    }

    fn next(&mut self, slot: &mut FrameBuffer) -> Result<Next, Fault> {
        while let Some(sample) = self.track.samples.get(self.next).copied() {
            self.next += 1;
            if !self.read_sample(sample)? {
                return Ok(Next::Broken);
            }
            match self.decoder.decode(&self.stream) {
                Ok(picture) => {
                    self.waiting.push(Reverse(sample.at));
                    let Some(picture) = picture else { continue };
                    let filled = fill(slot, &picture);
                    let Some(Reverse(at)) = self.waiting.pop() else { return Ok(Next::Broken) };
                    return Ok(if filled { Next::Picture(self.due(at)) } else { Next::Broken });
                }
                // The decoder itself waits for the next key frame.
                Err(_) => return Ok(Next::Broken),
            }
        }
        Ok(self.next_of_tail(slot))
    }

    fn rewind(&mut self) -> Result<(), Fault> {
        // A decoder that was flushed goes on badly; a new one costs a millisecond a round.
        self.decoder = decoder(&self.name)?;
        (self.next, self.flushed) = (0, false);
        self.waiting.clear();
        self.tail.clear();
        self.feed_parameters()
    }
}

fn decoder(name: &str) -> Result<Decoder, Fault> {
    // Flushing after each picture, the crate's default, would lose those that have to be put into another order.
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    Decoder::with_api_config(OpenH264API::from_source(), config)
        .map_err(|e| Fault::plain(FaultKind::Unusable, name, "start the H.264 decoder", e.to_string()))
}

/// Copies a decoded picture out of the decoder's memory; false where it has another size than the track says.
fn fill(slot: &mut FrameBuffer, picture: &DecodedYUV<'_>) -> bool {
    let size = slot.format.size;
    let (width, height) = (size.width as usize, size.height as usize);
    // Without the half pixel of an odd size, which H.264 at 4:2:0 does not have.
    if picture.dimensions() != (width, height) {
        return false;
    }
    let (y, u, v) = picture.strides();
    let half = size.chroma();
    let planes = [
        (picture.y(), y, width, height),
        (picture.u(), u, half.width as usize, half.height as usize),
        (picture.v(), v, half.width as usize, half.height as usize),
    ];
    let mut out = slot.bytes_mut();
    for (from, stride, width, height) in planes {
        let (plane, rest) = out.split_at_mut(width * height);
        for (to, from) in plane.chunks_exact_mut(width).zip(from.chunks(stride.max(1))) {
            let Some(from) = from.get(..width) else { return false };
            to.copy_from_slice(from);
        }
        out = rest;
    }
    slot.used = slot.bytes_mut().len();
    true
}

/// NAL units with lengths before them become NAL units with start codes before them; `None` where the lengths lie.
fn to_annex_b(sample: &[u8], length_bytes: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut sample = Bytes(sample);
    while !sample.0.is_empty() {
        let len = sample.take(length_bytes)?.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(sample.take(len)?);
    }
    Some(())
}
