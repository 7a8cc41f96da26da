//! Where visavis must be, row by row, and whether it is: against the peer of the same run where there is one.

use crate::figures::Figures;
use std::collections::BTreeMap;

/// Figures of all rows, by the row's name.
pub type Results = BTreeMap<String, Figures>;

/// One thing that must hold.
struct Must {
    measure: &'static str,
    /// Row and figure.
    of: (&'static str, &'static str),
    bound: Bound,
}

/// What a figure is held against.
enum Bound {
    /// At most a number that does not depend on the machine.
    AtMost(f64),
    /// At least such a number.
    AtLeast(f64),
    /// At most the peer's figure of the same name times a factor.
    Peer(&'static str, f64),
}

const MUSTS: &[Must] = &[
    peer("480p H.264 latency p50", ("visavis-h264-480", "p50_ms"), "gst-x264-480", 1.0),
    peer("480p H.264 latency p99", ("visavis-h264-480", "p99_ms"), "gst-x264-480", 1.5),
    peer("720p H.264 latency p50", ("visavis-h264-720", "p50_ms"), "gst-x264-720", 1.0),
    peer("480p H.264 CPU a frame, both ends", ("visavis-h264-480", "cpu_both_ms"), "gst-openh264-480", 1.1),
    peer("720p H.264 CPU a frame, both ends", ("visavis-h264-720", "cpu_both_ms"), "gst-openh264-720", 1.1),
    at_most("MJPEG passed through, sender's CPU a frame, 720p", ("visavis-mjpeg-passed-720", "cpu_sender_ms"), 0.4),
    peer("deflate level 0, CPU a frame, both ends", ("visavis-deflate-480", "cpu_both_ms"), "tutorial-480", 1.0 / 3.0),
    peer("deflate level 0, bits a frame", ("visavis-deflate-480", "kbit_frame"), "tutorial-480", 1.0),
    at_least("deflate level 0 is lossless: PSNR", ("visavis-deflate-480", "psnr_db"), 99.0),
    at_most("peak RSS, two-way 480p with sound, caller", ("visavis-two-way", "rss_sender_mb"), 48.0),
    at_most("peak RSS, two-way 480p with sound, called", ("visavis-two-way", "rss_receiver_mb"), 48.0),
    at_least("intact frames/s at 1 % loss", ("visavis-h264-480-loss1", "intact_fps"), 29.5),
    at_most("smeared at 1 % loss", ("visavis-h264-480-loss1", "spoilt"), 0.0),
    at_least("intact frames/s at 5 % loss", ("visavis-h264-480-loss5", "intact_fps"), 28.0),
    at_most("smeared at 5 % loss", ("visavis-h264-480-loss5", "spoilt"), 0.0),
    // 30 a second, less what the edges of the stretch cut off.
    at_least("frames/s at 0-10 ms of jitter", ("visavis-h264-480-jitter", "intact_fps"), 29.8),
    at_most("latency p50 at 0-10 ms of jitter", ("visavis-h264-480-jitter", "p50_ms"), 20.0),
    at_most("link cut to half: latency p95 after 2 s", ("visavis-h264-480-cut", "p95_ms"), 250.0),
    at_most("link cut to half: longest gap", ("visavis-h264-480-cut", "longest_gap_ms"), 1_000.0),
    // Three frames at 15 a second.
    at_most("display at half speed: latency p99", ("visavis-h264-480-half", "p99_ms"), 200.0),
    at_most("receiver frozen 10 s: oldest shown after", ("visavis-h264-480-frozen", "oldest_ms"), 150.0),
    at_most("start of the second station to first picture", ("visavis-first-picture", "first_picture_ms"), 300.0),
    at_most("start of the second station to first sound", ("visavis-first-sound", "first_sound_ms"), 300.0),
];

const fn peer(measure: &'static str, of: (&'static str, &'static str), other: &'static str, factor: f64) -> Must {
    Must { measure, of, bound: Bound::Peer(other, factor) }
}

const fn at_most(measure: &'static str, of: (&'static str, &'static str), limit: f64) -> Must {
    Must { measure, of, bound: Bound::AtMost(limit) }
}

const fn at_least(measure: &'static str, of: (&'static str, &'static str), limit: f64) -> Must {
    Must { measure, of, bound: Bound::AtLeast(limit) }
}

/// What came of one thing that must hold.
pub struct Verdict {
    /// What it is about.
    pub measure: &'static str,
    /// visavis's figure; `None` where its row or its peer's was not measured.
    pub figure: Option<f64>,
    /// The limit, computed from the peer where there is one.
    pub limit: Option<f64>,
    /// Who set the limit, in words.
    pub against: String,
    /// The figure over the peer's, or over the fixed limit.
    pub ratio: Option<f64>,
    /// Whether it holds.
    pub met: Option<bool>,
}

/// All verdicts on what was measured.
pub fn verdicts(results: &Results) -> Vec<Verdict> {
    MUSTS.iter().map(|must| verdict(must, results)).collect()
}

fn verdict(must: &Must, results: &Results) -> Verdict {
    let look = |row: &str| results.get(row).and_then(|figures| figures.get(must.of.1)).copied();
    let figure = look(must.of.0);
    let (limit, base, against) = match must.bound {
        Bound::AtMost(limit) => (Some(limit), Some(limit), format!("<= {limit}")),
        Bound::AtLeast(limit) => (Some(limit), Some(limit), format!(">= {limit}")),
        Bound::Peer(row, factor) => {
            let peer = look(row);
            let value = peer.map_or("?".to_owned(), |peer| format!("{peer:.2}"));
            (peer.map(|peer| peer * factor), peer, format!("<= {factor:.2} x {row} ({value})"))
        }
    };
    let both = figure.zip(limit);
    let met = both.map(|(figure, limit)| match must.bound {
        Bound::AtLeast(_) => figure >= limit,
        Bound::AtMost(_) | Bound::Peer(..) => figure <= limit,
    });
    let ratio = figure.zip(base).filter(|(_, base)| *base > 0.0).map(|(figure, base)| figure / base);
    Verdict { measure: must.measure, figure, limit, against, ratio, met }
}
