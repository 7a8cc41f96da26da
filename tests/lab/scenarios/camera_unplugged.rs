//! The near camera is pulled out and put in again: the far end sees a card meanwhile, not a frozen picture, and sound
//! goes on.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::devices::camera::{self, Unplugged};
use crate::judge::photo::Sight;
use crate::machine::Order;
use std::time::Instant;

pub fn play(_: &Order) -> Outcome<String> {
    let (mut call, _) = Call::begin(Plan { vivid: Some(camera::VIVID[0]), ..Plan::default() }, None)?;
    let start = Instant::now();
    let unplugged = Unplugged::pull(camera::VIVID[0])?;
    call.wait_sight(End::Far, "a card", |_, look| look.sight == Sight::Other)?;
    let card = start.elapsed();
    call.wait_heard(End::Far)?;
    call.watch(End::Near)?;

    drop(unplugged);
    let back = call.wait_sight(End::Far, "the camera's bars again", |_, look| look.sight == Sight::Bars)?;
    call.end()?;
    Ok(format!("a card after {:.1} s, recovered in {:.1} s", card.as_secs_f64(), back.as_secs_f64()))
}
