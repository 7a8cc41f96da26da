//! Which codec does the work, as the installer writes it.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

/// Who encodes or decodes H.264.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CodecSpec {
    /// Hardware, if there is some that is known to do; else openh264: `auto`.
    #[default]
    Auto,
    /// The processor, always: `openh264`.
    Software,
    /// Hardware, whichever there is: `m2m`.
    Hardware,
    /// This node, best by one of its stable names: `m2m:/dev/video11`.
    Node(PathBuf),
}

impl FromStr for CodecSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<CodecSpec, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(CodecSpec::Auto),
            None if text == "openh264" => Ok(CodecSpec::Software),
            None if text == "m2m" => Ok(CodecSpec::Hardware),
            Some(("m2m", path)) if path.starts_with('/') => Ok(CodecSpec::Node(path.into())),
            _ => Err(format!(
                "`{text}` is no codec; write auto, openh264, m2m or m2m:/dev/video11; `visavis devices` lists the nodes"
            )),
        }
    }
}

impl fmt::Display for CodecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecSpec::Auto => f.write_str("auto"),
            CodecSpec::Software => f.write_str("openh264"),
            CodecSpec::Hardware => f.write_str("m2m"),
            CodecSpec::Node(path) => write!(f, "m2m:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_codec_is_written_in_one_way_and_read_back() {
        for text in ["auto", "openh264", "m2m", "m2m:/dev/video11", "m2m:/dev/v4l/by-path/a:b"] {
            assert_eq!(text.parse::<CodecSpec>().map(|spec| spec.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "x264", "m2m:", "m2m:video11", "openh264:1", "/dev/video11"] {
            assert!(text.parse::<CodecSpec>().unwrap_err().contains("m2m:/dev/video11"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_codec_or_an_error(text in ".*") {
            if let Ok(spec) = text.parse::<CodecSpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }
}
