//! Cameras that deliver JPEG, and a call that passes their frames on as they are.

use super::call_ipv4::both_ways;
use crate::Outcome;
use crate::call::Plan;
use crate::devices::camera::Feed;
use crate::machine::Order;

pub fn play(_: &Order) -> Outcome<String> {
    both_ways(Plan { feed: Feed::Mjpeg, codec: "mjpeg", ..Plan::default() }, None)
}
