//! What a camera reads out of somebody's QR code: exactly what a ticket is written as is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::identity::{TICKET_CHARACTERS_MAX, Ticket};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(*ticket.to_text(), text);
        assert!(text.len() <= TICKET_CHARACTERS_MAX, "{text} has too many characters");
    }
});
