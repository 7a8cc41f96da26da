//! The planes of a CRTC, and which of them a picture of some format may go to.

use super::buffer::YUV_FORMATS;
use super::card::Card;
use super::commit::{PlanePort, Properties};
use drm::buffer::DrmFourcc;
use drm::control::{Device as _, crtc, plane};
use std::io;

/// The planes that are ours, and those that somebody left on.
#[derive(Debug)]
pub struct Planes {
    primary: PlanePort,
    /// Dark unless a picture is on them.
    overlays: Vec<PlanePort>,
    /// The fourccs that each takes: those of the primary plane, then of the overlays in order.
    formats: Vec<Vec<u32>>,
}

impl Planes {
    /// The planes that the CRTC can use.
    pub fn find(card: &Card, crtc: crtc::Handle, is_yuv: bool) -> io::Result<Planes> {
        let resources = card.resource_handles()?;
        let mut primaries = Vec::new();
        let mut others = Vec::new();
        for handle in card.plane_handles()? {
            let info = card.get_plane(handle)?;
            if !resources.filter_crtcs(info.possible_crtcs()).contains(&crtc) {
                continue;
            }
            let properties = Properties::of(card, handle)?;
            let port = PlanePort::new(&properties, crtc.into())?;
            match PlaneRole::of(&properties) {
                // A card may have several; the one that the CRTC already uses is its own.
                PlaneRole::Primary if info.crtc() == Some(crtc) => primaries.insert(0, (port, info)),
                PlaneRole::Primary => primaries.push((port, info)),
                PlaneRole::Overlay => others.push((port, info)),
                PlaneRole::Cursor => {}
            }
        }
        let Some((primary, info)) = primaries.into_iter().next() else {
            return Err(io::Error::other("the CRTC has no primary plane"));
        };
        let mut formats = vec![info.formats().to_vec()];
        let offered: Vec<_> = others.iter().map(|(_, info)| info.formats().to_vec()).collect();
        let useful = if is_yuv { useful(&offered) } else { Vec::new() };
        let mut overlays = Vec::new();
        for (index, ((port, info), taken)) in others.into_iter().zip(offered).enumerate() {
            if info.crtc() == Some(crtc) || useful.contains(&index) {
                overlays.push(port);
                formats.push(taken);
            }
        }
        Ok(Planes { primary, overlays, formats })
    }

    /// The screen's own plane.
    pub fn primary(&self) -> &PlanePort {
        &self.primary
    }

    /// The planes above it: each commit has to keep dark those that it does not use.
    pub fn overlays(&self) -> impl Iterator<Item = &PlanePort> {
        self.overlays.iter()
    }

    /// The planes that take a format, in the order in which they are to be tried.
    pub fn for_format(&self, format: DrmFourcc) -> impl Iterator<Item = &PlanePort> {
        let ports = core::iter::once(&self.primary).chain(&self.overlays);
        ports.zip(&self.formats).filter(move |(_, formats)| formats.contains(&(format as u32))).map(|(port, _)| port)
    }
}

/// Which of the overlays, given by the fourccs that they take, are worth having: one for each format that is drawn, since
/// those of a card are alike, and some cards have dozens.
fn useful(offered: &[Vec<u32>]) -> Vec<usize> {
    let first = |format: DrmFourcc| offered.iter().position(|formats| formats.contains(&(format as u32)));
    YUV_FORMATS.into_iter().filter_map(first).collect()
}

/// What a plane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaneRole {
    /// Beneath the others; the screen's own.
    Primary,
    /// Above it.
    Overlay,
    /// For the pointer.
    Cursor,
}

impl PlaneRole {
    /// By the plane's property `type`, whose numbers are the kernel's `enum drm_plane_type`.
    pub fn of(properties: &Properties) -> PlaneRole {
        match properties.value("type") {
            Some(1) => PlaneRole::Primary,
            Some(2) => PlaneRole::Cursor,
            _ => PlaneRole::Overlay,
        }
    }

    /// The role of a plane of `card`.
    pub fn of_plane(card: &Card, handle: plane::Handle) -> io::Result<PlaneRole> {
        Ok(PlaneRole::of(&Properties::of(card, handle)?))
    }
}
