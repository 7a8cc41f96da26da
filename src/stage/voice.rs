//! The voice stage: one thread for the sound cards, capture and playback, which stamps both in one time base; what is
//! captured goes on to [`talk`], with what was played.
//!
//! It wakes for four things: the microphone has a period, the loudspeaker wants one, packets have come, or a device that
//! failed is to be tried again. Each is done whole and none waits; one device's fault never stops the other.

use super::talk::{self, Stamped, TalkPorts};
use super::{Anew, Context, Health, Pause, State};
use crate::codec::CodecError;
use crate::codec::opus::OpusConfig;
use crate::device::audio::{Mic, MicSpec, Speaker, SpeakerSpec};
use crate::device::file::FilmTrack;
use crate::device::{AudioSink, AudioSource, Fault, FaultKind};
use crate::media::{PERIOD, Period, SoundPacket};
use crate::ring::{Consumer, Producer, fifo};
use crate::stats::{Counter, Histogram};
use crate::sys::poll::{self, Wait};
use crate::sys::wake::Wake;
use crate::sys::{clock, sched};
use crate::time::{Instant, earliest};
use crate::voice::{Chirps, Mixer, Playout, PlayoutConfig, Probing, Tone, Turn, VOLUME_MAX, ducked};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::thread::JoinHandle;

/// SCHED_FIFO priority: above the net loop, whose packets can wait a millisecond longer than a sound card can.
const PRIORITY: u8 = 20;

/// Periods moved in one wake-up at most: what the largest card buffer holds. A device that always has more is broken, and
/// must not keep the others from their turn.
const PERIODS_A_WAKE: usize = 32;

/// What the voice stage is made of.
#[derive(Clone, Debug)]
pub struct VoiceConfig {
    /// Where sound comes from.
    pub mic: MicSpec,
    /// Where it goes.
    pub speaker: SpeakerSpec,
    /// Whether a file that is the microphone begins anew at its end.
    pub loop_file: bool,
    /// The film that is the camera, if it is one.
    pub film: Option<FilmTrack>,
    /// Whether a microphone of a sound card is freed of echo and noise, and its level seen to.
    pub is_cleaned: bool,
    /// How sound is encoded at the start.
    pub opus: OpusConfig,
    /// How sound is played.
    pub playout: PlayoutConfig,
}

/// What others set while the stage runs.
///
/// A muted microphone goes on sending, and what it sends is zeros: the far side sees a stream that lives, and keeps its
/// playout in step for when somebody speaks again.
#[derive(Debug)]
pub struct VoiceKnobs {
    /// The microphone is muted.
    pub is_muted: AtomicBool,
    /// The loudspeaker's volume, 0 to [`VOLUME_MAX`].
    pub volume_percent: AtomicU8,
    /// What the loudspeaker plays is turned down, since who is near speaks and there is an echo.
    pub(super) is_far_ducked: AtomicBool,
    /// The number of the tone that sounds; see [`VoiceKnobs::set_tone`].
    tone: AtomicU8,
    /// There is no peer: nothing is encoded and nothing sent.
    pub paused: AtomicBool,
    /// The loss that the far side reports, in percent.
    pub expected_loss_percent: AtomicU8,
    /// Aim of the encoder.
    pub bitrate_bps: AtomicU32,
    /// A measurement from mouth to ear. While it goes on the microphone is muted.
    pub probing: Probing,
}

impl VoiceKnobs {
    /// As the encoder's configuration says; not muted, and paused until there is a peer.
    pub fn new(opus: &OpusConfig) -> VoiceKnobs {
        VoiceKnobs {
            is_muted: AtomicBool::new(false),
            volume_percent: AtomicU8::new(VOLUME_MAX),
            is_far_ducked: AtomicBool::new(false),
            tone: AtomicU8::new(0),
            paused: AtomicBool::new(true),
            expected_loss_percent: AtomicU8::new(opus.expected_loss_percent),
            bitrate_bps: AtomicU32::new(opus.bitrate_bps),
            probing: Probing::default(),
        }
    }

    /// Sounds a tone from its beginning, in a call or without one, until another is set or none.
    pub fn set_tone(&self, tone: Option<Tone>) {
        self.tone.store(tone.map_or(0, Tone::number), Ordering::Relaxed);
    }

    /// The tone that sounds.
    pub fn tone(&self) -> Option<Tone> {
        Tone::from_number(self.tone.load(Ordering::Relaxed))
    }
}

/// What the stage counts. Periods are of 10 ms.
#[derive(Debug, Default)]
pub struct VoiceStats {
    /// From the far microphone to our loudspeaker, the sound card's buffer and the codec included.
    pub latency: Histogram,
    /// Periods captured.
    pub captured: Counter,
    /// Packets given to the net loop.
    pub sent: Counter,
    /// Packets dropped because the net loop did not take them.
    pub dropped_full: Counter,
    /// Packets taken from the net loop.
    pub received: Counter,
    /// Periods given to the loudspeaker.
    pub pulled: Counter,
    /// Of those, periods decoded from their own packets.
    pub played: Counter,
    /// Periods made from the FEC of the packet after.
    pub recovered: Counter,
    /// Milliseconds made up; a second of each gap at most.
    pub concealed_ms: Counter,
    /// Packets that came after their time.
    pub late: Counter,
    /// Overruns of the microphone.
    pub mic_xruns: Counter,
    /// Underruns of the loudspeaker.
    pub speaker_xruns: Counter,
    /// By how much the far card is faster than ours, in parts per million; signed.
    pub drift_ppm: Counter,
    /// How long packets of the fastest kind wait here, in microseconds.
    pub delay_us: Counter,
    /// What that is steered to, in microseconds.
    pub target_delay_us: Counter,
    /// How often the echo canceller has begun to learn the room anew.
    pub echo_resets: Counter,
    /// Periods for which it did not know in time what was played.
    pub echo_missing: Counter,
    /// Level of the microphone, in hundredths of a decibel relative to full scale; signed.
    pub mic_centi_dbfs: Counter,
    /// Level of what the loudspeaker is given, likewise.
    pub speaker_centi_dbfs: Counter,
}

/// What the stage is joined to.
#[derive(Debug)]
pub struct VoicePorts {
    /// Encoded sound for the far side; the net loop is signalled after each.
    pub to_net: Producer<SoundPacket>,
    /// Encoded sound from the far side, `captured_at` in the local clock.
    pub from_net: Consumer<SoundPacket>,
    /// Signalled by the net loop after it put something into `from_net`.
    pub from_net_wake: Wake,
    /// What others set.
    pub knobs: Arc<VoiceKnobs>,
    /// How the microphone is.
    pub mic_health: Health,
    /// How the loudspeaker is.
    pub speaker_health: Health,
    /// What is counted.
    pub stats: Arc<VoiceStats>,
}

/// A thread, and what it is called.
pub type NamedThread = (&'static str, JoinHandle<()>);

/// Starts the stage's thread, and that of [`talk`] which it feeds, each with a context of its own.
///
/// # Errors
/// Where a thread or a codec cannot be made; devices that cannot be opened are retried by the stage instead.
pub fn spawn(
    context: Context,
    talk: Context,
    config: VoiceConfig,
    ports: VoicePorts,
) -> std::io::Result<[NamedThread; 2]> {
    let codec = |e: CodecError| std::io::Error::other(e.to_string());
    let (to_talk, near) = fifo::<_, { talk::QUEUE }>();
    let (played, far) = fifo::<_, { talk::QUEUE }>();
    let talk_wake = Wake::new()?;
    let talk_ports = TalkPorts {
        near,
        far,
        wake: talk_wake.clone(),
        to_net: ports.to_net,
        knobs: ports.knobs.clone(),
        stats: ports.stats.clone(),
    };
    let in_a_room = config.is_cleaned && matches!(config.mic, MicSpec::Alsa(_));
    let talk = talk::spawn(talk, config.opus, in_a_room, talk_ports)?;
    let stage = Voice {
        context,
        to_talk,
        played,
        talk_wake,
        playout: Playout::new(config.playout).map_err(codec)?,
        mic: Device::new(ports.mic_health),
        speaker: Device::new(ports.speaker_health),
        from_net: ports.from_net,
        from_net_wake: ports.from_net_wake,
        knobs: ports.knobs,
        stats: ports.stats,
        config,
        chirps: Chirps::default(),
        mixer: Mixer::new(),
        was_paused: true,
        near: [0; PERIOD],
        far: [0; PERIOD],
    };
    let voice = std::thread::Builder::new().name("voice".into()).spawn(move || stage.run())?;
    Ok([("voice", voice), ("talk", talk)])
}

/// A device that is open, or waits to be opened again.
#[derive(Debug)]
struct Device<D> {
    open: Option<D>,
    /// When to try again, while it is not open; `None`: never.
    retry_at: Option<Instant>,
    pause: Pause,
    health: Health,
    /// Whether it has moved sound since it was opened.
    works: bool,
    /// Xruns of those that were open before it.
    xruns_before: u64,
    /// Xruns in all.
    xruns: u64,
}

impl<D> Device<D> {
    fn new(health: Health) -> Device<D> {
        Device {
            open: None,
            retry_at: Some(Instant::ZERO),
            pause: Pause::default(),
            health,
            works: false,
            xruns_before: 0,
            xruns: 0,
        }
    }

    /// Opens the device if it is time to.
    fn reopen(&mut self, now: Instant, open: impl FnOnce() -> Result<D, Fault>) {
        if self.open.is_none() && self.retry_at.is_some_and(|at| now >= at) {
            match open() {
                Ok(device) => self.open = Some(device),
                Err(fault) => self.fail(fault, now),
            }
        }
    }

    /// Sound has moved, and the device has had that many xruns since it was opened.
    fn moved(&mut self, xruns: u64) {
        self.xruns = self.xruns_before + xruns;
        if !self.works {
            self.works = true;
            self.pause.reset();
            self.health.set(State::Working);
        }
    }

    /// Closes the device, to be opened at `at`.
    fn close(&mut self, at: Instant) {
        self.open = None;
        self.works = false;
        self.xruns_before = self.xruns;
        self.retry_at = Some(at);
    }

    /// Closes the device, and tries again later.
    fn fail(&mut self, fault: Fault, now: Instant) {
        self.close(now);
        let retried = fault.kind != FaultKind::Ended;
        self.retry_at = retried.then(|| self.pause.after_failure(now));
        self.health.set(State::Faulty(fault));
    }

    /// What to wait for, given what the open device waits for.
    fn wait<'d>(&'d self, of: impl FnOnce(&'d D) -> Wait<'d>) -> Wait<'d> {
        match &self.open {
            Some(device) => of(device),
            None => Wait { fd: None, at: self.retry_at },
        }
    }
}

struct Voice {
    context: Context,
    config: VoiceConfig,
    to_talk: Producer<Stamped>,
    played: Producer<Stamped>,
    talk_wake: Wake,
    playout: Playout,
    mic: Device<Mic>,
    speaker: Device<Speaker>,
    from_net: Consumer<SoundPacket>,
    from_net_wake: Wake,
    knobs: Arc<VoiceKnobs>,
    stats: Arc<VoiceStats>,
    chirps: Chirps,
    mixer: Mixer,
    was_paused: bool,
    near: Period,
    far: Period,
}

impl Voice {
    fn run(mut self) {
        if let Err(error) = sched::make_realtime(PRIORITY) {
            tracing::debug!("voice runs without real-time priority: {error}");
        }
        while !self.context.stop.is_stopped() {
            let now = clock::now();
            let wishes = self.context.bell.answer();
            if wishes.has(Anew::Microphone) {
                self.mic.close(now);
            }
            if wishes.has(Anew::Loudspeaker) {
                self.speaker.close(now);
            }
            let VoiceConfig { mic, loop_file, film, .. } = &self.config;
            self.mic.reopen(now, || Mic::open(mic, *loop_file, film.as_ref(), now));
            self.speaker.reopen(now, || Speaker::open(&self.config.speaker, now));
            self.receive();
            // In this order: what was played is there when what was heard of it comes.
            self.play();
            self.capture();
            if let Err(error) = self.wait() {
                // Only without memory for the poll itself; ending lets the supervisor begin anew.
                tracing::error!("voice cannot wait (ppoll): {error}");
                return;
            }
        }
    }

    fn wait(&mut self) -> std::io::Result<()> {
        let mic = self.mic.wait(|mic| mic.wait());
        let speaker = self.speaker.wait(|speaker| speaker.wait());
        let mut fds = heapless::Vec::<PollFd<'_>, 5>::new();
        let readable = PollFlags::POLLIN;
        let always = [self.context.stop.as_fd(), self.context.bell.as_fd(), self.from_net_wake.as_fd()];
        // Five at most, which is what there is room for.
        let always = always.map(|fd| (fd, readable)).into_iter();
        fds.extend(always.chain(mic.fd).chain(speaker.fd).map(|(fd, flags)| PollFd::new(fd, flags)));
        poll::wait(&mut fds, earliest(mic.at, speaker.at))
    }

    /// Takes what the net loop has put in.
    fn receive(&mut self) {
        // Drained first: what is put in after this line signals again.
        self.from_net_wake.drain();
        let now = clock::now();
        while let Some(packet) = self.from_net.take() {
            self.stats.received.bump();
            self.playout.handle_packet(&packet, now);
        }
    }

    /// Moves what the microphone has to the net loop.
    fn capture(&mut self) {
        let paused = self.knobs.paused.load(Ordering::Relaxed);
        if paused && !self.was_paused {
            // The peer is gone; the next one is another stream.
            self.playout.reset();
            self.knobs.probing.stop();
        }
        self.was_paused = paused;
        for _ in 0..PERIODS_A_WAKE {
            let Some(mic) = &mut self.mic.open else { return };
            let now = clock::now();
            match mic.read(now, &mut self.near) {
                Ok(Some(captured_at)) => {
                    let xruns = mic.xruns();
                    self.mic.moved(xruns);
                    self.stats.mic_xruns.set(self.mic.xruns);
                    self.stats.captured.bump();
                    if self.to_talk.put(Stamped { period: self.near, at: captured_at, begins_chirp: false }).is_err() {
                        self.stats.dropped_full.bump();
                    }
                    self.talk_wake.signal();
                }
                Ok(None) => return,
                Err(fault) => return self.mic.fail(fault, now),
            }
        }
    }

    /// Gives the loudspeaker what it wants.
    fn play(&mut self) {
        for _ in 0..PERIODS_A_WAKE {
            let Some(speaker) = &mut self.speaker.open else { return };
            let now = clock::now();
            match speaker.due(now) {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => return self.speaker.fail(fault, now),
            }
            let played = self.playout.pull(now, &mut self.far);
            let turn = self.chirps.mix(self.knobs.probing.is_on(), &mut self.far);
            if turn == Turn::Over {
                self.knobs.probing.stop();
            }
            let mut volume_percent = self.knobs.volume_percent.load(Ordering::Relaxed);
            // What is measured is to be heard.
            if turn == Turn::Idle && self.knobs.is_far_ducked.load(Ordering::Relaxed) {
                volume_percent = ducked(volume_percent);
            }
            self.mixer.handle(self.knobs.tone(), volume_percent, &mut self.far);
            let heard_at = match speaker.write(now, &self.far) {
                Ok(heard_at) => heard_at,
                Err(fault) => return self.speaker.fail(fault, now),
            };
            let xruns = speaker.xruns();
            self.speaker.moved(xruns);
            self.stats.speaker_xruns.set(self.speaker.xruns);
            // A talk stage that is so late has lost what it was for anyway.
            let begins_chirp = turn == Turn::Probing { begins: true };
            let _ = self.played.put(Stamped { period: self.far, at: heard_at, begins_chirp });
            self.talk_wake.signal();
            if let Some(captured_at) = played.captured_at {
                self.stats.latency.record((heard_at + Mixer::DELAY).since(captured_at));
            }
            self.note();
        }
    }

    fn note(&self) {
        let (stats, counters) = (&self.stats, self.playout.counters());
        stats.pulled.bump();
        stats.played.set(counters.played);
        stats.recovered.set(counters.recovered);
        stats.concealed_ms.set(counters.concealed * 10);
        stats.late.set(counters.late);
        stats.drift_ppm.set_signed(self.playout.drift_ppm().round() as i64);
        stats.delay_us.set(self.playout.delay().as_micros() as u64);
        stats.target_delay_us.set(self.playout.target_delay().as_micros() as u64);
    }
}

#[cfg(test)]
#[path = "voice_tests.rs"]
mod tests;
