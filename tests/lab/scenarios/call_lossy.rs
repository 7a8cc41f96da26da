//! The same call over a bad network: of a hundred packets two are lost each way, and each is late by up to 20 ms.

use super::call_ipv4::both_ways;
use crate::Outcome;
use crate::call::Plan;
use crate::machine::Order;
use std::time::Duration;

/// A picture that depends on a lost one is not shown: it freezes until a key frame is here, which may lose a packet too.
const FREEZE_MAX: Duration = Duration::from_secs(1);

pub fn play(_: &Order) -> Outcome<String> {
    both_ways(Plan { stale: FREEZE_MAX, ..Plan::default() }, Some("loss 2% delay 10ms 10ms"))
}
