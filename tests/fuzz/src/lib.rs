//! What several fuzz targets do alike.

use visavis::codec::{Decoder, VideoDecoder};
use visavis::media::{EncodedFrame, Picture, Size, VideoCodec};

/// Lengths before the frames of a stream: three bytes, little-endian.
pub const LENGTH_BYTES: usize = 3;

/// Decodes a stream of frames, each with its length before it, as the expand stage does: what is broken is passed over.
pub fn decode(codec: VideoCodec, bytes: &[u8]) {
    let mut decoder = Decoder::new();
    let mut picture = Picture::new(Size::new(2, 2));
    let mut frame = EncodedFrame { codec, ..EncodedFrame::default() };
    let mut rest = bytes;
    while let Some((&[low, middle, high], after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes([low, middle, high, 0])).unwrap_or(usize::MAX);
        let (data, after) = after.split_at(length.min(after.len()));
        rest = after;
        frame.data.clear();
        frame.data.extend_from_slice(data);
        frame.key = frame.number == 0;
        frame.piece_ends.clear();
        if decoder.decode(&frame, &mut picture).is_ok() {
            let size = picture.size();
            let [luma, ..] = picture.planes();
            assert!(
                luma.data.len() + luma.stride_bytes >= size.pixels() + size.width as usize,
                "a picture with a hole"
            );
        }
        frame.number += 1;
    }
}
