//! Our own codec as a peer sends it: a key frame, and frames that build on it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::media::VideoCodec;
use visavis_fuzz::decode;

fuzz_target!(|bytes: &[u8]| decode(VideoCodec::Deflate, bytes));
