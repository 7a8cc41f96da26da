//! Which nodes are codecs, what each speaks, and which of them is to be taken.

use super::{CodecSpec, Coded, quirks};
use crate::device::v4l2::raw::{Card, Node, Side};
use crate::device::v4l2::{Sizes, nodes};
use crate::device::{Fault, FaultKind};
use crate::media::{PixelFormat, Size};
use std::path::{Path, PathBuf};
use v4l::v4l_sys as sys;

/// The raw formats that pictures are given and taken in, in order of preference: the first is what pictures are.
pub(super) const RAW: [PixelFormat; 2] = [PixelFormat::I420, PixelFormat::Nv12];

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Pictures to a stream.
    Encoder,
    /// A stream to pictures.
    Decoder,
}

impl Role {
    /// The queue on which the coded stream is.
    fn coded_side(self) -> Side {
        match self {
            Role::Encoder => Side::Capture,
            Role::Decoder => Side::Output,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Role::Encoder => "encoder",
            Role::Decoder => "decoder",
        }
    }
}

/// One codec of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecInfo {
    /// The node: `/dev/video11`.
    pub path: PathBuf,
    /// The kernel's driver.
    pub driver: String,
    /// The product's name.
    pub card: String,
    /// What it does.
    pub role: Role,
    /// The fourccs of the coded formats, with the sizes of each as far as the driver lists them.
    pub coded: Vec<(String, Vec<Sizes>)>,
    /// The fourccs of the raw formats.
    pub raw: Vec<String>,
    /// Why it is not taken by itself for H.264; `None` where it is.
    pub lacks: Option<String>,
}

impl CodecInfo {
    /// Whether it speaks a format at a size, as far as it says.
    pub fn speaks(&self, coded: Coded, size: Size) -> bool {
        let fourcc = String::from_utf8_lossy(&coded.fourcc()).into_owned();
        let fits = |sizes: &Sizes| match sizes {
            Sizes::One(one) => *one == size,
            Sizes::Steps { least, most, .. } => {
                (least.width..=most.width).contains(&size.width) && (least.height..=most.height).contains(&size.height)
            }
        };
        let reads = self.raw.iter().any(|raw| RAW.iter().any(|known| raw.as_bytes() == known.fourcc()));
        reads
            && self.coded.iter().any(|(known, sizes)| *known == fourcc && (sizes.is_empty() || sizes.iter().any(fits)))
    }
}

/// All codecs, in the order of their nodes' numbers.
pub fn list() -> Vec<CodecInfo> {
    nodes().iter().filter_map(|path| describe(path).ok().flatten()).collect()
}

/// What a node is; `None` where it is no codec.
fn describe(path: &Path) -> Result<Option<CodecInfo>, Fault> {
    let (node, card) = Node::open(path)?;
    if !is_memory_to_memory(&card) {
        return Ok(None);
    }
    let parted = |side| -> (Vec<_>, Vec<_>) {
        node.facing(side).formats().partition(|f| f.flags & sys::V4L2_FMT_FLAG_COMPRESSED != 0)
    };
    let (capture, output) = (parted(Side::Capture), parted(Side::Output));
    // A scaler has raw formats on both sides, a transcoder coded ones.
    let (role, coded, raw) = match (capture, output) {
        ((coded, none), (_, raw)) if !coded.is_empty() && none.is_empty() && !raw.is_empty() => {
            (Role::Encoder, coded, raw)
        }
        ((_, raw), (coded, none)) if !coded.is_empty() && none.is_empty() && !raw.is_empty() => {
            (Role::Decoder, coded, raw)
        }
        _ => return Ok(None),
    };
    let coded_node = node.facing(role.coded_side());
    let text = |fourcc: u32| String::from_utf8_lossy(&fourcc.to_le_bytes()).trim().to_owned();
    let sizes = |fourcc: u32| coded_node.sizes(fourcc.to_le_bytes());
    let mut info = CodecInfo {
        path: path.into(),
        role,
        coded: coded.iter().map(|f| (text(f.pixelformat), sizes(f.pixelformat))).collect(),
        raw: raw.iter().map(|f| text(f.pixelformat)).collect(),
        driver: card.driver,
        card: card.card,
        lacks: None,
    };
    info.lacks = lacks(&info);
    Ok(Some(info))
}

fn is_memory_to_memory(card: &Card) -> bool {
    let either = sys::V4L2_CAP_VIDEO_M2M | sys::V4L2_CAP_VIDEO_M2M_MPLANE;
    card.capabilities & either != 0 && card.capabilities & sys::V4L2_CAP_STREAMING != 0
}

fn lacks(info: &CodecInfo) -> Option<String> {
    let h264 = info.coded.iter().any(|(fourcc, _)| fourcc.as_bytes() == Coded::H264.fourcc());
    if !h264 {
        let spoken: Vec<_> = info.coded.iter().map(|(fourcc, _)| fourcc.as_str()).collect();
        // A stateless decoder (S264) wants every header parsed for it, which is another interface.
        return Some(format!("H.264; it speaks {}", spoken.join(", ")));
    }
    if !info.raw.iter().any(|raw| RAW.iter().any(|known| raw.as_bytes() == known.fourcc())) {
        return Some(format!("a picture format that is written here (YU12, NV12); it has {}", info.raw.join(", ")));
    }
    quirks::avoided(&info.driver, info.role).map(|why| format!("trust: {why}; name it to use it"))
}

/// The codec to be taken; `None` where the choice is software.
///
/// # Errors
/// Absent where there is none, unusable where the one that is named does not do.
pub fn find(spec: &CodecSpec, role: Role, coded: Coded, size: Size) -> Result<Option<CodecInfo>, Fault> {
    let doing = match role {
        Role::Encoder => "find a hardware encoder",
        Role::Decoder => "find a hardware decoder",
    };
    let fourcc = String::from_utf8_lossy(&coded.fourcc()).into_owned();
    if let CodecSpec::Node(path) = spec {
        let name = path.display().to_string();
        let unusable = |why: String| Fault::plain(FaultKind::Unusable, &name, doing, why);
        return match describe(path)? {
            Some(info) if info.role == role && info.speaks(coded, size) => Ok(Some(info)),
            Some(info) if info.role == role => Err(unusable(format!("it does not speak {fourcc} at {size}"))),
            Some(info) => Err(unusable(format!("it is no {}, but a {}", role.word(), info.role.word()))),
            None => Err(unusable("it is no codec; `visavis devices` lists them".into())),
        };
    }
    let is_wanted = |info: &CodecInfo| {
        let trusted = *spec == CodecSpec::Hardware || info.lacks.is_none();
        info.role == role && info.speaks(coded, size) && trusted && quirks::takes(&info.driver, size)
    };
    match spec {
        CodecSpec::Software => Ok(None),
        _ => match list().into_iter().find(is_wanted) {
            Some(info) => Ok(Some(info)),
            None => {
                let why = format!("there is none that speaks {fourcc} at {size}");
                Err(Fault::plain(FaultKind::Absent, "video codecs", doing, why))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(driver: &str, coded: &str, raw: &[&str]) -> CodecInfo {
        let sizes = Sizes::Steps { least: Size::new(32, 32), most: Size::new(1920, 1920), step: Size::new(2, 2) };
        let mut info = CodecInfo {
            path: "/dev/video11".into(),
            driver: driver.into(),
            card: String::new(),
            role: Role::Encoder,
            coded: vec![("MJPG".into(), vec![]), (coded.into(), vec![sizes])],
            raw: raw.iter().map(|raw| (*raw).into()).collect(),
            lacks: None,
        };
        info.lacks = lacks(&info);
        info
    }

    #[test]
    fn a_codec_that_is_not_taken_says_what_it_lacks() {
        assert_eq!(info("bcm2835-codec", "H264", &["YU12", "NV12"]).lacks, None);
        for (driver, coded, raw, word) in [
            ("rkvdec", "S264", "NV12", "MJPG, S264"),
            ("meson-vdec", "H264", "NM12", "NM12"),
            ("vicodec", "H264", "YU12", "test driver"),
        ] {
            let lacks = info(driver, coded, &[raw]).lacks.expect(driver);
            assert!(lacks.contains(word), "{lacks}");
        }
    }

    #[test]
    fn a_codec_speaks_a_size_only_within_its_bounds() {
        let codec = info("any", "H264", &["NV12"]);
        assert!(codec.speaks(Coded::H264, Size::new(640, 480)) && codec.speaks(Coded::H264, Size::new(1080, 1920)));
        assert!(!codec.speaks(Coded::H264, Size::new(16, 16)) && !codec.speaks(Coded::H264, Size::new(2560, 1440)));
        assert!(!codec.speaks(Coded::Fwht, Size::new(640, 480)));
        assert!(!info("any", "H264", &["NM12"]).speaks(Coded::H264, Size::new(640, 480)));
    }

    #[test]
    fn a_node_that_is_none_is_a_fault_in_words_and_software_needs_no_node() {
        let find = |spec| find(&spec, Role::Encoder, Coded::H264, Size::new(640, 480));
        assert_eq!(find(CodecSpec::Software).unwrap(), None);
        let fault = find(CodecSpec::Node("/dev/null".into())).unwrap_err();
        assert!(fault.to_string().starts_with("/dev/null: cannot "), "{fault}");
        for codec in list() {
            assert!(codec.path.starts_with("/dev"));
        }
    }
}
