//! Lines that are driven: lamps, relays, the strike of a door. Off when claimed, off when let go.

use super::{CONSUMER, LineSpec, claim_fault, fault, find};
use crate::device::fault::{Fault, FaultKind};
use gpiocdev::Request;
use gpiocdev::line::{Offset, Value};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// A line to be driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRequest {
    /// Which.
    pub line: LineSpec,
    /// Whether a low level is what switches the thing on.
    pub active_low: bool,
}

/// A claimed line, off at first and off at last.
#[derive(Debug)]
pub struct Output {
    spec: LineSpec,
    request: Request,
    offset: Offset,
    chip: PathBuf,
    is_on: bool,
}

impl Output {
    /// Claims a line, and switches it off in the same call.
    ///
    /// # Errors
    /// Absent where it is not there, unusable where it is taken, with who has it.
    pub fn open(request: &OutputRequest) -> Result<Output, Fault> {
        let found = find(&request.line)?;
        let mut builder = Request::builder();
        builder.on_chip(&found.chip).with_consumer(CONSUMER).with_line(found.offset).as_output(Value::Inactive);
        if request.active_low {
            builder.as_active_low();
        }
        let doing = "claim the line (GPIO_V2_GET_LINE)";
        let claimed = builder.request().map_err(|error| claim_fault(&request.line, &found, doing, &error))?;
        Ok(Output {
            spec: request.line.clone(),
            request: claimed,
            offset: found.offset,
            chip: found.chip,
            is_on: false,
        })
    }

    /// Switches it; the same again is no call.
    ///
    /// # Errors
    /// A fault of the chip, mostly that it is gone; the line is then to be dropped and claimed anew.
    pub fn set(&mut self, is_on: bool) -> Result<(), Fault> {
        if is_on != self.is_on {
            let done = self.request.set_value(self.offset, Value::from(is_on));
            done.map_err(|error| fault(&self.spec, "switch it (GPIO_V2_LINE_SET_VALUES)", &error))?;
            self.is_on = is_on;
        }
        Ok(())
    }

    /// Whether it was last switched on.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether its chip was pulled out; its descriptor can then be read, and never is otherwise.
    pub fn is_gone(&self) -> bool {
        let mut fd = [PollFd::new(self.request.as_fd(), PollFlags::POLLIN)];
        poll(&mut fd, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// The fault of a chip that is gone.
    pub fn gone(&self) -> Fault {
        Fault::plain(FaultKind::Absent, self.spec.to_string(), "reach its chip", "it is gone; it is looked for again")
    }

    /// Why the line would stay as it is if this program were killed, in words that name the remedy; `None` where the
    /// kernel lets it fall, which it does by itself for every driver but those that were told otherwise.
    pub fn stays_when_killed(&self) -> Option<String> {
        persistence(Path::new("/sys/bus/gpio/devices"), &self.chip)
    }
}

/// Raspberry Pi's kernels keep outputs that nobody holds any more, for the sake of one-shot tools (`gpioset`).
fn persistence(devices: &Path, chip: &Path) -> Option<String> {
    let device = fs::canonicalize(devices.join(chip.file_name()?)).ok()?;
    let module = fs::canonicalize(device.parent()?.join("driver/module")).ok()?;
    let setting = fs::read_to_string(module.join("parameters/persist_gpio_outputs")).ok()?;
    let name = module.file_name()?.to_string_lossy().into_owned();
    (setting.trim() == "Y").then(|| {
        format!(
            "the kernel would leave this line on if visavis were killed ({name}.persist_gpio_outputs=Y): add the line \
             dtparam=strict_gpiod to /boot/firmware/config.txt and reboot"
        )
    })
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.request.as_fd()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // A chip that is gone drives nothing.
        let _ = self.set(false);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a kernel that leaves lines on is found out. Method: sysfs as it is on a Pi, in a temporary folder.
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_driver_that_keeps_outputs_is_named_with_the_remedy() {
        let root = std::env::temp_dir().join(format!("visavis-persist-{}", std::process::id()));
        let (device, module) = (root.join("soc/3f200000.gpio"), root.join("module/pinctrl_bcm2835"));
        fs::create_dir_all(device.join("gpiochip0")).unwrap();
        fs::create_dir_all(device.join("driver")).unwrap();
        fs::create_dir_all(module.join("parameters")).unwrap();
        fs::create_dir_all(root.join("devices")).unwrap();
        symlink(&module, device.join("driver/module")).unwrap();
        symlink(device.join("gpiochip0"), root.join("devices/gpiochip0")).unwrap();
        let said = || persistence(&root.join("devices"), Path::new("/dev/gpiochip0"));
        assert_eq!(said(), None, "a driver without such a setting");
        for (setting, stays) in [("N\n", false), ("Y\n", true)] {
            fs::write(module.join("parameters/persist_gpio_outputs"), setting).unwrap();
            assert_eq!(said().is_some(), stays, "{setting}");
        }
        let said = said().unwrap();
        assert!(said.contains("pinctrl_bcm2835") && said.contains("strict_gpiod"), "{said}");
        fs::remove_dir_all(root).unwrap();
    }
}
