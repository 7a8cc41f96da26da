//! The two settings of openh264 that its safe interface lacks.
//!
//! `unsafe` is lifted here and nowhere else in the room: changing the bitrate of a running encoder, and keeping it from
//! printing on standard error, are possible only through the library's untyped option call.
#![allow(unsafe_code)]

use crate::codec::CodecError;
use openh264::encoder::Encoder;
use openh264_sys2::{
    ENCODER_OPTION_BITRATE, ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_TRACE_LEVEL, SBitrateInfo, SPATIAL_LAYER_0,
    SPATIAL_LAYER_ALL, WELS_LOG_QUIET,
};
use std::ffi::c_int;
use std::ptr::from_mut;

/// Has the library print nothing. Without this it warns, at each start, of settings that are meant.
pub fn silence(encoder: &mut Encoder) {
    let mut level: c_int = WELS_LOG_QUIET;
    // SAFETY: this option takes a pointer to an int, reads it within the call, and may be set at any time.
    let _ = unsafe { encoder.raw_api().set_option(ENCODER_OPTION_TRACE_LEVEL, from_mut(&mut level).cast()) };
}

/// Changes the bitrate of a running encoder from the next frame on.
///
/// # Errors
/// What the library answered, where it refuses.
pub fn set_bitrate(encoder: &mut Encoder, from_bps: u32, to_bps: u32) -> Result<(), CodecError> {
    let ceiling = (ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0);
    let target = (ENCODER_OPTION_BITRATE, SPATIAL_LAYER_ALL);
    // The library refuses a target above the ceiling, which was set along with it: so upwards the ceiling goes first.
    let order = if to_bps > from_bps { [ceiling, target] } else { [target, ceiling] };
    for (option, layer) in order {
        let mut info = SBitrateInfo { iLayer: layer, iBitrate: c_int::try_from(to_bps).unwrap_or(c_int::MAX) };
        // SAFETY: both options take a pointer to this structure and read it within the call; the caller has encoded a
        // frame, so the encoder is initialised, and `&mut` keeps other calls away.
        let code = unsafe { encoder.raw_api().set_option(option, from_mut(&mut info).cast()) };
        if code != 0 {
            return Err(CodecError::Library(format!("openh264 refuses {to_bps} bit/s (code {code})")));
        }
    }
    Ok(())
}
