//! Goal: what the station draws lies in front of a decoder's picture that nobody copies, and together they look as the copy
//! does. Method: vkms with planes above the primary one; pictures of grey tiles eight samples wide, which the codec leaves as
//! they are and which are grey pixels where the screen takes four samples for one. The display engine's own checksum says
//! that what the test has brought together out of the planes is what is on the screen.

use super::engine::{Engine, Lit, Shown, load};
use super::*;
use drm::buffer::DrmFourcc;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use visavis::card::{self, Card, Heading, Manner, Overlay, Sheet};
use visavis::device::drm::Options;
use visavis::device::screen::ScreenSpec;
use visavis::media::{ColourRange, Pane};
use visavis::ring::{Pool, mailbox};
use visavis::stage::present::{Board, PresentPorts, PresentStats, spawn};
use visavis::stage::{Context, Health, State};
use visavis::sys::wake::{Stop, Wake};

const SCREEN: Size = Size::new(320, 240);

/// A talk: ourselves in the corner, a sign, a name.
fn talking() -> Overlay {
    let heading = Some(Heading::Watching("Haustür".into()));
    Overlay { has_self_view: true, is_muted: true, heading, ..Overlay::default() }
}

fn sheet() -> Sheet {
    let mut sheet = Sheet::default();
    sheet.set(&talking(), &Manner::default());
    sheet
}

/// Ourselves: a slope, with colour.
fn own(number: u64) -> Picture {
    let mut picture = Picture::new(Size::new(160, 120));
    let stride = picture.stride_bytes();
    let [luma, u, _] = picture.planes_mut();
    for (n, sample) in luma.iter_mut().enumerate() {
        *sample = (40 + (n % stride + 5 * number as usize) % 160) as u8;
    }
    u.fill(100);
    picture
}

/// Tiles of one tone each, which move.
fn tile(picture: &mut Picture, number: u64) {
    let stride = picture.stride_bytes();
    for (y, row) in picture.planes_mut()[0].chunks_mut(stride).enumerate() {
        for (x, samples) in row.chunks_mut(8).enumerate() {
            samples.fill((30 + (x * 3 + y / 8 * 5 + 2 * number as usize) % 200) as u8);
        }
    }
}

/// The picture that a plane of grey pixels shows, with everything that stands on it drawn into it.
fn copied(beneath: &Lit, own: &Picture) -> Picture {
    let shown = Shown::of(std::slice::from_ref(beneath), SCREEN);
    let mut picture = Picture::new(SCREEN);
    picture.range = ColourRange::Full;
    picture.fill(0, 128, 128);
    let stride = picture.stride_bytes();
    for y in 0..SCREEN.height {
        for x in 0..SCREEN.width {
            let [r, g, b] = shown.pixel(x, y);
            assert!(r == g && g == b, "{x},{y}: {r} {g} {b} is no grey");
            picture.planes_mut()[0][y as usize * stride + x as usize] = g;
        }
    }
    sheet().lay_on(&mut picture, Some(own));
    picture
}

#[test]
fn what_the_station_draws_lies_in_front_of_the_decoder_s_memory_and_looks_as_in_a_copy() {
    let Some(_one) = in_lab("what_the_station_draws_lies_in_front_of_the_decoder_s_memory") else { return };
    load(true);
    let mut screen = open();
    let (size, layout) = as_rgb(&screen);
    assert_eq!(layout.size, SCREEN);
    let (mut film, mut copy, mut sheet) = (Film::new(size), Picture::new(size), sheet());
    let (looker, mut engine) = (Looker::open(), Engine::watch());
    let mut fronts = BTreeSet::new();
    for number in 0..MANY {
        tile(&mut film.picture, number);
        let frame = film.pass(&mut copy).expect("it is lent: a buffer came back");
        let (mine, small) = (memory(&frame), own(number));
        let pane = sheet.pane(screen.glass_size(SCREEN).expect("there is a plane in front"), Some(&small), true);
        assert!(screen.scan_out(frame, layout, Some(pane), clock::now()).is_ok(), "picture {number}");
        finish(&mut screen);
        assert_eq!(looker.shown().1, mine, "picture {number}: another driver's memory is on the screen");
        let planes = looker.lit();
        assert!(matches!(&planes[..], [_, front] if front.format == DrmFourcc::Argb8888), "{} planes", planes.len());
        fronts.insert(planes[1].framebuffer);
        if number % 10 != 9 {
            continue;
        }
        let seen = Shown::of(&planes, SCREEN);
        assert!(engine.shows(&seen), "picture {number} is not what the engine shows");
        // The same by the other way, over one flip.
        let picture = copied(&planes[0], &small);
        screen.show(&picture, clock::now()).unwrap();
        finish(&mut screen);
        let planes = looker.lit();
        assert_eq!(planes.len(), 1, "nothing is left in front");
        let drawn = Shown::of(&planes, SCREEN);
        assert!(engine.shows(&drawn));
        let (share, mean) = seen.difference(&drawn, 3);
        println!("picture {number}: {:.2} % of channels differ by more than 3, {mean:.3} on average", share * 100.0);
        seen.save(&format!("planes-{number}"));
        drawn.save(&format!("copy-{number}"));
        // But for the edges of what has a colour, where the copy's chroma is coarser.
        assert!(share < 0.01 && mean < 0.5);
    }
    assert_eq!(fronts.len(), 2, "two buffers in turn");
}

#[test]
fn a_card_comes_between_and_goes_and_an_overlay_that_says_nothing_leaves_its_plane_dark() {
    let Some(_one) = in_lab("a_card_comes_between_and_goes") else { return };
    load(true);
    let mut screen = open();
    let (size, layout) = as_rgb(&screen);
    let (mut film, mut copy, mut sheet, looker) = (Film::new(size), Picture::new(size), sheet(), Looker::open());
    let mut drawn = Picture::new(SCREEN);
    card::draw(&Card::Connecting { peer: "Küche".into() }, &Manner::default(), &mut drawn);
    for round in 0..3 {
        for has_pane in [true, true, false, true] {
            tile(&mut film.picture, round);
            let frame = film.pass(&mut copy).expect("it is lent");
            let mine = memory(&frame);
            let small = own(round);
            let pane = has_pane.then(|| sheet.pane(SCREEN, Some(&small), true));
            assert!(screen.scan_out(frame, layout, pane, clock::now()).is_ok());
            finish(&mut screen);
            assert_eq!((looker.shown().1, looker.lit().len()), (mine, 1 + usize::from(has_pane)), "round {round}");
        }
        screen.show(&drawn, clock::now()).unwrap();
        finish(&mut screen);
        let planes = looker.lit();
        assert_eq!(planes.len(), 1, "the card is alone");
        let ground = Shown::of(&planes, SCREEN).pixel(2, 2);
        assert!(ground.iter().all(|colour| (10..50).contains(colour)), "the card's ground, not {ground:?}");
    }
}

#[test]
fn pictures_in_the_middle_of_the_screen_have_their_overlay_where_they_are() {
    let Some(_one) = in_lab("pictures_in_the_middle_of_the_screen_have_their_overlay_where_they_are") else { return };
    load(true);
    let mut screen = open();
    let (looker, mut engine, mut sheet) = (Looker::open(), Engine::watch(), sheet());
    let mut pool = Pool::new((0..2).map(|_| DecodedFrame::new(SCREEN)));
    // Wide, then tall: the frames are in memory of ours, and so copied, but what stands on them is not drawn into them.
    for (size, at) in [(Size::new(320, 120), [0, 60, 320, 120]), (Size::new(60, 120), [100, 0, 120, 240])] {
        for number in 0..3 {
            let mut claim = pool.claim().expect("both come back");
            let picture = claim.own_mut().unwrap();
            picture.reshape(size);
            picture.fill(150, 128, 128);
            let pane = sheet.pane(screen.glass_size(size).unwrap(), Some(&own(number)), true);
            assert!(screen.show_frame(claim.lend(), Some(pane), clock::now()).is_ok(), "{size}");
            finish(&mut screen);
        }
        let planes = looker.lit();
        assert_eq!(planes.iter().map(|plane| plane.at).collect::<Vec<_>>(), [[0, 0, 320, 240], at], "{size}");
        assert!(engine.shows(&Shown::of(&planes, SCREEN)), "{size}");
    }
}

#[test]
fn a_screen_without_planes_in_front_has_everything_drawn_into_its_pictures() {
    let Some(_one) = in_lab("a_screen_without_planes_in_front_has_everything_drawn_into_its_pictures") else { return };
    load(false);
    let mut screen = open();
    let (size, layout) = as_rgb(&screen);
    assert_eq!(screen.glass_size(SCREEN), None);
    let (mut film, mut copy, mut sheet) = (Film::new(size), Picture::new(size), sheet());
    let mut next = |film: &mut Film| film.next(&mut copy).expect("it is lent");
    let pane: &Pane = sheet.pane(SCREEN, None, false);
    assert!(screen.scan_out(next(&mut film), layout, Some(pane), clock::now()).is_err(), "not beneath a pane");
    assert!(screen.scan_out(next(&mut film), layout, None, clock::now()).is_ok(), "but by itself");
    finish(&mut screen);
}

#[test]
fn a_screen_that_was_told_to_use_no_planes_lays_nothing_over() {
    let Some(_one) = in_lab("a_screen_that_was_told_to_use_no_planes_lays_nothing_over") else { return };
    load(true);
    for options in [Options { is_yuv: false, ..Options::default() }, Options { is_atomic: false, ..Options::default() }]
    {
        let screen = Drm::open_with(&"card0".parse().unwrap(), options, clock::now()).unwrap();
        assert_eq!(screen.glass_size(SCREEN), None, "{options:?}");
    }
}

/// The file through which the screen under test speaks to its card, the only one of this program.
#[allow(unsafe_code)]
fn own_card() -> BorrowedFd<'static> {
    let is_card = |fd: &RawFd| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|to| to.ends_with("dri/card0"));
    let fds = fs::read_dir("/proc/self/fd").unwrap();
    let fd = fds.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).find(is_card).expect("it is open");
    // SAFETY: the test that calls this keeps its screen, and so the file, for longer than it uses the answer.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

#[test]
fn an_overlay_that_the_driver_refuses_in_mid_call_costs_no_picture() {
    let Some(_one) = in_lab("an_overlay_that_the_driver_refuses_in_mid_call_costs_no_picture") else { return };
    load(true);
    let mut screen = open();
    let card = own_card();
    let (size, layout) = as_rgb(&screen);
    let (mut film, mut copy, mut sheet, looker) = (Film::new(size), Picture::new(size), sheet(), Looker::open());
    assert_ne!(card.as_raw_fd(), looker.as_fd().as_raw_fd());
    let mut fronts = BTreeSet::new();
    for number in 0..4 {
        let pane = sheet.pane(SCREEN, Some(&own(number)), true);
        let frame = film.next(&mut copy).expect("it is lent");
        assert!(screen.scan_out(frame, layout, Some(pane), clock::now()).is_ok());
        finish(&mut screen);
        fronts.insert(looker.lit()[1].framebuffer);
    }
    // The driver forgets the buffers that are laid over pictures.
    for framebuffer in fronts {
        drm_ffi::mode::rm_fb(card, framebuffer).unwrap();
    }
    let pane = sheet.pane(SCREEN, Some(&own(9)), true);
    let frame = film.next(&mut copy).expect("it is lent");
    let frame = screen.scan_out(frame, layout, Some(pane), clock::now()).expect_err("it is not there any more");
    assert_eq!(screen.glass_size(SCREEN), None, "and not asked for again");
    frame.copy_to(&mut Converter::new(), &mut copy).unwrap();
    screen.show(&copy, clock::now()).unwrap();
    finish(&mut screen);
    // Pictures with nothing on them are still read where they are.
    let frame = film.next(&mut copy).expect("it is lent");
    let mine = memory(&frame);
    assert!(screen.scan_out(frame, layout, None, clock::now()).is_ok());
    finish(&mut screen);
    assert_eq!((looker.shown().1, looker.lit().len()), (mine, 1));
}

#[test]
fn the_stage_lays_ourselves_over_the_talk_also_when_the_screen_was_unplugged() {
    let Some(_one) = in_lab("the_stage_lays_ourselves_over_the_talk_also_when_the_screen_was_unplugged") else {
        return;
    };
    load(true);
    let context = Context::new(Stop::new().unwrap(), Wake::new().unwrap()).unwrap();
    let (wake, health) = (Wake::new().unwrap(), Health::new(context.net.clone()));
    let ((mut sender, pictures), (mut looks, mirror)) = (mailbox(), mailbox());
    let stats = Arc::new(PresentStats::default());
    let mut pool = Pool::new((0..4).map(|_| DecodedFrame::of(Pixels::Own(Picture::new(Size::new(160, 120))))));
    let mut own_pool = Pool::new((0..4).map(own));
    let board = Board::new(wake.clone());
    board.set_overlay(talking());
    let spec: ScreenSpec = "drm:card0".parse().unwrap();
    let ports = PresentPorts {
        pictures,
        mirror: Some(mirror),
        wake: wake.clone(),
        board: board.clone(),
        health: health.clone(),
        stats: stats.clone(),
    };
    let thread = spawn(context.clone(), spec, Options::default(), ports).unwrap();
    let looker = Looker::open();
    let mut feed = |until: &dyn Fn() -> bool| {
        let give_up = clock::now() + Duration::from_secs(20);
        while !until() {
            assert!(clock::now() < give_up, "{stats:?} {:?}", health.get());
            if let Some(small) = own_pool.claim() {
                drop(looks.put(small.lend()));
            }
            if let Some(mut claim) = pool.claim() {
                (claim.captured_at, claim.decoded_at) = (clock::now(), clock::now());
                drop(sender.put(claim.lend()));
                wake.signal();
            }
            poll::wait(&mut [], Some(clock::now() + Duration::from_millis(8))).unwrap();
        }
    };
    let is_laid_over = || looker.lit().len() == 2;
    feed(&|| stats.overlaid.get() >= 30);
    feed(&is_laid_over);
    assert_eq!(stats.overlaid.get(), stats.given.get(), "every one: {stats:?}");
    board.set(Some(Card::Connecting { peer: "Küche".into() }));
    feed(&|| stats.covered.get() > 5 && looker.lit().len() == 1);
    board.set(None);
    feed(&is_laid_over);
    // Somebody wants a copy: it has everything in it.
    board.request_snapshot();
    feed(&|| board.take_snapshot().is_some());
    let status = "/sys/class/drm/card0-Virtual-1/status";
    fs::write(status, "off").unwrap();
    feed(&|| matches!(health.get().0, State::Faulty(_)));
    let before = stats.overlaid.get();
    fs::write(status, "detect").unwrap();
    feed(&|| stats.overlaid.get() > before + 10 && is_laid_over());
    assert_eq!(stats.opened.get(), 2);
    context.stop.stop();
    thread.join().unwrap();
}
