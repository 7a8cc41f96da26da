//! What an examination comes to: findings, as data and in words.

use serde::Serialize;
use std::fmt::Write as _;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It could not be looked at.
    Unseen,
    /// The station works, but worse than it could, or not for ever.
    Poor,
    /// Something does not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at: `power`, `wi-fi`, …
    pub subject: &'static str,
    pub severity: Severity,
    /// What is so.
    pub what: String,
    /// What that means for the household, or why it could not be looked at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The command, or the line of a file, that mends it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Finding {
    fn new(subject: &'static str, severity: Severity, what: impl Into<String>) -> Finding {
        Finding { subject, severity, what: what.into(), why: String::new(), remedy: String::new() }
    }

    pub(super) fn good(subject: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(subject, Severity::Good, what)
    }

    pub(super) fn note(subject: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(subject, Severity::Note, what)
    }

    /// Not looked at, and why not.
    pub(super) fn unseen(subject: &'static str, what: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding::new(subject, Severity::Unseen, what).because(why)
    }

    pub(super) fn poor(subject: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(subject, Severity::Poor, what)
    }

    pub(super) fn wrong(subject: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(subject, Severity::Wrong, what)
    }

    /// What it means for the household.
    pub(super) fn because(mut self, why: impl Into<String>) -> Finding {
        self.why = why.into();
        self
    }

    /// The command or line that mends it.
    pub(super) fn mend(mut self, remedy: impl Into<String>) -> Finding {
        self.remedy = remedy.into();
        self
    }

    /// Whether something has to be done.
    pub(super) fn is_trouble(&self) -> bool {
        self.severity >= Severity::Poor
    }
}

/// For people: what is wrong last, where it is seen, each with its remedy.
pub(super) fn in_words(findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.severity);
    let mut text = String::new();
    for finding in sorted {
        let sign = match finding.severity {
            Severity::Good => "ok   ",
            Severity::Note => "note ",
            Severity::Unseen => "?    ",
            Severity::Poor => "POOR ",
            Severity::Wrong => "WRONG",
        };
        let _ = writeln!(text, "{sign}  {}: {}", finding.subject, printable(&finding.what));
        if !finding.why.is_empty() {
            let _ = writeln!(text, "         {}", printable(&finding.why));
        }
        for line in finding.remedy.lines() {
            let _ = writeln!(text, "         -> {}", printable(line));
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (wrong, poor, unseen) = (count(Severity::Wrong), count(Severity::Poor), count(Severity::Unseen));
    let verdict = match (wrong, poor) {
        (0, 0) => "Nothing is wrong".to_owned(),
        (0, poor) => format!("It works, and {poor} could be better"),
        (wrong, 0) => format!("{wrong} wrong"),
        (wrong, poor) => format!("{wrong} wrong, and {poor} could be better"),
    };
    let unseen = if unseen > 0 { format!("; {unseen} could not be looked at") } else { String::new() };
    let _ = writeln!(text, "\n{verdict}{unseen}.");
    text
}

/// Without what a terminal would take for a command.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_last_with_its_remedy_and_the_sum() {
        let findings = [
            Finding::wrong("port", "taken\x1b[2J").because("nobody can ring").mend("stop it\nstart it"),
            Finding::good("clock", "right"),
            Finding::unseen("firewall", "its rules", "only root may read them"),
        ];
        let text = in_words(&findings);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines[0], "ok     clock: right");
        assert_eq!(lines[3..7], ["WRONG  port: taken [2J", "nobody can ring", "-> stop it", "-> start it"]);
        assert_eq!(lines[8], "1 wrong; 1 could not be looked at.");
        assert!(findings[0].is_trouble() && !findings[2].is_trouble());
    }
}
