//! The table of contents of an MP4: where the pictures are and when each is shown.
//!
//! Everything in it is a stranger's word. Tables are believed as far as they really go, samples as far as they lie in the
//! file; so the memory that is taken is bounded by the file's own length.

use crate::device::Fault;
use crate::device::file::bytes::Bytes;
use crate::device::file::unusable;
use crate::media::Size;
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
pub struct Sample {
    pub offset: u64,
    pub len: u32,
    /// When it is shown, in units of the track's time scale, from the first shown on.
    pub at: u64,
}

/// The picture's track, as the table of contents describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Track {
    pub timescale: u32,
    pub size: Size,
    /// Parameter sets, as Annex B.
    pub parameters: Vec<u8>,
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub length_bytes: usize,
    pub samples: Vec<Sample>,
    /// When the last sample has stood its time.
    pub end: u64,
}

/// Finds the `moov` box among the file's own boxes, and reads it; and says where the file ends.
pub fn read(name: &str, file: &File) -> Result<(Vec<u8>, u64), Fault> {
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
pub fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
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
pub fn find<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(fourcc, _)| fourcc == name).map(|(_, body)| body)
}

/// A box within a box within a box.
pub fn find_path<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, name| find(bytes, name))
}

/// The tracks whose handler has this name.
pub fn tracks<'a>(contents: &'a [u8], handler: &[u8; 4]) -> impl Iterator<Item = &'a [u8]> {
    let is_of = move |track: &&[u8]| {
        find_path(track, &[b"mdia", b"hdlr"]).and_then(|h| h.get(8..12)) == Some(handler.as_slice())
    };
    boxes(contents).filter(|(fourcc, _)| fourcc == b"trak").map(|(_, body)| body).filter(is_of)
}

/// The first track of pictures.
pub fn parse(name: &str, contents: &[u8], end: u64) -> Result<Track, Fault> {
    if find(contents, b"mvex").is_some() {
        let remedy = "it is in fragments; put it together with `ffmpeg -i FILE -c copy -movflags +faststart film.mp4`";
        return Err(unusable(name, remedy));
    }
    let picture = tracks(contents, b"vide").next().ok_or_else(|| unusable(name, "there is no picture in it"))?;
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
            track.ok_or_else(|| unusable(name, "its table of contents is damaged"))
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
        let Some(offset) = chunks.next(len).filter(|o| o.saturating_add(u64::from(len)) <= file_end) else { break };
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
pub struct Chunks<'a> {
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
    /// Of a sample table (`stbl`).
    pub fn new(table: &'a [u8]) -> Option<Chunks<'a>> {
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

    /// The offset of the next chunk, and its samples.
    pub fn next_chunk(&mut self) -> Option<(u64, u32)> {
        self.chunk = self.chunk.checked_add(1)?;
        let at = if self.wide { self.offsets.u64_be()? } else { u64::from(self.offsets.u32_be()?) };
        if let Some((first, samples)) = self.coming
            && first <= self.chunk
        {
            self.samples_per_chunk = samples;
            self.coming = self.run();
        }
        Some((at, self.samples_per_chunk))
    }

    /// The offset of the next sample, of `len` bytes.
    fn next(&mut self, len: u32) -> Option<u64> {
        while self.left == 0 {
            (self.at, self.left) = self.next_chunk()?;
        }
        self.left -= 1;
        let offset = self.at;
        self.at = self.at.checked_add(u64::from(len))?;
        Some(offset)
    }
}
