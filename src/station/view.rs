//! What other threads may see of a running station: the live numbers.

use super::load::Way;
use super::report::{Audio, Link, Process, Report, Sent, Shown, Video};
use super::stages::StageStats;
use super::supervision::Repairs;
use super::tally::Tally;
use crate::link::flow::Counts;
use crate::media::{Size, VideoCodec};
use crate::stats::{Counter, Histogram, Snapshot};
use crate::sys::board::Reading;
use crate::sys::{clock, process};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

/// What the net loop knows, refreshed by it several times a second.
#[derive(Clone, Debug, Default)]
pub(super) struct NetView {
    /// In words: `waiting for kitchen`, `talking to kitchen`.
    pub state: String,
    pub link: Link,
    /// How long the link was up, in all.
    pub linked_time: Duration,
    /// What the last frame was that came, and that left.
    pub received: Option<(VideoCodec, Size)>,
    pub sent: Option<(VideoCodec, Size)>,
    pub lost: Counts,
    /// The share of our datagrams that the far side misses.
    pub loss_out: f32,
    pub camera_fault: Option<String>,
    pub screen_fault: Option<String>,
    pub sound_faults: Vec<String>,
}

/// What the net loop of an intercom knows of its house, for the metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct HouseView {
    /// As `visavis status` says it.
    pub state: String,
    pub peers: Vec<PeerView>,
    /// Of all peers.
    pub counts: Counts,
    /// Of whoever is shown.
    pub loss_in: f32,
    pub loss_out: f32,
    /// Devices that are configured, and whether they work.
    pub devices: Vec<(&'static str, bool)>,
    pub refused_datagrams: u64,
    pub refused_strangers: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// How far pictures are reduced, and how often that has changed.
    pub steps: [(Way, u8, u64); 2],
    /// What was done about devices that did not move.
    pub repairs: Vec<Repairs>,
}

/// A station of the address book.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerView {
    pub name: String,
    pub is_here: bool,
    pub rtt: Option<Duration>,
}

impl NetView {
    /// `n` over the time that the link was up.
    fn per_second(&self, n: u64) -> f64 {
        let linked = self.linked_time.as_secs_f64();
        if linked > 0.0 { n as f64 / linked } else { 0.0 }
    }
}

/// A station's numbers, shared with whoever wants to look.
#[derive(Debug)]
pub struct View {
    name: String,
    started_at: Instant,
    pub(super) stats: StageStats,
    /// Encoded bytes of pictures that came.
    pub(super) received_picture_bytes: Counter,
    /// From the far sensor's time stamp until a picture is whole here.
    pub(super) arrived: Histogram,
    pub(super) tally: Tally,
    net: Mutex<NetView>,
    house: Mutex<HouseView>,
    /// How the board is, and for what share of the last second something waited for a processor.
    board: Mutex<(Reading, f32)>,
}

impl View {
    pub(super) fn new(name: &str, now: Instant, stats: StageStats) -> View {
        View {
            name: name.into(),
            started_at: now,
            stats,
            received_picture_bytes: Counter::default(),
            arrived: Histogram::default(),
            tally: Tally::default(),
            net: Mutex::default(),
            house: Mutex::default(),
            board: Mutex::default(),
        }
    }

    /// Since when it runs.
    pub(super) fn started_at(&self) -> Instant {
        self.started_at
    }

    pub(super) fn set_house(&self, view: HouseView) {
        *self.house.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    pub(super) fn house(&self) -> HouseView {
        self.house.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_board(&self, reading: Reading, pressure: f32) {
        *self.board.lock().unwrap_or_else(PoisonError::into_inner) = (reading, pressure);
    }

    pub(super) fn board(&self) -> (Reading, f32) {
        *self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_net(&self, view: NetView) {
        *self.net.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    fn net(&self) -> NetView {
        self.net.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The numbers as they stand.
    pub fn live(&self, now: Instant) -> Live {
        Live {
            at: now,
            name: self.name.clone(),
            net: self.net(),
            shown: self.stats.present.shown.get(),
            received_bytes: self.received_picture_bytes.get(),
            picture_latency: self.stats.present.latency.snapshot(),
            sound_latency: self.stats.voice.latency.snapshot(),
            concealed_ms: self.stats.voice.concealed_ms.get(),
        }
    }

    /// The final report.
    pub(super) fn report(&self, now: Instant) -> Report {
        let net = self.net();
        let cpu_ms = clock::process_cpu().as_secs_f64() * 1_000.0;
        let frames = self.stats.compress.sent.get().max(self.stats.present.shown.get()).max(1);
        let voice = &self.stats.voice;
        Report {
            station: self.name.clone(),
            seconds: now.since(self.started_at).as_secs_f64(),
            video: Video { sent: self.sent(&net), shown: self.shown(&net) },
            audio: Audio {
                latency_ms: voice.latency.summary(),
                concealed_ms: voice.concealed_ms.get(),
                xruns: voice.mic_xruns.get() + voice.speaker_xruns.get(),
                drift_ppm: voice.drift_ppm.get_signed() as f64,
                late: voice.late.get(),
                faults: net.sound_faults,
            },
            link: net.link,
            process: Process {
                cpu_ms_per_frame: cpu_ms / frames as f64,
                cpu_ms,
                rss_peak_kb: process::peak_resident_kib().unwrap_or(0),
                rss_kb: process::resident_kib().unwrap_or(0),
                threads: process::threads().unwrap_or(0),
                fds: process::open_fds().unwrap_or(0),
            },
        }
    }

    fn sent(&self, net: &NetView) -> Sent {
        let (capture, compress) = (&self.stats.capture, &self.stats.compress);
        Sent {
            codec: net.sent.map(|(codec, _)| codec.to_string()),
            size: net.sent.map(|(_, size)| size.to_string()),
            frames: compress.sent.get(),
            by_hardware: compress.by_hardware.get(),
            fps: net.per_second(compress.sent.get()),
            bitrate_bps: net.per_second(compress.bytes.get() * 8) as u64,
            dropped: causes([
                ("missed_by_driver", capture.missed.get()),
                ("broken", capture.broken.get() + compress.dropped_unreadable.get()),
                ("replaced_by_newer", capture.replaced.get()),
                ("level", compress.dropped_by_level.get()),
                ("no_peer", compress.dropped_paused.get()),
                ("net_loop_late", compress.dropped_queue_full.get() + compress.dropped_no_slot.get()),
                ("encoder", compress.dropped_encoder_failed.get() + compress.dropped_by_encoder.get()),
                ("refused_by_link", net.lost.frames_refused),
            ]),
            fault: net.camera_fault.clone(),
        }
    }

    fn shown(&self, net: &NetView) -> Shown {
        let (expand, present) = (&self.stats.expand, &self.stats.present);
        Shown {
            frames: present.shown.get(),
            by_hardware: expand.by_hardware.get(),
            fps: net.per_second(present.shown.get()),
            latency_ms: present.latency.summary(),
            dropped: causes([
                ("incomplete", net.lost.frames_incomplete),
                ("undecodable", net.lost.frames_undecodable + expand.dropped_no_reference.get()),
                ("broken", expand.dropped_broken.get()),
                ("stale", net.lost.frames_stale + net.lost.frames_passed_over),
                ("replaced_by_newer", expand.replaced.get() + present.replaced.get()),
                ("decoder_late", expand.unshown.get()),
                ("late", present.late.get()),
                ("covered_by_card", present.covered.get()),
                ("no_screen", present.no_screen.get()),
            ]),
            frozen_ms: present.frozen_ms.get(),
            codec: net.received.map(|(codec, _)| codec.to_string()),
            size: net.received.map(|(_, size)| size.to_string()),
            bitrate_bps: net.per_second(self.received_picture_bytes.get() * 8) as u64,
            fault: net.screen_fault.clone(),
        }
    }
}

/// The causes that occurred.
fn causes<const N: usize>(all: [(&'static str, u64); N]) -> BTreeMap<&'static str, u64> {
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// The numbers at one time.
#[derive(Clone, Debug)]
pub struct Live {
    at: Instant,
    name: String,
    net: NetView,
    shown: u64,
    received_bytes: u64,
    picture_latency: Snapshot,
    sound_latency: Snapshot,
    concealed_ms: u64,
}

impl Live {
    /// One line for a person, of what happened since `last`.
    pub fn line(&self, last: Option<&Live>) -> String {
        let mut line = format!("{:<10} {:<26}", self.name, self.net.state);
        let Some(last) = last.filter(|last| self.at > last.at) else { return line };
        let seconds = self.at.since(last.at).as_secs_f64();
        let picture = self.picture_latency.since(&last.picture_latency);
        let sound = self.sound_latency.since(&last.sound_latency);
        let size = self.net.received.map_or_else(|| "no picture".into(), |(_, size)| size.to_string());
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            " {size:>9} {:5.1} fps  picture {:5.1} ms  {:5.2} Mbit/s  sound {:5.1} ms  loss {:4.1} %",
            (self.shown - last.shown) as f64 / seconds,
            picture.p50_ms,
            (self.received_bytes - last.received_bytes) as f64 * 8e-6 / seconds,
            sound.p50_ms,
            self.net.link.loss * 100.0,
        );
        let concealed = self.concealed_ms - last.concealed_ms;
        if concealed > 0 {
            let _ = write!(line, "  concealed {concealed} ms");
        }
        line
    }
}
