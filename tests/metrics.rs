//! Goal: what a running station serves to Prometheus is its format to the letter, and true; and the port holds whatever hangs
//! at it. Method: two real `visavis run` on loopback, paired and in a call, are scraped as Prometheus does it; a strict
//! parser, which knows nothing of the writer, reads the whole text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use visavis::panel::client::Client;
use visavis::panel::protocol::{Answer, Request};

/// Anything that comes at all comes well within this, on a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that are held open by somebody who does not ask.
const HELD: usize = 200;

/// `visavis run`; killed when dropped.
struct Station {
    name: &'static str,
    child: Child,
    port: u16,
    socket: PathBuf,
    metrics: SocketAddr,
}

impl Station {
    fn start(folder: &Path, name: &'static str) -> Station {
        // Free a moment ago; what the kernel gives out goes up, so that nobody else has them yet.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let metrics = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let [config, socket, state] = ["toml", "sock", "state"].map(|kind| folder.join(format!("{name}.{kind}")));
        let text = format!(
            "[station]\nname = \"{name}\"\nport = {port}\nip = \"4\"\nfind = false\n\
             [camera]\ndevice = \"pattern\"\nsize = \"160x120\"\nrate = \"15 fps\"\nlevel = 0\n\
             [screen]\ndevice = \"none\"\n[microphone]\ndevice = \"tone\"\n[loudspeaker]\ndevice = \"none\"\n\
             [keys]\nKEY_ESC = \"nothing\"\nKEY_Q = \"nothing\"\n[metrics]\nlisten = \"{metrics}\"\n"
        );
        fs::write(&config, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_visavis"))
            .args(["run", "--config"])
            .arg(&config)
            .arg("--socket")
            .arg(&socket)
            .arg("--state")
            .arg(&state)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut station = Station { name, child, port, socket, metrics };
        until("the control socket answers", || {
            assert_eq!(station.child.try_wait().unwrap(), None, "{name} has ended");
            Client::connect(std::slice::from_ref(&station.socket)).ok()
        });
        station
    }

    fn ask(&self, request: &Request) -> Answer {
        Client::connect(std::slice::from_ref(&self.socket)).unwrap().ask(request).unwrap()
    }

    fn act(&self, action: &str) {
        assert_eq!(self.ask(&Request::Act(action.into())), Answer::Done, "{}: {action}", self.name);
    }

    fn until_state(&self, state: &str) {
        until(state, || match self.ask(&Request::Status) {
            Answer::Status(status) => (status.state == state).then_some(()),
            other => panic!("{other:?}"),
        });
    }

    /// What is answered to a request.
    fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn scrape(&self) -> Scrape {
        let answer = self.http("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let fields: Vec<_> = head.split("\r\n").collect();
        assert_eq!(fields[0], "HTTP/1.1 200 OK");
        for field in [
            "Content-Type: text/plain; version=0.0.4; charset=utf-8",
            &format!("Content-Length: {}", text.len()),
            "Connection: close",
        ] {
            assert!(fields.contains(&field), "{field} in {head}");
        }
        Scrape::parse(text)
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "not {what}");
        std::thread::yield_now();
    }
}

type Labels = BTreeMap<String, String>;

/// All samples of a text that is right in every respect.
struct Scrape {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Scrape {
    fn parse(text: &str) -> Scrape {
        let mut scrape = Scrape { kinds: BTreeMap::new(), samples: BTreeMap::new() };
        assert!(text.ends_with('\n'));
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let help = line.strip_prefix("# HELP ").unwrap_or_else(|| panic!("a family begins with HELP: {line}"));
            let (family, words) = help.split_once(' ').expect("a name and words");
            assert!(!words.is_empty() && is_name(family), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {family} "))).expect("TYPE");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{family}: {kind}");
            assert_eq!(kind == "counter", family.ends_with("_total"), "{family}: {kind}");
            assert!(family.starts_with("visavis_") || family.starts_with("process_"), "{family}");
            let is_base = ["_ms", "_us", "_ns", "_kb", "_kib", "_percent", "_ppm", "_kbps", "_bps"];
            assert!(!is_base.iter().any(|unit| family.contains(unit)), "{family}: not a base unit");
            assert!(scrape.kinds.insert(family.into(), kind.into()).is_none(), "{family} begins twice");
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
                let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(suffixes.contains(&suffix), "{line} is not of {family}");
                assert!(kind == "gauge" || value >= 0.0, "{line}");
                assert!(scrape.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        scrape.check_histograms();
        scrape
    }

    fn check_histograms(&self) {
        for (family, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for ((_, labels), count) in self.samples.iter().filter(|((name, _), _)| *name == format!("{family}_bucket"))
            {
                let mut others = labels.clone();
                let bound = others.remove("le").expect("a bucket has a bound").replace("+Inf", "inf");
                buckets.entry(others).or_default().push((bound.parse().unwrap(), *count));
            }
            assert!(!buckets.is_empty(), "{family} is empty");
            for (labels, mut counts) in buckets {
                counts.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(
                    counts.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
                    "{family}: {counts:?}"
                );
                let of = |suffix: &str| self.samples[&(format!("{family}{suffix}"), labels.clone())];
                assert_eq!(counts.last().copied(), Some((f64::INFINITY, of("_count"))), "{family} {labels:?}");
                assert!(of("_sum") >= 0.0);
            }
        }
    }

    /// The sample with these labels, written as `name{label="text"}` without quotes: `name label=text`.
    fn get(&self, series: &str) -> f64 {
        let mut words = series.split(' ');
        let name = words.next().unwrap().to_owned();
        let labels = words.map(|word| word.split_once('=').unwrap()).map(|(name, text)| (name.into(), text.into()));
        let key = (name, labels.collect());
        *self.samples.get(&key).unwrap_or_else(|| panic!("no {series}"))
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A line `name{label="text",…} value`.
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
    let Some((name, rest)) = series.split_once('{') else {
        assert!(is_name(series), "{line}");
        return (series.into(), Labels::new(), value);
    };
    assert!(is_name(name), "{line}");
    let mut labels = Labels::new();
    let mut rest = rest.strip_suffix('}').expect("a closing brace");
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"").expect("a quoted text");
        assert!(is_name(label), "{line}");
        let (mut text, mut letters) = (String::new(), quoted.char_indices());
        let end = loop {
            match letters.next().expect("a closing quote") {
                (end, '"') => break end,
                (_, '\\') => text.push(match letters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, letter @ ('"' | '\\'))) => letter,
                    other => panic!("{line}: {other:?} is no escape"),
                }),
                (_, letter) => text.push(letter),
            }
        };
        assert!(labels.insert(label.into(), text).is_none(), "{line}");
        rest = &quoted[end + 1..];
        if let Some(next) = rest.strip_prefix(',') {
            assert!(!next.is_empty(), "{line}");
            rest = next;
        } else {
            assert!(rest.is_empty(), "{line}");
        }
    }
    (name.into(), labels, value)
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("visavis-metrics-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn pair(shows: &Station, types: &Station) {
    let Answer::Pairing { words } = shows.ask(&Request::Pair { code: None, address: None }) else { panic!("no code") };
    let address = Some(format!("127.0.0.1:{}", shows.port));
    let answer = types.ask(&Request::Pair { code: Some(words), address });
    assert!(matches!(answer, Answer::Pairing { .. }), "{answer:?}");
}

#[test]
fn a_station_in_a_call_is_scraped_and_what_it_says_is_true() {
    let folder = folder();
    let door = Station::start(&folder, "door");
    let kitchen = Station::start(&folder, "kitchen");

    let alone = door.scrape();
    assert_eq!(alone.get("visavis_call_state state=idle"), 1.0);
    assert!(alone.get("process_threads") >= 3.0 && alone.get("process_resident_memory_bytes") > 1e6);
    assert!(!alone.samples.keys().any(|(name, _)| name == "visavis_peer_up"), "nobody is known yet");
    pair(&door, &kitchen);
    until("the kitchen is up", || {
        let scrape = door.scrape();
        let key = ("visavis_peer_up".to_owned(), Labels::from([("peer".into(), "kitchen".into())]));
        scrape.samples.get(&key).is_some_and(|up| *up == 1.0).then_some(())
    });

    until("the kitchen can be rung", || (door.ask(&Request::Act("ring kitchen".into())) == Answer::Done).then_some(()));
    kitchen.until_state("ringing");
    kitchen.act("answer");
    door.until_state("talking");
    let seen = until("frames of all stages", || {
        let scrape = kitchen.scrape();
        let stages = ["captured", "encoded", "sent", "received", "decoded"];
        let flows = |stage: &str| scrape.get(&format!("visavis_frames_total stage={stage}")) >= 10.0;
        (stages.into_iter().all(flows) && scrape.get("visavis_sound_packets_total what=received") > 0.0)
            .then_some(scrape)
    });
    assert_eq!(seen.get("visavis_call_state state=talking"), 1.0);
    let states = seen.samples.iter().filter(|((name, _), _)| name == "visavis_call_state").map(|(_, value)| value);
    assert_eq!(states.sum::<f64>(), 1.0, "it is in one state");
    for device in ["camera", "microphone"] {
        assert_eq!(seen.get(&format!("visavis_device_up device={device}")), 1.0);
    }
    for repair in ["made_anew", "port_reset"] {
        assert_eq!(
            seen.get(&format!("visavis_repairs_total device=camera repair={repair}")),
            0.0,
            "it moved all the time"
        );
    }
    assert_eq!(seen.get("visavis_conversations_total"), 1.0);
    assert!(seen.get("visavis_stage_seconds_count stage=encode") >= 10.0);
    assert!(seen.get("visavis_picture_arrival_seconds_count") >= 10.0);
    assert!(seen.get("visavis_picture_bytes_total direction=in") > 0.0);
    until("a round trip is measured", || {
        let key = ("visavis_peer_round_trip_seconds".to_owned(), Labels::from([("peer".into(), "door".into())]));
        kitchen.scrape().samples.get(&key).is_some_and(|time| *time > 0.0).then_some(())
    });

    door.act("hang-up");
    door.until_state("idle");
    let after = until("the call is counted", || {
        let scrape = door.scrape();
        (scrape.get("visavis_call_state state=idle") == 1.0).then_some(scrape)
    });
    assert_eq!(after.get("visavis_calls_ended_total outcome=hung_up_here"), 1.0);
    // What is counted never falls, and no series goes away but with its station.
    let earlier = alone.samples.iter().filter(|((name, _), _)| name.ends_with("_total"));
    for ((name, labels), before) in earlier {
        let now = after.samples.get(&(name.clone(), labels.clone()));
        assert!(now.is_some_and(|now| now >= before), "{name} {labels:?} fell from {before} to {now:?}");
    }
    let peers: BTreeSet<_> = after.samples.keys().filter_map(|(_, labels)| labels.get("peer")).collect();
    assert_eq!(peers.into_iter().collect::<Vec<_>>(), ["kitchen"], "names are those of the book");

    whatever_hangs_at_the_port_it_answers(&door);
    fs::remove_dir_all(folder).unwrap();
}

fn whatever_hangs_at_the_port_it_answers(station: &Station) {
    assert!(station.http("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(station.http("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(station.http("\u{0}\u{1}garbage\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let before = station.scrape().get("process_open_fds");
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..HELD {
        let mut stream = TcpStream::connect(station.metrics).unwrap();
        // It may have been dropped for a newer one before this.
        let _ = stream.write_all(b"GET /metr");
        held.push(stream);
    }
    let during = station.scrape().get("process_open_fds");
    assert!(during <= before + 5.0, "{HELD} that do not ask take {} descriptors", during - before);
}
