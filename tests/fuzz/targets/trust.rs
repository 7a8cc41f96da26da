//! What people type or paste of trust: one-time codes, public keys, the address book.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use visavis::identity::{AddressBook, Code, PublicKey};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(code) = text.parse::<Code>() {
        let written = code.to_string();
        assert_eq!(written.parse::<Code>().expect("a code as written").to_string(), written);
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string().parse::<PublicKey>().ok(), Some(key));
    }
    if let Ok(book) = AddressBook::parse(text, Path::new("peers.toml")) {
        let again = AddressBook::parse(&book.to_text(), Path::new("peers.toml")).expect("a book as written");
        assert_eq!(again.entries(), book.entries());
    }
});
