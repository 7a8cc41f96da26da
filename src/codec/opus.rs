//! Opus (RFC 6716) as visavis speaks it: 48 kHz mono, one 10 ms frame a packet, constrained VBR, in-band FEC.
//!
//! In-band FEC ("LBRR": a coarse copy of the previous frame inside this one) exists only in Opus's SILK and hybrid modes,
//! and only for frames that hold speech. So the encoder is set for VoIP and told that the signal is a voice: at 10 ms and
//! 16–64 kbit/s it then stays in hybrid or SILK mode as soon as the expected loss is at least 1 %.

use super::CodecError;
use crate::media::{PERIOD, Period, SAMPLE_RATE_HZ, SOUND_BYTES_MAX};
use crate::time::Duration;
use opus::{Application, Bitrate, Channels, Signal};

/// What the codec itself adds between a sample going in and the same sample coming out: 312 sample frames. Opus's VoIP
/// mode looks 4 ms ahead and compensates its bands with 2.5 ms. The encoder is asked for it when it is made.
pub const DELAY: Duration = Duration::from_micros(6_500);

/// The lowest bitrate that [`Encoder::set_bitrate`] sets; below it Opus gives up the frequencies that make speech clear.
pub const BITRATE_MIN_BPS: u32 = 12_000;
/// The highest: Opus is transparent for speech well below, and a packet stays within a quarter of its bound.
pub const BITRATE_MAX_BPS: u32 = 96_000;

/// How sound is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// Average bits a second. 32 kbit/s is where wide-band speech with FEC has nothing left to gain for a listener.
    pub bitrate_bps: u32,
    /// Opus's own scale, 0 to 10. 5 costs two thirds of 10 and loses nothing audible at these rates; 0 would save a seventh of
    /// what a voice costs in all (`visavis bench` shows it), so that one value does for every board.
    pub complexity: u8,
    /// Loss that the FEC is made for, in percent; 0 turns it off.
    pub expected_loss_percent: u8,
}

impl Default for OpusConfig {
    fn default() -> OpusConfig {
        OpusConfig { bitrate_bps: 32_000, complexity: 5, expected_loss_percent: 5 }
    }
}

fn library(error: opus::Error) -> CodecError {
    CodecError::Library(error.to_string())
}

/// Turns periods into packets.
#[derive(Debug)]
pub struct Encoder {
    inner: opus::Encoder,
    bitrate_bps: u32,
    expected_loss_percent: u8,
}

impl Encoder {
    /// An encoder at the start of a stream.
    ///
    /// # Errors
    /// What libopus says; it is out of memory, or not the libopus this was built with.
    pub fn new(config: OpusConfig) -> Result<Encoder, CodecError> {
        let mut inner = opus::Encoder::new(SAMPLE_RATE_HZ, Channels::Mono, Application::Voip).map_err(library)?;
        inner.set_vbr(true).map_err(library)?;
        inner.set_vbr_constraint(true).map_err(library)?;
        inner.set_signal(Signal::Voice).map_err(library)?;
        inner.set_complexity(i32::from(config.complexity.min(10))).map_err(library)?;
        let mut encoder = Encoder { inner, bitrate_bps: 0, expected_loss_percent: u8::MAX };
        encoder.set_bitrate(config.bitrate_bps)?;
        encoder.set_expected_loss(config.expected_loss_percent)?;
        Ok(encoder)
    }

    /// Aims at another bitrate from the next period on, within [`BITRATE_MIN_BPS`] and [`BITRATE_MAX_BPS`].
    ///
    /// # Errors
    /// What libopus says, which for values in that range is nothing.
    pub fn set_bitrate(&mut self, bits_per_second: u32) -> Result<(), CodecError> {
        let wanted = bits_per_second.clamp(BITRATE_MIN_BPS, BITRATE_MAX_BPS);
        if wanted != self.bitrate_bps {
            self.inner.set_bitrate(Bitrate::Bits(wanted as i32)).map_err(library)?;
            self.bitrate_bps = wanted;
        }
        Ok(())
    }

    /// Makes the FEC for that much loss from the next period on; 0 turns it off and leaves its bits to the voice.
    ///
    /// # Errors
    /// As for [`Encoder::set_bitrate`].
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        let wanted = percent.min(100);
        if wanted != self.expected_loss_percent {
            self.inner.set_inband_fec(wanted > 0).map_err(library)?;
            self.inner.set_packet_loss_perc(i32::from(wanted)).map_err(library)?;
            self.expected_loss_percent = wanted;
        }
        Ok(())
    }

    /// Encodes one period; `payload` is replaced.
    ///
    /// # Errors
    /// What libopus says; the payload is then empty.
    pub fn encode(
        &mut self,
        period: &Period,
        payload: &mut heapless::Vec<u8, SOUND_BYTES_MAX>,
    ) -> Result<(), CodecError> {
        payload.clear();
        // The whole capacity is offered; the rate control decides how little of it is used.
        payload.resize_default(SOUND_BYTES_MAX).expect("its own capacity");
        let encoded = self.inner.encode(period, payload).map_err(library);
        payload.truncate(*encoded.as_ref().unwrap_or(&0));
        encoded.map(|_| ())
    }

    /// Sample frames of delay that encoder and decoder add together; [`DELAY`] as a number.
    ///
    /// # Errors
    /// What libopus says.
    pub fn lookahead(&mut self) -> Result<usize, CodecError> {
        self.inner.get_lookahead().map(|frames| frames.max(0) as usize).map_err(library)
    }
}

/// Turns packets into periods, and makes up for those that are missing.
#[derive(Debug)]
pub struct Decoder {
    inner: opus::Decoder,
}

impl Decoder {
    /// A decoder at the start of a stream.
    ///
    /// # Errors
    /// What libopus says; it is out of memory.
    pub fn new() -> Result<Decoder, CodecError> {
        Ok(Decoder { inner: opus::Decoder::new(SAMPLE_RATE_HZ, Channels::Mono).map_err(library)? })
    }

    /// Decodes the packet that is due.
    ///
    /// # Errors
    /// [`CodecError::Broken`] where it is not an Opus packet of one 10 ms period; `period` is then unspecified, and the
    /// caller conceals it.
    pub fn decode(&mut self, payload: &[u8], period: &mut Period) -> Result<(), CodecError> {
        // An empty payload would mean concealment to libopus, and a longer one than 10 ms would not fit.
        let samples = opus::packet::get_nb_samples(payload, SAMPLE_RATE_HZ).unwrap_or(0);
        if payload.is_empty() || samples != PERIOD {
            return Err(CodecError::Broken("not one 10 ms Opus frame"));
        }
        self.whole(payload, period, false)
    }

    /// Makes the lost packet *before* this one out of the coarse copy in it; plain concealment where it holds none.
    ///
    /// # Errors
    /// As for [`Decoder::decode`].
    pub fn recover(&mut self, next_payload: &[u8], period: &mut Period) -> Result<(), CodecError> {
        if next_payload.is_empty() {
            return Err(CodecError::Broken("empty"));
        }
        self.whole(next_payload, period, true)
    }

    /// Makes something up that continues what was heard: for a lost packet of which nothing is known.
    ///
    /// # Errors
    /// What libopus says, which for a decoder in order is nothing.
    pub fn conceal(&mut self, period: &mut Period) -> Result<(), CodecError> {
        self.whole(&[], period, false)
    }

    /// Forgets everything: the next packet is the first of another stream.
    pub fn reset(&mut self) {
        // Fails only for a request that libopus does not know, and it knows this one since 1.0.
        let _ = self.inner.reset_state();
    }

    fn whole(&mut self, payload: &[u8], period: &mut Period, fec: bool) -> Result<(), CodecError> {
        match self.inner.decode(payload, period, fec) {
            Ok(PERIOD) => Ok(()),
            Ok(_) => Err(CodecError::Broken("not 10 ms")),
            Err(error) if error.code() == opus::ErrorCode::InvalidPacket => {
                Err(CodecError::Broken("not an Opus packet"))
            }
            Err(error) => Err(library(error)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! Goal: what goes in comes out, and a lost packet comes back better by FEC than by concealment. Method: a made-up
    //! voice (pulses through two resonances, in syllables), compared by signal-to-noise ratio.

    use super::*;
    use core::f64::consts::TAU;
    use proptest::prelude::*;

    /// `periods` of something that Opus takes for speech.
    pub(crate) fn voice(periods: usize) -> Vec<Period> {
        let (mut phase, mut y1, mut y2, mut z1, mut z2) = (0.0f64, 0.0, 0.0, 0.0, 0.0);
        let mut sample = |n: usize| {
            let t = n as f64 / 48_000.0;
            phase += (120.0 + 30.0 * (t * 2.1).sin()) / 48_000.0;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase -= pulse;
            let syllable = (t * 12.0).sin().max(0.0);
            // Two resonances, near 600 and 1,700 Hz, the second one wandering.
            let y = 2.0 * 0.985 * (600.0 * TAU / 48e3).cos() * y1 - 0.985 * 0.985 * y2 + pulse;
            (y2, y1) = (y1, y);
            let second = (1_700.0 + 400.0 * (t * 5.0).sin()) * TAU / 48e3;
            let z = 2.0 * 0.98 * second.cos() * z1 - 0.98 * 0.98 * z2 + y;
            (z2, z1) = (z1, z);
            (z * syllable * 150.0).clamp(-30_000.0, 30_000.0) as i16
        };
        (0..periods).map(|p| core::array::from_fn(|i| sample(p * PERIOD + i))).collect()
    }

    fn encode_all(config: OpusConfig, sound: &[Period]) -> Vec<heapless::Vec<u8, SOUND_BYTES_MAX>> {
        let mut encoder = Encoder::new(config).unwrap();
        let encode = |period| {
            let mut payload = heapless::Vec::new();
            encoder.encode(period, &mut payload).unwrap();
            payload
        };
        sound.iter().map(encode).collect()
    }

    fn snr_db(truth: &[Period], heard: &[Period]) -> f64 {
        let (mut signal, mut noise) = (0.0, 0.0);
        for (a, b) in truth.iter().flatten().zip(heard.iter().flatten()) {
            signal += f64::from(*a).powi(2);
            noise += (f64::from(*a) - f64::from(*b)).powi(2);
        }
        10.0 * (signal / noise).log10()
    }

    /// Decodes with every tenth packet lost, made up for by FEC or by concealment.
    fn decode_with_losses(packets: &[heapless::Vec<u8, SOUND_BYTES_MAX>], fec: bool) -> Vec<Period> {
        let mut decoder = Decoder::new().unwrap();
        let mut heard = Vec::new();
        for (n, packet) in packets.iter().enumerate() {
            let mut period = [0; PERIOD];
            match packets.get(n + 1).filter(|_| n % 10 == 5) {
                Some(next) if fec => decoder.recover(next, &mut period).unwrap(),
                Some(_) => decoder.conceal(&mut period).unwrap(),
                None => decoder.decode(packet, &mut period).unwrap(),
            }
            heard.push(period);
        }
        heard
    }

    #[test]
    fn a_voice_comes_back_after_the_stated_delay_at_the_set_rate() {
        let sound = voice(300);
        for bitrate_bps in [24_000, 32_000, 64_000] {
            let config = OpusConfig { bitrate_bps, ..OpusConfig::default() };
            let packets = encode_all(config, &sound);
            let bits: usize = packets.iter().map(|p| p.len() * 8).sum();
            let rate = bits as f64 / 3.0;
            assert!(rate < f64::from(bitrate_bps) * 1.1, "{rate} bit/s for {bitrate_bps}");

            let mut decoder = Decoder::new().unwrap();
            let mut heard = Vec::new();
            for packet in &packets {
                let mut period = [0; PERIOD];
                decoder.decode(packet, &mut period).unwrap();
                heard.extend(period.map(f64::from));
            }
            let sent: Vec<f64> = sound.iter().flatten().map(|s| f64::from(*s)).collect();
            let match_at = |lag: usize| -> f64 { sent.iter().zip(&heard[lag..]).map(|(a, b)| a * b).sum() };
            let lag = (0..960).max_by(|a, b| match_at(*a).total_cmp(&match_at(*b))).unwrap();
            let stated = Encoder::new(config).unwrap().lookahead().unwrap();
            assert_eq!(stated as u64 * 1_000_000 / 48_000, DELAY.as_micros() as u64);
            assert!(lag.abs_diff(stated) <= 24, "{lag} sample frames, not {stated}, at {bitrate_bps} bit/s");
        }
    }

    #[test]
    fn fec_is_there_at_10_ms_and_restores_more_than_concealment_does() {
        let sound = voice(500);
        let packets = encode_all(OpusConfig { expected_loss_percent: 10, ..OpusConfig::default() }, &sound);
        let truth = {
            let mut decoder = Decoder::new().unwrap();
            let mut decode = |packet: &heapless::Vec<u8, SOUND_BYTES_MAX>| {
                let mut period = [0; PERIOD];
                decoder.decode(packet, &mut period).unwrap();
                period
            };
            packets.iter().map(&mut decode).collect::<Vec<_>>()
        };
        let fec = snr_db(&truth, &decode_with_losses(&packets, true));
        let concealed = snr_db(&truth, &decode_with_losses(&packets, false));
        println!("10 % lost: {fec:.1} dB by FEC, {concealed:.1} dB by concealment");
        assert!(fec > concealed + 3.0, "{fec:.1} dB by FEC, {concealed:.1} dB by concealment");
        // TOC byte (RFC 6716 §3.1): configurations 0 to 15 are SILK and hybrid, where LBRR lives; even ones are 10 ms.
        assert!(packets.iter().all(|p| p[0] >> 3 < 16 && (p[0] >> 3).is_multiple_of(2)));
    }

    #[test]
    fn without_expected_loss_no_bits_go_into_fec() {
        let sound = voice(300);
        let bytes = |expected_loss_percent| {
            let config = OpusConfig { expected_loss_percent, ..OpusConfig::default() };
            let packets = encode_all(config, &sound);
            snr_db(&decode_with_losses(&packets, true), &decode_with_losses(&packets, false))
        };
        assert!(bytes(0) > bytes(10) + 20.0, "without LBRR both decode alike");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_period_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..SOUND_BYTES_MAX)) {
            let mut decoder = Decoder::new().unwrap();
            let mut period = [0; PERIOD];
            let _ = decoder.decode(&bytes, &mut period);
            let _ = decoder.recover(&bytes, &mut period);
            prop_assert!(decoder.conceal(&mut period).is_ok());
        }
    }
}
