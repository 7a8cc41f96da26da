//! A door and a kitchen that know each other, with cameras, screens and rooms: what scenarios put into difficulties.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::devices::network::Ip;
use crate::intercom::{self, Intercom, make_known};
use crate::judge::photo::Region;
use crate::scenarios::intercom::config;
use std::time::{Duration, Instant};

/// One is the door, the other the kitchen.
pub const DOOR: End = End::Near;
pub const KITCHEN: End = End::Far;

/// Both, and what is around them.
#[derive(Debug)]
pub struct Pair {
    pub call: Call,
    pub door: Intercom,
    pub kitchen: Intercom,
}

impl Pair {
    /// Lays the network, loads the devices, and starts both with what else is to stand in their configurations.
    pub fn begin(door: &str, kitchen: &str) -> Outcome<Pair> {
        Pair::begin_around(Call::prepare(Plan { judged: Region::BESIDE_OVERLAY, ..Plan::default() })?, door, kitchen)
    }

    /// The same, with all that is around them there already.
    pub fn begin_around(mut call: Call, door: &str, kitchen: &str) -> Outcome<Pair> {
        let door = Intercom::start(DOOR, "door", &config(DOOR, door))?;
        let kitchen = Intercom::start(KITCHEN, "kitchen", &config(KITCHEN, kitchen))?;
        make_known(&door, &kitchen, Ip::V6.address(DOOR))?;
        door.wait_joined()?;
        kitchen.wait_joined()?;
        for end in End::BOTH {
            call.speak(end)?;
        }
        Ok(Pair { call, door, kitchen })
    }

    /// The door rings and the kitchen answers. How long it took until each saw the other.
    pub fn talk(&mut self) -> Outcome<Duration> {
        let start = Instant::now();
        intercom::talk(&self.door, &self.kitchen)?;
        self.wait_live()?;
        Ok(start.elapsed())
    }

    /// Waits until each sees the other; gives how long that took.
    pub fn wait_live(&mut self) -> Outcome<Duration> {
        let start = Instant::now();
        for end in End::BOTH {
            self.call.wait_live(end)?;
        }
        Ok(start.elapsed())
    }

    /// Fails unless both are still in the call, each sees the other as young as ever, and the kitchen hears the door.
    pub fn must_go_on(&mut self) -> Outcome {
        for station in [&mut self.door, &mut self.kitchen] {
            station.must_run()?;
            station.wait_state("talking")?;
        }
        for end in End::BOTH {
            self.call.wait_watched(end)?;
        }
        self.call.wait_heard(KITCHEN).map(drop)
    }

    /// The door hangs up.
    pub fn hang_up(&self) -> Outcome {
        self.door.act("hang-up")?;
        for station in [&self.door, &self.kitchen] {
            station.wait_state("idle")?;
        }
        Ok(())
    }

    /// Ends both stations.
    pub fn stop(self) -> Outcome {
        self.door.stop()?;
        self.kitchen.stop()
    }
}
