//! Wi-Fi: its power saving, which is the largest single source of delay on a Raspberry Pi, and how well it hears.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;
use crate::sys::wireless::Wireless;
use std::fs;
use std::io;

const SUBJECT: &str = "wi-fi";
/// Below this, packets are sent again and again.
const WEAK_DBM: i8 = -70;
/// Below this, a call breaks.
const TOO_WEAK_DBM: i8 = -80;
/// NetworkManager's settings folder.
const NETWORK_MANAGER: &str = "/etc/NetworkManager";
/// What keeps it off for good.
const DROP_IN: &str = "/etc/NetworkManager/conf.d/90-visavis-wifi.conf";
const DROP_IN_TEXT: &str = "# By `visavis doctor --fix`: a Wi-Fi interface that sleeps between packets delays every call.\n\
                            [connection]\nwifi.powersave = 2\n";

/// A wireless interface.
struct Interface {
    name: String,
    number: u32,
}

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let interfaces = interfaces(&around.machine);
    if interfaces.is_empty() {
        return vec![Finding::good(SUBJECT, "no Wi-Fi interface: the network is wired")];
    }
    let mut wireless = match Wireless::open() {
        Ok(wireless) => wireless,
        Err(error) => return vec![Finding::unseen(SUBJECT, "the Wi-Fi interfaces", error.to_string())],
    };
    let mut findings = Vec::new();
    for Interface { name, number } in interfaces {
        findings.push(power_save(&name, &wireless.power_save(number)));
        findings.extend(signal(&name, &wireless.signal_dbm(number)));
    }
    findings
}

fn interfaces(machine: &Machine) -> Vec<Interface> {
    let is_wireless = |name: &String| {
        ["phy80211", "wireless"].iter().any(|sign| machine.has(&format!("/sys/class/net/{name}/{sign}")))
    };
    let numbered = |name: String| {
        let number = machine.number(&format!("/sys/class/net/{name}/ifindex"))?;
        Some(Interface { number: u32::try_from(number).ok()?, name })
    };
    machine.names("/sys/class/net").into_iter().filter(is_wireless).filter_map(numbered).collect()
}

fn power_save(name: &str, saves: &io::Result<bool>) -> Finding {
    match saves {
        Ok(false) => Finding::good(SUBJECT, format!("{name} does not save power")),
        Ok(true) => Finding::poor(SUBJECT, format!("{name} sleeps between packets to save power"))
            .because(
                "Picture and voice come up to a third of a second late, in lumps, and others find this station late.",
            )
            .mend("sudo visavis doctor --fix"),
        Err(error) => Finding::unseen(SUBJECT, format!("whether {name} saves power"), error.to_string()),
    }
}

fn signal(name: &str, dbm: &io::Result<Option<i8>>) -> Option<Finding> {
    let dbm = match dbm {
        Ok(dbm) => (*dbm)?,
        Err(error) => return Some(Finding::unseen(SUBJECT, format!("how well {name} hears"), error.to_string())),
    };
    let what = format!("{name} hears the access point at {dbm} dBm");
    let why = "Pictures freeze for moments, and the voice has gaps.";
    let remedy = "Move the board or the access point, take 2.4 GHz for distance, or a cable";
    Some(match dbm {
        WEAK_DBM.. => Finding::good(SUBJECT, what),
        TOO_WEAK_DBM.. => Finding::poor(SUBJECT, what).because(why).mend(remedy),
        _ => Finding::wrong(SUBJECT, what).because(why).mend(remedy),
    })
}

/// Turns power saving off on every interface that has it on, now and for good; asks first. What was done, a line each.
///
/// # Errors
/// What could not be done, with what to do.
pub(super) fn fix(machine: &Machine, agrees: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let interfaces = interfaces(machine);
    let Ok(mut wireless) = Wireless::open() else { return Ok(Vec::new()) };
    let mut done = Vec::new();
    for Interface { name, number } in interfaces {
        if !matches!(wireless.power_save(number), Ok(true)) || !agrees(&format!("Turn off {name}'s power saving?")) {
            continue;
        }
        wireless.set_power_save(number, false).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => "only root may change the network: sudo visavis doctor --fix".into(),
            _ => format!("{name}: its power saving cannot be turned off: {error}"),
        })?;
        done.push(format!("{name} saves no power from now on"));
    }
    if !done.is_empty() {
        done.push(keep_off(machine)?);
    }
    Ok(done)
}

/// What NetworkManager does whenever it connects.
fn keep_off(machine: &Machine) -> Result<String, String> {
    if !machine.has(NETWORK_MANAGER) {
        return Ok(
            "NetworkManager is not here: until the next start only. Put the same into what sets up the Wi-Fi here, \
                   for example the line `iw dev wlan0 set power_save off`"
                .into(),
        );
    }
    let place = machine.place(DROP_IN);
    let write = || {
        place.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&place, DROP_IN_TEXT)
    };
    write().map_err(|error: io::Error| format!("{}: cannot be written: {error}", place.display()))?;
    Ok(format!("{} keeps it so", place.display()))
}

#[cfg(test)]
mod tests {
    //! Goal: power saving is found and kept off. Method: /sys as a Pi has it, the kernel's answers as values.
    use super::super::finding::Severity;
    use super::super::machine::tests::Recorded;
    use super::*;

    #[test]
    fn wireless_interfaces_are_told_from_others() {
        let files = [
            ("/sys/class/net/eth0/ifindex", "2\n"),
            ("/sys/class/net/lo/ifindex", "1\n"),
            ("/sys/class/net/wlan0/ifindex", "3\n"),
            ("/sys/class/net/wlan0/phy80211/name", "phy0\n"),
        ];
        let found = interfaces(&Recorded::new("interfaces", &files));
        assert_eq!(found.iter().map(|i| (i.name.as_str(), i.number)).collect::<Vec<_>>(), [("wlan0", 3)]);
    }

    #[test]
    fn a_sleeping_or_deaf_interface_is_told() {
        assert_eq!(power_save("wlan0", &Ok(false)).severity, Severity::Good);
        assert_eq!(power_save("wlan0", &Ok(true)).remedy, "sudo visavis doctor --fix");
        let cannot = Err(nix::errno::Errno::EOPNOTSUPP.into());
        assert_eq!(power_save("wlan0", &cannot).severity, Severity::Unseen);
        let heard = |dbm| signal("wlan0", &Ok(dbm)).map(|finding| finding.severity);
        assert_eq!(
            [heard(Some(-52)), heard(Some(-75)), heard(Some(-88))],
            [Some(Severity::Good), Some(Severity::Poor), Some(Severity::Wrong)]
        );
        assert_eq!(heard(None), None);
    }

    #[test]
    fn it_is_kept_off_where_networkmanager_is() {
        let machine = Recorded::new("keep-off", &[("/etc/NetworkManager/NetworkManager.conf", "[main]\n")]);
        let said = keep_off(&machine).unwrap();
        assert!(said.contains("90-visavis-wifi.conf"), "{said}");
        assert!(machine.text(DROP_IN).unwrap().ends_with("[connection]\nwifi.powersave = 2"));
        assert!(keep_off(&Recorded::new("keep-off-none", &[])).unwrap().contains("iw dev"));
    }
}
