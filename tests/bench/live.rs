//! Two programs, one call: started, watched, and what they used in a stretch of time.

use crate::Result;
use crate::clip::Clip;
use crate::feed::{FedAt, Feeder, Framing};
use crate::net;
use crate::program::{Pipes, Program};
use crate::watch::{Shown, Watcher};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// The longest anyone may take to show a first picture. The tutorial's program took 3.2 s at its worst.
const FIRST_PICTURE_LIMIT: Duration = Duration::from_secs(10);
/// What a frame under way may still take after a stretch, to be counted in it.
const STRAGGLER: Duration = Duration::from_millis(500);

/// One side of a call.
pub struct Side {
    /// How to start it.
    pub command: Command,
    /// Whether it has a camera on standard input.
    pub camera: Option<Framing>,
    /// Whether it has a screen on standard output.
    pub screen: Option<Framing>,
}

/// What to start and how to watch it.
pub struct Setup {
    /// Names the logs.
    pub name: String,
    /// What the cameras see.
    pub clip: Arc<Clip>,
    /// Sends the picture that is watched.
    pub sender: Side,
    /// Shows it.
    pub receiver: Side,
    /// The port that the receiver binds once it is ready.
    pub receiver_port: u16,
    /// The least time between two pictures, for a receiver's display that is too slow; its pipe is short as well.
    pub display_pace: Option<Duration>,
}

/// One running side.
pub struct End {
    /// The program.
    pub program: Program,
    feeder: Option<Feeder>,
    watcher: Option<Watcher>,
}

/// A running call.
pub struct Live {
    /// Sends the picture that is watched.
    pub sender: End,
    /// Shows it.
    pub receiver: End,
    /// When the sender was started.
    pub started_at: Instant,
}

/// What was used from one moment to another.
#[derive(Clone, Copy)]
pub struct Span {
    /// Its beginning.
    pub from: Instant,
    /// Its end.
    pub to: Instant,
    /// CPU time of sender and receiver.
    pub cpu: [Duration; 2],
    /// Most memory resident up to its end, sender and receiver.
    pub peak_resident_kib: [u64; 2],
    /// Bytes that crossed the network, both directions.
    pub carried_bytes: u64,
}

/// Everything seen, once a call is over.
pub struct Log {
    /// When each frame went in, by number; empty for a sender whose camera is not ours.
    pub fed_at: Vec<Instant>,
    /// What the receiver showed.
    pub shown: Vec<Shown>,
}

impl Live {
    /// Starts the receiver, then the sender once the receiver listens.
    pub fn start(setup: Setup, logs: &Path) -> Result<Live> {
        let Setup { name, clip, sender, receiver, receiver_port, display_pace } = setup;
        let start = |side: Side, part: &str, pace: Option<Duration>| {
            End::start(side, &clip, pace, &logs.join(format!("{name}.{part}.log")))
        };
        let receiver = start(receiver, "receiver", display_pace)?;
        net::await_bound(receiver_port).map_err(|e| receiver.program.because(&e.to_string()))?;
        let started_at = Instant::now();
        let sender = start(sender, "sender", None)?;
        Ok(Live { sender, receiver, started_at })
    }

    /// Waits for the first picture that bears a number.
    pub fn await_first_picture(&mut self) -> Result<Shown> {
        let deadline = Instant::now() + FIRST_PICTURE_LIMIT;
        while Instant::now() < deadline {
            if let Some(first) = self.receiver.watcher.as_ref().and_then(Watcher::first) {
                return Ok(first);
            }
            for end in [&mut self.sender, &mut self.receiver] {
                if !end.program.is_running() {
                    return Err(end.program.because("it ended before the first picture").into());
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(self.receiver.program.because("no picture within 10 s").into())
    }

    /// What both sides use within `length`.
    pub fn measure(&self, length: Duration) -> Result<Span> {
        let programs = [&self.sender.program, &self.receiver.program];
        let (from, bytes_before) = (Instant::now(), net::carried_bytes()?);
        let before = [programs[0].cpu()?, programs[1].cpu()?];
        std::thread::sleep(length);
        let after = [programs[0].cpu()?, programs[1].cpu()?];
        Ok(Span {
            from,
            to: Instant::now(),
            cpu: [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])],
            peak_resident_kib: [programs[0].peak_resident_kib()?, programs[1].peak_resident_kib()?],
            carried_bytes: net::carried_bytes()?.saturating_sub(bytes_before),
        })
    }

    /// Ends both sides, once what is under way has had its time to arrive.
    pub fn finish(self) -> Log {
        std::thread::sleep(STRAGGLER);
        let fed_at = self.sender.feeder.as_ref().map(|feeder| fed_so_far(&feeder.fed_at)).unwrap_or_default();
        // The receiver first: it must not show what becomes of a call whose sender has gone.
        let shown = self.receiver.stop();
        self.sender.stop();
        Log { fed_at, shown }
    }
}

impl End {
    fn start(side: Side, clip: &Arc<Clip>, display_pace: Option<Duration>, log: &Path) -> Result<End> {
        let Side { mut command, camera, screen } = side;
        // Room for one frame with its header: more would be a queue of our own making. A display that is too slow has
        // no room for a frame it has not asked for, so it gets a page.
        let frame_bytes = clip.size.frame_bytes(clip.layout) + 4096;
        let screen_bytes = if display_pace.is_some() { 4096 } else { frame_bytes };
        let pipes = Pipes { input_bytes: camera.map(|_| frame_bytes), output_bytes: screen.map(|_| screen_bytes) };
        let (program, ends) = Program::start(&mut command, pipes, log)?;
        let feeder = camera.zip(ends.input).map(|(framing, pipe)| Feeder::start(Arc::clone(clip), framing, pipe));
        let watcher = screen
            .zip(ends.output)
            .map(|(framing, pipe)| Watcher::start(Arc::clone(clip), framing, pipe, display_pace));
        Ok(End { program, feeder, watcher })
    }

    fn stop(self) -> Vec<Shown> {
        self.program.stop();
        if let Some(feeder) = self.feeder {
            feeder.stop();
        }
        self.watcher.map(Watcher::finish).unwrap_or_default()
    }
}

fn fed_so_far(fed_at: &FedAt) -> Vec<Instant> {
    fed_at.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
