//! What a record says.

use serde::{Deserialize, Serialize};

/// Letters of a name or address: more than an IPv6 address with its zone and port has.
const WHO_LETTERS_MAX: usize = 80;
/// Letters of a reason.
const REASON_LETTERS_MAX: usize = 120;
/// How often refusals of one kind are written: each write wears the card, and anybody can cause them.
const REFUSALS_EVERY_MS: u64 = 10 * 60 * 1_000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970 began (UTC), by the machine's clock of that moment.
    pub at_unix_ms: u64,
    /// What.
    pub what: What,
    /// With whom: a station's name in the address book, a stranger's address, or a user of this machine.
    pub who: String,
    /// How long it lasted: ringing for a missed call, the talk for others, the pulse for a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted_ms: Option<u64>,
    /// Why it ended or was refused, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The still picture's file in the folder of stills; the journal fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still: Option<String>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Somebody rang here, and nobody answered.
    MissedCall,
    /// Somebody rang here, and was answered.
    AnsweredCall,
    /// This station rang somebody.
    MadeCall,
    /// Somebody saw and heard this station without anybody answering.
    Monitored,
    /// Somebody spoke to this station one way.
    Paged,
    /// The door was opened.
    DoorReleased,
    /// Somebody who may not asked for the door.
    ReleaseRefused,
    /// A station that is not in the address book wanted to connect.
    StrangerRefused,
}

impl What {
    /// In plain words, before the name.
    pub fn words(self) -> &'static str {
        match self {
            What::MissedCall => "missed call from",
            What::AnsweredCall => "call from",
            What::MadeCall => "call to",
            What::Monitored => "watched by",
            What::Paged => "page from",
            What::DoorReleased => "door opened by",
            What::ReleaseRefused => "door refused to",
            What::StrangerRefused => "stranger refused:",
        }
    }
}

impl Record {
    /// That something happened now.
    pub fn new(at_unix_ms: u64, what: What, who: impl Into<String>) -> Record {
        Record { at_unix_ms, what, who: who.into(), lasted_ms: None, reason: None, still: None }
    }

    /// With its texts cut to their bounds.
    pub(super) fn bounded(mut self) -> Record {
        cut(&mut self.who, WHO_LETTERS_MAX);
        if let Some(reason) = &mut self.reason {
            cut(reason, REASON_LETTERS_MAX);
        }
        self
    }
}

fn cut(text: &mut String, letters_max: usize) {
    if let Some((end, _)) = text.char_indices().nth(letters_max) {
        text.truncate(end);
    }
}

/// Keeps refusals rare: the first of each kind is written, those that follow soon are counted for the next.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    releases: Rarely,
    strangers: Rarely,
}

#[derive(Debug, Default)]
struct Rarely {
    written_at_unix_ms: Option<u64>,
    unwritten: u64,
}

impl Refusals {
    /// The record, if it is to be written, with how many were not.
    pub(super) fn admit(&mut self, mut record: Record) -> Option<Record> {
        let kind = match record.what {
            What::ReleaseRefused => &mut self.releases,
            What::StrangerRefused => &mut self.strangers,
            _ => return Some(record),
        };
        // The distance, not the order: the machine's clock may have been set back.
        if kind.written_at_unix_ms.is_some_and(|at| at.abs_diff(record.at_unix_ms) < REFUSALS_EVERY_MS) {
            kind.unwritten += 1;
            return None;
        }
        kind.written_at_unix_ms = Some(record.at_unix_ms);
        let unwritten = std::mem::take(&mut kind.unwritten);
        if unwritten > 0 {
            let reason = record.reason.take().map_or_else(String::new, |reason| format!("{reason}; "));
            record.reason = Some(format!("{reason}{unwritten} more since the last"));
        }
        Some(record)
    }
}
