//! What is known of single drivers beyond what they say of themselves: a table.
//!
//! Only what somebody has read in a driver's source or met on its board stands here; every line names its source. A
//! driver that is not in it is taken at its word.

use super::Role;
use crate::media::{PixelFormat, Size};

/// What is known of one driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// As VIDIOC_QUERYCAP names it.
    pub driver: &'static str,
    /// What it is not taken for by itself, only when it is asked for, and why.
    pub avoid: &'static [(Role, &'static str)],
    /// The largest picture that it encodes or decodes, where it lists no sizes or more than it can do in real time.
    pub most: Option<Size>,
    /// What the bytes between two rows are a multiple of in pictures for its encoder. It rounds up by itself, and what it
    /// answers counts; but another device's buffer can be imported only if its rows lie like that already.
    pub encoder_strides: &'static [(PixelFormat, usize)],
    /// Where that is written: source files of the kernel, and threads about the board.
    pub sources: &'static [&'static str],
}

/// The table.
pub const QUIRKS: &[Quirk] = &[
    // Raspberry Pi Zero to 4 (a Pi 5 has no H.264 hardware). Multi-planar nodes only, each format in one plane. Controls
    // are kept for each open file, and only applied when buffers are asked for: VIDIOC_REQBUFS is where a lack of memory
    // or a refused control shows (ENOMEM from the kernel's contiguous memory, `cma=`; EINVAL from the firmware's,
    // `gpu_mem=`). A forced key frame before that is lost; kernels before 2019 have none at all. The first frame brings
    // its parameter sets; asked to repeat them (repeat_sequence_header), the firmware runs out of room for them after some
    // 20,000 frames and stalls, so they are kept and repeated here. Time stamps are cut to microseconds. A frame that is
    // larger than its buffer comes in several, so large ones are asked for. Above 1080p there is garbage in the stream.
    // B-frames are a control without effect. Decoded pictures have rows rounded up to 16; the visible part is the compose
    // rectangle.
    Quirk {
        driver: "bcm2835-codec",
        avoid: &[(
            Role::Decoder,
            "it may lose the first frames of a stream, and holds those back that do not say that none is reordered",
        )],
        most: Some(Size::new(1920, 1080)),
        encoder_strides: &[(PixelFormat::I420, 64), (PixelFormat::Nv12, 32), (PixelFormat::Yuyv, 64)],
        sources: &[
            "raspberrypi/linux, drivers/staging/vc04_services/bcm2835-codec/bcm2835-v4l2-codec.c",
            "raspberrypi/linux#3171 (key frames, ENOMEM)",
            "raspberrypi/linux#4520 (repeated headers)",
            "raspberrypi/linux#5059 (first frames lost)",
            "raspberrypi/linux#6045 (1920x1200)",
            "raspberrypi/firmware#232 (frames held)",
        ],
    },
    // The kernel's test driver: it works on the processor, and speaks a format of its own.
    Quirk {
        driver: "vicodec",
        avoid: &[(Role::Encoder, "it is the kernel's test driver"), (Role::Decoder, "it is the kernel's test driver")],
        most: None,
        encoder_strides: &[],
        sources: &["torvalds/linux, drivers/media/test-drivers/vicodec/vicodec-core.c"],
    },
];

/// What is known of a driver.
pub fn of(driver: &str) -> Option<&'static Quirk> {
    QUIRKS.iter().find(|quirk| quirk.driver == driver)
}

/// Why a driver is not taken for something by itself; `None` where it is.
pub fn avoided(driver: &str, role: Role) -> Option<&'static str> {
    of(driver)?.avoid.iter().find(|(avoided, _)| *avoided == role).map(|(_, why)| *why)
}

/// Whether a driver takes pictures of this size, by the table; a picture may lie on its side.
pub fn takes(driver: &str, size: Size) -> bool {
    let (long, short) = (size.width.max(size.height), size.width.min(size.height));
    of(driver).and_then(|quirk| quirk.most).is_none_or(|most| long <= most.width && short <= most.height)
}

/// Whether rows of `stride_bytes` are such as a driver's encoder reads in place.
pub fn reads_in_place(driver: &str, pixel: PixelFormat, stride_bytes: usize) -> bool {
    let multiple = of(driver).and_then(|quirk| quirk.encoder_strides.iter().find(|(p, _)| *p == pixel));
    multiple.is_none_or(|(_, multiple)| stride_bytes.is_multiple_of(*multiple))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_stands_in_the_table_once_with_its_source() {
        for (n, quirk) in QUIRKS.iter().enumerate() {
            assert!(QUIRKS[..n].iter().all(|other| other.driver != quirk.driver), "{}", quirk.driver);
            assert!(quirk.sources.iter().any(|source| source.ends_with(".c")), "{}", quirk.driver);
            assert!(quirk.encoder_strides.iter().all(|(_, multiple)| multiple.is_power_of_two()));
        }
    }

    #[test]
    fn a_raspberry_pi_takes_up_to_1080p_upright_or_not() {
        let takes = |width, height| takes("bcm2835-codec", Size::new(width, height));
        assert!(takes(1920, 1080) && takes(1080, 1920) && takes(640, 480));
        assert!(!takes(1920, 1200) && !takes(2592, 1944));
        assert!(super::takes("another", Size::new(3840, 2160)), "it is taken at its word");
    }

    #[test]
    fn a_raspberry_pi_s_encoder_is_taken_unasked_and_its_decoder_is_not() {
        assert_eq!(avoided("bcm2835-codec", Role::Encoder), None);
        assert!(avoided("bcm2835-codec", Role::Decoder).is_some());
        assert_eq!(avoided("another", Role::Decoder), None, "it is taken at its word");
    }

    #[test]
    fn a_webcam_s_rows_are_read_in_place_only_where_they_fit() {
        let fits = |pixel, stride| reads_in_place("bcm2835-codec", pixel, stride);
        assert!(fits(PixelFormat::Yuyv, 1280) && fits(PixelFormat::I420, 640) && fits(PixelFormat::Nv12, 352));
        assert!(!fits(PixelFormat::Yuyv, 352 * 2 + 32) && !fits(PixelFormat::I420, 352));
        assert!(reads_in_place("another", PixelFormat::I420, 17));
    }
}
