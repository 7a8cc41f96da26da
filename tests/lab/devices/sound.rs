//! Sound cards: snd-aloop. What a station plays on `hw:CARD,0` is recorded here from `hw:CARD,1`, and the other way.

use super::End;
use crate::Outcome;
use crate::command::{Background, run, start};
use crate::guest::RUN;
use crate::judge::tone;
use std::fs;
use std::io::{Read, Write};
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
    /// The player's.
    options: &'static [&'static str],
    is_over: AtomicBool,
    player: Mutex<Option<Child>>,
}

/// How often a player is started that ends by itself: one that begins in the moment in which the station's side of the
/// cable takes its parameters finds that it has none to choose from.
const STARTS_MAX: u32 = 10;
/// The player's buffer: what is said is to be heard soon.
const SHORT: &str = "--buffer-time=60000";
/// From the end of a player to the next.
const START_AGAIN: Duration = Duration::from_millis(200);

impl Speaker {
    /// Begins to speak its pitch.
    pub fn start(end: End) -> Outcome<Speaker> {
        let mut tone = tone::Tone::of(pitch_hz(end));
        Speaker::start_with(end, &[], move || tone.next_block())
    }

    /// Begins to say what `next_block` gives, one channel of 16 bits, little-endian.
    /// It is heard within [`SHORT`].
    pub fn say(end: End, next_block: impl FnMut() -> Vec<u8> + Send + 'static) -> Outcome<Speaker> {
        Speaker::start_with(end, &[SHORT], next_block)
    }

    fn start_with(
        end: End,
        options: &'static [&'static str],
        mut next_block: impl FnMut() -> Vec<u8> + Send + 'static,
    ) -> Outcome<Speaker> {
        let speaking = Arc::new(Speaking { options, ..Speaking::default() });
        let mut pipe = speaking.start(end)?;
        let shared = speaking.clone();
        let thread = std::thread::spawn(move || {
            for _ in 1..STARTS_MAX {
                // The pipe takes what the card plays, and breaks when the player ends.
                while pipe.write_all(&next_block()).is_ok() {}
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
            .args(self.options)
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

/// A room whose microphone hears its loudspeaker, and who speaks there.
#[derive(Debug)]
pub struct EchoingRoom {
    recorder: Child,
    _speaker: Speaker,
    is_speaking: Arc<AtomicBool>,
}

/// How loud the loudspeaker is at the microphone.
const COUPLING: f64 = 0.4;

impl EchoingRoom {
    /// Begins to echo; `speech` is what is said there over and over while [`EchoingRoom::speak`] says so.
    pub fn start(end: End, speech: Vec<i16>) -> Outcome<EchoingRoom> {
        let rate = tone::RATE_HZ.to_string();
        let mut recorder = Command::new("arecord")
            .args(["-q", "-D", &room_side(end), "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", &rate, SHORT])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut heard = recorder.stdout.take().ok_or("no pipe from the recorder")?;
        let is_speaking = Arc::new(AtomicBool::new(false));
        let (speaks, mut said) = (is_speaking.clone(), 0);
        let echo = move || {
            // A period of the sound card; silence once the recorder has ended.
            let mut block = [0; 960];
            let _ = heard.read_exact(&mut block);
            let samples = tone::samples(&block).into_iter().enumerate().map(|(at, sample)| {
                let own = if speaks.load(Ordering::SeqCst) { speech[(said + at) % speech.len()] } else { 0 };
                (COUPLING * 32_768.0 * sample + f64::from(own)) as i16
            });
            let block = samples.flat_map(i16::to_le_bytes).collect();
            said += 480;
            block
        };
        let speaker = Speaker::say(end, echo)?;
        Ok(EchoingRoom { recorder, _speaker: speaker, is_speaking })
    }

    /// Whether somebody speaks in it.
    pub fn speak(&self, is_speaking: bool) {
        self.is_speaking.store(is_speaking, Ordering::SeqCst);
    }
}

impl Drop for EchoingRoom {
    fn drop(&mut self) {
        // First, since the speaker waits for what it records.
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
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
