//! `visavis check`: reads the configuration, prints what it comes to, and tries every device.

use super::chat::first_camera;
use super::state::State;
use super::{Failure, print};
use crate::call::Whom;
use crate::config::{CONFIG_FILE, Config};
use crate::device::audio::{Mic, MicSpec, Speaker, SpeakerSpec};
use crate::device::camera::{Camera, CameraRequest, CameraSpec};
use crate::device::drm::Options;
use crate::device::file::FilmClock;
use crate::device::gpio::LineSpec;
use crate::device::rpicam::Rpicam;
use crate::device::screen::{Screen, ScreenSpec};
use crate::device::y4m_sink::Y4mTarget;
use crate::device::{VideoSink, VideoSource};
use crate::identity::AddressBook;
use crate::media::VideoFormat;
use crate::station::MediaConfig;
use crate::sys::poll::Wait;
use crate::sys::{clock, poll};
use gpiocdev::chip::Chip;
use nix::poll::PollFd;
use nix::unistd::{AccessFlags, Group, access};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The configuration
    #[arg(value_name = "FILE", default_value = CONFIG_FILE)]
    file: PathBuf,
    #[command(flatten)]
    state: State,
}

/// What trying something came to: how it works, or what it lacks.
type Probed = Result<String, String>;

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if !args.file.exists() && args.file != Path::new(CONFIG_FILE) {
        return Err(Failure::config(format!("{}: there is no such file", args.file.display())));
    }
    let config = Config::load(&args.file).map_err(|error| Failure::config(error.to_string()))?;
    let mut lacks = 0;
    let mut report = config.to_toml() + "\n";
    if !args.file.exists() {
        remark(&mut report, &format!("{} is not there: these are the defaults", args.file.display()));
    }
    for (what, probed) in probe(&config) {
        lacks += usize::from(probed.is_err());
        let outcome = probed.unwrap_or_else(|lack| format!("lacks: {lack}"));
        remark(&mut report, &format!("{what}: {outcome}"));
    }
    for line in names(&config, args) {
        remark(&mut report, &line);
    }
    print(&report)?;
    Ok(if lacks == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A line about the configuration, as a comment of TOML: all that is printed reads back as the same configuration.
fn remark(report: &mut String, text: &str) {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(report, "# {text}");
}

/// Tries everything that the configuration names, and says how each came out.
pub(super) fn probe(config: &Config) -> Vec<(String, Probed)> {
    let media = config.media(first_camera);
    let mut probed = vec![
        (format!("camera {}", media.camera), camera(&media)),
        (format!("screen {}", media.screen), screen(&media.screen)),
        (format!("microphone {}", media.mic), microphone(&media)),
        (format!("loudspeaker {}", media.speaker), loudspeaker(&media.speaker)),
    ];
    let single = [("door", &config.door.line), ("rotary", &config.rotary.line_a), ("rotary", &config.rotary.line_b)];
    let single = single.into_iter().filter_map(|(what, line)| Some((what, line.as_ref()?)));
    let buttons = config.button.iter().map(|button| ("button", &button.line));
    let lamps = config.lamp.iter().map(|lamp| ("lamp", &lamp.line));
    let relays = config.relay.iter().map(|relay| ("relay", &relay.line));
    let lines = single.chain(buttons).chain(lamps).chain(relays);
    probed.extend(lines.map(|(what, line)| (format!("{what} {line}"), gpio_line(line))));
    if let Some(group) = &config.control.group {
        let found = Group::from_name(&group.0).ok().flatten();
        let found = found.map(|group| format!("works; group {}", group.gid));
        probed.push((format!("control group {}", group.0), found.ok_or_else(|| "there is no such group".into())));
    }
    probed
}

fn camera(media: &MediaConfig) -> Probed {
    match &media.camera {
        CameraSpec::None => return Ok("nothing is sent".into()),
        // A pipe is read once, by the station.
        CameraSpec::Y4mStdin => return Ok("is read when the station runs".into()),
        CameraSpec::Y4m(path) => return readable(path),
        _ => {}
    }
    let request = CameraRequest {
        size: media.size,
        rate_hz: media.rate_hz,
        prefer: media.codec,
        looped: media.looped,
        film: FilmClock::default(),
    };
    match Camera::open(&media.camera, &request, clock::now()) {
        Ok(Some(Camera::Module(mut module))) => module_picture(&mut module),
        Ok(Some(camera)) => Ok(works(&camera.format())),
        Ok(None) => Ok("nothing is sent".into()),
        Err(fault) => Err(fault.to_string()),
    }
}

fn works(format: &VideoFormat) -> String {
    let rate = f64::from(format.millihertz) / 1_000.0;
    format!("works; {} {}, {rate} pictures a second", format.pixel, format.size)
}

/// Waits for its first picture: what its program lacks, that says only when it runs. A silent one is a fault in time.
fn module_picture(module: &mut Rpicam) -> Probed {
    loop {
        let Wait { fd, at } = module.wait();
        let mut fds: Vec<_> = fd.map(|(fd, events)| PollFd::new(fd, events)).into_iter().collect();
        poll::wait(&mut fds, at).map_err(|e| e.to_string())?;
        match module.capture(clock::now()) {
            Ok(Some(picture)) => return Ok(works(&picture.format)),
            Ok(None) => {}
            Err(fault) => return Err(fault.to_string()),
        }
    }
}

fn screen(spec: &ScreenSpec) -> Probed {
    match spec {
        ScreenSpec::None => return Ok("nothing is shown".into()),
        // Opening these would make or empty them.
        ScreenSpec::Y4m(Y4mTarget::Stdout) => return Ok("is written when the station runs".into()),
        ScreenSpec::Y4m(Y4mTarget::Path(path)) | ScreenSpec::Png(path) => return writable(path),
        ScreenSpec::Auto | ScreenSpec::Drm(_) | ScreenSpec::Fbdev(_) => {}
    }
    match Screen::open(spec, Options::default(), clock::now()) {
        Ok(Screen::None(_)) => Err("no screen is connected; a station without one says device = \"none\"".into()),
        Ok(screen) => {
            let size = screen.size().map_or_else(String::new, |size| format!(", {size}"));
            Ok(format!("works; {}{size}", screen.name()))
        }
        Err(fault) => Err(fault.to_string()),
    }
}

fn microphone(media: &MediaConfig) -> Probed {
    match &media.mic {
        MicSpec::None => Ok("nothing is sent".into()),
        MicSpec::Wav(path) if path == Path::new("-") => Ok("is read when the station runs".into()),
        spec => {
            let film = media.film(&FilmClock::default());
            let opened = Mic::open(spec, media.looped, film.as_ref(), clock::now());
            opened.map(|_| "works".into()).map_err(|fault| fault.to_string())
        }
    }
}

fn loudspeaker(spec: &SpeakerSpec) -> Probed {
    match spec {
        SpeakerSpec::None => Ok("nothing is heard".into()),
        SpeakerSpec::Wav(path) if path == Path::new("-") => Ok("is written when the station runs".into()),
        SpeakerSpec::Wav(path) => writable(path),
        spec => Speaker::open(spec, clock::now()).map(|_| "works".into()).map_err(|fault| fault.to_string()),
    }
}

fn readable(path: &Path) -> Probed {
    access(path, AccessFlags::R_OK).map(|()| "is read when the station runs".into()).map_err(|e| e.desc().into())
}

/// Whether `path`, or else the folder that it would be made in, may be written.
fn writable(path: &Path) -> Probed {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = if path.exists() { path } else { folder };
    let may = access(place, AccessFlags::W_OK);
    may.map(|()| "is written when the station runs".into()).map_err(|e| format!("{}: {}", place.display(), e.desc()))
}

/// Looks at a line without claiming it: a strike that is claimed might move.
fn gpio_line(line: &LineSpec) -> Probed {
    let found = match line {
        LineSpec::Name(name) => gpiocdev::find_named_line(name).map(|found| found.info),
        LineSpec::Place { chip, offset } => chip_called(chip)?.line_info(*offset).ok(),
    };
    let info = found.ok_or_else(|| unseen(line))?;
    match (info.used, info.consumer.as_str()) {
        (false, _) => Ok("is there, and free".into()),
        (true, "visavis") => Ok("is there; a station that runs has it".into()),
        (true, consumer) => Err(format!("it is in use by {consumer}")),
    }
}

/// The chip with this node, name or label.
fn chip_called(name: &str) -> Result<Chip, String> {
    let none = || format!("there is no GPIO chip {name:?}, or this user may not open it: see `visavis devices`");
    let chips = gpiocdev::chip::chips().map_err(|_| none())?;
    let opened = chips.into_iter().filter_map(|path| Chip::from_path(path).ok());
    let is_it = |chip: &Chip| {
        chip.path() == Path::new(name) || chip.name() == name || chip.info().is_ok_and(|info| info.label == name)
    };
    opened.into_iter().find(is_it).ok_or_else(none)
}

fn unseen(line: &LineSpec) -> String {
    let any_denied =
        gpiocdev::chip::chips().unwrap_or_default().iter().any(|path| access(path, AccessFlags::R_OK).is_err());
    match line {
        _ if any_denied => "this user may not open the GPIO chips: `visavis devices` names the group to join".into(),
        LineSpec::Name(_) => "no GPIO chip has a line of this name: `visavis devices` lists them".into(),
        LineSpec::Place { .. } => "the chip has no line of this number: `visavis devices` lists them".into(),
    }
}

/// Names that nobody in the address book has. They are no fault: a station may be paired tomorrow.
fn names(config: &Config, args: &Args) -> Vec<String> {
    let usual = match &config.call.usual {
        Whom::Named(name) if !config.call.groups.keys().any(|group| group.as_str() == name) => Some(name.as_str()),
        _ => None,
    };
    let members = config.call.groups.values().flatten().map(|name| name.as_str());
    let without_call = config.door.without_call.iter().map(|name| name.as_str());
    let peers = config.peer.iter().map(|peer| peer.name.as_str());
    let mut named: Vec<&str> = usual.into_iter().chain(members).chain(without_call).chain(peers).collect();
    named.sort_unstable();
    named.dedup();
    if named.is_empty() {
        return Vec::new();
    }
    let book = args.state.directory().and_then(|directory| Ok(AddressBook::load(&directory)?));
    match book {
        Ok(book) => named
            .into_iter()
            .filter(|name| book.by_name(name).is_none())
            .map(|name| format!("{name}: not in the address book yet; `visavis pair` makes it known"))
            .collect(),
        Err(failure) => vec![format!("names could not be looked up: {}", failure.message)],
    }
}
