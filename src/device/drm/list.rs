//! What KMS screens there are, for the person who installs.

use super::card::Card;
use super::pick::preferred_mode;
use super::planes::PlaneRole;
use crate::device::Fault;
use drm::Device as _;
use drm::control::{Device as _, connector};
use std::path::PathBuf;

/// A card.
#[derive(Debug)]
pub struct CardInfo {
    /// Its node.
    pub path: PathBuf,
    /// The driver's name.
    pub driver: String,
    /// Whether this program could draw on it now; false while another does.
    pub is_free: bool,
    /// Atomic commits, or the legacy calls alone.
    pub is_atomic: bool,
    /// Its connectors; none on a card that only renders.
    pub connectors: Vec<ConnectorInfo>,
    /// Its planes.
    pub planes: Vec<PlaneInfo>,
}

/// A connector.
#[derive(Debug)]
pub struct ConnectorInfo {
    /// As `--screen drm:card0/NAME` takes it.
    pub name: String,
    /// Connected; `None` where the hardware cannot tell.
    pub is_connected: Option<bool>,
    /// Modes as `1920x1080@60`, the one that would be set first.
    pub modes: Vec<String>,
}

/// A plane.
#[derive(Debug)]
pub struct PlaneInfo {
    /// What it is for.
    pub role: &'static str,
    /// The fourccs that it takes.
    pub formats: Vec<String>,
}

/// Every card, or why it could not be looked at.
pub fn list() -> Vec<(PathBuf, Result<CardInfo, Fault>)> {
    Card::nodes().into_iter().map(|path| (path.clone(), describe(path))).collect()
}

fn describe(path: PathBuf) -> Result<CardInfo, Fault> {
    let card =
        Card::open(&path).map_err(|error| Fault::new(path.display().to_string(), "open the card (open)", error))?;
    let is_free = card.is_master();
    let is_atomic = card.enable_atomic();
    let driver = card.get_driver().map(|d| d.name().to_string_lossy().into_owned()).unwrap_or_default();
    // A card that only renders has neither.
    let connectors = card.resource_handles().map(|r| r.connectors().to_vec()).unwrap_or_default();
    let connectors = connectors.into_iter().filter_map(|handle| card.get_connector(handle, true).ok());
    let planes = card.plane_handles().unwrap_or_default().into_iter().filter_map(|handle| {
        let role = match PlaneRole::of_plane(&card, handle).ok()? {
            PlaneRole::Primary => "primary",
            PlaneRole::Overlay => "overlay",
            PlaneRole::Cursor => "cursor",
        };
        let info = card.get_plane(handle).ok()?;
        Some(PlaneInfo { role, formats: info.formats().iter().map(|code| fourcc(*code)).collect() })
    });
    Ok(CardInfo {
        driver,
        is_free,
        is_atomic,
        connectors: connectors.map(|info| describe_connector(&info)).collect(),
        planes: planes.collect(),
        path,
    })
}

fn describe_connector(info: &connector::Info) -> ConnectorInfo {
    let spell = |mode: &drm::control::Mode| format!("{}x{}@{}", mode.size().0, mode.size().1, mode.vrefresh());
    let mut modes: Vec<String> = preferred_mode(info.modes()).iter().chain(info.modes()).map(spell).collect();
    let mut seen = std::collections::HashSet::new();
    modes.retain(|mode| seen.insert(mode.clone()));
    let is_connected = match info.state() {
        connector::State::Connected => Some(true),
        connector::State::Disconnected => Some(false),
        connector::State::Unknown => None,
    };
    ConnectorInfo { name: info.to_string(), is_connected, modes }
}

fn fourcc(code: u32) -> String {
    String::from_utf8_lossy(&code.to_le_bytes()).trim_end().to_owned()
}
