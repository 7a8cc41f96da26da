//! The far station dies and is started again, as systemd would: the near one meets it again by itself.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::judge::photo::Sight;
use crate::machine::Order;
use std::time::Instant;

pub fn play(_: &Order) -> Outcome<String> {
    let (mut call, _) = Call::begin(Plan::default(), None)?;
    call.stations[End::Far.index()].take().ok_or("no far station")?.crash()?;
    let card = call.wait_sight(End::Near, "a card", |_, look| look.sight == Sight::Other)?;

    let start = Instant::now();
    call.start(End::Far)?;
    for end in End::BOTH {
        call.wait_live(end)?;
    }
    let back = start.elapsed();
    for end in End::BOTH {
        call.wait_heard(end)?;
    }
    let heard = start.elapsed();
    for end in End::BOTH {
        call.watch(end)?;
    }
    call.end()?;
    Ok(format!(
        "a card after {:.1} s; from the new start pictures recovered in {:.1} s, sound in {:.1} s, of which 2 s are listening",
        card.as_secs_f64(),
        back.as_secs_f64(),
        heard.as_secs_f64()
    ))
}
