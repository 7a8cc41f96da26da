//! The camera: writes the clip to a program's standard input at the pace of a sensor, and remembers when.

use crate::clip::Clip;
use std::io::{PipeWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Frames a second of every clip.
pub const RATE_HZ: u32 = 30;

/// How frames are told apart on a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing between frames: both ends know the size.
    Raw,
    /// YUV4MPEG2: a header line, and `FRAME` before each picture.
    Y4m,
}

/// When each frame's last byte was accepted, by its number.
pub type FedAt = Arc<Mutex<Vec<Instant>>>;

/// A thread that feeds one program.
pub struct Feeder {
    /// When each frame went in.
    pub fed_at: FedAt,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Begins with frame 0 at once.
    pub fn start(clip: Arc<Clip>, framing: Framing, pipe: PipeWriter) -> Feeder {
        let fed_at = FedAt::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (fed, stopped) = (Arc::clone(&fed_at), Arc::clone(&stop));
        // A write fails when the program has ended; whoever measures it finds out by itself.
        let thread = thread::spawn(move || drop(feed(&clip, framing, pipe, &fed, &stopped)));
        Feeder { fed_at, stop, thread: Some(thread) }
    }

    /// No frame after this one. Returns when the thread has ended, for which the program must read or be gone.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn feed(clip: &Clip, framing: Framing, mut pipe: PipeWriter, fed_at: &FedAt, stop: &AtomicBool) -> std::io::Result<()> {
    let (width, height) = (clip.size.width, clip.size.height);
    let mark: &[u8] = match framing {
        Framing::Raw => b"",
        Framing::Y4m => b"FRAME\n",
    };
    if framing == Framing::Y4m {
        writeln!(pipe, "YUV4MPEG2 W{width} H{height} F{RATE_HZ}:1 Ip A1:1 C420jpeg")?;
    }
    let mut buffer = mark.to_vec();
    buffer.resize(mark.len() + clip.size.frame_bytes(clip.layout), 0);
    let period = Duration::from_secs(1) / RATE_HZ;
    let mut due = Instant::now();
    for number in 0.. {
        clip.render(number, &mut buffer[mark.len()..]);
        // A camera has its own clock; this one is the schedule, so that lateness does not add up.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            break;
        }
        pipe.write_all(&buffer)?;
        let now = Instant::now();
        fed_at.lock().unwrap_or_else(PoisonError::into_inner).push(now);
        due += period;
        if now > due + period {
            // The program did not read: a sensor would have dropped frames meanwhile, and goes on from now.
            due = now;
        }
    }
    Ok(())
}
