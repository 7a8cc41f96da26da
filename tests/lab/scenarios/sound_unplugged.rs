//! The far sound card is pulled out and put in again: pictures go on, and then sound does, both ways.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::devices::sound::Unplugged;
use crate::machine::Order;
use std::time::Instant;

pub fn play(_: &Order) -> Outcome<String> {
    let (mut call, _) = Call::begin(Plan::default(), None)?;
    for end in End::BOTH {
        call.wait_heard(end)?;
    }
    let unplugged = Unplugged::pull(End::Far)?;
    // The room's own player holds the card too.
    call.hush(End::Far);
    for end in End::BOTH {
        call.watch(end)?;
    }

    unplugged.plug_in()?;
    let start = Instant::now();
    call.wait_heard(End::Far)?;
    call.speak(End::Far)?;
    call.wait_heard(End::Near)?;
    let back = start.elapsed();
    call.end()?;
    Ok(format!("recovered in {:.1} s, of which 2 s are listening", back.as_secs_f64()))
}
