//! The simulation: a network of two directions, and two stations with clocks, cameras and microphones of their own.

use crate::link::MAX_PAYLOAD;
use crate::link::flow::{Flow, FlowConfig, FlowEvent};
use crate::media::{EncodedFrame, Size, SoundPacket, Thinning, VideoCodec};
use crate::time::{Duration, Instant, earliest};
use std::collections::{BTreeMap, VecDeque};

/// SplitMix64 (Steele, Lea, Flood 2014): enough for dice.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// What one direction does to datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub delay: Duration,
    /// Added to the delay of each datagram, even up to this: so it reorders.
    pub jitter: Duration,
    pub loss: f64,
    /// Mean length of a run of losses, in datagrams; 1 for independent ones.
    pub burst: f64,
    pub duplicated: f64,
    /// Share that takes `delay` twice, and arrives behind what left later.
    pub strayed: f64,
    /// Bits a second, and the queue before it in bytes; what does not fit is lost.
    pub rate: Option<(u64, u64)>,
    /// Nothing passes.
    pub cut: bool,
    pub in_burst: bool,
    pub free_at: Instant,
}

impl Path {
    pub(crate) fn new(delay: Duration) -> Path {
        Path {
            delay,
            jitter: Duration::ZERO,
            loss: 0.0,
            burst: 1.0,
            duplicated: 0.0,
            strayed: 0.0,
            rate: None,
            cut: false,
            in_burst: false,
            free_at: Instant::ZERO,
        }
    }

    /// When the copies of a datagram arrive.
    fn carry(&mut self, now: Instant, bytes: usize, dice: &mut Dice) -> Vec<Instant> {
        // Gilbert's two states, with the given mean loss and mean run.
        let stay = 1.0 - 1.0 / self.burst;
        let enter = self.loss * (1.0 - stay) / (1.0 - self.loss).max(1e-9);
        self.in_burst = dice.share()
            < if self.in_burst {
                stay.max(if self.burst <= 1.0 { self.loss } else { 0.0 })
            } else if self.burst <= 1.0 {
                self.loss
            } else {
                enter
            };
        if self.cut || self.in_burst {
            return Vec::new();
        }
        let mut leaves = now;
        if let Some((rate, queue)) = self.rate {
            let waiting = self.free_at.since(now).as_nanos() as u64 / 8 * rate / 1_000_000_000;
            if waiting > queue {
                return Vec::new();
            }
            self.free_at = self.free_at.max(now) + Duration::from_nanos((bytes as u64 + 60) * 8_000_000_000 / rate);
            leaves = self.free_at;
        }
        if self.strayed > 0.0 && dice.share() < self.strayed {
            leaves += self.delay;
        }
        let copies = if dice.share() < self.duplicated { 2 } else { 1 };
        let jitter = self.jitter.as_nanos() as u64;
        (0..copies).map(|_| leaves + self.delay + Duration::from_nanos(dice.below(jitter + 1))).collect()
    }
}

/// Somebody else's download through the same queue: TCP's slow start, additive increase and multiplicative decrease
/// (RFC 5681), without its finer points.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    /// Packets of 1,500 bytes: the window, where slow start ends, and those under way.
    window: f64,
    threshold: f64,
    under_way: u64,
    /// Acknowledgements on their way, and losses that show when those after them arrive.
    echoes: BTreeMap<(Instant, u64), bool>,
    sent: u64,
    /// A window is halved once for all that was lost of it.
    forgiven_until: u64,
    pub arrived_bytes: u64,
}

impl Download {
    pub(crate) fn new() -> Download {
        Download {
            window: 10.0,
            threshold: f64::MAX,
            under_way: 0,
            echoes: BTreeMap::new(),
            sent: 0,
            forgiven_until: 0,
            arrived_bytes: 0,
        }
    }

    /// What is due happens; what the window lets leave goes onto the path.
    fn turn(&mut self, now: Instant, path: &mut Path, dice: &mut Dice) {
        while let Some(echo) = self.echoes.first_entry().filter(|echo| echo.key().0 <= now) {
            let ((_, number), arrived) = echo.remove_entry();
            self.under_way -= 1;
            if arrived {
                self.arrived_bytes += 1_500;
                self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
            } else if number >= self.forgiven_until {
                self.window = (self.window / 2.0).max(2.0);
                (self.threshold, self.forgiven_until) = (self.window, self.sent);
            }
        }
        while (self.under_way as f64) < self.window {
            let back = path.delay;
            let echo = match path.carry(now, 1_440, dice).first() {
                Some(&at) => (at + back, true),
                None => (path.free_at.max(now) + back * 2, false),
            };
            self.echoes.insert((echo.0, self.sent), echo.1);
            (self.sent, self.under_way) = (self.sent + 1, self.under_way + 1);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.echoes.keys().next().map(|echo| echo.0)
    }
}

/// Both directions.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub paths: [Path; 2],
}

impl Network {
    /// The same both ways.
    pub(crate) fn even(path: Path) -> Network {
        Network { paths: [path.clone(), path] }
    }
}

/// A frame that came out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// The encoder's number.
    pub number: u64,
    pub at: Instant,
    /// True age at hand-out.
    pub age: Duration,
    /// What the flow said of its capture, minus the truth, in nanoseconds.
    pub capture_error_ns: i64,
}

pub(crate) struct Station {
    pub flow: Flow,
    /// This station's clock at the world's zero, and how much faster than the world's it runs.
    pub clock_zero: Instant,
    pub drift_ppm: f64,
    /// Frames: 0 for no camera.
    pub frame_bytes: usize,
    pub codec: VideoCodec,
    /// Of the camera's frames, those that go to the encoder.
    thinning: Thinning,
    pub talks: bool,
    /// Does not run: what arrives waits in its socket.
    pub frozen: bool,
    pub shown: Vec<Shown>,
    pub sounds: Vec<(u32, i64)>,
    pub events: Vec<FlowEvent>,
    socket: VecDeque<Vec<u8>>,
    socket_bytes: usize,
    key_wanted: bool,
    encoded: u64,
    last_shown: Option<u64>,
    periods: u32,
    /// When each frame was captured, and its usual size.
    captured: BTreeMap<u64, (Instant, usize)>,
    wakes_at: Option<Instant>,
    pub datagrams: u64,
    pub bytes: u64,
}

/// What the socket of a station that does not run holds: Linux's default, charged 2,304 bytes for each datagram.
const SOCKET_BYTES: usize = 212_992;

impl Station {
    fn new(clock_zero: Instant, config: FlowConfig) -> Station {
        Station {
            flow: Flow::new(clock_zero, config),
            clock_zero,
            drift_ppm: 0.0,
            frame_bytes: 8_333,
            codec: VideoCodec::H264,
            thinning: Thinning::default(),
            talks: true,
            frozen: false,
            shown: Vec::new(),
            sounds: Vec::new(),
            events: Vec::new(),
            socket: VecDeque::new(),
            socket_bytes: 0,
            key_wanted: true,
            encoded: 0,
            last_shown: None,
            periods: 0,
            captured: BTreeMap::new(),
            wakes_at: None,
            datagrams: 0,
            bytes: 0,
        }
    }

    /// The bytes that the next of the camera's frames may have; `None` where it is left out.
    fn budget(&mut self) -> Option<usize> {
        let bits_per_second = u64::from(self.flow.picture_bps());
        let wanted = self.frame_bytes as u64 * 8 * 30;
        // JPEG images cannot be made smaller here, only rarer.
        let rate_millihertz = match (self.codec, bits_per_second) {
            (VideoCodec::Mjpeg, _) => (30_000 * bits_per_second / wanted).min(30_000) as u32,
            (_, ..120_000) => 5_000,
            (_, ..240_000) => 10_000,
            (_, ..400_000) => 15_000,
            _ => 30_000,
        };
        let rate_millihertz = rate_millihertz.max(2_000);
        if !self.thinning.admits(30_000, rate_millihertz) {
            return None;
        }
        let fitting = bits_per_second * 1_000 / 8 / u64::from(rate_millihertz);
        Some(if self.codec == VideoCodec::Mjpeg { self.frame_bytes } else { self.frame_bytes.min(fitting as usize) })
    }

    /// The world's time on this station's clock.
    pub(crate) fn local(&self, world: Instant) -> Instant {
        let nanos = world.as_nanos() as f64 * (1.0 + self.drift_ppm * 1e-6);
        Instant::from_nanos(self.clock_zero.as_nanos() + nanos as u64)
    }

    /// A time of this station's clock, in the world's; never before it is due.
    fn world(&self, local: Instant) -> Instant {
        let nanos = local.since(self.clock_zero).as_nanos() as f64 / (1.0 + self.drift_ppm * 1e-6);
        Instant::from_nanos(nanos.ceil() as u64 + 1)
    }
}

/// The frame with this number, as the encoder makes it: `before` is what it depends on.
pub(crate) fn make_frame(number: u64, before: Option<u64>, bytes: usize, codec: VideoCodec) -> EncodedFrame {
    let mut dice = Dice(number);
    let bytes = (bytes / 2 + dice.below(bytes as u64 + 1) as usize).max(16)
        * if before.is_none() && codec != VideoCodec::Mjpeg { 4 } else { 1 };
    let mut frame = EncodedFrame {
        number,
        codec,
        key: before.is_none(),
        size: Some(Size::new(640, 480)),
        ..EncodedFrame::default()
    };
    frame.data.extend_from_slice(&number.to_le_bytes());
    frame.data.extend_from_slice(&before.unwrap_or(u64::MAX).to_le_bytes());
    while frame.data.len() < bytes {
        frame.data.extend_from_slice(&dice.next().to_le_bytes());
    }
    if codec != VideoCodec::Mjpeg {
        let mut end = 0;
        while end < frame.data.len() {
            end = (end + 200 + dice.below(900) as usize).min(frame.data.len());
            frame.piece_ends.push(end as u32);
        }
    }
    frame
}

pub(crate) struct World {
    pub now: Instant,
    pub stations: [Station; 2],
    pub network: Network,
    /// Shares the way from station 0 to station 1.
    pub download: Option<Download>,
    dice: Dice,
    /// By arrival; the second number keeps equal times apart.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    next_frame: Instant,
    next_sound: Instant,
}

/// A camera's and a sound card's clock.
const FRAME_TIME: Duration = Duration::from_nanos(33_333_333);
const SOUND_TIME: Duration = Duration::from_millis(10);
/// From the sensor to the link: reading out and encoding.
const ENCODING: Duration = Duration::from_millis(5);

impl World {
    pub(crate) fn new(seed: u64, network: Network) -> World {
        let mut dice = Dice(seed);
        let mut zero = || Instant::from_nanos(1_000_000_000 + dice.below(1 << 50));
        let stations = [zero(), zero()].map(|zero| Station::new(zero, FlowConfig::default()));
        World {
            now: Instant::ZERO,
            stations,
            network,
            download: None,
            dice,
            flying: BTreeMap::new(),
            sent: 0,
            // Pings have the first 100 ms, as the handshake's caller has.
            next_frame: Instant::from_millis(100),
            next_sound: Instant::from_millis(100),
        }
    }

    /// Runs for `time`.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for station in 0..2 {
                self.turn(station);
            }
            let next = [Some(self.next_frame), Some(self.next_sound), self.flying.keys().next().map(|key| key.0)]
                .into_iter()
                .chain(self.stations.iter().map(|s| s.wakes_at))
                .chain([self.download.as_ref().and_then(Download::due)])
                .fold(None, earliest);
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            self.happen();
        }
        self.now = end;
    }

    /// All that is due by now, but for the stations' own turns.
    fn happen(&mut self) {
        if let Some(download) = &mut self.download {
            download.turn(self.now, &mut self.network.paths[0], &mut self.dice);
        }
        while let Some(entry) = self.flying.first_entry().filter(|e| e.key().0 <= self.now) {
            let (to, datagram) = entry.remove();
            let station = &mut self.stations[to];
            let charge = 2_304;
            if station.socket_bytes + charge <= SOCKET_BYTES {
                station.socket_bytes += charge;
                station.socket.push_back(datagram);
            }
        }
        if self.next_frame <= self.now {
            self.next_frame += FRAME_TIME;
            (0..2).for_each(|station| self.film(station));
        }
        if self.next_sound <= self.now {
            self.next_sound += SOUND_TIME;
            (0..2).for_each(|station| self.speak(station));
        }
    }

    fn film(&mut self, station: usize) {
        let world = self.now;
        let s = &mut self.stations[station];
        if s.frame_bytes == 0 || s.frozen {
            return;
        }
        let Some(frame_bytes) = s.budget() else { return };
        let key = s.key_wanted || s.codec == VideoCodec::Mjpeg;
        s.key_wanted = false;
        let before = s.encoded.checked_sub(1).filter(|_| !key);
        let mut frame = make_frame(s.encoded, before, frame_bytes, s.codec);
        let captured = world - ENCODING;
        (frame.captured_at, frame.ready_at) = (s.local(captured), s.local(world));
        s.captured.insert(s.encoded, (captured, frame_bytes));
        s.encoded += 1;
        let now = s.local(world);
        s.flow.send_frame(now, &frame);
    }

    fn speak(&mut self, station: usize) {
        let world = self.now;
        let s = &mut self.stations[station];
        if !s.talks || s.frozen {
            return;
        }
        let payload = heapless::Vec::from_slice(&[s.periods as u8; 80]).unwrap();
        let now = s.local(world);
        s.flow.send_sound(now, &SoundPacket { sequence: s.periods, captured_at: now, payload });
        s.periods += 1;
    }

    /// A station's net loop goes round once.
    fn turn(&mut self, station: usize) {
        let world = self.now;
        let (before, after) = self.stations.split_at_mut(1);
        let (s, far) = if station == 0 { (&mut before[0], &after[0]) } else { (&mut after[0], &before[0]) };
        if s.frozen {
            s.wakes_at = None;
            return;
        }
        let now = s.local(world);
        s.flow.handle_timeout(now);
        s.socket_bytes = 0;
        while let Some(datagram) = s.socket.pop_front() {
            s.flow.handle_payload(now, &datagram);
        }
        let mut frame = EncodedFrame::default();
        while s.flow.take_frame(now, &mut frame) {
            let shown = check_frame(&frame, s.last_shown, far, world, s);
            s.last_shown = Some(shown.number);
            s.shown.push(shown);
        }
        while let Some(sound) = s.flow.take_sound() {
            assert_eq!(sound.payload[..], [sound.sequence as u8; 80]);
            s.sounds.push((sound.sequence, now.signed_since(sound.captured_at)));
        }
        while let Some(event) = s.flow.poll_event() {
            s.key_wanted |= event == FlowEvent::KeyFrameWanted;
            s.events.push(event);
        }
        let mut out = [0; MAX_PAYLOAD];
        while let Some(length) = s.flow.poll_payload(now, &mut out) {
            s.datagrams += 1;
            s.bytes += length as u64 + 60;
            for at in self.network.paths[station].carry(world, length + 60, &mut self.dice) {
                self.flying.insert((at, self.sent), (1 - station, out[..length].to_vec()));
                self.sent += 1;
            }
        }
        let timeout = s.flow.poll_timeout();
        assert!(timeout.is_none_or(|due| due > now), "a timeout in the past would spin the net loop: {:?}", s.flow);
        s.wakes_at = timeout.map(|due| s.world(due));
    }

    /// Frames a second that station 1 showed since `from`, and the median and 95th percentile of their age in ms.
    pub(crate) fn measure(&self, from: Instant) -> (f64, f64, f64) {
        let shown: Vec<_> = self.stations[1].shown.iter().filter(|s| s.at >= from).collect();
        let mut ages: Vec<f64> = shown.iter().map(|s| s.age.as_secs_f64() * 1e3).collect();
        ages.sort_by(f64::total_cmp);
        let at = |share: f64| ages.get(((ages.len() as f64 * share) as usize).min(ages.len().saturating_sub(1)));
        let fps = shown.len() as f64 / self.now.since(from).as_secs_f64();
        (fps, at(0.5).copied().unwrap_or(f64::NAN), at(0.95).copied().unwrap_or(f64::NAN))
    }
}

/// What came out must be what went in, after what it depends on.
fn check_frame(frame: &EncodedFrame, last: Option<u64>, far: &Station, world: Instant, here: &Station) -> Shown {
    let word = |at: usize| u64::from_le_bytes(frame.data[at..at + 8].try_into().unwrap());
    let (number, before) = (word(0), Some(word(8)).filter(|&n| n != u64::MAX));
    let (captured, frame_bytes) = far.captured[&number];
    let sent = make_frame(number, before, frame_bytes, far.codec);
    assert!(frame.data == sent.data, "frame {number} came out with other bytes");
    assert_eq!(frame.piece_ends, sent.piece_ends);
    assert_eq!((frame.codec, frame.key, frame.size), (sent.codec, sent.key, sent.size));
    assert!(last.is_none_or(|last| number > last), "frame {number} after {last:?}");
    assert!(before.is_none() || before == last, "frame {number} depends on {before:?}, but {last:?} came before it");
    let capture_error_ns = frame.captured_at.signed_since(here.local(captured));
    Shown { number, at: world, age: world.since(captured), capture_error_ns }
}
