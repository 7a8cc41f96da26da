//! What is wrong with a configuration: file, line, column, key, and what to do about it.

use super::check::Wrong;
use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong. `Display` says all of it in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column (in letters), both from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// The key, with its section: `camera.size`, `button[1].short`; may be empty.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

impl ConfigError {
    /// The file as a whole.
    pub(super) fn whole(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> ConfigError {
        let (problem, remedy) = (problem.into(), remedy.into());
        ConfigError { path: path.into(), place: None, key: String::new(), problem, remedy }
    }

    /// The file cannot be read.
    pub(super) fn io(path: &Path, error: io::Error) -> ConfigError {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => "it is for root and the group visavis: sudo, or join the group",
            io::ErrorKind::InvalidData => "a configuration is text in UTF-8",
            _ => "",
        };
        ConfigError::whole(path, format!("cannot read the configuration: {error}"), remedy)
    }

    /// What the reader of TOML and of our values says.
    pub(super) fn typed(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
        let offset = error.span().map(|span| span.start);
        let key = offset.and_then(|offset| key_at(&DeTable::parse(text).ok()?, offset)).unwrap_or_default();
        let (problem, remedy) = in_plain_words(error.message());
        ConfigError { path: path.into(), place: offset.map(|offset| place(text, offset)), key, problem, remedy }
    }

    /// What was found when the whole was looked at.
    pub(super) fn meant(path: &Path, text: &str, wrong: Wrong) -> ConfigError {
        let offset = DeTable::parse(text).ok().and_then(|table| offset_of(&table, &wrong.key));
        let place = offset.map(|offset| place(text, offset));
        ConfigError { path: path.into(), place, key: wrong.key, problem: wrong.problem, remedy: wrong.remedy }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ", line {line}, column {column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, ": {}", self.remedy) }
    }
}

impl std::error::Error for ConfigError {}

/// Line and column of a byte, both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (1 + before.matches('\n').count(), 1 + before[line_start..].chars().count())
}

/// Calls `see` with each key of the document, its span and its value's, the innermost first, until one says yes.
fn find_key(
    table: &DeTable<'_>,
    path: &str,
    see: &mut impl FnMut(&str, core::ops::Range<usize>, core::ops::Range<usize>) -> bool,
) -> bool {
    table.iter().any(|(key, value)| {
        let path = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        find_value(value, &path, see) || see(&path, key.span(), value.span())
    })
}

fn find_value(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    see: &mut impl FnMut(&str, core::ops::Range<usize>, core::ops::Range<usize>) -> bool,
) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => find_key(table, path, see),
        // Only sections that occur more than once are counted: a list is one value.
        DeValue::Array(items) => items.iter().enumerate().any(|(i, item)| {
            item.get_ref().is_table() && {
                let path = format!("{path}[{i}]");
                find_value(item, &path, see) || see(&path, item.span(), item.span())
            }
        }),
        _ => false,
    }
}

/// The innermost key whose name or value is at that byte.
fn key_at(document: &Spanned<DeTable<'_>>, offset: usize) -> Option<String> {
    let mut found = None;
    find_key(document.get_ref(), "", &mut |path, key, value| {
        let is_here = key.contains(&offset) || value.contains(&offset);
        if is_here {
            found = Some(path.to_owned());
        }
        is_here
    });
    found
}

/// Where the key stands; for one that is not there, where the nearest section around it does.
fn offset_of(document: &Spanned<DeTable<'_>>, wanted: &str) -> Option<usize> {
    let mut nearest: Option<(usize, usize)> = None;
    find_key(document.get_ref(), "", &mut |path, key, _| {
        let is_around = wanted.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        if is_around && nearest.is_none_or(|(length, _)| length < path.len()) {
            nearest = Some((path.len(), key.start));
        }
        path == wanted
    });
    nearest.map(|(_, offset)| offset)
}

/// How the reader names its types, and how people do.
const PLAIN_WORDS: [(&str, &str); 4] = [
    ("a boolean", "true or false"),
    ("a sequence", "a list such as [\"kitchen\", \"office\"]"),
    ("a map", "a section of its own"),
    ("struct ", "a section of its own: "),
];

/// The reader's message as what is wrong and what to do.
fn in_plain_words(message: &str) -> (String, String) {
    if let Some((unknown, known)) = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let remedy = match nearest(unknown, &known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are: {}", known.join(", ")),
        };
        return ("there is no such key".into(), remedy);
    }
    if let Some(missing) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return (format!("the key {missing:?} is missing"), format!("add {missing} = …"));
    }
    if let Some((found, wanted)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let plain = PLAIN_WORDS.iter().find_map(|(theirs, ours)| wanted.strip_prefix(theirs).map(|_| *ours));
        return (format!("{found} does not fit here"), format!("it wants {}", plain.unwrap_or(wanted)));
    }
    // What our own values say ends with the remedy; what the reader of TOML says has none.
    (message.trim_end().replace('\n', ", "), String::new())
}

/// The known key that is most like the unknown one, if any is like it: at most one letter in three is wrong.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    // Longer than any key: the comparison stays short.
    const LETTERS_MAX: usize = 40;
    if unknown.chars().count() > LETTERS_MAX {
        return None;
    }
    let near = known.iter().map(|key| (distance(unknown, key), *key)).min()?;
    (near.0 <= near.1.len().div_ceil(3)).then_some(near.1)
}

/// How many letters are to be put in, left out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
