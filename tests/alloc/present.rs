//! Goal: showing a picture allocates nothing. Method: the real stage, fed for a while after its first pictures.

use crate::counting;
use std::sync::Arc;
use visavis::device::DecodedFrame;
use visavis::device::drm::Options;
use visavis::media::Size;
use visavis::ring::{Pool, mailbox};
use visavis::stage::present::{Board, PresentPorts, PresentStats, spawn};
use visavis::stage::{Context, Health};
use visavis::sys::wake::{Stop, Wake};
use visavis::sys::{clock, poll};
use visavis::time::Duration;

/// Shows pictures until `count` more were shown, and says how many allocations that took.
fn allocations_of(spec: &str, size: Size) -> u64 {
    let context = Context::new(Stop::new().unwrap(), Wake::new().unwrap()).unwrap();
    let (wake, health) = (Wake::new().unwrap(), Health::new(context.net.clone()));
    let (mut sender, pictures) = mailbox();
    let stats = Arc::new(PresentStats::default());
    let mut pool = Pool::new((0..4).map(|_| DecodedFrame::new(size)));
    let board = Board::new(wake.clone());
    let spec = spec.parse().unwrap();
    let ports = PresentPorts { pictures, mirror: None, wake: wake.clone(), board, health, stats: stats.clone() };
    let thread = spawn(context.clone(), spec, Options::default(), ports).unwrap();
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
    let before = counting::allocations();
    show(100);
    let during = counting::allocations() - before;
    context.stop.stop();
    thread.join().unwrap();
    during
}

pub fn a_picture_is_shown_without_an_allocation() {
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
