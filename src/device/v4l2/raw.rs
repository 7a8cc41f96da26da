//! One V4L2 node and the calls made on it, single- and multi-planar alike.
//!
//! The structures, numbers and the `ioctl` itself are the `v4l` crate's. Its safe interface is not used: it knows no
//! multi-planar node, and it panics on names that are not UTF-8 and on field orders, colour spaces and control types
//! that it has not heard of, all of which a driver may answer.

use super::modes::{Rates, Sizes};
use crate::device::Fault;
use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};
use nix::errno::Errno;
use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use v4l::v4l_sys as sys;
use v4l::v4l2::vidioc;

/// Which of a node's two queues is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the device: a camera's pictures, or what a codec has made.
    Capture,
    /// To the device: what a codec is given.
    Output,
}

/// The most entries that are read of any list a driver enumerates; a broken driver may never say that it is at the end.
const ENTRIES_MAX: u32 = 64;

// A call's number holds the size of its structure: of another size the kernel would know no such call. On 32 bits it knows
// this one with its time in 32 bits, and in 64.
const _: () = assert!(matches!((usize::BITS, size_of::<sys::v4l2_buffer>()), (64, 88) | (32, 68 | 80)));
const _: () = assert!(size_of::<sys::v4l2_format>() == if usize::BITS == 64 { 208 } else { 204 });

/// A structure of the kernel's whose every bit pattern, all zeros too, is a valid value.
///
/// # Safety
/// Implement it only for plain C structures of integers, raw pointers and unions of these.
pub unsafe trait Plain: Sized {
    /// All zeros.
    fn zeroed() -> Self {
        // SAFETY: that zeros are a valid value is what implementing this trait says.
        unsafe { core::mem::zeroed() }
    }
}
// SAFETY: all of these are C structures of integers, arrays of them, and unions of such.
unsafe impl Plain for sys::v4l2_capability {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_fmtdesc {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_frmsizeenum {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_frmivalenum {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_format {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_streamparm {}
// SAFETY: an integer.
unsafe impl Plain for i32 {}

/// What a node says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The driver: `uvcvideo`, `vivid`.
    pub driver: String,
    /// The product's name.
    pub card: String,
    /// Where it is plugged in.
    pub bus: String,
    /// `V4L2_CAP_*` of this node.
    pub capabilities: u32,
}

/// One queue of an open node. A camera has one; a codec has two, which share the open file.
#[derive(Clone, Debug)]
pub struct Node {
    file: Arc<File>,
    side: Side,
    is_multi: bool,
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Node {
    /// Opens a node and asks what it is.
    pub fn open(path: &Path) -> Result<(Node, Card), Fault> {
        let name = path.display().to_string();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
            .open(path)
            .map_err(|e| Fault::new(&name, "open it", e))?;
        let mut node = Node { file: Arc::new(file), side: Side::Capture, is_multi: false };
        let mut caps = sys::v4l2_capability::zeroed();
        node.call(vidioc::VIDIOC_QUERYCAP, &mut caps)
            .map_err(|e| Fault::new(&name, "ask what it is (VIDIOC_QUERYCAP)", e))?;
        // `capabilities` is of the whole device, `device_caps` of this node, where the driver tells them apart.
        let own = caps.capabilities & sys::V4L2_CAP_DEVICE_CAPS != 0;
        let capabilities = if own { caps.device_caps } else { caps.capabilities };
        node.is_multi = capabilities & (sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_VIDEO_M2M) == 0;
        let card = Card { driver: text(&caps.driver), card: text(&caps.card), bus: text(&caps.bus_info), capabilities };
        Ok((node, card))
    }

    /// The other queue, or the same one, of the same open file.
    pub fn facing(&self, side: Side) -> Node {
        Node { side, ..self.clone() }
    }

    /// `V4L2_BUF_TYPE_*` of the queue.
    pub fn kind(&self) -> u32 {
        match (self.side, self.is_multi) {
            (Side::Capture, false) => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
            (Side::Capture, true) => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
            (Side::Output, false) => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_OUTPUT,
            (Side::Output, true) => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
        }
    }

    /// Whether its structures are the multi-planar ones.
    pub fn is_multi(&self) -> bool {
        self.is_multi
    }

    /// Makes one call on the node.
    ///
    /// # Errors
    /// What the driver answers, but for EINTR, after which it is made again.
    pub fn call<T: Plain>(&self, request: vidioc::_IOC_TYPE, argument: &mut T) -> io::Result<()> {
        loop {
            // SAFETY: every request used here has its argument's size in its number, and `T` is that structure; the
            // kernel writes no more than that, and a `Plain` has no invalid value.
            let done = unsafe {
                v4l::v4l2::ioctl(self.file.as_raw_fd(), request, core::ptr::from_mut(argument).cast::<c_void>())
            };
            match done {
                Err(e) if e.raw_os_error() == Some(Errno::EINTR as i32) => {}
                done => return done,
            }
        }
    }

    /// The pixel formats, as fourccs, in the driver's order.
    pub fn fourccs(&self) -> Vec<[u8; 4]> {
        self.formats().map(|d| d.pixelformat.to_le_bytes()).collect()
    }

    /// The same with all that the driver says of each.
    pub fn formats(&self) -> impl Iterator<Item = sys::v4l2_fmtdesc> {
        self.list(vidioc::VIDIOC_ENUM_FMT, |index| sys::v4l2_fmtdesc {
            index,
            type_: self.kind(),
            ..sys::v4l2_fmtdesc::zeroed()
        })
    }

    /// The sizes of a format.
    pub fn sizes(&self, fourcc: [u8; 4]) -> Vec<Sizes> {
        let pixel_format = u32::from_le_bytes(fourcc);
        self.list(vidioc::VIDIOC_ENUM_FRAMESIZES, |index| sys::v4l2_frmsizeenum {
            index,
            pixel_format,
            ..sys::v4l2_frmsizeenum::zeroed()
        })
        .map(|s| {
            if s.type_ == sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE {
                // SAFETY: both members are plain integers, and the type says that this one was written.
                let one = unsafe { s.__bindgen_anon_1.discrete };
                Sizes::One(Size::new(one.width, one.height))
            } else {
                // SAFETY: as above.
                let steps = unsafe { s.__bindgen_anon_1.stepwise };
                Sizes::Steps {
                    least: Size::new(steps.min_width, steps.min_height),
                    most: Size::new(steps.max_width, steps.max_height),
                    step: Size::new(steps.step_width, steps.step_height),
                }
            }
        })
        .collect()
    }

    /// The frame rates of a format at a size.
    pub fn rates(&self, fourcc: [u8; 4], size: Size) -> Vec<Rates> {
        let pixel_format = u32::from_le_bytes(fourcc);
        self.list(vidioc::VIDIOC_ENUM_FRAMEINTERVALS, |index| sys::v4l2_frmivalenum {
            index,
            pixel_format,
            width: size.width,
            height: size.height,
            ..sys::v4l2_frmivalenum::zeroed()
        })
        .map(|i| {
            if i.type_ == sys::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE {
                // SAFETY: both members are plain integers, and the type says that this one was written.
                Rates::One(millihertz(unsafe { i.__bindgen_anon_1.discrete }))
            } else {
                // SAFETY: as above.
                let steps = unsafe { i.__bindgen_anon_1.stepwise };
                // The longest interval is the lowest rate.
                Rates::Between(millihertz(steps.max), millihertz(steps.min))
            }
        })
        .collect()
    }

    fn list<'a, T: Plain + 'a>(
        &'a self,
        request: vidioc::_IOC_TYPE,
        ask: impl Fn(u32) -> T + 'a,
    ) -> impl Iterator<Item = T> + 'a {
        (0..ENTRIES_MAX).map_while(move |index| {
            let mut entry = ask(index);
            self.call(request, &mut entry).ok().map(|()| entry)
        })
    }

    /// Asks for a format; the answer is what the driver made of it, `None` where that is nothing visavis reads.
    pub fn set_format(&self, pixel: PixelFormat, size: Size) -> io::Result<Option<VideoFormat>> {
        // A stride or size left over from another format would be taken as a wish: zero asks for none.
        self.set_layout(pixel, size, 0)
    }

    /// The same with a wish for the bytes from row to row.
    pub fn set_layout(&self, pixel: PixelFormat, size: Size, stride_bytes: usize) -> io::Result<Option<VideoFormat>> {
        let mut format = sys::v4l2_format { type_: self.kind(), ..sys::v4l2_format::zeroed() };
        let fourcc = u32::from_le_bytes(pixel.fourcc());
        // A device says what its pictures' colours are, and is told what those are that it is given.
        let colours = match self.side {
            Side::Capture => {
                (sys::v4l2_colorspace_V4L2_COLORSPACE_DEFAULT, sys::v4l2_quantization_V4L2_QUANTIZATION_DEFAULT)
            }
            Side::Output => {
                (sys::v4l2_colorspace_V4L2_COLORSPACE_SMPTE170M, sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE)
            }
        };
        if !self.is_multi {
            format.fmt.pix = sys::v4l2_pix_format {
                width: size.width,
                height: size.height,
                pixelformat: fourcc,
                field: sys::v4l2_field_V4L2_FIELD_NONE,
                bytesperline: stride_bytes as u32,
                sizeimage: 0,
                colorspace: colours.0,
                // Without it the kernel takes what follows for zeros.
                priv_: sys::V4L2_PIX_FMT_PRIV_MAGIC,
                quantization: colours.1,
                // SAFETY: the member is all integers, and `format` was zeroed.
                ..unsafe { format.fmt.pix }
            };
        } else {
            // SAFETY: as above.
            let mut plane_fmt = unsafe { format.fmt.pix_mp }.plane_fmt;
            plane_fmt[0].bytesperline = stride_bytes as u32;
            format.fmt.pix_mp = sys::v4l2_pix_format_mplane {
                width: size.width,
                height: size.height,
                pixelformat: fourcc,
                field: sys::v4l2_field_V4L2_FIELD_NONE,
                num_planes: 1,
                plane_fmt,
                colorspace: colours.0,
                quantization: colours.1 as u8,
                // SAFETY: as above.
                ..unsafe { format.fmt.pix_mp }
            };
        }
        self.call(vidioc::VIDIOC_S_FMT, &mut format)?;
        Ok(self.read_format(&format))
    }

    /// What a structure that the driver has filled in says; `None` where that is nothing visavis reads.
    pub fn read_format(&self, format: &sys::v4l2_format) -> Option<VideoFormat> {
        let (width, height, fourcc, field, stride, colours, quantization);
        if !self.is_multi {
            // SAFETY: all integers, and the buffer type says that this member was written.
            let pix = unsafe { format.fmt.pix };
            (width, height, fourcc, field) = (pix.width, pix.height, pix.pixelformat, pix.field);
            (stride, colours, quantization) = (pix.bytesperline, pix.colorspace, pix.quantization);
        } else {
            // SAFETY: as above.
            let pix = unsafe { format.fmt.pix_mp };
            // The structure is packed: fields are copied out, never borrowed.
            let planes = pix.plane_fmt;
            (pix.num_planes == 1).then_some(())?;
            (width, height, fourcc, field) = (pix.width, pix.height, pix.pixelformat, pix.field);
            (stride, colours, quantization) = (planes[0].bytesperline, pix.colorspace, u32::from(pix.quantization));
        }
        // Top and bottom fields in buffers of their own would be half pictures.
        let whole = [
            sys::v4l2_field_V4L2_FIELD_ANY,
            sys::v4l2_field_V4L2_FIELD_NONE,
            sys::v4l2_field_V4L2_FIELD_INTERLACED,
            sys::v4l2_field_V4L2_FIELD_INTERLACED_TB,
            sys::v4l2_field_V4L2_FIELD_INTERLACED_BT,
        ];
        whole.contains(&field).then_some(())?;
        let pixel = PixelFormat::from_fourcc(&fourcc.to_le_bytes())?;
        let size = Size::new(width, height);
        let least = match pixel {
            PixelFormat::Yuyv => width as usize * 2,
            PixelFormat::Nv12 | PixelFormat::I420 => width as usize,
            PixelFormat::Mjpeg => 0,
        };
        let stride_bytes = if pixel == PixelFormat::Mjpeg { 0 } else { (stride as usize).max(least) };
        Some(VideoFormat { pixel, size, stride_bytes, range: range(pixel, colours, quantization), millihertz: 0 })
    }

    /// Asks for a frame rate, and says what it is then, in frames in 1,000 s; 0 where the driver does not know.
    pub fn set_rate(&self, millihertz_wanted: u32) -> u32 {
        let mut parm = sys::v4l2_streamparm { type_: self.kind(), ..sys::v4l2_streamparm::zeroed() };
        // SAFETY: all integers, and zeroed.
        let mut capture = unsafe { parm.parm.capture };
        capture.timeperframe = sys::v4l2_fract { numerator: 1_000, denominator: millihertz_wanted.max(1) };
        parm.parm.capture = capture;
        // Both calls are optional for a driver; a camera without them runs at its own rate.
        let set = self.call(vidioc::VIDIOC_S_PARM, &mut parm);
        if set.is_err() && self.call(vidioc::VIDIOC_G_PARM, &mut parm).is_err() {
            return 0;
        }
        // SAFETY: all integers; the buffer type says that this member was written.
        let capture = unsafe { parm.parm.capture };
        if capture.capability & sys::V4L2_CAP_TIMEPERFRAME == 0 { 0 } else { millihertz(capture.timeperframe) }
    }
}

/// What the kernel's header calls V4L2_MAP_QUANTIZATION_DEFAULT, for the YCbCr formats that visavis reads.
fn range(pixel: PixelFormat, colours: u32, quantization: u32) -> ColourRange {
    let jpeg = pixel == PixelFormat::Mjpeg || colours == sys::v4l2_colorspace_V4L2_COLORSPACE_JPEG;
    match quantization {
        sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE if pixel != PixelFormat::Mjpeg => ColourRange::Limited,
        sys::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE => ColourRange::Full,
        _ if jpeg => ColourRange::Full,
        _ => ColourRange::Limited,
    }
}

/// Frames in 1,000 s of an interval in seconds; 0 for an interval that is none.
fn millihertz(interval: sys::v4l2_fract) -> u32 {
    let (n, d) = (u64::from(interval.numerator), u64::from(interval.denominator));
    (d * 1_000).checked_div(n).and_then(|m| u32::try_from(m).ok()).unwrap_or(0)
}

/// A fixed field of a driver's, up to its first zero; what is not UTF-8 in it is replaced.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_names_field_without_an_end_or_in_latin_1_is_read_all_the_same() {
        assert_eq!(text(b"vivid\0\0\0rest"), "vivid");
        assert_eq!(text(b"cam\xe9ra"), "cam\u{fffd}ra");
    }

    #[test]
    fn an_interval_of_zero_is_no_rate_and_no_panic() {
        assert_eq!(millihertz(sys::v4l2_fract { numerator: 0, denominator: 30 }), 0);
        assert_eq!(millihertz(sys::v4l2_fract { numerator: 1, denominator: u32::MAX }), 0);
        assert_eq!(millihertz(sys::v4l2_fract { numerator: 1_001, denominator: 30_000 }), 29_970);
    }
}
