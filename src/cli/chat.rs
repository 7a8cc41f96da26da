//! `visavis chat`: see and hear another station.

use super::media::{Defaults, Media, Version};
use super::terminal::Terminal;
use super::{EX_SOFTWARE, Failure, machine_name};
use crate::config::PORT;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::rpicam;
use crate::device::screen::ScreenSpec;
use crate::device::v4l2;
use crate::identity::{AddressBook, Code, SecretKey, state_directory, system_random};
use crate::link::Trust;
use crate::media::Level;
use crate::station::{Chat, ChatConfig, Config, IpVersion, PortConfig, confine, resolve};
use crate::sys::wake::Stop;
use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The other station's name or address
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The other station's UDP port, and this one's
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// This station's UDP port, where it is another
    #[arg(long, value_name = "PORT")]
    listen_port: Option<u16>,
    /// IP version; without it both are spoken
    #[arg(short = 'v', value_enum, value_name = "4|6")]
    version: Option<Version>,
    /// One-time secret that both sides give: the six words that the other station shows
    #[arg(long, value_name = "WORDS", num_args = 1..=6)]
    code: Vec<String>,
    /// The one station of the address book that may be at the host; without it, any of them
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// What the other station calls this one; without it the machine's name
    #[arg(long)]
    name: Option<String>,
    /// Where key and address book are kept
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    media: Media,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let state = args.state.clone().or_else(|| state_directory(|name| std::env::var_os(name)));
    let state = state.ok_or_else(|| Failure::config("no place to keep the key: set HOME, or give --state DIR"))?;
    let secret = SecretKey::load_or_create(&state, system_random).map_err(|e| Failure::config(e.to_string()))?;
    let book = AddressBook::load(&state).map_err(|e| Failure::config(e.to_string()))?;
    let version = args.version.map_or(IpVersion::Both, IpVersion::from);
    let (trusts, shown_code) = trusts(&args, &book, version)?;
    let config = Config {
        name: args.name.clone().unwrap_or_else(machine_name),
        secret,
        port: PortConfig {
            number: args.listen_port.unwrap_or(args.port),
            may_move: args.listen_port.is_none(),
            address: None,
            version,
        },
        media: args.media.config(defaults()),
        snapshot: args.media.snapshot.clone(),
    };
    let chat = ChatConfig { trusts, shown_code, host: args.host.clone(), port: args.port };
    let stop = Stop::new().map_err(|e| Failure::io("make an eventfd", &e))?;
    let terminal = Terminal::new().map_err(|e| Failure::io("take over signals", &e))?;
    confine(&config, None, std::env::var_os("HOME").as_deref().map(Path::new));
    let station = Chat::start(config, chat).map_err(|e| Failure::io("start the station", &e))?;
    let view = station.view();
    let (duration, ended) = (args.media.duration(), terminal.ended.clone());
    let report = std::thread::scope(|scope| {
        let attendant = scope.spawn(|| terminal.attend(std::slice::from_ref(&view), duration, &stop));
        let report = station.run(&stop);
        ended.signal();
        let _ = attendant.join();
        report
    });
    let report = report.map_err(|bug| Failure { status: EX_SOFTWARE, message: bug })?;
    if args.media.json {
        let json = report.to_json();
        // Where standard output is the picture or the sound, the report goes beside it.
        if args.media.streams_to_stdout() { eprintln!("{json}") } else { println!("{json}") }
    }
    Ok(if report.link.connects > 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The tutorial's: the default camera, microphone and loudspeaker, and a picture that is seen.
fn defaults() -> Defaults {
    Defaults {
        camera: first_camera(),
        screen: ScreenSpec::Auto,
        mic: MicSpec::Alsa("default".into()),
        speaker: SpeakerSpec::Alsa("default".into()),
        level: Level::DEFAULT,
    }
}

/// The camera that the udev rules name, or else the first that can be used, or else the board's camera module, or else
/// where one would come. A camera module's own nodes are none.
pub(super) fn first_camera() -> CameraSpec {
    let named = Path::new("/dev/visavis/camera");
    let mut cameras = v4l2::list();
    cameras.retain(|camera| !rpicam::is_of_pipeline(&camera.driver, camera.lacks.is_none()));
    if cameras.iter().any(|camera| camera.names.iter().any(|name| name == named)) {
        return CameraSpec::V4l2(named.into());
    }
    match cameras.into_iter().find(|camera| camera.lacks.is_none()) {
        Some(camera) => CameraSpec::V4l2(camera.path),
        None if rpicam::is_there() => CameraSpec::Module(0),
        None => CameraSpec::V4l2("/dev/video0".into()),
    }
}

/// Whom to trust: this machine itself, a station of the address book, or whoever has the one-time code; without any,
/// a new code, and how to use it.
fn trusts(args: &Args, book: &AddressBook, version: IpVersion) -> Result<(Vec<Trust>, Option<String>), Failure> {
    if !args.code.is_empty() {
        let code: Code = args.code.join(" ").parse().map_err(|e| Failure::config(format!("--code: {e}")))?;
        return Ok((vec![Trust::Code(code.psk())], None));
    }
    if let Some(name) = &args.peer {
        let peer = book.known(name).map_err(|e| Failure::config(format!("--peer: {e}")))?;
        return Ok((vec![Trust::Book(peer.key)], None));
    }
    // A name that cannot be looked up now may be later; it is then no address of this machine.
    let addresses = resolve(&args.host, args.port, version).unwrap_or_default();
    if addresses.iter().any(is_own) {
        return Ok((vec![Trust::Own], None));
    }
    // Whoever of the address book answers there is welcome.
    if !book.entries().is_empty() {
        return Ok((book.entries().iter().map(|entry| Trust::Book(entry.key)).collect(), None));
    }
    let code = Code::generate(system_random);
    eprintln!(
        "This station does not know {host} yet, and calls no strangers.\n\
         Start this on the other station, with this station's address for HERE:\n\n    \
         visavis chat --host HERE --port {port} --code {code}\n\n\
         Or, if that one showed a code already, press q and give it here with --code. A code is for one call.\n",
        host = args.host,
        port = args.listen_port.unwrap_or(args.port),
    );
    Ok((vec![Trust::Code(code.psk())], Some(code.to_string())))
}

/// Whether an address is one of this machine's own.
fn is_own(address: &SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    ip.is_loopback()
        || getifaddrs().is_ok_and(|all| {
            all.filter_map(|interface| interface.address).any(|a| {
                let v4 = a.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
                let v6 = a.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()));
                v4.or(v6) == Some(ip)
            })
        })
}
