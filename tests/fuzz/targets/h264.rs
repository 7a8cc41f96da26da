//! H.264 as a peer sends it: a stream of frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::media::VideoCodec;
use visavis_fuzz::decode;

fuzz_target!(|bytes: &[u8]| decode(VideoCodec::H264, bytes));
