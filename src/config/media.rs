//! The station itself and its four devices.

use super::Config;
use super::name::Name;
use super::value::{self, BitRate, FrameRate, number, text_value, time, words};
use crate::card::Language;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::m2m::CodecSpec;
use crate::device::screen::ScreenSpec;
use crate::media::{Level, Size, VideoCodec};
use crate::station::{IpVersion, MediaConfig};
use crate::time::Duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The tutorial's port.
pub const PORT: u16 = 10087;

/// `[station]`: what it is called and where it listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Station {
    /// What other stations call it; `None`: the machine's name.
    #[serde(with = "value")]
    pub name: Option<Name>,
    /// The language of its cards; `None`: what `LANG` says.
    #[serde(with = "value")]
    pub language: Option<Language>,
    /// Its UDP port.
    #[serde(deserialize_with = "number::<_, _, 1, 65535>")]
    pub port: u16,
    /// Versions of IP that it speaks.
    #[serde(with = "value")]
    pub ip: IpVersion,
    /// Whether it announces itself on the network, and finds others by name.
    pub find: bool,
    /// Whether pictures become fewer and smaller while the board is too hot, or too slow for them.
    pub adapt: bool,
}

impl Default for Station {
    fn default() -> Station {
        Station { name: None, language: None, port: PORT, ip: IpVersion::Both, find: true, adapt: true }
    }
}

words!(Language, "a language: \"en\", \"de\", \"es\", \"fr\", \"zh\" or \"auto\"",
    "en" => Language::English, "de" => Language::German, "es" => Language::Spanish, "fr" => Language::French,
    "zh" => Language::Chinese);
words!(IpVersion, "\"both\", \"4\" or \"6\"", "both" => IpVersion::Both, "4" => IpVersion::V4, "6" => IpVersion::V6);
words!(VideoCodec, "\"h264\", \"mjpeg\" or \"deflate\"",
    "h264" => VideoCodec::H264, "mjpeg" => VideoCodec::Mjpeg, "deflate" => VideoCodec::Deflate);
text_value!(CameraSpec, "a camera such as \"/dev/visavis/camera\", or \"auto\"");
text_value!(ScreenSpec, "a screen such as \"drm\" or \"auto\"");
text_value!(MicSpec, "a microphone such as \"alsa:default\"");
text_value!(SpeakerSpec, "a loudspeaker such as \"alsa:default\"");
text_value!(CodecSpec, "a codec: \"auto\", \"openh264\", \"m2m\" or \"m2m:/dev/video11\"");
text_value!(Size, "a size such as \"640x480\", or \"auto\"");

/// `[camera]`: where pictures come from, and how they are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Camera {
    /// The camera; `None`: the one that the udev rules name, or else the first that can be used.
    #[serde(with = "value")]
    pub device: Option<CameraSpec>,
    /// Picture size; `None`: 640x480 or the nearest that the camera has.
    #[serde(with = "value")]
    pub size: Option<Size>,
    /// Pictures a second; `None`: 30 or the nearest that the camera has.
    #[serde(with = "value")]
    pub rate: Option<FrameRate>,
    /// How pictures are encoded.
    #[serde(with = "value")]
    pub codec: VideoCodec,
    /// Who encodes H.264.
    #[serde(with = "value")]
    pub encoder: CodecSpec,
    /// The `deflate` codec's bound on the error of a sample.
    #[serde(deserialize_with = "number::<_, _, 0, 32>")]
    pub near: u8,
    /// What pictures may take of the network; `None`: what suits their size.
    #[serde(with = "value")]
    pub bitrate: Option<BitRate>,
    /// Scale and frame skipping.
    #[serde(deserialize_with = "level", serialize_with = "write_level")]
    pub level: Level,
    /// Whether a film begins anew when it ends.
    pub repeat: bool,
}

impl Default for Camera {
    fn default() -> Camera {
        Camera {
            device: None,
            size: None,
            rate: None,
            codec: VideoCodec::H264,
            encoder: CodecSpec::Auto,
            near: 0,
            bitrate: None,
            level: Level::DEFAULT,
            repeat: false,
        }
    }
}

fn level<'de, D: Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
    number::<_, u8, 0, 3>(from).map(|number| Level::new(number).unwrap_or_default())
}

fn write_level<S: Serializer>(level: &Level, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u8(level.number())
}

/// `[screen]`: where the far side's pictures and the station's own cards go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Screen {
    /// The screen.
    #[serde(with = "value")]
    pub device: ScreenSpec,
    /// Who decodes the far side's H.264.
    #[serde(with = "value")]
    pub decoder: CodecSpec,
    /// Whether the display hardware converts and scales pictures, and lays over them what stands upon them, where it can.
    pub planes: bool,
    /// It goes dark when nothing was touched for so long and nothing goes on; zero: never.
    #[serde(deserialize_with = "time::<_, 0, 86_400_000>", serialize_with = "value::serialize")]
    pub sleep: Duration,
}

impl Default for Screen {
    fn default() -> Screen {
        // Who has just hung up, or looked at the clock, has gone by then.
        let sleep = Duration::from_secs(5 * 60);
        Screen { device: ScreenSpec::default(), decoder: CodecSpec::Auto, planes: true, sleep }
    }
}

/// `[microphone]`: where sound comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Microphone {
    /// The microphone.
    #[serde(with = "value")]
    pub device: MicSpec,
    /// Whether it is freed of echo and noise, and its level seen to.
    pub clean: bool,
}

impl Default for Microphone {
    fn default() -> Microphone {
        Microphone { device: MicSpec::Alsa("default".into()), clean: true }
    }
}

/// `[loudspeaker]`: where the far side's sound and the station's own tones go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loudspeaker {
    /// The loudspeaker.
    #[serde(with = "value")]
    pub device: SpeakerSpec,
    /// How loud it is at the start, in percent of full.
    #[serde(deserialize_with = "number::<_, _, 0, 100>")]
    pub volume: u8,
}

impl Default for Loudspeaker {
    fn default() -> Loudspeaker {
        Loudspeaker { device: SpeakerSpec::Alsa("default".into()), volume: 100 }
    }
}

impl Config {
    /// Devices and quality as the stages want them. `camera` is the one for `"auto"`.
    pub fn media(&self, camera: impl FnOnce() -> CameraSpec) -> MediaConfig {
        MediaConfig {
            camera: self.camera.device.clone().unwrap_or_else(camera),
            screen: self.screen.device.clone(),
            planes: self.screen.planes,
            mic: self.microphone.device.clone(),
            clean_mic: self.microphone.clean,
            speaker: self.loudspeaker.device.clone(),
            codec: self.camera.codec,
            near: self.camera.near,
            encoder: self.camera.encoder.clone(),
            decoder: self.screen.decoder.clone(),
            bitrate_bps: self.camera.bitrate.map(|rate| rate.0),
            size: self.camera.size,
            rate_hz: self.camera.rate.map(|rate| rate.0),
            level: self.camera.level,
            looped: self.camera.repeat,
            adapts: self.station.adapt,
        }
    }
}
