//! Which microphone and which loudspeaker: what the user types, and what it opens.

use super::alsa::{AlsaCapture, AlsaPlayback};
use super::camera::CameraSpec;
use super::file::{FilmClock, FilmSound, FilmTrack};
use super::pace::Pace;
use super::tone::{TONE_HZ, Tone};
use super::wav::{WavSink, WavSource};
use super::{AudioSink, AudioSource, Fault, FaultKind};
use crate::media::{PERIOD_TIME, Period, SAMPLE_RATE_HZ};
use crate::sys::poll::Wait;
use crate::time::Instant;
use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

/// A microphone, as typed: `alsa:NAME`, `tone[:HZ]`, `wav:PATH`, `wav:-`, `film` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicSpec {
    /// An ALSA PCM device, as `visavis devices` or `arecord -L` names it.
    Alsa(String),
    /// A sine of that many Hz.
    Tone(u32),
    /// A WAV file, or standard input for `-`.
    Wav(PathBuf),
    /// The sound of the film that is the camera.
    Film,
    /// No microphone: nothing is sent.
    None,
}

/// A loudspeaker, as typed: `alsa:NAME`, `wav:PATH`, `wav:-` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerSpec {
    /// An ALSA PCM device, as `visavis devices` or `aplay -L` names it.
    Alsa(String),
    /// A WAV file, or standard output for `-`.
    Wav(PathBuf),
    /// Nothing is heard, but playout runs and is measured.
    None,
}

/// What was typed is no microphone or loudspeaker; says what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError(String);

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SpecError {}

fn alsa_name(name: &str) -> Result<String, SpecError> {
    if name.is_empty() || name.contains('\0') {
        return Err(SpecError("`alsa:` wants a device, as in alsa:default or alsa:hw:CARD=Device,DEV=0".into()));
    }
    Ok(name.to_owned())
}

fn wav_path(path: &str) -> Result<PathBuf, SpecError> {
    if path.is_empty() {
        return Err(SpecError("`wav:` wants a file, or `wav:-` for standard input or output".into()));
    }
    Ok(path.into())
}

impl MicSpec {
    /// The microphone that goes with a camera where nobody chose one: a film's own sound if it can be played. Where it
    /// cannot, the log says why.
    pub fn of_camera(camera: &CameraSpec) -> Option<MicSpec> {
        let CameraSpec::File(path) = camera else { return None };
        match FilmSound::open(path, FilmClock::default(), Instant::ZERO) {
            Ok(sound) => sound.map(|_| MicSpec::Film),
            // A film that is not there yet is the camera's to wait for.
            Err(fault) if fault.kind == FaultKind::Absent => None,
            Err(fault) => {
                tracing::warn!("{fault}");
                None
            }
        }
    }
}

impl FromStr for MicSpec {
    type Err = SpecError;

    fn from_str(typed: &str) -> Result<MicSpec, SpecError> {
        match typed.split_once(':') {
            Some(("alsa", name)) => alsa_name(name).map(MicSpec::Alsa),
            Some(("wav", path)) => wav_path(path).map(MicSpec::Wav),
            Some(("tone", hertz)) => {
                let hertz = hertz.parse().ok().filter(|hz| (1..SAMPLE_RATE_HZ / 2).contains(hz));
                hertz
                    .map(MicSpec::Tone)
                    .ok_or_else(|| SpecError("`tone:` wants a frequency in whole Hz, from 1 to 23999".into()))
            }
            None if typed == "tone" => Ok(MicSpec::Tone(TONE_HZ)),
            None if typed == "film" => Ok(MicSpec::Film),
            None if typed == "none" => Ok(MicSpec::None),
            _ => Err(SpecError(format!(
                "`{typed}` is no microphone: try alsa:default, tone, tone:1000, wav:FILE, wav:-, film or none"
            ))),
        }
    }
}

impl FromStr for SpeakerSpec {
    type Err = SpecError;

    fn from_str(typed: &str) -> Result<SpeakerSpec, SpecError> {
        match typed.split_once(':') {
            Some(("alsa", name)) => alsa_name(name).map(SpeakerSpec::Alsa),
            Some(("wav", path)) => wav_path(path).map(SpeakerSpec::Wav),
            None if typed == "none" => Ok(SpeakerSpec::None),
            _ => Err(SpecError(format!("`{typed}` is no loudspeaker: try alsa:default, wav:FILE, wav:- or none"))),
        }
    }
}

impl fmt::Display for MicSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MicSpec::Alsa(name) => write!(f, "alsa:{name}"),
            MicSpec::Tone(hertz) => write!(f, "tone:{hertz}"),
            MicSpec::Wav(path) => write!(f, "wav:{}", path.display()),
            MicSpec::Film => f.write_str("film"),
            MicSpec::None => f.write_str("none"),
        }
    }
}

impl fmt::Display for SpeakerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpeakerSpec::Alsa(name) => write!(f, "alsa:{name}"),
            SpeakerSpec::Wav(path) => write!(f, "wav:{}", path.display()),
            SpeakerSpec::None => f.write_str("none"),
        }
    }
}

/// An open microphone.
#[derive(Debug)]
pub enum Mic {
    /// A sound card.
    Alsa(AlsaCapture),
    /// A sine.
    Tone(Tone),
    /// A file.
    Wav(WavSource),
    /// A film's sound.
    Film(FilmSound),
    /// Never has anything.
    None,
}

impl Mic {
    /// Opens what the spec names; a file begins anew at its end where `looped`. `film` is the camera, where that is one.
    ///
    /// # Errors
    /// A [`Fault`] with what to do about it.
    pub fn open(spec: &MicSpec, looped: bool, film: Option<&FilmTrack>, now: Instant) -> Result<Mic, Fault> {
        Ok(match spec {
            MicSpec::Alsa(name) => Mic::Alsa(AlsaCapture::open(name, now)?),
            MicSpec::Tone(hertz) => Mic::Tone(Tone::new(*hertz, now)),
            MicSpec::Wav(path) => Mic::Wav(WavSource::open(path, looped, now)?),
            MicSpec::Film => Mic::Film(open_film(film, now)?),
            MicSpec::None => Mic::None,
        })
    }
}

fn open_film(film: Option<&FilmTrack>, now: Instant) -> Result<FilmSound, Fault> {
    let refused = |why: &str| Fault::plain(FaultKind::Unusable, "film", "be the microphone", why);
    let film =
        film.ok_or_else(|| refused("the camera is no film; write `--camera file:PATH`, or another microphone"))?;
    let sound = FilmSound::open(&film.path, film.clock.clone(), now)?;
    sound.ok_or_else(|| refused("it has no sound; give another microphone, or `none`"))
}

impl AudioSource for Mic {
    fn name(&self) -> &str {
        match self {
            Mic::Alsa(mic) => mic.name(),
            Mic::Tone(mic) => mic.name(),
            Mic::Wav(mic) => mic.name(),
            Mic::Film(mic) => mic.name(),
            Mic::None => "none",
        }
    }

    fn wait(&self) -> Wait<'_> {
        match self {
            Mic::Alsa(mic) => mic.wait(),
            Mic::Tone(mic) => mic.wait(),
            Mic::Wav(mic) => mic.wait(),
            Mic::Film(mic) => mic.wait(),
            Mic::None => Wait::default(),
        }
    }

    fn read(&mut self, now: Instant, period: &mut Period) -> Result<Option<Instant>, Fault> {
        match self {
            Mic::Alsa(mic) => mic.read(now, period),
            Mic::Tone(mic) => mic.read(now, period),
            Mic::Wav(mic) => mic.read(now, period),
            Mic::Film(mic) => mic.read(now, period),
            Mic::None => Ok(None),
        }
    }

    fn xruns(&self) -> u64 {
        match self {
            Mic::Alsa(mic) => mic.xruns(),
            Mic::Tone(mic) => mic.xruns(),
            Mic::Wav(mic) => mic.xruns(),
            Mic::Film(mic) => mic.xruns(),
            Mic::None => 0,
        }
    }
}

/// An open loudspeaker.
#[derive(Debug)]
pub enum Speaker {
    /// A sound card.
    Alsa(Box<AlsaPlayback>),
    /// A file.
    Wav(WavSink),
    /// Nothing, at its proper pace.
    Null(NullSink),
}

impl Speaker {
    /// Opens what the spec names.
    ///
    /// # Errors
    /// A [`Fault`] with what to do about it.
    pub fn open(spec: &SpeakerSpec, now: Instant) -> Result<Speaker, Fault> {
        Ok(match spec {
            SpeakerSpec::Alsa(name) => Speaker::Alsa(Box::new(AlsaPlayback::open(name, now)?)),
            SpeakerSpec::Wav(path) => Speaker::Wav(WavSink::create(path, now)?),
            SpeakerSpec::None => Speaker::Null(NullSink::new(now)),
        })
    }
}

impl AudioSink for Speaker {
    fn name(&self) -> &str {
        match self {
            Speaker::Alsa(speaker) => speaker.name(),
            Speaker::Wav(speaker) => speaker.name(),
            Speaker::Null(speaker) => speaker.name(),
        }
    }

    fn wait(&self) -> Wait<'_> {
        match self {
            Speaker::Alsa(speaker) => speaker.wait(),
            Speaker::Wav(speaker) => speaker.wait(),
            Speaker::Null(speaker) => speaker.wait(),
        }
    }

    fn due(&mut self, now: Instant) -> Result<bool, Fault> {
        match self {
            Speaker::Alsa(speaker) => speaker.due(now),
            Speaker::Wav(speaker) => speaker.due(now),
            Speaker::Null(speaker) => speaker.due(now),
        }
    }

    fn write(&mut self, now: Instant, period: &Period) -> Result<Instant, Fault> {
        match self {
            Speaker::Alsa(speaker) => speaker.write(now, period),
            Speaker::Wav(speaker) => speaker.write(now, period),
            Speaker::Null(speaker) => speaker.write(now, period),
        }
    }

    fn xruns(&self) -> u64 {
        match self {
            Speaker::Alsa(speaker) => speaker.xruns(),
            Speaker::Wav(speaker) => speaker.xruns(),
            Speaker::Null(speaker) => speaker.xruns(),
        }
    }
}

/// Takes a period each 10 ms and forgets it.
#[derive(Debug)]
pub struct NullSink {
    pace: Pace,
}

impl NullSink {
    /// Begins now.
    pub fn new(now: Instant) -> NullSink {
        NullSink { pace: Pace::new(now) }
    }
}

impl AudioSink for NullSink {
    fn name(&self) -> &str {
        "none"
    }

    fn wait(&self) -> Wait<'_> {
        Wait::until(self.pace.next())
    }

    fn due(&mut self, now: Instant) -> Result<bool, Fault> {
        Ok(self.pace.due(now).is_some())
    }

    fn write(&mut self, now: Instant, _: &Period) -> Result<Instant, Fault> {
        self.pace.step(now);
        // It would be heard at once.
        Ok(self.pace.next() - PERIOD_TIME)
    }

    fn xruns(&self) -> u64 {
        self.pace.missed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spec_is_read_back_as_it_prints() {
        for typed in
            ["alsa:hw:CARD=A,DEV=0", "alsa:default", "tone:440", "tone:23999", "wav:/x y.wav", "wav:-", "film", "none"]
        {
            assert_eq!(typed.parse::<MicSpec>().unwrap().to_string(), typed);
        }
        for typed in ["alsa:plughw:0", "wav:out.wav", "wav:-", "none"] {
            assert_eq!(typed.parse::<SpeakerSpec>().unwrap().to_string(), typed);
        }
        assert_eq!("tone".parse(), Ok(MicSpec::Tone(440)));
    }

    #[test]
    fn what_is_no_spec_is_told_what_would_be() {
        for typed in ["", "alsa", "alsa:", "wav:", "tone:0", "tone:24000", "tone:x", "file:x", "alsa:a\0b"] {
            let error = typed.parse::<MicSpec>().unwrap_err().to_string();
            assert!(error.contains("alsa:") || error.contains("wav:") || error.contains("Hz"), "{typed}: {error}");
        }
        let error = "tone".parse::<SpeakerSpec>().unwrap_err().to_string();
        assert!(error.contains("alsa:default"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_spec_or_an_error(typed in ".*") {
            if let Ok(spec) = typed.parse::<MicSpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }
}
