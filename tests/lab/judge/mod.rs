//! What judges the outcome: the clip that is played, photographs of screens, tones and chirps in recorded sound.
//!
//! Nothing here is the program's own code, so that an error in it can't hide itself.

pub mod chirp;
pub mod clip;
pub mod photo;
pub mod tone;
