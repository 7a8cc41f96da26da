//! The kernel's input nodes (evdev): those that are wanted, also when they are plugged in later.
//!
//! Missing permissions are no fault: a station at a door has no keyboard, and one that is run in a terminal reads that
//! instead.

use crate::time::Instant;
use core::time::Duration;
use evdev::InputEvent;
use evdev::raw_stream::RawDevice;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Where the kernel's input nodes are.
const FOLDER: &str = "/dev/input";
/// Nodes open at once: more than a board has sockets, hubs included.
const NODES_MAX: usize = 32;

nix::ioctl_write_ptr!(
    /// EVIOCSCLOCKID: which clock stamps this reader's events; CLOCK_REALTIME unless told otherwise.
    set_clock,
    b'E',
    0xa0,
    nix::libc::c_int
);

/// An open node, with what its reader remembers of it.
#[derive(Debug)]
struct Node<T> {
    path: PathBuf,
    device: RawDevice,
    state: T,
}

/// What becomes of a node that is no longer there.
#[derive(Debug)]
pub(super) enum Read<'n, T> {
    /// An event, with the time of its interrupt.
    Event(&'n mut T, &'n InputEvent, Instant),
    /// Some events were lost, since nobody read them in time: what the device says of itself now.
    Lost(&'n mut T, &'n RawDevice),
    /// It was pulled out.
    Gone(T),
}

/// The state that reading a device begins with; none where it is not wanted.
type Wanted<T> = Box<dyn Fn(&RawDevice) -> Option<T> + Send>;

/// All nodes that `wanted` has a state for.
pub(super) struct Inputs<T> {
    /// What the nodes are for, in the message about missing permissions: "keys".
    what: &'static str,
    wanted: Wanted<T>,
    nodes: Vec<Node<T>>,
    /// Tells of nodes that come, and of nodes whose permissions change, which udev does a moment later.
    watch: Option<Inotify>,
    has_complained: bool,
}

impl<T> Inputs<T> {
    /// Opens every node that is wanted and may be opened; none is as well.
    pub(super) fn open(what: &'static str, wanted: impl Fn(&RawDevice) -> Option<T> + Send + 'static) -> Inputs<T> {
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        let mut inputs = Inputs { what, wanted: Box::new(wanted), nodes: Vec::new(), watch, has_complained: false };
        inputs.watch_folder();
        inputs.scan();
        inputs
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
            if self.nodes.len() >= NODES_MAX || self.nodes.iter().any(|known| known.path == path) {
                continue;
            }
            match self.open_node(&path) {
                Ok(Some((device, state))) => self.nodes.push(Node { path, device, state }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !self.has_complained => {
                    self.has_complained = true;
                    let (path, what) = (path.display(), self.what);
                    tracing::info!("{path}: {what} are not read: {error}; join group `input` to use them");
                }
                // Gone again, or not ready yet: its change of attributes brings us back.
                Err(_) => {}
            }
        }
    }

    /// A node, opened so that reading it does not block, with the clock that everything else has.
    fn open_node(&self, path: &Path) -> io::Result<Option<(RawDevice, T)>> {
        let device = RawDevice::open(path)?;
        let Some(state) = (self.wanted)(&device) else { return Ok(None) };
        let flags = OFlag::from_bits_retain(fcntl(&device, FcntlArg::F_GETFL)?);
        fcntl(&device, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        // SAFETY: the descriptor is that of an open evdev node, and the kernel only reads the number.
        unsafe { set_clock(device.as_raw_fd(), &nix::libc::CLOCK_MONOTONIC) }?;
        Ok(Some((device, state)))
    }

    /// Whether there is any.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What to poll for reading before [`Inputs::read`]; another set after each read, since devices come and go.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watch.iter().map(AsFd::as_fd).chain(self.nodes.iter().map(|node| node.device.as_fd()))
    }

    /// Reads what is there, and follows devices that come and go.
    pub(super) fn read(&mut self, mut take: impl FnMut(Read<'_, T>)) {
        self.follow_changes();
        for node in &mut self.nodes {
            let Node { device, state, .. } = node;
            let mut has_lost = false;
            if let Ok(events) = device.fetch_events() {
                for event in events {
                    has_lost |= matches!(
                        event.destructure(),
                        evdev::EventSummary::Synchronization(_, evdev::SynchronizationCode::SYN_DROPPED, _)
                    );
                    take(Read::Event(state, &event, stamp(&event)));
                }
            }
            if has_lost {
                take(Read::Lost(state, device));
            }
        }
        // A node that was pulled out cannot be asked for anything any more.
        let gone = |node: &mut Node<T>| device_is_gone(&node.device);
        for node in self.nodes.extract_if(.., gone) {
            take(Read::Gone(node.state));
        }
    }

    fn follow_changes(&mut self) {
        let Some(watch) = &self.watch else { return };
        if watch.read_events().is_ok_and(|events| !events.is_empty()) {
            self.watch_folder();
            self.scan();
        }
    }
}

impl<T> core::fmt::Debug for Inputs<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inputs").field("what", &self.what).field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

fn device_is_gone(device: &RawDevice) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fd = [PollFd::new(device.as_fd(), PollFlags::empty())];
    // evdev hangs up as the device goes (evdev_poll).
    poll(&mut fd, PollTimeout::ZERO).is_ok() && fd[0].revents().is_some_and(|r| r.contains(PollFlags::POLLHUP))
}

/// The kernel's time stamp; a `SystemTime` by the crate's type, CLOCK_MONOTONIC by what the node was told.
fn stamp(event: &InputEvent) -> Instant {
    Instant::ZERO + event.timestamp().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// The paths of all nodes, in order of their numbers.
pub(super) fn all_nodes() -> Vec<PathBuf> {
    nodes(Path::new(FOLDER))
}

fn nodes(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("event")?.parse::<u32>().ok();
    let mut nodes: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| number(p).is_some()).collect();
    nodes.sort_by_key(number);
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn no_device_is_no_fault_and_no_event() {
        let mut inputs = Inputs::open("keys", |_: &RawDevice| None::<()>);
        assert!(inputs.fds().count() >= 1, "the folder is watched, so that one may come");
        inputs.read(|event| panic!("{event:?}"));
    }
}
