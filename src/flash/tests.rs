//! Goal: what is measured is what light takes, whatever else is in the picture, and what cannot be measured is said to be so.
//! Method: a camera in simulated time sees a room with the screen in it, exposes each picture for a while, and sends it over a
//! path of known length; the whole measurement is held against when that camera really had the flash in a picture.

use super::{FLASHES, Field, Flashes, Found, Grid, Watcher};
use crate::media::{Picture, Size};
use crate::time::{Duration, Instant};

/// xorshift64*: the same numbers on every run.
struct Random(u64);

impl Random {
    fn share(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About normal, with a deviation of 1.
    fn noise(&mut self) -> f32 {
        (0..4).map(|_| self.share() - 0.5).sum::<f32>() * 1.732
    }
}

/// Where the screen is in the picture, in shares of its width and height: left, top, right, bottom.
type Frame = [f32; 4];
/// Two stations on one table.
const LARGE: Frame = [0.3, 0.25, 0.75, 0.7];
/// Across a room, and not in the middle.
const CORNER: Frame = [0.02, 0.9, 0.08, 0.96];

/// What the other station's camera sees, and the way from there to here.
#[derive(Clone, Copy)]
struct Room {
    seed: u64,
    screen: Option<Frame>,
    /// How much brighter the screen is than the wall behind it, when bright; in levels.
    glow: f32,
    /// The deviation of the sensor's noise, of a pixel, in levels.
    noise: f32,
    /// How much of the distance to its aim automatic exposure goes in a picture.
    exposure_follows: f32,
    /// Levels by which a lamp on mains of 50.2 Hz makes the room brighter and darker.
    lamp: f32,
    /// People in the picture.
    people: u32,
    /// The other station's own screen, reflected by something: it shows the picture that comes from here.
    reflection: Option<Frame>,
    /// How bright that is beside this screen.
    reflected: f32,
    rate_hz: f32,
    exposure_ms: f32,
    /// From the end of the exposure until this screen has the picture, and by how much that varies.
    way_ms: f32,
    jitter_ms: f32,
    /// Stretches in which nothing arrives.
    gaps_ms: &'static [(f32, f32)],
}

const PLAIN: Room = Room {
    seed: 1,
    screen: Some(LARGE),
    glow: 120.0,
    noise: 2.0,
    exposure_follows: 0.0,
    lamp: 0.0,
    people: 0,
    reflection: None,
    reflected: 0.0,
    rate_hz: 29.7,
    exposure_ms: 20.0,
    way_ms: 55.0,
    jitter_ms: 0.0,
    gaps_ms: &[],
};
/// All that there is in a house in the evening.
const LIVELY: Room = Room { noise: 6.0, exposure_follows: 0.08, lamp: 6.0, people: 2, jitter_ms: 15.0, ..PLAIN };

const SIZE: Size = Size::new(96, 72);
const REFRESH_MS: f32 = 1_000.0 / 60.0;
/// What automatic exposure aims at, as a mean of the picture.
const AIM: f32 = 90.0;
/// From this screen by the other camera to its own picture here, and by this camera to the other screen: once round.
const ROUND_MS: f32 = 170.0;

/// The next refresh of the screen.
fn flip_ms(ms: f32) -> f32 {
    (ms / REFRESH_MS).ceil() * REFRESH_MS
}

fn instant(ms: f32) -> Instant {
    Instant::from_micros((1e3 * ms) as u64) + Duration::from_secs(1_000)
}

/// A simulated measurement.
struct Measured {
    found: Found,
    /// How long each flash really took.
    took_ms: Vec<f32>,
}

impl Measured {
    fn found_ms(&self) -> Vec<f32> {
        self.found.took.iter().map(|took| took.as_secs_f32() * 1e3).collect()
    }
}

impl Room {
    fn measure(self) -> Measured {
        let (flashes, mut watcher) = (Flashes::new(instant(0.0)), Watcher::default());
        // When the screen becomes bright, and dark again.
        let mut lit = Vec::new();
        let mut was = Field::Dark;
        for refresh in 0..800 {
            let ms = refresh as f32 * REFRESH_MS;
            let Some(field) = flashes.field(instant(ms)) else { break };
            watcher.handle_field(instant(ms), field);
            match (was, field) {
                (Field::Dark, Field::Bright) => lit.push([ms, f32::MAX]),
                (Field::Bright, Field::Dark) => lit.last_mut().unwrap()[1] = ms,
                _ => {}
            }
            was = field;
        }
        let shown = self.send(&lit);
        let really =
            |[from, _]: &[f32; 2]| shown.iter().find(|(at, share, _)| at > from && *share >= 0.5).unwrap().0 - from;
        let took_ms = lit.iter().map(really).collect();
        for (at, _, picture) in &shown {
            watcher.handle_picture(instant(*at), Grid::of(picture));
        }
        Measured { found: watcher.judge(), took_ms }
    }

    /// When each picture is shown, how much of its exposure the flash had, and the picture.
    fn send(&self, lit: &[[f32; 2]]) -> Vec<(f32, f32, Picture)> {
        let mut random = Random(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let share_lit = |from: f32, later: f32| {
            let overlap = |[on, off]: &[f32; 2]| (off + later).min(from + self.exposure_ms) - (on + later).max(from);
            lit.iter().map(|span| overlap(span).max(0.0)).sum::<f32>() / self.exposure_ms
        };
        let people: Vec<[f32; 3]> = (0..self.people).map(|_| [(); 3].map(|()| random.share())).collect();
        let (mut gain, mut last_ms, mut shown) = (1.0, 0.0, Vec::new());
        let phase_ms = random.share() * 1e3 / self.rate_hz;
        for n in 0..(12.0 * self.rate_hz) as usize {
            let from = phase_ms + n as f32 * 1e3 / self.rate_hz;
            let (direct, round) = (share_lit(from, 0.0), share_lit(from, ROUND_MS));
            let mut picture = Picture::new(SIZE);
            let mean = self.draw(&mut picture, &mut random, &people, from, gain, direct, round);
            gain *= 1.0 + self.exposure_follows * (AIM / mean.max(1.0) - 1.0).clamp(-1.0, 1.0);
            let way = self.way_ms + self.jitter_ms * random.share();
            let at = flip_ms(from + self.exposure_ms + way);
            let is_lost = self.gaps_ms.iter().any(|(begin, end)| (*begin..*end).contains(&at));
            if at > last_ms && !is_lost {
                last_ms = at;
                shown.push((at, direct, picture));
            }
        }
        shown
    }

    #[expect(clippy::too_many_arguments, reason = "what light comes from where")]
    fn draw(
        &self,
        picture: &mut Picture,
        random: &mut Random,
        people: &[[f32; 3]],
        ms: f32,
        gain: f32,
        direct: f32,
        round: f32,
    ) -> f32 {
        let lamp = self.lamp * (core::f32::consts::TAU * 100.4 * ms / 1e3).sin();
        let is_in = |frame: Option<Frame>, x: f32, y: f32| {
            frame.is_some_and(|[left, top, right, bottom]| (left..right).contains(&x) && (top..bottom).contains(&y))
        };
        let (width, stride) = (SIZE.width as usize, picture.stride_bytes());
        let mut sum = 0.0;
        for (row, samples) in picture.planes_mut()[0].chunks_mut(stride).enumerate() {
            for (column, sample) in samples[..width].iter_mut().enumerate() {
                let (x, y) = (column as f32 / SIZE.width as f32, row as f32 / SIZE.height as f32);
                let mut light = 60.0 + 60.0 * x + lamp;
                for [speed, phase, height] in people {
                    // To and fro, a few times in the whole, from the floor to their height.
                    let at = 0.5 + 0.5 * (ms / 1e3 * (0.6 + 2.0 * speed) + 6.0 * phase).sin();
                    if (x - at).abs() < 0.08 && y > 0.4 * height {
                        light = 30.0 + 40.0 * phase;
                    }
                }
                if is_in(self.screen, x, y) {
                    light = 25.0 + self.glow * direct;
                }
                if is_in(self.reflection, x, y) {
                    light += self.reflected * self.glow * round;
                }
                let luma = (16.0 + gain * light + self.noise * random.noise()).clamp(16.0, 235.0);
                sum += luma - 16.0;
                *sample = luma as u8;
            }
        }
        sum / SIZE.pixels() as f32
    }
}

fn median(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted[sorted.len() / 2]
}

#[test]
fn what_is_measured_is_what_light_takes_to_the_very_picture() {
    let ways = [(29.7, 20.0, 55.0), (59.3, 8.0, 12.0), (14.9, 33.0, 160.0), (29.7, 30.0, 590.0)];
    for (rate_hz, exposure_ms, way_ms) in ways {
        let measured = Room { rate_hz, exposure_ms, way_ms, ..PLAIN }.measure();
        assert_eq!(measured.found.flashes, FLASHES);
        let found = measured.found_ms();
        assert_eq!(found.len(), FLASHES, "at {rate_hz} Hz over {way_ms} ms");
        for (found, really) in found.iter().zip(&measured.took_ms) {
            assert!(
                (found - really).abs() < 0.1,
                "{found} ms where {really} is right, at {rate_hz} Hz over {way_ms} ms"
            );
        }
    }
}

#[test]
fn a_slow_camera_is_measured_to_a_picture() {
    for seed in 1..6 {
        let measured = Room { seed, rate_hz: 7.7, exposure_ms: 60.0, way_ms: 90.0, ..PLAIN }.measure();
        let found = measured.found_ms();
        assert!(found.len() >= 8, "{found:?}");
        assert!((median(&found) - median(&measured.took_ms)).abs() < 130.0, "{found:?}, {:?}", measured.took_ms);
    }
}

/// Within a picture's time of the truth, from most of the flashes.
fn must_be_right(what: &str, room: Room) {
    let measured = room.measure();
    let (found, really) = (measured.found_ms(), measured.took_ms);
    assert!(found.len() >= 8, "{what}, seed {}: {found:?} where {really:?} is right", room.seed);
    let error = (median(&found) - median(&really)).abs();
    assert!(error < 1e3 / room.rate_hz, "{what}, seed {}: {found:?} where {really:?} is right", room.seed);
}

#[test]
fn whatever_else_is_in_the_picture_does_not_spoil_it() {
    for seed in 1..5 {
        let plain = Room { seed, ..PLAIN };
        must_be_right("noise", Room { noise: 12.0, ..plain });
        must_be_right("automatic exposure", Room { exposure_follows: 0.15, ..plain });
        must_be_right("a lamp", Room { lamp: 15.0, ..plain });
        must_be_right("people", Room { people: 4, ..plain });
        must_be_right("a screen in the corner", Room { screen: Some(CORNER), ..plain });
        must_be_right("a faint screen", Room { glow: 15.0, ..plain });
        must_be_right("a network that varies", Room { jitter_ms: 25.0, ..plain });
        must_be_right("all of it", Room { seed, ..LIVELY });
        must_be_right("all of it, and a screen in the corner", Room { seed, screen: Some(CORNER), ..LIVELY });
    }
}

#[test]
fn light_that_comes_round_by_the_other_screen_is_not_taken_for_the_first() {
    // Larger in the picture than this screen, and brighter; or dimmed by this screen's own glass.
    let reflection = Some([0.1, 0.05, 0.95, 0.6]);
    for seed in 1..5 {
        must_be_right("a reflection", Room { seed, screen: Some(CORNER), reflection, reflected: 1.5, ..PLAIN });
        must_be_right(
            "a reflection upon it",
            Room { seed, screen: Some([0.7, 0.5, 0.8, 0.6]), reflection, reflected: 0.4, ..PLAIN },
        );
    }
}

#[test]
fn a_screen_that_is_not_seen_is_never_found() {
    for seed in 0..20 {
        let room = Room { seed, screen: None, people: 1 + seed as u32 % 4, ..LIVELY };
        let found = room.measure().found;
        assert!(found.took.is_empty(), "seed {seed}: {found:?}");
        assert!(found.flashes == FLASHES && found.pictures > 300, "seed {seed}: {found:?}");
    }
}

#[test]
fn flashes_that_are_lost_on_the_way_are_not_made_up() {
    let gaps_ms = &[(2_500.0, 3_100.0), (6_900.0, 7_300.0)];
    let measured = Room { gaps_ms, ..PLAIN }.measure();
    let found = measured.found_ms();
    assert!((8..=FLASHES).contains(&found.len()), "{found:?}");
    assert!((median(&found) - median(&measured.took_ms)).abs() < 0.1, "{found:?}, {:?}", measured.took_ms);
}

#[test]
fn nobody_is_made_ill_and_it_ends_by_itself() {
    let flashes = Flashes::new(instant(0.0));
    let (mut now, mut begins, mut was) = (instant(0.0), Vec::new(), Field::Dark);
    assert_eq!(flashes.field(now), Some(Field::Dark));
    while let Some(field) = flashes.field(now) {
        if (was, field) == (Field::Dark, Field::Bright) {
            begins.push(now);
        }
        assert_eq!(flashes.is_before_first(now), begins.is_empty());
        was = field;
        now = flashes.poll_timeout(now).unwrap();
    }
    assert_eq!((flashes.poll_timeout(now), begins.len()), (None, FLASHES));
    assert!(now.since(instant(0.0)) < Duration::from_secs(15));
    let in_a_second =
        |from: &Instant| begins.iter().filter(|at| at.since(*from) < Duration::from_secs(1) && *at >= from).count();
    assert!(begins.iter().map(in_a_second).max().unwrap() <= 2);
}

#[test]
fn pictures_of_any_size_are_looked_at_and_what_never_came_is_nothing() {
    for size in [Size::new(1, 1), Size::new(17, 13), Size::new(1_283, 721)] {
        let mut picture = Picture::new(size);
        picture.fill(200, 128, 128);
        let grid = Grid::of(&picture);
        let lumas: Vec<f32> = (0..super::grid::CELLS).map(|cell| grid.luma(cell)).collect();
        assert!(lumas.iter().all(|luma| [0.0, 200.0].contains(luma)) && lumas.contains(&200.0), "{size}");
    }
    let mut watcher = Watcher::default();
    assert!(watcher.is_blind() && watcher.judge() == Found::default());
    // More flashes and pictures than there are, and some in the wrong order.
    for n in 0..5_000u64 {
        watcher.handle_field(Instant::from_millis(10 * n), if n % 50 < 10 { Field::Bright } else { Field::Dark });
        watcher.handle_picture(Instant::from_millis(10 * (n ^ 1)), Grid::of(&Picture::new(Size::new(16, 12))));
    }
    assert!(watcher.judge().took.is_empty());
}
