//! Which card, connector, mode and CRTC.

use super::card::Card;
use crate::device::holders::held_by;
use crate::device::{Fault, FaultKind};
use core::fmt;
use core::str::FromStr;
use drm::control::{Device as _, Mode, ModeTypeFlags, connector, crtc};
use nix::errno::Errno;
use std::sync::Arc;

/// The card and connector to use, as far as the user names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrmTarget {
    /// A node's name, `card0`; any where absent.
    pub card: Option<String>,
    /// A connector's name, `HDMI-A-1`; the first with a screen where absent.
    pub connector: Option<String>,
}

impl FromStr for DrmTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<DrmTarget, String> {
        let is_card = |part: &str| part.strip_prefix("card").is_some_and(|n| n.parse::<u32>().is_ok());
        let (card, connector) = match text.split_once('/') {
            Some((card, connector)) if is_card(card) => (card, connector),
            Some(_) => return Err(format!("`{text}` names no card; write it as drm:card0/HDMI-A-1")),
            None if is_card(text) => (text, ""),
            None => ("", text),
        };
        if connector.contains(['/', ':']) {
            return Err(format!("`{connector}` is no connector; `visavis devices` lists them"));
        }
        let some = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        Ok(DrmTarget { card: some(card), connector: some(connector) })
    }
}

impl fmt::Display for DrmTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.card, &self.connector) {
            (None, None) => f.write_str("drm"),
            (Some(card), None) => write!(f, "drm:{card}"),
            (None, Some(connector)) => write!(f, "drm:{connector}"),
            (Some(card), Some(connector)) => write!(f, "drm:{card}/{connector}"),
        }
    }
}

/// A screen that can be lit.
#[derive(Debug)]
pub struct Pick {
    /// Open, and ours to draw on.
    pub card: Arc<Card>,
    /// The connector that the screen hangs on.
    pub connector: connector::Handle,
    /// Its name.
    pub connector_name: String,
    /// The screen's preferred mode.
    pub mode: Mode,
    /// What feeds it.
    pub crtc: crtc::Handle,
}

/// The mode that the screen prefers, else the first, which the kernel ranks best.
pub fn preferred_mode(modes: &[Mode]) -> Option<Mode> {
    let preferred = modes.iter().find(|mode| mode.mode_type().contains(ModeTypeFlags::PREFERRED));
    preferred.or(modes.first()).copied()
}

/// Finds the first screen that `target` allows: connected, or at the least not known to be disconnected, as some
/// panels are that cannot tell.
pub fn pick(target: &DrmTarget) -> Result<Pick, Fault> {
    let name = target.to_string();
    let absent = |remedy: String| Fault::plain(FaultKind::Absent, &name, "find a screen", remedy);
    let mut refused = None;
    let mut seen = Vec::new();
    for path in Card::nodes() {
        let card = match Card::open(&path) {
            Ok(card) if target.card.as_ref().is_none_or(|wanted| *wanted == card.name) => Arc::new(card),
            Ok(_) => continue,
            Err(error) => {
                refused.get_or_insert(Fault::new(path.display().to_string(), "open the card (open)", error));
                continue;
            }
        };
        // A card that only renders has no resources to ask for.
        let Ok(resources) = card.resource_handles() else { continue };
        let connectors = resources.connectors().iter().filter_map(|handle| card.get_connector(*handle, true).ok());
        let mut connectors: Vec<_> =
            connectors.filter(|c| target.connector.as_ref().is_none_or(|wanted| *wanted == c.to_string())).collect();
        // Those that say so first; a stable sort keeps the card's own order.
        connectors.sort_by_key(|c| c.state() != connector::State::Connected);
        for info in connectors {
            seen.push(format!("{}/{info}", card.name));
            let Some(mode) = preferred_mode(info.modes()) else { continue };
            if info.state() != connector::State::Disconnected {
                return claim(&name, card, &info, mode);
            }
        }
    }
    Err(match (refused, seen.is_empty()) {
        (Some(fault), true) => fault,
        (_, true) => absent("there is no such card or connector; `visavis devices` lists them".into()),
        (_, false) => absent(format!("no screen is connected to {}", seen.join(", "))),
    })
}

fn claim(name: &str, card: Arc<Card>, info: &connector::Info, mode: Mode) -> Result<Pick, Fault> {
    if !card.is_master() {
        let remedy = format!("{}; a desktop must be ended first", held_by(&card.path));
        let fault = Fault::new(name, "take the screen (DRM_IOCTL_SET_MASTER)", Errno::EBUSY);
        return Err(Fault { remedy, ..fault });
    }
    let crtc = card.crtc_for(info).map_err(|error| Fault::new(name, "find a CRTC", error))?;
    let crtc = crtc.ok_or_else(|| {
        Fault::plain(FaultKind::Unusable, name, "find a CRTC", "all are taken by other connectors of the card")
    })?;
    Ok(Pick { connector: info.handle(), connector_name: info.to_string(), mode, crtc, card })
}
