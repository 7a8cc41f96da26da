//! The header of a WAV file (RIFF/WAVE, Microsoft's Multimedia Programming Interface 1.0, and WAVE_FORMAT_EXTENSIBLE),
//! read as it streams in.

use super::samples::{Layout, SampleFormat};
use crate::media::SAMPLE_RATE_HZ;

/// A header, with all that programs put before the sound, is not longer than this; a cover picture may be that large.
pub(super) const HEADER_MAX: usize = 1 << 20;

/// Sizes that mean "until the end": writers of streams put either, since they cannot know.
const UNKNOWN: [u32; 2] = [0, u32::MAX];

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub layout: Layout,
    /// Where the sound begins, in bytes from the start.
    pub data_at: usize,
    /// How many bytes of it there are; `None` for all that come.
    pub data_bytes: Option<u64>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// Reads the header at the start of `bytes`; `Ok(None)` where there must be more of it first.
///
/// # Errors
/// What is wrong with it, in plain words.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, String> {
    for (at, word) in [(0, b"RIFF"), (8, b"WAVE")] {
        let there = &bytes[at.min(bytes.len())..(at + 4).min(bytes.len())];
        if !word.starts_with(there) {
            return Err("it is not a WAV file: it does not begin with RIFF and WAVE".into());
        }
    }
    let mut layout = None;
    let mut at = 12;
    while let Some(size) = u32_at(bytes, at + 4) {
        let data_at = at + 8;
        match &bytes[at..at + 4] {
            b"fmt " => {
                let Some(chunk) = bytes.get(data_at..data_at.saturating_add(size as usize)) else { break };
                layout = Some(parse_format(chunk)?);
            }
            b"data" => {
                let layout = layout.ok_or("its sound comes before its format")?;
                let data_bytes = Some(u64::from(size)).filter(|_| !UNKNOWN.contains(&size));
                return Ok(Some(Header { layout, data_at, data_bytes }));
            }
            _ => {}
        }
        // Chunks begin on even offsets.
        at = data_at.saturating_add(size as usize).saturating_add(size as usize % 2);
        if at > HEADER_MAX {
            return Err("no sound in its first MiB".into());
        }
    }
    Ok(None)
}

/// Reads `WAVEFORMATEX`, which AVI has as well.
///
/// # Errors
/// What is wrong with it, in plain words.
pub(super) fn parse_format(chunk: &[u8]) -> Result<Layout, String> {
    let field = |at| u16_at(chunk, at).ok_or("its format is cut off");
    let (mut tag, channels, bits) = (field(0)?, field(2)?, field(14)?);
    let rate_hz = u32_at(chunk, 4).ok_or("its format is cut off")?;
    if tag == EXTENSIBLE {
        // The sub-format is a GUID that begins with the plain tag.
        tag = field(24)?;
    }
    let format = match (tag, bits) {
        (PCM, 8) => SampleFormat::U8,
        (PCM, 16) => SampleFormat::S16,
        (PCM, 24) => SampleFormat::S24Packed,
        (PCM, 32) => SampleFormat::S32,
        (FLOAT, 32) => SampleFormat::F32,
        (PCM | FLOAT, _) => {
            return Err(format!("{bits} bits a sample are not supported: 8, 16, 24, 32 or float 32 are"));
        }
        _ => return Err(format!("its coding {tag:#x} is not supported: only PCM and float are")),
    };
    Layout::new(format, usize::from(channels), rate_hz)
}

/// Bytes of the header that [`header`] makes.
pub(super) const HEADER_BYTES: usize = 44;

/// The header of 48 kHz mono S16 with that many bytes of sound; `None` for a stream without an end.
pub(super) fn header(data_bytes: Option<u64>) -> [u8; HEADER_BYTES] {
    // A file longer than 4 GiB (12 hours) says what fits; readers then go on to its end.
    let clip = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    let data = data_bytes.map_or(u32::MAX, clip);
    let riff = data_bytes.map_or(u32::MAX, |bytes| clip(bytes + HEADER_BYTES as u64 - 8));
    let mut out = [0; HEADER_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&riff.to_le_bytes());
    put(b"WAVEfmt ");
    put(&16u32.to_le_bytes());
    put(&PCM.to_le_bytes());
    put(&1u16.to_le_bytes());
    put(&SAMPLE_RATE_HZ.to_le_bytes());
    put(&(SAMPLE_RATE_HZ * 2).to_le_bytes());
    put(&2u16.to_le_bytes());
    put(&16u16.to_le_bytes());
    put(b"data");
    put(&data.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let mut chunk = b"fmt ".to_vec();
        chunk.extend(16u32.to_le_bytes());
        chunk.extend(tag.to_le_bytes());
        chunk.extend(channels.to_le_bytes());
        chunk.extend(rate.to_le_bytes());
        chunk.extend([0; 6]);
        chunk.extend(bits.to_le_bytes());
        chunk
    }

    fn file(chunks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk));
        bytes
    }

    const DATA: &[u8] = b"data\x08\0\0\0";

    #[test]
    fn our_own_header_is_read_back() {
        let header = parse(&header(Some(960))).unwrap().unwrap();
        let layout = Layout { format: SampleFormat::S16, channels: 1, rate_hz: 48_000 };
        assert_eq!(header, Header { layout, data_at: 44, data_bytes: Some(960) });
        assert_eq!(parse(&super::header(None)).unwrap().unwrap().data_bytes, None);
    }

    #[test]
    fn other_chunks_are_passed_over_and_every_prefix_waits_for_more() {
        let list = b"LIST\x05\0\0\0abcde\0";
        let bytes = file(&[list, &format(3, 2, 44_100, 32), b"fact\x04\0\0\0abcd", DATA]);
        let header = parse(&bytes).unwrap().unwrap();
        assert_eq!(header.layout, Layout { format: SampleFormat::F32, channels: 2, rate_hz: 44_100 });
        assert_eq!((header.data_at, header.data_bytes), (bytes.len(), Some(8)));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), Ok(None), "{len} bytes");
        }
    }

    #[test]
    fn what_cannot_be_played_says_why() {
        let why = |chunk: &[u8]| parse(&file(&[chunk, DATA])).unwrap_err();
        assert!(why(&format(1, 0, 48_000, 16)).contains("channels"));
        assert!(why(&format(1, 99, 48_000, 16)).contains("channels"));
        assert!(why(&format(1, 1, 1_000, 16)).contains("Hz"));
        assert!(why(&format(1, 1, 48_000, 12)).contains("bits"));
        assert!(why(&format(7, 1, 8_000, 8)).contains("coding 0x7"));
        assert!(why(b"fmt \x04\0\0\0\x01\0\x01\0").contains("cut off"));
        assert!(why(b"").contains("before its format"));
        assert!(parse(b"OggS").unwrap_err().contains("not a WAV"));
        assert!(why(b"LIST\xff\xff\xff\x7f").contains("MiB"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&file(&[&bytes]));
            let _ = parse(&file(&[&format(0xfffe, 1, 48_000, 16), &bytes]));
        }
    }
}
