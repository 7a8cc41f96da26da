//! Sound of a browser, in the periods that stations speak in.
//!
//! Browsers send Opus packets of 20 ms, whatever they are asked for; stations take 10 ms (see [`codec::opus`](crate::codec::opus)).
//! A packet of another length is decoded and encoded anew: a tenth of a percent of a core, and 6.5 ms of the encoder's look-ahead.

use crate::codec::CodecError;
use crate::codec::opus::{Encoder, OpusConfig};
use crate::media::{PERIOD, PERIOD_TIME, Period, SAMPLE_RATE_HZ, SoundPacket};
use crate::time::Instant;
use opus::{Channels, Decoder};

/// The longest Opus packet: 120 ms (RFC 6716 §2.1.4).
const SAMPLES_MAX: usize = 5_760;

/// Cuts packets into periods.
pub(super) struct Cutter {
    decoder: Decoder,
    encoder: Encoder,
    samples: Box<[i16; SAMPLES_MAX]>,
}

impl Cutter {
    /// Nothing heard yet.
    ///
    /// # Errors
    /// Where libopus has no memory.
    pub fn new() -> Result<Cutter, CodecError> {
        let decoder = Decoder::new(SAMPLE_RATE_HZ, Channels::Mono);
        let decoder = decoder.map_err(|_| CodecError::Broken("libopus makes no decoder"))?;
        let encoder = Encoder::new(OpusConfig::default())?;
        Ok(Cutter { decoder, encoder, samples: Box::new([0; SAMPLES_MAX]) })
    }

    /// Takes a packet whose first sample is number `first` of its stream, and came at `at`; hands out its periods. What is no
    /// Opus packet, or shorter than a period, gives none.
    pub fn take(&mut self, first: u64, data: &[u8], at: Instant, mut out: impl FnMut(SoundPacket)) {
        let sequence = (first / PERIOD as u64) as u32;
        if opus::packet::get_nb_samples(data, SAMPLE_RATE_HZ).is_ok_and(|samples| samples == PERIOD)
            && let Ok(payload) = heapless::Vec::from_slice(data)
        {
            return out(SoundPacket { sequence, captured_at: at - PERIOD_TIME, payload });
        }
        let Ok(count) = self.decoder.decode(data, self.samples.as_mut_slice(), false) else { return };
        let (periods, _) = self.samples[..count].as_chunks::<PERIOD>();
        for (place, period) in periods.iter().enumerate() {
            let period: &Period = period;
            let mut payload = heapless::Vec::new();
            if self.encoder.encode(period, &mut payload).is_err() {
                continue;
            }
            let later = (periods.len() - place) as u32;
            let captured_at = at - PERIOD_TIME * later;
            out(SoundPacket { sequence: sequence.wrapping_add(place as u32), captured_at, payload });
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what a browser says is heard at its right length and pitch. Method: a tone in packets of 10 and 20 ms, decoded again.
    use super::*;
    use opus::{Application, Encoder as AnyEncoder};

    fn tone(samples: usize, first: usize) -> Vec<i16> {
        let angle = |n: usize| (n as f64) * 440.0 * core::f64::consts::TAU / f64::from(SAMPLE_RATE_HZ);
        (first..first + samples).map(|n| (angle(n).sin() * 8_000.0) as i16).collect()
    }

    #[test]
    fn packets_of_any_length_come_out_as_periods_with_the_tone_in_them() {
        for samples in [480, 960, 1_920] {
            let mut browser = AnyEncoder::new(SAMPLE_RATE_HZ, Channels::Mono, Application::Voip).unwrap();
            let mut cutter = Cutter::new().unwrap();
            let mut station = crate::codec::opus::Decoder::new().unwrap();
            let (mut sequences, mut heard) = (Vec::new(), Vec::new());
            for packet in 0..50 {
                let data = browser.encode_vec(&tone(samples, packet * samples), 1_000).unwrap();
                cutter.take((packet * samples) as u64, &data, Instant::from_millis(1_000), |sound| {
                    sequences.push(sound.sequence);
                    let mut period = [0; PERIOD];
                    station.decode(&sound.payload, &mut period).unwrap();
                    heard.extend_from_slice(&period);
                });
            }
            let wanted: Vec<u32> = (0..(50 * samples / PERIOD) as u32).collect();
            assert_eq!(sequences, wanted);
            let settled = &heard[heard.len() / 2..];
            let crossings = settled.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            let hertz = crossings as f64 * f64::from(SAMPLE_RATE_HZ) / settled.len() as f64;
            assert!((hertz - 440.0).abs() < 10.0, "{samples}: {hertz} Hz");
        }
    }

    #[test]
    fn what_is_no_packet_gives_nothing() {
        let mut cutter = Cutter::new().unwrap();
        for data in [&[][..], &[0xff; 3], &[0x03], &[0; 1]] {
            cutter.take(0, data, Instant::ZERO, |sound| assert!(sound.payload.len() <= crate::media::SOUND_BYTES_MAX));
        }
    }
}
