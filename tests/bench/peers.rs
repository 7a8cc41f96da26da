//! What visavis is measured beside: GStreamer as its experts would tune it for latency, and the tutorial's own way.
//!
//! GStreamer gets raw frames of known size and gives the same, which spares it the Y4M headers. Nothing in these
//! pipelines waits for a clock (`sync=false`), there is no jitter buffer, and the decoder has one thread, since
//! libavcodec's frame threads are frames of delay.

use crate::clip::{Clip, Layout};
use crate::feed::Framing;
use crate::live::{Setup, Side};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The tutorial's own port.
pub const PORT: u16 = 10087;
/// Frames between two key frames: a second, the usual choice where a receiver cannot ask for one.
const KEY_FRAMES: u32 = 30;

/// A codec with its pair of GStreamer elements.
#[derive(Clone, Copy)]
pub enum Codec {
    /// x264 at its quickest, zero latency, and libavcodec's decoder.
    X264,
    /// The same with a jitter buffer of 50 ms before the decoder: what one adds where datagrams overtake each other.
    X264Buffered,
    /// openh264 both ways.
    OpenH264,
    /// JPEG at quality 85.
    Jpeg,
}

/// The target for H.264: 2 Mbit/s at 640x480, 4 Mbit/s at 1280x720.
pub fn bitrate_bps(clip: &Clip) -> u32 {
    if clip.size.width > 640 { 4_000_000 } else { 2_000_000 }
}

/// GStreamer one way over RTP, sent to `port`: the receiver's own, or the relay's.
pub fn gstreamer(name: &str, codec: Codec, clip: &Arc<Clip>, port: u16) -> Setup {
    let bitrate = bitrate_bps(clip);
    let is_buffered = matches!(codec, Codec::X264Buffered);
    let buffer = if is_buffered { "rtpjitterbuffer latency=50 drop-on-latency=true ! " } else { "" };
    let (encode, decode) = match codec {
        Codec::X264 | Codec::X264Buffered => (
            // One slice and one thread: with slices on two cores the two ends get into each other's way.
            format!(
                "x264enc tune=zerolatency speed-preset=ultrafast bitrate={} key-int-max={KEY_FRAMES} threads=1 \
                 sliced-threads=false ! rtph264pay config-interval=-1 aggregate-mode=zero-latency mtu=1400",
                bitrate / 1000
            ),
            format!("{} ! {buffer}rtph264depay ! avdec_h264 max-threads=1", udp("H264", 96)),
        ),
        Codec::OpenH264 => (
            format!(
                "openh264enc usage-type=camera rate-control=bitrate bitrate={bitrate} gop-size={KEY_FRAMES} \
                 complexity=low ! rtph264pay config-interval=-1 aggregate-mode=zero-latency mtu=1400"
            ),
            format!("{} ! rtph264depay ! avdec_h264 max-threads=1", udp("H264", 96)),
        ),
        Codec::Jpeg => (
            "jpegenc quality=85 ! rtpjpegpay mtu=1400".to_owned(),
            format!("{} ! rtpjpegdepay ! jpegdec", udp("JPEG", 26)),
        ),
    };
    let send = format!("{} ! {encode} ! udpsink host=127.0.0.1 port={port} sync=false async=false", raw_input(clip));
    let show = format!("{decode} ! video/x-raw,format=I420 ! fdsink fd=1 sync=false");
    Setup {
        name: name.to_owned(),
        clip: Arc::clone(clip),
        sender: Side { command: launch(&send), camera: Some(Framing::Raw), screen: None },
        receiver: Side { command: launch(&show), camera: None, screen: Some(Framing::Raw) },
        receiver_port: PORT,
        display_pace: None,
    }
}

/// The tutorial's way, level 0; `clip` is packed BGR as OpenCV would have given it.
pub fn tutorial(name: &str, clip: &Arc<Clip>) -> Setup {
    let frame_bytes = clip.size.frame_bytes(Layout::Bgr);
    Setup {
        name: name.to_owned(),
        clip: Arc::clone(clip),
        sender: Side {
            command: python(&["send", &PORT.to_string(), &frame_bytes.to_string()]),
            camera: Some(Framing::Raw),
            screen: None,
        },
        receiver: Side { command: python(&["show", &PORT.to_string()]), camera: None, screen: Some(Framing::Raw) },
        receiver_port: PORT,
        display_pace: None,
    }
}

/// GStreamer's sound, Opus in packets of 10 ms: sender and receiver.
pub fn gstreamer_sound() -> [Command; 2] {
    // 960 bytes are 10 ms of 48 kHz mono in 16 bits.
    let send = "fdsrc fd=0 blocksize=960 ! rawaudioparse format=pcm pcm-format=s16le sample-rate=48000 num-channels=1 \
                ! opusenc frame-size=10 audio-type=restricted-lowdelay inband-fec=true ! rtpopuspay ! udpsink \
                host=127.0.0.1 port=10087 sync=false async=false";
    let show = format!(
        "udpsrc port={PORT} caps=application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload=96 ! \
         rtpopusdepay ! opusdec ! audioconvert ! audio/x-raw,format=S16LE,channels=1 ! fdsink fd=1 sync=false"
    );
    [launch(send), launch(&show)]
}

/// Turns frames on standard input into an AVI of MJPEG: what a camera that compresses by itself delivers.
pub fn mjpeg_avi(clip: &Clip, path: &Path) -> Command {
    launch(&format!("{} ! jpegenc quality=85 ! avimux ! filesink location={}", raw_input(clip), path.display()))
}

fn raw_input(clip: &Clip) -> String {
    let (width, height, bytes) = (clip.size.width, clip.size.height, clip.size.frame_bytes(clip.layout));
    format!("fdsrc fd=0 blocksize={bytes} ! rawvideoparse width={width} height={height} format=i420 framerate=30/1")
}

/// A socket with room for a few key frames (the kernel cuts it to its own limit).
fn udp(encoding: &str, payload: u32) -> String {
    format!(
        "udpsrc port={PORT} buffer-size=2000000 \
         caps=application/x-rtp,media=video,clock-rate=90000,encoding-name={encoding},payload={payload}"
    )
}

fn launch(pipeline: &str) -> Command {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(pipeline.split_whitespace());
    command
}

fn python(words: &[&str]) -> Command {
    // Debian's own before any other that stands in the path, so that every run has the same zlib.
    let debian = PathBuf::from("/usr/bin/python3");
    let mut command = Command::new(if debian.exists() { debian } else { "python3".into() });
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/tutorial.py")).args(words);
    command
}
