//! Goal: in steady state video and sound pass a flow without one allocation, repairs included. Method: two flows
//! joined by a line that loses every 37th datagram, first to warm up, then to be counted.

use crate::counting::allocations;
use visavis::link::MAX_PAYLOAD;
use visavis::link::flow::{Flow, FlowConfig};
use visavis::media::{EncodedFrame, SoundPacket};
use visavis::time::{Duration, Instant};

/// Everything of the test that owns memory, made before anything is counted.
struct Call {
    flows: [Flow; 2],
    now: Instant,
    frame: EncodedFrame,
    shown: EncodedFrame,
    sound: SoundPacket,
    datagrams: u64,
    frames_shown: u64,
}

impl Call {
    fn new() -> Call {
        let now = Instant::from_millis(1_000);
        let flow = |ms| Flow::new(now + Duration::from_millis(ms), FlowConfig::default());
        let payload = heapless::Vec::from_slice(&[1; 80]).unwrap();
        Call {
            flows: [flow(0), flow(1)],
            now,
            frame: EncodedFrame::with_capacity(64 << 10),
            shown: EncodedFrame::with_capacity(64 << 10),
            sound: SoundPacket { sequence: 0, captured_at: now, payload },
            datagrams: 0,
            frames_shown: 0,
        }
    }

    /// A tick of 1 ms: both send what they have, and the other has it at once, or never.
    fn tick(&mut self) {
        let millis = self.now.as_nanos() / 1_000_000;
        if millis.is_multiple_of(33) {
            self.film(millis);
        }
        if millis.is_multiple_of(10) {
            self.sound.captured_at = self.now;
            self.flows[0].send_sound(self.now, &self.sound);
            self.sound.sequence += 1;
        }
        let mut out = [0; MAX_PAYLOAD];
        for (from, to) in [(0, 1), (1, 0)] {
            self.flows[from].handle_timeout(self.now);
            while let Some(length) = self.flows[from].poll_payload(self.now, &mut out) {
                self.datagrams += 1;
                if !self.datagrams.is_multiple_of(37) {
                    self.flows[to].handle_payload(self.now, &out[..length]);
                }
            }
        }
        while self.flows[1].take_frame(self.now, &mut self.shown) {
            self.frames_shown += 1;
        }
        while self.flows[1].take_sound().is_some() {}
        self.flows.iter_mut().for_each(|flow| while flow.poll_event().is_some() {});
        self.now += Duration::from_millis(1);
    }

    /// From 4 to 40 kB in pieces of 1,000 bytes; every 50th is a key frame.
    fn film(&mut self, millis: u64) {
        let pieces = 4 + millis * 7 % 37;
        self.frame.clear();
        for piece in 0..pieces {
            self.frame.data.resize(self.frame.data.len() + 1_000, piece as u8);
            self.frame.end_piece();
        }
        self.frame.key = self.frame.number.is_multiple_of(50);
        self.frame.captured_at = self.now;
        self.flows[0].send_frame(self.now, &self.frame);
        self.frame.number += 1;
    }
}

pub fn a_call_in_steady_state_allocates_nothing() {
    let mut call = Call::new();
    (0..10_000).for_each(|_| call.tick());
    let (before, shown) = (allocations(), call.frames_shown);
    (0..20_000).for_each(|_| call.tick());
    assert_eq!(allocations() - before, 0);
    assert!(call.frames_shown - shown > 550, "the call was alive: {} frames", call.frames_shown - shown);
    assert!(call.flows[0].report().counts.fragments_repeated > 100, "and repairs were part of it");
}
