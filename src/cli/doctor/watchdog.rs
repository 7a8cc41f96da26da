//! Watchdogs: systemd's over the station, and the board's over systemd.

use super::Around;
use super::finding::Finding;
use super::service::Unit;

const SUBJECT: &str = "watchdog";

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let machine = &around.machine;
    let state = machine.names("/sys/class/watchdog").first().map(|name| {
        // Kernels without CONFIG_WATCHDOG_SYSFS have the folder and not what is in it.
        machine.text(&format!("/sys/class/watchdog/{name}/state"))
    });
    let installed = around.unit.as_ref().filter(|unit| unit.is_installed());
    let unit = installed.and_then(of_unit);
    unit.into_iter().chain(of_board(state.as_ref().map(Option::as_deref))).collect()
}

fn of_unit(unit: &Unit) -> Option<Finding> {
    let limit = unit.get("WatchdogUSec").filter(|limit| !["0", "infinity"].contains(limit));
    Some(match (limit, unit.get("Type")) {
        (Some(limit), _) => Finding::good(SUBJECT, format!("a station that stands still for {limit} is started again")),
        (None, Some("notify")) => Finding::poor(SUBJECT, "a station that stands still is not started again")
            .because("A call button would stay dead until somebody pulls the plug.")
            .mend("sudo systemctl edit visavis: under [Service] the line WatchdogSec=30"),
        // A program that does not tell how it is would be killed again and again.
        (None, _) => return None,
    })
}

/// `state` is that of the first watchdog: none without one, none within where the kernel does not tell.
fn of_board(state: Option<Option<&str>>) -> Option<Finding> {
    let mend = "sudo mkdir -p /etc/systemd/system.conf.d\n\
                printf '[Manager]\\nRuntimeWatchdogSec=15\\n' | sudo tee /etc/systemd/system.conf.d/watchdog.conf\n\
                sudo systemctl daemon-reexec";
    match state {
        Some(Some("active")) => Some(Finding::good(SUBJECT, "a board that hangs is reset by its watchdog")),
        Some(Some(_)) => Some(
            Finding::poor(SUBJECT, "the board has a watchdog, which nobody uses")
                .because("A board that hangs stays so until somebody pulls the plug.")
                .mend(mend),
        ),
        Some(None) => {
            Some(Finding::unseen(SUBJECT, "whether the board's watchdog is used", "this kernel does not tell"))
        }
        None => Some(
            Finding::note(SUBJECT, "the board has no watchdog")
                .because("If its kernel hangs, it stays so until somebody pulls the plug."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn only_a_station_that_tells_how_it_is_needs_a_limit() {
        let finding = |text| of_unit(&Unit::parse(text)).map(|finding| finding.severity);
        assert_eq!(finding("Type=notify\nWatchdogUSec=30s\n"), Some(Severity::Good));
        assert_eq!(finding("Type=notify\nWatchdogUSec=0\n"), Some(Severity::Poor));
        assert_eq!(finding("Type=notify\nWatchdogUSec=infinity\n"), Some(Severity::Poor));
        assert_eq!(finding("Type=simple\nWatchdogUSec=0\n"), None);
    }

    #[test]
    fn a_board_s_watchdog_is_used_idle_or_missing() {
        let severity = |state| of_board(state).map(|finding| finding.severity);
        assert_eq!(severity(Some(Some("active"))), Some(Severity::Good));
        assert_eq!(severity(Some(Some("inactive"))), Some(Severity::Poor));
        assert_eq!(severity(Some(None)), Some(Severity::Unseen));
        assert_eq!(severity(None), Some(Severity::Note));
    }
}
