//! Two stations see and hear each other over IPv6.

use super::call_ipv4::both_ways;
use crate::Outcome;
use crate::call::Plan;
use crate::devices::network::Ip;
use crate::machine::Order;

pub fn play(_: &Order) -> Outcome<String> {
    both_ways(Plan { ip: Ip::V6, ..Plan::default() }, None)
}
