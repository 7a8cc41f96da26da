//! The terminal that a person started the program on: single keys, and its settings put back whatever happens.

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

/// The settings as they were, for the signal handler; there is one controlling terminal at most.
static SAVED: OnceLock<nix::libc::termios> = OnceLock::new();

/// Keys come one by one and are not echoed, while this lives. Ctrl-C still makes a signal.
#[derive(Debug)]
pub struct SingleKeys {
    before: Termios,
}

impl SingleKeys {
    /// Switches standard input; `None` where that is not a terminal.
    pub fn new() -> Option<SingleKeys> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok()?;
        let _ = SAVED.set(before.clone().into());
        let mut keys = before.clone();
        keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // A read returns what is there, be it nothing: it is only called after a poll, and must never block.
        keys.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        keys.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&stdin, SetArg::TCSANOW, &keys).ok()?;
        Some(SingleKeys { before })
    }

    /// Reads what was typed, up to `bytes.len()` bytes.
    pub fn read<'b>(&self, bytes: &'b mut [u8]) -> &'b [u8] {
        let n = nix::unistd::read(io::stdin().as_fd(), bytes).unwrap_or(0);
        &bytes[..n]
    }
}

impl AsFd for SingleKeys {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: descriptor 0 is standard input for the life of the process; a `SingleKeys` exists only if it is open.
        unsafe { BorrowedFd::borrow_raw(0) }
    }
}

impl Drop for SingleKeys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// From now on SIGINT and SIGTERM ask for the program's end by writing to the returned pipe; a second one ends it at
/// once, with the terminal's settings put back and the shell's status for that signal.
///
/// # Errors
/// Where the process is out of file descriptors.
pub fn interrupts() -> io::Result<std::os::unix::net::UnixStream> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    for signal in [SIGINT, SIGTERM] {
        let asked = Arc::new(AtomicBool::new(false));
        // SAFETY: the action does nothing but an atomic swap, tcsetattr and _exit, all async-signal-safe
        // (signal-safety(7)); reading a OnceLock that is set is a load.
        unsafe {
            signal_hook::low_level::register(signal, move || {
                if asked.swap(true, Ordering::SeqCst) {
                    if let Some(saved) = SAVED.get() {
                        nix::libc::tcsetattr(0, nix::libc::TCSANOW, saved);
                    }
                    nix::libc::_exit(128 + signal);
                }
            })?;
        }
        signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(reader)
}
