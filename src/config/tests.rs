//! Goal: what an installer types is meant as such, or answered with file, line, column, key and remedy; the sample that
//! is shipped is true. Method: whole files as text; property tests over values and over damaged files.

use super::value::Value;
use super::*;
use crate::call::QuietHours;
use crate::call::{Action, Whom};
use crate::device::gpio::{Bias, LineSpec};
use crate::media::{Level, Size};
use crate::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SAMPLE: &str = include_str!("../../deploy/station.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("station.toml"))
}

fn error(text: &str) -> String {
    parse(text).map(|_| ()).expect_err(text).to_string()
}

/// The sample with every key in force. Prose has a blank after its `#`, keys have none.
fn uncommented() -> String {
    let is_key = |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c == '[' || c.is_alphabetic());
    SAMPLE.lines().map(|line| if is_key(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

/// Every key of a document, with its section.
fn keys(text: &str) -> BTreeSet<String> {
    fn collect(value: &toml::Value, path: &str, keys: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                table.iter().for_each(|(key, value)| collect(value, &format!("{path}.{key}"), keys))
            }
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
                items.iter().for_each(|item| collect(item, path, keys));
            }
            _ => {
                keys.insert(path.to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&toml::Value::Table(text.parse().unwrap()), "", &mut found);
    found
}

#[test]
fn an_empty_file_and_a_missing_one_are_a_working_station() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::load(Path::new("/nowhere/station.toml")).unwrap(), Config::default());
    let media = parse("").unwrap().media(|| "pattern".parse().unwrap());
    assert_eq!(
        (media.camera.to_string(), media.mic.to_string(), media.level),
        ("pattern".into(), "alsa:default".into(), Level::DEFAULT)
    );
}

#[test]
fn the_sample_as_shipped_and_uncommented_is_the_defaults() {
    assert_eq!(parse(SAMPLE).unwrap(), Config::default());
    let mut config = parse(&uncommented()).unwrap();
    // Sections of the installer's own have no default: the sample shows one of each, made of the defaults of its keys.
    let own = "[[button]]\nline = 'GPIO17'\n[[lamp]]\nline = 'GPIO27'\n[[relay]]\nline = 'GPIO22'\n[[peer]]\nname = 'kitchen'\n\
               [[web.publish]]\nname = 'studio'\nurl = 'https://media.example.org/whip/door'\n[call.groups]\nupstairs = ['kitchen', 'office']";
    assert_eq!(config, parse(own).unwrap());
    for (shown, least) in
        [(config.button.len(), 1), (config.lamp.len(), 1), (config.relay.len(), 1), (config.peer.len(), 1)]
    {
        assert_eq!(shown, least);
    }
    config.call.groups.clear();
    assert_eq!((config.call, config.keys, config.door), (Call::default(), Keys::default(), Door::default()));
}

#[test]
fn every_key_that_is_read_stands_in_the_sample() {
    // What is written has every key, since nothing is left out where it is the default.
    let config = parse(&uncommented()).unwrap();
    assert_eq!(keys(&uncommented()), keys(&config.to_toml()));
    assert!(keys(&uncommented()).len() > 50, "{:?}", keys(&uncommented()));
}

#[test]
fn the_effective_configuration_reads_back_as_the_same() {
    for text in ["", &uncommented(), EVERYTHING_ELSE] {
        let config = parse(text).unwrap();
        let written = config.to_toml();
        assert_eq!(parse(&written).unwrap_or_else(|e| panic!("{e}\n{written}")), config);
    }
}

/// No value in it is the default.
const EVERYTHING_ELSE: &str = r#"
    [station]
    name = "Tür 1"
    language = "de"
    port = 1
    ip = "6"
    adapt = false
    [camera]
    device = "/dev/visavis/camera"
    size = "1280x720"
    rate = "15 fps"
    codec = "deflate"
    encoder = "m2m:/dev/video11"
    near = 4
    bitrate = "1.5 Mbit/s"
    level = 0
    repeat = true
    [screen]
    device = "drm:card0/HDMI-A-1"
    decoder = "openh264"
    planes = false
    [microphone]
    device = "tone:440"
    [loudspeaker]
    device = "none"
    volume = 0
    [call]
    usual = "upstairs"
    ring_time = "1.5 min"
    max_call_time = "90 min"
    lost_time = "2s"
    auto_answer_delay = "0s"
    early_media = false
    do_not_disturb = "22:00 - 07:00"
    groups = { upstairs = ["kitchen", "front door"] }
    [door]
    line = "gpiochip0:17"
    active_low = true
    pulse = "100ms"
    without_call = ["kitchen"]
    [keys]
    KEY_ESC = "nothing"
    BTN_0 = "ring front door"
    [touch]
    rotate = "270"
    [rotary]
    line_a = "A"
    line_b = "B"
    bias = "pull-up"
    clockwise = "nothing"
    counterclockwise = "level 3"
    [control]
    socket = "/run/x"
    group = "users"
    [metrics]
    listen = "[::1]:9187"
    [web]
    listen = "[::]:8443"
    hosts = ["door.example.org"]
    [[web.publish]]
    name = "studio"
    url = "https://[2001:db8::9]:8889/whip"
    token_file = "/t"
    [mqtt]
    broker = "mqtts://broker.example.org:8884"
    user = "door"
    password_file = "mqtt"
    ca_file = "/etc/visavis/broker.pem"
    discovery = "ha"
    topic = "house/door"
    release = true
    [[button]]
    line = "BTN_CALL"
    active_low = true
    bias = "off"
    debounce = "20 ms"
    long_press = "2s"
    short = "ring kitchen"
    long = "pair"
    double = "release-here"
    [[lamp]]
    line = "LAMP"
    active_low = true
    shows = []
    [[relay]]
    line = "BELL"
    active_low = true
    during = ["talking", "error"]
    [[peer]]
    name = "kitchen"
    address = "[2001:db8::7]:10088"
    auto_answer = true
"#;

#[test]
fn what_is_typed_is_meant() {
    let config = parse(EVERYTHING_ELSE).unwrap();
    assert_eq!(config.station.name.as_ref().unwrap().as_str(), "Tür 1");
    let media = config.media(|| unreachable!("the camera is named"));
    assert_eq!((media.size, media.rate_hz, media.bitrate_bps), (Some(Size::new(1280, 720)), Some(15), Some(1_500_000)));
    assert!(!media.adapts);
    assert_eq!(config.call.usual, Whom::Named("upstairs".into()));
    assert_eq!((config.call.ring_time, config.door.pulse), (Duration::from_secs(90), Duration::from_millis(100)));
    assert_eq!(config.door.line, Some(LineSpec::Place { chip: "gpiochip0".into(), offset: 17 }));
    assert_eq!(config.button[0].double, Some(Action::ReleaseHere));
    assert_eq!(config.keys.0["KEY_ESC"], None, "a key's usual meaning can be taken away");
    assert_eq!(config.keys.0["KEY_Q"], Some(Action::HangUp), "keys that are not typed keep theirs");
    assert_eq!(config.metrics.listen, Some("[::1]:9187".parse().unwrap()));
    assert_eq!(config.web.listen, Some("[::]:8443".parse().unwrap()));
    assert_eq!(config.web.hosts, ["door.example.org"]);
    assert!(config.mqtt.release && config.mqtt.broker.as_ref().is_some_and(|broker| broker.has_tls));
    let [(name, studio)] = &config.publications()[..] else { panic!("one media server") };
    assert_eq!((name.as_str(), studio.url.to_string().as_str()), ("studio", "https://[2001:db8::9]:8889/whip"));
    assert_eq!((studio.token_file.as_deref(), &studio.fingerprint), (Some(Path::new("/t")), &None));
    assert_eq!(config.peer[0].address, Some(PeerAddress { host: "2001:db8::7".into(), port: Some(10088) }));
}

#[test]
fn a_slip_is_answered_with_its_place_its_key_and_the_remedy() {
    for (text, wanted) in [
        (
            "[camera]\nsiez = '1x1'",
            "station.toml, line 2, column 1: camera.siez: there is no such key: did you mean \"size\"?",
        ),
        ("[camra]", "station.toml, line 1, column 2: camra: there is no such key: did you mean \"camera\"?"),
        ("[touch]\nzzz = 1", "line 2, column 1: touch.zzz: there is no such key: there are: rotate"),
        ("[camera]\n  size = '640'", "line 2, column 10: camera.size: `640` is not a size; write it as 640x480"),
        (
            "[camera]\nsize = 640",
            "line 2, column 8: camera.size: integer `640` does not fit here: it wants a size such as \"640x480\"",
        ),
        (
            "[camera]\nencoder = 'x264'",
            "line 2, column 11: camera.encoder: `x264` is no codec; write auto, openh264, m2m or m2m:/dev/video11",
        ),
        ("[screen]\nplanes = 'off'", "screen.planes: string \"off\" does not fit here: it wants true or false"),
        ("[screen]\ndecoder = 1", "screen.decoder: integer `1` does not fit here: it wants a codec: \"auto\""),
        ("[metrics]\nlisten = 'localhost'", "metrics.listen: \"localhost\" is no address with a port: write it as"),
        ("[metrics]\nlisten = '127.0.0.1:0'", "metrics.listen: \"127.0.0.1:0\" is no address with a port"),
        ("[web]\nlisten = 8443", "web.listen: integer `8443` does not fit here: it wants an address with a port"),
        (
            "[web]\npublish = [{ name = 'a', url = 'http://h/whip' }]",
            "web.publish[0].url: \"http://h/whip\" is no address of a media server: write it as \"https://",
        ),
        (
            "[web]\npublish = [{ name = 'a', url = 'https://h/', token_file = 't' }]",
            "web.publish[0].token_file: \"t\" is no place of a token: write the path",
        ),
        (
            "[web]\npublish = [{ name = 'a', url = 'https://h/', fingerprint = 'AB' }]",
            "web.publish[0].fingerprint: it is no fingerprint",
        ),
        ("[camera]\nnear = 33", "camera.near: 33 is out of range: it must lie between 0 and 32"),
        ("[camera]\nnear = '3'", "camera.near: string \"3\" does not fit here: it wants a whole number"),
        ("[station]\nport = 70000", "station.port: 70000 is out of range: it must lie between 1 and 65535"),
        (
            "[call]\nring_time = '45'",
            "line 2, column 13: call.ring_time: \"45\" is not a time: write it as \"500ms\", \"45s\"",
        ),
        ("[call]\nring_time = 45", "call.ring_time: integer `45` does not fit here: it wants a time such as"),
        ("[call]\nring_time = '1h'", "call.ring_time: 1h is out of range: it must lie between 5s and 10min"),
        ("[call]\nearly_media = 1", "call.early_media: integer `1` does not fit here: it wants true or false"),
        (
            "[call]\ndo_not_disturb = '22-7'",
            "call.do_not_disturb: \"22-7\" are no hours of the day: write them as \"22:00-07:00\"",
        ),
        (
            "[call]\ngroups = { up = 'kitchen' }",
            "line 2, column 17: call.groups.up: string \"kitchen\" does not fit here: it wants a list",
        ),
        ("call = 3", "call: integer `3` does not fit here: it wants a section of its own"),
        ("[[button]]\nshort = 'answer'", "the key \"line\" is missing: add line"),
        (
            "[[button]]\nline='A'\n[[button]]\nline='B'\nshort='sing'",
            "line 5, column 7: button[1].short: `sing` is no action; there are:",
        ),
        ("[keys]\nKEY_ENTR = 'answer'", "line 2, column 1: keys.KEY_ENTR: there is no key of this name"),
        (
            "[[lamp]]\nline='A'\nshows=['ringin']",
            "lamp[0].shows: `ringin` is no thing for a lamp to show; there are idle, ringing, calling",
        ),
        ("[call]\nusual = ''", "call.usual: name: \"\" is empty"),
        ("[camera]\nsize = '640x480", "line 2, column"),
        ("a = 1\na = 2", "line 2, column 1"),
    ] {
        let error = error(text);
        assert!(error.contains(wanted), "{text}\n  gives: {error}\n  not:   {wanted}");
    }
}

#[test]
fn what_does_not_go_together_is_refused_at_its_place() {
    for (text, wanted) in [
        (
            "[door]\nline='A'\n[[button]]\nline='B'\n[[button]]\nline = 'A'",
            "line 6, column 1: button[1].line: the line \"A\" is door.line already",
        ),
        ("[rotary]\nline_a='A'", "line 1, column 2: rotary: a knob has two lines"),
        ("[[peer]]\nname='Door'\n[[peer]]\nname='door'", "line 4, column 1: peer[1].name: there are two entries"),
        ("[call.groups]\nup=[]", "line 2, column 1: call.groups.up: nobody is in this group"),
        ("[call.groups]\na=['x']\nb=['a']", "line 3, column 1: call.groups.b: \"a\" is a group itself"),
        (
            "[[web.publish]]\nname='a'\nurl='https://h'\n[[web.publish]]\nname='A'\nurl='https://h'",
            "line 5, column 1: web.publish[1].name: there are two media servers called \"A\"",
        ),
        ("[call.groups]\na=['x']\n[[peer]]\nname='A'", "call.groups.a: a station has this name too"),
    ] {
        let error = error(text);
        assert!(error.contains(wanted), "{text}\n  gives: {error}\n  not:   {wanted}");
    }
    let many: String = (0..65).map(|i| format!("[[lamp]]\nline = 'L{i}'\n")).collect();
    assert!(error(&many).contains("lamp: 65 entries are too many: 64 are the most"), "{}", error(&many));
}

#[test]
fn a_file_that_cannot_be_one_is_refused_in_words() {
    assert!(error(&"#".repeat(300_000)).contains("the file is too long"));
    let directory = Config::load(&std::env::temp_dir()).unwrap_err().to_string();
    assert!(directory.contains("cannot read the configuration"), "{directory}");
}

#[test]
fn hours_are_read_as_clocks_show_them_and_nothing_else() {
    let night = QuietHours::read("22:00-7:05").unwrap();
    assert_eq!(night.write(), "22:00-07:05");
    for wrong in ["24:00-01:00", "1:60-2:00", "7-8", "07:00", "-", "+1:00-2:00", "08:00-08:00"] {
        assert!(QuietHours::read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn addresses_are_read_with_and_without_a_port() {
    for (text, host, port) in [
        ("kitchen.local", "kitchen.local", None),
        ("kitchen:1", "kitchen", Some(1)),
        ("192.0.2.7:10087", "192.0.2.7", Some(10087)),
        ("2001:db8::7", "2001:db8::7", None),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("[2001:db8::7]:9", "2001:db8::7", Some(9)),
    ] {
        let address = PeerAddress::read(text).unwrap();
        assert_eq!((address.host.as_str(), address.port), (host, port));
        assert_eq!(address.write(), text);
    }
    for wrong in ["", ":1", "a:0", "a:65536", "[::1", "[::1]x", "a b", "[]:1"] {
        assert!(PeerAddress::read(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn a_time_is_written_as_it_is_read(ms in 0u64..100_000_000) {
        let time = Duration::from_millis(ms);
        prop_assert_eq!(Duration::read(&time.write()), Ok(time));
    }

    #[test]
    fn any_text_is_a_value_or_an_error(text in ".*") {
        macro_rules! there_and_back {
            ($($type:ty),+) => {$(
                if let Ok(value) = <$type>::read(&text) {
                    prop_assert_eq!(<$type>::read(&value.write()), Ok(value));
                }
            )+};
        }
        there_and_back!(Duration, BitRate, FrameRate, QuietHours, LineSpec, PeerAddress, Name, SocketPath, GroupName, Option<Bias>);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused_but_never_fatal(at in 0usize..2_000, with in "\\PC{0,4}", cut in 0usize..40) {
        let text = EVERYTHING_ELSE;
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((start + cut).min(text.len()));
        if let Err(error) = parse(&format!("{}{with}{}", &text[..start], &text[end..])) {
            prop_assert!(error.to_string().starts_with("station.toml"));
        }
    }
}
