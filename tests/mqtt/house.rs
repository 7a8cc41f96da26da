//! Stations, and what speaks to the broker for them: the program itself.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use visavis::panel::client::Client;
use visavis::panel::protocol::{Answer, Happening, Request, Status};

const PROGRAM: &str = env!("CARGO_BIN_EXE_visavis");
/// Anything that comes at all comes well within this, on a machine that does much else besides.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something, looking a few times a second.
pub fn until<T>(what: &str, mut is_it: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = is_it() {
            return found;
        }
        assert!(Instant::now() < end, "not {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A process of the program, with what it logs.
pub struct Running {
    child: Child,
    said: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command.env("VISAVIS_LOG", "debug").stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (tell, said) = channel();
        std::thread::spawn(move || {
            let mut lines = lines;
            lines.try_for_each(|line| tell.send(line))
        });
        Running { child, said }
    }

    /// Waits for a line that has `part` in it; all lines up to it.
    pub fn until_says(&self, part: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let is_it = line.contains(part);
                    seen.push(line);
                    if is_it {
                        return seen;
                    }
                }
                Err(_) => panic!("nothing of {part:?}; but {seen:#?}"),
            }
        }
    }

    /// What it has said and nobody has read yet.
    pub fn said(&self) -> Vec<String> {
        self.said.try_iter().collect()
    }

    /// Ends it without a word.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
    }

    /// Ends it as systemd does.
    pub fn stop(&mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A station without devices.
pub struct Station {
    pub name: &'static str,
    folder: PathBuf,
    port: u16,
    running: Running,
    events: Receiver<Happening>,
}

impl Station {
    /// With a picture of that size, and a door if it has a line.
    pub fn start(folder: &Path, name: &'static str, size: &str) -> Station {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let text = format!(
            "[station]\nname = '{name}'\nport = {port}\nfind = false\nadapt = false\n[camera]\ndevice = 'pattern'\n\
             size = '{size}'\nrate = '15 fps'\nlevel = 0\n[screen]\ndevice = 'none'\n[microphone]\ndevice = 'tone'\n\
             [loudspeaker]\ndevice = 'none'\n[keys]\n[door]\nline = 'NO-SUCH-LINE'\n"
        );
        fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        let socket = folder.join(format!("{name}.sock"));
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--config").arg(folder.join(format!("{name}.toml")));
        command.arg("--state").arg(folder.join(name)).arg("--socket").arg(&socket);
        let running = Running::start(&mut command);
        let mut watcher = until("listening", || Client::connect(std::slice::from_ref(&socket)).ok());
        assert_eq!(watcher.ask(&Request::Watch).unwrap(), Answer::Watching);
        let (tell, events) = channel();
        std::thread::spawn(move || {
            while let Ok(event) = watcher.next_event()
                && tell.send(event.what).is_ok()
            {}
        });
        Station { name, folder: folder.into(), port, running, events }
    }

    /// Starts `visavis mqtt` beside it, with `mqtt` as that section.
    pub fn bridge(&self, mqtt: &str) -> Running {
        let config = self.folder.join(format!("{}-mqtt.toml", self.name));
        fs::write(&config, format!("[station]\nname = '{}'\n[mqtt]\n{mqtt}\n", self.name)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("mqtt").arg("--config").arg(config).arg("--socket").arg(self.socket());
        Running::start(&mut command)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(format!("{}.sock", self.name))
    }

    pub fn ask(&self, request: &Request) -> Answer {
        Client::connect(&[self.socket()]).unwrap().ask(request).unwrap()
    }

    pub fn act(&self, action: &str) {
        assert_eq!(self.ask(&Request::Act(action.into())), Answer::Done, "{}: {action}", self.name);
    }

    pub fn status(&self) -> Status {
        match self.ask(&Request::Status) {
            Answer::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for something to happen; what happens before it is passed over.
    pub fn until(&self, what: &str, is_it: impl Fn(&Happening) -> bool) {
        let mut seen = Vec::new();
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(event) if is_it(&event) => return,
                Ok(event) => seen.push(event),
                Err(_) => panic!("{}: not {what}; but {seen:?}; {:#?}", self.name, self.running.said()),
            }
        }
    }

    pub fn until_state(&self, state: &str) {
        self.until(state, |event| matches!(event, Happening::State { state: now, .. } if now == state));
    }

    /// What has happened since it was last asked.
    pub fn happened(&self) -> Vec<Happening> {
        self.events.try_iter().collect()
    }
}

/// Two stations that know each other.
pub fn pair(folder: &Path) -> [Station; 2] {
    let door = Station::start(folder, "door", "160x120");
    let kitchen = Station::start(folder, "kitchen", "320x240");
    let Answer::Pairing { words } = door.ask(&Request::Pair { code: None, address: None }) else { panic!("no code") };
    let address = Some(format!("127.0.0.1:{}", door.port));
    kitchen.ask(&Request::Pair { code: Some(words), address });
    for station in [&door, &kitchen] {
        station.until("linked", |event| matches!(event, Happening::LinkUp { .. }));
    }
    [door, kitchen]
}
