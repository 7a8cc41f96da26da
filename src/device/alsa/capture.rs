//! A sound card's microphone.

use super::super::samples::Reader;
use super::super::{AudioSource, Fault, FaultKind};
use super::{Card, is_mendable};
use crate::media::{PERIOD, Period};
use crate::sys::poll::Wait;
use crate::time::Instant;
use ::alsa::Direction;

/// A capture stream, running.
#[derive(Debug)]
pub struct AlsaCapture {
    card: Card,
    reader: Reader,
    bytes: Vec<u8>,
    xruns: u64,
}

impl AlsaCapture {
    /// Opens a PCM by its ALSA name and starts it.
    ///
    /// # Errors
    /// A [`Fault`]: no such card, no permission, busy, or no layout in common.
    pub fn open(name: &str, now: Instant) -> Result<AlsaCapture, Fault> {
        let card = Card::open(name, Direction::Capture, now)?;
        let reader = Reader::new(card.layout);
        if card.buffer_frames < 2 * reader.frames_max() {
            let why = "its buffer is shorter than 20 ms";
            return Err(Fault::plain(FaultKind::Unusable, &card.name, "agree on a buffer", why));
        }
        let bytes = vec![0; reader.frames_max() * card.layout.frame_bytes()];
        // To be woken by each whole period of ours, as soon as the card's own lets it.
        card.set_wake(card.layout.frames_of(PERIOD))?;
        let capture = AlsaCapture { card, reader, bytes, xruns: 0 };
        capture.restart()?;
        Ok(capture)
    }

    /// Begins to capture, with nothing in the buffer.
    fn restart(&self) -> Result<(), Fault> {
        let pcm = &self.card.pcm;
        let started = pcm.prepare().and_then(|()| pcm.start());
        started.map_err(|e| self.card.fault("start capturing (snd_pcm_start)", e))
    }

    /// Mends an overrun: what lay in the buffer is given up, so that nothing old is left to be heard late.
    fn mend(&mut self, doing: &'static str, error: ::alsa::Error) -> Result<(), Fault> {
        if !is_mendable(&error) {
            return Err(self.card.fault(doing, error));
        }
        self.xruns += 1;
        self.restart()
    }
}

impl AudioSource for AlsaCapture {
    fn name(&self) -> &str {
        &self.card.name
    }

    fn wait(&self) -> Wait<'_> {
        self.card.wait()
    }

    fn read(&mut self, now: Instant, period: &mut Period) -> Result<Option<Instant>, Fault> {
        let wanted = self.reader.frames();
        match self.card.available(now) {
            Ok(there) if there >= wanted => {}
            Ok(there) => return self.card.await_frames(wanted - there, now).map(|()| None),
            Err(e) => return self.mend("ask for sound (snd_pcm_avail)", e).map(|()| None),
        }
        // The delay counts from the first unread sample: taken before they are read.
        let stamp = self.card.stamp(now);
        let len = wanted * self.card.layout.frame_bytes();
        let read = self.card.pcm.io_bytes().readi(&mut self.bytes[..len]);
        let frames = match read {
            Ok(frames) => frames,
            Err(e) => return self.mend("read sound (snd_pcm_readi)", e).map(|()| None),
        };
        self.card.moved(now);
        self.reader.convert(&self.bytes[..frames * self.card.layout.frame_bytes()], period);
        let (at, delay) = stamp.unwrap_or((now, crate::media::PERIOD_TIME));
        Ok(Some(at - delay))
    }

    fn xruns(&self) -> u64 {
        self.xruns
    }
}
