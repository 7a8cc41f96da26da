//! What all rows share: the clips, the station, where logs go, and how a plain stretch of a call is measured.

use crate::Result;
use crate::clip::{Clip, Size};
use crate::feed::RATE_HZ;
use crate::figures::{self, Figures};
use crate::live::{Live, Setup};
use crate::peers;
use crate::program::{Pipes, Program};
use crate::relay::{Relay, Weather};
use crate::station::{FAR_PORT, NEAR_PORT, Station};
use std::cell::OnceCell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Time after the first picture in which a program may find its feet: buffers, caches, rate control.
pub const SETTLE: Duration = Duration::from_secs(2);
/// Length of the film of MJPEG: a whole number of the clip's loops.
const FILM_FRAMES: u32 = 10 * RATE_HZ;

/// What all rows share.
pub struct Lab {
    /// How long each row is measured.
    pub length: Duration,
    /// Where the programs' error output goes.
    pub logs: PathBuf,
    /// visavis.
    pub station: Station,
    vga: OnceCell<Arc<Clip>>,
    hd: OnceCell<Arc<Clip>>,
    vga_bgr: OnceCell<Arc<Clip>>,
}

impl Lab {
    /// A lab that keeps everything under `out`.
    pub fn new(out: &Path, program: PathBuf, length: Duration) -> Result<Lab> {
        let station = Station { program, state: out.join("state"), relayed: false };
        let logs = out.join("logs");
        fs::create_dir_all(&logs)?;
        fs::create_dir_all(&station.state)?;
        let (vga, hd, vga_bgr) = Default::default();
        Ok(Lab { length, logs, station, vga, hd, vga_bgr })
    }

    /// The clip at 640x480.
    pub fn vga(&self) -> &Arc<Clip> {
        self.vga.get_or_init(|| Arc::new(Clip::new(Size { width: 640, height: 480 })))
    }

    /// The clip at 1280x720.
    pub fn hd(&self) -> &Arc<Clip> {
        self.hd.get_or_init(|| Arc::new(Clip::new(Size { width: 1280, height: 720 })))
    }

    /// The clip at 640x480 as OpenCV would give it.
    pub fn vga_bgr(&self) -> &Arc<Clip> {
        self.vga_bgr.get_or_init(|| Arc::new(self.vga().to_bgr()))
    }

    /// Starts a call, waits for its first picture and lets it settle.
    pub fn settled(&self, setup: Setup) -> Result<Live> {
        let mut live = Live::start(setup, &self.logs)?;
        live.await_first_picture()?;
        thread::sleep(SETTLE);
        Ok(live)
    }

    /// The figures of a plain stretch of a call.
    pub fn stretch(&self, setup: Setup) -> Result<Figures> {
        let live = self.settled(setup)?;
        let span = live.measure(self.length)?;
        Ok(figures::of_span(&live.finish(), &span))
    }

    /// The same in bad weather, for a call that goes through the relay.
    pub fn stretch_in(&self, weather: Weather, setup: Setup) -> Result<Figures> {
        let _relay = self.relay(weather)?;
        let mut figures = self.stretch(setup)?;
        halve_carried(&mut figures);
        Ok(figures)
    }

    /// Begins bad weather between the stations.
    pub fn relay(&self, weather: Weather) -> Result<Relay> {
        Relay::start(weather, NEAR_PORT, FAR_PORT)
    }

    /// The 720p clip as a film of MJPEG in an AVI.
    pub fn film(&self) -> Result<PathBuf> {
        let (path, clip) = (self.station.state.join("clip-720.avi"), self.hd());
        let mut command = peers::mjpeg_avi(clip, &path);
        let mut frame = vec![0; clip.size.frame_bytes(clip.layout)];
        let pipes = Pipes { input_bytes: Some(frame.len()), output_bytes: None };
        let (mut program, ends) = Program::start(&mut command, pipes, &self.logs.join("film.log"))?;
        let mut input = ends.input.ok_or("no pipe to the film maker")?;
        for number in 0..FILM_FRAMES {
            clip.render(number, &mut frame);
            input.write_all(&frame).map_err(|e| program.because(&format!("film: {e}")))?;
        }
        drop(input);
        program.wait()?;
        Ok(path)
    }
}

/// Loopback carries each datagram twice where a relay stands between.
pub fn halve_carried(figures: &mut Figures) {
    for name in ["mbit_s", "kbit_frame"] {
        figures.entry(name).and_modify(|carried| *carried /= 2.0);
    }
}
