//! The USB port that a device is at: switched off and on by the kernel's `authorized` file, as if it were pulled out and
//! put in again.
//!
//! That file is root's, and so is the reset, unless a udev rule gives it to the station: who installs it decides.

use nix::unistd::{AccessFlags, access};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel shows its devices.
const SYS: &str = "/sys";

/// A USB device at its port, which this program may switch off and on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbPort {
    authorized: PathBuf,
}

impl UsbPort {
    /// The port of the camera at `node`, which may be one of its stable names; `None` where it is at none, or may not be
    /// reset.
    pub fn of_camera(node: &Path) -> Option<UsbPort> {
        let node = fs::canonicalize(node).ok()?;
        UsbPort::above(&Path::new(SYS).join("class/video4linux").join(node.file_name()?))
    }

    /// The port of the sound card of an ALSA name, likewise. A name that says no card (`default`) has none.
    pub fn of_sound_card(pcm: &str) -> Option<UsbPort> {
        UsbPort::above(&sound_card(Path::new(SYS), pcm)?)
    }

    /// Of what stands in a class folder: the first device above it that has a maker is the one at the port.
    fn above(class: &Path) -> Option<UsbPort> {
        let real = fs::canonicalize(class).ok()?;
        let device = real.ancestors().find(|folder| folder.join("idVendor").exists())?;
        let authorized = device.join("authorized");
        access(&authorized, AccessFlags::W_OK).ok()?;
        Some(UsbPort { authorized })
    }

    /// Switches it off and on. Takes as long as its drivers need to let go of it and to find it again, up to seconds.
    ///
    /// # Errors
    /// What the kernel says to the two writes.
    pub fn reset(&self) -> io::Result<()> {
        fs::write(&self.authorized, "0")?;
        fs::write(&self.authorized, "1")
    }
}

/// The class folder of the card that a name like `hw:CARD=Device,DEV=0`, `plughw:1,0` or `hw:Device` speaks of.
fn sound_card(sys: &Path, pcm: &str) -> Option<PathBuf> {
    let (_, arguments) = pcm.split_once(':')?;
    let first = arguments.split(',').next()?;
    let card = first.strip_prefix("CARD=").unwrap_or(first);
    let class = sys.join("class/sound");
    if card.parse::<u32>().is_ok() {
        return Some(class.join(format!("card{card}")));
    }
    let is_it = |folder: &PathBuf| fs::read_to_string(folder.join("id")).is_ok_and(|id| id.trim() == card);
    fs::read_dir(class).ok()?.filter_map(Result::ok).map(|entry| entry.path()).find(is_it)
}

#[cfg(test)]
mod tests {
    //! Goal: the port that is reset is the device's own, and only one that may be. Method: folders as sysfs has them.
    use super::*;
    use std::os::unix::fs::symlink;

    struct Sys(PathBuf);

    impl Sys {
        /// A hub at a controller, and a camera with a microphone in it at the hub.
        fn new(name: &str) -> Sys {
            let root = std::env::temp_dir().join(format!("visavis-usb-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            for device in ["devices/usb1", "devices/usb1/1-1", "devices/usb1/1-1/1-1.2"] {
                fs::create_dir_all(root.join(device)).unwrap();
                fs::write(root.join(device).join("idVendor"), "046d\n").unwrap();
                fs::write(root.join(device).join("authorized"), "1\n").unwrap();
            }
            let camera = root.join("devices/usb1/1-1/1-1.2");
            for (interface, class, node) in [("1-1.2:1.0", "video4linux", "video0"), ("1-1.2:1.2", "sound", "card1")] {
                let node_folder = camera.join(interface).join(class).join(node);
                fs::create_dir_all(&node_folder).unwrap();
                fs::write(camera.join(interface).join("authorized"), "1\n").unwrap();
                fs::create_dir_all(root.join("class").join(class)).unwrap();
                symlink(&node_folder, root.join("class").join(class).join(node)).unwrap();
            }
            fs::write(camera.join("1-1.2:1.2/sound/card1/id"), "Device\n").unwrap();
            let platform = root.join("devices/platform/soc/video4linux/video1");
            fs::create_dir_all(&platform).unwrap();
            symlink(&platform, root.join("class/video4linux/video1")).unwrap();
            Sys(root)
        }
    }

    impl Drop for Sys {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_port_is_that_of_the_device_and_neither_an_interface_nor_its_hub() {
        let sys = Sys::new("port");
        let port = UsbPort::above(&sys.0.join("class/video4linux/video0")).unwrap();
        let own = fs::canonicalize(sys.0.join("devices/usb1/1-1/1-1.2/authorized")).unwrap();
        assert_eq!(port.authorized, own);
        port.reset().unwrap();
        assert_eq!(fs::read_to_string(own).unwrap(), "1", "it is on again");
        for name in ["hw:CARD=Device,DEV=0", "plughw:1,0", "hw:Device"] {
            let card = sound_card(&sys.0, name).unwrap();
            assert_eq!(UsbPort::above(&card), Some(port.clone()), "{name}");
        }
        assert!(sound_card(&sys.0, "default").is_none() && sound_card(&sys.0, "hw:Other").is_none());
    }

    #[test]
    fn what_is_at_no_port_or_may_not_be_reset_has_none() {
        let sys = Sys::new("none");
        assert_eq!(UsbPort::above(&sys.0.join("class/video4linux/video1")), None, "a board's own camera");
        assert_eq!(UsbPort::above(&sys.0.join("class/video4linux/video7")), None);
        fs::remove_file(sys.0.join("devices/usb1/1-1/1-1.2/authorized")).unwrap();
        assert_eq!(UsbPort::above(&sys.0.join("class/video4linux/video0")), None);
        assert_eq!(UsbPort::of_camera(Path::new("/dev/null")), None);
    }
}
