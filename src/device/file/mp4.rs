//! MP4 with H.264: the boxes of ISO/IEC 14496-12, the configuration record and samples of 14496-15.
//!
//! Only the table of contents (`moov`) is read when the film is opened; samples are read one by one, turned from
//! length-prefixed NAL units into an Annex B byte stream, and decoded here, since a camera delivers pictures.
//! Pictures leave in the order in which they are shown, each at its composition time.

use super::bytes::Bytes;
use super::{Film, Next, check_size, scaled, unusable};
use crate::device::{Fault, FaultKind, FrameBuffer};
use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The largest table of contents that is read: one of ten hours at 60 pictures a second has about 50 MB.
const CONTENTS_MAX: u64 = 64 << 20;
/// The most samples: as many as such a table can list.
const SAMPLES_MAX: u32 = 2_160_000;
/// The largest sample that is believed: level 5.2 allows 720 Mbit/s, a key frame of it has a few megabytes.
const SAMPLE_MAX: u32 = 16 << 20;
/// Boxes within boxes within boxes: how many at one level are looked at.
const BOXES_MAX: usize = 10_000;

/// One encoded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    offset: u64,
    len: u32,
    /// When it is shown, in units of the track's time scale, from the first shown on.
    at: u64,
}

/// The picture's track, as the table of contents describes it.
#[derive(Debug, PartialEq, Eq)]
struct Track {
    timescale: u32,
    size: Size,
    /// Parameter sets, as Annex B.
    parameters: Vec<u8>,
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    length_bytes: usize,
    samples: Vec<Sample>,
    /// When the last sample has stood its time.
    end: u64,
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
        let (contents, end) = read_contents(name, &file)?;
        let (track, sound) = parse_contents(name, &contents, end)?;
        if sound {
            tracing::info!(film = name, "its sound is left out: picture only");
        }
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
            self.tail = held.iter().filter_map(|p| fill(&mut copy, p).then(|| copy.bytes().to_vec())).collect();
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

/// Finds the `moov` box among the file's own boxes, and reads it; and says where the file ends.
fn read_contents(name: &str, file: &File) -> Result<(Vec<u8>, u64), Fault> {
    let fault = |e| Fault::new(name, "read it (pread)", e);
    let end = file.metadata().map_err(fault)?.len();
    let mut at = 0u64;
    for _ in 0..BOXES_MAX {
        let mut head = [0; 16];
        let got = file.read_at(&mut head, at).map_err(fault)?;
        let Some((fourcc, header, len)) = box_header(&head[..got], end.saturating_sub(at)) else { break };
        if &fourcc == b"moov" {
            let len = (len - header).min(end.saturating_sub(at + header));
            if len > CONTENTS_MAX {
                return Err(unusable(name, format!("its table of contents has {len} bytes, which no film needs")));
            }
            let mut contents = vec![0; len as usize];
            file.read_exact_at(&mut contents, at + header).map_err(fault)?;
            return Ok((contents, end));
        }
        at = at.saturating_add(len);
    }
    Err(unusable(name, "it has no table of contents (`moov`); its recording was cut off"))
}

/// A box's fourcc, the length of its header and of all of it; a length of 0 reaches to the end, `rest` bytes on.
fn box_header(bytes: &[u8], rest: u64) -> Option<([u8; 4], u64, u64)> {
    let mut bytes = Bytes(bytes);
    let short = bytes.u32_be()?;
    let fourcc = bytes.fourcc()?;
    let (header, len) = match short {
        0 => (8, rest),
        1 => (16, bytes.u64_be()?),
        n => (8, u64::from(n)),
    };
    (len >= header).then_some((fourcc, header, len))
}

/// The boxes within a box. What is left over at the end, or does not fit, is not there.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (fourcc, header, len) = box_header(rest, rest.len() as u64)?;
        let body = rest.get(header as usize..usize::try_from(len).ok()?)?;
        rest = &rest[len as usize..];
        Some((fourcc, body))
    })
    .take(BOXES_MAX)
}

/// The first box of this name.
fn find<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(fourcc, _)| fourcc == name).map(|(_, body)| body)
}

/// A box within a box within a box.
fn find_path<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, name| find(bytes, name))
}

/// The first track of pictures, and whether there is one of sound.
fn parse_contents(name: &str, contents: &[u8], end: u64) -> Result<(Track, bool), Fault> {
    if find(contents, b"mvex").is_some() {
        let remedy = "it is in fragments; put it together with `ffmpeg -i FILE -c copy -movflags +faststart film.mp4`";
        return Err(unusable(name, remedy));
    }
    let tracks = || boxes(contents).filter(|(fourcc, _)| fourcc == b"trak").map(|(_, body)| body);
    let kind = |track| find_path(track, &[b"mdia", b"hdlr"]).and_then(|h| h.get(8..12));
    let sound = tracks().any(|t| kind(t) == Some(b"soun"));
    let picture = tracks().find(|t| kind(*t) == Some(b"vide"));
    let picture = picture.ok_or_else(|| unusable(name, "there is no picture in it"))?;
    let entry = find_path(picture, &[b"mdia", b"minf", b"stbl", b"stsd"]).and_then(|stsd| boxes(stsd.get(8..)?).next());
    match entry {
        Some((fourcc, _)) if !matches!(&fourcc, b"avc1" | b"avc3") => {
            let codec = String::from_utf8_lossy(&fourcc).into_owned();
            let remedy = format!(
                "its pictures are `{codec}`, not H.264; convert it with `ffmpeg -i FILE -c:v libx264 -an film.mp4`"
            );
            Err(unusable(name, remedy))
        }
        Some((_, entry)) => {
            let track = parse_track(picture, entry, end).filter(|t| !t.samples.is_empty());
            Ok((track.ok_or_else(|| unusable(name, "its table of contents is damaged"))?, sound))
        }
        None => Err(unusable(name, "its table of contents is damaged")),
    }
}

fn parse_track(track: &[u8], entry: &[u8], file_end: u64) -> Option<Track> {
    let media = find(track, b"mdia")?;
    let mut mdhd = Bytes(find(media, b"mdhd")?);
    // Version 1 has the times before the scale in 64 bits.
    let wide = mdhd.take(4)?[0] == 1;
    mdhd.take(if wide { 16 } else { 8 })?;
    let timescale = mdhd.u32_be().filter(|t| *t > 0)?;
    let mut visual = Bytes(entry.get(24..)?);
    let size = Size::new(u32::from(visual.u16_be()?), u32::from(visual.u16_be()?));
    // The fixed part of a visual sample entry has 78 bytes; boxes follow.
    let (parameters, length_bytes) = parse_configuration(find(entry.get(78..)?, b"avcC")?)?;
    let (samples, end) = parse_samples(find_path(media, &[b"minf", b"stbl"])?, file_end)?;
    Some(Track { timescale, size, parameters, length_bytes, samples, end })
}

/// The AVC decoder configuration record (14496-15 §5.3.3.1).
fn parse_configuration(record: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut record = Bytes(record);
    // Version, profile, compatibility, level.
    record.take(4)?;
    let length_bytes = usize::from(record.u8()? & 3) + 1;
    let mut parameters = Vec::new();
    for mask in [0x1f, 0xff] {
        // The count of sequence parameter sets has five bits, that of picture parameter sets eight.
        for _ in 0..record.u8()? & mask {
            let len = record.u16_be()?;
            parameters.extend_from_slice(&[0, 0, 0, 1]);
            parameters.extend_from_slice(record.take(usize::from(len))?);
        }
    }
    Some((parameters, length_bytes))
}

/// A table of runs, each a count and a value, unrolled one by one.
struct Runs<'a> {
    table: Bytes<'a>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    /// The table in a full box: version and flags, count of entries, entries. Its own end bounds it.
    fn new(table: &'a [u8]) -> Runs<'a> {
        Runs { table: Bytes(table.get(8..).unwrap_or(&[])), left: 0, value: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            (self.left, self.value) = (self.table.u32_be()?, self.table.u32_be()?);
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// All samples that lie in the file, in decoding order, and the time at which the last one shown has stood its time.
fn parse_samples(table: &[u8], file_end: u64) -> Option<(Vec<Sample>, u64)> {
    let mut sizes = Bytes(find(table, b"stsz")?.get(4..)?);
    let (same_size, count) = (sizes.u32_be()?, sizes.u32_be()?.min(SAMPLES_MAX));
    let mut durations = Runs::new(find(table, b"stts")?);
    let mut shifts = find(table, b"ctts").map(Runs::new);
    let mut chunks = Chunks::new(table)?;
    // No more than the tables really list, whatever they claim.
    let listed = if same_size == 0 { count.min(sizes.0.len() as u32 / 4) } else { count };
    let mut samples = Vec::new();
    let (mut decode_at, mut timed) = (0i64, Vec::new());
    for _ in 0..listed {
        let len = if same_size == 0 { sizes.u32_be()? } else { same_size };
        let Some(offset) = chunks.next(len).filter(|o| *o < file_end) else { break };
        let Some(duration) = durations.next() else { break };
        // Signed in version 1 of the box; version 0's values are all below 2³¹ in files that exist.
        let shift = shifts.as_mut().and_then(Runs::next).unwrap_or(0) as i32;
        if len > SAMPLE_MAX {
            return None;
        }
        samples.push(Sample { offset, len, at: 0 });
        timed.push((decode_at + i64::from(shift), duration));
        decode_at += i64::from(duration);
    }
    let first = timed.iter().map(|(at, _)| *at).min().unwrap_or(0);
    for (sample, (at, _)) in samples.iter_mut().zip(&timed) {
        sample.at = (at - first) as u64;
    }
    let end = timed.iter().map(|(at, duration)| (at - first) as u64 + u64::from(*duration)).max().unwrap_or(0);
    Some((samples, end))
}

/// Where the samples are: chunks of so many samples each, one after the other within a chunk.
struct Chunks<'a> {
    runs: Bytes<'a>,
    offsets: Bytes<'a>,
    wide: bool,
    /// Counted from 1, as the table does.
    chunk: u32,
    samples_per_chunk: u32,
    left: u32,
    at: u64,
    /// The next run's first chunk, and its samples a chunk.
    coming: Option<(u32, u32)>,
}

impl<'a> Chunks<'a> {
    fn new(table: &'a [u8]) -> Option<Chunks<'a>> {
        let wide = find(table, b"co64");
        let offsets = wide.or_else(|| find(table, b"stco"))?.get(8..)?;
        let runs = Bytes(find(table, b"stsc")?.get(8..)?);
        let mut chunks = Chunks {
            runs,
            offsets: Bytes(offsets),
            wide: wide.is_some(),
            chunk: 0,
            samples_per_chunk: 0,
            left: 0,
            at: 0,
            coming: None,
        };
        chunks.coming = chunks.run();
        Some(chunks)
    }

    fn run(&mut self) -> Option<(u32, u32)> {
        let run = (self.runs.u32_be()?, self.runs.u32_be()?);
        self.runs.take(4)?;
        Some(run)
    }

    /// The offset of the next sample, of `len` bytes.
    fn next(&mut self, len: u32) -> Option<u64> {
        while self.left == 0 {
            self.chunk = self.chunk.checked_add(1)?;
            self.at = if self.wide { self.offsets.u64_be()? } else { u64::from(self.offsets.u32_be()?) };
            if let Some((first, samples)) = self.coming
                && first <= self.chunk
            {
                self.samples_per_chunk = samples;
                self.coming = self.run();
            }
            self.left = self.samples_per_chunk;
        }
        self.left -= 1;
        let offset = self.at;
        self.at = self.at.checked_add(u64::from(len))?;
        Some(offset)
    }
}
