//! A station whose screen is not there, comes, is unplugged and plugged in again: the call goes on all the time, and is
//! on the screen as soon as there is one.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::{End, screen};
use crate::machine::Order;
use std::time::Duration;

pub fn play(_: &Order) -> Outcome<String> {
    let mut call = Call::prepare(Plan::default())?;
    screen::plug(End::Far, false)?;
    for end in End::BOTH {
        call.start(end)?;
    }
    call.wait_live(End::Near)?;
    for end in End::BOTH {
        call.speak(end)?;
    }
    goes_on_without(&call)?;
    let came = comes(&mut call)?;
    let before = call.station(End::Far)?.holdings()?;

    screen::plug(End::Far, false)?;
    call.wait_sight(End::Far, "nothing", |_, look| look.photo.is_none())?;
    goes_on_without(&call)?;
    let back = comes(&mut call)?;
    call.wait_watched(End::Far)?;
    let station = call.station(End::Far)?;
    before.wait_as_before(|| station.holdings())?;
    call.end()?;
    Ok(format!(
        "a first screen was used after {:.1} s, and recovered in {:.1} s after it was unplugged",
        came.as_secs_f64(),
        back.as_secs_f64()
    ))
}

fn goes_on_without(call: &Call) -> Outcome {
    call.wait_watched(End::Near)?;
    for end in End::BOTH {
        call.wait_heard(end)?;
    }
    Ok(())
}

fn comes(call: &mut Call) -> Outcome<Duration> {
    screen::plug(End::Far, true)?;
    call.wait_live(End::Far)
}
