//! Keyboards, remote controls, bells with a USB plug: whatever the kernel reports as keys.
//!
//! All keyboards count that have a wanted key, also those that are plugged in later.

use super::inputs::{Inputs, Read, all_nodes};
use crate::time::Instant;
use core::fmt;
use core::str::FromStr;
use evdev::raw_stream::RawDevice;
use evdev::{EventSummary, KeyCode};
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// Keys of one keyboard that are down at once: fingers.
const DOWN_MAX: usize = 10;

/// A key, by the kernel's code for it (input-event-codes.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(KeyCode);

impl Key {
    /// Esc.
    pub const ESCAPE: Key = Key(KeyCode::KEY_ESC);
    /// q.
    pub const Q: Key = Key(KeyCode::KEY_Q);
    /// Louder, on keyboards and remote controls.
    pub const VOLUME_UP: Key = Key(KeyCode::KEY_VOLUMEUP);
    /// Less loud.
    pub const VOLUME_DOWN: Key = Key(KeyCode::KEY_VOLUMEDOWN);
    /// Silences the loudspeaker on other machines; here the microphone, as on a telephone.
    pub const MUTE: Key = Key(KeyCode::KEY_MUTE);
    /// Silences the microphone.
    pub const MIC_MUTE: Key = Key(KeyCode::KEY_MICMUTE);
    /// What ends a call where the station has no other map.
    pub const HANG_UP: [Key; 2] = [Key::ESCAPE, Key::Q];
}

/// The kernel's name without its prefix, in either case (`esc`, `volumeup`), or with it (`KEY_F1`, `BTN_0`).
impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        let name = text.trim().to_ascii_uppercase();
        let with_prefix =
            if name.starts_with("BTN_") || name.starts_with("KEY_") { name } else { format!("KEY_{name}") };
        let unknown = || {
            format!(
                "`{text}` is no key; keys are called as in the kernel's input-event-codes.h: esc, q, enter, f1, volumeup"
            )
        };
        with_prefix.parse().map(Key).map_err(|_| unknown())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{:?}", self.0);
        f.write_str(&name.strip_prefix("KEY_").unwrap_or(&name).to_ascii_lowercase())
    }
}

/// What happens to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMotion {
    /// It goes down.
    Down,
    /// It has been held, and the kernel repeats it.
    Repeat,
    /// It comes up, or its keyboard was pulled out.
    Up,
}

/// Something that happened to a wanted key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// Which.
    pub key: Key,
    /// What.
    pub motion: KeyMotion,
    /// When, by the kernel.
    pub at: Instant,
}

/// All keyboards of this machine.
#[derive(Debug)]
pub struct Keys {
    wanted: Vec<Key>,
    /// For each keyboard, its keys that are down.
    boards: Inputs<Vec<Key>>,
    events: VecDeque<KeyEvent>,
}

/// An input node, as `visavis devices` lists it.
#[derive(Debug)]
pub struct InputInfo {
    /// Its node.
    pub path: PathBuf,
    /// The device's name and whether it has Esc or q, or why it cannot be read.
    pub device: io::Result<(String, bool)>,
}

/// The input nodes that are there, in order.
pub fn list() -> Vec<InputInfo> {
    let describe = |path: PathBuf| {
        let device = RawDevice::open(&path)
            .map(|device| (device.name().unwrap_or("unnamed").to_owned(), has_any(&device, &Key::HANG_UP)));
        InputInfo { path, device }
    };
    all_nodes().into_iter().map(describe).collect()
}

fn has_any(device: &RawDevice, wanted: &[Key]) -> bool {
    device.supported_keys().is_some_and(|keys| wanted.iter().any(|key| keys.contains(key.0)))
}

impl Keys {
    /// Opens every keyboard that has one of the `wanted` keys and may be opened; none is as well.
    pub fn open(wanted: &[Key]) -> Keys {
        let (wanted, theirs) = (wanted.to_vec(), wanted.to_vec());
        let boards = Inputs::open("keys", move |device| has_any(device, &theirs).then(Vec::new));
        Keys { wanted, boards, events: VecDeque::new() }
    }

    /// What to poll for reading before [`Keys::read`]; another set after each read, since keyboards come and go.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.boards.fds()
    }

    /// The next event of a wanted key, if any; to be called until there is none.
    pub fn read(&mut self, now: Instant) -> Option<KeyEvent> {
        if self.events.is_empty() {
            let Keys { wanted, boards, events } = self;
            boards.read(|read| match read {
                Read::Event(down, event, at) => {
                    let event = motion_of(event.destructure()).filter(|(key, _)| wanted.contains(key));
                    events.extend(event.and_then(|(key, motion)| moved(down, key, motion, at)));
                }
                Read::Lost(down, device) => {
                    let still = device.get_key_state().ok();
                    let is_up = |key: &mut Key| still.as_ref().is_none_or(|keys| !keys.contains(key.0));
                    events.extend(down.extract_if(.., is_up).map(|key| up(key, now)));
                }
                Read::Gone(down) => events.extend(down.into_iter().map(|key| up(key, now))),
            });
        }
        self.events.pop_front()
    }
}

fn up(key: Key, at: Instant) -> KeyEvent {
    KeyEvent { key, motion: KeyMotion::Up, at }
}

/// Keeps the list of keys that are down; a motion that does not fit it is none.
fn moved(down: &mut Vec<Key>, key: Key, motion: KeyMotion, at: Instant) -> Option<KeyEvent> {
    let place = down.iter().position(|one| *one == key);
    match (motion, place) {
        (KeyMotion::Down, None) if down.len() < DOWN_MAX => down.push(key),
        (KeyMotion::Repeat, Some(_)) => {}
        (KeyMotion::Up, Some(place)) => {
            down.swap_remove(place);
        }
        _ => return None,
    }
    Some(KeyEvent { key, motion, at })
}

fn motion_of(event: EventSummary) -> Option<(Key, KeyMotion)> {
    let EventSummary::Key(_, code, value) = event else { return None };
    let motion = match value {
        0 => KeyMotion::Up,
        1 => KeyMotion::Down,
        2 => KeyMotion::Repeat,
        _ => return None,
    };
    Some((Key(code), motion))
}

#[cfg(test)]
mod tests {
    //! Goal: keys are called as people call them, and no key hangs. Method: the kernel's events, made here.
    use super::*;
    use evdev::{EventType, InputEvent};

    #[test]
    fn a_key_is_called_by_its_kernel_name_in_either_case() {
        for (text, key) in [("esc", Key::ESCAPE), ("KEY_Q", Key::Q), ("VolumeUp", Key::VOLUME_UP), ("q", Key::Q)] {
            assert_eq!(text.parse::<Key>(), Ok(key));
        }
        assert_eq!([Key::ESCAPE, Key::VOLUME_DOWN].map(|key| key.to_string()), ["esc", "volumedown"]);
        let button: Key = "btn_0".parse().unwrap();
        assert_eq!(button.to_string().parse(), Ok(button));
        assert!("escape from here".parse::<Key>().unwrap_err().contains("volumeup"));
    }

    #[test]
    fn a_press_counts_once_a_repeat_only_while_held() {
        let motion = |value| motion_of(InputEvent::new(EventType::KEY.0, KeyCode::KEY_ESC.0, value).destructure());
        let mut down = Vec::new();
        let mut told = |value| {
            let (key, motion) = motion(value)?;
            moved(&mut down, key, motion, Instant::ZERO).map(|event| event.motion)
        };
        use KeyMotion::{Down, Repeat, Up};
        let values = [2, 0, 1, 1, 2, 0, 0, 7];
        assert_eq!(
            values.map(&mut told),
            [None, None, Some(Down), None, Some(Repeat), Some(Up), None, None],
            "a repeat or a release of a key whose press was not seen is nothing"
        );
    }
}
