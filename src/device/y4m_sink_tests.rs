//! Goal: what is read from the stream is what was shown, and a slow reader holds nobody up. Method: files and named
//! pipes of the test's own, read by a plain parser.

use super::*;
use nix::sys::stat::Mode;
use std::fs;
use std::io::Read;
use std::path::Path;

fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("visavis-y4m-{}-{name}", std::process::id()))
}

/// Every sample differs from its neighbours, and by frame.
fn numbered(size: Size, number: usize) -> Picture {
    let mut picture = Picture::new(size);
    for (index, plane) in picture.planes_mut().into_iter().enumerate() {
        for (at, sample) in plane.iter_mut().enumerate() {
            *sample = (at * 7 + at / 251 + number * 31 + index * 97) as u8;
        }
    }
    picture
}

fn packed(picture: &Picture) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, plane) in picture.planes().into_iter().enumerate() {
        let size = if index == 0 { picture.size() } else { picture.size().chroma() };
        for row in 0..size.height as usize {
            bytes.extend_from_slice(&plane.data[row * plane.stride_bytes..][..size.width as usize]);
        }
    }
    bytes
}

/// The head line and the frames of a whole stream.
fn parse(bytes: &[u8], size: Size) -> (String, Vec<&[u8]>) {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let frame = FRAME_MARK.len() + size.pixels() + 2 * size.chroma().pixels();
    let frames = bytes[end + 1..].chunks(frame).map(|f| f.strip_prefix(FRAME_MARK).expect("a frame mark")).collect();
    (head, frames)
}

fn show_to_file(pictures: &[Picture], path: &Path) -> Vec<u8> {
    let mut sink = Y4mSink::open(&Y4mTarget::Path(path.into())).unwrap();
    for (n, picture) in pictures.iter().enumerate() {
        let now = Instant::from_millis(n as u64);
        assert!(sink.is_ready());
        sink.show(picture, now).unwrap();
        assert_eq!(sink.finish(now).unwrap(), Some(now), "a file takes all at once");
    }
    drop(sink);
    let bytes = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    bytes
}

#[test]
fn frames_read_back_as_they_were_shown_with_padded_rows_and_without() {
    for (name, size) in [("even", Size::new(64, 48)), ("padded", Size::new(50, 34)), ("odd", Size::new(33, 17))] {
        let pictures: Vec<_> = (0..3).map(|n| numbered(size, n)).collect();
        let bytes = show_to_file(&pictures, &place(name));
        let (head, frames) = parse(&bytes, size);
        assert_eq!(
            head,
            format!("YUV4MPEG2 W{} H{} F30:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED", size.width, size.height)
        );
        assert_eq!(frames.len(), 3);
        for (frame, picture) in frames.iter().zip(&pictures) {
            assert!(*frame == packed(picture), "{name}");
        }
    }
}

#[test]
fn another_size_in_mid_stream_is_letterboxed_into_the_first() {
    let (first, second) = (Size::new(64, 48), Size::new(64, 64));
    let mut square = Picture::new(second);
    square.fill(200, 90, 160);
    let bytes = show_to_file(&[numbered(first, 0), square], &place("mixed"));
    let (_, frames) = parse(&bytes, first);
    let row = &frames[1][10 * 64..11 * 64];
    assert_eq!((&row[..8], &row[8..56], &row[56..]), (&[16; 8][..], &[200; 48][..], &[16; 8][..]));
    assert_eq!(frames[1][first.pixels() + 16], 90);
}

#[test]
fn a_reader_that_stops_holds_nobody_up_and_gets_whole_frames_when_it_goes_on() {
    let path = place("slow");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
    let nobody = Y4mSink::open(&Y4mTarget::Path(path.clone())).unwrap_err();
    assert_eq!(nobody.kind, FaultKind::Absent, "a pipe that nobody reads is looked for again: {nobody}");

    let mut reader = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path).unwrap();
    let mut sink = Y4mSink::open(&Y4mTarget::Path(path.clone())).unwrap();
    // 3 MB a frame: beyond what an unprivileged pipe may hold.
    let size = Size::new(1920, 1080);
    let pictures: Vec<_> = (0..2).map(|n| numbered(size, n)).collect();
    let (mut sent, mut bytes, mut chunk) = (0, Vec::new(), vec![0; 1 << 16]);
    let whole = 2 * (FRAME_MARK.len() + size.pixels() * 3 / 2);
    let mut refused = 0;
    while sent < 2 || !sink.is_ready() || bytes.len() < whole {
        if sent < 2 && sink.is_ready() {
            sink.show(&pictures[sent], Instant::from_millis(1)).unwrap();
            sent += 1;
        }
        refused += usize::from(!sink.is_ready() && sink.wait().fd.is_some());
        if let Ok(n) = reader.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..n]);
        }
        let _ = sink.finish(Instant::from_millis(2)).unwrap();
        assert!(refused < 10_000, "a reader that reads gets the frame");
    }
    assert!(refused > 0, "the frame did not fit, and the sink said so instead of waiting");
    let (_, frames) = parse(&bytes, size);
    assert!(frames.len() == 2 && frames.iter().zip(&pictures).all(|(frame, picture)| *frame == packed(picture)));

    drop(reader);
    let fault = sink.show(&pictures[0], Instant::ZERO).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Absent, "a named pipe's reader may come back: {fault}");
    fs::remove_file(path).unwrap();
}
