//! visavis itself under measurement: the command lines of two stations on one machine.
//!
//! Both have the same user and the same state directory, so the same station key: they trust each other without a code.

use crate::clip::Clip;
use crate::feed::Framing;
use crate::live::{Setup, Side};
use crate::peers::bitrate_bps;
use crate::relay;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Where the calling station listens.
pub const NEAR_PORT: u16 = 10088;
/// Where the called station listens.
pub const FAR_PORT: u16 = 10087;

/// What is measured, and where it keeps its key.
#[derive(Clone)]
pub struct Station {
    /// The program.
    pub program: PathBuf,
    /// Its state directory.
    pub state: PathBuf,
    /// Whether the two stations reach each other through the relay.
    pub relayed: bool,
}

/// What a station's camera, screen, microphone and loudspeaker are; `none` where nothing is said.
#[derive(Clone, Copy, Default)]
pub struct Devices<'a> {
    /// `--camera`.
    pub camera: Option<&'a str>,
    /// `--screen`.
    pub screen: Option<&'a str>,
    /// `--mic`.
    pub mic: Option<&'a str>,
    /// `--speaker`.
    pub speaker: Option<&'a str>,
}

impl Station {
    /// The same with the relay between the two.
    pub fn through_relay(&self) -> Station {
        Station { relayed: true, ..self.clone() }
    }

    /// A station that listens on `listen` and calls the other one.
    pub fn chat(&self, listen: u16, devices: Devices, more: &[&str]) -> Command {
        let other = match (listen == NEAR_PORT, self.relayed) {
            (true, false) => FAR_PORT,
            (true, true) => relay::NEAR_FACE,
            (false, false) => NEAR_PORT,
            (false, true) => relay::FAR_FACE,
        };
        let mut command = Command::new(&self.program);
        command.args(["chat", "--host", "127.0.0.1", "-v", "4", "--level", "0", "--json"]);
        command.args(["--port", &other.to_string(), "--listen-port", &listen.to_string()]);
        command.arg("--state").arg(&self.state);
        let parts = [
            ("--camera", devices.camera),
            ("--screen", devices.screen),
            ("--mic", devices.mic),
            ("--speaker", devices.speaker),
        ];
        for (option, device) in parts {
            command.args([option, device.unwrap_or("none")]);
        }
        command.args(more);
        command
    }

    /// One way, picture only: a camera on a pipe here, a screen on a pipe there.
    pub fn one_way(&self, name: &str, clip: &Arc<Clip>, codec: &[&str]) -> Setup {
        let more = words(clip, codec);
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let near = self.chat(NEAR_PORT, Devices { camera: Some("y4m:-"), ..Devices::default() }, &more);
        let far = self.chat(FAR_PORT, Devices { screen: Some("y4m:-"), ..Devices::default() }, &more);
        Setup {
            name: name.to_owned(),
            clip: Arc::clone(clip),
            sender: Side { command: near, camera: Some(Framing::Y4m), screen: None },
            receiver: Side { command: far, camera: None, screen: Some(Framing::Y4m) },
            receiver_port: FAR_PORT,
            display_pace: None,
        }
    }

    /// One way from a film of MJPEG, which goes through untouched.
    pub fn passed_through(&self, name: &str, clip: &Arc<Clip>, film: &Path) -> Setup {
        let setup = self.one_way(name, clip, &["--codec", "mjpeg"]);
        let film = format!("file:{}", film.display());
        let devices = Devices { camera: Some(&film), ..Devices::default() };
        let command = self.chat(NEAR_PORT, devices, &["--loop", "--codec", "mjpeg"]);
        Setup { sender: Side { command, camera: None, screen: None }, ..setup }
    }

    /// Both ways with sound: what a call is.
    pub fn two_way(&self, name: &str, clip: &Arc<Clip>) -> Setup {
        let more = words(clip, &["--codec", "h264"]);
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let side = |port| {
            let heard = format!("wav:{}", self.state.join(format!("heard-{port}.wav")).display());
            let devices =
                Devices { camera: Some("y4m:-"), screen: Some("y4m:-"), mic: Some("tone"), speaker: Some(&heard) };
            let command = self.chat(port, devices, &more);
            Side { command, camera: Some(Framing::Y4m), screen: Some(Framing::Y4m) }
        };
        Setup {
            name: name.to_owned(),
            clip: Arc::clone(clip),
            sender: side(NEAR_PORT),
            receiver: side(FAR_PORT),
            receiver_port: FAR_PORT,
            display_pace: None,
        }
    }
}

fn words(clip: &Clip, codec: &[&str]) -> Vec<String> {
    let size = format!("{}x{}", clip.size.width, clip.size.height);
    let rate = bitrate_bps(clip).to_string();
    let fixed = ["--size", &size, "--rate", "30", "--bitrate", &rate];
    fixed.iter().chain(codec).map(|word| (*word).to_owned()).collect()
}
