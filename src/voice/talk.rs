//! The sending side: from the microphone's period to the packet.

use super::duck::{Duck, Ducked};
use super::polish::Polish;
use super::{EchoControl, Meter};
use crate::codec::CodecError;
use crate::codec::opus::{Encoder, OpusConfig};
use crate::media::{PERIOD, PERIOD_TIME, Period, SoundPacket};
use crate::time::{Duration, Instant};

/// A period that comes this much later than the last one foretold was not late: periods before it were lost by the card.
/// Time stamps are within a period of the truth even on a kernel that ticks 100 times a second.
const LOST_PERIODS_MIN: i64 = 3;

/// What a sample of 1 is in 16 bits.
const FULL_SCALE: f32 = 32_768.0;

/// By how much later a sound leaves [`Clean`]: the suppressor's filter, and the noise suppression's blocks and bands. The
/// simulation of `echo` measures it.
const CLEAN_DELAY: Duration = Duration::from_micros(9_600);

/// How fast the foretold capture time follows the stamped one: by a 16th of the difference each period.
const FOLLOW: i64 = 16;

/// Turns captured periods into packets.
///
/// It sees both ends: what the loudspeaker plays, with the time at which it is heard, and what the microphone takes,
/// with the time at which it was taken; a room's microphone is freed of echo and noise between the two.
#[derive(Debug)]
pub struct Talk {
    clean: Option<Box<Clean>>,
    encoder: Encoder,
    sequence: u32,
    foretold_at: Option<Instant>,
    /// How much of the microphone gets through just now: 1, 0, or on its way between them.
    open: f32,
    ducked: Ducked,
    near: Meter,
    far: Meter,
    samples: [f32; PERIOD],
    work: Period,
}

/// What a microphone in a room needs.
#[derive(Debug)]
struct Clean {
    echo: EchoControl,
    polish: Polish,
    duck: Duck,
}

/// How much of a direction that is turned down gets through: -25 dB.
const DUCKED: f32 = 0.056;

impl Talk {
    /// At the start of a stream. `in_a_room`: whether the microphone hears the loudspeaker and the room's noise; what comes
    /// from a file or a generator goes out as it is.
    ///
    /// # Errors
    /// Where the encoder cannot be made.
    pub fn new(config: OpusConfig, in_a_room: bool) -> Result<Talk, CodecError> {
        let clean = || Clean { echo: EchoControl::new(), polish: Polish::new(true), duck: Duck::default() };
        Ok(Talk {
            clean: in_a_room.then(|| Box::new(clean())),
            ducked: Ducked::Nobody,
            samples: [0.0; PERIOD],
            encoder: Encoder::new(config)?,
            sequence: 0,
            foretold_at: None,
            open: 1.0,
            near: Meter::default(),
            far: Meter::default(),
            work: [0; PERIOD],
        })
    }

    /// Takes what the loudspeaker was given, and when its first sample will be heard.
    pub fn handle_far_end(&mut self, period: &Period, heard_at: Instant) {
        self.far.handle(period);
        if let Some(clean) = &mut self.clean {
            clean.echo.handle_far_end(period, heard_at);
        }
    }

    /// Takes what the microphone gave, and encodes it into `packet`; silence goes out while `muted`, so that the far side
    /// still sees a stream that lives.
    ///
    /// # Errors
    /// What the encoder says; the packet is then not to be sent.
    pub fn handle_near_end(
        &mut self,
        period: &Period,
        captured_at: Instant,
        muted: bool,
        packet: &mut SoundPacket,
    ) -> Result<(), CodecError> {
        packet.sequence = self.number(captured_at);
        packet.captured_at = captured_at;
        self.near.handle(period);
        self.samples.iter_mut().zip(period).for_each(|(to, from)| *to = f32::from(*from) / FULL_SCALE);
        if let Some(clean) = &mut self.clean {
            clean.echo.handle_near_end(&mut self.samples, captured_at);
            clean.polish.process(clean.echo.far(), &mut self.samples);
            packet.captured_at = captured_at - CLEAN_DELAY;
            let likelihood = clean.polish.echo_likelihood();
            self.ducked = clean.duck.handle(likelihood, self.near.dbfs(), self.far.dbfs());
        }
        self.fade(match self.ducked {
            _ if muted => 0.0,
            Ducked::Near => DUCKED,
            Ducked::Far | Ducked::Nobody => 1.0,
        });
        self.encoder.encode(&self.work, &mut packet.payload)
    }

    /// Whose direction is turned down, since an echo could not be taken away.
    pub fn ducked(&self) -> Ducked {
        self.ducked
    }

    /// Whether one speaks at a time, since an echo could not be taken away.
    pub fn is_one_way(&self) -> bool {
        self.clean.as_ref().is_some_and(|clean| clean.duck.is_one_way())
    }

    /// What the canceller says of the room, if the microphone is in one.
    pub fn echo(&self) -> Option<&EchoControl> {
        self.clean.as_ref().map(|clean| &clean.echo)
    }

    /// Takes a period that is not to be sent: it is counted and metered, so that the stream's clock goes on.
    pub fn skip(&mut self, period: &Period, captured_at: Instant) {
        self.number(captured_at);
        self.near.handle(period);
        if let Some(clean) = &mut self.clean {
            clean.echo.skip(captured_at);
        }
        // Tones that are heard between two calls are as loud as ever.
        self.ducked = Ducked::Nobody;
    }

    /// Aims at another bitrate from the next period on.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn set_bitrate(&mut self, bits_per_second: u32) -> Result<(), CodecError> {
        self.encoder.set_bitrate(bits_per_second)
    }

    /// Makes the in-band FEC for that much loss.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        self.encoder.set_expected_loss(percent)
    }

    /// The microphone's level, in decibels below full scale, before muting.
    pub fn near_dbfs(&self) -> f32 {
        self.near.dbfs()
    }

    /// The level of what the loudspeaker is given.
    pub fn far_dbfs(&self) -> f32 {
        self.far.dbfs()
    }

    /// The sequence number of the period captured at that time. Periods that the card lost get numbers too, which nobody
    /// will send: the receiver then conceals them, and its clock of the stream stays true.
    fn number(&mut self, captured_at: Instant) -> u32 {
        let period = PERIOD_TIME.as_nanos() as i64;
        let late = self.foretold_at.map_or(0, |foretold| captured_at.signed_since(foretold));
        let mut following = captured_at + PERIOD_TIME;
        if late >= LOST_PERIODS_MIN * period {
            // More than the counter's range lost is a day and more: the number then means nothing, and need not.
            self.sequence = self.sequence.wrapping_add(((late + period / 2) / period) as u32);
        } else if late > -LOST_PERIODS_MIN * period {
            following = following.offset(late / FOLLOW - late);
        }
        self.foretold_at = Some(following);
        let number = self.sequence;
        self.sequence = number.wrapping_add(1);
        number
    }

    /// Makes the period what is encoded, opening or closing the microphone over its whole length where that changes: no
    /// click.
    fn fade(&mut self, open: f32) {
        let step = (open - self.open) / PERIOD as f32;
        for (i, (to, from)) in self.work.iter_mut().zip(&self.samples).enumerate() {
            *to = (FULL_SCALE * from * (self.open + step * (i + 1) as f32)) as i16;
        }
        self.open = open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::opus::Decoder;

    fn packet() -> SoundPacket {
        SoundPacket { sequence: 0, captured_at: Instant::ZERO, payload: heapless::Vec::new() }
    }

    fn numbers(stamps_ms: impl IntoIterator<Item = u64>) -> Vec<u32> {
        let mut talk = Talk::new(OpusConfig::default(), false).unwrap();
        let mut packet = packet();
        let mut number = |ms| {
            talk.handle_near_end(&[0; PERIOD], Instant::from_millis(ms), false, &mut packet).unwrap();
            packet.sequence
        };
        stamps_ms.into_iter().map(&mut number).collect()
    }

    #[test]
    fn periods_are_numbered_through_though_stamps_wobble() {
        let wobbling = (0..100u64).map(|n| 1_000 + 10 * n + 9 * (n % 3));
        assert!(numbers(wobbling).into_iter().eq(0..100));
    }

    #[test]
    fn periods_that_the_card_lost_are_numbered_too() {
        assert_eq!(numbers([0, 10, 20, 230, 240]), [0, 1, 2, 23, 24]);
    }

    #[test]
    fn between_two_calls_nobody_is_turned_down() {
        let mut talk = Talk::new(OpusConfig::default(), true).unwrap();
        talk.ducked = Ducked::Far;
        talk.skip(&[0; PERIOD], Instant::from_millis(1_000));
        assert_eq!(talk.ducked(), Ducked::Nobody);
    }

    #[test]
    fn muted_is_silent_and_still_sends() {
        let mut talk = Talk::new(OpusConfig::default(), false).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let mut packet = packet();
        let mut level = |talk: &mut Talk, muted| {
            let mut meter = Meter::default();
            for n in 0..100 {
                let tone = core::array::from_fn(|i| (8_000.0 * ((i as f32) * 0.0654_5).sin()) as i16);
                talk.handle_near_end(&tone, Instant::from_millis(n * 10), muted, &mut packet).unwrap();
                assert!(!packet.payload.is_empty());
                let mut heard = [0; PERIOD];
                decoder.decode(&packet.payload, &mut heard).unwrap();
                meter.handle(&heard);
            }
            meter.dbfs()
        };
        assert!(level(&mut talk, false) > -20.0);
        assert!(level(&mut talk, true) < -70.0);
        assert_eq!(talk.work, [0; PERIOD], "what is encoded is zeros");
        assert!(talk.near_dbfs() > -20.0, "the meter shows the microphone, muted or not");
    }
}
