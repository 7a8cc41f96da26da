//! The far sound card is pulled out and put in again: pictures go on, and then sound does, both ways.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::devices::sound::Unplugged;
use crate::machine::Order;

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
    let far = call.wait_heard(End::Far)?;
    call.speak(End::Far)?;
    let near = call.wait_heard(End::Near)?;
    call.end()?;
    Ok(format!(
        "the loudspeaker recovered in {:.1} s, the microphone in {:.1} s, a second of listening in each",
        far.as_secs_f64(),
        near.as_secs_f64()
    ))
}
