//! What sound cards and files do otherwise, adapted at the edge: sample formats, channels and rates to and from the 48 kHz
//! mono S16 that every room above speaks.

use crate::media::{PERIOD, Period, SAMPLE_RATE_HZ};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Async, FixedAsync, Resampler, SincInterpolationParameters, WindowFunction};

/// Rates that are adapted: from telephone bandwidth to the highest a card records at.
pub(super) const RATES_HZ: core::ops::RangeInclusive<u32> = 8_000..=192_000;

/// The most channels of which a mono signal is made.
pub(super) const CHANNELS_MAX: usize = 32;

/// Points of the band-limited interpolation between rates: 32 to each side, 0.7 ms of delay, 16 kHz passed whole.
const SINC_LEN: usize = 64;

/// How one sample lies in memory, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleFormat {
    /// Unsigned 8 bits, 128 in the middle.
    U8,
    /// Signed 16 bits.
    S16,
    /// Signed 24 bits in 3 bytes.
    S24Packed,
    /// Signed 24 bits in the lower part of 4 bytes.
    S24,
    /// Signed 32 bits.
    S32,
    /// IEEE 754 single, −1 to 1.
    F32,
}

impl SampleFormat {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            SampleFormat::U8 => 1,
            SampleFormat::S16 => 2,
            SampleFormat::S24Packed => 3,
            SampleFormat::S24 | SampleFormat::S32 | SampleFormat::F32 => 4,
        }
    }

    /// A sample as −1 to 1; NaN, which only a file can hold, is silence.
    fn load(self, b: &[u8]) -> f32 {
        match self {
            SampleFormat::U8 => (f32::from(b[0]) - 128.0) / 128.0,
            SampleFormat::S16 => f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0,
            SampleFormat::S24Packed | SampleFormat::S24 => {
                i32::from_le_bytes([0, b[0], b[1], b[2]]) as f32 / 2_147_483_648.0
            }
            SampleFormat::S32 => i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32 / 2_147_483_648.0,
            SampleFormat::F32 => {
                let value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                if value.is_nan() { 0.0 } else { value.clamp(-1.0, 1.0) }
            }
        }
    }

    /// The reverse of [`SampleFormat::load`]; `as` saturates, which is what clipping is.
    fn store(self, value: f32, b: &mut [u8]) {
        match self {
            SampleFormat::U8 => b[0] = (value * 128.0 + 128.0).round() as u8,
            SampleFormat::S16 => b.copy_from_slice(&((value * 32_768.0).round() as i16).to_le_bytes()),
            SampleFormat::S24Packed | SampleFormat::S24 => {
                let whole = ((value * 8_388_608.0).round() as i32).clamp(-8_388_608, 8_388_607).to_le_bytes();
                let len = b.len();
                b.copy_from_slice(&whole[..len]);
            }
            SampleFormat::S32 => b.copy_from_slice(&((value * 2_147_483_648.0) as i32).to_le_bytes()),
            SampleFormat::F32 => b.copy_from_slice(&value.to_le_bytes()),
        }
    }
}

/// Format, channels and rate of a card or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub format: SampleFormat,
    pub channels: usize,
    pub rate_hz: u32,
}

impl Layout {
    /// What a file says of itself.
    ///
    /// # Errors
    /// Channels or a rate that are not adapted, in plain words.
    pub fn new(format: SampleFormat, channels: usize, rate_hz: u32) -> Result<Layout, String> {
        if channels == 0 || channels > CHANNELS_MAX {
            return Err(format!("{channels} channels are not supported: 1 to {CHANNELS_MAX} are"));
        }
        if !RATES_HZ.contains(&rate_hz) {
            return Err(format!("{rate_hz} Hz is not supported: {} to {} Hz are", RATES_HZ.start(), RATES_HZ.end()));
        }
        Ok(Layout { format, channels, rate_hz })
    }

    /// Bytes of one sample of each channel.
    pub fn frame_bytes(self) -> usize {
        self.format.bytes() * self.channels
    }

    /// Sample frames of this layout that last as long as `frames` of 48 kHz, rounded up.
    pub fn frames_of(self, frames: usize) -> usize {
        (frames as u64 * u64::from(self.rate_hz)).div_ceil(u64::from(SAMPLE_RATE_HZ)) as usize
    }

    fn resampler(self, into: bool) -> Option<Async<f32>> {
        if self.rate_hz == SAMPLE_RATE_HZ {
            return None;
        }
        let ratio = f64::from(SAMPLE_RATE_HZ) / f64::from(self.rate_hz);
        let parameters = SincInterpolationParameters::new(SINC_LEN, WindowFunction::BlackmanHarris2);
        // One side of it is always the period of 480; the ratio never moves, since drift is the playout's matter.
        let (ratio, fixed) = if into { (ratio, FixedAsync::Output) } else { (1.0 / ratio, FixedAsync::Input) };
        // A ratio between rates within RATES_HZ is finite and positive, which is all that can be wrong.
        Async::new_sinc(ratio, 1.0, &parameters, PERIOD, 1, fixed).ok()
    }
}

/// From a layout to periods.
#[derive(Debug)]
pub(super) struct Reader {
    layout: Layout,
    resampler: Option<Async<f32>>,
    mono: Vec<f32>,
    out: [f32; PERIOD],
}

impl Reader {
    pub fn new(layout: Layout) -> Reader {
        let resampler = layout.resampler(true);
        let most = resampler.as_ref().map_or(PERIOD, |r| r.input_frames_max());
        Reader { layout, resampler, mono: Vec::with_capacity(most), out: [0.0; PERIOD] }
    }

    /// Sample frames of the layout that the next period is made of.
    pub fn frames(&self) -> usize {
        self.resampler.as_ref().map_or(PERIOD, |r| r.input_frames_next())
    }

    /// The most that [`Reader::frames`] ever says.
    pub fn frames_max(&self) -> usize {
        self.resampler.as_ref().map_or(PERIOD, |r| r.input_frames_max())
    }

    /// Makes one period of [`Reader::frames`] sample frames; where there are fewer bytes the rest is silence.
    pub fn convert(&mut self, bytes: &[u8], period: &mut Period) {
        let frames = self.frames();
        let Layout { format, channels, .. } = self.layout;
        self.mono.clear();
        self.mono.extend(bytes.chunks_exact(self.layout.frame_bytes()).take(frames).map(|frame| {
            frame.chunks_exact(format.bytes()).map(|sample| format.load(sample)).sum::<f32>() / channels as f32
        }));
        self.mono.resize(frames, 0.0);
        let sound: &[f32] = match &mut self.resampler {
            None => &self.mono,
            Some(resampler) => {
                resample(resampler, &self.mono, &mut self.out);
                &self.out
            }
        };
        for (to, from) in period.iter_mut().zip(sound) {
            *to = (from * 32_768.0).round() as i16;
        }
    }
}

/// From periods to a layout: the same signal on all channels.
#[derive(Debug)]
pub(super) struct Writer {
    layout: Layout,
    resampler: Option<Async<f32>>,
    mono: Vec<f32>,
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new(layout: Layout) -> Writer {
        let resampler = layout.resampler(false);
        let most = resampler.as_ref().map_or(PERIOD, |r| r.output_frames_max());
        let bytes = Vec::with_capacity(most * layout.frame_bytes());
        Writer { layout, resampler, mono: vec![0.0; most], bytes }
    }

    /// The most sample frames that one period turns into.
    pub fn frames_max(&self) -> usize {
        self.mono.len()
    }

    /// The period's bytes in the layout.
    pub fn convert(&mut self, period: &Period) -> &[u8] {
        let sound: [f32; PERIOD] = period.map(|sample| f32::from(sample) / 32_768.0);
        let mono: &[f32] = match &mut self.resampler {
            None => &sound,
            Some(resampler) => {
                let frames = resample(resampler, &sound, &mut self.mono);
                &self.mono[..frames]
            }
        };
        let Layout { format, channels, .. } = self.layout;
        self.bytes.clear();
        self.bytes.resize(mono.len() * self.layout.frame_bytes(), 0);
        for (frame, value) in self.bytes.chunks_exact_mut(format.bytes() * channels).zip(mono) {
            for sample in frame.chunks_exact_mut(format.bytes()) {
                format.store(*value, sample);
            }
        }
        &self.bytes
    }
}

/// One call of the resampler; the sample frames that came out.
fn resample(resampler: &mut Async<f32>, input: &[f32], output: &mut [f32]) -> usize {
    let frames = output.len();
    let source = SequentialSlice::new(input, 1, input.len());
    let sink = SequentialSlice::new_mut(output, 1, frames);
    let (Ok(source), Ok(mut sink)) = (source, sink) else { return 0 };
    // It fails only for buffers that are too short, and these are made by its own measures.
    resampler.process_into_buffer(&source, &mut sink, None).map_or(0, |(_, written)| written)
}

#[cfg(test)]
mod tests {
    //! Goal: a tone is the same tone in every layout. Method: there and back, and Goertzel's algorithm.

    use super::*;
    use crate::media::tests::goertzel;
    use proptest::prelude::*;

    const FORMATS: [SampleFormat; 6] = [
        SampleFormat::U8,
        SampleFormat::S16,
        SampleFormat::S24Packed,
        SampleFormat::S24,
        SampleFormat::S32,
        SampleFormat::F32,
    ];

    /// Takes a second of 1 kHz to a layout and back.
    fn there_and_back(layout: Layout) -> Vec<i16> {
        let (mut writer, mut reader) = (Writer::new(layout), Reader::new(layout));
        let (mut bytes, mut heard) = (Vec::new(), Vec::new());
        for n in 0..110 {
            let period = core::array::from_fn(|i| {
                let t = (n * PERIOD + i) as f64 / 48e3;
                (10_000.0 * (t * 1_000.0 * core::f64::consts::TAU).sin()) as i16
            });
            bytes.extend_from_slice(writer.convert(&period));
            while bytes.len() >= reader.frames() * layout.frame_bytes() {
                let used = reader.frames() * layout.frame_bytes();
                let mut period = [0; PERIOD];
                reader.convert(&bytes[..used], &mut period);
                bytes.drain(..used);
                heard.extend(period);
            }
        }
        heard
    }

    #[test]
    fn a_tone_survives_every_format_rate_and_number_of_channels() {
        for format in FORMATS {
            for rate_hz in [8_000, 16_000, 44_100, 48_000, 96_000] {
                for channels in [1, 2, 6] {
                    let heard = there_and_back(Layout { format, channels, rate_hz });
                    let tone = goertzel(&heard[4_800..4_800 + 44_160], 1_000.0);
                    assert!((tone / 10_000.0 - 1.0).abs() < 0.03, "{format:?} {rate_hz} {channels}: {tone}");
                }
            }
        }
    }

    #[test]
    fn sixteen_bits_at_48_khz_pass_untouched() {
        let layout = Layout { format: SampleFormat::S16, channels: 1, rate_hz: 48_000 };
        let period: Period = core::array::from_fn(|i| (i as i32 * 136 - 32_768) as i16);
        let mut back = [0; PERIOD];
        Reader::new(layout).convert(Writer::new(layout).convert(&period), &mut back);
        assert_eq!(back, period);
    }

    proptest! {
        #[test]
        fn any_bytes_are_sound(bytes in proptest::collection::vec(any::<u8>(), 0..4_000), which in 0usize..6, channels in 1usize..8) {
            let mut period = [0; PERIOD];
            let layout = Layout { format: FORMATS[which], channels, rate_hz: 44_100 };
            Reader::new(layout).convert(&bytes, &mut period);
        }
    }
}
