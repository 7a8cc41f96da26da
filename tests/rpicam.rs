//! Goal: a station whose camera is a Raspberry Pi's camera module shows pictures, within what it has given up by Landlock,
//! and has them again after its program died or went silent; and its words say what is missing. Method: the program itself;
//! in the place of `rpicam-vid`, found by PATH, is this test program under that name, which writes what `rpicam-vid` writes,
//! and fails as it is told by its environment. What the station logs is what is waited for.

#[path = "shared/serial.rs"]
mod serial;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use visavis::sys::clock;

const PROGRAM: &str = env!("CARGO_BIN_EXE_visavis");
/// Anything that comes at all comes well within this, on a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(60);
/// What tells the program in `rpicam-vid`'s place how to fail.
const FAILS: &str = "VISAVIS_TEST_RPICAM";

const TESTS: [(&str, fn()); 4] = [
    ("a_program_that_dies_is_started_again", a_program_that_dies_is_started_again),
    ("a_program_that_goes_silent_is_started_again", a_program_that_goes_silent_is_started_again),
    ("what_is_missing_is_said", what_is_missing_is_said),
    ("modules_are_listed", modules_are_listed),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments[0].ends_with("rpicam-vid") {
        return match rpicam_vid(&arguments[1..]) {
            Ok(status) => status,
            Err(_) => ExitCode::from(1),
        };
    }
    serial::run(&TESTS.map(|(name, test)| (name, None, test)), "");
    ExitCode::SUCCESS
}

/// What `rpicam-vid` does with the arguments that visavis gives it.
fn rpicam_vid(arguments: &[String]) -> io::Result<ExitCode> {
    let value = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name)).unwrap_or_default();
    let fails = std::env::var(FAILS).unwrap_or_default();
    if arguments.iter().any(|argument| argument == "--list-cameras") {
        print!(
            "Available cameras\n-----------------\n0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c@1/imx219@10)\n"
        );
        println!("    Modes: 'SRGGB10_CSI2P' : 640x480 [103.33 fps - (1000, 752)/1280x960 crop]");
        return Ok(ExitCode::SUCCESS);
    }
    if fails == "none" {
        eprintln!("ERROR: *** no cameras available ***");
        return Ok(ExitCode::from(255));
    }
    // No part of the real one: whether the station's confinement holds for what it starts.
    if Command::new("/usr/bin/env").arg("true").status().is_ok() {
        eprintln!("WARNING: another program can be run");
    }
    let (width, height): (usize, usize) = (value("--width=").parse().unwrap(), value("--height=").parse().unwrap());
    let mut records = fs::File::create(value("--metadata="))?;
    let mut pictures = io::stdout();
    for number in 0.. {
        pictures.write_all(&vec![number as u8; width * height * 3 / 2])?;
        pictures.flush()?;
        write!(records, "ExposureTime=9986\nSensorTimestamp={}\nLux=42.0\n\n", clock::now().as_nanos())?;
        if number == 20 && fails == "dies" {
            eprintln!("ERROR: *** failed to queue request ***");
            return Ok(ExitCode::from(255));
        }
        if number == 20 && fails == "silent" {
            loop {
                std::thread::park();
            }
        }
        // The sensor's pace.
        std::thread::sleep(Duration::from_millis(33));
    }
    Ok(ExitCode::SUCCESS)
}

/// A folder of a test's own, removed when it ends, with `rpicam-vid` and a configuration in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("visavis-module-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("bin")).unwrap();
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), path.join("bin/rpicam-vid")).unwrap();
        // Free a moment ago; what the kernel gives out goes up, so that nobody else has it yet.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let text = format!(
            "[station]\nport = {port}\nfind = false\n[camera]\ndevice = 'module'\nsize = '128x96'\n[screen]\n\
             device = 'none'\n[microphone]\ndevice = 'none'\n[loudspeaker]\ndevice = 'none'\n"
        );
        fs::write(path.join("station.toml"), text).unwrap();
        Scratch(path)
    }

    fn visavis(&self, path: &Path, fails: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env("PATH", path).env(FAILS, fails).env("VISAVIS_LOG", "info").stdin(Stdio::null());
        command
    }

    /// Starts a station; what it logs comes line by line.
    fn run(&self, fails: &str) -> Station {
        let mut command = self.visavis(&self.0.join("bin"), fails);
        command.arg("run").arg("--config").arg(self.0.join("station.toml"));
        command.arg("--state").arg(self.0.join("state")).arg("--socket").arg(self.0.join("control"));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (tell, said) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Station { child, said, seen: Vec::new() }
    }

    /// What a command prints.
    fn ask(&self, path: &Path, fails: &str, words: &[&str]) -> String {
        let output = self.visavis(path, fails).args(words).current_dir(&self.0).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Station {
    child: Child,
    said: Receiver<String>,
    seen: Vec<String>,
}

impl Station {
    /// Waits for a line that has `part` in it.
    fn until(&mut self, part: &str) {
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("nothing of {part}; but {:#?}", self.seen),
            }
            if self.seen.last().is_some_and(|line| line.contains(part)) {
                return;
            }
        }
    }

    fn stop(mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        let said = |part: &str| self.seen.iter().any(|line| line.contains(part));
        if said("not confined by Landlock") {
            println!("left out: what may be run; this kernel has no Landlock");
        } else {
            assert!(said("confined by Landlock") && !said("another program can be run"), "{:#?}", self.seen);
        }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn a_program_that_dies_is_started_again() {
    let scratch = Scratch::new("dies");
    let mut station = scratch.run("dies");
    station.until("camera: works");
    station
        .until("cannot get pictures: rpicam-vid has ended (exit status: 255): ERROR: *** failed to queue request ***");
    station.until("camera: works");
    station.stop();
}

fn a_program_that_goes_silent_is_started_again() {
    let scratch = Scratch::new("silent");
    let mut station = scratch.run("silent");
    station.until("camera: works");
    station.until("gave no picture in time");
    station.until("camera: works");
    station.stop();
}

fn what_is_missing_is_said() {
    let scratch = Scratch::new("missing");
    let bin = scratch.0.join("bin");
    let check = |path, fails| scratch.ask(path, fails, &["check", "station.toml", "--state", "state"]);
    let report = check(&bin, "");
    assert!(report.contains("camera module: works; YU12 128x96, 30 pictures a second"), "{report}");
    let report = check(&bin, "none");
    assert!(report.contains("camera module: lacks: ") && report.contains("ribbon cable"), "{report}");
    let report = check(Path::new("/nowhere"), "");
    assert!(report.contains("camera module: lacks: ") && report.contains("rpicam-vid is not installed"), "{report}");
}

fn modules_are_listed() {
    let scratch = Scratch::new("list");
    let report = scratch.ask(&scratch.0.join("bin"), "", &["devices"]);
    assert!(report.contains("--camera module  imx219 [3280x2464 10-bit RGGB]"), "{report}");
}
