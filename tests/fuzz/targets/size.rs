//! Picture sizes as people type them, and the letterbox that follows from them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::media::Size;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let Ok(size) = text.parse::<Size>() else { return };
    let screen = Size::new(1024, 768);
    let (x, y, shown) = size.fit(screen);
    assert!(x + shown.width <= screen.width && y + shown.height <= screen.height);
    assert_eq!(size.to_string().parse::<Size>(), Ok(size));
});
