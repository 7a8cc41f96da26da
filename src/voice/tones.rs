//! The tones of a station: ring, ring-back, busy, door and error, synthesised.
//!
//! They are those that people in Europe know from their telephones (ITU-T E.180, ETSI TR 101 041), and a gong for the
//! door. Each is a cadence of notes and pauses that goes round for as long as it is wanted. **Nothing clicks**: a note
//! swells and dies away over [`EDGE`], and a tone that is taken away fades within a period.

use crate::media::{PERIOD, SAMPLE_RATE_HZ};
use core::f32::consts::PI;
use core::f64::consts::TAU;

/// A tone; the cadences are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Somebody calls: 1,000 and 1,250 Hz in turn every 50 ms, for 1 s; then 2 s of silence. The trill of an electronic
    /// telephone: both notes lie where small loudspeakers are loud and ears are keen.
    Ring,
    /// The station that is called rings: 400 and 450 Hz together, 400 on, 200 off, 400 on, 2,000 off (British double
    /// ring, BT SIN 350).
    RingBack,
    /// It is in a call already: 425 Hz, 480 on, 480 off (E.180's busy tone, as in Germany).
    Busy,
    /// The door stands open, or somebody at it: a gong of two notes, 659 and 523 Hz, each with its octave, over 700 and
    /// 1,300, dying away; then 3 s of silence.
    Door,
    /// The call cannot be: 950, 1,400 and 1,800 Hz of 330 each, then 1,000 off (E.180's special information tone).
    Error,
}

/// Everything at once: the highest level that a tone reaches, 12 dB below full scale. Speech peaks about there.
pub const TONE_PEAK: f32 = 0.25;

/// Sample frames over which a note swells, and dies away: 8 ms, half a raised cosine.
const EDGE: u32 = SAMPLE_RATE_HZ / 125;

/// A note or a pause.
#[derive(Clone, Copy, Debug)]
struct Note {
    /// Two frequencies, half the level each; one twice is one at full level; 0 is silence.
    hertz: [u16; 2],
    /// How long.
    millis: u16,
    /// Whether it dies away from its beginning on, as what is struck does.
    is_struck: bool,
}

const fn note(hertz: [u16; 2], millis: u16) -> Note {
    Note { hertz, millis, is_struck: false }
}

const fn pause(millis: u16) -> Note {
    note([0, 0], millis)
}

impl Note {
    fn frames(self) -> u32 {
        u32::from(self.millis) * (SAMPLE_RATE_HZ / 1_000)
    }

    /// Its level at a sample frame of it.
    fn level(self, at: u32) -> f32 {
        let edge = at.min(self.frames() - 1 - at).min(EDGE);
        let swell = 0.5 - 0.5 * (PI * edge as f32 / EDGE as f32).cos();
        // To a tenth within the note.
        let decay = if self.is_struck { (-2.3 * at as f32 / self.frames() as f32).exp() } else { 1.0 };
        TONE_PEAK * swell * decay
    }
}

/// 1 s of the ring's trill and 2 s of silence.
const RING: [Note; 21] = {
    let mut notes = [note([1_000, 1_000], 50); 21];
    let mut n = 1;
    while n < 20 {
        notes[n] = note([1_250, 1_250], 50);
        n += 2;
    }
    notes[20] = pause(2_000);
    notes
};
const RING_BACK: [Note; 4] = [note([400, 450], 400), pause(200), note([400, 450], 400), pause(2_000)];
const BUSY: [Note; 2] = [note([425, 425], 480), pause(480)];
const DOOR: [Note; 3] = [
    Note { hertz: [659, 1_318], millis: 700, is_struck: true },
    Note { hertz: [523, 1_046], millis: 1_300, is_struck: true },
    pause(3_000),
];
const ERROR: [Note; 4] = [note([950, 950], 330), note([1_400, 1_400], 330), note([1_800, 1_800], 330), pause(1_000)];

impl Tone {
    /// All of them, in the order of their numbers.
    pub const ALL: [Tone; 5] = [Tone::Ring, Tone::RingBack, Tone::Busy, Tone::Door, Tone::Error];

    /// A number for it, from 1, for those who keep it in one.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The tone of a number; `None` for 0 and for what is none.
    pub fn from_number(number: u8) -> Option<Tone> {
        Tone::ALL.into_iter().find(|tone| tone.number() == number)
    }

    fn notes(self) -> &'static [Note] {
        match self {
            Tone::Ring => &RING,
            Tone::RingBack => &RING_BACK,
            Tone::Busy => &BUSY,
            Tone::Door => &DOOR,
            Tone::Error => &ERROR,
        }
    }
}

/// What makes the tones: one at a time, from its beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Tones {
    tone: Option<Tone>,
    /// Which note of the cadence, and the sample frame in it.
    note: usize,
    at: u32,
    /// Of both frequencies, in cycles.
    phases: [f64; 2],
}

impl Tones {
    /// Adds the next period of the tone that is wanted, full scale 1. Another one than before begins after the one before has
    /// faded.
    pub fn mix(&mut self, wanted: Option<Tone>, period: &mut [f32; PERIOD]) {
        if self.tone != wanted && self.is_silent() {
            *self = Tones { tone: wanted, ..Tones::default() };
        }
        let Some(tone) = self.tone else { return };
        let fades = self.tone != wanted;
        for (i, sample) in period.iter_mut().enumerate() {
            let fade = if fades { 1.0 - (i + 1) as f32 / PERIOD as f32 } else { 1.0 };
            *sample += fade * self.next(tone);
        }
        if fades {
            *self = Tones { tone: wanted, ..Tones::default() };
        }
    }

    fn is_silent(&self) -> bool {
        self.tone.is_none_or(|tone| tone.notes()[self.note].hertz == [0, 0])
    }

    /// The next sample, −1 to 1.
    fn next(&mut self, tone: Tone) -> f32 {
        let notes = tone.notes();
        let note = notes[self.note];
        let mut sample = 0.0;
        if note.hertz != [0, 0] {
            for (phase, hertz) in self.phases.iter_mut().zip(note.hertz) {
                sample += 0.5 * (*phase * TAU).sin() as f32;
                *phase = (*phase + f64::from(hertz) / f64::from(SAMPLE_RATE_HZ)).fract();
            }
            sample *= note.level(self.at);
        }
        self.at += 1;
        if self.at == note.frames() {
            (self.note, self.at, self.phases) = ((self.note + 1) % notes.len(), 0, [0.0; 2]);
        }
        sample
    }
}

#[cfg(test)]
#[path = "tones_tests.rs"]
mod tests;
