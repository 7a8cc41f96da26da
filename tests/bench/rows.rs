//! The rows of the table, in the order in which they run: each of visavis's close to the peer it is held against, so
//! that both meet the same mood of the machine.

use crate::Result;
use crate::figures::Figures;
use crate::lab::Lab;
use crate::peers::{self, Codec};
use crate::relay::{self, Weather};
use crate::sound::{self, Talk, Wrapping};
use crate::station::{Devices, FAR_PORT, NEAR_PORT};
use crate::{hard, live::Setup};
use std::time::Duration;

/// One line of the table.
pub struct Row {
    /// What `--only` selects by, and how the "must" rows find it.
    pub name: &'static str,
    /// Measures it; the name is for the logs.
    pub run: fn(&Lab, &str) -> Result<Figures>,
}

const H264: &[&str] = &["--codec", "h264"];
/// Half of a round trip of 10 ms.
const HALF_ROUND_TRIP: Duration = Duration::from_millis(5);
const LOSS_1: Weather = loss(1);
const LOSS_5: Weather = loss(5);
/// Even between 0 and 10 ms, each datagram for itself, so that they overtake each other as well.
const JITTER: Weather = Weather { jitter: Duration::from_millis(10), ..Weather::NONE };

/// All rows.
pub const ROWS: &[Row] = &[
    Row {
        name: "gst-x264-480",
        run: |lab, name| lab.stretch(peers::gstreamer(name, Codec::X264, lab.vga(), peers::PORT)),
    },
    Row { name: "visavis-h264-480", run: |lab, name| lab.stretch(h264(lab, name)) },
    Row {
        name: "gst-openh264-480",
        run: |lab, name| lab.stretch(peers::gstreamer(name, Codec::OpenH264, lab.vga(), peers::PORT)),
    },
    Row {
        name: "gst-x264-720",
        run: |lab, name| lab.stretch(peers::gstreamer(name, Codec::X264, lab.hd(), peers::PORT)),
    },
    Row { name: "visavis-h264-720", run: |lab, name| lab.stretch(lab.station.one_way(name, lab.hd(), H264)) },
    Row {
        name: "gst-openh264-720",
        run: |lab, name| lab.stretch(peers::gstreamer(name, Codec::OpenH264, lab.hd(), peers::PORT)),
    },
    Row {
        name: "gst-jpeg-720",
        run: |lab, name| lab.stretch(peers::gstreamer(name, Codec::Jpeg, lab.hd(), peers::PORT)),
    },
    Row {
        name: "visavis-mjpeg-720",
        run: |lab, name| lab.stretch(lab.station.one_way(name, lab.hd(), &["--codec", "mjpeg"])),
    },
    Row {
        name: "visavis-mjpeg-passed-720",
        run: |lab, name| lab.stretch(lab.station.passed_through(name, lab.hd(), &lab.film()?)),
    },
    Row { name: "tutorial-480", run: |lab, name| lab.stretch(peers::tutorial(name, lab.vga_bgr())) },
    Row {
        name: "visavis-deflate-480",
        run: |lab, name| lab.stretch(lab.station.one_way(name, lab.vga(), &["--codec", "deflate"])),
    },
    Row {
        name: "visavis-deflate-near4-480",
        run: |lab, name| lab.stretch(lab.station.one_way(name, lab.vga(), &["--codec", "deflate", "--near", "4"])),
    },
    Row {
        name: "gst-x264-480-loss1",
        run: |lab, name| lab.stretch_in(LOSS_1, peers::gstreamer(name, Codec::X264, lab.vga(), relay::NEAR_FACE)),
    },
    Row { name: "visavis-h264-480-loss1", run: |lab, name| lab.stretch_in(LOSS_1, relayed(lab, name)) },
    Row {
        name: "gst-x264-480-loss5",
        run: |lab, name| lab.stretch_in(LOSS_5, peers::gstreamer(name, Codec::X264, lab.vga(), relay::NEAR_FACE)),
    },
    Row { name: "visavis-h264-480-loss5", run: |lab, name| lab.stretch_in(LOSS_5, relayed(lab, name)) },
    Row { name: "visavis-h264-480-jitter", run: |lab, name| lab.stretch_in(JITTER, relayed(lab, name)) },
    Row { name: "visavis-h264-480-cut", run: |lab, name| hard::cut(lab, relayed(lab, name)) },
    Row { name: "visavis-h264-480-half", run: |lab, name| hard::slow_display(lab, h264(lab, name)) },
    Row { name: "visavis-h264-480-frozen", run: |lab, name| hard::frozen(lab, h264(lab, name)) },
    Row {
        name: "gst-first-picture",
        run: |lab, name| hard::first_picture(lab, || peers::gstreamer(name, Codec::X264, lab.vga(), peers::PORT)),
    },
    Row { name: "visavis-first-picture", run: |lab, name| hard::first_picture(lab, || h264(lab, name)) },
    Row { name: "visavis-two-way", run: |lab, name| lab.stretch(lab.station.two_way(name, lab.vga())) },
    Row { name: "gst-sound", run: |lab, name| sound::mouth_to_ear(gstreamer_talk(), lab.length, &lab.logs, name) },
    Row {
        name: "visavis-sound",
        run: |lab, name| sound::mouth_to_ear(talk(lab, "wav:-"), lab.length, &lab.logs, name),
    },
    Row { name: "visavis-first-sound", run: |lab, name| sound::first_sound(|| talk(lab, "tone"), &lab.logs, name) },
];

fn h264(lab: &Lab, name: &str) -> Setup {
    lab.station.one_way(name, lab.vga(), H264)
}

fn relayed(lab: &Lab, name: &str) -> Setup {
    lab.station.through_relay().one_way(name, lab.vga(), H264)
}

const fn loss(loss_percent: u32) -> Weather {
    Weather { delay: HALF_ROUND_TRIP, loss_percent, ..Weather::NONE }
}

fn gstreamer_talk() -> Talk {
    let [sender, receiver] = peers::gstreamer_sound();
    Talk { sender, receiver, wrapping: Wrapping::Raw, receiver_port: peers::PORT }
}

fn talk(lab: &Lab, mic: &str) -> Talk {
    let near = Devices { mic: Some(mic), ..Devices::default() };
    let far = Devices { speaker: Some("wav:-"), ..Devices::default() };
    Talk {
        sender: lab.station.chat(NEAR_PORT, near, &[]),
        receiver: lab.station.chat(FAR_PORT, far, &[]),
        wrapping: Wrapping::Wav,
        receiver_port: FAR_PORT,
    }
}
