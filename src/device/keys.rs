//! Local keyboards: Esc and q hang up.
//!
//! All keyboards count, also those that are plugged in later. Missing permissions are no fault: a station at a door has
//! no keyboard, and one that is run in a terminal reads that instead.

use evdev::raw_stream::RawDevice;
use evdev::{EventSummary, KeyCode};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Where the kernel's input nodes are.
const FOLDER: &str = "/dev/input";

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Esc.
    Escape,
    /// q.
    Q,
}

/// All keyboards of this machine.
#[derive(Debug)]
pub struct Keys {
    boards: Vec<(PathBuf, RawDevice)>,
    /// Tells of nodes that come, and of nodes whose permissions change, which udev does a moment later.
    watch: Option<Inotify>,
    pressed: VecDeque<Key>,
    has_complained: bool,
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
        let device = RawDevice::open(&path).map(|d| (d.name().unwrap_or("unnamed").to_owned(), has_our_keys(&d)));
        InputInfo { path, device }
    };
    nodes(Path::new(FOLDER)).into_iter().map(describe).collect()
}

fn nodes(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("event")?.parse::<u32>().ok();
    let mut nodes: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| number(p).is_some()).collect();
    nodes.sort_by_key(number);
    nodes
}

fn has_our_keys(device: &RawDevice) -> bool {
    device.supported_keys().is_some_and(|keys| keys.contains(KeyCode::KEY_ESC) || keys.contains(KeyCode::KEY_Q))
}

impl Keys {
    /// Opens every keyboard that may be opened; none is as well.
    pub fn open() -> Keys {
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        let mut keys = Keys { boards: Vec::new(), watch, pressed: VecDeque::new(), has_complained: false };
        keys.watch_folder();
        keys.scan();
        keys
    }

    /// Watches the folder of nodes, or its parent until it is there: the first device makes it.
    fn watch_folder(&self) {
        let Some(watch) = &self.watch else { return };
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ATTRIB;
        if watch.add_watch(FOLDER, flags).is_err() {
            let _ = watch.add_watch("/dev", AddWatchFlags::IN_CREATE);
        }
    }

    fn scan(&mut self) {
        for path in nodes(Path::new(FOLDER)) {
            if self.boards.iter().any(|(known, _)| *known == path) {
                continue;
            }
            match open_board(&path) {
                Ok(Some(device)) => self.boards.push((path, device)),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !self.has_complained => {
                    self.has_complained = true;
                    tracing::info!("{}: keys are not read: {error}; join group `input` to use them", path.display());
                }
                // Gone again, or not ready yet: its change of attributes brings us back.
                Err(_) => {}
            }
        }
    }

    /// What to poll for reading before [`Keys::read`]; another set after each read, since keyboards come and go.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watch.iter().map(AsFd::as_fd).chain(self.boards.iter().map(|(_, device)| device.as_fd()))
    }

    /// The next key that was pressed, if any; to be called until there is none.
    pub fn read(&mut self) -> Option<Key> {
        if self.pressed.is_empty() {
            self.follow_changes();
            let pressed = &mut self.pressed;
            self.boards.retain_mut(|(_, device)| match device.fetch_events() {
                Ok(events) => {
                    pressed.extend(events.filter_map(|event| key_of(event.destructure())));
                    true
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            });
        }
        self.pressed.pop_front()
    }

    fn follow_changes(&mut self) {
        let Some(watch) = &self.watch else { return };
        if watch.read_events().is_ok_and(|events| !events.is_empty()) {
            self.watch_folder();
            self.scan();
        }
    }
}

/// A keyboard with our keys, opened so that reading it does not block.
fn open_board(path: &Path) -> io::Result<Option<RawDevice>> {
    let device = RawDevice::open(path)?;
    if !has_our_keys(&device) {
        return Ok(None);
    }
    let flags = OFlag::from_bits_retain(fcntl(&device, FcntlArg::F_GETFL)?);
    fcntl(&device, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(Some(device))
}

fn key_of(event: EventSummary) -> Option<Key> {
    // 1 is a press; 2 a repeat of a key held down, which is not another press; 0 a release.
    match event {
        EventSummary::Key(_, KeyCode::KEY_ESC, 1) => Some(Key::Escape),
        EventSummary::Key(_, KeyCode::KEY_Q, 1) => Some(Key::Q),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evdev::{EventType, InputEvent};

    #[test]
    fn a_press_counts_once_and_other_keys_do_not() {
        let event = |key: KeyCode, value| key_of(InputEvent::new(EventType::KEY.0, key.0, value).destructure());
        assert_eq!([event(KeyCode::KEY_ESC, 1), event(KeyCode::KEY_Q, 1)], [Some(Key::Escape), Some(Key::Q)]);
        for value in [0, 2] {
            assert_eq!(event(KeyCode::KEY_ESC, value), None);
        }
        assert_eq!(event(KeyCode::KEY_W, 1), None);
    }

    #[test]
    fn nodes_are_listed_in_their_number_s_order() {
        let folder = std::env::temp_dir().join(format!("visavis-input-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["event10", "event9", "mouse0", "eventx", "by-id"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(nodes(&folder), ["event9", "event10"].map(|name| folder.join(name)));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_keyboard_is_no_fault_and_no_key() {
        let mut keys = Keys::open();
        assert!(keys.fds().count() >= 1, "the folder is watched, so that one may come");
        let _ = keys.read();
    }
}
