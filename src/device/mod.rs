//! Thin edges to cameras, screens, sound cards, keys and files.
//!
//! Each is a *source* or a *sink* that says what it waits for ([`Wait`]) and moves data when that is ready: **no device
//! call here blocks**, none has a thread, and none knows what the data is for. A fake (pattern, tone, file, null) is
//! a choice in the configuration, made of the same traits.
#![allow(unsafe_code)]

pub mod alsa;
pub mod audio;
pub mod blit;
pub mod camera;
mod capture_time;
mod console;
mod decoded;
pub mod drm;
mod fault;
pub mod fbdev;
pub mod file;
mod frame;
pub mod gpio;
pub mod holders;
mod inputs;
pub mod keys;
pub mod m2m;
pub mod null;
mod pace;
pub mod pattern;
pub mod png;
pub mod rpicam;
mod samples;
pub mod screen;
pub mod stamp;
pub mod tone;
pub mod touch;
pub mod usb;
pub mod v4l2;
pub mod wav;
mod wav_header;
pub mod y4m_sink;

pub use decoded::{DecodedFrame, HardwarePicture, Pixels};
pub use fault::{Fault, FaultKind};
pub use frame::FrameBuffer;

use crate::media::{Pane, Period, Picture, Size, VideoFormat};
use crate::ring::Lent;
use crate::sys::poll::Wait;
use crate::time::Instant;

/// Where pictures come from.
pub trait VideoSource {
    /// What the installer calls it: `/dev/video0`, `pattern`, a file's name.
    fn name(&self) -> &str;

    /// What it delivers, as negotiated.
    fn format(&self) -> VideoFormat;

    /// What to wait for before [`VideoSource::capture`].
    fn wait(&self) -> Wait<'_>;

    /// Takes the next frame, if one is there. The frame's memory is lent: the driver has it back on the drop.
    ///
    /// # Errors
    /// A [`Fault`]; the source is then to be dropped and opened anew. The end of a file that is not looped is a fault
    /// of kind [`FaultKind::Ended`].
    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault>;
}

/// Where pictures go.
pub trait VideoSink {
    /// What the installer calls it.
    fn name(&self) -> &str;

    /// The screen's size, for cards to be drawn at; `None` where any size is taken (files).
    fn size(&self) -> Option<Size>;

    /// What to wait for before [`VideoSink::finish`]; while no picture is under way, at most a time at which the sink
    /// wants to look after itself (is the screen still plugged in?).
    fn wait(&self) -> Wait<'_>;

    /// Whether [`VideoSink::show`] may be called: no earlier picture is still under way to the screen.
    fn is_ready(&self) -> bool;

    /// Starts to show a picture, scaled to the screen with its shape kept.
    ///
    /// # Errors
    /// A [`Fault`]; the sink is then to be dropped and opened anew.
    fn show(&mut self, picture: &Picture, now: Instant) -> Result<(), Fault>;

    /// The size at which to draw what is to stand upon a frame, on a [`Pane`] for [`VideoSink::show_frame`]; `None` where it
    /// has to be drawn into a copy of it.
    fn pane_size(&self, _frame: &DecodedFrame) -> Option<Size> {
        None
    }

    /// Starts to show a frame as it is, if the sink can: the decoder's own memory, which it keeps until another is seen in
    /// its place, or any beneath a pane. Else it gives the frame back, and a copy of it is for [`VideoSink::show`].
    fn show_frame(
        &mut self,
        frame: Lent<DecodedFrame>,
        _pane: Option<&Pane>,
        _now: Instant,
    ) -> Result<(), Lent<DecodedFrame>> {
        Err(frame)
    }

    /// The time at which the picture last given to the sink was on the screen (the flip's own time stamp
    /// where there is one), once for each.
    ///
    /// # Errors
    /// A [`Fault`], as above.
    fn finish(&mut self, now: Instant) -> Result<Option<Instant>, Fault>;
}

/// Where sound comes from.
pub trait AudioSource {
    /// What the installer calls it.
    fn name(&self) -> &str;

    /// What to wait for before [`AudioSource::read`].
    fn wait(&self) -> Wait<'_>;

    /// Reads one period of 48 kHz mono, if it is all there, and says when its first sample reached the microphone.
    ///
    /// # Errors
    /// A [`Fault`]; an overrun is mended inside and counted by [`AudioSource::xruns`].
    fn read(&mut self, now: Instant, period: &mut Period) -> Result<Option<Instant>, Fault>;

    /// Overruns so far.
    fn xruns(&self) -> u64 {
        0
    }
}

/// Where sound goes. The sink pulls: its clock says when the next period is due.
pub trait AudioSink {
    /// What the installer calls it.
    fn name(&self) -> &str;

    /// What to wait for before [`AudioSink::due`].
    fn wait(&self) -> Wait<'_>;

    /// Whether a period is due now. Where it is, exactly one [`AudioSink::write`] follows.
    ///
    /// # Errors
    /// A [`Fault`]; an underrun is mended inside and counted by [`AudioSink::xruns`].
    fn due(&mut self, now: Instant) -> Result<bool, Fault>;

    /// Writes one period of 48 kHz mono, and says when its first sample will be heard.
    ///
    /// # Errors
    /// As for [`AudioSink::due`].
    fn write(&mut self, now: Instant, period: &Period) -> Result<Instant, Fault>;

    /// Underruns so far.
    fn xruns(&self) -> u64 {
        0
    }
}
