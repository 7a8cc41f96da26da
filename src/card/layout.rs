//! Text into lines.

use super::font::Step;
use crate::media::Size;

/// More than this is not read from a screen; it bounds the work, whoever chose the text.
const LETTERS_MAX: usize = 300;

/// One line, ready to be drawn.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its letters.
    pub text: String,
    /// Their size.
    pub step: Step,
    /// Their width in pixels.
    pub width: u32,
    /// Whether it is drawn strongly.
    pub is_title: bool,
}

impl Line {
    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.step.line_height()
    }

    /// Pixels between it and the line before: some where title and text meet, so that they are seen to be two things.
    pub fn gap_after(&self, before: Option<&Line>) -> u32 {
        before.filter(|before| before.is_title != self.is_title).map_or(0, |_| self.step.cap_height() / 2)
    }

    /// Pixels from its top to its baseline.
    pub fn baseline(&self) -> u32 {
        self.step.baseline()
    }
}

/// Height of lines one below the other, in pixels.
pub fn height(lines: &[Line]) -> u32 {
    let before = core::iter::once(None).chain(lines.iter().map(Some));
    lines.iter().zip(before).map(|(line, before)| line.gap_after(before) + line.height()).sum()
}

/// The text in letters that the font has: Latin-1, with typographic marks made plain and the rest as `?`.
pub fn clean(text: &str) -> String {
    let mut clean = String::new();
    for letter in text.chars().take(LETTERS_MAX) {
        match letter {
            '\u{2018}' | '\u{2019}' => clean.push('\''),
            '\u{201c}'..='\u{201e}' => clean.push('"'),
            '\u{2010}'..='\u{2015}' => clean.push('-'),
            '\u{2026}' => clean.push_str("..."),
            ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{ff}' => clean.push(letter),
            letter if letter.is_whitespace() || letter.is_control() => clean.push(' '),
            _ => clean.push('?'),
        }
    }
    clean
}

/// Appends the lines that `text` takes at a width. False where a word is wider and may not be broken.
pub fn wrap(text: &str, is_title: bool, step: Step, width: u32, may_break: bool, lines: &mut Vec<Line>) -> bool {
    let space = step.advance(' ');
    let mut line = Line { text: String::new(), step, width: 0, is_title };
    let end = |line: &mut Line, lines: &mut Vec<Line>| {
        if !line.text.is_empty() {
            lines.push(core::mem::replace(line, Line { text: String::new(), step, width: 0, is_title }));
        }
    };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let wide = step.width(word);
        if wide > width && !may_break {
            return false;
        }
        if !line.text.is_empty() && line.width + space + wide <= width {
            line.text.push(' ');
            line.text.push_str(word);
            line.width += space + wide;
            continue;
        }
        end(&mut line, lines);
        for letter in word.chars() {
            let advance = step.advance(letter);
            if line.width + advance > width {
                end(&mut line, lines);
            }
            // A letter wider than all the room is left out.
            if advance <= width {
                line.text.push(letter);
                line.width += advance;
            }
        }
    }
    end(&mut line, lines);
    true
}

/// Drops the lines that are too many, and says so with dots on the last that stays.
pub fn cut(lines: &mut Vec<Line>, room: Size) {
    let fitting = (0..=lines.len()).rfind(|count| height(&lines[..*count]) <= room.height).unwrap_or(0);
    if fitting == lines.len() {
        return;
    }
    lines.truncate(fitting);
    if let Some(last) = lines.last_mut() {
        last.text.push_str("...");
        last.text = shorten(&last.text, last.step, room.width);
        last.width = last.step.width(&last.text);
    }
}

/// The text, or as much of its beginning as fits with dots after it.
pub fn shorten(text: &str, step: Step, width: u32) -> String {
    if step.width(text) <= width {
        return text.to_owned();
    }
    let dots = step.width("...");
    let mut short = String::new();
    let mut used = dots;
    for letter in text.trim_end_matches('.').chars() {
        used += step.advance(letter);
        if used > width {
            break;
        }
        short.push(letter);
    }
    if dots <= width {
        short.push_str("...");
    }
    short
}
