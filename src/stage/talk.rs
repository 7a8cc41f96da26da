//! The talk stage: what the voice stage captured is freed of echo and noise, encoded, and given to the net loop.
//!
//! A thread of its own, since the sound card waits for nobody: what is done here takes a tenth of a period on a quick board
//! and half of one on a slow one, and may be late by some milliseconds where a loudspeaker may not.

use super::Context;
use super::voice::{VoiceKnobs, VoiceStats};
use crate::codec::CodecError;
use crate::codec::opus::OpusConfig;
use crate::media::{Period, SoundPacket};
use crate::ring::{Consumer, Producer};
use crate::sys::wake::Wake;
use crate::sys::{poll, sched};
use crate::time::{Instant, Seldom};
use crate::voice::{Ducked, Listener, Talk};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// SCHED_FIFO priority: its work is bounded, and comes after the sound card's and the network's.
const PRIORITY: u8 = 8;

/// Periods on the way from or to the sound card: what its largest buffer holds, and one.
pub(super) const QUEUE: usize = 33;

/// A period, and when its first sample was captured or is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamped {
    pub period: Period,
    pub at: Instant,
    /// With it begins a chirp that is to be listened for.
    pub begins_chirp: bool,
}

/// What the stage is joined to.
#[derive(Debug)]
pub(super) struct TalkPorts {
    /// What the microphone took.
    pub near: Consumer<Stamped>,
    /// What the loudspeaker was given.
    pub far: Consumer<Stamped>,
    /// Signalled by the voice stage after it put something in.
    pub wake: Wake,
    /// Encoded sound for the far side; the net loop is signalled after each.
    pub to_net: Producer<SoundPacket>,
    pub knobs: Arc<VoiceKnobs>,
    pub stats: Arc<VoiceStats>,
}

/// Starts the stage's thread. `in_a_room`: whether there is a room's echo and noise to be freed of.
pub(super) fn spawn(
    context: Context,
    opus: OpusConfig,
    in_a_room: bool,
    ports: TalkPorts,
) -> std::io::Result<JoinHandle<()>> {
    let talk = Talk::new(opus, in_a_room).map_err(|error| std::io::Error::other(error.to_string()))?;
    let stage = Stage {
        context,
        talk,
        ports,
        listener: None,
        ducked: Ducked::Nobody,
        was_one_way: false,
        unencoded: Seldom::default(),
    };
    std::thread::Builder::new().name("talk".into()).spawn(move || stage.run())
}

struct Stage {
    context: Context,
    talk: Talk,
    ports: TalkPorts,
    /// While it is measured how long a voice takes: made for it, since it is large and seldom needed.
    listener: Option<Listener>,
    ducked: Ducked,
    was_one_way: bool,
    /// Periods that the encoder refused.
    unencoded: Seldom,
}

impl Stage {
    fn run(mut self) {
        if let Err(error) = sched::make_realtime(PRIORITY) {
            tracing::debug!("talk runs without real-time priority: {error}");
        }
        while !self.context.stop.is_stopped() {
            // It has nothing to make anew: who asks wants to know that it turns.
            self.context.bell.answer();
            // Drained first: what is put in after this line signals again.
            self.ports.wake.drain();
            while let Some(Stamped { period, at, begins_chirp }) = self.ports.far.take() {
                self.talk.handle_far_end(&period, at);
                if begins_chirp {
                    self.listener.get_or_insert_default().begin();
                }
            }
            if !self.ports.knobs.probing.is_on() {
                self.listener = None;
            }
            let mut handled = 0;
            while handled < QUEUE
                && let Some(near) = self.ports.near.take()
            {
                self.handle(&near);
                handled += 1;
            }
            self.note();
            if handled == QUEUE {
                // More may have come meanwhile, for ever, where a period takes longer than it lasts: it turns all the same.
                continue;
            }
            let fds = [self.context.stop.as_fd(), self.context.bell.as_fd(), self.ports.wake.as_fd()];
            if let Err(error) = poll::wait(&mut fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)), None) {
                // Only without memory for the poll itself; ending lets the supervisor begin anew.
                tracing::error!("talk cannot wait (ppoll): {error}");
                return;
            }
        }
    }

    fn handle(&mut self, near: &Stamped) {
        if let Some(result) = self.listener.as_mut().and_then(|listener| listener.handle(&near.period)) {
            self.ports.knobs.probing.note(result);
        }
        if self.ports.knobs.paused.load(Ordering::Relaxed) {
            self.talk.skip(&near.period, near.at);
        } else if let Err(error) = self.send(near)
            && let Some(unsaid) = self.unencoded.admit(near.at)
        {
            tracing::error!("a period was not encoded: {error}{unsaid}");
        }
    }

    fn send(&mut self, near: &Stamped) -> Result<(), CodecError> {
        let TalkPorts { knobs, stats, to_net, .. } = &mut self.ports;
        self.talk.set_expected_loss(knobs.expected_loss_percent.load(Ordering::Relaxed))?;
        self.talk.set_bitrate(knobs.bitrate_bps.load(Ordering::Relaxed))?;
        let mut packet = SoundPacket { sequence: 0, captured_at: near.at, payload: heapless::Vec::new() };
        let is_muted = knobs.is_muted.load(Ordering::Relaxed) || knobs.probing.is_on();
        self.talk.handle_near_end(&near.period, near.at, is_muted, &mut packet)?;
        match to_net.put(packet) {
            Ok(()) => stats.sent.bump(),
            Err(_) => stats.dropped_full.bump(),
        }
        self.context.net.signal();
        Ok(())
    }

    fn note(&mut self) {
        let (knobs, stats) = (&self.ports.knobs, &self.ports.stats);
        stats.mic_centi_dbfs.set_signed((self.talk.near_dbfs() * 100.0) as i64);
        stats.speaker_centi_dbfs.set_signed((self.talk.far_dbfs() * 100.0) as i64);
        if let Some(echo) = self.talk.echo() {
            stats.echo_resets.set(echo.resets().into());
            stats.echo_missing.set(echo.missing());
        }
        if self.ducked != self.talk.ducked() {
            self.ducked = self.talk.ducked();
            knobs.is_far_ducked.store(self.ducked == Ducked::Far, Ordering::Relaxed);
        }
        if self.was_one_way != self.talk.is_one_way() {
            self.was_one_way = !self.was_one_way;
            let how = if self.was_one_way { "one at a time, since an echo is left" } else { "both ways at once" };
            tracing::info!("speech goes {how}");
        }
    }
}
