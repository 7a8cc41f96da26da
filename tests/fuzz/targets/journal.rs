//! The journal's file as a power cut, a worn card or somebody's editor left it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis::journal::fuzz_lines;

fuzz_target!(|bytes: &[u8]| fuzz_lines(bytes));
