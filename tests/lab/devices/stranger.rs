//! Whoever means a station ill: a namespace of its own with a cable to the near end, and what is sent from there.

use super::End;
use crate::Outcome;
use crate::command::run;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn6, sendmmsg};
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use visavis::identity::{AddressBook, PublicKey, SecretKey, system_random};
use visavis::link::flow::{Flow, FlowConfig};
use visavis::link::{Config, Endpoint, LinkId, MAX_DATAGRAM, MAX_PAYLOAD, Payloads, Trust};
use visavis::media::{EncodedFrame, Size, SoundPacket, VideoCodec};
use visavis::sys::clock;
use visavis::time::Instant as Monotonic;
use visavis::wire::{
    CallId, CallKind, CallMessage, Control, Invite, PROTOCOL_VERSION, PROTOCOL_VERSION_OF_CALLS, bounded,
};

const NAMESPACE: &str = "stranger";
/// The near end's address on this cable, and the stranger's.
const NEAR: Ipv6Addr = Ipv6Addr::new(0xfd89, 0, 0, 0, 0, 0, 0, 1);
const STRANGER: Ipv6Addr = Ipv6Addr::new(0xfd89, 0, 0, 0, 0, 0, 0, 2);
/// The station's port.
const PORT: u16 = 10_087;
/// Where multicast DNS is heard (RFC 6762 §3).
const MDNS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const MDNS_PORT: u16 = 5353;

/// Where the station serves its numbers, for its configuration; to strangers too.
pub const METRICS: &str = "[metrics]\nlisten = \"[::]:9187\"\n";
const METRICS_PORT: u16 = 9187;

/// Lays the cable.
pub fn lay_cable() -> Outcome {
    let near = End::Near.name();
    run(&format!("ip netns add {NAMESPACE}"))?;
    run(&format!("ip link add wire netns {NAMESPACE} type veth peer name stranger netns {near}"))?;
    for (namespace, device, address) in [(NAMESPACE, "wire", STRANGER), (near, "stranger", NEAR)] {
        run(&format!("ip -n {namespace} address add {address}/64 dev {device} nodad"))?;
        run(&format!("ip -n {namespace} link set {device} up"))?;
    }
    Ok(())
}

/// Something that is sent for a while; [`Attack::finish`] waits for its end.
#[derive(Debug)]
pub struct Attack(JoinHandle<Result<u64, String>>);

impl Attack {
    /// Has `work` run in the stranger's namespace; it gives how many datagrams it sent.
    fn start(work: impl FnOnce() -> Outcome<u64> + Send + 'static) -> Attack {
        Attack(inside(work))
    }

    /// How many datagrams it was.
    pub fn finish(self) -> Outcome<u64> {
        Ok(self.0.join().map_err(|_| "the attacker panicked")??)
    }
}

/// Has `work` run in the stranger's namespace, by a thread of its own.
fn inside<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> JoinHandle<Result<T, String>> {
    std::thread::spawn(move || {
        let inside = || -> Outcome<T> {
            setns(File::open(format!("/var/run/netns/{NAMESPACE}"))?, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        inside().map_err(|error| error.to_string())
    })
}

/// So many connections to the port of the numbers that stay open, and ask for nothing, or for half of something.
pub fn hang_on(count: usize) -> Outcome<Vec<TcpStream>> {
    let hang_on = move || -> Outcome<Vec<TcpStream>> {
        let mut held = Vec::with_capacity(count);
        for number in 0..count {
            let mut stream = TcpStream::connect((NEAR, METRICS_PORT))?;
            if number % 2 == 0 {
                // It may have been dropped for a newer one before this.
                let _ = stream.write_all(b"GET /metr");
            }
            held.push(stream);
        }
        Ok(held)
    };
    Ok(inside(hang_on).join().map_err(|_| "who hangs on panicked")??)
}

/// The station's numbers, as a scraper in the stranger's place asks for them.
pub fn scrape(patience: Duration) -> Outcome<String> {
    let scrape = move || -> Outcome<String> {
        let mut stream = TcpStream::connect((NEAR, METRICS_PORT))?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: door\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    Ok(inside(scrape).join().map_err(|_| "the scraper panicked")??)
}

/// Numbers that differ, the same in each run: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.next() as u8);
    }
}

/// Datagrams in one system call, so that the attacker's calls do not cost the one core more than the station's do.
const BATCH: usize = 32;

/// Sends what `next` makes, so many times a second, for `time`; gives how many went out.
fn pour(
    to: SocketAddrV6,
    from_port: u16,
    per_second: u32,
    time: Duration,
    mut next: impl FnMut(&mut [u8; MAX_DATAGRAM]) -> usize,
) -> Outcome<u64> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, from_port))?;
    let to = [Some(SockaddrIn6::from(to)); BATCH];
    let mut datagrams = vec![([0; MAX_DATAGRAM], 0); BATCH];
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < time {
        // On a machine that is too slow it is as many as it can.
        let due = (start.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        let count = due.saturating_sub(sent).min(BATCH as u64) as usize;
        if count == 0 {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        for (datagram, length) in &mut datagrams[..count] {
            *length = next(datagram);
        }
        let slices: Vec<_> =
            datagrams[..count].iter().map(|(datagram, length)| [IoSlice::new(&datagram[..*length])]).collect();
        let mut headers = MultiHeaders::preallocate(count, None);
        sent += sendmmsg(socket.as_raw_fd(), &mut headers, &slices, to, [], MsgFlags::empty())?.count() as u64;
    }
    Ok(sent)
}

/// Garbage at the station's port. Half of it begins as the protocol's own datagrams do.
pub fn flood(per_second: u32, time: Duration) -> Attack {
    let mut dice = Dice(1);
    Attack::start(move || {
        pour(SocketAddrV6::new(NEAR, PORT, 0, 0), 0, per_second, time, |datagram| {
            let length = 1 + dice.below(MAX_DATAGRAM);
            // A part of it is new each time: the attacker's own time is the machine's, too.
            let at = dice.below(length);
            let end = length.min(at + 32);
            dice.fill(&mut datagram[at..end]);
            datagram[0] = if dice.below(2) == 0 { 0x11 + dice.below(7) as u8 } else { dice.next() as u8 };
            length
        })
    })
}

/// Handshakes of stations that know the key of this one, and which it does not know: each from another.
pub fn knock(station: PublicKey, per_second: u32, time: Duration) -> Attack {
    Attack::start(move || {
        let to = SocketAddrV6::new(NEAR, PORT, 0, 0);
        pour(to, 0, per_second, time, |datagram| {
            let now = clock::now();
            let config = Config {
                secret: SecretKey::generate(system_random),
                accept: Vec::new(),
                random: Box::new(system_random),
            };
            let mut endpoint = Endpoint::new(now, config, |now, _| Flow::new(now, FlowConfig::default()));
            endpoint.dial(now, &[Trust::Book(station)], &[to.into()]);
            endpoint.handle_timeout(now);
            endpoint.poll_transmit(now, datagram).map_or(1, |transmit| transmit.len)
        })
    })
}

/// Announcements of ever new stations by multicast DNS, and between them what is none.
pub fn announce(per_second: u32, time: Duration) -> Attack {
    let mut dice = Dice(3);
    Attack::start(move || {
        let scope = nix::net::if_::if_nametoindex("wire")?;
        pour(SocketAddrV6::new(MDNS, MDNS_PORT, 0, scope), MDNS_PORT, per_second, time, |datagram| {
            if dice.below(4) == 0 {
                let length = 12 + dice.below(500);
                dice.fill(&mut datagram[..length]);
                return length;
            }
            let message = announcement(dice.next());
            datagram[..message.len()].copy_from_slice(&message);
            message.len()
        })
    })
}

/// A response with the four records of a station (RFC 6763 §4 to §6) whose name has the number in it.
fn announcement(number: u64) -> Vec<u8> {
    fn name(labels: &[&str]) -> Vec<u8> {
        let label = |label: &&str| [&[label.len() as u8], label.as_bytes()].concat();
        [labels.iter().flat_map(label).collect(), vec![0]].concat()
    }
    fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        const CLASS_IN: u16 = 1;
        const LIFE_S: u32 = 4_500;
        let length = data.len() as u16;
        [name, &kind.to_be_bytes(), &CLASS_IN.to_be_bytes(), &LIFE_S.to_be_bytes(), &length.to_be_bytes(), data]
            .concat()
    }
    let (station, host) = (format!("s{number:x}"), format!("h{number:x}"));
    let service = name(&["_visavis", "_tcp", "local"]);
    let (instance, host) = (name(&[&station, "_visavis", "_tcp", "local"]), name(&[&host, "local"]));
    let server = [&[0; 4], PORT.to_be_bytes().as_slice(), &host].concat();
    // No identifier, a response with authority, four answers.
    let head = [[0, 0], [0x84, 0], [0, 0], [0, 4], [0, 0], [0, 0]].concat();
    let (pointer, server) = (record(&service, 12, &instance), record(&instance, 33, &server));
    let (text, address) = (record(&instance, 16, b"\x03v=1"), record(&host, 28, &STRANGER.octets()));
    [head, pointer, server, text, address].concat()
}

/// A station of the address book that has gone mad: it sends, sealed as it should be, what is bent, and what nobody asked
/// for. It is what the files in `state` say, which a real station was paired with.
pub fn rave(state: &str, time: Duration) -> Outcome<Attack> {
    let state = std::path::PathBuf::from(state);
    let secret = SecretKey::load_or_create(&state, system_random)?;
    let station = AddressBook::load(&state)?.entries().first().ok_or("it is paired with nobody")?.key;
    Ok(Attack::start(move || {
        let now = clock::now();
        let config = Config { secret, accept: Vec::new(), random: Box::new(system_random) };
        let mut endpoint = Endpoint::new(now, config, |now, _| Madness::new(now));
        let to = SocketAddrV6::new(NEAR, PORT, 0, 0);
        let link = endpoint.dial(now, &[Trust::Book(station)], &[to.into()]).ok_or("no link")?;
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        let start = Instant::now();
        while start.elapsed() < time {
            turn(&mut endpoint, &socket)?;
        }
        let sent = endpoint.payloads(link).ok_or("the station did not let it in")?.sent;
        say_goodbye(endpoint, link, &socket)?;
        Ok(sent)
    }))
}

fn turn(endpoint: &mut Endpoint<Madness>, socket: &UdpSocket) -> Outcome {
    let mut buffer = [0; MAX_DATAGRAM];
    if let Ok((length, from)) = socket.recv_from(&mut buffer) {
        endpoint.handle_datagram(clock::now(), from, &buffer[..length]);
    }
    let now = clock::now();
    endpoint.handle_timeout(now);
    let mut out = vec![0; 16 * MAX_DATAGRAM];
    while let Some(transmit) = endpoint.poll_transmit(now, &mut out) {
        for datagram in out[..transmit.len].chunks(transmit.segment_len) {
            socket.send_to(datagram, transmit.to)?;
        }
    }
    while endpoint.poll_event().is_some() {}
    Ok(())
}

fn say_goodbye(mut endpoint: Endpoint<Madness>, link: LinkId, socket: &UdpSocket) -> Outcome {
    endpoint.close(clock::now(), link, visavis::link::CloseReason::Other(200));
    turn(&mut endpoint, socket)
}

/// What speaks inside its session: a good flow, whose words are bent on their way or make no sense as they are.
struct Madness {
    flow: Flow,
    dice: Dice,
    frames: u64,
    next_at: Monotonic,
    sent: u64,
}

/// From one piece of nonsense to the next: with what the flow makes of it some 1,000 payloads a second.
const EVERY: visavis::time::Duration = visavis::time::Duration::from_millis(2);

impl Madness {
    fn new(now: Monotonic) -> Madness {
        let mut flow = Flow::new(now, FlowConfig::default());
        // With this it is taken for a station that knows calls.
        let hello = Control::Hello {
            version: PROTOCOL_VERSION.max(PROTOCOL_VERSION_OF_CALLS),
            station: bounded("mad"),
            software: bounded("nonsense"),
        };
        // The channel is new and empty.
        let _ = flow.send_control(&hello);
        Madness { flow, dice: Dice(4), frames: 0, next_at: now, sent: 0 }
    }

    fn say_something(&mut self, now: Monotonic) {
        let call = CallId(self.dice.next() % 4);
        let nonce = self.dice.next();
        let message = match self.dice.below(8) {
            0 => CallMessage::Invite(Invite {
                call,
                kind: CallKind::from(self.dice.next() as u8 % 4),
                group: bounded("nobody"),
                early_media: true,
            }),
            1 => CallMessage::Accept { call },
            2 => CallMessage::Ringing { call },
            3 => CallMessage::End { call, reason: (self.dice.next() as u8).into(), by: bounded("\u{7}\u{202e}mad") },
            4 => CallMessage::ReleaseRequest { nonce, call: Some(call), valid_ms: u16::MAX },
            5 => CallMessage::ReleaseConfirm { challenge: nonce },
            6 => CallMessage::Marks { call, held: true, muted: false },
            _ => return self.show_something(now),
        };
        // A full channel is nonsense enough.
        let _ = self.flow.send_control(&Control::Call(message));
    }

    /// Pictures and sound that nobody asked for, and that no decoder takes.
    fn show_something(&mut self, now: Monotonic) {
        let mut data = vec![0; self.dice.below(5_000)];
        self.dice.fill(&mut data);
        let frame = EncodedFrame {
            codec: [VideoCodec::H264, VideoCodec::Mjpeg, VideoCodec::Deflate][self.dice.below(3)],
            key: self.dice.below(2) == 0,
            number: self.frames,
            captured_at: now,
            size: Some(Size::new(self.dice.next() as u32 & 0xffff, 7)),
            data,
            ..EncodedFrame::default()
        };
        self.frames += 1;
        self.flow.send_frame(now, &frame);
        let mut payload = heapless::Vec::new();
        let _ = payload.resize_default(40);
        self.dice.fill(&mut payload);
        self.flow.send_sound(now, &SoundPacket { sequence: self.dice.next() as u32, captured_at: now, payload });
    }
}

impl Payloads for Madness {
    fn handle_payload(&mut self, now: Monotonic, payload: &[u8]) {
        self.flow.handle_payload(now, payload);
    }

    fn poll_payload(&mut self, now: Monotonic, out: &mut [u8]) -> Option<usize> {
        let is_due = now >= self.next_at;
        if is_due {
            self.next_at = now + EVERY;
            self.say_something(now);
        }
        let spoken = self.flow.poll_payload(now, out);
        let length = match spoken {
            // Some is right, so that the station goes along with the rest.
            Some(length) if self.dice.below(2) == 0 => length,
            Some(length) => {
                let at = self.dice.below(length);
                let end = length.min(at + 1 + self.dice.below(8));
                self.dice.fill(&mut out[at..end]);
                length
            }
            None if is_due => {
                let length = self.dice.below(MAX_PAYLOAD + 1);
                self.dice.fill(&mut out[..length]);
                length
            }
            None => return None,
        };
        self.sent += 1;
        Some(length)
    }

    fn handle_timeout(&mut self, now: Monotonic) {
        self.flow.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Monotonic> {
        Some(self.flow.poll_timeout().map_or(self.next_at, |at| at.min(self.next_at)))
    }
}
