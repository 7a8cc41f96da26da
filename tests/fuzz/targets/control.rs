//! What passes through the control socket, in both directions, and actions as people type them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::call::Action;
use visavis::panel::protocol::fuzz_frames;

fuzz_target!(|bytes: &[u8]| {
    fuzz_frames(bytes);
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(action) = text.parse::<Action>() {
        assert_eq!(action.to_string().parse::<Action>().ok(), Some(action));
    }
});
