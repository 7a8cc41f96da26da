//! PCM in an MP4: the sample entries of QuickTime (`sowt`, `twos`, `raw `, `in24`, `in32`, `fl32`, `lpcm`; Apple's
//! "QuickTime File Format", sound sample descriptions 0 to 2) and of ISO/IEC 23003-5 (`ipcm`, `fpcm`).

use super::contents::{Chunks, boxes, find, find_path, tracks};
use crate::device::file::bytes::Bytes;
use crate::device::file::sound::Pcm;
use crate::device::samples::{Layout, SampleFormat};

/// The fixed part of a sound sample entry, which all versions have.
const ENTRY_BYTES: usize = 28;

/// The first track of sound: where it is, or why it cannot be played; `None` where there is none.
pub fn parse(contents: &[u8], file_end: u64) -> Option<Result<Pcm, String>> {
    let track = tracks(contents, b"soun").next()?;
    let table = find_path(track, &[b"mdia", b"minf", b"stbl"]);
    let entry = table.and_then(|table| boxes(find(table, b"stsd")?.get(8..)?).next());
    let Some((table, (fourcc, entry))) = table.zip(entry) else {
        return Some(Err("the table of contents of its sound is damaged".into()));
    };
    Some(parse_entry(fourcc, entry).and_then(|(layout, big_endian)| {
        let mut chunks = Chunks::new(table).ok_or("its sound has no table of chunks")?;
        let frame_bytes = layout.frame_bytes() as u64;
        let stretches = core::iter::from_fn(|| {
            let (offset, samples) = chunks.next_chunk()?;
            // A sample is a sample frame; what lies beyond the file's end is not there.
            let bytes = u64::from(samples) * frame_bytes;
            Some((offset, bytes.min(file_end.saturating_sub(offset))))
        });
        Ok(Pcm::new(layout, big_endian, stretches))
    }))
}

/// How the sound is coded, and whether big-endian.
fn parse_entry(fourcc: [u8; 4], entry: &[u8]) -> Result<(Layout, bool), String> {
    let cut_off = || "the description of its sound is cut off".to_owned();
    let field = |at: usize| entry.get(at..).map(Bytes).and_then(|mut b| b.u16_be()).ok_or_else(cut_off);
    let (version, mut channels, mut bits) = (field(8)?, u32::from(field(16)?), u32::from(field(18)?));
    let mut rate_hz = u32::from(field(24)?);
    let extra = match version {
        0 => 0,
        1 => 16,
        _ => 36,
    };
    let mut flags = 0;
    if version == 2 {
        let mut more = Bytes(entry.get(ENTRY_BYTES + 4..).unwrap_or(&[]));
        let rate = more.u64_be().map(f64::from_bits).ok_or_else(cut_off)?;
        // Saturates, and what is no rate is refused below.
        rate_hz = rate as u32;
        channels = more.u32_be().ok_or_else(cut_off)?;
        more.take(4).ok_or_else(cut_off)?;
        (bits, flags) = more.u32_be().zip(more.u32_be()).ok_or_else(cut_off)?;
    }
    let inner = entry.get(ENTRY_BYTES + extra..).unwrap_or(&[]);
    let is_little = find_path(inner, &[b"wave", b"enda"]).is_some_and(|enda| enda.starts_with(&[0, 1]));
    let iso = || find(inner, b"pcmC").and_then(|c| Some((c.get(4)? & 1 == 0, u32::from(*c.get(5)?))));
    let (is_float, big_endian, bits) = match &fourcc {
        b"sowt" => (false, false, bits),
        b"twos" => (false, true, bits),
        b"raw " if bits == 8 => (false, false, bits),
        b"in24" => (false, !is_little, 24),
        b"in32" => (false, !is_little, 32),
        b"fl32" => (true, !is_little, 32),
        b"lpcm" => (flags & 1 != 0, flags & 2 != 0, bits),
        b"ipcm" | b"fpcm" => {
            let (big_endian, bits) = iso().ok_or_else(cut_off)?;
            (&fourcc == b"fpcm", big_endian, bits)
        }
        _ => return Err(format!("its sound is {}, and only PCM is played", coding(fourcc))),
    };
    let format = match (is_float, bits) {
        // One byte a sample is signed in all the others, as nothing else is.
        (false, 8) if &fourcc == b"raw " => SampleFormat::U8,
        (false, 16) => SampleFormat::S16,
        (false, 24) => SampleFormat::S24Packed,
        (false, 32) => SampleFormat::S32,
        (true, 32) => SampleFormat::F32,
        _ => return Err(format!("its sound has {bits} bits a sample, and 16, 24, 32 or float 32 are played")),
    };
    Layout::new(format, channels as usize, rate_hz).map(|layout| (layout, big_endian))
}

/// What people call a coding.
fn coding(fourcc: [u8; 4]) -> String {
    match &fourcc {
        b"mp4a" => "AAC".into(),
        b".mp3" => "MP3".into(),
        b"ac-3" | b"ec-3" => "Dolby Digital".into(),
        other => format!("`{}`", String::from_utf8_lossy(other)),
    }
}
