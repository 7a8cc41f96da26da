//! What the station itself draws on its screen: cards in place of a picture, and a band across one.
//!
//! Pure: a card and a picture go in, samples come out. **Any text is drawn inside the picture, at any size, without a
//! panic**: it is wrapped, made smaller, and at the last cut short. Letters are as large as fits, up to an eleventh of the
//! shorter side: on a 7-inch screen that is 8 mm, which is read from two metres with ease (5.8 mm is the usual rule of ten
//! minutes of arc).
//!
//! The font is Free Universal Bold in eight sizes, from `u8g2-fonts` (copyright Stephen Wilson 2009, after Sil-Sophia by
//! SIL International; SIL Open Font License 1.1). It has the letters of Latin-1; others become `?`.

mod font;
mod layout;

use crate::media::{ColourRange, Picture, Size};
use font::{Ink, LADDER};
use layout::Line;

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// No call yet.
    Waiting {
        /// The station that is expected: its name, or its address.
        peer: String,
    },
    /// The stations have found each other and agree on their keys.
    Connecting {
        /// The other station.
        peer: String,
    },
    /// There is a call, but no pictures come.
    NoPicture {
        /// The station that should send them.
        peer: String,
        /// Why, in the other station's words.
        why: String,
    },
    /// There was a call, and the peer is gone.
    Away {
        /// The other station.
        peer: String,
        /// For how long.
        seconds: u64,
    },
    /// Nobody is trusted yet.
    Unpaired {
        /// The one-time code to be given to the other station.
        words: String,
    },
    /// Anything else.
    Message {
        /// In large letters.
        title: String,
        /// Beneath them; may be empty.
        text: String,
    },
}

/// One part of a card, and how large it would like to be.
struct Block {
    text: String,
    is_title: bool,
}

impl Card {
    fn blocks(&self) -> Vec<Block> {
        let title = |text: String| Block { text, is_title: true };
        let body = |text: &str| Block { text: text.into(), is_title: false };
        match self {
            Card::Waiting { peer } => vec![title(format!("Waiting for {peer}")), body("calling until it answers")],
            Card::Connecting { peer } => vec![title(peer.clone()), body("connecting...")],
            Card::NoPicture { peer, why } => vec![title(format!("No picture from {peer}")), body(why)],
            Card::Away { peer, seconds } => {
                vec![title(format!("{peer} is away")), body(&format!("for {}; calling again", duration(*seconds)))]
            }
            Card::Unpaired { words } => {
                vec![body("Not paired yet. Give the other station these words:"), title(words.clone())]
            }
            Card::Message { title: head, text } => vec![title(head.clone()), body(text)],
        }
    }
}

/// `42 s`, `3 min`, `5 h`, `2 days`: one figure is enough.
fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Luma of ground, plain and strong text, in the picture's own range.
struct Tones {
    ground: u8,
    plain: u8,
    strong: u8,
}

impl Tones {
    fn of(range: ColourRange) -> Tones {
        match range {
            ColourRange::Limited => Tones { ground: 36, plain: 180, strong: 235 },
            ColourRange::Full => Tones { ground: 23, plain: 191, strong: 255 },
        }
    }
}

/// Letters no larger than this share of the picture's shorter side.
const TITLE_SHARE: u32 = 11;
/// What is not a title is two thirds of one.
const BODY_PER_TITLE: (u32, u32) = (2, 3);

/// Draws a card over all of the picture, whose size and colour range stay what they are.
pub fn draw(card: &Card, picture: &mut Picture) {
    let tones = Tones::of(picture.range);
    // A touch of blue: a dark screen that is clearly on.
    picture.fill(tones.ground, 134, 126);
    let size = picture.size();
    let blocks: Vec<_> = card.blocks().into_iter().map(|b| (layout::clean(&b.text), b.is_title)).collect();
    let lines = fit(&blocks, size);
    let height = layout::height(&lines);
    let mut top = size.height.saturating_sub(height) / 2;
    let stride = picture.stride_bytes();
    let [luma, ..] = picture.planes_mut();
    for (index, line) in lines.iter().enumerate() {
        top += line.gap_after(index.checked_sub(1).map(|before| &lines[before]));
        let tone = if line.is_title { tones.strong } else { tones.plain };
        let left = size.width.saturating_sub(line.width) / 2;
        line.step.draw(&line.text, &mut Ink::new(luma, stride, size, (left, top + line.baseline()), tone));
        top += line.height();
    }
}

/// Breaks the blocks into lines at the largest size at which all of them fit.
fn fit(blocks: &[(String, bool)], size: Size) -> Vec<Line> {
    // A margin of a sixteenth on each side: screens that cut off their edges cut less.
    let room = Size::new(size.width - size.width / 8, size.height - size.height / 8);
    let wish = size.width.min(size.height) / TITLE_SHARE;
    let largest = |cap: u32| LADDER.iter().rposition(|step| step.cap_height() <= cap).unwrap_or(0);
    let (title, body) = (largest(wish), largest(wish * BODY_PER_TITLE.0 / BODY_PER_TITLE.1));
    let mut lines = Vec::new();
    for smaller in 0..=title {
        // Whole words only, but at the smallest size.
        let may_break = smaller == title;
        lines.clear();
        let fits = blocks.iter().all(|(text, is_title)| {
            let step = LADDER[if *is_title { title } else { body }.saturating_sub(smaller)];
            layout::wrap(text, *is_title, step, room.width, may_break, &mut lines)
        });
        if fits && layout::height(&lines) <= room.height {
            return lines;
        }
    }
    layout::cut(&mut lines, room);
    lines
}

/// Draws a line of text on a darkened band across the foot of a picture: "no sound from kitchen".
pub fn mark(text: &str, picture: &mut Picture) {
    let (size, range) = (picture.size(), picture.range);
    let wish = size.width.min(size.height) / 18;
    let step = *LADDER.iter().rfind(|step| step.cap_height() <= wish).unwrap_or(&LADDER[0]);
    let room = size.width - size.width / 16;
    let text = layout::shorten(&layout::clean(text), step, room);
    let band = step.line_height().min(size.height);
    let top = size.height - band;
    let stride = picture.stride_bytes();
    let [luma, ..] = picture.planes_mut();
    let black = Tones::of(range).ground / 2;
    for row in luma.chunks_mut(stride).skip(top as usize) {
        for sample in row {
            *sample = *sample / 4 + black;
        }
    }
    let left = size.width.saturating_sub(step.width(&text)) / 2;
    let at = (left, top + step.baseline());
    step.draw(&text, &mut Ink::new(luma, stride, size, at, Tones::of(range).strong));
}

#[cfg(test)]
mod tests;
