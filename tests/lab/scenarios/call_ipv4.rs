//! Two stations see and hear each other over IPv4.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::devices::network::Ip;
use crate::machine::Order;
use std::time::Duration;

pub fn play(_: &Order) -> Outcome<String> {
    both_ways(Plan { ip: Ip::V4, ..Plan::default() }, None)
}

/// Long enough for a hundred frames, and for a queue that grows to be seen.
const LOOK: Duration = Duration::from_secs(4);

/// A call as `plan` has it, over a network as `netem` makes it: each end sees and hears the other, live, and both
/// reports say the same. Other scenarios are this one with another plan.
pub fn both_ways(plan: Plan, netem: Option<&str>) -> Outcome<String> {
    let (call, first) = Call::begin(plan, netem)?;
    let [near, far] = [call.watch(End::Near, LOOK)?, call.watch(End::Far, LOOK)?];
    let ages = [near.must_be_live()?.median_age(), far.must_be_live()?.median_age()];
    for end in End::BOTH {
        call.wait_heard(end)?;
    }
    for report in call.end()? {
        assert_eq!(report["link"]["ip_version"], plan.ip.number(), "{report}");
        assert_eq!(report["video"]["shown"]["codec"], plan.codec, "{report}");
        assert!(report["video"]["shown"]["frames"].as_u64() >= Some(u64::from(near.frames)), "{report}");
        assert!(report["video"]["shown"]["latency_ms"]["p50"].as_f64().is_some_and(|ms| ms > 0.0), "{report}");
        assert!(report["audio"]["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{report}");
    }
    Ok(format!(
        "first picture after {:.2} s, {} and {} frames a second, {} and {} ms old",
        first.as_secs_f64(),
        u64::from(near.frames) / LOOK.as_secs(),
        u64::from(far.frames) / LOOK.as_secs(),
        ages[0].as_millis(),
        ages[1].as_millis()
    ))
}
