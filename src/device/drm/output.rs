//! A lit CRTC: the mode set, layouts of buffers made for it, and the console's state put back at the end.

use super::Options;
use super::buffer::{Buffer, YUV_FORMATS};
use super::card::Card;
use super::commit::{PlanePort, Properties, Rectangle, Request};
use super::glass::Glass;
use super::lane::{Lane, Lanes, Scan};
use super::pick::Pick;
use super::planes::Planes;
use crate::media::{ColourRange, Size};
use core::cell::OnceCell;
use drm::buffer::DrmFourcc;
use drm::control::{AtomicCommitFlags, Device as _, Mode, PageFlipFlags, connector, crtc, framebuffer};
use std::io;
use std::sync::Arc;

/// One on the screen, one on its way there, one to draw into: also where a driver reports a flip a little before the
/// hardware lets the old buffer go.
const BUFFERS: usize = 3;

/// The CRTC and what drives it. Its drop puts the console back.
#[derive(Debug)]
pub struct Output {
    card: Arc<Card>,
    connector: connector::Handle,
    crtc: crtc::Handle,
    mode: Mode,
    screen: Size,
    /// XRGB8888, or RGB565.
    rgb: DrmFourcc,
    planes: Option<Planes>,
    /// Black, beneath a plane that does not fill the screen; made when it is first needed.
    backdrop: OnceCell<Buffer>,
    /// As found.
    before: Option<crtc::Info>,
}

/// What the buffers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first, black screen.
    Black,
    /// Of the screen's size; pictures are scaled and converted into them.
    Rgb,
    /// Of the picture's own size; the plane scales and converts.
    Yuv(Size),
}

/// A set of buffers, and how they are put on the screen.
#[derive(Debug)]
pub struct Layout {
    /// What they are for.
    pub kind: Kind,
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// `None` for a legacy driver.
    lanes: Option<Lanes>,
}

impl Output {
    /// Sets the mode, with a black screen.
    pub fn light(pick: &Pick, options: Options) -> io::Result<(Output, Layout)> {
        let card = pick.card.clone();
        let before = card.get_crtc(pick.crtc).ok();
        let planes = if options.is_atomic && card.enable_atomic() {
            Planes::find(&card, pick.crtc, options.is_yuv).ok()
        } else {
            None
        };
        let (width, height) = pick.mode.size();
        let mut output = Output {
            connector: pick.connector,
            crtc: pick.crtc,
            mode: pick.mode,
            screen: Size::new(width.into(), height.into()),
            rgb: if options.is_16_bit || card.prefers_16_bits() { DrmFourcc::Rgb565 } else { DrmFourcc::Xrgb8888 },
            planes,
            backdrop: OnceCell::new(),
            before,
            card,
        };
        let black = output.first_buffer()?;
        let layout = output.rgb_layout(Kind::Black, vec![black]);
        output.set_mode(&layout)?;
        Ok((output, layout))
    }

    /// The screen's size.
    pub fn size(&self) -> Size {
        self.screen
    }

    /// In words: which interface and format, for the log.
    pub fn describe(&self) -> String {
        let interface = if self.planes.is_some() { "atomic" } else { "legacy" };
        format!("{} at {} Hz, {}, {interface}", self.screen, self.mode.vrefresh(), self.rgb)
    }

    /// A black buffer of the screen's size; a driver that refuses one RGB format gets the other.
    fn first_buffer(&mut self) -> io::Result<Buffer> {
        let other = if self.rgb == DrmFourcc::Rgb565 { DrmFourcc::Xrgb8888 } else { DrmFourcc::Rgb565 };
        Buffer::new(&self.card, self.screen, self.rgb).or_else(|error| {
            let buffer = Buffer::new(&self.card, self.screen, other).map_err(|_| error)?;
            self.rgb = other;
            Ok(buffer)
        })
    }

    /// The planes, where the driver is an atomic one.
    pub fn planes(&self) -> Option<&Planes> {
        self.planes.as_ref()
    }

    /// Where a picture of a size lies on the screen.
    pub fn place(&self, size: Size) -> Rectangle {
        let (left, top, shown) = size.fit(self.screen);
        [left, top, shown.width, shown.height]
    }

    fn whole(&self, framebuffer: framebuffer::Handle) -> Scan {
        let at = [0, 0, self.screen.width, self.screen.height];
        Scan { format: self.rgb, size: self.screen, at, framebuffer }
    }

    fn rgb_layout(&self, kind: Kind, buffers: Vec<Buffer>) -> Layout {
        let scan = self.whole(buffers[0].framebuffer());
        let lane = |planes: &Planes| Lane::new(planes, (planes.primary(), scan, None), None, None);
        let lanes = self.planes.as_ref().map(|planes| Lanes::new(scan, lane(planes)));
        Layout { kind, buffers, lanes }
    }

    /// Buffers of the screen's size. Two will do where memory for scan-out is short.
    pub fn rgb(&self) -> io::Result<Layout> {
        let mut buffers = vec![Buffer::new(&self.card, self.screen, self.rgb)?];
        buffers.push(Buffer::new(&self.card, self.screen, self.rgb)?);
        buffers.extend(Buffer::new(&self.card, self.screen, self.rgb).ok());
        Ok(self.rgb_layout(Kind::Rgb, buffers))
    }

    /// Buffers of the picture's size on the first plane that the driver agrees to; `None` where it agrees to none.
    pub fn yuv(&self, size: Size) -> Option<Layout> {
        YUV_FORMATS.into_iter().filter(|format| self.takes(*format)).find_map(|format| {
            let mut buffers = vec![Buffer::new(&self.card, size, format).ok()?];
            let lanes = self.lanes(format, size, buffers[0].framebuffer())?;
            while buffers.len() < BUFFERS {
                buffers.push(Buffer::new(&self.card, size, format).ok()?);
            }
            Some(Layout { kind: Kind::Yuv(size), buffers, lanes: Some(lanes) })
        })
    }

    fn takes(&self, format: DrmFourcc) -> bool {
        self.planes.as_ref().is_some_and(|planes| planes.for_format(format).next().is_some())
    }

    /// What fills the primary plane where `port` is another.
    pub fn behind(&self, planes: &Planes, port: &PlanePort) -> io::Result<Option<Scan>> {
        if port.is_same(planes.primary()) { Ok(None) } else { Ok(Some(self.whole(self.backdrop()?.framebuffer()))) }
    }

    fn backdrop(&self) -> io::Result<&Buffer> {
        if self.backdrop.get().is_none() {
            let _ = self.backdrop.set(Buffer::new(&self.card, self.screen, self.rgb)?);
        }
        self.backdrop.get().ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Sets the mode, waiting until it is on.
    fn set_mode(&mut self, layout: &Layout) -> io::Result<()> {
        if let Some(lanes) = &layout.lanes {
            if self.set_mode_atomic(lanes.plain().request()).is_ok() {
                return Ok(());
            }
            // Some old drivers list the properties and refuse the commit: the legacy call is still there.
            self.planes = None;
        }
        let framebuffer = Some(layout.buffers[0].framebuffer());
        self.card.set_crtc(self.crtc, framebuffer, (0, 0), &[self.connector], Some(self.mode))
    }

    fn set_mode_atomic(&self, mut request: Request) -> io::Result<()> {
        let connector = Properties::of(&self.card, self.connector)?;
        let crtc = Properties::of(&self.card, self.crtc)?;
        let mode = self.card.create_property_blob(&drm_ffi::drm_mode_modeinfo::from(self.mode))?;
        let drm::control::property::Value::Blob(blob) = mode else { return Err(io::ErrorKind::Other.into()) };
        let (object, property) = connector.id("CRTC_ID")?;
        request.set(object, property, u32::from(self.crtc).into());
        let (object, property) = crtc.id("MODE_ID")?;
        request.set(object, property, blob);
        let (object, property) = crtc.id("ACTIVE")?;
        request.set(object, property, 1);
        let test = request.commit(&self.card, AtomicCommitFlags::TEST_ONLY | AtomicCommitFlags::ALLOW_MODESET);
        let done = test.and_then(|()| request.commit(&self.card, AtomicCommitFlags::ALLOW_MODESET));
        // The CRTC's state holds the blob from now on.
        let _ = self.card.destroy_property_blob(blob);
        done
    }

    /// Gives a request to the driver.
    pub fn commit(&self, request: &mut Request, flags: AtomicCommitFlags) -> io::Result<()> {
        request.commit(&self.card, flags)
    }

    /// Puts a buffer on the screen at the next vblank, beneath glass or by itself, without waiting; an event follows. False
    /// where it cannot be shown beneath glass.
    ///
    /// # Errors
    /// What the driver says.
    pub fn flip(
        &self,
        layout: &mut Layout,
        buffer: usize,
        range: ColourRange,
        glass: Option<&Glass>,
    ) -> io::Result<bool> {
        let framebuffer = layout.buffers[buffer].framebuffer();
        match (&mut layout.lanes, &self.planes) {
            (Some(lanes), Some(_)) => self.flip_to(lanes, framebuffer, range, glass),
            _ if glass.is_some() => Ok(false),
            _ => self.card.page_flip(self.crtc, framebuffer, PageFlipFlags::EVENT, None).map(|()| true),
        }
    }

    /// The same for any framebuffer like the one that the lanes were made for.
    ///
    /// # Errors
    /// What the driver says.
    pub fn flip_to(
        &self,
        lanes: &mut Lanes,
        framebuffer: framebuffer::Handle,
        range: ColourRange,
        glass: Option<&Glass>,
    ) -> io::Result<bool> {
        let Some(lane) = lanes.pick(self, glass) else { return Ok(false) };
        let request = lane.load(framebuffer, range, glass);
        self.commit(request, AtomicCommitFlags::NONBLOCK | AtomicCommitFlags::PAGE_FLIP_EVENT).map(|()| true)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(planes) = &self.planes {
            let mut request = Request::default();
            for overlay in planes.overlays() {
                overlay.clear(&mut request);
            }
            let _ = request.commit(&self.card, AtomicCommitFlags::empty());
        }
        // What was shown before, or dark as before. Where it fails (the card is gone, another program draws) there is
        // nothing to put back; and when the last client closes the card, the kernel brings its console back by itself.
        let before = self.before.and_then(|crtc| Some((crtc.framebuffer()?, crtc.position(), crtc.mode()?)));
        let _ = match before {
            Some((framebuffer, at, mode)) => {
                self.card.set_crtc(self.crtc, Some(framebuffer), at, &[self.connector], Some(mode))
            }
            None => self.card.set_crtc(self.crtc, None, (0, 0), &[], None),
        };
    }
}
