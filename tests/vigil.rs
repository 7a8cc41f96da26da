//! Goal: the service manager is told the truth: that a station is ready when its devices work or have said why not, what it
//! does, and that it lives for as long as it does. Method: the program itself, with a socket of the test's own in the place
//! of systemd's. One of its threads is held up by ptrace(2), as a driver does that does not return. What is waited for is a
//! message, never a time, but for the one time that the manager itself goes by: the watchdog's.

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Anything that comes at all comes well within this, on a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the manager waits for a sign of life: the station gives one three times as often.
const WATCHDOG: Duration = Duration::from_secs(3);

/// Everything in it works on any machine.
const WORKING: &str = "[camera]\ndevice = 'pattern'\nsize = '160x120'\n[screen]\ndevice = 'none'\n\
                       [microphone]\ndevice = 'tone'\n[loudspeaker]\ndevice = 'none'\n";

/// A station as systemd has it, and what it said.
struct Service {
    folder: PathBuf,
    manager: UnixDatagram,
    child: Child,
    said: Vec<String>,
}

impl Service {
    fn start(name: &str, config: &str) -> Service {
        let folder = std::env::temp_dir().join(format!("visavis-vigil-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        // Free a moment ago; what the kernel gives out goes up, so that nobody else has it yet.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let file = folder.join("station.toml");
        fs::write(&file, format!("[station]\nport = {port}\nfind = false\n{config}")).unwrap();
        let socket = folder.join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_visavis"))
            .args(["run".as_ref(), "--config".as_ref(), file.as_os_str()])
            .args(["--state".as_ref(), folder.join("state").as_os_str()])
            .args(["--socket".as_ref(), folder.join("control").as_os_str()])
            .env("NOTIFY_SOCKET", socket)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .stdin(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        Service { folder, manager, child, said: Vec::new() }
    }

    /// The next message, if one comes within `limit`.
    fn next(&mut self, limit: Duration) -> Option<String> {
        let mut bytes = [0; 1_024];
        self.manager.set_read_timeout(Some(limit)).unwrap();
        match self.manager.recv(&mut bytes) {
            Ok(len) => {
                let message = String::from_utf8(bytes[..len].to_vec()).unwrap();
                self.said.push(message.clone());
                Some(message)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for a message that has `words` in it.
    fn until(&mut self, words: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let left = give_up.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match self.next(left) {
                Some(message) if message.contains(words) => return message,
                Some(_) => {}
                None => panic!("not {words}, but {:?}; its log: {}", self.said, self.log()),
            }
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The thread of that name; the program's own is its net loop.
    fn thread(&self, name: &str) -> Pid {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let found = threads
            .filter_map(Result::ok)
            .find(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(|called| called.trim() == name));
        let id = found.unwrap_or_else(|| panic!("no thread is called {name}")).file_name();
        Pid::from_raw(id.to_str().unwrap().parse().unwrap())
    }

    fn end(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        self.until("STOPPING=1");
        self.child.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Holds a thread up; the others go on.
fn hold(thread: Pid) {
    ptrace::seize(thread, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(thread).unwrap();
    let stopped = waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
    assert!(matches!(stopped, WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)), "{stopped:?}");
}

#[test]
fn a_station_says_that_it_is_ready_what_it_does_and_that_it_lives_until_it_ends() {
    let mut station = Service::start("ready", WORKING);
    station.until("READY=1");
    station.until("STATUS=idle, paired with nobody yet");
    for _ in 0..3 {
        station.until("WATCHDOG=1");
    }
    assert_eq!(station.end().code(), Some(0));
    let again = station.said.iter().filter(|said| said.starts_with("READY") || said.starts_with("STATUS=idle"));
    assert_eq!(again.count(), 2, "each was said once: {:?}", station.said);
}

#[test]
fn a_device_that_is_not_there_has_said_why_and_keeps_nobody_waiting() {
    let mut station = Service::start("absent", &WORKING.replace("'pattern'", "'/dev/no-such-camera'"));
    station.until("READY=1");
    station.until("STATUS=idle, paired with nobody yet; no camera: /dev/no-such-camera is absent");
    station.until("WATCHDOG=1");
    assert_eq!(station.end().code(), Some(0));
}

#[test]
fn no_sign_of_life_comes_from_a_net_loop_that_is_held_up_and_what_goes_on_afterwards_is_no_fault() {
    let mut station = Service::start("net", WORKING);
    station.until("READY=1");
    station.until("WATCHDOG=1");
    let net_loop = station.pid();
    hold(net_loop);
    while station.next(Duration::from_millis(1)).is_some() {}
    assert_eq!(station.next(WATCHDOG), None, "systemd would now start it anew");
    ptrace::detach(net_loop, None).unwrap();
    for _ in 0..6 {
        station.until("WATCHDOG=1");
    }
    assert_eq!(station.end().code(), Some(0), "{}", station.log());
}

#[test]
fn a_stage_that_is_held_up_ends_the_program_which_says_what_it_was() {
    for (thread, words) in [("compress", "encoder: it does not return"), ("voice", "sound card: its driver")] {
        let mut station = Service::start(thread, WORKING);
        station.until("READY=1");
        // The thread has answered once by then: what never did is told, and kept.
        for _ in 0..3 {
            station.until("WATCHDOG=1");
        }
        let held = station.thread(thread);
        hold(held);
        let last = station.until("STOPPING=1");
        assert!(last.contains(words), "{last}");
        // A thread that is traced is its tracer's to bury.
        waitpid(held, Some(WaitPidFlag::__WALL)).unwrap();
        assert_eq!(station.child.wait().unwrap().code(), Some(75), "{}", station.log());
        assert!(station.log().contains(words), "{}", station.log());
        let after = station.said.iter().position(|said| said.contains("STOPPING=1")).unwrap();
        assert_eq!(after + 1, station.said.len(), "nothing is said after that");
    }
}
