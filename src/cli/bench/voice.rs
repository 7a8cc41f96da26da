//! The rows of the voice: what a period of 10 ms costs, both ways. A hundred of them are a second, so that a tenth of a
//! millisecond is one hundredth of a core.

use super::{Row, WARM_UP, median_ms};
use crate::codec::CodecError;
use crate::codec::opus::{Decoder, Encoder, OpusConfig};
use crate::media::{PERIOD, PERIOD_TIME, Period, SoundPacket};
use crate::time::{Duration, Instant};
use crate::voice::{EchoControl, Mixer, Playout, PlayoutConfig, Polish, Talk, Tone, VOLUME_MAX};
use core::f64::consts::TAU;
use std::hint::black_box;

/// The microphone's first period.
const START: Instant = Instant::from_millis(1_000);
/// What the loudspeaker is given is heard so much later, and a packet is on its way for so long.
const AHEAD: Duration = Duration::from_millis(20);
/// The sound that the loudspeaker gives back was spoken so many periods ago.
const ECHO_PERIODS: usize = 3;
/// The complexities that are worth a row: the least, the one that stations use, and the most.
const COMPLEXITIES: [u8; 3] = [0, 5, 10];

/// Measures each part over so many periods, and then all that a station does.
///
/// # Errors
/// Where Opus fails.
pub(super) fn measure(periods: usize) -> Result<Vec<Row>, CodecError> {
    let sound = sound(WARM_UP + periods);
    let mut rows = Vec::new();
    let mut row = |what: String, cpu_ms| {
        rows.push(Row { stage: "voice", what, size: "10 ms".into(), cpu_ms, mbit_s: None, psnr_db: None });
    };
    row("echo taken away".into(), echo(&sound, periods)?);
    let (mut polish, quiet) = (Polish::new(true), [0.0; PERIOD]);
    let cost = median_ms(periods, |n| {
        polish.process(&quiet, black_box(&mut floats(&sound[n])));
        Ok(())
    })?;
    row("noise and level".into(), cost);
    for complexity in COMPLEXITIES {
        let mut encoder = Encoder::new(OpusConfig { complexity, ..OpusConfig::default() })?;
        let mut payload = heapless::Vec::new();
        let cost = median_ms(periods, |n| encoder.encode(black_box(&sound[n]), &mut payload))?;
        row(format!("Opus encode, complexity {complexity}"), cost);
    }
    let packets = packets(&sound)?;
    let (mut decoder, mut period) = (Decoder::new()?, [0; PERIOD]);
    let cost = median_ms(periods, |n| decoder.decode(black_box(&packets[n].payload), &mut period))?;
    row("Opus decode".into(), cost);
    row("both ways, all in all".into(), both_ways(&sound, &packets, periods)?);
    Ok(rows)
}

/// Something like speech: a low voice's overtones in syllables, over the noise of a room.
fn sound(periods: usize) -> Vec<Period> {
    let mut seed = 1u32;
    let mut sample = |n: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (noise, t) = (f64::from(seed >> 16) / 65_536.0 - 0.5, n as f64 / 48e3);
        let overtones = (1..20).map(|k| (TAU * 120.0 * f64::from(k) * t).sin() / f64::from(k)).sum::<f64>();
        (4_000.0 * overtones * (TAU * 2.0 * t).sin().max(0.0) + 60.0 * noise) as i16
    };
    (0..periods).map(|p| core::array::from_fn(|i| sample(p * PERIOD + i))).collect()
}

fn floats(period: &Period) -> [f32; PERIOD] {
    period.map(|sample| f32::from(sample) / 32_768.0)
}

fn at(n: usize) -> Instant {
    START + PERIOD_TIME * n as u32
}

fn echo(sound: &[Period], periods: usize) -> Result<f64, CodecError> {
    let mut control = EchoControl::new();
    median_ms(periods, |n| {
        control.handle_far_end(&sound[n], at(n) + AHEAD);
        control.handle_near_end(black_box(&mut floats(&sound[n.saturating_sub(ECHO_PERIODS)])), at(n));
        Ok(())
    })
}

fn packets(sound: &[Period]) -> Result<Vec<SoundPacket>, CodecError> {
    let mut encoder = Encoder::new(OpusConfig::default())?;
    let packet = |(n, period)| {
        let mut packet = SoundPacket { sequence: n as u32, captured_at: at(n), payload: heapless::Vec::new() };
        encoder.encode(period, &mut packet.payload).map(|()| packet)
    };
    sound.iter().enumerate().map(packet).collect()
}

/// What the two threads of a station's voice do for a period that is taken and one that is played.
fn both_ways(sound: &[Period], packets: &[SoundPacket], periods: usize) -> Result<f64, CodecError> {
    let mut talk = Talk::new(OpusConfig::default(), true)?;
    let (mut playout, mut mixer) = (Playout::new(PlayoutConfig::default())?, Mixer::new());
    let mut packet = SoundPacket { sequence: 0, captured_at: START, payload: heapless::Vec::new() };
    let mut played = [0; PERIOD];
    median_ms(periods, |n| {
        playout.handle_packet(&packets[n], at(n) + AHEAD);
        playout.pull(at(n) + AHEAD, &mut played);
        mixer.handle(Some(Tone::Busy), VOLUME_MAX, &mut played);
        talk.handle_far_end(&played, at(n) + AHEAD);
        talk.handle_near_end(black_box(&sound[n]), at(n), false, &mut packet)
    })
}
