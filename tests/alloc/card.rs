//! Goal: what stands upon pictures costs each of them no allocation. Method: a sheet with all that there is on it, laid
//! on picture after picture.

use crate::counting::during;
use visavis::card::{Heading, Manner, Overlay, Sheet, Touch};
use visavis::media::{Picture, Size};

pub fn an_overlay_is_laid_on_pictures_without_an_allocation() {
    let overlay = Overlay {
        heading: Some(Heading::Watching("kitchen".into())),
        is_muted: true,
        is_muted_there: true,
        is_network_weak: true,
        reduced: None,
        volume_percent: Some(60),
        remaining_seconds: Some(90),
        has_self_view: true,
        touches: vec![Touch::HangUp, Touch::Mute, Touch::Release],
    };
    let manner = Manner { touch: true, ..Manner::default() };
    let (mut picture, small) = (Picture::new(Size::new(1280, 720)), Picture::new(Size::new(640, 480)));
    let mut sheet = Sheet::default();
    sheet.set(&overlay, &manner);
    // It is painted with the first.
    sheet.lay_on(&mut picture, Some(&small));
    let allocations = during(|| {
        for _ in 0..100 {
            sheet.set(&overlay, &manner);
            sheet.lay_on(&mut picture, Some(&small));
        }
    });
    assert_eq!(allocations, 0);
}
