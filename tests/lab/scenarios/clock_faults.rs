//! The clock on the wall jumps in mid-call: a year ahead, into the hours in which nobody may ring, and two years back, as
//! on a board without a battery when its time server answers at last. The call goes on; the hours are those of the clock;
//! the journal says what the clock said, and how long things really took.
//!
//! Both stations are in one machine, so that the other's clock jumps with it. What stations tell each other of time is
//! counted from their start.

use crate::Outcome;
use crate::command::run;
use crate::machine::Order;
use crate::pair::Pair;
use std::time::Instant;

const QUIET: &str = "[call]\ndo_not_disturb = \"03:00-04:00\"\n";
/// What the clock is set to, one after the other: at noon, a year later within the quiet hours, and two years before that.
const NOON: &str = "2026-11-25 12:00:00";
const LATER: &str = "2027-11-25 03:30:00";
const BEFORE: &str = "2025-11-25 12:00:00";

pub fn play(_: &Order) -> Outcome<String> {
    set(NOON)?;
    let mut pair = Pair::begin("", QUIET)?;
    pair.talk()?;
    let start = Instant::now();
    let before = pair.door.holdings()?;

    set(LATER)?;
    pair.must_go_on()?;
    pair.kitchen.wait_status("not to be disturbed", |status| status["do_not_disturb"] == true)?;
    set(BEFORE)?;
    pair.must_go_on()?;
    pair.kitchen.wait_status("to be rung", |status| status["do_not_disturb"] == false)?;
    pair.hang_up()?;
    let talked = start.elapsed();
    let records = pair.door.wait_record("the call", |record| record["what"] == "made-call")?;
    let lasted_ms = records["lasted_ms"].as_u64().ok_or("no length")?;
    assert!(u128::from(lasted_ms) <= talked.as_millis() + 5_000, "the call lasted {lasted_ms} ms of {talked:?}");
    let at_s = records["at_unix_ms"].as_u64().ok_or("no time")? / 1_000;
    assert!(at_s.abs_diff(seconds(BEFORE)?) < 3_600, "it ended at {at_s}");

    set(LATER)?;
    pair.door.act("ring kitchen")?;
    pair.door.wait_event("that the kitchen is not to be disturbed", |what| {
        what["state"]["state"] == "ended" && what["state"]["reason"] == "do not disturb"
    })?;
    pair.door.wait_state("idle")?;
    set(NOON)?;
    let again = pair.talk()?;
    pair.hang_up()?;
    // The order is that in which things happened, whatever the clock said.
    let whats: Vec<_> = pair.door.records()?.iter().map(|record| record["what"].clone()).collect();
    assert_eq!(whats, ["made-call", "made-call", "made-call"]);
    before.wait_as_before(|| pair.door.holdings())?;
    pair.stop()?;
    Ok(format!(
        "nothing to recover from; a call of {lasted_ms} ms was kept as such; the next was seen after {:.1} s",
        again.as_secs_f64()
    ))
}

fn set(time: &str) -> Outcome {
    run(&format!("date --set=@{}", seconds(time)?)).map(drop)
}

/// Seconds since 1970 of a local time.
fn seconds(time: &str) -> Outcome<u64> {
    Ok(run(&format!("date --date={} +%s", time.replace(' ', "T")))?.trim().parse()?)
}
