//! WAV files as a microphone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use visavis::device::AudioSource;
use visavis::device::wav::WavSource;
use visavis::media::PERIOD;
use visavis::time::Instant;

fuzz_target!(|bytes: &[u8]| {
    let mut file = File::from(memfd_create("wav", MFdFlags::MFD_CLOEXEC).expect("a memory file"));
    file.write_all(bytes).expect("memory");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    for looped in [false, true] {
        let Ok(mut wav) = WavSource::open(Path::new(&path), looped, Instant::from_millis(1_000)) else { return };
        for _ in 0..16 {
            let now = wav.wait().at.expect("paced");
            if wav.read(now, &mut [0; PERIOD]).is_err() {
                break;
            }
        }
    }
});
