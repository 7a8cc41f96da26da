//! Goal: a house of stations does what people expect of an intercom, from pairing to the journal. Method: real stations
//! in this process, on loopback ports of their own, with the test pattern and no screens; they are asked through their
//! control sockets, as scripts are, and watched by the events that they publish. Every wait is bounded, and none sleeps.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration as StdDuration;
use visavis::call::{CallConfig, Group};
use visavis::card::Language;
use visavis::device::audio::SpeakerSpec;
use visavis::device::camera::CameraSpec;
use visavis::device::m2m::CodecSpec;
use visavis::device::screen::ScreenSpec;
use visavis::identity::{AddressBook, SecretKey, system_random};
use visavis::media::{Level, Size, VideoCodec};
use visavis::panel::PanelConfig;
use visavis::panel::client::Client;
use visavis::panel::protocol::{Answer, Happening, Request, Status};
use visavis::station::{Config, Halt, Intercom, IntercomConfig, IpVersion, MediaConfig, PortConfig};
use visavis::sys::wake::Stop;
use visavis::time::Duration;

/// Anything that comes at all comes well within this, on a machine that does much else besides.
const PATIENCE: StdDuration = StdDuration::from_secs(60);

/// A running station.
struct Station {
    name: &'static str,
    port: u16,
    state: PathBuf,
    socket: PathBuf,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), Halt>>>,
    events: Receiver<Happening>,
}

impl Station {
    fn start(folder: &Path, name: &'static str, call: CallConfig) -> Station {
        let state = folder.join(name);
        let socket = folder.join(format!("{name}.sock"));
        let secret = SecretKey::load_or_create(&state, system_random).unwrap();
        // Free a moment ago; what the kernel gives out goes up, so that nobody else has it yet.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = Config {
            name: name.into(),
            secret,
            port: PortConfig {
                number: port,
                may_move: false,
                address: Some(Ipv4Addr::LOCALHOST.into()),
                version: IpVersion::V4,
            },
            media: media(),
            snapshot: None,
        };
        let settings = IntercomConfig {
            state: state.clone(),
            call,
            panel: PanelConfig { keys: Vec::new(), ..PanelConfig::default() },
            control: Some((socket.clone(), None)),
            metrics: None,
            find: None,
            peers: Vec::new(),
            auto_answer: Duration::ZERO,
            release_without_call: Vec::new(),
            language: Language::English,
            volume_percent: 100,
            sleep_after: None,
            page: None,
        };
        let stop = Stop::new().unwrap();
        let intercom = Intercom::start(config, settings).unwrap();
        let ended = stop.clone();
        let thread = Some(std::thread::spawn(move || intercom.run(&ended)));
        let events = watch(&socket);
        Station { name, port, state, socket, stop, thread, events }
    }

    fn ask(&self, request: &Request) -> Answer {
        Client::connect(std::slice::from_ref(&self.socket)).unwrap().ask(request).unwrap()
    }

    fn act(&self, action: &str) {
        assert_eq!(self.ask(&Request::Act(action.into())), Answer::Done, "{}: {action}", self.name);
    }

    fn refused(&self, action: &str) -> String {
        match self.ask(&Request::Act(action.into())) {
            Answer::Refused(why) => why,
            other => panic!("{}: {action}: {other:?}", self.name),
        }
    }

    fn status(&self) -> Status {
        match self.ask(&Request::Status) {
            Answer::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for something to happen; what happens before it is passed over.
    fn until<T>(&self, what: &str, mut is_it: impl FnMut(&Happening) -> Option<T>) -> T {
        let mut seen = Vec::new();
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(event) => match is_it(&event) {
                    Some(found) => return found,
                    None => seen.push(event),
                },
                Err(_) => panic!("{}: not {what}; but {seen:?}", self.name),
            }
        }
    }

    fn until_state(&self, state: &str) {
        self.until(state, |event| matches!(event, Happening::State { state: now, .. } if now == state).then_some(()));
    }

    fn until_linked(&self, peer: &str) {
        self.until("linked", |event| matches!(event, Happening::LinkUp { peer: up, .. } if up == peer).then_some(()));
    }

    fn allow(&self, peer: &str, change: impl FnOnce(&mut visavis::identity::Rights)) {
        AddressBook::update(&self.state, |book| {
            book.change_rights(peer, change).unwrap();
            Ok::<_, visavis::identity::IdentityError>(())
        })
        .unwrap();
        self.act("rescan");
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("a thread").expect("the net loop does not panic").expect("the net loop ends as asked");
        }
    }
}

fn media() -> MediaConfig {
    MediaConfig {
        camera: CameraSpec::Pattern,
        screen: ScreenSpec::None,
        planes: true,
        mic: "tone".parse().unwrap(),
        clean_mic: true,
        speaker: SpeakerSpec::None,
        codec: VideoCodec::H264,
        encoder: CodecSpec::Software,
        decoder: CodecSpec::Software,
        near: 0,
        bitrate_bps: None,
        size: Some(Size::new(160, 120)),
        rate_hz: Some(15),
        level: Level::FULL,
        looped: false,
        adapts: true,
    }
}

/// The station's events from now on, for as long as it lives.
fn watch(socket: &Path) -> Receiver<Happening> {
    let mut client = Client::connect(&[socket.to_owned()]).unwrap();
    assert_eq!(client.ask(&Request::Watch).unwrap(), Answer::Watching);
    let (tell, events) = channel();
    std::thread::spawn(move || {
        while let Ok(event) = client.next_event() {
            if tell.send(event.what).is_err() {
                return;
            }
        }
    });
    events
}

fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("visavis-intercom-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Pairs two stations by the code that the first shows.
fn pair(shows: &Station, types: &Station) {
    let Answer::Pairing { words } = shows.ask(&Request::Pair { code: None, address: None }) else { panic!("no code") };
    let address = Some(format!("127.0.0.1:{}", shows.port));
    let answer = types.ask(&Request::Pair { code: Some(words), address });
    assert!(matches!(answer, Answer::Pairing { .. }), "{answer:?}");
    for (station, other) in [(shows, types), (types, shows)] {
        let with = station.until("paired", |event| match event {
            Happening::Pairing { is_over: true, words, peer } => Some(peer.clone().ok_or(words.clone())),
            _ => None,
        });
        assert_eq!(with, Ok(other.name.to_owned()), "{}", station.name);
    }
}

fn door() -> CallConfig {
    let floor = Group { name: "upstairs".into(), members: vec!["kitchen".into(), "office".into()] };
    CallConfig { early_media: true, groups: vec![floor], ..CallConfig::default() }
}

#[test]
fn two_stations_pair_ring_talk_and_remember_it() {
    let folder = folder("two");
    let door = Station::start(&folder, "door", door());
    let kitchen = Station::start(&folder, "kitchen", CallConfig::default());
    assert!(door.refused("ring kitchen").contains("visavis peers"), "nobody is known yet");
    pair(&door, &kitchen);
    let key = fs::metadata(door.state.join("identity.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);

    door.act("ring kitchen");
    kitchen.until_state("ringing");
    assert_eq!(kitchen.status().peer.as_deref(), Some("door"));
    assert!(kitchen.refused("ring door").contains("there is a call"));
    kitchen.act("answer");
    kitchen.until_state("talking");
    door.until_state("talking");
    // Pictures go both ways: each station counts what it would have shown.
    let moves = |station: &Station| station.status().media.is_some_and(|media| media.received_bps > 0);
    let give_up = std::time::Instant::now() + PATIENCE;
    while !(moves(&door) && moves(&kitchen)) {
        assert!(std::time::Instant::now() < give_up, "no pictures: {:?} {:?}", door.status(), kitchen.status());
        std::thread::yield_now();
    }
    kitchen.act("mute on");
    assert!(kitchen.status().muted && !door.status().muted);
    kitchen.act("release");
    let refused = door.until("refused", |event| match event {
        Happening::ReleaseRefused { by, reason } => Some((by.clone(), reason.clone())),
        _ => None,
    });
    assert_eq!(refused, ("kitchen".into(), "not allowed".into()));
    door.act("hang-up");
    door.until_state("idle");
    kitchen.until_state("idle");

    kitchen.act("do-not-disturb on");
    door.act("ring kitchen");
    door.until_state("ended");
    kitchen.act("do-not-disturb off");
    door.until_state("idle");
    door.act("ring kitchen");
    kitchen.until_state("ringing");
    door.act("hang-up");
    let missed = kitchen.until("missed", |event| match event {
        Happening::MissedCall { peer } => Some(peer.clone()),
        _ => None,
    });
    assert_eq!(missed, "door");
    let Answer::Log(log) = door.ask(&Request::Log(10)) else { panic!("no log") };
    let ended: Vec<_> = log.iter().map(|call| (call.peer.as_str(), call.ended.as_str())).collect();
    let told = ["not allowed", "hung up here", "do not disturb", "hung up here"];
    assert_eq!(ended, told.map(|reason| ("kitchen", reason)));
}

#[test]
fn of_a_group_the_first_to_answer_has_the_call_and_the_others_hear_who() {
    let folder = folder("group");
    let door = Station::start(&folder, "door", door());
    let kitchen = Station::start(&folder, "kitchen", CallConfig::default());
    let office = Station::start(&folder, "office", CallConfig::default());
    pair(&door, &kitchen);
    pair(&door, &office);
    door.act("ring upstairs");
    kitchen.until_state("ringing");
    office.until_state("ringing");
    office.act("answer");
    office.until_state("talking");
    kitchen.until_state("ended");
    assert_eq!(door.status().peer.as_deref(), Some("office"));
    office.act("hang-up");
    kitchen.until_state("idle");
    let Answer::Log(log) = kitchen.ask(&Request::Log(1)) else { panic!("no log") };
    assert!(log.is_empty(), "a call that somebody took was not missed: {log:?}");

    // Monitoring is a right.
    kitchen.act("monitor door");
    kitchen.until_state("ended");
    door.allow("kitchen", |rights| rights.monitor = true);
    kitchen.until_state("idle");
    kitchen.act("monitor door");
    door.until_state("monitored");
    door.act("hang-up");
    kitchen.until_state("ended");
}

#[test]
fn a_station_that_was_restarted_or_forgotten_is_known_as_such() {
    let folder = folder("restart");
    let door = Station::start(&folder, "door", door());
    let kitchen = Station::start(&folder, "kitchen", CallConfig::default());
    pair(&door, &kitchen);
    door.act("ring kitchen");
    kitchen.until_state("ringing");
    drop(kitchen);
    door.until_state("ended");
    // It has another port now, and calls from it.
    let kitchen = Station::start(&folder, "kitchen", CallConfig::default());
    kitchen.until_linked("door");
    door.until_linked("kitchen");
    door.until_state("idle");
    door.act("ring kitchen");
    kitchen.until_state("ringing");
    kitchen.act("decline");
    door.until_state("ended");

    // Whom the book has no more, nobody hears.
    let forget = |book: &mut AddressBook| {
        let key = book.by_name("kitchen").unwrap().key;
        book.remove(&key);
        Ok::<_, visavis::identity::IdentityError>(())
    };
    AddressBook::update(&door.state, forget).unwrap();
    door.act("rescan");
    kitchen.until("left", |event| matches!(event, Happening::LinkDown { .. }).then_some(()));
    assert!(door.status().links.is_empty());
    kitchen.act("ring door");
    kitchen.until_state("ended");
    let journal = || fs::read_to_string(door.state.join("journal.jsonl")).unwrap_or_default();
    let give_up = std::time::Instant::now() + PATIENCE;
    while !journal().contains("stranger-refused") {
        assert!(std::time::Instant::now() < give_up, "{}", journal());
        std::thread::yield_now();
    }
}
