//! The vigil's eyes and hands: what the stages' counters say, and what is asked of them.

use super::config::MediaConfig;
use super::stages::{Bells, Stages, fault};
use super::vigil::{Demand, Facts, Observation, Order, Part, Vigil};
use crate::device::FaultKind;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::usb::UsbPort;
use crate::stage::{Anew, Bell, Health, State};
use crate::time::Instant;
use std::thread::JoinHandle;

/// Watches over the stages, and has them put right.
#[derive(Debug)]
pub(super) struct Supervision {
    vigil: Vigil,
    media: MediaConfig,
    /// A port that is being reset, which takes its time.
    resetting: Option<JoinHandle<()>>,
    /// As last logged.
    told: Vec<(Part, String)>,
    repairs: [Repairs; REPAIRED.len()],
}

/// Every device that can be put right while the program runs, as the vigil calls it.
const REPAIRED: [&str; 6] = ["camera", "encoder", "decoder", "screen", "microphone", "loudspeaker"];

/// What was done about a device since the program's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repairs {
    pub device: &'static str,
    /// It, or the codec, was made anew.
    pub made_anew: u64,
    /// Its USB port was switched off and on.
    pub port_resets: u64,
}

impl Supervision {
    pub fn new(media: MediaConfig, now: Instant) -> Supervision {
        let repairs = REPAIRED.map(|device| Repairs { device, ..Repairs::default() });
        Supervision { vigil: Vigil::new(now), media, resetting: None, told: Vec::new(), repairs }
    }

    /// Looks, if it is time to, and does what must be done.
    ///
    /// # Errors
    /// In words: why the program must end.
    pub fn look(&mut self, now: Instant, stages: &Stages, is_in_call: bool) -> Result<(), String> {
        if now < self.vigil.poll_timeout() {
            return Ok(());
        }
        let Bells { capture, compress, expand, present, voice, talk } = &stages.bells;
        [capture, compress, expand, present, voice, talk].into_iter().flatten().for_each(Bell::ring);
        let observed = Part::ALL.map(|part| self.observe(part, stages));
        self.vigil.handle_facts(now, &Facts { observed, is_in_call });
        let mut end = Ok(());
        while let Some(order) = self.vigil.poll_order() {
            match order {
                Order::MakeAnew(part) => self.make_anew(part, &stages.bells),
                Order::ResetPort(part) => self.reset_port(part),
                Order::End(why) => end = Err(why),
            }
        }
        self.log();
        end
    }

    /// What was done about each device.
    pub fn repairs(&self) -> [Repairs; REPAIRED.len()] {
        self.repairs
    }

    fn count(&mut self, part: Part, count: impl FnOnce(&mut Repairs)) {
        if let Some(repairs) = self.repairs.iter_mut().find(|repairs| repairs.device == part.device()) {
            count(repairs);
        }
    }

    /// Whether the watchdog may be told that all is well.
    pub fn is_well(&self) -> bool {
        self.vigil.is_well()
    }

    /// What does not move though it should: the device, and a sentence that begins with it.
    pub fn complaints(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.told.iter().map(|(part, words)| (part.device(), words.as_str()))
    }

    /// Whether every configured device works, or it has been said why not.
    pub fn has_settled(&self, stages: &Stages) -> bool {
        let MediaConfig { camera, mic, speaker, .. } = &self.media;
        let healths = &stages.healths;
        let waited_for = [
            (is_clocked_camera(camera), &healths.camera, Part::Capture),
            (true, &healths.screen, Part::Present),
            (is_clocked_mic(mic), &healths.mic, Part::Voice),
            (is_clocked_speaker(speaker), &healths.speaker, Part::Voice),
        ];
        let is_told = |part| self.told.iter().any(|(told, _)| *told == part);
        waited_for.into_iter().all(|(is_waited_for, health, part)| {
            !is_waited_for || !matches!(health.get().0, State::Starting) || is_told(part)
        })
    }

    fn observe(&self, part: Part, stages: &Stages) -> Observation {
        let (healths, stats, bells) = (&stages.healths, &stages.stats, &stages.bells);
        let (capture, compress, present) = (&stats.capture, &stats.compress, &stats.present);
        let when = |is_due: bool, demand| if is_due { demand } else { Demand::None };
        let thread = |bell: &Option<Bell>| match bell {
            Some(bell) => (Demand::Fed(bell.asked()), bell.answered()),
            None => (Demand::None, 0),
        };
        let (demand, progress) = match part {
            Part::Capture => thread(&bells.capture),
            Part::Compress => thread(&bells.compress),
            Part::Expand => thread(&bells.expand),
            Part::Present => thread(&bells.present),
            Part::Voice => thread(&bells.voice),
            Part::Talk => thread(&bells.talk),
            Part::Camera => {
                let is_due = is_clocked_camera(&self.media.camera) && must_move(&healths.camera);
                (when(is_due, Demand::Clocked), capture.frames.get())
            }
            Part::Scene => {
                // What is no camera may stand still as it likes.
                let is_camera = matches!(self.media.camera, CameraSpec::V4l2(_) | CameraSpec::Module(_));
                let is_due = is_camera && fault(&healths.camera).is_none();
                (when(is_due, Demand::Fed(capture.looked.get())), capture.changed.get())
            }
            Part::Encoder => {
                let in_vain = compress.dropped_by_encoder.get() + compress.dropped_encoder_failed.get();
                (Demand::Fed(in_vain), compress.sent.get())
            }
            Part::Decoder => (Demand::Fed(stats.expand.taken.get()), stats.expand.decoded.get()),
            Part::Screen => {
                let is_due = must_move(&healths.screen);
                (when(is_due, Demand::Fed(present.given.get())), present.finished.get())
            }
            Part::Microphone => {
                let is_due = is_clocked_mic(&self.media.mic) && must_move(&healths.mic);
                (when(is_due, Demand::Clocked), stats.voice.captured.get())
            }
            Part::Loudspeaker => {
                let is_due = is_clocked_speaker(&self.media.speaker) && must_move(&healths.speaker);
                (when(is_due, Demand::Clocked), stats.voice.pulled.get())
            }
        };
        Observation { demand, progress }
    }

    fn make_anew(&mut self, part: Part, bells: &Bells) {
        make_anew(part, bells);
        self.count(part, |repairs| repairs.made_anew += 1);
    }

    fn reset_port(&mut self, part: Part) {
        let port = match (part, &self.media.mic, &self.media.speaker) {
            (Part::Camera | Part::Scene, ..) => match &self.media.camera {
                CameraSpec::V4l2(node) => UsbPort::of_camera(node),
                _ => None,
            },
            (Part::Microphone, MicSpec::Alsa(name), _) => UsbPort::of_sound_card(name),
            (Part::Loudspeaker, _, SpeakerSpec::Alsa(name)) => UsbPort::of_sound_card(name),
            _ => None,
        };
        let is_busy = self.resetting.as_ref().is_some_and(|thread| !thread.is_finished());
        let Some(port) = port.filter(|_| !is_busy) else { return self.vigil.handle_no_port(part) };
        let device = part.device();
        tracing::warn!("{device}: its USB port is switched off and on");
        let reset = move || {
            if let Err(error) = port.reset() {
                tracing::warn!("{device}: its USB port could not be reset: {error}");
            }
        };
        // Drivers take their time to let go, which the net loop has not. Without a thread it is left undone.
        self.resetting = std::thread::Builder::new().name("usb-reset".into()).spawn(reset).ok();
        self.count(part, |repairs| repairs.port_resets += 1);
    }

    fn log(&mut self) {
        let complaints: Vec<_> = self.vigil.complaints().collect();
        for (part, words) in complaints.iter().filter(|told| !self.told.contains(told)) {
            tracing::warn!(?part, "{words}");
        }
        for (part, _) in &self.told {
            if !complaints.iter().any(|(other, _)| other == part) {
                tracing::info!(?part, "{}: it moves again, or has said why not", part.device());
            }
        }
        self.told = complaints;
    }
}

/// Whether a device must move: one that works, and one that is there and stalls. What else a device lacks, it has said.
fn must_move(health: &Health) -> bool {
    match health.get().0 {
        State::Working => true,
        State::Faulty(fault) => fault.kind == FaultKind::Stalled,
        State::Starting => false,
    }
}

/// Whether frames come by a clock; those from a pipe come when somebody writes them.
fn is_clocked_camera(camera: &CameraSpec) -> bool {
    !matches!(camera, CameraSpec::Y4m(_) | CameraSpec::Y4mStdin | CameraSpec::None)
}

/// Likewise for sound, of which a file may be a pipe.
fn is_clocked_mic(mic: &MicSpec) -> bool {
    matches!(mic, MicSpec::Alsa(_) | MicSpec::Tone(_))
}

/// And for where it goes.
fn is_clocked_speaker(speaker: &SpeakerSpec) -> bool {
    matches!(speaker, SpeakerSpec::Alsa(_))
}

fn make_anew(part: Part, bells: &Bells) {
    let (bell, what) = match part {
        Part::Capture | Part::Camera | Part::Scene => (&bells.capture, Anew::Device),
        Part::Compress | Part::Encoder => (&bells.compress, Anew::Device),
        Part::Expand | Part::Decoder => (&bells.expand, Anew::Device),
        Part::Present | Part::Screen => (&bells.present, Anew::Device),
        Part::Voice | Part::Microphone => (&bells.voice, Anew::Microphone),
        Part::Loudspeaker => (&bells.voice, Anew::Loudspeaker),
        Part::Talk => (&bells.talk, Anew::Device),
    };
    if let Some(bell) = bell {
        bell.ask(what);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: real stages that move are let be, ready soon, and go on after each of their parts was made anew. Method: the
    //! stages of a station with the test picture and a tone; the vigil's seconds go by as fast as its bells are answered.
    use super::*;
    use crate::device::m2m::CodecSpec;
    use crate::device::screen::ScreenSpec;
    use crate::media::{Level, Size, VideoCodec};
    use crate::sys::clock;
    use crate::sys::wake::Wake;
    use crate::time::Duration;

    /// Anything that comes at all comes well within this, on a machine that does much else besides.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn media(camera: &str) -> MediaConfig {
        MediaConfig {
            camera: camera.parse().unwrap(),
            screen: ScreenSpec::None,
            planes: true,
            mic: MicSpec::Tone(440),
            speaker: SpeakerSpec::None,
            codec: VideoCodec::Mjpeg,
            near: 0,
            encoder: CodecSpec::Software,
            decoder: CodecSpec::Software,
            bitrate_bps: None,
            size: Some(Size::new(160, 120)),
            rate_hz: Some(100),
            level: Level::FULL,
            looped: false,
            adapts: false,
            clean_mic: false,
        }
    }

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let give_up = clock::now() + PATIENCE;
        while !is_so() {
            assert!(clock::now() < give_up, "not {what}");
            std::thread::yield_now();
        }
    }

    fn all_answered(bells: &Bells) -> bool {
        let Bells { capture, compress, expand, present, voice, talk } = bells;
        [capture, compress, expand, present, voice, talk]
            .into_iter()
            .flatten()
            .all(|bell| bell.answered() == bell.asked())
    }

    /// All that has come from camera and microphone.
    fn moved(stages: &Stages) -> [u64; 2] {
        [stages.stats.capture.frames.get(), stages.stats.voice.captured.get()]
    }

    fn both_move(stages: &Stages) {
        let before = moved(stages);
        until("moving", || moved(stages).into_iter().zip(before).all(|(now, before)| now > before));
    }

    #[test]
    fn stages_that_move_are_ready_and_let_be() {
        let stages = Stages::start(&media("pattern"), &Wake::new().unwrap()).unwrap();
        let start = clock::now();
        let mut supervision = Supervision::new(media("pattern"), start);
        until("ready", || supervision.has_settled(&stages));
        for second in 1..40 {
            both_move(&stages);
            supervision.look(start + Duration::from_secs(second), &stages, true).unwrap();
            until("answered", || all_answered(&stages.bells));
        }
        assert_eq!((supervision.complaints().count(), supervision.is_well()), (0, true));
    }

    #[test]
    fn a_camera_that_is_not_there_is_said_to_be_so_and_not_waited_for() {
        let media = media("/dev/video-that-is-not-there");
        let stages = Stages::start(&media, &Wake::new().unwrap()).unwrap();
        let supervision = Supervision::new(media, clock::now());
        until("ready", || supervision.has_settled(&stages));
        assert!(fault(&stages.healths.camera).is_some());
    }

    #[test]
    fn whatever_is_made_anew_goes_on() {
        let stages = Stages::start(&media("pattern"), &Wake::new().unwrap()).unwrap();
        both_move(&stages);
        let opened = stages.stats.present.opened.get();
        let mut supervision = Supervision::new(media("pattern"), clock::now());
        for part in Part::ALL {
            supervision.make_anew(part, &stages.bells);
            until("answered", || all_answered(&stages.bells));
            both_move(&stages);
        }
        until("another screen", || stages.stats.present.opened.get() > opened);
        assert!([&stages.healths.camera, &stages.healths.mic, &stages.healths.screen].map(fault) == [None, None, None]);
        // Its thread, its frames and its scene are three parts of one camera.
        assert_eq!(supervision.repairs().map(|repairs| repairs.made_anew), [3, 2, 2, 2, 1, 1]);
    }
}
