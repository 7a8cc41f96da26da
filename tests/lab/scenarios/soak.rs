//! A long call: at the end it is as it was at the start. One hour unless VISAVIS_LAB_SECONDS says otherwise.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::judge::clip;
use crate::machine::Order;
use crate::station::Holdings;
use std::time::{Duration, Instant};

/// Before the first look: buffers have found their sizes by then, and the rate its value.
const WARM_UP: Duration = Duration::from_secs(30);
/// The allocator's own coming and going; a leak of one packet's buffer a second is 4 MiB an hour.
const GROWTH_KIB: u64 = 1024;
/// One frame: what the phase between camera and screen may make, since the two drift against each other.
const AGE_CHANGE: Duration = clip::FRAME_TIME;

/// What is compared, at one end.
#[derive(Debug)]
struct State {
    age: Duration,
    holdings: Holdings,
}

pub fn play(order: &Order) -> Outcome<String> {
    let (mut call, _) = Call::begin(Plan::default(), None)?;
    std::thread::sleep(WARM_UP.min(Duration::from_secs(order.seconds / 4)));
    let first = look(&mut call)?;
    let end = Instant::now() + Duration::from_secs(order.seconds);
    while Instant::now() < end {
        // Now and then, so that a call that has died is known within a minute.
        std::thread::sleep(Duration::from_secs(60).min(end.saturating_duration_since(Instant::now())));
        for end in End::BOTH {
            call.station(end)?.must_run()?;
            call.wait_live(end)?;
        }
    }
    let last = look(&mut call)?;
    for (was, is) in first.iter().zip(&last) {
        println!("was {was:?}\nis  {is:?}");
    }
    for (was, is) in first.iter().zip(&last) {
        assert_eq!((was.holdings.descriptors, was.holdings.threads), (is.holdings.descriptors, is.holdings.threads));
        assert!(is.holdings.resident_kib <= was.holdings.resident_kib + GROWTH_KIB, "memory grows");
        assert!(is.age <= was.age + AGE_CHANGE, "latency grows");
    }
    let [near, far] = call.end()?;
    println!("near: {near:#}\nfar: {far:#}");
    Ok(format!(
        "latency {} ms then {} ms, memory {} KiB then {} KiB, descriptors {}",
        first[1].age.as_millis(),
        last[1].age.as_millis(),
        first[1].holdings.resident_kib,
        last[1].holdings.resident_kib,
        last[1].holdings.descriptors
    ))
}

fn look(call: &mut Call) -> Outcome<[State; 2]> {
    let mut state = |end: End| -> Outcome<State> {
        let age = call.watch(end)?.median_age();
        call.wait_heard(end)?;
        Ok(State { age, holdings: call.station(end)?.holdings()? })
    };
    Ok([state(End::Near)?, state(End::Far)?])
}
