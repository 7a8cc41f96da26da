//! The sending side: from the microphone's period to the packet.

use super::Meter;
use crate::codec::CodecError;
use crate::codec::opus::{Encoder, OpusConfig};
use crate::media::{PERIOD, PERIOD_TIME, Period, SoundPacket};
use crate::time::Instant;

/// A period that comes this much later than the last one foretold was not late: periods before it were lost by the card.
/// Time stamps are within a period of the truth even on a kernel that ticks 100 times a second.
const LOST_PERIODS_MIN: i64 = 3;

/// How fast the foretold capture time follows the stamped one: by a 16th of the difference each period.
const FOLLOW: i64 = 16;

/// Turns captured periods into packets.
///
/// It sees both ends: what the loudspeaker plays, with the time at which it is heard, and what the microphone takes,
/// with the time at which it was taken. Echo control needs just that and is to be put between the two; until then the
/// far end is metered only.
#[derive(Debug)]
pub struct Talk {
    encoder: Encoder,
    sequence: u32,
    foretold_at: Option<Instant>,
    /// How much of the microphone gets through just now: 1, 0, or on its way between them.
    open: f32,
    near: Meter,
    far: Meter,
    work: Period,
}

impl Talk {
    /// At the start of a stream.
    ///
    /// # Errors
    /// Where the encoder cannot be made.
    pub fn new(config: OpusConfig) -> Result<Talk, CodecError> {
        Ok(Talk {
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
    pub fn handle_far_end(&mut self, period: &Period, _heard_at: Instant) {
        self.far.handle(period);
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
        self.fade(period, if muted { 0.0 } else { 1.0 });
        self.encoder.encode(&self.work, &mut packet.payload)
    }

    /// Takes a period that is not to be sent: it is counted and metered, so that the stream's clock goes on.
    pub fn skip(&mut self, period: &Period, captured_at: Instant) {
        self.number(captured_at);
        self.near.handle(period);
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

    /// Copies the period, opening or closing the microphone over its whole length where that changes: no click.
    fn fade(&mut self, period: &Period, open: f32) {
        let step = (open - self.open) / PERIOD as f32;
        for (i, (to, from)) in self.work.iter_mut().zip(period).enumerate() {
            *to = (f32::from(*from) * (self.open + step * (i + 1) as f32)) as i16;
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
        let mut talk = Talk::new(OpusConfig::default()).unwrap();
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
    fn muted_is_silent_and_still_sends() {
        let mut talk = Talk::new(OpusConfig::default()).unwrap();
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
