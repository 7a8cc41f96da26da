//! Screens: vkms, twice, and a photograph of what is on one.

use super::End;
use crate::Outcome;
use crate::command::run;
use crate::judge::photo::Photo;
use drm::buffer::DrmFourcc;
use drm::control::Device as ControlDevice;
use drm::{ClientCapability, Device};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use visavis::sys::memory::Map;

/// Loads a screen of 1024x768 for each end: /dev/dri/card0 (and /dev/fb0), /dev/dri/card1 (and /dev/fb1).
pub fn load() -> Outcome {
    // The default is a bigger mode list than that, but vkms prefers 1024x768.
    run("modprobe vkms enable_writeback=0")?;
    run("modprobe vkms2 enable_writeback=0").map(drop)
}

/// A screen as a camera over its shoulder sees it: the buffer that the display engine reads.
#[derive(Debug)]
pub struct Screen {
    card: File,
    /// Buffers that were looked at before, by the inode that each has for as long as it lives. Mapping one anew costs a
    /// page fault for every 4 KiB, and in this kernel the station would have drawn over it meanwhile.
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
    /// The buffer can't be read: its format or the call that failed.
    pub fn photograph(&self) -> Outcome<Option<Photo>> {
        self.photograph_within(8)
    }

    fn photograph_within(&self, attempts: u32) -> Outcome<Option<Photo>> {
        for plane in self.plane_handles()? {
            let Some(framebuffer) = self.get_plane(plane)?.framebuffer() else { continue };
            let info = self.get_planar_framebuffer(framebuffer)?;
            let Some(buffer) = info.buffers()[0] else { return Err("only root may read a framebuffer".into()) };
            let (width, height) = info.size();
            let pitch = info.pitches()[0] as usize;
            let shared = self.buffer_to_prime_fd(buffer, drm::CLOEXEC | drm::RDWR);
            let _ = self.close_buffer(buffer);
            // Copied at once: the station goes on, and the buffer is the next but one that it draws into.
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
            drop(maps);
            // Flipped away meanwhile, and so perhaps drawn over: once more, while there is patience.
            if attempts > 0 && self.get_plane(plane)?.framebuffer() != Some(framebuffer) {
                return self.photograph_within(attempts - 1);
            }
            return Ok(Some(Photo { width, height, pitch, bytes, pixel }));
        }
        Ok(None)
    }
}
