//! Two stations held face to face: what the screen of one shows, the camera of the other sees.

use super::End;
use super::camera::LOOPBACK;
use super::screen::Screen;
use crate::Outcome;
use crate::guest::RUN;
use crate::judge::clip;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use v4l::video::Output;
use v4l::{Device, Format, FourCC};

/// From one picture to the next: what hands that hold a station shake leaves some sharp ones a second.
const SHAKY: Duration = Duration::from_millis(200);
/// And where the station stands on a table: a usual camera's.
const STEADY: Duration = Duration::from_millis(40);
/// Black in video range, and no colour.
const BLACK: u8 = 16;
const GREY: u8 = 128;

/// A camera that sees a screen, until dropped.
#[derive(Debug)]
pub struct Facing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    is_steady: AtomicBool,
    glimpses: Mutex<Vec<Glimpse>>,
}

/// A picture that such a camera took.
#[derive(Clone, Copy, Debug)]
pub struct Glimpse {
    /// When it began to look, and when the driver had the picture.
    pub looked_at: Instant,
    pub given_at: Instant,
    /// Whether the screen was bright all over.
    pub is_bright: bool,
}

impl Facing {
    /// From now on the camera of `end` sees the screen of the other, which need not be lit yet.
    pub fn start(end: End) -> Outcome<Facing> {
        let mut device = Device::with_path(LOOPBACK[end.index()])?;
        let (width, height) = clip::SIZE;
        device.set_format(&Format::new(width, height, FourCC::new(b"YU12")))?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(error) = look(&mut device, end.other(), &shared) {
                    println!("the camera at the {} end is blind: {error}", end.name());
                }
            }
        });
        Ok(Facing { shared, thread: Some(thread) })
    }

    /// From now on nobody holds it, and what it takes is noted.
    pub fn put_down(&self) {
        self.shared.is_steady.store(true, Ordering::Release);
    }

    /// All that it took since it was put down.
    pub fn glimpses(&self) -> Vec<Glimpse> {
        self.shared.glimpses.lock().map(|glimpses| glimpses.clone()).unwrap_or_default()
    }
}

impl Drop for Facing {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

fn is_bright(luma: &[u8]) -> bool {
    luma.iter().all(|luma| *luma > 200)
}

fn look(device: &mut Device, at: End, shared: &Shared) -> Outcome {
    let screen = Screen::open(at)?;
    let mut frame = clip::blank();
    let luma = frame.len() * 2 / 3;
    frame[..luma].fill(BLACK);
    frame[luma..].fill(GREY);
    let mut is_flash_kept = false;
    while !shared.stop.load(Ordering::Acquire) {
        let looked_at = Instant::now();
        // A screen that changes too fast to be photographed is seen as it was.
        if let Ok(Some(photo)) = screen.photograph() {
            assert_eq!((photo.width, photo.height), clip::SIZE, "screens and cameras are of one size");
            frame[..luma].copy_from_slice(&photo.luma());
            let is_steady = shared.is_steady.load(Ordering::Acquire);
            if is_steady && !is_flash_kept && is_bright(&frame[..luma]) {
                photo.save(&format!("{RUN}/flash-{}.ppm", at.name()))?;
                is_flash_kept = true;
            }
        }
        device.write_all(&frame)?;
        let is_steady = shared.is_steady.load(Ordering::Acquire);
        if is_steady && let Ok(mut glimpses) = shared.glimpses.lock() {
            glimpses.push(Glimpse { looked_at, given_at: Instant::now(), is_bright: is_bright(&frame[..luma]) });
        }
        std::thread::sleep(if is_steady { STEADY } else { SHAKY });
    }
    Ok(())
}
