//! The framebuffer device: the screen of kernels and panels without KMS.
//!
//! The picture is drawn into the mapped memory. Where the driver has room for two screens, it goes into the hidden one
//! and the driver pans to it at its next refresh; where not, it is drawn where it is seen, and a moving picture may tear.
//! There is no event that says when a picture was seen: it counts as shown when the pan, or the drawing, is done.

use super::blit::{Blit, PackedTarget, PixelLayout};
use super::console::Console;
use super::{Fault, FaultKind, VideoSink};
use crate::media::{Picture, Size};
use crate::sys::clock;
use crate::sys::memory::Map;
use crate::sys::poll::Wait;
use crate::time::Instant;
use core::fmt;
use nix::libc::{c_char, c_ulong};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

/// `struct fb_bitfield` of linux/fb.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct BitField {
    offset: u32,
    length: u32,
    msb_right: u32,
}

/// `struct fb_var_screeninfo` of linux/fb.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct VarInfo {
    xres: u32,
    yres: u32,
    xres_virtual: u32,
    yres_virtual: u32,
    xoffset: u32,
    yoffset: u32,
    bits_per_pixel: u32,
    grayscale: u32,
    red: BitField,
    green: BitField,
    blue: BitField,
    transp: BitField,
    nonstd: u32,
    activate: u32,
    height: u32,
    width: u32,
    accel_flags: u32,
    /// Pixel clock, margins, sync, mode, rotation, colour space.
    timing: [u32; 11],
    reserved: [u32; 4],
}

/// `struct fb_fix_screeninfo` of linux/fb.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct FixInfo {
    id: [c_char; 16],
    smem_start: c_ulong,
    smem_len: u32,
    kind: u32,
    type_aux: u32,
    visual: u32,
    xpanstep: u16,
    ypanstep: u16,
    ywrapstep: u16,
    line_length: u32,
    mmio_start: c_ulong,
    mmio_len: u32,
    accel: u32,
    capabilities: u16,
    reserved: [u16; 2],
}

// The first is the same everywhere; the second has two longs.
const _: () = assert!(size_of::<VarInfo>() == 160);
const _: () = assert!(size_of::<FixInfo>() == if size_of::<c_ulong>() == 8 { 80 } else { 68 });

mod ioctl {
    use super::{FixInfo, VarInfo};
    nix::ioctl_read_bad!(get_var, 0x4600, VarInfo);
    nix::ioctl_read_bad!(get_fix, 0x4602, FixInfo);
    nix::ioctl_readwrite_bad!(pan, 0x4606, VarInfo);
}

/// What the driver says of a framebuffer, in our words.
#[derive(Clone, Debug)]
pub struct FramebufferInfo {
    /// The driver's name for it.
    pub id: String,
    /// Visible size in pixels.
    pub size: Size,
    /// Bits of one pixel.
    pub bits_per_pixel: u32,
    /// How they lie; `None` where visavis cannot draw them.
    pub layout: Option<PixelLayout>,
    /// Whether a second screen fits, to be panned to.
    pub is_double: bool,
}

impl fmt::Display for FramebufferInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {} bits a pixel", self.id, self.size, self.bits_per_pixel)
    }
}

/// Asks the driver, and changes nothing.
///
/// # Errors
/// A [`Fault`] where the device cannot be opened or is no framebuffer.
pub fn info(path: &Path) -> Result<FramebufferInfo, Fault> {
    let name = format!("fbdev:{}", path.display());
    let (file, var, fix) = query(&name, path)?;
    drop(file);
    Ok(describe(&var, &fix))
}

fn query(name: &str, path: &Path) -> Result<(File, VarInfo, FixInfo), Fault> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| Fault::new(name, "open it", e))?;
    let (mut var, mut fix) = (VarInfo::default(), FixInfo::default());
    // SAFETY: each call fills one structure of linux/fb.h, whose layout the given ones have.
    unsafe { ioctl::get_var(file.as_raw_fd(), &raw mut var) }
        .map_err(|errno| Fault::new(name, "ask for its format (FBIOGET_VSCREENINFO)", errno))?;
    // SAFETY: as above.
    unsafe { ioctl::get_fix(file.as_raw_fd(), &raw mut fix) }
        .map_err(|errno| Fault::new(name, "ask for its memory (FBIOGET_FSCREENINFO)", errno))?;
    Ok((file, var, fix))
}

fn layout(var: &VarInfo) -> Option<PixelLayout> {
    let fields = [var.red, var.green, var.blue].map(|field| (field.offset, field.length));
    match (var.bits_per_pixel, fields) {
        (32, [(16, 8), (8, 8), (0, 8)]) => Some(PixelLayout::Xrgb8888),
        (32, [(0, 8), (8, 8), (16, 8)]) => Some(PixelLayout::Xbgr8888),
        (16, [(11, 5), (5, 6), (0, 5)]) => Some(PixelLayout::Rgb565),
        _ => None,
    }
}

fn describe(var: &VarInfo, fix: &FixInfo) -> FramebufferInfo {
    let id: Vec<u8> = fix.id.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
    let both = u64::from(fix.line_length) * u64::from(var.yres) * 2;
    FramebufferInfo {
        id: String::from_utf8_lossy(&id).into_owned(),
        size: Size::new(var.xres, var.yres),
        bits_per_pixel: var.bits_per_pixel,
        layout: layout(var),
        is_double: fix.ypanstep > 0
            && var.yres_virtual >= var.yres.saturating_mul(2)
            && both <= u64::from(fix.smem_len),
    }
}

/// An open framebuffer. Its drop puts back what was on it.
#[derive(Debug)]
pub struct Framebuffer {
    name: String,
    file: File,
    map: Map,
    size: Size,
    layout: PixelLayout,
    stride_bytes: usize,
    /// As found, to be put back.
    var: VarInfo,
    before: Vec<u8>,
    /// First rows of the screens that are drawn in turn: two where the driver can pan, else the visible one.
    screens: Vec<u32>,
    /// Which of them is drawn next.
    next: usize,
    /// The size of the picture that each was last cleared for.
    cleared_for: [Option<Size>; 2],
    blit: Blit,
    shown_at: Option<Instant>,
    _console: Option<Console>,
}

impl Framebuffer {
    /// Opens and maps it, and keeps the text console off it.
    ///
    /// # Errors
    /// A [`Fault`]: absent, not permitted, or of a pixel layout that is not drawn.
    pub fn open(path: &Path) -> Result<Framebuffer, Fault> {
        let name = format!("fbdev:{}", path.display());
        let (file, var, fix) = query(&name, path)?;
        let info = describe(&var, &fix);
        let unusable = |remedy: String| Fault::plain(FaultKind::Unusable, &name, "draw on it", remedy);
        let layout = info.layout.ok_or_else(|| {
            unusable(format!("{info}: only XRGB8888, XBGR8888 and RGB565 are drawn; `fbset -depth 32` may help"))
        })?;
        let stride_bytes = fix.line_length as usize;
        let rows = if info.is_double { var.yres * 2 } else { var.yoffset.saturating_add(var.yres) };
        let bytes = stride_bytes * rows as usize;
        let row_bytes = (var.xoffset as usize + var.xres as usize) * layout.bytes();
        if var.xres == 0 || var.yres == 0 || stride_bytes < row_bytes || bytes > fix.smem_len as usize {
            return Err(unusable(format!("{info}: the driver's sizes contradict each other")));
        }
        let map = Map::new(&file, 0, bytes).map_err(|error| Fault::new(&name, "map its memory (mmap)", error))?;
        let before = map.bytes().to_vec();
        let screens = if info.is_double { vec![0, var.yres] } else { vec![var.yoffset] };
        // Begin with the one that is not seen.
        let next = usize::from(info.is_double && var.yoffset < var.yres);
        Ok(Framebuffer {
            name,
            file,
            map,
            size: info.size,
            layout,
            stride_bytes,
            var,
            before,
            screens,
            next,
            cleared_for: [None; 2],
            blit: Blit::default(),
            shown_at: None,
            _console: Console::graphics(),
        })
    }

    fn pan(&self, first_row: u32) -> Result<(), Fault> {
        let mut var = VarInfo { yoffset: first_row, ..self.var };
        // SAFETY: FBIOPAN_DISPLAY reads one `fb_var_screeninfo` and writes back what it made of it.
        unsafe { ioctl::pan(self.file.as_raw_fd(), &raw mut var) }
            .map_err(|errno| Fault::new(&self.name, "pan to the picture (FBIOPAN_DISPLAY)", errno))?;
        Ok(())
    }
}

impl VideoSink for Framebuffer {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> Option<Size> {
        Some(self.size)
    }

    fn wait(&self) -> Wait<'_> {
        Wait { fd: None, at: self.shown_at }
    }

    fn is_ready(&self) -> bool {
        self.shown_at.is_none()
    }

    fn show(&mut self, picture: &Picture, _now: Instant) -> Result<(), Fault> {
        let screen = self.next;
        let first_row = self.screens[screen];
        let start = first_row as usize * self.stride_bytes + self.var.xoffset as usize * self.layout.bytes();
        let end = (first_row + self.size.height) as usize * self.stride_bytes;
        let data = &mut self.map.bytes_mut()[start..end];
        if self.cleared_for[screen] != Some(picture.size()) {
            // The borders; what lies beyond the visible width is not seen and may be cleared too.
            data.fill(0);
            self.cleared_for[screen] = Some(picture.size());
        }
        let mut target = PackedTarget { data, stride_bytes: self.stride_bytes, size: self.size, layout: self.layout };
        self.blit.packed(picture, &mut target);
        if self.screens.len() > 1 {
            self.pan(first_row)?;
            self.next = 1 - screen;
        }
        self.shown_at = Some(clock::now());
        Ok(())
    }

    fn finish(&mut self, _now: Instant) -> Result<Option<Instant>, Fault> {
        Ok(self.shown_at.take())
    }
}

impl Drop for Framebuffer {
    fn drop(&mut self) {
        self.map.bytes_mut().copy_from_slice(&self.before);
        if self.screens.len() > 1 {
            let _ = self.pan(self.var.yoffset);
        }
    }
}

/// The framebuffers that are there.
pub fn list() -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let is_framebuffer = |name: &str| name.strip_prefix("fb").is_some_and(|n| n.parse::<u8>().is_ok());
    let mut found: Vec<_> =
        entries.flatten().filter(|e| e.file_name().to_str().is_some_and(is_framebuffer)).map(|e| e.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_told_by_their_bit_fields() {
        let field = |offset, length| BitField { offset, length, msb_right: 0 };
        let var = |bits_per_pixel, red, green, blue| VarInfo { bits_per_pixel, red, green, blue, ..VarInfo::default() };
        let xrgb = var(32, field(16, 8), field(8, 8), field(0, 8));
        let rgb565 = var(16, field(11, 5), field(5, 6), field(0, 5));
        let rgb555 = var(16, field(10, 5), field(5, 5), field(0, 5));
        assert_eq!(
            [xrgb, rgb565, rgb555].map(|v| layout(&v)),
            [Some(PixelLayout::Xrgb8888), Some(PixelLayout::Rgb565), None]
        );
    }

    #[test]
    fn what_is_no_framebuffer_is_refused_in_words() {
        let fault = Framebuffer::open(Path::new("/dev/null")).unwrap_err();
        assert!(fault.to_string().contains("FBIOGET_VSCREENINFO"), "{fault}");
        assert_eq!(Framebuffer::open(Path::new("/dev/fb99")).unwrap_err().kind, FaultKind::Absent);
    }
}
