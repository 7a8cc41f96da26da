//! A lamp: what it shows of the station, and how it blinks.

use crate::time::{Duration, Instant};
use core::fmt;
use core::str::FromStr;

/// Something about the station that a lamp can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sign {
    /// Nothing else is so.
    Idle,
    /// Somebody rings here.
    Ringing,
    /// This station rings somebody.
    Calling,
    /// A call is going on.
    Talking,
    /// The microphone is not heard.
    Muted,
    /// Nobody may ring here.
    DoNotDisturb,
    /// The door is being held open.
    Door,
    /// Somebody called in vain.
    Missed,
    /// No other station is reached.
    Away,
    /// A device is missing or does not work.
    Error,
}

/// How a lamp blinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Dark.
    Off,
    /// Lit.
    On,
    /// A second's rhythm.
    Blink,
    /// Hectic: come and answer.
    Fast,
    /// A short flash every five seconds: it lives, and lets people sleep.
    Flash,
    /// Two flashes every two seconds.
    Double,
    /// Three flashes every two seconds.
    Triple,
}

/// The words of the configuration.
const SIGNS: [(&str, Sign); 10] = [
    ("idle", Sign::Idle),
    ("ringing", Sign::Ringing),
    ("calling", Sign::Calling),
    ("talking", Sign::Talking),
    ("muted", Sign::Muted),
    ("do-not-disturb", Sign::DoNotDisturb),
    ("door", Sign::Door),
    ("missed", Sign::Missed),
    ("away", Sign::Away),
    ("error", Sign::Error),
];
const PATTERNS: [(&str, Pattern); 7] = [
    ("off", Pattern::Off),
    ("on", Pattern::On),
    ("blink", Pattern::Blink),
    ("fast", Pattern::Fast),
    ("flash", Pattern::Flash),
    ("double", Pattern::Double),
    ("triple", Pattern::Triple),
];

/// What a lamp shows that was only given a line: the first of these that is so.
pub const USUAL: [(Sign, Pattern); 7] = [
    (Sign::Ringing, Pattern::Fast),
    (Sign::Talking, Pattern::On),
    (Sign::Calling, Pattern::Blink),
    (Sign::Error, Pattern::Triple),
    (Sign::Away, Pattern::Double),
    (Sign::DoNotDisturb, Pattern::Off),
    (Sign::Idle, Pattern::Flash),
];

impl Sign {
    /// How a lamp shows it that was only told to.
    pub fn usual_pattern(self) -> Pattern {
        USUAL.iter().find(|(sign, _)| *sign == self).map_or(Pattern::Blink, |(_, pattern)| *pattern)
    }
}

fn by_word<T: Copy>(words: &[(&str, T)], text: &str, what: &str) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("`{text}` is no {what}; there are {}", words.join(", "))
    })
}

impl FromStr for Sign {
    type Err = String;

    fn from_str(text: &str) -> Result<Sign, String> {
        by_word(&SIGNS, text, "thing for a lamp to show")
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        by_word(&PATTERNS, text, "way to blink")
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SIGNS.iter().find(|(_, sign)| sign == self).map_or("", |(word, _)| word))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PATTERNS.iter().find(|(_, pattern)| pattern == self).map_or("", |(word, _)| word))
    }
}

/// All that is so at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs(u16);

impl Signs {
    /// These, and no others.
    pub fn of(signs: &[Sign]) -> Signs {
        signs.iter().fold(Signs::default(), |all, sign| all.with(*sign, true))
    }

    /// With `sign` being so or not.
    pub fn with(self, sign: Sign, is_so: bool) -> Signs {
        let bit = 1 << sign as u8;
        Signs(if is_so { self.0 | bit } else { self.0 & !bit })
    }

    /// Whether `sign` is so.
    pub fn has(self, sign: Sign) -> bool {
        self.0 & (1 << sign as u8) != 0
    }
}

impl Pattern {
    /// Milliseconds on, off, on, … of one round; those without a rhythm have none.
    const fn round_ms(self) -> &'static [u64] {
        match self {
            Pattern::Off | Pattern::On => &[],
            Pattern::Blink => &[500, 500],
            Pattern::Fast => &[125, 125],
            Pattern::Flash => &[60, 4_940],
            Pattern::Double => &[100, 200, 100, 1_600],
            Pattern::Triple => &[100, 200, 100, 200, 100, 1_300],
        }
    }

    /// Whether it is lit so long after its beginning, and how long that lasts, if it does not for ever.
    pub fn at(self, elapsed: Duration) -> (bool, Option<Duration>) {
        let round = self.round_ms();
        let whole = Duration::from_millis(round.iter().sum());
        if whole.is_zero() {
            return (self == Pattern::On, None);
        }
        let place = u64::try_from(elapsed.as_nanos() % whole.as_nanos()).unwrap_or(0);
        let mut end = 0;
        for (number, length_ms) in round.iter().enumerate() {
            end += length_ms * 1_000_000;
            if place < end {
                return (number % 2 == 0, Some(Duration::from_nanos(end - place)));
            }
        }
        (false, None)
    }
}

/// One lamp.
#[derive(Debug)]
pub struct Lamp {
    shows: Vec<(Sign, Pattern)>,
    pattern: Pattern,
    since: Instant,
}

impl Lamp {
    /// A lamp that shows the first of `shows` that is so; dark until the first signs are set.
    pub fn new(shows: Vec<(Sign, Pattern)>) -> Lamp {
        Lamp { shows, pattern: Pattern::Off, since: Instant::ZERO }
    }

    /// From `now` on these are so. A pattern that goes on does not begin anew.
    pub fn set_signs(&mut self, now: Instant, signs: Signs) {
        let pattern =
            self.shows.iter().find(|(sign, _)| signs.has(*sign)).map_or(Pattern::Off, |(_, pattern)| *pattern);
        if pattern != self.pattern {
            (self.pattern, self.since) = (pattern, now);
        }
    }

    /// Whether it is to be lit.
    pub fn is_on(&self, now: Instant) -> bool {
        self.pattern.at(now.since(self.since)).0
    }

    /// When that changes by itself, if it does.
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        self.pattern.at(now.since(self.since)).1.map(|lasts| now + lasts)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: lamps blink as the table says, and show what matters most. Method: the table against simulated time.
    use super::*;
    use proptest::prelude::*;

    /// Changes within the first so many milliseconds: when, and to what.
    fn changes(pattern: Pattern, until_ms: u64) -> Vec<(u64, bool)> {
        let mut lamp = Lamp::new(vec![(Sign::Idle, pattern)]);
        let start = Instant::from_millis(12_345);
        lamp.set_signs(start, Signs::of(&[Sign::Idle]));
        let (mut now, mut seen) = (start, vec![(0, lamp.is_on(start))]);
        while let Some(next) = lamp.next_change(now).filter(|next| next.since(start) < Duration::from_millis(until_ms))
        {
            now = next;
            seen.push((next.since(start).as_millis() as u64, lamp.is_on(next)));
        }
        seen
    }

    #[test]
    fn each_pattern_has_its_rhythm() {
        assert_eq!(changes(Pattern::Off, 9_000), [(0, false)]);
        assert_eq!(changes(Pattern::On, 9_000), [(0, true)]);
        assert_eq!(changes(Pattern::Blink, 1_600), [(0, true), (500, false), (1_000, true), (1_500, false)]);
        assert_eq!(changes(Pattern::Fast, 300), [(0, true), (125, false), (250, true)]);
        assert_eq!(changes(Pattern::Flash, 5_070), [(0, true), (60, false), (5_000, true), (5_060, false)]);
        let double = [(0, true), (100, false), (300, true), (400, false), (2_000, true)];
        assert_eq!(changes(Pattern::Double, 2_100), double);
        assert_eq!(changes(Pattern::Triple, 2_000).len(), 6);
    }

    #[test]
    fn what_matters_most_is_shown() {
        let mut lamp = Lamp::new(USUAL.to_vec());
        let mut shown = |signs: &[Sign]| {
            lamp.set_signs(Instant::ZERO, Signs::of(signs));
            lamp.pattern
        };
        assert_eq!(shown(&[]), Pattern::Off);
        assert_eq!(shown(&[Sign::Idle]), Pattern::Flash);
        assert_eq!(shown(&[Sign::Idle, Sign::Away]), Pattern::Double);
        assert_eq!(shown(&[Sign::Error, Sign::Ringing, Sign::Away]), Pattern::Fast);
    }

    #[test]
    fn a_pattern_that_goes_on_does_not_stumble() {
        let mut lamp = Lamp::new(USUAL.to_vec());
        lamp.set_signs(Instant::ZERO, Signs::of(&[Sign::Calling]));
        lamp.set_signs(Instant::from_millis(700), Signs::of(&[Sign::Calling, Sign::Error]));
        assert!(!lamp.is_on(Instant::from_millis(700)) && lamp.is_on(Instant::from_millis(1_000)));
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for (word, sign) in SIGNS {
            assert_eq!((word.parse(), sign.to_string()), (Ok(sign), word.to_owned()));
        }
        for (word, pattern) in PATTERNS {
            assert_eq!((word.parse(), pattern.to_string()), (Ok(pattern), word.to_owned()));
        }
        assert!("disco".parse::<Pattern>().unwrap_err().contains("triple"));
    }

    proptest! {
        #[test]
        fn the_next_change_is_one_and_lies_ahead(number in 0usize..PATTERNS.len(), elapsed_ns in 0u64..1 << 50) {
            let pattern = PATTERNS[number].1;
            let (is_on, lasts) = pattern.at(Duration::from_nanos(elapsed_ns));
            if let Some(lasts) = lasts {
                prop_assert!(!lasts.is_zero());
                prop_assert_eq!(pattern.at(Duration::from_nanos(elapsed_ns) + lasts).0, !is_on);
            }
        }
    }
}
