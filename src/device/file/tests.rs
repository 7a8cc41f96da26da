//! Goal: films play at their own pace, whole or cut off, and no bytes whatever do harm. Method: the tests write films
//! themselves, byte by byte, into memory files; they are played with the clock as an argument; then they are cut at
//! every length and damaged at random.

use super::specimen::{self, Index, Pictures, Sound, boxed};
use super::*;
use crate::device::AudioSource;
use crate::device::stamp;
use crate::media::{FrameView, PERIOD, PixelFormat};
use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::*;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;

const SMALL: Size = Size::new(96, 64);
const MILLI: Duration = Duration::from_millis(1);

pub(super) fn memory_file(bytes: &[u8]) -> File {
    let mut file = File::from(memfd_create("film", MFdFlags::MFD_CLOEXEC).unwrap());
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn open(bytes: &[u8], looped: bool) -> Result<FileSource, Fault> {
    let file = memory_file(bytes);
    FileSource::open(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())), looped, Instant::ZERO)
}

/// Takes the next frame at the time the film asks for.
fn next(film: &mut FileSource) -> Result<Lent<FrameBuffer>, Fault> {
    let mut now = film.wait().at.unwrap();
    loop {
        if let Some(frame) = film.capture(now)? {
            assert!(frame.captured_at <= now, "before its time");
            return Ok(frame);
        }
        now = now.max(film.wait().at.unwrap());
    }
}

/// Plays at most `most` frames; their times in milliseconds, and the fault that ended it.
fn play(film: &mut FileSource, most: usize) -> (Vec<u64>, Option<Fault>) {
    let mut times = Vec::new();
    while times.len() < most {
        match next(film) {
            Ok(frame) => times.push(frame.captured_at.as_nanos() / 1_000_000),
            Err(fault) => return (times, Some(fault)),
        }
    }
    (times, None)
}

fn numbers(film: &mut FileSource, count: usize) -> Vec<u32> {
    let number = |frame: Lent<FrameBuffer>| match frame.view() {
        Some(FrameView::I420(luma, ..)) => {
            stamp::read(luma.data, luma.stride_bytes, frame.format.size).expect("stamped")
        }
        other => panic!("{other:?}"),
    };
    (0..count).map(|_| number(next(film).unwrap())).collect()
}

/// A grey planar picture that carries its number.
fn picture(number: u32) -> Vec<u8> {
    let mut planes = vec![128; SMALL.pixels() * 3 / 2];
    stamp::write(&mut planes, SMALL.width as usize, SMALL, number);
    planes
}

fn y4m(count: u32, tags: &str) -> Vec<u8> {
    let mut film = format!("YUV4MPEG2 W96 H64 {tags}\n").into_bytes();
    for n in 0..count {
        film.extend_from_slice(b"FRAME\n");
        film.extend_from_slice(&picture(n));
    }
    film
}

// --- Y4M

#[test]
fn a_y4m_film_plays_at_its_own_pace_and_ends() {
    let mut film = open(&y4m(4, "F25:1 Ip A1:1 C420jpeg"), false).unwrap();
    assert_eq!(film.format().millihertz, 25_000);
    let (times, fault) = play(&mut film, 9);
    assert_eq!(times, [0, 40, 80, 120]);
    assert_eq!(fault.unwrap().kind, FaultKind::Ended);
}

#[test]
fn a_looped_film_goes_on_in_step() {
    let mut film = open(&y4m(3, "F25:1 C420"), true).unwrap();
    assert_eq!(play(&mut film, 7).0, [0, 40, 80, 120, 160, 200, 240]);
    let mut film = open(&y4m(3, "F25:1 C420"), true).unwrap();
    assert_eq!(numbers(&mut film, 7), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn a_film_that_cannot_keep_up_waits_rather_than_grow_old() {
    let mut film = open(&y4m(4, "F25:1 C420"), false).unwrap();
    next(&mut film).unwrap();
    let late = Instant::from_millis(5_000);
    assert_eq!(film.capture(late).unwrap().unwrap().captured_at, late);
    assert_eq!(play(&mut film, 9).0, [5_040, 5_080]);
}

#[test]
fn luminance_alone_is_shown_in_grey() {
    let mut film = b"YUV4MPEG2 W16 H16 F25:1 Cmono\nFRAME\n".to_vec();
    film.extend_from_slice(&[77; 256]);
    let frame = next(&mut open(&film, false).unwrap()).unwrap();
    let Some(FrameView::I420(y, u, v)) = frame.view() else { panic!() };
    assert!(y.data.iter().all(|s| *s == 77) && u.data.iter().chain(v.data).all(|s| *s == 128));
}

#[test]
fn colours_that_are_not_420_are_refused_with_the_way_out() {
    for colours in ["C422", "C444", "C420p10"] {
        let fault = open(&y4m(1, colours), false).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unusable);
        assert!(fault.to_string().contains("yuv420p"), "{fault}");
    }
}

#[test]
fn what_is_no_film_is_refused_with_the_way_out() {
    let fault = open(b"#!/bin/sh\necho hello world\n", false).unwrap_err();
    assert!(fault.to_string().contains("ffmpeg"), "{fault}");
    assert_eq!(FileSource::open(Path::new("/no/such/film"), false, Instant::ZERO).unwrap_err().kind, FaultKind::Absent);
    assert_eq!(FileSource::open(Path::new("/"), false, Instant::ZERO).unwrap_err().kind, FaultKind::Unusable);
}

// --- Y4M on a pipe

/// A pipe whose reading end is a source.
fn pipe() -> (Y4mPipe, File) {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    (Y4mPipe::open(Path::new(&path)).unwrap().unwrap(), writer.into())
}

proptest! {
    #[test]
    fn a_pipe_is_read_alike_however_it_is_cut(cuts in proptest::collection::vec(1usize..9_000, 1..20), tail in "( [A-Z]{1,9})?") {
        let film = y4m(3, "F30:1 C420").into_iter().collect::<Vec<_>>();
        let film = replace(&film, b"FRAME\n", format!("FRAME{tail}\n").as_bytes());
        let (mut source, mut writer) = pipe();
        let mut read = Vec::new();
        let mut rest = film.as_slice();
        for (clock, cut) in cuts.iter().cycle().enumerate() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            rest = later;
            writer.write_all(now).unwrap();
            let clock = Instant::from_millis(clock as u64);
            while let Some(frame) = source.capture(clock).unwrap() {
                prop_assert_eq!(frame.captured_at, clock);
                read.push(frame.bytes().to_vec());
            }
            if rest.is_empty() { break }
        }
        prop_assert_eq!(read, (0..3).map(picture).collect::<Vec<_>>());
        drop(writer);
        prop_assert_eq!(source.capture(Instant::ZERO).unwrap_err().kind, FaultKind::Ended);
    }
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

#[test]
fn a_pipe_without_a_reader_of_its_frames_stops_at_its_last_slot() {
    let (mut source, mut writer) = pipe();
    writer.write_all(&y4m(8, "F30:1 C420")).unwrap();
    let mut held = Vec::new();
    while let Some(frame) = source.capture(Instant::ZERO).unwrap() {
        held.push(frame);
    }
    assert_eq!(held.len(), 4);
    assert!(source.wait().fd.is_none(), "polling a full pipe would spin");
    held.remove(0);
    assert_eq!(source.capture(Instant::from_millis(10)).unwrap().unwrap().sequence, 4);
}

#[test]
fn rubbish_on_a_pipe_is_no_film() {
    for rubbish in
        [vec![0u8; 4_000], b"YUV4MPEG2 W16 H16\nFRAMES\n".to_vec(), [b"YUV4MPEG2 ", &[b'x'; 4_000][..]].concat()]
    {
        let (mut source, mut writer) = pipe();
        writer.write_all(&rubbish).unwrap();
        assert_eq!(source.capture(Instant::ZERO).unwrap_err().kind, FaultKind::Unusable);
    }
}

#[test]
fn a_named_pipe_waits_for_its_writer() {
    let path = std::env::temp_dir().join(format!("visavis-fifo-{}", std::process::id()));
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut source = Y4mPipe::open(&path).unwrap().unwrap();
    assert!(source.capture(Instant::ZERO).unwrap().is_none());
    let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    writer.write_all(&y4m(1, "F30:1 C420")).unwrap();
    assert!(source.capture(Instant::ZERO).unwrap().is_some());
}

// --- AVI

/// A JPEG image as far as a demultiplexer looks into it.
fn jpeg(n: u8, len: usize) -> Vec<u8> {
    let mut image = vec![n; len.max(2)];
    image[..2].copy_from_slice(&[0xff, 0xd8]);
    image
}

/// An AVI whose sound is MP3.
fn avi(pictures: &[Vec<u8>], index: Index, fourcc: &[u8; 4]) -> Vec<u8> {
    specimen::avi(pictures, index, fourcc, &Sound::in_avi(0x55, 48_000, &[1, 2, 3], 1))
}

fn three() -> Vec<Vec<u8>> {
    vec![jpeg(1, 100), jpeg(2, 333), jpeg(3, 50)]
}

#[test]
fn an_avi_delivers_its_images_as_they_are_however_it_is_indexed() {
    for index in [Index::FromMovi, Index::FromStart, Index::Missing] {
        let mut film = open(&avi(&three(), index, b"MJPG"), false).unwrap();
        assert_eq!(
            (film.format().pixel, film.format().size, film.format().millihertz),
            (PixelFormat::Mjpeg, SMALL, 25_000)
        );
        for (n, image) in three().iter().enumerate() {
            let frame = next(&mut film).unwrap();
            assert_eq!(frame.bytes(), image, "{index:?}");
            assert_eq!(frame.captured_at, Instant::from_millis(40 * n as u64));
        }
        assert_eq!(next(&mut film).unwrap_err().kind, FaultKind::Ended);
    }
}

#[test]
fn a_picture_of_no_bytes_in_an_avi_is_a_pause_and_one_that_is_no_jpeg_is_left_out() {
    let pictures = [jpeg(1, 90), vec![], jpeg(2, 90), vec![5; 90], jpeg(3, 90)];
    let mut film = open(&avi(&pictures, Index::FromMovi, b"MJPG"), false).unwrap();
    assert_eq!(play(&mut film, 9).0, [0, 80, 160]);
    assert_eq!(film.counts().broken, 1);
}

#[test]
fn an_avi_of_another_codec_is_refused_by_name() {
    let fault = open(&avi(&three(), Index::FromMovi, b"XVID"), false).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unusable);
    assert!(fault.to_string().contains("`XVID`"), "{fault}");
}

// --- MP4

/// Encodes numbered pictures; each as its NAL units, without start codes.
fn encode(count: u32) -> Vec<Vec<Vec<u8>>> {
    use openh264::encoder::{Encoder, EncoderConfig};
    use openh264::formats::YUVSlices;
    let mut encoder = Encoder::with_api_config(openh264::OpenH264API::from_source(), EncoderConfig::new()).unwrap();
    let unit = |bytes: &[u8]| {
        let start = bytes.iter().position(|b| *b == 1).unwrap() + 1;
        bytes[start..].to_vec()
    };
    (0..count)
        .map(|n| {
            let planes = picture(n);
            let (y, chroma) = planes.split_at(SMALL.pixels());
            let (u, v) = chroma.split_at(chroma.len() / 2);
            let bits = encoder.encode(&YUVSlices::new((y, u, v), (96, 64), (96, 48, 48))).unwrap();
            (0..bits.num_layers())
                .filter_map(|l| bits.layer(l))
                .flat_map(|l| (0..l.nal_count()).map(move |i| unit(l.nal_unit(i).unwrap())).collect::<Vec<_>>())
                .collect()
        })
        .collect()
}

fn sounding_mp4() -> Vec<u8> {
    let sound = Sound::in_mp4(b"sowt", 48_000, &[7; 2_000], 700, &[]);
    specimen::mp4(Pictures { size: (96, 64), units: &encode(2) }, b"avc1", Some(&sound))
}

/// An MP4 without sound.
fn mp4(count: u32, entry: &[u8; 4]) -> Vec<u8> {
    specimen::mp4(Pictures { size: (96, 64), units: &encode(count) }, entry, None)
}

#[test]
fn an_mp4_is_decoded_and_shown_at_its_composition_times() {
    let film = mp4(7, b"avc1");
    let mut source = open(&film, false).unwrap();
    assert_eq!((source.format().size, source.format().millihertz), (SMALL, 25_000));
    let (times, fault) = play(&mut source, 9);
    assert_eq!(times, [0, 40, 80, 120, 160, 200, 240]);
    assert_eq!(fault.unwrap().kind, FaultKind::Ended);
    assert_eq!(numbers(&mut open(&film, true).unwrap(), 16), [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1]);
}

#[test]
fn our_reading_of_an_mp4_is_that_of_another_reader() {
    let film = mp4(5, b"avc1");
    let theirs = re_mp4::Mp4::read_bytes(&film).unwrap();
    let track = theirs.tracks().values().next().unwrap();
    let theirs: Vec<_> = track.samples.iter().map(|s| (s.offset, s.size, s.composition_timestamp as u64)).collect();
    assert_eq!(mp4::Mp4::open("film", memory_file(&film)).unwrap().index(), theirs);
}

#[test]
fn an_mp4_of_another_codec_is_refused_by_name() {
    let fault = open(&mp4(1, b"hvc1"), false).unwrap_err();
    assert!(fault.to_string().contains("`hvc1`"), "{fault}");
}

#[test]
fn an_mp4_in_fragments_or_cut_off_is_refused_with_the_reason() {
    let start = boxed(b"ftyp", &[b"isom\0\0\0\0isom".to_vec()]);
    let fault = open(&[start.clone(), boxed(b"moov", &[boxed(b"mvex", &[])])].concat(), false).unwrap_err();
    assert!(fault.to_string().contains("fragments"), "{fault}");
    let fault = open(&[start, boxed(b"mdat", &[vec![0; 99]])].concat(), false).unwrap_err();
    assert!(fault.to_string().contains("cut off"), "{fault}");
}

// --- any film, damaged

/// A film of each kind.
fn films() -> &'static [Vec<u8>] {
    static FILMS: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(|| {
        let sound = Sound::in_avi(1, 48_000, &[7; 2_000], 700);
        vec![
            y4m(2, "F25:1 Ip C420jpeg XCOLORRANGE=FULL"),
            specimen::avi(&three(), Index::FromMovi, b"MJPG", &sound),
            avi(&three(), Index::Missing, b"MJPG"),
            mp4(3, b"avc1"),
            sounding_mp4(),
        ]
    });
    &FILMS
}

/// Opens and plays a bit of whatever it is, looped. That it comes back at all is what is tested; what it delivers has
/// the size that it says.
fn endure(bytes: &[u8]) {
    let file = memory_file(bytes);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let clock = FilmClock::default();
    clock.set_start(Instant::ZERO);
    if let Ok(Some(mut sound)) = FilmSound::open(Path::new(&path), clock, Instant::ZERO) {
        for n in 0..12 {
            let _ = sound.read(Instant::from_millis(n * 10), &mut [0; PERIOD]);
        }
    }
    let Ok(mut film) = open(bytes, true) else { return };
    for _ in 0..12 {
        match next(&mut film) {
            Ok(frame) => assert!(frame.view().is_some()),
            Err(_) => return,
        }
    }
}

#[test]
fn a_film_cut_off_anywhere_plays_as_far_as_it_goes() {
    for film in films() {
        // Every length where the structure is, and some in the bulk of the pictures.
        let lengths = (0..film.len()).filter(|n| *n < 700 || film.len() - n < 900 || n % 97 == 0);
        for len in lengths {
            endure(&film[..len]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_film_does_no_harm(kind in 0usize..5, damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut film = films()[kind].clone();
        for (at, value) in damage {
            let at = at.index(film.len());
            film[at] = value;
        }
        endure(&film);
    }

    #[test]
    fn a_length_or_count_that_lies_does_no_harm(kind in 1usize..5, at: prop::sample::Index, word in prop_oneof![any::<u32>(), Just(u32::MAX), Just(0), Just(1)]) {
        let mut film = films()[kind].clone();
        let at = at.index(film.len() - 4);
        film[at..at + 4].copy_from_slice(&word.to_be_bytes());
        endure(&film);
    }

    #[test]
    fn rubbish_behind_a_good_beginning_does_no_harm(kind in 0usize..3, rubbish in proptest::collection::vec(any::<u8>(), 0..600)) {
        let head: &[u8] = [&b"YUV4MPEG2 W16 H16\n"[..], b"RIFF\xff\xff\0\0AVI LIST\xff\0\0\0hdrl", b"\0\0\0\x10ftypisom\0\0\0\0\0\0\x02\0moov"][kind];
        endure(&[head, &rubbish].concat());
    }
}

#[test]
fn times_do_not_overflow() {
    assert_eq!(scaled(u64::MAX, u64::MAX, 1), Duration::from_nanos(u64::MAX));
    assert_eq!(scaled(3, 1_001, 30_000), MILLI * 100 + Duration::from_micros(100));
}
