//! Goal: a pane in front of a picture looks like the overlay laid on the picture itself, and is drawn only where it changed.
//! Method: both are brought together by hand as a screen does it, and compared in luma, since chroma of 4:2:0 runs over edges
//! that a pane has as they are; then a pane that went through many changes is compared with one that is drawn at once.

use super::overlays::overlays;
use super::*;
use crate::media::Pane;

const SIZE: Size = Size::new(640, 480);
const TOUCH: Manner = Manner { language: Language::English, touch: true };

/// A picture at full levels, of one luma and without colour: what its pixels are in red, green and blue too.
fn grey(size: Size, luma: u8) -> Picture {
    let mut picture = Picture::new(size);
    picture.range = ColourRange::Full;
    picture.fill(luma, 128, 128);
    picture
}

/// Our own picture, with an edge and with colour.
fn own(luma: u8) -> Picture {
    let mut picture = Picture::new(Size::new(320, 240));
    picture.fill(luma, 110, 150);
    let stride = picture.stride_bytes();
    picture.planes_mut()[0][stride * 120..].fill(40);
    picture
}

fn bytes(pane: &Pane) -> Vec<u8> {
    pane.rows(Rect::of(pane.size())).flatten().copied().collect()
}

#[test]
fn a_pane_in_front_of_a_picture_looks_like_the_overlay_on_it() {
    for (label, overlay) in overlays() {
        for (width, height, beneath) in [(640, 480, 90), (640, 480, 255), (1_366, 768, 0), (321, 241, 140)] {
            let size = Size::new(width, height);
            let (mut sheet, mut laid, small) = (Sheet::default(), grey(size, beneath), own(200));
            sheet.set(&overlay, &TOUCH);
            sheet.lay_on(&mut laid, Some(&small));
            let pane = bytes(sheet.pane(size, Some(&small), true));
            let (mut far_off, mut sum) = (0, 0.0);
            for (n, pixel) in pane.as_chunks::<4>().0.iter().enumerate() {
                assert!(pixel[..3].iter().all(|colour| *colour <= pixel[3]), "{label}: {pixel:?} is premultiplied");
                let through = f32::from(beneath) * f32::from(255 - pixel[3]) / 255.0;
                let seen = core::array::from_fn(|n| f32::from(pixel[n]) + through);
                let error = (luma(seen) - luma(colours(&laid, n % width as usize, n / width as usize))).abs();
                sum += error;
                far_off += usize::from(error > 3.0);
            }
            // A rounding here and one there; but at the edges of what has a colour chroma is not the same.
            let (share, mean) = (far_off as f32 / size.pixels() as f32, sum / size.pixels() as f32);
            assert!(share < 0.01 && mean < 0.4, "{label} at {size} on {beneath}: {share} are off, {mean} on average");
        }
    }
}

/// Blue, green and red of a pixel at full levels, as a screen shows it.
fn colours(picture: &Picture, x: usize, y: usize) -> [f32; 3] {
    let planes = picture.planes();
    let half = y / 2 * planes[1].stride_bytes + x / 2;
    let luma = f32::from(planes[0].data[y * planes[0].stride_bytes + x]);
    let [u, v] = [1, 2].map(|plane: usize| f32::from(planes[plane].data[half]) - 128.0);
    [luma + 1.772 * u, luma - 0.344_136 * u - 0.714_136 * v, luma + 1.402 * v].map(|colour| colour.clamp(0.0, 255.0))
}

fn luma([b, g, r]: [f32; 3]) -> f32 {
    0.114 * b + 0.587 * g + 0.299 * r
}

#[test]
fn a_new_picture_of_ourselves_changes_nothing_but_its_corner() {
    let mut sheet = Sheet::default();
    sheet.set(&Overlay { has_self_view: true, is_muted: true, ..Overlay::default() }, &TOUCH);
    let version = sheet.pane(SIZE, Some(&own(200)), true).version();
    // The same once more is no change at all.
    assert_eq!(sheet.pane(SIZE, Some(&own(200)), false).version(), version);
    let pane = sheet.pane(SIZE, Some(&own(90)), true);
    let changed: Vec<_> = pane.changed_since(version).collect();
    assert!(matches!(changed[..], [corner] if corner.left > 450 && corner.bottom() < 170), "{changed:?}");
}

#[test]
fn a_sign_that_comes_leaves_the_other_signs_alone() {
    let mut sheet = Sheet::default();
    let muted = Overlay { has_self_view: true, is_muted: true, ..Overlay::default() };
    sheet.set(&muted, &TOUCH);
    let version = sheet.pane(SIZE, None, false).version();
    sheet.set(&Overlay { is_network_weak: true, ..muted.clone() }, &TOUCH);
    let pane = sheet.pane(SIZE, None, false);
    assert_eq!(pane.changed_since(version).count(), 1, "the new one, beneath the other");
    sheet.set(&Overlay::default(), &TOUCH);
    assert!(bytes(sheet.pane(SIZE, None, false)).iter().all(|byte| *byte == 0), "nothing stands there any more");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn whatever_happened_before_a_pane_is_as_if_drawn_at_once(
        steps in proptest::collection::vec((0..overlays().len() + 1, any::<bool>(), 60..220u8, 0..3usize), 1..12)
    ) {
        let sizes = [SIZE, SIZE, Size::new(321, 243)];
        let shown = |index: usize| overlays().get(index).map(|(_, overlay)| overlay.clone()).unwrap_or_default();
        let mut sheet = Sheet::default();
        for (index, has_own, luma, size) in steps {
            let (overlay, small, size) = (shown(index), has_own.then(|| own(luma)), sizes[size]);
            sheet.set(&overlay, &TOUCH);
            let mut fresh = Sheet::default();
            fresh.set(&overlay, &TOUCH);
            let drawn = bytes(sheet.pane(size, small.as_ref(), true));
            prop_assert!(drawn == bytes(fresh.pane(size, small.as_ref(), true)), "{overlay:?}");
        }
    }
}
