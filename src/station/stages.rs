//! The threads of one station and the rings between them and the net loop.

use super::config::MediaConfig;
use crate::codec::opus::OpusConfig;
use crate::device::DecodedFrame;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::{CameraRequest, CameraSpec};
use crate::device::drm::Options;
use crate::device::file::FilmClock;
use crate::media::{EncodedFrame, Picture, Size, SoundPacket};
use crate::ring::{Consumer, Lent, Pool, Producer, Receiver, fifo, mailbox};
use crate::stage::capture::CaptureStats;
use crate::stage::compress::{CompressConfig, CompressStats, Knobs};
use crate::stage::expand::ExpandStats;
use crate::stage::eye::{self, EYE, Eye};
use crate::stage::present::{Board, PresentPorts, PresentStats};
use crate::stage::tap::{TapConfig, TapEnd, TapSwitch, tap};
use crate::stage::voice::{VoiceConfig, VoiceKnobs, VoicePorts, VoiceStats};
use crate::stage::{Bell, Context, Health, State, capture, compress, expand, present, voice};
use crate::sys::wake::{Stop, Wake};
use crate::sys::{clock, poll};
use crate::time::Duration;
use crate::voice::PlayoutConfig;
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Encoded frames on their way to the net loop: it wakes within microseconds, so two are enough, and one to spare.
const ENCODED_QUEUE: usize = 4;
/// Whole frames on their way to the decoder. A repaired loss sets several free at once, up to what the link assembles.
const WHOLE_QUEUE: usize = 16;
/// Periods of sound: 160 ms, the longest that the net loop could ever be away without the call being lost anyway.
const SOUND_QUEUE: usize = 16;
/// What a slot for encoded frames holds before it grows: a 640x480 key frame at 2 Mbit/s.
const SLOT_BYTES: usize = 64 << 10;
/// Of JPEG images that are made here, as the tables of ITU-T T.81 annex K are scaled by libjpeg: no visible loss.
const JPEG_QUALITY: u8 = 85;

/// How long threads may take to put their devices back: a screen's mode takes a second, and systemd waits five for all.
const FAREWELL: Duration = Duration::from_secs(3);

/// Other looks at the camera's pictures than the far side's.
#[derive(Debug)]
pub(super) struct Looks {
    /// Whether the screen is given this station's own picture, for its corner.
    pub mirror: TapSwitch,
    /// Reads one-time codes.
    pub eye: Eye,
    /// Who stands here, to be kept: signals the net loop.
    pub still: TapEnd,
}

/// Who stands here, to be kept: a face must be known again.
const STILL: TapConfig = TapConfig { bound: Size::new(1_280, 720), pause: Duration::ZERO };

/// What the mirror in a corner of the screen gives: a corner of a 1080p screen has no more pixels, and every frame of the
/// camera, since people see at once that their own picture stutters.
const MIRROR: TapConfig = TapConfig { bound: Size::new(320, 240), pause: Duration::ZERO };

/// How each device is.
#[derive(Debug)]
pub(super) struct Healths {
    pub camera: Health,
    pub screen: Health,
    pub mic: Health,
    pub speaker: Health,
}

/// The bells of the threads that run; those without a device to serve do not.
#[derive(Clone, Debug, Default)]
pub(super) struct Bells {
    pub capture: Option<Bell>,
    pub compress: Option<Bell>,
    pub expand: Option<Bell>,
    pub present: Option<Bell>,
    pub voice: Option<Bell>,
    pub talk: Option<Bell>,
}

/// Counters of every stage; any thread may read them.
#[derive(Clone, Debug, Default)]
pub(super) struct StageStats {
    pub capture: Arc<CaptureStats>,
    pub compress: Arc<CompressStats>,
    pub expand: Arc<ExpandStats>,
    pub present: Arc<PresentStats>,
    pub voice: Arc<VoiceStats>,
}

/// The running threads, as the net loop sees them.
#[derive(Debug)]
pub(super) struct Stages {
    /// Frames to be sent.
    pub encoded: Consumer<Lent<EncodedFrame>>,
    /// Sound to be sent.
    pub spoken: Consumer<SoundPacket>,
    /// Slots for frames that came.
    pub slots: Pool<EncodedFrame>,
    /// Frames that came, to the decoder.
    pub whole: Producer<Lent<EncodedFrame>>,
    pub whole_wake: Wake,
    /// Sound that came, to the loudspeaker.
    pub heard: Producer<SoundPacket>,
    pub heard_wake: Wake,
    pub knobs: Arc<Knobs>,
    /// Other looks at the camera's pictures; none without a camera.
    pub looks: Option<Looks>,
    pub voice_knobs: Arc<VoiceKnobs>,
    pub board: Board,
    pub healths: Healths,
    pub bells: Bells,
    pub stats: StageStats,
    /// Asks all of them to end.
    stop: Stop,
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

impl Stages {
    /// Makes the rings and starts the threads; `net` is signalled when one of them has something for the net loop.
    pub fn start(media: &MediaConfig, net: &Wake) -> io::Result<Stages> {
        let stop = Stop::new()?;
        let mut starter = Starter {
            media,
            context: Context::new(stop.clone(), net.clone())?,
            healths: Healths {
                camera: Health::new(net.clone()),
                screen: Health::new(net.clone()),
                mic: Health::new(net.clone()),
                speaker: Health::new(net.clone()),
            },
            bells: Bells::default(),
            stats: StageStats::default(),
            film: FilmClock::default(),
            threads: Vec::new(),
        };
        let Seen { encoded, knobs, looks } = starter.camera_to_net()?;
        let (looks, own_pictures) = looks.unzip();
        let Shown { slots, whole, whole_wake, board } = starter.net_to_screen(own_pictures)?;
        let Sound { spoken, heard, heard_wake, voice_knobs } = starter.sound()?;
        let Starter { healths, bells, stats, threads, .. } = starter;
        Ok(Stages {
            encoded,
            spoken,
            slots,
            whole,
            whole_wake,
            heard,
            heard_wake,
            knobs,
            looks,
            voice_knobs,
            board,
            healths,
            bells,
            stats,
            stop,
            threads,
        })
    }

    /// The name of a thread that ended though nobody asked it to: a bug of ours.
    pub fn ended(&self) -> Option<&'static str> {
        self.threads.iter().find(|(_, thread)| thread.is_finished()).map(|(name, _)| *name)
    }

    /// Asks the threads to end, and waits for a while: screens are put back and files closed by their own threads. One that
    /// is held up in a driver is left behind, and ends with the process.
    pub fn stop(&mut self) {
        self.stop.stop();
        let threads = core::mem::take(&mut self.threads);
        let Ok(done) = Wake::new() else { return };
        if threads.is_empty() {
            return;
        }
        let all_ended = done.clone();
        let join = move || {
            for (_, thread) in threads {
                // A panic has already been printed by the thread itself.
                let _ = thread.join();
            }
            all_ended.signal();
        };
        if std::thread::Builder::new().name("farewell".into()).spawn(join).is_ok() {
            let mut fds = [PollFd::new(done.as_fd(), PollFlags::POLLIN)];
            // Without a wait nothing better can be done than to go.
            let _ = poll::wait(&mut fds, Some(clock::now() + FAREWELL));
            if !poll::is_ready(&fds[0]) {
                tracing::warn!("a thread is held up by a driver, and is left behind");
            }
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The threads while they are being started.
struct Starter<'m> {
    media: &'m MediaConfig,
    context: Context,
    healths: Healths,
    bells: Bells,
    stats: StageStats,
    /// Keeps a film's sound in step with its picture.
    film: FilmClock,
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

/// What leads from the camera: the net loop's ends, and what the screen sees in the mirror.
struct Seen {
    encoded: Consumer<Lent<EncodedFrame>>,
    knobs: Arc<Knobs>,
    looks: Option<(Looks, Receiver<Lent<Picture>>)>,
}

/// The net loop's ends of what leads to the screen.
struct Shown {
    slots: Pool<EncodedFrame>,
    whole: Producer<Lent<EncodedFrame>>,
    whole_wake: Wake,
    board: Board,
}

/// The net loop's ends of what leads from the microphone and to the loudspeaker.
struct Sound {
    spoken: Consumer<SoundPacket>,
    heard: Producer<SoundPacket>,
    heard_wake: Wake,
    voice_knobs: Arc<VoiceKnobs>,
}

impl Starter<'_> {
    /// Capture and compress; without a camera neither runs, and the ring stays empty.
    fn camera_to_net(&mut self) -> io::Result<Seen> {
        let media = self.media;
        let (captured, to_compress) = mailbox();
        let (to_net, encoded) = fifo::<_, ENCODED_QUEUE>();
        let wake = Wake::new()?;
        // Until the first frame tells its true size.
        let size = media.level.scaled(media.size.unwrap_or(Size::new(640, 480)));
        let knobs = Arc::new(Knobs::new(media.bitrate_for(size), media.level));
        if media.camera == CameraSpec::None {
            return Ok(Seen { encoded, knobs, looks: None });
        }
        let request = CameraRequest {
            size: media.size,
            rate_hz: media.rate_hz,
            prefer: media.codec,
            looped: media.looped,
            film: self.film.clone(),
        };
        let encoder = media.encoder.clone();
        let config = CompressConfig { codec: media.codec, near: media.near, quality: JPEG_QUALITY, encoder };
        let (health, stats) = (self.healths.camera.clone(), &self.stats);
        let context = self.context.for_another()?;
        self.bells.capture = Some(context.bell.clone());
        let capture = capture::spawn(
            context,
            media.camera.clone(),
            request,
            captured,
            wake.clone(),
            health,
            stats.capture.clone(),
        )?;
        self.threads.push(("capture", capture));
        let eye_wake = Wake::new()?;
        let (mirror, seen) = tap(MIRROR, None);
        let (to_eye, eye) = tap(EYE, Some(eye_wake.clone()));
        let (to_still, still) = tap(STILL, Some(self.context.net.clone()));
        let looks = Looks { mirror: seen.switch(), eye: eye::spawn(self.context.clone(), eye, eye_wake)?, still };
        let (context, stats) = (self.context.for_another()?, stats.compress.clone());
        self.bells.compress = Some(context.bell.clone());
        let compress = compress::spawn(
            context,
            config,
            to_compress,
            wake,
            knobs.clone(),
            to_net,
            vec![mirror, to_eye, to_still],
            stats,
        )?;
        self.threads.push(("compress", compress));
        Ok(Seen { encoded, knobs, looks: Some((looks, seen.pictures)) })
    }

    /// Expand and present; a station without a screen runs them too, so that it can tell what came.
    fn net_to_screen(&mut self, mirror: Option<Receiver<Lent<Picture>>>) -> io::Result<Shown> {
        let slots = Pool::new((0..WHOLE_QUEUE).map(|_| EncodedFrame::with_capacity(SLOT_BYTES)));
        let (whole, to_expand) = fifo::<_, WHOLE_QUEUE>();
        let (pictures, to_present) = mailbox::<Lent<DecodedFrame>>();
        let (whole_wake, pictures_wake) = (Wake::new()?, Wake::new()?);
        let board = Board::new(pictures_wake.clone());
        let (context, stats) = (self.context.for_another()?, self.stats.expand.clone());
        self.bells.expand = Some(context.bell.clone());
        let (decoder, to_wake) = (self.media.decoder.clone(), pictures_wake.clone());
        let expand = expand::spawn(context, decoder, to_expand, whole_wake.clone(), pictures, to_wake, stats)?;
        self.threads.push(("expand", expand));
        let ports = PresentPorts {
            pictures: to_present,
            mirror,
            wake: pictures_wake,
            board: board.clone(),
            health: self.healths.screen.clone(),
            stats: self.stats.present.clone(),
        };
        let context = self.context.for_another()?;
        self.bells.present = Some(context.bell.clone());
        let options = Options { is_yuv: self.media.planes, ..Options::default() };
        let present = present::spawn(context, self.media.screen.clone(), options, ports)?;
        self.threads.push(("present", present));
        Ok(Shown { slots, whole, whole_wake, board })
    }

    /// Voice and talk; without microphone and loudspeaker it does not run.
    fn sound(&mut self) -> io::Result<Sound> {
        let media = self.media;
        let (to_net, spoken) = fifo::<_, SOUND_QUEUE>();
        let (heard, from_net) = fifo::<_, SOUND_QUEUE>();
        let wake = Wake::new()?;
        let opus = OpusConfig::default();
        let knobs = Arc::new(VoiceKnobs::new(&opus));
        if media.mic != MicSpec::None || media.speaker != SpeakerSpec::None {
            let config = VoiceConfig {
                mic: media.mic.clone(),
                speaker: media.speaker.clone(),
                loop_file: media.looped,
                film: media.film(&self.film),
                is_cleaned: media.clean_mic,
                opus,
                playout: PlayoutConfig::default(),
            };
            let ports = VoicePorts {
                to_net,
                from_net,
                from_net_wake: wake.clone(),
                knobs: knobs.clone(),
                mic_health: self.healths.mic.clone(),
                speaker_health: self.healths.speaker.clone(),
                stats: self.stats.voice.clone(),
            };
            let context = self.context.for_another()?;
            let talk = self.context.for_another()?;
            self.bells.voice = Some(context.bell.clone());
            self.bells.talk = Some(talk.bell.clone());
            self.threads.extend(voice::spawn(context, talk, config, ports)?);
        }
        Ok(Sound { spoken, heard, heard_wake: wake, voice_knobs: knobs })
    }
}

/// The fault of a device, in words; `None` while it works or starts.
pub(super) fn fault(health: &Health) -> Option<String> {
    match health.get().0 {
        State::Faulty(fault) => Some(fault.to_string()),
        State::Starting | State::Working => None,
    }
}
