//! Writes what the fuzz targets start from: a few good inputs of each kind, made by the program's own writers. Without
//! them a fuzzer would have to guess its way past every magic number first.
//!
//! `seeds DIRECTORY TARGET…` makes a folder for each target. It is a fuzz target in name only: built with their flags, it
//! needs what the fuzzer brings along.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use visavis::codec::clip::Clip;
use visavis::codec::opus::OpusConfig;
use visavis::codec::{Encoder, EncoderConfig, VideoEncoder};
use visavis::config::Config as StationConfig;
use visavis::device::AudioSink;
use visavis::device::wav::WavSink;
use visavis::identity::{AddressBook, Code, Entry, HINT_SALT_LEN, KeyHint, Rights, SecretKey, Ticket};
use visavis::journal::{JOURNAL_FILE, Journal, Record, What};
use visavis::link::flow::{Flow, FlowConfig};
use visavis::link::{Config, Endpoint, MAX_DATAGRAM, MAX_PAYLOAD, Trust};
use visavis::media::{EncodedFrame, PERIOD, Picture, Size, SoundPacket, VideoCodec};
use visavis::panel::protocol;
use visavis::time::{Duration, Instant};
use visavis::voice::Talk;
use visavis::wire::{CONTROL_BYTES_MAX, Control, Reason, bounded};

#[allow(dead_code)]
#[path = "../../src/device/file/specimen.rs"]
mod specimen;

use specimen::{Index, Pictures, Sound};

/// Small enough for several frames within the 4,096 bytes that `make fuzz` allows an input.
const SIZE: Size = Size::new(32, 32);
const START: Instant = Instant::from_millis(1_000);

fuzz_target!(
    init: {
        if let Err(error) = write_all() {
            eprintln!("seeds: {error}");
            std::process::exit(1);
        }
        std::process::exit(0);
    },
    |_bytes: &[u8]| {}
);

fn write_all() -> std::io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let directory = arguments.next().ok_or_else(|| std::io::Error::other("usage: seeds DIRECTORY TARGET..."))?;
    for target in arguments {
        let folder = directory.join(&target);
        std::fs::create_dir_all(&folder)?;
        for (n, seed) in seeds(&target.to_string_lossy(), &folder)?.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n}")), seed)?;
        }
    }
    Ok(())
}

fn seeds(target: &str, folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    Ok(match target {
        "announcement" => vec![announcement()],
        "config" => vec![StationConfig::default().to_toml().into_bytes(), CONFIG.into()],
        "control" => control(),
        "datagram" => datagrams(),
        "deflate" => vec![stream(VideoCodec::Deflate, 0), stream(VideoCodec::Deflate, 4)],
        "film" => films(),
        "flow" => vec![flow()],
        "h264" => vec![stream(VideoCodec::H264, 0)],
        "journal" => journal(folder)?,
        "mjpeg" => vec![stream(VideoCodec::Mjpeg, 0)],
        "mqtt" => vec![b"\x20\x02\0\0\x90\x03\0\x01\x01\x33\x08\0\x01a\0\x02UNL\x40\x02\0\x01\xd0\0".to_vec()],
        "size" => vec![b"640x480".to_vec()],
        "sound" => vec![sound()],
        "ticket" => vec![ticket()],
        "trust" => trust(),
        "wav" => vec![wav(&folder.join("seed-0"))?],
        "wire" => wire(),
        other => return Err(std::io::Error::other(format!("no seeds for `{other}`: add them to tests/fuzz/seeds.rs"))),
    })
}

fn frames(codec: VideoCodec, near: u8) -> Vec<EncodedFrame> {
    let mut encoder = Encoder::new(codec, EncoderConfig { size: SIZE, near, ..EncoderConfig::default() });
    let (mut clip, mut picture) = (Clip::new(SIZE, 2.0), Picture::new(SIZE));
    let encode = |n: u64| {
        clip.draw(&mut picture);
        let mut frame = EncodedFrame { captured_at: START + Duration::from_millis(33 * n), ..EncodedFrame::default() };
        encoder.encode(&picture, false, &mut frame).expect("a picture of our own");
        frame.number = n;
        frame
    };
    (0..3).map(encode).collect()
}

/// Frames with their lengths before them, as `visavis_fuzz::decode` takes them.
fn stream(codec: VideoCodec, near: u8) -> Vec<u8> {
    let with_length = |frame: EncodedFrame| {
        [&(frame.data.len() as u32).to_le_bytes()[..visavis_fuzz::LENGTH_BYTES], &frame.data].concat()
    };
    frames(codec, near).into_iter().flat_map(with_length).collect()
}

/// The NAL units of frames, without start codes.
fn units(frames: &[EncodedFrame]) -> Vec<Vec<Vec<u8>>> {
    let units = |frame: &EncodedFrame| {
        let mut units = Vec::new();
        let mut rest = frame.data.as_slice();
        // What stands before a start code may end in a zero that belongs to the code.
        while let Some(at) = rest.windows(3).position(|bytes| bytes == [0, 0, 1]) {
            units.push(rest[..at].strip_suffix(&[0]).unwrap_or(&rest[..at]).to_vec());
            rest = &rest[at + 3..];
        }
        units.push(rest.to_vec());
        units.retain(|unit| !unit.is_empty());
        units
    };
    frames.iter().map(units).collect()
}

fn films() -> Vec<Vec<u8>> {
    let samples: Vec<i16> = (0..300).collect();
    let images: Vec<_> = frames(VideoCodec::Mjpeg, 0).into_iter().take(2).map(|frame| frame.data).collect();
    let in_avi = Sound::in_avi(1, 44_100, &samples, 100);
    let pcm = specimen::full(b"pcmC", 0, &[&[0x0110_0000]]);
    let units = units(&frames(VideoCodec::H264, 0));
    let pictures = Pictures { size: (32, 32), units: &units };
    let mut y4m = b"YUV4MPEG2 W32 H32 F25:1 C420\n".to_vec();
    for n in 0..2 {
        y4m.extend_from_slice(b"FRAME\n");
        y4m.resize(y4m.len() + SIZE.pixels() * 3 / 2, n);
    }
    vec![
        y4m,
        specimen::avi(&images, Index::FromMovi, b"MJPG", &in_avi),
        specimen::avi(&images, Index::Missing, b"MJPG", &in_avi),
        specimen::mp4(pictures, b"avc1", None),
        specimen::mp4(pictures, b"avc1", Some(&Sound::in_mp4(b"sowt", 48_000, &samples, 100, &[]))),
        specimen::mp4(pictures, b"avc1", Some(&Sound::in_mp4(b"ipcm", 48_000, &samples, 100, &[pcm]))),
    ]
}

fn wav(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut sink = WavSink::create(path, START).map_err(|fault| std::io::Error::other(fault.to_string()))?;
    for n in 1..=2 {
        sink.write(START + Duration::from_millis(10 * n), &[7; PERIOD])
            .map_err(|fault| std::io::Error::other(fault.to_string()))?;
    }
    drop(sink);
    std::fs::read(path)
}

/// Opus packets as the target takes them, in step.
fn sound() -> Vec<u8> {
    let mut talk = Talk::new(OpusConfig::default(), false).expect("an encoder");
    let mut packet = SoundPacket { sequence: 0, captured_at: START, payload: heapless::Vec::new() };
    let mut out = Vec::new();
    for n in 0..20u64 {
        let captured_at = START + Duration::from_millis(10 * n);
        let tone = core::array::from_fn(|i| ((i as u64 * (40 + n)) % 3_000) as i16);
        talk.handle_near_end(&tone, captured_at, false, &mut packet).expect("a period");
        out.extend_from_slice(&[packet.payload.len() as u8, 1, 2, 10]);
        out.extend_from_slice(&packet.payload);
    }
    out
}

/// What a station sends that calls a known key, and one that calls by code.
fn datagrams() -> Vec<Vec<u8>> {
    let (key, other) = (SecretKey::from_bytes([3; 32]), SecretKey::from_bytes([1; 32]));
    let code = "abandon-ability-able-about-above-absent".parse::<Code>().expect("six words of the list");
    let mut out = [0; MAX_DATAGRAM];
    let first = |trust: Trust, out: &mut [u8]| {
        let config = Config { secret: key.clone(), accept: vec![], random: Box::new(|out: &mut [u8]| out.fill(9)) };
        let mut station = Endpoint::new(START, config, |now, _| Flow::new(now, FlowConfig::default()));
        station.dial(START, &[trust], &[([192, 0, 2, 2], 10_087).into()]);
        station.handle_timeout(START);
        let len = station.poll_transmit(START, out).map_or(0, |transmit| transmit.len);
        [&(len as u16).to_le_bytes()[..], &out[..len]].concat()
    };
    [Trust::Book(other.public()), Trust::Code(code.psk())].map(|trust| first(trust, &mut out)).into()
}

/// What one flow sends another: a frame, sound, and a message.
fn payloads() -> Vec<Vec<u8>> {
    let mut flow = Flow::new(START, FlowConfig::default());
    let payload = heapless::Vec::from_slice(&[5; 40]).expect("40 bytes are within the bound");
    flow.send_frame(START, &frames(VideoCodec::H264, 0)[0]);
    flow.send_sound(START, &SoundPacket { sequence: 0, captured_at: START, payload });
    flow.send_control(&hello()).expect("the first message");
    let mut out = [0; MAX_PAYLOAD];
    core::iter::from_fn(|| flow.poll_payload(START, &mut out).map(|len| out[..len].to_vec())).collect()
}

/// As `visavis::link::flow::fuzz` takes them.
fn flow() -> Vec<u8> {
    let step = |payload: Vec<u8>| [&(payload.len() as u16).to_le_bytes()[..], &[3], &payload].concat();
    payloads().into_iter().flat_map(step).collect()
}

fn hello() -> Control {
    Control::Hello { version: 1, station: bounded("door"), software: bounded("visavis 0") }
}

fn wire() -> Vec<Vec<u8>> {
    let control = |message: Control| {
        let mut out = [0; CONTROL_BYTES_MAX];
        let len = message.encode(&mut out);
        out[..len].to_vec()
    };
    [vec![control(hello()), control(Control::Bye { reason: Reason::HungUp })], payloads()].concat()
}

fn trust() -> Vec<Vec<u8>> {
    let key = SecretKey::from_bytes([3; 32]).public();
    let mut book = AddressBook::default();
    let rights = Rights { call: true, monitor: false, release: false };
    let address = ([192, 0, 2, 2], 10_087).into();
    book.add(Entry { name: "kitchen".into(), key, rights, addresses: vec![address] }).expect("an empty book has room");
    let code = "abandon-ability-able-about-above-absent";
    vec![code.into(), key.to_string().into_bytes(), book.to_text().into_bytes()]
}

/// As the target takes it: port, one address of either kind, label and properties.
fn announcement() -> Vec<u8> {
    let mut bytes = vec![0x67, 0x27, 2];
    bytes.extend_from_slice(&[0, 192, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[1, 0xfd, 0x87, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    let hint = KeyHint::new(&SecretKey::from_bytes([3; 32]).public(), [7; HINT_SALT_LEN]);
    bytes.extend_from_slice(format!("kitchen\nv=1\nk={hint}\nn=the kitchen\npair=1").as_bytes());
    bytes
}

/// What is not in the defaults: lists and sections of one's own.
const CONFIG: &str = "[door]\nline = \"GPIO5\"\n[call.groups]\nhouse = [\"kitchen\"]\n[[button]]\nline = \"chip:3\"\n\
                      long = \"volume +5\"\n[[lamp]]\nline = \"4\"\n[[peer]]\nname = \"kitchen\"\naddress = \"[fd87::2]:5\"\n";

fn control() -> Vec<Vec<u8>> {
    fn frame(message: &impl serde::Serialize) -> Vec<u8> {
        let body = postcard::to_stdvec(message).expect("a message of our own");
        [&(body.len() as u32 + 1).to_le_bytes()[..], &[protocol::VERSION], &body].concat()
    }
    let status = protocol::Status { station: "door".into(), faults: vec!["camera".into()], ..Default::default() };
    vec![
        frame(&protocol::Request::Act("ring kitchen".into())),
        frame(&protocol::Request::Pair { code: Some("abandon ability".into()), address: None }),
        frame(&protocol::Reply::Answer(protocol::Answer::Status(Box::new(status)))),
        frame(&protocol::Request::Measure(protocol::Medium::Picture)),
        frame(&protocol::Reply::Answer(protocol::Answer::Measurement(Default::default()))),
        frame(&protocol::Reply::Answer(protocol::Answer::PictureMeasurement(Default::default()))),
        frame(&protocol::Reply::Goodbye("too many".into())),
        b"ring kitchen".to_vec(),
    ]
}

fn journal(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let state = folder.join("state");
    let mut journal = Journal::start(&state)?;
    let refused = Record { reason: Some("not allowed".into()), ..Record::new(5, What::ReleaseRefused, "kitchen") };
    journal.record(Record { lasted_ms: Some(7), ..Record::new(3, What::MadeCall, "kitchen") }, None);
    journal.record(refused, None);
    drop(journal);
    let lines = std::fs::read(state.join(JOURNAL_FILE))?;
    std::fs::remove_dir_all(state)?;
    Ok(vec![lines])
}

fn ticket() -> Vec<u8> {
    let code = "abandon-ability-able-about-above-absent".parse::<Code>().expect("six words of the list");
    let addresses = [[192, 0, 2, 2].into(), [0xfd87, 0, 0, 0, 0, 0, 0, 2].into()];
    Ticket::new(code, &SecretKey::from_bytes([3; 32]).public(), "kitchen", 10_087, &addresses)
        .to_text()
        .as_bytes()
        .into()
}
