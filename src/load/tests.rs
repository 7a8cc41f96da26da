//! Goal: a board that cannot keep up is given less within a second, gets it back when it can again, and its picture does
//! not pump, whatever the load does. Method: a simulated board whose one thread encodes the newest frame of a camera, with
//! a speed that the test sets; stories, and property tests over speeds and heat at random.

use super::*;
use crate::time::{Duration, Instant};
use proptest::prelude::*;

const CAMERA_HZ: f32 = 30.0;
const LOOK_S: f32 = 0.2;
/// The shortest time between a step up and the next, as the room's head promises.
const UP_AFTER: Duration = Duration::from_secs(30);

/// A board, its encoder and its governor.
struct Bench {
    now: Instant,
    governor: Governor,
    /// What encoding a frame of step 0 takes at full speed.
    frame_s: f32,
    /// Share of its full speed that it has for us.
    speed: f32,
    board: Board,
    /// Work that was begun and is not done, in seconds, and frames that came meanwhile.
    unfinished_s: f32,
    due: f32,
    changes: Vec<(Instant, Change)>,
}

impl Bench {
    /// At full speed it works for this share of the time.
    fn new(busy: f32) -> Bench {
        let now = Instant::from_millis(1_000);
        Bench {
            now,
            governor: Governor::new(now),
            frame_s: busy / CAMERA_HZ,
            speed: 1.0,
            board: Board::default(),
            unfinished_s: 0.0,
            due: 0.0,
            changes: Vec::new(),
        }
    }

    /// One look's time goes by: the thread makes what frames it can of those that are due, the newest first.
    fn look(&mut self) {
        let step = self.governor.step();
        let rate_share = step.limit(crate::media::Size::new(100, 100), 100_000, 1).rate_millihertz.min(100_000) as f32;
        let due = CAMERA_HZ * LOOK_S * rate_share / 100_000.0;
        let cost_s = self.frame_s * step.cost() / (rate_share / 100_000.0) / self.speed;
        self.due += due;
        let (mut left_s, mut made) = (LOOK_S, 0.0);
        loop {
            if self.unfinished_s > 0.0 {
                let worked = self.unfinished_s.min(left_s);
                self.unfinished_s -= worked;
                left_s -= worked;
                if self.unfinished_s > 0.0 {
                    break;
                }
                made += 1.0;
            }
            if self.due < 1.0 || left_s <= 0.0 {
                break;
            }
            self.due -= 1.0;
            self.unfinished_s = cost_s;
        }
        // What is older than a frame's time was replaced by newer ones.
        self.due = self.due.min(1.0);
        self.now += LOOK_EVERY;
        let look = Look { busy: 1.0 - left_s / LOOK_S, due, made, board: self.board };
        self.governor.handle_look(self.now, &look);
        self.changes.extend(self.governor.poll_change().map(|change| (self.now, change)));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.look();
        }
    }

    fn step(&self) -> u8 {
        self.governor.step().number()
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_board_that_keeps_up_is_left_alone() {
    let mut bench = Bench::new(0.8);
    bench.run(seconds(600));
    assert!(bench.changes.is_empty());
}

#[test]
fn a_board_at_half_its_speed_sends_less_within_a_second_and_all_again_once_it_is_fast() {
    let mut bench = Bench::new(0.7);
    bench.run(seconds(10));
    (bench.speed, bench.changes) = (0.5, Vec::new());
    let slow_at = bench.now;
    bench.run(seconds(300));
    let (at, change) = bench.changes[0];
    assert!(at.since(slow_at) <= seconds(1), "{:?}", at.since(slow_at));
    assert_eq!(change.cause, Some(Cause::Work));
    let settled = bench.step();
    assert!((1..=2).contains(&settled), "no lower than it must: {settled}");
    assert!(bench.changes.iter().all(|(at, _)| at.since(slow_at) < seconds(5)), "and it stays there");
    bench.speed = 1.0;
    bench.run(UP_AFTER * 2 * u32::from(settled));
    assert_eq!((bench.step(), bench.governor.cause()), (0, None));
}

#[test]
fn a_single_late_frame_changes_nothing() {
    let mut bench = Bench::new(0.5);
    bench.run(seconds(2));
    for _ in 0..20 {
        bench.unfinished_s += 0.3;
        bench.run(seconds(3));
    }
    assert!(bench.changes.is_empty(), "{:?}", bench.changes);
}

#[test]
fn attempts_that_fail_come_ever_less_often() {
    // At step 1 it is busy enough for step 0 to look possible, and at step 0 it turns out not to be.
    let mut bench = Bench::new(0.5);
    let mut ups = Vec::new();
    let end = bench.now + seconds(3_600);
    while bench.now < end {
        bench.speed = if bench.step() == 0 { 0.4 } else { 0.9 };
        bench.look();
        if let Some((at, change)) = bench.changes.pop()
            && change.step.number() == 0
        {
            ups.push(at);
        }
    }
    let pauses: Vec<u64> = ups.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert!(pauses.windows(2).all(|pair| pair[1] >= pair[0]), "{pauses:?}");
    assert!(pauses.first() < pauses.last() && *pauses.last().unwrap() >= 600, "{pauses:?}");
}

#[test]
fn heat_steps_down_slowly_and_is_told_as_heat() {
    let mut bench = Bench::new(0.3);
    bench.board.headroom_millikelvin = Some(-500);
    bench.run(seconds(9));
    assert_eq!((bench.step(), bench.governor.cause()), (1, Some(Cause::Heat)), "what it brings must show first");
    bench.run(seconds(10));
    assert_eq!(bench.step(), 2);
    // Not cool enough yet for more.
    bench.board.headroom_millikelvin = Some(1_000);
    bench.run(seconds(300));
    assert_eq!(bench.step(), 2);
    bench.board.headroom_millikelvin = Some(8_000);
    bench.run(UP_AFTER * 3);
    assert_eq!(bench.step(), 0);
    bench.board = Board { is_throttled: true, ..Board::default() };
    bench.run(seconds(2));
    assert_eq!((bench.step(), bench.governor.cause()), (1, Some(Cause::Heat)), "the firmware's word counts too");
}

#[test]
fn a_weak_supply_is_named_where_deadlines_are_missed_and_is_no_reason_by_itself() {
    let mut bench = Bench::new(0.7);
    bench.board.is_undervolted = true;
    bench.run(seconds(60));
    assert_eq!(bench.step(), 0);
    bench.speed = 0.5;
    bench.run(seconds(2));
    assert_eq!(bench.governor.cause(), Some(Cause::Power));
}

#[test]
fn a_board_that_does_nothing_recovers_too() {
    let mut bench = Bench::new(0.9);
    bench.speed = 0.1;
    bench.run(seconds(20));
    assert_eq!(bench.step(), STEP_LAST);
    bench.frame_s = 1e-6;
    bench.run(UP_AFTER * 2 * u32::from(STEP_LAST));
    assert_eq!(bench.step(), 0);
}

/// Stretches of time, each with a speed and a temperature.
fn weather() -> impl Strategy<Value = Vec<(u64, f32, i32)>> {
    proptest::collection::vec((1u64..120, 0.05f32..1.2, -5_000i32..20_000), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_picture_does_not_pump_and_always_recovers(busy in 0.05f32..0.8, weather in weather()) {
        let mut bench = Bench::new(busy);
        for (length_s, speed, headroom) in weather {
            (bench.speed, bench.board.headroom_millikelvin) = (speed, Some(headroom));
            bench.run(seconds(length_s));
        }
        let mut last = 0;
        let mut raised_at: Option<Instant> = None;
        for (at, change) in &bench.changes {
            let step = change.step.number();
            prop_assert!(step <= STEP_LAST && step.abs_diff(last) == 1);
            if step < last {
                prop_assert!(raised_at.is_none_or(|before| at.since(before) >= UP_AFTER));
                raised_at = Some(*at);
            }
            prop_assert_eq!(change.cause.is_some(), step > 0);
            last = step;
        }
        // However often it failed before: ten minutes a step at the longest.
        (bench.speed, bench.board.headroom_millikelvin) = (1.0, Some(20_000));
        bench.run(seconds(620) * u32::from(STEP_LAST));
        prop_assert_eq!(bench.step(), 0);
    }
}
