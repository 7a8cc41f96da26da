//! Goal: the screen on real drivers. Method: run inside the lab's kernel (`VISAVIS_LAB=1`), which has a KMS card (vkms), a
//! framebuffer on it and uinput; what is on the screen is read back from the very buffer that the CRTC scans out, by a
//! second client. Elsewhere each test says that it was skipped.

use drm::control::Device as _;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use visavis::device::drm::{Drm, DrmTarget, Options};
use visavis::device::fbdev::Framebuffer;
use visavis::device::keys::{Key, KeyMotion, Keys};
use visavis::device::screen::ScreenSpec;
use visavis::device::{DecodedFrame, FaultKind, Pixels, VideoSink};
use visavis::media::{Picture, Size};
use visavis::ring::{Pool, mailbox};
use visavis::stage::present::{Board, PresentPorts, PresentStats, spawn};
use visavis::stage::{Context, Health, State};
use visavis::sys::memory::Map;
use visavis::sys::wake::{Stop, Wake};
use visavis::sys::{clock, poll};
use visavis::time::{Duration, Instant};

/// One screen, one test at a time.
static SCREEN: Mutex<()> = Mutex::new(());

fn in_lab(test: &str) -> Option<MutexGuard<'static, ()>> {
    if std::env::var_os("VISAVIS_LAB").is_none() {
        println!("skipped: {test} needs the lab's kernel (VISAVIS_LAB=1)");
        return None;
    }
    Some(SCREEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A client that only looks.
struct Looker(File);
impl AsFd for Looker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
impl drm::Device for Looker {}
impl drm::control::Device for Looker {}

/// What a CRTC shows.
#[derive(Debug, PartialEq)]
struct Shown {
    framebuffer: Option<u32>,
    has_mode: bool,
}

impl Looker {
    fn open() -> Looker {
        let looker = Looker(OpenOptions::new().read(true).write(true).open("/dev/dri/card0").expect("the lab's card"));
        // Whoever opens first becomes master unasked.
        let _ = drm::Device::release_master_lock(&looker);
        looker
    }

    fn crtc(&self) -> drm::control::crtc::Info {
        self.get_crtc(self.resource_handles().unwrap().crtcs()[0]).unwrap()
    }

    fn shown(&self) -> Shown {
        let crtc = self.crtc();
        Shown { framebuffer: crtc.framebuffer().map(Into::into), has_mode: crtc.mode().is_some() }
    }

    /// The pixel at a place of the screen.
    fn pixels(&self) -> impl Fn(u32, u32) -> [u8; 3] + use<> {
        let framebuffer = self.crtc().framebuffer().expect("a lit screen");
        let info = self.get_planar_framebuffer(framebuffer).unwrap();
        let handle = info.buffers()[0].expect("root sees the handle");
        let offset = drm_ffi::mode::dumbbuffer::map(self.as_fd(), handle.into(), 0, 0).unwrap().offset;
        let (pitch, (_, height)) = (info.pitches()[0] as usize, info.size());
        let map = Map::new(self.as_fd(), offset, pitch * height as usize).unwrap();
        let is_16 = info.pixel_format() == drm::buffer::DrmFourcc::Rgb565;
        move |x, y| {
            let row = &map.bytes()[y as usize * pitch..];
            if is_16 {
                let word = u16::from_le_bytes([row[2 * x as usize], row[2 * x as usize + 1]]);
                [(word >> 11 << 3) as u8, (word >> 5 << 2) as u8, (word << 3) as u8]
            } else {
                let at = 4 * x as usize;
                [row[at + 2], row[at + 1], row[at]]
            }
        }
    }
}

/// White left of the middle, black right of it.
fn half_white(size: Size) -> Picture {
    let mut picture = Picture::new(size);
    let stride = picture.stride_bytes();
    for row in picture.planes_mut()[0].chunks_mut(stride) {
        row[..size.width as usize / 2].fill(235);
        row[size.width as usize / 2..].fill(16);
    }
    picture
}

fn show(sink: &mut impl VideoSink, picture: &Picture) -> Instant {
    sink.show(picture, clock::now()).unwrap();
    finish(sink)
}

fn finish(sink: &mut impl VideoSink) -> Instant {
    let give_up = clock::now() + Duration::from_secs(5);
    loop {
        if let Some(at) = sink.finish(clock::now()).unwrap() {
            return at;
        }
        assert!(clock::now() < give_up, "no flip");
        let wait = sink.wait();
        let mut fds: Vec<_> = wait.fd.map(|(fd, events)| nix::poll::PollFd::new(fd, events)).into_iter().collect();
        poll::wait(&mut fds, wait.at).unwrap();
    }
}

#[test]
fn flips_follow_the_vblank_and_carry_its_time() {
    let Some(_one) = in_lab("flips_follow_the_vblank_and_carry_its_time") else { return };
    let mut screen = Drm::open(&DrmTarget::default(), clock::now()).unwrap();
    let picture = half_white(Size::new(640, 480));
    let times: Vec<_> = (0..90)
        .map(|_| {
            let asked = clock::now();
            (asked, show(&mut screen, &picture))
        })
        .collect();
    let mut steps: Vec<_> = times.windows(2).map(|t| t[1].1.since(t[0].1).as_micros()).collect();
    steps.sort_unstable();
    let mut waits: Vec<_> = times.iter().map(|(asked, shown)| shown.since(*asked).as_micros()).collect();
    waits.sort_unstable();
    println!(
        "90 flips: {} µs apart at the median, {} at the most; asked to shown {} µs",
        steps[44], steps[88], waits[45]
    );
    assert!(steps[0] > 8_000, "one flip a vblank: two were {} µs apart", steps[0]);
    // On CLOCK_MONOTONIC: within a few refreshes of when they were asked for.
    assert!(times.iter().all(|(asked, shown)| shown.signed_since(*asked).abs() < 1_000_000_000));
}

#[test]
fn the_picture_is_on_the_screen_by_every_interface_and_format() {
    let Some(_one) = in_lab("the_picture_is_on_the_screen_by_every_interface_and_format") else { return };
    for (is_atomic, is_16_bit) in [(true, false), (true, true), (false, false), (false, true)] {
        let options = Options { is_atomic, is_16_bit, ..Options::default() };
        let mut screen = Drm::open_with(&DrmTarget::default(), options, clock::now()).unwrap();
        let size = screen.size().unwrap();
        let looker = Looker::open();
        // Wide, then tall, then wide again: borders above and below, then at the sides.
        for (w, h) in [(640, 240), (240, 480), (640, 240)] {
            for _ in 0..3 {
                show(&mut screen, &half_white(Size::new(w, h)));
            }
            let (left, top, shown) = Size::new(w, h).fit(size);
            let pixel = looker.pixels();
            let middle = size.height / 2;
            let what = format!("atomic {is_atomic}, 16 bits {is_16_bit}, {w}x{h} on {size}");
            assert!(pixel(left + shown.width / 4, middle).iter().all(|c| *c >= 248), "{what}: white");
            assert!(pixel(left + shown.width * 3 / 4, middle).iter().all(|c| *c <= 7), "{what}: black");
            let border = if top > 0 { pixel(left + shown.width / 4, top / 2) } else { pixel(left / 2, middle) };
            assert_eq!(border, [0, 0, 0], "{what}: border");
        }
    }
}

#[test]
fn the_console_is_put_back_at_the_end_and_after_a_panic() {
    let Some(_one) = in_lab("the_console_is_put_back_at_the_end_and_after_a_panic") else { return };
    let looker = Looker::open();
    let before = looker.shown();
    println!("before: {before:?}");
    for is_atomic in [true, false] {
        for panics in [false, true] {
            let looked = std::thread::spawn(move || {
                let options = Options { is_atomic, ..Options::default() };
                let mut screen = Drm::open_with(&DrmTarget::default(), options, clock::now()).unwrap();
                show(&mut screen, &half_white(Size::new(320, 240)));
                assert_ne!(Looker::open().shown().framebuffer, None);
                // One is under way when it ends.
                screen.show(&half_white(Size::new(320, 240)), clock::now()).unwrap();
                assert!(!panics, "on purpose");
            });
            assert_eq!(looked.join().is_err(), panics);
            assert_eq!(looker.shown(), before, "atomic {is_atomic}, panic {panics}");
        }
    }
}

#[test]
fn an_unplugged_screen_is_absent_and_comes_back() {
    let Some(_one) = in_lab("an_unplugged_screen_is_absent_and_comes_back") else { return };
    let mut screen = Drm::open(&DrmTarget::default(), clock::now()).unwrap();
    let target: DrmTarget = screen.name().trim_start_matches("drm:").parse().unwrap();
    let force = |state| {
        let connector = target.connector.as_ref().unwrap();
        fs::write(format!("/sys/class/drm/card0-{connector}/status"), state).unwrap();
    };
    show(&mut screen, &half_white(Size::new(320, 240)));
    force("off");
    let fault = screen.finish(clock::now() + Duration::from_secs(2)).unwrap_err();
    println!("{fault}");
    assert_eq!(fault.kind, FaultKind::Absent);
    drop(screen);
    let fault = Drm::open(&target, clock::now()).unwrap_err();
    println!("{fault}");
    assert_eq!(fault.kind, FaultKind::Absent);
    force("detect");
    let mut screen = Drm::open(&target, clock::now()).unwrap();
    show(&mut screen, &half_white(Size::new(320, 240)));
}

#[test]
fn a_screen_that_another_draws_on_is_refused_in_words() {
    let Some(_one) = in_lab("a_screen_that_another_draws_on_is_refused_in_words") else { return };
    let first = Drm::open(&DrmTarget::default(), clock::now()).unwrap();
    let fault = Drm::open(&DrmTarget::default(), clock::now()).unwrap_err();
    println!("{fault}");
    assert!(fault.kind == FaultKind::Unusable && fault.to_string().contains("desktop"), "{fault}");
    drop(first);
    let fault = Drm::open(&"card0/DSI-9".parse().unwrap(), clock::now()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Absent, "{fault}");
}

#[test]
fn a_framebuffer_shows_the_picture_and_is_put_back() {
    let Some(_one) = in_lab("a_framebuffer_shows_the_picture_and_is_put_back") else { return };
    let path = Path::new("/dev/fb0");
    let info = visavis::device::fbdev::info(path).unwrap();
    println!("{info}, double: {}", info.is_double);
    let before = fs::read(path).unwrap();
    let mut screen = Framebuffer::open(path).unwrap();
    let size = screen.size().unwrap();
    for _ in 0..3 {
        show(&mut screen, &half_white(Size::new(640, 240)));
    }
    let now = fs::read(path).unwrap();
    let (bytes, stride) = (info.bits_per_pixel as usize / 8, before.len() / size.height as usize);
    if !info.is_double {
        let row = &now[size.height as usize / 2 * stride..][..size.width as usize * bytes];
        assert!(
            row[..bytes].iter().take(3).all(|b| *b >= 248) && row[row.len() - bytes..][..3].iter().all(|b| *b <= 1)
        );
        assert!(now[..stride].iter().all(|b| *b == 0), "the border");
    }
    drop(screen);
    // All but the cursor of a text console, which blinks again.
    let differing = fs::read(path).unwrap().iter().zip(&before).filter(|(now, before)| now != before).count();
    println!("{differing} of {} bytes differ afterwards", before.len());
    assert!(differing * 1_000 <= before.len(), "the content is put back");
}

#[test]
fn keys_of_a_keyboard_that_is_plugged_in_later_arrive_once_each() {
    use evdev::uinput::VirtualDevice;
    use evdev::{AttributeSet, EventType, InputEvent, KeyCode};
    let Some(_one) = in_lab("keys_of_a_keyboard_that_is_plugged_in_later_arrive_once_each") else { return };
    let mut keys = Keys::open(&Key::HANG_UP);
    let next = |keys: &mut Keys| keys.read(clock::now()).map(|event| (event.key, event.motion));
    for round in 0..2 {
        let set: AttributeSet<KeyCode> = [KeyCode::KEY_ESC, KeyCode::KEY_Q, KeyCode::KEY_W].into_iter().collect();
        let builder = VirtualDevice::builder().unwrap().name("test keyboard").with_keys(&set).unwrap();
        let mut board = builder.build().unwrap();
        let give_up = clock::now() + Duration::from_secs(5);
        let before = if round == 0 { keys.fds().count() } else { 1 };
        while keys.fds().count() <= before {
            assert!(clock::now() < give_up, "the keyboard is not seen");
            wait_for(&keys);
            assert_eq!(next(&mut keys), None);
        }
        for (key, value) in [(KeyCode::KEY_W, 1), (KeyCode::KEY_Q, 1), (KeyCode::KEY_Q, 2), (KeyCode::KEY_ESC, 1)] {
            board.emit(&[InputEvent::new(EventType::KEY.0, key.0, value)]).unwrap();
        }
        let mut seen = Vec::new();
        while seen.len() < 3 {
            assert!(clock::now() < give_up, "{seen:?}");
            seen.extend(next(&mut keys));
            if seen.len() < 3 {
                wait_for(&keys);
            }
        }
        let typed = [(Key::Q, KeyMotion::Down), (Key::Q, KeyMotion::Repeat), (Key::ESCAPE, KeyMotion::Down)];
        assert_eq!((seen, next(&mut keys)), (typed.to_vec(), None));
        // Unplugged: its fd goes at the next read, and its keys come up.
        drop(board);
        let mut ups = Vec::new();
        while keys.fds().count() > 1 || ups.len() < 2 {
            assert!(clock::now() < give_up, "the keyboard stays");
            wait_for(&keys);
            ups.extend(std::iter::from_fn(|| next(&mut keys)));
        }
        assert_eq!(ups, [(Key::Q, KeyMotion::Up), (Key::ESCAPE, KeyMotion::Up)]);
    }
}

fn wait_for(keys: &Keys) {
    let mut fds: Vec<_> = keys.fds().map(|fd| nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)).collect();
    poll::wait(&mut fds, Some(clock::now() + Duration::from_millis(100))).unwrap();
}

#[test]
fn the_stage_shows_the_newest_at_each_vblank_and_outlives_an_unplugged_screen() {
    let Some(_one) = in_lab("the_stage_shows_the_newest_at_each_vblank_and_outlives_an_unplugged_screen") else {
        return;
    };
    let context = Context::new(Stop::new().unwrap(), Wake::new().unwrap()).unwrap();
    let (wake, health) = (Wake::new().unwrap(), Health::new(context.net.clone()));
    let (mut sender, pictures) = mailbox();
    let stats = Arc::new(PresentStats::default());
    let mut pool = Pool::new((0..4).map(|_| DecodedFrame::of(Pixels::Own(half_white(Size::new(640, 480))))));
    // This card only: the lab has a second one, which the stage would take instead of the unplugged one.
    let spec: ScreenSpec = "drm:card0".parse().unwrap();
    let board = Board::new(wake.clone());
    let (own_wake, own_health, own_stats) = (wake.clone(), health.clone(), stats.clone());
    let ports = PresentPorts { pictures, mirror: None, wake: own_wake, board, health: own_health, stats: own_stats };
    let thread = spawn(context.clone(), spec, Options::default(), ports).unwrap();
    let mut number = 0;
    // A picture each 4 ms, four for each refresh.
    let mut feed = |until: &dyn Fn() -> bool| {
        let give_up = clock::now() + Duration::from_secs(20);
        while !until() {
            assert!(clock::now() < give_up, "{stats:?} {:?}", health.get());
            if let Some(mut claim) = pool.claim() {
                number += 1;
                claim.number = number;
                (claim.captured_at, claim.decoded_at) = (clock::now(), clock::now());
                stats.replaced.add(u64::from(sender.put(claim.lend()).is_some()));
                wake.signal();
            }
            poll::wait(&mut [], Some(clock::now() + Duration::from_millis(4))).unwrap();
        }
    };
    feed(&|| stats.shown.get() >= 120);
    println!("{} shown, {} replaced, {:?}", stats.shown.get(), stats.replaced.get(), stats.latency.summary());
    assert!(stats.replaced.get() > stats.shown.get() / 2, "{stats:?}");

    let status = "/sys/class/drm/card0-Virtual-1/status";
    fs::write(status, "off").unwrap();
    feed(&|| matches!(health.get().0, State::Faulty(ref fault) if fault.kind == FaultKind::Absent));
    let shown = stats.shown.get();
    fs::write(status, "detect").unwrap();
    feed(&|| stats.shown.get() > shown + 30);
    assert_eq!(stats.opened.get(), 2);
    assert!(stats.no_screen.get() > 0, "pictures went on coming: {stats:?}");
    context.stop.stop();
    thread.join().unwrap();
}
