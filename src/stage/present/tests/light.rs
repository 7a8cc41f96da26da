//! Goal: a measurement from light to light finds what a picture takes, leaves the screen as it was, and says what it lacks.
//! Method: the real stage with a pipe for a screen, which this end looks at as a camera does: what it reads is sent back a while
//! later, and it notes itself between which times each flash must have come and been seen.

use super::*;
use crate::flash::{FLASHES, Field};
use crate::stage::present::Lighting;
use std::collections::VecDeque;

/// How long what the screen shows is under way.
const WAY: Duration = Duration::from_millis(100);
/// From one picture of the camera to the next.
const FRAME: Duration = Duration::from_millis(20);
/// A measurement takes twelve seconds.
const PATIENCE: Duration = Duration::from_secs(60);

fn pipe(name: &str) -> (PathBuf, fs::File) {
    let path = place(name);
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
    let mut reader = fs::OpenOptions::new();
    let reader = reader.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&path);
    (path, reader.unwrap())
}

/// A camera that looks at the pipe, and what it knows of each flash.
struct Camera {
    reader: fs::File,
    bytes: Vec<u8>,
    /// What the screen showed when; the last is what it shows.
    sights: VecDeque<(Instant, u8)>,
    /// When it was surely dark, and when it was bright.
    edges: Vec<(Instant, Instant)>,
    /// The last times that it was seen dark: a stage that is held up may have stamped what comes next before the very last.
    dark_at: [Instant; 2],
}

impl Camera {
    fn new(reader: fs::File) -> Camera {
        Camera { reader, bytes: Vec::new(), sights: VecDeque::new(), edges: Vec::new(), dark_at: [clock::now(); 2] }
    }

    fn luma_at(&self, at: Instant) -> u8 {
        self.sights.iter().rev().find(|(since, _)| *since <= at).map_or(16, |(_, luma)| *luma)
    }

    fn look(&mut self) {
        let looked_at = clock::now();
        let mut chunk = [0; 1 << 16];
        while let Ok(n @ 1..) = self.reader.read(&mut chunk) {
            self.bytes.extend_from_slice(&chunk[..n]);
        }
        let (head, frame) = (head(&self.bytes), 6 + SIZE.pixels() * 3 / 2);
        let Some(whole) = (self.bytes.len() - head).checked_div(frame).filter(|frames| *frames > 0) else { return };
        let luma = self.bytes[head + (whole - 1) * frame + 6];
        let was = self.luma_at(looked_at);
        if was < 100 && luma > 200 {
            self.edges.push((self.dark_at[0], clock::now()));
        }
        if luma < 100 {
            self.dark_at = [self.dark_at[1], looked_at];
        }
        self.sights.push_back((looked_at, luma));
        self.bytes.drain(head..head + (whole - 1) * frame);
    }
}

#[test]
fn what_is_measured_lies_between_what_the_camera_knows_of_each_flash() {
    let (path, reader) = pipe("light.pipe");
    let mut rig = Rig::new(format!("y4m:{}", path.display()).parse().unwrap());
    let mut camera = Camera::new(reader);
    assert!(rig.board.measure_light() && !rig.board.measure_light(), "one goes on");
    // When the first picture that has each flash was surely not seen yet, and when it surely was.
    let mut seen: Vec<(Instant, Instant)> = Vec::new();
    let (mut number, mut was, mut sent_at, give_up) = (0, 16, clock::now(), clock::now() + PATIENCE);
    while rig.board.light().is_on {
        assert!(clock::now() < give_up, "{:?}", rig.stats);
        camera.look();
        let luma = camera.luma_at(clock::now() - WAY);
        number += 1;
        let is_first = was < 100 && luma > 200;
        let sent_before_at = core::mem::replace(&mut sent_at, clock::now());
        was = luma;
        rig.send(number, luma, Duration::ZERO);
        // The pipe holds one picture.
        rig.until("the picture", |rig| {
            camera.look();
            rig.stats.last_number.get() == number && rig.pool.free() > 1
        });
        let now = clock::now();
        seen.extend(is_first.then_some((sent_before_at, now)));
        let readable = PollFd::new(camera.reader.as_fd(), PollFlags::empty());
        poll::wait(&mut [readable], Some(now + FRAME)).unwrap();
    }
    let Lighting { has_screen, found, .. } = rig.board.light();
    assert!(has_screen && found.flashes == FLASHES, "{found:?}");
    assert!(found.took.len() >= FLASHES / 2, "{found:?}");
    let bound = |((dark, bright), (not_yet, seen)): (&(Instant, Instant), &(Instant, Instant))| {
        (not_yet.since(*bright), seen.since(*dark))
    };
    let bounds: Vec<(Duration, Duration)> = camera.edges.iter().zip(&seen).map(bound).collect();
    for took in &found.took {
        let is_within = |(least, most): &(Duration, Duration)| (least..=most).contains(&took);
        assert!(bounds.iter().any(is_within), "{took:?} is none of {bounds:?}");
    }
    rig.send(number + 1, 77, Duration::ZERO);
    rig.until("a picture as ever", |rig| {
        camera.look();
        rig.stats.last_number.get() == number + 1
    });
    camera.look();
    assert_eq!(camera.sights.back().unwrap().1, 77);
    rig.stop();
    fs::remove_file(path).unwrap();
}

#[test]
fn a_station_without_a_screen_says_so_at_once_and_pictures_go_on() {
    let mut rig = Rig::new(ScreenSpec::None);
    assert!(rig.board.measure_light());
    rig.until("its end", |rig| !rig.board.light().is_on);
    assert!(!rig.board.light().has_screen);
    rig.send(1, 50, Duration::ZERO);
    rig.until("a picture", |rig| rig.stats.last_number.get() == 1);
    rig.stop();
}

#[test]
fn where_no_picture_comes_the_screen_does_not_flash_and_a_card_stays_or_comes_back() {
    let (path, reader) = pipe("light-card.pipe");
    let mut rig = Rig::new(format!("y4m:{}", path.display()).parse().unwrap());
    rig.send(1, 90, Duration::ZERO);
    rig.until("a picture", |rig| rig.stats.last_number.get() == 1);
    let mut camera = Camera::new(reader);
    // Pictures have stopped: the screen is dark, and no more.
    assert!(rig.board.measure_light());
    rig.until("its end", |rig| {
        camera.look();
        !rig.board.light().is_on
    });
    assert_eq!(rig.board.light().found, crate::flash::Found::default());
    camera.look();
    assert!(camera.edges.is_empty() && camera.sights.back().unwrap().1 == Field::Dark.luma(ColourRange::Limited));
    // A card ends it at once.
    assert!(rig.board.measure_light());
    let shown = rig.stats.finished.get();
    rig.board.set(Some(Card::Away { peer: "kitchen".into(), seconds: 3 }));
    rig.until("its end", |rig| {
        camera.look();
        !rig.board.light().is_on && rig.stats.finished.get() > shown
    });
    rig.board.request_snapshot();
    let mut snapshot = None;
    rig.until("the card", |rig| {
        camera.look();
        snapshot = rig.board.take_snapshot();
        snapshot.is_some()
    });
    assert!(snapshot.unwrap().planes()[0].data.iter().any(|luma| *luma > 100), "words are bright");
    rig.stop();
    fs::remove_file(path).unwrap();
}
