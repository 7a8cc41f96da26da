//! Which camera modules there are: what the kernel knows, and what the program says.

use super::child::{Child, program};
use crate::device::{Fault, FaultKind};
use crate::sys::{clock, poll};
use crate::time::Duration;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::read;
use std::fs;
use std::os::fd::AsFd;

/// The drivers of a Raspberry Pi's camera interfaces and image processors: their video nodes are stations of libcamera's,
/// and no cameras.
const PIPELINE: [&str; 4] = ["unicam", "rp1-cfe", "bcm2835-isp", "pispbe"];
/// Of these the interfaces, whose nodes are named after them.
const INTERFACES: [&str; 2] = ["unicam", "rp1-cfe"];

/// It tries every mode of every sensor, which takes a second or two.
const LIST_PATIENCE: Duration = Duration::from_secs(15);
/// As much as is read: a sensor has a dozen modes of a line each.
const LIST_MAX: usize = 16_384;

/// A camera module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Its number, as [`CameraSpec::Module`](crate::device::camera::CameraSpec::Module) has it.
    pub index: u8,
    /// What the program calls it: the sensor, its size, and where it is.
    pub description: String,
}

/// Whether a video node of this driver belongs to a camera module's pipeline. Its interface is a camera all the same where
/// a converter sits at it that gives pictures; its image processor never is.
pub fn is_of_pipeline(driver: &str, gives_pictures: bool) -> bool {
    PIPELINE.contains(&driver) && !(gives_pictures && INTERFACES.contains(&driver))
}

/// Whether the kernel has found a sensor at a camera interface: only then that has video nodes.
pub fn is_there() -> bool {
    let nodes = fs::read_dir("/sys/class/video4linux").into_iter().flatten().flatten();
    let names = nodes.filter_map(|node| fs::read_to_string(node.path().join("name")).ok());
    is_interface_among(names)
}

fn is_interface_among(mut names: impl Iterator<Item = String>) -> bool {
    names.any(|name| INTERFACES.iter().any(|driver| name.starts_with(driver)))
}

/// The camera modules that the program finds; `None` where it is not installed.
///
/// # Errors
/// That it cannot be started, or does not answer.
pub fn list() -> Option<Result<Vec<ModuleInfo>, Fault>> {
    let program = program()?;
    let name = program.display().to_string();
    let fault = |doing| {
        let name = name.clone();
        move |errno: Errno| Fault::new(name, doing, errno)
    };
    let child = Child::start(&program, |_| vec!["--list-cameras".into()]);
    Some(child.map_err(|e| Fault::new(&name, "start it (execve)", e)).and_then(|child| {
        let until = clock::now() + LIST_PATIENCE;
        let (mut text, mut have) = (vec![0; LIST_MAX], 0);
        while have < text.len() {
            let mut pipe = [PollFd::new(child.pictures.as_fd(), PollFlags::POLLIN)];
            poll::wait(&mut pipe, Some(until)).map_err(|e| Fault::new(&name, "wait for its list (ppoll)", e))?;
            match read(&child.pictures, &mut text[have..]) {
                Ok(0) => break,
                Ok(got) => have += got,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if clock::now() < until => {}
                Err(Errno::EAGAIN) => {
                    let remedy = "it does not answer; is another program using the camera?";
                    return Err(Fault::plain(FaultKind::Stalled, &name, "list camera modules", remedy));
                }
                Err(errno) => return Err(fault("read its list")(errno)),
            }
        }
        Ok(parse(&String::from_utf8_lossy(&text[..have])))
    }))
}

/// Lines such as `0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)`; others are modes.
fn parse(text: &str) -> Vec<ModuleInfo> {
    let module = |line: &str| {
        let (index, description) = line.split_once(" : ")?;
        Some(ModuleInfo { index: index.parse().ok()?, description: description.trim().to_owned() })
    };
    text.lines().filter_map(module).collect()
}

#[cfg(test)]
mod tests {
    //! Goal: sensors are told from all else. Method: what the kernel and the program say on boards.
    use super::*;

    const LISTED: &str = "Available cameras\n-----------------\n\
        0 : imx708 [4608x2592 10-bit RGGB] (/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a)\n    \
        Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]\n                             \
        2304x1296 [56.03 fps - (0, 0)/4608x2592 crop]\n\n\
        1 : ov5647 [2592x1944 10-bit GBRG] (/base/axi/pcie@120000/rp1/i2c@80000/ov5647@36)\n    \
        Modes: 'SGBRG10_CSI2P' : 640x480 [58.92 fps - (16, 0)/2560x1920 crop]\n";

    #[test]
    fn modules_are_read_out_of_the_programs_list() {
        let found = parse(LISTED);
        assert_eq!(found.iter().map(|module| module.index).collect::<Vec<_>>(), [0, 1]);
        assert!(found[0].description.starts_with("imx708 [4608x2592"), "{found:?}");
        assert_eq!(parse("No cameras available!\n"), []);
    }

    #[test]
    fn a_module_s_nodes_are_no_cameras_but_a_converter_at_its_interface_is_one() {
        assert!(is_of_pipeline("unicam", false) && is_of_pipeline("pispbe", true));
        assert!(!is_of_pipeline("unicam", true) && !is_of_pipeline("uvcvideo", false));
    }

    #[test]
    fn a_sensor_is_there_where_its_interface_has_a_node() {
        let is_there = |names: &[&str]| is_interface_among(names.iter().map(|name| format!("{name}\n")));
        assert!(is_there(&["bcm2835-codec-decode", "unicam-image"]) && is_there(&["pispbe-input", "rp1-cfe-csi2_ch0"]));
        assert!(!is_there(&["bcm2835-isp0-capture0", "pispbe-output0", "UVC Camera (046d:0825)"]));
    }
}
