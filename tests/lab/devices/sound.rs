//! Sound cards: snd-aloop. What a station plays on `hw:CARD,0` is recorded here from `hw:CARD,1`, and the other way.

use super::End;
use crate::Outcome;
use crate::command::{Background, run, start};
use crate::guest::RUN;
use crate::judge::tone;
use std::fs;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Loads a card for each end, called as the end is.
pub fn load() -> Outcome {
    run("modprobe snd-aloop enable=1,1 index=0,1 id=near,far pcm_substreams=1,1").map(drop)
}

/// The PCM that the station at `end` records from and plays to.
pub fn station_side(end: End) -> String {
    format!("hw:{},0", end.name())
}

/// The PCM at which the room around the station at `end` speaks and listens; it follows the station's parameters.
fn room_side(end: End) -> String {
    format!("plughw:{},1", end.name())
}

/// The pitch that is spoken into the microphone of `end`. The two ends differ, so that nobody hears himself; neither
/// is a multiple of the other or of the 100 periods a second.
pub const fn pitch_hz(end: End) -> f64 {
    match end {
        End::Near => 733.0,
        End::Far => 1187.0,
    }
}

/// The room at an end, speaking its pitch until dropped, or until its card is pulled out.
#[derive(Debug)]
pub struct Speaker {
    speaking: Arc<Speaking>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Speaking {
    is_over: AtomicBool,
    player: Mutex<Option<Child>>,
}

/// How often a player is started that ends by itself: one that begins in the moment in which the station's side of the
/// cable takes its parameters finds that it has none to choose from.
const STARTS_MAX: u32 = 10;
/// From the end of a player to the next.
const START_AGAIN: Duration = Duration::from_millis(200);

impl Speaker {
    /// Begins to speak.
    pub fn start(end: End) -> Outcome<Speaker> {
        let speaking = Arc::new(Speaking::default());
        let mut pipe = speaking.start(end)?;
        let shared = speaking.clone();
        let thread = std::thread::spawn(move || {
            let mut tone = tone::Tone::of(pitch_hz(end));
            for _ in 1..STARTS_MAX {
                // The pipe takes what the card plays, and breaks when the player ends.
                while pipe.write_all(&tone.next_block()).is_ok() {}
                shared.end_player();
                std::thread::sleep(START_AGAIN);
                match shared.start(end) {
                    Ok(next) if !shared.is_over.load(Ordering::SeqCst) => pipe = next,
                    _ => return,
                }
            }
        });
        Ok(Speaker { speaking, thread: Some(thread) })
    }
}

impl Speaking {
    /// Starts a player, and gives the pipe that it plays from.
    fn start(&self, end: End) -> Outcome<ChildStdin> {
        let rate = tone::RATE_HZ.to_string();
        let mut player = Command::new("aplay")
            .args(["-q", "-D", &room_side(end), "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", &rate])
            .stdin(Stdio::piped())
            .spawn()?;
        let pipe = player.stdin.take().ok_or("no pipe to the player")?;
        *self.player.lock().expect("no holder panics") = Some(player);
        Ok(pipe)
    }

    fn end_player(&self) {
        if let Some(mut player) = self.player.lock().expect("no holder panics").take() {
            // It may have ended by itself.
            let _ = player.kill();
            let _ = player.wait();
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.speaking.is_over.store(true, Ordering::SeqCst);
        self.speaking.end_player();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // One that was started in between.
        self.speaking.end_player();
    }
}

/// Records what comes out of the loudspeaker of `end`; waits for it.
pub fn listen(end: End, time: Duration) -> Outcome<Vec<f64>> {
    let file = format!("{RUN}/{}-hears.raw", end.name());
    let (card, rate, seconds) = (room_side(end), tone::RATE_HZ, time.as_secs().max(1));
    run(&format!("arecord -q -D {card} -f S16_LE -c 1 -r {rate} -d {seconds} -t raw {file}"))?;
    Ok(tone::samples(&fs::read(file)?))
}

/// A card that was pulled out, until [`Unplugged::plug_in`].
#[derive(Debug)]
pub struct Unplugged {
    device: String,
    pulling: Background,
}

/// Where the driver's cards are bound and unbound.
const DRIVER: &str = "/sys/bus/platform/drivers/snd_aloop";

impl Unplugged {
    /// Pulls the card of `end` out: it is gone for everybody at once. The driver lets go of it only when the last
    /// program has closed it, which is why this goes on in the background.
    pub fn pull(end: End) -> Outcome<Unplugged> {
        let device = format!("snd_aloop.{}", end.index());
        let pulling = start(&format!("cp {} {DRIVER}/unbind", named(&device)?))?;
        Ok(Unplugged { device, pulling })
    }

    /// Waits until the driver has let go of the card, then puts it in again.
    pub fn plug_in(self) -> Outcome {
        // Two seconds would do; a station that holds on to a card which is gone never lets go.
        self.pulling.finish("everybody lets go of the card that is gone", Duration::from_secs(10))?;
        fs::write(format!("{DRIVER}/bind"), &self.device)?;
        Ok(())
    }
}

/// A file that holds the device's name, for a command to write into the driver's folder.
fn named(device: &str) -> Outcome<String> {
    let file = format!("/run/{device}");
    fs::write(&file, device)?;
    Ok(file)
}
