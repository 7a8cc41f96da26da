//! Goal: a station that has given up by Landlock what it does not need still does its work, and gets nowhere else.
//! Method: the program itself, `visavis run`, on loopback ports, with its state in a directory of the test's own; what it
//! logs and publishes is what is waited for. Where the kernel has no Landlock, the program says so, and what would be
//! denied is left out.

#[path = "shared/scratch.rs"]
mod scratch;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scratch::Scratch;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use visavis::journal::{SNAPSHOTS_FOLDER, STILLS_FOLDER, What, read};
use visavis::panel::client::Client;
use visavis::panel::protocol::{Answer, Request};

const PROGRAM: &str = env!("CARGO_BIN_EXE_visavis");
/// Anything that comes at all comes well within this, on a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    told
}

/// A station, killed when it is dropped.
struct Station {
    child: Child,
    state: PathBuf,
    socket: PathBuf,
    port: u16,
    said: Receiver<String>,
    events: Receiver<String>,
    /// Whether the kernel could confine it.
    is_confined: bool,
}

impl Station {
    fn start(folder: &Path, name: &str) -> Station {
        let (state, socket) = (folder.join(name), folder.join(format!("{name}-run/control.sock")));
        // Free a moment ago; what the kernel gives out goes up, so that nobody else has it yet.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = folder.join(format!("{name}.toml"));
        let shown = folder.join(format!("{name}-shown"));
        let text = format!(
            "[station]\nname = '{name}'\nport = {port}\nfind = false\n[camera]\ndevice = 'pattern'\nsize = '320x240'\n\
             [screen]\ndevice = 'png:{}'\n[microphone]\ndevice = 'tone'\n[loudspeaker]\ndevice = 'none'\n[keys]\n",
            shown.display()
        );
        fs::write(&config, text).unwrap();
        // The socket is there when it has been made; its folder is, too, so that it can be watched.
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let folder = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
        folder.add_watch(socket.parent().unwrap(), AddWatchFlags::IN_ATTRIB).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--config").arg(config).arg("--state").arg(&state).arg("--socket").arg(&socket);
        let mut child = command.env("VISAVIS_LOG", "info").stderr(Stdio::piped()).spawn().unwrap();
        let said = lines(child.stderr.take().unwrap());
        let confined = until(&said, "confined by Landlock");
        // It is given its mode after it listens.
        folder.read_events().unwrap();
        let events = watch(&socket);
        let is_confined = !confined.contains("not confined");
        Station { child, state, socket, port, said, events, is_confined }
    }

    fn ask(&self, command: &str, words: &[&str]) -> String {
        let output = Command::new(PROGRAM).arg(command).arg("--socket").arg(&self.socket).args(words).output().unwrap();
        assert!(output.status.success(), "{command} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn stop(mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the station publishes, a line each.
fn watch(socket: &Path) -> Receiver<String> {
    let mut client = Client::connect(&[socket.to_owned()]).unwrap();
    assert_eq!(client.ask(&Request::Watch).unwrap(), Answer::Watching);
    let (tell, told) = channel();
    std::thread::spawn(move || {
        while let Ok(event) = client.next_event()
            && tell.send(format!("{:?}", event.what)).is_ok()
        {}
    });
    told
}

/// Waits for a line that has `part` in it.
fn until(told: &Receiver<String>, part: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(part) => return line,
            Ok(line) => seen.push(line),
            Err(_) => panic!("nothing of {part}; but {seen:#?}"),
        }
    }
}

/// Makes two stations known to each other.
fn pair(door: &Station, kitchen: &Station) {
    let mut waiting = Command::new(PROGRAM);
    waiting.arg("pair").arg("--socket").arg(&door.socket).stdout(Stdio::piped());
    let mut waiting = waiting.spawn().unwrap();
    let line = until(&lines(waiting.stdout.take().unwrap()), "visavis pair ");
    let words = line.trim().trim_start_matches("visavis pair ").to_owned();
    kitchen.ask("pair", &["--at", &format!("127.0.0.1:{}", door.port), &words]);
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn a_confined_station_pairs_is_rung_and_keeps_what_it_should() {
    let scratch = Scratch::new("works");
    let [door, kitchen] = ["door", "kitchen"].map(|name| Station::start(&scratch.0, name));
    for thread in fs::read_dir(format!("/proc/{}/task", door.child.id())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(!door.is_confined || status.contains("NoNewPrivs:\t1"), "a thread is not confined: {status}");
    }
    pair(&door, &kitchen);
    until(&kitchen.events, "LinkUp");
    kitchen.ask("ctl", &["ring", "door"]);
    until(&door.events, "\"ringing\"");
    kitchen.ask("ctl", &["hang-up"]);
    until(&door.events, "MissedCall");
    door.ask("ctl", &["snapshot"]);
    until(&door.said, "the screen's picture is in");
    let state = door.state.clone();
    door.stop();
    kitchen.stop();
    let (records, unreadable) = read(&state).unwrap();
    assert_eq!((records[0].what, records[0].who.as_str(), unreadable), (What::MissedCall, "kitchen", 0));
    assert_eq!(fs::read_dir(state.join(SNAPSHOTS_FOLDER)).unwrap().count(), 1);
}

#[test]
fn a_way_that_leads_out_of_its_state_is_closed_to_it() {
    let scratch = Scratch::new("closed");
    let outside = scratch.0.join("outside");
    for folder in [&outside, &scratch.0.join("door")] {
        fs::create_dir(folder).unwrap();
    }
    std::os::unix::fs::symlink(&outside, scratch.0.join("door").join(STILLS_FOLDER)).unwrap();
    let door = Station::start(&scratch.0, "door");
    if !door.is_confined {
        println!("left out: this kernel has no Landlock");
        return;
    }
    // It lists the folder before it writes there, and may not even do that.
    let line = until(&door.said, "no journal");
    assert!(line.contains("Permission denied"), "{line}");
    // That is no reason not to be there.
    assert!(door.ask("status", &["--json"]).contains("\"door\""));
    door.stop();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
