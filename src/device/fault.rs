//! What can go wrong with a device, in words that the installer can act on.

use core::fmt;
use nix::errno::Errno;

/// What a fault means for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Not there, or gone: it is looked for again, with growing pauses.
    Absent,
    /// There, but nothing moves: it is closed and opened again.
    Stalled,
    /// There, but not usable as configured (wrong format, no permission, busy): retried too, since a group or a cable
    /// may change, but only slowly.
    Unusable,
    /// A file that is not looped has come to its end: not opened again.
    Ended,
}

/// One fault of one device.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What follows from it.
    pub kind: FaultKind,
    /// The device, as the installer calls it.
    pub device: String,
    /// What was being done, with the system call: `start streaming (VIDIOC_STREAMON)`.
    pub doing: &'static str,
    /// What the kernel said, if it was the kernel.
    pub errno: Option<Errno>,
    /// What to do about it, or what exactly was wrong, in plain words; may be empty.
    pub remedy: String,
}

impl Fault {
    /// A fault whose kind and remedy follow from the errno: gone devices are absent, timeouts stalled, the rest unusable.
    pub fn new(device: impl Into<String>, doing: &'static str, error: impl Into<std::io::Error>) -> Fault {
        let error = error.into();
        let errno = error.raw_os_error().map(Errno::from_raw);
        let (kind, remedy) = match errno {
            Some(Errno::ENODEV | Errno::ENOENT | Errno::ENXIO | Errno::EIO | Errno::EPIPE) => {
                (FaultKind::Absent, String::new())
            }
            Some(Errno::ETIMEDOUT) => (FaultKind::Stalled, String::new()),
            Some(Errno::EACCES | Errno::EPERM) => {
                (FaultKind::Unusable, "this user may not open it; `visavis devices` names the group to join".into())
            }
            Some(Errno::EBUSY) => (FaultKind::Unusable, "another program has it open".into()),
            Some(_) => (FaultKind::Unusable, String::new()),
            None => (FaultKind::Unusable, error.to_string()),
        };
        Fault { kind, device: device.into(), doing, errno, remedy }
    }

    /// A fault that no system call reported.
    pub fn plain(kind: FaultKind, device: impl Into<String>, doing: &'static str, remedy: impl Into<String>) -> Fault {
        Fault { kind, device: device.into(), doing, errno: None, remedy: remedy.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot {}", self.device, self.doing)?;
        if let Some(errno) = self.errno {
            write!(f, ": {} ({errno:?})", errno.desc())?;
        }
        if !self.remedy.is_empty() {
            write!(f, ": {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
