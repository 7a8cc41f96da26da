//! The flags that `chat` and `demo` share: devices, codec, quality, and when to end.

use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::m2m::CodecSpec;
use crate::device::screen::ScreenSpec;
use crate::media::{Level, Size, VideoCodec};
use crate::station::{IpVersion, MediaConfig};
use crate::time::Duration;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Devices and quality.
#[derive(Args, Debug)]
pub(super) struct Media {
    /// Camera: v4l2:/dev/video0 (or a bare path), module or module:1 (a Raspberry Pi's camera module), pattern, y4m:PATH|-, file:PATH (MP4, AVI, Y4M), none
    #[arg(long, value_name = "SOURCE")]
    camera: Option<CameraSpec>,
    /// Screen: drm, drm:card0/HDMI-A-1, fbdev:/dev/fb0, y4m:PATH|-, png:DIR, none
    #[arg(long, value_name = "SINK")]
    screen: Option<ScreenSpec>,
    /// Microphone: alsa:NAME, tone, wav:PATH|-, film (the sound of --camera file:PATH), none; a film whose sound can be
    /// played (PCM) brings it by itself
    #[arg(long, value_name = "SOURCE")]
    mic: Option<MicSpec>,
    /// Whether a sound card's microphone is freed of echo and noise, and its level seen to
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    clean_mic: bool,
    /// Loudspeaker: alsa:NAME, wav:PATH|-, none
    #[arg(long, value_name = "SINK")]
    speaker: Option<SpeakerSpec>,
    /// How pictures are encoded
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// With --codec deflate: the most that a sample may differ from the camera's; 0 is lossless
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=32))]
    near: u8,
    /// Who encodes H.264: auto, openh264, m2m (hardware) or m2m:/dev/video11
    #[arg(long, value_name = "CODEC", default_value_t)]
    encoder: CodecSpec,
    /// Who decodes H.264, likewise
    #[arg(long, value_name = "CODEC", default_value_t)]
    decoder: CodecSpec,
    /// Bits a second for the picture, such as 800k or 2M; without it, a rate that suits the size
    #[arg(long, value_name = "BPS", value_parser = bits_per_second)]
    bitrate: Option<u32>,
    /// Camera picture size; without it, 640x480 or the nearest that the camera has
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Camera frames a second; without it, 30 or the nearest that the camera has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=120))]
    rate: Option<u32>,
    /// Quality: the picture is scaled by max(1/(n+1), 0.3), and n frames are skipped between two that are sent;
    /// 1 where it is not given (in the demo 0)
    #[arg(long, value_name = "0..3", value_parser = level)]
    level: Option<Level>,
    /// Play a file from its start again when it ends
    #[arg(long = "loop")]
    looped: bool,
    /// End by itself after so many seconds
    #[arg(long, value_name = "N")]
    pub(super) seconds: Option<f64>,
    /// Print one JSON object with what was measured at the end
    #[arg(long)]
    pub(super) json: bool,
    /// Keep a picture of what the screen shows in this file (PNG)
    #[arg(long, value_name = "FILE")]
    pub(super) snapshot: Option<PathBuf>,
}

/// Where no flag says which device.
pub(super) struct Defaults {
    pub camera: CameraSpec,
    pub screen: ScreenSpec,
    pub mic: MicSpec,
    pub speaker: SpeakerSpec,
    pub level: Level,
}

impl Media {
    /// The station's configuration of it.
    pub(super) fn config(&self, defaults: Defaults) -> MediaConfig {
        let camera = self.camera.clone().unwrap_or(defaults.camera);
        let mic = self.mic.clone().or_else(|| MicSpec::of_camera(&camera)).unwrap_or(defaults.mic);
        MediaConfig {
            camera,
            screen: self.screen.clone().unwrap_or(defaults.screen),
            planes: true,
            mic,
            clean_mic: self.clean_mic,
            speaker: self.speaker.clone().unwrap_or(defaults.speaker),
            codec: self.codec.into(),
            near: self.near,
            encoder: self.encoder.clone(),
            decoder: self.decoder.clone(),
            bitrate_bps: self.bitrate,
            size: self.size,
            rate_hz: self.rate,
            level: self.level.unwrap_or(defaults.level),
            looped: self.looped,
            // Size, rate and bits were asked for on the command line.
            adapts: false,
        }
    }

    /// When to end, counted from the start.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.seconds.filter(|s| s.is_finite() && *s >= 0.0).map(|s| Duration::from_secs_f64(s.min(1e9)))
    }

    /// Whether pictures or sound go to standard output, so that nothing else may.
    pub(super) fn streams_to_stdout(&self) -> bool {
        self.screen.as_ref().is_some_and(|s| s.to_string().ends_with(":-"))
            || self.speaker.as_ref().is_some_and(|s| s.to_string().ends_with(":-"))
    }
}

/// Which versions of IP.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Version {
    /// IPv4 only
    #[value(name = "4")]
    V4,
    /// IPv6 only
    #[value(name = "6")]
    V6,
}

impl From<Version> for IpVersion {
    fn from(version: Version) -> IpVersion {
        match version {
            Version::V4 => IpVersion::V4,
            Version::V6 => IpVersion::V6,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Codec {
    /// The default: small, and every board has it
    H264,
    /// No smear, no delay, ten times the bits: for a wired network
    Mjpeg,
    /// Lossless, or with a bounded error (--near)
    Deflate,
}

impl From<Codec> for VideoCodec {
    fn from(codec: Codec) -> VideoCodec {
        match codec {
            Codec::H264 => VideoCodec::H264,
            Codec::Mjpeg => VideoCodec::Mjpeg,
            Codec::Deflate => VideoCodec::Deflate,
        }
    }
}

fn level(text: &str) -> Result<Level, String> {
    text.parse().ok().and_then(Level::new).ok_or_else(|| "a level is 0, 1, 2 or 3".into())
}

fn bits_per_second(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        _ => (text, 1.0),
    };
    let number: f64 = digits.parse().map_err(|_| "write it as 800k, 2M or 2000000".to_owned())?;
    let bps = number * unit;
    if !(50e3..=200e6).contains(&bps) {
        return Err("it must lie between 50k and 200M".into());
    }
    Ok(bps as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates_are_read_with_their_unit_and_bounds() {
        assert_eq!(bits_per_second("800k"), Ok(800_000));
        assert_eq!(bits_per_second("2.5M"), Ok(2_500_000));
        assert_eq!(bits_per_second("2000000"), Ok(2_000_000));
        for wrong in ["", "k", "2G", "-1M", "49k", "201M", "nan", "é"] {
            assert!(bits_per_second(wrong).is_err(), "{wrong}");
        }
    }
}
