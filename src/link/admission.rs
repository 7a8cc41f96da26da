//! How many handshakes are worked on, and for whom.
//!
//! A handshake costs four X25519 multiplications, about 1.5 ms on a Pi Zero 2 W (estimated), and a stranger who knows a
//! station's public key can ask for any number of them. So they are rationed: a few for anybody; beyond that only for
//! those who show a cookie, that is, who really are where they claim to be, each with a ration of its own. Running
//! sessions do not come here at all. Everything is of fixed size.

use super::datagram::{MAC_LEN, Macs};
use super::mac::{CookieJar, Mac};
use super::noise::Instance;
use crate::time::{Duration, Instant};
use core::net::{IpAddr, SocketAddr};

/// Handshakes a second, and at once, that are worked on without a cookie: a house of stations after a power cut.
const CALM: (u32, u32) = (10, 20);
/// The same for each source that showed a cookie: a station dials at most four times a second.
const PER_SOURCE: (u32, u32) = (4, 8);
/// The same for all sources together: 6 % of one core of a Pi Zero 2 W.
const WITH_COOKIE: (u32, u32) = (40, 40);
/// Cookie replies: some 30 µs each on that board, so 6 % of a core at most.
const COOKIES: (u32, u32) = (2_000, 200);
/// Sources that are remembered; the one that was quiet longest makes room.
const SOURCES_MAX: usize = 64;
/// Instances whose latest time stamp is remembered: those of a full address book, and those before their last restart.
const INSTANCES_MAX: usize = 128;

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    per_second: u32,
    at_once: u32,
    /// In units of a billionth.
    level: u64,
    seen_at: Instant,
}

impl Bucket {
    fn full(now: Instant, (per_second, at_once): (u32, u32)) -> Bucket {
        Bucket { per_second, at_once, level: u64::from(at_once) * 1_000_000_000, seen_at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        const ONE: u64 = 1_000_000_000;
        // A minute fills any of them; more would only overflow.
        let idle = now.since(self.seen_at).min(Duration::from_secs(60)).as_nanos() as u64;
        self.level = (self.level + idle * u64::from(self.per_second)).min(u64::from(self.at_once) * ONE);
        self.seen_at = now;
        let some = self.level >= ONE;
        if some {
            self.level -= ONE;
        }
        some
    }
}

/// What becomes of an initiation whose mac1 is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is worked on.
    Admit,
    /// It is answered with this cookie.
    Ask(Mac),
    /// It is dropped.
    Refuse,
}

/// Rations handshakes, and remembers which were seen.
pub struct Admission {
    calm: Bucket,
    with_cookie: Bucket,
    cookies: Bucket,
    jar: CookieJar,
    sources: Vec<(u128, Bucket)>,
    /// Each instance's latest time stamp, and when it came.
    stamps: Vec<(Instance, u64, Instant)>,
}

impl Admission {
    /// Everything full, with cookie secrets out of `random`.
    pub fn new(now: Instant, random: &mut dyn FnMut(&mut [u8])) -> Admission {
        Admission {
            calm: Bucket::full(now, CALM),
            with_cookie: Bucket::full(now, WITH_COOKIE),
            cookies: Bucket::full(now, COOKIES),
            jar: CookieJar::new(now, random),
            sources: Vec::with_capacity(SOURCES_MAX),
            stamps: Vec::with_capacity(INSTANCES_MAX),
        }
    }

    /// What becomes of an initiation from this address.
    pub fn judge(
        &mut self,
        now: Instant,
        from: SocketAddr,
        macs: Macs<'_>,
        mac2: &[u8; MAC_LEN],
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Verdict {
        if self.calm.take(now) {
            return Verdict::Admit;
        }
        if self.jar.accepts(now, from, (macs.covered, macs.mac1, mac2), random) {
            let admitted = self.source(now, from).take(now) && self.with_cookie.take(now);
            return if admitted { Verdict::Admit } else { Verdict::Refuse };
        }
        if !self.cookies.take(now) {
            return Verdict::Refuse;
        }
        Verdict::Ask(self.jar.cookie(now, from, random))
    }

    fn source(&mut self, now: Instant, from: SocketAddr) -> &mut Bucket {
        // Canonical: an IPv4 source seen by an IPv6 socket is still one source.
        let who = match from.ip().to_canonical() {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            // Whoever has one address of a /64 has them all (RFC 4291 §2.5.1).
            IpAddr::V6(ip) => u128::from(ip) & !u128::from(u64::MAX),
        };
        let known = self.sources.iter().position(|(source, _)| *source == who);
        let place = known.unwrap_or_else(|| {
            if self.sources.len() < SOURCES_MAX {
                self.sources.push((who, Bucket::full(now, PER_SOURCE)));
                return self.sources.len() - 1;
            }
            let quietest = (0..SOURCES_MAX).min_by_key(|i| self.sources[*i].1.seen_at).unwrap_or_default();
            self.sources[quietest] = (who, Bucket::full(now, PER_SOURCE));
            quietest
        });
        &mut self.sources[place].1
    }

    /// Whether a trusted peer's initiation is new: its time stamp is later than any other of that instance. To be asked
    /// only for initiations that proved to be a trusted peer's, since it remembers.
    pub fn is_new(&mut self, now: Instant, instance: &Instance, stamp: u64) -> bool {
        if let Some(known) = self.stamps.iter_mut().find(|(known, ..)| known == instance) {
            let new = stamp > known.1;
            if new {
                (known.1, known.2) = (stamp, now);
            }
            return new;
        }
        if self.stamps.len() == INSTANCES_MAX {
            let oldest = (0..INSTANCES_MAX).min_by_key(|i| self.stamps[*i].2).unwrap_or_default();
            self.stamps.swap_remove(oldest);
        }
        self.stamps.push((*instance, stamp, now));
        true
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a flood gets no more than its ration, and one who can receive at its address still gets in.
    //! Method: simulated time, forged and true sources.

    use super::*;
    use crate::link::mac::mac2;

    const COVERED: &[u8] = b"an initiation";
    const MAC1: [u8; MAC_LEN] = [1; MAC_LEN];

    fn random() -> impl FnMut(&mut [u8]) {
        let mut next = 0u8;
        move |out| {
            out.fill_with(|| {
                next = next.wrapping_add(41);
                next
            })
        }
    }

    #[test]
    fn under_a_flood_of_forged_sources_a_true_one_gets_in_by_its_cookie() {
        let mut random = random();
        let mut admission = Admission::new(Instant::ZERO, &mut random);
        let macs = Macs { covered: COVERED, mac1: &MAC1 };
        let forged = |n: u32| SocketAddr::new(IpAddr::V4(n.into()), 1);
        let mut admitted = 0;
        for n in 0..10_000 {
            let now = Instant::from_micros(u64::from(n) * 100);
            admitted += u32::from(admission.judge(now, forged(n), macs, &[0; MAC_LEN], &mut random) == Verdict::Admit);
        }
        assert!((20..=31).contains(&admitted), "{admitted} in one second");
        let true_one = "[2001:db8::1]:10087".parse().unwrap();
        let now = Instant::from_millis(1_001);
        // The ration for anybody may have a place just now; the flood takes that first.
        let mut answers = (0..2).map(|_| admission.judge(now, true_one, macs, &[0; MAC_LEN], &mut random));
        let Some(Verdict::Ask(cookie)) = answers.find(|answer| *answer != Verdict::Admit) else { panic!("no cookie") };
        let shown = mac2(&cookie, COVERED, &MAC1);
        assert_eq!(admission.judge(now, true_one, macs, &shown, &mut random), Verdict::Admit);
        // Its own ration, for all of its /64 together, is bounded too. The cookie is of one address.
        let again = (0..100).filter(|_| admission.judge(now, true_one, macs, &shown, &mut random) == Verdict::Admit);
        assert!(again.count() < 8);
        assert!(admission.sources.len() <= SOURCES_MAX);
    }

    #[test]
    fn the_tables_stay_as_small_as_they_are() {
        let mut random = random();
        let mut admission = Admission::new(Instant::ZERO, &mut random);
        for n in 0..10_000u32 {
            let now = Instant::from_millis(u64::from(n));
            admission.source(now, SocketAddr::new(IpAddr::V4(n.into()), 1));
            let mut instance = [0; 16];
            instance[..4].copy_from_slice(&n.to_le_bytes());
            assert!(admission.is_new(now, &instance, 5));
        }
        assert_eq!((admission.sources.capacity(), admission.stamps.capacity()), (SOURCES_MAX, INSTANCES_MAX));
    }

    #[test]
    fn an_initiation_is_new_once() {
        let mut admission = Admission::new(Instant::ZERO, &mut random());
        assert!(admission.is_new(Instant::ZERO, &[1; 16], 10));
        assert!(!admission.is_new(Instant::ZERO, &[1; 16], 10));
        assert!(!admission.is_new(Instant::ZERO, &[1; 16], 9));
        assert!(admission.is_new(Instant::ZERO, &[1; 16], 11));
        assert!(admission.is_new(Instant::ZERO, &[2; 16], 1), "another instance counts by itself");
    }
}
