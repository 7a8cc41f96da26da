//! JPEG images as a peer sends them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::media::VideoCodec;
use visavis_fuzz::decode;

fuzz_target!(|bytes: &[u8]| decode(VideoCodec::Mjpeg, bytes));
