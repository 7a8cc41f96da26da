//! How the board feels: temperature against the points at which it throttles, the firmware's word, pressure on processors.
//!
//! Whatever is not there is not known, which is no error: a board without a thermometer is not a hot one. Reading may wait
//! for the firmware for a millisecond, so it is not for a thread that must be punctual.

use std::fs;
use std::path::{Path, PathBuf};

/// Thermal zones and trip points of one that are looked at: no board has more than a dozen of either.
const ZONES_MAX: usize = 16;
const TRIPS_MAX: usize = 16;
/// A trip point below this (in thousandths of a degree) is none: drivers write 0 or less for those that are not set.
const TRIP_LEAST: i32 = 40_000;
/// Without a point at which the kernel throttles there is one at which it powers off; so much below it is hot.
const BEFORE_CRITICAL: i32 = 20_000;

/// Bits of a Raspberry Pi's `get_throttled` that are about now: <https://www.raspberrypi.com/documentation/computers/os.html>.
const UNDERVOLTAGE: u32 = 1;
const CAPPED: u32 = 1 << 1;
const THROTTLED: u32 = 1 << 2;
const SOFT_LIMIT: u32 = 1 << 3;

/// The files of a board.
#[derive(Debug)]
pub struct Sensors {
    /// Temperature, and where it is too much.
    zones: Vec<(PathBuf, i32)>,
    firmware: Option<PathBuf>,
    pressure: PathBuf,
}

/// What they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The hottest zone's temperature, in thousandths of a degree Celsius.
    pub temperature_millicelsius: Option<i32>,
    /// How far the zone that is nearest to its limit is from it, in thousandths of a degree.
    pub headroom_millikelvin: Option<i32>,
    /// The firmware sees too low a voltage.
    pub is_undervolted: bool,
    /// The firmware throttles the processors.
    pub is_throttled: bool,
    /// The firmware holds the processors' speed down, for heat or voltage.
    pub is_capped: bool,
    /// For how long something that could run has waited for a processor, in microseconds, since the start.
    pub pressure_us: Option<u64>,
}

impl Sensors {
    /// Those of the system whose root folder is `root`.
    pub fn find(root: &Path) -> Sensors {
        let zones = folders(&root.join("sys/class/thermal"), "thermal_zone").into_iter().take(ZONES_MAX);
        let zones = zones.filter_map(|zone| Some((zone.join("temp"), limit(&zone)?))).collect();
        let platform = root.join("sys/devices/platform");
        let firmware = folders(&platform, "soc").into_iter().flat_map(|soc| folders(&soc, "soc"));
        let firmware = firmware.map(|firmware| firmware.join("get_throttled")).find(|file| file.exists());
        Sensors { zones, firmware, pressure: root.join("proc/pressure/cpu") }
    }

    /// How it is now.
    pub fn read(&self) -> Reading {
        let zones = self.zones.iter().filter_map(|(file, limit)| Some((number(file)?, *limit)));
        let (mut hottest, mut headroom) = (None, None);
        for (temperature, limit) in zones {
            hottest = hottest.max(Some(temperature));
            let left = limit.saturating_sub(temperature);
            headroom = Some(headroom.map_or(left, |least: i32| least.min(left)));
        }
        let bits = self.firmware.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let bits =
            bits.and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()).unwrap_or(0);
        Reading {
            temperature_millicelsius: hottest,
            headroom_millikelvin: headroom,
            is_undervolted: bits & UNDERVOLTAGE != 0,
            is_throttled: bits & THROTTLED != 0,
            is_capped: bits & (CAPPED | SOFT_LIMIT) != 0,
            pressure_us: fs::read_to_string(&self.pressure).ok().as_deref().and_then(waited),
        }
    }
}

/// Where a zone is too hot: its lowest point at which the kernel throttles, or else some way before it powers off.
fn limit(zone: &Path) -> Option<i32> {
    let trips = (0..TRIPS_MAX).map_while(|n| {
        let kind = fs::read_to_string(zone.join(format!("trip_point_{n}_type"))).ok()?;
        Some((kind.trim().to_owned(), number(&zone.join(format!("trip_point_{n}_temp"))).unwrap_or(0)))
    });
    let trips: Vec<_> = trips.filter(|(_, at)| *at >= TRIP_LEAST).collect();
    let lowest = |kind: &str| trips.iter().filter(|(of, _)| of == kind).map(|(_, at)| *at).min();
    lowest("passive").or_else(|| lowest("hot")).or_else(|| Some(lowest("critical")? - BEFORE_CRITICAL))
}

fn number(file: &Path) -> Option<i32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The total of the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345`.
fn waited(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split(' ').find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// Folders in `folder` whose names begin so, in their order.
fn folders(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    //! Goal: every board's files are read for what they say, and broken or missing ones as nothing. Method: folders of
    //! files as boards have them.
    use super::*;

    fn board(name: &str, files: &[(&str, &str)]) -> (PathBuf, Reading) {
        let root = std::env::temp_dir().join(format!("visavis-board-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let reading = Sensors::find(&root).read();
        (root, reading)
    }

    #[test]
    fn a_raspberry_pi_says_how_hot_it_is_and_what_its_firmware_does() {
        let (root, reading) = board(
            "pi",
            &[
                ("sys/class/thermal/thermal_zone0/temp", "84500\n"),
                ("sys/class/thermal/thermal_zone0/trip_point_0_type", "critical\n"),
                ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "110000\n"),
                ("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n"),
                ("proc/pressure/cpu", "some avg10=1.00 avg60=0.00 avg300=0.00 total=4711\nfull avg10=0.00 total=3\n"),
            ],
        );
        assert_eq!(reading.temperature_millicelsius, Some(84_500));
        assert_eq!(reading.headroom_millikelvin, Some(5_500));
        assert!(reading.is_undervolted && reading.is_throttled && !reading.is_capped);
        assert_eq!(reading.pressure_us, Some(4_711));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn of_several_zones_the_one_nearest_to_its_limit_counts_and_points_that_are_not_set_do_not() {
        let zone = "sys/class/thermal/thermal_zone";
        let (root, reading) = board(
            "zones",
            &[
                (&format!("{zone}0/temp"), "70000"),
                (&format!("{zone}0/trip_point_0_type"), "active"),
                (&format!("{zone}0/trip_point_0_temp"), "50000"),
                (&format!("{zone}0/trip_point_1_type"), "passive"),
                (&format!("{zone}0/trip_point_1_temp"), "90000"),
                (&format!("{zone}1/temp"), "60000"),
                (&format!("{zone}1/trip_point_0_type"), "passive"),
                (&format!("{zone}1/trip_point_0_temp"), "0"),
                (&format!("{zone}1/trip_point_1_type"), "passive"),
                (&format!("{zone}1/trip_point_1_temp"), "65000"),
                (&format!("{zone}2/temp"), "99000"),
            ],
        );
        assert_eq!((reading.temperature_millicelsius, reading.headroom_millikelvin), (Some(70_000), Some(5_000)));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_missing_or_broken_is_not_known() {
        let (root, reading) = board(
            "broken",
            &[
                ("sys/class/thermal/thermal_zone0/temp", "warm"),
                ("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive"),
                ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "80000"),
                ("sys/devices/platform/soc/soc:firmware/get_throttled", "?"),
                ("proc/pressure/cpu", "some total=many"),
            ],
        );
        assert_eq!(reading, Reading::default());
        assert_eq!(Sensors::find(Path::new("/nowhere")).read(), Reading::default());
        fs::remove_dir_all(root).unwrap();
    }
}
