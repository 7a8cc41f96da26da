//! The eye: reads what a program shows, frame by frame, and notes when it came, which it is and how well it looks.

use crate::clip::{Clip, Likeness, Size};
use crate::feed::Framing;
use crate::stamp;
use std::io::{self, PipeReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// One picture that came out.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// When its first bytes were read: what the program had not begun before a freeze, it chose to show after it.
    pub begun_at: Instant,
    /// When it was read completely.
    pub read_at: Instant,
    /// The number it bears; `None` where the stamp is unreadable (a smear, or a card of the program's own).
    pub number: Option<u32>,
    /// How near it is to its original; `None` without a number or in another size.
    pub likeness: Option<Likeness>,
}

/// A thread that watches one program.
pub struct Watcher {
    shown: Arc<Mutex<Vec<Shown>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Begins to read. `pace` is the least time between two pictures, for a display that is too slow.
    pub fn start(clip: Arc<Clip>, framing: Framing, pipe: PipeReader, pace: Option<Duration>) -> Watcher {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&shown);
        // A read ends when the program does.
        let thread = thread::spawn(move || drop(watch(&clip, framing, pipe, pace, &log)));
        Watcher { shown, thread: Some(thread) }
    }

    /// What has been shown so far.
    pub fn shown(&self) -> Vec<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first picture that bears a number, if there was one.
    pub fn first(&self) -> Option<Shown> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().find(|shown| shown.number.is_some()).copied()
    }

    /// Everything shown, once the program has ended.
    pub fn finish(mut self) -> Vec<Shown> {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.shown()
    }
}

fn watch(
    clip: &Clip,
    framing: Framing,
    mut pipe: PipeReader,
    pace: Option<Duration>,
    log: &Mutex<Vec<Shown>>,
) -> io::Result<()> {
    let size = match framing {
        Framing::Raw => clip.size,
        Framing::Y4m => y4m_size(&line(&mut pipe)?)?,
    };
    let mut frame = vec![0; size.frame_bytes(clip.layout)];
    let mut due = Instant::now();
    loop {
        if framing == Framing::Y4m {
            line(&mut pipe)?;
        }
        let first = pipe.read(&mut frame)?;
        if first == 0 {
            return Ok(());
        }
        let begun_at = Instant::now();
        pipe.read_exact(&mut frame[first..])?;
        let read_at = Instant::now();
        let number = stamp::read(&frame, size.stamp_plane(clip.layout));
        let likeness = number.filter(|_| size == clip.size).map(|number| clip.compare(number, &frame));
        let shown = Shown { begun_at, read_at, number, likeness };
        log.lock().unwrap_or_else(PoisonError::into_inner).push(shown);
        if let Some(pace) = pace {
            due = (due + pace).max(read_at);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}

/// A line of Y4M, byte by byte: it is short, and what follows it is read straight into the frame.
fn line(pipe: &mut PipeReader) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        pipe.read_exact(&mut byte)?;
        if byte[0] == b'\n' {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        line.push(byte[0]);
    }
}

fn y4m_size(header: &str) -> io::Result<Size> {
    let field = |tag: char| header.split(' ').skip(1).find_map(|word| word.strip_prefix(tag)?.parse().ok());
    match (header.starts_with("YUV4MPEG2 "), field('W'), field('H')) {
        (true, Some(width), Some(height)) => Ok(Size { width, height }),
        _ => Err(io::Error::other(format!("not a Y4M header: {header}"))),
    }
}
