//! The calls that codecs have and cameras do not: coded formats, controls, selections, events, drain commands.

use crate::device::v4l2::raw::{Node, Plain, Side};
use crate::media::Size;
use nix::errno::Errno;
use std::io;
use v4l::v4l_sys as sys;
use v4l::v4l2::vidioc;

// Numbers that the `v4l` crate leaves out (linux/videodev2.h).
const DQEVENT: vidioc::_IOC_TYPE = nix::request_code_read!(b'V', 89, size_of::<sys::v4l2_event>());
const SUBSCRIBE_EVENT: vidioc::_IOC_TYPE =
    nix::request_code_write!(b'V', 90, size_of::<sys::v4l2_event_subscription>());
const G_SELECTION: vidioc::_IOC_TYPE = nix::request_code_readwrite!(b'V', 94, size_of::<sys::v4l2_selection>());
const S_SELECTION: vidioc::_IOC_TYPE = nix::request_code_readwrite!(b'V', 95, size_of::<sys::v4l2_selection>());
const DECODER_CMD: vidioc::_IOC_TYPE = nix::request_code_readwrite!(b'V', 96, size_of::<sys::v4l2_decoder_cmd>());

// As in `raw`: this one has a time, too.
const _: () = assert!(matches!((usize::BITS, size_of::<sys::v4l2_event>()), (64, 136) | (32, 128 | 136)));

// SAFETY: a C structure of integers.
unsafe impl Plain for sys::v4l2_queryctrl {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_control {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_selection {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_event_subscription {}
// SAFETY: integers and unions of integers.
unsafe impl Plain for sys::v4l2_event {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_encoder_cmd {}
// SAFETY: as above.
unsafe impl Plain for sys::v4l2_decoder_cmd {}

/// What a codec is told about the end of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To an encoder: nothing more comes.
    StopEncoder,
    /// To a decoder: nothing more comes.
    StopDecoder,
}

impl Node {
    /// Sets a coded format on this queue, and gives the bytes of a buffer that holds a frame of it.
    ///
    /// # Errors
    /// What the driver answers; EINVAL where it takes another format instead.
    pub fn set_coded(&self, fourcc: [u8; 4], size: Size, frame_bytes: usize) -> io::Result<usize> {
        let mut format = sys::v4l2_format { type_: self.kind(), ..sys::v4l2_format::zeroed() };
        let (pixelformat, sizeimage) = (u32::from_le_bytes(fourcc), frame_bytes as u32);
        if self.is_multi() {
            // SAFETY: all integers, and zeroed.
            let mut pix = unsafe { format.fmt.pix_mp };
            (pix.width, pix.height, pix.pixelformat, pix.num_planes) = (size.width, size.height, pixelformat, 1);
            pix.field = sys::v4l2_field_V4L2_FIELD_NONE;
            let mut planes = pix.plane_fmt;
            planes[0].sizeimage = sizeimage;
            pix.plane_fmt = planes;
            format.fmt.pix_mp = pix;
        } else {
            // SAFETY: as above.
            let mut pix = unsafe { format.fmt.pix };
            (pix.width, pix.height, pix.pixelformat, pix.sizeimage) = (size.width, size.height, pixelformat, sizeimage);
            pix.field = sys::v4l2_field_V4L2_FIELD_NONE;
            format.fmt.pix = pix;
        }
        self.call(vidioc::VIDIOC_S_FMT, &mut format)?;
        let (got, bytes) = if self.is_multi() {
            // SAFETY: all integers, and the buffer type says that this member was written.
            let pix = unsafe { format.fmt.pix_mp };
            let planes = pix.plane_fmt;
            (pix.pixelformat, planes[0].sizeimage)
        } else {
            // SAFETY: as above.
            let pix = unsafe { format.fmt.pix };
            (pix.pixelformat, pix.sizeimage)
        };
        if got == pixelformat { Ok(bytes as usize) } else { Err(Errno::EINVAL.into()) }
    }

    /// The size of the pictures in this queue's buffers, borders included.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn buffer_size(&self) -> io::Result<Size> {
        let mut format = sys::v4l2_format { type_: self.kind(), ..sys::v4l2_format::zeroed() };
        self.call(vidioc::VIDIOC_G_FMT, &mut format)?;
        if self.is_multi() {
            // SAFETY: all integers, and the buffer type says that this member was written.
            let pix = unsafe { format.fmt.pix_mp };
            return Ok(Size::new(pix.width, pix.height));
        }
        // SAFETY: as above.
        let pix = unsafe { format.fmt.pix };
        Ok(Size::new(pix.width, pix.height))
    }

    /// A selection is asked for by the single-planar type at all nodes (VIDIOC_G_SELECTION(2)).
    fn selection_of(side: Side, target: u32) -> sys::v4l2_selection {
        let type_ = match side {
            Side::Capture => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
            Side::Output => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_OUTPUT,
        };
        sys::v4l2_selection { type_, target, ..sys::v4l2_selection::zeroed() }
    }

    /// The size of what is visible of a decoded picture, from its upper left on; `None` where the driver does not say,
    /// or says another place.
    pub fn visible(&self) -> Option<Size> {
        let mut selection = Node::selection_of(Side::Capture, sys::V4L2_SEL_TGT_COMPOSE);
        self.call(G_SELECTION, &mut selection).ok()?;
        let r = selection.r;
        (r.left == 0 && r.top == 0 && r.width > 0 && r.height > 0).then(|| Size::new(r.width, r.height))
    }

    /// Has an encoder take only so much of its pictures, from the upper left on, and gives what it takes then.
    ///
    /// # Errors
    /// What the driver answers; ENOTTY where it knows no such call.
    pub fn crop(&self, size: Size) -> io::Result<Size> {
        let mut selection = Node::selection_of(Side::Output, sys::V4L2_SEL_TGT_CROP);
        (selection.r.width, selection.r.height) = (size.width, size.height);
        self.call(S_SELECTION, &mut selection)?;
        Ok(Size::new(selection.r.width, selection.r.height))
    }

    /// The range of a control; `None` where the driver has no such control.
    pub fn control_range(&self, id: u32) -> Option<(i32, i32)> {
        let mut query = sys::v4l2_queryctrl { id, ..sys::v4l2_queryctrl::zeroed() };
        self.call(vidioc::VIDIOC_QUERYCTRL, &mut query).ok()?;
        (query.flags & sys::V4L2_CTRL_FLAG_DISABLED == 0).then_some((query.minimum, query.maximum))
    }

    /// A control's value; `None` where the driver has no such control.
    pub fn control(&self, id: u32) -> Option<i32> {
        let mut control = sys::v4l2_control { id, value: 0 };
        self.call(vidioc::VIDIOC_G_CTRL, &mut control).ok().map(|()| control.value)
    }

    /// Sets a control, or what is nearest in its range.
    ///
    /// # Errors
    /// What the driver answers; ENOTTY where it has no such control.
    pub fn set_control(&self, id: u32, value: i32) -> io::Result<()> {
        let (least, most) = self.control_range(id).ok_or(Errno::ENOTTY)?;
        let mut control = sys::v4l2_control { id, value: value.clamp(least, most.max(least)) };
        self.call(vidioc::VIDIOC_S_CTRL, &mut control)
    }

    /// Asks to be told of events of one kind (`V4L2_EVENT_*`).
    ///
    /// # Errors
    /// What the driver answers.
    pub fn subscribe(&self, kind: u32) -> io::Result<()> {
        let mut subscription = sys::v4l2_event_subscription { type_: kind, ..sys::v4l2_event_subscription::zeroed() };
        self.call(SUBSCRIBE_EVENT, &mut subscription)
    }

    /// The next event's kind, if there is one.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn event(&self) -> io::Result<Option<u32>> {
        let mut event = sys::v4l2_event::zeroed();
        match self.call(DQEVENT, &mut event) {
            Ok(()) => Ok(Some(event.type_)),
            // No event is ENOENT, and nothing subscribed to is no event either.
            Err(e) if e.raw_os_error() == Some(Errno::ENOENT as i32) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Tells the codec about the end of its stream.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn command(&self, command: Command) -> io::Result<()> {
        let encoder = |cmd| {
            self.call(vidioc::VIDIOC_ENCODER_CMD, &mut sys::v4l2_encoder_cmd { cmd, ..sys::v4l2_encoder_cmd::zeroed() })
        };
        let decoder =
            |cmd| self.call(DECODER_CMD, &mut sys::v4l2_decoder_cmd { cmd, ..sys::v4l2_decoder_cmd::zeroed() });
        match command {
            Command::StopEncoder => encoder(sys::V4L2_ENC_CMD_STOP),
            Command::StopDecoder => decoder(sys::V4L2_DEC_CMD_STOP),
        }
    }
}
