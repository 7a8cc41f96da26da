//! `station.toml`: what is accepted is written out whole, and then means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use visavis::config::Config;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let path = Path::new("station.toml");
    match Config::parse(text, path) {
        Ok(config) => {
            let written = config.to_toml();
            let again = Config::parse(&written, path).unwrap_or_else(|error| panic!("{error}, in\n{written}"));
            assert_eq!(again.to_toml(), written);
        }
        // It shows the place in the text.
        Err(error) => drop(error.to_string()),
    }
});
