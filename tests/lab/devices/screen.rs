//! Screens: vkms, twice, and a photograph of what is on one.

use super::End;
use crate::Outcome;
use crate::command::run;
use crate::judge::photo::Photo;
use drm::buffer::DrmFourcc;
use drm::control::{Device as ControlDevice, framebuffer};
use drm::{ClientCapability, Device};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use visavis::sys::memory::Map;

/// Width and height of the screens in pixels; `kernel/build` says the same.
pub const SIZE: (u32, u32) = (320, 240);

/// Loads a screen for each end: /dev/dri/card0 (and /dev/fb0), /dev/dri/card1 (and /dev/fb1).
pub fn load() -> Outcome {
    run("modprobe vkms enable_writeback=0")?;
    run("modprobe vkms2 enable_writeback=0").map(drop)
}

/// Pulls the plug of the screen at `end`, or puts it in again: the connector's state changes as it does by a hot plug.
pub fn plug(end: End, plugged: bool) -> Outcome {
    let card = format!("{}-", Screen::card(end));
    for entry in fs::read_dir("/sys/class/drm")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&card) && !name.contains("Writeback") {
            return Ok(fs::write(entry.path().join("status"), if plugged { "detect" } else { "off" })?);
        }
    }
    Err(format!("the {} screen has no connector", end.name()).into())
}

/// How often a picture is read anew that changed while it was read. A flip comes four screen refreshes after the last.
const ATTEMPTS: u32 = 8;

/// A screen as a camera over its shoulder sees it: the buffer that the display engine reads.
#[derive(Debug)]
pub struct Screen {
    card: File,
    /// Buffers that were looked at before, by the inode that each has for as long as it lives. Mapping one anew costs a
    /// page fault for every 4 KiB, which in this kernel is time in which the station draws over it.
    maps: RefCell<HashMap<u64, Map>>,
}

impl AsFd for Screen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.card.as_fd()
    }
}

impl Device for Screen {}
impl ControlDevice for Screen {}

impl Screen {
    /// The card of `end`, as `--screen` takes it.
    pub fn card(end: End) -> String {
        format!("card{}", end.index())
    }

    /// Opens the screen of `end` to look on.
    pub fn open(end: End) -> Outcome<Screen> {
        let path = format!("/dev/dri/{}", Screen::card(end));
        let card = OpenOptions::new().read(true).write(true).open(path)?;
        let screen = Screen { card, maps: RefCell::default() };
        // The first to open a card is its master; the station must be able to be.
        if screen.authenticated().unwrap_or(true) {
            let _ = screen.release_master_lock();
        }
        screen.set_client_capability(ClientCapability::UniversalPlanes, true)?;
        Ok(screen)
    }

    /// What is on the screen now; `None` while no plane is lit.
    ///
    /// # Errors
    /// The buffer can't be read: its format or the call that failed; or it never stood still for as long as reading takes.
    pub fn photograph(&self) -> Outcome<Option<Photo>> {
        for plane in self.plane_handles()? {
            // A picture that was flipped away while it was read, and so perhaps drawn over, is read once more.
            for _ in 0..ATTEMPTS {
                let Some(framebuffer) = self.get_plane(plane)?.framebuffer() else { break };
                // A buffer that its owner has freed meanwhile is no longer known.
                let photo = self.read(framebuffer);
                if self.get_plane(plane)?.framebuffer() == Some(framebuffer)
                    && let Some(whole) = photo?
                {
                    return Ok(Some(whole));
                }
            }
            if self.get_plane(plane)?.framebuffer().is_some() {
                return Err(format!("the screen changed in each of {ATTEMPTS} attempts to read it").into());
            }
        }
        Ok(None)
    }

    /// The picture in a buffer; `None` if it was drawn into meanwhile, which would show as a tear. Every byte is read
    /// twice: if all are the same both times, then all were there at one time, between the two.
    fn read(&self, framebuffer: framebuffer::Handle) -> Outcome<Option<Photo>> {
        let info = self.get_planar_framebuffer(framebuffer)?;
        let Some(buffer) = info.buffers()[0] else { return Err("only root may read a framebuffer".into()) };
        let (width, height) = info.size();
        let pitch = info.pitches()[0] as usize;
        let shared = self.buffer_to_prime_fd(buffer, drm::CLOEXEC | drm::RDWR);
        let _ = self.close_buffer(buffer);
        let shared = File::from(shared?);
        let mut maps = self.maps.borrow_mut();
        let map = match maps.entry(shared.metadata()?.ino()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Map::new(&shared, 0, pitch * height as usize)?),
        };
        let bytes = map.bytes().to_vec();
        let pixel = match info.pixel_format() {
            DrmFourcc::Xrgb8888 | DrmFourcc::Argb8888 => Photo::pixel_xrgb8888,
            DrmFourcc::Rgb565 => Photo::pixel_rgb565,
            other => return Err(format!("a screen in {other}, which the lab can't read").into()),
        };
        Ok((std::hint::black_box(map.bytes()) == bytes).then_some(Photo { width, height, pitch, bytes, pixel }))
    }
}
