//! What the net loop sets while the compress thread runs.

use crate::media::{Level, Limit, Size};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Each is heeded from the next frame on.
#[derive(Debug)]
pub struct Knobs {
    pub(super) key_frame: AtomicBool,
    paused: AtomicBool,
    bitrate_bps: AtomicU32,
    level: AtomicU8,
    /// Width above height.
    size_limit: AtomicU64,
    rate_limit_millihertz: AtomicU32,
}

impl Knobs {
    /// Not paused.
    pub fn new(bitrate_bps: u32, level: Level) -> Knobs {
        Knobs {
            key_frame: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            bitrate_bps: AtomicU32::new(bitrate_bps),
            level: AtomicU8::new(level.number()),
            size_limit: AtomicU64::new(u64::MAX),
            rate_limit_millihertz: AtomicU32::new(u32::MAX),
        }
    }

    /// Makes the next frame a key frame.
    pub fn ask_key_frame(&self) {
        self.key_frame.store(true, Ordering::Relaxed);
    }

    /// While there is nobody to send to, nothing is encoded. The first frame after a pause is a key frame.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Bits a second to aim at, from the next frame on.
    pub fn set_bitrate(&self, bits_per_second: u32) {
        self.bitrate_bps.store(bits_per_second, Ordering::Relaxed);
    }

    /// Bits a second aimed at.
    pub fn bitrate(&self) -> u32 {
        self.bitrate_bps.load(Ordering::Relaxed)
    }

    /// Size and rate to send at, from the next frame on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level.number(), Ordering::Relaxed);
    }

    /// Size and rate sent at.
    pub fn level(&self) -> Level {
        Level::new(self.level.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// The most that may be sent of what the level leaves, from the next frame on. The bitrate has its own knob.
    pub fn set_limit(&self, limit: Limit) {
        let Size { width, height } = limit.size;
        self.size_limit.store(u64::from(width) << 32 | u64::from(height), Ordering::Relaxed);
        self.rate_limit_millihertz.store(limit.rate_millihertz, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> Limit {
        let size = self.size_limit.load(Ordering::Relaxed);
        let rate_millihertz = self.rate_limit_millihertz.load(Ordering::Relaxed);
        Limit { size: Size::new((size >> 32) as u32, size as u32), rate_millihertz, ..Limit::NONE }
    }
}
