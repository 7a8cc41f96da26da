//! Goal: the stage shows the newest, counts the rest, and outlives its screen. Method: the real thread with real sinks;
//! each wait is a bounded poll on what the stage itself signals, and no assertion is about how long anything took.

mod light;

use super::*;
use crate::card::Overlay;
use crate::ring::{Pool, Sender, mailbox};
use crate::sys::wake::Stop;
use nix::sys::stat::Mode;
use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

const SIZE: Size = Size::new(64, 48);

/// A stage, and this end of everything that it is wired to.
struct Rig {
    context: Context,
    pool: Pool<DecodedFrame>,
    sender: Sender<Lent<DecodedFrame>>,
    wake: Wake,
    board: Board,
    health: Health,
    stats: Arc<PresentStats>,
    thread: Option<JoinHandle<()>>,
}

impl Rig {
    fn new(spec: ScreenSpec) -> Rig {
        let context = Context::new(Stop::new().unwrap(), Wake::new().unwrap()).unwrap();
        let (sender, pictures) = mailbox();
        let wake = Wake::new().unwrap();
        let board = Board::new(wake.clone());
        let health = Health::new(context.net.clone());
        let stats = Arc::new(PresentStats::default());
        let pool = Pool::new((0..4).map(|_| DecodedFrame::new(SIZE)));
        let ports = PresentPorts {
            pictures,
            mirror: None,
            wake: wake.clone(),
            board: board.clone(),
            health: health.clone(),
            stats: stats.clone(),
        };
        let mut stage = Present::new(context.clone(), spec, Options::default(), ports);
        // What is late is `lateness`' own matter; here a busy machine must not make it so.
        stage.lateness = Lateness::new(Duration::MAX);
        let thread = Some(stage.start().unwrap());
        Rig { context, pool, sender, wake, board, health, stats, thread }
    }

    /// Sends a picture that was taken `age` ago; counts it as replaced where it replaces one, as `expand` does.
    fn send(&mut self, number: u64, luma: u8, age: Duration) {
        let mut claim = self.pool.claim().expect("the stage keeps no more slots than it needs");
        claim.own_mut().unwrap().fill(luma, 128, 128);
        claim.number = number;
        claim.decoded_at = clock::now();
        claim.captured_at = claim.decoded_at - age;
        if self.sender.put(claim.lend()).is_some() {
            self.stats.replaced.bump();
        }
        self.wake.signal();
    }

    /// Polls until `done`, for ten seconds at most: a stage that works needs a few milliseconds.
    fn until(&self, what: &str, mut done: impl FnMut(&Rig) -> bool) {
        let give_up = clock::now() + Duration::from_secs(10);
        while !done(self) {
            assert!(clock::now() < give_up, "{what}: {:?} {:?}", self.stats, self.health.get());
            // The counters have no fd: a short timer, and the net wake for what has one.
            let mut fds = [PollFd::new(self.context.net.as_fd(), PollFlags::POLLIN)];
            poll::wait(&mut fds, Some(clock::now() + Duration::from_millis(2))).unwrap();
            self.context.net.drain();
        }
    }

    fn stop(&mut self) {
        self.context.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the stage does not panic");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.context.stop.stop();
    }
}

fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("visavis-present-{}-{name}", std::process::id()))
}

#[test]
fn every_picture_is_shown_replaced_or_passed_over_and_every_lease_comes_home() {
    let mut rig = Rig::new(ScreenSpec::None);
    for number in 1..=200 {
        rig.until("a free slot", |rig| rig.pool.free() > 1);
        rig.send(number, 100, Duration::from_millis(20));
    }
    rig.until("the last picture", |rig| rig.stats.last_number.get() == 200);
    let stats = &rig.stats;
    assert_eq!(stats.shown.get() + stats.replaced.get() + stats.late.get() + stats.no_screen.get(), 200);
    let latency = stats.latency.summary();
    assert!(latency.count == stats.shown.get() && latency.p50_ms >= 18.0, "{latency:?}");
    rig.until("all slots", |rig| rig.pool.free() == rig.pool.len());
    rig.stop();
}

#[test]
fn pictures_reach_the_stream_in_order_and_whole() {
    let path = place("stream.y4m");
    let mut rig = Rig::new(format!("y4m:{}", path.display()).parse().unwrap());
    for number in 1..=5u64 {
        rig.send(number, 40 * number as u8, Duration::from_millis(1));
        rig.until("this picture", |rig| rig.stats.last_number.get() == number);
    }
    rig.stop();
    let bytes = fs::read(&path).unwrap();
    let head = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    let frames: Vec<_> = bytes[head..].chunks(6 + SIZE.pixels() * 3 / 2).map(|frame| frame[6]).collect();
    assert_eq!(frames, [40, 80, 120, 160, 200]);
    fs::remove_file(path).unwrap();
}

#[test]
fn while_the_screen_is_slow_the_newest_replaces_and_nothing_queues() {
    let path = place("slow.pipe");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
    // Read and write, so that the pipe has a reader before the stage opens it, and is not at its end ever.
    let mut reader = fs::OpenOptions::new();
    let reader = reader.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&path);
    let mut reader = reader.unwrap();
    let mut rig = Rig::new(format!("y4m:{}", path.display()).parse().unwrap());
    rig.pool = Pool::new((0..4).map(|_| DecodedFrame::new(Size::new(1280, 960))));
    let frame = 6 + 1280 * 960 * 3 / 2;
    // Nobody reads: the first picture fills the pipe, the others replace each other.
    for number in 1..=50 {
        rig.until("a free slot", |rig| rig.pool.free() > 1);
        rig.send(number, number as u8 + 50, Duration::ZERO);
    }
    rig.until("a full pipe", |rig| rig.stats.shown.get() + rig.stats.replaced.get() >= 48);
    // Now it is read: what comes last is the newest.
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    let give_up = clock::now() + Duration::from_secs(10);
    while rig.stats.last_number.get() < 50 || bytes.len() < 6 || !(bytes.len() - head(&bytes)).is_multiple_of(frame) {
        assert!(clock::now() < give_up, "{:?}, {} bytes came", rig.stats, bytes.len());
        match reader.read(&mut chunk) {
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            // All of it was read, and the stage has not noted yet that it was seen.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    let (shown, replaced) = (rig.stats.shown.get(), rig.stats.replaced.get());
    rig.stop();
    assert_eq!(shown + replaced, 50);
    assert!(replaced >= 40, "{replaced} of 50 were replaced, {shown} shown");
    assert_eq!(bytes[bytes.len() - frame + 6], 100, "the newest is the last");
    fs::remove_file(path).unwrap();
}

fn head(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| *b == b'\n').map_or(0, |end| end + 1)
}

#[test]
fn a_card_covers_pictures_until_it_is_cleared_and_a_snapshot_shows_which() {
    let mut rig = Rig::new(ScreenSpec::None);
    rig.send(1, 90, Duration::ZERO);
    rig.until("a picture", |rig| rig.stats.last_number.get() == 1);
    rig.board.request_snapshot();
    rig.board.set(Some(Card::Away { peer: "kitchen".into(), seconds: 3 }));
    let mut snapshot = None;
    rig.until("a snapshot of the card", |rig| {
        snapshot = rig.board.take_snapshot();
        snapshot.is_some()
    });
    let snapshot = snapshot.take().unwrap();
    assert!(snapshot.size() == SIZE && snapshot.planes()[0].data.iter().any(|y| *y != 90));
    rig.send(2, 91, Duration::ZERO);
    rig.until("a covered picture", |rig| rig.stats.covered.get() == 1);
    assert_eq!(rig.stats.shown.get(), 1);

    rig.board.set(None);
    rig.board.request_snapshot();
    rig.send(3, 92, Duration::ZERO);
    rig.until("pictures again", |rig| rig.stats.last_number.get() == 3);
    let snapshot = rig.board.take_snapshot().expect("kept before the picture counts as shown");
    assert!(snapshot.planes()[0].data.iter().all(|y| *y == 92));
    rig.stop();
}

#[test]
fn an_overlay_is_on_the_picture_that_is_shown_and_not_on_the_one_that_was_lent() {
    let mut rig = Rig::new(ScreenSpec::None);
    rig.board.set_overlay(Overlay::note("no sound"));
    rig.board.request_snapshot();
    rig.send(1, 200, Duration::ZERO);
    rig.until("a picture", |rig| rig.stats.last_number.get() == 1);
    let snapshot = rig.board.take_snapshot().unwrap();
    let luma = snapshot.planes()[0];
    assert_eq!(luma.data[0], 200);
    assert!(luma.data[luma.data.len() - 64] < 100, "the band at the foot is dark");
    rig.stop();
}

#[test]
fn a_screen_that_is_not_there_is_opened_when_it_comes_and_again_when_it_went() {
    let path = place("late.pipe");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
    let mut rig = Rig::new(format!("y4m:{}", path.display()).parse().unwrap());
    rig.until("a fault", |rig| matches!(rig.health.get().0, State::Faulty(_)));
    rig.send(1, 50, Duration::ZERO);
    rig.until("the picture to be given up", |rig| rig.stats.no_screen.get() == 1);
    for round in 1..=2u64 {
        let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        rig.until("the screen", |rig| rig.stats.opened.get() == round && matches!(rig.health.get().0, State::Working));
        rig.send(10 * round, 60, Duration::ZERO);
        rig.until("a picture", |rig| rig.stats.last_number.get() == 10 * round);
        drop(reader);
        rig.send(10 * round + 1, 70, Duration::ZERO);
        rig.until("its loss", |rig| matches!(rig.health.get().0, State::Faulty(_)));
    }
    rig.stop();
    fs::remove_file(path).unwrap();
}

#[test]
fn a_picture_that_stands_while_it_should_move_counts_as_frozen() {
    let mut rig = Rig::new(ScreenSpec::None);
    rig.send(1, 50, Duration::ZERO);
    rig.until("the first", |rig| rig.stats.last_number.get() == 1);
    let first = rig.stats.last_shown_at.get();
    rig.until("time to pass", |_| clock::now().as_nanos() > first + 250_000_000);
    rig.send(2, 60, Duration::ZERO);
    rig.until("the second", |rig| rig.stats.last_number.get() == 2);
    let still_ms = (rig.stats.last_shown_at.get() - first) / 1_000_000;
    rig.until("the count", |rig| rig.stats.freezes.get() == 1);
    assert_eq!(rig.stats.frozen_ms.get(), still_ms);
    rig.stop();
}
