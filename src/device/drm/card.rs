//! A KMS card: its file, and what hangs on it.

use drm::control::{Device as _, connector, crtc};
use drm::{ClientCapability, Device as _, DriverCapability};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// An open card. The first to open it while nobody else draws is its *master*, who alone may change what is shown.
#[derive(Debug)]
pub struct Card {
    file: File,
    /// The node's name, `card0`.
    pub name: String,
    /// The node itself.
    pub path: PathBuf,
}

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl drm::Device for Card {}
impl drm::control::Device for Card {}

impl Card {
    /// Opens a node; reads of its events do not block.
    pub fn open(path: &Path) -> io::Result<Card> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Card { file, name, path: path.into() })
    }

    /// The nodes that are there: `/dev/dri/card0` and so on, in order.
    pub fn nodes() -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir("/dev/dri") else { return Vec::new() };
        let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("card")?.parse::<u32>().ok();
        let mut nodes: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| number(p).is_some()).collect();
        nodes.sort_by_key(number);
        nodes
    }

    /// Whether this client may change what is shown; asks to be the one who may.
    pub fn is_master(&self) -> bool {
        self.acquire_master_lock().is_ok()
    }

    /// Atomic commits, with every plane listed; false for a driver of the legacy interface alone.
    pub fn enable_atomic(&self) -> bool {
        self.set_client_capability(ClientCapability::UniversalPlanes, true).is_ok()
            && self.set_client_capability(ClientCapability::Atomic, true).is_ok()
    }

    /// Whether flips are stamped on CLOCK_MONOTONIC, as every driver since Linux 4.15 does.
    pub fn is_monotonic(&self) -> bool {
        self.get_driver_capability(DriverCapability::MonotonicTimestamp).is_ok_and(|v| v == 1)
    }

    /// Whether the driver would rather have 16 bits a pixel, as small SPI panels do.
    pub fn prefers_16_bits(&self) -> bool {
        self.get_driver_capability(DriverCapability::DumbPreferredDepth).is_ok_and(|depth| depth == 16)
    }

    /// The CRTC for a connector: the one it has, else a possible one that drives no other.
    pub fn crtc_for(&self, connector: &connector::Info) -> io::Result<Option<crtc::Handle>> {
        let resources = self.resource_handles()?;
        let current = connector.current_encoder().and_then(|e| self.get_encoder(e).ok()).and_then(|e| e.crtc());
        if current.is_some() {
            return Ok(current);
        }
        let taken: Vec<_> = (resources.encoders().iter()).filter_map(|e| self.get_encoder(*e).ok()?.crtc()).collect();
        let possible = connector.encoders().iter().filter_map(|e| self.get_encoder(*e).ok());
        let mut possible = possible.flat_map(|e| resources.filter_crtcs(e.possible_crtcs()));
        Ok(possible.find(|crtc| !taken.contains(crtc)))
    }
}
