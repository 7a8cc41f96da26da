//! What the board can bear: when it throttles or misses its deadlines, pictures become smaller, slower and coarser, step by
//! step; and again what they were, slowly.
//!
//! A [`Governor`] stands for one direction (pictures that are made here, pictures that are shown here). It is told several
//! times a second how that goes ([`Look`]), and says at which [`Step`] to go on. It knows no device, no codec and no clock.
//!
//! A [`Narrowing`] does the same for what the network carries, which is known in bits a second.
//!
//! **Down fast, up slowly.** Three strained looks of five are a step down, within a second. A step up takes half a minute
//! without strain, and where it proves to be too much, the next attempt waits twice as long, up to ten minutes. A step that
//! was left is not returned to for less than that, so that a picture does not pump.

mod governor;
mod narrowing;
mod step;
#[cfg(test)]
mod tests;

pub use governor::{Board, Cause, Change, Governor, LOOK_EVERY, Look};
pub use narrowing::{Narrowing, Whole};
pub use step::{STEP_LAST, Step};
