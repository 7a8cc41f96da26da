//! Goal: the bytes stay the bytes, and a second implementation has something to compare with.
//! Method: two endpoints whose randomness is a plain count; every datagram of a call by key, a call by code and a cookie
//! reply is compared with `specimen.txt`, which says how to come to it.

use super::super::*;
use super::net::{Talk, book, key};
use crate::identity::{Code, PublicKey};

/// Random bytes that count up from `start`.
fn counting(start: u8) -> Random {
    let mut next = start;
    Box::new(move |out| {
        for byte in out {
            *byte = next;
            next = next.wrapping_add(1);
        }
    })
}

struct Quiet;

impl Payloads for Quiet {
    fn handle_payload(&mut self, _: Instant, _: &[u8]) {}
    fn poll_payload(&mut self, _: Instant, _: &mut [u8]) -> Option<usize> {
        None
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

const NOW: Instant = Instant::from_millis(1_000);

fn station(n: u8) -> Endpoint<Quiet> {
    let config = Config { secret: key(n), accept: vec![], random: counting(n * 128) };
    Endpoint::new(NOW, config, |_, _| Quiet)
}

fn sent(from: &mut Endpoint<Quiet>) -> Vec<Vec<u8>> {
    let mut out = [0; 16 * MAX_DATAGRAM];
    std::iter::from_fn(|| from.poll_transmit(NOW, &mut out).map(|t| out[..t.len].to_vec())).collect()
}

/// What a calls and b answers, until neither has more to say.
fn exchange(trust_of_a: Trust, trust_of_b: Trust, lines: &mut Vec<String>) -> (Endpoint<Quiet>, Endpoint<Quiet>) {
    let at = |n: u8| SocketAddr::from(([192, 0, 2, n], 10_087));
    let (mut a, mut b) = (station(0), station(1));
    a.dial(NOW, &[trust_of_a], &[at(2)]);
    b.dial(NOW, &[trust_of_b], &[]);
    a.handle_timeout(NOW);
    for _ in 0..4 {
        for bytes in sent(&mut a) {
            lines.push(format!("a {}", hex(&bytes)));
            b.handle_datagram(NOW, at(1), &bytes);
        }
        for bytes in sent(&mut b) {
            lines.push(format!("b {}", hex(&bytes)));
            a.handle_datagram(NOW, at(2), &bytes);
        }
    }
    (a, b)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_datagrams_are_those_of_the_specimen() {
    let mut lines = Vec::new();
    let (mut a, _) = exchange(book(1), book(0), &mut lines);
    let id = a.links().next().unwrap();
    a.close(NOW, id, CloseReason::Leaving);
    lines.push(format!("a {}", hex(&sent(&mut a)[0])));
    let code: Code = "abandon ability able about above absent".parse().unwrap();
    exchange(Trust::Code(code.psk()), Trust::Code(code.psk()), &mut lines);
    let keys = crate::link::mac::OuterKeys::of_key(&PublicKey([7; 32]));
    lines.push(format!("cookie {}", hex(&keys.seal_cookie(&[1; 16], &[2; 16], &[3; 16]))));
    let specimen = include_str!("specimen.txt").lines().filter(|line| !line.starts_with('#'));
    let specimen: Vec<&str> = specimen.filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, specimen, "the protocol has changed: raise its version, or mend it\n{}", lines.join("\n"));
}

#[test]
fn an_endpoint_may_be_used_from_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Endpoint<Talk>>();
}
