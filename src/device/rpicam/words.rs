//! What the program says on its standard error: into our log, bounded, and the reason of its end out of it.

use crate::device::FaultKind;
use crate::time::{Instant, Seldom};
use nix::errno::Errno;
use nix::unistd::read;
use std::os::fd::AsFd;

/// As much of a line as is kept: libcamera's complaints with the place in its source are about this long.
const LINE_MAX: usize = 240;
/// Read at once, and at one call, however much it says.
const READ_BYTES: usize = 1_024;

/// What the program says when it gives up (`rpicam_app.cpp`, `options.cpp`, `dma_heaps.cpp`), what that means, and what
/// to do about it.
const REASONS: [(&str, FaultKind, &str); 8] = [
    (
        "no cameras available",
        FaultKind::Absent,
        "no camera module answers; sit its ribbon cable in anew with the board switched off, and have \
         camera_auto_detect=1 in config.txt (or the dtoverlay of its sensor)",
    ),
    (
        "selected camera is not available",
        FaultKind::Absent,
        "there is no camera module of this number; `visavis devices` lists them",
    ),
    ("failed to acquire camera", FaultKind::Unusable, "another program has it open"),
    ("in use by another process", FaultKind::Unusable, "another program has it open"),
    (
        "legacy camera stack",
        FaultKind::Unusable,
        "the system is set up for the old camera stack; take start_x=1 out of config.txt, and start anew",
    ),
    (
        "only supports the Raspberry Pi platforms",
        FaultKind::Unusable,
        "rpicam-vid does not know this board, or this user may not open /dev/video*: `visavis devices` names the group",
    ),
    (
        "dmaHeap allocation failure",
        FaultKind::Unusable,
        "no contiguous memory left for its buffers; give the kernel more (cma=) or choose a smaller [camera] size",
    ),
    (
        "Could not open any dmaHeap",
        FaultKind::Unusable,
        "this user may not open /dev/dma_heap; the group video may, by visavis' udev rules",
    ),
];

/// The program's words so far, of which little is kept.
#[derive(Debug, Default)]
pub(super) struct Words {
    line: heapless::Vec<u8, LINE_MAX>,
    last_error: String,
    reason: Option<(FaultKind, &'static str)>,
    said: Seldom,
}

impl Words {
    /// Reads what it has said; whether there may be more one day.
    pub(super) fn listen(&mut self, pipe: impl AsFd, now: Instant) -> bool {
        let mut buffer = [0; READ_BYTES];
        match read(&pipe, &mut buffer) {
            Ok(0) => {
                self.end_line(now);
                false
            }
            Ok(got) => {
                self.take(&buffer[..got], now);
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => true,
            Err(_) => false,
        }
    }

    fn take(&mut self, bytes: &[u8], now: Instant) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(now),
                // The end of a long line is not kept.
                byte => _ = self.line.push(*byte),
            }
        }
    }

    fn end_line(&mut self, now: Instant) {
        let line = String::from_utf8_lossy(&self.line);
        let line: String = without_colours(&line).chars().filter(|c| !c.is_control()).collect();
        self.line.clear();
        if line.trim().is_empty() {
            return;
        }
        let reason = REASONS.iter().find(|(words, ..)| line.contains(words)).map(|(_, kind, remedy)| (*kind, *remedy));
        // The first is the cause, what follows from it is said after it.
        self.reason = self.reason.or(reason);
        if reason.is_none() && !line.contains("ERROR") && !line.contains("FATAL") && !line.contains("WARN") {
            tracing::debug!(device = "camera", "rpicam-vid: {line}");
            return;
        }
        if let Some(unsaid) = self.said.admit(now) {
            tracing::warn!(device = "camera", "rpicam-vid: {line}{unsaid}");
        }
        if !line.contains("WARN") {
            self.last_error = line;
        }
    }

    /// What its end means, and what to do about it where that is known.
    pub(super) fn verdict(&self) -> (FaultKind, Option<String>) {
        match self.reason {
            Some((kind, remedy)) => (kind, Some(remedy.into())),
            None => (FaultKind::Absent, None),
        }
    }

    /// The last line that was an error; may be empty.
    pub(super) fn last_error(&self) -> &str {
        &self.last_error
    }
}

/// Without the escape sequences by which libcamera colours what it says to a terminal, should it take us for one.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    //! Goal: from what the program says, the installer is told what to do. Method: its words, as its source has them.
    use super::*;
    use proptest::prelude::*;

    fn heard(text: &str) -> Words {
        let mut words = Words::default();
        words.take(text.as_bytes(), Instant::ZERO);
        words
    }

    #[test]
    fn a_missing_camera_is_absent_and_the_cable_is_named() {
        let (kind, remedy) = heard("ERROR: *** no cameras available ***\n").verdict();
        assert_eq!(kind, FaultKind::Absent);
        assert!(remedy.unwrap().contains("ribbon cable"));
    }

    #[test]
    fn a_camera_in_use_is_unusable_whatever_is_said_after_it() {
        let said = "[0:01:02.3] [991] \u{1b}[1;31mERROR \u{1b}[1;37mCamera \u{1b}[0mcamera.cpp:1 Pipeline handler in use \
                    by another process\nERROR: *** failed to acquire camera /base/soc ***\n";
        let words = heard(said);
        assert_eq!(words.verdict(), (FaultKind::Unusable, Some("another program has it open".into())));
        assert!(words.last_error().starts_with("ERROR: ***"));
    }

    #[test]
    fn what_is_not_known_is_told_as_it_was_said() {
        let words =
            heard("mode selection\n[1] INFO Camera started\n\u{1b}[1;31mERROR\u{1b}[0m V4L2 no such thing\nbye\n");
        assert_eq!((words.verdict().1, words.last_error()), (None, "ERROR V4L2 no such thing"));
    }

    proptest! {
        #[test]
        fn no_words_are_kept_beyond_a_line(text in ".*ERROR.{0,400}\n") {
            prop_assert!(heard(&text).last_error().len() <= LINE_MAX * 3);
        }
    }
}
