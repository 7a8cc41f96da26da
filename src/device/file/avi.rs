//! AVI with MJPEG: RIFF chunks, after Microsoft's "AVI RIFF File Reference" and the OpenDML extension 1.02 for files of
//! more than one RIFF.
//!
//! The index at the end of the file (`idx1`) says where the pictures are; where there is none, or the file goes on in
//! further RIFFs that it does not cover, the chunks themselves are walked once. Either way each picture's own chunk
//! header is read again before its bytes are.

use super::bytes::Bytes;
use super::sound::{Pcm, foreign};
use super::{Film, Next, check_size, scaled, unusable};
use crate::device::wav_header::parse_format;
use crate::device::{Fault, FrameBuffer};
use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The most that is read of the header list: real ones have a few hundred bytes and some padding.
const HEADER_MAX: u64 = 1 << 20;
/// The largest picture that is believed; a 4096x4096 JPEG of good quality has 4 MB.
const PICTURE_MAX: u32 = 16 << 20;
/// The most pictures that are indexed: ten hours at 60 a second, 26 MB of index.
const PICTURES_MAX: usize = 2_160_000;
/// Bytes of an entry in `idx1`.
const IDX1_ENTRY: usize = 16;
/// A chunk's header: its fourcc and its length.
const CHUNK_HEADER: u64 = 8;

/// One picture's bytes in the file; a length of 0 repeats the picture before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    offset: u64,
    len: u32,
}

/// An AVI file, played.
#[derive(Debug)]
pub struct Avi {
    name: String,
    file: File,
    format: VideoFormat,
    /// A frame lasts scale / rate seconds.
    scale: u32,
    rate: u32,
    entries: Vec<Entry>,
    next: usize,
}

/// What the header list says about the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    number: u8,
    scale: u32,
    rate: u32,
    size: Size,
    fourcc: [u8; 4],
}

/// Where the parts of a file are.
#[derive(Debug, Default)]
struct Layout {
    /// The header list's contents: offset and length.
    header: Option<(u64, u64)>,
    /// The contents of each `movi` list, in order.
    movies: Vec<(u64, u64)>,
    /// The index's contents.
    index: Option<(u64, u64)>,
    /// Whether there is more than one RIFF.
    extended: bool,
}

impl Avi {
    /// Reads headers and index.
    pub fn open(name: &str, file: File) -> Result<Avi, Fault> {
        let (layout, header) = read_header(name, &file)?;
        let stream = streams(&header).0.ok_or_else(|| unusable(name, "there is no picture in it"))?;
        check_stream(name, &stream)?;
        let entries = read_entries(name, &file, &layout, Wanted { number: stream.number, kinds: PICTURES })?;
        if entries.is_empty() {
            return Err(unusable(name, "there is no picture in it"));
        }
        let format = VideoFormat {
            pixel: PixelFormat::Mjpeg,
            size: stream.size,
            stride_bytes: 0,
            range: ColourRange::Full,
            millihertz: u32::try_from(u64::from(stream.rate) * 1_000 / u64::from(stream.scale)).unwrap_or(u32::MAX),
        };
        Ok(Avi { name: name.into(), file, format, scale: stream.scale, rate: stream.rate, entries, next: 0 })
    }

    fn due(&self) -> crate::time::Duration {
        scaled(self.next as u64, u64::from(self.scale), u64::from(self.rate))
    }
}

/// Where a film's sound is; `None` where it has none.
pub fn sound(name: &str, file: &File) -> Result<Option<Pcm>, Fault> {
    let (layout, header) = read_header(name, file)?;
    let Some((number, format)) = streams(&header).1 else { return Ok(None) };
    let pcm = parse_format(format).map_err(|why| foreign(name, &why, "film.avi"))?;
    let entries = read_entries(name, file, &layout, Wanted { number, kinds: SOUND })?;
    Ok(Some(Pcm::new(pcm, false, entries.iter().map(|entry| (entry.offset, u64::from(entry.len))))))
}

impl Film for Avi {
    fn format(&self) -> VideoFormat {
        self.format
    }

    fn slot(&self) -> FrameBuffer {
        let largest = self.entries.iter().map(|e| e.len).max().unwrap_or(0);
        FrameBuffer::own(self.format, largest as usize)
    }

    fn next(&mut self, slot: &mut FrameBuffer) -> Result<Next, Fault> {
        while let Some(entry) = self.entries.get(self.next).copied() {
            let due = self.due();
            self.next += 1;
            if entry.len == 0 {
                continue;
            }
            let Some(into) = slot.bytes_mut().get_mut(..entry.len as usize) else { return Ok(Next::Broken) };
            match self.file.read_exact_at(into, entry.offset) {
                // A JPEG image begins with SOI; the index of a damaged file may point anywhere.
                Ok(()) if into.starts_with(&[0xff, 0xd8]) => {}
                Ok(()) => return Ok(Next::Broken),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Next::Broken),
                Err(e) => return Err(Fault::new(&self.name, "read it (pread)", e)),
            }
            slot.used = entry.len as usize;
            return Ok(Next::Picture(due));
        }
        Ok(Next::End(self.due()))
    }

    fn rewind(&mut self) -> Result<(), Fault> {
        self.next = 0;
        Ok(())
    }
}

/// Where the parts of a film are, and its header list.
fn read_header(name: &str, file: &File) -> Result<(Layout, Vec<u8>), Fault> {
    let fault = |e| Fault::new(name, "read it (pread)", e);
    let end = file.metadata().map_err(fault)?.len();
    let layout = layout(file, end).map_err(fault)?;
    let (at, len) = layout.header.ok_or_else(|| unusable(name, "it has no header list"))?;
    let mut header = vec![0; len.min(HEADER_MAX) as usize];
    file.read_exact_at(&mut header, at).map_err(fault)?;
    Ok((layout, header))
}

fn check_stream(name: &str, stream: &Stream) -> Result<(), Fault> {
    if ![*b"MJPG", *b"JPEG"].contains(&stream.fourcc.map(|b| b.to_ascii_uppercase())) {
        let codec = String::from_utf8_lossy(&stream.fourcc).into_owned();
        let remedy = format!(
            "its pictures are `{codec}`, not MJPG; convert it with `ffmpeg -i FILE -c:v mjpeg -q:v 4 film.avi`"
        );
        return Err(unusable(name, remedy));
    }
    // Up to 1,000 pictures a second; a rate of nothing would make the first picture the last.
    if stream.scale == 0 || stream.rate == 0 || u64::from(stream.rate) > 1_000 * u64::from(stream.scale) {
        return Err(unusable(name, format!("its frame rate is {}/{}", stream.rate, stream.scale)));
    }
    check_size(name, stream.size)
}

/// A chunk's fourcc and length at `at`; `None` where the file ends before.
fn chunk(file: &File, at: u64) -> io::Result<Option<([u8; 4], u64)>> {
    let mut header = [0; CHUNK_HEADER as usize];
    match file.read_exact_at(&mut header, at) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let [a, b, c, d, l0, l1, l2, l3] = header;
    Ok(Some(([a, b, c, d], u64::from(u32::from_le_bytes([l0, l1, l2, l3])))))
}

/// Chunks are padded to even lengths.
fn after(at: u64, len: u64) -> u64 {
    at.saturating_add(CHUNK_HEADER).saturating_add(len).saturating_add(len & 1)
}

/// Finds the parts, in all the RIFFs of the file.
fn layout(file: &File, end: u64) -> io::Result<Layout> {
    let mut layout = Layout::default();
    let mut riff = 0;
    while let Some((fourcc, len)) = chunk(file, riff)? {
        if &fourcc != b"RIFF" {
            break;
        }
        layout.extended |= riff > 0;
        // A recording that was cut off has not written its length yet.
        let until = if len == 0 { end } else { after(riff, len).min(end) };
        let mut at = riff + CHUNK_HEADER + 4;
        while at < until
            && let Some((fourcc, len)) = chunk(file, at)?
        {
            let contents = (at + CHUNK_HEADER + 4, len.saturating_sub(4));
            match &fourcc {
                b"LIST" => {
                    let mut kind = [0; 4];
                    if file.read_exact_at(&mut kind, at + CHUNK_HEADER).is_err() {
                        break;
                    }
                    match &kind {
                        b"hdrl" => layout.header = layout.header.or(Some(contents)),
                        b"movi" => layout.movies.push((contents.0, contents.1.min(end.saturating_sub(contents.0)))),
                        _ => {}
                    }
                }
                b"idx1" => layout.index = Some((at + CHUNK_HEADER, len.min(end - at - CHUNK_HEADER))),
                _ => {}
            }
            at = after(at, len);
        }
        riff = until.max(riff + CHUNK_HEADER);
    }
    Ok(layout)
}

/// The first stream of pictures in a header list; and that of sound, its number and its format.
fn streams(header: &[u8]) -> (Option<Stream>, Option<(u8, &[u8])>) {
    let (mut found, mut sound, mut number) = (None, None, 0u8);
    let mut list = Bytes(header);
    while let Some((fourcc, body)) = sub_chunk(&mut list) {
        if &fourcc != b"LIST" || !body.starts_with(b"strl") {
            continue;
        }
        let mut strl = Bytes(&body[4..]);
        let (mut head, mut format) = (None, None);
        while let Some((fourcc, body)) = sub_chunk(&mut strl) {
            match &fourcc {
                b"strh" => head = head.or(Some(body)),
                b"strf" => format = format.or(Some(body)),
                _ => {}
            }
        }
        let kind = head.and_then(|h| Bytes(h).fourcc());
        if kind == Some(*b"auds") && sound.is_none() {
            sound = Some((number, format.unwrap_or(&[])));
        }
        if kind == Some(*b"vids") && found.is_none() {
            found = head.zip(format).and_then(|(h, f)| video_stream(number, h, f));
        }
        number = number.saturating_add(1);
    }
    (found, sound)
}

/// `AVISTREAMHEADER` and `BITMAPINFOHEADER`.
fn video_stream(number: u8, head: &[u8], format: &[u8]) -> Option<Stream> {
    let mut head = Bytes(head.get(20..)?);
    let (scale, rate) = (head.u32_le()?, head.u32_le()?);
    let mut format = Bytes(format.get(4..)?);
    let (width, height) = (format.u32_le()?, format.u32_le()?);
    // Planes and bits.
    format.take(4)?;
    // A negative height is a picture whose top row comes first, which a JPEG's always does.
    let size = Size::new(width, (height as i32).unsigned_abs());
    Some(Stream { number, scale, rate, size, fourcc: format.fourcc()? })
}

fn sub_chunk<'a>(list: &mut Bytes<'a>) -> Option<([u8; 4], &'a [u8])> {
    let fourcc = list.fourcc()?;
    let len = list.u32_le()? as usize;
    let body = list.take(len)?;
    if len % 2 == 1 {
        // The last chunk's padding may be missing.
        let _ = list.take(1);
    }
    Some((fourcc, body))
}

/// Chunks of pictures, compressed or not, and of sound.
const PICTURES: &[[u8; 2]] = &[*b"dc", *b"db"];
const SOUND: &[[u8; 2]] = &[*b"wb"];

/// Which chunks are looked for: those of a stream whose names end in one of these.
#[derive(Clone, Copy)]
struct Wanted {
    number: u8,
    kinds: &'static [[u8; 2]],
}

impl Wanted {
    /// Whether a chunk's name is among them: `00dc`.
    fn is(self, fourcc: [u8; 4]) -> bool {
        let [tens, ones, kind @ ..] = fourcc;
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits && (tens - b'0') * 10 + (ones - b'0') == self.number && self.kinds.contains(&kind)
    }
}

/// The wanted chunks, by the index if it can be used.
fn read_entries(name: &str, file: &File, layout: &Layout, wanted: Wanted) -> Result<Vec<Entry>, Fault> {
    let fault = |e| Fault::new(name, "read it (pread)", e);
    if let Layout { index: Some(index), movies, extended: false, .. } = layout {
        let entries = read_index(file, *index, movies, wanted).map_err(fault)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
    walk(file, &layout.movies, wanted).map_err(fault)
}

/// Reads `idx1`. Its offsets count from the word `movi` or from the file's beginning, as its writer took the
/// specification; the first picture's own chunk header tells which. Empty where neither fits.
fn read_index(file: &File, (at, len): (u64, u64), movies: &[(u64, u64)], wanted: Wanted) -> io::Result<Vec<Entry>> {
    let Some((movie, _)) = movies.first() else { return Ok(Vec::new()) };
    let entries = (len as usize / IDX1_ENTRY).min(PICTURES_MAX);
    let mut index = vec![0; entries * IDX1_ENTRY];
    if file.read_exact_at(&mut index, at).is_err() {
        return Ok(Vec::new());
    }
    let pictures = index.chunks_exact(IDX1_ENTRY).filter_map(|entry| {
        let mut entry = Bytes(entry);
        let fourcc = entry.fourcc()?;
        let (_flags, offset, len) = (entry.u32_le()?, entry.u32_le()?, entry.u32_le()?);
        (wanted.is(fourcc) && len <= PICTURE_MAX).then_some((u64::from(offset), len))
    });
    let pictures: Vec<_> = pictures.collect();
    let Some((first, _)) = pictures.iter().find(|(_, len)| *len > 0).copied() else { return Ok(Vec::new()) };
    for base in [movie - 4, 0] {
        if let Some((fourcc, _)) = chunk(file, base + first)?
            && wanted.is(fourcc)
        {
            let entry = |(offset, len)| Entry { offset: base + offset + CHUNK_HEADER, len };
            return Ok(pictures.into_iter().map(entry).collect());
        }
    }
    Ok(Vec::new())
}

/// Walks the chunks of all `movi` lists, into the `rec ` lists too that some writers group them in.
fn walk(file: &File, movies: &[(u64, u64)], wanted: Wanted) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (start, len) in movies {
        let (mut at, end) = (*start, start.saturating_add(*len));
        while at < end
            && entries.len() < PICTURES_MAX
            && let Some((fourcc, len)) = chunk(file, at)?
        {
            if &fourcc == b"LIST" {
                at += CHUNK_HEADER + 4;
                continue;
            }
            if wanted.is(fourcc) && len <= u64::from(PICTURE_MAX) && at + CHUNK_HEADER + len <= end {
                entries.push(Entry { offset: at + CHUNK_HEADER, len: len as u32 });
            }
            at = after(at, len);
        }
    }
    Ok(entries)
}
