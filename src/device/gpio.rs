//! GPIO lines through the character device (uAPI v2): buttons in, lamps and relays out.
//!
//! A line is called by its name (`BTN_CALL`) or by its chip, in turn by name or label, and its offset
//! (`gpiochip0:17`). What is claimed carries the consumer name `visavis`, and is free again as its [`Input`] or
//! [`Output`] is dropped, or as the kernel closes it for a process that was killed.

mod debounce;
mod input;
mod output;

pub use input::{Bias, Edge, Input, InputRequest};
pub use output::{Output, OutputRequest};

use super::fault::{Fault, FaultKind};
use core::fmt;
use core::str::FromStr;
use gpiocdev::chip::{self, Chip};
use gpiocdev::line::Offset;
use nix::errno::Errno;
use std::path::PathBuf;

/// Who has our lines, as `gpioinfo` shows it.
const CONSUMER: &str = "visavis";

/// The longest name that the kernel gives a line: GPIO_MAX_NAME_SIZE with its terminating zero.
const NAME_BYTES_MAX: usize = 31;

/// How the installer calls a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineSpec {
    /// The line's own name, unique on this machine.
    Name(String),
    /// A place on a chip.
    Place {
        /// The chip's name (`gpiochip0`), path or label (`pinctrl-bcm2835`).
        chip: String,
        /// Its number on the chip, from 0.
        offset: Offset,
    },
}

impl FromStr for LineSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<LineSpec, String> {
        let text = text.trim();
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("a line's name is wanted here, such as BTN_CALL, or a place, such as gpiochip0:17".into());
        }
        // Labels may hold colons themselves; only a number after the last one makes it a place.
        if let Some((chip, offset)) = text.rsplit_once(':')
            && let Ok(offset) = offset.parse()
            && !chip.is_empty()
        {
            return Ok(LineSpec::Place { chip: chip.into(), offset });
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(format!("`{text}` is longer than any line's name ({NAME_BYTES_MAX} bytes)"));
        }
        Ok(LineSpec::Name(text.into()))
    }
}

impl fmt::Display for LineSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineSpec::Name(name) => f.write_str(name),
            LineSpec::Place { chip, offset } => write!(f, "{chip}:{offset}"),
        }
    }
}

/// Where a line is at the moment.
#[derive(Debug)]
struct Found {
    chip: PathBuf,
    offset: Offset,
    /// Who uses it, where somebody does.
    holder: Option<String>,
}

const FINDING: &str = "find the line";

/// Looks for a line on all chips.
fn find(spec: &LineSpec) -> Result<Found, Fault> {
    let mut found = Vec::new();
    let mut refused = None;
    for path in chip::chips().unwrap_or_default() {
        match look(&path, spec) {
            Ok(lines) => found.extend(lines),
            Err(error) => refused = Some(fault(spec, "open the chip", &error)),
        }
    }
    if found.len() > 1 {
        let places: Vec<_> = found.iter().map(|f| format!("{}:{}", f.chip.display(), f.offset)).collect();
        let remedy = format!("{} are called so; name one of these places instead", places.join(" and "));
        return Err(Fault::plain(FaultKind::Unusable, spec.to_string(), FINDING, remedy));
    }
    // A chip that may not be opened may be the one that has it.
    found.pop().ok_or_else(|| {
        let remedy = "no chip has it; `visavis devices` lists chips and the lines that have names";
        refused.unwrap_or_else(|| Fault::plain(FaultKind::Absent, spec.to_string(), FINDING, remedy))
    })
}

/// The lines of one chip that `spec` may mean.
fn look(path: &PathBuf, spec: &LineSpec) -> Result<Vec<Found>, gpiocdev::Error> {
    let chip = Chip::from_path(path)?;
    let found = |info: gpiocdev::line::Info| Found {
        chip: path.clone(),
        offset: info.offset,
        holder: info.used.then_some(info.consumer),
    };
    match spec {
        LineSpec::Name(name) => {
            let lines = chip.line_info_iter()?.flatten();
            Ok(lines.filter(|info| info.name == *name).map(found).collect())
        }
        LineSpec::Place { chip: called, offset } => {
            let is_it = path.ends_with(called) || path.as_os_str() == called.as_str() || chip.info()?.label == *called;
            if !is_it || *offset >= chip.info()?.num_lines {
                return Ok(Vec::new());
            }
            Ok(vec![found(chip.line_info(*offset)?)])
        }
    }
}

/// What the kernel said, where it was the kernel.
fn errno(error: &gpiocdev::Error) -> Option<Errno> {
    match error {
        gpiocdev::Error::Os(errno) | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(errno)) => {
            Some(Errno::from_raw(errno.0))
        }
        _ => None,
    }
}

fn fault(spec: &LineSpec, doing: &'static str, error: &gpiocdev::Error) -> Fault {
    match errno(error) {
        Some(errno) => Fault::new(spec.to_string(), doing, errno),
        None => Fault::plain(FaultKind::Unusable, spec.to_string(), doing, error.to_string()),
    }
}

/// Why a line could not be claimed.
fn claim_fault(spec: &LineSpec, found: &Found, doing: &'static str, error: &gpiocdev::Error) -> Fault {
    let mut fault = fault(spec, doing, error);
    match fault.errno {
        Some(Errno::EBUSY) => {
            fault.remedy = match found.holder.as_deref() {
                Some(CONSUMER) => "another visavis on this machine has it".into(),
                Some(holder) if !holder.is_empty() => format!("in use by {holder}"),
                _ => "another program or a driver has it".into(),
            };
        }
        // An expander without its interrupt wired, or a chip that has none.
        Some(Errno::ENXIO | Errno::EOPNOTSUPP) => {
            fault.kind = FaultKind::Unusable;
            fault.remedy = "its chip reports no changes (it has no interrupt); take a line of another chip".into();
        }
        _ => {}
    }
    fault
}

#[cfg(test)]
mod tests {
    //! Goal: whatever an installer writes for a line is understood or answered. Method: notation there and back.
    use super::*;

    #[test]
    fn a_line_is_called_by_name_or_by_place() {
        let place = |chip: &str, offset| LineSpec::Place { chip: chip.into(), offset };
        for (text, line) in [
            ("BTN_CALL", LineSpec::Name("BTN_CALL".into())),
            ("gpiochip0:17", place("gpiochip0", 17)),
            ("/dev/gpiochip4:3", place("/dev/gpiochip4", 3)),
            ("1-0020:7", place("1-0020", 7)),
            ("i2c:expander:7", place("i2c:expander", 7)),
            ("DOOR:OPEN", LineSpec::Name("DOOR:OPEN".into())),
        ] {
            assert_eq!(text.parse::<LineSpec>().as_ref(), Ok(&line));
            assert_eq!(line.to_string(), text);
        }
        for text in ["", "  ", "a\u{7}b", "a_name_that_no_kernel_could_have_stored"] {
            assert!(text.parse::<LineSpec>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_nowhere_is_absent_and_the_remedy_says_where_to_look() {
        let fault = find(&LineSpec::Name("NO_SUCH_LINE".into())).expect_err("nowhere");
        assert!(matches!(fault.kind, FaultKind::Absent | FaultKind::Unusable), "{fault}");
        assert!(fault.to_string().contains("visavis devices"), "{fault}");
    }
}
