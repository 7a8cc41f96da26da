//! The numbers of a running station as Prometheus reads them; names are `visavis_` and what [`View`] has.
//!
//! Labels have few values: stages, causes, devices, and the stations of the address book by their names there.

use super::view::{HouseView, View};
use crate::load::STEP_LAST;
use crate::metrics::{Kind, Text};
use crate::sys::board::Reading;
use crate::sys::calendar::unix_ms;
use crate::sys::{clock, process};
use crate::time::Duration;

/// The states of a call; `visavis status` has the same words.
const STATES: [&str; 10] =
    ["idle", "calling", "ringing", "talking", "paging", "paged", "monitoring", "monitored", "held", "ended"];

/// The whole text.
pub(super) fn text(view: &View) -> String {
    let (mut text, house) = (Text::default(), view.house());
    program(&mut text, view);
    process_numbers(&mut text, view);
    calls(&mut text, view, &house);
    links(&mut text, &house);
    frames(&mut text, view, &house);
    latencies(&mut text, view);
    sound(&mut text, view);
    let (reading, pressure) = view.board();
    board(&mut text, &house, &reading, pressure);
    text.finish()
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn program(text: &mut Text, view: &View) {
    let version = env!("CARGO_PKG_VERSION");
    let target = core::env!("CARGO_PKG_NAME");
    text.family("visavis_build_info", Kind::Gauge, "What runs here.")
        .sample(&[("program", target), ("version", version), ("architecture", std::env::consts::ARCH)], 1.0);
    let uptime = seconds(clock::now().since(view.started_at()));
    text.family("visavis_uptime_seconds", Kind::Gauge, "Since the station's start.").sample(&[], uptime);
}

/// As Prometheus' own clients name them.
fn process_numbers(text: &mut Text, view: &View) {
    let cpu = seconds(clock::process_cpu());
    text.family("process_cpu_seconds_total", Kind::Counter, "Processor time of all threads.").sample(&[], cpu);
    let started = unix_ms() as f64 / 1e3 - seconds(clock::now().since(view.started_at()));
    text.family(
        "process_start_time_seconds",
        Kind::Gauge,
        "The station's start, since 1970: another one is a restart.",
    )
    .sample(&[], started);
    let numbers = [
        ("process_resident_memory_bytes", "Memory resident.", process::resident_kib().map(|kib| kib * 1_024)),
        ("process_open_fds", "Open file descriptors.", process::open_fds()),
        ("process_threads", "Threads.", process::threads()),
    ];
    for (name, help, value) in numbers {
        if let Some(value) = value {
            text.family(name, Kind::Gauge, help).sample(&[], value as f64);
        }
    }
}

fn calls(text: &mut Text, view: &View, house: &HouseView) {
    let mut states = text.family("visavis_call_state", Kind::Gauge, "1 for what the call's state is.");
    for state in STATES {
        states.sample(&[("state", state)], f64::from(u8::from(house.state == state)));
    }
    let tally = &view.tally;
    let mut ended = text.family("visavis_calls_ended_total", Kind::Counter, "Calls both ways, by how they ended.");
    for (outcome, count) in tally.outcomes() {
        ended.sample(&[("outcome", outcome)], count as f64);
    }
    let counters = [
        ("visavis_conversations_total", "Calls that somebody answered.", &tally.begun),
        ("visavis_calls_missed_total", "Somebody rang here, and nobody answered.", &tally.missed),
        ("visavis_door_releases_total", "The door was opened here.", &tally.released),
        ("visavis_door_refusals_total", "A station wanted the door opened, and it was not.", &tally.release_refused),
    ];
    for (name, help, counter) in counters {
        text.family(name, Kind::Counter, help).sample(&[], counter.get() as f64);
    }
}

fn links(text: &mut Text, house: &HouseView) {
    let mut up = text.family("visavis_peer_up", Kind::Gauge, "Whether a station of the address book is reached.");
    for peer in &house.peers {
        up.sample(&[("peer", &peer.name)], f64::from(u8::from(peer.is_here)));
    }
    let mut rtt =
        text.family("visavis_peer_round_trip_seconds", Kind::Gauge, "Round trip to a station that is reached.");
    for (peer, time) in house.peers.iter().filter_map(|peer| Some((peer, peer.rtt?))) {
        rtt.sample(&[("peer", &peer.name)], seconds(time));
    }
    text.family("visavis_loss_ratio", Kind::Gauge, "Share of the picture's datagrams that the path of the call loses.")
        .sample(&[("direction", "in")], f64::from(house.loss_in))
        .sample(&[("direction", "out")], f64::from(house.loss_out));
    text.family("visavis_network_bytes_total", Kind::Counter, "Bytes in datagrams, without the headers of UDP and IP.")
        .sample(&[("direction", "in")], house.received_bytes as f64)
        .sample(&[("direction", "out")], house.sent_bytes as f64);
    let counts = &house.counts;
    text.family(
        "visavis_fragments_total",
        Kind::Counter,
        "Fragments of pictures, and what stands in for lost ones, all stations together.",
    )
    .sample(&[("what", "sent")], counts.fragments_sent as f64)
    .sample(&[("what", "sent_again")], counts.fragments_repeated as f64)
    .sample(&[("what", "received")], counts.fragments_received as f64)
    .sample(&[("what", "repaired")], counts.fragments_repaired as f64)
    .sample(&[("what", "parities_sent")], counts.parities_sent as f64)
    .sample(&[("what", "mended")], counts.fragments_mended as f64);
    text.family(
        "visavis_strangers_refused_total",
        Kind::Counter,
        "Handshakes of stations that are not in the address book.",
    )
    .sample(&[], house.refused_strangers as f64);
    text.family("visavis_datagrams_refused_total", Kind::Counter, "Datagrams that were no part of any conversation.")
        .sample(&[], house.refused_datagrams as f64);
}

fn frames(text: &mut Text, view: &View, house: &HouseView) {
    let (stats, counts) = (&view.stats, &house.counts);
    let (capture, compress, expand, present) = (&stats.capture, &stats.compress, &stats.expand, &stats.present);
    text.family("visavis_frames_total", Kind::Counter, "Pictures that a stage has done its work on.")
        .sample(&[("stage", "captured")], capture.frames.get() as f64)
        .sample(&[("stage", "encoded")], compress.sent.get() as f64)
        .sample(&[("stage", "sent")], counts.frames_sent as f64)
        .sample(&[("stage", "received")], counts.frames_whole as f64)
        .sample(&[("stage", "decoded")], expand.decoded.get() as f64)
        .sample(&[("stage", "shown")], present.shown.get() as f64);
    let dropped = [
        ("capture", "missed_by_driver", capture.missed.get()),
        ("capture", "broken", capture.broken.get()),
        ("encode", "too_late", capture.replaced.get()),
        ("encode", "nobody_to_send_to", compress.dropped_paused.get()),
        ("encode", "level", compress.dropped_by_level.get()),
        ("encode", "limit", compress.dropped_by_limit.get()),
        ("encode", "net_loop_late", compress.dropped_queue_full.get() + compress.dropped_no_slot.get()),
        ("encode", "unreadable", compress.dropped_unreadable.get()),
        ("encode", "encoder", compress.dropped_encoder_failed.get() + compress.dropped_by_encoder.get()),
        ("send", "refused", counts.frames_refused + counts.frames_held),
        ("send", "too_late", counts.frames_unsent),
        ("receive", "incomplete", counts.frames_incomplete),
        ("receive", "no_reference", counts.frames_undecodable),
        ("receive", "too_late", counts.frames_stale + counts.frames_passed_over),
        ("decode", "no_reference", expand.dropped_no_reference.get()),
        ("decode", "broken", expand.dropped_broken.get()),
        ("decode", "no_slot", expand.unshown.get()),
        ("show", "replaced_by_newer", expand.replaced.get() + present.replaced.get()),
        ("show", "too_late", present.late.get()),
        ("show", "covered_by_card", present.covered.get()),
        ("show", "no_screen", present.no_screen.get()),
    ];
    let mut family = text.family("visavis_frames_dropped_total", Kind::Counter, "Pictures that went no further.");
    for (stage, cause, count) in dropped {
        family.sample(&[("stage", stage), ("cause", cause)], count as f64);
    }
    text.family("visavis_picture_bytes_total", Kind::Counter, "Encoded bytes of pictures; their rate is the bitrate.")
        .sample(&[("direction", "out")], compress.bytes.get() as f64)
        .sample(&[("direction", "in")], view.received_picture_bytes.get() as f64);
    text.family("visavis_key_frames_total", Kind::Counter, "Key frames sent.")
        .sample(&[], compress.key_frames.get() as f64);
    text.family("visavis_freezes_total", Kind::Counter, "Times that pictures stood still which should have moved.")
        .sample(&[], present.freezes.get() as f64);
    text.family("visavis_frozen_seconds_total", Kind::Counter, "For how long they did.")
        .sample(&[], present.frozen_ms.get() as f64 / 1e3);
}

fn latencies(text: &mut Text, view: &View) {
    let stats = &view.stats;
    let stages = [
        ("capture", &stats.capture.latency),
        ("encode_wait", &stats.compress.waited),
        ("convert", &stats.compress.convert),
        ("encode", &stats.compress.encode),
        ("decode_wait", &stats.expand.waited),
        ("decode", &stats.expand.decode),
        ("show", &stats.present.present),
    ];
    let mut family = text.family(
        "visavis_stage_seconds",
        Kind::Histogram,
        "What a picture spends in a stage: waiting for it, or worked on. capture and encode_wait run from the sensor's time.",
    );
    for (stage, histogram) in stages {
        family.histogram(&[("stage", stage)], &histogram.snapshot());
    }
    let whole = [
        ("visavis_picture_arrival_seconds", "From the far sensor until a picture is whole here.", &view.arrived),
        ("visavis_picture_latency_seconds", "From the far sensor to the screen here.", &stats.present.latency),
        ("visavis_sound_latency_seconds", "From the far microphone to the loudspeaker here.", &stats.voice.latency),
        ("visavis_capture_interval_seconds", "From one picture of the camera to the next.", &stats.capture.interval),
    ];
    for (name, help, histogram) in whole {
        text.family(name, Kind::Histogram, help).histogram(&[], &histogram.snapshot());
    }
}

fn sound(text: &mut Text, view: &View) {
    let voice = &view.stats.voice;
    text.family("visavis_sound_packets_total", Kind::Counter, "Packets of 10 ms.")
        .sample(&[("what", "sent")], voice.sent.get() as f64)
        .sample(&[("what", "received")], voice.received.get() as f64)
        .sample(&[("what", "recovered")], voice.recovered.get() as f64)
        .sample(&[("what", "too_late")], voice.late.get() as f64);
    text.family(
        "visavis_sound_concealed_seconds_total",
        Kind::Counter,
        "Sound that was made up for what did not come.",
    )
    .sample(&[], voice.concealed_ms.get() as f64 / 1e3);
    text.family("visavis_xruns_total", Kind::Counter, "Overruns and underruns of the sound cards.")
        .sample(&[("device", "microphone")], voice.mic_xruns.get() as f64)
        .sample(&[("device", "loudspeaker")], voice.speaker_xruns.get() as f64);
    text.family(
        "visavis_sound_drift_ratio",
        Kind::Gauge,
        "By how much the far microphone's clock is faster than ours.",
    )
    .sample(&[], voice.drift_ppm.get_signed() as f64 / 1e6);
    text.family("visavis_sound_delay_seconds", Kind::Gauge, "How long sound waits here, so that it never has to stop.")
        .sample(&[("what", "now")], voice.delay_us.get() as f64 / 1e6)
        .sample(&[("what", "target")], voice.target_delay_us.get() as f64 / 1e6);
}

fn board(text: &mut Text, house: &HouseView, reading: &Reading, pressure: f32) {
    let flag = |is_so: bool| f64::from(u8::from(is_so));
    let mut up = text.family("visavis_device_up", Kind::Gauge, "Whether a device works.");
    for (device, works) in &house.devices {
        up.sample(&[("device", device)], flag(*works));
    }
    let mut repairs =
        text.family("visavis_repairs_total", Kind::Counter, "What was done about a device that did not move.");
    for repaired in &house.repairs {
        for (repair, count) in [("made_anew", repaired.made_anew), ("port_reset", repaired.port_resets)] {
            repairs.sample(&[("device", repaired.device), ("repair", repair)], count as f64);
        }
    }
    let mut steps = text.family("visavis_load_step", Kind::Gauge, "How far pictures are reduced: 0 is not at all.");
    for (way, step, _) in house.steps {
        steps.sample(&[("pictures", &way.to_string())], f64::from(step));
    }
    text.family("visavis_load_step_last", Kind::Gauge, "The lowest step that there is.").sample(&[], STEP_LAST.into());
    let mut changes = text.family("visavis_load_step_changes_total", Kind::Counter, "How often that has changed.");
    for (way, _, count) in house.steps {
        changes.sample(&[("pictures", &way.to_string())], count as f64);
    }
    if let Some(temperature) = reading.temperature_millicelsius {
        text.family("visavis_temperature_celsius", Kind::Gauge, "Of the board's hottest zone.")
            .sample(&[], f64::from(temperature) / 1e3);
    }
    if let Some(left) = reading.headroom_millikelvin {
        text.family("visavis_temperature_headroom_celsius", Kind::Gauge, "Degrees left until the board throttles.")
            .sample(&[], f64::from(left) / 1e3);
    }
    text.family("visavis_throttled", Kind::Gauge, "What the firmware says of the board now.")
        .sample(&[("cause", "undervoltage")], flag(reading.is_undervolted))
        .sample(&[("cause", "throttled")], flag(reading.is_throttled))
        .sample(&[("cause", "capped")], flag(reading.is_capped));
    text.family(
        "visavis_processor_wait_ratio",
        Kind::Gauge,
        "Share of the time for which something waited for a processor.",
    )
    .sample(&[], pressure.into());
}
