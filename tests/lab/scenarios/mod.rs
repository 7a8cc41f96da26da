//! The scenarios: a file each, in the order in which they are run.

mod address_faults;
mod appliance;
mod call_ipv4;
mod call_ipv6;
mod call_lossy;
mod call_one_way;
mod camera_faults;
mod camera_frozen;
mod camera_mjpeg;
mod camera_unplugged;
mod clock_faults;
mod devices;
mod echo;
mod hog;
mod hostile;
mod house;
pub mod intercom;
mod mouth_to_ear;
mod network_cut;
mod package;
mod pairing;
mod peer_frozen;
mod peer_killed;
mod power_cut;
mod read_only;
mod screen_faults;
mod soak;
mod sound_unplugged;
mod starved;
mod strike_killed;
mod unanswered;
mod watchdog;

use crate::Outcome;
use crate::machine::Order;
use std::time::Duration;

/// What a scenario does; gives what it measured, for the line that is printed.
pub type Play = fn(&Order) -> Outcome<String>;

/// A scenario.
pub struct Scenario {
    /// Its name, which is also its file's.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub about: &'static str,
    /// When the machine is switched off if it is not done by then; generous, since this machine has other work too.
    pub limit: Duration,
    /// Played as a service of systemd, with udev running.
    pub under_systemd: bool,
    /// Not part of a run of all.
    pub only_when_named: bool,
    /// The scenario itself.
    pub play: Play,
}

const fn scenario(name: &'static str, limit_s: u64, play: Play, about: &'static str) -> Scenario {
    Scenario { name, about, limit: Duration::from_secs(limit_s), under_systemd: false, only_when_named: false, play }
}

/// All of them.
pub const ALL: &[Scenario] = &[
    scenario("devices", 60, devices::play, "the lab itself: its devices do what the other scenarios rely on"),
    scenario(
        "call_one_way",
        240,
        call_one_way::play,
        "the kitchen sees and hears the door, and does again after a cut",
    ),
    scenario("call_ipv4", 90, call_ipv4::play, "two stations see and hear each other over IPv4"),
    scenario("call_ipv6", 90, call_ipv6::play, "the same over IPv6"),
    scenario("call_lossy", 90, call_lossy::play, "the same with 2 % loss and 10 ms of jitter"),
    scenario("camera_mjpeg", 90, camera_mjpeg::play, "JPEG from a camera is passed on as it is"),
    scenario("camera_frozen", 180, camera_frozen::play, "a camera shows the same picture for ever, or none at all"),
    scenario("camera_unplugged", 120, camera_unplugged::play, "a camera goes and comes back"),
    scenario("camera_faults", 180, camera_faults::play, "a camera gets another number, freezes, breaks, answers EIO"),
    scenario("sound_unplugged", 120, sound_unplugged::play, "a sound card goes and comes back"),
    scenario("echo", 120, echo::play, "a loudspeaker is heard by its own microphone, and the other end not by himself"),
    scenario(
        "mouth_to_ear",
        180,
        mouth_to_ear::play,
        "how long a voice takes, on good and bad networks and with odd sound cards",
    ),
    scenario("screen_faults", 180, screen_faults::play, "there is no screen, then one, then none again"),
    scenario("network_cut", 120, network_cut::play, "the network is gone for 10 s"),
    scenario(
        "address_faults",
        240,
        address_faults::play,
        "addresses change in a call; the network is gone for too long",
    ),
    scenario("clock_faults", 180, clock_faults::play, "the clock jumps by years in a call"),
    scenario("starved", 240, starved::play, "no room on the disk, no memory, no descriptors, no processor"),
    scenario(
        "hostile",
        240,
        hostile::play,
        "floods, strangers, half-open clients, and a paired peer that sends nonsense",
    ),
    scenario("peer_killed", 120, peer_killed::play, "a station dies and is started again"),
    scenario("peer_frozen", 120, peer_frozen::play, "a station stands still for 10 s and shows nothing old"),
    scenario("intercom", 180, intercom::play, "the door rings, the kitchen sees, answers, opens and is hung up on"),
    scenario("pairing", 120, pairing::play, "two stations face to face pair by what they show"),
    scenario("house", 120, house::play, "three stations: the first to answer, do not disturb, a stranger"),
    scenario("unanswered", 180, unanswered::play, "an announcement, a look, and a call that is taken by itself"),
    // Minutes long, since each step up waits for half a minute of quiet.
    Scenario {
        only_when_named: true,
        ..scenario(
            "hog",
            600,
            hog::play,
            "other programs take the core: less picture, and all of it again when they end",
        )
    },
    scenario("strike_killed", 120, strike_killed::play, "a station is killed with its strike on, and in a call"),
    Scenario {
        under_systemd: true,
        ..scenario("appliance", 120, appliance::play, "installed, and started by systemd in its sandbox")
    },
    Scenario {
        under_systemd: true,
        ..scenario("watchdog", 240, watchdog::play, "systemd starts a station anew in which something stands still")
    },
    Scenario {
        under_systemd: true,
        ..scenario("package", 300, package::play, "the Debian package is installed, upgraded, removed and purged")
    },
    Scenario {
        under_systemd: true,
        ..scenario(
            "read_only",
            120,
            read_only::play,
            "the same with nothing writable but its state, on a disk of its own",
        )
    },
    scenario("power_cut", 900, power_cut::play, "the power fails at each write: what is left is read, and runs"),
    Scenario {
        only_when_named: true,
        ..scenario("soak", 300, soak::play, "an hour's call ends as it began (VISAVIS_LAB_SECONDS)")
    },
];

/// The scenario called `name`.
pub fn find(name: &str) -> Outcome<&'static Scenario> {
    Ok(ALL.iter().find(|scenario| scenario.name == name).ok_or_else(|| format!("no scenario is called {name}"))?)
}
