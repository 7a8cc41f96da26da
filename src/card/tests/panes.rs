//! Goal: a pane in front of a picture looks like the overlay laid on the picture itself, and is drawn only where it changed.
//! Method: both are brought together by hand and compared in luma, which no format thins out; then a pane that went through
//! many changes is compared with one that is drawn at once.

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
            let (mut worst, mut sum) = (0.0f32, 0.0);
            let [luma, ..] = laid.planes();
            for (n, pixel) in pane.as_chunks::<4>().0.iter().enumerate() {
                assert!(pixel[..3].iter().all(|colour| *colour <= pixel[3]), "{label}: {pixel:?} is premultiplied");
                let through = f32::from(beneath) * f32::from(255 - pixel[3]) / 255.0;
                let seen: [f32; 3] = core::array::from_fn(|n| f32::from(pixel[n]) + through);
                let seen = 0.114 * seen[0] + 0.587 * seen[1] + 0.299 * seen[2];
                let at = n / width as usize * luma.stride_bytes + n % width as usize;
                let error = (seen - f32::from(luma.data[at])).abs();
                worst = worst.max(error);
                sum += error;
            }
            let mean = sum / (size.pixels() as f32);
            // Three roundings here and three there; where colours reach their bounds, a little more.
            assert!(worst <= 4.0 && mean < 0.7, "{label} at {size} on {beneath}: {worst} at the most, {mean} on average");
        }
    }
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
