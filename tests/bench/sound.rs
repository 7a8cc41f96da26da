//! Mouth to ear without sound cards: bursts go in on a pipe at the pace of a microphone, and come out of another.
//!
//! A sample counts as spoken when it would have been before the microphone: a block of 10 ms is handed over once its
//! last sample is spoken, as a sound card does. It counts as heard when its turn comes in a loudspeaker that starts
//! each lump the moment it is read.

use crate::figures::Figures;
use crate::program::{Pipes, Program};
use crate::{Result, net};
use std::f32::consts::TAU;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const RATE_HZ: usize = 48_000;
/// 10 ms, the period of a low-latency sound card and of a low-latency Opus packet.
const BLOCK_SAMPLES: usize = 480;
const BLOCK: Duration = Duration::from_millis(10);
/// Blocks from one burst to the next: longer than any delay that could still be called a conversation.
const BURST_EVERY_BLOCKS: usize = 49;
const BURST_SAMPLES: usize = 10 * BLOCK_SAMPLES;
const BURST_PEAK: f32 = 12_000.0;
/// A quarter of the peak: past it within 0.1 ms of the onset, and far above what a codec smears before it.
const ONSET_LEVEL: u16 = 3_000;
/// Silence that must go before an onset.
const QUIET_SAMPLES: usize = RATE_HZ / 10;
/// The longest anyone may take to a first sound.
const FIRST_SOUND_LIMIT: Duration = Duration::from_secs(10);
/// Level of a first sound: above comfort noise and dither.
const AUDIBLE_LEVEL: u16 = 500;

/// How sound is told apart on a pipe; both are 48 kHz mono in 16 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    /// Samples only.
    Raw,
    /// Behind a RIFF/WAVE header whose length is not known yet.
    Wav,
}

/// Who talks to whom.
pub struct Talk {
    /// Has its microphone on standard input, where bursts are measured.
    pub sender: Command,
    /// Speaks on standard output.
    pub receiver: Command,
    /// How both pipes are wrapped.
    pub wrapping: Wrapping,
    /// The port that the receiver binds once it is ready.
    pub receiver_port: u16,
}

/// What was heard: a lump's time, and its samples.
type Heard = Arc<Mutex<Vec<(Instant, Vec<i16>)>>>;

/// Latency of bursts from a pipe into the sender to a pipe out of the receiver, within `length`.
pub fn mouth_to_ear(mut talk: Talk, length: Duration, logs: &Path, name: &str) -> Result<Figures> {
    let ear = Ear::open(&mut talk, logs, name)?;
    // One page is the least a pipe can be; it is 42 ms of sound, which a program that reads too late may let gather.
    let talking = Pipes { input_bytes: Some(4096), output_bytes: None };
    let (mouth, ends) = Program::start(&mut talk.sender, talking, &logs.join(format!("{name}.sender.log")))?;
    let input = ends.input.ok_or("no pipe to speak into")?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, wrapping) = (Arc::clone(&stop), talk.wrapping);
    let speaker = thread::spawn(move || speak(input, wrapping, &stopped));
    thread::sleep(length);
    stop.store(true, Ordering::Relaxed);
    mouth.stop();
    let spoken = speaker.join().unwrap_or_default();
    let figures = latencies(&spoken, &onsets(&ear.close()));
    if figures.is_empty() { Err("no burst was heard".into()) } else { Ok(figures) }
}

/// From the start of a sender whose microphone is a tone to the first sound out of the receiver: the middle of five.
pub fn first_sound(talk: impl Fn() -> Talk, logs: &Path, name: &str) -> Result<Figures> {
    const BEGINNINGS: usize = 5;
    let mut times = Vec::with_capacity(BEGINNINGS);
    for _ in 0..BEGINNINGS {
        let mut talk = talk();
        let ear = Ear::open(&mut talk, logs, name)?;
        let started_at = Instant::now();
        let log = logs.join(format!("{name}.sender.log"));
        let (mouth, _) = Program::start(&mut talk.sender, Pipes::default(), &log)?;
        let heard_at = ear.await_sound()?;
        times.push(heard_at.saturating_duration_since(started_at).as_secs_f64() * 1e3);
        mouth.stop();
        ear.close();
    }
    times.sort_by(f64::total_cmp);
    Ok(Figures::from([("first_sound_ms", times[BEGINNINGS / 2])]))
}

/// A running receiver, and a thread that hears it.
struct Ear {
    program: Program,
    heard: Heard,
    listener: JoinHandle<()>,
}

impl Ear {
    /// Starts the receiver and returns once it listens.
    fn open(talk: &mut Talk, logs: &Path, name: &str) -> Result<Ear> {
        let pipes = Pipes { input_bytes: None, output_bytes: Some(65_536) };
        let log = logs.join(format!("{name}.receiver.log"));
        let (program, ends) = Program::start(&mut talk.receiver, pipes, &log)?;
        let output = ends.output.ok_or("no pipe to hear on")?;
        net::await_bound(talk.receiver_port).map_err(|e| program.because(&e.to_string()))?;
        let heard = Heard::default();
        let (lumps, wrapping) = (Arc::clone(&heard), talk.wrapping);
        let listener = thread::spawn(move || drop(listen(output, wrapping, &lumps)));
        Ok(Ear { program, heard, listener })
    }

    fn await_sound(&self) -> Result<Instant> {
        let deadline = Instant::now() + FIRST_SOUND_LIMIT;
        while Instant::now() < deadline {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let first = heard.iter().find(|(_, samples)| samples.iter().any(|s| s.unsigned_abs() > AUDIBLE_LEVEL));
            if let Some((at, _)) = first {
                return Ok(*at);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(self.program.because("nothing was heard within 10 s").into())
    }

    /// Ends the receiver; all that was heard.
    fn close(self) -> Vec<(Instant, Vec<i16>)> {
        self.program.stop();
        let _ = self.listener.join();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Each heard burst against the last one spoken before it.
fn latencies(spoken: &[Instant], heard: &[Instant]) -> Figures {
    // The first second is the settling of jitter buffers.
    let settled = spoken.first().map(|first| *first + Duration::from_secs(1));
    let mut latencies: Vec<f64> = heard
        .iter()
        .filter_map(|heard| spoken.iter().rev().find(|spoken| *spoken <= heard).map(|spoken| (spoken, heard)))
        .filter(|(spoken, _)| settled.is_some_and(|settled| **spoken >= settled))
        .map(|(spoken, heard)| heard.duration_since(*spoken).as_secs_f64() * 1e3)
        .collect();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies.get(((latencies.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
    [("ear_p50_ms", 0.5), ("ear_p95_ms", 0.95)]
        .into_iter()
        .filter_map(|(name, share)| Some((name, at(share)?)))
        .collect()
}

/// Speaks until told to stop; when each burst's first sample was before the microphone.
fn speak(mut pipe: PipeWriter, wrapping: Wrapping, stop: &AtomicBool) -> Vec<Instant> {
    let mut spoken = Vec::new();
    if wrapping == Wrapping::Wav && pipe.write_all(&wav_header()).is_err() {
        return spoken;
    }
    let burst = burst();
    let mut due = Instant::now();
    for block in 0.. {
        due += BLOCK;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let place = block % BURST_EVERY_BLOCKS * BLOCK_SAMPLES;
        let samples = (place..place + BLOCK_SAMPLES).map(|at| burst.get(at).copied().unwrap_or(0));
        let bytes: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
        if stop.load(Ordering::Relaxed) || pipe.write_all(&bytes).is_err() {
            break;
        }
        if place == 0 {
            spoken.push(Instant::now() - BLOCK);
        }
    }
    spoken
}

fn listen(mut pipe: PipeReader, wrapping: Wrapping, heard: &Mutex<Vec<(Instant, Vec<i16>)>>) -> io::Result<()> {
    if wrapping == Wrapping::Wav {
        // RIFF, fmt and data without any chunk between them.
        pipe.read_exact(&mut [0; 44])?;
    }
    let mut lump = [0; 65_536];
    let mut odd = 0;
    loop {
        let count = pipe.read(&mut lump[odd..])?;
        if count == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let whole = (odd + count) / 2 * 2;
        let samples = lump[..whole].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        odd = odd + count - whole;
        lump[0] = lump[whole];
        heard.lock().unwrap_or_else(PoisonError::into_inner).push((now, samples));
    }
}

/// When each burst began to be heard.
fn onsets(heard: &[(Instant, Vec<i16>)]) -> Vec<Instant> {
    let mut onsets = Vec::new();
    let mut quiet = 0;
    for (at, samples) in heard {
        for (place, sample) in samples.iter().enumerate() {
            if sample.unsigned_abs() < ONSET_LEVEL {
                quiet += 1;
                continue;
            }
            if quiet >= QUIET_SAMPLES {
                onsets.push(*at + Duration::from_secs_f64(place as f64 / RATE_HZ as f64));
            }
            quiet = 0;
        }
    }
    onsets
}

/// A rising chirp, which no tone of the network's own can be taken for: 400 to 2,000 Hz in 100 ms.
fn burst() -> Vec<i16> {
    let sample = |at: usize| {
        let t = at as f32 / RATE_HZ as f32;
        (BURST_PEAK * (TAU * (400.0 * t + 8_000.0 * t * t)).sin()) as i16
    };
    (0..BURST_SAMPLES).map(sample).collect()
}

/// RIFF/WAVE, PCM, mono, 16 bits; lengths at their largest, since a microphone has no end.
fn wav_header() -> Vec<u8> {
    let mut header = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
    header.extend(16u32.to_le_bytes());
    header.extend([1u16, 1].iter().flat_map(|v| v.to_le_bytes()));
    header.extend([RATE_HZ as u32, RATE_HZ as u32 * 2].iter().flat_map(|v| v.to_le_bytes()));
    header.extend([2u16, 16].iter().flat_map(|v| v.to_le_bytes()));
    header.extend(b"data\xff\xff\xff\xff");
    header
}
