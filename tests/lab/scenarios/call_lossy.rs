//! The same call over a bad network: of a hundred packets two are lost each way, and each is late by up to 20 ms.

use super::call_ipv4::both_ways;
use crate::Outcome;
use crate::call::Plan;
use crate::machine::Order;

pub fn play(_: &Order) -> Outcome<String> {
    both_ways(Plan::default(), Some("loss 2% delay 10ms 10ms"))
}
