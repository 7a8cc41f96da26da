//! The adaptive filter: it learns how what the loudspeaker plays comes back to the microphone, and takes that away.
//!
//! A partitioned-block frequency-domain Kalman filter (Enzner and Vary, *Frequency-domain adaptive Kalman filter for
//! acoustic echo control in hands-free telephones*, 2006; Kuech, Mabande and Enzner, *State-space architecture of the
//! partitioned-block-based acoustic echo controller*, 2014). The room's response is the state, which drifts slowly; how
//! unsure the filter is of it is kept for each partition and frequency, and says how far each block may move it. Speech
//! of who is in the room raises the noise that the step is weighed against, so there is no detector of double talk to
//! be fooled.

use super::spectrum::{BINS, BLOCK, Row, Spectrum, Transform};
use crate::media::PERIOD;

/// Length of the response in periods, the delay that the cards do not tell of included: 250 ms, of which the devices take
/// 60 at most. A stairwell rings longer; what is beyond is the suppressor's.
const PARTITIONS: usize = 25;

/// How much of the room stays as it is from one period to the next. Nearer to 1, the filter follows a door that opens more
/// slowly; further away, speech of the near end disturbs it more.
const CONSTANCY: f32 = 0.9995;

/// How fast the power of all that is not echo is followed, by period.
const NEAR_FOLLOWS: f32 = 0.2;

/// A filter that turns a block into less than its own length has no echo of another block in it. Taking the rest away
/// costs two transforms a partition, and may be done in turns: so many a period.
const CONSTRAINED_A_PERIOD: usize = 3;

/// Share of a block that is new.
const NEW: f32 = PERIOD as f32 / BLOCK as f32;

/// How unsure the filter is of the first partition at the start, as power of the response at a frequency, and by how much
/// less of each further one: an echo as loud as what is played, decaying by 14 dB in 200 ms.
const UNSURE: f32 = 1.0;
const UNSURE_DECAY: f32 = 0.85;

/// Powers below this, at full scale 1, are rounding.
const POWER_MIN: f32 = 1e-7;

/// A filter that adds more than it takes away, for so many periods, has been learnt in another room, or with another delay.
const WORSE: f32 = 1.2;
const WORSE_PERIODS: u8 = 4;
/// By how much of itself a period's power goes into the mean that is compared.
const MEAN_FOLLOWS: f32 = 0.3;
/// Errors below this power of a period are noise: 10⁻³ of 480 samples, -57 dBFS.
const WORSE_MIN: f32 = 1e-3;

/// What the filter makes of a period.
#[derive(Debug)]
pub struct Cancelled {
    /// The microphone without the echo that the filter foretold.
    pub rest: [f32; PERIOD],
    /// That echo.
    pub echo: [f32; PERIOD],
    /// The power of the echo that is expected to be left, by frequency, in the scale of a transform of a block.
    pub left: Row,
}

impl Cancelled {
    /// Before anything came.
    pub fn silence() -> Cancelled {
        Cancelled { rest: [0.0; PERIOD], echo: [0.0; PERIOD], left: [0.0; BINS] }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Canceller {
    transform: Transform,
    /// The last two periods of what was played.
    far: [f32; BLOCK],
    /// Spectra of what was played, and their powers, in a ring: `newest`, and those before it behind it.
    played: Vec<(Spectrum, Row)>,
    newest: usize,
    response: Vec<Spectrum>,
    unsure: Vec<Row>,
    /// Power of what is not echo.
    near: Row,
    /// The partition that is constrained next.
    turn: usize,
    /// Mean powers of the microphone and of what is left, and how long there has been more left.
    mean: (f32, f32),
    worse: u8,
    resets: u32,
    // Kept here since they are large, and nothing is allocated in steady state.
    work: Spectrum,
    error: Spectrum,
    block: [f32; BLOCK],
}

impl Canceller {
    /// Knows nothing of the room yet.
    pub fn new() -> Canceller {
        let mut canceller = Canceller {
            transform: Transform::new(),
            far: [0.0; BLOCK],
            played: vec![(Spectrum::SILENCE, [0.0; BINS]); PARTITIONS],
            newest: 0,
            response: vec![Spectrum::SILENCE; PARTITIONS],
            unsure: vec![[0.0; BINS]; PARTITIONS],
            near: [0.0; BINS],
            turn: 0,
            mean: (0.0, 0.0),
            worse: 0,
            resets: 0,
            work: Spectrum::SILENCE,
            error: Spectrum::SILENCE,
            block: [0.0; BLOCK],
        };
        canceller.forget();
        canceller
    }

    /// How often it has begun to learn anew.
    pub fn resets(&self) -> u32 {
        self.resets
    }

    fn forget(&mut self) {
        let mut unsure = UNSURE;
        for (response, row) in self.response.iter_mut().zip(&mut self.unsure) {
            response.re.fill(0.0);
            response.im.fill(0.0);
            row.fill(unsure);
            unsure *= UNSURE_DECAY;
        }
        self.near.fill(1e-4);
    }

    /// Takes a period of what was played and the microphone's of the same time.
    pub fn process(&mut self, far: &[f32; PERIOD], near: &[f32; PERIOD], cancelled: &mut Cancelled) {
        self.play(far);
        self.foretell(near, cancelled);
        self.learn(&mut cancelled.left);
        self.constrain();
        self.judge(near, &cancelled.rest);
    }

    fn play(&mut self, far: &[f32; PERIOD]) {
        self.far.copy_within(PERIOD.., 0);
        self.far[PERIOD..].copy_from_slice(far);
        self.newest = (self.newest + PARTITIONS - 1) % PARTITIONS;
        let (spectrum, power) = &mut self.played[self.newest];
        self.transform.spectrum(&self.far, spectrum);
        *power = spectrum.power();
    }

    /// Partitions with what was played for each, the newest first.
    fn played(&self) -> impl Iterator<Item = &(Spectrum, Row)> {
        let (before, from) = self.played.split_at(self.newest);
        from.iter().chain(before)
    }

    /// The echo as the filter has it, and what is left without it.
    fn foretell(&mut self, near: &[f32; PERIOD], cancelled: &mut Cancelled) {
        let (mut re, mut im) = ([0.0; BINS], [0.0; BINS]);
        for ((far, _), response) in self.played().zip(&self.response) {
            for bin in 0..BINS {
                re[bin] += far.re[bin] * response.re[bin] - far.im[bin] * response.im[bin];
                im[bin] += far.re[bin] * response.im[bin] + far.im[bin] * response.re[bin];
            }
        }
        self.work = Spectrum { re, im };
        self.transform.block(&self.work, &mut self.block);
        // The first half of the block is wrapped around (overlap-save).
        cancelled.echo.copy_from_slice(&self.block[PERIOD..]);
        for ((rest, near), echo) in cancelled.rest.iter_mut().zip(near).zip(&cancelled.echo) {
            *rest = near - echo;
        }
        self.block[..PERIOD].fill(0.0);
        self.block[PERIOD..].copy_from_slice(&cancelled.rest);
        self.transform.spectrum(&self.block, &mut self.error);
    }

    /// Moves the response by what the error says, as far as the filter is unsure.
    fn learn(&mut self, left: &mut Row) {
        left.fill(0.0);
        for ((_, power), unsure) in self.played().zip(&self.unsure) {
            for bin in 0..BINS {
                left[bin] += power[bin] * unsure[bin];
            }
        }
        let mut weight = [0.0; BINS];
        for bin in 0..BINS {
            let error = self.error.re[bin] * self.error.re[bin] + self.error.im[bin] * self.error.im[bin];
            self.near[bin] += NEAR_FOLLOWS * (error - self.near[bin]);
            weight[bin] = 1.0 / (NEW * left[bin] + self.near[bin] + POWER_MIN);
        }
        let constancy = CONSTANCY * CONSTANCY;
        let (before, from) = self.played.split_at(self.newest);
        let states = self.response.iter_mut().zip(&mut self.unsure);
        for ((far, power), (response, unsure)) in from.iter().chain(before).zip(states) {
            for bin in 0..BINS {
                let gain = unsure[bin] * weight[bin];
                let (error_re, error_im) = (self.error.re[bin], self.error.im[bin]);
                let re = response.re[bin] + gain * (far.re[bin] * error_re + far.im[bin] * error_im);
                let im = response.im[bin] + gain * (far.re[bin] * error_im - far.im[bin] * error_re);
                let learnt = (1.0 - NEW * gain * power[bin]).max(0.0);
                let drifts = (1.0 - constancy) * (re * re + im * im + POWER_MIN);
                unsure[bin] = constancy * learnt * unsure[bin] + drifts;
                response.re[bin] = CONSTANCY * re;
                response.im[bin] = CONSTANCY * im;
            }
        }
    }

    fn constrain(&mut self) {
        for _ in 0..CONSTRAINED_A_PERIOD {
            self.turn = (self.turn + 1) % PARTITIONS;
            let response = &mut self.response[self.turn];
            self.transform.block(response, &mut self.block);
            self.block[PERIOD..].fill(0.0);
            self.transform.spectrum(&self.block, response);
        }
    }

    /// Begins anew where the filter does more harm than good: the delay has jumped.
    fn judge(&mut self, near: &[f32; PERIOD], rest: &[f32; PERIOD]) {
        let power = |period: &[f32; PERIOD]| period.iter().map(|sample| sample * sample).sum::<f32>();
        self.mean.0 += MEAN_FOLLOWS * (power(near) - self.mean.0);
        self.mean.1 += MEAN_FOLLOWS * (power(rest) - self.mean.1);
        let is_worse = self.mean.1 > WORSE * self.mean.0 + WORSE_MIN;
        self.worse = if is_worse { self.worse + 1 } else { 0 };
        if self.worse >= WORSE_PERIODS {
            self.worse = 0;
            self.resets = self.resets.saturating_add(1);
            self.forget();
        }
    }
}
