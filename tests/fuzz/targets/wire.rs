//! Payload items and control messages: what is understood is written again, and then means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::wire::{CONTROL_BYTES_MAX, Control, Payload, PayloadWriter};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Control::decode(bytes) {
        let mut again = [0; CONTROL_BYTES_MAX];
        let len = message.encode(&mut again);
        assert!(len > 0, "{message:?} does not fit");
        assert_eq!(Control::decode(&again[..len]), Ok(message));
    }
    let Ok(payload) = Payload::parse(bytes) else { return };
    for item in payload.items().flatten() {
        let mut room = [0; 4_200];
        let Some(mut writer) = PayloadWriter::begin(&mut room, payload.epoch) else { panic!("4,200 bytes are enough") };
        if !writer.put(&item) {
            continue;
        }
        let Some(len) = writer.finish() else { continue };
        let again = Payload::parse(&room[..len]).expect("it was written just now");
        assert_eq!(again.items().next(), Some(Ok(item)));
    }
});
