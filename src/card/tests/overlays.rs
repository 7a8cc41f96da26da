//! Goal: what stands on a picture says what it should and leaves the rest alone. Method: pictures of one tone, before and
//! after.

use super::*;

/// One of each kind, each with a name for its picture.
pub fn overlays() -> Vec<(&'static str, Overlay)> {
    let name = || "Haustür".to_owned();
    let touches = vec![Touch::HangUp, Touch::Mute, Touch::Release, Touch::VolumeDown, Touch::VolumeUp];
    let talking = Overlay { has_self_view: true, touches: touches.clone(), ..Overlay::default() };
    let all = Overlay {
        is_muted: true,
        is_muted_there: true,
        is_network_weak: true,
        volume_percent: Some(60),
        remaining_seconds: Some(272),
        ..talking.clone()
    };
    let answer = vec![Touch::Decline, Touch::Release, Touch::Answer];
    let headed = |heading| Overlay { heading: Some(heading), touches: vec![Touch::HangUp], ..Overlay::default() };
    vec![
        ("note", Overlay::note("no sound from kitchen")),
        ("incoming", Overlay { touches: answer, ..headed(Heading::Rings(name())) }),
        ("talking", talking.clone()),
        ("talking-all", all),
        ("reduced", Overlay { reduced: Some(Reduced::Heat), ..talking.clone() }),
        ("door open", headed(Heading::DoorOpen)),
        ("door shut", headed(Heading::DoorShut)),
        ("watching", headed(Heading::Watching(name()))),
        ("watched", headed(Heading::WatchedBy(name()))),
    ]
}

const TOUCH: Manner = Manner { language: Language::English, touch: true };

fn grey(size: Size) -> Picture {
    let mut picture = Picture::new(size);
    picture.fill(120, 100, 150);
    picture
}

fn laid(overlay: &Overlay, manner: &Manner, mut picture: Picture, small: Option<&Picture>) -> Picture {
    let mut sheet = Sheet::default();
    sheet.set(overlay, manner);
    sheet.lay_on(&mut picture, small);
    picture
}

#[test]
fn a_note_is_drawn_on_the_foot_and_leaves_the_rest_alone() {
    let picture = laid(&Overlay::note("no sound from kitchen"), &Manner::default(), grey(Size::new(640, 480)), None);
    let [luma, ..] = picture.planes();
    let row = |y: usize| &luma.data[y * luma.stride_bytes..][..640];
    assert!(row(400).iter().all(|y| *y == 120));
    assert!((440..480).any(|y| row(y).iter().any(|y| *y > 220)) && (440..480).all(|y| row(y)[0] < 70));
}

#[test]
fn a_sheet_is_empty_exactly_where_it_would_leave_the_picture_as_it_is() {
    let (size, small) = (Size::new(640, 480), Picture::new(Size::new(320, 240)));
    let untouched = grey(size);
    for (label, overlay) in overlays().into_iter().chain([("nothing", Overlay::default())]) {
        for (manner, has_own) in [(TOUCH, true), (TOUCH, false), (Manner::default(), true), (Manner::default(), false)]
        {
            let mut sheet = Sheet::default();
            sheet.set(&overlay, &manner);
            let mut picture = grey(size);
            sheet.lay_on(&mut picture, has_own.then_some(&small));
            let is_same = picture.planes().iter().zip(untouched.planes()).all(|(a, b)| a.data == b.data);
            assert_eq!(sheet.is_empty(has_own), is_same, "{label}, touch {}, own {has_own}", manner.touch);
        }
    }
}

#[test]
fn the_picture_is_seen_through_what_stands_on_it() {
    for (label, overlay) in overlays() {
        for (width, height) in SIZES {
            let size = Size::new(width, height);
            let picture = laid(&overlay, &TOUCH, grey(size), Some(&Picture::new(Size::new(640, 480))));
            let [luma, ..] = picture.planes();
            let rows = (0..height as usize).map(|y| &luma.data[y * luma.stride_bytes..][..width as usize]);
            let untouched = rows.flatten().filter(|sample| **sample == 120).count();
            assert!(untouched * 2 >= size.pixels(), "{label} at {size}: {untouched}");
        }
    }
}

#[test]
fn buttons_upon_a_picture_keep_the_rules_of_buttons() {
    for (label, overlay) in overlays() {
        for (width, height) in SIZES {
            let size = Size::new(width, height);
            let zones = overlay.zones(&TOUCH, size);
            check_zones(&zones, size);
            assert_eq!(zones.len(), overlay.touches.len(), "{label}");
            assert!(overlay.zones(&Manner::default(), size).is_empty(), "{label} without touch");
            let picture = laid(&overlay, &TOUCH, grey(size), None);
            assert!(zones.iter().all(|zone| ink(&picture, zone.place, 120).is_some()), "{label} at {size}");
        }
    }
}

#[test]
fn ones_own_picture_is_mirrored_framed_and_in_the_levels_of_the_other() {
    let mut small = Picture::new(Size::new(320, 240));
    small.range = ColourRange::Full;
    small.fill(0, 128, 128);
    let stride = small.stride_bytes();
    // White on the left half.
    small.planes_mut()[0].chunks_mut(stride).for_each(|row| row[..160].fill(255));
    let overlay = Overlay { has_self_view: true, ..Overlay::default() };
    let picture = laid(&overlay, &Manner::default(), grey(Size::new(640, 480)), Some(&small));
    let place = ink(&picture, Rect::of(picture.size()), 120).expect("an inset");
    assert!(place.width.abs_diff(160) <= 6 && place.height.abs_diff(120) <= 6, "{place:?}");
    assert!(place.left > 400 && place.top < 60 && place.right() < 640, "{place:?}");
    let [luma, ..] = picture.planes();
    let at = |x: i32, y: i32| luma.data[y as usize * luma.stride_bytes + x as usize];
    let middle = place.top + 60;
    assert_eq!((at(place.left + 20, middle), at(place.right() - 20, middle)), (16, 235));
    assert_eq!(at(place.left, middle), colour::STRONG.samples(ColourRange::Limited)[0]);
    // Nothing wanted, nothing drawn.
    let without = laid(&Overlay::default(), &Manner::default(), grey(Size::new(640, 480)), Some(&small));
    assert!(ink(&without, Rect::of(without.size()), 120).is_none());
}

#[test]
fn a_sheet_follows_changes_of_what_it_shows_and_of_the_pictures() {
    let mut sheet = Sheet::default();
    sheet.set(&Overlay::note("first"), &Manner::default());
    for (overlay, size) in [
        (Overlay::note("first"), Size::new(640, 480)),
        (Overlay::note("second"), Size::new(640, 480)),
        (Overlay::note("second"), Size::new(321, 241)),
    ] {
        sheet.set(&overlay, &Manner::default());
        let mut picture = grey(size);
        sheet.lay_on(&mut picture, None);
        let fresh = laid(&overlay, &Manner::default(), grey(size), None);
        assert_eq!(picture.planes()[0].data, fresh.planes()[0].data, "{overlay:?} at {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_overlay_breaks_any_size(words in any::<String>(), w in 1u32..700, h in 1u32..700, sw in 1u32..700, sh in 1u32..700, percent in any::<u8>(), seconds in any::<u64>()) {
        let (mut full, small) = (grey(Size::new(w, h)), Picture::new(Size::new(sw, sh)));
        full.range = ColourRange::Full;
        for (_, overlay) in overlays() {
            let heading = Some(Heading::Rings(words.clone()));
            let overlay = Overlay { heading, volume_percent: Some(percent), remaining_seconds: Some(seconds), ..overlay };
            full = laid(&overlay, &TOUCH, full, Some(&small));
        }
    }
}
