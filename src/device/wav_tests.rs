//! Goal: what is written is read back, and whatever a file holds is sound or a clear fault. Method: real files in a
//! directory of the test's own, simulated time.

use super::super::samples::{Layout, SampleFormat, Writer};
use super::super::tone::Tone;
use super::*;
use crate::media::tests::goertzel;
use proptest::prelude::*;
use std::path::PathBuf;

/// A file that is gone after the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Temporary {
        Temporary(std::env::temp_dir().join(format!("visavis-{}-{name}.wav", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn at(period: u64) -> Instant {
    Instant::from_millis(10 * period)
}

/// Writes `periods` of tone, and leaves the sink open.
fn write_tone(file: &Temporary, periods: u64) -> WavSink {
    let mut tone = Tone::new(440, at(0));
    let mut sink = WavSink::create(&file.0, at(0)).unwrap();
    let mut period = [0; PERIOD];
    for n in 1..=periods {
        assert!(tone.read(at(n), &mut period).unwrap().is_some());
        assert!(sink.due(at(n)).unwrap());
        sink.write(at(n), &period).unwrap();
        assert!(!sink.due(at(n)).unwrap());
    }
    sink
}

/// Reads up to `periods`, and what ended it if anything did.
fn read_all(source: &mut WavSource, periods: u64) -> (Vec<i16>, Option<Fault>) {
    let mut sound = Vec::new();
    for n in 1..=periods {
        let mut period = [0; PERIOD];
        match source.read(at(n), &mut period) {
            Ok(Some(captured_at)) => {
                assert_eq!(captured_at, at(n - 1));
                sound.extend(period);
            }
            Ok(None) => {}
            Err(fault) => return (sound, Some(fault)),
        }
    }
    (sound, None)
}

#[test]
fn what_is_written_is_read_back_and_then_it_ends() {
    let file = Temporary::new("round");
    drop(write_tone(&file, 150));
    let (sound, fault) = read_all(&mut WavSource::open(&file.0, false, at(0)).unwrap(), 200);
    assert_eq!(sound.len(), 150 * PERIOD);
    assert_eq!(fault.unwrap().kind, FaultKind::Ended);
    assert!((goertzel(&sound[..48_000], 440.0) - 3_276.7).abs() < 5.0);
}

#[test]
fn a_killed_writer_leaves_a_readable_file() {
    let file = Temporary::new("killed");
    // Never dropped, as when the process is killed.
    core::mem::forget(write_tone(&file, 250));
    let (sound, _) = read_all(&mut WavSource::open(&file.0, false, at(0)).unwrap(), 300);
    assert_eq!(sound.len(), 200 * PERIOD, "all but the last, unpatched part");
}

#[test]
fn a_looped_file_goes_on() {
    let file = Temporary::new("loop");
    drop(write_tone(&file, 25));
    let (sound, fault) = read_all(&mut WavSource::open(&file.0, true, at(0)).unwrap(), 200);
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(sound.len(), 200 * PERIOD);
    assert_eq!(sound[..25 * PERIOD], sound[25 * PERIOD..50 * PERIOD]);
}

#[test]
fn stereo_24_bit_at_44_1_khz_becomes_the_same_tone() {
    let file = Temporary::new("stereo");
    let layout = Layout { format: SampleFormat::S24Packed, channels: 2, rate_hz: 44_100 };
    let mut writer = Writer::new(layout);
    let mut tone = Tone::new(440, at(0));
    let mut bytes = header(None).to_vec();
    bytes[22..24].copy_from_slice(&2u16.to_le_bytes());
    bytes[24..28].copy_from_slice(&44_100u32.to_le_bytes());
    bytes[34..36].copy_from_slice(&24u16.to_le_bytes());
    for n in 1..=120 {
        let mut period = [0; PERIOD];
        tone.read(at(n), &mut period).unwrap();
        bytes.extend_from_slice(writer.convert(&period));
    }
    std::fs::write(&file.0, bytes).unwrap();
    let (sound, _) = read_all(&mut WavSource::open(&file.0, false, at(0)).unwrap(), 130);
    let level = goertzel(&sound[4_800..52_800], 440.0);
    assert!((level / 3_276.7 - 1.0).abs() < 0.02, "{level}");
}

#[test]
fn what_is_no_wav_file_says_so_when_it_is_opened() {
    let file = Temporary::new("garbage");
    for (bytes, word) in [(&b"hello, world"[..], "not a WAV"), (&header(None)[..30], "header"), (b"", "header")] {
        std::fs::write(&file.0, bytes).unwrap();
        let fault = WavSource::open(&file.0, false, at(0)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unusable);
        assert!(fault.to_string().contains(word), "{fault}");
    }
    let fault = WavSource::open(Path::new("/nonexistent/x.wav"), false, at(0)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Absent);
}

#[test]
fn a_header_without_sound_ends_at_once_looped_or_not() {
    let file = Temporary::new("empty");
    for (bytes, looped) in [(header(Some(0)), true), (header(None), true), (header(None), false)] {
        std::fs::write(&file.0, bytes).unwrap();
        let (sound, fault) = read_all(&mut WavSource::open(&file.0, looped, at(0)).unwrap(), 20);
        assert!(sound.is_empty());
        assert_eq!(fault.unwrap().kind, FaultKind::Ended);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_sound_after_any_format_is_played_or_a_fault(format in proptest::collection::vec(any::<u8>(), 16), sound in proptest::collection::vec(any::<u8>(), 0..5_000), looped: bool) {
        let file = Temporary::new("any");
        let mut bytes = header(None).to_vec();
        // Plausible enough to get past the header: the tag and the bits are kept.
        bytes[22..28].copy_from_slice(&[format[0] % 8, 0, format[1], format[2], format[3] % 2, 0]);
        bytes.extend(sound);
        std::fs::write(&file.0, bytes).unwrap();
        if let Ok(mut source) = WavSource::open(&file.0, looped, at(0)) {
            let _ = read_all(&mut source, 50);
        }
    }
}
