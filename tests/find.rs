//! Goal: two stations on one network find each other by name, notice each other's changes, and tell equal names apart.
//! Method: real multicast between finders in a network namespace that the test makes itself, with one cable
//! whose other end leads nowhere. Where namespaces are not permitted, the tests say so and pass.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};
use visavis::find::{Announcement, Change, Config, FOUND_MAX, Finder, Found};
use visavis::identity::{PublicKey, SecretKey};

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "VISAVIS_TEST_NAMESPACE";
/// After so long something that is waited for does not come: probes take a second, and a look at the addresses one more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the test `name` again, inside a network namespace with one end `house0` of a cable; `true` inside of it.
fn inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let permitted = Command::new("unshare").args(["--map-root-user", "--net", "true"]).output();
    if !permitted.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED {name}: this system permits no network namespaces (unshare --map-root-user --net)");
        return false;
    }
    let setup = "ip link set lo up && ip link add house0 type veth peer name end0 && \
                 ip address add 192.0.2.1/24 dev house0 && ip link set house0 up && ip link set end0 up && exec \"$@\"";
    let program = std::env::current_exe().expect("a test has a program");
    let status = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", setup, "sh"])
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare has just run");
    assert!(status.success(), "{name} failed inside its namespace");
    false
}

fn key(n: u8) -> PublicKey {
    SecretKey::from_bytes([n; 32]).public()
}

fn announcement(n: u8, name: &str) -> Announcement {
    Announcement { name: name.to_owned(), port: 10_000 + u16::from(n), key: key(n), pairing: false }
}

fn start(announcement: Announcement) -> Finder {
    let config =
        Config { interfaces: vec!["house0".into()], address_check: Duration::from_secs(1), ..Config::default() };
    Finder::start(config, announcement).expect("threads and descriptors are there")
}

/// Waits on the finder's fd until something comes for which `wanted` is true.
fn wait(finder: &mut Finder, what: &str, wanted: impl Fn(&Change) -> bool) -> Change {
    let until = Instant::now() + PATIENCE;
    loop {
        while let Some(change) = finder.poll() {
            if wanted(&change) {
                return change;
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "{what} did not come");
        let timeout = PollTimeout::try_from(left).expect("seconds");
        poll(&mut [PollFd::new(finder.as_fd(), PollFlags::POLLIN)], timeout).expect("poll(2)");
    }
}

fn wait_found(finder: &mut Finder, n: u8, wanted: impl Fn(&Found) -> bool) -> Found {
    let is_it = |found: &Found| found.key_hint.is_some_and(|hint| hint.is_of(&key(n)));
    let what = format!("the announcement of station {n}");
    match wait(finder, &what, |change| matches!(change, Change::Found(found) if is_it(found) && wanted(found))) {
        Change::Found(found) | Change::Lost(found) => found,
    }
}

fn has(found: &Found, address: &str) -> bool {
    found.addresses.contains(&address.parse().expect("an address"))
}

#[test]
fn two_stations_find_each_other_and_notice_what_changes() {
    if !inside("two_stations_find_each_other_and_notice_what_changes") {
        return;
    }
    let (mut door, mut kitchen) = (start(announcement(1, "door")), start(announcement(2, "kitchen. upstairs")));
    let found = wait_found(&mut door, 2, |_| true);
    assert_eq!((found.name.as_str(), found.pairing), ("kitchen. upstairs", false));
    assert!(has(&found, "192.0.2.1:10002"), "{found:?}");
    assert!(!found.key_hint.unwrap().is_of(&key(1)));
    assert_eq!(wait_found(&mut kitchen, 1, |_| true).name, "door");

    // Its link-local address comes with the interface that leads there: it can be sent to as it is.
    let local = wait_found_later(&mut door, found, |found| found.addresses.iter().any(is_link_local));
    let address = local.addresses.iter().find(|address| is_link_local(address)).unwrap();
    let socket = std::net::UdpSocket::bind("[::]:0").unwrap();
    socket.send_to(b"x", address).unwrap_or_else(|e| panic!("{address}: {e}"));

    // It begins to pair, and ends it.
    for pairing in [true, false] {
        kitchen.announce(Announcement { pairing, ..announcement(2, "kitchen. upstairs") });
        wait_found(&mut door, 2, |found| found.pairing == pairing);
    }

    // It gets another address.
    run("ip address add 198.51.100.9/24 dev house0");
    wait_found(&mut door, 2, |found| has(found, "198.51.100.9:10002"));
    run("ip address del 192.0.2.1/24 dev house0");
    wait_found(&mut door, 2, |found| !has(found, "192.0.2.1:10002"));

    // It leaves, and says so.
    drop(kitchen);
    let is_kitchen = |change: &Change| matches!(change, Change::Lost(found) if found.name == "kitchen. upstairs");
    wait(&mut door, "the kitchen's farewell", is_kitchen);
}

/// The same station, once `wanted` is true of it, which it may be already.
fn wait_found_later(finder: &mut Finder, found: Found, wanted: impl Fn(&Found) -> bool) -> Found {
    if wanted(&found) { found } else { wait_found(finder, 2, wanted) }
}

fn is_link_local(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() != 0)
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status();
    assert!(status.is_ok_and(|status| status.success()), "{command}");
}

#[test]
fn stations_of_one_name_are_told_apart_by_a_number() {
    if !inside("stations_of_one_name_are_told_apart_by_a_number") {
        return;
    }
    let mut watcher = start(announcement(9, "watcher"));
    let _first = start(announcement(1, "kitchen"));
    assert_eq!(wait_found(&mut watcher, 1, |_| true).name, "kitchen");
    let _second = start(announcement(2, "kitchen"));
    let second = wait_found(&mut watcher, 2, |found| found.name != "kitchen");
    assert_eq!(second.name, "kitchen (2)");
}

#[test]
fn a_storm_of_names_is_survived_in_bounded_memory_and_the_known_station_stays() {
    if !inside("a_storm_of_names_is_survived_in_bounded_memory_and_the_known_station_stays") {
        return;
    }
    let (mut door, _kitchen) = (start(announcement(1, "door")), start(announcement(2, "kitchen")));
    door.set_book(&[key(2)]);
    wait_found(&mut door, 2, |_| true);
    let storm = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
    storm.set_multicast_loop_v4(true).unwrap();
    let before = resident_kb();
    let (mut there, mut lost_kitchen) = (std::collections::BTreeSet::new(), false);
    for n in 0..20_000u32 {
        storm.send_to(&answer(&format!("storm {n}")), "224.0.0.251:5353").unwrap();
        while let Some(change) = door.poll() {
            match change {
                Change::Found(found) => there.insert(found.instance),
                Change::Lost(found) => {
                    lost_kitchen |= found.name == "kitchen";
                    there.remove(&found.instance)
                }
            };
            assert!(there.len() <= FOUND_MAX);
        }
    }
    let grown = resident_kb().saturating_sub(before);
    eprintln!(
        "{} known of 20,000 names, {grown} kB more, the kitchen {}",
        there.len(),
        if lost_kitchen { "lost" } else { "kept" }
    );
    assert!(grown < 64 * 1024, "{grown} kB more");
}

/// Resident memory of this process.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// An answer of multicast DNS (RFC 1035 §4.1) that announces a station of this name at 192.0.2.99: PTR, SRV, TXT and A.
fn answer(name: &str) -> Vec<u8> {
    let labels = |parts: &[&str]| {
        let label = |part: &&str| [&[part.len() as u8], part.as_bytes()].concat();
        [parts.iter().flat_map(label).collect::<Vec<u8>>(), vec![0]].concat()
    };
    let service = labels(&["_visavis", "_tcp", "local"]);
    let instance = labels(&[name, "_visavis", "_tcp", "local"]);
    let host = labels(&[&name.replace(' ', "-"), "local"]);
    let ip = "192.0.2.99".parse::<IpAddr>().map(|ip| match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => unreachable!("it is written above"),
    });
    let record = |owner: &[u8], kind: u16, class: u16, data: &[u8]| {
        let head = [&kind.to_be_bytes()[..], &class.to_be_bytes(), &120u32.to_be_bytes()].concat();
        [owner, &head, &(data.len() as u16).to_be_bytes(), data].concat()
    };
    let srv = [&[0, 0, 0, 0, 0x27, 0x67][..], &host].concat();
    let header = [0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    [
        &header[..],
        &record(&service, 12, 1, &instance),
        &record(&instance, 33, 0x8001, &srv),
        &record(&instance, 16, 0x8001, b"\x03v=1"),
        &record(&host, 1, 0x8001, &ip.unwrap()),
    ]
    .concat()
}
