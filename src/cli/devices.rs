//! `visavis devices`: what there is on this machine, and what each thing lacks to be used.

use crate::device::camera::CameraSpec;
use crate::device::holders::holders;
use crate::device::m2m::{self, CodecInfo, Role};
use crate::device::v4l2::{self, ModeInfo, Rates, Sizes};
use crate::device::{Fault, alsa, drm, fbdev, keys, rpicam};
use nix::errno::Errno;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Prints the lists to standard output.
///
/// # Errors
/// What writing says.
pub fn run() -> io::Result<()> {
    io::stdout().write_all(report().as_bytes())
}

/// The lists.
pub(super) fn report() -> String {
    let mut report = String::new();
    cameras(&mut report);
    camera_modules(&mut report);
    codecs(&mut report, &m2m::list());
    sound_cards(&mut report);
    screens(&mut report);
    framebuffers(&mut report);
    gpio_chips(&mut report);
    keyboards(&mut report);
    report
}

/// A section's head, or the sentence that it is empty.
fn head(report: &mut String, title: &str, is_empty: bool, none: &str) {
    let _ = writeln!(report, "{title}{}", if is_empty { format!("\n  none: {none}") } else { String::new() });
}

fn cameras(report: &mut String) {
    let cameras = v4l2::list();
    head(report, "Cameras (V4L2)", cameras.is_empty(), "no /dev/video*; is the camera plugged in?");
    for camera in cameras {
        let _ =
            writeln!(report, "  --camera {}  {} {} {}", camera.path.display(), camera.card, camera.driver, camera.bus);
        for name in &camera.names {
            let _ = writeln!(report, "    also {}", name.display());
        }
        if let Some(lacks) = &camera.lacks {
            let _ = writeln!(report, "    lacks: {lacks}");
        }
        for mode in &camera.modes {
            let _ = writeln!(report, "    {}", camera_mode(mode));
        }
    }
}

fn camera_modules(report: &mut String) {
    let listed = rpicam::list();
    // Most machines have no socket for one: of these nothing is said.
    if !rpicam::is_there() && listed.is_none() {
        return;
    }
    let modules = match &listed {
        Some(Ok(modules)) => modules.as_slice(),
        _ => &[],
    };
    let lacks = match &listed {
        Some(Ok(_)) => "no sensor answers; is the ribbon cable seated?".to_owned(),
        Some(Err(fault)) => fault.to_string(),
        None => format!("a sensor is there, but {}", rpicam::INSTALL),
    };
    head(report, "Camera modules (libcamera)", modules.is_empty(), &lacks);
    for module in modules {
        let _ = writeln!(report, "  --camera {}  {}", CameraSpec::Module(module.index), module.description);
    }
}

/// `YUYV 640x480 at 15, 30 frames a second`
fn camera_mode(mode: &ModeInfo) -> String {
    let size = sizes(mode.sizes.as_ref());
    let hertz = |millihertz: u32| format!("{}", f64::from(millihertz) / 1_000.0);
    let rates: Vec<_> = mode
        .rates
        .iter()
        .map(|rates| match rates {
            Rates::One(rate) => hertz(*rate),
            Rates::Between(least, most) => format!("{} to {}", hertz(*least), hertz(*most)),
        })
        .collect();
    let rates = if rates.is_empty() { String::new() } else { format!(" at {} frames a second", rates.join(", ")) };
    let unread = if mode.usable { "" } else { " (not read by visavis)" };
    format!("{} {size}{rates}{unread}", mode.fourcc)
}

fn sizes(sizes: Option<&Sizes>) -> String {
    match sizes {
        Some(Sizes::One(size)) => size.to_string(),
        Some(Sizes::Steps { least, most, .. }) => format!("{least} to {most}"),
        None => "any size".into(),
    }
}

fn codecs(report: &mut String, codecs: &[CodecInfo]) {
    let none = "H.264 is encoded and decoded by the processor";
    head(report, "Video codecs in hardware (V4L2 M2M)", codecs.is_empty(), none);
    for codec in codecs {
        let (flag, raw) = match codec.role {
            Role::Encoder => ("--encoder", "from"),
            Role::Decoder => ("--decoder", "to"),
        };
        let _ = writeln!(report, "  {flag} m2m:{}  {} {}", codec.path.display(), codec.card, codec.driver);
        for (coded, of) in &codec.coded {
            let more = if of.len() > 1 { format!(" and {} other sizes", of.len() - 1) } else { String::new() };
            let _ = writeln!(report, "    {coded} {}{more}, {raw} {}", sizes(of.first()), codec.raw.join(" "));
        }
        if let Some(lacks) = &codec.lacks {
            let _ = writeln!(report, "    lacks: {lacks}");
        }
    }
}

fn sound_cards(report: &mut String) {
    let devices = alsa::list();
    head(
        report,
        "Sound (ALSA)",
        devices.is_empty(),
        "no card; on a Pi, is dtparam=audio=on set, or a USB card plugged in?",
    );
    for device in devices {
        let flag = if device.is_capture { "--mic" } else { "--speaker" };
        let _ = writeln!(report, "  {flag} alsa:{}  {}", device.name, device.description);
        if let Some(range) = &device.range {
            let formats = range.formats.join(", ");
            let (rates, channels) = (&range.rates_hz, &range.channels);
            let _ = writeln!(
                report,
                "    {formats}; {} to {} Hz; {} to {} channels",
                rates.start(),
                rates.end(),
                channels.start(),
                channels.end()
            );
        }
        if let Some(trouble) = &device.trouble {
            let _ = writeln!(report, "    lacks: {trouble}");
        }
    }
}

fn screens(report: &mut String) {
    let cards = drm::list();
    head(report, "Screens (KMS)", cards.is_empty(), "no /dev/dri/card*; is the display driver (vc4-kms-v3d) loaded?");
    for (path, card) in cards {
        match card {
            Ok(card) => screen_card(report, &card),
            Err(fault) => lacking(report, &path, &fault),
        }
    }
}

fn screen_card(report: &mut String, card: &drm::CardInfo) {
    let interface = if card.is_atomic { "atomic" } else { "legacy" };
    let _ = writeln!(report, "  {} {}, {interface}", card.path.display(), card.driver);
    if card.connectors.is_empty() {
        let _ = writeln!(report, "    renders only: it has no connector");
        return;
    }
    if !card.is_free {
        let _ = writeln!(report, "    lacks: the screen is taken{}", by_whom(&card.path));
    }
    let node = card.path.file_name().unwrap_or_default().to_string_lossy();
    for connector in &card.connectors {
        let state = match connector.is_connected {
            Some(true) => "connected",
            Some(false) => "nothing connected",
            None => "cannot tell whether a screen is connected",
        };
        let _ = writeln!(report, "    --screen drm:{node}/{}  {state}", connector.name);
        if !connector.modes.is_empty() {
            // The list of a monitor is long; what matters is what would be set, and that there is a choice.
            let more = connector.modes.len().saturating_sub(6);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown: Vec<_> = connector.modes.iter().take(6).map(String::as_str).collect();
            let _ = writeln!(report, "      modes: {}{more}", shown.join(" "));
        }
    }
    // A card has dozens of planes that are alike: each kind once.
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for plane in &card.planes {
        let kind = format!("{}: {}", plane.role, plane.formats.join(" "));
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    for (kind, count) in kinds {
        let _ = writeln!(report, "    {count} plane{} {kind}", if count == 1 { "" } else { "s" });
    }
}

fn framebuffers(report: &mut String) {
    let found = fbdev::list();
    head(report, "Framebuffers", found.is_empty(), "no /dev/fb*");
    for path in found {
        match fbdev::info(&path) {
            Ok(info) => {
                let _ = writeln!(report, "  --screen fbdev:{}  {info}", path.display());
                if info.layout.is_none() {
                    let _ = writeln!(report, "    lacks: a pixel layout that is drawn (XRGB8888, XBGR8888, RGB565)");
                }
                if !info.is_double {
                    let _ = writeln!(report, "    no room for a second screen: a moving picture may tear");
                }
            }
            Err(fault) => lacking(report, &path, &fault),
        }
    }
}

fn gpio_chips(report: &mut String) {
    let chips = gpiocdev::chip::chips().unwrap_or_default();
    head(report, "GPIO chips", chips.is_empty(), "no /dev/gpiochip*");
    for path in chips {
        let info = gpiocdev::chip::Chip::from_path(&path).and_then(|chip| {
            let info = chip.info()?;
            let named = (0..info.num_lines).filter_map(|line| chip.line_info(line).ok());
            let named: Vec<String> =
                named.filter(|line| !line.name.is_empty()).map(|line| describe_line(&line)).collect();
            Ok((info, named))
        });
        match info {
            Ok((info, named)) => {
                let _ = writeln!(report, "  {} \"{}\", {} lines", path.display(), info.label, info.num_lines);
                if !named.is_empty() {
                    let _ = writeln!(report, "    named: {}", named.join(" "));
                }
            }
            Err(error) => {
                let errno = if let gpiocdev::Error::Os(error) = error { error.0 } else { nix::libc::EINVAL };
                lacking(report, &path, &Fault::new(path.display().to_string(), "open it", Errno::from_raw(errno)));
            }
        }
    }
}

/// A line's name, and who uses it if somebody does.
fn describe_line(line: &gpiocdev::line::Info) -> String {
    if line.used { format!("{} (in use by {})", line.name, line.consumer) } else { line.name.clone() }
}

fn keyboards(report: &mut String) {
    let inputs = keys::list();
    let mut shown = String::new();
    for input in inputs {
        match input.device {
            Ok((name, true)) => {
                let _ = writeln!(shown, "  {} {name}", input.path.display());
            }
            // A mouse, a power button: not for us.
            Ok((_, false)) => {}
            Err(error) => {
                let fault = Fault::new(input.path.display().to_string(), "open it", error);
                lacking(&mut shown, &input.path, &fault);
            }
        }
    }
    head(report, "Keyboards (Esc and q hang up)", shown.is_empty(), "no input device with these keys");
    report.push_str(&shown);
}

/// A device that cannot be used, and what would help.
fn lacking(report: &mut String, path: &Path, fault: &Fault) {
    let help = match fault.errno {
        Some(Errno::EACCES | Errno::EPERM) => format!("permission; {}", group_of(path)),
        Some(Errno::EBUSY) => format!("it is busy{}", by_whom(path)),
        _ => fault.to_string(),
    };
    let _ = writeln!(report, "  {}\n    lacks: {help}", path.display());
}

fn by_whom(path: &Path) -> String {
    let holders = holders(path);
    if holders.is_empty() { String::new() } else { format!(", by {}", holders.join(", ")) }
}

/// What to do to be allowed to open `path`: its group is the one to join, if the group may do more than others.
fn group_of(path: &Path) -> String {
    let Ok(metadata) = path.metadata() else { return "it is gone again".into() };
    let group = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(metadata.gid())).ok().flatten();
    match group {
        Some(group) if group.name != "root" && metadata.mode() & 0o060 == 0o060 => {
            format!("join group `{0}`: sudo usermod -aG {0} $USER, then log in again", group.name)
        }
        _ => "only root may open it; the package's udev rules give it to a group".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_there_also_where_nothing_is() {
        let report = report();
        for title in [
            "Cameras (V4L2)",
            "Video codecs",
            "Sound (ALSA)",
            "Screens (KMS)",
            "Framebuffers",
            "GPIO chips",
            "Keyboards",
        ] {
            assert!(report.contains(title), "{report}");
        }
    }

    #[test]
    fn a_codec_is_listed_with_the_flag_that_takes_it_and_what_it_lacks() {
        let codec = CodecInfo {
            path: "/dev/video11".into(),
            driver: "bcm2835-codec".into(),
            card: "bcm2835-codec-encode".into(),
            role: Role::Encoder,
            coded: vec![("H264".into(), vec![])],
            raw: vec!["YU12".into(), "NV12".into()],
            lacks: Some("something".into()),
        };
        let mut report = String::new();
        codecs(&mut report, &[codec]);
        for line in ["  --encoder m2m:/dev/video11  ", "    H264 any size, from YU12 NV12", "    lacks: something"] {
            assert!(report.contains(line), "{report}");
        }
    }

    #[test]
    fn what_only_root_may_open_is_not_blamed_on_a_group() {
        let path = std::env::temp_dir().join(format!("visavis-devices-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert!(group_of(&path).contains("only root"));
        std::fs::remove_file(path).unwrap();
        assert!(group_of(Path::new("/nowhere")).contains("gone"));
    }
}
