//! What a call was like, in numbers: the JSON object of `--json`.

use crate::stats::Summary;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// One station's call. Latencies run from the sensor's time stamp on the far side to the screen or loudspeaker here,
/// corrected by the measured offset between the two clocks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// This station's name.
    pub station: String,
    /// Seconds from the program's start to its end.
    pub seconds: f64,
    /// Pictures.
    pub video: Video,
    /// Sound.
    pub audio: Audio,
    /// The link to the far side.
    pub link: Link,
    /// What it cost.
    pub process: Process,
}

/// Pictures, both ways.
#[derive(Clone, Debug, Serialize)]
pub struct Video {
    /// Encoded here.
    pub sent: Sent,
    /// Shown here.
    pub shown: Shown,
}

/// What left this station.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// `h264`, `mjpeg` or `deflate`.
    pub codec: Option<String>,
    /// Picture size, `640x480`.
    pub size: Option<String>,
    /// Frames encoded.
    pub frames: u64,
    /// Of those, by hardware.
    pub by_hardware: u64,
    /// Frames a second while linked.
    pub fps: f64,
    /// Encoded bits a second while linked, without the link's own overhead.
    pub bitrate_bps: u64,
    /// Frames that were taken and not sent, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
    /// The camera's fault, if it has one.
    pub fault: Option<String>,
}

/// What was seen at this station.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Frames that reached the screen.
    pub frames: u64,
    /// Frames that were decoded by hardware, shown or not.
    pub by_hardware: u64,
    /// Frames a second while linked.
    pub fps: f64,
    /// Capture to show.
    #[serde(serialize_with = "milliseconds")]
    pub latency_ms: Summary,
    /// Frames that arrived and were not shown, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Time without a new picture, beyond what the frame rate explains.
    pub frozen_ms: u64,
    /// What the far side sends.
    pub codec: Option<String>,
    /// Its picture size.
    pub size: Option<String>,
    /// Encoded bits a second while linked.
    pub bitrate_bps: u64,
    /// The screen's fault, if it has one.
    pub fault: Option<String>,
}

/// Sound, both ways.
#[derive(Clone, Debug, Serialize)]
pub struct Audio {
    /// Capture there to loudspeaker here.
    #[serde(serialize_with = "milliseconds")]
    pub latency_ms: Summary,
    /// Played time that was made up for lost or late packets.
    pub concealed_ms: u64,
    /// Overruns and underruns of the sound cards.
    pub xruns: u64,
    /// How much faster the far microphone's clock runs than this loudspeaker's, in parts per million.
    pub drift_ppm: f64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Faults of microphone and loudspeaker.
    pub faults: Vec<String>,
}

/// The link.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Link {
    /// How often it came up.
    pub connects: u64,
    /// The far side's name.
    pub peer: Option<String>,
    /// The far side's address at the end.
    pub path: Option<String>,
    /// 4 or 6.
    pub ip_version: Option<u8>,
    /// Smoothed round trip.
    pub rtt_ms: f64,
    /// Share of video datagrams that had to be repaired or were missing.
    pub loss: f64,
    /// Time from the program's start to the first link.
    pub connected_after_ms: Option<f64>,
    /// Time from the link to the first picture on the screen.
    pub first_picture_ms: Option<f64>,
    /// The longest time away from the far side after the first link.
    pub longest_cut_ms: f64,
    /// Datagrams that were no part of the call: garbage, strangers, replays.
    pub refused: u64,
}

/// The process that the station runs in.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// CPU time of the whole process for each frame sent or shown (the larger count).
    pub cpu_ms_per_frame: f64,
    /// CPU time of the whole process.
    pub cpu_ms: f64,
    /// The most memory resident.
    pub rss_peak_kb: u64,
    /// Memory resident at the end.
    pub rss_kb: u64,
    /// Threads at the end.
    pub threads: u64,
    /// Open file descriptors at the end.
    pub fds: u64,
}

impl Report {
    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        // Only a map with keys that are no strings could fail, and a float that is no number becomes null.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn milliseconds<S: Serializer>(summary: &Summary, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct;
    let mut s = serializer.serialize_struct("Summary", 5)?;
    s.serialize_field("count", &summary.count)?;
    s.serialize_field("p50", &summary.p50_ms)?;
    s.serialize_field("p95", &summary.p95_ms)?;
    s.serialize_field("p99", &summary.p99_ms)?;
    s.serialize_field("max", &summary.max_ms)?;
    s.end()
}
