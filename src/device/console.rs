//! The text console, told to keep off the screen while pictures are on it.

use nix::libc::c_int;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};

/// `linux/kd.h`: text mode, in which the kernel draws.
const KD_TEXT: c_int = 0;
/// `linux/kd.h`: graphics mode, in which it does not.
const KD_GRAPHICS: c_int = 1;

mod ioctl {
    nix::ioctl_read_bad!(kd_get_mode, 0x4b3b, nix::libc::c_int);
    nix::ioctl_write_int_bad!(kd_set_mode, 0x4b3a);
}

/// A virtual terminal switched to graphics mode; the drop switches it back.
///
/// After a SIGKILL there is no drop: a unit that runs the station should say `TTYReset=yes`.
#[derive(Debug)]
pub struct Console {
    terminal: File,
}

impl Console {
    /// Switches the terminal that we run on, else the one on the screen. `None` where there is none, where it may not
    /// be switched, or where somebody (a desktop) has done so already: then there is nothing to keep off.
    pub fn graphics() -> Option<Console> {
        // Our own standard input, when it is the terminal on the screen; the controlling terminal, when it is
        // redirected; the foreground terminal, for a service (needs root or group tty).
        let own = std::io::stdin().as_fd().try_clone_to_owned().ok().map(File::from);
        let open = |path| OpenOptions::new().read(true).write(true).open(path).ok();
        [own, open("/dev/tty"), open("/dev/tty0")].into_iter().flatten().find_map(Console::take)
    }

    fn take(terminal: File) -> Option<Console> {
        let mut mode = KD_GRAPHICS;
        // SAFETY: KDGETMODE writes one int to the given place; on what is no virtual terminal it fails with ENOTTY.
        unsafe { ioctl::kd_get_mode(terminal.as_raw_fd(), &raw mut mode) }.ok()?;
        if mode != KD_TEXT {
            return None;
        }
        // SAFETY: KDSETMODE takes its argument by value and touches no memory of ours.
        unsafe { ioctl::kd_set_mode(terminal.as_raw_fd(), KD_GRAPHICS) }.ok()?;
        Some(Console { terminal })
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // SAFETY: as in `take`. A failure leaves the terminal dark, and nobody is left to be told.
        let _ = unsafe { ioctl::kd_set_mode(self.terminal.as_raw_fd(), KD_TEXT) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode() -> Option<c_int> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty0").ok()?;
        let mut mode = -1;
        // SAFETY: as in `Console::take`.
        unsafe { ioctl::kd_get_mode(terminal.as_raw_fd(), &raw mut mode) }.ok()?;
        Some(mode)
    }

    #[test]
    fn a_terminal_is_in_graphics_mode_while_it_is_held_and_no_longer() {
        if std::env::var_os("VISAVIS_LAB").is_none() || mode().is_none() {
            println!("skipped: this needs a kernel of its own with a virtual terminal (VISAVIS_LAB=1)");
            return;
        }
        let console = Console::graphics();
        assert!(console.is_some() && mode() == Some(KD_GRAPHICS));
        assert!(Console::graphics().is_none(), "it is held already");
        drop(console);
        assert_eq!(mode(), Some(KD_TEXT));
    }
}
