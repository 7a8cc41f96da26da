//! What an MQTT broker sends, however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| visavis::mqtt::fuzz_packets(bytes));
