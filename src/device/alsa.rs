//! Sound cards, by ALSA directly: what capture and playback share.
//!
//! The card is opened with the smallest periods it takes near 5 ms and a buffer that is larger than is ever used: the
//! fill level is ours to choose, not the buffer's size. 48 kHz mono S16 is asked for first, and whatever else the card
//! does is adapted by [`super::samples`]. Transfers are `readi`/`writei` without blocking, which works on every card and
//! plug-in (mapped status pages do not on ARM). Time stamps are the kernel's, on CLOCK_MONOTONIC.

mod capture;
mod list;
mod playback;

pub use capture::AlsaCapture;
pub use list::{AlsaDevice, list};
pub use playback::AlsaPlayback;

use super::samples::{CHANNELS_MAX, Layout, RATES_HZ, SampleFormat};
use super::{Fault, FaultKind};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use ::alsa::pcm::{Access, Format, HwParams, PCM};
use ::alsa::{Direction, Output, PollDescriptors, ValueOr};
use nix::errno::Errno;
use nix::libc::pollfd;
use nix::poll::PollFlags;
use std::ffi::CString;
use std::os::fd::BorrowedFd;

/// The period asked for. Half of an Opus frame: the card's wake-up comes at most 5 ms after a frame is whole.
const PERIOD_MICROS: u32 = 5_000;
/// The buffer asked for: room for a stall of a tenth of a second in capture, and for any fill level in playback.
const BUFFER_MICROS: u32 = 100_000;

/// A card whose clock has stood still this long is stuck. The slowest wake-up that ALSA cards have is 0.1 s.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// A card whose fd says nothing is looked at when what is waited for ought to be there, and so much later: cards count their
/// sample frames more finely than they interrupt, some only every 20 ms. One that interrupts in time is never looked at.
const LOOK_LATE: Duration = Duration::from_millis(1);
/// The longest wait without an fd, for plug-ins that have several or none and move sound in lumps; and after an xrun.
const LOOK_OFTEN: Duration = Duration::from_millis(5);

/// A time stamp further from now than this is none: the driver has no clock, or another one.
const STAMP_STRAY_MAX: Duration = Duration::from_millis(500);

/// Most poll descriptors that are asked for; a hardware PCM has one.
const FDS_MAX: usize = 4;

/// What is asked for, in order: the first costs nothing, the rest are converted.
const FORMATS: [(Format, SampleFormat); 6] = [
    (Format::S16LE, SampleFormat::S16),
    (Format::S32LE, SampleFormat::S32),
    (Format::S243LE, SampleFormat::S24Packed),
    (Format::S24LE, SampleFormat::S24),
    (Format::FloatLE, SampleFormat::F32),
    (Format::U8, SampleFormat::U8),
];

/// Rates in the order of liking: no conversion, the common ones above it, then those that lose treble.
const RATES_LIKED_HZ: [u32; 6] = [48_000, 96_000, 44_100, 32_000, 16_000, 8_000];

/// An opened PCM with its hardware parameters set.
struct Card {
    name: String,
    pcm: PCM,
    layout: Layout,
    period_frames: usize,
    buffer_frames: usize,
    fds: [pollfd; FDS_MAX],
    fd_count: usize,
    look_at: Instant,
    moved_at: Instant,
}

impl Card {
    fn open(name: &str, direction: Direction, now: Instant) -> Result<Card, Fault> {
        // alsa-lib writes its complaints to standard error otherwise, at each attempt; what it says is in the fault.
        let _quiet = Output::local_error_handler();
        let full_name = format!("alsa:{name}");
        let c_name = CString::new(name)
            .map_err(|_| Fault::plain(FaultKind::Unusable, name, "open it", "its name holds a zero byte"))?;
        let pcm = PCM::open(&c_name, direction, true).map_err(|e| fault(&full_name, "open it (snd_pcm_open)", e))?;
        let (layout, period_frames, buffer_frames) = negotiate(&pcm, &full_name)?;
        let blank = pollfd { fd: -1, events: 0, revents: 0 };
        let mut fds = [blank; FDS_MAX];
        let count = PollDescriptors::count(&pcm).min(FDS_MAX);
        let fd_count = PollDescriptors::fill(&pcm, &mut fds[..count]).unwrap_or(0);
        let card = Card {
            name: full_name,
            pcm,
            layout,
            period_frames,
            buffer_frames,
            fds,
            fd_count,
            look_at: now,
            moved_at: now,
        };
        tracing::debug!(
            "{}: {:?}, periods of {} in {} sample frames",
            card.name,
            card.layout,
            card.period_frames,
            card.buffer_frames
        );
        Ok(card)
    }

    /// Sets when the card wakes us: at `wake_frames` to read or to write. Streams are started by us alone.
    fn set_wake(&self, wake_frames: usize) -> Result<(), Fault> {
        let set = || -> ::alsa::Result<()> {
            let params = self.pcm.sw_params_current()?;
            params.set_avail_min(wake_frames.clamp(1, self.buffer_frames) as ::alsa::pcm::Frames)?;
            params.set_start_threshold(params.get_boundary()?)?;
            params.set_tstamp_mode(true)?;
            // Kernels before 3.8 have one clock only; the stamp is then checked against ours as any other.
            let _ = params.set_tstamp_type(::alsa::pcm::TstampType::Monotonic);
            self.pcm.sw_params(&params)
        };
        set().map_err(|e| fault(&self.name, "set its thresholds (snd_pcm_sw_params)", e))
    }

    fn wait(&self) -> Wait<'_> {
        let mut wait = Wait::until(self.look_at);
        if self.fd_count == 1 {
            let pollfd { fd, events, .. } = self.fds[0];
            // SAFETY: the descriptor belongs to the open PCM, which lives at least as long as the borrow of `self`.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            wait.fd = Some((fd, PollFlags::from_bits_truncate(events)));
        }
        wait
    }

    /// Sample frames that can be read or written just now. To be called at each wake-up.
    fn available(&mut self, now: Instant) -> Result<usize, ::alsa::Error> {
        self.look_at = now + LOOK_OFTEN;
        let mut fds = self.fds;
        for fd in &mut fds[..self.fd_count] {
            fd.revents = fd.events;
        }
        // Plug-ins clear their wake-up in here; for hardware it does nothing.
        let _ = PollDescriptors::revents(&self.pcm, &fds[..self.fd_count]);
        self.pcm.avail().map(|frames| usize::try_from(frames).unwrap_or(0))
    }

    /// So many sample frames must still pass until something is to be transferred: the card is looked at then, if its fd has
    /// not said so before.
    ///
    /// # Errors
    /// The fault that nothing has been transferred for too long.
    fn await_frames(&mut self, frames: usize, now: Instant) -> Result<(), Fault> {
        let look_in = self.time_of(frames as u64) + LOOK_LATE;
        self.look_at = now + if self.fd_count == 1 { look_in } else { look_in.min(LOOK_OFTEN) };
        if now.since(self.moved_at) < STALLED_AFTER {
            return Ok(());
        }
        Err(Fault::plain(FaultKind::Stalled, &self.name, "move sound", "the card's clock stands still"))
    }

    /// How long so many sample frames of the card last.
    fn time_of(&self, frames: u64) -> Duration {
        Duration::from_nanos(frames.saturating_mul(1_000_000_000) / u64::from(self.layout.rate_hz))
    }

    /// Notes that something was transferred.
    fn moved(&mut self, now: Instant) {
        self.moved_at = now;
    }

    /// When the card counted its frames, and those that lie between us and the air: before the first unread one in capture,
    /// after the last written one in playback.
    fn stamp(&self, now: Instant) -> Option<(Instant, Duration)> {
        let status = self.pcm.status().ok()?;
        let stamp = status.get_htstamp();
        // Both fields are 32 bits wide on 32-bit boards.
        #[allow(clippy::unnecessary_cast)]
        let nanos = (stamp.tv_sec as i64).checked_mul(1_000_000_000)?.checked_add(stamp.tv_nsec as i64)?;
        let at = Instant::from_nanos(u64::try_from(nanos).ok()?);
        let at = if now.signed_since(at).unsigned_abs() > STAMP_STRAY_MAX.as_nanos() as u64 { now } else { at };
        let delay = self.time_of(u64::try_from(status.get_delay()).unwrap_or(0));
        Some((at, delay.min(STAMP_STRAY_MAX)))
    }

    fn fault(&self, doing: &'static str, error: ::alsa::Error) -> Fault {
        fault(&self.name, doing, error)
    }
}

impl core::fmt::Debug for Card {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Card({}, {:?}, {} of {})", self.name, self.layout, self.period_frames, self.buffer_frames)
    }
}

/// Whether the error is an xrun or a resume from suspension, which preparing the stream again mends.
fn is_mendable(error: &::alsa::Error) -> bool {
    matches!(errno(error), Errno::EPIPE | Errno::ESTRPIPE)
}

fn errno(error: &::alsa::Error) -> Errno {
    Errno::from_raw(error.errno().abs())
}

fn fault(name: &str, doing: &'static str, error: ::alsa::Error) -> Fault {
    let errno = errno(&error);
    let mut fault = Fault::new(name, doing, std::io::Error::from(errno));
    match errno {
        // The PCM of a card that was pulled out is in a bad state rather than absent.
        Errno::EBADFD | Errno::ENODEV => fault.kind = FaultKind::Absent,
        Errno::ENOENT | Errno::ENXIO => {
            fault.remedy = "no such sound card; `visavis devices` lists those that are".into()
        }
        _ => {}
    }
    fault
}

/// Agrees with the card on a layout, a period and a buffer, the last two in sample frames.
fn negotiate(pcm: &PCM, name: &str) -> Result<(Layout, usize, usize), Fault> {
    let fail = |doing| move |error| fault(name, doing, error);
    let params = HwParams::any(pcm).map_err(fail("ask what it can do (snd_pcm_hw_params_any)"))?;
    params.set_access(Access::RWInterleaved).map_err(fail("set interleaved access"))?;
    let Some((format, sample_format)) = FORMATS.into_iter().find(|(format, _)| params.test_format(*format).is_ok())
    else {
        return Err(Fault::plain(FaultKind::Unusable, name, "agree on a sample format", "it has none that is PCM"));
    };
    params.set_format(format).map_err(fail("set the sample format"))?;
    let channels = match [1, 2].into_iter().find(|n| params.test_channels(*n).is_ok()) {
        Some(channels) => params.set_channels(channels).map(|()| channels),
        None => params.set_channels_near(1),
    }
    .map_err(fail("set the number of channels"))?;
    let rate_hz = match RATES_LIKED_HZ.into_iter().find(|hz| params.test_rate(*hz).is_ok()) {
        Some(rate_hz) => params.set_rate(rate_hz, ValueOr::Nearest).map(|()| rate_hz),
        None => params.set_rate_near(RATES_LIKED_HZ[0], ValueOr::Nearest),
    }
    .map_err(fail("set the sample rate"))?;
    if channels as usize > CHANNELS_MAX || !RATES_HZ.contains(&rate_hz) {
        let why = format!("it wants {channels} channels at {rate_hz} Hz");
        return Err(Fault::plain(FaultKind::Unusable, name, "agree on a layout", why));
    }
    params.set_period_time_near(PERIOD_MICROS, ValueOr::Nearest).map_err(fail("set the period"))?;
    params.set_buffer_time_near(BUFFER_MICROS, ValueOr::Nearest).map_err(fail("set the buffer"))?;
    pcm.hw_params(&params).map_err(fail("set its parameters (snd_pcm_hw_params)"))?;
    let sizes = params.get_period_size().and_then(|period| Ok((period, params.get_buffer_size()?)));
    let (period, buffer) = sizes.map_err(fail("ask for its buffer"))?;
    let layout = Layout { format: sample_format, channels: channels as usize, rate_hz };
    Ok((layout, usize::try_from(period).unwrap_or(0), usize::try_from(buffer).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_not_there_is_absent_and_says_where_to_look() {
        let fault = Card::open("hw:CARD=nosuchcard", Direction::Capture, Instant::ZERO).unwrap_err();
        assert_eq!(fault.device, "alsa:hw:CARD=nosuchcard");
        assert!(fault.to_string().contains("snd_pcm_open"), "{fault}");
        assert!(matches!(fault.kind, FaultKind::Absent), "{fault:?}");
        assert!(Card::open("a\0b", Direction::Playback, Instant::ZERO).is_err());
    }

    #[test]
    fn an_unplugged_card_is_absent_and_a_busy_one_is_not() {
        let kind = |errno: Errno| fault("x", "y", ::alsa::Error::new("z", errno as i32)).kind;
        assert_eq!(kind(Errno::ENODEV), FaultKind::Absent);
        assert_eq!(kind(Errno::EBADFD), FaultKind::Absent);
        assert_eq!(kind(Errno::EBUSY), FaultKind::Unusable);
    }
}
