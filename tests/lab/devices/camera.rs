//! Cameras: vivid, which makes its own picture and its own faults, and v4l2loopback, fed with the clip.

use super::End;
use crate::Outcome;
use crate::command::{run, wait_for};
use crate::judge::clip;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use v4l::video::Output;
use v4l::{Device, Format, FourCC};

/// vivid's webcams: a single-planar and a multi-planar one.
pub const VIVID: [&str; 2] = ["/dev/video0", "/dev/video1"];
/// The cameras of the two ends that are fed with the clip.
pub const LOOPBACK: [&str; 2] = ["/dev/video10", "/dev/video11"];

/// Loads vivid with two cameras at [`VIVID`] that show colour bars.
pub fn load_vivid() -> Outcome {
    run("modprobe vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0,0 multiplanar=1,2").map(drop)
}

/// Buffers of a camera that is fed: as many as a station asks for.
pub const BUFFERS: u32 = 6;

/// Loads v4l2loopback with a camera for each end. A camera is one only while somebody feeds it.
pub fn load_loopback() -> Outcome {
    let options = "devices=2 video_nr=10,11 card_label=near,far exclusive_caps=1,1";
    run(&format!("modprobe v4l2loopback {options} max_buffers={BUFFERS}")).map(drop)
}

/// vivid pulled out: whoever streams gets ENODEV, and so does whoever opens it, until this is dropped.
#[derive(Debug)]
pub struct Unplugged {
    // vivid comes back when the last file that was open at the time is closed; this one is the last.
    _held: File,
}

impl Unplugged {
    /// Pulls the camera at `device` out.
    pub fn pull(device: &str) -> Outcome<Unplugged> {
        let held = File::open(device)?;
        run(&format!("v4l2-ctl -d {device} -c disconnect=1"))?;
        Ok(Unplugged { _held: held })
    }
}

/// Where udev puts names that stay with a camera whatever its number is. The lab's machine has no udev: it does the same.
const STABLE_NAMES: &str = "/dev/v4l/by-id";

/// The stable name of the camera under test; [`name`] makes it.
pub const STABLE: &str = "/dev/v4l/by-id/lab-video-index0";

/// Gives the camera at `device` the name [`STABLE`], as udev does when one is plugged in: another link is put over the
/// one before.
pub fn name(device: &str) -> Outcome {
    fs::create_dir_all(STABLE_NAMES)?;
    let new = format!("{STABLE}.new");
    symlink(device, &new)?;
    Ok(fs::rename(new, STABLE)?)
}

/// Gives a camera's node another number, as after a replug.
pub fn renumber(from: &str, to: &str) -> Outcome {
    Ok(fs::rename(from, to)?)
}

/// Two cameras have each other's numbers from now on, as after a start at which the kernel found them in another order.
pub fn swap(one: &str, other: &str) -> Outcome {
    let aside = format!("{one}.aside");
    for (from, to) in [(one, aside.as_str()), (other, one), (aside.as_str(), other)] {
        fs::rename(from, to)?;
    }
    Ok(())
}

/// The camera at `device` goes on streaming, and no frame comes; or frames come again.
pub fn freeze(device: &str, frozen: bool) -> Outcome {
    let percent = if frozen { 100 } else { 0 };
    run(&format!("v4l2-ctl -d {device} -c percentage_of_dropped_buffers={percent}")).map(drop)
}

/// The camera at `device` answers EIO to whoever streams, until the stream is begun anew.
pub fn break_stream(device: &str) -> Outcome {
    run(&format!("v4l2-ctl -d {device} -c inject_fatal_streaming_error=1")).map(drop)
}

/// A camera all of whose frames are damaged, and marked so by its driver, until this is dropped.
#[derive(Debug)]
pub struct Damaged {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Damaged {
    /// Damages every frame of the camera at `device` from now on.
    pub fn start(device: &str) -> Outcome<Damaged> {
        const NAME: &str = "Inject V4L2_BUF_FLAG_ERROR";
        let device = Device::with_path(Path::new(device))?;
        let button = device.query_controls()?.into_iter().find(|control| control.name == NAME);
        let id = button.ok_or("this camera damages no frames")?.id;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                // The button is good for one frame: it is pressed several times in each one's time.
                while !stop.load(Ordering::Acquire) {
                    let pressed = v4l::Control { id, value: v4l::control::Value::None };
                    if let Err(error) = device.set_control(pressed) {
                        println!("no frame is damaged: {error}");
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Ok(Damaged { stop, thread: Some(thread) })
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

/// What a fed camera delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Planar 4:2:0 (`YU12`).
    Raw,
    /// A JPEG a frame (`MJPG`), as most webcams above VGA do.
    Mjpeg,
}

/// It takes two frame times, on a machine that has time.
const FED_WITHIN: Duration = Duration::from_secs(10);

/// Plays the clip into a v4l2loopback camera in real time, until dropped.
#[derive(Debug)]
pub struct Player {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// The same frame is given again and again.
    is_frozen: AtomicBool,
    /// The number of the frame that was last given to the camera.
    newest: AtomicU32,
    /// When each frame was given to it, in the order of their numbers.
    given_at: Mutex<Vec<(u32, Instant)>>,
    fault: Mutex<Option<String>>,
}

impl Player {
    /// Starts to play from frame 0 into the camera of `end`, which is one from then on.
    pub fn start(end: End, feed: Feed) -> Outcome<Player> {
        let mut device = Device::with_path(LOOPBACK[end.index()])?;
        let fourcc = FourCC::new(if feed == Feed::Raw { b"YU12" } else { b"MJPG" });
        let (width, height) = clip::SIZE;
        device.set_format(&Format::new(width, height, fourcc))?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(error) = play(&mut device, feed, &shared) {
                    *shared.fault.lock().expect("no holder panics") = Some(error.to_string());
                }
            }
        });
        let player = Player { shared, thread: Some(thread) };
        // With its first frame the driver makes the buffers anew: nobody must have asked for them before.
        let is_fed = || player.newest().map(|newest| (newest > 0).then_some(())).transpose();
        wait_for("the camera is fed", FED_WITHIN, is_fed)?.0?;
        Ok(player)
    }

    /// Has the camera deliver the same frame again and again, or the clip.
    pub fn freeze(&self, is_frozen: bool) {
        self.shared.is_frozen.store(is_frozen, Ordering::Release);
    }

    /// When the camera had frame `number`, and the one after it, if it had one; `None` if `number` was not played.
    pub fn given_at(&self, number: u32) -> Option<(Instant, Option<Instant>)> {
        let given_at = self.shared.given_at.lock().expect("no holder panics");
        let found = given_at.binary_search_by_key(&number, |&(number, _)| number).ok()?;
        Some((given_at[found].1, given_at.get(found + 1).map(|&(_, at)| at)))
    }

    /// The newest frame's number.
    ///
    /// # Errors
    /// The player has stopped, and why.
    pub fn newest(&self) -> Outcome<u32> {
        match &*self.shared.fault.lock().expect("no holder panics") {
            Some(fault) => Err(format!("the player stopped: {fault}").into()),
            None => Ok(self.shared.newest.load(Ordering::Acquire)),
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

fn play(device: &mut Device, feed: Feed, shared: &Shared) -> Outcome {
    let mut picture = clip::blank();
    let start = Instant::now();
    let mut number = 0;
    loop {
        if !shared.is_frozen.load(Ordering::Acquire) {
            clip::draw(number, &mut picture);
        }
        let frame = if feed == Feed::Raw { picture.clone() } else { clip::jpeg(&picture)? };
        std::thread::sleep((start + clip::FRAME_TIME * number).saturating_duration_since(Instant::now()));
        if shared.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        shared.given_at.lock().expect("no holder panics").push((number, Instant::now()));
        shared.newest.store(number, Ordering::Release);
        device.write_all(&frame)?;
        // Frames whose time has gone by while this machine stood still are left out, as by a real camera.
        number = (number + 1).max(start.elapsed().div_duration_f64(clip::FRAME_TIME) as u32);
    }
}
