//! What a station keeps of the files and ports of its machine, once its configuration and its key are read: the rest is
//! given up before the first thread is started, so that whoever gets hold of one of them gets no further.
//!
//! | what | for |
//! |---|---|
//! | the state directory, and the folders of files that are to be written | reading and writing |
//! | /dev | opening what is there: devices come and go, and are opened again |
//! | /sys/devices | switching a USB port off and on, where a udev rule gives that file to the station |
//! | the control socket's folder, /tmp | making and removing sockets |
//! | the system's folders, the user's sound settings, the files that are played | reading |
//! | the TCP port of the metrics, where the configuration has one | listening |
//! | the program that reaches a camera module, where that is the camera, and the system's loader | running |
//! | TCP to port 53 | a name server whose answer is too long for a datagram |
//!
//! No other program can be started. UDP is not restricted: Landlock cannot, and the unit leaves it open since a station may be
//! anywhere.

use super::config::{Config, MediaConfig};
use super::intercom::IntercomConfig;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::rpicam;
use crate::device::screen::ScreenSpec;
use crate::device::y4m_sink::Y4mTarget;
use crate::sys::landlock::{self, Allowed, Confinement, Use};
use std::path::{Path, PathBuf};

/// What libraries read at any time: resolvers their settings (which may lie beneath /run), ALSA its plug-ins and cards,
/// the C library names, time zones and converters; and the kernel's words on devices and on this process.
const SYSTEM: [&str; 8] = ["/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sys", "/usr"];
/// The same for the sound of a desktop's user, in the home directory.
const SOUND_SETTINGS: [&str; 4] = [".asoundrc", ".config/alsa", ".config/pulse", ".config/pipewire"];
/// Where a USB port is switched off and on, if whoever installs the station lets it (see `device::usb`).
const USB_PORTS: &str = "/sys/devices";
/// Where alsa-lib makes the socket by which the users of a mixed (dmix) card find it; the name is built into it.
const SOUND_SOCKETS: &str = "/tmp";
/// What runs beside a program that is started: the loader (ld.so(8)) of each architecture, and what libcamera starts to keep
/// an image processor's own code apart.
const BESIDE: [&str; 4] =
    ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-armhf.so.3", "/usr/libexec/libcamera"];
/// Name servers, by TCP: RFC 7766.
const DNS: u16 = 53;

/// Gives up what a station of these settings does not need, for this thread and all that it starts; says in the log what
/// the kernel cannot do. `home` is the user's.
pub fn confine(config: &Config, intercom: Option<&IntercomConfig>, home: Option<&Path>) {
    // Folders that are made on demand: they must be there to be named. Whoever needs one says what is wrong with it.
    if let ScreenSpec::Png(folder) = &config.media.screen {
        let _ = std::fs::create_dir_all(folder);
    }
    if let Some((socket, _)) = intercom.and_then(|intercom| intercom.control.as_ref()) {
        let _ = std::fs::create_dir_all(folder_of(socket));
    }
    match landlock::confine(&allowed(config, intercom, home)) {
        Ok(done @ Confinement::Whole) => tracing::info!("{done}"),
        Ok(done) => tracing::warn!("{done}"),
        Err(error) => tracing::warn!("not confined by Landlock: {error}"),
    }
}

fn allowed(config: &Config, intercom: Option<&IntercomConfig>, home: Option<&Path>) -> Allowed {
    let mut paths: Vec<(PathBuf, Use)> = SYSTEM.iter().map(|folder| (folder.into(), Use::Read)).collect();
    paths.push(("/dev".into(), Use::Devices));
    paths.push((USB_PORTS.into(), Use::Devices));
    paths.push((SOUND_SOCKETS.into(), Use::Sockets));
    paths.extend(home.into_iter().flat_map(|home| SOUND_SETTINGS.map(|file| (home.join(file), Use::Read))));
    paths.extend(read(&config.media).map(|file| (file.to_owned(), Use::Read)));
    let written = written(&config.media).chain(config.snapshot.as_deref().map(folder_of));
    paths.extend(written.map(|folder| (folder.to_owned(), Use::Write)));
    if let Some(intercom) = intercom {
        paths.push((intercom.state.clone(), Use::Write));
        paths.extend(intercom.control.iter().map(|(socket, _)| (folder_of(socket).to_owned(), Use::Sockets)));
    }
    paths.extend(run(&config.media).map(|path| (path, Use::Run)));
    let tcp_listen = intercom.and_then(|intercom| intercom.metrics).map(|address| address.port());
    Allowed { paths, tcp_listen: tcp_listen.into_iter().collect(), tcp_connect: vec![DNS] }
}

/// The program that is started, and what runs beside it.
fn run(media: &MediaConfig) -> impl Iterator<Item = PathBuf> {
    let program = matches!(media.camera, CameraSpec::Module(_)).then(rpicam::program).flatten();
    program.into_iter().flat_map(|program| BESIDE.map(PathBuf::from).into_iter().chain([program]))
}

/// The files that are played.
fn read(media: &MediaConfig) -> impl Iterator<Item = &Path> {
    let camera = match &media.camera {
        CameraSpec::File(path) | CameraSpec::Y4m(path) => Some(path.as_path()),
        _ => None,
    };
    let mic = match &media.mic {
        MicSpec::Wav(path) => Some(path.as_path()),
        _ => None,
    };
    camera.into_iter().chain(mic)
}

/// The folders in which files are made.
fn written(media: &MediaConfig) -> impl Iterator<Item = &Path> {
    let screen = match &media.screen {
        ScreenSpec::Png(folder) => Some(folder.as_path()),
        ScreenSpec::Y4m(Y4mTarget::Path(path)) => Some(folder_of(path)),
        _ => None,
    };
    let speaker = match &media.speaker {
        SpeakerSpec::Wav(path) if path != Path::new("-") => Some(folder_of(path)),
        _ => None,
    };
    screen.into_iter().chain(speaker)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::m2m::CodecSpec;
    use crate::identity::{SecretKey, system_random};
    use crate::media::{Level, VideoCodec};
    use crate::station::{IpVersion, PortConfig};

    fn config(camera: &str, screen: &str, speaker: &str) -> Config {
        let media = MediaConfig {
            camera: camera.parse().unwrap(),
            screen: screen.parse().unwrap(),
            planes: true,
            mic: MicSpec::None,
            speaker: speaker.parse().unwrap(),
            codec: VideoCodec::H264,
            near: 0,
            bitrate_bps: None,
            size: None,
            rate_hz: None,
            level: Level::DEFAULT,
            looped: false,
            encoder: CodecSpec::Auto,
            decoder: CodecSpec::Auto,
            adapts: false,
            clean_mic: true,
        };
        let port = PortConfig { number: 0, may_move: false, address: None, version: IpVersion::Both };
        Config { name: "door".into(), secret: SecretKey::generate(system_random), port, media, snapshot: None }
    }

    fn paths(config: &Config, wanted: Use) -> Vec<PathBuf> {
        let allowed = allowed(config, None, Some(Path::new("/root")));
        allowed.paths.into_iter().filter(|(_, allowed)| *allowed == wanted).map(|(path, _)| path).collect()
    }

    #[test]
    fn a_station_of_devices_writes_nowhere_and_starts_nothing() {
        let config = config("/dev/video0", "drm", "alsa:default");
        assert!(paths(&config, Use::Write).is_empty() && paths(&config, Use::Run).is_empty());
        assert_eq!(paths(&config, Use::Devices), [Path::new("/dev"), Path::new("/sys/devices")]);
    }

    #[test]
    fn the_files_that_a_station_plays_and_makes_are_within_its_reach() {
        let config = config("file:/films/door.mp4", "png:/shown", "wav:heard.wav");
        assert!(paths(&config, Use::Read).contains(&"/films/door.mp4".into()));
        assert_eq!(paths(&config, Use::Write), [Path::new("/shown"), Path::new(".")]);
        assert_eq!(paths(&self::config("y4m:-", "y4m:-", "wav:-"), Use::Write), [] as [PathBuf; 0]);
    }
}
