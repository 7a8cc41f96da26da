//! A room around a station, to the millisecond: what is said into its microphone and what comes out of its loudspeaker, each
//! with the time, on one clock.
//!
//! The room opens its side of the cable (snd-aloop) first and in a layout of its own, and the driver then lets the station
//! have nothing else: to the station it is a card that can do that layout alone.

use super::End;
use crate::Outcome;
use crate::judge::chirp;
use alsa::pcm::{Access, Format, HwParams, PCM, TstampType};
use alsa::{Direction, ValueOr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How samples lie on a cable.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub format: Format,
    pub channels: u32,
    pub rate_hz: u32,
}

/// What is moved at once: a hundredth of a second, which is this kernel's tick.
const BLOCKS_A_SECOND: u32 = 100;
/// The room's buffers: what a busy machine may be late.
const BUFFER_MICROS: u32 = 100_000;
/// From one chirp to the next: more than a sound may take, so that there is no question of which one is heard.
const CHIRP_EVERY_BLOCKS: u64 = 40;
/// The same as a time.
pub const CHIRP_EVERY: Duration = Duration::from_millis(CHIRP_EVERY_BLOCKS * 1_000 / BLOCKS_A_SECOND as u64);
/// How long one lasts, and the buffers that it passes.
const BLOCKS_A_CHIRP: u64 = 15;

/// A room in which a chirp is said again and again, and everything is recorded, until it is dropped.
#[derive(Debug)]
pub struct Room {
    is_over: Arc<AtomicBool>,
    mouth: Option<JoinHandle<Vec<Duration>>>,
    ear: Option<JoinHandle<Vec<Duration>>>,
}

/// When chirps began, by CLOCK_MONOTONIC.
#[derive(Debug)]
pub struct Heard {
    /// Those that the station's microphone was given.
    pub said: Vec<Duration>,
    /// Those that its loudspeaker gave.
    pub heard: Vec<Duration>,
}

impl Room {
    /// Opens both cables of the card at `end`, and begins.
    pub fn start(end: End, layout: Layout) -> Outcome<Room> {
        let name = format!("hw:{},1", end.name());
        let (to_mic, from_speaker) =
            (open(&name, Direction::Playback, layout)?, open(&name, Direction::Capture, layout)?);
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, also_over) = (is_over.clone(), is_over.clone());
        let mouth = std::thread::spawn(move || speak(&to_mic, layout, &over));
        let ear = std::thread::spawn(move || listen(&from_speaker, layout, &also_over));
        Ok(Room { is_over, mouth: Some(mouth), ear: Some(ear) })
    }

    /// Ends it, and gives what was to be heard.
    pub fn end(mut self) -> Outcome<Heard> {
        self.is_over.store(true, Ordering::SeqCst);
        let end = |thread: &mut Option<JoinHandle<Vec<Duration>>>| {
            thread.take().and_then(|thread| thread.join().ok()).ok_or("the room's thread has panicked")
        };
        Ok(Heard { said: end(&mut self.mouth)?, heard: end(&mut self.ear)? })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

fn open(name: &str, direction: Direction, layout: Layout) -> Outcome<PCM> {
    let pcm = PCM::new(name, direction, false)?;
    {
        let params = HwParams::any(&pcm)?;
        params.set_access(Access::RWInterleaved)?;
        params.set_format(layout.format)?;
        params.set_channels(layout.channels)?;
        params.set_rate(layout.rate_hz, ValueOr::Nearest)?;
        params.set_period_time_near(1_000_000 / BLOCKS_A_SECOND, ValueOr::Nearest)?;
        params.set_buffer_time_near(BUFFER_MICROS, ValueOr::Nearest)?;
        pcm.hw_params(&params)?;
        let thresholds = pcm.sw_params_current()?;
        thresholds.set_tstamp_mode(true)?;
        thresholds.set_tstamp_type(TstampType::Monotonic)?;
        pcm.sw_params(&thresholds)?;
    }
    Ok(pcm)
}

/// One room with both stations in it: what the near one's loudspeaker plays, both microphones hear. Until it is ended.
#[derive(Debug)]
pub struct SharedRoom {
    is_over: Arc<AtomicBool>,
    air: Option<JoinHandle<Vec<Duration>>>,
}

/// Blocks that lie between the loudspeaker and the microphones, besides what the drivers hold: so that none runs empty.
const AIR_BLOCKS: usize = 3;
/// How loud the loudspeaker is at both microphones.
const COUPLING: f64 = 0.5;

impl SharedRoom {
    /// Opens the cables of both cards, and begins.
    pub fn start(layout: Layout) -> Outcome<SharedRoom> {
        let cable = |end: End| format!("hw:{},1", end.name());
        let loudspeaker = open(&cable(End::Near), Direction::Capture, layout)?;
        let microphones = [
            open(&cable(End::Near), Direction::Playback, layout)?,
            open(&cable(End::Far), Direction::Playback, layout)?,
        ];
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let air = std::thread::spawn(move || carry(&loudspeaker, &microphones, layout, &over));
        Ok(SharedRoom { is_over, air: Some(air) })
    }

    /// Ends it, and says how long sound took from the loudspeaker to the far microphone: the median.
    pub fn end(mut self) -> Outcome<Duration> {
        self.is_over.store(true, Ordering::SeqCst);
        let air = self.air.take().and_then(|thread| thread.join().ok());
        let mut times = air.ok_or("the room's thread has panicked")?;
        times.sort();
        Ok(times.get(times.len() / 2).copied().ok_or("no sound was ever carried")?)
    }
}

impl Drop for SharedRoom {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

/// Carries sound from the loudspeaker to the microphones; gives how long each block took to the last of them.
fn carry(loudspeaker: &PCM, microphones: &[PCM], layout: Layout, is_over: &AtomicBool) -> Vec<Duration> {
    let mut bytes = vec![0; layout.block() * layout.frame_bytes()];
    let silence = vec![0; AIR_BLOCKS * bytes.len()];
    let mut times = Vec::new();
    let begin = |microphone: &PCM| microphone.io_bytes().writei(&silence).map(drop);
    for microphone in microphones {
        // As below.
        let _ = begin(microphone);
    }
    while !is_over.load(Ordering::SeqCst) {
        if loudspeaker.io_bytes().readi(&mut bytes).is_err() {
            begin_again(loudspeaker);
            continue;
        }
        let played = stamp(loudspeaker, layout).map(|(at, unread)| at.saturating_sub(unread));
        let heard: Vec<u8> = layout.samples(&bytes).flat_map(|sample| layout.frame(COUPLING * sample)).collect();
        for (number, microphone) in microphones.iter().enumerate() {
            if microphone.io_bytes().writei(&heard).is_err() {
                begin_again(microphone);
                // What cannot be written now is written after the next block.
                let _ = begin(microphone);
                continue;
            }
            if number + 1 == microphones.len()
                && let (Ok(played), Ok((at, left))) = (&played, stamp(microphone, layout))
            {
                times.push((at + left).saturating_sub(*played));
            }
        }
    }
    times
}

/// The time of the driver's last look at its counter, and the sample frames that lay between the program and the cable then.
fn stamp(pcm: &PCM, layout: Layout) -> Outcome<(Duration, Duration)> {
    let status = pcm.status()?;
    let at = status.get_htstamp();
    #[allow(clippy::unnecessary_cast)]
    let at = Duration::new(u64::try_from(at.tv_sec as i64)?, u32::try_from(at.tv_nsec as i64)?);
    Ok((at, layout.time_of(usize::try_from(status.get_delay()).unwrap_or(0))))
}

/// After an underrun or an overrun; or when the driver has stopped this side, since the station's has just been opened (EIO).
fn begin_again(pcm: &PCM) {
    // It may be too early: then the next transfer fails too, and it is tried again.
    let _ = pcm.prepare();
    std::thread::sleep(Duration::from_millis(10));
}

/// Says a chirp every so often; gives when each began, but for those that an underrun spoilt.
fn speak(pcm: &PCM, layout: Layout, is_over: &AtomicBool) -> Vec<Duration> {
    let block = layout.block();
    let chirp = chirp::samples(layout.rate_hz);
    let (mut said, mut count) = (Vec::new(), 0);
    while !is_over.load(Ordering::SeqCst) {
        let since_chirp = (count % CHIRP_EVERY_BLOCKS) as usize * block;
        let sound = (since_chirp..since_chirp + block).map(|n| chirp.get(n).copied().unwrap_or(0.0));
        let bytes: Vec<u8> = sound.flat_map(|sample| layout.frame(sample)).collect();
        if pcm.io_bytes().writei(&bytes).is_err() {
            // The chirp that was being said is none.
            if (1..BLOCKS_A_CHIRP).contains(&(count % CHIRP_EVERY_BLOCKS)) {
                said.pop();
            }
            count = BLOCKS_A_CHIRP;
            begin_again(pcm);
            continue;
        }
        if since_chirp == 0
            && let Ok((at, left)) = stamp(pcm, layout)
        {
            // What is left to play now ends with the chirp's first block.
            said.push((at + left).saturating_sub(layout.time_of(block)));
        }
        count += 1;
    }
    said
}

/// Records; gives when each chirp that is in it began.
fn listen(pcm: &PCM, layout: Layout, is_over: &AtomicBool) -> Vec<Duration> {
    let mut bytes = vec![0; layout.block() * layout.frame_bytes()];
    let (mut sound, mut stamps) = (Vec::<f64>::new(), Vec::new());
    while !is_over.load(Ordering::SeqCst) {
        match pcm.io_bytes().readi(&mut bytes) {
            Ok(frames) => {
                sound.extend(layout.samples(&bytes[..frames * layout.frame_bytes()]));
                if let Ok((at, unread)) = stamp(pcm, layout) {
                    stamps.push((sound.len(), at.saturating_sub(unread)));
                }
            }
            Err(_) => begin_again(pcm),
        }
    }
    let time_of = |begin: usize| {
        let (sample, at) = stamps.iter().find(|(sample, _)| *sample >= begin)?;
        Some(at.saturating_sub(layout.time_of(sample - begin)))
    };
    chirp::find(&sound, layout.rate_hz).into_iter().filter_map(time_of).collect()
}

impl Layout {
    const fn block(self) -> usize {
        (self.rate_hz / BLOCKS_A_SECOND) as usize
    }

    fn sample_bytes(self) -> usize {
        match self.format {
            Format::S16LE => 2,
            Format::S243LE => 3,
            _ => 4,
        }
    }

    fn frame_bytes(self) -> usize {
        self.sample_bytes() * self.channels as usize
    }

    fn time_of(self, frames: usize) -> Duration {
        Duration::from_secs_f64(frames as f64 / f64::from(self.rate_hz))
    }

    /// The bytes of one sample on all channels: the upper ones of 32 bits.
    fn frame(self, sample: f64) -> Vec<u8> {
        let whole = ((sample * f64::from(i32::MAX)) as i32).to_le_bytes();
        whole[4 - self.sample_bytes()..].repeat(self.channels as usize)
    }

    /// The first channel.
    fn samples(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        let used = self.sample_bytes();
        bytes.chunks_exact(self.frame_bytes()).map(move |frame| {
            let mut whole = [0; 4];
            whole[4 - used..].copy_from_slice(&frame[..used]);
            f64::from(i32::from_le_bytes(whole)) / 2_147_483_648.0
        })
    }
}
