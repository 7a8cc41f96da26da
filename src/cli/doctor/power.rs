//! The board's power and heat: what its firmware has noticed since the start.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;

const SUBJECT: &str = "power";
/// Where Raspberry Pi's kernels have the firmware's account; 5.x and later.
const THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/// From here on a Raspberry Pi slows down.
const HOT_MILLIDEGREES: i64 = 80_000;
/// From here on it slows down to a crawl.
const TOO_HOT_MILLIDEGREES: i64 = 85_000;

/// A bit of the firmware's account, as the documentation of `vcgencmd get_throttled` lists them.
struct Bit {
    mask: u32,
    is_now: bool,
    what: &'static str,
    cause: Cause,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Supply,
    Heat,
}

const BITS: [Bit; 8] = [
    Bit { mask: 1, is_now: true, what: "the supply's voltage is too low", cause: Cause::Supply },
    Bit { mask: 1 << 1, is_now: true, what: "the processor's clock is capped", cause: Cause::Heat },
    Bit { mask: 1 << 2, is_now: true, what: "the processor is throttled", cause: Cause::Heat },
    Bit { mask: 1 << 3, is_now: true, what: "the soft limit of temperature is reached", cause: Cause::Heat },
    Bit { mask: 1 << 16, is_now: false, what: "the supply's voltage has been too low", cause: Cause::Supply },
    Bit { mask: 1 << 17, is_now: false, what: "the processor's clock has been capped", cause: Cause::Heat },
    Bit { mask: 1 << 18, is_now: false, what: "the processor has been throttled", cause: Cause::Heat },
    Bit { mask: 1 << 19, is_now: false, what: "the soft limit of temperature has been reached", cause: Cause::Heat },
];

impl Cause {
    fn why(self) -> &'static str {
        match self {
            Cause::Supply => "Cameras and sound cards drop out, and the card may lose what is written.",
            Cause::Heat => "The picture gets slower and coarser.",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Cause::Supply => {
                "Use the board's own supply (5.1 V, 3 A; 5 A for a Pi 5) with a short cable, and a powered USB hub for \
                 what draws much"
            }
            Cause::Heat => {
                "Give the board a heat sink or a fan, and air; or a smaller picture: [camera] size = \"640x480\""
            }
        }
    }
}

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let machine = &around.machine;
    let flags = machine.text(THROTTLED).or_else(|| machine.answer("vcgencmd", &["get_throttled"]));
    let mut findings = match flags {
        Some(text) => throttling(&text),
        None => voltage(machine),
    };
    findings.extend(heat(machine));
    findings
}

/// Reads `50005`, `0x50005` or `throttled=0x50005`.
fn throttling(text: &str) -> Vec<Finding> {
    let digits = text.trim().trim_start_matches("throttled=").trim_start_matches("0x");
    let Ok(flags) = u32::from_str_radix(digits, 16) else {
        return vec![Finding::unseen(SUBJECT, "the firmware's account", format!("it says {text:?}"))];
    };
    let mut findings = Vec::new();
    for cause in [Cause::Supply, Cause::Heat] {
        let set =
            |is_now| BITS.iter().filter(move |bit| bit.is_now == is_now && bit.cause == cause && flags & bit.mask != 0);
        let words = |is_now| set(is_now).map(|bit| bit.what).collect::<Vec<_>>().join(", ");
        let finding = match (set(true).count(), set(false).count()) {
            (0, 0) => continue,
            (0, _) => Finding::poor(SUBJECT, words(false) + " since the board was started"),
            _ => Finding::wrong(SUBJECT, words(true)),
        };
        findings.push(finding.because(cause.why()).mend(cause.remedy()));
    }
    if findings.is_empty() {
        findings.push(Finding::good(SUBJECT, "the supply has held, and nothing was throttled"));
    }
    findings
}

/// What newer firmware tells through the sensors of the kernel: rpi_volt.
fn voltage(machine: &Machine) -> Vec<Finding> {
    let sensors = machine.names("/sys/class/hwmon").into_iter().map(|name| format!("/sys/class/hwmon/{name}"));
    let supply =
        sensors.into_iter().find(|place| machine.text(&format!("{place}/name")).as_deref() == Some("rpi_volt"));
    let alarm = supply.and_then(|place| machine.number(&format!("{place}/in0_lcrit_alarm")));
    match alarm {
        Some(0) => vec![Finding::good(SUBJECT, "the supply's voltage has held")],
        Some(_) => {
            let (why, remedy) = (Cause::Supply.why(), Cause::Supply.remedy());
            vec![Finding::wrong(SUBJECT, "the supply's voltage is too low").because(why).mend(remedy)]
        }
        None if is_pi(machine) => {
            vec![Finding::unseen(
                SUBJECT,
                "the supply's voltage",
                "this kernel does not tell; vcgencmd get_throttled does",
            )]
        }
        // Other boards have no such sensor.
        None => Vec::new(),
    }
}

/// Whether it is a Raspberry Pi.
pub(super) fn is_pi(machine: &Machine) -> bool {
    machine.text("/proc/device-tree/model").is_some_and(|model| model.starts_with("Raspberry Pi"))
}

fn heat(machine: &Machine) -> Option<Finding> {
    let zones = machine.names("/sys/class/thermal").into_iter().filter(|name| name.starts_with("thermal_zone"));
    let hottest = zones.filter_map(|zone| machine.number(&format!("/sys/class/thermal/{zone}/temp"))).max()?;
    let degrees = hottest / 1_000;
    let (why, remedy) = (Cause::Heat.why(), Cause::Heat.remedy());
    Some(match hottest {
        TOO_HOT_MILLIDEGREES.. => {
            Finding::wrong("heat", format!("the board is at {degrees} °C")).because(why).mend(remedy)
        }
        HOT_MILLIDEGREES.. => Finding::poor("heat", format!("the board is at {degrees} °C")).because(why).mend(remedy),
        _ => Finding::good("heat", format!("the board is at {degrees} °C")),
    })
}

#[cfg(test)]
mod tests {
    //! Goal: each of the firmware's bits is told with what causes it. Method: values as boards have given them.
    use super::super::finding::Severity;
    use super::super::machine::tests::Recorded;
    use super::*;

    #[test]
    fn the_firmware_s_bits_are_told_apart_in_each_notation() {
        for text in ["0", "0x0", "throttled=0x0\n"] {
            assert_eq!(throttling(text)[0].severity, Severity::Good, "{text}");
        }
        let now = throttling("throttled=0x50005");
        assert_eq!(now[0].what, "the supply's voltage is too low");
        assert_eq!((now[1].what.as_str(), now.len()), ("the processor is throttled", 2));
        let once = throttling("50000");
        assert!(once.iter().all(|finding| finding.severity == Severity::Poor), "{once:?}");
        assert!(once[0].remedy.contains("5.1 V") && once[1].remedy.contains("fan"));
        assert_eq!(throttling("VCHI initialization failed")[0].severity, Severity::Unseen);
    }

    #[test]
    fn a_pi_without_the_firmware_s_account_has_its_sensor() {
        let sensor = |alarm| {
            [
                ("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
                ("/sys/class/hwmon/hwmon1/name", "rpi_volt\n"),
                ("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", alarm),
            ]
        };
        assert_eq!(voltage(&Recorded::new("volt-0", &sensor("0\n")))[0].severity, Severity::Good);
        assert_eq!(voltage(&Recorded::new("volt-1", &sensor("1\n")))[0].severity, Severity::Wrong);
        let pi = Recorded::new("volt-none", &[("/proc/device-tree/model", "Raspberry Pi Zero 2 W Rev 1.0\0")]);
        assert_eq!(voltage(&pi)[0].severity, Severity::Unseen);
        assert!(voltage(&Recorded::new("volt-pc", &[])).is_empty());
    }

    #[test]
    fn heat_is_that_of_the_hottest_zone() {
        for (millidegrees, severity) in
            [("48312\n", Severity::Good), ("81000\n", Severity::Poor), ("86000\n", Severity::Wrong)]
        {
            let zones = [
                ("/sys/class/thermal/thermal_zone0/temp", "31000\n"),
                ("/sys/class/thermal/thermal_zone1/temp", millidegrees),
            ];
            let machine = Recorded::new(&format!("heat-{}", millidegrees.trim()), &zones);
            assert_eq!(heat(&machine).unwrap().severity, severity);
        }
        assert_eq!(heat(&Recorded::new("heat-none", &[])), None);
    }
}
