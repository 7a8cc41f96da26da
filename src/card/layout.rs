//! Text into lines, and lines into the room there is.

use super::text;

/// Letters smaller than this (in pixels of the em) cannot be told apart; rather is the text cut.
pub const EM_MIN_PX: u32 = 10;

/// One line, ready to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its letters.
    pub text: String,
    /// Their width in parts of the em.
    pub width: f32,
}

impl Line {
    /// A text as one line, whatever its width.
    pub fn new(text: String) -> Line {
        let width = text::width(&text);
        Line { text, width }
    }

    /// Its width in pixels.
    pub fn width_px(&self, em_px: u32) -> u32 {
        (self.width * em_px as f32).ceil() as u32
    }
}

/// What stays together at the end of a line, and whether a space parts it from what is before.
struct Word {
    text: String,
    is_spaced: bool,
}

/// Characters between which a line may end: Chinese, kana, and the punctuation of both.
fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}')
}

/// Punctuation that begins no line.
fn is_closing(letter: char) -> bool {
    "，。、！？；：）」』》】”’％…".contains(letter)
}

fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for part in text.split(' ').filter(|part| !part.is_empty()) {
        let mut before = None;
        for letter in part.chars() {
            let is_apart = before.is_none_or(|before| is_ideograph(before) || is_ideograph(letter));
            match words.last_mut() {
                Some(word) if before.is_some() && (!is_apart || is_closing(letter)) => word.text.push(letter),
                _ => words.push(Word { text: letter.into(), is_spaced: before.is_none() }),
            }
            before = Some(letter);
        }
    }
    words
}

/// The same text in as many lines, about equally long, which reads better than a lone last word.
pub fn even(text: &str, width: f32, mut lines: Vec<Line>) -> Vec<Line> {
    // The narrowest that gives as few lines.
    let (mut narrow, mut wide) = (width / lines.len().max(1) as f32 / 2.0, width);
    for _ in 0..6 {
        let middle = (narrow + wide) / 2.0;
        match wrap(text, middle, false).filter(|even| even.len() == lines.len()) {
            Some(even) => (lines, wide) = (even, middle),
            None => narrow = middle,
        }
    }
    lines
}

/// The lines that a text takes at a width, in parts of the em. `None` where a word is wider and may not be broken.
pub fn wrap(text: &str, width: f32, may_break: bool) -> Option<Vec<Line>> {
    let space = text::width(" ");
    let mut lines: Vec<Line> = Vec::new();
    for word in words(text) {
        let whole = Line::new(word.text);
        let gap = if word.is_spaced { space } else { 0.0 };
        match lines.last_mut() {
            Some(line) if line.width + gap + whole.width <= width => {
                if word.is_spaced {
                    line.text.push(' ');
                }
                line.text.push_str(&whole.text);
                line.width += gap + whole.width;
            }
            _ if whole.width <= width => lines.push(whole),
            _ if may_break => break_up(&whole.text, width, &mut lines),
            _ => return None,
        }
    }
    Some(lines)
}

/// A word that no line holds, letter by letter. A letter wider than all the room is left out.
fn break_up(word: &str, width: f32, lines: &mut Vec<Line>) {
    let mut line = Line::new(String::new());
    for letter in word.chars() {
        let letter = Line::new(letter.into());
        if line.width + letter.width > width && !line.text.is_empty() {
            lines.push(core::mem::replace(&mut line, Line::new(String::new())));
        }
        if letter.width <= width {
            line.text.push_str(&letter.text);
            line.width += letter.width;
        }
    }
    if !line.text.is_empty() {
        lines.push(line);
    }
}

/// The text, or as much of its beginning as fits into a width (parts of the em) with dots after it.
pub fn shorten(text: &str, width: f32) -> Line {
    let whole = Line::new(text.to_owned());
    if whole.width <= width {
        return whole;
    }
    let mut short = Line::new("…".into());
    if short.width > width {
        return Line::new(String::new());
    }
    let mut kept = String::new();
    for letter in text.trim_end_matches(['…', '.']).chars() {
        short.width += text::width(letter.encode_utf8(&mut [0; 4]));
        if short.width > width {
            break;
        }
        kept.push(letter);
    }
    Line::new(kept.trim_end().to_owned() + "…")
}
