//! Our own codec: each picture predicted from the one before and from its neighbourhood, what is left then deflated.
//! Lossless, or with an error of at most `near` in every sample.
//!
//! It needs no codec library and no floating point, cannot smear, and with a `near` of a few steps above the sensor's
//! noise it is the cheapest codec there is on a board without an H.264 encoder.
//!
//! # The format, version 1
//!
//! Numbers are little-endian. A frame is a header, a table of slices, and the slices.
//!
//! | bytes | what |
//! |---|---|
//! | 2 | `VD` |
//! | 1 | version, 1 |
//! | 1 | flags: bit 0 key frame, bit 1 full range (else video levels); the others 0 |
//! | 1 | `near`, 0 to 64: the most by which a sample may differ from the source |
//! | 1 | slice height, in units of 16 luma rows, 1 to 255 |
//! | 2, 2 | width, height in pixels, 1 to 4,096 each |
//! | 4 | frame number modulo 2³² |
//! | 4 + 4 each | slice table: length of the slice in bytes, CRC-32 (ISO 3309) of the 14 bytes above and its own |
//!
//! There are ⌈height / slice height⌉ slices. **Slice** n covers the luma rows from n times the slice height on, and the
//! chroma rows from half of that on (chroma planes are ⌈width / 2⌉ by ⌈height / 2⌉). It is one raw deflate stream
//! (RFC 1951) and needs no other slice of its frame. Inflated, it is the *modes* of all its blocks, a byte each, in
//! order Y, U, V, rows of blocks from the top, blocks from the left; then the *residuals* of its blocks in the same
//! order, a byte for each sample, rows from the top; blocks of mode 0 have none. Nothing follows.
//!
//! A **block** is 32 samples by 8 rows, cut at the right and lower edge of the slice's part of the plane. Its mode says
//! what each sample x is guessed from; *before* is the same place in the picture before, as it was decoded; *above* and
//! *left* are neighbours in this picture. Above the slice's first row every sample counts as 128; left of a row's first
//! sample counts what is above that sample.
//!
//! | mode | guess |
//! |---|---|
//! | 0 | x is *before* itself |
//! | 1 | *before* |
//! | 2 | (*before* + *above* + 1) / 2 |
//! | 3 | *above* |
//! | 4 | (*left* + *above* + 1) / 2 |
//!
//! With `near` 0, x = guess + residual modulo 256. Else the residual is a signed byte s, and x = guess + s (2 `near` + 1),
//! cut to 0–255.
//!
//! A **key frame** has only modes 3 and 4 and needs no other frame. Any other frame has the size of the one before it,
//! whose number is one less: a decoder refuses it where that one is missing.

mod huffman;
mod predict;

use super::{CodecError, VideoDecoder, VideoEncoder};
use crate::media::{ColourRange, EncodedFrame, Picture, Size, VideoCodec};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use huffman::Writer;
use predict::{Geometry, NEAR_MAX, Quantiser, Symbols};

const MAGIC: [u8; 2] = *b"VD";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 14;
const ENTRY_BYTES: usize = 8;
/// Bits of the flags.
const KEY: u8 = 1;
const FULL_RANGE: u8 = 2;
/// Luma rows of the slices that the encoder makes: 8 slices at 480 rows. A code table costs a slice 60 to 90 bytes, so
/// that twice as many would show in `near` mode, where a frame has some 5 kB.
const SLICE_ROWS: usize = 64;
/// The largest side: what [`Size`]'s parser allows too.
const SIDE_MAX: usize = 4_096;

/// The rows of plane `n` (0 is luma) that slice `slice` covers, as geometry, and where they begin.
fn band(picture: &Picture, n: usize, slice: usize, slice_rows: usize) -> (Geometry, usize) {
    let (size, stride, slice_rows) = match n {
        0 => (picture.size(), picture.stride_bytes(), slice_rows),
        _ => (picture.size().chroma(), picture.stride_bytes() / 2, slice_rows / 2),
    };
    let first = slice * slice_rows;
    let rows = slice_rows.min((size.height as usize).saturating_sub(first));
    (Geometry { width: size.width as usize, rows, stride }, first * stride)
}

/// A header misread would draw a wrong picture of a good slice, so each slice's checksum begins with it.
fn checksum(header: &[u8], slice: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(header);
    crc.update(slice);
    crc.sum()
}

/// Turns pictures into frames of this format.
#[derive(Debug)]
pub struct DeflateEncoder {
    quantiser: Quantiser,
    near: u8,
    /// What the decoder has; of no size before the first picture.
    reference: Option<Picture>,
    number: u32,
    writer: Writer,
    symbols: Symbols,
}

impl DeflateEncoder {
    /// For an error of at most `near` in each sample; 0 is lossless, and more than 64 counts as 64.
    pub fn new(near: u8) -> DeflateEncoder {
        let near = near.min(NEAR_MAX);
        DeflateEncoder {
            quantiser: Quantiser::new(near),
            near,
            reference: None,
            number: 0,
            writer: Writer::new(),
            symbols: Symbols::default(),
        }
    }

    fn slice(&mut self, picture: &Picture, key: bool, slice: usize, out: &mut Vec<u8>) {
        let Some(reference) = &mut self.reference else { return };
        let bands = [0, 1, 2].map(|n| band(picture, n, slice, SLICE_ROWS));
        let blocks = bands.iter().map(|(geometry, _)| geometry.block_count()).sum();
        self.symbols.begin(blocks, bands.iter().map(|(geometry, _)| geometry.width * geometry.rows).sum());
        for (n, (geometry, start)) in bands.into_iter().enumerate() {
            let source = &picture.planes()[n].data[start..];
            let [y, u, v] = reference.planes_mut();
            let plane = [y, u, v].into_iter().nth(n).map(|plane| &mut plane[start..]).unwrap_or_default();
            predict::encode(source, plane, geometry, key, self.quantiser, &mut self.symbols);
        }
        self.writer.compress(self.symbols.bytes(), out);
    }
}

impl VideoEncoder for DeflateEncoder {
    fn encode(&mut self, picture: &Picture, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
        let size = picture.size();
        let side = 1..=SIDE_MAX as u32;
        if !side.contains(&size.width) || !side.contains(&size.height) {
            return Err(CodecError::Unsupported(format!(
                "deflate takes pictures of 1 to {SIDE_MAX} pixels a side, not {size}"
            )));
        }
        let reference = self.reference.get_or_insert_with(|| Picture::new(Size::new(0, 0)));
        let key = key || reference.size() != size || reference.range != picture.range;
        reference.reshape(size);
        reference.range = picture.range;
        out.clear();
        let flags = if key { KEY } else { 0 } | if picture.range == ColourRange::Full { FULL_RANGE } else { 0 };
        out.data.extend_from_slice(&MAGIC);
        out.data.extend_from_slice(&[VERSION, flags, self.near, (SLICE_ROWS / 16) as u8]);
        out.data.extend_from_slice(&(size.width as u16).to_le_bytes());
        out.data.extend_from_slice(&(size.height as u16).to_le_bytes());
        out.data.extend_from_slice(&self.number.to_le_bytes());
        self.number = self.number.wrapping_add(1);
        let slices = (size.height as usize).div_ceil(SLICE_ROWS);
        let table = out.data.len();
        out.data.resize(table + slices * ENTRY_BYTES, 0);
        for slice in 0..slices {
            let start = out.data.len();
            self.slice(picture, key, slice, &mut out.data);
            let (head, _) = out.data.split_at(HEADER_BYTES);
            let checksum = checksum(head, &out.data[start..]);
            let length = (out.data.len() - start) as u32;
            let entry = &mut out.data[table + slice * ENTRY_BYTES..][..ENTRY_BYTES];
            entry[..4].copy_from_slice(&length.to_le_bytes());
            entry[4..].copy_from_slice(&checksum.to_le_bytes());
            // The first piece has the header too.
            out.end_piece();
        }
        out.codec = VideoCodec::Deflate;
        out.key = key;
        out.size = Some(size);
        Ok(())
    }

    fn set_bitrate(&mut self, _: u32) {}
}

/// What a frame's first bytes say.
#[derive(Clone, Copy, Debug)]
struct Header {
    key: bool,
    range: ColourRange,
    near: u8,
    slice_rows: usize,
    size: Size,
    number: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<(Header, &[u8]), CodecError> {
        let broken = CodecError::Broken;
        let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(broken("deflate: shorter than a header"))?;
        let [m0, m1, version, flags, near, units, w0, w1, h0, h1, number @ ..] = *head;
        if [m0, m1] != MAGIC || version != VERSION {
            return Err(broken("deflate: not this format, or another version of it"));
        }
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        let side = 1..=SIDE_MAX as u16;
        if flags & !(KEY | FULL_RANGE) != 0
            || near > NEAR_MAX
            || units == 0
            || !side.contains(&width)
            || !side.contains(&height)
        {
            return Err(broken("deflate: a header out of range"));
        }
        let header = Header {
            key: flags & KEY != 0,
            range: if flags & FULL_RANGE != 0 { ColourRange::Full } else { ColourRange::Limited },
            near,
            slice_rows: usize::from(units) * 16,
            size: Size::new(width.into(), height.into()),
            number: u32::from_le_bytes(number),
        };
        Ok((header, rest))
    }
}

/// Turns frames of this format into pictures.
#[derive(Debug)]
pub struct DeflateDecoder {
    reference: Picture,
    /// The number that the next frame must have, unless it is a key frame.
    expected: Option<u32>,
    inflater: Decompress,
    inflated: Vec<u8>,
}

impl Default for DeflateDecoder {
    fn default() -> DeflateDecoder {
        DeflateDecoder::new()
    }
}

impl DeflateDecoder {
    /// Waiting for a key frame.
    pub fn new() -> DeflateDecoder {
        DeflateDecoder {
            reference: Picture::new(Size::new(0, 0)),
            expected: None,
            inflater: Decompress::new(false),
            inflated: Vec::new(),
        }
    }

    fn slice(&mut self, header: &Header, slice: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let bands = [0, 1, 2].map(|n| band(&self.reference, n, slice, header.slice_rows));
        let blocks = bands.map(|(geometry, _)| geometry.block_count());
        let modes: usize = blocks.iter().sum();
        let samples: usize = bands.iter().map(|(geometry, _)| geometry.width * geometry.rows).sum();
        // The most that a slice can hold, and so the most that is ever inflated.
        self.inflated.resize(self.inflated.len().max(modes + samples), 0);
        self.inflater.reset(false);
        let room = &mut self.inflated[..modes + samples];
        let status = self.inflater.decompress(bytes, room, FlushDecompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) || self.inflater.total_in() != bytes.len() as u64 {
            return Err(CodecError::Broken("deflate: a slice that does not inflate to what its blocks can hold"));
        }
        let inflated = &self.inflated[..self.inflater.total_out() as usize];
        let (mut modes, mut residuals) =
            inflated.split_at_checked(modes).ok_or(CodecError::Broken("deflate: modes end too soon"))?;
        let quantiser = Quantiser::new(header.near);
        for ((plane, (geometry, start)), blocks) in self.reference.planes_mut().into_iter().zip(bands).zip(blocks) {
            let these;
            (these, modes) = modes.split_at(blocks);
            predict::decode(&mut plane[start..], geometry, header.key, quantiser, these, &mut residuals)?;
        }
        if residuals.is_empty() { Ok(()) } else { Err(CodecError::Broken("deflate: residuals left over")) }
    }
}

impl VideoDecoder for DeflateDecoder {
    fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError> {
        // Until this frame is whole, there is nothing for a next one to build on.
        let expected = self.expected.take();
        let (header, mut rest) = Header::parse(&frame.data)?;
        if !header.key && (expected != Some(header.number) || header.size != self.reference.size()) {
            return Err(CodecError::Broken("deflate: the frame before this one is missing"));
        }
        let slices = (header.size.height as usize).div_ceil(header.slice_rows);
        let table;
        (table, rest) =
            rest.split_at_checked(slices * ENTRY_BYTES).ok_or(CodecError::Broken("deflate: a cut slice table"))?;
        if frame.key != header.key || rest.is_empty() {
            return Err(CodecError::Broken("deflate: not the kind of frame that it was announced as"));
        }
        self.reference.reshape(header.size);
        self.reference.range = header.range;
        for (slice, entry) in table.as_chunks::<ENTRY_BYTES>().0.iter().enumerate() {
            let [l0, l1, l2, l3, c0, c1, c2, c3] = *entry;
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let bytes;
            (bytes, rest) = rest.split_at_checked(length).ok_or(CodecError::Broken("deflate: a cut slice"))?;
            if checksum(&frame.data[..HEADER_BYTES], bytes) != u32::from_le_bytes([c0, c1, c2, c3]) {
                return Err(CodecError::Broken("deflate: a slice whose checksum is wrong"));
            }
            self.slice(&header, slice, bytes)?;
        }
        if !rest.is_empty() {
            return Err(CodecError::Broken("deflate: bytes after the last slice"));
        }
        self.expected = Some(header.number.wrapping_add(1));
        super::convert::copy(&self.reference, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
