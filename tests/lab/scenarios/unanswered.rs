//! What begins without anybody answering: an announcement, which goes one way; a look at a station that allows it, which
//! goes the other; and a call that is taken by the station itself. In that call, who is muted or waits is not heard.

use super::intercom::{config, photograph, wait_card};
use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::devices::network::Ip;
use crate::intercom::{Intercom, make_known};
use crate::judge::photo::Region;
use crate::machine::Order;
use serde_json::Value;
use std::time::{Duration, Instant};

/// It is spoken to, looked at, and takes calls by itself.
const OFFICE: End = End::Near;
const KITCHEN: End = End::Far;
const TAKES_CALLS: &str = "[[peer]]\nname = \"kitchen\"\nauto_answer = true\n[call]\nauto_answer_delay = \"1s\"\n";

pub fn play(_: &Order) -> Outcome<String> {
    let mut call = Call::prepare(Plan { judged: Region::BESIDE_OVERLAY, ..Plan::default() })?;
    let office = Intercom::start(OFFICE, "office", &config(OFFICE, TAKES_CALLS))?;
    let kitchen = Intercom::start(KITCHEN, "kitchen", &config(KITCHEN, ""))?;
    make_known(&office, &kitchen, Ip::V6.address(OFFICE))?;
    office.wait_joined()?;
    kitchen.wait_joined()?;
    for end in End::BOTH {
        call.speak(end)?;
    }
    let heard = an_announcement_goes_one_way(&mut call, &office, &kitchen)?;
    let seen = who_may_looks_on(&mut call, &office, &kitchen)?;
    let taken = a_call_is_taken_by_itself(&mut call, &office, &kitchen)?;
    who_is_muted_or_waits_is_not_heard(&mut call, &office, &kitchen)?;
    hang_up(&office, &kitchen)?;
    office.stop()?;
    kitchen.stop()?;
    Ok(format!(
        "an announcement was heard within {:.1} s, of which 1 s is listening; who looked on saw after {} ms; a call was taken after {} ms",
        heard.as_secs_f64(),
        seen.as_millis(),
        taken.as_millis()
    ))
}

fn an_announcement_goes_one_way(call: &mut Call, office: &Intercom, kitchen: &Intercom) -> Outcome<Duration> {
    let start = Instant::now();
    kitchen.act("page office")?;
    call.wait_heard(OFFICE)?;
    let heard = start.elapsed();
    office.wait_state("paged")?;
    kitchen.wait_state("paging")?;
    call.wait_silent(KITCHEN)?;
    wait_card(call, KITCHEN)?;
    photograph(call, ["office", "kitchen"], "1-announcement")?;
    hang_up(office, kitchen)?;
    call.wait_silent(OFFICE)?;
    Ok(heard)
}

/// Whoever may not is told so, and sees nothing. How long it took whoever may to see the office.
fn who_may_looks_on(call: &mut Call, office: &Intercom, kitchen: &Intercom) -> Outcome<Duration> {
    kitchen.act("monitor office")?;
    let refused = |status: &Value| status["state"] == "ended" && status["reason"] == "not allowed";
    kitchen.wait_status("told that it may not", refused)?;
    kitchen.wait_state("idle")?;
    office.peers("allow kitchen monitor")?;
    office.act("rescan")?;

    let start = Instant::now();
    kitchen.act("monitor office")?;
    call.wait_live(KITCHEN)?;
    let seen = start.elapsed();
    call.wait_heard(KITCHEN)?;
    kitchen.wait_state("monitoring")?;
    office.wait_state("monitored")?;
    call.wait_silent(OFFICE)?;
    wait_card(call, OFFICE)?;
    photograph(call, ["office", "kitchen"], "2-look")?;
    hang_up(office, kitchen)?;
    Ok(seen)
}

fn a_call_is_taken_by_itself(call: &mut Call, office: &Intercom, kitchen: &Intercom) -> Outcome<Duration> {
    let start = Instant::now();
    kitchen.act("ring office")?;
    office.wait_state("talking")?;
    let taken = start.elapsed();
    assert!(taken >= Duration::from_secs(1), "it did not ring first");
    kitchen.wait_state("talking")?;
    for end in End::BOTH {
        call.wait_live(end)?;
        call.wait_heard(end)?;
    }
    Ok(taken)
}

fn who_is_muted_or_waits_is_not_heard(call: &mut Call, office: &Intercom, kitchen: &Intercom) -> Outcome {
    kitchen.act("mute on")?;
    call.wait_silent(OFFICE)?;
    call.wait_heard(KITCHEN)?;
    photograph(call, ["office", "kitchen"], "3-muted")?;
    kitchen.act("mute off")?;
    call.wait_heard(OFFICE)?;

    office.act("hold on")?;
    kitchen.wait_state("held")?;
    for end in End::BOTH {
        call.wait_silent(end)?;
    }
    // Long enough for a picture that does not come to be a fault, which it is not here.
    std::thread::sleep(Duration::from_secs(3));
    for end in End::BOTH {
        wait_card(call, end)?;
    }
    photograph(call, ["office", "kitchen"], "4-held")?;
    office.act("hold off")?;
    for end in End::BOTH {
        call.wait_live(end)?;
        call.wait_heard(end)?;
    }
    Ok(())
}

fn hang_up(office: &Intercom, kitchen: &Intercom) -> Outcome {
    kitchen.act("hang-up")?;
    office.wait_state("idle")?;
    kitchen.wait_state("idle").map(drop)
}
