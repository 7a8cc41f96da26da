//! What a peer may say inside its session: items and control messages, in any order, at any time.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| visavis::link::flow::fuzz(bytes));
