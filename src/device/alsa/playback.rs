//! A sound card's loudspeaker.
//!
//! **The fill level is kept, not the buffer.** A period is due when no more than the *margin* is left to play; after it is
//! written, the margin and that period are. So the margin is the delay of the card, and it is set anew after each
//! underrun: the stream begins with a margin of silence, whatever was in the buffer before.

use super::super::samples::Writer;
use super::super::{AudioSink, Fault, FaultKind};
use super::{Card, is_mendable};
use crate::media::{PERIOD, Period};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use ::alsa::Direction;

/// The least margin above the card's own period: the time there is to wake up and write.
const MARGIN_MS: usize = 5;
/// What an underrun adds to the margin: its cause is lateness, and it will be late again.
const MARGIN_STEP_MS: usize = 5;
/// The most steps that are added.
const STEPS_MAX: usize = 8;

/// A stall of ours this long no margin would have covered: it says nothing about the board's usual lateness.
const STALL: Duration = Duration::from_millis(60);

/// After this long without an underrun one step is taken back …
const RELAX_AFTER: Duration = Duration::from_secs(10);
/// … and twice as long each time that this led to another underrun, up to this: a board that needs the margin keeps it.
const RELAX_AFTER_MAX: Duration = Duration::from_secs(1_280);

/// A playback stream, running.
#[derive(Debug)]
pub struct AlsaPlayback {
    card: Card,
    writer: Writer,
    /// One period of the card's own of silence.
    silence: Vec<u8>,
    steps: usize,
    calm_since: Instant,
    relax_after: Duration,
    /// A step was taken back since the last underrun.
    relaxed: bool,
    xruns: u64,
}

impl AlsaPlayback {
    /// Opens a PCM by its ALSA name and starts it, with silence.
    ///
    /// # Errors
    /// A [`Fault`]: no such card, no permission, busy, or no layout in common.
    pub fn open(name: &str, now: Instant) -> Result<AlsaPlayback, Fault> {
        let card = Card::open(name, Direction::Playback, now)?;
        let writer = Writer::new(card.layout);
        let mut unit = Writer::new(card.layout);
        let silence = unit.convert(&[0; PERIOD]).to_vec();
        let playback = AlsaPlayback {
            card,
            writer,
            silence,
            steps: 0,
            calm_since: now,
            relax_after: RELAX_AFTER,
            relaxed: false,
            xruns: 0,
        };
        if playback.card.buffer_frames < playback.margin() + playback.writer.frames_max() {
            let why = "its buffer is shorter than its period and 15 ms";
            return Err(Fault::plain(FaultKind::Unusable, &playback.card.name, "agree on a buffer", why));
        }
        playback.restart()?;
        Ok(playback)
    }

    /// Sample frames of the card that are left to play when a period is due.
    fn margin(&self) -> usize {
        let frames_of_ms = |ms: usize| self.card.layout.rate_hz as usize * ms / 1_000;
        let wanted = self.card.period_frames + frames_of_ms(MARGIN_MS + self.steps * MARGIN_STEP_MS);
        // In a short buffer there must still be room for the period itself.
        wanted.min(self.card.buffer_frames.saturating_sub(self.writer.frames_max()))
    }

    /// Begins to play a margin of silence.
    fn restart(&self) -> Result<(), Fault> {
        let doing = "start playing (snd_pcm_start)";
        self.card.set_wake(self.card.buffer_frames - self.margin())?;
        self.card.pcm.prepare().map_err(|e| self.card.fault(doing, e))?;
        let mut left = self.margin() * self.card.layout.frame_bytes();
        while left > 0 {
            let bytes = &self.silence[..left.min(self.silence.len())];
            let written = self.card.pcm.io_bytes().writei(bytes).map_err(|e| self.card.fault(doing, e))?;
            if written == 0 {
                break;
            }
            left -= written * self.card.layout.frame_bytes();
        }
        self.card.pcm.start().map_err(|e| self.card.fault(doing, e))
    }

    fn mend(&mut self, doing: &'static str, error: ::alsa::Error, now: Instant) -> Result<(), Fault> {
        if !is_mendable(&error) {
            return Err(self.card.fault(doing, error));
        }
        self.xruns += 1;
        if now.since(self.card.moved_at) < STALL {
            self.steps = (self.steps + 1).min(STEPS_MAX);
            self.calm_since = now;
            if core::mem::take(&mut self.relaxed) {
                self.relax_after = (self.relax_after * 2).min(RELAX_AFTER_MAX);
            }
        }
        self.restart()
    }

    /// Gives a step of the margin back after a calm time. The next period is then due that much later, which the
    /// playout evens out; nothing is heard of it.
    fn relax(&mut self, now: Instant) -> Result<(), Fault> {
        if self.steps > 0 && now.since(self.calm_since) > self.relax_after {
            self.steps -= 1;
            self.calm_since = now;
            self.relaxed = true;
            self.card.set_wake(self.card.buffer_frames - self.margin())?;
        }
        Ok(())
    }
}

impl AudioSink for AlsaPlayback {
    fn name(&self) -> &str {
        &self.card.name
    }

    fn wait(&self) -> Wait<'_> {
        self.card.wait()
    }

    fn due(&mut self, now: Instant) -> Result<bool, Fault> {
        let room = match self.card.available(now) {
            Ok(room) => room,
            Err(e) => {
                self.mend("ask for room (snd_pcm_avail)", e, now)?;
                return Ok(true);
            }
        };
        self.relax(now)?;
        let too_many = self.card.buffer_frames.saturating_sub(room).saturating_sub(self.margin());
        if too_many > 0 {
            self.card.await_frames(too_many, now)?;
        }
        Ok(too_many == 0)
    }

    fn write(&mut self, now: Instant, period: &Period) -> Result<Instant, Fault> {
        // The delay counts to the last written sample: what is written now is heard after it.
        let stamp = self.card.stamp(now);
        let bytes = self.writer.convert(period);
        let mut written = self.card.pcm.io_bytes().writei(bytes);
        if let Err(e) = written {
            self.mend("write sound (snd_pcm_writei)", e, now)?;
            let bytes = self.writer.convert(period);
            written = self.card.pcm.io_bytes().writei(bytes);
        }
        written.map_err(|e| self.card.fault("write sound (snd_pcm_writei)", e))?;
        self.card.moved(now);
        Ok(stamp.map_or(now, |(at, delay)| at + delay))
    }

    fn xruns(&self) -> u64 {
        self.xruns
    }
}
