//! The voice stage: one thread for capture and playback, since echo control needs both in one time base.
//!
//! It wakes for four things: the microphone has a period, the loudspeaker wants one, packets have come, or a device that
//! failed is to be tried again. Each is done whole and none waits; one device's fault never stops the other.

use super::{Anew, Context, Health, Pause, State};
use crate::codec::CodecError;
use crate::codec::opus::OpusConfig;
use crate::device::audio::{Mic, MicSpec, Speaker, SpeakerSpec};
use crate::device::file::FilmTrack;
use crate::device::{AudioSink, AudioSource, Fault, FaultKind};
use crate::media::{PERIOD, Period, SoundPacket};
use crate::ring::{Consumer, Producer};
use crate::stats::{Counter, Histogram};
use crate::sys::poll::{self, Wait};
use crate::sys::wake::Wake;
use crate::sys::{clock, sched};
use crate::time::{Instant, Seldom, earliest};
use crate::voice::{Playout, PlayoutConfig, Talk, Tone, Tones, VOLUME_MAX, Volume};
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
    /// The number of the tone that sounds; see [`VoiceKnobs::set_tone`].
    tone: AtomicU8,
    /// There is no peer: nothing is encoded and nothing sent.
    pub paused: AtomicBool,
    /// The loss that the far side reports, in percent.
    pub expected_loss_percent: AtomicU8,
    /// Aim of the encoder.
    pub bitrate_bps: AtomicU32,
}

impl VoiceKnobs {
    /// As the encoder's configuration says; not muted, and paused until there is a peer.
    pub fn new(opus: &OpusConfig) -> VoiceKnobs {
        VoiceKnobs {
            is_muted: AtomicBool::new(false),
            volume_percent: AtomicU8::new(VOLUME_MAX),
            tone: AtomicU8::new(0),
            paused: AtomicBool::new(true),
            expected_loss_percent: AtomicU8::new(opus.expected_loss_percent),
            bitrate_bps: AtomicU32::new(opus.bitrate_bps),
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

/// Starts the stage's thread.
///
/// # Errors
/// Where the thread or the codec cannot be made; devices that cannot be opened are retried by the stage instead.
pub fn spawn(context: Context, config: VoiceConfig, ports: VoicePorts) -> std::io::Result<JoinHandle<()>> {
    let codec = |e: CodecError| std::io::Error::other(e.to_string());
    let stage = Voice {
        context,
        talk: Talk::new(config.opus).map_err(codec)?,
        playout: Playout::new(config.playout).map_err(codec)?,
        mic: Device::new(ports.mic_health),
        speaker: Device::new(ports.speaker_health),
        to_net: ports.to_net,
        from_net: ports.from_net,
        from_net_wake: ports.from_net_wake,
        knobs: ports.knobs,
        stats: ports.stats,
        config,
        tones: Tones::default(),
        volume: Volume::default(),
        was_paused: true,
        near: [0; PERIOD],
        unencoded: Seldom::default(),
        far: [0; PERIOD],
    };
    std::thread::Builder::new().name("voice".into()).spawn(move || stage.run())
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
    talk: Talk,
    playout: Playout,
    mic: Device<Mic>,
    speaker: Device<Speaker>,
    to_net: Producer<SoundPacket>,
    from_net: Consumer<SoundPacket>,
    from_net_wake: Wake,
    knobs: Arc<VoiceKnobs>,
    stats: Arc<VoiceStats>,
    tones: Tones,
    volume: Volume,
    was_paused: bool,
    near: Period,
    /// Periods that the encoder refused.
    unencoded: Seldom,
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
            self.capture();
            self.play();
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
        fds.extend(
            always
                .map(|fd| (fd, readable))
                .into_iter()
                .chain(mic.fd)
                .chain(speaker.fd)
                .map(|(fd, flags)| PollFd::new(fd, flags)),
        );
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
                    if paused {
                        self.talk.skip(&self.near, captured_at);
                    } else if let Err(error) = self.send(captured_at)
                        && let Some(unsaid) = self.unencoded.admit(now)
                    {
                        tracing::error!("a period was not encoded: {error}{unsaid}");
                    }
                    self.stats.mic_centi_dbfs.set_signed((self.talk.near_dbfs() * 100.0) as i64);
                }
                Ok(None) => return,
                Err(fault) => return self.mic.fail(fault, now),
            }
        }
    }

    fn send(&mut self, captured_at: Instant) -> Result<(), CodecError> {
        self.talk.set_expected_loss(self.knobs.expected_loss_percent.load(Ordering::Relaxed))?;
        self.talk.set_bitrate(self.knobs.bitrate_bps.load(Ordering::Relaxed))?;
        let mut packet = SoundPacket { sequence: 0, captured_at, payload: heapless::Vec::new() };
        let is_muted = self.knobs.is_muted.load(Ordering::Relaxed);
        self.talk.handle_near_end(&self.near, captured_at, is_muted, &mut packet)?;
        match self.to_net.put(packet) {
            Ok(()) => self.stats.sent.bump(),
            Err(_) => self.stats.dropped_full.bump(),
        }
        self.context.net.signal();
        Ok(())
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
            self.tones.mix(self.knobs.tone(), &mut self.far);
            self.volume.handle(self.knobs.volume_percent.load(Ordering::Relaxed), &mut self.far);
            let heard_at = match speaker.write(now, &self.far) {
                Ok(heard_at) => heard_at,
                Err(fault) => return self.speaker.fail(fault, now),
            };
            let xruns = speaker.xruns();
            self.speaker.moved(xruns);
            self.stats.speaker_xruns.set(self.speaker.xruns);
            self.talk.handle_far_end(&self.far, heard_at);
            if let Some(captured_at) = played.captured_at {
                self.stats.latency.record(heard_at.since(captured_at));
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
        stats.speaker_centi_dbfs.set_signed((self.talk.far_dbfs() * 100.0) as i64);
    }
}

#[cfg(test)]
#[path = "voice_tests.rs"]
mod tests;
