//! What stations say of themselves by multicast DNS, and a hint at a key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use visavis::find::fuzz_announcement;
use visavis::identity::KeyHint;

/// Addresses before the text, each of a kind and sixteen bytes.
const ADDRESS_BYTES: usize = 17;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[low, high, count], rest)) = bytes.split_first_chunk() else { return };
    let (addresses, text) = rest.split_at((usize::from(count) * ADDRESS_BYTES).min(rest.len()));
    let address = |bytes: &[u8; ADDRESS_BYTES]| match bytes {
        [kind, a, b, c, d, ..] if kind % 2 == 0 => IpAddr::from([*a, *b, *c, *d]),
        [_, six @ ..] => IpAddr::from(*six),
    };
    let addresses: Vec<IpAddr> = addresses.as_chunks().0.iter().map(address).collect();
    let Ok(text) = core::str::from_utf8(text) else { return };
    fuzz_announcement(text, u16::from_le_bytes([low, high]), &addresses);
    if let Ok(hint) = text.parse::<KeyHint>() {
        assert_eq!(hint.to_string().parse(), Ok(hint));
    }
});
