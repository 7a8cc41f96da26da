//! Two stations see and hear each other over IPv4.

use crate::Outcome;
use crate::call::{Call, LOOK, Plan};
use crate::devices::End;
use crate::devices::network::Ip;
use crate::machine::Order;

pub fn play(_: &Order) -> Outcome<String> {
    both_ways(Plan { ip: Ip::V4, ..Plan::default() }, None)
}

/// A call as `plan` has it, over a network as `netem` makes it: each end sees and hears the other, live, and both
/// reports say the same. Other scenarios are this one with another plan.
pub fn both_ways(plan: Plan, netem: Option<&str>) -> Outcome<String> {
    let (call, first) = Call::begin(plan, netem)?;
    let watches = [call.watch(End::Near)?, call.watch(End::Far)?];
    for end in End::BOTH {
        call.wait_heard(end)?;
    }
    for (report, watch) in call.end()?.into_iter().zip(&watches) {
        assert_eq!(report["link"]["ip_version"], plan.ip.number(), "{report}");
        assert_eq!(report["video"]["shown"]["codec"], plan.codec, "{report}");
        assert!(report["video"]["shown"]["frames"].as_u64() >= Some(u64::from(watch.frames)), "{report}");
        assert!(report["video"]["shown"]["latency_ms"]["p50"].as_f64().is_some_and(|ms| ms > 0.0), "{report}");
        assert!(report["audio"]["latency_ms"]["p50"].as_f64().is_some_and(|ms| ms > 0.0), "{report}");
    }
    let [near, far] = watches.map(|watch| {
        let fps = f64::from(watch.frames) / LOOK.as_secs_f64();
        format!(
            "{fps:.0} frames a second, {} ms old, {:.1} dB at the worst",
            watch.median_age().as_millis(),
            watch.worst_db
        )
    });
    Ok(format!("first picture after {:.2} s; near {near}; far {far}", first.as_secs_f64()))
}
