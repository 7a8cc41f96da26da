//! A moving test picture, like enough to a camera's that codecs have honest work with it.
//!
//! A still scene (a shaded wall, a zone plate whose rings hold every frequency, colour bars), a textured band that pans
//! across it, a ball that sweeps over all, and the noise of a sensor on every sample of luma. Each frame carries its
//! number as a [`stamp`]. Everything is deterministic: frame n looks the same at every run.

use super::camera::SourceCounts;
use super::{Fault, FrameBuffer, VideoSource, stamp};
use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};
use crate::ring::{Lent, Pool};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};

/// Being drawn, waiting in the mailbox, being encoded, and one to spare.
const SLOTS: usize = 4;

/// Samples in the table of noise: each row starts somewhere else in it, so that no pattern shows. It has to hold the
/// longest row and leave room to start in.
const NOISE: usize = 16_384;

/// Pixels that the band moves a frame: at 30 frames a second a 640 pixels wide picture passes in five seconds.
const PAN: usize = 4;

/// The test picture as a source, paced by the clock.
#[derive(Debug)]
pub struct Pattern {
    format: VideoFormat,
    scene: Scene,
    pool: Pool<FrameBuffer>,
    start: Instant,
    /// The frame that is drawn next.
    number: u32,
    counts: SourceCounts,
}

impl Pattern {
    /// A pattern whose frame 0 is due at once. Sides are made even, as 4:2:0 wants them.
    pub fn new(size: Size, millihertz: u32, now: Instant) -> Pattern {
        let size = Size::new((size.width & !1).max(16), (size.height & !1).max(16));
        let format = VideoFormat {
            pixel: PixelFormat::I420,
            size,
            stride_bytes: size.width as usize,
            range: ColourRange::Limited,
            millihertz: millihertz.max(1),
        };
        let bytes = size.pixels() + 2 * size.chroma().pixels();
        Pattern {
            format,
            scene: Scene::new(size),
            pool: Pool::new((0..SLOTS).map(|_| FrameBuffer::own(format, bytes))),
            start: now,
            number: 0,
            counts: SourceCounts::default(),
        }
    }

    /// What was missed so far.
    pub fn counts(&self) -> SourceCounts {
        self.counts
    }

    /// When frame `number` is due: counted from the start, so that no rounding adds up.
    fn due(&self, number: u32) -> Instant {
        let nanos = u128::from(number) * 1_000_000_000_000 / u128::from(self.format.millihertz);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The frame whose time it is at `now`.
    fn number_at(&self, now: Instant) -> u32 {
        let frames = u128::from(now.since(self.start).as_nanos() as u64) * u128::from(self.format.millihertz)
            / 1_000_000_000_000;
        u32::try_from(frames).unwrap_or(u32::MAX)
    }
}

impl VideoSource for Pattern {
    fn name(&self) -> &str {
        "pattern"
    }

    fn format(&self) -> VideoFormat {
        self.format
    }

    fn wait(&self) -> Wait<'_> {
        Wait::until(self.due(self.number))
    }

    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        if now < self.due(self.number) {
            return Ok(None);
        }
        // A sensor does not wait for those who come late: what was due meanwhile is lost.
        let newest = self.number_at(now).max(self.number);
        self.counts.missed += u64::from(newest - self.number);
        // Past the last number (4 years at 30 a second) it is due for ever, which ends nothing.
        self.number = newest.saturating_add(1);
        let Some(mut claim) = self.pool.claim() else {
            self.counts.missed += 1;
            return Ok(None);
        };
        self.scene.draw(newest, claim.bytes_mut());
        claim.sequence = newest;
        claim.captured_at = self.due(newest);
        Ok(Some(claim.lend()))
    }
}

/// The parts of the picture that are the same in every frame.
#[derive(Debug)]
struct Scene {
    size: Size,
    luma: Vec<u8>,
    chroma: [Vec<u8>; 2],
    /// Normally distributed, sigma 2: a webcam's sensor in a lit room.
    noise: Vec<i8>,
    /// One period of the panning band, twice, so that any window of it is contiguous.
    band: Vec<u8>,
}

impl Scene {
    fn new(size: Size) -> Scene {
        let mut random = Random(0x5eed);
        let (width, height) = (size.width as usize, size.height as usize);
        let mut luma = Vec::with_capacity(size.pixels());
        for y in 0..height {
            luma.extend((0..width).map(|x| scene_luma(x, y, size)));
        }
        let half = size.chroma();
        let plane = |which: usize| {
            let rows = 0..half.height as usize;
            rows.flat_map(|y| (0..half.width as usize).map(move |x| scene_chroma(x * 2, y * 2, size)[which])).collect()
        };
        let noise = (0..NOISE).map(|_| random.normal(2.0)).collect();
        // A cloth: stripes of three widths and some dirt.
        let weave = |x: usize| 96 + (x / 5 % 2) * 24 + (x / 23 % 3) * 20;
        let once: Vec<u8> = (0..width).map(|x| weave(x) as u8 + (random.next() % 12) as u8).collect();
        Scene { size, luma, chroma: [plane(0), plane(1)], noise, band: [once.clone(), once].concat() }
    }

    /// Draws frame `number` into the three planes, one after the other, without padding.
    fn draw(&self, number: u32, planes: &mut [u8]) {
        let (luma, chroma) = planes.split_at_mut(self.size.pixels());
        let (u, v) = chroma.split_at_mut(self.size.chroma().pixels());
        u.copy_from_slice(&self.chroma[0]);
        v.copy_from_slice(&self.chroma[1]);
        self.draw_luma(number, luma);
        self.draw_ball(number, luma, [u, v]);
        stamp::write(luma, self.size.width as usize, self.size, number);
        // Under the stamp there is no colour, as its black and white have none.
        let grey = self.size.height as usize / 24 * self.size.chroma().width as usize;
        u[..grey].fill(128);
        v[..grey].fill(128);
    }

    fn draw_luma(&self, number: u32, luma: &mut [u8]) {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let pan = number as usize % width * PAN % width;
        let band = height * 5 / 8..height * 6 / 8;
        let mut random = Random(u64::from(number) + 1);
        for (y, (row, still)) in luma.chunks_exact_mut(width).zip(self.luma.chunks_exact(width)).enumerate() {
            let from = random.next() as usize % (NOISE - width);
            let noise = &self.noise[from..from + width];
            let still = if band.contains(&y) { &self.band[pan..pan + width] } else { still };
            for ((sample, still), noise) in row.iter_mut().zip(still).zip(noise) {
                *sample = still.saturating_add_signed(*noise);
            }
        }
    }

    /// A shaded ball on a path that crosses the whole picture and repeats itself only after a minute.
    fn draw_ball(&self, number: u32, luma: &mut [u8], [u, v]: [&mut [u8]; 2]) {
        let (width, height) = (self.size.width as i32, self.size.height as i32);
        let radius = (height / 8).max(4);
        let phase = |period: f32| (number as f32 / period * core::f32::consts::TAU).sin() * 0.5 + 0.5;
        // 4.7 and 3.1 s at 30 frames a second.
        let x0 = radius + (phase(141.0) * (width - 2 * radius) as f32) as i32;
        let y0 = radius + (phase(93.0) * (height - 2 * radius) as f32) as i32;
        for dy in -radius..=radius {
            let reach = ((radius * radius - dy * dy) as f32).sqrt() as i32;
            let (left, right) = ((x0 - reach).max(0), (x0 + reach).min(width));
            let y = y0 + dy;
            if y < 0 || y >= height || left >= right {
                continue;
            }
            for x in left..right {
                // Lit from above left; squares keep it in integers.
                let (lx, ly) = (x - x0 + radius / 2, dy + radius / 2);
                let shade = 210 - 110 * (lx * lx + ly * ly) / (3 * radius * radius).max(1);
                let sample = &mut luma[(y * width + x) as usize];
                *sample = shade.clamp(16, 235) as u8 + (*sample & 3);
            }
            if y % 2 == 0 {
                let line = (y / 2 * (width / 2)) as usize;
                let span = line + left as usize / 2..line + right as usize / 2;
                u[span.clone()].fill(104);
                v[span].fill(176);
            }
        }
    }
}

/// Colour bars of 75 % after ITU-R BT.471 in BT.601 levels: Y, U, V of white, yellow, cyan, green, magenta, red, blue, black.
const BARS: [[u8; 3]; 8] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
    [16, 128, 128],
];

/// The colour bars stand in the lowest quarter.
fn bar(x: usize, y: usize, size: Size) -> Option<[u8; 3]> {
    let (width, height) = (size.width as usize, size.height as usize);
    (y >= height * 6 / 8).then(|| BARS[x * BARS.len() / width])
}

fn scene_luma(x: usize, y: usize, size: Size) -> u8 {
    if let Some([luma, ..]) = bar(x, y, size) {
        return luma;
    }
    // The wall is lit from the left. The zone plate's rings fade out, as lenses have it, before they alias.
    let (w, h) = (size.width as f32, size.height as f32);
    let (dx, dy) = (x as f32 - w * 0.7, y as f32 - h * 0.36);
    let reach = h * 0.25;
    let r2 = (dx * dx + dy * dy) / (reach * reach);
    let rings = if r2 < 1.0 { (r2 * reach * 0.6).cos() * 60.0 * (1.0 - r2) } else { 0.0 };
    let wall = 150.0 - 70.0 * (x as f32 / w) + 20.0 * (y as f32 / h);
    (wall + rings) as u8
}

fn scene_chroma(x: usize, y: usize, size: Size) -> [u8; 2] {
    match bar(x, y, size) {
        Some([_, u, v]) => [u, v],
        // A wall of warm white that cools towards its dark end.
        None => [120 + (x * 14 / size.width as usize) as u8, 134 - (x * 10 / size.width as usize) as u8],
    }
}

/// A splitmix64: deterministic noise, nothing secret.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Near enough to normal: the sum of twelve uniform values in 0..1 has a variance of 1 (Irwin–Hall).
    fn normal(&mut self, sigma: f32) -> i8 {
        let sum: f32 = (0..12).map(|_| (self.next() >> 40) as f32 / (1u32 << 24) as f32).sum();
        ((sum - 6.0) * sigma).round() as i8
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the pattern is a good camera: on time for ever, honest work for a codec, the same at every run. Method:
    //! the clock is an argument.
    use super::*;
    use crate::media::FrameView;
    use proptest::prelude::*;

    const VGA: Size = Size::new(640, 480);

    fn luma(frame: &FrameBuffer) -> Vec<u8> {
        match frame.view() {
            Some(FrameView::I420(y, ..)) => y.data.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Takes the next frame at the time the pattern asks for.
    fn next(pattern: &mut Pattern) -> Lent<FrameBuffer> {
        let at = pattern.wait().at.unwrap();
        pattern.capture(at).unwrap().expect("due")
    }

    #[test]
    fn each_frame_carries_its_number() {
        let mut pattern = Pattern::new(VGA, 30_000, Instant::ZERO);
        for n in 0..10 {
            let frame = next(&mut pattern);
            assert_eq!(stamp::read(&luma(&frame), 640, VGA), Some(n));
            assert_eq!(frame.sequence, n);
        }
    }

    #[test]
    fn a_day_of_frames_does_not_drift() {
        let mut pattern = Pattern::new(Size::new(64, 48), 29_970, Instant::from_millis(5));
        let day = Instant::from_millis(5) + Duration::from_secs(86_400);
        pattern.capture(day).unwrap().expect("due");
        assert_eq!(pattern.counts().missed, 86_400 * 29_970 / 1_000);
        let next = pattern.wait().at.unwrap();
        assert!(next > day && next.since(day) < Duration::from_millis(34));
    }

    #[test]
    fn nothing_comes_before_its_time_and_nothing_while_all_slots_are_lent() {
        let mut pattern = Pattern::new(VGA, 30_000, Instant::from_millis(10));
        let mut held: Vec<_> = (0..SLOTS).map(|_| next(&mut pattern)).collect();
        assert!(pattern.capture(Instant::from_millis(11)).unwrap().is_none());
        let at = pattern.wait().at.unwrap();
        assert!(pattern.capture(at).unwrap().is_none());
        assert_eq!(pattern.counts().missed, 1);
        held.pop();
        assert_eq!(next(&mut pattern).sequence, SLOTS as u32 + 1);
    }

    #[test]
    fn neighbouring_frames_differ_by_noise_where_nothing_moves_and_by_more_where_something_does() {
        let scene = Scene::new(VGA);
        let draw = |n| {
            let mut planes = vec![0; VGA.pixels() * 3 / 2];
            scene.draw(n, &mut planes);
            planes
        };
        let (a, b) = (draw(7), draw(8));
        assert_eq!(a, draw(7), "frame 7 is always the same");
        let deviation = |rows: core::ops::Range<usize>| {
            let range = rows.start * 640..rows.end * 640;
            let squares: i64 = a[range.clone()]
                .iter()
                .zip(&b[range.clone()])
                .map(|(a, b)| (i64::from(*a) - i64::from(*b)).pow(2))
                .sum();
            (squares as f64 / range.len() as f64).sqrt()
        };
        // The difference of two noises of sigma 2 has sigma 2√2; the colour bars hold still under it.
        let still = deviation(450..480);
        assert!((2.3..3.4).contains(&still), "{still}");
        assert!(deviation(310..350) > 2.0 * still, "the band pans");
    }

    proptest! {
        #[test]
        fn every_size_can_be_drawn(width in 16u32..400, height in 16u32..300, number: u32) {
            let mut pattern = Pattern::new(Size::new(width, height), 30_000, Instant::ZERO);
            pattern.number = number;
            let frame = next(&mut pattern);
            prop_assert!(frame.view().is_some());
        }
    }
}
