//! Which screen: the choice as typed, and the closed set of sinks behind it.

use super::drm::{Drm, DrmTarget, Options};
use super::fbdev::Framebuffer;
use super::null::NullScreen;
use super::png::PngSink;
use super::y4m_sink::{Y4mSink, Y4mTarget};
use super::{DecodedFrame, Fault, FaultKind, VideoSink};
use crate::media::{Pane, Picture, Size};
use crate::ring::Lent;
use crate::sys::poll::Wait;
use crate::time::Instant;
use core::fmt;
use core::str::FromStr;
use std::path::{Path, PathBuf};

/// A screen as the user chooses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ScreenSpec {
    /// What is there: a KMS card with a connected screen, else the first framebuffer, else none. Looked at anew each
    /// time the screen is opened; once chosen, the choice holds until that screen faults.
    #[default]
    Auto,
    /// KMS: any card and connector, or named ones.
    Drm(DrmTarget),
    /// A framebuffer device.
    Fbdev(PathBuf),
    /// YUV4MPEG2, to a file, a pipe or standard output.
    Y4m(Y4mTarget),
    /// PNG images in a folder: the newest once a second, and the last.
    Png(PathBuf),
    /// No screen: pictures count as shown at once.
    None,
}

impl FromStr for ScreenSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<ScreenSpec, String> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let path = |example: &str| match rest {
            Some(rest) if !rest.is_empty() => Ok(rest),
            _ => Err(format!("`{text}` lacks its path; write it as {example}")),
        };
        let bare = |spec: ScreenSpec| match rest {
            None => Ok(spec),
            Some(_) => Err(format!("`{kind}` takes nothing after a colon, unlike `{text}`")),
        };
        match kind {
            "auto" => bare(ScreenSpec::Auto),
            "none" => bare(ScreenSpec::None),
            "drm" => rest.unwrap_or_default().parse().map(ScreenSpec::Drm),
            "fbdev" => Ok(ScreenSpec::Fbdev(rest.filter(|rest| !rest.is_empty()).unwrap_or("/dev/fb0").into())),
            "y4m" => Ok(ScreenSpec::Y4m(match path("y4m:shown.y4m, or y4m:- for standard output")? {
                "-" => Y4mTarget::Stdout,
                path => Y4mTarget::Path(path.into()),
            })),
            "png" => Ok(ScreenSpec::Png(path("png:shown/")?.into())),
            _ => Err(format!(
                "`{text}` is no screen; there are auto, drm, drm:card0/HDMI-A-1, fbdev:/dev/fb0, y4m:PATH, y4m:-, \
                 png:DIR and none"
            )),
        }
    }
}

impl fmt::Display for ScreenSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScreenSpec::Auto => f.write_str("auto"),
            ScreenSpec::Drm(target) => write!(f, "{target}"),
            ScreenSpec::Fbdev(path) => write!(f, "fbdev:{}", path.display()),
            ScreenSpec::Y4m(target) => write!(f, "{target}"),
            ScreenSpec::Png(folder) => write!(f, "png:{}", folder.display()),
            ScreenSpec::None => f.write_str("none"),
        }
    }
}

/// An open screen. Its drop gives the console back.
#[derive(Debug)]
pub enum Screen {
    /// KMS.
    Drm(Box<Drm>),
    /// A framebuffer device.
    Fbdev(Box<Framebuffer>),
    /// A YUV4MPEG2 stream.
    Y4m(Box<Y4mSink>),
    /// PNG images.
    Png(PngSink),
    /// Nothing.
    None(NullScreen),
}

impl Screen {
    /// Opens what the specification says; `options` are for KMS.
    ///
    /// # Errors
    /// A [`Fault`]; it may be tried again, but for one of kind [`FaultKind::Ended`].
    pub fn open(spec: &ScreenSpec, options: Options, now: Instant) -> Result<Screen, Fault> {
        match spec {
            ScreenSpec::Auto => Screen::open_any(options, now),
            ScreenSpec::Drm(target) => Drm::open_with(target, options, now).map(|drm| Screen::Drm(Box::new(drm))),
            ScreenSpec::Fbdev(path) => Framebuffer::open(path).map(|fb| Screen::Fbdev(Box::new(fb))),
            ScreenSpec::Y4m(target) => Y4mSink::open(target).map(|y4m| Screen::Y4m(Box::new(y4m))),
            ScreenSpec::Png(folder) => PngSink::open(folder).map(Screen::Png),
            ScreenSpec::None => Ok(Screen::None(NullScreen::default())),
        }
    }

    /// A KMS screen or a framebuffer that is there but may not be used is a fault to be mended, not a reason to look
    /// elsewhere: only absence leads on.
    fn open_any(options: Options, now: Instant) -> Result<Screen, Fault> {
        match Drm::open_with(&DrmTarget::default(), options, now) {
            Ok(drm) => return Ok(Screen::Drm(Box::new(drm))),
            Err(fault) if fault.kind != FaultKind::Absent => return Err(fault),
            Err(_) => {}
        }
        match Framebuffer::open(Path::new("/dev/fb0")) {
            Ok(fb) => Ok(Screen::Fbdev(Box::new(fb))),
            Err(fault) if fault.kind != FaultKind::Absent => Err(fault),
            Err(_) => Ok(Screen::None(NullScreen::default())),
        }
    }
}

/// Hands a call to whichever sink it is.
macro_rules! to_sink {
    ($screen:expr, $sink:ident => $call:expr) => {
        match $screen {
            Screen::Drm($sink) => $call,
            Screen::Fbdev($sink) => $call,
            Screen::Y4m($sink) => $call,
            Screen::Png($sink) => $call,
            Screen::None($sink) => $call,
        }
    };
}

impl VideoSink for Screen {
    fn name(&self) -> &str {
        to_sink!(self, sink => sink.name())
    }

    fn size(&self) -> Option<Size> {
        to_sink!(self, sink => sink.size())
    }

    fn wait(&self) -> Wait<'_> {
        to_sink!(self, sink => sink.wait())
    }

    fn is_ready(&self) -> bool {
        to_sink!(self, sink => sink.is_ready())
    }

    fn show(&mut self, picture: &Picture, now: Instant) -> Result<(), Fault> {
        to_sink!(self, sink => sink.show(picture, now))
    }

    fn pane_size(&self, frame: &DecodedFrame) -> Option<Size> {
        to_sink!(self, sink => sink.pane_size(frame))
    }

    fn show_frame(
        &mut self,
        frame: Lent<DecodedFrame>,
        pane: Option<&Pane>,
        now: Instant,
    ) -> Result<(), Lent<DecodedFrame>> {
        to_sink!(self, sink => sink.show_frame(frame, pane, now))
    }

    fn finish(&mut self, now: Instant) -> Result<Option<Instant>, Fault> {
        to_sink!(self, sink => sink.finish(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back_as_written() {
        for text in [
            "auto",
            "drm",
            "drm:card1",
            "drm:HDMI-A-1",
            "drm:card0/HDMI-A-1",
            "fbdev:/dev/fb1",
            "y4m:-",
            "y4m:/tmp/a b.y4m",
            "png:shown",
            "none",
        ] {
            let spec: ScreenSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
        assert_eq!("fbdev".parse::<ScreenSpec>().unwrap().to_string(), "fbdev:/dev/fb0");
    }

    #[test]
    fn a_wrong_spelling_says_what_would_be_right() {
        for (text, hint) in
            [("hdmi", "drm:card0/HDMI-A-1"), ("y4m", "y4m:-"), ("png:", "png:shown/"), ("none:x", "takes nothing")]
        {
            let error = text.parse::<ScreenSpec>().unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
        assert!("drm:card0/HDMI-A-1/x".parse::<ScreenSpec>().is_err());
    }
}
