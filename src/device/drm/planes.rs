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
    /// The fourccs that each may be used for: those of the primary plane, then of the overlays in order.
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
            let offer = Offer { formats: info.formats().to_vec(), zpos: properties.value("zpos") };
            let is_on = info.crtc() == Some(crtc);
            match PlaneRole::of(&properties) {
                // A card may have several; the one that the CRTC already uses is its own.
                PlaneRole::Primary if is_on => primaries.insert(0, (port, offer, is_on)),
                PlaneRole::Primary => primaries.push((port, offer, is_on)),
                PlaneRole::Overlay => others.push((port, offer, is_on)),
                PlaneRole::Cursor => {}
            }
        }
        let Some((primary, offer, _)) = primaries.into_iter().next() else {
            return Err(io::Error::other("the CRTC has no primary plane"));
        };
        let offered: Vec<_> = others.iter().map(|(_, offer, _)| offer).collect();
        let useful = if is_yuv { useful(&offer, &offered) } else { Vec::new() };
        let mut planes = Planes { primary, overlays: Vec::new(), formats: vec![offer.formats] };
        for (index, (port, offer, is_on)) in others.into_iter().enumerate() {
            let is_useful = useful.contains(&index);
            if is_on || is_useful {
                planes.overlays.push(port);
                planes.formats.push(if is_useful { offer.formats } else { Vec::new() });
            }
        }
        Ok(planes)
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

/// What a plane says of itself.
#[derive(Clone, Debug)]
struct Offer {
    /// The fourccs that it takes.
    formats: Vec<u32>,
    /// Its place above others, where the driver tells.
    zpos: Option<u64>,
}

impl Offer {
    fn takes(&self, format: DrmFourcc) -> bool {
        self.formats.contains(&(format as u32))
    }

    /// Whether what it shows would lie beneath `other`, and not be seen.
    fn is_beneath(&self, other: &Offer) -> bool {
        self.zpos.zip(other.zpos).is_some_and(|(own, other)| own < other)
    }
}

/// Which of the overlays are worth having: one for each format that is drawn, since those of a card are alike, and some
/// cards have dozens. What lies beneath the primary plane is of no use: that is black where no picture is.
fn useful(primary: &Offer, overlays: &[&Offer]) -> Vec<usize> {
    let first = |format| overlays.iter().position(|offer| offer.takes(format) && !offer.is_beneath(primary));
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

#[cfg(test)]
mod tests {
    //! Goal: a picture goes to a plane that takes it and is seen. Method: what the planes of real boards say of themselves,
    //! from the kernel's drivers: `vc4_plane.c` (Raspberry Pi), `meson_plane.c` and `meson_overlay.c` (Amlogic).
    use super::*;
    use DrmFourcc::{Abgr8888, Argb8888, Bgr565, Nv12, Nv21, Rgb565, Xbgr8888, Xrgb8888, Yuv420, Yuyv, Yvu420};

    fn offer(formats: &[DrmFourcc], zpos: Option<u64>) -> Offer {
        Offer { formats: formats.iter().map(|format| *format as u32).collect(), zpos }
    }

    #[test]
    fn of_planes_that_are_all_alike_one_is_enough() {
        // vc4: the same list for every plane, the primary one too. Packed 4:2:2 is not in it.
        let formats = [Xrgb8888, Argb8888, Abgr8888, Xbgr8888, Rgb565, Bgr565, Yuv420, Yvu420, Nv12, Nv21];
        let overlays: Vec<_> = (1..=16).map(|zpos| offer(&formats, Some(zpos))).collect();
        let primary = offer(&formats, Some(0));
        assert_eq!(useful(&primary, &overlays.iter().collect::<Vec<_>>()), [0, 0]);
        assert!(primary.takes(Yuv420) && primary.takes(Nv12) && !primary.takes(Yuyv));
    }

    #[test]
    fn a_plane_beneath_the_primary_one_is_not_taken() {
        let primary = [Argb8888, Abgr8888, Xrgb8888, Xbgr8888, Rgb565];
        let video = [Yuyv, Nv12, Nv21, Yuv420];
        for (zpos, is_useful) in [([1, 0], false), ([0, 1], true)] {
            let [primary, video] = [offer(&primary, Some(zpos[0])), offer(&video, Some(zpos[1]))];
            assert_eq!(!useful(&primary, &[&video]).is_empty(), is_useful, "{zpos:?}");
        }
        // Older drivers tell nothing; the kernel's order is then the planes' own, the primary one first.
        assert_eq!(useful(&offer(&primary, None), &[&offer(&video, None)]), [0, 0, 0]);
    }

    #[test]
    fn a_format_goes_to_the_first_plane_that_takes_it_and_others_are_passed_over() {
        let primary = offer(&[Xrgb8888], None);
        let planes = [offer(&[Rgb565], None), offer(&[Nv12], None), offer(&[Nv12, Yuv420], None)];
        assert_eq!(useful(&primary, &planes.each_ref()), [2, 1]);
        assert!(useful(&primary, &[]).is_empty());
    }
}
