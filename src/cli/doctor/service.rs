//! The unit: whether the station runs, how often it was started again, and what it may do.

use super::Around;
use super::finding::Finding;
use std::collections::BTreeMap;

const SUBJECT: &str = "service";
/// What is asked of systemd.
pub(super) const PROPERTIES: &str = "LoadState,ActiveState,UnitFileState,Type,User,SupplementaryGroups,NRestarts,\
                                     Result,ExecMainStatus,WatchdogUSec,LimitRTPRIO,LimitMEMLOCK,ActiveEnterTimestamp";
/// EX_CONFIG of sysexits.h: the station does not start with this configuration.
const CONFIGURATION: &str = "78";
/// So many restarts may have had a reason outside; more have one in the program or the board.
const RESTARTS_MANY: u64 = 3;
/// What the threads of voice, net and screen ask for; the unit's own limit is 20.
const PRIORITY_MIN: u64 = 10;
/// What a station at 720p has mapped, in bytes.
const LOCKED_BYTES_MIN: u64 = 256 << 20;

/// A unit as `systemctl show` prints it, drop-ins and all.
#[derive(Clone, Debug, Default)]
pub(super) struct Unit(BTreeMap<String, String>);

impl Unit {
    pub(super) fn parse(text: &str) -> Unit {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Unit(pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect())
    }

    /// A property that is set.
    pub(super) fn get(&self, property: &str) -> Option<&str> {
        self.0.get(property).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn is_installed(&self) -> bool {
        self.get("LoadState") == Some("loaded")
    }

    pub(super) fn is_active(&self) -> bool {
        self.get("ActiveState") == Some("active")
    }

    fn number(&self, property: &str) -> Option<u64> {
        self.get(property).and_then(|value| if value == "infinity" { Some(u64::MAX) } else { value.parse().ok() })
    }
}

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let Some(unit) = &around.unit else {
        return vec![Finding::unseen(SUBJECT, "the unit visavis.service", "systemd does not answer here")];
    };
    let mut findings = examine(unit, around.station.is_ok());
    if unit.is_active() && around.shows_picture() {
        let getty = around.machine.answer("systemctl", &["show", "getty@tty1.service", "--property=ActiveState"]);
        findings.extend(prompt(&Unit::parse(&getty.unwrap_or_default())));
    }
    findings
}

fn examine(unit: &Unit, answers: bool) -> Vec<Finding> {
    if !unit.is_installed() {
        let runs = if answers { "; a station runs by hand" } else { "" };
        return vec![
            Finding::note(SUBJECT, format!("visavis is not installed as a service{runs}"))
                .because("After a power cut nobody starts the station again.")
                .mend("sudo apt install ./visavis_….deb"),
        ];
    }
    let mut findings = vec![activity(unit, answers)];
    if unit.get("UnitFileState") == Some("disabled") {
        findings.push(
            Finding::poor(SUBJECT, "it is not started with the board")
                .because("After a power cut the station stays dark.")
                .mend("sudo systemctl enable visavis"),
        );
    }
    findings.extend(restarts(unit));
    findings.extend(limits(unit));
    findings
}

fn activity(unit: &Unit, answers: bool) -> Finding {
    match (unit.get("ActiveState").unwrap_or("unknown"), answers) {
        ("active", true) => {
            let since = unit.get("ActiveEnterTimestamp").map(|since| format!(" since {since}")).unwrap_or_default();
            Finding::good(SUBJECT, format!("the station runs{since}"))
        }
        ("active", false) => Finding::unseen(
            SUBJECT,
            "the station runs, but does not answer this user",
            "Who controls it has to be in its group: sudo usermod -aG visavis $USER, then log in again; or use sudo. \
             If sudo does not help: sudo systemctl restart visavis",
        ),
        _ if unit.get("ExecMainStatus") == Some(CONFIGURATION) => {
            Finding::wrong(SUBJECT, "the station has stopped: its configuration is wrong")
                .because("Nobody can ring, or be rung.")
                .mend("visavis check\nsudo systemctl restart visavis")
        }
        ("failed", _) => {
            let result = unit.get("Result").unwrap_or("for a reason that systemd does not know");
            Finding::wrong(SUBJECT, format!("the station has failed ({result})"))
                .because("Nobody can ring, or be rung.")
                .mend("sudo journalctl -u visavis -e\nsudo systemctl restart visavis")
        }
        (state, _) => Finding::wrong(SUBJECT, format!("the station does not run ({state})"))
            .because("Nobody can ring, or be rung.")
            .mend("sudo systemctl start visavis"),
    }
}

fn restarts(unit: &Unit) -> Option<Finding> {
    let restarts = unit.number("NRestarts").filter(|restarts| *restarts > 0)?;
    let what = format!("systemd has started the station again {restarts} times since it was started by hand");
    Some(if restarts < RESTARTS_MANY {
        Finding::note(SUBJECT, what)
    } else {
        Finding::poor(SUBJECT, what)
            .because("Each time a call ended. Something makes it fail: a device, the board's power, or a bug.")
            .mend("sudo journalctl -u visavis -p warning -e\nsudo visavis doctor --bundle report.txt")
    })
}

fn limits(unit: &Unit) -> Vec<Finding> {
    let mut findings = Vec::new();
    if unit.number("LimitRTPRIO").is_some_and(|priority| priority < PRIORITY_MIN) {
        findings.push(
            Finding::poor(SUBJECT, "its voice may not run before other programs (LimitRTPRIO)")
                .because("The sound may crackle whenever the board is busy with something else.")
                .mend("sudo systemctl edit visavis: under [Service] the line LimitRTPRIO=20"),
        );
    }
    if unit.number("LimitMEMLOCK").is_some_and(|bytes| bytes < LOCKED_BYTES_MIN) {
        findings.push(
            Finding::poor(SUBJECT, "its memory may be paged out to the card (LimitMEMLOCK)")
                .because("After a quiet night the first call may falter.")
                .mend("sudo systemctl edit visavis: under [Service] the line LimitMEMLOCK=infinity"),
        );
    }
    findings
}

fn prompt(getty: &Unit) -> Option<Finding> {
    getty.is_active().then(|| {
        Finding::poor("screen", "a login prompt runs on the screen (getty@tty1)")
            .because("It may draw over the picture, and what is typed for the station goes to it as well.")
            .mend("sudo systemctl mask --now getty@tty1")
    })
}

#[cfg(test)]
mod tests {
    //! Goal: each way in which a unit can be is told with what mends it. Method: what `systemctl show` prints, in Debian 12.
    use super::super::finding::Severity;
    use super::*;

    const RUNNING: &str = "Type=simple\nNRestarts=0\nExecMainStatus=0\nLimitMEMLOCK=infinity\nLimitRTPRIO=20\n\
                           WatchdogUSec=0\nUser=visavis\nSupplementaryGroups=video audio input gpio\nResult=success\n\
                           LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\
                           ActiveEnterTimestamp=Wed 2026-11-25 03:12:00 GMT\n";

    fn seen(text: &str, answers: bool) -> Vec<(Severity, String)> {
        examine(&Unit::parse(text), answers).into_iter().map(|f| (f.severity, f.remedy)).collect()
    }

    #[test]
    fn a_unit_that_runs_is_good() {
        assert_eq!(seen(RUNNING, true), [(Severity::Good, String::new())]);
        assert_eq!(seen(RUNNING, false)[0].0, Severity::Unseen);
    }

    #[test]
    fn a_unit_that_does_not_run_says_how_it_would() {
        let failed = RUNNING.replace("=active", "=failed").replace("=success", "=watchdog");
        let configuration = failed.replace("ExecMainStatus=0", "ExecMainStatus=78");
        let stopped = RUNNING.replace("=active", "=inactive").replace("=enabled", "=disabled");
        assert!(seen(&failed, false)[0].1.contains("journalctl"));
        assert!(seen(&configuration, false)[0].1.starts_with("visavis check\n"));
        let stopped = seen(&stopped, false);
        assert_eq!(stopped[0], (Severity::Wrong, "sudo systemctl start visavis".into()));
        assert_eq!(stopped[1], (Severity::Poor, "sudo systemctl enable visavis".into()));
        assert_eq!(seen("LoadState=not-found\nActiveState=inactive\n", false)[0].0, Severity::Note);
    }

    #[test]
    fn what_holds_it_back_is_told() {
        let limited = RUNNING.replace("=infinity", "=8388608").replace("RTPRIO=20", "RTPRIO=0");
        let limited = limited.replace("NRestarts=0", "NRestarts=7");
        let remedies: String = seen(&limited, true).into_iter().map(|(_, remedy)| remedy).collect();
        for wanted in ["LimitRTPRIO=20", "LimitMEMLOCK=infinity", "-p warning"] {
            assert!(remedies.contains(wanted), "{remedies}");
        }
        assert!(prompt(&Unit::parse("ActiveState=active\n")).is_some());
        assert!(prompt(&Unit::parse("ActiveState=inactive\n")).is_none());
    }
}
