//! Sound: 48 kHz mono S16 in periods of 10 ms, and the packets that carry it.

use crate::time::{Duration, Instant};

/// Sample frames a second, in every room above the device edge.
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// Sample frames in a period: 10 ms, the Opus frame that visavis sends.
pub const PERIOD: usize = 480;

/// How long a period lasts.
pub const PERIOD_TIME: Duration = Duration::from_millis(10);

/// One period of mono samples.
pub type Period = [i16; PERIOD];

/// The most bytes one sound packet carries. A 10 ms Opus frame at 128 kbit/s has 160; with room for a repeat.
pub const SOUND_BYTES_MAX: usize = 400;

/// One encoded period of sound.
#[derive(Clone, Debug)]
pub struct SoundPacket {
    /// Counts periods from the start of the sender's stream; wraps.
    pub sequence: u32,
    /// When its first sample reached the microphone: in the sender's clock on the sending side, translated to ours by
    /// the link on the receiving side.
    pub captured_at: Instant,
    /// The Opus packet (RFC 6716).
    pub payload: heapless::Vec<u8, SOUND_BYTES_MAX>,
}
