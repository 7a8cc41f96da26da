//! What a camera offers, and which of it suits the encoder best.

use crate::device::camera::CameraRequest;
use crate::media::{PixelFormat, Size, VideoCodec};

/// Frames in 1,000 s that are asked for where nobody says: what every webcam does at 640x480.
pub const DEFAULT_MILLIHERTZ: u32 = 30_000;

/// One entry of a driver's list of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Exactly this.
    One(Size),
    /// Everything from `least` to `most` in steps of `step`.
    Steps {
        /// The smallest.
        least: Size,
        /// The largest.
        most: Size,
        /// The granularity in either direction.
        step: Size,
    },
}

impl Sizes {
    /// The size among these that is nearest to `wanted`.
    pub fn nearest(self, wanted: Size) -> Size {
        match self {
            Sizes::One(size) => size,
            Sizes::Steps { least, most, step } => {
                let side = |wanted: u32, least: u32, most: u32, step: u32| {
                    let wanted = wanted.clamp(least, most.max(least));
                    least + (wanted - least) / step.max(1) * step.max(1)
                };
                Size::new(
                    side(wanted.width, least.width, most.width, step.width),
                    side(wanted.height, least.height, most.height, step.height),
                )
            }
        }
    }
}

/// One entry of a driver's list of frame rates, in frames in 1,000 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rates {
    /// Exactly this.
    One(u32),
    /// Everything from the first to the second.
    Between(u32, u32),
}

impl Rates {
    /// The rate among these that is nearest to `wanted`.
    pub fn nearest(self, wanted: u32) -> u32 {
        match self {
            Rates::One(rate) => rate,
            Rates::Between(low, high) => wanted.clamp(low, high.max(low)),
        }
    }
}

/// A way in which a camera can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Memory layout.
    pub pixel: PixelFormat,
    /// Picture size.
    pub size: Size,
    /// Frames in 1,000 s; 0 where the driver does not say.
    pub millihertz: u32,
}

/// The mode that serves the request best: the size comes first, then the rate, then what the encoder likes to read.
///
/// So a webcam that has 640x480 raw at 30 a second gives that, and one that reaches the rate at the wanted size only as
/// MJPEG gives MJPEG. `None` of an empty list.
pub fn choose(modes: &[Mode], request: &CameraRequest) -> Option<Mode> {
    let (size, millihertz) = (request.size(), request.millihertz());
    let cost = |mode: &Mode| {
        (size_cost(mode.size, size), rate_cost(mode.millihertz, millihertz), rank(mode.pixel, request.prefer))
    };
    modes.iter().copied().min_by_key(cost)
}

/// How far a size is from the wanted one: the pixels of both that the other does not have. A larger one costs half of
/// what a smaller one does, since scaling down loses nothing that was wanted.
fn size_cost(size: Size, wanted: Size) -> u64 {
    let area = |s: Size| u64::from(s.width) * u64::from(s.height);
    let common = area(Size::new(size.width.min(wanted.width), size.height.min(wanted.height)));
    (area(size) - common) + 2 * (area(wanted) - common)
}

/// How far a rate is from the wanted one. Within a twentieth is met: 29.97 is 30, and nobody sees the difference. A
/// driver that does not say is given the benefit of the doubt, but behind one that promises. Too slow is worse than
/// too fast: frames can be skipped, not made.
fn rate_cost(millihertz: u32, wanted: u32) -> u64 {
    let (rate, wanted) = (u64::from(millihertz), u64::from(wanted));
    if rate == 0 {
        return 1;
    }
    if rate.abs_diff(wanted) * 20 <= wanted {
        return 0;
    }
    if rate > wanted { rate - wanted } else { 4 * (wanted - rate) }
}

/// The place of a layout in the encoder's order of liking.
fn rank(pixel: PixelFormat, codec: VideoCodec) -> usize {
    use PixelFormat::{I420, Mjpeg, Nv12, Yuyv};
    let order = match codec {
        // Passed through as it is: no pixel is touched.
        VideoCodec::Mjpeg => [Mjpeg, I420, Nv12, Yuyv],
        // Planar 4:2:0 is what these read; NV12 costs a pass over the chroma, YUYV one over all, MJPEG a decoding.
        VideoCodec::H264 | VideoCodec::Deflate => [I420, Nv12, Yuyv, Mjpeg],
    };
    order.iter().position(|p| *p == pixel).unwrap_or(order.len())
}

#[cfg(test)]
mod tests {
    //! Goal: the camera is run as its encoder likes best. Method: the lists of real kinds of cameras, and any lists.
    use super::*;
    use PixelFormat::{I420, Mjpeg, Nv12, Yuyv};
    use proptest::prelude::*;

    const VGA: Size = Size::new(640, 480);
    const HD: Size = Size::new(1280, 720);

    fn mode(pixel: PixelFormat, size: Size, hertz: u32) -> Mode {
        Mode { pixel, size, millihertz: hertz * 1_000 }
    }

    fn request(size: Size, prefer: VideoCodec) -> CameraRequest {
        CameraRequest { size: Some(size), prefer, ..CameraRequest::default() }
    }

    /// What a common USB 2 webcam offers.
    fn webcam() -> Vec<Mode> {
        vec![mode(Yuyv, VGA, 30), mode(Yuyv, HD, 10), mode(Mjpeg, VGA, 30), mode(Mjpeg, HD, 30)]
    }

    #[test]
    fn raw_pictures_are_taken_while_they_reach_the_rate_and_mjpeg_where_only_it_does() {
        for codec in [VideoCodec::H264, VideoCodec::Deflate] {
            assert_eq!(choose(&webcam(), &request(VGA, codec)), Some(mode(Yuyv, VGA, 30)));
            assert_eq!(choose(&webcam(), &request(HD, codec)), Some(mode(Mjpeg, HD, 30)));
        }
    }

    #[test]
    fn a_slow_rate_that_was_asked_for_may_be_raw() {
        let slow = CameraRequest { rate_hz: Some(10), ..request(HD, VideoCodec::H264) };
        assert_eq!(choose(&webcam(), &slow), Some(mode(Yuyv, HD, 10)));
    }

    #[test]
    fn mjpeg_is_passed_through_where_the_camera_makes_it() {
        assert_eq!(choose(&webcam(), &request(VGA, VideoCodec::Mjpeg)), Some(mode(Mjpeg, VGA, 30)));
    }

    #[test]
    fn the_layout_that_needs_no_conversion_comes_first() {
        let modes = [mode(Yuyv, VGA, 30), mode(Nv12, VGA, 30), mode(I420, VGA, 30)];
        assert_eq!(choose(&modes, &request(VGA, VideoCodec::H264)), Some(modes[2]));
        assert_eq!(choose(&modes[..2], &request(VGA, VideoCodec::H264)), Some(modes[1]));
    }

    #[test]
    fn the_next_larger_size_stands_in_for_one_that_is_not_there() {
        let modes = [mode(Yuyv, Size::new(320, 240), 30), mode(Yuyv, Size::new(800, 600), 30)];
        assert_eq!(choose(&modes, &request(VGA, VideoCodec::H264)), Some(modes[1]));
    }

    proptest! {
        #[test]
        fn a_stepwise_size_stays_within_its_list(least in 1u32..500, span in 0u32..4000, step in 0u32..70, w in 0u32..9000, h in 0u32..9000) {
            let sizes = Sizes::Steps { least: Size::new(least, least), most: Size::new(least + span, least + span), step: Size::new(step, step) };
            let size = sizes.nearest(Size::new(w, h));
            prop_assert!((least..=least + span).contains(&size.width) && (least..=least + span).contains(&size.height));
            prop_assert_eq!((size.width - least) % step.max(1), 0);
        }

        #[test]
        fn any_list_has_a_choice_and_the_exact_size_always_wins(widths in proptest::collection::vec((16u32..4000, 16u32..4000, 0u32..120), 1..30)) {
            let mut modes: Vec<_> = widths.iter().map(|(w, h, hz)| mode(Yuyv, Size::new(*w, *h), *hz)).collect();
            prop_assert!(choose(&modes, &request(VGA, VideoCodec::H264)).is_some());
            modes.push(mode(Mjpeg, VGA, 1));
            prop_assert_eq!(choose(&modes, &request(VGA, VideoCodec::H264)).map(|m| m.size), Some(VGA));
        }
    }
}
