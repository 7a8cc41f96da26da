//! A door in a call with the kitchen, and whoever means it ill: garbage at its port, strangers' handshakes, a storm of
//! announcements, clients that connect and say nothing, to its control socket and to the port of its numbers, and a station
//! of its own address book that has gone mad. The call is as it was after each, and nothing has grown.

use crate::Outcome;
use crate::call::{Call, PATIENCE, Plan};
use crate::command::wait_for;
use crate::devices::End;
use crate::devices::network::Ip;
use crate::devices::stranger::{self, Attack};
use crate::intercom::{Intercom, make_known};
use crate::judge::photo::Region;
use crate::machine::Order;
use crate::pair::{KITCHEN, Pair};
use crate::station::Holdings;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};
use visavis::identity::{SecretKey, system_random};

/// A flood as a small board on a fast network gets it.
const GARBAGE: (u32, Duration) = (10_000, Duration::from_secs(10));
/// What of it says something: a tenth of it is ten times a call. Where a busy machine sends less, nothing was shown.
const GARBAGE_LEAST: u64 = 1_000 * GARBAGE.1.as_secs();
/// More than ten times what is worked on.
const HANDSHAKES: (u32, Duration) = (500, Duration::from_secs(5));
/// Four records each: more in all than is kept.
const ANNOUNCEMENTS: (u32, Duration) = (1_000, Duration::from_secs(5));
const MADNESS: Duration = Duration::from_secs(8);
const CLIENTS: usize = 1_000;
/// How often an honest scraper asks among them: as if for a minute and more.
const SCRAPES: usize = 5;
/// More clients than are ever served at once.
const KEPT_MAX: u64 = 64;
/// As many as connect at once may be let in in a moment; whoever finds no room now tries again.
const ATTEMPTS_PAUSE: Duration = Duration::from_millis(2);
/// Of a kind of refusal, however many there are: the disk is not for those who are not let in.
const RECORDS_MAX: usize = 2;

pub fn play(_: &Order) -> Outcome<String> {
    let around = Call::prepare(Plan { judged: Region::BESIDE_OVERLAY, ..Plan::default() })?;
    stranger::lay_cable()?;
    let mut pair = Pair::begin_around(around, stranger::METRICS, "")?;
    let mad = pair_with_one_that_goes_mad(&pair.door)?;
    pair.talk()?;
    pair.must_go_on()?;
    let before = pair.door.holdings()?;
    let key = SecretKey::load_or_create(pair.door.state.as_ref(), system_random)?.public();

    let garbage = endured_garbage(&mut pair, before)?;
    let handshakes = endured(&mut pair, before, stranger::knock(key, HANDSHAKES.0, HANDSHAKES.1))?;
    let announcements = endured(&mut pair, before, stranger::announce(ANNOUNCEMENTS.0, ANNOUNCEMENTS.1))?;
    let nonsense = endured(&mut pair, before, stranger::rave(&mad, MADNESS)?)?;
    let (clients, let_in) = half_open_clients(&mut pair, before)?;
    let scraped = half_open_scrapers(&mut pair, before)?;
    pair.must_go_on()?;
    before.wait_as_before(|| pair.door.holdings())?;
    let strangers = pair.door.records()?.iter().filter(|record| record["what"] == "stranger-refused").count();
    assert!(strangers <= RECORDS_MAX, "{strangers} records of strangers");
    assert_eq!(pair.door.said()?.matches("panicked").count(), 0);
    pair.hang_up()?;
    pair.stop()?;
    Ok(format!(
        "the call stood garbage ({garbage}), handshakes ({handshakes}), announcements ({announcements}), nonsense from a \
         paired station ({nonsense}), {clients} silent clients, after which another was let in in {:.1} s, and {CLIENTS} \
         silent scrapers, among which an honest one was answered {SCRAPES} times, in {:.2} s at most",
        let_in.as_secs_f64(),
        scraped.as_secs_f64()
    ))
}

/// A real station is paired with the door and stopped: what it was is in its folder.
fn pair_with_one_that_goes_mad(door: &Intercom) -> Outcome<String> {
    let config = "[station]\nport = 10090\nip = \"6\"\nfind = false\n[camera]\ndevice = \"none\"\n[screen]\ndevice = \"none\"\n\
                  [microphone]\ndevice = \"none\"\n[loudspeaker]\ndevice = \"none\"\n";
    let station = Intercom::start(End::Far, "mad", config)?;
    make_known(door, &station, &format!("[{}]:10087", Ip::V6.address(End::Near)))?;
    let state = station.state.clone();
    station.stop()?;
    Ok(state)
}

/// Waits until the attack is over. Both see each other afterwards as before, and nothing has grown.
fn endured(pair: &mut Pair, before: Holdings, attack: Attack) -> Outcome<String> {
    let sent = attack.finish()?;
    let back = pair.wait_live()?;
    pair.call.wait_watched(KITCHEN)?;
    pair.door.must_run()?;
    pair.door.wait_state("talking")?;
    before.wait_as_before(|| pair.door.holdings())?;
    Ok(format!("{sent} datagrams, live {:.1} s later", back.as_secs_f64()))
}

/// Garbage; how much of it was sent, and how much came as far as the station, by its own numbers.
fn endured_garbage(pair: &mut Pair, before: Holdings) -> Outcome<String> {
    let refused = |text: &str| -> Outcome<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix("visavis_datagrams_refused_total "));
        Ok(line.ok_or_else(|| format!("no count of datagrams in {text}"))?.parse()?)
    };
    let refused_before = refused(&stranger::scrape(PATIENCE)?)?;
    let endured = endured(pair, before, stranger::flood(GARBAGE.0, GARBAGE.1))?;
    let refused = refused(&stranger::scrape(PATIENCE)?)? - refused_before;
    let seconds = GARBAGE.1.as_secs();
    println!("garbage: {endured}; {} a second came as far as the station", refused / seconds);
    if refused < GARBAGE_LEAST {
        return Err(format!("only {refused} datagrams of garbage came as far as the station: no flood").into());
    }
    Ok(format!("{endured}, {} a second refused", refused / seconds))
}

/// So many connect to the port of the numbers from elsewhere and stay; the call goes on, and whoever asks is answered. The
/// longest that it took.
fn half_open_scrapers(pair: &mut Pair, before: Holdings) -> Outcome<Duration> {
    let held = stranger::hang_on(CLIENTS)?;
    let mut longest = Duration::ZERO;
    for _ in 0..SCRAPES {
        let start = Instant::now();
        let answer = stranger::scrape(PATIENCE)?;
        longest = longest.max(start.elapsed());
        assert!(answer.contains("visavis_call_state{state=\"talking\"} 1\n"), "{answer}");
    }
    pair.call.wait_watched(KITCHEN)?;
    must_not_keep(pair, before, held.len())?;
    Ok(longest)
}

/// Fails if clients are kept for ever that say nothing.
fn must_not_keep(pair: &Pair, before: Holdings, clients: usize) -> Outcome {
    let kept = pair.door.holdings()?.descriptors.saturating_sub(before.descriptors);
    if kept > KEPT_MAX { Err(format!("of {clients} clients {kept} were kept").into()) } else { Ok(()) }
}

/// So many connect to the control socket, say nothing and stay. The call goes on; once they are gone others are let in.
fn half_open_clients(pair: &mut Pair, before: Holdings) -> Outcome<(usize, Duration)> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let address = UnixAddr::new(pair.door.socket.as_str())?;
    let connect_one = || -> Outcome<Option<OwnedFd>> {
        let client =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
        match connect(client.as_raw_fd(), &address) {
            Ok(()) => Ok(Some(client)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    };
    let mut clients = Vec::with_capacity(CLIENTS);
    while clients.len() < CLIENTS {
        match connect_one()? {
            Some(client) => clients.push(client),
            None => std::thread::sleep(ATTEMPTS_PAUSE),
        }
    }
    pair.call.wait_watched(KITCHEN)?;
    must_not_keep(pair, before, clients.len())?;
    let connected = clients.len();
    drop(clients);
    let (_, let_in) = wait_for("another client is let in", PATIENCE, || pair.door.status().ok())?;
    Ok((connected, let_in))
}
