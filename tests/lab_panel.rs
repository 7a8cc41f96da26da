//! Goal: hands do what they are for, and a door never stays open. Method: gpio-sim, whose pulls are fingers and whose
//! values are lamps, and keyboards and screens made by uinput, in the lab's kernel; every wait is a poll on the hands'
//! own descriptors, or on a child's end. Needs VISAVIS_LAB=1 and the lab's GPIO chip; elsewhere each test says that it
//! was skipped.

use evdev::uinput::VirtualDevice;
use evdev::{
    AbsInfo, AbsoluteAxisCode as Axis, AttributeSet, EventType, InputEvent, KeyCode, PropType, UinputAbsSetup,
};
use nix::poll::{PollFd, PollFlags};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use visavis::call::Action;
use visavis::device::FaultKind;
use visavis::device::gpio::{Bias, Input, InputRequest, Output, OutputRequest};
use visavis::device::touch::Rotation;
use visavis::panel::button::LONG_PRESS;
use visavis::panel::config::{ButtonConfig, Gestures, LampConfig, RotaryConfig, StrikeConfig, Zone};
use visavis::panel::lamp::{Pattern, Sign, Signs};
use visavis::panel::rotary::Notch;
use visavis::panel::{HandEvent, Hands, PanelConfig};
use visavis::sys::{clock, poll};
use visavis::time::Instant;

const SIM: &str = "/sys/kernel/config/gpio-sim/lab";
/// The lines of the lab's chip, by their numbers on it.
const LINES: [&str; 5] = ["BTN_CALL", "BTN_HANGUP", "BTN_DOOR", "LED_CALL", "LED_NET"];
/// The child that holds the strike reads its orders here.
const HOLD: &str = "VISAVIS_LAB_HOLD";

/// The lab's lines, for one test at a time, let go by whoever pressed them last; `None` outside the lab.
fn lab(test: &str) -> Option<MutexGuard<'static, ()>> {
    static LINES_OF_THE_LAB: Mutex<()> = Mutex::new(());
    if std::env::var_os("VISAVIS_LAB").is_none_or(|v| v != "1") {
        println!("{test}: skipped, since VISAVIS_LAB is not 1");
        return None;
    }
    let guard = LINES_OF_THE_LAB.lock().unwrap_or_else(PoisonError::into_inner);
    (0..LINES.len()).for_each(|line| press(LINES[line], false));
    Some(guard)
}

/// The folder of a simulated line.
fn line(name: &str) -> PathBuf {
    let text = |file: &str| fs::read_to_string(format!("{SIM}/{file}")).unwrap().trim().to_owned();
    let number = LINES.iter().position(|line| *line == name).unwrap();
    let (device, chip) = (text("dev_name"), text("bank0/chip_name"));
    format!("/sys/devices/platform/{device}/{chip}/sim_gpio{number}").into()
}

fn press(name: &str, down: bool) {
    fs::write(line(name).join("pull"), if down { "pull-up" } else { "pull-down" }).unwrap();
}

fn is_high(name: &str) -> bool {
    fs::read_to_string(line(name).join("value")).unwrap().trim() == "1"
}

fn input(name: &str, debounce_ms: u64) -> InputRequest {
    let debounce = Duration::from_millis(debounce_ms);
    InputRequest { line: name.parse().unwrap(), active_low: false, bias: Bias::AsIs, debounce }
}

fn output(name: &str) -> OutputRequest {
    OutputRequest { line: name.parse().unwrap(), active_low: false }
}

fn action(text: &str) -> Option<Action> {
    Some(text.parse().unwrap())
}

/// Waits as the hands ask, for one turn of theirs; a wait that is not ended by them is ended by `until`.
fn turn(hands: &mut Hands, until: Option<Instant>) {
    let at = visavis::time::earliest(hands.poll_timeout(clock::now()), until);
    let mut fds: Vec<_> = hands.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    poll::wait(&mut fds, at).unwrap();
    drop(fds);
    hands.handle_ready(clock::now());
}

/// The next action that hands bring, with its source.
fn next_action(hands: &mut Hands) -> (String, String) {
    loop {
        while let Some(event) = hands.poll_event() {
            if let HandEvent::Action { action, source } = event {
                return (action.to_string(), source);
            }
        }
        turn(hands, None);
    }
}

/// What comes until `time` has passed.
fn actions_within(hands: &mut Hands, time: Duration) -> Vec<String> {
    let until = clock::now() + time;
    while clock::now() < until {
        turn(hands, Some(until));
    }
    let events = std::iter::from_fn(|| hands.poll_event());
    events
        .filter_map(|event| if let HandEvent::Action { action, .. } = event { Some(action.to_string()) } else { None })
        .collect()
}

fn panel(config: PanelConfig) -> Hands {
    let hands = Hands::open(config, clock::now());
    assert_eq!(hands.faults().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    hands
}

fn button(name: &str, gestures: Gestures) -> PanelConfig {
    let buttons = vec![ButtonConfig { line: input(name, 5), gestures }];
    PanelConfig { buttons, ..PanelConfig::default() }
}

#[test]
fn edges_carry_the_kernel_s_own_time_of_the_clock_that_everything_has() {
    let Some(_lab) = lab("edges_carry_the_kernel_s_own_time") else { return };
    let mut lines = Input::open(&[input("BTN_CALL", 0), input("BTN_DOOR", 0)]).unwrap();
    for (name, number, down) in [("BTN_CALL", 0, true), ("BTN_DOOR", 1, true), ("BTN_CALL", 0, false)] {
        let before = clock::now();
        press(name, down);
        poll::wait(&mut [PollFd::new(lines.as_fd(), PollFlags::POLLIN)], None).unwrap();
        let edge = lines.read(clock::now()).unwrap().expect("an edge");
        assert_eq!((edge.line, edge.is_active), (number, down));
        assert!(before <= edge.at && edge.at <= clock::now(), "{before:?} {edge:?}");
        println!("{name} {:?} after its press, read {:?} later", edge.at.since(before), clock::now().since(edge.at));
    }
    assert_eq!(lines.read(clock::now()).unwrap(), None, "reading does not block");
}

#[test]
fn whatever_a_flood_of_edges_loses_it_ends_with_how_the_line_is() {
    let Some(_lab) = lab("whatever_a_flood_of_edges_loses") else { return };
    for last in [true, false] {
        let mut line = Input::open(&[input("BTN_CALL", 0)]).unwrap();
        let was = line.is_active(0);
        for number in 0..1_000 {
            press("BTN_CALL", number % 2 == 0);
        }
        press("BTN_CALL", last);
        let mut edges = Vec::new();
        // The simulated interrupts run in a thread of the kernel's; they are over once nothing comes for a while.
        loop {
            let mut fd = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
            poll::wait(&mut fd, Some(clock::now() + Duration::from_millis(200))).unwrap();
            if !poll::is_ready(&fd[0]) {
                break;
            }
            edges.extend(std::iter::from_fn(|| line.read(clock::now()).unwrap()).map(|edge| edge.is_active));
        }
        println!("of 1000 changes {} were told", edges.len());
        assert_eq!((line.is_active(0), edges.last().copied().unwrap_or(was)), (last, last));
        assert!(edges.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

#[test]
fn a_bouncing_button_is_one_press() {
    let Some(_lab) = lab("a_bouncing_button_is_one_press") else { return };
    let mut hands = panel(button("BTN_CALL", Gestures::short("call-button".parse().unwrap())));
    for _ in 0..5 {
        press("BTN_CALL", true);
        press("BTN_CALL", false);
    }
    press("BTN_CALL", true);
    assert_eq!(actions_within(&mut hands, Duration::from_millis(200)), [""; 0], "it is down");
    for _ in 0..5 {
        press("BTN_CALL", false);
        press("BTN_CALL", true);
    }
    press("BTN_CALL", false);
    assert_eq!(next_action(&mut hands), ("call-button".into(), "button BTN_CALL".into()));
    assert_eq!(actions_within(&mut hands, Duration::from_millis(200)), [""; 0]);
}

#[test]
fn a_button_tells_long_double_and_push_to_talk_apart() {
    let Some(_lab) = lab("a_button_tells_long_double_and_push_to_talk_apart") else { return };
    let gestures =
        Gestures { short: action("answer"), long: action("pair"), double: action("release"), ..Gestures::default() };
    let mut hands = panel(button("BTN_CALL", gestures));
    press("BTN_CALL", true);
    assert_eq!(next_action(&mut hands).0, "pair", "while it is held");
    press("BTN_CALL", false);
    assert_eq!(actions_within(&mut hands, LONG_PRESS), [""; 0]);
    for down in [true, false, true] {
        press("BTN_CALL", down);
        actions_within(&mut hands, Duration::from_millis(20)).iter().for_each(|action| assert_eq!(action, "release"));
    }
    press("BTN_CALL", false);
    drop(hands);
    let talk = Gestures { down: action("talk on"), up: action("talk off"), ..Gestures::default() };
    let mut hands = panel(button("BTN_CALL", talk));
    press("BTN_CALL", true);
    assert_eq!(next_action(&mut hands).0, "talk on");
    press("BTN_CALL", false);
    assert_eq!(next_action(&mut hands).0, "talk off");
}

#[test]
fn a_knob_turns_the_volume() {
    let Some(_lab) = lab("a_knob_turns_the_volume") else { return };
    let knob = RotaryConfig {
        lines: [input("BTN_CALL", 0), input("BTN_HANGUP", 0)],
        notch: Notch::Full,
        clockwise: action("volume +5").unwrap(),
        counterclockwise: action("volume -5").unwrap(),
    };
    let mut hands = panel(PanelConfig { rotaries: vec![knob], ..PanelConfig::default() });
    let [a, b] = ["BTN_CALL", "BTN_HANGUP"];
    for (first, second, wanted) in [(a, b, "volume +5"), (b, a, "volume -5")] {
        for (line, level) in [(first, true), (second, true), (first, false), (second, false)] {
            // The simulated chip makes one edge of two that come at once; fingers are slower.
            press(line, level);
            turn(&mut hands, None);
        }
        assert_eq!(next_action(&mut hands).0, wanted);
    }
}

#[test]
fn a_lamp_blinks_with_the_state_and_is_dark_when_let_go() {
    let Some(_lab) = lab("a_lamp_blinks_with_the_state") else { return };
    let lamp = LampConfig {
        line: output("LED_CALL"),
        shows: vec![(Sign::Talking, Pattern::On), (Sign::Ringing, Pattern::Fast)],
    };
    let mut hands = panel(PanelConfig { lamps: vec![lamp], ..PanelConfig::default() });
    assert!(!is_high("LED_CALL"));
    hands.set_signs(clock::now(), Signs::of(&[Sign::Ringing]));
    let mut seen = vec![is_high("LED_CALL")];
    while seen.len() < 6 {
        turn(&mut hands, None);
        let level = is_high("LED_CALL");
        if seen.last() != Some(&level) {
            seen.push(level);
        }
    }
    assert_eq!(seen, [true, false, true, false, true, false]);
    hands.set_signs(clock::now(), Signs::of(&[Sign::Talking]));
    assert!(is_high("LED_CALL"));
    drop(hands);
    assert!(!is_high("LED_CALL"));
}

#[test]
fn a_line_that_is_taken_says_by_whom() {
    let Some(_lab) = lab("a_line_that_is_taken_says_by_whom") else { return };
    let _held = gpiocdev::Request::builder()
        .on_chip(gpiocdev::find_named_line("LED_NET").unwrap().chip)
        .with_consumer("heating")
        .with_line(4)
        .as_output(gpiocdev::line::Value::Inactive)
        .request()
        .unwrap();
    let fault = Output::open(&output("LED_NET")).unwrap_err();
    println!("{fault}");
    assert_eq!(fault.kind, FaultKind::Unusable);
    assert!(fault.to_string().contains("in use by heating"), "{fault}");
    let ours = Output::open(&output("lab:3")).expect("a chip is found by its label");
    let info = gpiocdev::find_named_line("LED_CALL").unwrap().info;
    assert_eq!((info.consumer.as_str(), ours.is_on()), ("visavis", false));
}

fn door(pulse_ms: u64) -> PanelConfig {
    let strike = StrikeConfig { line: output("LED_NET"), pulse: Duration::from_millis(pulse_ms) };
    PanelConfig { strike: Some(strike), ..PanelConfig::default() }
}

#[test]
fn the_strike_has_current_for_its_time_whoever_asks_again() {
    let Some(_lab) = lab("the_strike_has_current_for_its_time") else { return };
    let mut hands = panel(door(300));
    let start = clock::now();
    hands.release(start).unwrap();
    assert!(is_high("LED_NET") && hands.is_releasing());
    while hands.is_releasing() {
        turn(&mut hands, None);
        if hands.is_releasing() {
            hands.release(clock::now()).unwrap();
            assert!(is_high("LED_NET"));
        }
    }
    let lasted = clock::now().since(start);
    println!("the strike had current for {lasted:?}");
    assert!(!is_high("LED_NET") && lasted >= Duration::from_millis(300));
    assert!(lasted < Duration::from_millis(600), "the first request counts");
    hands.release(clock::now()).unwrap();
    drop(hands);
    assert!(!is_high("LED_NET"), "no hands, no current");
}

/// Not a test of its own: what the killed process does.
#[test]
fn hold_the_strike() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let mut hands = panel(door(30_000));
    hands.release(clock::now()).unwrap();
    eprintln!("held");
    while hands.is_releasing() {
        turn(&mut hands, None);
    }
}

#[test]
fn the_strike_falls_as_its_process_is_killed() {
    let Some(_lab) = lab("the_strike_falls_as_its_process_is_killed") else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_the_strike", "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "held"), "the child could not claim the line");
    assert!(is_high("LED_NET"));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert!(!is_high("LED_NET"), "the kernel lets the line fall");
    panel(door(300)).release(clock::now()).expect("and it can be claimed again");
}

#[test]
fn a_chip_that_goes_is_a_fault_and_is_claimed_anew_when_it_is_back() {
    let Some(_lab) = lab("a_chip_that_goes_is_a_fault") else { return };
    let lamp = LampConfig { line: output("LED_CALL"), shows: vec![(Sign::Idle, Pattern::On)] };
    let config = button("BTN_CALL", Gestures::short("answer".parse().unwrap()));
    let mut hands = panel(PanelConfig { lamps: vec![lamp], ..PanelConfig { strike: door(30_000).strike, ..config } });
    hands.set_signs(clock::now(), Signs::of(&[Sign::Idle]));
    hands.release(clock::now()).unwrap();
    fs::write(format!("{SIM}/live"), "0").unwrap();
    while hands.faults().count() < 3 {
        turn(&mut hands, None);
    }
    hands.faults().for_each(|fault| {
        println!("{fault}");
        assert_eq!(fault.kind, FaultKind::Absent);
    });
    assert!(!hands.is_releasing() && hands.release(clock::now()).is_err());
    fs::write(format!("{SIM}/live"), "1").unwrap();
    let back = clock::now();
    while hands.faults().count() > 0 {
        turn(&mut hands, None);
    }
    println!("claimed anew {:?} after it was back", clock::now().since(back));
    turn(&mut hands, Some(clock::now()));
    assert!(is_high("LED_CALL"), "the lamp shows again what is so");
    assert!(!is_high("LED_NET"), "an opening that was cut short is not made up for");
    press("BTN_CALL", true);
    assert_eq!(actions_within(&mut hands, Duration::from_millis(100)), [""; 0]);
    press("BTN_CALL", false);
    assert_eq!(next_action(&mut hands).0, "answer");
}

/// A node by uinput, made while the hands are open: they find it by themselves.
fn plug_in(
    build: impl FnOnce(evdev::uinput::VirtualDeviceBuilder<'_>) -> std::io::Result<VirtualDevice>,
) -> VirtualDevice {
    build(VirtualDevice::builder().unwrap()).unwrap()
}

fn key(code: KeyCode, value: i32) -> InputEvent {
    InputEvent::new(EventType::KEY.0, code.0, value)
}

fn axis(axis: Axis, value: i32) -> InputEvent {
    InputEvent::new(EventType::ABSOLUTE.0, axis.0, value)
}

/// Emits until the hands have opened the new node and answer; whether something is answered is the test's own end.
fn first_action(hands: &mut Hands, mut emit: impl FnMut()) -> (String, String) {
    loop {
        emit();
        let until = clock::now() + Duration::from_millis(100);
        turn(hands, Some(until));
        while let Some(event) = hands.poll_event() {
            if let HandEvent::Action { action, source } = event {
                return (action.to_string(), source);
            }
        }
    }
}

#[test]
fn a_keyboard_that_is_plugged_in_later_works_and_letting_go_ends_with_it() {
    let Some(_lab) = lab("a_keyboard_that_is_plugged_in_later") else { return };
    let talk = Gestures { down: action("talk on"), up: action("talk off"), ..Gestures::default() };
    let mut config = PanelConfig::default();
    config.keys.push(visavis::panel::config::KeyConfig { key: "f1".parse().unwrap(), gestures: talk });
    let mut hands = panel(config);
    let keys = AttributeSet::from_iter([KeyCode::KEY_VOLUMEUP, KeyCode::KEY_F1]);
    let mut keyboard = plug_in(|builder| builder.name("lab keyboard").with_keys(&keys)?.build());
    let pressed = first_action(&mut hands, || {
        keyboard.emit(&[key(KeyCode::KEY_VOLUMEUP, 1)]).unwrap();
        keyboard.emit(&[key(KeyCode::KEY_VOLUMEUP, 0)]).unwrap();
    });
    assert_eq!(pressed, ("volume +5".into(), "key volumeup".into()));
    actions_within(&mut hands, Duration::from_millis(50));
    keyboard.emit(&[key(KeyCode::KEY_F1, 1)]).unwrap();
    assert_eq!(next_action(&mut hands).0, "talk on");
    drop(keyboard);
    assert_eq!(next_action(&mut hands).0, "talk off", "a keyboard that is pulled out lets go");
}

#[test]
fn fingers_tap_and_press_long_on_screens_of_both_kinds_however_they_are_mounted() {
    let Some(_lab) = lab("fingers_tap_and_press_long") else { return };
    let zone = |top: f32, bottom: f32, tap: &str, long: &str| Zone {
        left: 0.5,
        right: 1.0,
        top,
        bottom,
        tap: action(tap),
        long: action(long),
    };
    let zones = vec![zone(0.0, 0.5, "answer", "release"), zone(0.5, 1.0, "decline", "pair")];
    let config = |rotation| PanelConfig { zones: zones.clone(), rotation, ..PanelConfig::default() };
    let info = |most| AbsInfo::new(0, 0, most, 0, 0, 0);
    let touch = AttributeSet::from_iter([KeyCode::BTN_TOUCH]);
    let direct = AttributeSet::from_iter([PropType::DIRECT]);

    // Single touch, upright: the upper right quarter.
    let mut hands = panel(config(Rotation::None));
    let axes = [UinputAbsSetup::new(Axis::ABS_X, info(4095)), UinputAbsSetup::new(Axis::ABS_Y, info(4095))];
    let mut single = plug_in(|builder| {
        let builder = builder.name("lab single touch").with_keys(&touch)?.with_properties(&direct)?;
        builder.with_absolute_axis(&axes[0])?.with_absolute_axis(&axes[1])?.build()
    });
    let tapped = first_action(&mut hands, || {
        single.emit(&[axis(Axis::ABS_X, 3000), axis(Axis::ABS_Y, 400), key(KeyCode::BTN_TOUCH, 1)]).unwrap();
        single.emit(&[key(KeyCode::BTN_TOUCH, 0)]).unwrap();
    });
    assert_eq!(tapped, ("answer".into(), "touch".into()));
    actions_within(&mut hands, Duration::from_millis(50));
    single.emit(&[key(KeyCode::BTN_TOUCH, 1)]).unwrap();
    assert_eq!(next_action(&mut hands).0, "release", "a finger that stays, at the same place");
    drop((single, hands));

    // Multi touch by protocol B, turned by 90 degrees: the picture's upper right is the screen's lower right.
    let mut hands = panel(config(Rotation::Right));
    let axes = [
        UinputAbsSetup::new(Axis::ABS_MT_SLOT, info(4)),
        UinputAbsSetup::new(Axis::ABS_MT_TRACKING_ID, info(65535)),
        UinputAbsSetup::new(Axis::ABS_MT_POSITION_X, info(799)),
        UinputAbsSetup::new(Axis::ABS_MT_POSITION_Y, info(479)),
    ];
    let mut multi = plug_in(|builder| {
        let builder = builder.name("lab multi touch").with_keys(&touch)?.with_properties(&direct)?;
        axes.iter().try_fold(builder, |builder, axis| builder.with_absolute_axis(axis))?.build()
    });
    let mut id = 0;
    let mut tap = |x, y| {
        id += 1;
        let id = axis(Axis::ABS_MT_TRACKING_ID, id);
        let place = [axis(Axis::ABS_MT_POSITION_X, x), axis(Axis::ABS_MT_POSITION_Y, y)];
        multi.emit(&[axis(Axis::ABS_MT_SLOT, 0), id, place[0], place[1]]).unwrap();
        multi.emit(&[axis(Axis::ABS_MT_TRACKING_ID, -1)]).unwrap();
    };
    assert_eq!(first_action(&mut hands, || tap(700, 400)).0, "answer");
    actions_within(&mut hands, Duration::from_millis(50));
    tap(100, 400);
    assert_eq!(next_action(&mut hands).0, "decline");
}
