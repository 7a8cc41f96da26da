//! What a person at the terminal sees and does while a call runs: a live table, Esc or q, Ctrl-C.

use crate::station::{Live, View};
use crate::sys::poll;
use crate::sys::tty::SingleKeys;
use crate::sys::wake::{Stop, Wake};
use crate::sys::{clock, tty};
use crate::time::{Duration, Instant};
use nix::poll::{PollFd, PollFlags};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Between two looks at the numbers.
const REFRESH: Duration = Duration::from_secs(1);

/// Waits for the end, showing the stations' state meanwhile.
pub(super) struct Terminal {
    interrupts: UnixStream,
    /// Signalled when the stations ended by themselves.
    pub(super) ended: Wake,
}

impl Terminal {
    /// Takes over the signals.
    pub(super) fn new() -> io::Result<Terminal> {
        Ok(Terminal { interrupts: tty::interrupts()?, ended: Wake::new()? })
    }

    /// Shows `views` until a key, a signal, the end of `duration` or the stations' own end; then asks `stop`.
    pub(super) fn attend(&self, views: &[Arc<View>], duration: Option<Duration>, stop: &Stop) {
        let started_at = clock::now();
        let until = duration.map(|d| started_at + d);
        let keys = SingleKeys::new();
        let mut display = Display::new(views.len());
        let mut next = started_at + REFRESH;
        loop {
            let now = clock::now();
            if until.is_some_and(|until| now >= until) {
                break;
            }
            if now >= next {
                display.show(views, now);
                next += REFRESH;
            }
            let wake_at = until.map_or(next, |until| next.min(until));
            let mut fds = vec![
                PollFd::new(self.interrupts.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.ended.as_fd(), PollFlags::POLLIN),
            ];
            if let Some(keys) = &keys {
                fds.push(PollFd::new(keys.as_fd(), PollFlags::POLLIN));
            }
            if poll::wait(&mut fds, Some(wake_at)).is_err() || fds[..2].iter().any(poll::is_ready) {
                break;
            }
            let typed = fds.get(2).is_some_and(poll::is_ready);
            if typed && keys.as_ref().is_some_and(hang_up_typed) {
                break;
            }
        }
        stop.stop();
    }
}

/// Esc alone or q; the arrow keys, which begin with Esc, are neither.
fn hang_up_typed(keys: &SingleKeys) -> bool {
    let mut bytes = [0; 16];
    matches!(keys.read(&mut bytes), b"\x1b" | b"q" | b"Q")
}

/// The live numbers: a table that is drawn over itself on a terminal, a line a second elsewhere.
struct Display {
    redraws: bool,
    drawn_lines: usize,
    last: Vec<Option<Live>>,
}

impl Display {
    fn new(stations: usize) -> Display {
        Display { redraws: io::stderr().is_terminal(), drawn_lines: 0, last: vec![None; stations] }
    }

    fn show(&mut self, views: &[Arc<View>], now: Instant) {
        let mut text = String::new();
        if self.redraws && self.drawn_lines > 0 {
            // Up to the table's first line, and clear from there (ECMA-48 CUU and ED).
            text += &format!("\x1b[{}A\x1b[J", self.drawn_lines);
        }
        let mut lines = 0;
        for (view, last) in views.iter().zip(&mut self.last) {
            let live = view.live(now);
            let line = live.line(last.as_ref());
            text += &line;
            text.push('\n');
            lines += 1;
            *last = Some(live);
        }
        self.drawn_lines = lines;
        // A terminal that is gone is no reason to end a call.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}
