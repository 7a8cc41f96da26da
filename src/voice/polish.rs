//! What is done to speech once it has no echo: a high pass, less of the room's noise, and the same level for who stands
//! close and who stands away, by a port of the audio processing of WebRTC. It also says whether an echo can still be heard.

use crate::media::{PERIOD, SAMPLE_RATE_HZ};
use sonora::config::{AdaptiveDigital, GainController2, HighPassFilter, NoiseSuppression, NoiseSuppressionLevel};
use sonora::{AudioProcessing, Config, StreamConfig};

/// What speech is lifted by at the start, and at most: a microphone a metre away is some 20 dB too quiet, and one that is
/// further lifts the room more than the voice.
const GAIN_DB: (f32, f32) = (6.0, 24.0);

/// Noise and level.
pub struct Polish {
    processing: AudioProcessing,
    out: [f32; PERIOD],
}

impl Polish {
    /// `with_gain`: whether the level is seen to.
    pub fn new(with_gain: bool) -> Polish {
        let gain = AdaptiveDigital { initial_gain_db: GAIN_DB.0, max_gain_db: GAIN_DB.1, ..AdaptiveDigital::default() };
        let gain = GainController2 { adaptive_digital: Some(gain), ..GainController2::default() };
        let config = Config {
            high_pass_filter: Some(HighPassFilter::default()),
            // 12 dB: more makes speech sound as if under water.
            noise_suppression: Some(NoiseSuppression {
                level: NoiseSuppressionLevel::Moderate,
                ..NoiseSuppression::default()
            }),
            gain_controller2: with_gain.then_some(gain),
            ..Config::default()
        };
        let stream = StreamConfig::new(SAMPLE_RATE_HZ, 1);
        let processing = AudioProcessing::builder()
            .config(config)
            .capture_config(stream)
            .render_config(stream)
            .echo_detector(true)
            .build();
        Polish { processing, out: [0.0; PERIOD] }
    }

    /// Takes a period of the microphone, full scale 1, and what was heard meanwhile.
    pub fn process(&mut self, far: &[f32; PERIOD], near: &mut [f32; PERIOD]) {
        // Both fail for lengths and rates alone, which are constants here.
        let heard = self.processing.process_render_f32(&[far], &mut [&mut self.out]);
        let done = self.processing.process_capture_f32(&[&near[..]], &mut [&mut self.out]);
        debug_assert!(heard.is_ok() && done.is_ok(), "{heard:?} {done:?}");
        near.copy_from_slice(&self.out);
    }

    /// How likely it is that an echo can be heard in what comes out: 0 to 1.
    pub fn echo_likelihood(&self) -> f32 {
        self.processing.statistics().residual_echo_likelihood.unwrap_or(0.0) as f32
    }
}

impl core::fmt::Debug for Polish {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Polish").finish_non_exhaustive()
    }
}
