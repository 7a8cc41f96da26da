//! From what was seen to figures: named numbers with their unit last.

use crate::clip::psnr_db;
use crate::live::{Log, Span};
use crate::watch::Shown;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A block worse than this holds something that was never in front of the camera: a lost slice, or a difference laid
/// over a wrong picture. Measured on these clips at these rates: without loss the worst block of the worst frame has
/// 32 dB, with losses that the decoder conceals 17 to 27 dB.
const SMEAR_DB: f64 = 29.5;

/// Figures of one row by their name.
pub type Figures = BTreeMap<&'static str, f64>;

/// The figures of a stretch of a call: of the frames whose pictures were taken in it.
pub fn of_span(log: &Log, span: &Span) -> Figures {
    let seconds = span.to.duration_since(span.from).as_secs_f64();
    let taken = |at: Instant| at >= span.from && at < span.to;
    // Without a feeder of ours a frame counts by when it was shown.
    let counts = |shown: &Shown| match shown.number.and_then(|number| log.fed_at.get(number as usize)) {
        Some(fed_at) => taken(*fed_at),
        None => taken(shown.read_at),
    };
    let shown: Vec<&Shown> = log.shown.iter().filter(|shown| counts(shown)).collect();
    let fed = log.fed_at.iter().filter(|at| taken(**at)).count();
    let pictures = Pictures::sort(&shown, log.fed_at.is_empty());
    let frames = if fed > 0 { fed } else { pictures.intact.len() }.max(1) as f64;

    let mut figures = latencies(&pictures.intact, &log.fed_at);
    figures.insert("fed_fps", fed as f64 / seconds);
    figures.insert("intact_fps", pictures.intact.len() as f64 / seconds);
    figures.insert("smeared", pictures.smeared as f64);
    figures.insert("unstamped", pictures.unstamped as f64);
    // A picture whose number cannot be read is spoilt as well, if it is not a card of the program's own, and a card in
    // the midst of a call would be as bad.
    figures.insert("spoilt", (pictures.smeared + pictures.unstamped) as f64);
    figures.insert("repeated", pictures.repeated as f64);
    figures.insert("cpu_sender_ms", span.cpu[0].as_secs_f64() * 1e3 / frames);
    figures.insert("cpu_receiver_ms", span.cpu[1].as_secs_f64() * 1e3 / frames);
    figures.insert("cpu_both_ms", (span.cpu[0] + span.cpu[1]).as_secs_f64() * 1e3 / frames);
    figures.insert("rss_sender_mb", span.peak_resident_kib[0] as f64 * 1024.0 / 1e6);
    figures.insert("rss_receiver_mb", span.peak_resident_kib[1] as f64 * 1024.0 / 1e6);
    figures.insert("mbit_s", span.carried_bytes as f64 * 8.0 / 1e6 / seconds);
    figures.insert("kbit_frame", span.carried_bytes as f64 * 8.0 / 1e3 / frames);
    let likenesses: Vec<_> = shown.iter().filter_map(|shown| shown.likeness).collect();
    if !likenesses.is_empty() {
        let mean = likenesses.iter().map(|l| l.mean_squared_error).sum::<f64>() / likenesses.len() as f64;
        let worst = likenesses.iter().map(|l| l.worst_block).fold(0.0, f64::max);
        figures.insert("psnr_db", psnr_db(mean));
        figures.insert("worst_block_db", psnr_db(worst));
    }
    figures
}

/// Percentiles of latency: from a picture's last byte into the sender to its last byte out of the receiver.
fn latencies(intact: &[&Shown], fed_at: &[Instant]) -> Figures {
    let mut latencies: Vec<f64> = intact.iter().filter_map(|shown| latency_ms(shown, fed_at)).collect();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies.get(((latencies.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
    let named = [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99), ("max_ms", 1.0)];
    named.into_iter().filter_map(|(name, share)| Some((name, at(share)?))).collect()
}

/// Age of a picture at the moment it was out; `None` where its number was never fed.
pub fn latency_ms(shown: &Shown, fed_at: &[Instant]) -> Option<f64> {
    let fed_at = fed_at.get(shown.number? as usize)?;
    Some(shown.read_at.saturating_duration_since(*fed_at).as_secs_f64() * 1e3)
}

/// Whether a picture is the one that its number says, in every part.
pub fn is_intact(shown: &Shown) -> bool {
    shown.likeness.is_some_and(|likeness| psnr_db(likeness.worst_block) >= SMEAR_DB)
}

/// Pictures by what became of them.
struct Pictures<'a> {
    intact: Vec<&'a Shown>,
    smeared: usize,
    unstamped: usize,
    repeated: usize,
}

impl<'a> Pictures<'a> {
    /// `numbers_return` where the film is a loop whose numbers come again: then only neighbours can be repeats.
    fn sort(shown: &[&'a Shown], numbers_return: bool) -> Pictures<'a> {
        let mut sorted = Pictures { intact: Vec::new(), smeared: 0, unstamped: 0, repeated: 0 };
        let mut seen = BTreeSet::new();
        let mut last = None;
        for shown in shown {
            let Some(number) = shown.number else {
                sorted.unstamped += 1;
                continue;
            };
            let again = if numbers_return { last == Some(number) } else { !seen.insert(number) };
            last = Some(number);
            if !is_intact(shown) {
                sorted.smeared += 1;
            } else if again {
                sorted.repeated += 1;
            } else {
                sorted.intact.push(shown);
            }
        }
        sorted
    }
}
