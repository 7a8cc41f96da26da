//! Goal: showing a picture allocates nothing. Method: a counting allocator around the real stage, fed for a while after
//! its first pictures. One test, since the counter sees every thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use visavis::media::{DecodedFrame, Size};
use visavis::ring::{Pool, mailbox};
use visavis::stage::present::{Board, PresentPorts, PresentStats, spawn};
use visavis::stage::{Context, Health};
use visavis::sys::wake::{Stop, Wake};
use visavis::sys::{clock, poll};
use visavis::time::Duration;

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
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Shows pictures until `count` more were shown, and says how many allocations that took.
fn allocations_of(spec: &str, size: Size) -> u64 {
    let context = Context { stop: Stop::new().unwrap(), net: Wake::new().unwrap() };
    let (wake, health) = (Wake::new().unwrap(), Health::new(context.net.clone()));
    let (mut sender, pictures) = mailbox();
    let stats = Arc::new(PresentStats::default());
    let mut pool = Pool::new((0..4).map(|_| DecodedFrame::new(size)));
    let board = Board::new(wake.clone());
    let spec = spec.parse().unwrap();
    let ports = PresentPorts { pictures, mirror: None, wake: wake.clone(), board, health, stats: stats.clone() };
    let thread = spawn(context.clone(), spec, ports).unwrap();
    let mut show = |count: u64| {
        let (give_up, goal) = (clock::now() + Duration::from_secs(20), stats.shown.get() + count);
        while stats.shown.get() < goal {
            assert!(clock::now() < give_up, "{} shown", stats.shown.get());
            if let Some(mut claim) = pool.claim() {
                (claim.captured_at, claim.decoded_at) = (clock::now(), clock::now());
                drop(sender.put(claim.lend()));
                wake.signal();
            }
            poll::wait(&mut [], Some(clock::now() + Duration::from_millis(1))).unwrap();
        }
    };
    // Buffers, tables and the first open are allowed to allocate.
    show(5);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    show(100);
    let during = ALLOCATIONS.load(Ordering::Relaxed) - before;
    context.stop.stop();
    thread.join().unwrap();
    during
}

#[test]
fn a_picture_is_shown_without_an_allocation() {
    let size = Size::new(320, 240);
    assert_eq!(allocations_of("none", size), 0, "none");
    // Rows that are padded, so that the frame is built, and rows that are not.
    assert_eq!(allocations_of("y4m:/dev/null", size), 0, "y4m");
    assert_eq!(allocations_of("y4m:/dev/null", Size::new(330, 240)), 0, "y4m with padded rows");
    if std::env::var_os("VISAVIS_LAB").is_some() {
        assert_eq!(allocations_of("drm", size), 0, "drm, scaled and converted");
        assert_eq!(allocations_of("fbdev", size), 0, "fbdev");
    }
}
