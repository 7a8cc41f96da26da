//! The ways of buffers to the screen: which plane they go to, and what the other planes do meanwhile.

use super::commit::{PlanePort, PlaneSlots, Rectangle, Request};
use super::glass::Glass;
use super::output::Output;
use super::planes::Planes;
use crate::media::{ColourRange, Size};
use drm::buffer::DrmFourcc;
use drm::control::{AtomicCommitFlags, framebuffer};
use std::io;

/// A buffer as a plane is asked to show it. All that are put on one lane differ in nothing but the framebuffer.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// The format.
    pub format: DrmFourcc,
    /// Size in pixels.
    pub size: Size,
    /// Where on the screen it goes.
    pub at: Rectangle,
    /// The buffer.
    pub framebuffer: framebuffer::Handle,
}

/// The whole of the CRTC's planes with one buffer on them, which is exchanged from flip to flip, and perhaps glass in front.
#[derive(Debug)]
pub struct Lane {
    request: Request,
    picture: PlaneSlots,
    glass: Option<PlaneSlots>,
}

/// How buffers that are all alike get on the screen: by themselves, and beneath glass.
#[derive(Debug)]
pub struct Lanes {
    scan: Scan,
    plain: Lane,
    /// By where the glass is; `None` where the driver does not agree.
    glazed: Option<(Rectangle, Option<Lane>)>,
}

impl Lanes {
    /// `plain` is the lane for buffers like `scan`.
    pub fn new(scan: Scan, plain: Lane) -> Lanes {
        Lanes { scan, plain, glazed: None }
    }

    /// The lane for a picture by itself.
    pub fn plain(&self) -> &Lane {
        &self.plain
    }

    /// The lane to flip on; `None` where no two planes can show both.
    pub fn pick(&mut self, output: &Output, glass: Option<&Glass>) -> Option<&mut Lane> {
        let Some(glass) = glass else { return Some(&mut self.plain) };
        if self.glazed.as_ref().is_none_or(|(at, _)| *at != glass.at) {
            self.glazed = Some((glass.at, output.glazed_lane(self.scan, glass)));
        }
        self.glazed.as_mut().and_then(|(_, lane)| lane.as_mut())
    }
}

impl Lane {
    /// A buffer on a plane, and perhaps glass on another in front of it, each as far up as its number says, where it has one;
    /// the planes that neither needs are kept dark. `behind` is what fills the primary one.
    pub fn new(
        planes: &Planes,
        (port, scan, depth): (&PlanePort, Scan, Option<u64>),
        behind: Option<Scan>,
        glass: Option<(&PlanePort, &Glass, Option<u64>)>,
    ) -> Lane {
        let mut request = Request::default();
        if let Some(behind) = behind {
            put(planes.primary(), &mut request, behind);
        }
        let picture = put(port, &mut request, scan);
        if let Some(depth) = depth {
            port.lift(&mut request, depth);
        }
        let slots = glass.map(|(front, glass, depth)| {
            let size = (glass.at[2], glass.at[3]);
            let slots = front.put_premultiplied(&mut request, glass.framebuffer(), size, glass.at);
            if let Some(depth) = depth {
                front.lift(&mut request, depth);
            }
            slots
        });
        let is_used = |plane: &PlanePort| plane.is_same(port) || glass.is_some_and(|(front, ..)| plane.is_same(front));
        for overlay in planes.overlays().filter(|overlay| !is_used(overlay)) {
            overlay.clear(&mut request);
        }
        Lane { request, picture, glass: slots }
    }

    /// All of it, for a commit with more.
    pub fn request(&self) -> Request {
        self.request.clone()
    }

    /// Puts these on it for the next commit.
    pub fn load(
        &mut self,
        framebuffer: framebuffer::Handle,
        range: ColourRange,
        glass: Option<&Glass>,
    ) -> &mut Request {
        self.picture.exchange(&mut self.request, framebuffer, range == ColourRange::Full);
        if let Some((slots, glass)) = self.glass.zip(glass) {
            slots.replace(&mut self.request, glass.framebuffer());
        }
        &mut self.request
    }
}

fn put(port: &PlanePort, request: &mut Request, scan: Scan) -> PlaneSlots {
    port.put(request, scan.framebuffer, (scan.size.width, scan.size.height), scan.at)
}

impl Output {
    /// The first plane that the driver agrees to put a framebuffer of this format and size on, scaled to the screen;
    /// `None` where it agrees to none.
    pub fn lanes(&self, format: DrmFourcc, size: Size, framebuffer: framebuffer::Handle) -> Option<Lanes> {
        let planes = self.planes()?;
        // Samples at 4:2:0 come in twos; an odd picture would have half a sample that drivers treat differently.
        if size.pixels() == 0 || !size.width.is_multiple_of(2) || !size.height.is_multiple_of(2) {
            return None;
        }
        let scan = Scan { format, size, at: self.place(size), framebuffer };
        planes.for_format(format).find_map(|port| {
            let lane = Lane::new(planes, (port, scan, None), self.behind(planes, port).ok()?, None);
            self.agrees(&lane).ok()?;
            tracing::debug!("{size} goes to a plane as {format}");
            Some(Lanes::new(scan, lane))
        })
    }

    /// The first two planes that the driver agrees to put such a buffer, and glass in front of it, on.
    fn glazed_lane(&self, scan: Scan, glass: &Glass) -> Option<Lane> {
        let planes = self.planes()?;
        let mut refusal = None;
        let lane = planes.pairs(scan.format).find_map(|(port, front, order)| {
            let behind = self.behind(planes, port).ok()?;
            let glass = Some((front, glass, order.upper));
            let lane = Lane::new(planes, (port, scan, order.lower), behind, glass);
            match self.agrees(&lane) {
                Ok(()) => Some(lane),
                Err(error) => {
                    refusal = Some(error);
                    None
                }
            }
        });
        match (&lane, refusal) {
            (Some(_), _) => tracing::debug!("{} goes to a plane as {}, beneath another", scan.size, scan.format),
            (None, Some(error)) => tracing::info!(
                "the screen lays nothing over a picture of {} ({}): {error}; it is drawn into it",
                scan.size,
                scan.format
            ),
            (None, None) => {}
        }
        lane
    }

    fn agrees(&self, lane: &Lane) -> io::Result<()> {
        self.commit(&mut lane.request(), AtomicCommitFlags::TEST_ONLY)
    }
}
