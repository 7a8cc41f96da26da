//! Two stations held face to face: what the screen of one shows, the camera of the other sees.

use super::End;
use super::camera::LOOPBACK;
use super::screen::Screen;
use crate::Outcome;
use crate::judge::clip;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use v4l::video::Output;
use v4l::{Device, Format, FourCC};

/// From one picture to the next: what hands that hold a station shake leaves some sharp ones a second.
const FRAME_TIME: Duration = Duration::from_millis(200);
/// Black in video range, and no colour.
const BLACK: u8 = 16;
const GREY: u8 = 128;

/// A camera that sees a screen, until dropped.
#[derive(Debug)]
pub struct Facing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Facing {
    /// From now on the camera of `end` sees the screen of the other, which need not be lit yet.
    pub fn start(end: End) -> Outcome<Facing> {
        let mut device = Device::with_path(LOOPBACK[end.index()])?;
        let (width, height) = clip::SIZE;
        device.set_format(&Format::new(width, height, FourCC::new(b"YU12")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                if let Err(error) = look(&mut device, end.other(), &stop) {
                    println!("the camera at the {} end is blind: {error}", end.name());
                }
            }
        });
        Ok(Facing { stop, thread: Some(thread) })
    }
}

impl Drop for Facing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

fn look(device: &mut Device, at: End, stop: &AtomicBool) -> Outcome {
    let screen = Screen::open(at)?;
    let mut frame = clip::blank();
    let luma = frame.len() * 2 / 3;
    frame[..luma].fill(BLACK);
    frame[luma..].fill(GREY);
    while !stop.load(Ordering::Acquire) {
        // A screen that changes too fast to be photographed is seen as it was.
        if let Ok(Some(photo)) = screen.photograph() {
            assert_eq!((photo.width, photo.height), clip::SIZE, "screens and cameras are of one size");
            frame[..luma].copy_from_slice(&photo.luma());
        }
        device.write_all(&frame)?;
        std::thread::sleep(FRAME_TIME);
    }
    Ok(())
}
