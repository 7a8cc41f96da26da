//! Goal: what stands upon pictures costs each of them no allocation. Method: a counting allocator around a sheet with all
//! that there is on it, laid on picture after picture. One test, since the counter sees every thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use visavis::card::{Heading, Manner, Overlay, Sheet, Touch};
use visavis::media::{Picture, Size};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator as it came; only a counter is added.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_overlay_is_laid_on_pictures_without_an_allocation() {
    let overlay = Overlay {
        heading: Some(Heading::Watching("kitchen".into())),
        is_muted: true,
        is_muted_there: true,
        is_network_weak: true,
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
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..100 {
        sheet.set(&overlay, &manner);
        sheet.lay_on(&mut picture, Some(&small));
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
}
