//! Hardware that may do a stage's work, and may fail at any time: tried first, given up at its first fault, tried again
//! later, and not for ever.
//!
//! Whoever has a [`Hardware`] always has software beside it. A fault costs the far side nothing but a key frame: the
//! same picture goes through software at once. That would be a flicker if it came again and again, so what has failed is
//! left alone for [`PAUSES`], each longer than the one before; what fails after the last is not tried any more.

use crate::codec::{CodecError, EncoderConfig, VideoDecoder, VideoEncoder};
use crate::device::m2m::{CodecSpec, Coded, M2mDecoder, M2mEncoder};
use crate::device::{DecodedFrame, Fault, FaultKind, FrameBuffer};
use crate::media::{EncodedFrame, Picture, VideoFormat};
use crate::ring::Claim;
use crate::sys::wake::Stop;
use crate::time::{Duration, Instant};
use core::fmt::Display;

/// From a fault to the next attempt. A board short of memory may have some again after seconds, a driver that was
/// wedged after minutes; what still fails then is broken until somebody looks at it.
const PAUSES: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)];
/// What has worked for so long was no mistake: its next fault counts as the first.
const PROVEN_AFTER: Duration = Duration::from_secs(600);

/// A kind of hardware that is opened for a request.
pub trait Opens: Sized {
    /// What it is opened for.
    type Request;

    /// What it does, for the log: `encoder`.
    const WHAT: &'static str;

    /// Opens it. The wait for a frame ends when `stop` says so.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn open(spec: &CodecSpec, request: &Self::Request, stop: Option<Stop>) -> Result<Self, Fault>;

    /// Whether it can go on with another request than the one that it was opened for.
    fn fits(&self, request: &Self::Request) -> bool;
}

/// What an encoder is opened for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Size, rate and bitrate.
    pub config: EncoderConfig,
    /// The camera whose frames are to be read where they lie.
    pub shared: Option<VideoFormat>,
}

/// An encoder that may read a camera's frames where they lie.
pub trait SharedEncoder: VideoEncoder {
    /// Encodes a frame of the camera that it was opened for.
    ///
    /// # Errors
    /// What [`VideoEncoder::encode`] says, and unsupported where the frame cannot be shared.
    fn encode_shared(&mut self, frame: &FrameBuffer, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError>;
}

impl SharedEncoder for M2mEncoder {
    fn encode_shared(&mut self, frame: &FrameBuffer, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
        self.encode_shared(frame, key, out)
    }
}

/// A decoder that may leave pictures where it put them.
pub trait LendingDecoder: VideoDecoder {
    /// Decodes a frame: the picture where the hardware put it, or, where it lends none, a copy in `out`.
    ///
    /// # Errors
    /// As for [`VideoDecoder::decode`].
    fn decode_in_place(
        &mut self,
        frame: &EncodedFrame,
        out: &mut Picture,
    ) -> Result<Option<Claim<DecodedFrame>>, CodecError>;
}

impl LendingDecoder for M2mDecoder {
    fn decode_in_place(
        &mut self,
        frame: &EncodedFrame,
        out: &mut Picture,
    ) -> Result<Option<Claim<DecodedFrame>>, CodecError> {
        self.decode_in_place(frame, out)
    }
}

impl Opens for M2mEncoder {
    type Request = Wanted;
    const WHAT: &'static str = "encoder";

    fn open(spec: &CodecSpec, wanted: &Wanted, stop: Option<Stop>) -> Result<M2mEncoder, Fault> {
        match &wanted.shared {
            Some(format) => M2mEncoder::open_shared(spec, Coded::H264, &wanted.config, format, stop),
            None => M2mEncoder::open(spec, Coded::H264, &wanted.config, stop),
        }
    }

    fn fits(&self, wanted: &Wanted) -> bool {
        self.fits(&wanted.config, wanted.shared.as_ref())
    }
}

impl Opens for M2mDecoder {
    type Request = ();
    const WHAT: &'static str = "decoder";

    fn open(spec: &CodecSpec, (): &(), stop: Option<Stop>) -> Result<M2mDecoder, Fault> {
        M2mDecoder::open(spec, Coded::H264, None, stop)
    }

    fn fits(&self, (): &()) -> bool {
        true
    }
}

/// The hardware of one stage, open or not.
#[derive(Debug)]
pub struct Hardware<H> {
    spec: CodecSpec,
    stop: Option<Stop>,
    open: Option<H>,
    opened_at: Instant,
    failures: usize,
    /// It is not tried before; `None` for never any more.
    retry_at: Option<Instant>,
}

impl<H: Opens> Hardware<H> {
    /// Not open yet; with the choice of software it never will be.
    pub fn new(spec: CodecSpec, stop: Option<Stop>) -> Hardware<H> {
        let retry_at = (spec != CodecSpec::Software).then_some(Instant::ZERO);
        Hardware { spec, stop, open: None, opened_at: Instant::ZERO, failures: 0, retry_at }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The hardware, opened for `request` if need be; `None` where there is none, or it is not to be tried now.
    pub fn ready(&mut self, request: &H::Request, now: Instant) -> Option<&mut H> {
        if let Err(fault) = self.prepare(request, now)? {
            // Most machines have none, and nobody asked for it by name.
            let is_news = self.spec != CodecSpec::Auto || fault.kind != FaultKind::Absent;
            self.give_up(&fault, is_news, now);
        }
        self.open.as_mut()
    }

    /// The same for a request that is a mere wish: if it is not met, another one may be at once.
    pub fn ready_to_share(&mut self, request: &H::Request, now: Instant) -> Option<&mut H> {
        if let Err(fault) = self.prepare(request, now)? {
            tracing::debug!("hardware {}: {fault}; frames are copied", H::WHAT);
        }
        self.open.as_mut()
    }

    /// Opens it for `request`, unless it is; `None` where it is not to be tried now.
    fn prepare(&mut self, request: &H::Request, now: Instant) -> Option<Result<(), Fault>> {
        if self.open.as_ref().is_some_and(|open| !open.fits(request)) {
            // Before the other one is opened: a driver's memory may not be enough for two.
            self.open = None;
        }
        if self.open.is_some() {
            return Some(Ok(()));
        }
        if self.retry_at.is_none_or(|at| now < at) {
            return None;
        }
        let opened = H::open(&self.spec, request, self.stop.clone());
        Some(opened.map(|open| {
            tracing::info!("hardware {}: in use ({})", H::WHAT, self.spec);
            self.opened_at = now;
            self.open = Some(open);
        }))
    }

    /// It is closed, and may be opened at once for something else.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// It has failed: it is closed, and left alone for a while.
    pub fn fail(&mut self, why: &impl Display, now: Instant) {
        if now.since(self.opened_at) >= PROVEN_AFTER {
            self.failures = 0;
        }
        self.open = None;
        self.give_up(why, true, now);
    }

    fn give_up(&mut self, why: &impl Display, is_news: bool, now: Instant) {
        let pause = PAUSES.get(self.failures);
        self.failures += 1;
        self.retry_at = pause.map(|pause| now + *pause);
        let next = pause.map_or("not tried again".into(), |pause| format!("tried again in {} s", pause.as_secs()));
        if is_news {
            tracing::warn!("hardware {}: {why}; openh264 goes on, {next}", H::WHAT);
        } else {
            tracing::debug!("hardware {}: {why}; openh264 goes on, {next}", H::WHAT);
        }
    }
}

#[cfg(test)]
pub mod fake {
    //! Hardware that fails as its node's name says: `/10/0/3` gives 10 frames before its first fault, then is not there
    //! at the next attempt, then gives 3, and is not there any more.
    use super::*;
    use crate::codec::{Decoder, Encoder};
    use crate::media::{Size, VideoCodec};
    use crate::ring::Pool;
    use std::sync::Mutex;

    /// Pictures that a decoder lends at once.
    pub const LENT: usize = 2;

    /// How often each node was opened: a node is one test's own.
    static OPENED: Mutex<Vec<(CodecSpec, usize)>> = Mutex::new(Vec::new());

    /// How often it was tried so far.
    pub fn attempts(spec: &CodecSpec) -> usize {
        let opened = OPENED.lock().unwrap();
        opened.iter().find(|(known, _)| known == spec).map_or(0, |(_, count)| *count)
    }

    /// The frames of the next attempt; 0 where it is not there.
    fn frames(spec: &CodecSpec) -> usize {
        let text = spec.to_string();
        let mut script = text.split('/').skip(1).map(|word| word.parse().unwrap());
        let mut opened = OPENED.lock().unwrap();
        let at = opened.iter().position(|(known, _)| known == spec).unwrap_or_else(|| {
            opened.push((spec.clone(), 0));
            opened.len() - 1
        });
        opened[at].1 += 1;
        script.nth(opened[at].1 - 1).unwrap_or(0)
    }

    fn opened<C>(codec: C, spec: &CodecSpec) -> Result<Fake<C>, Fault> {
        match frames(spec) {
            0 => Err(Fault::plain(FaultKind::Absent, spec.to_string(), "open it", "there is none")),
            left => {
                let lent = Pool::new((0..LENT).map(|_| DecodedFrame::new(Size::new(2, 2))));
                Ok(Fake { codec, left, wanted: None, lent })
            }
        }
    }

    /// A real codec that fails after some frames.
    #[derive(Debug)]
    pub struct Fake<C> {
        codec: C,
        left: usize,
        wanted: Option<Wanted>,
        lent: Pool<DecodedFrame>,
    }

    impl<C> Fake<C> {
        fn use_up(&mut self) -> Result<(), CodecError> {
            self.left = self.left.checked_sub(1).ok_or(CodecError::Library("the driver is gone".into()))?;
            Ok(())
        }
    }

    impl Opens for Fake<Encoder> {
        type Request = Wanted;
        const WHAT: &'static str = "encoder";

        fn open(spec: &CodecSpec, wanted: &Wanted, _: Option<Stop>) -> Result<Fake<Encoder>, Fault> {
            let made = opened(Encoder::new(VideoCodec::H264, wanted.config), spec)?;
            Ok(Fake { wanted: Some(*wanted), ..made })
        }

        fn fits(&self, wanted: &Wanted) -> bool {
            let same = |made: Wanted| (made.config.size, made.shared) == (wanted.config.size, wanted.shared);
            self.wanted.is_some_and(same)
        }
    }

    impl SharedEncoder for Fake<Encoder> {
        fn encode_shared(&mut self, _: &FrameBuffer, _: bool, _: &mut EncodedFrame) -> Result<(), CodecError> {
            Err(CodecError::Unsupported("nothing is shared with a fake".into()))
        }
    }

    impl VideoEncoder for Fake<Encoder> {
        fn encode(&mut self, picture: &Picture, key: bool, out: &mut EncodedFrame) -> Result<(), CodecError> {
            self.use_up()?;
            self.codec.encode(picture, key, out)
        }

        fn set_bitrate(&mut self, bits_per_second: u32) {
            self.codec.set_bitrate(bits_per_second);
        }
    }

    impl Opens for Fake<Decoder> {
        type Request = ();
        const WHAT: &'static str = "decoder";

        fn open(spec: &CodecSpec, (): &(), _: Option<Stop>) -> Result<Fake<Decoder>, Fault> {
            opened(Decoder::new(), spec)
        }

        fn fits(&self, (): &()) -> bool {
            true
        }
    }

    impl VideoDecoder for Fake<Decoder> {
        fn decode(&mut self, frame: &EncodedFrame, out: &mut Picture) -> Result<(), CodecError> {
            self.use_up()?;
            self.codec.decode(frame, out)
        }
    }

    impl LendingDecoder for Fake<Decoder> {
        fn decode_in_place(
            &mut self,
            frame: &EncodedFrame,
            out: &mut Picture,
        ) -> Result<Option<Claim<DecodedFrame>>, CodecError> {
            let mut claim = self.lent.claim();
            let picture = claim.as_mut().and_then(|claim| claim.own_mut()).unwrap_or(out);
            self.decode(frame, picture).map(|()| claim)
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: hardware that fails is tried again later and later, and at last not any more. Method: a fake that fails as
    //! it is told; time is an argument.
    use super::fake::{Fake, attempts};
    use super::*;
    use crate::codec::Decoder;

    fn hardware(script: &str) -> Hardware<Fake<Decoder>> {
        Hardware::new(CodecSpec::Node(script.into()), None)
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_not_there_is_looked_for_four_times_in_a_quarter_of_an_hour_and_then_no_more() {
        let mut hardware = hardware("/0/00/000");
        let tried: Vec<u64> = (1..10_000)
            .filter(|second| {
                let before = attempts(&hardware.spec);
                assert!(hardware.ready(&(), at(*second)).is_none());
                attempts(&hardware.spec) > before
            })
            .collect();
        assert_eq!(tried, [1, 11, 71, 671]);
    }

    #[test]
    fn what_failed_is_opened_again_after_a_pause() {
        let mut hardware = hardware("/5/5/5");
        assert!(hardware.ready(&(), at(1)).is_some() && hardware.is_open());
        hardware.fail(&"gone", at(2));
        assert!(!hardware.is_open() && hardware.ready(&(), at(11)).is_none());
        assert!(hardware.ready(&(), at(12)).is_some());
        hardware.fail(&"gone again", at(13));
        assert!(hardware.ready(&(), at(72)).is_none() && hardware.ready(&(), at(73)).is_some());
    }

    #[test]
    fn a_fault_after_long_good_work_counts_as_the_first() {
        let mut hardware = hardware("/6/6/6/6/6/6");
        let mut now = 1;
        for _ in 0..5 {
            assert!(hardware.ready(&(), at(now)).is_some());
            hardware.fail(&"once in a while", at(now + 601));
            now += 601 + 10;
        }
        assert_eq!(attempts(&hardware.spec), 5);
    }

    #[test]
    fn a_wish_that_is_not_met_costs_no_pause() {
        let mut hardware = hardware("/0/7");
        assert!(hardware.ready_to_share(&(), at(1)).is_none());
        assert!(hardware.ready(&(), at(1)).is_some());
        hardware.close();
        assert!(!hardware.is_open());
    }

    #[test]
    fn the_choice_of_software_opens_nothing() {
        let mut hardware: Hardware<Fake<Decoder>> = Hardware::new(CodecSpec::Software, None);
        assert!(hardware.ready(&(), at(1)).is_none());
        assert_eq!(attempts(&CodecSpec::Software), 0);
    }
}
