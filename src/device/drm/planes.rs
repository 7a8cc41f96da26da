//! The planes of a CRTC, and which of them a picture of some format, and what lies upon it, may go to.

use super::buffer::YUV_FORMATS;
use super::card::Card;
use super::commit::{PlanePort, Properties};
use super::depth::{Depth, Order};
use drm::buffer::DrmFourcc;
use drm::control::{Device as _, crtc, plane};
use std::io;

/// Of the format that what lies upon pictures has: with an alpha channel.
pub const PANE_FORMAT: DrmFourcc = DrmFourcc::Argb8888;
/// Planes that are tried for it: the uppermost may be one that takes compressed memory only, as those of Rockchip are.
const PANES_MAX: usize = 3;

/// The planes that are ours, and those that somebody left on.
#[derive(Debug)]
pub struct Planes {
    primary: Plane,
    /// Dark unless something is on them.
    overlays: Vec<Plane>,
    /// Those of them that may lie in front of pictures, the uppermost first.
    panes: Vec<usize>,
}

#[derive(Debug)]
struct Plane {
    port: PlanePort,
    offer: Offer,
    /// Whether pictures may go to it.
    is_for_pictures: bool,
}

impl Planes {
    /// The planes that the CRTC can use.
    pub fn find(card: &Card, crtc: crtc::Handle, is_yuv: bool) -> io::Result<Planes> {
        let resources = card.resource_handles()?;
        let mut primaries = Vec::new();
        let mut others = Vec::new();
        for (index, handle) in card.plane_handles()?.into_iter().enumerate() {
            let info = card.get_plane(handle)?;
            if !resources.filter_crtcs(info.possible_crtcs()).contains(&crtc) {
                continue;
            }
            let properties = Properties::of(card, handle)?;
            let port = PlanePort::new(&properties, crtc.into())?;
            let depth = Depth { index, zpos: properties.range("zpos") };
            let offer = Offer { formats: info.formats().to_vec(), depth };
            let plane = Plane { port, offer, is_for_pictures: true };
            let is_on = info.crtc() == Some(crtc);
            match PlaneRole::of(&properties) {
                // A card may have several; the one that the CRTC already uses is its own.
                PlaneRole::Primary if is_on => primaries.insert(0, plane),
                PlaneRole::Primary => primaries.push(plane),
                PlaneRole::Overlay => others.push((plane, is_on)),
                PlaneRole::Cursor => {}
            }
        }
        let Some(primary) = primaries.into_iter().next() else {
            return Err(io::Error::other("the CRTC has no primary plane"));
        };
        let offered: Vec<_> = others.iter().map(|(plane, _)| &plane.offer).collect();
        let (pictures, fronts) = match is_yuv {
            true => (useful(&primary.offer, &offered), fronts(&primary.offer, &offered)),
            false => (Vec::new(), Vec::new()),
        };
        let mut planes = Planes { primary, overlays: Vec::new(), panes: vec![usize::MAX; fronts.len()] };
        for (index, (plane, is_on)) in others.into_iter().enumerate() {
            let is_for_pictures = pictures.contains(&index);
            let front = fronts.iter().position(|front| *front == index);
            if let Some(front) = front {
                planes.panes[front] = planes.overlays.len();
            }
            if is_on || is_for_pictures || front.is_some() {
                planes.overlays.push(Plane { is_for_pictures, ..plane });
            }
        }
        Ok(planes)
    }

    /// The screen's own plane.
    pub fn primary(&self) -> &PlanePort {
        &self.primary.port
    }

    /// The planes above it: each commit has to keep dark those that it does not use.
    pub fn overlays(&self) -> impl Iterator<Item = &PlanePort> {
        self.overlays.iter().map(|plane| &plane.port)
    }

    /// Whether something may lie in front of pictures.
    pub fn has_panes(&self) -> bool {
        !self.panes.is_empty()
    }

    fn takers(&self, format: DrmFourcc) -> impl Iterator<Item = &Plane> {
        let all = core::iter::once(&self.primary).chain(&self.overlays);
        all.filter(move |plane| plane.is_for_pictures && plane.offer.takes(format))
    }

    /// The planes that take a format, in the order in which they are to be tried.
    pub fn for_format(&self, format: DrmFourcc) -> impl Iterator<Item = &PlanePort> {
        self.takers(format).map(|plane| &plane.port)
    }

    /// The same, each with a plane in front of it, and how they come to lie so.
    pub fn pairs(&self, format: DrmFourcc) -> impl Iterator<Item = (&PlanePort, &PlanePort, Order)> {
        self.takers(format).flat_map(|picture| {
            let fronts = self.panes.iter().map(|index| &self.overlays[*index]);
            fronts.filter(|pane| !pane.port.is_same(&picture.port)).filter_map(|pane| {
                let order = pane.offer.depth.above(&picture.offer.depth)?;
                Some((&picture.port, &pane.port, order))
            })
        })
    }
}

/// What a plane says of itself.
#[derive(Clone, Debug)]
struct Offer {
    /// The fourccs that it takes.
    formats: Vec<u32>,
    depth: Depth,
}

impl Offer {
    fn takes(&self, format: DrmFourcc) -> bool {
        self.formats.contains(&(format as u32))
    }
}

/// Which of the overlays are worth having: one for each format that is drawn, since those of a card are alike, and some
/// cards have dozens. What lies beneath the primary plane is of no use: that is black where no picture is.
fn useful(primary: &Offer, overlays: &[&Offer]) -> Vec<usize> {
    let is_seen = |offer: &Offer| !offer.depth.is_beneath(&primary.depth);
    let first = |format| overlays.iter().position(|offer| offer.takes(format) && is_seen(offer));
    YUV_FORMATS.into_iter().filter_map(first).collect()
}

/// Which of them may lie in front of pictures, the uppermost first.
fn fronts(primary: &Offer, overlays: &[&Offer]) -> Vec<usize> {
    let mut fronts: Vec<_> = (0..overlays.len())
        .filter(|index| overlays[*index].takes(PANE_FORMAT) && overlays[*index].depth.above(&primary.depth).is_some())
        .collect();
    fronts.sort_by_key(|index| core::cmp::Reverse((overlays[*index].depth.highest(), *index)));
    fronts.truncate(PANES_MAX);
    fronts
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
        // None of these can be moved.
        let depth = Depth { index: 0, zpos: zpos.map(|zpos| (zpos, None)) };
        Offer { formats: formats.iter().map(|format| *format as u32).collect(), depth }
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

    #[test]
    fn what_lies_upon_pictures_goes_to_the_uppermost_plane_with_alpha() {
        let offer = |index, formats: &[DrmFourcc], zpos| Offer {
            formats: formats.iter().map(|format| *format as u32).collect(),
            depth: Depth { index, zpos },
        };
        // vc4: any number from 1 on for all but the primary plane; of those that are alike the last ones are taken.
        let primary = offer(0, &[Xrgb8888, Argb8888, Nv12], Some((0, None)));
        let overlays: Vec<_> =
            (1..=8).map(|n| offer(n, &[Xrgb8888, Argb8888, Nv12], Some((n as u64, Some((1, 127)))))).collect();
        assert_eq!(fronts(&primary, &overlays.iter().collect::<Vec<_>>()), [7, 6, 5]);
        // vkms tells no number: its list is its order. What has no alpha is of no use here.
        let primary = offer(0, &[Xrgb8888], None);
        let overlays = [offer(1, &[Argb8888], None), offer(2, &[Argb8888], None), offer(3, &[Xrgb8888, Nv12], None)];
        assert_eq!(fronts(&primary, &overlays.each_ref()), [1, 0]);
        // meson: its video plane lies beneath the primary one, and takes no RGB.
        let primary = offer(0, &[Argb8888], Some((1, None)));
        assert!(fronts(&primary, &[&offer(1, &[Nv12, Yuv420], Some((0, None)))]).is_empty());
        assert!(fronts(&primary, &[]).is_empty());
    }
}
