//! Which cameras there are, what they offer, and what each lacks to be used.

use super::raw::Node;
use super::{Rates, Sizes, lacks_capture};
use crate::device::Fault;
use crate::device::rpicam::is_of_pipeline;
use crate::media::{PixelFormat, Size};
use nix::errno::Errno;
use nix::unistd::{Gid, Group, User, getuid};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use v4l::v4l_sys::{V4L2_CAP_VIDEO_M2M, V4L2_CAP_VIDEO_M2M_MPLANE};

/// Where names are kept that stay the same when a camera is plugged in again: udev's own, and those of our rules.
const STABLE: [&str; 3] = ["/dev/v4l/by-id", "/dev/v4l/by-path", "/dev/visavis"];

/// One video node of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraInfo {
    /// The node: `/dev/video0`.
    pub path: PathBuf,
    /// Its stable names, all of which can be used in its place.
    pub names: Vec<PathBuf>,
    /// The kernel's driver; empty where it may not be asked.
    pub driver: String,
    /// The product's name; what /sys says of it where the node may not be opened.
    pub card: String,
    /// Where it is plugged in; empty where it may not be asked.
    pub bus: String,
    /// What it offers.
    pub modes: Vec<ModeInfo>,
    /// Whether it codes pictures that it is given (memory to memory), and is no camera.
    pub is_codec: bool,
    /// Why it cannot be used as it is, and what to do; `None` where it can.
    pub lacks: Option<String>,
}

/// One pixel format of a camera at one size, or at a range of sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeInfo {
    /// The V4L2 fourcc.
    pub fourcc: String,
    /// Whether visavis reads this format.
    pub usable: bool,
    /// The size or sizes; `None` where the driver takes any.
    pub sizes: Option<Sizes>,
    /// The frame rates at it (at the largest, of a range).
    pub rates: Vec<Rates>,
}

/// The paths of all video nodes, in the order of their numbers.
pub fn nodes() -> Vec<PathBuf> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("video")?.parse::<u32>().ok();
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut nodes: Vec<_> = entries.filter_map(|e| Some((number(&e.path())?, e.path()))).collect();
    nodes.sort_unstable();
    nodes.into_iter().map(|(_, path)| path).collect()
}

/// All video nodes, and what each is as a camera.
pub fn list() -> Vec<CameraInfo> {
    let links = stable_names();
    let names_of = |path: &Path| links.iter().filter(|(_, node)| node == path).map(|(name, _)| name.clone()).collect();
    nodes().into_iter().map(|path| describe(names_of(&path), path)).collect()
}

/// Every stable name, and the node that it leads to.
fn stable_names() -> Vec<(PathBuf, PathBuf)> {
    let entries = STABLE.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|e| Some((e.path(), fs::canonicalize(e.path()).ok()?))).collect();
    names.sort_unstable();
    names
}

fn describe(names: Vec<PathBuf>, path: PathBuf) -> CameraInfo {
    let mut info = CameraInfo {
        names,
        driver: String::new(),
        card: sysfs_name(&path),
        bus: String::new(),
        modes: vec![],
        is_codec: false,
        lacks: None,
        path,
    };
    let (node, card) = match Node::open(&info.path) {
        Ok(opened) => opened,
        Err(fault) => {
            info.lacks = Some(lacks_to_open(&info.path, &fault));
            return info;
        }
    };
    info.is_codec = card.capabilities & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE) != 0;
    info.lacks = lacks_capture(&card).map(Into::into);
    if info.lacks.is_none() {
        info.modes = modes(&node);
        info.lacks = lacks_mode(&info.modes).or_else(|| lacks_idle(&node));
    }
    if !info.is_codec && is_of_pipeline(&card.driver, info.lacks.is_none()) {
        info.lacks = Some("it is a part of the board's camera module, which is used as `module`".into());
    }
    (info.driver, info.card, info.bus) = (card.driver, card.card, card.bus);
    info
}

fn sysfs_name(path: &Path) -> String {
    let node = path.file_name().unwrap_or_default();
    let name = fs::read_to_string(Path::new("/sys/class/video4linux").join(node).join("name"));
    name.map(|n| n.trim().to_owned()).unwrap_or_default()
}

fn modes(node: &Node) -> Vec<ModeInfo> {
    let mut modes = Vec::new();
    for fourcc in node.fourccs() {
        let usable = PixelFormat::from_fourcc(&fourcc).is_some();
        let mode =
            |sizes, rates| ModeInfo { fourcc: String::from_utf8_lossy(&fourcc).trim().into(), usable, sizes, rates };
        let listed = node.sizes(fourcc);
        if listed.is_empty() {
            modes.push(mode(None, Vec::new()));
        }
        for sizes in listed {
            let at = sizes.nearest(Size::new(u32::MAX, u32::MAX));
            modes.push(mode(Some(sizes), node.rates(fourcc, at)));
        }
    }
    modes
}

fn lacks_mode(modes: &[ModeInfo]) -> Option<String> {
    if modes.iter().any(|m| m.usable) {
        return None;
    }
    let mut offered: Vec<_> = modes.iter().map(|m| m.fourcc.as_str()).collect();
    offered.dedup();
    Some(match offered.as_slice() {
        [] => "it offers no picture at all; a codec or a sensor without its pipeline looks like that".into(),
        some => format!("it offers {}; visavis reads YUYV, NV12, YU12 and MJPG", some.join(", ")),
    })
}

/// Whether somebody else streams from it: a driver refuses to touch buffers that are another's.
fn lacks_idle(node: &Node) -> Option<String> {
    match node.request_buffers(0) {
        Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) => Some("another program is using it".into()),
        _ => None,
    }
}

fn lacks_to_open(path: &Path, fault: &Fault) -> String {
    match fault.errno {
        Some(Errno::EACCES | Errno::EPERM) => permission(path),
        Some(Errno::EBUSY) => "another program is using it".into(),
        _ => fault.to_string(),
    }
}

/// Which group opens the node, and how to get into it.
fn permission(path: &Path) -> String {
    let gid = fs::metadata(path).map(|m| Gid::from_raw(m.gid()));
    let group = gid.ok().and_then(|gid| Group::from_gid(gid).ok().flatten()).map(|g| g.name);
    let user = User::from_uid(getuid()).ok().flatten().map_or_else(|| "USER".into(), |u| u.name);
    match group {
        Some(group) => format!("permission: `sudo usermod -aG {group} {user}`, then log in anew"),
        None => format!("permission: user {user} may not open it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_camera_lacks_is_said_with_what_it_has() {
        let mode = |fourcc: &str, usable| ModeInfo { fourcc: fourcc.into(), usable, sizes: None, rates: vec![] };
        assert_eq!(lacks_mode(&[mode("BA81", false), mode("YUYV", true)]), None);
        let lack = lacks_mode(&[mode("BA81", false), mode("BA81", false), mode("pBAA", false)]).unwrap();
        assert!(lack.contains("BA81, pBAA;"), "{lack}");
        assert!(lacks_mode(&[]).is_some());
    }

    #[test]
    fn a_refusal_names_the_group_that_may() {
        let lack = permission(Path::new("/dev/null"));
        assert!(lack.contains("usermod -aG root"), "{lack}");
    }

    #[test]
    fn listing_does_not_fail_where_there_is_no_camera() {
        for camera in list() {
            assert!(camera.path.starts_with("/dev"));
        }
    }
}
