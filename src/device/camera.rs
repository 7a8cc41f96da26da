//! Where pictures come from: the closed set of cameras and what stands in for one.

use super::file::{FileSource, FilmClock, Y4mPipe};
use super::pattern::Pattern;
use super::rpicam::Rpicam;
use super::v4l2::V4l2;
use super::{Fault, FrameBuffer, VideoSource};
use crate::media::{Size, VideoCodec, VideoFormat};
use crate::ring::Lent;
use crate::sys::poll::Wait;
use crate::time::Instant;
use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

/// The highest number of a camera module: a board with a multiplexer of the ribbon has four, and one may have two of these.
const MODULE_MAX: u8 = 7;

/// Which camera, as the installer writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraSpec {
    /// A V4L2 node, best by one of its stable names: `v4l2:/dev/v4l/by-id/…`, or a bare path.
    V4l2(PathBuf),
    /// A Raspberry Pi's camera module, by its number: `module` for the first, `module:1` for the second.
    Module(u8),
    /// The moving test picture.
    Pattern,
    /// Y4M on standard input: `y4m:-`.
    Y4mStdin,
    /// Y4M from a file or a named pipe: `y4m:PATH`.
    Y4m(PathBuf),
    /// A film, its kind recognised by content: `file:PATH`.
    File(PathBuf),
    /// No camera: nothing is sent.
    None,
}

impl FromStr for CameraSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<CameraSpec, String> {
        let path = |kind: &str, path: &str| match path {
            "" => Err(format!("`{kind}:` wants a path after the colon")),
            path => Ok(PathBuf::from(path)),
        };
        match text.split_once(':') {
            _ if text.starts_with(['/', '.']) => Ok(CameraSpec::V4l2(text.into())),
            Some(("v4l2", rest)) => path("v4l2", rest).map(CameraSpec::V4l2),
            Some(("y4m", "-")) => Ok(CameraSpec::Y4mStdin),
            Some(("y4m", rest)) => path("y4m", rest).map(CameraSpec::Y4m),
            Some(("file", "-")) => Err("only Y4M is read from a pipe: write `y4m:-`".into()),
            Some(("file", rest)) => path("file", rest).map(CameraSpec::File),
            None if text == "module" => Ok(CameraSpec::Module(0)),
            Some(("module", number)) => match number.parse() {
                Ok(number) if number <= MODULE_MAX => Ok(CameraSpec::Module(number)),
                _ => Err(format!("`module:` wants a number after the colon, from 0 to {MODULE_MAX}")),
            },
            None if text == "pattern" => Ok(CameraSpec::Pattern),
            None if text == "none" => Ok(CameraSpec::None),
            _ => Err(format!(
                "`{text}` is not a camera; write v4l2:/dev/video0 (or just the path), module, pattern, y4m:PATH, \
                 y4m:-, file:PATH or none; `visavis devices` lists the cameras"
            )),
        }
    }
}

impl fmt::Display for CameraSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CameraSpec::V4l2(path) => write!(f, "v4l2:{}", path.display()),
            CameraSpec::Module(0) => f.write_str("module"),
            CameraSpec::Module(number) => write!(f, "module:{number}"),
            CameraSpec::Pattern => f.write_str("pattern"),
            CameraSpec::Y4mStdin => f.write_str("y4m:-"),
            CameraSpec::Y4m(path) => write!(f, "y4m:{}", path.display()),
            CameraSpec::File(path) => write!(f, "file:{}", path.display()),
            CameraSpec::None => f.write_str("none"),
        }
    }
}

/// What is wanted of the camera. A device comes as near to it as it can; a file is what it is.
#[derive(Clone, Debug, Default)]
pub struct CameraRequest {
    /// Picture size; 640x480 where nobody says.
    pub size: Option<Size>,
    /// Frames a second; 30 where nobody says.
    pub rate_hz: Option<u32>,
    /// Whose liking decides the pixel format.
    pub prefer: VideoCodec,
    /// Whether a file starts again at its end.
    pub looped: bool,
    /// What a film tells when it began, for its sound.
    pub film: FilmClock,
}

impl CameraRequest {
    /// The size to aim at.
    pub fn size(&self) -> Size {
        self.size.unwrap_or(Size::new(640, 480))
    }

    /// The rate to aim at, in frames in 1,000 s.
    pub fn millihertz(&self) -> u32 {
        // More than 1,000 a second no camera here makes, and the clock's arithmetic need not bear.
        self.rate_hz.unwrap_or(30).clamp(1, 1_000) * 1_000
    }
}

/// What went wrong with single frames of a source, by cause, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Never seen: gaps in the driver's count, or frame times that passed while nobody asked.
    pub missed: u64,
    /// Marked damaged by the driver, truncated, or not decodable.
    pub broken: u64,
    /// Delivered, but with a time stamp of our own, the driver's not being one.
    pub restamped: u64,
}

/// An open camera, or what stands in for one.
#[derive(Debug)]
pub enum Camera {
    /// A camera of the kernel's.
    V4l2(V4l2),
    /// A camera module, by a program.
    Module(Rpicam),
    /// The test picture.
    Pattern(Pattern),
    /// Y4M as somebody else paces it.
    Pipe(Y4mPipe),
    /// A film at its own pace.
    File(FileSource),
}

impl Camera {
    /// Opens the camera; `None` where the spec says that there is none.
    ///
    /// # Errors
    /// The device's or the file's [`Fault`].
    pub fn open(spec: &CameraSpec, request: &CameraRequest, now: Instant) -> Result<Option<Camera>, Fault> {
        Ok(Some(match spec {
            CameraSpec::V4l2(path) => Camera::V4l2(V4l2::open(path, request, now)?),
            CameraSpec::Module(number) => Camera::Module(Rpicam::open(*number, request, now)?),
            CameraSpec::Pattern => Camera::Pattern(Pattern::new(request.size(), request.millihertz(), now)),
            CameraSpec::Y4mStdin => match Y4mPipe::stdin()? {
                Ok(pipe) => Camera::Pipe(pipe),
                // Standard input may be a file just as well.
                Err(file) => Camera::File(FileSource::open_y4m("standard input", file, request.looped, now)?),
            },
            CameraSpec::Y4m(path) => match Y4mPipe::open(path)? {
                Ok(pipe) => Camera::Pipe(pipe),
                Err(file) => Camera::File(FileSource::open_y4m(path.display(), file, request.looped, now)?),
            },
            CameraSpec::File(path) => {
                let mut film = FileSource::open(path, request.looped, now)?;
                film.tell(request.film.clone());
                Camera::File(film)
            }
            CameraSpec::None => return Ok(None),
        }))
    }

    /// What went wrong with single frames since it was opened.
    pub fn counts(&self) -> SourceCounts {
        match self {
            Camera::V4l2(c) => c.counts(),
            Camera::Module(c) => c.counts(),
            Camera::Pattern(c) => c.counts(),
            Camera::Pipe(_) => SourceCounts::default(),
            Camera::File(c) => c.counts(),
        }
    }
}

impl VideoSource for Camera {
    fn name(&self) -> &str {
        match self {
            Camera::V4l2(c) => c.name(),
            Camera::Module(c) => c.name(),
            Camera::Pattern(c) => c.name(),
            Camera::Pipe(c) => c.name(),
            Camera::File(c) => c.name(),
        }
    }

    fn format(&self) -> VideoFormat {
        match self {
            Camera::V4l2(c) => c.format(),
            Camera::Module(c) => c.format(),
            Camera::Pattern(c) => c.format(),
            Camera::Pipe(c) => c.format(),
            Camera::File(c) => c.format(),
        }
    }

    fn wait(&self) -> Wait<'_> {
        match self {
            Camera::V4l2(c) => c.wait(),
            Camera::Module(c) => c.wait(),
            Camera::Pattern(c) => c.wait(),
            Camera::Pipe(c) => c.wait(),
            Camera::File(c) => c.wait(),
        }
    }

    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        match self {
            Camera::V4l2(c) => c.capture(now),
            Camera::Module(c) => c.capture(now),
            Camera::Pattern(c) => c.capture(now),
            Camera::Pipe(c) => c.capture(now),
            Camera::File(c) => c.capture(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_camera_is_written_in_one_way_and_read_back() {
        for text in
            ["v4l2:/dev/video0", "module", "module:1", "pattern", "y4m:-", "y4m:clip.y4m", "file:a:b.mp4", "none"]
        {
            assert_eq!(text.parse::<CameraSpec>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        let stable = "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0";
        assert_eq!(stable.parse(), Ok(CameraSpec::V4l2(stable.into())), "a bare path may hold colons");
    }

    #[test]
    fn what_is_no_camera_is_answered_with_what_would_be_one() {
        for text in ["", "webcam", "v4l2:", "module:", "module:8", "module:x", "y4m:", "file:-", "video0", "x:y"] {
            let error = text.parse::<CameraSpec>().unwrap_err();
            assert!(["path", "y4m:-", "from 0 to 7"].iter().any(|hint| error.contains(hint)), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_camera_or_an_error(text in ".*") {
            if let Ok(spec) = text.parse::<CameraSpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }
}
