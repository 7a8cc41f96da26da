//! The rows of the link: a frame cut into payloads and put together again, and the sealing of what carries it.

use super::{MILLIHERTZ, Row, WARM_UP, Work, median_ms};
use crate::codec::{CodecError, Encoder, VideoEncoder};
use crate::identity::{SecretKey, system_random};
use crate::link::flow::{Flow, FlowConfig};
use crate::link::{Config, Endpoint, MAX_DATAGRAM, MAX_PAYLOAD, Payloads, Trust};
use crate::media::{EncodedFrame, VideoCodec};
use crate::time::{Duration, Instant};
use core::net::SocketAddr;

/// The loopback's clock begins here: a flow tells its lives apart by the time at which they begin.
const START: Instant = Instant::from_millis(1_000);
/// The pacer has let go of any frame within so many milliseconds, else something is wrong.
const FRAME_STEPS_MAX: usize = 100;
/// What `poll_transmit` fills at once.
const BATCH_BYTES: usize = 16 * MAX_DATAGRAM;

impl Work {
    /// Both rows are of H.264 frames at this size's bitrate.
    pub(super) fn link(&self, rows: &mut Vec<Row>) -> Result<(), CodecError> {
        let frames = self.h264_frames()?;
        let mut wire = Wire::new();
        let packetise = median_ms(self.frames, |n| wire.carry(&frames[n]))?;
        let datagrams = wire.payloads.div_ceil(WARM_UP + self.frames);
        rows.push(self.row("packetise", format!("h264, {datagrams} payloads, and back"), packetise));
        let (seal, open) = seal_and_open(datagrams, self.frames)?;
        rows.push(self.row("encrypt", format!("{datagrams} datagrams sealed"), seal));
        rows.push(self.row("encrypt", format!("{datagrams} datagrams opened"), open));
        Ok(())
    }

    fn h264_frames(&self) -> Result<Vec<EncodedFrame>, CodecError> {
        let mut encoder = Encoder::new(VideoCodec::H264, self.config(0));
        let frame_time = Duration::from_micros(1_000_000_000 / u64::from(MILLIHERTZ));
        let mut captured_at = START;
        let encode = |n| {
            captured_at += frame_time;
            let mut frame = EncodedFrame { captured_at, number: n as u64, ..EncodedFrame::default() };
            encoder.encode(self.picture(n), false, &mut frame)?;
            Ok(frame)
        };
        (0..WARM_UP + self.frames).map(encode).collect()
    }
}

/// Two inner halves joined by a perfect line.
struct Wire {
    flows: [Flow; 2],
    now: Instant,
    out: [u8; MAX_PAYLOAD],
    whole: EncodedFrame,
    /// Payloads that carried frames so far.
    payloads: usize,
}

impl Wire {
    fn new() -> Wire {
        let flow = |ms| Flow::new(START + Duration::from_millis(ms), FlowConfig::default());
        Wire {
            flows: [flow(0), flow(1)],
            now: START + Duration::from_millis(1),
            out: [0; MAX_PAYLOAD],
            whole: EncodedFrame::default(),
            payloads: 0,
        }
    }

    /// One frame from one end to the other, and what the other has to say to it.
    fn carry(&mut self, frame: &EncodedFrame) -> Result<(), CodecError> {
        self.now = self.now.max(frame.captured_at);
        let [from, to] = &mut self.flows;
        from.send_frame(self.now, frame);
        for _ in 0..FRAME_STEPS_MAX {
            from.handle_timeout(self.now);
            while let Some(len) = from.poll_payload(self.now, &mut self.out) {
                self.payloads += 1;
                to.handle_payload(self.now, &self.out[..len]);
            }
            let is_whole = frame.data.is_empty() || to.take_frame(self.now, &mut self.whole);
            to.handle_timeout(self.now);
            while let Some(len) = to.poll_payload(self.now, &mut self.out) {
                from.handle_payload(self.now, &self.out[..len]);
            }
            if is_whole {
                return Ok(());
            }
            self.now += Duration::from_millis(1);
        }
        Err(CodecError::Library("the link's inner half did not carry a frame".into()))
    }
}

/// Full payloads, as many as are asked for.
struct Load(usize);

impl Payloads for Load {
    fn handle_payload(&mut self, _: Instant, payload: &[u8]) {
        self.0 += usize::from(payload.len() == MAX_PAYLOAD);
    }
    fn poll_payload(&mut self, _: Instant, out: &mut [u8]) -> Option<usize> {
        self.0 = self.0.checked_sub(1)?;
        out.fill(0x55);
        Some(out.len())
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// What sealing and opening `datagrams` full ones costs, through a session that a real handshake made.
fn seal_and_open(datagrams: usize, frames: usize) -> Result<(f64, f64), CodecError> {
    let failed = |what: &str| CodecError::Library(format!("the link's outer half {what}"));
    let keys = [(); 2].map(|()| SecretKey::generate(system_random));
    let trusts = [1, 0].map(|other: usize| Trust::Book(keys[other].public()));
    let addresses = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let [mut sender, mut receiver] = keys.map(|secret| {
        let config = Config { secret, accept: vec![], random: Box::new(system_random) };
        Endpoint::new(START, config, |_, _| Load(0))
    });
    let link = sender.dial(START, &trusts[..1], &addresses[1..]).ok_or_else(|| failed("did not dial"))?;
    let far = receiver.dial(START, &trusts[1..], &[]).ok_or_else(|| failed("did not listen"))?;
    let mut batch = vec![0; BATCH_BYTES];
    sender.handle_timeout(START);
    // A message each way, one that proves them, and one to spare.
    for _ in 0..2 {
        relay(&mut sender, &mut receiver, addresses[0], &mut batch);
        relay(&mut receiver, &mut sender, addresses[1], &mut batch);
    }

    let mut sealed = vec![vec![0; datagrams.next_multiple_of(16) * MAX_DATAGRAM]; WARM_UP + frames];
    let mut lens = vec![Vec::with_capacity(datagrams); sealed.len()];
    let seal = median_ms(frames, |n| {
        sender.payloads(link).ok_or_else(|| failed("made no session"))?.0 = datagrams;
        let mut out = sealed[n].as_mut_slice();
        while let Some(transmit) = sender.poll_transmit(START, out) {
            let (batch, rest) = out.split_at_mut(transmit.len);
            lens[n].extend(batch.chunks(transmit.segment_len).map(<[u8]>::len));
            out = rest;
        }
        Ok(())
    })?;
    let open = median_ms(frames, |n| {
        let mut rest = sealed[n].as_slice();
        for len in &lens[n] {
            let (datagram, after) = rest.split_at(*len);
            receiver.handle_datagram(START, addresses[0], datagram);
            rest = after;
        }
        Ok(())
    })?;
    let opened = receiver.payloads(far).map_or(0, |load| load.0);
    if opened == datagrams * (WARM_UP + frames) { Ok((seal, open)) } else { Err(failed("lost datagrams")) }
}

/// Carries what one endpoint has to send to the other.
fn relay(from: &mut Endpoint<Load>, to: &mut Endpoint<Load>, address: SocketAddr, batch: &mut [u8]) {
    while let Some(transmit) = from.poll_transmit(START, batch) {
        for datagram in batch[..transmit.len].chunks(transmit.segment_len) {
            to.handle_datagram(START, address, datagram);
        }
    }
}
