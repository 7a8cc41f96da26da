//! `visavis demo`: two stations in one process call each other over loopback.

use super::media::{Defaults, Media};
use super::terminal::Terminal;
use super::{EX_SOFTWARE, Failure};
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::camera::CameraSpec;
use crate::device::screen::ScreenSpec;
use crate::identity::{SecretKey, system_random};
use crate::link::Trust;
use crate::media::Level;
use crate::station::{Chat, ChatConfig, Config, IpVersion, MediaConfig, PortConfig, Report};
use crate::sys::wake::Stop;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the picture is left that the far side showed.
const SNAPSHOT: &str = "visavis-demo.png";

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    media: Media,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    // A key for this run only: nothing is written but the picture.
    let secret = SecretKey::generate(system_random);
    let loopback = loopback();
    let ports = free_ports(loopback).map_err(|e| Failure::io("find two free ports", &e))?;
    let snapshot = args.media.snapshot.clone().unwrap_or_else(|| PathBuf::from(SNAPSHOT));
    // Flags speak of the near station, "door": its camera and microphone, and the far screen and loudspeaker that they
    // are seen and heard on. The way back is always the pattern and the tone.
    let media = args.media.config(defaults());
    let door = MediaConfig { screen: ScreenSpec::None, speaker: SpeakerSpec::None, ..media.clone() };
    let kitchen = MediaConfig { camera: CameraSpec::Pattern, mic: defaults().mic, ..media };
    let station = |name: &str, media, own: usize, snapshot| {
        let config = Config {
            name: name.into(),
            secret: secret.clone(),
            port: PortConfig {
                number: ports[own],
                may_move: false,
                address: Some(loopback),
                version: if loopback.is_ipv6() { IpVersion::V6 } else { IpVersion::V4 },
            },
            media,
            snapshot,
        };
        let host = loopback.to_string();
        let chat = ChatConfig { trusts: vec![Trust::Own], shown_code: None, host, port: ports[1 - own] };
        Chat::start(config, chat).map_err(|e| Failure::io("start a station", &e))
    };
    let stop = Stop::new().map_err(|e| Failure::io("make an eventfd", &e))?;
    let terminal = Terminal::new().map_err(|e| Failure::io("take over signals", &e))?;
    let door = station("door", door, 0, None)?;
    let kitchen = station("kitchen", kitchen, 1, Some(snapshot.clone()))?;
    let views = [door.view(), kitchen.view()];
    let reports = std::thread::scope(|scope| {
        let runs = [door, kitchen].map(|station| {
            let (stop, ended) = (stop.clone(), terminal.ended.clone());
            scope.spawn(move || {
                let report = station.run(&stop);
                ended.signal();
                report
            })
        });
        terminal.attend(&views, args.media.duration(), &stop);
        runs.map(|run| run.join().unwrap_or_else(|_| Err("a station's net loop panicked".into())))
    });
    let reports: Vec<Report> =
        reports.into_iter().collect::<Result<_, _>>().map_err(|bug| Failure { status: EX_SOFTWARE, message: bug })?;
    if args.media.json {
        let json = serde_json::json!({ "door": reports[0], "kitchen": reports[1] });
        if args.media.streams_to_stdout() { eprintln!("{json}") } else { println!("{json}") }
    }
    let talked = reports.iter().all(|report| report.link.connects > 0);
    if talked && snapshot.exists() {
        eprintln!("What the kitchen showed of the door is in {}.", snapshot.display());
    }
    Ok(if talked { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn defaults() -> Defaults {
    Defaults {
        camera: CameraSpec::Pattern,
        screen: ScreenSpec::None,
        mic: MicSpec::Tone(440),
        speaker: SpeakerSpec::None,
        level: Level::FULL,
    }
}

/// `::1`, or `127.0.0.1` on a machine without IPv6.
fn loopback() -> IpAddr {
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((six, 0)).is_ok() { six } else { Ipv4Addr::LOCALHOST.into() }
}

/// Two ports that nobody has. Each station must know the other's before either is bound.
fn free_ports(on: IpAddr) -> std::io::Result<[u16; 2]> {
    let (a, b) = (UdpSocket::bind((on, 0))?, UdpSocket::bind((on, 0))?);
    Ok([a.local_addr()?.port(), b.local_addr()?.port()])
}
