//! WebRTC with one browser, viewer or media server, by `str0m`, which does no input or output of its own: datagrams and time go in, datagrams,
//! frames and sound come out.
//!
//! What the other side may choose from is what stations speak: H.264 constrained baseline in packetisation mode 1 (RFC 6184) and
//! Opus (RFC 7587). The station is ICE-lite (RFC 8445 §2.5) at the one address at which the page itself was reached, so that
//! wherever the page loads, pictures come too. A media server, which may be ICE-lite itself, is offered what goes out only.

use super::sound::Cutter;
use crate::codec::h264::Headers;
use crate::media::{EncodedFrame, PERIOD, SoundPacket, VideoCodec};
use crate::time::{Instant, Unwrap32};
use core::fmt;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant as StdInstant;
use str0m::bwe::{Bitrate, BweKind};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, KeyframeRequestKind, MediaData, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output};

/// What a network carries before anything is known of it: a phone on Wi-Fi bears it, and 640x480 looks well.
const BITRATE_START: Bitrate = Bitrate::mbps(1);
/// What is asked of the network at most: 720p at 30 pictures a second.
const BITRATE_MOST: Bitrate = Bitrate::mbps(4);
/// Events that wait: pictures and sound of half a second. Where nobody fetches them, the oldest are lost.
const EVENTS_MAX: usize = 64;
/// The profile that every station decodes: constrained baseline (profile_idc 66 with constraint_set1).
const CONSTRAINED_BASELINE: u32 = 0x42_e0_1f;

/// What comes of a browser.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "64 wait at most, and most of them are sound")]
pub enum RtcEvent {
    /// Both ways are open.
    Connected,
    /// The browser cannot go on without a key frame.
    KeyFrameWanted,
    /// So many bits a second get through.
    Carries(u32),
    /// A picture of its camera.
    Frame(EncodedFrame),
    /// A period of its microphone.
    Sound(SoundPacket),
    /// It is gone.
    Closed,
}

/// Why there is no connection.
#[derive(Debug)]
pub struct RtcError(String);

impl fmt::Display for RtcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RtcError {}

/// Whether an answer takes any sound or pictures: what it refuses has port 0 (RFC 8829 §5.3.1).
fn has_media(answer: &str) -> bool {
    let is_media = |line: &&str| line.starts_with("m=audio ") || line.starts_with("m=video ");
    answer.lines().filter(is_media).any(|line| line.split(' ').nth(1) != Some("0"))
}

fn error(what: impl fmt::Display) -> RtcError {
    RtcError(format!("no connection: {what}"))
}

/// str0m counts in the standard library's instants, which show no number; both are CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    ours: Instant,
    theirs: StdInstant,
}

impl Epoch {
    fn theirs(&self, ours: Instant) -> StdInstant {
        // Nothing is older than the connection but what was captured just before it.
        self.theirs + ours.since(self.ours)
    }

    fn ours(&self, theirs: StdInstant) -> Instant {
        self.ours + theirs.saturating_duration_since(self.theirs)
    }
}

/// A connection.
pub struct Rtc {
    inner: str0m::Rtc,
    epoch: Epoch,
    /// Where the browser sees us.
    local: SocketAddr,
    timeout: Instant,
    video: Option<(Mid, Pt)>,
    audio: Option<(Mid, Pt)>,
    /// Our own offer, of these media, while it is not answered.
    offered: Option<(SdpPendingOffer, [(Mid, MediaKind); 2])>,
    headers: Headers,
    frames: u64,
    cutter: Cutter,
    sequences: Unwrap32,
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<RtcEvent>,
    is_over: bool,
}

impl Rtc {
    /// Answers the offer (SDP, RFC 8866) of a browser or viewer: the connection, and the answer's text. It reaches this machine
    /// at `local`.
    ///
    /// # Errors
    /// An offer that is none, or that has neither sound nor pictures that a station understands.
    pub fn answer(now: Instant, offer: &str, local: SocketAddr) -> Result<(Rtc, String), RtcError> {
        let offer = SdpOffer::from_sdp_string(offer).map_err(error)?;
        let mut rtc = Rtc::new(now, local, true)?;
        let answer = rtc.inner.sdp_api().accept_offer(offer).map_err(error)?.to_sdp_string();
        rtc.settle();
        if !has_media(&answer) {
            return Err(error("it offers neither H.264 nor Opus"));
        }
        Ok((rtc, answer))
    }

    /// Offers a media server pictures and sound, and wants none: the connection, which waits for [`Rtc::accept`], and the
    /// offer's text. This machine reaches the server from `local`.
    ///
    /// # Errors
    /// Where OpenSSL or libopus refuse.
    pub fn offer(now: Instant, local: SocketAddr) -> Result<(Rtc, String), RtcError> {
        let mut rtc = Rtc::new(now, local, false)?;
        let mut changes = rtc.inner.sdp_api();
        let stream = Some("visavis".to_owned());
        let media = [MediaKind::Audio, MediaKind::Video]
            .map(|kind| (changes.add_media(kind, Direction::SendOnly, stream.clone(), None, None), kind));
        let (offer, pending) = changes.apply().ok_or_else(|| error("there is nothing to offer"))?;
        rtc.offered = Some((pending, media));
        rtc.settle();
        Ok((rtc, offer.to_sdp_string()))
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// An answer that is none, or not to this offer, or that wants neither pictures nor sound.
    pub fn accept(&mut self, answer: &str) -> Result<(), RtcError> {
        let (pending, media) = self.offered.take().ok_or_else(|| error("nothing is offered"))?;
        if !has_media(answer) {
            return Err(error("the server wants neither H.264 nor Opus"));
        }
        let answer = SdpAnswer::from_sdp_string(answer).map_err(error)?;
        self.inner.sdp_api().accept_answer(pending, answer).map_err(error)?;
        // str0m tells of media only where the other side offers them.
        media.into_iter().for_each(|(mid, kind)| self.open(mid, kind));
        self.settle();
        Ok(())
    }

    /// One that nobody has agreed to yet.
    fn new(now: Instant, local: SocketAddr, is_lite: bool) -> Result<Rtc, RtcError> {
        let epoch = Epoch { ours: now, theirs: StdInstant::now() };
        let provider = str0m::crypto::from_feature_flags();
        let mut config = str0m::Rtc::builder()
            .set_crypto_provider(std::sync::Arc::new(provider))
            .set_ice_lite(is_lite)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_bwe(Some(BITRATE_START));
        let codecs = config.codec_config();
        // One payload type and the one for its repeats.
        codecs.add_h264(108.into(), Some(109.into()), true, CONSTRAINED_BASELINE);
        let mut inner = config.build(epoch.theirs);
        inner.add_local_candidate(Candidate::host(local, "udp").map_err(error)?);
        inner.bwe().set_desired_bitrate(BITRATE_MOST);
        Ok(Rtc {
            inner,
            epoch,
            local,
            timeout: now,
            video: None,
            audio: None,
            offered: None,
            headers: Headers::default(),
            frames: 0,
            cutter: Cutter::new().map_err(error)?,
            sequences: Unwrap32::default(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            is_over: false,
        })
    }

    /// Whether a datagram is for this connection.
    pub fn accepts(&self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let receive = Receive::new(Protocol::Udp, from, self.local, datagram);
        receive.is_ok_and(|receive| self.inner.accepts(&Input::Receive(self.epoch.theirs(now), receive)))
    }

    /// Takes a datagram in; what is none of WebRTC is passed over.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, datagram) else { return };
        self.take(Input::Receive(self.epoch.theirs(now), receive));
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now >= self.timeout {
            self.take(Input::Timeout(self.epoch.theirs(now)));
        }
    }

    /// When [`Rtc::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.is_over).then_some(self.timeout)
    }

    /// The next datagram to send, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.outbox.pop_front()
    }

    /// What came.
    pub fn poll_event(&mut self) -> Option<RtcEvent> {
        self.events.pop_front()
    }

    /// Sends a picture; nothing where the browser wants none, or the codec is none that it knows.
    pub fn send_frame(&mut self, now: Instant, frame: &EncodedFrame) {
        let Some((mid, pt)) = self.video.filter(|_| frame.codec == VideoCodec::H264) else { return };
        let time = MediaTime::from_90khz(frame.captured_at.as_micros() * 9 / 100);
        let wall = self.epoch.theirs(frame.captured_at.min(now));
        if let Some(writer) = self.inner.writer(mid) {
            // Before it is connected it takes nothing, and later all.
            let _ = writer.write(pt, wall, time, frame.data.as_slice());
        }
        self.settle();
    }

    /// Sends a period of sound; nothing where the browser wants none.
    pub fn send_sound(&mut self, now: Instant, packet: &SoundPacket) {
        let Some((mid, pt)) = self.audio else { return };
        let first = self.sequences.unwrap(packet.sequence) * PERIOD as u64;
        let wall = self.epoch.theirs(packet.captured_at.min(now));
        if let Some(writer) = self.inner.writer(mid) {
            let _ =
                writer.write(pt, wall, MediaTime::new(first, Frequency::FORTY_EIGHT_KHZ), packet.payload.as_slice());
        }
        self.settle();
    }

    /// Asks the browser for a key frame.
    pub fn request_key_frame(&mut self) {
        if let Some(mut writer) = self.video.and_then(|(mid, _)| self.inner.writer(mid)) {
            // Without any picture of it there is nobody to ask, and the first will be a key frame.
            let _ = writer.request_keyframe(None, KeyframeRequestKind::Pli);
        }
        self.settle();
    }

    /// Says goodbye; what is to be sent for that comes from [`Rtc::poll_transmit`].
    pub fn close(&mut self) {
        let _ = self.inner.close();
        self.settle();
    }

    fn take(&mut self, input: Input<'_>) {
        if let Err(why) = self.inner.handle_input(input) {
            self.end(&why);
            return;
        }
        self.settle();
    }

    fn end(&mut self, why: &dyn fmt::Display) {
        if !core::mem::replace(&mut self.is_over, true) {
            tracing::debug!("a WebRTC connection ends: {why}");
            self.tell(RtcEvent::Closed);
        }
    }

    /// Fetches all that str0m has, until it waits.
    fn settle(&mut self) {
        while !self.is_over {
            match self.inner.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = self.epoch.ours(at);
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    self.outbox.push_back((transmit.destination, transmit.contents.to_vec()));
                }
                Ok(Output::Event(event)) => self.handle_event(event),
                Err(why) => self.end(&why),
            }
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Connected => self.tell(RtcEvent::Connected),
            Event::MediaAdded(added) => self.open(added.mid, added.kind),
            Event::MediaData(data) if Some(data.mid) == self.video.map(|(mid, _)| mid) => self.handle_picture(&data),
            Event::MediaData(data) => {
                let first = data.time.rebase(Frequency::FORTY_EIGHT_KHZ).numer();
                let at = self.epoch.ours(data.network_time);
                let mut periods: heapless::Vec<SoundPacket, 16> = heapless::Vec::new();
                self.cutter.take(first, &data.data, at, |period| {
                    // The longest packet has twelve.
                    let _ = periods.push(period);
                });
                periods.into_iter().for_each(|period| self.tell(RtcEvent::Sound(period)));
            }
            Event::KeyframeRequest(_) => self.tell(RtcEvent::KeyFrameWanted),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. } | BweKind::Remb { estimate, .. }) => {
                let bits = u32::try_from(estimate.as_u64()).unwrap_or(u32::MAX);
                self.tell(RtcEvent::Carries(bits));
            }
            Event::IceConnectionStateChange(state) if state.is_disconnected() => self.end(&"nothing is heard of it"),
            Event::Closed => self.end(&"it says goodbye"),
            _ => {}
        }
    }

    /// Finds out as what pictures or sound may be sent.
    fn open(&mut self, mid: Mid, kind: MediaKind) {
        let (wanted, place) = match kind {
            MediaKind::Video => (Codec::H264, &mut self.video),
            MediaKind::Audio => (Codec::Opus, &mut self.audio),
        };
        let pt = self.inner.writer(mid).and_then(|writer| {
            writer.payload_params().find(|params| params.spec().codec == wanted).map(|params| params.pt())
        });
        *place = pt.map(|pt| (mid, pt));
    }

    fn handle_picture(&mut self, data: &MediaData) {
        // A number that is left out tells the station that something is missing.
        self.frames += if data.contiguous { 1 } else { 2 };
        let at = self.epoch.ours(data.network_time);
        let mut frame = EncodedFrame {
            codec: VideoCodec::H264,
            number: self.frames,
            captured_at: at,
            ready_at: at,
            ..EncodedFrame::with_capacity(data.data.len() + 64)
        };
        if self.headers.take(&data.data, &mut frame) {
            self.tell(RtcEvent::Frame(frame));
        }
    }

    fn tell(&mut self, event: RtcEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is offered to a server arrives there, and what it cannot take is said. Method: an offering and an answering
    //! connection, joined by hand, in a time that the test makes.
    use super::*;
    use crate::codec::opus::{Encoder, OpusConfig};
    use crate::media::PERIOD_TIME;

    fn address(port: u16) -> SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, port).into()
    }

    /// Carries all datagrams that wait.
    fn carry(now: Instant, ends: [(&mut Rtc, SocketAddr); 2]) {
        let [(one, at_one), (two, at_two)] = ends;
        for _ in 0..8 {
            while let Some((_, datagram)) = one.poll_transmit() {
                two.handle_datagram(now, at_one, &datagram);
            }
            while let Some((_, datagram)) = two.poll_transmit() {
                one.handle_datagram(now, at_two, &datagram);
            }
        }
        one.handle_timeout(now);
        two.handle_timeout(now);
    }

    #[test]
    fn what_is_offered_and_accepted_arrives_until_the_end() {
        let mut now = Instant::from_millis(1_000);
        let (here, there) = (address(1_001), address(1_002));
        let (mut sender, offer) = Rtc::offer(now, here).unwrap();
        let (mut server, answer) = Rtc::answer(now, &offer, there).unwrap();
        sender.accept(&answer).unwrap();
        assert!(sender.accept(&answer).is_err(), "an offer is answered once");
        let (mut encoder, mut payload) = (Encoder::new(OpusConfig::default()).unwrap(), heapless::Vec::new());
        encoder.encode(&[1_000; PERIOD], &mut payload).unwrap();
        let (mut periods, mut is_over) = (0, false);
        for sequence in 0..600 {
            now += PERIOD_TIME;
            sender.send_sound(now, &SoundPacket { sequence, captured_at: now, payload: payload.clone() });
            carry(now, [(&mut sender, here), (&mut server, there)]);
            while let Some(event) = server.poll_event() {
                periods += usize::from(matches!(event, RtcEvent::Sound(_)));
                is_over |= matches!(event, RtcEvent::Closed);
            }
            if sequence == 500 {
                sender.close();
            }
        }
        assert!(periods > 200, "{periods}");
        assert!(is_over, "nobody told the server");
    }

    #[test]
    fn answers_that_are_none_are_refused_in_words() {
        let now = Instant::from_millis(1_000);
        for answer in [
            "",
            "nonsense",
            "v=0\r\nm=audio 0 UDP/TLS/RTP/SAVPF 111\r\nm=video 0 UDP/TLS/RTP/SAVPF 108\r\n",
            "v=0\r\nm=audio 9 x\r\n",
        ] {
            let (mut sender, _) = Rtc::offer(now, address(1_001)).unwrap();
            assert!(sender.accept(answer).unwrap_err().to_string().starts_with("no connection: "), "{answer}");
        }
    }
}
