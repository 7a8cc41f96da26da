//! What a station is made of, as meant.

use super::socket::IpVersion;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::file::{FilmClock, FilmTrack};
use crate::device::m2m::CodecSpec;
use crate::device::screen::ScreenSpec;
use crate::identity::SecretKey;
use crate::link::Trust;
use crate::media::{Level, Size, VideoCodec};
use std::net::IpAddr;
use std::path::PathBuf;

/// Devices and quality.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Where pictures come from.
    pub camera: CameraSpec,
    /// Where the far side's pictures go.
    pub screen: ScreenSpec,
    /// They may be left to the display hardware to convert and to scale.
    pub planes: bool,
    /// Where sound comes from.
    pub mic: MicSpec,
    /// A sound card's microphone is freed of echo and noise, and its level seen to.
    pub clean_mic: bool,
    /// Where the far side's sound goes.
    pub speaker: SpeakerSpec,
    /// How pictures are encoded.
    pub codec: VideoCodec,
    /// The `deflate` codec's bound on the error of a sample.
    pub near: u8,
    /// Who encodes H.264.
    pub encoder: CodecSpec,
    /// Who decodes it.
    pub decoder: CodecSpec,
    /// Bits a second for the picture; `None`: [`MediaConfig::bitrate_for`] its size.
    pub bitrate_bps: Option<u32>,
    /// The camera's picture size; `None`: 640x480 or what is nearest.
    pub size: Option<Size>,
    /// The camera's frames a second; `None`: 30 or what is nearest.
    pub rate_hz: Option<u32>,
    /// Scale and frame skipping.
    pub level: Level,
    /// A file starts again when it ends.
    pub looped: bool,
    /// Pictures become less while the board is hot or late.
    pub adapts: bool,
}

impl MediaConfig {
    /// The sound of the film that is the camera, if it is one; `clock` is what its pictures go by.
    pub(crate) fn film(&self, clock: &FilmClock) -> Option<FilmTrack> {
        match &self.camera {
            CameraSpec::File(path) => Some(FilmTrack { path: path.clone(), clock: clock.clone() }),
            _ => None,
        }
    }

    /// The bitrate for pictures of `size`: the one asked for, or 6.5 bits a second for each pixel, which is 2 Mbit/s
    /// at 640x480 and 6 Mbit/s at 1280x720, where openh264's picture has no visible blocks at 30 frames a second.
    pub fn bitrate_for(&self, size: Size) -> u32 {
        let by_size = (size.pixels() as u64 * 13 / 2).clamp(300_000, 8_000_000);
        self.bitrate_bps.unwrap_or(by_size as u32)
    }
}

/// Where a station listens.
#[derive(Clone, Copy, Debug)]
pub struct PortConfig {
    /// The UDP port; 0 for any.
    pub number: u16,
    /// Takes any other port where that one is in use: a second program on the same machine.
    pub may_move: bool,
    /// The address; `None` for all.
    pub address: Option<IpAddr>,
    /// Versions of IP.
    pub version: IpVersion,
}

/// What every station needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the far side's cards call it.
    pub name: String,
    /// Its key.
    pub secret: SecretKey,
    /// Where it listens.
    pub port: PortConfig,
    /// Devices and quality.
    pub media: MediaConfig,
    /// A PNG of what was last shown is left here at the end.
    pub snapshot: Option<PathBuf>,
}

/// Whom `chat` talks to.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// Whom it calls and who may call it.
    pub trusts: Vec<Trust>,
    /// What the one-time code is, to be shown while nobody has used it.
    pub shown_code: Option<String>,
    /// The other station's host name or address.
    pub host: String,
    /// The other station's port.
    pub port: u16,
}
