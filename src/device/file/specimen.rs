//! Films as tests and fuzzers want them, written byte by byte: AVI and MP4, with sound and without.

/// A RIFF chunk.
pub fn chunk(fourcc: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = fourcc.to_vec();
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

fn list(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"LIST", &[kind.as_slice(), &parts.concat()].concat())
}

/// Where the offsets in `idx1` count from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Index {
    FromMovi,
    FromStart,
    Missing,
}

/// A track of sound: its description as the container wants it, and its bytes in chunks. An AVI puts a chunk before
/// each picture.
#[derive(Clone, Debug)]
pub struct Sound {
    pub description: Vec<u8>,
    pub chunks: Vec<Vec<u8>>,
    /// Bytes of a sample frame.
    pub frame_bytes: usize,
}

impl Sound {
    /// For an AVI (`WAVEFORMATEX`), cut into chunks of that many sample frames.
    pub fn in_avi(tag: u16, rate_hz: u32, samples: &[i16], chunk_frames: usize) -> Sound {
        let mut description = [tag.to_le_bytes(), 1u16.to_le_bytes()].concat();
        description.extend_from_slice(&rate_hz.to_le_bytes());
        description.extend_from_slice(&(rate_hz * 2).to_le_bytes());
        description.extend_from_slice(&[2, 0, 16, 0, 0, 0]);
        Sound { description, chunks: cut(samples, chunk_frames, i16::to_le_bytes), frame_bytes: 2 }
    }

    /// For an MP4: a sample entry of this name, big-endian but for `sowt`, with boxes behind it.
    pub fn in_mp4(entry: &[u8; 4], rate_hz: u16, samples: &[i16], chunk_frames: usize, boxes: &[Vec<u8>]) -> Sound {
        let mut fixed = vec![0; 28];
        (fixed[7], fixed[17], fixed[19]) = (1, 1, 16);
        fixed[24..26].copy_from_slice(&rate_hz.to_be_bytes());
        let bytes = if entry == b"sowt" { i16::to_le_bytes } else { i16::to_be_bytes };
        let description = boxed(entry, &[fixed, boxes.concat()]);
        Sound { description, chunks: cut(samples, chunk_frames, bytes), frame_bytes: 2 }
    }
}

fn cut(samples: &[i16], chunk_frames: usize, bytes: fn(i16) -> [u8; 2]) -> Vec<Vec<u8>> {
    samples.chunks(chunk_frames).map(|chunk| chunk.iter().copied().flat_map(bytes).collect()).collect()
}

/// An AVI with a stream of sound first, so that the pictures are stream 1, at 25 frames a second.
pub fn avi(pictures: &[Vec<u8>], index: Index, fourcc: &[u8; 4], sound: &Sound) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let stream = |kind: &[u8; 4], format: &[u8]| {
        let head = [kind.to_vec(), words(&[0, 0, 0, 0, 1, 25, 0, 0, 0, 0, 0, 0, 0])].concat();
        list(b"strl", &[chunk(b"strh", &head), chunk(b"strf", format)])
    };
    let bitmap = [words(&[40, 96, 64, 0x0018_0001]), fourcc.to_vec(), words(&[0; 5])].concat();
    let streams = [chunk(b"avih", &[0; 56]), stream(b"auds", &sound.description), stream(b"vids", &bitmap)];
    let header = list(b"hdrl", &streams);
    let before = 12 + header.len() as u32 + 8;
    let (mut movie, mut entries) = (Vec::new(), Vec::new());
    let silence = Vec::new();
    for (n, picture) in pictures.iter().enumerate() {
        for (name, body) in [(b"00wb", sound.chunks.get(n).unwrap_or(&silence)), (b"01dc", picture)] {
            let offset = movie.len() as u32 + 4 + if index == Index::FromStart { before } else { 0 };
            entries.extend_from_slice(name);
            entries.extend_from_slice(&words(&[16, offset, body.len() as u32]));
            movie.extend_from_slice(&chunk(name, body));
        }
    }
    let mut body = [b"AVI ".to_vec(), header, list(b"movi", &[movie])].concat();
    if index != Index::Missing {
        body.extend_from_slice(&chunk(b"idx1", &entries));
    }
    chunk(b"RIFF", &body)
}

/// A box with version and flags.
pub fn full(fourcc: &[u8; 4], version: u8, parts: &[&[u32]]) -> Vec<u8> {
    let words = parts.concat().iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    boxed(fourcc, &[vec![version, 0, 0, 0], words])
}

/// A box.
pub fn boxed(fourcc: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], fourcc, &body].concat()
}

/// Pictures of one size, each as its NAL units without start codes.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    pub size: (u8, u8),
    pub units: &'a [Vec<Vec<u8>>],
}

fn is_parameters(unit: &&Vec<u8>) -> bool {
    matches!(unit.first().map(|b| b & 31), Some(7 | 8))
}

/// An MP4 with `mdat` before `moov`, at 25 frames a second, pictures two to a chunk, and a composition shift of one frame.
pub fn mp4(pictures: Pictures<'_>, entry: &[u8; 4], sound: Option<&Sound>) -> Vec<u8> {
    let sample = |units: &Vec<Vec<u8>>| {
        let units = units.iter().filter(|u| !is_parameters(u));
        units.flat_map(|u| [&(u.len() as u32).to_be_bytes()[..], u].concat()).collect::<Vec<u8>>()
    };
    let samples: Vec<_> = pictures.units.iter().map(sample).collect();
    let chunks: Vec<Vec<u8>> = samples.chunks(2).map(<[_]>::concat).collect();
    let heard = sound.map_or(&[][..], |sound| &sound.chunks);
    let start = boxed(b"ftyp", &[b"isom\0\0\0\0isom".to_vec()]);
    let mut at = start.len() as u32 + 8;
    let mut offsets = |chunks: &[Vec<u8>]| {
        let place = |chunk: &Vec<u8>| {
            at += chunk.len() as u32;
            at - chunk.len() as u32
        };
        chunks.iter().map(place).collect::<Vec<u32>>()
    };
    let (seen_at, heard_at) = (offsets(&chunks), offsets(heard));
    let count = samples.len() as u32;
    let mvhd = full(b"mvhd", 0, &[&[0, 0, 1_000, count * 40, 1 << 16], &[0; 18], &[2]]);
    let mut movie = vec![mvhd, picture_track(pictures, entry, &samples, &seen_at)];
    movie.extend(sound.map(|sound| sound_track(sound, &heard_at)));
    [start, boxed(b"mdat", &[chunks.concat(), heard.concat()]), boxed(b"moov", &movie)].concat()
}

fn picture_track(pictures: Pictures<'_>, entry: &[u8; 4], samples: &[Vec<u8>], offsets: &[u32]) -> Vec<u8> {
    let parameters: Vec<_> = pictures.units[0].iter().filter(is_parameters).collect();
    let set = |unit: &Vec<u8>| [&(unit.len() as u16).to_be_bytes()[..], unit].concat();
    let record = [vec![1, 66, 0, 30, 0xff, 0xe1], set(parameters[0]), vec![1], set(parameters[1])];
    let mut visual = vec![0; 78];
    let (width, height) = pictures.size;
    visual[24..28].copy_from_slice(&[0, width, 0, height]);
    let visual = boxed(entry, &[visual, boxed(b"avcC", &record)]);
    let sizes: Vec<u32> = samples.iter().map(|s| s.len() as u32).collect();
    let count = samples.len() as u32;
    let table = [
        boxed(b"stsd", &[vec![0, 0, 0, 0, 0, 0, 0, 1], visual]),
        full(b"stts", 0, &[&[1, count, 40]]),
        full(b"ctts", 0, &[&[1, count, 40]]),
        full(b"stsc", 0, &[&[1, 1, 2, 1]]),
        full(b"stsz", 0, &[&[0, count], &sizes]),
        full(b"stco", 0, &[&[offsets.len() as u32], offsets]),
    ];
    let area = [u32::from(width) << 16, u32::from(height) << 16];
    let tkhd = full(b"tkhd", 0, &[&[0, 0, 1, 0, count * 40], &[0; 13], &area]);
    track(tkhd, b"vide", count * 40, full(b"vmhd", 0, &[&[0; 2]]), &table)
}

fn sound_track(sound: &Sound, offsets: &[u32]) -> Vec<u8> {
    let frames = |chunk: &Vec<u8>| (chunk.len() / sound.frame_bytes) as u32;
    // A run for each chunk: the last one may be shorter.
    let runs: Vec<u32> = (1..).zip(&sound.chunks).flat_map(|(n, chunk)| [n, frames(chunk), 1]).collect();
    let all: u32 = sound.chunks.iter().map(frames).sum();
    let table = [
        boxed(b"stsd", &[vec![0, 0, 0, 0, 0, 0, 0, 1], sound.description.clone()]),
        full(b"stts", 0, &[&[1, all, 1]]),
        full(b"stsc", 0, &[&[sound.chunks.len() as u32], &runs]),
        full(b"stsz", 0, &[&[sound.frame_bytes as u32, all]]),
        full(b"stco", 0, &[&[offsets.len() as u32], offsets]),
    ];
    let tkhd = full(b"tkhd", 0, &[&[0, 0, 2, 0, all], &[0; 15]]);
    track(tkhd, b"soun", all, full(b"smhd", 0, &[&[0]]), &table)
}

fn track(tkhd: Vec<u8>, handler: &[u8; 4], duration: u32, header: Vec<u8>, table: &[Vec<u8>]) -> Vec<u8> {
    let source = boxed(b"dinf", &[boxed(b"dref", &[vec![0, 0, 0, 0, 0, 0, 0, 1], full(b"url ", 0, &[])])]);
    let minf = boxed(b"minf", &[header, source, boxed(b"stbl", table)]);
    let hdlr = boxed(b"hdlr", &[vec![0; 8], handler.to_vec(), vec![0; 13]]);
    let mdhd = full(b"mdhd", 0, &[&[0, 0, 1_000, duration, 0]]);
    boxed(b"trak", &[tkhd, boxed(b"mdia", &[mdhd, hdlr, minf])])
}
