//! The screen itself, by kernel mode setting: no desktop, no compositor.
//!
//! One picture is under way at a time. [`Drm::show`] draws it into a buffer that is not on the screen and asks for a flip
//! at the next vblank, without waiting; the kernel's event says when it was seen, on CLOCK_MONOTONIC.
//!
//! **The display hardware does what it can.** A hardware decoder's own buffer is read where it lies
//! ([`Drm::scan_out`]), if a plane takes its format; it is held until another picture is seen in its place. Where a
//! plane takes a picture's format, but the picture is in memory of ours, the buffer is a copy of it and the plane scales
//! it; else it is scaled and converted on the way. What a plane takes, the driver is asked before (a commit that only
//! tests); where it takes a picture and then fails to show it, the next way is taken for the same picture, and for as long
//! as the screen is open. What stands upon a picture goes to a plane in front of it, where there is one that has an alpha
//! channel, in buffers of its own ([`glass`]); one commit flips both. Where there is none, it is drawn into the picture by
//! whoever has it shown. The drop puts the console's state back, also when a panic unwinds through its owner.

mod buffer;
mod card;
mod commit;
mod depth;
mod event;
mod glass;
mod import;
mod lane;
mod layout;
mod list;
mod output;
mod pick;
mod planes;

pub use layout::ScanLayout;
pub use list::{CardInfo, ConnectorInfo, PlaneInfo, list};
pub use pick::DrmTarget;

use super::blit::Blit;
use super::console::Console;
use super::holders::held_by;
use super::{DecodedFrame, Fault, FaultKind, Pixels, VideoSink};
use crate::media::{Pane, Picture, Size};
use crate::ring::Lent;
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant, earliest};
use card::Card;
use glass::Glass;
use import::Imports;
use nix::errno::Errno;
use nix::poll::PollFlags;
use output::{Kind, Layout, Output};
use planes::Planes;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// How often the connector is looked at. Unplugging is not urgent, the look is one read of a sysfs file, and a screen
/// that is back within this time was never missed.
const LOOK_EVERY: Duration = Duration::from_millis(1_500);

/// A flip that takes longer than this has been lost. The slowest refresh in use is 24 a second, but the kernel's worker
/// that flips has no priority over a board that is busy starting; opening the screen anew would only add to its work.
const FLIP_TIMEOUT: Duration = Duration::from_secs(4);

/// What of the driver is used; all that there is, by default.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Atomic commits; else the legacy calls.
    pub is_atomic: bool,
    /// Planes for the decoder's own formats, its own buffers on them, and what stands upon pictures on another.
    pub is_yuv: bool,
    /// RGB565, even where the driver does not ask for it.
    pub is_16_bit: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { is_atomic: true, is_yuv: true, is_16_bit: false }
    }
}

/// What the screen shows, or is about to.
#[derive(Debug)]
enum Content {
    /// A buffer of the layout's.
    Drawn(usize),
    /// A decoder's, which it has back when this is dropped.
    InPlace { _held: Lent<DecodedFrame> },
}

/// What was before, of which one buffer a plane is on the screen until the next flip is done.
#[derive(Debug, Default)]
struct Retired {
    layout: Option<Layout>,
    imports: Option<Imports>,
    glass: Option<Glass>,
}

/// A lit screen. Fields drop in order: first the state is put back, then the buffers go, then the card.
#[derive(Debug)]
pub struct Drm {
    output: Output,
    layout: Layout,
    /// The decoder's buffers, since a plane takes them.
    imports: Option<Imports>,
    /// What is laid over pictures, since a plane in front of theirs takes it.
    glass: Option<Glass>,
    retired: Retired,
    card: Arc<Card>,
    name: String,
    on_screen: Option<Content>,
    /// What is under way, and when its flip is given up.
    queued: Option<(Content, Instant)>,
    /// Whether pictures in the decoder's formats, and in its buffers, go to planes, and what stands upon them to another;
    /// until a driver fails to.
    is_yuv: bool,
    is_in_place: bool,
    is_glazed: bool,
    /// A picture size, a set of a decoder's buffers, and a picture size beneath glass, that no plane took: not asked about
    /// again and again.
    yuv_refused: Option<Size>,
    set_refused: Option<u64>,
    glass_refused: Option<Size>,
    is_monotonic: bool,
    blit: Blit,
    /// `/sys/class/drm/…/status` of the connector.
    status: Option<File>,
    look_at: Instant,
    _console: Option<Console>,
}

impl Drm {
    /// Lights the screen that `target` names.
    ///
    /// # Errors
    /// A [`Fault`]: absent (no card, no screen connected), or unusable (not permitted, another program draws).
    pub fn open(target: &DrmTarget, now: Instant) -> Result<Drm, Fault> {
        Drm::open_with(target, Options::default(), now)
    }

    /// The same, with less than all of the driver.
    ///
    /// # Errors
    /// As for [`Drm::open`].
    pub fn open_with(target: &DrmTarget, options: Options, now: Instant) -> Result<Drm, Fault> {
        let pick = pick::pick(target)?;
        let name = format!("drm:{}/{}", pick.card.name, pick.connector_name);
        let console = Console::graphics();
        let (output, layout) =
            Output::light(&pick, options).map_err(|error| Fault::new(&name, "set the screen's mode", error))?;
        tracing::info!("{name}: {}", output.describe());
        let status = format!("/sys/class/drm/{}-{}/status", pick.card.name, pick.connector_name);
        let is_glazed = output.planes().is_some_and(Planes::has_panes);
        Ok(Drm {
            output,
            layout,
            imports: None,
            glass: None,
            retired: Retired::default(),
            is_monotonic: pick.card.is_monotonic(),
            card: pick.card,
            name,
            on_screen: Some(Content::Drawn(0)),
            queued: None,
            is_yuv: options.is_yuv,
            is_in_place: options.is_yuv,
            is_glazed,
            yuv_refused: None,
            set_refused: None,
            glass_refused: None,
            blit: Blit::default(),
            status: File::open(status).ok(),
            look_at: now + LOOK_EVERY,
            _console: console,
        })
    }

    /// Whether the pictures' own samples are scanned out, by a YUV plane.
    pub fn is_yuv(&self) -> bool {
        matches!(self.layout.kind, Kind::Yuv(_))
    }

    /// Makes the buffers fit a picture of `size`; nothing to do while that stays the same.
    fn arrange(&mut self, size: Size) -> io::Result<()> {
        if self.is_yuv && self.layout.kind == Kind::Yuv(size) {
            return Ok(());
        }
        if self.is_yuv && self.yuv_refused != Some(size) {
            if let Some(layout) = self.output.yuv(size) {
                self.replace(layout);
                return Ok(());
            }
            self.yuv_refused = Some(size);
        }
        if self.layout.kind != Kind::Rgb {
            let layout = self.output.rgb()?;
            self.replace(layout);
        }
        Ok(())
    }

    fn replace(&mut self, layout: Layout) {
        // Only the first can be on the screen.
        self.retired.layout.get_or_insert(core::mem::replace(&mut self.layout, layout));
        if matches!(self.on_screen, Some(Content::Drawn(_))) {
            self.on_screen = None;
        }
    }

    /// Draws a picture into a buffer that is not on the screen, and has it flipped to, beneath the glass or by itself. False
    /// where it cannot be shown beneath it.
    fn draw(&mut self, picture: &Picture, is_glazed: bool, now: Instant) -> Result<bool, Fault> {
        self.arrange(picture.size()).map_err(|error| self.fault("make buffers for the picture", error))?;
        // The next in turn: never the one on the screen, and the one before that only where there are but two.
        let buffer = match self.on_screen {
            Some(Content::Drawn(on_screen)) => (on_screen + 1) % self.layout.buffers.len(),
            _ => 0,
        };
        self.layout.buffers[buffer].draw(picture, &mut self.blit);
        let glass = self.glass.as_ref().filter(|_| is_glazed);
        let flip = self.output.flip(&mut self.layout, buffer, picture.range, glass);
        let is_shown = flip.map_err(|error| self.fault("flip to the picture", error))?;
        if is_shown {
            self.queued = Some((Content::Drawn(buffer), now + FLIP_TIMEOUT));
        }
        Ok(is_shown)
    }

    /// What an errno means here differs from what it means when a device is opened.
    fn fault(&self, doing: &'static str, error: io::Error) -> Fault {
        if let Err(gone) = self.look() {
            return gone;
        }
        let fault = Fault::new(&self.name, doing, error);
        match fault.errno {
            Some(Errno::EACCES | Errno::EPERM) => {
                let remedy = format!("it was taken over: {}", held_by(&self.card.path));
                Fault { kind: FaultKind::Unusable, remedy, ..fault }
            }
            Some(Errno::EBUSY) => {
                Fault { kind: FaultKind::Stalled, remedy: "the last picture is still under way".into(), ..fault }
            }
            _ => fault,
        }
    }

    /// Whether the screen is still there.
    fn look(&self) -> Result<(), Fault> {
        let Some(status) = &self.status else { return Ok(()) };
        let mut word = [0; 16];
        let gone = match status.read_at(&mut word, 0) {
            Ok(len) => word[..len].starts_with(b"disconnected"),
            // The file is gone with the card.
            Err(error) => error.raw_os_error() == Some(nix::libc::ENODEV),
        };
        let plug = || Fault::plain(FaultKind::Absent, &self.name, "reach the screen", "it is not connected any more");
        if gone { Err(plug()) } else { Ok(()) }
    }
}

impl VideoSink for Drm {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> Option<Size> {
        Some(self.output.size())
    }

    fn wait(&self) -> Wait<'_> {
        let give_up = self.queued.as_ref().map(|(_, give_up)| *give_up);
        let fd = give_up.map(|_| (self.card.as_fd(), PollFlags::POLLIN));
        Wait { fd, at: earliest(give_up, Some(self.look_at)) }
    }

    fn is_ready(&self) -> bool {
        self.queued.is_none()
    }

    fn show(&mut self, picture: &Picture, now: Instant) -> Result<(), Fault> {
        let drawn = self.draw(picture, false, now);
        let drawn = match drawn {
            Err(fault) if self.is_yuv() && fault.kind != FaultKind::Absent => {
                tracing::warn!("{fault}; pictures are converted by the processor from now on");
                self.is_yuv = false;
                self.draw(picture, false, now)
            }
            drawn => drawn,
        };
        drawn.map(drop)
    }

    fn pane_size(&self, frame: &DecodedFrame) -> Option<Size> {
        match &frame.pixels {
            Pixels::Hardware(picture) if !self.may_scan_out(picture) => None,
            _ => self.glass_size(frame.size()),
        }
    }

    fn show_frame(
        &mut self,
        frame: Lent<DecodedFrame>,
        pane: Option<&Pane>,
        now: Instant,
    ) -> Result<(), Lent<DecodedFrame>> {
        match (&frame.pixels, pane) {
            (Pixels::Hardware(picture), _) => match ScanLayout::of(picture) {
                Some(layout) => self.scan_out(frame, layout, pane, now),
                None => Err(frame),
            },
            (Pixels::Own(_), Some(pane)) => self.show_beneath(frame, pane, now),
            (Pixels::Own(_), None) => Err(frame),
        }
    }

    fn finish(&mut self, now: Instant) -> Result<Option<Instant>, Fault> {
        if now >= self.look_at {
            self.look_at = now + LOOK_EVERY;
            self.look()?;
        }
        let Some(give_up) = self.queued.as_ref().map(|(_, give_up)| *give_up) else { return Ok(None) };
        let flip = event::read_flip(&self.card).map_err(|error| self.fault("read the flip's event", error))?;
        let Some(shown_at) = flip else {
            if now < give_up {
                return Ok(None);
            }
            let remedy = "the driver took the picture and never showed it";
            return Err(Fault::plain(FaultKind::Stalled, &self.name, "flip to the picture", remedy));
        };
        // What was on the screen is not read any more: a decoder has its buffer back.
        self.on_screen = self.queued.take().map(|(content, _)| content);
        self.retired = Retired::default();
        if matches!(self.on_screen, Some(Content::Drawn(_))) && !self.is_in_place {
            self.imports = None;
        }
        Ok(Some(if self.is_monotonic { shown_at } else { now }))
    }
}
