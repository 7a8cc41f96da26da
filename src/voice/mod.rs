//! The voice: what happens to sound between the sound card and the network, both ways.
//!
//! ```text
//!  mic period ──▶ Talk: EchoControl · Polish (noise, gain) · Duck · mute · meter · Opus ──▶ packet
//!  packet ──▶ Playout: store by sequence · decode, FEC, concealment, noise · splices · Drift ─┐
//!                                                                                            ▼
//!                    measured ──▶ Chirps · tone wanted, volume wanted ──▶ Mixer: tones · volume · limiter ──▶ speaker period
//! ```
//!
//! How long all of it takes, and the network and the sound cards with it, is measured by sound itself: [`Chirps`] out of the
//! loudspeaker, [`Listener`] at the microphone.
//!
//! **Passive and pulled.** Nothing here waits. Packets are handed in as they arrive; the playback card's clock pulls one
//! period each 10 ms, and that pull drives decoding, concealment and drift correction, in the card's own clock domain.
//! Time comes in as an argument.
//!
//! **Delay cannot grow.** [`Playout`] keeps the distance between capture and playback at a target that follows the
//! measured jitter and is bounded: small errors are resampled away, middling ones spliced out, large ones skipped.
//!
//! No call allocates after construction, but for what the library of [`Talk`]'s noise suppression does.

mod arrivals;
mod comfort;
mod drift;
mod duck;
mod echo;
mod limiter;
mod meter;
mod mixer;
mod playout;
mod polish;
mod probe;
mod splice;
mod store;
mod talk;
mod tones;
mod volume;

pub use drift::{DRIFT_MAX_PPM, Drift};
pub use duck::{Duck, Ducked};
pub use echo::EchoControl;
pub use meter::Meter;
pub use mixer::Mixer;
pub use playout::{Played, Playout, PlayoutConfig, PlayoutCounters};
pub use polish::Polish;
pub use probe::{Chirps, Listener, Probing, TRIES, Try, Turn};
pub use talk::Talk;
pub use tones::{TONE_PEAK, Tone};
pub use volume::{VOLUME_MAX, ducked};

#[cfg(test)]
mod drift_tests;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod soak_tests;
#[cfg(test)]
mod table_tests;

/// Nanoseconds that one period lasts, signed for differences of times.
const PERIOD_NANOS: i64 = crate::media::PERIOD_TIME.as_nanos() as i64;

/// Nanoseconds that `frames` sample frames last.
const fn frames_to_nanos(frames: i64) -> i64 {
    // 10⁹ / 48,000 = 62,500 / 3, exactly.
    frames.saturating_mul(62_500) / 3
}

/// Sample frames that last `nanos` nanoseconds, rounded down.
const fn nanos_to_frames(nanos: i64) -> i64 {
    nanos.saturating_mul(3) / 62_500
}
