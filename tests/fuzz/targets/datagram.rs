//! Datagrams as strangers send them: the parser alone, and an endpoint that looks for a peer. A stranger gets no answer.
#![no_main]

use core::net::SocketAddr;
use libfuzzer_sys::fuzz_target;
use visavis::identity::SecretKey;
use visavis::link::flow::{Flow, FlowConfig};
use visavis::link::{Config, Endpoint, MAX_DATAGRAM, Trust, fuzz_datagram};
use visavis::time::Instant;

fuzz_target!(|bytes: &[u8]| {
    let now = Instant::from_millis(1_000);
    let key = |n| SecretKey::from_bytes([n; 32]);
    let config = Config {
        secret: key(1),
        accept: vec![Trust::Book(key(2).public())],
        random: Box::new(|out: &mut [u8]| out.fill(7)),
    };
    let mut station = Endpoint::new(now, config, |now, _| Flow::new(now, FlowConfig::default()));
    let stranger = SocketAddr::from(([192, 0, 2, 1], 10_087));
    let mut out = [0; MAX_DATAGRAM];
    // Several datagrams: each with its length before it.
    let mut rest = bytes;
    while let Some((&[low, high], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(usize::from(u16::from_le_bytes([low, high])).min(after.len()));
        rest = after;
        fuzz_datagram(datagram);
        station.handle_datagram(now, stranger, datagram);
        assert!(station.poll_transmit(now, &mut out).is_none(), "a stranger was answered");
        assert!(station.poll_event().is_none(), "a stranger made an event");
    }
});
