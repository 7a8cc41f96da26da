//! Weather: a relay between the two stations that loses, delays and squeezes their datagrams.
//!
//! The kernel's own netem would do, where it is built in; on many machines it is not, and its dice are thrown anew in
//! each run. This relay loses the same share by the same seeded sequence for every program, and costs all of them the
//! same: a hop of some 30 µs.

use crate::Result;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Where the near station finds the relay in place of the far one.
pub const NEAR_FACE: u16 = 10187;
/// Where the far station finds it in place of the near one.
pub const FAR_FACE: u16 = 10188;

/// What happens to a datagram, each way.
#[derive(Clone, Copy)]
pub struct Weather {
    /// Added to all.
    pub delay: Duration,
    /// Up to this much is added to each by the dice, which also lets one overtake another.
    pub jitter: Duration,
    /// This many of a hundred are lost, independently.
    pub loss_percent: u32,
    /// This many of a hundred come [`LATE`] later than the others, which overtake them.
    pub late_percent: u32,
    /// The link carries no more than this, with a queue of half a second before it.
    pub rate_bps: Option<u64>,
}

impl Weather {
    /// None at all.
    pub const NONE: Weather =
        Weather { delay: Duration::ZERO, jitter: Duration::ZERO, loss_percent: 0, late_percent: 0, rate_bps: None };
}

/// How late the late ones are.
const LATE: Duration = Duration::from_millis(10);

/// A running relay; dropping it ends it.
pub struct Relay {
    weather: Arc<Mutex<Weather>>,
    stop: Arc<AtomicBool>,
    ways: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Stands between a station that listens on `near` and one that listens on `far`.
    pub fn start(weather: Weather, near: u16, far: u16) -> Result<Relay> {
        let face =
            |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| format!("relay port {port}: {e}"));
        let (near_face, far_face) = (face(NEAR_FACE)?, face(FAR_FACE)?);
        let weather = Arc::new(Mutex::new(weather));
        let stop = Arc::new(AtomicBool::new(false));
        let way = |from: &UdpSocket, to: &UdpSocket, port: u16, seed: u64| -> Result<JoinHandle<()>> {
            let way = Way { from: from.try_clone()?, to: to.try_clone()?, port, free_at: Instant::now(), dice: seed };
            way.from.set_nonblocking(true)?;
            let (weather, stop) = (Arc::clone(&weather), Arc::clone(&stop));
            Ok(thread::spawn(move || drop(way.run(&weather, &stop))))
        };
        let ways = vec![
            way(&near_face, &far_face, far, 0x2545_f491_4f6c_dd1d)?,
            way(&far_face, &near_face, near, 0x9e37_79b9_7f4a_7c15)?,
        ];
        Ok(Relay { weather, stop, ways })
    }

    /// The weather changes for what arrives from now on.
    pub fn change(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for way in self.ways.drain(..) {
            let _ = way.join();
        }
    }
}

/// One direction.
struct Way {
    from: UdpSocket,
    to: UdpSocket,
    port: u16,
    /// When a link of limited rate has carried all that it has accepted.
    free_at: Instant,
    dice: u64,
}

/// A datagram under way; `order` keeps two of the same moment in their order.
type UnderWay = Reverse<(Instant, u64, Vec<u8>)>;

impl Way {
    fn run(mut self, weather: &Mutex<Weather>, stop: &AtomicBool) -> Result<()> {
        let mut queue: BinaryHeap<UnderWay> = BinaryHeap::new();
        let mut buffer = vec![0; 65_536];
        let mut order = 0;
        while !stop.load(Ordering::Relaxed) {
            let next = queue.peek().map(|Reverse((due, ..))| due.saturating_duration_since(Instant::now()));
            // A tenth of a second at most, so that `stop` is seen.
            let wait = next.unwrap_or(Duration::MAX).min(Duration::from_millis(100));
            ppoll(&mut [PollFd::new(self.from.as_fd(), PollFlags::POLLIN)], Some(TimeSpec::from_duration(wait)), None)?;
            let now_weather = *weather.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(bytes) = self.receive(&mut buffer) {
                if let Some(due) = self.meet(&now_weather, bytes) {
                    order += 1;
                    queue.push(Reverse((due, order, buffer[..bytes].to_vec())));
                }
            }
            let now = Instant::now();
            while queue.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
                let Some(Reverse((_, _, datagram))) = queue.pop() else { break };
                // Nobody listens before a station starts and after it has ended: a network loses that too.
                let _ = self.to.send_to(&datagram, SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)));
            }
        }
        Ok(())
    }

    /// The next waiting datagram's length. An error that ICMP left on the socket belongs to one that was sent.
    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            match self.from.recv(buffer) {
                Ok(bytes) => return Some(bytes),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }

    /// When a datagram leaves the relay; `None` where it is lost.
    fn meet(&mut self, weather: &Weather, bytes: usize) -> Option<Instant> {
        const QUEUE: Duration = Duration::from_millis(500);
        let now = Instant::now();
        if self.roll() % 100 < u64::from(weather.loss_percent) {
            return None;
        }
        let jitter = weather.jitter.mul_f64((self.roll() % 1024) as f64 / 1023.0);
        let late = if self.roll() % 100 < u64::from(weather.late_percent) { LATE } else { Duration::ZERO };
        let mut leaves_at = now;
        if let Some(rate_bps) = weather.rate_bps {
            let begins_at = self.free_at.max(now);
            if begins_at > now + QUEUE {
                return None;
            }
            leaves_at = begins_at + Duration::from_secs_f64(bytes as f64 * 8.0 / rate_bps as f64);
            self.free_at = leaves_at;
        }
        Some(leaves_at + weather.delay + jitter + late)
    }

    /// Marsaglia's xorshift64, high bits.
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice >> 33
    }
}
